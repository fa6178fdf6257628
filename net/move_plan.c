/* SPDX-License-Identifier: Apache-2.0 */
/* What has to go from a port to its bridge, and what cannot. */
#include "net/move.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "net/bound.h"
#include "net/names.h"

/* What the kernel notes of the life of an address; nobody sets it. */
#define STATE_FLAGS (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DEPRECATED | IFA_F_STABLE_PRIVACY)
/* Likewise of a next hop. */
#define ROUTE_SET_FLAGS RTNH_F_ONLINK

struct context {
	const struct qb_net *net;
	const struct qb_bridge_config *config;
	const struct qb_link *source, *bridge; /* NULL: there is none */
	bool port_already;                     /* source is a port of bridge */
	struct qb_plan *plan;
	struct qb_move *move;
};

static struct qb_address *copy_address(struct qb_address **list, size_t *n,
				       const struct qb_address *a)
{
	struct qb_address *to = qb_append(list, n, sizeof(*to));
	bool inet6 = !strcmp(qb_ip_family(a->address), "inet6");

	to->address = qb_strdup(a->address);
	to->peer = qb_strdup(a->peer);
	to->broadcast = qb_strdup(a->broadcast);
	to->label = qb_strdup(a->label);
	to->scope = qb_strdup(a->scope);
	to->flags = a->flags & ~(uint64_t)STATE_FLAGS;
	/* The same bit is "temporary" in IPv6. */
	if (!inet6)
		to->flags &= ~(uint64_t)IFA_F_SECONDARY;
	to->proto = a->proto;
	to->metric = a->metric == QB_METRIC_YIELD ? 0 : a->metric;
	to->valid_s = to->preferred_s = UINT32_MAX;
	return to;
}

static struct qb_route *copy_route(struct qb_route **list, size_t *n, const struct qb_route *r)
{
	struct qb_route *to = qb_append(list, n, sizeof(*to));

	to->family = qb_strdup(r->family);
	to->dst = qb_strdup(r->dst);
	to->gateway = qb_strdup(r->gateway);
	to->prefsrc = qb_strdup(r->prefsrc);
	to->type = qb_strdup(r->type);
	to->scope = qb_strdup(r->scope);
	to->proto = qb_strdup(r->proto);
	to->table = r->table;
	to->metric = r->metric;
	to->flags = r->flags & ROUTE_SET_FLAGS;
	to->mtu = r->mtu;
	to->pref = qb_strdup(r->pref);
	return to;
}

static const struct qb_ip_config *mode_of(const struct context *c, const char *family)
{
	return !strcmp(family, "inet6") ? &c->config->ipv6 : &c->config->ipv4;
}

/* One that yields was on its way off when an earlier run was killed. */
static bool link_has(const struct qb_link *link, const char *address)
{
	for (size_t i = 0; link && i < link->n_addresses; i++)
		if (qb_streq(link->addresses[i].address, address) &&
		    link->addresses[i].metric != QB_METRIC_YIELD)
			return true;
	return false;
}

static bool has_link_local(const struct qb_link *link)
{
	for (size_t i = 0; link && i < link->n_addresses; i++)
		if (qb_ip_is_link_local(link->addresses[i].address))
			return true;
	return false;
}

static void refuse_address(const struct context *c, const struct qb_address *a)
{
	const char *name = c->config->name, *port = c->source->name;
	bool inet6 = !strcmp(qb_ip_family(a->address), "inet6");

	if (inet6 && (a->flags & IFA_F_TEMPORARY))
		qb_plan_refuse(c->plan, name, "address-unsupported",
			       "%s of %s is a temporary (privacy) address, which only the kernel "
			       "can make",
			       a->address, port);
	if (a->flags & IFA_F_DADFAILED)
		qb_plan_refuse(c->plan, name, "address-unsupported",
			       "%s of %s failed duplicate address detection", a->address, port);
	if (qb_address_is_dynamic(a) && !c->net->networkmanager_running)
		qb_plan_refuse(c->plan, name, "dynamic-address",
			       "%s of %s has a lifetime (%llu s left), and there is no "
			       "NetworkManager to renew it on the bridge",
			       a->address, port, (unsigned long long)a->valid_s);
}

