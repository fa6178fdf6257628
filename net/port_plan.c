/* SPDX-License-Identifier: Apache-2.0 */
/* Which link a matcher names, and whether it can be a port at all. */
#include "net/move.h"

#include "net/bound.h"

#define TABLE_MAIN 254

static char *describe_links(const struct qb_link *const *links, size_t n)
{
	_cleanup_strs_ struct qb_strs names = {0};

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *one = qb_link_words(links[i]);

		qb_strs_add(&names, one);
	}
	return names.n ? qb_strs_sentence(&names) : qb_strdup("none");
}

struct found {
	const struct qb_link **v;
	size_t n;
};

static void found_add(struct found *f, const struct qb_link *link)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i] == link)
			return;
	*QB_APPEND(f->v, f->n) = link;
}

static void found_donep(struct found *f)
{
	free(f->v);
}

static void find_by_mac(const struct qb_net *net, const char *mac, struct found *f)
{
	for (const struct qb_link *l = NULL; (l = qb_link_by_mac(net, mac, l));)
		found_add(f, l);
}

/* The links by which the default routes of the lowest metric leave, of each family. */
static void find_by_default_route(const struct qb_net *net, struct found *f)
{
	static const char *const families[] = {"inet", "inet6"};

	for (size_t k = 0; k < QB_ARRAY_SIZE(families); k++) {
		int64_t best = INT64_MAX;

		for (int pass = 0; pass < 2; pass++) {
			for (size_t i = 0; i < net->n_routes; i++) {
				const struct qb_route *r = &net->routes[i];
				const struct qb_link *link = qb_net_link(net, r->dev);

				if (strcmp(r->family, families[k]) != 0 ||
				    strcmp(r->dst, "default") != 0 || r->table != TABLE_MAIN ||
				    !qb_streq(r->type, "unicast") || (!link && !r->devs.n))
					continue;
				if (pass == 0 && r->metric < best)
					best = r->metric;
				if (pass == 1 && r->metric == best && link)
					found_add(f, link);
				for (size_t j = 0; pass == 1 && r->metric == best && j < r->devs.n;
				     j++)
					if (qb_net_link(net, r->devs.v[j]))
						found_add(f, qb_net_link(net, r->devs.v[j]));
			}
		}
	}
}

/* Not guests' taps, which come and go. */
static void find_ports_of(const struct qb_net *net, const char *bridge, struct found *f)
{
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge, l));)
		if (qb_link_can_be_port(l))
			found_add(f, l);
}

static void find(const struct qb_net *net, const struct qb_port_match *m, struct found *f)
{
	if (m->match)
		find_by_default_route(net, f);
	else if (m->mac)
		find_by_mac(net, m->mac, f);
	if (m->name && qb_net_link(net, m->name))
		found_add(f, qb_net_link(net, m->name));
	for (size_t i = 0; (m->path || m->driver || m->speed) && i < net->n_links; i++) {
		const struct qb_link *link = &net->links[i];

		if ((m->path && qb_link_is_nic(link) && qb_streq(link->path, m->path)) ||
		    (m->driver && qb_link_is_nic(link) && qb_streq(link->driver, m->driver)) ||
		    (m->speed && qb_link_is_nic(link) && link->speed_mbps &&
		     link->speed_mbps == qb_speed_parse(m->speed)))
			found_add(f, link);
	}
}

/*
 * After the move the default route leaves by the bridge itself. One that nobody has recorded was
 * made by others, and is what the configuration wants if a NIC is its port.
 */
static void find_behind_bridge(const struct qb_net *net, const char *name, struct found *f)
{
	const struct qb_link *bridge = qb_net_link(net, name);

	if (!bridge || !qb_streq(bridge->kind, "bridge") || f->n != 1 || f->v[0] != bridge)
		return;
	f->n = 0;
	find_ports_of(net, name, f);
}

/* A run that was killed half-way leaves the default route with both the NIC and its bridge. */
static void drop_bridge(struct found *f, const char *bridge)
{
	for (size_t i = 0; i < f->n; i++) {
		if (!strcmp(f->v[i]->name, bridge)) {
			f->v[i] = f->v[--f->n];
			return;
		}
	}
}

const struct qb_link *qb_port_plan(const struct qb_net *net, const struct qb_bridge_config *config,
				   const struct qb_port_match *match,
				   const struct qb_ledger *ledger, struct qb_plan *plan)
{
	QB_CLEANUP(found_donep) struct found f = {0};
	QB_CLEANUP(found_donep) struct found all = {0};
	_cleanup_free_ char *words = qb_port_match_words(match);
	_cleanup_free_ char *list = NULL;
	const json_t *record = qb_bound_port(ledger, config, match);

	find(net, match, &f);
	/* From then on the bridge belongs to the hardware that was found: another NIC must not
	 * silently take the place of the first. */
	if (record)
		return qb_bound_plan(net, config, match, record, f.n == 1 ? f.v[0] : NULL, plan);
	if (match->match && f.n > 1)
		drop_bridge(&f, config->name);
	if (match->match)
		find_behind_bridge(net, config->name, &f);
	if (f.n == 1)
		return f.v[0];
	if (f.n > 1) {
		list = describe_links(f.v, f.n);
		qb_plan_refuse(plan, config->name, "ambiguous", "%s names %zu links: %s", words,
			       f.n, list);
		return NULL;
	}
	for (size_t i = 0; i < net->n_links; i++)
		if (qb_link_can_be_port(&net->links[i]))
			found_add(&all, &net->links[i]);
	list = describe_links(all.v, all.n);
	qb_plan_refuse(plan, config->name, "no-match", "%s names no link; there are: %s", words,
		       list);
	return NULL;
}
