/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_parse.h"

#include <arpa/inet.h>
#include <errno.h>

#include "agent/host/xml_lib.h"

enum {
	XML_MAX = 16 << 20
};

static inline void doc_freep(xmlDocPtr *doc)
{
	if (*doc)
		sym_xmlFreeDoc(*doc);
}
#define _cleanup_doc_ QB_CLEANUP(doc_freep)

/* A document whose root element is kind, or NULL. */
static xmlDocPtr read_doc(const char *xml, const char *kind)
{
	size_t len = strlen(xml);
	xmlNodePtr root;
	xmlDocPtr doc;

	if (len > XML_MAX || qb_xml_load(NULL) < 0)
		return NULL;
	doc = sym_xmlReadMemory(xml, (int)len, NULL, NULL,
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	root = doc ? sym_xmlDocGetRootElement(doc) : NULL;
	if (!root || strcmp((const char *)root->name, kind) != 0) {
		doc_freep(&doc);
		return NULL;
	}
	return doc;
}

static xmlNodePtr next_named(xmlNodePtr node, const char *name)
{
	while (node &&
	       (node->type != XML_ELEMENT_NODE || strcmp((const char *)node->name, name) != 0))
		node = node->next;
	return node;
}

static xmlNodePtr child(xmlNodePtr parent, const char *name)
{
	return parent ? next_named(parent->children, name) : NULL;
}

#define FOR_EACH_CHILD(node, parent, name)                                                         \
	for (xmlNodePtr node = child(parent, name); node; node = next_named((node)->next, name))

/* The value of an attribute, owned by the caller; NULL where there is none. */
static char *attribute(xmlNodePtr node, const char *name)
{
	xmlChar *value = node ? sym_xmlGetNoNsProp(node, BAD_CAST name) : NULL;
	char *copy = qb_strdup((const char *)value);

	(*sym_xmlFree)(value);
	return copy;
}

static char *content(xmlNodePtr node)
{
	xmlChar *value = node ? sym_xmlNodeGetContent(node) : NULL;
	char *copy = value ? qb_strdup(qb_strip((char *)value)) : NULL;

	(*sym_xmlFree)(value);
	return copy;
}

static bool attribute_is(xmlNodePtr node, const char *name, const char *value)
{
	_cleanup_free_ char *is = attribute(node, name);

	return qb_streq(is, value);
}

/* "255.255.255.0" or "24", as an address is written with either. */
static char *host_address(xmlNodePtr ip)
{
	_cleanup_free_ char *address = attribute(ip, "address");
	_cleanup_free_ char *prefix = attribute(ip, "prefix"), *netmask = attribute(ip, "netmask");
	struct in_addr mask;

	if (!address)
		return NULL;
	if (prefix)
		return qb_asprintf("%s/%s", address, prefix);
	if (netmask && inet_pton(AF_INET, netmask, &mask) == 1)
		return qb_asprintf("%s/%d", address, __builtin_popcount(mask.s_addr));
	return QB_TAKE_PTR(address);
}

/* formatnetwork.html: the attribute dev, and those of interface and pf, which may repeat it. */
static void forward_devices(xmlNodePtr forward, struct qb_strs *ret)
{
	static const char *const elements[] = {"interface", "pf"};
	_cleanup_free_ char *own = attribute(forward, "dev");

	if (own)
		qb_strs_add(ret, own);
	for (size_t i = 0; i < QB_ARRAY_SIZE(elements); i++) {
		FOR_EACH_CHILD(node, forward, elements[i])
		{
			_cleanup_free_ char *dev = attribute(node, "dev");

			if (dev && !qb_strs_has(ret, dev))
				qb_strs_add(ret, dev);
		}
	}
}

int qb_vir_network_parse(const char *xml, struct qb_vir_network *ret)
{
	_cleanup_doc_ xmlDocPtr doc = read_doc(xml, "network");
	xmlNodePtr root = doc ? sym_xmlDocGetRootElement(doc) : NULL, forward;

	if (!root || !child(root, "name"))
		return -EINVAL;
	forward = child(root, "forward");
	ret->name = content(child(root, "name"));
	ret->uuid = content(child(root, "uuid"));
	ret->forward = attribute(forward, "mode");
	if (forward && !ret->forward)
		ret->forward = qb_strdup("nat"); /* libvirt's default */
	ret->bridge = attribute(child(root, "bridge"), "name");
	forward_devices(forward, &ret->devices);
	FOR_EACH_CHILD(ip, root, "ip")
	{
		_cleanup_free_ char *family = attribute(ip, "family");

		if (!ret->address && (!family || !strcmp(family, "ipv4")))
			ret->address = host_address(ip);
	}
	return 0;
}

/* libvirt keeps the slashes that somebody wrote at the end. */
static char *directory(char *path)
{
	size_t n = path ? strlen(path) : 0;

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	return path;
}

int qb_vir_pool_parse(const char *xml, struct qb_vir_pool *ret)
{
	_cleanup_doc_ xmlDocPtr doc = read_doc(xml, "pool");
	xmlNodePtr root = doc ? sym_xmlDocGetRootElement(doc) : NULL, source;

	if (!root || !child(root, "name"))
		return -EINVAL;
	source = child(root, "source");
	ret->name = content(child(root, "name"));
	ret->uuid = content(child(root, "uuid"));
	ret->type = attribute(root, "type");
	ret->target = directory(content(child(child(root, "target"), "path")));
	ret->source_device = attribute(child(source, "device"), "path");
	ret->source_name = content(child(source, "name"));
	return 0;
}

int qb_vir_domain_parse(const char *xml, struct qb_strs *ret_devices)
{
	_cleanup_doc_ xmlDocPtr doc = read_doc(xml, "domain");
	xmlNodePtr devices = doc ? child(sym_xmlDocGetRootElement(doc), "devices") : NULL;

	if (!doc)
		return -EINVAL;
	FOR_EACH_CHILD(disk, devices, "disk")
	{
		_cleanup_free_ char *dev = attribute(child(disk, "source"), "dev");

		if (attribute_is(disk, "type", "block") && dev && !qb_strs_has(ret_devices, dev))
			qb_strs_add(ret_devices, dev);
	}
	return 0;
}

int qb_vir_capabilities_parse(const char *xml, bool *ret_kvm)
{
	_cleanup_doc_ xmlDocPtr doc = read_doc(xml, "capabilities");

	if (!doc)
		return -EINVAL;
	*ret_kvm = false;
	FOR_EACH_CHILD(guest, sym_xmlDocGetRootElement(doc), "guest")
	FOR_EACH_CHILD(domain, child(guest, "arch"), "domain")
	*ret_kvm |= attribute_is(domain, "type", "kvm");
	return 0;
}
