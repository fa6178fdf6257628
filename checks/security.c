/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

#include <inttypes.h>

/* From off: enforcing at once would lock out whoever needs a file without a label. */
static const char from_off[] =
	"grubby --update-kernel=ALL --remove-args='selinux enforcing'\n"
	"sed -i 's/^SELINUX=.*/SELINUX=permissive/' /etc/selinux/config\n"
	"fixfiles -F onboot\n"
	"# Restart the host, which labels all files. Then see ausearch -m avc -ts boot,\n"
	"# and when that is well set SELINUX=enforcing, and setenforce 1.";

static void selinux(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;

	qb_evidence_tri(r, "enabled", "/sys/fs/selinux", &s->selinux_enabled);
	if (qb_is(&s->selinux_enabled))
		qb_evidence_tri(r, "enforcing", "/sys/fs/selinux/enforce", &s->selinux_enforcing);

	if (s->selinux_enabled.state == QB_UNKNOWN)
		qb_unknown(r, "whether SELinux is on is unknown: %s", qb_why(&s->selinux_enabled));
	else if (qb_is_not(&s->selinux_enabled) && s->os_id && !qb_is_el(s))
		qb_skip(r, "%s does not come with SELinux", s->os_name ? s->os_name : s->os_id);
	else if (qb_is_not(&s->selinux_enabled))
		qb_remedy(r, "%s", from_off), qb_fail(r, "SELinux is off");
	else if (qb_is(&s->selinux_enforcing))
		qb_pass(r, "SELinux is enforcing");
	else if (qb_is_not(&s->selinux_enforcing))
		qb_fail(r, "SELinux is permissive: it notes what it would forbid, and allows it");
	else
		qb_unknown(r, "whether SELinux is enforcing is unknown: %s",
			   qb_why(&s->selinux_enforcing));
}

#define SELINUX_CONFIG "/etc/selinux/config"
#define CMDLINE "/proc/cmdline"

/* A word of the kernel's command line. */
static bool has_argument(const char *cmdline, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = cmdline; (at = strstr(at, word)); at += len)
		if ((at == cmdline || at[-1] == ' ') && (!at[len] || strchr(" \n", at[len])))
			return true;
	return false;
}

static void selinux_at_boot(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;
	const struct qb_reading *config = qb_facts_reading(in->facts, SELINUX_CONFIG);
	_cleanup_free_ char *mode = NULL;
	const char *cmdline, *off;

	if (qb_is_not(&s->selinux_enabled) && s->os_id && !qb_is_el(s)) {
		qb_skip(r, "%s does not come with SELinux", s->os_name ? s->os_name : s->os_id);
		return;
	}
	if (!config || !config->value) {
		qb_unknown(r, "%s could not be read: %s", SELINUX_CONFIG, qb_read_why(config));
		return;
	}
	if (!qb_read(in, r, CMDLINE, &cmdline))
		return;
	off = has_argument(cmdline, "selinux=0")     ? "selinux=0"
	      : has_argument(cmdline, "enforcing=0") ? "enforcing=0"
						     : NULL;
	mode = qb_conf_value(config->value, "SELINUX");
	if (!qb_is(&s->selinux_enabled))
		qb_remedy(r, "%s", from_off);
	if (mode)
		qb_evidence(r, "SELINUX", SELINUX_CONFIG, "%s", mode);
	if (off)
		qb_fail(r, "the kernel was started with %s", off);
	else if (!mode)
		qb_unknown(r, "%s names no mode", SELINUX_CONFIG);
	else if (!strcasecmp(mode, "enforcing"))
		qb_pass(r, "SELinux will be enforcing after a restart, too");
	else
		qb_fail(r, "SELinux will be %s after a restart", mode);
}

#define ASLR "/proc/sys/kernel/randomize_va_space"

static void randomisation(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t value;

	if (!qb_read_u64(in, r, ASLR, &value))
		return;
	/* Documentation/admin-guide/sysctl/kernel.rst; 1 leaves out the heap. */
	if (value == 2)
		qb_pass(r, "processes lie at random addresses (2)");
	else
		qb_fail(r,
			"kernel.randomize_va_space is %" PRIu64 ": QEMU's addresses can be guessed",
			value);
}

static const struct qb_check table[] = {
	{
		.id = "security.selinux",
		.title = "SELinux is enforcing",
		.severity = QB_RECOMMENDED,
		.looks = "Whether SELinux is enabled and enforcing, on a system that comes with "
			 "it.",
		.why = "svirt gives each guest a label of its own: a guest that breaks out of "
		       "QEMU still cannot read another guest's disk.",
		.remedy = "ausearch -m avc -ts boot\n"
			  "# What stands there will be forbidden. When that is well:\n"
			  "sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config\n"
			  "setenforce 1",
		.judge = selinux,
	},
	{
		.id = "security.selinux-boot",
		.title = "SELinux stays enforcing after a restart",
		.severity = QB_RECOMMENDED,
		.looks = "SELINUX in /etc/selinux/config, and selinux=0 or enforcing=0 on the "
			 "kernel's command line, on a system that comes with SELinux.",
		.why = "What runs now says nothing of the next start; and after one without "
		       "SELinux all files have to be labelled anew.",
		.remedy = "sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config\n"
			  "grubby --update-kernel=ALL --remove-args='selinux enforcing'",
		.reads = (const char *const[]){SELINUX_CONFIG, CMDLINE, NULL},
		.judge = selinux_at_boot,
	},
	{
		.id = "security.randomisation",
		.title = "Processes lie at random addresses",
		.severity = QB_RECOMMENDED,
		.looks = "kernel.randomize_va_space: 2.",
		.why = "A guest that attacks QEMU has to know where things are; at fixed addresses "
		       "it does.",
		.remedy = "echo kernel.randomize_va_space = 2 >>/etc/sysctl.d/60-guests.conf\n"
			  "sysctl -p /etc/sysctl.d/60-guests.conf",
		.reads = (const char *const[]){ASLR, NULL},
		.judge = randomisation,
	},
};

QB_CHECK_GROUP(security, table);
