/* SPDX-License-Identifier: Apache-2.0 */
/* How the CPUs are set up: which of them are there, alike, free for guests, and how fast. */
#include "checks/judging.h"

#include <ctype.h>
#include <inttypes.h>

#define CPU_DIR "/sys/devices/system/cpu"

static bool is_x86(const struct qb_facts *f)
{
	return qb_streq(f->system.arch, "x86_64");
}

/* The length of the part of a kind before its microcode. */
static size_t same_part(const char *kind)
{
	const char *comma = strchr(kind, ',');

	return comma ? (size_t)(comma - kind) : strlen(kind);
}

static bool is_same_part(const char *a, const char *b)
{
	return same_part(a) == same_part(b) && strncmp(a, b, same_part(a)) == 0;
}

/* True when the kinds of CPUs are known, which become evidence; else the verdict is given. */
static bool kinds_are_known(const struct qb_facts *f, struct qb_result *r)
{
	if (!f->cpu.kinds.n) {
		qb_unknown(r, "/proc/cpuinfo does not tell of what kind the CPUs are");
		return false;
	}
	for (size_t i = 0; i < f->cpu.kinds.n; i++)
		qb_evidence(r, "CPU", "/proc/cpuinfo", "%s", f->cpu.kinds.v[i]);
	return true;
}

/* CPUs of different steppings have different revisions rightly: like is compared with like. */
static void microcode(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	const struct qb_strs *kinds = &f->cpu.kinds;
	struct qb_tally t = {0};

	if (f->system.arch && !is_x86(f)) {
		qb_skip(r, "the kernel shows no microcode of a CPU of type %s", f->system.arch);
		return;
	}
	if (!kinds_are_known(f, r))
		return;
	for (size_t i = 0; i < kinds->n; i++) {
		const char *its = strstr(kinds->v[i], ", microcode ");

		if (!its)
			continue;
		t.good++;
		for (size_t k = 0; k < i; k++)
			if (is_same_part(kinds->v[i], kinds->v[k]) && strchr(kinds->v[k], ','))
				qb_tally_bad(&t, "CPUs of one kind run microcode %s and %s",
					     strrchr(kinds->v[k], ' ') + 1, strrchr(its, ' ') + 1);
	}
	if (!t.good && !qb_is(&f->cpu.hypervisor))
		qb_tally_unsure(&t, "/proc/cpuinfo names no microcode");
	qb_tally_end(&t, r, "all CPUs of a kind run the same microcode",
		     "the outer hypervisor hides the microcode");
}

#define ATOMS "/sys/devices/cpu_atom"

static void alike(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	size_t parts = 0;

	if (!kinds_are_known(f, r))
		return;
	for (size_t i = 0, k; i < f->cpu.kinds.n; i++) {
		for (k = 0; k < i; k++)
			if (is_same_part(f->cpu.kinds.v[i], f->cpu.kinds.v[k]))
				break;
		parts += k == i;
	}
	if (parts > 1) {
		qb_fail(r, "the CPUs are of %zu kinds", parts);
		return;
	}
	/* The two kinds of one Intel die share their signature; the kernel's counters tell them. */
	if ((!f->system.arch || is_x86(f)) && !qb_is_absent(in, ATOMS)) {
		const struct qb_reading *atoms = qb_facts_reading(f, ATOMS);

		if (!atoms || !atoms->mode) {
			qb_unknown(r, "%s could not be read: %s", ATOMS, qb_read_why(atoms));
			return;
		}
		qb_evidence(r, "cpu_atom", ATOMS, "there");
		qb_fail(r, "some CPUs are performance cores, others efficient ones");
		return;
	}
	qb_pass(r, "all CPUs are of one kind");
}

/* System V psABI for x86-64, "micro-architecture levels", by the names of /proc/cpuinfo; "abm" is
 * LZCNT, and OSXSAVE follows from "xsave". */
static const char *const level_2[] = {"cx16",   "lahf_lm", "popcnt", "pni",
				      "sse4_1", "sse4_2",  "ssse3",  NULL};
