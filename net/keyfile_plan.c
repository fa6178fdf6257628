/* SPDX-License-Identifier: Apache-2.0 */
#include "net/keyfile.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "agent/base/uuid.h"
#include "net/names.h"

#define DIR_PROFILES "/etc/NetworkManager/system-connections"
/* The highest there is: above the profile that the NIC had of its own, which stays where it is. */
#define PRIORITY 999
#define PREFIX_METRIC6 256 /* of the kernel's own route to the network of an IPv6 address */

void qb_keyfiles_done(struct qb_keyfiles *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->v[i].path);
		free(files->v[i].text);
	}
	free(files->v);
	*files = (struct qb_keyfiles){0};
}

struct qb_keyfile *qb_keyfile_add(struct qb_keyfiles *files, const char *id)
{
	struct qb_keyfile *file = QB_APPEND(files->v, files->n);

	file->path = qb_asprintf(DIR_PROFILES "/%s.nmconnection", id);
	return file;
}

/* What the bridge has of one family once the move is done. */
struct family {
	const char *name;                    /* inet, inet6 */
	const struct qb_address **addresses; /* permanent, not link-local */
	size_t n_addresses;
	const struct qb_route **routes;
	size_t n_routes;
	const struct qb_route *best;      /* the default route of the lowest metric */
	const struct qb_address *dynamic; /* one that is renewed */
	const struct qb_route *announced; /* a default route of a lease or a router */
	bool fixed;                       /* nothing comes by itself: all is written down */
	const struct qb_address *link_local;
};

static void family_donep(struct family *f)
{
	free(f->addresses);
	free(f->routes);
}

static void take_addresses(struct family *f, const struct qb_address *a, size_t n)
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

/* One that a profile is about. */
static bool is_relevant(const struct family *f, const struct qb_route *r)
{
	return !strcmp(r->family, f->name) && qb_keyfile_wants(r);
}

static void find_announced(struct family *f, const struct qb_route *r)
{
	if (is_relevant(f, r) && !strcmp(r->dst, "default") && r->gateway && is_renewed(r) &&
	    (!f->announced || r->table == RT_TABLE_MAIN))
		f->announced = r;
}

