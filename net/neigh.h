/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "net/nl.h"

/*
 * Adds messages that tell link to what link from knows of its neighbours: of all those that were
 * set by hand, or for which the host answers there, and of so many that it learned. These as not
 * quite fresh: they are used at once and confirmed soon.
 */
QB_MUST_CHECK int qb_neigh_copy(struct nl_sock *sock, const char *from, const char *to,
				struct qb_nl_batch *batch, struct qb_error *err);

/*
 * Whether address answers ARP or ND on the link, now: a fresh entry of the neighbour table counts,
 * unless it is to be asked anew; an older one is asked again. The kernel does the asking, so no raw
 * socket is needed. One that was set by hand is never asked.
 */
QB_MUST_CHECK int qb_neigh_answers(struct nl_sock *sock, const char *dev, const char *address,
				   bool anew, unsigned timeout_ms, bool *ret, struct qb_error *err);
