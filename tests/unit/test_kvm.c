/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/kvm.h"

#include "tests/unit/tree.h"

static void test_causes(void **state)
{
	static const struct {
		int error;
		enum qb_guest_cause open, call;
	} rows[] = {
		{ENOENT, QB_GUEST_NO_DEVICE, QB_GUEST_OTHER},
		{ENODEV, QB_GUEST_NO_DRIVER, QB_GUEST_OTHER},
		{ENXIO, QB_GUEST_NO_DRIVER, QB_GUEST_OTHER},
		{EACCES, QB_GUEST_PERMISSION, QB_GUEST_PERMISSION},
		{EPERM, QB_GUEST_PERMISSION, QB_GUEST_PERMISSION},
		{EBUSY, QB_GUEST_BUSY, QB_GUEST_BUSY},
		{EOPNOTSUPP, QB_GUEST_FIRMWARE, QB_GUEST_FIRMWARE},
		{ENOMEM, QB_GUEST_MEMORY, QB_GUEST_MEMORY},
		{EIO, QB_GUEST_OTHER, QB_GUEST_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		assert_int_equal(qb_guest_cause_of_open(rows[i].error), rows[i].open);
		assert_int_equal(qb_guest_cause_of_ioctl(rows[i].error), rows[i].call);
	}
}

static void result_done(struct qb_guest_result *g)
{
	free(g->detail);
	free(g->long_detail);
	qb_strs_done(&g->missing);
}

static void run_for(int fd, const unsigned char *code, size_t size, unsigned ms,
		    struct qb_guest_result *ret)
{
	struct qb_guest guest;

	qb_guest_begin(fd, code, size, ms, &guest);
	qb_guest_end(&guest, ret);
}

static void run(int fd, const char *code, size_t size, struct qb_guest_result *ret)
{
	run_for(fd, (const unsigned char *)code, size, 300, ret);
}

/* A device that is not KVM: the first call says so, by name. */
static void test_not_kvm(void **state)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct qb_guest_result g;

	(void)state;
	run(fd, "\xf4", 1, &g);
#if defined(__x86_64__)
	assert_int_equal(g.cause, QB_GUEST_OTHER);
	assert_int_equal(g.error, ENOTTY);
	assert_non_null(strstr(g.detail, "KVM_GET_API_VERSION"));
#else
	assert_int_equal(g.cause, QB_GUEST_NOT_RUN);
#endif
	result_done(&g);
}

/* Guests that do not prove anything. Where KVM cannot be used they fail for that reason. */
static void test_bad_guests(void **state)
{
	static const struct {
		const char *code;
		size_t size;
		enum qb_guest_cause cause;
		const char *detail;
	} rows[] = {
		{"\xeb\xfe", 2, QB_GUEST_TIMEOUT, "did not halt within 300 ms"},
		{"\xf4", 1, QB_GUEST_WRONG, "0 answers"},
		{"\xba\x17\x02\xef\xf4", 5, QB_GUEST_WRONG, "in place of"}, /* does not add */
		{"\x01\xd8\xba\x17\x02\xef\xef\xf4", 8, QB_GUEST_WRONG, "2 answers"},
		/* What proves 64-bit mode proves it: elsewhere it gives no answer. */
		{"\x48\x01\xd8\x48\xc1\xe8\x20\x66\xba\x17\x02\x66\xef\xf4", 14, QB_GUEST_WRONG,
		 "0 answers"},
	};
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct qb_guest_result proof, g;

	(void)state;
	run_for(fd, qb_guest_code, qb_guest_code_size, 2000, &proof);
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		run(fd, rows[i].code, rows[i].size, &g);
		assert_int_not_equal(g.cause, QB_GUEST_RAN);
		assert_int_equal(g.long_cause, QB_GUEST_NOT_RUN);
		if (proof.cause == QB_GUEST_RAN) {
			assert_int_equal(g.cause, rows[i].cause);
			assert_non_null(strstr(g.detail, rows[i].detail));
		} else {
			assert_int_equal(g.cause, proof.cause);
		}
		result_done(&g);
	}
	result_done(&proof);
}

