/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_network.h"

#include <errno.h>

#include "agent/host/libvirt_parse.h"
#include "agent/host/xml.h"

/* The elements of a key that is a list. */
static const char *element_of(unsigned key)
{
	return key == QB_NETWORK_RANGES       ? "range"
	       : key == QB_NETWORK_FORWARDERS ? "forwarder"
					      : "host";
}

static bool in_dns(unsigned key)
{
	return key & (QB_NETWORK_FORWARDERS | QB_NETWORK_RECORDS);
}

/* The IPv4 address with DHCP, else the first one; and which of all addresses it is. */
static struct qb_xml *dhcp_ip(struct qb_xml *root, int *ret_index)
{
	struct qb_xml *found = NULL;
	int i = 0;

	*ret_index = -1;
	for (struct qb_xml *ip = root->first; ip; ip = ip->next) {
		const char *family = qb_xml_value(ip, "family");

		if (strcmp(ip->name, "ip") != 0)
			continue;
		if ((!family || !strcmp(family, "ipv4")) &&
		    (!found || (!qb_xml_child(found, "dhcp") && qb_xml_child(ip, "dhcp")))) {
			found = ip;
			*ret_index = i;
		}
		i++;
	}
	return found;
}

/* Where the items of a list are, made where they could be; NULL where there can be none. */
static struct qb_xml *list_of(struct qb_xml *root, unsigned key)
{
	struct qb_xml *ip;
	int i;

	if (in_dns(key))
		return qb_xml_part(root, "dns");
	ip = dhcp_ip(root, &i);
	return ip ? qb_xml_part(ip, "dhcp") : NULL;
}

/* Parts that only hold others; libvirt leaves them out when they are empty. */
static void drop_if_empty(struct qb_xml *parent, const char *name)
{
	const struct qb_xml *child = qb_xml_child(parent, name);

	if (child && !child->first && !child->n_attributes)
		qb_xml_drop_all(parent, name);
}

static void tidy(struct qb_xml *root)
{
	drop_if_empty(root, "dns");
	for (struct qb_xml *ip = root->first; ip; ip = ip->next)
		if (!strcmp(ip->name, "ip"))
			drop_if_empty(ip, "dhcp");
}

/* A document that is edited, or that the edits come from. */
struct document {
	struct qb_xml *root;
	struct qb_vir_definition is;
};

static void document_done(struct document *d)
{
	qb_xml_free(d->root);
	qb_schema_done(&qb_vir_definition_type, &d->is);
}

#define _cleanup_document_ QB_CLEANUP(document_done)

static int document_read(const char *xml, struct document *ret)
{
	ret->root = qb_xml_read(xml, "network");
	return ret->root ? qb_vir_definition_parse(xml, &ret->is) : -EINVAL;
}

/* What both have stays as it is, with what else libvirt knows of it: the time of a lease. */
static void edit_list(struct document *d, struct document *wanted, unsigned key)
{
	_cleanup_strs_ struct qb_strs have = {0}, want = {0};
	struct qb_xml *list = list_of(d->root, key), *source = list_of(wanted->root, key);
	const char *name = element_of(key);
	size_t i = 0;

	if (!list || !source)
		return;
	qb_network_items(&d->is, key, &have);
	qb_network_items(&wanted->is, key, &want);
	for (struct qb_xml *next, *item = list->first; item; item = next) {
		next = item->next;
		if (!strcmp(item->name, name) && i < have.n && !qb_strs_has(&want, have.v[i++]))
			qb_xml_drop(item);
	}
	i = 0;
	QB_XML_EACH (item, source, name)
		if (i < want.n && !qb_strs_has(&have, want.v[i++]))
			qb_xml_copy(list, item);
}

static void edit_forward(struct document *d, const struct document *wanted)
{
	const struct qb_xml *to = qb_xml_child(wanted->root, "forward");
	struct qb_xml *forward;

	/* An open or isolated network is bound to no link. */
	if (!to || !strcmp(wanted->is.forward, "open"))
		qb_xml_drop_all(d->root, "forward");
	if (!to)
		return;
	forward = qb_xml_part(d->root, "forward");
	qb_xml_set(forward, "mode", wanted->is.forward);
	if (strcmp(wanted->is.forward, "nat") != 0)
		qb_xml_drop_all(forward, "nat");
}

