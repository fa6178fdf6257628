/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/plan.h"

void qb_plan_make(const struct qb_facts *facts, const struct qb_config *config,
		  const struct qb_ledger *ledger, bool rebind, struct qb_plan *ret)
{
	const struct qb_made_config made = {
		.bonds = config->bonds,
		.n_bonds = config->n_bonds,
		.vlans = config->vlans,
		.n_vlans = config->n_vlans,
		.bridges = config->bridges,
		.n_bridges = config->n_bridges,
	};
	_cleanup_net_ struct qb_net after = {0};
	const struct qb_net *net = &facts->net;

	*ret = (struct qb_plan){.rebind = rebind};
	qb_module_plan(facts, config, ret);
	qb_daemon_plan(facts, config, ret);
	if (config->n_bonds || config->n_vlans) {
		qb_made_plan(&facts->net, &made, ledger, ret, &after);
		net = &after;
	}
	qb_bridge_plan(net, config->bridges, config->n_bridges, facts->system.machine_id, ledger,
		       ret);
	qb_pool_plan(&facts->disks, config->pools, config->n_pools, facts->system.machine_id,
		     ledger, ret);
	qb_libvirt_plan(facts, config, ret);
	qb_plan_drop_refused(ret);
}
