/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

#include <inttypes.h>
#include <stdio.h>

/* The least with which the installed guest system of EL9 starts (its documentation: 1.5 GiB to
 * install, 1 GiB to run), so that the host holds one. */
static const uint64_t least_bytes = 1ull << 30;

#define POOLS "/sys/kernel/mm/hugepages/hugepages-*/free_hugepages"

/* Reserved for guests, and not part of MemAvailable. */
static uint64_t free_huge_bytes(const struct qb_check_input *in)
{
	uint64_t sum = 0, pages, size_kib;

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, POOLS, x));)
		if (x->value && qb_parse_u64(x->value, &pages) == 0 &&
		    sscanf(strstr(x->path, "/hugepages-"), "/hugepages-%" SCNu64 "kB", &size_kib) ==
			    1)
			sum += pages * (size_kib << 10);
	return sum;
}

static void available(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;
	_cleanup_free_ char *have = NULL, *all = NULL, *least = qb_format_size(least_bytes);
	_cleanup_free_ char *huge = NULL;
	uint64_t huge_bytes = free_huge_bytes(in);

	if (!s->memory_bytes) {
		qb_unknown(r, "/proc/meminfo could not be read");
		return;
	}
	have = qb_format_size(s->memory_available_bytes);
	all = qb_format_size(s->memory_bytes);
	qb_evidence(r, "MemAvailable", "/proc/meminfo", "%s", have);
	qb_evidence(r, "MemTotal", "/proc/meminfo", "%s", all);
	huge = qb_format_size(huge_bytes);
	if (huge_bytes)
		qb_evidence(r, "free huge pages", POOLS, "%s", huge);
	if (huge_bytes >= least_bytes)
		qb_pass(r, "%s are available in huge pages, and %s beside", huge, have);
	else if (s->memory_available_bytes >= least_bytes)
		qb_pass(r, "%s of %s are available", have, all);
	else
		qb_fail(r, "only %s of %s are available; a guest needs %s", have, all, least);
}

#define SWAPS "/proc/swaps"

static void swap(const struct qb_check_input *in, struct qb_result *r)
{
	const char *text, *second;

	if (!qb_read(in, r, SWAPS, &text))
		return;
	/* The first line is the heading. */
	second = strchr(text, '\n');
	if (!qb_startswith(text, "Filename"))
		qb_unknown(r, "%s is not the kernel's table of swap", SWAPS);
	else if (second)
		qb_pass(r, "there is swap");
	else
		qb_fail(r, "there is no swap");
}

#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"

static void overcommit(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t mode;

	if (!qb_read_u64(in, r, OVERCOMMIT, &mode))
		return;
	if (mode == 2)
		qb_fail(r, "the kernel refuses memory beyond a fixed sum (mode 2)");
	else
		qb_pass(r, "the kernel gives guests memory as they use it (mode %" PRIu64 ")",
			mode);
}

#define SWAPPINESS "/proc/sys/vm/swappiness"

enum {
	SWAPPINESS_MOST = 60 /* the kernel's default; the tuned profile virtual-host sets 10 */
};

static void swappiness(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t value;

	if (!qb_read_u64(in, r, SWAPPINESS, &value))
		return;
	if (value <= SWAPPINESS_MOST)
		qb_pass(r, "guests' memory is not swapped out early (%" PRIu64 ")", value);
	else
		qb_fail(r, "vm.swappiness is %" PRIu64 ": guests' memory is swapped out early",
			value);
}

#define THP "/sys/kernel/mm/transparent_hugepage/enabled"
#define RESERVED "/sys/kernel/mm/hugepages/hugepages-*/nr_hugepages"

/* Any of either: who reserves pages for guests switches the others off, as TuneD does for guests
 * in real time. */
static bool has_reserved(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t pages;

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, RESERVED, x));)
		if (x->value && qb_parse_u64(x->value, &pages) == 0 && pages) {
			qb_evidence(r, "nr_hugepages", x->path, "%" PRIu64, pages);
			return true;
		}
	return false;
}

static void huge_pages_on_demand(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_free_ char *mode = NULL;
	const char *text;

	if (!qb_read(in, r, THP, &text))
		return;
	mode = qb_bracketed(text);
	if (!mode)
		qb_unknown(r, "%s names no mode: %.40s", THP, text);
	else if (qb_streq(mode, "never") && has_reserved(in, r))
		qb_skip(r, "guests have huge pages reserved for them");
	else if (qb_streq(mode, "never"))
		qb_fail(r, "transparent huge pages are off");
	else
		qb_pass(r, "guests get transparent huge pages (%s)", mode);
}

