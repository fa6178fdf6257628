/* SPDX-License-Identifier: Apache-2.0 */
/* Files that set sysctls: single lines, and what several files come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "checks/sysctl_conf.h"

/* key NULL: the line sets nothing; value NULL: no pattern is to set it. */
static const struct {
	const char *line, *key, *value;
} lines[] = {
	{"vm.swappiness=10", "vm/swappiness", "10"},
	{"vm/swappiness=10", "vm/swappiness", "10"},
	{" \tvm.swappiness \t=  10 \r", "vm/swappiness", "10"},
	{"-vm.swappiness = 10", "vm/swappiness", "10"},
	{"- vm.swappiness = 10", "vm/swappiness", "10"},
	{"net.ipv4.tcp_rmem = 4096\t131072   6291456", "net/ipv4/tcp_rmem", "4096 131072 6291456"},
	{"kernel.core_pattern=|/bin/x a=b", "kernel/core_pattern", "|/bin/x a=b"},
	{"kernel.domainname=", "kernel/domainname", ""},
	{"net.ipv4.conf.eno1/10.forwarding=1", "net/ipv4/conf/eno1.10/forwarding", "1"},
	{"net/ipv4/conf/eno1.10/forwarding=1", "net/ipv4/conf/eno1.10/forwarding", "1"},
	{"net.ipv4.conf.*.rp_filter = 2", "net/ipv4/conf/*/rp_filter", "2"},
	{"-net.ipv4.conf.all.rp_filter", "net/ipv4/conf/all/rp_filter", NULL},
	{"vm.swappiness = 10 # no comment", "vm/swappiness", "10 # no comment"},
	{"# vm.swappiness = 10", NULL, NULL},
	{"  ; vm.swappiness = 10", NULL, NULL},
	{"vm.swappiness", NULL, NULL},
	{"= 10", NULL, NULL},
	{"-", NULL, NULL},
	{"-= 1", NULL, NULL},
	{"=", NULL, NULL},
	{"", NULL, NULL},
	{"   ", NULL, NULL},
};

static void every_line_is_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(lines); i++) {
		_cleanup_sysctls_ struct qb_sysctls all = {0};
		_cleanup_free_ char *text = qb_asprintf("\n%s\n", lines[i].line);

		qb_sysctls_parse(text, "/etc/sysctl.d/x.conf", &all);
		if (all.n != (lines[i].key ? 1 : 0))
			fail_msg("\"%s\" sets %zu", lines[i].line, all.n);
		if (!all.n)
			continue;
		assert_string_equal(all.v[0].key, lines[i].key);
		if (lines[i].value)
			assert_string_equal(all.v[0].value, lines[i].value);
		else
			assert_null(all.v[0].value);
	}
}

static void names_are_as_sysctl_prints_them(void **state)
{
	_cleanup_free_ char *plain = qb_sysctl_name("vm/swappiness");
	_cleanup_free_ char *dotted = qb_sysctl_name("net/ipv4/conf/eno1.10/forwarding");

	(void)state;
	assert_string_equal(plain, "vm.swappiness");
	assert_string_equal(dotted, "net.ipv4.conf.eno1/10.forwarding");
	assert_true(qb_sysctl_same("10", "010"));
	assert_true(qb_sysctl_same("-1", "-1"));
	assert_false(qb_sysctl_same("10", "1"));
	assert_false(qb_sysctl_same("", "0"));
}

static const struct {
	const char *text, *key, *value; /* value NULL: nothing sets it */
} finds[] = {
	{"a.b=1\na.b=2", "a/b", "2"},
	{"a.b=1", "a/bc", NULL},
	/* A name counts more than a pattern, wherever they stand. */
	{"a.b.c=1\na.*.c=2", "a/b/c", "1"},
	{"a.*.c=2\na.b.c=1", "a/b/c", "1"},
	{"a.*.c=2\na.?.c=3", "a/b/c", "3"},
	{"a.*.c=2\n-a.b.c", "a/b/c", NULL},
	{"a.*.c=2\n-a.b.c", "a/x/c", "2"},
	{"-a.b.c\na.b.c=1", "a/b/c", "1"},
	/* "*" is one component. */
	{"a.*=2", "a/b/c", NULL},
};

static void the_last_one_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(finds); i++) {
		_cleanup_sysctls_ struct qb_sysctls all = {0};
		const struct qb_sysctl *found;

		qb_sysctls_parse(finds[i].text, "/etc/sysctl.d/x.conf", &all);
		found = qb_sysctls_find(&all, finds[i].key);
		if (!found != !finds[i].value)
			fail_msg("\"%s\": %s", finds[i].text, found ? "found" : "not found");
		if (found)
			assert_string_equal(found->value, finds[i].value);
	}
}

struct file {
	const char *path, *value;
	int64_t mode;
};

static char *setting(const struct file *files, size_t n, const char *key)
{
	struct qb_reading readings[8] = {0};
	struct qb_facts facts = {.readings = readings, .n_readings = n};
	const struct qb_check_input in = {.facts = &facts};
	_cleanup_sysctls_ struct qb_sysctls all = {0};
	const struct qb_sysctl *found;

	for (size_t i = 0; i < n; i++) {
		readings[i].path = (char *)files[i].path;
		readings[i].value = (char *)files[i].value;
		readings[i].mode = files[i].mode ? files[i].mode : 0100644;
	}
	qb_sysctls_read(&in, &all);
	found = qb_sysctls_find(&all, key);
	return found ? qb_asprintf("%s in %s", found->value, found->path) : NULL;
}

#define SETTING(key, ...)                                                                          \
	setting((const struct file[]){__VA_ARGS__},                                                \
		sizeof((const struct file[]){__VA_ARGS__}) / sizeof(struct file), key)

static void files_count_by_name_and_directory(void **state)
{
	_cleanup_free_ char *name = NULL, *dir = NULL, *empty = NULL, *null = NULL, *conf = NULL;

	(void)state;
	name = SETTING("a/b", {"/etc/sysctl.d/10-x.conf", "a.b=1"},
		       {"/run/sysctl.d/30-x.conf", "a.b=3"},
		       {"/usr/lib/sysctl.d/20-x.conf", "a.b=2"});
	assert_string_equal(name, "3 in /run/sysctl.d/30-x.conf");
	dir = SETTING("a/b", {"/usr/lib/sysctl.d/x.conf", "a.b=3"},
		      {"/usr/local/lib/sysctl.d/x.conf", "a.b=2"},
		      {"/run/sysctl.d/x.conf", "a.b=1"});
	assert_string_equal(dir, "1 in /run/sysctl.d/x.conf");
	empty = SETTING("a/b", {"/usr/lib/sysctl.d/x.conf", "a.b=3"}, {"/etc/sysctl.d/x.conf", ""});
	assert_null(empty);
	null = SETTING("a/b", {"/usr/lib/sysctl.d/x.conf", "a.b=3"},
		       {"/etc/sysctl.d/x.conf", NULL, 020666});
	assert_null(null);
	conf = SETTING("a/b", {"/etc/sysctl.conf", "a.b=5"}, {"/etc/sysctl.d/zz.conf", "a.b=1"});
	assert_string_equal(conf, "5 in /etc/sysctl.conf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_is_understood),
		cmocka_unit_test(names_are_as_sysctl_prints_them),
		cmocka_unit_test(the_last_one_counts),
		cmocka_unit_test(files_count_by_name_and_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
