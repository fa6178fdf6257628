/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>

#include "agent/host/config.h"
#include "agent/host/init_parts.h"

#define BRIDGES_MAX 100 /* names that are tried for a new one */
#define IPV4_BITS 32

static const struct qb_route *default_route(const struct qb_net *net)
{
	static const char *const families[] = {"inet", "inet6"};
	const struct qb_route *best = NULL;

	for (size_t f = 0; f < QB_ARRAY_SIZE(families) && !best; f++)
		for (size_t i = 0; i < net->n_routes; i++) {
			const struct qb_route *r = &net->routes[i];

			if (qb_streq(r->family, families[f]) && qb_streq(r->dst, "default") &&
			    qb_streq(r->type, "unicast") && r->dev && r->table == RT_TABLE_MAIN &&
			    (!best || r->metric < best->metric))
				best = r;
		}
	return best;
}

/* The network of libvirt's over the bridge: its name is kept. */
static void set_network(const struct qb_facts *facts, const char *bridge, json_t *item)
{
	const char *name = "host-bridge";
	_cleanup_free_ char *other = qb_asprintf("host-%s", bridge);

	if (qb_facts_network(facts, name))
		name = other;
	for (size_t i = 0; i < facts->libvirt.n_networks; i++) {
		const struct qb_vir_network *n = &facts->libvirt.networks[i];

		if (qb_streq(n->next.forward, "bridge") && qb_streq(n->next.bridge, bridge))
			name = n->name;
	}
	qb_init_set(item, "libvirt-network", name);
}

/* A guest's link comes and goes with it. */
static bool is_of_guest(const struct qb_facts *facts, const struct qb_link *link)
{
	for (size_t i = 0; i < facts->libvirt.n_guest_interfaces; i++)
		if (qb_streq(facts->libvirt.guest_interfaces[i].link, link->name))
			return true;
	return qb_streq(link->kind, "tun");
}

static void add_present_bridge(const struct qb_facts *facts, const struct qb_link *bridge,
			       json_t *config)
{
	json_t *item = qb_init_add(config, "bridges", bridge->name), *ports = json_array();

	qb_init_remark(item, "%s is there already, with the default route.", bridge->name);
	for (size_t i = 0; i < facts->net.n_links; i++) {
		const struct qb_link *l = &facts->net.links[i];

		if (qb_streq(l->master, bridge->name) && !is_of_guest(facts, l))
			json_array_append_new(ports, json_pack("{s:s}", "name", l->name));
	}
	json_object_set_new(item, "ports", ports);
	if (qb_is(&bridge->stp))
		json_object_set_new(item, "stp", json_true());
	set_network(facts, bridge->name, item);
}

static void add_new_bridge(const struct qb_facts *facts, const struct qb_link *nic, json_t *config)
{
	_cleanup_strs_ struct qb_strs addresses = {0};
	_cleanup_free_ char *list = NULL;
	char name[sizeof("br99")];
	unsigned n = 0;
	json_t *item;

	do
		snprintf(name, sizeof(name), "br%u", n);
	while (qb_net_link(&facts->net, name) && ++n < BRIDGES_MAX - 1);
	for (size_t i = 0; i < nic->n_addresses; i++)
		if (qb_streq(nic->addresses[i].scope, "global"))
			qb_strs_add(&addresses, nic->addresses[i].address);
	list = qb_strs_sentence(&addresses);
	item = qb_init_add(config, "bridges", name);
	qb_init_remark(item, "%s has the default route. What it carries moves to the bridge%s%s.",
		       nic->name, addresses.n ? ": " : "", addresses.n ? list : "");
	json_object_set_new(item, "ports", json_pack("[{s:s}]", "match", "default-route"));
	set_network(facts, name, item);
}

void qb_init_bridges(const struct qb_facts *facts, json_t *config, json_t *left)
{
	const struct qb_route *route = default_route(&facts->net);
	const struct qb_link *link = route ? qb_net_link(&facts->net, route->dev) : NULL;

	if (!link)
		qb_init_leave(left, "bridges",
			      "no link has a default route, to be made a port of a bridge");
	else if (qb_streq(link->kind, "bridge"))
		add_present_bridge(facts, link, config);
	else
		add_new_bridge(facts, link, config);
}

/* "192.168.122.1/24": the subnet whose first address it is, which is the host's; else NULL. */
static char *subnet_of(const char *address)
{
	const char *slash = address ? strchr(address, '/') : NULL;
	_cleanup_free_ char *host = slash ? qb_strndup(address, (size_t)(slash - address)) : NULL;
	char text[INET_ADDRSTRLEN];
	struct in_addr in;
	uint64_t bits;
	uint32_t mask;

	if (!host || inet_pton(AF_INET, host, &in) != 1 || qb_parse_u64(slash + 1, &bits) < 0 ||
	    bits == 0 || bits >= IPV4_BITS)
		return NULL;
	mask = ~UINT32_C(0) << (IPV4_BITS - bits);
	if ((ntohl(in.s_addr) & ~mask) != 1)
		return NULL;
	in.s_addr = htonl(ntohl(in.s_addr) & mask);
	inet_ntop(AF_INET, &in, text, sizeof(text));
	return qb_asprintf("%s/%u", text, (unsigned)bits);
}

/* A word of the configuration. */
static bool is_forward(const char *word)
{
	for (int i = QB_FORWARD_NAT; i <= QB_FORWARD_ISOLATED; i++)
		if (!strcmp(qb_forward_name(i), word))
			return true;
	return false;
}

void qb_init_networks(const struct qb_facts *facts, json_t *config)
{
	for (size_t i = 0; i < facts->libvirt.n_networks; i++) {
		const struct qb_vir_network *n = &facts->libvirt.networks[i];
		_cleanup_free_ char *subnet = subnet_of(n->next.address);
		const char *forward = n->next.forward ? n->next.forward : "isolated";
		json_t *item;

		if (!n->persistent || !subnet || !is_forward(forward))
			continue;
		item = qb_init_add(config, "networks", n->name);
		qb_init_remark(item, "libvirt has it already.");
		qb_init_set(item, "forward", forward);
		qb_init_set(item, "subnet", subnet);
		if (!n->autostart)
			json_object_set_new(item, "autostart", json_false());
	}
}
