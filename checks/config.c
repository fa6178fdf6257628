/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the configuration suits this host: what no look at the file alone can tell. */
#include "checks/judging.h"

#include <arpa/inet.h>

/* "192.0.2.1/24": address in host order and prefix length. */
static bool parse_ipv4(const char *text, uint32_t *ret_address, unsigned *ret_prefix)
{
	_cleanup_free_ char *copy = qb_strdup(text);
	char *slash = copy ? strchr(copy, '/') : NULL;
	struct in_addr a;
	uint64_t prefix;

	if (!slash)
		return false;
	*slash = '\0';
	if (inet_pton(AF_INET, copy, &a) != 1 || qb_parse_u64(slash + 1, &prefix) < 0 ||
	    prefix > 32)
		return false;
	*ret_address = ntohl(a.s_addr);
	*ret_prefix = (unsigned)prefix;
	return true;
}

static bool overlaps(uint32_t a, unsigned a_prefix, uint32_t b, unsigned b_prefix)
{
	unsigned prefix = a_prefix < b_prefix ? a_prefix : b_prefix;
	uint32_t mask = prefix ? UINT32_MAX << (32 - prefix) : 0;

	return (a & mask) == (b & mask);
}

/* libvirt refuses to start a network whose subnet is reached by another link. */
static void weigh_subnet(const struct qb_facts *f, const struct qb_network_config *n,
			 struct qb_tally *t)
{
	const struct qb_vir_network *known = qb_facts_network(f, n->name);
	uint32_t subnet, address;
	unsigned prefix, length;

	if (!n->subnet || !parse_ipv4(n->subnet, &subnet, &prefix))
		return;
	for (size_t i = 0; i < f->net.n_links; i++) {
		const struct qb_link *l = &f->net.links[i];

		for (size_t k = 0; k < l->n_addresses; k++) {
			if (!parse_ipv4(l->addresses[k].address, &address, &length) ||
			    !overlaps(subnet, prefix, address, length))
				continue;
			/* The network's own bridge, on which the host has the first address. */
			if (qb_streq(l->kind, "bridge") &&
			    (known ? qb_streq(known->bridge, l->name)
				   : length == prefix && address == subnet + 1))
				continue;
			qb_tally_bad(t, "the subnet %s of network %s overlaps with %s on %s",
				     n->subnet, n->name, l->addresses[k].address, l->name);
			return;
		}
	}
	t->good++;
}

static void valid(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	const struct qb_config *c = in->config;
	const char *vendor = qb_facts_vendor_module(f);
	struct qb_tally t = {.good = 1};

	if (qb_no_config(in, r))
		return;
	for (size_t i = 0; i < c->kvm.modules.n; i++) {
		const char *name = c->kvm.modules.v[i];

		if (vendor && (qb_streq(name, "kvm_intel") || qb_streq(name, "kvm_amd")) &&
		    !qb_streq(name, vendor))
			qb_tally_bad(&t, "the module %s is for another CPU; this one takes %s",
				     name, vendor);
	}
	if (c->n_networks && !qb_is(&f->net.known))
		qb_tally_unsure(&t, "whether subnets are free is unknown: %s",
				qb_why(&f->net.known));
	for (size_t i = 0; qb_is(&f->net.known) && i < c->n_networks; i++)
		weigh_subnet(f, &c->networks[i], &t);
	qb_evidence(r, "configured", "host.yaml", "%zu bridges, %zu networks, %zu pools",
		    c->n_bridges, c->n_networks, c->n_pools);
	qb_tally_end(&t, r, "the configuration is valid and suits this host", "");
}

static const struct qb_check table[] = {
	{
		.id = "config.valid",
		.title = "The configuration suits this host",
		.severity = QB_REQUIRED,
		.looks = "Whether subnets of networks are free on this host, and modules are for "
			 "its CPU. A file that is wrong in itself is refused before any check.",
		.why = "libvirt refuses to start a network whose subnet another link has; apply "
		       "would fail half-way.",
		.remedy = "ip -br address\n"
			  "# Choose another subnet, or drop the module, in the configuration.",
		.judge = valid,
	},
};

QB_CHECK_GROUP(config, table);
