/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config_check.h"

#include <arpa/inet.h>

#include "agent/host/config_valid.h"
#include "net/names.h"

/* Where addresses of the host and of guests would be the same. */
static void check_overlap(struct qb_config_check *c, size_t i, const struct qb_prefix *subnet)
{
	const struct qb_network_config *network = &c->config->networks[i];
	struct qb_prefix other;

	for (size_t j = 0; j < i; j++) {
		const struct qb_network_config *o = &c->config->networks[j];

		if (qb_config_given(c, &o->subnet) && qb_prefix_parse(o->subnet, true, &other) &&
		    qb_prefix_overlaps(subnet, &other))
			qb_config_wrong(c, &network->subnet,
					"the subnet %s overlaps with %s in line %u",
					network->subnet, o->subnet,
					qb_positions_find(c->pos, &o->subnet).line);
	}
	for (size_t j = 0; j < c->config->n_bridges; j++) {
		const struct qb_strs *addresses = &c->config->bridges[j].ipv4.addresses;

		for (size_t k = 0; k < addresses->n; k++)
			if (qb_config_given(c, addresses) &&
			    qb_prefix_parse(addresses->v[k], true, &other) &&
			    qb_prefix_overlaps(subnet, &other))
				qb_config_wrong(c, &network->subnet,
						"the subnet %s overlaps with the bridge address "
						"%s in line %u",
						network->subnet, addresses->v[k],
						qb_positions_find(c->pos, addresses).line);
	}
}

/* The subnet of the network that is judged, as numbers. */
struct subnet {
	const char *text;
	uint32_t first, last; /* its own address, and that of broadcasts */
};

static bool number(const char *text, uint32_t *ret)
{
	struct in_addr a;

	if (!text || inet_pton(AF_INET, text, &a) != 1)
		return false;
	*ret = ntohl(a.s_addr);
	return true;
}

/* An address that a guest can have there; else that is said at member. */
static bool guest_address(struct qb_config_check *c, const struct subnet *subnet,
			  char *const *member, uint32_t *ret)
{
	if (!qb_config_given(c, member))
		return false;
	if (!number(*member, ret) || *ret < subnet->first || *ret > subnet->last)
		qb_config_wrong(c, member, "%s is not in the subnet %s", *member, subnet->text);
	else if (*ret == subnet->first || *ret == subnet->last)
		qb_config_wrong(c, member, "%s is the %s address of the subnet %s", *member,
				*ret == subnet->first ? "network's own" : "broadcast",
				subnet->text);
	else if (*ret == subnet->first + 1)
		qb_config_wrong(c, member, "%s is the host's own address on the network", *member);
	else
		return true;
	return false;
}

static void check_ranges(struct qb_config_check *c, const struct qb_dhcp_config *dhcp,
			 const struct subnet *subnet)
{
	uint32_t start, end, from, to;

	for (size_t i = 0; i < dhcp->n_ranges; i++) {
		const struct qb_vir_range *r = &dhcp->ranges[i];
		bool good = guest_address(c, subnet, &r->start, &start);

		if (!guest_address(c, subnet, &r->end, &end) || !good)
			continue;
		if (end < start)
			qb_config_wrong(c, &r->end, "the range ends at %s, before it begins",
					r->end);
		for (size_t k = 0; k < i; k++) {
			const struct qb_vir_range *o = &dhcp->ranges[k];

			if (number(o->start, &from) && number(o->end, &to) && start <= to &&
			    from <= end)
				qb_config_wrong(c, &r->start,
						"the range overlaps with that in line %u",
						qb_positions_find(c->pos, &o->start).line);
		}
	}
}

static void check_hosts(struct qb_config_check *c, const struct qb_dhcp_config *dhcp,
			const struct subnet *subnet)
{
	_cleanup_claims_ struct qb_claims claims = {0};
	uint32_t ip;

	for (size_t i = 0; i < dhcp->n_hosts; i++) {
		const struct qb_vir_host *h = &dhcp->hosts[i];

		qb_config_claim(c, &claims, "the MAC", h->mac, &h->mac, true);
		qb_config_claim(c, &claims, "the name", h->name, &h->name, true);
		if (guest_address(c, subnet, &h->ip, &ip))
			qb_config_claim(c, &claims, "the address", h->ip, &h->ip, false);
	}
}