/* "eth0:1" becomes "br0:1"; what does not follow that custom stays. */
static void rename_label(const struct context *c, struct qb_address *a)
{
	size_t len = strlen(c->source->name);

	if (a->label && !strncmp(a->label, c->source->name, len) && a->label[len] == ':') {
		_cleanup_free_ char *label = qb_asprintf("%s%s", c->config->name, a->label + len);

		qb_strset(&a->label, label);
	}
}

static void move_address(const struct context *c, const struct qb_address *a)
{
	const struct qb_ip_config *ip = mode_of(c, qb_ip_family(a->address));
	bool link_local = qb_ip_is_link_local(a->address), keep;

	/* A port that went down and up makes itself a new one. It does no harm there. */
	if (link_local && c->port_already && has_link_local(c->bridge))
		return;
	keep = ip->mode == QB_IP_INHERIT || ip->mode == QB_IP_DHCP ||
	       (ip->mode == QB_IP_STATIC && link_local);
	if (keep)
		refuse_address(c, a);
	copy_address(&c->move->drop, &c->move->n_drop, a);
	if (keep && !link_has(c->bridge, a->address))
		rename_label(c, copy_address(&c->move->add, &c->move->n_add, a));
}

/* The kernel adds and deletes it together with an address. */
static bool comes_with_address(const struct qb_link *link, const struct qb_route *r)
{
	if (strcmp(r->proto, "kernel") != 0 || r->gateway || r->table != RT_TABLE_MAIN)
		return false;
	for (size_t i = 0; i < link->n_addresses; i++) {
		const struct qb_address *a = &link->addresses[i];
		_cleanup_free_ char *net = qb_ip_network(a->peer ? a->peer : a->address);

		if (!(a->flags & IFA_F_NOPREFIXROUTE) && qb_streq(net, r->dst))
			return true;
	}
	return false;
}

static bool leaves_by(const struct qb_route *r, const struct qb_link *link)
{
	return qb_streq(r->dev, link->name) || qb_strs_has(&r->devs, link->name);
}

static bool refuse_route(const struct context *c, const struct qb_route *r)
{
	const char *name = c->config->name, *port = c->source->name;
	size_t before = c->plan->n_refused ? c->plan->refused[c->plan->n_refused - 1].n_reasons : 0;
	size_t n = c->plan->n_refused;

	if (r->nhid)
		qb_plan_refuse(c->plan, name, "route-unsupported",
			       "route %s uses nexthop object %llu", r->dst,
			       (unsigned long long)r->nhid);
	else if (r->n_nexthops > 1 || r->devs.n)
		qb_plan_refuse(c->plan, name, "route-unsupported",
			       "route %s has several next hops, one of them by %s", r->dst, port);
	if (r->extra)
		qb_plan_refuse(c->plan, name, "route-unsupported",
			       "route %s by %s has what cannot be carried over: %s", r->dst, port,
			       r->extra);
	if (r->table != RT_TABLE_MAIN)
		qb_plan_refuse(c->plan, name, "route-unsupported",
			       "route %s by %s is in table %lld", r->dst, port,
			       (long long)r->table);
	if (strcmp(r->type, "unicast") != 0)
		qb_plan_refuse(c->plan, name, "route-unsupported", "route %s by %s is of type %s",
			       r->dst, port, r->type);
	return n != c->plan->n_refused || (n && before != c->plan->refused[n - 1].n_reasons);
}

static bool is_default(const struct qb_route *r)
{
	return !strcmp(r->dst, "default");
}

static void move_route(const struct context *c, const struct qb_route *r)
{
	const struct qb_ip_config *ip = mode_of(c, r->family);
	bool keep = ip->mode == QB_IP_INHERIT || ip->mode == QB_IP_DHCP;

	if (refuse_route(c, r) || comes_with_address(c->source, r))
		return;
	if (ip->mode == QB_IP_NONE && is_default(r))
		qb_plan_refuse(c->plan, c->config->name, "default-route",
			       "the %s default route leaves by %s: with \"none\" the host would be "
			       "cut off",
			       r->family, c->source->name);
	/* The prefix routes of addresses that go are not wanted; a route of the user's is. */
	if (ip->mode == QB_IP_STATIC)
		keep = strcmp(r->proto, "kernel") != 0 && !(ip->gateway && is_default(r));
	copy_route(&c->move->drop_routes, &c->move->n_drop_routes, r);
	if (keep)
		copy_route(&c->move->add_routes, &c->move->n_add_routes, r);
}

