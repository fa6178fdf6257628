/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of /proc and /sys that are too long, cut short, or no text at all: what is told of them is
 * right or unknown.
 */
#include "agent/host/cpu.h"
#include "checks/judging.h"
#include "tests/unit/host_tree.h"

enum {
	LONG_LINE = 64 << 10,
	MANY_CPUS = 4096,
	GARBAGE = 4096,
};

/* Between them most of what a file of /proc or /sys can show is bad in one. */
static const char *const hosts[] = {
	"cloud-kvm-nested-busy-el10.host", "amd-piledriver-mixed-microcode-el9.host",
	"xen-dom0-debian12.host",          "intel-alderlake-laptop-debian12.host",
	"ppc64le-power8-el8.host",         "aarch64-thunderx2-guest-debian12.host",
	"intel-vtx-locked-files.host",
};

static void add_times(struct qb_buf *b, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		qb_buf_puts(b, text);
}

static void probe_cpu(struct tree *t, const struct qb_buf *cpuinfo, struct qb_cpu_facts *ret)
{
	tree_write(t, "/proc/cpuinfo", cpuinfo->s, cpuinfo->len);
	qb_cpu_probe(&t->root, ret);
}

static void cpu_done(struct qb_cpu_facts *cpu)
{
	struct qb_facts all = {.cpu = *cpu};

	qb_facts_done(&all);
}

/* What stands at the very end of a line counts, and what begins with its name does not. */
static void a_line_of_64_kib(void **state)
{
	_cleanup_buf_ struct qb_buf b = {0};
	struct qb_cpu_facts cpu;

	qb_buf_puts(&b, "processor : 0\nvendor_id : AuthenticAMD\nmodel name : ");
	add_times(&b, "x", LONG_LINE);
	qb_buf_puts(&b, "\nflags :");
	add_times(&b, " svmish", LONG_LINE / 7);
	qb_buf_puts(&b, " npt svm\n\n");
	probe_cpu(*state, &b, &cpu);
	assert_true(qb_is(&cpu.flag_svm) && qb_is(&cpu.npt) && qb_is_not(&cpu.flag_vmx));
	assert_int_equal(strlen(cpu.model), LONG_LINE);
	assert_int_equal(cpu.online, 1);
	cpu_done(&cpu);

	b.len -= strlen(" svm\n\n");
	qb_buf_puts(&b, "\n\n");
	probe_cpu(*state, &b, &cpu);
	assert_true(qb_is_not(&cpu.flag_svm));
	cpu_done(&cpu);
}

static void add_cpus(struct qb_buf *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		qb_buf_printf(b,
			      "processor : %u\nvendor_id : GenuineIntel\ncpu family : 6\n"
			      "model : 106\nstepping : 6\nmicrocode : 0x%x\nflags :",
			      i, i == n - 1 ? 2 : 1);
		add_times(b, " fpu vmx ept", 120);
		qb_buf_puts(b, "\n\n");
	}
}

static void four_thousand_cpus(void **state)
{
	_cleanup_buf_ struct qb_buf b = {0};
	struct tree *t = *state;
	struct qb_cpu_facts cpu;

	add_cpus(&b, MANY_CPUS);
	probe_cpu(t, &b, &cpu);
	assert_int_equal(cpu.online, MANY_CPUS);
	assert_true(qb_is(&cpu.flag_vmx) && qb_is(&cpu.ept));
	/* The last one runs another microcode. */
	assert_int_equal(cpu.kinds.n, 2);
	cpu_done(&cpu);

	tree_put(t, "/sys/devices/system/cpu/online", "0-2047,2049,4000-4095\n");
	probe_cpu(t, &b, &cpu);
	assert_int_equal(cpu.online, 2048 + 1 + 96);
	cpu_done(&cpu);
}

/* Wherever it ends, no flag is denied that the whole file shows. */
static void cpuinfo_that_ends_anywhere(void **state)
{
	_cleanup_buf_ struct qb_buf b = {0};
	struct tree *t = *state;
	size_t whole;

	add_cpus(&b, 2);
	whole = b.len;
	for (size_t len = 0; len < whole; len += 13) {
		struct qb_cpu_facts cpu;

		b.len = len;
		probe_cpu(t, &b, &cpu);
		assert_false(qb_is_not(&cpu.flag_vmx) || qb_is_not(&cpu.ept));
		assert_true(cpu.online <= 2);
		cpu_done(&cpu);
	}
}

static void lists_of_cpus_that_are_none(void **state)
{
	static const char *const lists[] = {
		"",
		"\n",
		"-",
		"0-",
		"3-1",
		"0--1",
		"x",
		"0,",
		"0-99999999999999999999999",
		"0-3 9",
		"18446744073709551615-18446744073709551615",
		"0-18446744073709551615",
		"\xff\xfe",
		"0-3\n4-7\n",
	};
	_cleanup_buf_ struct qb_buf b = {0};
	struct tree *t = *state;

	add_cpus(&b, 2);
	for (size_t i = 0; i < QB_ARRAY_SIZE(lists); i++) {
		struct qb_cpu_facts cpu;

		tree_put(t, "/sys/devices/system/cpu/online", lists[i]);
		probe_cpu(t, &b, &cpu);
		if (cpu.online > 2)
			fail_msg("\"%s\" are %llu CPUs", lists[i], (unsigned long long)cpu.online);
		cpu_done(&cpu);
	}
}

/* The same at every run. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

/* One file of a host, spoilt. */
enum spoilt {
	SPOILT_EMPTY,
	SPOILT_HALF,
	SPOILT_BINARY,
	SPOILT_LONG,
	N_SPOILT,
};

static const char *const spoilt_names[] = {"empty", "half", "binary", "long"};

