/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of net/link.h. */
#pragma once

#include "agent/base/schema.h"
#include "net/link.h"

extern const struct qb_type qb_address_type, qb_link_type, qb_route_type, qb_rule_type,
	qb_keyfile_type;
/* All of struct qb_net but links and routes, which stand at the top of the facts. */
extern const struct qb_type qb_net_rest_type;
/* All of struct qb_net. */
extern const struct qb_type qb_net_type;

/* A snapshot of what one was printed as, also when added to in the same form. */
void qb_net_from_json(const json_t *json, struct qb_net *ret);
