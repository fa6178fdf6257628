/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

#include <ctype.h>
#include <inttypes.h>

bool qb_is_el(const struct qb_system_facts *s)
{
	static const char *const ids[] = {"rhel", "rocky", "almalinux", "centos", "ol"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(ids); i++)
		if (qb_streq(s->os_id, ids[i]))
			return true;
	return false;
}

bool qb_no_arch(const struct qb_facts *f, struct qb_result *r)
{
	if (!f->system.arch)
		qb_unknown(r, "the architecture could not be read");
	return !f->system.arch;
}

static void architecture(const struct qb_check_input *in, struct qb_result *r)
{
	const char *arch = in->facts->system.arch;

	if (!arch) {
		qb_no_arch(in->facts, r);
		return;
	}
	qb_evidence(r, "machine", "uname", "%s", arch);
	if (qb_streq(arch, "x86_64"))
		qb_pass(r, "this is an x86_64 host");
	else
		qb_fail(r, "this is a host of type %s: KVM cannot be proven on it here", arch);
}

enum {
	EL_FIRST = 8,
	EL_LAST = 10
};

static void release(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;
	const char *name = s->os_name ? s->os_name : s->os_id;
	long major;

	if (!s->os_id) {
		qb_unknown(r, "/etc/os-release could not be read");
		return;
	}
	qb_evidence(r, "ID", "/etc/os-release", "%s", s->os_id);
	if (s->os_version)
		qb_evidence(r, "VERSION_ID", "/etc/os-release", "%s", s->os_version);
	if (!qb_is_el(s)) {
		qb_fail(r, "%s is not an Enterprise Linux: what was tested there may differ here",
			name);
		return;
	}
	if (!s->os_version || !isdigit((unsigned char)*s->os_version)) {
		qb_unknown(r, "%s does not name its version", name);
		return;
	}
	major = strtol(s->os_version, NULL, 10);
	if (major >= EL_FIRST && major <= EL_LAST)
		qb_pass(r, "%s is supported", name);
	else
		qb_fail(r, "%s is not one of the releases %d to %d", name, EL_FIRST, EL_LAST);
}

static void time_synchronised(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_tri *t = &in->facts->system.time_synchronised;

	qb_evidence_tri(r, "synchronised", "adjtimex", t);
	if (qb_is(t))
		qb_pass(r, "the kernel's clock is synchronised");
	else if (qb_is_not(t))
		qb_fail(r, "the kernel's clock is not synchronised");
	else
		qb_unknown(r, "whether the clock is synchronised is unknown: %s", qb_why(t));
}

static void cpus(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t online = in->facts->cpu.online, least = (uint64_t)qb_thresholds(in)->cpus;

	if (!online) {
		qb_unknown(r, "how many CPUs are online could not be read");
		return;
	}
	qb_evidence(r, "online", "/sys/devices/system/cpu/online", "%" PRIu64, online);
	qb_evidence(r, "checks.thresholds.cpus", in->config ? "host.yaml" : "default", "%" PRIu64,
		    least);
	if (online >= least)
		qb_pass(r, "%" PRIu64 " CPUs are online", online);
	else
		qb_fail(r, "%" PRIu64 " %s online; %" PRIu64 " are wanted", online,
			online == 1 ? "CPU is" : "CPUs are", least);
}

static void memory(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t have = in->facts->system.memory_bytes, least = qb_thresholds(in)->memory;
	_cleanup_free_ char *have_text = qb_format_size(have), *least_text = qb_format_size(least);

	if (!have) {
		qb_unknown(r, "/proc/meminfo could not be read");
		return;
	}
	qb_evidence(r, "MemTotal", "/proc/meminfo", "%s", have_text);
	qb_evidence(r, "checks.thresholds.memory", in->config ? "host.yaml" : "default", "%s",
		    least_text);
	if (have >= least)
		qb_pass(r, "this host has %s of memory", have_text);
	else
		qb_fail(r, "this host has %s of memory; %s are wanted", have_text, least_text);
}

enum {
	FREE_PERCENT = 10,
	FREE_INODES = 1000
};

static void weigh_space(const struct qb_space *s, uint64_t least, struct qb_tally *t,
			struct qb_result *r)
{
	_cleanup_free_ char *have = qb_format_size(s->available_bytes);
	_cleanup_free_ char *all = qb_format_size(s->size_bytes);

