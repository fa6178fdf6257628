/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of hardware that is not what it was when a run last succeeded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/host/hardware.h"

/* A host, of which each case below writes one value in another way. */
static const char before[] =
	"{\"schema\": \"qubi-agent/facts/1\","
	" \"system\": {\"machine_id\": \"0123456789abcdef0123456789abcdef\", \"kernel\": "
	"\"5.14.0-427\","
	"             \"memory_bytes\": 68719476736},"
	" \"cpu\": {\"vendor\": \"AuthenticAMD\", \"model\": \"EPYC 7313\", \"flag_svm\": true,"
	"          \"flag_vmx\": false, \"npt\": true},"
	" \"net\": {\"known\": true},"
	" \"links\": [{\"name\": \"eno1\", \"permanent_mac\": \"00:00:5e:00:53:01\","
	"             \"mac\": \"00:00:5e:00:53:99\", \"path\": \"pci-0000:01:00.0\"},"
	"            {\"name\": \"br0\", \"kind\": \"bridge\", \"mac\": \"00:00:5e:00:53:01\"}],"
	" \"disks_known\": true,"
	" \"disks\": [{\"name\": \"sda\", \"path\": \"/dev/sda\", \"serial\": \"QB0001\","
	"             \"size_bytes\": 1073741824},"
	"            {\"name\": \"loop0\", \"path\": \"/dev/loop0\", \"backing\": "
	"\"/srv/loop.img\"}]}";

static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	if (!at)
		fail_msg("no %s", from);
	return qb_asprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void load(const char *text, struct qb_facts *ret)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	if (qb_facts_load(text, strlen(text), ret, &diags) < 0)
		fail_msg("%s", diags.n ? diags.v[0].msg : "?");
}

static void each_change_is_told_once(void **state)
{
	static const struct {
		const char *from, *to;
		const char *kind, *target, *why; /* NULL: nothing is told */
		const char *second; /* the kind of a second change; NULL: there is none */
	} cases[] = {
		{"eno1", "eno1", NULL, NULL, NULL, NULL},
		{"\"eno1\"", "\"eno9\"", "nic-renamed", "nic eno9",
		 "the NIC with MAC 00:00:5e:00:53:01 is called eno9 now, and was eno1", NULL},
		{"01:00.0", "02:00.0", "nic-moved", "nic eno1",
		 "the NIC eno1 (00:00:5e:00:53:01) is in pci-0000:02:00.0 now, and was in "
		 "pci-0000:01:00.0",
		 NULL},
		/* What a bond or an administrator gave it is no other NIC. */
		{"53:99", "53:98", NULL, NULL, NULL, NULL},
		{"53:01\",     ", "53:07\",     ", "nic-gone", "nic eno1",
		 "the NIC eno1 (00:00:5e:00:53:01, pci-0000:01:00.0) is gone", "nic-new"},
		{"QB0001", "QB0002", "disk-gone", "disk QB0001",
		 "the disk QB0001 (1 GiB), which was /dev/sda, is gone", "disk-new"},
		{"/dev/sda", "/dev/sdb", "disk-renamed", "disk QB0001",
		 "the disk QB0001 is /dev/sdb now, and was /dev/sda", NULL},
		{"1073741824", "2147483648", "disk-resized", "disk QB0001",
		 "the disk /dev/sda (QB0001) has 2 GiB now, and had 1 GiB", NULL},
		{"loop.img", "other.img", NULL, NULL, NULL, NULL},
		{"\"disks_known\": true", "\"disks_known\": false", NULL, NULL, NULL, NULL},
		{"EPYC 7313", "Xeon 6338", "cpu-changed", "cpu",
		 "the CPU is Xeon 6338 now, and was EPYC 7313", NULL},
		{"\"flag_svm\": true", "\"flag_svm\": false", "cpu-feature", "cpu",
		 "the CPU has lost svm", NULL},
		{"\"flag_vmx\": false", "\"flag_vmx\": true", "cpu-feature", "cpu",
		 "the CPU has gained vmx", NULL},
		{"68719476736", "34359738368", "memory-changed", "memory",
		 "there are 32 GiB of memory now, and were 64 GiB", NULL},
		/* What the kernel keeps for itself. */
		{"68719476736", "68700000000", NULL, NULL, NULL, NULL},
		{"5.14.0-427", "5.14.0-503", "kernel-changed", "kernel",
		 "the kernel is 5.14.0-503 now, and was 5.14.0-427", NULL},
		{"89abcdef\"", "89abcde0\"", "machine-id-changed", "machine-id",
		 "the machine-id is 0123456789abcdef0123456789abcde0 now", NULL},
	};
	_cleanup_facts_ struct qb_facts was = {0};
	json_auto_t *noted = NULL;

	(void)state;
	load(before, &was);
	noted = qb_hardware_json(&was);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = replaced(before, cases[i].from, cases[i].to);
		_cleanup_facts_ struct qb_facts is = {0};
		_cleanup_plan_ struct qb_plan plan = {0};
		size_t wanted = !cases[i].kind ? 0 : cases[i].second ? 2 : 1;

		load(text, &is);
		qb_hardware_plan(noted, &is, &plan);
		if (plan.n_changes != wanted)
			fail_msg("case %zu: %zu changes, the first: %s", i, plan.n_changes,
				 plan.n_changes ? plan.changes[0].why : "none");
		if (!wanted)
			continue;
		assert_string_equal(plan.changes[0].kind, cases[i].kind);
		assert_string_equal(plan.changes[0].target, cases[i].target);
		if (!qb_startswith(plan.changes[0].why, cases[i].why))
			fail_msg("case %zu: %s", i, plan.changes[0].why);
		if (cases[i].second)
			assert_string_equal(plan.changes[1].kind, cases[i].second);
	}
}

static void what_a_bridge_tells_is_not_told_again(void **state)
{
	_cleanup_free_ char *text = replaced(before, "\"eno1\"", "\"eno9\"");
	_cleanup_facts_ struct qb_facts was = {0}, is = {0};
	_cleanup_plan_ struct qb_plan plan = {0};
	json_auto_t *noted = NULL;

	(void)state;
	load(before, &was);
	load(text, &is);
	noted = qb_hardware_json(&was);
	qb_plan_change(&plan, "br0", "nic-renamed", json_pack("{s:s}", "mac", "00:00:5e:00:53:01"),
		       json_pack("{s:s}", "mac", "00:00:5e:00:53:01"), "told");
	qb_hardware_plan(noted, &is, &plan);
	assert_int_equal(plan.n_changes, 1);
}

static void where_nothing_was_noted_nothing_is_told(void **state)
{
	_cleanup_facts_ struct qb_facts is = {0};
	_cleanup_plan_ struct qb_plan plan = {0};
	json_auto_t *nonsense = json_pack("{s:s, s:[i]}", "cpu", "x", "nics", 1);

	(void)state;
	load(before, &is);
	qb_hardware_plan(NULL, &is, &plan);
	assert_int_equal(plan.n_changes, 0);
	/* Nor is a file that somebody edited taken for more than it says. */
	qb_hardware_plan(nonsense, &is, &plan);
	assert_true(plan.n_changes <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_is_told_once),
		cmocka_unit_test(what_a_bridge_tells_is_not_told_again),
		cmocka_unit_test(where_nothing_was_noted_nothing_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
