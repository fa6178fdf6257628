/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bound.h"

#include <strings.h>

bool qb_link_is_nic(const struct qb_link *link)
{
	return !link->loopback && (!link->kind || !strcmp(link->kind, "veth"));
}

bool qb_link_can_be_port(const struct qb_link *link)
{
	return qb_link_is_nic(link) || qb_streq(link->kind, "vlan") || qb_streq(link->kind, "bond");
}

static const char *own_mac(const struct qb_link *link)
{
	return link->permanent_mac ? link->permanent_mac : link->mac;
}

char *qb_link_words(const struct qb_link *link)
{
	_cleanup_buf_ struct qb_buf b = {0};
	_cleanup_free_ char *name = qb_str_printable(link->name);
	const char *mac = own_mac(link);

	qb_buf_puts(&b, name);
	qb_buf_printf(&b, " (%s", mac ? mac : "no MAC");
	if (link->path)
		qb_buf_printf(&b, ", %s", link->path);
	if (link->driver)
		qb_buf_printf(&b, ", %s", link->driver);
	qb_buf_puts(&b, ")");
	return qb_strdup(b.s);
}

char *qb_port_match_words(const struct qb_port_match *m)
{
	if (m->match)
		return qb_strdup(m->match);
	if (m->mac)
		return qb_asprintf("MAC %s", m->mac);
	if (m->path)
		return qb_asprintf("path %s", m->path);
	if (m->driver)
		return qb_asprintf("driver %s", m->driver);
	if (m->speed)
		return qb_asprintf("speed %s", m->speed);
	return qb_asprintf("name %s", m->name ? m->name : "?");
}

static bool same_mac(const char *a, const char *b)
{
	return a && b && !strcasecmp(a, b);
}

const struct qb_link *qb_link_by_mac(const struct qb_net *net, const char *mac,
				     const struct qb_link *after)
{
	bool hardware = false;

	for (const struct qb_link *l = NULL; (l = qb_net_link_of_mac(net, mac, l));)
		hardware |= qb_link_is_nic(l) && same_mac(l->permanent_mac, mac);
	while ((after = qb_net_link_of_mac(net, mac, after)))
		if (qb_link_is_nic(after) &&
		    same_mac(hardware ? after->permanent_mac : after->mac, mac))
			return after;
	return NULL;
}

/* A record of an earlier version says nothing of the match: there the place in the list counts. */
static const json_t *find_port(const json_t *ports, const char *match, size_t place)
{
	const json_t *port;
	size_t i;

	json_array_foreach (ports, i, port) {
		const char *words = qb_arg(port, "match");

		if (words ? !strcasecmp(words, match) : i == place)
			return port;
	}
	return NULL;
}

/* The newest record of a bridge's ports, or the next older one than before. */
static const struct qb_ledger_entry *next_record(const struct qb_ledger *ledger, const char *bridge,
						 const struct qb_ledger_entry *before)
{
	while ((before = qb_ledger_newest(ledger, bridge, before)))
		if (!strcmp(before->kind, "net.bridge") || !strcmp(before->kind, "net.bind") ||
		    !strcmp(before->kind, "net.link"))
			break;
	return before;
}

const json_t *qb_bound_port(const struct qb_ledger *ledger, const struct qb_bridge_config *config,
			    const struct qb_port_match *m)
{
	_cleanup_free_ char *match = qb_port_match_words(m);
	const struct qb_ledger_entry *e = NULL;
	const json_t *port = NULL;

	while (!port && (e = next_record(ledger, config->name, e)))
		port = find_port(json_object_get(e->args, "ports"), match,
				 (size_t)(m - config->ports));
	return port;
}

void qb_bound_forget(const struct qb_net *net, const struct qb_bridge_config *bridges,
		     size_t n_bridges, const struct qb_ledger *ledger, struct qb_plan *plan)
{
	for (size_t i = 0; ledger && i < ledger->n_entries; i++) {
		const struct qb_ledger_entry *e = &ledger->entries[i];
		bool wanted = strcmp(e->kind, "net.bind") != 0 || qb_net_link(net, e->target);

		for (size_t j = 0; !wanted && j < n_bridges; j++)
			wanted = !strcmp(bridges[j].name, e->target);
		/* Of what a step noted nothing is adopted, and so nothing forgotten. */
		if (!wanted)
			qb_plan_adopt(plan, e->target, json_null());
	}
}

bool qb_bound_put(const struct qb_ledger *ledger, const char *bridge, const struct qb_link *link)
{
	const struct qb_ledger_entry *e = NULL;

	while ((e = qb_ledger_newest(ledger, bridge, e))) {
		const json_t *port, *name;
		size_t j, k;

		if (strcmp(e->kind, "net.bridge") != 0)
			continue;
		json_array_foreach (json_object_get(e->args, "ports"), j, port) {
			const char *mac = qb_arg(port, "permanent_mac");
			const char *was = qb_arg(port, "name");

			if (mac ? !same_mac(mac, link->permanent_mac) : !qb_streq(was, link->name))
				continue;
			json_array_foreach (json_object_get(e->before, "release"), k, name)
				if (qb_streq(json_string_value(name), was))
					return true;
		}
	}
	return false;
}