static const char *const level_3[] = {"avx", "avx2", "bmi1",  "bmi2",  "f16c",
				      "fma", "abm",  "movbe", "xsave", NULL};

static void missing(const struct qb_cpu_facts *cpu, const char *const *wanted, struct qb_strs *ret)
{
	for (; *wanted; wanted++)
		if (!qb_strs_has(&cpu->flags, *wanted))
			qb_strs_add(ret, *wanted);
}

static void level(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_cpu_facts *cpu = &in->facts->cpu;
	_cleanup_strs_ struct qb_strs lacks_2 = {0}, lacks_3 = {0};
	_cleanup_free_ char *names = NULL;

	if (in->facts->system.arch && !is_x86(in->facts)) {
		qb_skip(r, "the levels are those of x86-64, not of %s", in->facts->system.arch);
		return;
	}
	if (!cpu->flags.n) {
		qb_unknown(r, "the CPU's flags could not be read: %s", qb_why(&cpu->flag_vmx));
		return;
	}
	if (qb_no_arch(in->facts, r))
		return;
	missing(cpu, level_2, &lacks_2);
	missing(cpu, level_3, &lacks_3);
	names = qb_strs_sentence(lacks_2.n ? &lacks_2 : &lacks_3);
	qb_evidence(r, "lacks", "/proc/cpuinfo", "%s", *names ? names : "nothing");
	if (lacks_2.n)
		qb_fail(r, "guests of EL9 and later do not start: the CPU lacks %s", names);
	else if (lacks_3.n)
		qb_fail(r, "guests of EL10 do not start: the CPU lacks %s", names);
	else
		qb_pass(r, "the CPU is an x86-64-v3: guests of every EL start");
}

#define GOVERNORS CPU_DIR "/cpufreq/policy*/scaling_governor"
#define SET_SPEED CPU_DIR "/cpufreq/policy0/scaling_setspeed"
#define MOST_SPEED CPU_DIR "/cpufreq/policy0/cpuinfo_max_freq"
#define DRIVER CPU_DIR "/cpufreq/policy0/scaling_driver"

/* Of these "powersave" is a governor that follows the load (kernel, admin-guide/pm/intel_pstate.rst
 * and amd-pstate.rst, active mode); of all others it is the lowest frequency for ever. */
static bool has_own_powersave(const char *driver)
{
	return qb_streq(driver, "intel_pstate") || qb_streq(driver, "amd-pstate-epp") ||
	       qb_streq(driver, "amd_pstate_epp");
}

enum {
	DRIVER_NAME_MAX = 15 /* Linux, CPUFREQ_NAME_LEN with its end */
};

/* What the governors of all frequency domains come to. */
struct governors {
	const struct qb_reading *first, *low, *held; /* the first of each kind */
	size_t n, n_low, n_held;
};

/* False where one could not be read; the verdict is given then. */
static bool survey(const struct qb_check_input *in, struct qb_result *r, struct governors *ret)
{
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, GOVERNORS, x)); ret->n++) {
		if (!x->value || !*x->value) {
			qb_unknown(r, "%s could not be read: %s", x->path,
				   x->value ? "it is empty" : qb_read_why(x));
			return false;
		}
		ret->first = ret->first ? ret->first : x;
		if (qb_streq(x->value, "userspace") && !ret->n_held++)
			ret->held = x;
		if (qb_streq(x->value, "powersave") && !ret->n_low++)
			ret->low = x;
	}
	if (!ret->first)
		qb_unknown(r, "the CPUs' governors could not be read: %s",
			   qb_read_why(qb_facts_reading(in->facts, GOVERNORS)));
	return ret->first;
}

/* "userspace" holds the frequency that somebody wrote (kernel, admin-guide/pm/cpufreq.rst): in one
 * domain as in the others. */
