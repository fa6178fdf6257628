/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

#include <ctype.h>

#include <errno.h>
#include <inttypes.h>

/* What libvirt uses to account and limit a guest, in the names of cgroup v2 and v1. */
static const struct {
	const char *v2, *v1;
} needed[] = {
	{"cpu", "cpu"},
	{"cpuset", "cpuset"},
	{"memory", "memory"},
	{"io", "blkio"},
	/* cgroup v2 has these without a controller. */
	{NULL, "devices"},
	{NULL, "cpuacct"},
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

		if (name && !qb_strs_has(&s->cgroup_controllers, name))
			qb_strs_add(&missing, name);
	}
	lack = qb_strs_sentence(&missing);
	if (missing.n)
		qb_fail(r, "the kernel does not offer the cgroup %s %s",
			missing.n > 1 ? "controllers" : "controller", lack);
	else
		qb_pass(r, "the cgroup controllers that limit guests are there");
}

#define CGROUPS "/proc/cgroups"

/* A controller that a v1 hierarchy has taken is not in v2: its second column is not 0. */
static void hierarchy(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;
	const struct qb_reading *x = qb_facts_reading(in->facts, CGROUPS);
	_cleanup_strs_ struct qb_strs taken = {0};
	_cleanup_free_ char *names = NULL;

	qb_evidence_tri(r, "cgroup v2", "/sys/fs/cgroup/cgroup.controllers", &s->cgroup_v2);
	if (s->cgroup_v2.state == QB_UNKNOWN) {
		qb_unknown(r, "which cgroups are in use is unknown: %s", qb_why(&s->cgroup_v2));
		return;
	}
	if (qb_is_not(&s->cgroup_v2) && qb_is_el(s) && qb_startswith(s->os_version, "8")) {
		qb_skip(r, "cgroup v1 is what release 8 starts with");
		return;
	}
	if (qb_is_not(&s->cgroup_v2)) {
		qb_fail(r, "the host uses cgroup v1");
		return;
	}
	if (!x || !x->value) {
		/* A kernel without v1 has no such file. */
		if (qb_is_absent(in, CGROUPS))
			qb_pass(r, "the host uses cgroup v2 alone");
		else
			qb_unknown(r, "%s could not be read: %s", CGROUPS, qb_read_why(x));
		return;
	}
	/* The heading: cgroups(7). */
	if (!qb_startswith(x->value, "#subsys_name")) {
		qb_unknown(r, "%s says \"%.40s\"", CGROUPS, x->value);
		return;
	}
	for (const char *line = x->value; (line = strchr(line, '\n'));) {
		uint64_t number;
		char name[64];

		line++;
		if (sscanf(line, "%63s %" SCNu64, name, &number) == 2 && number)
			qb_strs_add(&taken, name);
	}
	names = qb_strs_sentence(&taken);
	qb_evidence(r, "in a v1 hierarchy", CGROUPS, "%s", taken.n ? names : "none");
	if (taken.n)
		qb_fail(r, "a cgroup v1 hierarchy keeps %s from cgroup v2", names);
	else
		qb_pass(r, "the host uses cgroup v2 alone");
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || strchr(" \n", at[-1])) && (!at[len] || strchr(" \n", at[len])))
			return true;
	return false;
}

#define SCOPES "/sys/fs/cgroup/machine.slice/*.scope/cgroup.controllers"

static void weigh_scope(const struct qb_system_facts *s, const struct qb_reading *x,
			struct qb_tally *t, struct qb_result *r)
{
	const char *name = x->path + strlen("/sys/fs/cgroup/machine.slice/");
	int len = (int)strcspn(name, "/");
	_cleanup_strs_ struct qb_strs missing = {0};
	_cleanup_free_ char *lack = NULL;

