/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is there under the names of the configuration, and is not as it says. What is not there at
 * all, and how networks and bridges forward, is told by the groups they belong to.
 */
#include "checks/judging.h"

#include <sys/socket.h>

#include "agent/host/config_valid.h"
#include "agent/host/libvirt_xml.h"

static bool same(const char *a, const char *b)
{
	struct qb_prefix x, y;

	return qb_prefix_parse(a, true, &x) && qb_prefix_parse(b, true, &y) &&
	       !memcmp(&x, &y, sizeof(x));
}

static const struct qb_address *find_address(const struct qb_link *l, const char *wanted)
{
	for (size_t i = 0; i < l->n_addresses; i++)
		if (same(l->addresses[i].address, wanted))
			return &l->addresses[i];
	return NULL;
}

/* One that the host is reached by; link-local ones are the kernel's. */
static const struct qb_address *any_address(const struct qb_link *l, int family)
{
	struct qb_prefix p;

	for (size_t i = 0; i < l->n_addresses; i++)
		if (qb_streq(l->addresses[i].scope, "global") &&
		    qb_prefix_parse(l->addresses[i].address, true, &p) && p.family == family)
			return &l->addresses[i];
	return NULL;
}

static bool has_gateway(const struct qb_net *net, const char *family, const char *gateway,
			const char *dev)
{
	for (const struct qb_route *route = NULL; (route = qb_net_route(net, dev, route));) {
		if (qb_streq(route->family, family) && qb_streq(route->dst, "default") &&
		    qb_streq(route->gateway, gateway) && qb_streq(route->dev, dev))
			return true;
	}
	return false;
}

static void weigh_ip(const struct qb_net *net, const struct qb_link *l,
		     const struct qb_ip_config *ip, int family, struct qb_tally *t)
{
	const char *word = family == AF_INET ? "ipv4" : "ipv6";
	const struct qb_address *one = any_address(l, family);
	size_t bad = t->bad.n;

	switch ((enum qb_ip_mode)ip->mode) {
	case QB_IP_NONE:
		if (one)
			qb_tally_bad(t, "%s.%s is none, and it has %s", l->name, word,
				     one->address);
		break;
	case QB_IP_DHCP:
		if (!one)
			qb_tally_bad(t, "%s.%s is dhcp, and it has no address", l->name, word);
		break;
	case QB_IP_STATIC:
		for (size_t i = 0; i < ip->addresses.n; i++)
			if (!find_address(l, ip->addresses.v[i]))
				qb_tally_bad(t, "%s lacks %s", l->name, ip->addresses.v[i]);
		if (ip->gateway &&
		    !has_gateway(net, family == AF_INET ? "inet" : "inet6", ip->gateway, l->name))
			qb_tally_bad(t, "%s lacks a default route via %s", l->name, ip->gateway);
		break;
	case QB_IP_INHERIT:
		break;
	}
	t->good += t->bad.n == bad;
}

static void bridge_addresses(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_bridges && !qb_is(&net->known)) {
		qb_unknown(r, "the links could not be read: %s", qb_why(&net->known));
		return;
	}
	for (size_t i = 0; i < in->config->n_bridges; i++) {
		const struct qb_bridge_config *b = &in->config->bridges[i];
		const struct qb_link *l = qb_net_link(net, b->name);

		if (!l)
			continue;
		for (size_t k = 0; k < l->n_addresses; k++)
			qb_evidence(r, b->name, "netlink", "%s", l->addresses[k].address);
		if (!l->n_addresses)
			qb_evidence(r, b->name, "netlink", "no address");
		weigh_ip(net, l, &b->ipv4, AF_INET, &t);
		weigh_ip(net, l, &b->ipv6, AF_INET6, &t);
	}
	qb_tally_end(&t, r, "bridges have the addresses of the configuration",
		     "none of the configuration's bridges is there");
}

/* The first address of the subnet is the host's: qb_network_config. */
static bool is_first(const char *address, const char *subnet)
{
	struct qb_prefix a, s;

	if (!address || !qb_prefix_parse(address, true, &a) || !qb_prefix_parse(subnet, true, &s))
		return false;
	s.address[3]++;
	return !memcmp(&a, &s, sizeof(a));
}

