/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/cpu.h"

#include "tests/unit/tree.h"

#define CPU(n, flags)                                                                              \
	"processor\t: " n "\nvendor_id\t: GenuineIntel\nmodel name\t: Test CPU\nflags\t\t: " flags \
	"\nbugs\t\t: vmx\n\n"

static void parse(const char *text, struct qb_facts *ret)
{
	*ret = (struct qb_facts){0};
	qb_cpuinfo_parse(text, &ret->cpu);
}

static void test_words(void **state)
{
	static const struct {
		const char *flags;
		bool vmx, svm;
	} rows[] = {
		{"fpu vmx sse2", true, false},
		{"vmx", true, false},
		{"fpu svm", false, true},
		/* Words that only contain them. */
		{"fpu vmxoff xvmx svm_lock xsvm vmx-x", false, false},
		{"fpu", false, false},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text =
			qb_asprintf("processor : 0\nflags\t: %s\n\n", rows[i].flags);
		_cleanup_facts_ struct qb_facts f;

		parse(text, &f);
		assert_int_equal(f.cpu.flag_vmx.state, rows[i].vmx ? QB_YES : QB_NO);
		assert_int_equal(f.cpu.flag_svm.state, rows[i].svm ? QB_YES : QB_NO);
	}
}

static void test_identity(void **state)
{
	_cleanup_facts_ struct qb_facts f;

	(void)state;
	parse(CPU("0", "fpu hypervisor") CPU("1", "fpu vmx svm"), &f);
	assert_string_equal(f.cpu.vendor, "GenuineIntel");
	assert_string_equal(f.cpu.model, "Test CPU");
	assert_int_equal(f.cpu.online, 2);
	assert_int_equal(f.cpu.flags.n, 2);
	assert_true(qb_is(&f.cpu.hypervisor));
	/* The flags of another CPU, and the words of another line, are not this one's. */
	assert_true(qb_is_not(&f.cpu.flag_vmx));
}

/* A line of 300 KB with the flag at its very end, where tools with buffers have stopped reading. */
static void test_huge_line(void **state)
{
	_cleanup_buf_ struct qb_buf text = {0};
	_cleanup_facts_ struct qb_facts f;

	(void)state;
	qb_buf_puts(&text, "processor\t: 0\nflags\t\t:");
	for (unsigned i = 0; i < 30000; i++)
		qb_buf_printf(&text, " flag%05u", i);
	qb_buf_puts(&text, " svm npt\n");
	parse(text.s, &f);
	assert_true(qb_is(&f.cpu.flag_svm));
	assert_true(qb_is(&f.cpu.npt));
	assert_int_equal(f.cpu.flags.n, 30002);
}

