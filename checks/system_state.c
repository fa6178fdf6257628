/* SPDX-License-Identifier: Apache-2.0 */
/* What befell this host, and what it keeps of that. */
#include "checks/judging.h"

#include <ctype.h>
#include <inttypes.h>

static void hostname(const struct qb_check_input *in, struct qb_result *r)
{
	static const char *const nobody[] = {"localhost", "localhost.localdomain", "localhost4",
					     "localhost6", "(none)"};
	const char *name = in->facts->system.hostname;

	if (!name) {
		qb_unknown(r, "/proc/sys/kernel/hostname could not be read");
		return;
	}
	qb_evidence(r, "hostname", "/proc/sys/kernel/hostname", "%s", *name ? name : "(empty)");
	for (size_t i = 0; i < QB_ARRAY_SIZE(nobody); i++)
		if (!*name || qb_streq(name, nobody[i])) {
			qb_fail(r, "this host has no name of its own: %s",
				*name ? name : "it is empty");
			return;
		}
	qb_pass(r, "this host is called %s", name);
}

#define MACHINE_ID "/etc/machine-id"

enum {
	MACHINE_ID_LEN = 32
};

/* machine-id(5): 32 hexadecimal digits, not all zero; "uninitialized" is what an image has. */
static void machine_id(const struct qb_check_input *in, struct qb_result *r)
{
	const char *text;
	bool hex = true;

	if (qb_is_absent(in, MACHINE_ID)) {
		qb_evidence(r, "machine-id", MACHINE_ID, "not there");
		qb_fail(r, "this machine has no id");
		return;
	}
	if (!qb_read(in, r, MACHINE_ID, &text))
		return;
	for (const char *c = text; *c; c++)
		hex &= isxdigit((unsigned char)*c) != 0;
	if (!*text || qb_streq(text, "uninitialized"))
		qb_fail(r, "this machine has no id yet");
	else if (!hex || strlen(text) != MACHINE_ID_LEN)
		qb_fail(r, "the machine id is not one of %d hexadecimal digits", MACHINE_ID_LEN);
	else if (strspn(text, "0") == MACHINE_ID_LEN)
		qb_fail(r, "the machine id is all zero");
	else
		qb_pass(r, "this machine has an id of its own");
}

#define UNCORRECTED "/sys/devices/system/edac/mc/mc*/ue_count"
#define CORRECTED "/sys/devices/system/edac/mc/mc*/ce_count"
#define EDAC_SECONDS "/sys/devices/system/edac/mc/mc*/seconds_since_reset"

enum {
	/* mcelog's ce-error-threshold: 10 / 24h */
	CORRECTED_A_DAY = 10,
	DAY_S = 24 * 60 * 60,
};

/* The controller's name in a path of the above. */
static char *controller(const char *path)
{
	const char *name = strstr(path, "/mc/");

	if (!name)
		return qb_strdup(path);
	name += strlen("/mc/");
	return qb_strndup(name, strcspn(name, "/"));
}

/* Since when it counts; 0: not known. */
static uint64_t counting_s(const struct qb_check_input *in, const char *name)
{
	_cleanup_free_ char *path =
		qb_asprintf("/sys/devices/system/edac/mc/%s/seconds_since_reset", name);
	const struct qb_reading *reading = qb_facts_reading(in->facts, path);
	uint64_t seconds;

	if (!reading || !reading->value || qb_parse_u64(reading->value, &seconds) < 0)
		return 0;
	return seconds;
}

static void weigh_counter(const struct qb_check_input *in, struct qb_result *r,
			  const struct qb_reading *x, bool corrected, struct qb_tally *t)
{
	_cleanup_free_ char *name = controller(x->path);
	uint64_t n, seconds = counting_s(in, name);

	if (!x->value || qb_parse_u64(x->value, &n) < 0) {
		qb_tally_unsure(t, "%s could not be read: %s", x->path,
				x->value ? "it holds no number" : qb_read_why(x));
		return;
	}
	qb_evidence(r, corrected ? "ce_count" : "ue_count", x->path, "%" PRIu64, n);
	if (!corrected && n)
		qb_tally_bad(t, "%s met %" PRIu64 " errors that nothing corrected", name, n);
	/* Without knowing since when, a number of them says nothing of their rate. */
	else if (corrected && n > CORRECTED_A_DAY && seconds &&
		 n / CORRECTED_A_DAY > seconds / DAY_S)
		qb_tally_bad(t, "%s corrected %" PRIu64 " errors, more than %d a day", name, n,
			     CORRECTED_A_DAY);
	else
		t->good++;
}

