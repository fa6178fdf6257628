/* SPDX-License-Identifier: Apache-2.0 */
#include "net/restore.h"

#include "agent/base/schema.h"
#include "net/link_fields.h"
#include "net/move.h"
#include "net/names.h"
#include "net/renamed.h"

/* The next older that a run did to it. What one only began it may have done in part. */
static const struct qb_ledger_entry *next_entry(const struct qb_ledger *ledger, const char *bridge,
						const struct qb_ledger_entry *e)
{
	while ((e = qb_ledger_newest(ledger, bridge, e)))
		if (e->done && !strcmp(e->kind, "net.bridge"))
			break;
	return e;
}

static bool has_family(const struct qb_link *port, const char *family)
{
	for (size_t i = 0; i < port->n_addresses; i++)
		if (!strcmp(qb_ip_family(port->addresses[i].address), family) &&
		    !qb_ip_is_link_local(port->addresses[i].address))
			return true;
	return false;
}

/* Somebody has given one of them to another link since. */
static bool is_elsewhere(const struct qb_net *net, const json_t *args, const char *family)
{
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(args, "drop"), i, item) {
		const char *address = qb_arg(item, "address");

		if (!qb_streq(qb_ip_family(address), family) || qb_ip_is_link_local(address))
			continue;
		for (size_t j = 0; j < net->n_links; j++)
			if (qb_link_address(&net->links[j], address))
				return true;
	}
	return false;
}

/* Whoever leased it to the host did so for a while, which is over by now, or may be. */
static bool was_leased(const json_t *before, const char *family)
{
	json_t *lifetimes = json_object_get(before, "lifetimes"), *life;
	const char *address;

	json_object_foreach (lifetimes, address, life)
		if (qb_streq(qb_ip_family(address), family) && !qb_ip_is_link_local(address) &&
		    json_integer_value(json_array_get(life, 0)) != UINT32_MAX)
			return true;
	return false;
}

static bool is_family_lost(const struct qb_net *net, const struct qb_link *port,
			   const struct qb_ledger_entry *e, const char *family)
{
	return !has_family(port, family) && !is_elsewhere(net, e->args, family) &&
	       !was_leased(e->before, family);
}

/* The families that are the bridge's to inherit, and that nobody has given the host since. */
struct lost {
	bool inet, inet6;
};

static struct lost find_lost(const struct qb_net *net, const struct qb_bridge_config *bridge,
			     const struct qb_link *port, const struct qb_ledger_entry *e)
{
	return (struct lost){
		bridge->ipv4.mode == QB_IP_INHERIT && is_family_lost(net, port, e, "inet"),
		bridge->ipv6.mode == QB_IP_INHERIT && is_family_lost(net, port, e, "inet6"),
	};
}

static bool is_lost(const struct lost *lost, const json_t *item)
{
	const char *address = qb_arg(item, "address");
	const char *family = address ? qb_ip_family(address) : qb_arg(item, "family");

	return qb_streq(family, "inet6") ? lost->inet6 : lost->inet;
}

/* As whatever tells one address or route from another. */
static bool is_same(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {"address", "family", "dst",    "from",
					   "table",   "metric", "gateway"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++) {
		const json_t *in_a = json_object_get(a, keys[i]);
		const json_t *in_b = json_object_get(b, keys[i]);

		if (in_a != in_b && !json_equal(in_a, in_b))
			return false;
	}
	return true;
}

static bool has(const json_t *list, const json_t *wanted)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		if (is_same(item, wanted))
			return true;
	return false;
}

/* By whatever link: of two that differ in no more the kernel keeps the later one. */
static bool has_route(const struct qb_net *net, const json_t *route)
{
	for (size_t i = 0; i < net->n_routes; i++) {
		const struct qb_route *r = &net->routes[i];

		if (qb_streq(r->family, qb_arg(route, "family")) &&
		    qb_streq(r->dst, qb_arg(route, "dst")) &&
		    qb_streq(r->from, qb_arg(route, "from")) &&
		    r->table == json_integer_value(json_object_get(route, "table")) &&
		    r->metric == json_integer_value(json_object_get(route, "metric")) &&
		    r->tos == json_integer_value(json_object_get(route, "tos")))
			return true;
	}
	return false;
}