#define KSM "/sys/kernel/mm/ksm/run"

static void merging(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t run;

	if (qb_is_absent(in, KSM)) {
		qb_skip(r, "this kernel has no KSM");
		return;
	}
	if (!qb_read_u64(in, r, KSM, &run))
		return;
	if (run == 1)
		qb_fail(r, "KSM merges equal pages of different guests");
	else
		qb_pass(r, "KSM merges no pages");
}

#define HUGEPAGES "/sys/devices/system/node/node*/hugepages/hugepages-*/nr_hugepages"

/* Pages reserved on one node are of no use to a guest that is bound to another. */
static void reserved_per_node(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t pages, least = UINT64_MAX, most = 0, sizes = 0;

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, HUGEPAGES, x));) {
		if (!x->value || qb_parse_u64(x->value, &pages) < 0) {
			qb_unknown(r, "%s could not be read: %s", x->path, qb_read_why(x));
			return;
		}
		sizes++;
		most = pages > most ? pages : most;
	}
	if (!sizes) {
		qb_unknown(r, "huge pages per NUMA node could not be read: %s",
			   qb_read_why(qb_facts_reading(in->facts, HUGEPAGES)));
		return;
	}
	/* Of one size at a time: node0's first, then what other nodes have of it. */
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, HUGEPAGES, x));) {
		const char *size = strstr(x->path, "/hugepages-");
		uint64_t sum = 0;

		for (const struct qb_reading *y = NULL; (y = qb_read_next(in, HUGEPAGES, y));)
			if (qb_streq(strstr(y->path, "/hugepages-"), size) &&
			    qb_parse_u64(y->value, &pages) == 0)
				sum += pages;
		if (!sum || qb_parse_u64(x->value, &pages) < 0)
			continue;
		qb_evidence(r, "nr_hugepages", x->path, "%" PRIu64, pages);
		least = pages < least ? pages : least;
	}
	if (!most) {
		qb_evidence(r, "nr_hugepages", HUGEPAGES, "0 everywhere");
		qb_pass(r, "no huge pages are reserved");
	} else if (!least) {
		qb_fail(r, "huge pages are reserved on some NUMA nodes and not on others");
	} else {
		qb_pass(r, "every NUMA node has huge pages of its own");
	}
}

#define NODES "/sys/devices/system/node/node*/meminfo"

static void nodes(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, NODES, x));) {
		const char *node = strstr(x->path, "/node/") + strlen("/node/");
		int len = (int)strcspn(node, "/");
		const char *total = x->value ? strstr(x->value, "MemTotal:") : NULL;
		uint64_t kib = 0;

		if (!total || sscanf(total, "MemTotal: %" SCNu64, &kib) != 1) {
			qb_tally_unsure(&t, "%s could not be read: %s", x->path, qb_read_why(x));
			continue;
		}
		qb_evidence(r, "MemTotal", x->path, "%" PRIu64 " kB", kib);
		if (kib)
			t.good++;
		else
			qb_tally_bad(&t, "%.*s has no memory", len, node);
	}
	if (!t.good && !t.bad.n && !t.unsure.n)
		qb_tally_unsure(&t, "NUMA nodes could not be read: %s",
				qb_read_why(qb_facts_reading(in->facts, NODES)));
	qb_tally_end(&t, r, "every NUMA node has memory", "there are no NUMA nodes");
}

/* Whether a limit of the kernel leaves room for guests. */
static void limit(const struct qb_check_input *in, struct qb_result *r, const char *path,
		  uint64_t least, const char *what)
{
	uint64_t value;

	if (!qb_read_u64(in, r, path, &value))
		return;
	if (value >= least)
		qb_pass(r, "the kernel allows %" PRIu64 " %s", value, what);
	else
		qb_fail(r, "the kernel allows only %" PRIu64 " %s; %" PRIu64 " are its default",
			value, what, least);
}

#define PID_MAX "/proc/sys/kernel/pid_max"

static void tasks(const struct qb_check_input *in, struct qb_result *r)
{
	limit(in, r, PID_MAX, 32768, "tasks: each vCPU is one");
}

#define MAP_COUNT "/proc/sys/vm/max_map_count"

static void mappings(const struct qb_check_input *in, struct qb_result *r)
{
	limit(in, r, MAP_COUNT, 65530, "mappings per process");
}

#define INOTIFY "/proc/sys/fs/inotify/max_user_instances"

static void watches(const struct qb_check_input *in, struct qb_result *r)
{
	limit(in, r, INOTIFY, 128, "inotify instances per user");
}

