/* SPDX-License-Identifier: Apache-2.0 */
/* Sees the frames of guests of `prove` on the bridges they are behind, and on the ports of these.
 */
#pragma once

#include "agent/host/prove.h"

struct qb_proof_watch;

/* From now on nothing is missed. A bridge that is not there is not watched. */
QB_MUST_CHECK int qb_proof_watch_begin(const struct qb_proof *proof, struct qb_proof_watch **ret,
				       struct qb_error *err);
/* Notes in the trials what came, waiting for it no longer than that. */
void qb_proof_watch(struct qb_proof_watch *watch, struct qb_proof *proof, unsigned wait_ms);
void qb_proof_watch_end(struct qb_proof_watch *watch);
QB_DEFINE_CLEANUP(struct qb_proof_watch *, qb_proof_watch_end);
#define _cleanup_watch_ QB_CLEANUP(qb_proof_watch_endp)
