/* SPDX-License-Identifier: Apache-2.0 */
/* By whom a bridge is there again after a boot, and what that takes. Pure. */
#pragma once

#include "net/move.h"

/* Its keeper has the bridge at once, and not from the next boot on. */
bool qb_bridge_is_taken(const struct qb_net *net, const struct qb_move *move);
/*
 * The step net.persist, where files of the keeper's are missing or differ. They are written for a
 * bridge that this agent makes or made, ours; one that was there before belongs to whoever made it,
 * who also brings it back. args: of the newest such step that stands, or NULL.
 */
void qb_persist_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		     const struct qb_move *move, bool ours, const json_t *args,
		     struct qb_plan *plan);
/* Refuses the bridge in plan with all that its keeper could not be told. */
void qb_persist_refuse(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan);