static void held(const struct qb_check_input *in, const struct governors *g, struct qb_result *r)
{
	uint64_t khz, most_khz;

	if (!qb_read_u64(in, r, SET_SPEED, &khz) || !qb_read_u64(in, r, MOST_SPEED, &most_khz))
		return;
	if (khz < most_khz)
		qb_fail(r,
			"%zu of %zu frequency domains are held at %" PRIu64 " of %" PRIu64
			" MHz (userspace)",
			g->n_held, g->n, khz / 1000, most_khz / 1000);
	else
		qb_pass(r, "the CPUs are held at their highest frequency (userspace)");
}

static void governor(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *shown;
	struct governors g = {0};
	const char *driver;

	if (qb_is_absent(in, GOVERNORS)) {
		qb_skip(r, "the firmware or an outer hypervisor sets the CPUs' frequency");
		return;
	}
	if (!survey(in, r, &g) || !qb_read(in, r, DRIVER, &driver))
		return;
	if (!*driver || strlen(driver) > DRIVER_NAME_MAX) {
		qb_unknown(r, "%s holds \"%.40s\", which is no driver's name", DRIVER, driver);
		return;
	}
	shown = g.low ? g.low : g.held ? g.held : g.first;
	qb_evidence(r, "scaling_governor", shown->path, "%.40s", shown->value);
	if (g.low && !has_own_powersave(driver))
		qb_fail(r, "%zu of %zu frequency domains stay at their lowest (powersave of %.40s)",
			g.n_low, g.n, driver);
	else if (g.held)
		held(in, &g, r);
	else
		qb_pass(r, "the CPUs' frequency follows the load (%.40s of %.40s)", shown->value,
			driver);
}

enum {
	CPUS_MAX = 16384 /* twice what the kernel can be built for (NR_CPUS) */
};

struct cpus {
	bool has[CPUS_MAX];
	size_t n;
};

static bool parse_number(const char **at, size_t *ret)
{
	size_t n = 0;

	if (!isdigit((unsigned char)**at))
		return false;
	for (; isdigit((unsigned char)**at) && n < CPUS_MAX; (*at)++)
		n = n * 10 + (size_t)(**at - '0');
	*ret = n;
	return n < CPUS_MAX;
}

/* "0-3,5"; nothing is a list, too, and so is how printf of older kernels shows none. */
static bool parse_cpus(const char *text, struct cpus *ret)
{
	const char *at = text;

	*ret = (struct cpus){0};
	if (!*text || qb_streq(text, "(null)"))
		return true;
	for (;; at++) {
		size_t first, last;

		if (!parse_number(&at, &first))
			return false;
		last = first;
		if (*at == '-' && (at++, !parse_number(&at, &last)))
			return false;
		for (size_t i = first; i <= last; i++) {
			ret->n += !ret->has[i];
			ret->has[i] = true;
		}
		if (last < first || (*at && *at != ','))
			return false;
		if (!*at)
			return true;
	}
}

static bool read_cpus(const struct qb_check_input *in, struct qb_result *r, const char *path,
		      struct cpus *ret)
{
	const char *text;

	if (!qb_read(in, r, path, &text))
		return false;
	if (parse_cpus(text, ret))
		return true;
	qb_unknown(r, "%s holds \"%.40s\", which is no list of CPUs", path, text);
	return false;
}

#define ONLINE CPU_DIR "/online"
#define PRESENT CPU_DIR "/present"
#define ISOLATED CPU_DIR "/isolated"
#define SMT_CONTROL CPU_DIR "/smt/control"

