/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

#include <ctype.h>

bool qb_is_el(const struct qb_system_facts *s)
{
	static const char *const ids[] = {"rhel", "rocky", "almalinux", "centos", "ol"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(ids); i++)
		if (qb_streq(s->os_id, ids[i]))
			return true;
	return false;
}

static void architecture(const struct qb_check_input *in, struct qb_result *r)
{
	const char *arch = in->facts->system.arch;

	if (!arch) {
		qb_unknown(r, "the architecture could not be read");
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
		.looks = "The kernel's STA_UNSYNC flag, as adjtimex(2) tells it.",
		.why = "Guests start from the host's clock; one that jumps breaks certificates, "
		       "clusters and logs in all of them at once.",
		.remedy = "dnf install chrony && systemctl enable --now chronyd\n"
			  "chronyc waitsync 30",
		.judge = time_synchronised,
	},
};

QB_CHECK_GROUP(system, table);