/* Of what the run took off the port that which it gave to the bridge. */
static void take(const struct qb_net *net, const json_t *args, const char *off, const char *on,
		 const struct lost *lost, json_t *to)
{
	json_t *into = json_object_get(to, off), *item;
	size_t i;

	json_array_foreach (json_object_get(args, off), i, item)
		if (is_lost(lost, item) && has(json_object_get(args, on), item) &&
		    !has(into, item) && !has_route(net, item))
			json_array_append(into, item);
}

/* One that names the bridge stays when that is deleted, and holds again for the next one. */
static bool has_rule(const struct qb_net *net, const json_t *item, const json_t *move)
{
	const char *source = qb_arg(move, "source");
	_cleanup_diags_ struct qb_diags diags = {0};
	struct qb_rule rule = {0};
	int r = qb_schema_load_json(&qb_rule_type, item, QB_LOAD_STRICT, &rule, &diags);
	bool found = false;

	for (size_t i = 0; r == 0 && i < net->n_rules; i++)
		found |= qb_rule_is(&net->rules[i], &rule, source, source) ||
			 qb_rule_is(&net->rules[i], &rule, source, qb_arg(move, "bridge"));
	qb_schema_done(&qb_rule_type, &rule);
	return found;
}

static bool has_nexthop(const struct qb_net *net, const json_t *nexthop)
{
	json_int_t id = json_integer_value(json_object_get(nexthop, "id"));

	for (size_t i = 0; i < net->n_nexthops; i++)
		if (net->nexthops[i].id == (uint64_t)id)
			return true;
	return false;
}

static void take_policy(const struct qb_net *net, const json_t *args, const struct lost *lost,
			json_t *to)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(args, "rules"), i, item)
		if (is_lost(lost, item) && !has_rule(net, item, to))
			json_array_append(json_object_get(to, "rules"), item);
	json_array_foreach (json_object_get(args, "nexthops"), i, item)
		if (is_lost(lost, item) && !has_nexthop(net, item))
			json_array_append(json_object_get(to, "nexthops"), item);
}

/*
 * The card that the bridge took it from, and not another one of that name; what is made by software
 * has nothing but its name. args have the names of now.
 */
static bool is_source(const struct qb_link *link, const json_t *args)
{
	const json_t *port;
	size_t i;

	json_array_foreach (json_object_get(args, "ports"), i, port) {
		const char *permanent = qb_arg(port, "permanent_mac");
		const char *kind = qb_arg(port, "kind"), *mac = qb_arg(port, "mac");

		if (!qb_streq(qb_arg(port, "name"), link->name))
			continue;
		if (kind && strcmp(kind, "veth") != 0)
			return qb_streq(link->kind, kind);
		return permanent ? qb_streq(link->permanent_mac, permanent)
				 : !mac || qb_streq(link->mac, mac);
	}
	return false;
}

static json_t *begin(const char *bridge, const struct qb_link *port, const json_t *args)
{
	return json_pack("{s:s, s:s, s:O*, s:[{s:s, s:I, s:s*}], s:[], s:[], s:[], s:[]}", "bridge",
			 bridge, "source", port->name, "mtu", json_object_get(args, "mtu"), "ports",
			 "name", port->name, "ifindex", (json_int_t)port->ifindex, "mac", port->mac,
			 "drop", "drop_routes", "rules", "nexthops");
}

