/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/steps.h"

#include "agent/host/host.h"
#include "agent/host/plan.h"
#include "net/bridge.h"
#include "net/made.h"
#include "net/restore.h"
#include "storage/erase.h"
#include "storage/grow.h"
#include "storage/pool.h"
#include "storage/volume.h"

static const struct qb_step_kind *const kinds[] = {
	&qb_module_load_step, &qb_module_persist_step,
	&qb_daemon_step,      &qb_made_step,
	&qb_restore_step,     &qb_bridge_step,
	&qb_bridge_bind_step, &qb_bridge_persist_step,
	&qb_erase_step,       &qb_carve_step,
	&qb_vg_step,          &qb_network_step,
	&qb_pool_step,        &qb_target_step,
	&qb_volume_step,      &qb_mount_step,
	&qb_grow_step,        &qb_refresh_step,
	&qb_setting_step,     &qb_host_persist_step,
	&qb_member_step,
};

const struct qb_step_kind *qb_step_kind_find(const char *kind)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i]->kind, kind))
			return kinds[i];
	return NULL;
}