static void all_online(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *smt = qb_facts_reading(in->facts, SMT_CONTROL);
	const char *arch = in->facts->system.arch;
	struct cpus present, online;

	if (arch && !is_x86(in->facts) && strcmp(arch, "aarch64") != 0) {
		qb_skip(r, "on %s CPUs are offline until they are assigned", arch);
		return;
	}
	if (qb_no_arch(in->facts, r))
		return;
	if (!read_cpus(in, r, PRESENT, &present) || !read_cpus(in, r, ONLINE, &online))
		return;
	if (!online.n) {
		qb_unknown(r, "%s names no CPU", ONLINE);
	} else if (online.n >= present.n) {
		qb_pass(r, "all %zu CPUs are online", present.n);
	} else if (smt && (qb_streq(smt->value, "off") || qb_streq(smt->value, "forceoff")) &&
		   online.n * 2 >= present.n) {
		qb_evidence(r, "smt", SMT_CONTROL, "%s", smt->value);
		qb_pass(r, "every core is online; their second threads are switched off");
	} else {
		qb_fail(r, "%zu of %zu CPUs are offline", present.n - online.n, present.n);
	}
}

enum {
	HOST_CPUS = 2 /* the least that keeps one for I/O of guests while the other is busy */
};

static void isolated(const struct qb_check_input *in, struct qb_result *r)
{
	struct cpus alone, online;
	size_t left = 0, n = 0;

	if (!read_cpus(in, r, ISOLATED, &alone) || !read_cpus(in, r, ONLINE, &online))
		return;
	for (size_t i = 0; i < CPUS_MAX; i++) {
		n += online.has[i] && alone.has[i];
		left += online.has[i] && !alone.has[i];
	}
	if (!online.n)
		qb_unknown(r, "%s names no CPU", ONLINE);
	else if (!n)
		qb_pass(r, "no CPU is isolated");
	else if (left >= HOST_CPUS)
		qb_pass(r, "%zu CPUs are isolated, and %zu are left to the host", n, left);
	else
		qb_fail(r, "%zu of %zu CPUs are isolated, which leaves the host %zu", n, online.n,
			left);
}

#define CLOCK "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define CLOCKS "/sys/devices/system/clocksource/clocksource0/available_clocksource"

static void clock_source(const struct qb_check_input *in, struct qb_result *r)
{
	/* Read by an instruction; the others cost a trip to a chip or to a hypervisor, ten to a
	 * hundred times as long (kernel, virt/kvm/x86/timekeeping.rst). */
	static const char *const good[] = {"tsc",
					   "tsc-early",
					   "kvm-clock",
					   "xen",
					   "arch_sys_counter",
					   "hyperv_clocksource_tsc_page",
					   "timebase",
					   "tod"};
	static const char *const bad[] = {"hpet",    "acpi_pm",         "pit",
					  "jiffies", "refined-jiffies", "hyperv_clocksource_msr"};
	const char *clock;
	const struct qb_reading *all = qb_facts_reading(in->facts, CLOCKS);

	if (!qb_read(in, r, CLOCK, &clock))
		return;
	if (all && all->value && *all->value)
		qb_evidence(r, "available", CLOCKS, "%.80s", all->value);
	for (size_t i = 0; i < QB_ARRAY_SIZE(good); i++)
		if (qb_streq(clock, good[i])) {
			qb_pass(r, "time comes from %s, which the CPU reads itself", clock);
			return;
		}
	for (size_t i = 0; i < QB_ARRAY_SIZE(bad); i++)
		if (qb_streq(clock, bad[i])) {
			qb_fail(r, "time comes from %s, which is slow to read", clock);
			return;
		}
	qb_unknown(r, "whether %.40s is a good source of time is not known here", clock);
}