	if (s->down) {
		qb_evidence(r, s->path, "stat", "%s", s->down);
		qb_tally_bad(t, "the file system of %s is down: %s", s->path, s->down);
		return;
	}
	if (s->read_only.state == QB_UNKNOWN) {
		qb_tally_unsure(t, "the room in %s is unknown: %s", s->path, qb_why(&s->read_only));
		return;
	}
	qb_evidence(r, s->path, "statvfs", "%s of %s free", have, all);
	if (s->available_bytes < least && s->available_bytes / FREE_PERCENT < s->size_bytes / 100)
		qb_tally_bad(t, "%s has only %s of %s left", s->path, have, all);
	else if (s->inodes && s->inodes_available < FREE_INODES)
		qb_tally_bad(t, "%s takes only %" PRIu64 " more files", s->path,
			     s->inodes_available);
	else
		t->good++;
}

/* Each file system once, by the first path on it. */
static void space(const struct qb_check_input *in, struct qb_result *r)
{
	static const char *const paths[] = {"/", "/var", "/var/log", "/var/lib/libvirt"};
	_cleanup_strs_ struct qb_strs seen = {0};
	struct qb_tally t = {0};

	for (size_t i = 0; i < QB_ARRAY_SIZE(paths); i++) {
		const struct qb_space *s = qb_facts_space(in->facts, paths[i]);

		if (!s)
			qb_tally_unsure(&t, "the room in %s is unknown: nobody looked", paths[i]);
		/* The image of an immutable system is as full as it was made. */
		if (!s || s->absent || qb_is(&s->read_only) ||
		    (s->device && qb_strs_has(&seen, s->device)))
			continue;
		if (s->device)
			qb_strs_add(&seen, s->device);
		weigh_space(s, qb_thresholds(in)->space, &t, r);
	}
	qb_tally_end(&t, r, "there is room where the host itself writes",
		     "nothing of this host can be written to");
}

static const struct qb_check table[] = {
	{
		.id = "system.architecture",
		.title = "The architecture is supported",
		.severity = QB_RECOMMENDED,
		.looks = "The machine name of uname: x86_64.",
		.why = "The guest that proves KVM is x86 code, and the causes of failure that are "
		       "told apart are those of VT-x and SVM.",
		.remedy = "# Use an x86_64 machine, or prove KVM here by other means.",
		.judge = architecture,
	},
	{
		.id = "system.release",
		.title = "The release is supported",
		.severity = QB_RECOMMENDED,
		.looks = "ID and VERSION_ID of /etc/os-release: Enterprise Linux 8 to 10.",
		.why = "Package names, units and defaults are those of these releases.",
		.remedy = "# Install RHEL, Rocky, AlmaLinux or CentOS Stream 8, 9 or 10, or ignore "
			  "this\n"
			  "# check (checks.ignore in the configuration).",
		.judge = release,
	},
	{
		.id = "system.time-synchronised",
		.title = "The clock is synchronised",
		.severity = QB_RECOMMENDED,
		.looks = "The kernel's STA_UNSYNC flag, or an error below a second, as adjtimex(2) "
			 "tells them.",
		.why = "Guests start from the host's clock; one that jumps breaks certificates, "
		       "clusters and logs in all of them at once.",
		.remedy = "dnf install chrony && systemctl enable --now chronyd\n"
			  "chronyc waitsync 30",
		.judge = time_synchronised,
	},
	{
		.id = "system.cpus",
		.title = "There are CPUs for guests",
		.severity = QB_RECOMMENDED,
		.looks = "The CPUs that are online: two, or what checks.thresholds.cpus says.",
		.why = "Each CPU of a guest is a task on the host's; on one alone guests and host "
		       "wait for each other.",
		.remedy = "lscpu --extended\n"
			  "# Add CPUs, or set checks.thresholds.cpus in the configuration.",
		.judge = cpus,
	},
	{
		.id = "system.memory",
		.title = "There is memory for a host of guests",
		.severity = QB_RECOMMENDED,
		.looks = "MemTotal: 3.5 GiB, which a 4-GiB machine has, or what "
			 "checks.thresholds.memory says.",
		.why = "The host itself takes 1 to 2 GiB; what is left has to hold a guest as a "
		       "whole.",
		.remedy = "free -m\n"
			  "# Add memory, or set checks.thresholds.memory in the configuration.",
		.judge = memory,
	},
	{
		.id = "system.space",
		.title = "There is room where the host writes",
		.severity = QB_RECOMMENDED,
		.looks = "The file systems of /, /var, /var/log and /var/lib/libvirt: less than "
			 "10 % and less than 2 GiB (checks.thresholds.space) free is too little, "
			 "and so are fewer than 1000 files.",
		.why = "When they are full libvirt cannot save a guest's definition or state, logs "
		       "end, and updates stop half-way.",
		.remedy = "df -h / /var /var/log /var/lib/libvirt\n"
			  "du -xh /var | sort -h | tail -n 20\n"
			  "journalctl --vacuum-size=200M",
		.judge = space,
	},
};

QB_CHECK_GROUP(system, table);
