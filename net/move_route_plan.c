/* SPDX-License-Identifier: Apache-2.0 */
#include "net/move_context.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "net/names.h"

/* What the kernel notes of the state of a next hop is not set by anybody. */
#define SET_FLAGS RTNH_F_ONLINK
/* More do not fit into a message. */
#define MAX_HOPS 128
/* Metric of the prefix route of an IPv6 address that names none. */
#define PREFIX_METRIC6 256

const struct qb_ip_config *qb_move_mode(const struct qb_move_context *c, const char *family)
{
	return !strcmp(family, "inet6") ? &c->config->ipv6 : &c->config->ipv4;
}

struct qb_route *qb_move_copy_route(struct qb_route **list, size_t *n, const struct qb_route *r)
{
	struct qb_route *to = qb_append(list, n, sizeof(*to));

	to->family = qb_strdup(r->family);
	to->dst = qb_strdup(r->dst);
	to->from = qb_strdup(r->from);
	to->gateway = qb_strdup(r->gateway);
	to->prefsrc = qb_strdup(r->prefsrc);
	to->type = qb_strdup(r->type);
	to->scope = qb_strdup(r->scope);
	to->proto = qb_strdup(r->proto);
	to->table = r->table;
	to->metric = r->metric;
	to->tos = r->tos;
	to->realms = r->realms;
	to->expires_s = r->expires_s;
	to->flags = r->flags & SET_FLAGS;
	to->mtu = r->mtu;
	to->pref = qb_strdup(r->pref);
	to->behind = r->behind;
	for (size_t i = 0; i < r->metrics.n; i++)
		qb_strs_add(&to->metrics, r->metrics.v[i]);
	for (size_t i = 0; i < r->n_hops; i++) {
		struct qb_hop *hop = QB_APPEND(to->hops, to->n_hops);

		*hop = r->hops[i];
		hop->dev = qb_strdup(r->hops[i].dev);
		hop->gateway = qb_strdup(r->hops[i].gateway);
		hop->flags &= SET_FLAGS;
	}
	return to;
}

static int64_t prefix_metric(const struct qb_address *a)
{
	bool inet6 = !strcmp(qb_ip_family(a->address), "inet6");

	return a->metric ? a->metric : inet6 ? PREFIX_METRIC6 : 0;
}

/* The kernel adds and deletes it together with an address. */
static bool comes_with_address(const struct qb_link *link, const struct qb_route *r)
{
	if (!qb_streq(r->proto, "kernel") || r->gateway || r->table != RT_TABLE_MAIN)
		return false;
	for (size_t i = 0; i < link->n_addresses; i++) {
		const struct qb_address *a = &link->addresses[i];
		_cleanup_free_ char *net = qb_ip_network(a->peer ? a->peer : a->address);

		if (!(a->flags & IFA_F_NOPREFIXROUTE) && qb_streq(net, r->dst) &&
		    r->metric == prefix_metric(a))
			return true;
	}
	return false;
}

static size_t reasons(const struct qb_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n_refused; i++)
		n += plan->refused[i].n_reasons;
	return n;
}

static bool refuse_route(const struct qb_move_context *c, const struct qb_route *r)
{
	const char *name = c->config->name, *port = c->source->name;
	size_t before = reasons(c->plan);

	if (r->n_hops > MAX_HOPS)
		qb_plan_refuse(c->plan, name, "route-unsupported",
			       "route %s has %zu next hops, more than a message holds", r->dst,
			       r->n_hops);
	if (r->extra)
		qb_plan_refuse(c->plan, name, "route-unsupported",
			       "route %s by %s has what cannot be carried over: %s", r->dst, port,
			       r->extra);
	return reasons(c->plan) != before;
}

bool qb_move_is_default(const struct qb_route *r)
{
	return !strcmp(r->dst, "default");
}

static bool has_other_hops(const struct qb_route *r, const char *dev)
{
	for (size_t i = 0; i < r->n_hops; i++)
		if (!qb_streq(r->hops[i].dev, dev))
			return true;
	return false;
}

static void move_route(const struct qb_move_context *c, const struct qb_route *r)
{
	const struct qb_ip_config *ip = qb_move_mode(c, r->family);
	bool keep = ip->mode == QB_IP_INHERIT || ip->mode == QB_IP_DHCP;
	struct qb_route *to;

	if (refuse_route(c, r) || comes_with_address(c->source, r))
		return;
	if (ip->mode == QB_IP_NONE && qb_move_is_default(r))
		qb_plan_refuse(c->plan, c->config->name, "default-route",
			       "the %s default route leaves by %s: with \"none\" the host would be "
			       "cut off",
			       r->family, c->source->name);
	/* The prefix routes of addresses that go are not wanted; a route of the user's is. */
	if (ip->mode == QB_IP_STATIC)
		keep = !qb_streq(r->proto, "kernel") && !(ip->gateway && qb_move_is_default(r));
	if (!keep && has_other_hops(r, c->source->name))
		qb_plan_refuse(c->plan, c->config->name, "route-unsupported",
			       "route %s leaves by other links, too: only its next hop by %s would "
			       "have to go, which is not implemented",
			       r->dst, c->source->name);
	qb_move_copy_route(&c->move->drop_routes, &c->move->n_drop_routes, r);
	if (!keep)
		return;
	to = qb_move_copy_route(&c->move->add_routes, &c->move->n_add_routes, r);
	for (size_t i = 0; i < to->n_hops; i++)
		if (qb_streq(to->hops[i].dev, c->source->name))
			qb_strset(&to->hops[i].dev, c->config->name);
}

void qb_move_routes_plan(const struct qb_move_context *c)
{
	for (const struct qb_route *r = NULL; (r = qb_net_route(c->net, c->source->name, r));) {
		/* Those of a nexthop object follow it. */
		if (!r->nhid)
			move_route(c, r);
	}
}
