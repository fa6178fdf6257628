/* SPDX-License-Identifier: Apache-2.0 */
/* Which link a matcher names, and whether it can be a port at all. */
#include "net/move.h"

#include <strings.h>

#include "net/names.h"

#define TABLE_MAIN 254

static bool same_mac(const char *a, const char *b)
{
	return a && b && !strcasecmp(a, b);
}

/* Things made on top of others carry their MAC, too: they are no candidates. */
static bool is_candidate(const struct qb_link *link)
{
	return !link->loopback && (!link->kind || !strcmp(link->kind, "veth"));
}

static char *describe_link(const struct qb_link *link)
{
	_cleanup_buf_ struct qb_buf b = {0};
	_cleanup_free_ char *name = qb_str_printable(link->name);

	qb_buf_puts(&b, name);
	qb_buf_printf(&b, " (%s",
		      link->permanent_mac ? link->permanent_mac
		      : link->mac         ? link->mac
					  : "no MAC");
	if (link->path)
		qb_buf_printf(&b, ", %s", link->path);
	if (link->driver)
		qb_buf_printf(&b, ", %s", link->driver);
	qb_buf_puts(&b, ")");
	return qb_strdup(b.s);
}

static char *describe_links(const struct qb_link *const *links, size_t n)
{
	_cleanup_strs_ struct qb_strs names = {0};

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *one = describe_link(links[i]);

		qb_strs_add(&names, one);
	}
	return names.n ? qb_strs_sentence(&names) : qb_strdup("none");
}

/* In words: "driver ixgbe". */
static char *describe_match(const struct qb_port_match *m)
{
	if (m->match)
		return qb_strdup(m->match);
	if (m->mac)
		return qb_asprintf("MAC %s", m->mac);
	if (m->path)
		return qb_asprintf("path %s", m->path);
	if (m->driver)
		return qb_asprintf("driver %s", m->driver);
	return qb_asprintf("name %s", m->name ? m->name : "?");
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

/* By the MAC of the hardware; only where none has it, by one that may be set by software. */
static void find_by_mac(const struct qb_net *net, const char *mac, struct found *f)
{
	for (size_t i = 0; i < net->n_links; i++)
		if (is_candidate(&net->links[i]) && same_mac(net->links[i].permanent_mac, mac))
			found_add(f, &net->links[i]);
	for (size_t i = 0; !f->n && i < net->n_links; i++)
		if (is_candidate(&net->links[i]) && same_mac(net->links[i].mac, mac))
			found_add(f, &net->links[i]);
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

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The newest record of which hardware the n-th port of a bridge was. */
static const json_t *bound_port(const struct qb_ledger *ledger, const char *bridge, size_t n)
{
	for (size_t i = ledger ? ledger->n_entries : 0; i-- > 0;) {
		const struct qb_ledger_entry *e = &ledger->entries[i];
		const json_t *port;

		if (!qb_streq(e->kind, "net.bridge") || !qb_streq(e->target, bridge))
			continue;
		port = json_array_get(json_object_get(e->args, "ports"), n);
		if (port)
			return port;
	}
	return NULL;
}

static void find_bound(const struct qb_net *net, const json_t *port, struct found *f)
{
	const char *permanent = string_of(port, "permanent_mac"), *mac = string_of(port, "mac");

	if (permanent || mac)
		find_by_mac(net, permanent ? permanent : mac, f);
}

/* Ports that are hardware: guests' taps come and go. */
static void find_ports_of(const struct qb_net *net, const char *bridge, struct found *f)
{
	for (size_t i = 0; i < net->n_links; i++)
		if (qb_streq(net->links[i].master, bridge) && is_candidate(&net->links[i]))
			found_add(f, &net->links[i]);
}

static void find(const struct qb_net *net, const struct qb_port_match *m, struct found *f)
{
	if (m->match)
		find_by_default_route(net, f);
	else if (m->mac)
		find_by_mac(net, m->mac, f);
	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *link = &net->links[i];

		if ((m->name && qb_streq(link->name, m->name)) ||
		    (m->path && is_candidate(link) && qb_streq(link->path, m->path)) ||
		    (m->driver && is_candidate(link) && qb_streq(link->driver, m->driver)))
			found_add(f, link);
	}
}

/*
 * A selector ("default-route", "driver") is answered once. From then on the bridge belongs to the
 * hardware it found: after the move the default route leaves by the bridge itself, and another
 * NIC must not silently take the place of the first.
 */
static bool find_earlier(const struct qb_net *net, const struct qb_bridge_config *config,
			 const struct qb_port_match *m, const struct qb_ledger *ledger,
			 struct qb_plan *plan, struct found *f)
{
	const json_t *port = bound_port(ledger, config->name, (size_t)(m - config->ports));
	const struct qb_link *bridge = qb_net_link(net, config->name);

	if (!m->match && !m->driver)
		return true;
	if (port) {
		find_bound(net, port, f);
		if (f->n)
			return true;
		qb_plan_refuse(plan, config->name, "nic-missing",
			       "%s was bound to %s (MAC %s), which is not here any more; name the "
			       "NIC that takes its place by its MAC address or its name",
			       config->name, string_of(port, "name"), string_of(port, "mac"));
		return false;
	}
	if (!m->match || !bridge || !qb_streq(bridge->kind, "bridge"))
		return true;
	find_by_default_route(net, f);
	if (f->n != 1 || f->v[0] != bridge) {
		f->n = 0;
		return true;
	}
	f->n = 0;
	find_ports_of(net, config->name, f);
	return true;
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
	_cleanup_free_ char *words = describe_match(match);
	_cleanup_free_ char *list = NULL;

	if (!find_earlier(net, config, match, ledger, plan, &f))
		return NULL;
	if (!f.n)
		find(net, match, &f);
	if (match->match && f.n > 1)
		drop_bridge(&f, config->name);
	if (f.n == 1)
		return f.v[0];
	if (f.n > 1) {
		list = describe_links(f.v, f.n);
		qb_plan_refuse(plan, config->name, "ambiguous", "%s names %zu links: %s", words,
			       f.n, list);
		return NULL;
	}
	for (size_t i = 0; i < net->n_links; i++)
		if (is_candidate(&net->links[i]))
			found_add(&all, &net->links[i]);
	list = describe_links(all.v, all.n);
	qb_plan_refuse(plan, config->name, "no-match", "%s names no link; there are: %s", words,
		       list);
	return NULL;
}