static char *spoil(enum spoilt how, const char *text, uint32_t *seed, size_t *ret_len)
{
	size_t len = how == SPOILT_HALF     ? strlen(text) / 2
		     : how == SPOILT_BINARY ? GARBAGE
		     : how == SPOILT_LONG   ? LONG_LINE
					    : 0;
	char *data = qb_alloc(1, len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = how == SPOILT_HALF     ? text[i]
			  : how == SPOILT_BINARY ? (char)next_random(seed)
						 : 'A';
	*ret_len = len;
	return data;
}

static void judge(struct tree *t, struct qb_facts *facts, struct qb_report *report)
{
	_cleanup_strs_ struct qb_strs reads = {0};
	struct qb_probe_options options = {.root = &t->root, .timeout_ms = 1000};
	struct qb_check_input in = {.facts = facts};
	struct qb_error err = QB_ERROR_INIT;

	qb_check_reads(NULL, &reads);
	options.reads = &reads;
	qb_facts_probe(&options, facts);
	if (qb_judge(&in, NULL, NULL, report, &err) < 0)
		fail_msg("%s", err.msg);
}

static bool is_bad(enum qb_status status)
{
	return status == QB_WARN || status == QB_FAIL;
}

/* What is bad is neither good nor beside the point for a spoilt file, and what is neither bad nor
 * known does not become so; both kinds of report can be made of it. */
static size_t compare(const struct qb_report *whole, const struct qb_report *got, const char *host,
		      const char *path, const char *how)
{
	const struct qb_text_style style = {.verbose = true, .all = true, .width = 80};
	json_auto_t *document = qb_report_to_json(got);
	_cleanup_buf_ struct qb_buf text = {0};
	size_t bad = 0;

	assert_non_null(document);
	qb_report_text(got, &style, &text);
	for (size_t i = 0; i < text.len; i++)
		assert_true(text.s[i] == '\n' || (unsigned char)text.s[i] >= ' ');
	for (size_t i = 0; i < whole->n_results; i++) {
		enum qb_status was = whole->results[i].status, is = got->results[i].status;

		if (was == is || is == QB_STATUS_UNKNOWN || (is == QB_SKIP && !is_bad(was)))
			continue;
		print_error("%s: %s, %s: %s was %s, is %s: %s\n", host, path, how,
			    whole->results[i].check->id, qb_status_name(was), qb_status_name(is),
			    got->results[i].message);
		bad++;
	}
	return bad;
}

/* What people wrote into files of /etc is what they say, however little sense it makes. */
static bool is_spoilable(const struct host_entry *e)
{
	return e->kind == HOST_FILE && *e->text &&
	       (host_is_below(e->path, "/proc") || host_is_below(e->path, "/sys"));
}

/* Half a number is a number, and a kernel may have no controller to offer, no module loaded, and be
 * any guest of Xen's but the first. */
static bool is_an_answer(const struct host_entry *e, enum spoilt how)
{
	return (how == SPOILT_HALF && !strchr(e->text, '\n')[1]) ||
	       (how == SPOILT_EMPTY &&
		(qb_endswith(e->path, "/cgroup.controllers") || !strcmp(e->path, "/proc/modules") ||
		 !strcmp(e->path, "/proc/xen/capabilities")));
}

/* Every file of it, in every way; how many verdicts that made wrong. */
static size_t spoil_each(struct tree *t, const struct host *h, const struct qb_report *whole)
{
	uint32_t seed = 1;
	size_t wrong = 0;

	for (size_t i = 0; i < h->n_entries; i++) {
		const struct host_entry *e = &h->entries[i];

		for (int how = 0; is_spoilable(e) && how < N_SPOILT; how++) {
			_cleanup_report_ struct qb_report report = {0};
			_cleanup_facts_ struct qb_facts spoilt = {0};
			_cleanup_free_ char *data = NULL;
			size_t len;

			if (is_an_answer(e, how))
				continue;
			data = spoil(how, e->text, &seed, &len);
			tree_write(t, e->path, data, len);
			judge(t, &spoilt, &report);
			wrong += compare(whole, &report, h->name, e->path, spoilt_names[how]);
		}
		if (is_spoilable(e))
			host_write_entry(t, e);
	}
	return wrong;
}

static void files_that_are_spoilt(void **state)
{
	static const char *const bad_in_one[] = {
		"cpu.virtualization",  "cpu.vulnerabilities", "cpu.smt",
		"cpu.microcode",       "cpu.alike",           "kvm.other-hypervisor",
		"system.architecture",
	};
	_cleanup_strs_ struct qb_strs bad = {0};
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(hosts); i++) {
		_cleanup_report_ struct qb_report whole = {0};
		_cleanup_facts_ struct qb_facts facts = {0};
		struct tree *t;
		struct host h;

		host_load(hosts[i], &h);
		tree_setup((void **)&t);
		host_write(&h, t);
		/* What it holds is not to stand in for the files. */
		assert_true(unlinkat(t->root.fd, DOCUMENT + 1, 0) == 0 || errno == ENOENT);
		judge(t, &facts, &whole);
		for (size_t k = 0; k < whole.n_results; k++)
			if (is_bad(whole.results[k].status))
				qb_strs_add(&bad, whole.results[k].check->id);
		wrong += spoil_each(t, &h, &whole);
		host_done(&h);
		tree_teardown((void **)&t);
	}
	for (size_t i = 0; i < QB_ARRAY_SIZE(bad_in_one); i++)
		if (!qb_strs_has(&bad, bad_in_one[i]))
			fail_msg("%s is bad on none of the hosts", bad_in_one[i]);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_line_of_64_kib),
		tree_test(four_thousand_cpus),
		tree_test(cpuinfo_that_ends_anywhere),
		tree_test(lists_of_cpus_that_are_none),
		cmocka_unit_test(files_that_are_spoilt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
