/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/prove.h"

#include <arpa/inet.h>

#include "agent/base/uuid.h"

static const struct qb_address *first_address(const struct qb_net *net, const char *dev, bool ipv6)
{
	const struct qb_link *link = dev ? qb_net_link(net, dev) : NULL;

	for (size_t i = 0; link && i < link->n_addresses; i++) {
		const struct qb_address *a = &link->addresses[i];

		if (!strchr(a->address, ':') != ipv6)
			return a;
	}
	return NULL;
}

/* The gateway of a default route by the bridge, of IPv4 first. */
static const char *gateway_of(const struct qb_net *net, const char *bridge)
{
	static const char *const families[] = {"inet", "inet6"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(families); i++) {
		const struct qb_route *r = NULL;

		while (bridge && (r = qb_net_route(net, bridge, r)))
			if (qb_streq(r->family, families[i]) && qb_streq(r->dst, "default") &&
			    r->gateway && r->table == 254)
				return r->gateway;
	}
	return NULL;
}

static void find_peer(const struct qb_net *net, struct qb_proof_net *ret)
{
	const char *gateway = gateway_of(net, ret->bridge);
	const struct qb_address *own = first_address(net, ret->bridge, false);

	if (!own)
		own = first_address(net, ret->bridge, true);
	ret->is_gateway = gateway;
	if (gateway)
		ret->peer = qb_strdup(gateway);
	else if (own)
		ret->peer = qb_strndup(own->address, strcspn(own->address, "/"));
}

static void add_net(const struct qb_facts *facts, struct qb_proof_net is, struct qb_proof *proof)
{
	struct qb_proof_net *net = QB_APPEND(proof->nets, proof->n_nets);
	const char *bridge = is.bridge;
	const struct qb_link *port = NULL;

	*net = is;
	/* Taps of guests lead nowhere else. */
	while (bridge && (port = qb_net_port(&facts->net, bridge, port)))
		if (!qb_streq(port->kind, "tun"))
			qb_strs_add(&net->ports, port->name);
	find_peer(&facts->net, net);
}

static void name_trial(const char *prefix, const char *salt, size_t i, struct qb_proof_trial *trial)
{
	const char *net = trial->net ? trial->net->name : "";
	char uuid[QB_UUID_LEN];
	size_t n = 0;

	qb_uuid5((const char *const[]){"prove", salt, trial->pool, net, NULL}, uuid);
	for (const char *s = uuid; *s && n < sizeof(trial->mark); s += *s == '-' ? 1 : 2)
		if (*s != '-')
			trial->mark[n++] =
				(unsigned char)strtoul((char[]){s[0], s[1], '\0'}, NULL, 16);
	/* QEMU's prefix, as libvirt uses it. */
	trial->mac[0] = 0x52;
	trial->mac[1] = 0x54;
	trial->mac[2] = 0x00;
	memcpy(trial->mac + 3, trial->mark, 3);
	/* Of this run alone: what an earlier one left, and could not be told from somebody's, is in
	 * nobody's way. */
	trial->name = qb_asprintf("%s%.8s-%zu", prefix, uuid, i + 1);
}

char *qb_proof_prefix(const char *machine_id)
{
	char uuid[QB_UUID_LEN];

	qb_uuid5((const char *const[]){"prove-host", machine_id ? machine_id : "", NULL}, uuid);
	return qb_asprintf(QB_PROVE_PREFIX "%.8s-", uuid);
}

void qb_proof_plan(const struct qb_facts *facts, const struct qb_config *config, bool emulated,
		   const char *salt, struct qb_proof *ret)
{
	_cleanup_free_ char *prefix = qb_proof_prefix(facts->system.machine_id);

	*ret = (struct qb_proof){.emulated = emulated};
	for (size_t i = 0; i < config->n_bridges; i++)
		add_net(facts,
			(struct qb_proof_net){.name = config->bridges[i].name,
					      .network = config->bridges[i].libvirt_network,
					      .bridge = config->bridges[i].name,
					      .leads_out = config->bridges[i].n_ports},
			ret);
	for (size_t i = 0; i < config->n_networks; i++) {
		const struct qb_vir_network *is = qb_facts_network(facts, config->networks[i].name);

		add_net(facts,
			(struct qb_proof_net){.name = config->networks[i].name,
					      .network = config->networks[i].name,
					      .bridge = is ? is->now.bridge : NULL},
			ret);
	}
	ret->n_trials = config->n_pools * (ret->n_nets ? ret->n_nets : 1);
	ret->trials = qb_alloc(ret->n_trials, sizeof(*ret->trials));
	for (size_t i = 0; i < ret->n_trials; i++) {
		size_t each = ret->n_nets ? ret->n_nets : 1;

		ret->trials[i].pool = config->pools[i / each].name;
		ret->trials[i].net = ret->n_nets ? &ret->nets[i % each] : NULL;
		name_trial(prefix, salt, i, &ret->trials[i]);
	}
}

void qb_proof_done(struct qb_proof *proof)
{
	for (size_t i = 0; i < proof->n_nets; i++) {
		qb_strs_done(&proof->nets[i].ports);
		free(proof->nets[i].peer);
		free(proof->nets[i].answers_host.why);
	}
	for (size_t i = 0; i < proof->n_trials; i++) {
		struct qb_proof_trial *t = &proof->trials[i];

		free(t->name);
		free(t->volume_error);
		free(t->start_error);
		free(t->result_error);
		free(t->label);
		free(t->left_by);
	}
	free(proof->nets);
	free(proof->trials);
	*proof = (struct qb_proof){0};
}
