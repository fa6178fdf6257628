/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config_check.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "agent/host/config_valid.h"
#include "net/names.h"
#include "net/vlans.h"

/* "exactly one of": what is written there, by name. */
static void check_port(struct qb_config_check *c, const struct qb_port_match *port)
{
	const struct {
		const char *key;
		char *const *value;
	} ways[] = {
		{"match", &port->match}, {"mac", &port->mac},       {"path", &port->path},
		{"name", &port->name},   {"driver", &port->driver}, {"speed", &port->speed},
	};
	_cleanup_strs_ struct qb_strs here = {0};
	_cleanup_free_ char *text = NULL;

	if (qb_config_misspelt(c, port))
		return;
	for (size_t i = 0; i < QB_ARRAY_SIZE(ways); i++)
		if (qb_config_present(c, ways[i].value))
			qb_strs_add(&here, ways[i].key);
	text = qb_strs_sentence(&here);
	if (here.n != 1)
		qb_config_wrong_object(c, port,
				       "a port is named by exactly one of match, mac, path, name, "
				       "driver and speed; %s%s here",
				       here.n ? text : "none", here.n ? " are" : " is");
}

/* As facts have it. */
static void lower_case(char *s)
{
	for (; s && *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static bool is_bridge(const struct qb_config_check *c, const char *name)
{
	return name && qb_strs_has_sorted(&c->bridges, name);
}

static void claim_port(struct qb_config_check *c, struct qb_claims *claims,
		       const struct qb_port_match *port)
{
	qb_config_claim(c, claims, "the NIC by match", port->match, &port->match, false);
	qb_config_claim(c, claims, "the NIC by mac", port->mac, &port->mac, true);
	qb_config_claim(c, claims, "the NIC by path", port->path, &port->path, false);
	qb_config_claim(c, claims, "the NIC by name", port->name, &port->name, false);
	qb_config_claim(c, claims, "the NIC by driver", port->driver, &port->driver, false);
	qb_config_claim(c, claims, "the NIC by speed", port->speed, &port->speed, false);
	if (is_bridge(c, port->name))
		qb_config_wrong(c, &port->name, "%s is a bridge of this file, not a NIC",
				port->name);
}

static const struct qb_bond_config *find_bond(const struct qb_config *config, const char *name)
{
	for (size_t i = 0; name && i < config->n_bonds; i++)
		if (qb_streq(config->bonds[i].name, name))
			return &config->bonds[i];
	return NULL;
}

static bool is_vlan(const struct qb_config *config, const char *name)
{
	for (size_t i = 0; name && i < config->n_vlans; i++)
		if (qb_streq(config->vlans[i].name, name))
			return true;
	return false;
}

/* Takes "-2" off the end of the first *len characters. */
static bool cut_number(const char *name, size_t *len)
{
	size_t n = *len;

	while (n && isdigit((unsigned char)name[n - 1]))
		n--;
	if (n == *len || !n || name[n - 1] != '-')
		return false;
	*len = n - 1;
	return true;
}

/* The bridge of which the first len characters name the ports; NULL: of none. */
static char *bridge_of_ports(const struct qb_config_check *c, const char *name, size_t len)
{
	static const char port[] = "-port";
	_cleanup_free_ char *bridge = NULL;

	if (len < strlen(port) || memcmp(name + len - strlen(port), port, strlen(port)) != 0)
		return NULL;
	bridge = qb_strndup(name, len - strlen(port));
	return is_bridge(c, bridge) ? QB_TAKE_PTR(bridge) : NULL;
}

/*
 * By its name a link has files for the next boot, and one for each of its ports: "br0-port-2", and
 * "br0-port-2-1" for the NICs of one that is a bond; of a bond that is no port "bond0-1".
 */
static void check_name(struct qb_config_check *c, char *const *name)
{
	_cleanup_free_ char *bond = NULL, *bridge = NULL;
	size_t len = *name ? strlen(*name) : 0;
	const char *other;

	if (!cut_number(*name, &len))
		return;
	bond = qb_strndup(*name, len);
	bridge = bridge_of_ports(c, *name, len);
	if (!bridge && cut_number(*name, &len))
		bridge = bridge_of_ports(c, *name, len);
	other = find_bond(c->config, bond) ? bond : bridge;
	if (other)
		qb_config_wrong(c, name,
				"%s would have the same file as a port of %s: give it another name",
				*name, other);
}

static void check_bonds(struct qb_config_check *c, struct qb_claims *nics, struct qb_claims *names)
{
	for (size_t i = 0; i < c->config->n_bonds; i++) {
		struct qb_bond_config *b = &c->config->bonds[i];

		qb_config_claim(c, names, "the link name", b->name, &b->name, false);
		check_name(c, &b->name);
		if (is_bridge(c, b->name))
			qb_config_wrong(c, &b->name, "%s is a bridge of this file, too", b->name);
		for (size_t j = 0; j < b->n_ports; j++) {
			struct qb_port_match *port = &b->ports[j];

			check_port(c, port);
			claim_port(c, nics, port);
			lower_case(port->mac);
			if (find_bond(c->config, port->name) || is_vlan(c->config, port->name))
				qb_config_wrong(c, &port->name,
						"a bond is made of NICs, and %s is a link that "
						"this file makes",
						port->name);
		}
		if (!b->n_ports && qb_config_given(c, &b->ports))
			qb_config_wrong(c, &b->ports, "a bond needs at least one port");
	}
}

static bool same_link(const struct qb_port_match *a, const struct qb_port_match *b)
{
	return qb_streq(a->match, b->match) && qb_streq(a->mac, b->mac) &&
	       qb_streq(a->path, b->path) && qb_streq(a->name, b->name) &&
	       qb_streq(a->driver, b->driver) && qb_streq(a->speed, b->speed);
}

static void check_vlans(struct qb_config_check *c, struct qb_claims *names)
{
	for (size_t i = 0; i < c->config->n_vlans; i++) {
		struct qb_vlan_config *v = &c->config->vlans[i];

		qb_config_claim(c, names, "the link name", v->name, &v->name, false);
		check_name(c, &v->name);
		if (is_bridge(c, v->name))
			qb_config_wrong(c, &v->name, "%s is a bridge of this file, too", v->name);
		if (!qb_positions_find_object(c->pos, &v->link).member)
			continue;
		check_port(c, &v->link);
		lower_case(v->link.mac);
		if (is_bridge(c, v->link.name) || is_vlan(c->config, v->link.name))
			qb_config_wrong(c, &v->link.name,
					"a VLAN stands on a NIC or on a bond, and %s is another "
					"link of this file",
					v->link.name);
		for (size_t j = 0; j < i; j++)
			if (c->config->vlans[j].id == v->id &&
			    same_link(&c->config->vlans[j].link, &v->link))
				qb_config_wrong(c, &v->id, "that VLAN is %s of this file already",
						c->config->vlans[j].name);
	}
}

static void check_gateway(struct qb_config_check *c, struct qb_ip_config *ip, int family)
{
	struct qb_prefix gateway, address;
	bool inside = false;

	if (!qb_config_given(c, &ip->gateway) || !qb_config_given(c, &ip->addresses) ||
	    !qb_prefix_parse(ip->gateway, false, &gateway))
		return;
	free(ip->gateway);
	ip->gateway = qb_ip_format(gateway.family, gateway.address);
	if (gateway.family != family) {
		qb_config_wrong(c, &ip->gateway, "the gateway %s is not an %s address", ip->gateway,
				family == AF_INET ? "IPv4" : "IPv6");
		return;
	}
	for (size_t i = 0; i < ip->addresses.n; i++) {
		if (!qb_prefix_parse(ip->addresses.v[i], true, &address))
			continue;
		inside = inside || qb_prefix_contains(&address, &gateway);
		if (address.family == family &&
		    !memcmp(address.address, gateway.address, sizeof(address.address)))
			qb_config_wrong(c, &ip->gateway, "the gateway %s is the host's own address",
					ip->gateway);
	}
	/* fe80::/10 is on link wherever it is. */
	if (family == AF_INET6 && gateway.address[0] == 0xfe && (gateway.address[1] & 0xc0) == 0x80)
		inside = true;
	if (!inside)
		qb_config_wrong(c, &ip->gateway,
				"the gateway %s is in none of the networks of the "
				"addresses",
				ip->gateway);
}

/* Addresses are left as the kernel and facts spell them. */
static void check_ip(struct qb_config_check *c, struct qb_ip_config *ip, int family,
		     struct qb_claims *claims)
{
	const char *key = family == AF_INET ? "ipv4" : "ipv6";
	bool scalar = qb_config_present(c, &ip->mode);
	bool refused = qb_config_present(c, &ip->addresses) && !qb_config_given(c, &ip->addresses);

	if (!qb_positions_find_object(c->pos, ip).member || qb_config_misspelt(c, ip))
		return;
	if ((scalar && ip->mode == QB_IP_STATIC) || (!scalar && !ip->addresses.n && !refused)) {
		qb_config_wrong_object(c, ip,
				       "\"%s\" has no addresses: write %s: {addresses: [%s], "
				       "gateway: %s}",
				       key, key,
				       family == AF_INET ? "192.0.2.10/24" : "\"2001:db8::10/64\"",
				       family == AF_INET ? "192.0.2.1" : "\"2001:db8::1\"");
		return;
	}
	if (scalar)
		return;
	ip->mode = QB_IP_STATIC;
	for (size_t i = 0; i < ip->addresses.n; i++) {
		struct qb_prefix address;
		bool good = qb_prefix_parse(ip->addresses.v[i], true, &address);

		if (good) {
			free(ip->addresses.v[i]);
			ip->addresses.v[i] = qb_ip_format_prefix(address.family, address.address,
								 address.length);
		}
		qb_config_claim(c, claims, "the address", ip->addresses.v[i], &ip->addresses, true);
		if (good && address.family != family)
			qb_config_wrong(c, &ip->addresses, "%s is not an %s address",
					ip->addresses.v[i], family == AF_INET ? "IPv4" : "IPv6");
	}
	check_gateway(c, ip, family);
}

/* Nobody is there to ask, and a default route would lead nowhere. */
static void check_portless(struct qb_config_check *c, struct qb_ip_config *ip)
{
	if (qb_config_present(c, &ip->mode) && ip->mode == QB_IP_DHCP)
		qb_config_wrong(c, &ip->mode, "dhcp asks through a port, and this bridge has none");
	if (ip->gateway && qb_config_given(c, &ip->gateway))
		qb_config_wrong(
			c, &ip->gateway,
			"the gateway %s is reached through a port, and this bridge has none",
			ip->gateway);
}

static void check_filtering(struct qb_config_check *c, struct qb_bridge_config *b)
{
	static const char needs[] = "\"%s\" means something on a bridge with vlan-filtering: true";

	if (!b->vlan_filtering && qb_config_given(c, &b->pvid))
		qb_config_wrong(c, &b->pvid, needs, "pvid");
	for (size_t i = 0; i < b->n_ports; i++) {
		struct qb_port_match *p = &b->ports[i];
		int64_t pvid = p->pvid >= 0 ? p->pvid : b->pvid ? b->pvid : 1;

		if (!b->vlan_filtering && qb_config_given(c, &p->pvid))
			qb_config_wrong(c, &p->pvid, needs, "pvid");
		if (!b->vlan_filtering && qb_config_given(c, &p->tagged))
			qb_config_wrong(c, &p->tagged, needs, "tagged");
		for (size_t j = 0; b->vlan_filtering && j < p->tagged.n; j++) {
			struct qb_vlan_range r;

			if (qb_vlan_range_parse(p->tagged.v[j], &r) && r.first <= pvid &&
			    pvid <= r.last)
				qb_config_wrong(c, &p->tagged,
						"VLAN %lld is the one of frames without a tag "
						"there (pvid), and cannot be tagged, too",
						(long long)pvid);
		}
	}
}

void qb_config_check_bridges(struct qb_config_check *c)
{
	_cleanup_claims_ struct qb_claims nics = {0}, addresses = {0}, names = {0};

	for (size_t i = 0; i < c->config->n_bridges; i++)
		if (c->config->bridges[i].name)
			qb_strs_add(&c->bridges, c->config->bridges[i].name);
	qb_strs_sort(&c->bridges);
	for (size_t i = 0; i < c->config->n_bridges; i++) {
		struct qb_bridge_config *b = &c->config->bridges[i];

		for (size_t j = 0; j < b->n_ports; j++) {
			check_port(c, &b->ports[j]);
			claim_port(c, &nics, &b->ports[j]);
			lower_case(b->ports[j].mac);
		}
		check_name(c, &b->name);
		check_filtering(c, b);
		check_ip(c, &b->ipv4, AF_INET, &addresses);
		check_ip(c, &b->ipv6, AF_INET6, &addresses);
		if (!b->n_ports && qb_config_given(c, &b->ports)) {
			check_portless(c, &b->ipv4);
			check_portless(c, &b->ipv6);
		}
	}
	check_bonds(c, &nics, &names);
	check_vlans(c, &names);
	for (size_t i = 0; i < c->config->n_networks; i++) {
		const struct qb_network_config *n = &c->config->networks[i];

		if (find_bond(c->config, n->bridge) || is_vlan(c->config, n->bridge))
			qb_config_wrong(c, &n->bridge, "%s is a link that this file makes, too",
					n->bridge);
	}
	qb_strs_done(&c->bridges);
}