static bool has_default(const struct qb_net *net, const struct qb_link *link, const char *gateway)
{
	for (size_t i = 0; link && i < net->n_routes; i++) {
		const struct qb_route *r = &net->routes[i];

		if (is_default(r) && r->table == RT_TABLE_MAIN && qb_streq(r->dev, link->name) &&
		    qb_streq(r->gateway, gateway))
			return true;
	}
	return false;
}

/* The addresses and the gateway that the configuration gives. */
static void add_static(const struct context *c, const struct qb_ip_config *ip, const char *family)
{
	for (size_t i = 0; i < ip->addresses.n; i++) {
		struct qb_address a = {
			.address = ip->addresses.v[i],
			.scope = (char *)"global",
			.flags = IFA_F_PERMANENT,
		};

		if (!link_has(c->bridge, a.address))
			copy_address(&c->move->add, &c->move->n_add, &a);
	}
	if (ip->gateway && !has_default(c->net, c->bridge, ip->gateway)) {
		struct qb_route r = {
			.family = (char *)family,
			.dst = (char *)"default",
			.gateway = ip->gateway,
			.type = (char *)"unicast",
			.scope = (char *)"global",
			.proto = (char *)"static",
			.table = RT_TABLE_MAIN,
			.metric = !strcmp(family, "inet6") ? 1024 : 0,
		};

		copy_route(&c->move->add_routes, &c->move->n_add_routes, &r);
	}
}

/*
 * What the bridge has from earlier, and the configuration does not name. What routers announce is
 * not meant: that comes and goes by itself.
 */
static void refuse_leftovers(const struct context *c, const struct qb_ip_config *ip,
			     const char *family)
{
	const char *bridge = c->config->name;

	for (size_t i = 0; c->bridge && i < c->bridge->n_addresses; i++) {
		const struct qb_address *a = &c->bridge->addresses[i];

		if (!strcmp(qb_ip_family(a->address), family) && !qb_address_is_dynamic(a) &&
		    !qb_ip_is_link_local(a->address) && !qb_strs_has(&ip->addresses, a->address))
			qb_plan_refuse(c->plan, bridge, "unsupported",
				       "%s has %s, which the configuration does not want there; "
				       "taking it off is not implemented: ip address del %s dev %s",
				       bridge, a->address, a->address, bridge);
	}
	for (size_t i = 0; c->bridge && ip->gateway && i < c->net->n_routes; i++) {
		const struct qb_route *r = &c->net->routes[i];

		if (is_default(r) && r->table == RT_TABLE_MAIN && qb_streq(r->dev, bridge) &&
		    !strcmp(r->family, family) && strcmp(r->proto, "ra") != 0 && r->gateway &&
		    !qb_streq(r->gateway, ip->gateway))
			qb_plan_refuse(c->plan, bridge, "unsupported",
				       "%s has a default route via %s, and the configuration wants "
				       "%s; taking it off is not implemented: ip route del default "
				       "via %s dev %s",
				       bridge, r->gateway, ip->gateway, r->gateway, bridge);
	}
}

static bool has_dynamic(const struct qb_link *link, const char *family)
{
	for (size_t i = 0; link && i < link->n_addresses; i++)
		if (qb_address_is_dynamic(&link->addresses[i]) &&
		    !strcmp(qb_ip_family(link->addresses[i].address), family))
			return true;
	return false;
}

static void check_mode(const struct context *c, const char *family)
{
	const struct qb_ip_config *ip = mode_of(c, family);

	/* We are no DHCP client: a lease that is there is carried over, none is asked for. */
	if (ip->mode == QB_IP_DHCP && !has_dynamic(c->source, family) &&
	    !has_dynamic(c->bridge, family))
		qb_plan_refuse(c->plan, c->config->name, "unsupported",
			       "%s: dhcp where no address of %s came by DHCP; asking for one is "
			       "not implemented, \"inherit\" keeps what is there",
			       !strcmp(family, "inet6") ? "ipv6" : "ipv4",
			       c->source ? c->source->name : c->config->name);
	if (ip->mode == QB_IP_STATIC)
		add_static(c, ip, family);
	if (ip->mode == QB_IP_STATIC || ip->mode == QB_IP_NONE)
		refuse_leftovers(c, ip, family);
}