static void memory_errors(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *none = qb_facts_reading(in->facts, UNCORRECTED);
	struct qb_tally t = {0};

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, UNCORRECTED, x));)
		weigh_counter(in, r, x, false, &t);
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, CORRECTED, x));)
		weigh_counter(in, r, x, true, &t);
	if (!t.good && !t.bad.n && !t.unsure.n && !(none && none->absent))
		qb_tally_unsure(&t, "memory controllers could not be read: %s", qb_read_why(none));
	qb_tally_end(&t, r, "memory controllers met no errors that matter",
		     "no memory controller tells of errors here");
}

#define TAINTED "/proc/sys/kernel/tainted"

/* Documentation/admin-guide/tainted-kernels.rst; those after which guests are at risk. Proprietary,
 * unsigned and out-of-tree modules, warnings and live patches are everyday. */
static const struct {
	unsigned bit;
	const char *what;
} taints[] = {
	{1, "a module was loaded by force"},  {3, "a module was unloaded by force"},
	{4, "the CPU reported a fault"},      {5, "a page of memory was found in a wrong state"},
	{7, "the kernel met a fault (oops)"}, {14, "a CPU was stuck (soft lockup)"},
};

static void taint(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {.good = 1};
	uint64_t mask;

	if (!qb_read_u64(in, r, TAINTED, &mask))
		return;
	for (size_t i = 0; i < QB_ARRAY_SIZE(taints); i++)
		if (mask >> taints[i].bit & 1)
			qb_tally_bad(&t, "%s", taints[i].what);
	qb_tally_end(&t, r, "the kernel met nothing that puts guests at risk", "");
}

#define MODULES "/lib/modules/*/modules.dep.bin"
#define REBOOT_REQUIRED "/run/reboot-required"

/* As rpm orders versions: runs of digits by value, after them runs of letters. <0, 0, >0. */
static int compare_versions(const char *a, const char *b)
{
	while (*a && *b) {
		size_t na, nb;
		int order;

		while (*a && !isalnum((unsigned char)*a))
			a++;
		while (*b && !isalnum((unsigned char)*b))
			b++;
		if (!isdigit((unsigned char)*a) != !isdigit((unsigned char)*b))
			return isdigit((unsigned char)*a) ? 1 : -1;
		if (isdigit((unsigned char)*a)) {
			a += strspn(a, "0");
			b += strspn(b, "0");
			na = strspn(a, "0123456789");
			nb = strspn(b, "0123456789");
			if (na != nb)
				return na > nb ? 1 : -1;
		} else {
			for (na = 0; isalpha((unsigned char)a[na]); na++)
				;
			for (nb = 0; isalpha((unsigned char)b[nb]); nb++)
				;
		}
		order = strncmp(a, b, na > nb ? na : nb);
		if (order)
			return order;
		a += na;
		b += nb;
	}
	return (*a != '\0') - (*b != '\0');
}

/* What tells kernels apart of which one is not the successor of the other: "+debug", "amd64". */
static const char *variant(const char *release, const char *arch)
{
	_cleanup_free_ char *dot = qb_asprintf(".%s", arch ? arch : "x86_64");
	const char *at = strstr(release, dot), *dash = strchr(release, '-');

	if (at)
		return at + strlen(dot);
	dash = dash ? strchr(dash + 1, '-') : NULL;
	return dash ? dash : "";
}

/* Within what a release of the distribution keeps for its life: 5.14.0 of EL 9. */
static bool succeeds(const char *other, const char *running, const char *arch)
{
	size_t base = strcspn(running, "-");

	return strncmp(other, running, base) == 0 && other[base] == running[base] &&
	       qb_streq(variant(other, arch), variant(running, arch)) &&
	       !strstr(other, ".rt") == !strstr(running, ".rt") &&
	       compare_versions(other, running) > 0;
}