	/* A guest may end while it is looked at. */
	if (x->absent)
		return;
	if (!x->value) {
		qb_tally_unsure(t, "%s could not be read: %s", x->path, qb_read_why(x));
		return;
	}
	qb_evidence(r, "controllers", x->path, "%.100s", *x->value ? x->value : "none");
	for (size_t i = 0; i < QB_ARRAY_SIZE(needed); i++)
		if (needed[i].v2 && qb_strs_has(&s->cgroup_controllers, needed[i].v2) &&
		    !has_word(x->value, needed[i].v2))
			qb_strs_add(&missing, needed[i].v2);
	lack = qb_strs_sentence(&missing);
	if (missing.n)
		qb_tally_bad(t, "%.*s lacks %s", len, name, lack);
	else
		t->good++;
}

static void guests(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;
	const struct qb_reading *none = qb_facts_reading(in->facts, SCOPES);
	struct qb_tally t = {0};
	bool any = false;

	if (s->cgroup_v2.state == QB_UNKNOWN) {
		qb_unknown(r, "which cgroups are in use is unknown: %s", qb_why(&s->cgroup_v2));
		return;
	}
	if (qb_is_not(&s->cgroup_v2)) {
		qb_skip(r, "cgroup v1 delegates nothing");
		return;
	}
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, SCOPES, x)); any = true)
		weigh_scope(s, x, &t, r);
	if (!any && !qb_is_absent(in, SCOPES))
		qb_tally_unsure(&t, "guests' cgroups could not be read: %s", qb_read_why(none));
	qb_tally_end(&t, r, "every guest's cgroup has the controllers", "no guest is running");
}

#define SLICE "/sys/fs/cgroup/machine.slice/"

static const char *const limits[] = {SLICE "memory.max", SLICE "pids.max", SLICE "cpu.max"};

static void slice_limits(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t memory = in->facts->system.memory_bytes, limit;
	struct qb_tally t = {0};

	for (size_t i = 0; i < QB_ARRAY_SIZE(limits); i++) {
		const struct qb_reading *x = qb_facts_reading(in->facts, limits[i]);
		const char *name = strrchr(limits[i], '/') + 1;

		if (qb_is_absent(in, limits[i]))
			continue;
		if (!x || !x->value || !*x->value) {
			qb_tally_unsure(&t, "%s could not be read: %s", limits[i],
					x && x->value ? "it is empty" : qb_read_why(x));
			continue;
		}
		qb_evidence(r, name, limits[i], "%.40s", x->value);
		/* cpu.max has the period behind. */
		if (qb_startswith(x->value, "max") ||
		    (qb_streq(name, "memory.max") && memory &&
		     qb_parse_u64(x->value, &limit) == 0 && limit >= memory))
			t.good++;
		else if (!isdigit((unsigned char)*x->value))
			qb_tally_unsure(&t, "%s holds \"%.40s\", which is no limit", limits[i],
					x->value);
		else
			qb_tally_bad(&t, "%s limits all guests together to %.40s", name, x->value);
	}
	qb_tally_end(&t, r, "guests together may use the whole host",
		     "no guest was started yet: there is no machine.slice of cgroup v2");
}

#define PRESSURE "/proc/pressure/memory"

enum {
	/* Percent of the time; systemd-oomd begins to kill at 60 (oomd.conf(5)). */
	PRESSURE_MOST = 10
};

static void pressure(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, PRESSURE);
	const char *full;
	unsigned percent;

	/* Older kernels have the file also where psi=0 holds, and refuse to open it. */
	if (qb_is_absent(in, PRESSURE) || (x && qb_streq(x->why, strerror(EOPNOTSUPP)))) {
		qb_skip(r, "the kernel does not measure pressure (psi=1 switches it on)");
		return;
	}
	if (!qb_read(in, r, PRESSURE, &full))
		return;
	full = strstr(full, "full ");
	if (!full || sscanf(full, "full avg10=%*[0-9.] avg60=%*[0-9.] avg300=%u", &percent) != 1)
		qb_unknown(r, "%s tells no average of five minutes", PRESSURE);
	else if (percent < PRESSURE_MOST)
		qb_pass(r, "memory kept the host waiting for %u %% of the last five minutes",
			percent);
	else
		qb_fail(r, "memory kept the whole host waiting for %u %% of the last five minutes",
			percent);
}

