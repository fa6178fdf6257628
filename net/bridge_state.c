/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bridge_state.h"

#include <errno.h>

#include "net/drift.h"
#include "net/names.h"
#include "net/vlans.h"

static bool same_hops(const struct qb_route *a, const struct qb_route *b)
{
	for (size_t i = 0; i < a->n_hops && i < b->n_hops; i++)
		if (!qb_streq(a->hops[i].dev, b->hops[i].dev) ||
		    !qb_streq(a->hops[i].gateway, b->hops[i].gateway))
			return false;
	return a->n_hops == b->n_hops;
}

/* The next hops of a multipath route say themselves by which link they leave. */
static const struct qb_route *find_route(const struct qb_net *net, const char *dev,
					 const struct qb_route *wanted)
{
	for (size_t i = 0; i < net->n_routes; i++) {
		const struct qb_route *r = &net->routes[i];

		if ((wanted->n_hops || qb_streq(r->dev, dev)) && same_hops(r, wanted) &&
		    qb_streq(r->family, wanted->family) && qb_streq(r->dst, wanted->dst) &&
		    qb_streq(r->from, wanted->from) && qb_streq(r->gateway, wanted->gateway) &&
		    r->table == wanted->table && r->metric == wanted->metric &&
		    r->tos == wanted->tos)
			return r;
	}
	return NULL;
}

static bool has_route(const struct qb_net *net, const char *dev, const struct qb_route *wanted)
{
	return find_route(net, dev, wanted);
}

/* A link keeps its index until the next boot, a card its own address for ever, and what is made by
 * software its name. */
static bool is_port(const struct qb_link *is, const struct qb_port *want, bool same_boot)
{
	if (!is)
		return false;
	if (same_boot)
		return (want->ifindex < 0 || is->ifindex == want->ifindex) &&
		       qb_streq(is->mac, want->mac);
	if (want->kind && !qb_streq(want->kind, "veth"))
		return qb_streq(is->kind, want->kind);
	return want->permanent_mac ? qb_streq(is->permanent_mac, want->permanent_mac)
				   : qb_streq(is->mac, want->mac);
}

int qb_bridge_state_ports(const struct qb_net *net, const struct qb_move *move, bool same_boot,
			  struct qb_error *err)
{
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_port *want = &move->ports[i];
		const struct qb_link *is = qb_net_link(net, want->name);

		if (!is_port(is, want, same_boot))
			return qb_error_set(err, ESTALE, "%s is not the link it was when planned",
					    want->name);
		if (is->master && !qb_streq(is->master, move->bridge))
			return qb_error_set(err, ESTALE, "%s is a port of %s since", want->name,
					    is->master);
	}
	return 0;
}

/* The lists of two moves as JSON are the same: what is to go is what is there. */
static bool same_drop(const struct qb_move *a, const struct qb_move *b)
{
	static const char *const lists[] = {"drop", "drop_routes", "rules", "nexthops"};
	json_auto_t *x = qb_move_to_json(a), *y = qb_move_to_json(b);

	for (size_t i = 0; i < QB_ARRAY_SIZE(lists); i++) {
		const json_t *in_x = json_object_get(x, lists[i]);
		const json_t *in_y = json_object_get(y, lists[i]);

		if (in_x != in_y && !json_equal(in_x, in_y))
			return false;
	}
	return true;
}

static bool has_all(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);

	for (size_t i = 0; i < move->n_add; i++)
		if (!qb_move_has_address(bridge, move->add[i].address))
			return false;
	for (size_t i = 0; i < move->n_add_routes; i++)
		if (!has_route(net, move->bridge, &move->add_routes[i]))
			return false;
	return true;
}

int qb_bridge_state_check(const struct qb_net *net, const struct qb_move *move, bool *ret_done,
			  struct qb_error *err)
{
	_cleanup_free_ const struct qb_link **ports =
		qb_alloc(move->n_ports + 1, sizeof(const struct qb_link *));
	struct qb_bridge_config config = {.name = move->bridge, .stp = move->stp};
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_move_ struct qb_move now = {0};
	int r = qb_bridge_state_ports(net, move, true, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < move->n_ports; i++)
		ports[i] = qb_net_link(net, move->ports[i].name);
	if (bridge && !qb_streq(bridge->kind, "bridge"))
		return qb_error_set(err, ESTALE, "%s is there since, and no bridge", move->bridge);
	/* What leaves the port is the same whatever the bridge is to have, so "inherit" will do. */
	qb_move_plan(net, &config, ports, move->n_ports, &plan, &now);
	/* Neither does it matter here what "inherit" would refuse: what leaves is compared. */
	/* What the bridge is to be is the plan's to say, who knows what it was given. */
	qb_strset(&now.mac, move->mac);
	now.mtu = move->mtu;
	if (qb_move_is_done(net, &now) && qb_vlans_are(net, move) && has_all(net, move)) {
		*ret_done = true;
		return 0;
	}
	if (!same_drop(&now, move))
		return qb_error_set(err, ESTALE,
				    "addresses or routes of %s changed since this was planned",
				    move->source ? move->source : "its ports");
	*ret_done = false;
	return 0;
}