static void reboot_pending(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *flag = qb_facts_reading(in->facts, REBOOT_REQUIRED);
	const struct qb_reading *none = qb_facts_reading(in->facts, MODULES);
	const char *running = in->facts->system.kernel;
	_cleanup_free_ char *newest = NULL;
	size_t installed = 0;

	if (!running) {
		qb_unknown(r, "which kernel runs could not be read");
		return;
	}
	qb_evidence(r, "running", "/proc/sys/kernel/osrelease", "%s", running);
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, MODULES, x));) {
		const char *name = x->path + strlen("/lib/modules/");
		_cleanup_free_ char *release = qb_strndup(name, strcspn(name, "/"));

		/* What a removed kernel left behind has no index of modules. */
		if (!x->mode)
			continue;
		qb_evidence(r, "installed", "/lib/modules", "%s", release);
		installed++;
		if (succeeds(release, newest ? newest : running, in->facts->system.arch)) {
			free(newest);
			newest = QB_TAKE_PTR(release);
		}
	}
	if (newest)
		qb_fail(r, "%s runs; %s is installed, and begins with a restart", running, newest);
	else if (flag && flag->mode)
		qb_fail(r, "updates that are installed wait for a restart (%s)", REBOOT_REQUIRED);
	else if (installed)
		qb_pass(r, "no newer kernel than the running one is installed");
	else if (none && none->absent)
		qb_skip(r, "no kernel is installed here: this machine gets it from outside");
	else
		qb_unknown(r, "/lib/modules could not be read: %s", qb_read_why(none));
}

#define JOURNAL "/var/log/journal"
#define WANTS "/etc/systemd/system/multi-user.target.wants"

/* journald.conf(5), Storage=auto: on disk where that directory is. */
static void logs_kept(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *journal = qb_facts_reading(in->facts, JOURNAL);
	const struct qb_reading *wants = qb_facts_reading(in->facts, WANTS);
	const char *words = wants ? wants->value : NULL;

	if (journal && journal->mode) {
		qb_evidence(r, "journal", JOURNAL, "there");
		qb_pass(r, "the journal is kept on disk");
	} else if (words && (strstr(words, "rsyslog.service") || strstr(words, "syslog-ng"))) {
		qb_evidence(r, "syslog", WANTS, "enabled");
		qb_pass(r, "a syslog daemon keeps what the journal forgets");
	} else if (journal && journal->absent && wants && (words || wants->absent)) {
		qb_evidence(r, "journal", JOURNAL, "not there");
		qb_evidence(r, "syslog", WANTS, "not enabled");
		qb_fail(r, "logs are gone after a restart: the journal is in memory only");
	} else {
		qb_unknown(r, "whether logs are kept could not be read: %s",
			   journal && journal->absent ? qb_read_why(wants) : qb_read_why(journal));
	}
}

#define PROFILE "/etc/tuned/active_profile"

/* Profiles that TuneD ships. */
static void tuned(const struct qb_check_input *in, struct qb_result *r)
{
	static const char *const good[] = {"virtual-host", "realtime-virtual-host",
					   "cpu-partitioning", "throughput-performance",
					   "latency-performance"};
	static const char *const bad[] = {"balanced",
					  "powersave",
					  "desktop",
					  "virtual-guest",
					  "laptop-battery-powersave",
					  "laptop-ac-powersave",
					  "balanced-battery"};
	const char *name;

	if (qb_is_absent(in, PROFILE)) {
		qb_skip(r, "TuneD is not in use");
		return;
	}
	if (!qb_read(in, r, PROFILE, &name))
		return;
	for (size_t i = 0; i < QB_ARRAY_SIZE(good); i++)
		if (qb_streq(name, good[i])) {
			qb_pass(r, "TuneD's profile is %s", name);
			return;
		}
	for (size_t i = 0; i < QB_ARRAY_SIZE(bad); i++)
		if (qb_streq(name, bad[i])) {
			qb_fail(r, "TuneD's profile is %s, which is not for a host of guests",
				name);
			return;
		}
	if (*name)
		qb_skip(r, "TuneD's profile %s is none of those that are known here", name);
	else
		qb_skip(r, "TuneD has no profile");
}

#define CRASH_LOADED "/sys/kernel/kexec_crash_loaded"

static void kdump(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t loaded;

	if (qb_is_absent(in, CRASH_LOADED)) {
		qb_skip(r, "this kernel cannot start another one when it crashes");
		return;
	}
	if (!qb_read_u64(in, r, CRASH_LOADED, &loaded))
		return;
	if (loaded)
		qb_pass(r, "a crash of the kernel leaves a dump");
	else
		qb_fail(r, "a crash of the kernel leaves no dump: kdump is not loaded");
}

