/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/plan.h"

#include "net/restore.h"

void qb_net_plan(const struct qb_facts *facts, const struct qb_config *config,
		 const struct qb_ledger *ledger, struct qb_plan *plan)
{
	const struct qb_made_config made = {
		.bonds = config->bonds,
		.n_bonds = config->n_bonds,
		.vlans = config->vlans,
		.n_vlans = config->n_vlans,
		.bridges = config->bridges,
		.n_bridges = config->n_bridges,
	};
	_cleanup_net_ struct qb_net again = {0}, after = {0};
	const struct qb_net *net = &facts->net;

	if (config->n_bonds || config->n_vlans) {
		qb_made_plan(net, &made, ledger, plan, &after);
		net = &after;
	}
	/* Whoever else makes bridges says himself what they have. */
	if (qb_net_keeper(net) == QB_KEEPER_AGENT &&
	    qb_restore_plan(net, config->bridges, config->n_bridges, ledger, plan, &again))
		net = &again;
	qb_bridge_plan(net, config->bridges, config->n_bridges, facts->system.machine_id, ledger,
		       plan);
}