static bool has_others(const struct qb_net *net, const struct qb_move *move, struct qb_strs *ret)
{
	for (size_t i = 0; i < net->n_links; i++) {
		bool ours = !qb_streq(net->links[i].master, move->bridge);

		for (size_t j = 0; j < move->n_ports; j++)
			ours |= qb_streq(net->links[i].name, move->ports[j].name);
		if (!ours)
			qb_strs_add(ret, net->links[i].name);
	}
	return ret->n > 0;
}

/*
 * A bridge that an earlier run made and did not fill: all that it has the source has, too. It is
 * as good as not there, and undoing what goes on with it does away with it. So is one without a
 * port, which has nothing of anybody's.
 */
static bool is_leftover(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	const struct qb_link *source = qb_net_link(net, move->source);
	_cleanup_strs_ struct qb_strs others = {0};

	if (!bridge || !move->broken_off || !qb_streq(bridge->mac, move->mac) ||
	    (!source && move->n_ports) || has_others(net, move, &others))
		return false;
	for (size_t i = 0; source && i < bridge->n_addresses; i++) {
		const char *address = bridge->addresses[i].address;

		if (!qb_ip_is_link_local(address) && !qb_move_has_address(source, address))
			return false;
	}
	return true;
}

/* What is unlike in routes of one link that may expire; the caller frees it. */
static char *key_of(const struct qb_route *r)
{
	return qb_asprintf("%s table %lld metric %lld from %s via %s", r->dst, (long long)r->table,
			   (long long)r->metric, r->from ? r->from : "any",
			   r->gateway ? r->gateway : "none");
}

static json_t *expiries(const struct qb_net *net, const struct qb_move *move)
{
	json_t *list = json_object();

	for (size_t i = 0; i < move->n_drop_routes; i++) {
		const struct qb_route *r = find_route(net, move->source, &move->drop_routes[i]);
		_cleanup_free_ char *key = r && r->expires_s ? key_of(r) : NULL;

		if (key)
			json_object_set_new(list, key, json_integer((json_int_t)r->expires_s));
	}
	return list;
}

json_t *qb_bridge_state_before(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	const struct qb_link *source = qb_net_link(net, move->source);
	json_t *release = json_array(), *down = json_array(), *lifetimes = json_object();
	bool leftover = is_leftover(net, move), existed = bridge && !leftover;

	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		if (port && (!port->master || leftover))
			json_array_append_new(release, json_string(port->name));
		if (port && !port->up)
			json_array_append_new(down, json_string(port->name));
	}
	for (size_t i = 0; source && i < source->n_addresses; i++) {
		const struct qb_address *a = &source->addresses[i];

		if (qb_address_is_dynamic(a) || a->preferred_s != UINT32_MAX)
			json_object_set_new(lifetimes, a->address,
					    json_pack("[I,I]", (json_int_t)a->valid_s,
						      (json_int_t)a->preferred_s));
	}
	return json_pack("{s:b, s:b, s:b, s:b, s:s*, s:I, s:o, s:o, s:[], s:o, s:o, s:{}, s:{}}",
			 "existed", existed, "networkmanager", net->networkmanager_running, "up",
			 existed && bridge->up, "stp", bridge && qb_is(&bridge->stp), "mac",
			 existed ? bridge->mac : NULL, "mtu",
			 (json_int_t)(existed ? bridge->mtu : 0), "release", release, "down", down,
			 "managed", "lifetimes", lifetimes, "expiries", expiries(net, move),
			 "gateways", "defaults");
}

