/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/plan.h"

#include "agent/host/host.h"
#include "storage/volume.h"

void qb_plan_make(const struct qb_facts *facts, const struct qb_config *config,
		  const struct qb_ledger *ledger, bool rebind, struct qb_plan *ret)
{
	*ret = (struct qb_plan){.rebind = rebind};
	qb_module_plan(facts, config, ret);
	qb_host_plan(facts, config, ledger, ret);
	qb_daemon_plan(facts, config, ret);
	qb_net_plan(facts, config, ledger, ret);
	qb_pool_plan(&facts->disks, config->pools, config->n_pools, facts->system.machine_id,
		     ledger, ret);
	qb_volumes_plan(&facts->disks, config->pools, config->n_pools, facts->system.machine_id,
			ledger, ret);
	qb_libvirt_plan(facts, config, ret);
	qb_plan_drop_refused(ret);
}