static void test_kernel_lines(void **state)
{
	static const struct {
		const char *line;
		bool wanted;
	} rows[] = {
		{"kvm: disabled by bios", true},
		{"kvm_intel: VMX not enabled by BIOS in MSR_IA32_FEAT_CTL on CPU 0", true},
		{"x86/cpu: VMX (outside TXT) disabled by BIOS", true},
		{"kvm_intel: VMX not enabled (by BIOS) in MSR_IA32_FEAT_CTL on CPU 0", true},
		{"kvm_amd: SVM disabled (by BIOS) in MSR_VM_CR on CPU 0", true},
		{"Loading of module with unavailable key is rejected", true},
		{"vhost: loading of unsigned module is rejected", true},
		{"Lockdown: modprobe: unsigned module loading is restricted", true},
		{"Lockdown: swapper/0: hibernation is restricted; see man", false},
		{"EXT4-fs (vda1): mounted filesystem", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++)
		assert_true(qb_kernel_line_is_of_kvm(rows[i].line) == rows[i].wanted);
}

static void test_kernel_records(void **state)
{
	_cleanup_strs_ struct qb_strs lines = {0};

	(void)state;
	qb_kernel_line("<6>[    0.123456] kvm: disabled by bios", &lines);
	/* What a guest of KVM says at its boot, for each CPU. */
	for (int i = 0; i < 64; i++) {
		_cleanup_free_ char *clock =
			qb_asprintf("<6>[    0.123456] kvm-clock: cpu %d, msr 3f", i);
		_cleanup_free_ char *steal =
			qb_asprintf("<6>[    0.123456] kvm-guest: stealtime: cpu %d", i);

		qb_kernel_line(clock, &lines);
		qb_kernel_line(steal, &lines);
	}
	qb_kernel_line("<6>[    0.123456] clocksource: Switched to clocksource kvm-clock", &lines);
	qb_kernel_line("<4>[    0.123456] RIP: 0010:kvm_cpu_vmxon+0x2c/0x60 [kvm_intel]", &lines);
	/* By a program. */
	qb_kernel_line("<30>[    0.123456] systemd[1]: Detected virtualization kvm.", &lines);
	qb_kernel_line("no record of kvm", &lines);
	assert_int_equal(lines.n, 1);
	assert_string_equal(lines.v[0], "kvm: disabled by bios");
	/* What all CPUs say is one line, and the last one. */
	qb_kernel_line("<6>[    0.123456] kvm: enabling virtualization on CPU0 failed", &lines);
	qb_kernel_line("<6>[    0.123456][    T1] kvm: one", &lines);
	qb_kernel_line("<6>[    0.123456] kvm: enabling virtualization on CPU17 failed", &lines);
	assert_int_equal(lines.n, 3);
	assert_string_equal(lines.v[2], "kvm: enabling virtualization on CPU17 failed");
	/* The latest are kept. */
	for (char c = 'a'; c <= 'i'; c++) {
		_cleanup_free_ char *text = qb_asprintf("<6>[    0.123456] kvm: %c", c);

		qb_kernel_line(text, &lines);
	}
	assert_int_equal(lines.n, 10);
	assert_string_equal(lines.v[0], "kvm: enabling virtualization on CPU17 failed");
	assert_string_equal(lines.v[9], "kvm: i");
}

/* Whoever may not read it, or has none, has no lines; nothing waits for more to come. */
static void test_kernel_says(void **state)
{
	_cleanup_strs_ struct qb_strs lines = {0};

	(void)state;
	qb_kernel_says(&lines);
	for (size_t i = 0; i < lines.n; i++)
		assert_true(qb_kernel_line_is_of_kvm(lines.v[i]));
}

static void test_live(void **state)
{
	_cleanup_root_ struct qb_root root = QB_ROOT_INIT;
	_cleanup_facts_ struct qb_facts f = {0};

	(void)state;
	assert_int_equal(qb_root_open("/", &root, NULL), 0);
	qb_kvm_probe(&root, &f.kvm);
	assert_non_null(f.kvm.guest_detail);
	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		assert_false(qb_is(&f.kvm.guest_ran));
		assert_true(f.kvm.guest_cause == QB_GUEST_NO_DEVICE ||
			    f.kvm.guest_cause == QB_GUEST_NO_DRIVER ||
			    f.kvm.guest_cause == QB_GUEST_PERMISSION);
	} else if (qb_is(&f.kvm.guest_ran)) {
		assert_int_equal(f.kvm.guest_cause, QB_GUEST_RAN);
		assert_int_equal(f.kvm.api_version, 12);
		assert_true(f.kvm.max_vcpus > 0);
		assert_int_not_equal(f.kvm.long_mode.state, QB_UNKNOWN);
		assert_non_null(f.kvm.long_mode_detail);
		assert_int_not_equal(f.kvm.capabilities.state, QB_UNKNOWN);
		assert_true(qb_is(&f.kvm.capabilities) == !f.kvm.missing_capabilities.n);
		assert_true(f.kvm.guest_duration_us > 0);
	} else {
		assert_int_not_equal(f.kvm.guest_cause, QB_GUEST_RAN);
	}
}

static void test_captured(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	tree_put(t, "/sys/module/kvm/parameters/x", "1\n");
	tree_put(t, "/sys/module/kvm_amd/parameters/nested", "1\n");
	qb_kvm_probe(&t->root, &f.kvm);
	assert_string_equal(f.kvm.module, "kvm_amd");
	assert_true(qb_is(&f.kvm.nested));
	assert_int_equal(f.kvm.device.state, QB_UNKNOWN);
	assert_int_equal(f.kvm.guest_ran.state, QB_UNKNOWN);
	assert_int_equal(f.kvm.guest_cause, QB_GUEST_NOT_RUN);
}

/* Both built in, as some kernels have them: the CPU tells which one is in use. */
static void test_both_builtin(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	tree_put(t, "/proc/cpuinfo", "vendor_id : GenuineIntel\n");
	tree_put(t, "/sys/module/kvm_amd/parameters/nested", "0\n");
	tree_put(t, "/sys/module/kvm_intel/parameters/nested", "Y\n");
	qb_kvm_probe(&t->root, &f.kvm);
	assert_string_equal(f.kvm.module, "kvm_intel");
	assert_true(qb_is(&f.kvm.nested));
}

static void test_not_loaded(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	tree_mkdir(t, "/sys/module/loop");
	qb_kvm_probe(&t->root, &f.kvm);
	assert_null(f.kvm.module);
	assert_int_equal(f.kvm.nested.state, QB_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_causes),         cmocka_unit_test(test_not_kvm),
		cmocka_unit_test(test_bad_guests),     cmocka_unit_test(test_kernel_lines),
		cmocka_unit_test(test_kernel_records), cmocka_unit_test(test_kernel_says),
		cmocka_unit_test(test_live),           tree_test(test_captured),
		tree_test(test_both_builtin),          tree_test(test_not_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