static void set_lifetimes(const json_t *lifetimes, struct qb_address *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *pair = json_object_get(lifetimes, a[i].address);

		if (!pair)
			continue;
		a[i].valid_s = (uint64_t)json_integer_value(json_array_get(pair, 0));
		a[i].preferred_s = (uint64_t)json_integer_value(json_array_get(pair, 1));
	}
}

static void set_expiries(const json_t *expiries, struct qb_route *r, size_t n)
{
	for (size_t i = 0; i < n && json_object_size(expiries); i++) {
		_cleanup_free_ char *key = key_of(&r[i]);

		r[i].expires_s = (uint64_t)json_integer_value(json_object_get(expiries, key));
	}
}

void qb_bridge_state_lifetimes(const json_t *before, struct qb_move *move)
{
	const json_t *lifetimes = json_object_get(before, "lifetimes");
	const json_t *expires = json_object_get(before, "expiries");

	set_expiries(expires, move->add_routes, move->n_add_routes);
	set_expiries(expires, move->drop_routes, move->n_drop_routes);

	set_lifetimes(lifetimes, move->add, move->n_add);
	set_lifetimes(lifetimes, move->drop, move->n_drop);
}

/* The rule, with link where it names the source. */
static bool has_rule(const struct qb_net *net, const struct qb_move *move,
		     const struct qb_rule *wanted, const char *link)
{
	for (size_t i = 0; i < net->n_rules; i++)
		if (qb_rule_is(&net->rules[i], wanted, move->source, link))
			return true;
	return false;
}

static bool leaves_by(const struct qb_net *net, const struct qb_nexthop *wanted, const char *link)
{
	for (size_t i = 0; i < net->n_nexthops; i++)
		if (net->nexthops[i].id == wanted->id)
			return qb_streq(net->nexthops[i].dev, link);
	return false;
}

static int verify_rules(const struct qb_net *net, const struct qb_move *move, struct qb_error *err)
{
	for (size_t i = 0; i < move->n_nexthops; i++)
		if (!leaves_by(net, &move->nexthops[i], move->bridge))
			return qb_error_set(err, EIO, "nexthop %llu does not leave by %s",
					    (unsigned long long)move->nexthops[i].id, move->bridge);
	for (size_t i = 0; i < move->n_rules; i++) {
		const struct qb_rule *rule = &move->rules[i];

		if (!has_rule(net, move, rule, move->bridge) ||
		    has_rule(net, move, rule, move->source))
			return qb_error_set(err, EIO, "%s rule %lld does not name %s instead of %s",
					    rule->family, (long long)rule->priority, move->bridge,
					    move->source);
	}
	return 0;
}

static int verify_address(const struct qb_net *net, const struct qb_move *move,
			  const struct qb_address *a, struct qb_error *err)
{
	const char *elsewhere = NULL;

	for (size_t i = 0; i < net->n_links; i++)
		if (!qb_streq(net->links[i].name, move->bridge) &&
		    qb_link_address(&net->links[i], a->address))
			elsewhere = net->links[i].name;
	if (!qb_move_has_address(qb_net_link(net, move->bridge), a->address))
		return qb_error_set(err, EIO, "%s is not on %s", a->address, move->bridge);
	/* A link-local address belongs to its link; several may have the same one. */
	if (elsewhere && !qb_ip_is_link_local(a->address))
		return qb_error_set(err, EIO, "%s is on %s, too", a->address, elsewhere);
	return 0;
}

int qb_bridge_state_verify(const struct qb_net *net, const struct qb_move *move,
			   struct qb_error *err)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	int r = 0;

	if (!bridge || !qb_streq(bridge->kind, "bridge") || !bridge->up)
		return qb_error_set(err, EIO, "%s is not up", move->bridge);
	if (move->mac && !qb_streq(bridge->mac, move->mac))
		return qb_error_set(err, EIO, "%s has the MAC %s instead of %s", move->bridge,
				    bridge->mac, move->mac);
	if (move->mtu && bridge->mtu != move->mtu)
		return qb_error_set(err, EIO, "%s has the MTU %lld instead of %lld", move->bridge,
				    (long long)bridge->mtu, (long long)move->mtu);
	if (bridge->stp.state != (move->stp ? QB_YES : QB_NO))
		return qb_error_set(err, EIO, "%s: STP is not as wanted", move->bridge);
	if (!qb_vlans_are(net, move))
		return qb_error_set(err, EIO, "%s: its VLANs are not as wanted", move->bridge);
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		if (!port || !port->up || !qb_streq(port->master, move->bridge))
			return qb_error_set(err, EIO, "%s is not a port of %s", move->ports[i].name,
					    move->bridge);
	}
	for (size_t i = 0; r == 0 && i < move->n_add; i++)
		r = verify_address(net, move, &move->add[i], err);
	for (size_t i = 0; r == 0 && i < move->n_add_routes; i++)
		if (!has_route(net, move->bridge, &move->add_routes[i]))
			r = qb_error_set(err, EIO, "route %s does not leave by %s",
					 move->add_routes[i].dst, move->bridge);
	for (size_t i = 0; r == 0 && i < move->n_drop_routes; i++)
		if (has_route(net, move->source, &move->drop_routes[i]))
			r = qb_error_set(err, EIO, "route %s still leaves by %s",
					 move->drop_routes[i].dst, move->source);
	return r < 0 ? r : verify_rules(net, move, err);
}

