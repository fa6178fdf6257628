/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of everything. Pure. */
#pragma once

#include "agent/base/uuid.h"
#include "agent/host/plan.h"

/*
 * What is to be done and what is refused, in the order of execution; with rebind also what hardware
 * changed.
 */
void qb_plan_make(const struct qb_facts *facts, const struct qb_config *config,
		  const struct qb_ledger *ledger, bool rebind, struct qb_plan *ret);
/* The same for plans that do the same: a UUIDv5 over all steps and refusals. */
void qb_plan_hash(const struct qb_plan *plan, char ret[QB_UUID_LEN]);
/* Schema qubi-agent/plan/1. A new reference. */
json_t *qb_plan_to_json(const struct qb_plan *plan);
/* The "refused" array of it. A new reference. */
json_t *qb_plan_refused_json(const struct qb_plan *plan);
/* The "changes" array of schema qubi-agent/apply/1. A new reference. */
json_t *qb_plan_changes_json(const struct qb_plan *plan);
/* That nothing has changed is said, too. */
void qb_plan_changes_text(const struct qb_plan *plan, bool colour, unsigned width,
			  struct qb_buf *out);
/* disks: where the plan is about them all are shown, in one table; may be NULL. */
void qb_plan_text(const struct qb_plan *plan, const struct qb_disks *disks, bool colour,
		  bool verbose, unsigned width, struct qb_buf *out);