static bool carries_host(const struct qb_link *link)
{
	for (size_t i = 0; i < link->n_addresses; i++)
		if (!qb_ip_is_link_local(link->addresses[i].address))
			return true;
	return false;
}

/* The port that has what the bridge is to have; the first one where none has anything. */
static const struct qb_link *find_source(const struct qb_link *const *ports, size_t n_ports,
					 const char *name, struct qb_plan *plan)
{
	const struct qb_link *source = NULL;

	for (size_t i = 0; i < n_ports; i++) {
		if (!carries_host(ports[i]))
			continue;
		if (source)
			qb_plan_refuse(plan, name, "address-unsupported",
				       "both %s and %s carry addresses; which of them the bridge "
				       "is to have is not clear",
				       source->name, ports[i]->name);
		source = ports[i];
	}
	return source ? source : n_ports ? ports[0] : NULL;
}

static void check_rules(const struct context *c)
{
	for (size_t i = 0; i < c->net->n_rules; i++) {
		const struct qb_rule *rule = &c->net->rules[i];

		if (qb_streq(rule->iif, c->source->name) || qb_streq(rule->oif, c->source->name))
			qb_plan_refuse(c->plan, c->config->name, "route-unsupported",
				       "%s rule %lld names %s", rule->family,
				       (long long)rule->priority, c->source->name);
	}
}

void qb_move_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		  const struct qb_link *const *ports, size_t n_ports, struct qb_plan *plan,
		  struct qb_move *ret)
{
	struct qb_move move = {.bridge = qb_strdup(config->name), .stp = config->stp};
	struct context c = {net, config, NULL, qb_net_link(net, config->name), false, plan, &move};

	c.source = find_source(ports, n_ports, config->name, plan);
	for (size_t i = 0; i < n_ports; i++) {
		struct qb_port *port = QB_APPEND(move.ports, move.n_ports);

		port->name = qb_strdup(ports[i]->name);
		port->ifindex = ports[i]->ifindex;
		port->mac = qb_strdup(ports[i]->mac);
		port->permanent_mac = qb_strdup(ports[i]->permanent_mac);
		port->path = qb_strdup(ports[i]->path);
		port->kind = qb_strdup(ports[i]->kind);
		if (i < config->n_ports)
			port->match = qb_port_match_words(&config->ports[i]);
		if (!move.mtu || ports[i]->mtu < move.mtu)
			move.mtu = ports[i]->mtu;
	}
	if (c.source) {
		c.port_already = c.bridge && qb_streq(c.source->master, c.bridge->name);
		move.source = qb_strdup(c.source->name);
		move.mac = qb_strdup(c.source->mac);
		for (size_t i = 0; i < c.source->n_addresses; i++)
			move_address(&c, &c.source->addresses[i]);
		for (size_t i = 0; i < net->n_routes; i++) {
			const struct qb_route *r = &net->routes[i];

			/* A nexthop object may hide its link from old ways of asking. */
			if (leaves_by(r, c.source) || (r->nhid && !r->dev && !r->devs.n))
				move_route(&c, r);
		}
		check_rules(&c);
	}
	check_mode(&c, "inet");
	check_mode(&c, "inet6");
	*ret = move;
}

static bool only_link_local(const struct qb_address *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!qb_ip_is_link_local(a[i].address))
			return false;
	return true;
}

bool qb_move_is_done(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);

	if (!bridge || !bridge->up || bridge->stp.state != (move->stp ? QB_YES : QB_NO))
		return false;
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		if (!port || !port->up || !qb_streq(port->master, move->bridge))
			return false;
	}
	return only_link_local(move->add, move->n_add) && !move->n_add_routes &&
	       only_link_local(move->drop, move->n_drop) && !move->n_drop_routes;
}
