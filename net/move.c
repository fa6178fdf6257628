/* SPDX-License-Identifier: Apache-2.0 */
#include "net/move.h"

#include <errno.h>
#include <linux/if_addr.h>

#include "agent/base/schema.h"

/* As in net/link_fields.c, less what runs: lifetimes. */
static const struct qb_field address_fields[] = {
	QB_F(qb_address, address, "address", STR),     QB_F(qb_address, peer, "peer", STR),
	QB_F(qb_address, broadcast, "broadcast", STR), QB_F(qb_address, label, "label", STR),
	QB_F(qb_address, scope, "scope", STR),         QB_F(qb_address, flags, "flags", U64),
	QB_F(qb_address, proto, "proto", I64),         QB_F(qb_address, metric, "metric", I64),
};

static const struct qb_type address_type = {
	.name = "moved-address",
	.size = sizeof(struct qb_address),
	.fields = address_fields,
	.n_fields = QB_ARRAY_SIZE(address_fields),
};

static const struct qb_field hop_fields[] = {
	QB_F(qb_hop, dev, "dev", STR, .flags = QB_FIELD_REQUIRED),
	QB_F(qb_hop, gateway, "gateway", STR),
	QB_F(qb_hop, weight, "weight", I64, .flags = QB_FIELD_REQUIRED),
	QB_F(qb_hop, flags, "flags", U64),
	QB_F(qb_hop, realms, "realms", U64),
};

static const struct qb_type hop_type = {
	.name = "moved-hop",
	.size = sizeof(struct qb_hop),
	.fields = hop_fields,
	.n_fields = QB_ARRAY_SIZE(hop_fields),
};

static const struct qb_field route_fields[] = {
	QB_F(qb_route, dst, "dst", STR),         QB_F(qb_route, gateway, "gateway", STR),
	QB_F(qb_route, prefsrc, "prefsrc", STR), QB_F(qb_route, family, "family", STR),
	QB_F(qb_route, type, "type", STR),       QB_F(qb_route, scope, "scope", STR),
	QB_F(qb_route, proto, "proto", STR),     QB_F(qb_route, table, "table", I64),
	QB_F(qb_route, metric, "metric", I64),   QB_F(qb_route, flags, "flags", U64),
	QB_F(qb_route, mtu, "mtu", I64),         QB_F(qb_route, pref, "pref", STR),
	QB_F(qb_route, from, "from", STR),       QB_F(qb_route, tos, "tos", I64),
	QB_F(qb_route, realms, "realms", U64),   QB_F(qb_route, metrics, "metrics", STRS),
	QB_F(qb_route, behind, "behind", BOOL),  QB_F_LIST(qb_route, hops, "hops", &hop_type),
};

static const struct qb_type route_type = {
	.name = "moved-route",
	.size = sizeof(struct qb_route),
	.fields = route_fields,
	.n_fields = QB_ARRAY_SIZE(route_fields),
};

static const struct qb_field rule_fields[] = {
	QB_F(qb_rule, family, "family", STR, .flags = QB_FIELD_REQUIRED),
	QB_F(qb_rule, priority, "priority", I64),
	QB_F(qb_rule, table, "table", I64),
	QB_F(qb_rule, iif, "iif", STR),
	QB_F(qb_rule, oif, "oif", STR),
	QB_F(qb_rule, src, "src", STR),
	QB_F(qb_rule, dst, "dst", STR),
	QB_F(qb_rule, tos, "tos", I64),
	QB_F(qb_rule, invert, "invert", BOOL),
	QB_F(qb_rule, action, "action", STR),
	QB_F(qb_rule, proto, "proto", STR),
	QB_F(qb_rule, terms, "terms", STRS),
};

static const struct qb_type rule_type = {
	.name = "moved-rule",
	.size = sizeof(struct qb_rule),
	.fields = rule_fields,
	.n_fields = QB_ARRAY_SIZE(rule_fields),
};

static const struct qb_field nexthop_fields[] = {
	QB_F(qb_nexthop, id, "id", U64),
	QB_F(qb_nexthop, family, "family", STR, .flags = QB_FIELD_REQUIRED),
	QB_F(qb_nexthop, gateway, "gateway", STR),
	QB_F(qb_nexthop, proto, "proto", STR),
	QB_F(qb_nexthop, flags, "flags", U64),
};

