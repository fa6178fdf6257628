/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a port had when a bridge took it over, given back where the bridge is gone and took it
 * along: after a boot on a host where nobody else does it, or when somebody has deleted the bridge.
 */
#pragma once

#include "net/move.h"

/*
 * Adds a step net.restore for each bridge that an earlier run made, that is not there, and that is
 * to inherit what its port does not have. A family of which the port has an address is its owner's
 * and is left as it is. The args are a move (net/move.h) to be taken back: "drop" and the like say
 * what source is to have again. *ret is the host as it will be then, for the plan of the bridges,
 * and the caller's to free; false: net is, and *ret is not set. Pure.
 */
bool qb_restore_plan(const struct qb_net *net, const struct qb_bridge_config *bridges,
		     size_t n_bridges, const struct qb_ledger *ledger, struct qb_plan *plan,
		     struct qb_net *ret);

extern const struct qb_step_kind qb_restore_step; /* net.restore */
