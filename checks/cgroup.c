/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

/* What libvirt uses to account and limit a guest, in the names of cgroup v2 and v1. */
static const struct {
	const char *v2, *v1;
} needed[] = {
	{"cpu", "cpu"},
	{"cpuset", "cpuset"},
	{"memory", "memory"},
	{"io", "blkio"},
};

static void controllers(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;
	const char *source =
		qb_is(&s->cgroup_v2) ? "/sys/fs/cgroup/cgroup.controllers" : "/proc/cgroups";
	_cleanup_strs_ struct qb_strs missing = {0};
	_cleanup_free_ char *have = qb_strs_sentence(&s->cgroup_controllers), *lack = NULL;

	if (s->cgroup_v2.state == QB_UNKNOWN) {
		qb_unknown(r, "the cgroup controllers could not be read: %s",
			   qb_why(&s->cgroup_v2));
		return;
	}
	if (!qb_is(&s->cgroup_v2) && !s->cgroup_controllers.n) {
		qb_unknown(r, "cgroup v2 is not in use, and what v1 offers could not be read");
		return;
	}
	qb_evidence(r, "controllers", source, "%s", have);
	for (size_t i = 0; i < QB_ARRAY_SIZE(needed); i++) {
		const char *name = qb_is(&s->cgroup_v2) ? needed[i].v2 : needed[i].v1;

		if (!qb_strs_has(&s->cgroup_controllers, name))
			qb_strs_add(&missing, name);
	}
	lack = qb_strs_sentence(&missing);
	if (missing.n)
		qb_fail(r, "the kernel does not offer the cgroup %s %s",
			missing.n > 1 ? "controllers" : "controller", lack);
	else
		qb_pass(r, "the cgroup controllers that limit guests are there");
}

static const struct qb_check table[] = {
	{
		.id = "cgroup.controllers",
		.title = "Guests can be limited (cgroup controllers)",
		.severity = QB_RECOMMENDED,
		.looks = "The controllers cpu, cpuset, memory and io in "
			 "/sys/fs/cgroup/cgroup.controllers, or their like of cgroup v1.",
		.why = "libvirt limits and accounts guests through them; without them one guest "
		       "can starve the others, and CPU pinning fails.",
		.remedy = "grep -o 'cgroup_[^ ]*' /proc/cmdline\n"
			  "grubby --update-kernel=ALL --remove-args=cgroup_disable\n"
			  "# Then restart the host.",
		.judge = controllers,
	},
};

QB_CHECK_GROUP(cgroup, table);
