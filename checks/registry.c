/* SPDX-License-Identifier: Apache-2.0 */
/* All groups, in the order in which they are reported: causes before what follows from them. */
#include "checks/check.h"

#include "checks/judging.h"

/* clang-format off */
const struct qb_check_group *const qb_check_groups[] = {
	&qb_config_checks,
	&qb_config_drift_checks,
	&qb_system_checks,
	&qb_system_state_checks,
	&qb_sysctl_checks,
	&qb_cpu_checks,
	&qb_cpu_state_checks,
	&qb_modules_checks,
	&qb_modules_boot_checks,
	&qb_kvm_checks,
	&qb_kvm_host_checks,
	&qb_iommu_checks,
	&qb_memory_checks,
	&qb_cgroup_checks,
	&qb_security_checks,
	&qb_security_libvirt_checks,
	&qb_security_labels_checks,
	&qb_net_checks,
	&qb_net_path_checks,
	&qb_net_bond_checks,
	&qb_net_host_checks,
	&qb_net_owner_checks,
	&qb_net_profile_checks,
	&qb_net_filter_checks,
	&qb_net_drift_checks,
	&qb_storage_checks,
	&qb_storage_pools_checks,
	&qb_storage_host_checks,
	&qb_storage_health_checks,
	&qb_storage_volumes_checks,
	&qb_libvirt_checks,
	&qb_libvirt_host_checks,
	&qb_libvirt_units_checks,
	NULL,
};
/* clang-format on */

const struct qb_check *qb_check_find(const char *id)
{
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		for (size_t i = 0; i < (*g)->n_checks; i++)
			if (qb_streq((*g)->checks[i].id, id))
				return &(*g)->checks[i];
	return NULL;
}

const char *qb_check_group_of(const struct qb_check *check)
{
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		if (check >= (*g)->checks && check < (*g)->checks + (*g)->n_checks)
			return (*g)->name;
	return "";
}

static const char *const severities[] = {
	[QB_REQUIRED] = "required",
	[QB_RECOMMENDED] = "recommended",
	[QB_INFORMATIONAL] = "informational",
};

static const char *const statuses[] = {
	[QB_PASS] = "pass", [QB_WARN] = "warn", [QB_FAIL] = "fail", [QB_STATUS_UNKNOWN] = "unknown",
	[QB_SKIP] = "skip",
};

static const char *const verdicts[] = {
	[QB_READY] = "ready",
	[QB_DEGRADED] = "degraded",
	[QB_NOT_READY] = "not-ready",
	[QB_VERDICT_UNKNOWN] = "unknown",
};

const char *qb_severity_name(enum qb_severity s)
{
	return severities[s];
}

const char *qb_status_name(enum qb_status s)
{
	return statuses[s];
}

const char *qb_verdict_name(enum qb_verdict v)
{
	return verdicts[v];
}
