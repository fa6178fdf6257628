/* SPDX-License-Identifier: Apache-2.0 */
/* https://libvirt.org/formatnetwork.html, read. */
#include "agent/host/libvirt_parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>

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

static char *lower_case(const char *s)
{
	char *copy = qb_strdup(s);

	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static void parse_dhcp(const struct qb_xml *dhcp, struct qb_vir_definition *ret)
{
	QB_XML_EACH (range, dhcp, "range")
		*QB_APPEND(ret->dhcp_ranges, ret->n_dhcp_ranges) = (struct qb_vir_range){
			.start = qb_strdup(qb_xml_value(range, "start")),
			.end = qb_strdup(qb_xml_value(range, "end")),
		};
	QB_XML_EACH (host, dhcp, "host")
		*QB_APPEND(ret->dhcp_hosts, ret->n_dhcp_hosts) = (struct qb_vir_host){
			.mac = lower_case(qb_xml_value(host, "mac")),
			.ip = qb_strdup(qb_xml_value(host, "ip")),
			.name = qb_strdup(qb_xml_value(host, "name")),
		};
}

static void parse_dns(const struct qb_xml *dns, struct qb_vir_definition *ret)
{
	QB_XML_EACH (forwarder, dns, "forwarder")
		*QB_APPEND(ret->dns_forwarders, ret->n_dns_forwarders) = (struct qb_vir_forwarder){
			.domain = qb_strdup(qb_xml_value(forwarder, "domain")),
			.addr = qb_strdup(qb_xml_value(forwarder, "addr")),
		};
	QB_XML_EACH (host, dns, "host") {
		struct qb_vir_record *record = QB_APPEND(ret->dns_hosts, ret->n_dns_hosts);

		record->ip = qb_strdup(qb_xml_value(host, "ip"));
		QB_XML_EACH (name, host, "hostname")
			if (qb_xml_content(name))
				qb_strs_add(&record->names, qb_xml_content(name));
	}
}

static void parse_definition(const struct qb_xml *root, struct qb_vir_definition *ret)
{
	const struct qb_xml *forward = qb_xml_child(root, "forward");
	const struct qb_xml *domain = qb_xml_child(root, "domain");

	ret->forward = qb_strdup(qb_xml_value(forward, "mode"));
	if (forward && !ret->forward)
		ret->forward = qb_strdup("nat"); /* libvirt's default */
	ret->bridge = qb_strdup(qb_xml_value(qb_xml_child(root, "bridge"), "name"));
	forward_devices(forward, &ret->devices);
	ret->domain = qb_strdup(qb_xml_value(domain, "name"));
	ret->domain_local_only = qb_streq(qb_xml_value(domain, "localOnly"), "yes");
	QB_XML_EACH (ip, root, "ip") {
		const char *family = qb_xml_value(ip, "family");

		if (family && strcmp(family, "ipv4") != 0)
			continue;
		if (!ret->address)
			ret->address = host_address(ip);
		parse_dhcp(qb_xml_child(ip, "dhcp"), ret);
	}
	parse_dns(qb_xml_child(root, "dns"), ret);
}

int qb_vir_definition_parse(const char *xml, struct qb_vir_definition *ret)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "network");

	if (!root)
		return -EINVAL;
	parse_definition(root, ret);
	return 0;
}

int qb_vir_network_parse(const char *xml, struct qb_vir_network *ret)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(xml, "network");

	if (!qb_xml_content(qb_xml_child(root, "name")))
		return -EINVAL;
	ret->name = qb_strdup(qb_xml_content(qb_xml_child(root, "name")));
	ret->uuid = qb_strdup(qb_xml_content(qb_xml_child(root, "uuid")));
	parse_definition(root, &ret->now);
	return 0;
}
