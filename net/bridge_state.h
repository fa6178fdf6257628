/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot says of a move: not begun, done, or something else. Pure. */
#pragma once

#include "net/move.h"

/* -ESTALE unless the ports are the same hardware under the same names, and nobody else's. */
QB_MUST_CHECK int qb_bridge_state_ports(const struct qb_net *net, const struct qb_move *move,
					bool same_boot, struct qb_error *err);
/*
 * -ESTALE when the ports or what they carry are not what the move was planned for; else whether
 * it is done already.
 */
QB_MUST_CHECK int qb_bridge_state_check(const struct qb_net *net, const struct qb_move *move,
					bool *ret_done, struct qb_error *err);
/* What undo will need, as far as the snapshot tells. */
json_t *qb_bridge_state_before(const struct qb_net *net, const struct qb_move *move);
/* Gives the addresses and routes of the move the lifetimes they had. */
void qb_bridge_state_lifetimes(const json_t *before, struct qb_move *move);
/* Everything of the move is there, each address once on the host. Names what is not. */
QB_MUST_CHECK int qb_bridge_state_verify(const struct qb_net *net, const struct qb_move *move,
					 struct qb_error *err);
/*
 * -EBUSY when the bridge, which would be deleted, has ports that others put there since; -ESTALE
 * when a port is not what it was. *ret_gone: the host was started anew since, and nothing is left.
 */
QB_MUST_CHECK int qb_bridge_state_can_undo(const struct qb_net *net, const struct qb_move *move,
					   const json_t *before, bool same_boot, bool *ret_gone,
					   struct qb_error *err);
/* -EBUSY where a link that the run did not put in would be cut off with the bridge. */
QB_MUST_CHECK int qb_bridge_state_is_free(const struct qb_net *net, const struct qb_move *move,
					  const json_t *before, struct qb_error *err);
/* The ports that are to be released: now ports of the bridge, and not before. */
void qb_bridge_state_release(const struct qb_net *net, const struct qb_move *move,
			     const json_t *before, struct qb_strs *ret);
/* Something of what goes onto the bridge is there, or missing where it was. */
bool qb_bridge_state_is_touched(const struct qb_net *net, const struct qb_move *move);

/* What has to outlive that somebody else takes the bridge over: {ports, addresses}. */
json_t *qb_bridge_state_live(const struct qb_net *net, const char *bridge);
/* -EIO, naming what of it is not there any more. */
QB_MUST_CHECK int qb_bridge_state_lives(const struct qb_net *net, const char *bridge,
					const json_t *live, struct qb_error *err);