/* Where somebody took DHCP out, and the configuration says nothing of it, it stays off. */
static void edit_address(struct document *d, struct document *wanted, unsigned given)
{
	static const char *const lists[] = {"range", "host"};
	bool off = d->is.address && !d->is.n_dhcp_ranges && !(given & QB_NETWORK_RANGES);
	const struct qb_xml *dhcp;
	struct qb_xml *ip, *from;
	int i;

	from = dhcp_ip(wanted->root, &i);
	ip = dhcp_ip(d->root, &i);
	if (!ip)
		ip = qb_xml_add(d->root, "ip", NULL);
	qb_xml_unset(ip, "netmask");
	qb_xml_set(ip, "address", qb_xml_value(from, "address"));
	qb_xml_set(ip, "prefix", qb_xml_value(from, "prefix"));
	dhcp = qb_xml_child(from, "dhcp");
	for (size_t k = off ? 1 : 0; k < QB_ARRAY_SIZE(lists); k++) {
		qb_xml_drop_all(qb_xml_part(ip, "dhcp"), lists[k]);
		QB_XML_EACH (item, dhcp, lists[k])
			qb_xml_copy(qb_xml_part(ip, "dhcp"), item);
	}
}

/* The host's bridge, or a network that libvirt makes one for. */
static bool is_own(const struct qb_vir_definition *is)
{
	return !is->forward || !strcmp(is->forward, "nat") || !strcmp(is->forward, "route") ||
	       !strcmp(is->forward, "open");
}

static bool is_another_thing(const struct document *d, const struct document *wanted, unsigned keys)
{
	if (is_own(&d->is) != is_own(&wanted->is))
		return true;
	return keys && !is_own(&d->is) &&
	       (d->is.devices.n || !qb_streq(d->is.forward, wanted->is.forward));
}

/* keys differ, of those that the configuration has given. */
static void edit(struct document *d, struct document *wanted, unsigned keys, unsigned given)
{
	struct qb_xml *domain = NULL;

	if (keys & QB_NETWORK_FORWARD)
		edit_forward(d, wanted);
	if (keys & QB_NETWORK_BRIDGE)
		qb_xml_set(qb_xml_part(d->root, "bridge"), "name", wanted->is.bridge);
	if (keys & (QB_NETWORK_DOMAIN | QB_NETWORK_LOCAL_ONLY))
		domain = qb_xml_part(d->root, "domain");
	if (keys & QB_NETWORK_DOMAIN)
		qb_xml_set(domain, "name", wanted->is.domain);
	if (keys & QB_NETWORK_LOCAL_ONLY)
		qb_xml_set(domain, "localOnly", wanted->is.domain_local_only ? "yes" : "no");
	if (keys & QB_NETWORK_FORWARDERS)
		edit_list(d, wanted, QB_NETWORK_FORWARDERS);
	if (keys & QB_NETWORK_RECORDS)
		edit_list(d, wanted, QB_NETWORK_RECORDS);
	if (keys & QB_NETWORK_ADDRESS) {
		edit_address(d, wanted, given);
		return;
	}
	if (keys & QB_NETWORK_RANGES)
		edit_list(d, wanted, QB_NETWORK_RANGES);
	if (keys & QB_NETWORK_HOSTS)
		edit_list(d, wanted, QB_NETWORK_HOSTS);
}

/* Nothing of the one goes with the other; but to libvirt it is the same network. */
static void replace(struct document *d, const struct document *wanted)
{
	struct qb_xml *root = qb_xml_copy(NULL, wanted->root);
	const char *uuid = qb_xml_content(qb_xml_child(d->root, "uuid"));

	if (uuid)
		qb_strset(&qb_xml_part(root, "uuid")->text, uuid);
	qb_xml_free(d->root);
	d->root = root;
}

/* What only others read stays to the letter: text among elements, comments, white space. */
static void keep_metadata(const char *is, char **text)
{
	static const char begin[] = "<metadata", end[] = "</metadata>";
	const char *from = strstr(is, begin), *to = NULL, *at = strstr(*text, begin), *behind;
	char *kept;

	for (const char *p = from; p; p = strstr(p + 1, end))
		to = p;
	behind = at ? strstr(at, end) : NULL;
	if (!behind || to == from)
		return;
	kept = qb_asprintf("%.*s%.*s%s", (int)(at - *text), *text, (int)(to - from), from, behind);
	free(*text);
	*text = kept;
}

