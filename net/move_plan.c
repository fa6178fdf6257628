/* SPDX-License-Identifier: Apache-2.0 */
/* What has to go from a port to its bridge, and what cannot. */
#include "net/move_context.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "net/bound.h"
#include "net/names.h"

/* What the kernel notes of the life of an address; nobody sets it. */
#define STATE_FLAGS (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DEPRECATED | IFA_F_STABLE_PRIVACY)
/* What NetworkManager gives the routes of a bridge whose profile names none. */
#define NM_BRIDGE_METRIC 425

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

static bool has_link_local(const struct qb_link *link)
{
	for (size_t i = 0; link && i < link->n_addresses; i++)
		if (qb_ip_is_link_local(link->addresses[i].address))
			return true;
	return false;
}

/* The kernel takes one of the two routes for the other's, and forgets it. */
static bool has_two_metrics(const struct qb_link *link, const struct qb_address *a)
{
	_cleanup_free_ char *network = qb_ip_network(a->peer ? a->peer : a->address);

	for (const struct qb_address *b = link->addresses; b < a; b++) {
		_cleanup_free_ char *other = qb_ip_network(b->peer ? b->peer : b->address);

		if (qb_streq(network, other) && !((a->flags | b->flags) & IFA_F_NOPREFIXROUTE) &&
		    a->metric != b->metric && a->metric != QB_METRIC_YIELD &&
		    b->metric != QB_METRIC_YIELD)
			return true;
	}
	return false;
}

static void refuse_address(const struct qb_move_context *c, const struct qb_address *a)
{
	const char *name = c->config->name, *port = c->source->name;
	bool inet6 = !strcmp(qb_ip_family(a->address), "inet6");

	/* With the address that it was made of the kernel deletes it, and then makes another. */
	if (inet6 && (a->flags & IFA_F_TEMPORARY))
		qb_plan_refuse(c->plan, name, "address-unsupported",
			       "%s of %s is a temporary (privacy) address, which only the kernel "
			       "can make: it would be gone, and no undo could put it back",
			       a->address, port);
	if (inet6 && has_two_metrics(c->source, a))
		qb_plan_refuse(c->plan, name, "address-unsupported",
			       "%s of %s has another metric than an address of the same network; "
			       "the kernel would lose one of the two routes",
			       a->address, port);
	if (a->flags & IFA_F_DADFAILED)
		qb_plan_refuse(c->plan, name, "address-unsupported",
			       "%s of %s failed duplicate address detection", a->address, port);
	if (qb_address_is_dynamic(a) && !qb_net_renews(c->net))
		qb_plan_refuse(c->plan, name, "dynamic-address",
			       "%s of %s has a lifetime (%llu s left), and there is no "
			       "NetworkManager or systemd-networkd to renew it on the bridge",
			       a->address, port, (unsigned long long)a->valid_s);
}

/* "eth0:1" becomes "br0:1"; what does not follow that custom stays. */
static void rename_label(const struct qb_move_context *c, struct qb_address *a)
{
	size_t len = strlen(c->source->name);

	if (a->label && !strncmp(a->label, c->source->name, len) && a->label[len] == ':') {
		_cleanup_free_ char *label = qb_asprintf("%s%s", c->config->name, a->label + len);

		qb_strset(&a->label, label);
	}
}

static void move_address(const struct qb_move_context *c, const struct qb_address *a)
{
	const struct qb_ip_config *ip = qb_move_mode(c, qb_ip_family(a->address));
	bool link_local = qb_ip_is_link_local(a->address), keep;

	/* A port that went down and up makes itself a new one. It does no harm there. */
	if (link_local && c->port_already && has_link_local(c->bridge))
		return;
	keep = ip->mode == QB_IP_INHERIT || ip->mode == QB_IP_DHCP ||
	       (ip->mode == QB_IP_STATIC && link_local);
	if (keep)
		refuse_address(c, a);
	copy_address(&c->move->drop, &c->move->n_drop, a);
	if (keep && !qb_move_has_address(c->bridge, a->address))
		rename_label(c, copy_address(&c->move->add, &c->move->n_add, a));
}

static bool has_default(const struct qb_net *net, const struct qb_link *link, const char *gateway)
{
	for (const struct qb_route *r = NULL; link && (r = qb_net_route(net, link->name, r));) {
		if (qb_move_is_default(r) && r->table == RT_TABLE_MAIN &&
		    qb_streq(r->dev, link->name) && qb_streq(r->gateway, gateway))
			return true;
	}
	return false;
}

/* Of the way out in that family, where that is not the kernel's own; else as its owner will have
 * it. */