/* All that runs moved from the port to the bridge, with the names of now; NULL: nothing is lost. */
static json_t *collect(const struct qb_net *net, const struct qb_bridge_config *bridge,
		       const struct qb_ledger *ledger, bool rebind)
{
	json_auto_t *all = NULL;
	const struct qb_ledger_entry *e = NULL;

	while ((e = next_entry(ledger, bridge->name, e))) {
		json_auto_t *renames = qb_renamed_ports(net, e->args, false);
		json_auto_t *args = qb_renamed(e->args, renames);
		const struct qb_link *port = qb_net_link(net, qb_arg(args, "source"));
		struct lost lost;

		/* Who has said that another card is in its place has it take that over, too. */
		if (!port || (!rebind && !is_source(port, args)))
			continue;
		if (port->master || (all && !qb_streq(port->name, qb_arg(all, "source"))))
			continue;
		lost = find_lost(net, bridge, port, e);
		all = all ? QB_TAKE_PTR(all) : begin(bridge->name, port, args);
		take(net, args, "drop", "add", &lost, all);
		take(net, args, "drop_routes", "add_routes", &lost, all);
		take_policy(net, args, &lost, all);
	}
	return json_array_size(json_object_get(all, "drop")) ? QB_TAKE_PTR(all) : NULL;
}

static json_t *link_of(const json_t *net, const char *name)
{
	json_t *link;
	size_t i;

	json_array_foreach (json_object_get(net, "links"), i, link)
		if (qb_streq(qb_arg(link, "name"), name))
			return link;
	return NULL;
}

/* To the facts of the host what the step gives. */
static void give(const json_t *args, json_t *net)
{
	static const struct {
		const char *from, *to;
	} lists[] = {{"drop_routes", "routes"}, {"rules", "rules"}, {"nexthops", "nexthops"}};
	json_t *port = link_of(net, qb_arg(args, "source")), *item;
	size_t i;

	json_array_foreach (json_object_get(args, "drop"), i, item) {
		json_t *address = json_deep_copy(item);

		json_object_set_new(address, "valid_s", json_integer(UINT32_MAX));
		json_object_set_new(address, "preferred_s", json_integer(UINT32_MAX));
		json_array_append_new(json_object_get(port, "addresses"), address);
	}
	if (json_object_get(args, "mtu"))
		json_object_set(port, "mtu", json_object_get(args, "mtu"));
	for (size_t l = 0; l < QB_ARRAY_SIZE(lists); l++)
		json_array_foreach (json_object_get(args, lists[l].from), i, item) {
			json_t *copy = json_deep_copy(item);

			if (!json_object_get(item, "hops"))
				json_object_set(copy, "dev", json_object_get(args, "source"));
			json_array_append_new(json_object_get(net, lists[l].to), copy);
		}
}

static void add_step(const json_t *args, struct qb_plan *plan)
{
	const json_t *address;
	_cleanup_strs_ struct qb_strs list = {0};
	_cleanup_free_ char *addresses = NULL;
	size_t i;

	json_array_foreach (json_object_get(args, "drop"), i, address)
		if (!qb_ip_is_link_local(qb_arg(address, "address")))
			qb_strs_add(&list, qb_arg(address, "address"));
	addresses = qb_strs_sentence(&list);
	qb_step_why(
		qb_plan_step(plan, "net.restore", QB_UNDO_EXACT,
			     json_incref((json_t *)(uintptr_t)args), qb_arg(args, "source")),
		"%s is gone, and with it what it had: give %s back to %s, from where it inherits",
		qb_arg(args, "bridge"), addresses, qb_arg(args, "source"));
}

bool qb_restore_plan(const struct qb_net *net, const struct qb_bridge_config *bridges,
		     size_t n_bridges, const struct qb_ledger *ledger, struct qb_plan *plan,
		     struct qb_net *ret)
{
	json_auto_t *after = NULL;

	for (size_t i = 0; i < n_bridges; i++) {
		json_auto_t *args = NULL;

		if (!qb_is(&net->known) || qb_net_link(net, bridges[i].name))
			continue;
		args = collect(net, &bridges[i], ledger, plan->rebind);
		if (!args)
			continue;
		if (!after)
			after = qb_schema_to_json(&qb_net_type, net);
		add_step(args, plan);
		give(args, after);
	}
	if (!after)
		return false;
	qb_net_from_json(after, ret);
	qb_net_index(ret);
	return true;
}
