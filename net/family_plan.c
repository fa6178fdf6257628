/* SPDX-License-Identifier: Apache-2.0 */
#include "net/family.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "net/names.h"

#define PREFIX_METRIC6 256 /* of the kernel's own route to the network of an IPv6 address */

/* Of the routes those that decide. */
struct ways {
	const struct qb_route *best;      /* the default route of the lowest metric */
	const struct qb_route *announced; /* a default route of a lease or a router */
};

void qb_family_done(struct qb_family *f)
{
	free(f->addresses);
	free(f->routes);
	*f = (struct qb_family){0};
}

bool qb_family_wants(const struct qb_route *r)
{
	static const char *const protos[] = {"unspec", "boot", "static", "dhcp", "ra"};
	bool wanted = qb_streq(r->proto, "kernel") && r->table != RT_TABLE_MAIN;

	for (size_t i = 0; i < QB_ARRAY_SIZE(protos); i++)
		wanted |= qb_streq(r->proto, protos[i]);
	return wanted && !r->expires_s;
}

static void take_addresses(struct qb_family *f, const struct qb_address *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(qb_ip_family(a[i].address), f->name) != 0)
			continue;
		if (qb_ip_is_link_local(a[i].address))
			f->link_local = &a[i];
		else if (qb_address_is_dynamic(&a[i]))
			f->dynamic = &a[i];
		else
			*QB_APPEND(f->addresses, f->n_addresses) = &a[i];
	}
}

static bool is_gateway(const struct qb_route *r)
{
	return !strcmp(r->dst, "default") && r->gateway && r->table == RT_TABLE_MAIN;
}

/* What a lease or a router announces comes again with it, and the route of an address. */
static bool is_renewed(const struct qb_route *r)
{
	return qb_streq(r->proto, "dhcp") || qb_streq(r->proto, "ra") ||
	       qb_streq(r->proto, "kernel");
}

static bool is_relevant(const struct qb_family *f, const struct qb_route *r)
{
	return !strcmp(r->family, f->name) && qb_family_wants(r);
}

static void find_announced(const struct qb_family *f, const struct qb_route *r, struct ways *ways)
{
	if (is_relevant(f, r) && !strcmp(r->dst, "default") && r->gateway && is_renewed(r) &&
	    (!ways->announced || r->table == RT_TABLE_MAIN))
		ways->announced = r;
}

static bool is_written(const struct qb_family *f, const struct qb_route *r)
{
	return f->method == QB_FAMILY_FIXED || !is_renewed(r);
}

static void take_route(struct qb_family *f, const struct qb_route *r, struct ways *ways)
{
	if (!is_relevant(f, r))
		return;
	if (!is_gateway(r) || (ways->best && ways->best->metric <= r->metric)) {
		if (is_written(f, r))
			*QB_APPEND(f->routes, f->n_routes) = r;
		return;
	}
	if (ways->best && is_written(f, ways->best))
		*QB_APPEND(f->routes, f->n_routes) = ways->best;
	ways->best = r;
}

/* The next that the bridge has by itself; NULL: no more. */
static const struct qb_route *next_route(const struct qb_net *net, const struct qb_link *bridge,
					 const struct qb_route *r)
{
	do
		r = bridge ? qb_net_route(net, bridge->name, r) : NULL;
	while (r && !qb_streq(r->dev, bridge->name));
	return r;
}

/* The address of a lease that never ends is not marked as one; its route names it. */
static bool is_leased(const struct ways *ways, const struct qb_address *a)
{
	const char *source = ways->announced ? ways->announced->prefsrc : NULL;
	size_t len = source ? strlen(source) : 0;

	return len && !strncmp(a->address, source, len) && a->address[len] == '/';
}

static void drop_leased(struct qb_family *f, const struct ways *ways)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_addresses; i++)
		if (!is_leased(ways, f->addresses[i]))
			f->addresses[n++] = f->addresses[i];
	f->n_addresses = n;
}

bool qb_address_is_eui64(const struct qb_address *a, const char *mac)
{
	_cleanup_free_ char *made = qb_ip_link_local(mac);
	struct qb_ip ip, want;

	return a && made && qb_ip_parse(a->address, &ip) == 0 && qb_ip_parse(made, &want) == 0 &&
	       !memcmp(ip.bytes + 8, want.bytes + 8, 8);
}