int qb_network_edit(const char *is, const char *wanted, unsigned keys, char **ret)
{
	_cleanup_document_ struct document d = {0}, to = {0};
	unsigned given = keys;
	int r = document_read(is, &d);

	if (r == 0)
		r = document_read(wanted, &to);
	if (r < 0)
		return r;
	keys = qb_network_differences(&d.is, &to.is, keys);
	if (is_another_thing(&d, &to, keys))
		replace(&d, &to);
	else
		edit(&d, &to, keys, given);
	tidy(d.root);
	*ret = keys ? qb_xml_write(d.root) : qb_strdup(is);
	keep_metadata(is, ret);
	return 0;
}

/* Takes the items of a list out, each as a document of its own. */
static void take_items(struct qb_xml *root, unsigned key, struct qb_strs *ret)
{
	struct qb_xml *list = list_of(root, key);

	for (struct qb_xml *next, *item = list ? list->first : NULL; item; item = next) {
		_cleanup_free_ char *text = NULL;

		next = item->next;
		if (strcmp(item->name, element_of(key)) != 0)
			continue;
		text = qb_xml_write(item);
		qb_strs_add(ret, text);
		qb_xml_drop(item);
	}
}

static void add_update(struct qb_network_updates *to, bool add, unsigned key, int parent,
		       const char *xml)
{
	*QB_APPEND(to->v, to->n) =
		(struct qb_network_update){add, key, in_dns(key) ? -1 : parent, qb_strdup(xml)};
}

/* Items are only added behind all others: those that come after the first that is missing in
 * from have to be added anew. */
static void order(const struct qb_strs *from, const struct qb_strs *to, unsigned key,
		  const int parents[2], struct qb_network_updates *ret)
{
	size_t kept = 0;

	for (size_t i = 0; i < from->n; i++)
		if (kept < to->n && !strcmp(from->v[i], to->v[kept]))
			kept++;
		else
			add_update(ret, false, key, parents[0], from->v[i]);
	for (size_t i = kept; i < to->n; i++)
		add_update(ret, true, key, parents[1], to->v[i]);
}

/* What is left when the items are out, and what counts interfaces. */
static char *rest(struct qb_xml *root)
{
	qb_xml_unset(root, "connections");
	for (struct qb_xml *forward = root->first; forward; forward = forward->next)
		for (struct qb_xml *dev = forward->first; dev; dev = dev->next)
			if (!strcmp(forward->name, "forward"))
				qb_xml_unset(dev, "connections");
	tidy(root);
	return qb_xml_write(root);
}

int qb_network_updates(const char *from, const char *to, struct qb_network_updates *ret)
{
	static const unsigned keys[] = {QB_NETWORK_RANGES, QB_NETWORK_HOSTS, QB_NETWORK_RECORDS};
	_cleanup_document_ struct document a = {0}, b = {0};
	_cleanup_free_ char *rest_a = NULL, *rest_b = NULL;
	int r = document_read(from, &a), parents[2];

	if (r == 0)
		r = document_read(to, &b);
	if (r < 0)
		return r;
	dhcp_ip(a.root, &parents[0]);
	dhcp_ip(b.root, &parents[1]);
	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++) {
		_cleanup_strs_ struct qb_strs have = {0}, want = {0};
		size_t before = ret->n;

		take_items(a.root, keys[i], &have);
		take_items(b.root, keys[i], &want);
		order(&have, &want, keys[i], parents, ret);
		if (ret->n > before)
			ret->restart |= !qb_network_updatable(&a.is, keys[i]) ||
					!qb_network_updatable(&b.is, keys[i]);
	}
	rest_a = rest(a.root);
	rest_b = rest(b.root);
	ret->restart |= strcmp(rest_a, rest_b) != 0;
	return 0;
}

void qb_network_updates_done(struct qb_network_updates *updates)
{
	for (size_t i = 0; i < updates->n; i++)
		free(updates->v[i].xml);
	free(updates->v);
	*updates = (struct qb_network_updates){0};
}