static void test_ept(void **state)
{
	static const struct {
		const char *text;
		enum qb_tri_state ept;
	} rows[] = {
		{"flags : vmx ept vpid\n", QB_YES}, /* before 5.11 */
		{"flags : vmx\nvmx flags : vnmi ept vpid\n\n", QB_YES},
		{"flags : vmx\nvmx flags : vnmi\n\n", QB_NO},
		{"flags : vmx\n\nflags : vmx\nvmx flags : ept\n\n", QB_NO},
		{"no flags : here\n", QB_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		_cleanup_facts_ struct qb_facts f;

		parse(rows[i].text, &f);
		assert_int_equal(f.cpu.ept.state, rows[i].ept);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text, *first, *second;
	} rows[] = {
		{"cpu family : 6\nmodel : 85\nmodel name : X\nstepping : 7\nmicrocode : 0x5\n\n"
		 "cpu family : 6\nmodel : 85\nmodel name : X\nstepping : 7\nmicrocode : 0x5\n",
		 "family 6 model 85 stepping 7, microcode 0x5", NULL},
		{"cpu family : 6\nmodel : 85\nstepping : 7\nmicrocode : 0x5\n\n"
		 "cpu family : 6\nmodel : 85\nstepping : 7\n",
		 "family 6 model 85 stepping 7, microcode 0x5", "family 6 model 85 stepping 7"},
		{"CPU part : 0xd05\n\nCPU part : 0xd0b\n", "part 0xd05", "part 0xd0b"},
		/* Cut short, and not of text. */
		{"cpu family : 6\nmodel : 8", NULL, NULL},
		{"CPU part : 0xd05\n\nCPU part : 0xd05\n\nCPU pa", NULL, NULL},
		{"CPU part : \001\n", "part \\x01", NULL},
		{"flags : fpu\n", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		_cleanup_facts_ struct qb_facts f;

		parse(rows[i].text, &f);
		assert_int_equal(f.cpu.kinds.n, !!rows[i].first + !!rows[i].second);
		if (rows[i].first)
			assert_string_equal(f.cpu.kinds.v[0], rows[i].first);
		if (rows[i].second)
			assert_string_equal(f.cpu.kinds.v[1], rows[i].second);
	}
}

/* What is not there is unknown, never absent. */
static void test_nothing_captured(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	qb_cpu_probe(&t->root, &f.cpu);
	assert_int_equal(f.cpu.flag_vmx.state, QB_UNKNOWN);
	assert_int_equal(f.cpu.flag_svm.state, QB_UNKNOWN);
	assert_non_null(strstr(f.cpu.flag_svm.why, "/proc/cpuinfo"));
	assert_int_equal(f.cpu.ept.state, QB_UNKNOWN);
	assert_int_equal(f.cpu.hypervisor.state, QB_UNKNOWN);
	assert_int_equal(f.cpu.vulnerabilities_known.state, QB_UNKNOWN);
	assert_int_equal(f.cpu.online, 0);
}

static void test_captured(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	tree_put(t, "/proc/cpuinfo", CPU("0", "fpu svm"));
	tree_put(t, "/sys/devices/system/cpu/online", "0-3,8,10-11\n");
	tree_put(t, "/sys/devices/system/cpu/vulnerabilities/mds", "Not affected\n");
	tree_put(t, "/sys/devices/system/cpu/vulnerabilities/srso", "Vulnerable: no microcode\n");
	qb_cpu_probe(&t->root, &f.cpu);
	assert_int_equal(f.cpu.online, 7);
	assert_true(qb_is(&f.cpu.vulnerabilities_known));
	assert_int_equal(f.cpu.vulnerable.n, 1);
	assert_string_equal(f.cpu.vulnerable.v[0], "srso");
	/* The instruction would tell of the machine this test runs on. */
	assert_int_equal(f.cpu.cpuid_svm.state, QB_UNKNOWN);
	assert_string_equal(f.cpu.cpuid_svm.why, "not a live host");
}

static void test_words_of_weaknesses(void **state)
{
	static const struct {
		const char *text;
		enum qb_weakness is;
	} table[] = {
		{"Not affected", QB_WEAKNESS_CLOSED},
		{"Mitigation: Clear CPU buffers; SMT vulnerable", QB_WEAKNESS_CLOSED},
		{"KVM: Mitigation: VMX disabled", QB_WEAKNESS_CLOSED},
		{"KVM: Vulnerable", QB_WEAKNESS_CLOSED},
		{"Processor vulnerable", QB_WEAKNESS_CLOSED},
		{"Unknown: running under hypervisor", QB_WEAKNESS_CLOSED},
		{"Vulnerable", QB_WEAKNESS_OPEN},
		{"Vulnerable; IBPB: disabled", QB_WEAKNESS_OPEN},
		{"Vulnerable: Safe RET, no microcode", QB_WEAKNESS_OPEN},
		{"Unknown: No mitigations", QB_WEAKNESS_UNDECIDED},
		{"Unknown: Dependent on hypervisor status", QB_WEAKNESS_UNDECIDED},
		{"Unknown (XEN PV detected, hypervisor mitigation required)",
		 QB_WEAKNESS_UNDECIDED},
		{"", QB_WEAKNESS_UNDECIDED},
		{"AAAA", QB_WEAKNESS_UNDECIDED},
		{"KVM: ", QB_WEAKNESS_UNDECIDED},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(table); i++)
		if (qb_weakness_of(table[i].text) != table[i].is)
			fail_msg("\"%s\" is not what it says", table[i].text);
}

/* Each of them is named, and what is open is told beside. */
static void test_undecided_weaknesses(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	tree_put(t, "/sys/devices/system/cpu/vulnerabilities/gds",
		 "Unknown: Dependent on hypervisor status\n");
	tree_put(t, "/sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable\n");
	tree_put(t, "/sys/devices/system/cpu/vulnerabilities/srbds", "\x01\n");
	qb_cpu_probe(&t->root, &f.cpu);
	assert_int_equal(f.cpu.vulnerable.n, 1);
	assert_int_equal(f.cpu.vulnerabilities_known.state, QB_UNKNOWN);
	assert_string_equal(f.cpu.vulnerabilities_known.why,
			    "gds says \"Unknown: Dependent on hypervisor status\" and srbds says "
			    "\"\\x01\"");
}

static void test_live(void **state)
{
	_cleanup_root_ struct qb_root root = QB_ROOT_INIT;
	_cleanup_facts_ struct qb_facts f = {0};

	(void)state;
	assert_int_equal(qb_root_open("/", &root, NULL), 0);
	qb_cpu_probe(&root, &f.cpu);
	assert_true(f.cpu.online > 0);
	assert_true(f.cpu.flags.n > 0);
#if defined(__x86_64__)
	/* The kernel shows no flag that the CPU does not have. */
	assert_int_not_equal(f.cpu.cpuid_vmx.state, QB_UNKNOWN);
	assert_false(qb_is(&f.cpu.flag_vmx) && qb_is_not(&f.cpu.cpuid_vmx));
	assert_false(qb_is(&f.cpu.flag_svm) && qb_is_not(&f.cpu.cpuid_svm));
	assert_int_equal(strlen(f.cpu.vendor), 12);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),         cmocka_unit_test(test_identity),
		cmocka_unit_test(test_huge_line),     cmocka_unit_test(test_ept),
		tree_test(test_nothing_captured),     tree_test(test_captured),
		cmocka_unit_test(test_kinds),         cmocka_unit_test(test_live),
		tree_test(test_undecided_weaknesses), cmocka_unit_test(test_words_of_weaknesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