/* Nothing that the kernel was told outlives a boot; who made the bridge anew owns it. */
static int check_after_boot(const struct qb_net *net, const struct qb_move *move, bool *ret_gone,
			    struct qb_error *err)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	/* Without a port it is known by its MAC, which no other bridge has. */
	bool is_used = !move->n_ports && bridge && qb_streq(bridge->mac, move->mac);

	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		is_used |= port && qb_streq(port->master, move->bridge);
	}
	*ret_gone = !bridge || !is_used;
	for (size_t i = 0; !*ret_gone && i < move->n_add; i++) {
		const char *address = move->add[i].address;

		if (!qb_ip_is_link_local(address) && !qb_link_address(bridge, address))
			return qb_error_set(err, ESTALE, "%s has %s no more since the host started",
					    move->bridge, address);
	}
	return 0;
}

int qb_bridge_state_can_undo(const struct qb_net *net, const struct qb_move *move,
			     const json_t *before, bool same_boot, bool *ret_gone,
			     struct qb_error *err)
{
	bool gone = false;
	int r = same_boot ? 0 : check_after_boot(net, move, &gone, err);

	if (r == 0 && !gone)
		r = qb_bridge_state_ports(net, move, same_boot, err);
	if (r == -ESTALE) {
		_cleanup_free_ char *what = qb_strdup(err->msg);

		return qb_error_set(err, ESTALE,
				    "%s; put that back first, or go on from what is there with "
				    "qubi-agent repair",
				    what);
	}
	if (r < 0)
		return r;
	*ret_gone = gone;
	return gone ? 0 : qb_bridge_state_is_free(net, move, before, err);
}

int qb_bridge_state_is_free(const struct qb_net *net, const struct qb_move *move,
			    const json_t *before, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs others = {0};
	_cleanup_free_ char *names = NULL;

	if (json_is_true(json_object_get(before, "existed")) || !has_others(net, move, &others))
		return 0;
	names = qb_strs_sentence(&others);
	return qb_error_set(err, EBUSY, "%s is in use: %s would be cut off", move->bridge, names);
}

void qb_bridge_state_release(const struct qb_net *net, const struct qb_move *move,
			     const json_t *before, struct qb_strs *ret)
{
	const json_t *name;
	size_t i;

	json_array_foreach (json_object_get(before, "release"), i, name) {
		const struct qb_link *port = qb_net_link(net, json_string_value(name));

		if (port && qb_streq(port->master, move->bridge))
			qb_strs_add(ret, port->name);
	}
}

bool qb_bridge_state_is_touched(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	const struct qb_link *source = qb_net_link(net, move->source);

	for (size_t i = 0; i < move->n_add; i++)
		if (qb_link_address(bridge, move->add[i].address))
			return true;
	for (size_t i = 0; i < move->n_add_routes; i++)
		if (has_route(net, move->bridge, &move->add_routes[i]))
			return true;
	for (size_t i = 0; i < move->n_drop; i++)
		if (!qb_move_has_address(source, move->drop[i].address))
			return true;
	for (size_t i = 0; i < move->n_drop_routes; i++)
		if (!has_route(net, move->source, &move->drop_routes[i]))
			return true;
	for (size_t i = 0; i < move->n_nexthops; i++)
		if (!leaves_by(net, &move->nexthops[i], move->source))
			return true;
	for (size_t i = 0; i < move->n_rules; i++)
		if (!has_rule(net, move, &move->rules[i], move->source) ||
		    has_rule(net, move, &move->rules[i], move->bridge))
			return true;
	return false;
}