/* Addresses are left as libvirt spells them. Of one address, or one name, it changes no two. */
static void check_dns(struct qb_config_check *c, struct qb_dns_config *dns)
{
	_cleanup_claims_ struct qb_claims claims = {0};
	struct qb_prefix address;

	for (size_t i = 0; i < dns->n_hosts; i++) {
		struct qb_vir_record *h = &dns->hosts[i];

		if (h->ip && qb_prefix_parse(h->ip, false, &address)) {
			free(h->ip);
			h->ip = qb_ip_format(address.family, address.address);
		}
		qb_config_claim(c, &claims, "the address", h->ip, &h->ip, false);
		if (!h->names.n && qb_config_given(c, &h->names))
			qb_config_wrong(c, &h->names, "an address needs at least one name");
		for (size_t k = 0; k < h->names.n; k++)
			qb_config_claim(c, &claims, "the name", h->names.v[k], &h->names, true);
	}
	for (size_t i = 0; i < dns->n_forwarders; i++) {
		struct qb_vir_forwarder *f = &dns->forwarders[i];

		if (f->addr && qb_prefix_parse(f->addr, false, &address)) {
			free(f->addr);
			f->addr = qb_ip_format(address.family, address.address);
		}
		for (size_t k = 0; k < i; k++)
			if (qb_streq(f->addr, dns->forwarders[k].addr) &&
			    qb_streq(f->domain, dns->forwarders[k].domain))
				qb_config_wrong(c, &f->addr, "the forwarder %s is listed twice",
						f->addr);
	}
}

/* Without an address of the host's nobody serves DHCP nor DNS there. */
static void check_without_subnet(struct qb_config_check *c, const struct qb_network_config *n)
{
	const struct {
		const char *key;
		const void *obj;
		bool written;
	} keys[] = {
		{"dhcp", &n->dhcp, !qb_is_not(&n->dhcp.enabled)},
		{"dns", &n->dns, true},
		{"domain", &n->domain, true},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++)
		if (keys[i].written && qb_positions_find_object(c->pos, keys[i].obj).member)
			qb_config_wrong_object(c, keys[i].obj,
					       "\"%s\" is served from the host's address on the "
					       "network, which needs a subnet",
					       keys[i].key);
}

static void check_services(struct qb_config_check *c, struct qb_network_config *n,
			   const struct qb_prefix *prefix)
{
	struct subnet subnet = {.text = n->subnet};

	memcpy(&subnet.first, prefix->address, sizeof(subnet.first));
	subnet.first = ntohl(subnet.first);
	subnet.last = subnet.first | (uint32_t)(UINT32_MAX >> prefix->length);
	check_ranges(c, &n->dhcp, &subnet);
	check_hosts(c, &n->dhcp, &subnet);
}

/* "false": there is nothing to be given. */
static void say_what_is_given(struct qb_config_check *c, struct qb_network_config *n)
{
	n->dhcp.has_ranges =
		qb_config_present(c, &n->dhcp.ranges) || n->dhcp.enabled.state != QB_UNKNOWN;
	n->dhcp.has_hosts = qb_config_present(c, &n->dhcp.hosts) || qb_is_not(&n->dhcp.enabled);
	n->dns.has_forwarders = qb_config_present(c, &n->dns.forwarders);
	n->dns.has_hosts = qb_config_present(c, &n->dns.hosts);
}

void qb_config_check_networks(struct qb_config_check *c)
{
	for (size_t i = 0; i < c->config->n_networks; i++) {
		struct qb_network_config *n = &c->config->networks[i];
		struct qb_prefix subnet;

		say_what_is_given(c, n);
		check_dns(c, &n->dns);
		if (qb_config_given(c, &n->subnet) && qb_prefix_parse(n->subnet, true, &subnet)) {
			check_overlap(c, i, &subnet);
			check_services(c, n, &subnet);
		}
		if (qb_config_present(c, &n->subnet) || qb_config_misspelt(c, n))
			continue;
		if (n->forward == QB_FORWARD_ISOLATED)
			check_without_subnet(c, n);
		else if (!qb_config_present(c, &n->forward) || qb_config_given(c, &n->forward))
			qb_config_wrong_object(c, n,
					       "a network with forward: %s needs a subnet, like "
					       "192.168.122.0/24",
					       qb_forward_name(n->forward));
	}
}
