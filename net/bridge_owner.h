/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who manages the ports of a move. NetworkManager does not meanwhile; systemd-networkd looks on
 * where somebody else changes addresses.
 */
#pragma once

#include "net/move.h"

/*
 * Into before goes which ports NetworkManager manages ("managed"), and by which profiles
 * ("profiles"), and by which units systemd-networkd does ("units"), of those that are none of the
 * bridge's yet.
 */
QB_MUST_CHECK int qb_owner_note(const struct qb_step_ctx *ctx, const struct qb_net *net,
				const struct qb_move *move, json_t *before, struct qb_error *err);
/* Before links are made, to which a unit of systemd-networkd's that is for any link may apply. */
QB_MUST_CHECK int qb_owner_prepare(const struct qb_step_ctx *ctx, const struct qb_move *move,
				   const json_t *before, struct qb_error *err);
/* A bond is not given back before the next boot: its addresses would be taken off it. */
QB_MUST_CHECK int qb_owner_set_managed(const struct qb_step_ctx *ctx, const struct qb_move *move,
				       const json_t *before, bool managed, struct qb_error *err);
/* For an undo: it may hang, and the host is to be reached again first. */
unsigned qb_owner_brief_ms(const struct qb_step_ctx *ctx);
/* While it manages them it puts back, or takes away, what is undone. It may be gone by now. */
void qb_owner_disown(const struct qb_step_ctx *ctx, const struct qb_move *move,
		     const json_t *before);
/*
 * With its profile or unit, so that its lease is renewed. A profile may be gone by now, as
 * NetworkManager may.
 */
QB_MUST_CHECK int qb_owner_give_back(const struct qb_step_ctx *ctx, const struct qb_move *move,
				     const json_t *before, struct qb_error *err);