static void take_route(struct family *f, const struct qb_route *r)
{
	if (!is_relevant(f, r))
		return;
	if (!is_gateway(r) || (f->best && f->best->metric <= r->metric)) {
		if (f->fixed || !is_renewed(r))
			*QB_APPEND(f->routes, f->n_routes) = r;
		return;
	}
	if (f->best && (f->fixed || !is_renewed(f->best)))
		*QB_APPEND(f->routes, f->n_routes) = f->best;
	f->best = r;
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
static bool is_leased(const struct family *f, const struct qb_address *a)
{
	const char *source = f->announced ? f->announced->prefsrc : NULL;
	size_t len = source ? strlen(source) : 0;

	return !f->fixed && len && !strncmp(a->address, source, len) && a->address[len] == '/';
}

/* A list in a keyfile ends each item with ";". */
static void put_list(struct qb_buf *b, const char *key, const struct qb_strs *list,
		     const char *family)
{
	bool any = false;

	for (size_t i = 0; i < list->n; i++) {
		const char *item = list->v[i];

		/* A resolver on this host is not one that a profile can name. */
		if (family && (strcmp(qb_ip_family(item), family) != 0 ||
			       qb_startswith(item, "127.") || !strcmp(item, "::1")))
			continue;
		qb_buf_printf(b, "%s%s;", any ? "" : key, item);
		any = true;
	}
	if (any)
		qb_buf_puts(b, "\n");
}

/* It ends as the link-local address that is made of the MAC. */
static bool is_eui64(const struct qb_address *a, const char *mac)
{
	_cleanup_free_ char *made = qb_ip_link_local(mac);
	struct qb_ip ip, want;

	return a && made && qb_ip_parse(a->address, &ip) == 0 && qb_ip_parse(made, &want) == 0 &&
	       !memcmp(ip.bytes + 8, want.bytes + 8, 8);
}

/*
 * Which interface identifier an address announced by a router gets depends on the profile; a
 * token makes it the one that the host had.
 */
static void put_identifier(struct qb_buf *b, const struct family *f, const char *mac)
{
	_cleanup_free_ char *token = NULL;
	struct qb_ip ip;

	if (f->dynamic && !is_eui64(f->dynamic, mac) &&
	    qb_ip_parse(f->dynamic->address, &ip) == 0 && ip.prefix == 64) {
		memset(ip.bytes, 0, 8);
		token = qb_ip_format(ip.family, ip.bytes);
		qb_buf_printf(b, "addr-gen-mode=eui64\ntoken=%s\n", token);
	} else if (f->link_local || f->fixed) {
		qb_buf_printf(b, "addr-gen-mode=%s\n",
			      !f->link_local || is_eui64(f->link_local, mac) ? "eui64"
									     : "stable-privacy");
	}
}

static const char *method(const struct family *f, const struct qb_ip_config *ip)
{
	bool inet6 = !strcmp(f->name, "inet6");

	if (ip->mode == QB_IP_NONE)
		return "disabled";
	if (ip->mode == QB_IP_STATIC)
		return "manual";
	if (f->dynamic || ip->mode == QB_IP_DHCP)
		return "auto";
	if (f->announced && ip->mode == QB_IP_INHERIT)
		return "auto";
	if (f->n_addresses)
		return "manual";
	/* A host that listens to routers, though none has spoken yet. */
	if (inet6 && f->link_local)
		return "auto";
	return "disabled";
}

/* A DHCP server is to know the host again. The MAC, by which it does else, is the same anyway. */
static void put_identity(struct qb_buf *b, const struct qb_link *source, const char *family)
{
	for (size_t i = 0; source && i < source->dhcp_identity.n; i++)
		if (qb_startswith(source->dhcp_identity.v[i], family))
			qb_buf_printf(b, "%s\n", source->dhcp_identity.v[i] + strlen(family));
}

/* What the configuration says is written as it stands there: the kernel has no order of its own. */
static void put_addresses(struct qb_buf *b, const struct family *f, const struct qb_ip_config *ip)
{
	size_t n = 0;

	if (ip->mode == QB_IP_STATIC) {
		for (size_t i = 0; i < ip->addresses.n; i++)
			qb_buf_printf(b, "address%zu=%s\n", i + 1, ip->addresses.v[i]);
		return;
	}
	for (size_t i = 0; i < f->n_addresses; i++)
		if (!is_leased(f, f->addresses[i]))
			qb_buf_printf(b, "address%zu=%s\n", ++n, f->addresses[i]->address);
}

static bool comes_with(const struct qb_route *r, const char *family, const char *network)
{
	return !strcmp(r->family, family) && qb_streq(r->proto, "kernel") && !r->gateway &&
	       r->table == RT_TABLE_MAIN && qb_streq(r->dst, network);
}

/*
 * That of the default route, else of the route that comes with an address: one that is not written
 * down NetworkManager chooses by the order in which links come up. -1: there is neither.
 */
static int64_t find_metric(const struct family *f, const struct qb_net *net,
			   const struct qb_link *bridge, const struct qb_move *move)
{
	const struct qb_address *a = f->n_addresses ? f->addresses[0] : f->dynamic;
	_cleanup_free_ char *network = a ? qb_ip_network(a->address) : NULL;

	if (f->best || !a)
		return f->best ? f->best->metric : -1;
	if (!(a->flags & IFA_F_NOPREFIXROUTE) && !a->metric)
		return !strcmp(f->name, "inet6") ? PREFIX_METRIC6 : 0;
	if (!(a->flags & IFA_F_NOPREFIXROUTE))
		return a->metric;
	for (size_t i = 0; i < move->n_add_routes; i++)
		if (comes_with(&move->add_routes[i], f->name, network))
			return move->add_routes[i].metric;
	for (const struct qb_route *r = NULL; (r = next_route(net, bridge, r));)
		if (comes_with(r, f->name, network))
			return r->metric;
	return -1;
}

static void put_family(struct qb_buf *b, const struct qb_net *net, const struct qb_move *move,
		       const char *name, const struct qb_ip_config *ip)
{
	const struct qb_link *bridge =
		ip->mode == QB_IP_NONE ? NULL : qb_net_link(net, move->bridge);
	QB_CLEANUP(family_donep) struct family f = {.name = name};
	bool inet6 = !strcmp(name, "inet6");
	int64_t table = RT_TABLE_MAIN, metric;
	const char *how;

	if (ip->mode != QB_IP_NONE) {
		take_addresses(&f, move->add, move->n_add);
		for (size_t i = 0; i < move->n_add_routes; i++)
			find_announced(&f, &move->add_routes[i]);
	}
	if (bridge)
		take_addresses(&f, bridge->addresses, bridge->n_addresses);
	for (const struct qb_route *r = NULL; (r = next_route(net, bridge, r));)
		find_announced(&f, r);
	how = method(&f, ip);
	f.fixed = !strcmp(how, "manual");
	qb_buf_printf(b, "\n[%s]\nmethod=%s\n", inet6 ? "ipv6" : "ipv4", how);
	put_addresses(b, &f, ip);
	if (!strcmp(how, "disabled"))
		return;
	if (!strcmp(how, "auto"))
		put_identity(b, qb_net_link(net, move->source), inet6 ? "ipv6." : "ipv4.");
	for (size_t i = 0; ip->mode != QB_IP_NONE && i < move->n_add_routes; i++)
		take_route(&f, &move->add_routes[i]);
	for (const struct qb_route *r = NULL; (r = next_route(net, bridge, r));)
		take_route(&f, r);
	if (f.best && (f.fixed || !is_renewed(f.best)))
		qb_buf_printf(b, "gateway=%s\n", f.best->gateway);
	metric = find_metric(&f, net, bridge, move);
	if (metric >= 0)
		qb_buf_printf(b, "route-metric=%lld\n", (long long)metric);
	if (!f.fixed && f.announced)
		table = f.announced->table;
	if (table != RT_TABLE_MAIN)
		qb_buf_printf(b, "route-table=%lld\n", (long long)table);
	qb_keyfile_routes(b, f.routes, f.n_routes, inet6);
	qb_keyfile_rules(b, net, move, f.routes, f.n_routes, table, name);
	if (inet6)
		put_identifier(b, &f, move->mac);
	if (f.fixed) {
		put_list(b, "dns=", &net->nameservers, name);
		put_list(b, "dns-search=", &net->search, NULL);
	}
}

void qb_keyfile_head(struct qb_buf *b, const char *id, const char *uuid, const char *type)
{
	qb_buf_puts(b, "# Made by qubi-agent from its configuration; changes here are undone.\n");
	qb_buf_printf(b,
		      "[connection]\nid=%s\nuuid=%s\ntype=%s\nautoconnect=true\n"
		      "autoconnect-priority=%d\n",
		      id, uuid, type, PRIORITY);
}

/* NetworkManager computes it; where there is none the kernel does. */
static bool is_usual_broadcast(const struct qb_address *a)
{
	struct qb_ip ip, is;

	if (!a->broadcast)
		return true;
	if (qb_ip_parse(a->address, &ip) < 0 || qb_ip_parse(a->broadcast, &is) < 0)
		return false;
	for (unsigned bit = ip.prefix; bit < 8 * ip.len; bit++)
		ip.bytes[bit / 8] |= (unsigned char)(0x80 >> bit % 8);
	return !memcmp(ip.bytes, is.bytes, ip.len);
}

/* Of IPv6 the kernel knows it by the address; and so NetworkManager does of these. */
static bool is_usual_scope(const struct qb_address *a)
{
	return !a->scope || strcmp(qb_ip_family(a->address), "inet") != 0 ||
	       !strcmp(a->scope, "global") ||
	       (!strcmp(a->scope, "link") && qb_startswith(a->address, "169.254.")) ||
	       (!strcmp(a->scope, "host") && qb_startswith(a->address, "127."));
}

void qb_keyfile_refuse_addresses(const struct qb_move *move, struct qb_plan *plan)
{
	for (size_t i = 0; i < move->n_add; i++) {
		const struct qb_address *a = &move->add[i];
		_cleanup_strs_ struct qb_strs lost = {0};
		_cleanup_free_ char *list = NULL;

		if (qb_address_is_dynamic(a))
			continue;
		if (a->peer)
			qb_strs_addf(&lost, "peer %s", a->peer);
		else if (!is_usual_broadcast(a))
			qb_strs_addf(&lost, "broadcast %s", a->broadcast);
		if (a->label)
			qb_strs_addf(&lost, "label %s", a->label);
		if (!is_usual_scope(a))
			qb_strs_addf(&lost, "scope %s", a->scope);
		list = qb_strs_sentence(&lost);
		if (lost.n)
			qb_plan_refuse(plan, move->bridge, "not-persistent",
				       "%s of %s would be without its %s after a reboot: a "
				       "NetworkManager profile cannot say that",
				       a->address, move->source ? move->source : move->bridge,
				       list);
	}
}

static void put_mtu(struct qb_buf *b, const struct qb_move *move)
{
	if (move->mtu && move->mtu != 1500)
		qb_buf_printf(b, "mtu=%lld\n", (long long)move->mtu);
}

static char *bridge_text(const struct qb_net *net, const struct qb_bridge_config *config,
			 const struct qb_move *move, const char *uuid)
{
	const struct qb_link *source = qb_net_link(net, move->source);
	_cleanup_free_ char *id = qb_asprintf("qubi-%s", config->name);
	struct qb_buf b = {0};

	qb_keyfile_head(&b, id, uuid, "bridge");
	qb_buf_printf(&b, "interface-name=%s\nautoconnect-slaves=1\n", config->name);
	if (source && source->zone)
		qb_buf_printf(&b, "zone=%s\n", source->zone);
	qb_buf_puts(&b, "\n[ethernet]\n");
	if (move->mac)
		qb_buf_printf(&b, "cloned-mac-address=%s\n", move->mac);
	put_mtu(&b, move);
	qb_buf_printf(&b, "\n[bridge]\nstp=%s\n", config->stp ? "true" : "false");
	if (move->vlan_filtering)
		qb_buf_printf(&b, "vlan-filtering=true\nvlan-default-pvid=%lld\n",
			      (long long)move->pvid);
	put_family(&b, net, move, "inet", &config->ipv4);
	put_family(&b, net, move, "inet6", &config->ipv6);
	return b.s;
}

void qb_keyfile_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		     const struct qb_move *move, struct qb_keyfiles *ret)
{
	const char *parts[] = {"networkmanager", "bridge", config->name, NULL};
	_cleanup_free_ char *id = qb_asprintf("qubi-%s", config->name);
	struct qb_keyfiles files = {0};
	struct qb_keyfile *file;
	char uuid[QB_UUID_LEN];

	qb_uuid5(parts, uuid);
	file = qb_keyfile_add(&files, id);
	file->text = bridge_text(net, config, move, uuid);
	for (size_t i = 0; i < move->n_ports; i++)
		qb_keyfile_port(net, config, move, i, uuid, &files);
	*ret = files;
}
