/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkManager and the ports of a move, which it does not manage meanwhile. */
#pragma once

#include "net/move.h"

/*
 * Into before goes which ports it manages ("managed"), and by which profiles ("profiles"), of those
 * that are none of the bridge's yet.
 */
QB_MUST_CHECK int qb_owner_note(const struct qb_step_ctx *ctx, const struct qb_net *net,
				const struct qb_move *move, json_t *before, struct qb_error *err);
/* A bond is not given back before the next boot: its addresses would be taken off it. */
QB_MUST_CHECK int qb_owner_set_managed(const struct qb_step_ctx *ctx, const struct qb_move *move,
				       const json_t *before, bool managed, struct qb_error *err);
/* For an undo: it may hang, and the host is to be reached again first. */
unsigned qb_owner_brief_ms(const struct qb_step_ctx *ctx);
/* While it manages them it puts back, or takes away, what is undone. It may be gone by now. */
void qb_owner_disown(const struct qb_step_ctx *ctx, const struct qb_move *move,
		     const json_t *before);
/* With its profile, so that its lease is renewed. That may be gone by now, as its owner may. */
void qb_owner_give_back(const struct qb_step_ctx *ctx, const struct qb_move *move,
			const json_t *before);