/*
 * The bridge, where one of its ports is in already: until then it may have what the kernel made up
 * and would give up for a port's, and the host is known by what its NIC has. NULL: not so.
 */
static const struct qb_link *in_use(const struct qb_net *net, const struct qb_move *move)
{
	if (!move->n_ports)
		return qb_net_link(net, move->bridge);
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		if (port && qb_streq(port->master, move->bridge))
			return qb_net_link(net, move->bridge);
	}
	return NULL;
}

/* A port of the bridge, or what such a port stands on: the bond's NIC, the VLAN's. */
static bool is_below(const struct qb_net *net, const struct qb_move *move, const struct qb_link *l)
{
	bool below = qb_streq(l->master, move->bridge);

	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		below |= port && (l == port || qb_streq(l->master, port->name) ||
				  l->ifindex == port->lower_ifindex);
	}
	return below;
}

static bool is_elsewhere(const struct qb_net *net, const struct qb_move *move, const char *mac)
{
	for (const struct qb_link *l = NULL; (l = qb_net_link_of_mac(net, mac, l));) {
		if (qb_link_is_nic(l) && !is_below(net, move, l))
			return true;
	}
	return false;
}

void qb_bound_identity(const struct qb_net *net, const struct qb_ledger *ledger,
		       struct qb_plan *plan, size_t first, struct qb_move *move)
{
	const struct qb_ledger_entry *e = next_record(ledger, move->bridge, NULL);
	const json_t *record = e ? e->args : NULL, *mtu = json_object_get(record, "mtu");
	const struct qb_link *there = in_use(net, move);
	const char *macs[] = {qb_arg(record, "mac"), there ? there->mac : NULL};

	for (size_t i = 0; i < QB_ARRAY_SIZE(macs); i++) {
		if (!macs[i] || is_elsewhere(net, move, macs[i]))
			continue;
		qb_strset(&move->mac, macs[i]);
		break;
	}
	/* Wider than its ports it would send what they cannot. */
	if (there && there->mtu < move->mtu && (!mtu || json_integer_value(mtu) == there->mtu))
		move->mtu = there->mtu;
	for (size_t i = first; i < plan->n_changes; i++) {
		struct qb_change *c = &plan->changes[i];

		if (!strcmp(c->kind, "nic-replaced") && same_mac(qb_arg(c->was, "mac"), move->mac))
			qb_change_why(c,
				      "; %s keeps the MAC address %s: put the old card into no "
				      "other host of this network",
				      move->bridge, move->mac);
	}
}

/* One port of one bridge. */
struct bound {
	const struct qb_net *net;
	const char *bridge, *match;
	const struct qb_port_match *m;
	const struct qb_link *named;
	struct qb_plan *plan;
	const char *name, *mac, *path; /* as recorded */
};

static char *was_words(const struct bound *b)
{
	return qb_asprintf("%s (%s%s%s)", b->name ? b->name : "a NIC", b->mac ? b->mac : "no MAC",
			   b->path ? ", " : "", b->path ? b->path : "");
}

static void note(const struct bound *b, const char *kind, const struct qb_link *is,
		 const char *what)
{
	_cleanup_free_ char *was = was_words(b), *now = qb_link_words(is);

	qb_plan_change(
		b->plan, b->bridge, kind,
		json_pack("{s:s?, s:s?, s:s?}", "name", b->name, "mac", b->mac, "path", b->path),
		json_pack("{s:s?, s:s?, s:s?}", "name", is->name, "mac", own_mac(is), "path",
			  is->path),
		"%s was bound to %s, %s %s", b->bridge, was, what, now);
}

/* The configuration's words are about something that the hardware does not have any more. */
static bool is_misnamed(const struct bound *b, bool renamed, bool moved)
{
	return (b->m->name && renamed) || (b->m->path && moved);
}