static int64_t gateway_metric(const struct qb_move_context *c, const char *family)
{
	const int64_t none = !strcmp(family, "inet6") ? 1024 : 0;
	int64_t best = INT64_MAX;

	for (const struct qb_route *r = NULL;
	     c->source && (r = qb_net_route(c->net, c->source->name, r));)
		if (qb_move_is_default(r) && r->table == RT_TABLE_MAIN &&
		    qb_streq(r->dev, c->source->name) && !strcmp(r->family, family) &&
		    r->metric != none && r->metric < best)
			best = r->metric;
	if (best != INT64_MAX)
		return best;
	return qb_net_keeper(c->net) == QB_KEEPER_NETWORKMANAGER ? NM_BRIDGE_METRIC : none;
}

/* The addresses and the gateway that the configuration gives. */
static void add_static(const struct qb_move_context *c, const struct qb_ip_config *ip,
		       const char *family)
{
	for (size_t i = 0; i < ip->addresses.n; i++) {
		_cleanup_free_ char *broadcast = qb_ip_broadcast(ip->addresses.v[i]);
		struct qb_address a = {
			.address = ip->addresses.v[i],
			.broadcast = broadcast,
			.scope = (char *)"global",
			.flags = IFA_F_PERMANENT,
		};

		if (!qb_move_has_address(c->bridge, a.address))
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
			.metric = gateway_metric(c, family),
		};

		qb_move_copy_route(&c->move->add_routes, &c->move->n_add_routes, &r);
	}
}

/*
 * What the bridge has from earlier, and the configuration does not name. What routers announce is
 * not meant: that comes and goes by itself.
 */
static void refuse_leftovers(const struct qb_move_context *c, const struct qb_ip_config *ip,
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
	for (const struct qb_route *r = NULL;
	     c->bridge && ip->gateway && (r = qb_net_route(c->net, bridge, r));) {
		if (qb_move_is_default(r) && r->table == RT_TABLE_MAIN &&
		    qb_streq(r->dev, bridge) && !strcmp(r->family, family) &&
		    !qb_streq(r->proto, "ra") && r->gateway && !qb_streq(r->gateway, ip->gateway))
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

static void check_mode(const struct qb_move_context *c, const char *family)
{
	const struct qb_ip_config *ip = qb_move_mode(c, family);

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

/*
 * The port that has what the bridge is to have; where none has anything that which gave the bridge
 * its MAC, or the first one.
 */
static const struct qb_link *find_source(const struct qb_net *net,
					 const struct qb_link *const *ports, size_t n_ports,
					 const char *name, struct qb_plan *plan)
{
	const struct qb_link *source = NULL, *bridge = qb_net_link(net, name);

	for (size_t i = 0; i < n_ports; i++) {
		if (!qb_link_carries_host(ports[i]))
			continue;
		if (source)
			qb_plan_refuse(plan, name, "address-unsupported",
				       "both %s and %s carry addresses; which of them the bridge "
				       "is to have is not clear",
				       source->name, ports[i]->name);
		source = ports[i];
	}
	for (size_t i = 0; bridge && !source && i < n_ports; i++)
		if (qb_streq(ports[i]->mac, bridge->mac))
			source = ports[i];
	return source ? source : n_ports ? ports[0] : NULL;
}

/* What only the source has goes along. A port takes no packets of its own any more. */
static void refuse_left_behind(const struct qb_move_context *c, const struct qb_link *port)
{
	for (size_t i = 0; i < c->net->n_routes; i++) {
		const struct qb_route *r = &c->net->routes[i];
		bool by = qb_streq(r->dev, port->name);

		for (size_t j = 0; j < r->n_hops; j++)
			by |= qb_streq(r->hops[j].dev, port->name);
		if (by && !qb_streq(r->proto, "kernel"))
			qb_plan_refuse(c->plan, c->config->name, "route-unsupported",
				       "route %s leaves by %s, which has no address to go along "
				       "with; the bridge takes the routes of one port",
				       r->dst, port->name);
	}
	for (size_t i = 0; i < c->net->n_rules; i++)
		if (qb_streq(c->net->rules[i].iif, port->name) ||
		    qb_streq(c->net->rules[i].oif, port->name))
			qb_plan_refuse(c->plan, c->config->name, "route-unsupported",
				       "%s rule %lld names %s, which has no address to go along "
				       "with",
				       c->net->rules[i].family,
				       (long long)c->net->rules[i].priority, port->name);
}

void qb_move_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		  const struct qb_link *const *ports, size_t n_ports, struct qb_plan *plan,
		  struct qb_move *ret)
{
	struct qb_move move = {.bridge = qb_strdup(config->name), .stp = config->stp};
	struct qb_move_context c = {net,   config, NULL, qb_net_link(net, config->name),
				    false, plan,   &move};

	c.source = find_source(net, ports, n_ports, config->name, plan);
	for (size_t i = 0; i < n_ports; i++)
		if (ports[i] != c.source)
			refuse_left_behind(&c, ports[i]);
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
		qb_move_routes_plan(&c);
		qb_move_rules_plan(&c);
		qb_move_nexthops_plan(&c);
	}
	check_mode(&c, "inet");
	check_mode(&c, "inet6");
	*ret = move;
}
