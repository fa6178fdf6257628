/* SPDX-License-Identifier: Apache-2.0 */
/* https://libvirt.org/formatnetwork.html, written. */
#include "agent/host/libvirt_xml.h"

#include <arpa/inet.h>
#include <errno.h>

#include "agent/host/xml.h"

static struct qb_xml *begin(const char *name, const char *uuid)
{
	struct qb_xml *root = qb_xml_add(NULL, "network", NULL);

	qb_xml_add(root, "name", name);
	qb_xml_add(root, "uuid", uuid);
	return root;
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
	struct qb_xml *root = begin(name, uuid);

	qb_xml_set(qb_xml_add(root, "forward", NULL), "mode", "bridge");
	qb_xml_set(qb_xml_add(root, "bridge", NULL), "name", bridge);
	return end(root);
}

/* An attribute that is left out where there is no value. */
static struct qb_xml *set(struct qb_xml *element, const char *name, const char *value)
{
	return value ? qb_xml_set(element, name, value) : element;
}

static void add_domain(struct qb_xml *root, const struct qb_domain_config *domain)
{
	struct qb_xml *element;

	if (!domain->name)
		return;
	element = qb_xml_set(qb_xml_add(root, "domain", NULL), "name", domain->name);
	if (domain->local_only.state != QB_UNKNOWN)
		qb_xml_set(element, "localOnly", qb_is(&domain->local_only) ? "yes" : "no");
}

static void add_dns(struct qb_xml *root, const struct qb_dns_config *dns)
{
	struct qb_xml *element;

	if (!dns->n_forwarders && !dns->n_hosts)
		return;
	element = qb_xml_add(root, "dns", NULL);
	for (size_t i = 0; i < dns->n_forwarders; i++) {
		struct qb_xml *forwarder = qb_xml_add(element, "forwarder", NULL);

		set(set(forwarder, "domain", dns->forwarders[i].domain), "addr",
		    dns->forwarders[i].addr);
	}
	for (size_t i = 0; i < dns->n_hosts; i++) {
		struct qb_xml *host = qb_xml_add(element, "host", NULL);

		qb_xml_set(host, "ip", dns->hosts[i].ip);
		for (size_t k = 0; k < dns->hosts[i].names.n; k++)
			qb_xml_add(host, "hostname", dns->hosts[i].names.v[k]);
	}
}

static void add_range(struct qb_xml *dhcp, const char *start, const char *last)
{
	qb_xml_set(qb_xml_set(qb_xml_add(dhcp, "range", NULL), "start", start), "end", last);
}

static void add_dhcp(struct qb_xml *ip, const struct qb_dhcp_config *dhcp,
		     const struct qb_subnet *subnet)
{
	bool rest = !dhcp->has_ranges || qb_is(&dhcp->enabled);
	struct qb_xml *element;

	if (!rest && !dhcp->n_ranges && !dhcp->n_hosts)
		return;
	element = qb_xml_add(ip, "dhcp", NULL);
	if (rest)
		add_range(element, subnet->first, subnet->last);
	for (size_t i = 0; i < dhcp->n_ranges; i++)
		add_range(element, dhcp->ranges[i].start, dhcp->ranges[i].end);
	for (size_t i = 0; i < dhcp->n_hosts; i++) {
		struct qb_xml *host = qb_xml_add(element, "host", NULL);

		set(set(set(host, "mac", dhcp->hosts[i].mac), "name", dhcp->hosts[i].name), "ip",
		    dhcp->hosts[i].ip);
	}
}

char *qb_network_xml(const struct qb_network_config *network, const char *uuid,
		     const struct qb_subnet *subnet)
{
	const char *mode = qb_forward_mode(network->forward);
	struct qb_xml *root = begin(network->name, uuid), *bridge, *ip;
	char prefix[8];

	if (mode)
		qb_xml_set(qb_xml_add(root, "forward", NULL), "mode", mode);
	bridge = set(qb_xml_add(root, "bridge", NULL), "name", network->bridge);
	/* Its bridge has no loops to find, and guests are not to wait for it. */
	qb_xml_set(qb_xml_set(bridge, "stp", "on"), "delay", "0");
	add_domain(root, &network->domain);
	add_dns(root, &network->dns);
	if (!subnet)
		return end(root);
	snprintf(prefix, sizeof(prefix), "%u", subnet->prefix);
	ip = qb_xml_add(root, "ip", NULL);
	qb_xml_set(qb_xml_set(ip, "address", subnet->host), "prefix", prefix);
	add_dhcp(ip, &network->dhcp, subnet);
	return end(root);
}
