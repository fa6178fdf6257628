/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of qb_move_plan() share. */
#pragma once

#include "net/move.h"

struct qb_move_context {
	const struct qb_net *net;
	const struct qb_bridge_config *config;
	const struct qb_link *source, *bridge; /* NULL: there is none */
	bool port_already;                     /* source is a port of bridge */
	struct qb_plan *plan;
	struct qb_move *move;
};

const struct qb_ip_config *qb_move_mode(const struct qb_move_context *c, const char *family);
/* The routes of the source; rules that name it, and nexthop objects that leave by it. */
void qb_move_routes_plan(const struct qb_move_context *c);
void qb_move_rules_plan(const struct qb_move_context *c);
void qb_move_nexthops_plan(const struct qb_move_context *c);
struct qb_route *qb_move_copy_route(struct qb_route **list, size_t *n, const struct qb_route *r);
bool qb_move_is_default(const struct qb_route *r);
