/* SPDX-License-Identifier: Apache-2.0 */
#include "net/keyfile.h"

#include <linux/rtnetlink.h>

#include "agent/base/uuid.h"
#include "net/family.h"
#include "net/names.h"

#define DIR_PROFILES "/etc/NetworkManager/system-connections"
/* The highest there is: above the profile that the NIC had of its own, which stays where it is. */
#define PRIORITY 999

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

/*
 * Which interface identifier an address announced by a router gets depends on the profile; a
 * token makes it the one that the host had.
 */
static void put_identifier(struct qb_buf *b, const struct qb_family *f, const char *mac)
{
	_cleanup_free_ char *token = NULL;
	struct qb_ip ip;

	if (f->dynamic && !qb_address_is_eui64(f->dynamic, mac) &&
	    qb_ip_parse(f->dynamic->address, &ip) == 0 && ip.prefix == 64) {
		memset(ip.bytes, 0, 8);
		token = qb_ip_format(ip.family, ip.bytes);
		qb_buf_printf(b, "addr-gen-mode=eui64\ntoken=%s\n", token);
	} else if (f->link_local || f->method == QB_FAMILY_FIXED) {
		qb_buf_printf(b, "addr-gen-mode=%s\n",
			      !f->link_local || qb_address_is_eui64(f->link_local, mac)
				      ? "eui64"
				      : "stable-privacy");
	}
}

/* A DHCP server is to know the host again. The MAC, by which it does else, is the same anyway. */
static void put_identity(struct qb_buf *b, const struct qb_link *source, const char *family)
{
	for (size_t i = 0; source && i < source->dhcp_identity.n; i++)
		if (qb_startswith(source->dhcp_identity.v[i], family))
			qb_buf_printf(b, "%s\n", source->dhcp_identity.v[i] + strlen(family));
}

/* What the configuration says is written as it stands there: the kernel has no order of its own. */
static void put_addresses(struct qb_buf *b, const struct qb_family *f)
{
	size_t n = f->given ? f->given->n : f->n_addresses;

	for (size_t i = 0; i < n; i++)
		qb_buf_printf(b, "address%zu=%s\n", i + 1,
			      f->given ? f->given->v[i] : f->addresses[i]->address);
}

static void put_family(struct qb_buf *b, const struct qb_net *net, const struct qb_move *move,
		       const char *name, const struct qb_ip_config *ip)
{
	static const char *const methods[] = {
		[QB_FAMILY_OFF] = "disabled",
		[QB_FAMILY_FIXED] = "manual",
		[QB_FAMILY_ASKED] = "auto",
	};
	bool inet6 = !strcmp(name, "inet6");
	_cleanup_family_ struct qb_family f = {0};

	qb_family_find(net, move, name, ip, &f);
	qb_buf_printf(b, "\n[%s]\nmethod=%s\n", inet6 ? "ipv6" : "ipv4", methods[f.method]);
	put_addresses(b, &f);
	if (f.method == QB_FAMILY_OFF)
		return;
	if (f.method == QB_FAMILY_ASKED)
		put_identity(b, qb_net_link(net, move->source), inet6 ? "ipv6." : "ipv4.");
	if (f.best)
		qb_buf_printf(b, "gateway=%s\n", f.best->gateway);
	if (f.metric >= 0)
		qb_buf_printf(b, "route-metric=%lld\n", (long long)f.metric);
	if (f.table != RT_TABLE_MAIN)
		qb_buf_printf(b, "route-table=%lld\n", (long long)f.table);
	qb_keyfile_routes(b, f.routes, f.n_routes, inet6);
	qb_keyfile_rules(b, net, move, &f);
	if (inet6)
		put_identifier(b, &f, move->mac);
	if (f.method == QB_FAMILY_FIXED) {
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
	_cleanup_free_ char *usual = qb_ip_last(a->address);

	return !a->broadcast || qb_streq(a->broadcast, usual);
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
				       "NetworkManager profile cannot say that; what it does not "
				       "need is to be taken off it first, or the address named "
				       "under %s, addresses, which gives it without",
				       a->address, move->source ? move->source : move->bridge, list,
				       strcmp(qb_ip_family(a->address), "inet6") ? "ipv4" : "ipv6");
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
