/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>

#include "agent/host/xml.h"

/* "255.255.255.0" or "24", as an address is written with either. */
static char *host_address(const struct qb_xml *ip)
{
	const char *address = qb_xml_value(ip, "address");
	const char *prefix = qb_xml_value(ip, "prefix");
	const char *netmask = qb_xml_value(ip, "netmask");
	struct in_addr mask;

	if (!address)
		return NULL;
	if (prefix)
		return qb_asprintf("%s/%s", address, prefix);
	if (netmask && inet_pton(AF_INET, netmask, &mask) == 1)
		return qb_asprintf("%s/%d", address, __builtin_popcount(mask.s_addr));
	return qb_strdup(address);
}

/* formatnetwork.html: the attribute dev, and those of interface and pf, which may repeat it. */
static void forward_devices(const struct qb_xml *forward, struct qb_strs *ret)
{
	static const char *const elements[] = {"interface", "pf"};
	const char *own = qb_xml_value(forward, "dev");

	if (own)
		qb_strs_add(ret, own);
	for (size_t i = 0; i < QB_ARRAY_SIZE(elements); i++) {
		QB_XML_EACH (node, forward, elements[i]) {
			const char *dev = qb_xml_value(node, "dev");

			if (dev && !qb_strs_has(ret, dev))
				qb_strs_add(ret, dev);
		}
	}
}

int qb_vir_network_parse(const char *xml, struct qb_vir_network *ret)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "network");
	const struct qb_xml *forward = qb_xml_child(root, "forward");

	if (!qb_xml_content(qb_xml_child(root, "name")))
		return -EINVAL;
	ret->name = qb_strdup(qb_xml_content(qb_xml_child(root, "name")));
	ret->uuid = qb_strdup(qb_xml_content(qb_xml_child(root, "uuid")));
	ret->forward = qb_strdup(qb_xml_value(forward, "mode"));
	if (forward && !ret->forward)
		ret->forward = qb_strdup("nat"); /* libvirt's default */
	ret->bridge = qb_strdup(qb_xml_value(qb_xml_child(root, "bridge"), "name"));
	forward_devices(forward, &ret->devices);
	QB_XML_EACH (ip, root, "ip") {
		const char *family = qb_xml_value(ip, "family");

		if (!ret->address && (!family || !strcmp(family, "ipv4")))
			ret->address = host_address(ip);
	}
	return 0;
}

/* libvirt keeps the slashes that somebody wrote at the end. */
static char *directory(const struct qb_xml *target)
{
	char *path = qb_strdup(qb_xml_content(qb_xml_child(target, "path")));
	size_t n = path ? strlen(path) : 0;

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	return path;
}

int qb_vir_pool_parse(const char *xml, struct qb_vir_pool *ret)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "pool");
	const struct qb_xml *source = qb_xml_child(root, "source");

	if (!qb_xml_content(qb_xml_child(root, "name")))
		return -EINVAL;
	ret->name = qb_strdup(qb_xml_content(qb_xml_child(root, "name")));
	ret->uuid = qb_strdup(qb_xml_content(qb_xml_child(root, "uuid")));
	ret->type = qb_strdup(qb_xml_value(root, "type"));
	ret->target = directory(qb_xml_child(root, "target"));
	ret->source_device = qb_strdup(qb_xml_value(qb_xml_child(source, "device"), "path"));
	ret->source_name = qb_strdup(qb_xml_content(qb_xml_child(source, "name")));
	return 0;
}

int qb_vir_domain_parse(const char *xml, struct qb_strs *ret_devices)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "domain");
	const struct qb_xml *devices = qb_xml_child(root, "devices");

	if (!root)
		return -EINVAL;
	QB_XML_EACH (disk, devices, "disk") {
		const char *dev = qb_xml_value(qb_xml_child(disk, "source"), "dev");

		if (dev && qb_streq(qb_xml_value(disk, "type"), "block") &&
		    !qb_strs_has(ret_devices, dev))
			qb_strs_add(ret_devices, dev);
	}
	return 0;
}

int qb_vir_capabilities_parse(const char *xml, bool *ret_kvm)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "capabilities");

	if (!root)
		return -EINVAL;
	*ret_kvm = false;
	QB_XML_EACH (guest, root, "guest")
		QB_XML_EACH (domain, qb_xml_child(guest, "arch"), "domain")
			*ret_kvm |= qb_streq(qb_xml_value(domain, "type"), "kvm");
	return 0;
}

char *qb_vir_version_text(uint64_t version)
{
	return qb_asprintf("%" PRIu64 ".%" PRIu64 ".%" PRIu64, version / 1000000,
			   version / 1000 % 1000, version % 1000);
}