enum {
	NEARLY_PERCENT = 80
};

static void weigh_use(struct qb_result *r, uint64_t used, uint64_t most, const char *what)
{
	if (used < most / 100 * NEARLY_PERCENT)
		qb_pass(r, "%" PRIu64 " of %" PRIu64 " %s are in use", used, most, what);
	else
		qb_fail(r, "%" PRIu64 " of %" PRIu64 " %s are in use: the next guest may get none",
			used, most, what);
}

#define AIO_NR "/proc/sys/fs/aio-nr"
#define AIO_MAX "/proc/sys/fs/aio-max-nr"

static void aio(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t used, most;

	if (qb_read_u64(in, r, AIO_NR, &used) && qb_read_u64(in, r, AIO_MAX, &most))
		weigh_use(r, used, most, "requests of asynchronous I/O");
}

#define FILE_NR "/proc/sys/fs/file-nr"

static void files(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t used, unused, most;
	const char *text;

	if (!qb_read(in, r, FILE_NR, &text))
		return;
	if (sscanf(text, "%" SCNu64 "%" SCNu64 "%" SCNu64, &used, &unused, &most) == 3)
		weigh_use(r, used, most, "open files");
	else
		qb_unknown(r, "%s holds \"%.40s\", which are not three numbers", FILE_NR, text);
}

