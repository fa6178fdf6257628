/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_xml.h"

#include <arpa/inet.h>
#include <errno.h>

#include "agent/host/xml.h"

static struct qb_xml *begin(const char *root, const char *name, const char *uuid)
{
	struct qb_xml *element = qb_xml_add(NULL, root, NULL);

	qb_xml_add(element, "name", name);
	qb_xml_add(element, "uuid", uuid);
	return element;
}

static char *end(struct qb_xml *root)
{
	char *text = qb_xml_write(root);

	qb_xml_free(root);
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

const char *qb_forward_mode(int forward)
{
	return forward == QB_FORWARD_ISOLATED ? NULL : qb_forward_name(forward);
}

char *qb_network_bridge_xml(const char *name, const char *uuid, const char *bridge)
{
	struct qb_xml *root = begin("network", name, uuid);

	qb_xml_set(qb_xml_add(root, "forward", NULL), "mode", "bridge");
	qb_xml_set(qb_xml_add(root, "bridge", NULL), "name", bridge);
	return end(root);
}

char *qb_network_xml(const struct qb_network_config *network, const char *uuid,
		     const struct qb_subnet *subnet)
{
	const char *mode = qb_forward_mode(network->forward);
	struct qb_xml *root = begin("network", network->name, uuid), *ip, *range;
	char prefix[8];

	if (mode)
		qb_xml_set(qb_xml_add(root, "forward", NULL), "mode", mode);
	/* Its bridge has no loops to find, and guests are not to wait for it. */
	qb_xml_set(qb_xml_set(qb_xml_add(root, "bridge", NULL), "stp", "on"), "delay", "0");
	if (!subnet)
		return end(root);
	snprintf(prefix, sizeof(prefix), "%u", subnet->prefix);
	ip = qb_xml_add(root, "ip", NULL);
	qb_xml_set(qb_xml_set(ip, "address", subnet->host), "prefix", prefix);
	range = qb_xml_add(qb_xml_add(ip, "dhcp", NULL), "range", NULL);
	qb_xml_set(qb_xml_set(range, "start", subnet->first), "end", subnet->last);
	return end(root);
}

char *qb_pool_xml(const struct qb_pool_config *pool, const char *uuid, const char *source_device)
{
	static const char *const types[] = {"dir", "fs", "logical"};
	struct qb_xml *root = begin("pool", pool->name, uuid), *source;

	qb_xml_set(root, "type", types[pool->type]);
	if (source_device) {
		source = qb_xml_add(root, "source", NULL);
		qb_xml_set(qb_xml_add(source, "device", NULL), "path", source_device);
		qb_xml_set(qb_xml_add(source, "format", NULL), "type", "xfs");
	}
	qb_xml_add(qb_xml_add(root, "target", NULL), "path", pool->target);
	return end(root);
}