static void network_subnets(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_config *c = in->config;
	struct qb_tally t = {0};

	if (qb_no_config(in, r) || (c->n_networks && qb_no_libvirt(in->facts, r)))
		return;
	for (size_t i = 0; i < c->n_networks; i++) {
		const struct qb_network_config *n = &c->networks[i];
		const struct qb_vir_network *is = qb_facts_network(in->facts, n->name);

		if (!is || !n->subnet)
			continue;
		qb_evidence(r, n->name, "libvirt", "%s",
			    is->now.address ? is->now.address : "no address");
		if (is_first(is->now.address, n->subnet))
			t.good++;
		else
			qb_tally_bad(&t, "the network %s has %s, not the first address of %s",
				     n->name, is->now.address ? is->now.address : "no address",
				     n->subnet);
	}
	qb_tally_end(&t, r, "networks have the subnets of the configuration",
		     "none of the configuration's networks with a subnet is there");
}

/* "/srv/a/" and "/srv/a" are one. */
static bool same_path(const char *a, const char *b)
{
	size_t na = a ? strlen(a) : 0, nb = b ? strlen(b) : 0;

	while (na > 1 && a[na - 1] == '/')
		na--;
	while (nb > 1 && b[nb - 1] == '/')
		nb--;
	return a && b && na == nb && !memcmp(a, b, na);
}

static void pool_targets(const struct qb_check_input *in, struct qb_result *r)
{
	static const char *const types[] = {
		[QB_POOL_DIR] = "dir",
		[QB_POOL_FS] = "fs",
		[QB_POOL_LOGICAL] = "logical",
	};
	const struct qb_config *c = in->config;
	struct qb_tally t = {0};

	if (qb_no_config(in, r) || (c->n_pools && qb_no_libvirt(in->facts, r)))
		return;
	for (size_t i = 0; i < c->n_pools; i++) {
		const struct qb_pool_config *p = &c->pools[i];
		const struct qb_vir_pool *is = qb_facts_pool(in->facts, p->name);
		_cleanup_free_ char *path = qb_pool_path(p);

		if (!is)
			continue;
		qb_evidence(r, p->name, "libvirt", "type %s, target %s",
			    is->type ? is->type : "none", is->target ? is->target : "none");
		if (!qb_streq(is->type, types[p->type]))
			qb_tally_bad(&t, "the pool %s is of type %s, not %s", p->name,
				     is->type ? is->type : "none", types[p->type]);
		else if (path && !same_path(is->target, path))
			qb_tally_bad(&t, "the pool %s has its volumes in %s, not in %s", p->name,
				     is->target ? is->target : "no directory", path);
		else
			t.good++;
	}
	qb_tally_end(&t, r, "pools have the types and targets of the configuration",
		     "none of the configuration's pools is there");
}

static const struct qb_check table[] = {
	{
		.id = "config.bridge-addresses",
		.title = "Bridges have the configured addresses",
		.severity = QB_RECOMMENDED,
		.looks = "The addresses and the gateway of each bridge that is there, against "
			 "ipv4 and ipv6 of the configuration. What is to be inherited is as it "
			 "was found.",
		.why = "Somebody changed them by hand; after the next restart the host answers at "
		       "another address.",
		.remedy = "ip address; ip route\nqubi-agent plan",
		.judge = bridge_addresses,
	},
	{
		.id = "config.network-subnets",
		.title = "Networks have the configured subnets",
		.severity = QB_RECOMMENDED,
		.looks = "The address of each network that is there, against subnet of the "
			 "configuration.",
		.why = "Guests get addresses that nothing else knows of: routes, firewalls and "
		       "DNS are made for those of the configuration.",
		.remedy = "virsh net-list --all\n"
			  "# virsh net-edit NETWORK; when no guest uses it, net-destroy and "
			  "net-start.",
		.judge = network_subnets,
	},
	{
		.id = "config.pool-targets",
		.title = "Pools are where the configuration says",
		.severity = QB_RECOMMENDED,
		.looks = "The type and the target of each pool that is there, against the "
			 "configuration.",
		.why = "New images go to another disk than the one that was made for them.",
		.remedy = "virsh pool-list --all --details\n"
			  "# virsh pool-edit POOL, or the configuration: whichever is wrong.",
		.judge = pool_targets,
	},
};

QB_CHECK_GROUP_PART(qb_config_drift_checks, config, table);