static const struct qb_check table[] = {
	{
		.id = "system.hostname",
		.title = "The host has a name of its own",
		.severity = QB_RECOMMENDED,
		.looks = "The kernel's host name: set, and not localhost.",
		.why = "libvirt refuses to migrate a guest to a host that calls itself localhost, "
		       "and in logs nobody can tell two such hosts apart.",
		.remedy = "# With the name that is meant:\n"
			  "hostnamectl set-hostname host1.example.com",
		.judge = hostname,
	},
	{
		.id = "system.machine-id",
		.title = "The machine has an id of its own",
		.severity = QB_RECOMMENDED,
		.looks = "/etc/machine-id: 32 hexadecimal digits, not all zero.",
		.why = "DHCP leases, the journal, and the marks on disks by which this host knows "
		       "its pools are made from it.",
		.remedy = "systemd-machine-id-setup\n# Then restart the host.",
		.reads = (const char *const[]){MACHINE_ID, NULL},
		.judge = machine_id,
	},
	{
		.id = "system.memory-errors",
		.title = "The memory works",
		.severity = QB_RECOMMENDED,
		.looks = "The counters of the memory controllers (EDAC): no uncorrected error, and "
			 "no more than 10 corrected ones a day.",
		.why = "A DIMM whose errors are corrected today is the one whose errors are not "
		       "tomorrow; then a guest ends, or the host.",
		.remedy = "grep . /sys/devices/system/edac/mc/mc*/dimm*/dimm_*e_count\n"
			  "# Move the guests away, and replace the DIMM (its label: dimm_label "
			  "there).",
		.reads = (const char *const[]){UNCORRECTED, CORRECTED, EDAC_SECONDS, NULL},
		.judge = memory_errors,
	},
	{
		.id = "system.taint",
		.title = "The kernel met no fault",
		.severity = QB_RECOMMENDED,
		.looks = "kernel.tainted: the bits for faults of the kernel, of the CPU and of "
			 "memory, for CPUs that were stuck and for modules by force. Those for "
			 "modules from elsewhere do not count.",
		.why = "After an oops the kernel runs on with what was locked or half changed at "
		       "the time; guests hang later, and nobody sees why.",
		.remedy = "journalctl -k -p warning | tail -n 60\n"
			  "# Move the guests away, and restart the host.",
		.reads = (const char *const[]){TAINTED, NULL},
		.judge = taint,
	},
	{
		.id = "system.reboot-pending",
		.title = "The newest installed kernel runs",
		.severity = QB_INFORMATIONAL,
		.looks = "The running kernel against those of the same series in /lib/modules; "
			 "/run/reboot-required.",
		.why = "What an update of the kernel mended is not mended before the restart, and "
		       "what changes with it is a surprise on the day of an outage.",
		.remedy = "# When the guests are moved or may stop:\nsystemctl reboot",
		.reads = (const char *const[]){MODULES, REBOOT_REQUIRED, NULL},
		.judge = reboot_pending,
	},
	{
		.id = "system.logs-kept",
		.title = "Logs outlive a restart",
		.severity = QB_INFORMATIONAL,
		.looks = "/var/log/journal, or a syslog daemon that is enabled.",
		.why = "When a host of guests went down, what it last said is all there is to tell "
		       "why.",
		.remedy = "mkdir -p /var/log/journal\njournalctl --flush",
		.reads = (const char *const[]){JOURNAL, WANTS, NULL},
		.judge = logs_kept,
	},
	{
		.id = "system.tuned",
		.title = "The tuning is that of a host",
		.severity = QB_INFORMATIONAL,
		.looks = "TuneD's active profile: virtual-host, or another one for performance.",
		.why = "Profiles that save power, or are for guests, slow down how the host "
		       "schedules guests and writes back their data.",
		.remedy = "tuned-adm profile virtual-host",
		.reads = (const char *const[]){PROFILE, NULL},
		.judge = tuned,
	},
	{
		.id = "system.kdump",
		.title = "A crash of the kernel leaves a dump",
		.severity = QB_INFORMATIONAL,
		.looks = "/sys/kernel/kexec_crash_loaded.",
		.why = "All guests end with the host; without a dump nobody can say why, nor "
		       "keep it from happening again.",
		.remedy = "dnf install kexec-tools && systemctl enable --now kdump\n"
			  "# Where that says that no memory is reserved:\n"
			  "grubby --update-kernel=ALL --args=crashkernel=1G-4G:192M,4G-64G:256M,"
			  "64G-:512M\n"
			  "# Then restart the host.",
		.reads = (const char *const[]){CRASH_LOADED, NULL},
		.judge = kdump,
	},
};

QB_CHECK_GROUP_PART(qb_system_state_checks, system, table);
