/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the configuration suits this host: what no look at the file alone can tell. */
#include "checks/judging.h"

#include "agent/host/config_valid.h"

/* The first host of the subnet with its length, as libvirt gives it to the network's own bridge. */
static bool is_own(const struct qb_prefix *subnet, const struct qb_prefix *address)
{
	struct qb_prefix first = *subnet;

	first.address[3]++;
	return address->length == subnet->length && !memcmp(&first, address, sizeof(first));
}

/* What the plan refuses for a network that is not active yet. */
static void weigh_subnet(const struct qb_facts *f, const struct qb_network_config *n,
			 struct qb_tally *t)
{
	const struct qb_vir_network *known = qb_facts_network(f, n->name);
	struct qb_prefix subnet, address;

	if (!n->subnet || (known && known->active) || !qb_prefix_parse(n->subnet, true, &subnet))
		return;
	for (size_t i = 0; i < f->net.n_links; i++) {
		const struct qb_link *l = &f->net.links[i];

		for (size_t k = 0; k < l->n_addresses; k++) {
			if (!qb_prefix_parse(l->addresses[k].address, true, &address) ||
			    !qb_prefix_overlaps(&subnet, &address))
				continue;
			if (qb_is_bridge(l) && (known ? qb_streq(known->now.bridge, l->name)
						      : is_own(&subnet, &address)))
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
		.why = "libvirt does not start a network whose subnet another link has, and of "
		       "one that is part of another the host no longer reaches that part: apply "
		       "refuses both.",
		.remedy = "ip -br address\n"
			  "# Choose another subnet, or drop the module, in the configuration.",
		.judge = valid,
	},
};

QB_CHECK_GROUP(config, table);