static const struct qb_check table[] = {
	{
		.id = "cgroup.controllers",
		.title = "Guests can be limited (cgroup controllers)",
		.severity = QB_RECOMMENDED,
		.looks = "The controllers cpu, cpuset, memory and io in "
			 "/sys/fs/cgroup/cgroup.controllers, or of cgroup v1 cpu, cpuset, "
			 "memory, blkio, devices and cpuacct.",
		.why = "libvirt limits and accounts guests through them; without them one guest "
		       "can starve the others, and CPU pinning fails.",
		.remedy = "grep -o 'cgroup_[^ ]*' /proc/cmdline\n"
			  "grubby --update-kernel=ALL --remove-args=cgroup_disable\n"
			  "# Then restart the host.",
		.judge = controllers,
	},
	{
		.id = "cgroup.hierarchy",
		.title = "The host uses cgroup v2 alone",
		.severity = QB_INFORMATIONAL,
		.looks = "Whether cgroup v2 is mounted on /sys/fs/cgroup, and controllers that v1 "
			 "has taken, in /proc/cgroups.",
		.why = "systemd and Enterprise Linux 10 know v2 alone; and a controller is in one "
		       "of the two, so that libvirt misses in v2 what v1 has.",
		.remedy = "grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1 "
			  "--remove-args=systemd.legacy_systemd_cgroup_controller\n"
			  "# Then restart the host.",
		.reads = (const char *const[]){CGROUPS, NULL},
		.judge = hierarchy,
	},
	{
		.id = "cgroup.guests",
		.title = "Guests' cgroups have the controllers",
		.severity = QB_RECOMMENDED,
		.looks = "cgroup.controllers of each scope in machine.slice: cpu, cpuset, memory "
			 "and io, where the kernel offers them.",
		.why = "A controller that is not handed down limits nobody, whatever the guest's "
		       "definition says; a real-time process in a cgroup keeps cpu from all.",
		.remedy = "grep . /sys/fs/cgroup/cgroup.subtree_control "
			  "/sys/fs/cgroup/machine.slice/cgroup.subtree_control\n"
			  "systemctl show -p DelegateControllers machine.slice\n"
			  "# Which processes are real-time: ps -eo pid,cls,comm | grep -E 'FF|RR'",
		.reads = (const char *const[]){SCOPES, NULL},
		.judge = guests,
	},
	{
		.id = "cgroup.machine-limits",
		.title = "Guests together may use the whole host",
		.severity = QB_INFORMATIONAL,
		.looks = "memory.max, pids.max and cpu.max of machine.slice: none, or the host's "
			 "memory.",
		.why = "A limit of all guests together shows in none of them: one is killed, or "
		       "all are slow, while the host has room.",
		.remedy = "systemctl cat machine.slice\n"
			  "systemctl set-property machine.slice MemoryMax=infinity "
			  "TasksMax=infinity CPUQuota=",
		.reads = (const char *const[]){SLICE "memory.max", SLICE "pids.max",
					       SLICE "cpu.max", NULL},
		.judge = slice_limits,
	},
	{
		.id = "cgroup.pressure",
		.title = "Memory does not keep the host waiting",
		.severity = QB_INFORMATIONAL,
		.looks = "The share of the last five minutes in which all tasks waited for memory, "
			 "in /proc/pressure/memory: below a tenth.",
		.why = "It tells of too little memory before the kernel kills a guest, and when "
		       "free memory still looks well.",
		.remedy = "grep . /sys/fs/cgroup/machine.slice/*/memory.pressure\n"
			  "# Move a guest away, or give one less.",
		.reads = (const char *const[]){PRESSURE, NULL},
		.judge = pressure,
	},
};

QB_CHECK_GROUP(cgroup, table);