static const struct qb_check table[] = {
	{
		.id = "cpu.microcode",
		.title = "All CPUs run the same microcode",
		.severity = QB_RECOMMENDED,
		.looks = "The line microcode of each CPU in /proc/cpuinfo, among CPUs of the same "
			 "family, model and stepping.",
		.why = "After an update that reached some CPUs only, a guest that moves between "
		       "them meets different features and errata.",
		.remedy = "dnf upgrade microcode_ctl linux-firmware\ndmesg | grep -i microcode\n"
			  "# Then restart the host, and update its firmware if that does not "
			  "help.",
		.judge = microcode,
	},
	{
		.id = "cpu.alike",
		.title = "All CPUs are of one kind",
		.severity = QB_INFORMATIONAL,
		.looks = "Family, model and stepping of each CPU in /proc/cpuinfo, and whether "
			 "the kernel counts events of two kinds of cores.",
		.why = "A guest whose virtual CPUs are not pinned to cores of one kind runs at "
		       "changing speed, and can have no performance counters.",
		.remedy = "lscpu --extended\n# Pin the virtual CPUs of guests to cores of one "
			  "kind: virsh vcpupin",
		.reads = (const char *const[]){ATOMS, NULL},
		.judge = alike,
	},
	{
		.id = "cpu.level",
		.title = "The CPU is new enough for today's guests",
		.severity = QB_INFORMATIONAL,
		.looks = "The flags of /proc/cpuinfo that make an x86-64-v2 and an x86-64-v3.",
		.why = "EL9 is built for x86-64-v2 and EL10 for v3: on less, such a guest stops "
		       "before its first message.",
		.remedy = "/lib64/ld-linux-x86-64.so.2 --help | grep x86-64-v\n# In a guest, let "
			  "the outer host give it the CPU as it is "
			  "(<cpu mode='host-passthrough'/>).",
		.judge = level,
	},
	{
		.id = "cpu.governor",
		.title = "The CPUs run as fast as guests need",
		.severity = QB_RECOMMENDED,
		.looks = "The governor of each frequency domain: not powersave, but of the "
			 "drivers intel_pstate and amd-pstate in active mode, where that follows "
			 "the load; of userspace the frequency that was set: the highest.",
		.why = "Held at the lowest frequency, every guest runs at a half or a third of "
		       "the speed that was paid for.",
		.remedy = "tuned-adm profile virtual-host\ncpupower frequency-info",
		.reads = (const char *const[]){GOVERNORS, DRIVER, SET_SPEED, MOST_SPEED, NULL},
		.judge = governor,
	},
	{
		.id = "cpu.online",
		.title = "All CPUs are online",
		.severity = QB_RECOMMENDED,
		.looks = "The CPUs present against those online; second threads that are switched "
			 "off on purpose do not count.",
		.why = "A CPU that somebody or a fault took offline is missing to guests, and "
		       "those that are pinned to it do not start.",
		.remedy = "lscpu --extended\ndmesg | grep -iE 'mce|smpboot|cpu.*(offline|dead)'\n"
			  "chcpu --enable \"$(cat " CPU_DIR "/present)\"",
		.reads = (const char *const[]){PRESENT, ONLINE, SMT_CONTROL, NULL},
		.judge = all_online,
	},
	{
		.id = "cpu.isolated",
		.title = "Isolation leaves the host its own CPUs",
		.severity = QB_RECOMMENDED,
		.looks = "The CPUs online less those isolated (isolcpus=): at least two.",
		.why = "The host's own work, QEMU's I/O and every guest that is not pinned share "
		       "what isolation leaves over.",
		.remedy = "grubby --info=DEFAULT | grep -o 'isolcpus=[^ \"]*'\n# Isolate fewer, "
			  "and restart:\ngrubby --update-kernel=ALL --remove-args=isolcpus",
		.reads = (const char *const[]){ISOLATED, ONLINE, NULL},
		.judge = isolated,
	},
	{
		.id = "cpu.clock-source",
		.title = "The time is read from the CPU",
		.severity = QB_RECOMMENDED,
		.looks = "The kernel's current clock source: not hpet, acpi_pm or another one "
			 "outside of the CPU.",
		.why = "QEMU reads the time all the time. When the kernel distrusts the CPU's "
		       "counter, guests lose their fast clock as well.",
		.remedy = "dmesg | grep -iE 'clocksource|tsc'\n# Update the firmware; a CPU "
			  "counter that the kernel found unstable is not to be forced.",
		.reads = (const char *const[]){CLOCK, CLOCKS, NULL},
		.judge = clock_source,
	},
};

QB_CHECK_GROUP_PART(qb_cpu_state_checks, cpu, table);
