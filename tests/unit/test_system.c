/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/facts.h"

#include "tests/unit/tree.h"

static void a_captured_host(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};
	_cleanup_facts_ struct qb_facts without = {0};
	struct qb_error err = QB_ERROR_INIT;

	tree_put(t, "/proc/sys/kernel/osrelease", "5.14.0-427.el9.x86_64\n");
	tree_put(t, "/etc/hostname", "host.example\n");
	tree_put(t, "/etc/os-release",
		 "NAME=\"Rocky Linux\"\nID_LIKE=\"rhel\"\nID=\"rocky\"\nVERSION_ID=9.4\n"
		 "PRETTY_NAME='Rocky Linux 9.4'\n");
	tree_put(t, "/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
	tree_put(t, "/proc/meminfo", "MemTotal:       1024 kB\nMemAvailable:    512 kB\n");
	tree_put(t, "/sys/fs/selinux/enforce", "1\n");
	tree_put(t, "/etc/selinux/config", "SELINUX=enforcing\n");
	tree_put(t, "/sys/fs/cgroup/cgroup.controllers", "cpuset cpu memory\n");
	tree_mkdir(t, "/sys/class/iommu/dmar0");
	tree_mkdir(t, "/run/systemd/system");
	tree_put(t, "/proc/sys/net/ipv4/ip_forward", "0\n");
	qb_system_probe(&t->root, &f.system);
	assert_string_equal(f.system.hostname, "host.example");
	assert_string_equal(f.system.arch, "x86_64");
	assert_string_equal(f.system.os_id, "rocky");
	assert_string_equal(f.system.os_version, "9.4");
	assert_string_equal(f.system.os_name, "Rocky Linux 9.4");
	assert_string_equal(f.system.machine_id, "0123456789abcdef0123456789abcdef");
	assert_int_equal(f.system.memory_bytes, 1 << 20);
	assert_int_equal(f.system.memory_available_bytes, 1 << 19);
	assert_true(qb_is(&f.system.systemd));
	assert_true(qb_is(&f.system.selinux_enabled) && qb_is(&f.system.selinux_enforcing));
	/* The kernel has it, and nobody a policy. */
	assert_int_equal(qb_root_unlink(&t->root, "/etc/selinux/config", &err), 0);
	qb_system_probe(&t->root, &without.system);
	assert_true(qb_is_not(&without.system.selinux_enabled) &&
		    qb_is_not(&without.system.selinux_enforcing));
	assert_true(qb_is(&f.system.iommu));
	assert_true(qb_is(&f.system.cgroup_v2));
	assert_int_equal(f.system.cgroup_controllers.n, 3);
	assert_true(qb_is_not(&f.system.ipv4_forwarding));
	/* The sysctl comes with br_netfilter: without that no bridged frame passes iptables. */
	assert_true(qb_is_not(&f.system.bridge_nf_call));
	/* The clock is this machine's. */
	assert_int_equal(f.system.time_synchronised.state, QB_UNKNOWN);
}

static void cgroup_v1_is_read(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	tree_mkdir(t, "/sys/fs/cgroup/systemd");
	tree_put(t, "/proc/cgroups",
		 "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
		 "cpuset\t3\t4\t1\nmemory\t0\t80\t0\nblkio\t5\t71\t1\n");
	qb_system_probe(&t->root, &f.system);
	assert_true(qb_is_not(&f.system.cgroup_v2));
	assert_int_equal(f.system.cgroup_controllers.n, 2);
	assert_true(qb_strs_has(&f.system.cgroup_controllers, "cpuset"));
	assert_false(qb_strs_has(&f.system.cgroup_controllers, "memory"));
}

/* What follows the cut is not known, and so is what the kernel lacks. */
static void cgroup_v1_that_is_cut_short(void **state)
{
	static const char *const texts[] = {"", "cpu\t0\t1\t1\nmem", "cpu\t0\t1\t1",
					    "#subsys_name\n"};
	struct tree *t = *state;

	tree_mkdir(t, "/sys/fs/cgroup");
	for (size_t i = 0; i < QB_ARRAY_SIZE(texts); i++) {
		_cleanup_facts_ struct qb_facts f = {0};

		tree_put(t, "/proc/cgroups", texts[i]);
		qb_system_probe(&t->root, &f.system);
		assert_true(qb_is_not(&f.system.cgroup_v2));
		assert_int_equal(f.system.cgroup_controllers.n, 0);
	}
}

/* Where the kernel does not say it, its release does. */
static void an_architecture_in_the_release(void **state)
{
	static const struct {
		const char *release, *arch;
	} table[] = {
		{"4.18.0-553.el8_10.ppc64le\n", "ppc64le"},
		{"6.1.0-25-arm64\n", "aarch64"},
		{"5.10.0-32-cloud-amd64\n", "x86_64"},
		{"5.15.0-91-generic\n", NULL},
	};
	struct tree *t = *state;

	tree_put(t, "/proc/sys/kernel/arch", "\x01\xff\n");
	for (size_t i = 0; i < QB_ARRAY_SIZE(table); i++) {
		_cleanup_facts_ struct qb_facts f = {0};

		tree_put(t, "/proc/sys/kernel/osrelease", table[i].release);
		qb_system_probe(&t->root, &f.system);
		if (!qb_streq(f.system.arch, table[i].arch) && (f.system.arch || table[i].arch))
			fail_msg("%s: %s", table[i].release, f.system.arch);
	}
}

/* An empty tree knows nothing, and says no to nothing. */
static void an_empty_tree(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};
	const struct qb_tri *all[] = {
		&f.system.systemd,        &f.system.selinux_enabled,   &f.system.selinux_enforcing,
		&f.system.bridge_nf_call, &f.system.ipv4_forwarding,   &f.system.iommu,
		&f.system.cgroup_v2,      &f.system.time_synchronised,
	};

	qb_system_probe(&t->root, &f.system);
	for (size_t i = 0; i < QB_ARRAY_SIZE(all); i++) {
		assert_int_equal(all[i]->state, QB_UNKNOWN);
		assert_non_null(all[i]->why);
	}
	assert_null(f.system.machine_id);
	assert_null(f.system.arch);
}

static void a_machine_id_that_is_none(void **state)
{
	static const char *const bad[] = {"uninitialized\n", "", "0123\n",
					  "0123456789abcdef0123456789abcdeg\n"};
	struct tree *t = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(bad); i++) {
		_cleanup_facts_ struct qb_facts f = {0};

		tree_put(t, "/etc/machine-id", bad[i]);
		qb_system_probe(&t->root, &f.system);
		assert_null(f.system.machine_id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_captured_host),
		tree_test(cgroup_v1_is_read),
		tree_test(cgroup_v1_that_is_cut_short),
		tree_test(an_architecture_in_the_release),
		tree_test(an_empty_tree),
		tree_test(a_machine_id_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