static const struct qb_link *follow(const struct bound *b, const struct qb_link *is)
{
	bool renamed = !qb_streq(is->name, b->name);
	bool moved = is->path && b->path && !qb_streq(is->path, b->path);
	const char *kind = moved ? "nic-moved" : "nic-renamed";
	_cleanup_free_ char *was = was_words(b), *now = qb_link_words(is), *other = NULL;

	/* What was named by its very MAC is here again, and what took its place is, too. */
	if (b->m->mac && b->named && b->named != is) {
		other = qb_link_words(b->named);
		qb_plan_refuse(b->plan, b->bridge, "ambiguous",
			       "%s names %s, and %s was bound to %s since, which is here, too; "
			       "name the one of them that is meant in the configuration",
			       b->match, other, b->bridge, now);
		return NULL;
	}
	if (!renamed && !moved)
		return is;
	if (b->plan->rebind) {
		note(b, kind, is, moved ? "which is in another slot now:" : "which is called now");
		return is;
	}
	if (b->plan->bound || !is_misnamed(b, renamed, moved))
		return is;
	other = b->named ? qb_link_words(b->named) : NULL;
	qb_plan_refuse(b->plan, b->bridge, kind,
		       "%s was bound to %s, which is %s now, and %s names %s; qubi-agent repair "
		       "goes on with the hardware, or name in the configuration what is meant",
		       b->bridge, was, now, b->match, other ? other : "no link");
	return NULL;
}

/*
 * What may have come in the place of a NIC that is gone: the one that is in its slot. Where NICs
 * have no slot, the one that has its name, if that is what the configuration goes by.
 */
static const struct qb_link *find_candidate(const struct bound *b)
{
	const struct qb_link *found = NULL;

	if (!b->path)
		return b->m->name && b->named && !b->named->path ? b->named : NULL;
	for (size_t i = 0; i < b->net->n_links; i++) {
		const struct qb_link *l = &b->net->links[i];

		if (!qb_link_is_nic(l) || !qb_streq(l->path, b->path))
			continue;
		/* Two of one slot: which of them it would be is not clear. */
		if (found)
			return NULL;
		found = l;
	}
	return found;
}

static char *free_words(const struct bound *b)
{
	_cleanup_strs_ struct qb_strs names = {0};

	for (size_t i = 0; i < b->net->n_links; i++) {
		_cleanup_free_ char *one = qb_link_words(&b->net->links[i]);

		if (qb_link_is_nic(&b->net->links[i]) && !b->net->links[i].master)
			qb_strs_add(&names, one);
	}
	return names.n ? qb_strs_sentence(&names) : qb_strdup("none");
}

static const struct qb_link *replace(const struct bound *b)
{
	const struct qb_link *candidate = find_candidate(b);
	_cleanup_free_ char *was = was_words(b), *now = NULL;
	const char *place = b->path ? "in its slot" : "of its name";

	if (!candidate) {
		now = free_words(b);
		qb_plan_refuse(b->plan, b->bridge, "nic-missing",
			       "%s was bound to %s, which is not here any more, and no one NIC is "
			       "%s; name the NIC that takes its place by its MAC address in the "
			       "configuration; not in use are: %s",
			       b->bridge, was, place, now);
		return NULL;
	}
	if (b->plan->rebind) {
		note(b, "nic-replaced", candidate,
		     b->path ? "which is gone; in its slot is" : "which is gone; of its name is");
		return candidate;
	}
	now = qb_link_words(candidate);
	qb_plan_refuse(b->plan, b->bridge, "nic-missing",
		       "%s was bound to %s, which is not here any more; %s is %s: if that "
		       "replaces it, qubi-agent repair binds %s to it",
		       b->bridge, was, place, now, b->bridge);
	return NULL;
}

/* Hardware that was given the MAC of another is not that other. */
static const struct qb_link *next_recorded(const struct bound *b, const char *permanent,
					   const struct qb_link *after)
{
	const struct qb_link *l = after;

	while (b->mac && (l = qb_link_by_mac(b->net, b->mac, l)))
		if (!permanent || !l->permanent_mac || same_mac(l->permanent_mac, permanent))
			return l;
	return NULL;
}

const struct qb_link *qb_bound_plan(const struct qb_net *net, const struct qb_bridge_config *config,
				    const struct qb_port_match *m, const json_t *record,
				    const struct qb_link *named, struct qb_plan *plan)
{
	_cleanup_free_ char *match = qb_port_match_words(m);
	const char *permanent = qb_arg(record, "permanent_mac");
	struct bound b = {
		.net = net,
		.bridge = config->name,
		.match = match,
		.m = m,
		.named = named,
		.plan = plan,
		.name = qb_arg(record, "name"),
		.mac = permanent ? permanent : qb_arg(record, "mac"),
		.path = qb_arg(record, "path"),
	};
	const char *kind = qb_arg(record, "kind");
	const struct qb_link *is = next_recorded(&b, permanent, NULL);

	/* What is made by software has its MAC from what is below it, and is known by its name. */
	if (kind && strcmp(kind, "veth") != 0) {
		is = qb_net_link(net, b.name);
		return is && qb_streq(is->kind, kind) ? is : replace(&b);
	}
	if (is && next_recorded(&b, permanent, is)) {
		qb_plan_refuse(plan, config->name, "ambiguous",
			       "%s was bound to the NIC with MAC %s, which more than one has now",
			       config->name, b.mac);
		return NULL;
	}
	return is ? follow(&b, is) : replace(&b);
}