static const struct qb_type nexthop_type = {
	.name = "moved-nexthop",
	.size = sizeof(struct qb_nexthop),
	.fields = nexthop_fields,
	.n_fields = QB_ARRAY_SIZE(nexthop_fields),
};

static const struct qb_field port_fields[] = {
	QB_F(qb_port, name, "name", STR, .flags = QB_FIELD_REQUIRED),
	QB_F(qb_port, ifindex, "ifindex", I64, .flags = QB_FIELD_REQUIRED),
	QB_F(qb_port, mac, "mac", STR),
	QB_F(qb_port, permanent_mac, "permanent_mac", STR),
	QB_F(qb_port, path, "path", STR),
	QB_F(qb_port, kind, "kind", STR),
	QB_F(qb_port, match, "match", STR),
	QB_F(qb_port, vlans, "vlans", STRS),
};

static const struct qb_type port_type = {
	.name = "port",
	.size = sizeof(struct qb_port),
	.fields = port_fields,
	.n_fields = QB_ARRAY_SIZE(port_fields),
};

static const struct qb_field move_fields[] = {
	QB_F(qb_move, bridge, "bridge", STR, .flags = QB_FIELD_REQUIRED),
	QB_F(qb_move, mac, "mac", STR),
	QB_F(qb_move, mtu, "mtu", I64),
	QB_F(qb_move, stp, "stp", BOOL),
	QB_F(qb_move, vlan_filtering, "vlan_filtering", BOOL),
	QB_F(qb_move, pvid, "pvid", I64),
	QB_F(qb_move, broken_off, "broken_off", BOOL),
	QB_F(qb_move, apart, "apart", BOOL),
	QB_F_LIST(qb_move, ports, "ports", &port_type),
	QB_F(qb_move, source, "source", STR),
	QB_F_LIST(qb_move, add, "add", &address_type),
	QB_F_LIST(qb_move, add_routes, "add_routes", &route_type),
	QB_F_LIST(qb_move, drop, "drop", &address_type),
	QB_F_LIST(qb_move, drop_routes, "drop_routes", &route_type),
	QB_F_LIST(qb_move, rules, "rules", &rule_type),
	QB_F_LIST(qb_move, nexthops, "nexthops", &nexthop_type),
};

static const struct qb_type move_type = {
	.name = "move",
	.size = sizeof(struct qb_move),
	.fields = move_fields,
	.n_fields = QB_ARRAY_SIZE(move_fields),
};

void qb_move_done(struct qb_move *move)
{
	qb_schema_done(&move_type, move);
}

json_t *qb_move_to_json(const struct qb_move *move)
{
	return qb_schema_to_json_brief(&move_type, move);
}

static void live_forever(struct qb_address *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i].valid_s = a[i].preferred_s = UINT32_MAX;
}

int qb_move_from_json(const json_t *args, struct qb_move *ret, struct qb_error *err)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	struct qb_move move = {0};
	int r = qb_schema_load_json(&move_type, args, QB_LOAD_STRICT, &move, &diags);

	if (r < 0) {
		qb_move_done(&move);
		return qb_error_set(err, EINVAL, "net.bridge: %s",
				    diags.n ? diags.v[0].msg : "its arguments cannot be read");
	}
	live_forever(move.add, move.n_add);
	live_forever(move.drop, move.n_drop);
	*ret = move;
	return 0;
}

bool qb_move_has_address(const struct qb_link *link, const char *address)
{
	const struct qb_address *a = qb_link_address(link, address);

	return a && a->metric != QB_METRIC_YIELD;
}

bool qb_address_is_dynamic(const struct qb_address *a)
{
	return !(a->flags & IFA_F_PERMANENT);
}

size_t qb_move_port_at(const struct qb_move *move, size_t i)
{
	size_t source = 0;

	while (source < move->n_ports && !qb_streq(move->ports[source].name, move->source))
		source++;
	if (i < source || source == move->n_ports)
		return i;
	return i + 1 < move->n_ports ? i + 1 : source;
}
