/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_xml.h"

#include <arpa/inet.h>
#include <errno.h>

#include "agent/base/log.h"
#include "agent/host/xml_lib.h"

static const xmlChar *x(const char *s)
{
	return (const xmlChar *)s;
}

static xmlNodePtr element(xmlNodePtr parent, const char *name, const char *text)
{
	xmlNodePtr node = sym_xmlNewTextChild(parent, NULL, x(name), text ? x(text) : NULL);

	if (!node)
		abort();
	return node;
}

static xmlNodePtr attribute(xmlNodePtr node, const char *name, const char *value)
{
	if (!sym_xmlNewProp(node, x(name), x(value)))
		abort();
	return node;
}

static xmlNodePtr begin(const char *root, const char *name, const char *uuid)
{
	struct qb_error err = QB_ERROR_INIT;
	xmlNodePtr node;
	xmlDocPtr doc;

	/* The package requires it. */
	if (qb_xml_load(&err) < 0) {
		qb_log(QB_LOG_ERROR, "%s", err.msg);
		abort();
	}
	doc = sym_xmlNewDoc(x("1.0"));
	node = sym_xmlNewNode(NULL, x(root));
	if (!doc || !node)
		abort();
	sym_xmlDocSetRootElement(doc, node);
	element(node, "name", name);
	element(node, "uuid", uuid);
	return node;
}

static char *end(xmlNodePtr root)
{
	xmlBufferPtr buffer = sym_xmlBufferCreate();
	char *text;

	if (!buffer || sym_xmlNodeDump(buffer, root->doc, root, 0, 1) < 0)
		abort();
	text = qb_asprintf("%s\n", (const char *)sym_xmlBufferContent(buffer));
	sym_xmlBufferFree(buffer);
	sym_xmlFreeDoc(root->doc);
	return text;
}

int qb_subnet_parse(const char *text, struct qb_subnet *ret)
{
	_cleanup_free_ char *address = qb_strndup(text, strcspn(text, "/"));
	const char *slash = strchr(text, '/');
	struct in_addr a, host, first, last;
	uint64_t prefix;
	uint32_t net, mask;

	if (!slash || qb_parse_u64(slash + 1, &prefix) < 0 || prefix < 1 || prefix > 30 ||
	    inet_pton(AF_INET, address, &a) != 1)
		return -EINVAL;
	mask = ~0u << (32 - prefix);
	net = ntohl(a.s_addr) & mask;
	host.s_addr = htonl(net + 1);
	first.s_addr = htonl(net + 2);
	last.s_addr = htonl((net | ~mask) - 1);
	ret->prefix = (unsigned)prefix;
	inet_ntop(AF_INET, &host, ret->host, sizeof(ret->host));
	inet_ntop(AF_INET, &first, ret->first, sizeof(ret->first));
	inet_ntop(AF_INET, &last, ret->last, sizeof(ret->last));
	return 0;
}

char *qb_network_bridge_xml(const char *name, const char *uuid, const char *bridge)
{
	xmlNodePtr root = begin("network", name, uuid);

	attribute(element(root, "forward", NULL), "mode", "bridge");
	attribute(element(root, "bridge", NULL), "name", bridge);
	return end(root);
}

char *qb_network_xml(const struct qb_network_config *network, const char *uuid,
		     const struct qb_subnet *subnet)
{
	static const char *const modes[] = {"nat", "route", NULL};
	xmlNodePtr root = begin("network", network->name, uuid), ip, range;
	char prefix[8];

	if (modes[network->forward])
		attribute(element(root, "forward", NULL), "mode", modes[network->forward]);
	/* Its bridge has no loops to find, and guests are not to wait for it. */
	attribute(attribute(element(root, "bridge", NULL), "stp", "on"), "delay", "0");
	if (!subnet)
		return end(root);
	snprintf(prefix, sizeof(prefix), "%u", subnet->prefix);
	ip = element(root, "ip", NULL);
	attribute(attribute(ip, "address", subnet->host), "prefix", prefix);
	range = element(element(ip, "dhcp", NULL), "range", NULL);
	attribute(attribute(range, "start", subnet->first), "end", subnet->last);
	return end(root);
}

char *qb_pool_xml(const struct qb_pool_config *pool, const char *uuid, const char *source_device)
{
	static const char *const types[] = {"dir", "fs", "logical"};
	xmlNodePtr root = begin("pool", pool->name, uuid), source;

	attribute(root, "type", types[pool->type]);
	if (source_device) {
		source = element(root, "source", NULL);
		attribute(element(source, "device", NULL), "path", source_device);
		attribute(element(source, "format", NULL), "type", "xfs");
	}
	element(element(root, "target", NULL), "path", pool->target);
	return end(root);
}