static const struct qb_check table[] = {
	{
		.id = "memory.available",
		.title = "There is memory for a guest",
		.severity = QB_RECOMMENDED,
		.looks = "MemAvailable of /proc/meminfo, or free huge pages: at least 1 GiB.",
		.why = "A guest that does not fit is killed by the kernel when the host runs out, "
		       "or takes another one with it.",
		.remedy = "ps -eo pid,rss,comm --sort=-rss | head\n"
			  "# End what is not needed, or add memory.",
		.reads = (const char *const[]){POOLS, NULL},
		.judge = available,
	},
	{
		.id = "memory.swap",
		.title = "There is swap",
		.severity = QB_INFORMATIONAL,
		.looks = "/proc/swaps: at least one entry.",
		.why = "Without it the kernel kills a guest when memory runs out, where it could "
		       "have put aside pages that nobody uses.",
		.remedy =
			"# Add a swap partition or file, and name it in /etc/fstab:\nswapon --show",
		.reads = (const char *const[]){SWAPS, NULL},
		.judge = swap,
	},
	{
		.id = "memory.overcommit",
		.title = "Memory is given as guests use it",
		.severity = QB_RECOMMENDED,
		.looks = "vm.overcommit_memory: not 2.",
		.why = "With strict accounting a guest does not start although memory is free, "
		       "because others were promised it.",
		.remedy = "echo vm.overcommit_memory = 0 >>/etc/sysctl.d/60-guests.conf\nsysctl "
			  "--system",
		.reads = (const char *const[]){OVERCOMMIT, NULL},
		.judge = overcommit,
	},
	{
		.id = "memory.swappiness",
		.title = "Guests are not swapped out early",
		.severity = QB_INFORMATIONAL,
		.looks = "vm.swappiness: at most 60.",
		.why = "To the kernel a guest is one process with much memory that looks unused; "
		       "the guest waits on its disk for it.",
		.remedy = "echo vm.swappiness = 10 >>/etc/sysctl.d/60-guests.conf\nsysctl -p "
			  "/etc/sysctl.d/60-guests.conf",
		.reads = (const char *const[]){SWAPPINESS, NULL},
		.judge = swappiness,
	},
	{
		.id = "memory.thp",
		.title = "Guests get transparent huge pages",
		.severity = QB_RECOMMENDED,
		.looks = "The mode in brackets of /sys/kernel/mm/transparent_hugepage/enabled: "
			 "always or madvise, unless huge pages are reserved.",
		.why = "With nested paging a TLB miss costs up to 24 memory accesses with small "
		       "pages; QEMU asks for huge ones.",
		.remedy = "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled\n# And at "
			  "boot: transparent_hugepage=madvise on the kernel command line.",
		.reads = (const char *const[]){THP, RESERVED, NULL},
		.judge = huge_pages_on_demand,
	},
	{
		.id = "memory.ksm",
		.title = "Pages of different guests are not merged",
		.severity = QB_INFORMATIONAL,
		.looks = "/sys/kernel/mm/ksm/run: not 1.",
		.why = "Merging saves memory among like guests; it costs CPU time, and its timing "
		       "lets one guest learn what another has in memory.",
		.remedy = "systemctl disable --now ksmtuned ksm\necho 0 >/sys/kernel/mm/ksm/run\n"
			  "grep . /sys/kernel/mm/ksm/pages_sharing\n"
			  "# What is merged stays so. A 2 in run undoes that at once, and needs 4 "
			  "KiB for each of pages_sharing.",
		.reads = (const char *const[]){KSM, NULL},
		.judge = merging,
	},
	{
		.id = "memory.hugepages",
		.title = "Reserved huge pages are on every node",
		.severity = QB_RECOMMENDED,
		.looks = "nr_hugepages of each size and NUMA node: of a size that is reserved at "
			 "all, every node has some.",
		.why = "A guest bound to a node without them does not start, or runs on memory of "
		       "the other node.",
		.remedy = "grep . "
			  "/sys/devices/system/node/node*/hugepages/hugepages-*/nr_hugepages\n# "
			  "Reserve them per node, early at boot: hugepages= with node numbers.",
		.reads = (const char *const[]){HUGEPAGES, NULL},
		.judge = reserved_per_node,
	},
	{
		.id = "memory.numa-nodes",
		.title = "Every NUMA node has memory",
		.severity = QB_RECOMMENDED,
		.looks = "MemTotal of /sys/devices/system/node/node*/meminfo.",
		.why = "A CPU without memory of its own makes each guest on it slow; mostly a DIMM "
		       "is missing or in the wrong slot.",
		.remedy = "numactl --hardware\n# Look at which DIMM slots are filled: dmidecode -t "
			  "memory",
		.reads = (const char *const[]){NODES, NULL},
		.judge = nodes,
	},
	{
		.id = "memory.tasks",
		.title = "The kernel allows enough tasks",
		.severity = QB_RECOMMENDED,
		.looks = "kernel.pid_max: at least 32768.",
		.why = "Each vCPU and each I/O thread of a guest is a task; at the limit no guest "
		       "starts.",
		.remedy = "echo kernel.pid_max = 4194304 >>/etc/sysctl.d/60-guests.conf\nsysctl "
			  "--system",
		.reads = (const char *const[]){PID_MAX, NULL},
		.judge = tasks,
	},
	{
		.id = "memory.mappings",
		.title = "The kernel allows enough mappings",
		.severity = QB_RECOMMENDED,
		.looks = "vm.max_map_count: at least 65530.",
		.why = "A guest with many devices or hot-plugged memory maps much; at the limit "
		       "QEMU ends.",
		.remedy = "echo vm.max_map_count = 65530 >>/etc/sysctl.d/60-guests.conf\nsysctl "
			  "--system",
		.reads = (const char *const[]){MAP_COUNT, NULL},
		.judge = mappings,
	},
	{
		.id = "memory.inotify",
		.title = "The kernel allows enough watches",
		.severity = QB_INFORMATIONAL,
		.looks = "fs.inotify.max_user_instances: at least 128.",
		.why = "libvirt, QEMU and what manages them watch files by it; at the limit they "
		       "miss changes or end.",
		.remedy = "echo fs.inotify.max_user_instances = 1024 "
			  ">>/etc/sysctl.d/60-guests.conf\nsysctl -p /etc/sysctl.d/60-guests.conf",
		.reads = (const char *const[]){INOTIFY, NULL},
		.judge = watches,
	},
	{
		.id = "memory.aio",
		.title = "Asynchronous I/O is left for guests",
		.severity = QB_RECOMMENDED,
		.looks = "fs.aio-nr against fs.aio-max-nr: less than four fifths.",
		.why = "Disks with io=native reserve requests when a guest starts; when none are "
		       "left it does not.",
		.remedy = "echo fs.aio-max-nr = 1048576 >>/etc/sysctl.d/60-guests.conf\nsysctl "
			  "--system",
		.reads = (const char *const[]){AIO_NR, AIO_MAX, NULL},
		.judge = aio,
	},
	{
		.id = "memory.files",
		.title = "Open files are left for guests",
		.severity = QB_RECOMMENDED,
		.looks = "The first and third number of fs.file-nr: less than four fifths.",
		.why = "A guest opens some dozens of files; when none are left nothing starts any "
		       "more.",
		.remedy =
			"lsof | awk '{print $1}' | sort | uniq -c | sort -rn | head\necho "
			"fs.file-max = 9223372036854775807 >>/etc/sysctl.d/60-guests.conf\nsysctl "
			"--system",
		.reads = (const char *const[]){FILE_NR, NULL},
		.judge = files,
	},
};

QB_CHECK_GROUP(memory, table);