static enum qb_family_method find_method(const struct qb_family *f, const struct ways *ways,
					 const struct qb_ip_config *ip)
{
	bool inet6 = !strcmp(f->name, "inet6");

	if (ip->mode == QB_IP_NONE)
		return QB_FAMILY_OFF;
	if (ip->mode == QB_IP_STATIC)
		return QB_FAMILY_FIXED;
	if (f->dynamic || ip->mode == QB_IP_DHCP)
		return QB_FAMILY_ASKED;
	if (ways->announced && ip->mode == QB_IP_INHERIT)
		return QB_FAMILY_ASKED;
	if (f->n_addresses)
		return QB_FAMILY_FIXED;
	/* A host that listens to routers, though none has spoken yet. */
	if (inet6 && f->link_local)
		return QB_FAMILY_ASKED;
	return QB_FAMILY_OFF;
}

bool qb_route_comes_with(const struct qb_route *r, const char *family, const char *network)
{
	return !strcmp(r->family, family) && qb_streq(r->proto, "kernel") && !r->gateway &&
	       r->table == RT_TABLE_MAIN && qb_streq(r->dst, network);
}

/* Where it is not written down the order in which links come up decides. */
static int64_t find_metric(const struct qb_family *f, const struct ways *ways,
			   const struct qb_net *net, const struct qb_link *bridge,
			   const struct qb_move *move)
{
	const struct qb_address *a = f->n_addresses ? f->addresses[0] : f->dynamic;
	_cleanup_free_ char *network = a ? qb_ip_network(a->address) : NULL;

	if (ways->best || !a)
		return ways->best ? ways->best->metric : -1;
	if (!(a->flags & IFA_F_NOPREFIXROUTE) && !a->metric)
		return !strcmp(f->name, "inet6") ? PREFIX_METRIC6 : 0;
	if (!(a->flags & IFA_F_NOPREFIXROUTE))
		return a->metric;
	for (size_t i = 0; i < move->n_add_routes; i++)
		if (qb_route_comes_with(&move->add_routes[i], f->name, network))
			return move->add_routes[i].metric;
	for (const struct qb_route *r = NULL; (r = next_route(net, bridge, r));)
		if (qb_route_comes_with(r, f->name, network))
			return r->metric;
	return -1;
}

void qb_family_find(const struct qb_net *net, const struct qb_move *move, const char *family,
		    const struct qb_ip_config *ip, struct qb_family *ret)
{
	const struct qb_link *bridge =
		ip->mode == QB_IP_NONE ? NULL : qb_net_link(net, move->bridge);
	struct qb_family f = {.name = family, .table = RT_TABLE_MAIN, .metric = -1};
	size_t n = ip->mode == QB_IP_NONE ? 0 : move->n_add_routes;
	struct ways ways = {0};

	if (ip->mode != QB_IP_NONE)
		take_addresses(&f, move->add, move->n_add);
	for (size_t i = 0; i < n; i++)
		find_announced(&f, &move->add_routes[i], &ways);
	if (bridge)
		take_addresses(&f, bridge->addresses, bridge->n_addresses);
	for (const struct qb_route *r = NULL; (r = next_route(net, bridge, r));)
		find_announced(&f, r, &ways);
	f.method = find_method(&f, &ways, ip);
	if (ip->mode == QB_IP_STATIC)
		f.given = &ip->addresses;
	for (size_t i = 0; f.method != QB_FAMILY_OFF && i < n; i++)
		take_route(&f, &move->add_routes[i], &ways);
	for (const struct qb_route *r = NULL;
	     f.method != QB_FAMILY_OFF && (r = next_route(net, bridge, r));)
		take_route(&f, r, &ways);
	f.metric = find_metric(&f, &ways, net, bridge, move);
	if (f.method == QB_FAMILY_ASKED)
		drop_leased(&f, &ways);
	if (ways.best && is_written(&f, ways.best))
		f.best = ways.best;
	if (f.method == QB_FAMILY_ASKED && ways.announced)
		f.table = ways.announced->table;
	*ret = f;
}
