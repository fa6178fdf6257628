/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "agent/base/exec.h"

static void output_and_status_come_back(void **state)
{
	_cleanup_exec_ struct qb_exec_result r = {0};

	(void)state;
	assert_int_equal(
		qb_exec((const char *const[]){"/bin/echo", "$HOME", "a b", NULL}, 5000, &r, NULL),
		0);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, "$HOME a b\n");
	assert_string_equal(r.err, "");
}

static void the_environment_is_clean(void **state)
{
	_cleanup_exec_ struct qb_exec_result r = {0};

	(void)state;
	setenv("LD_LIBRARY_PATH", "/nowhere", 1);
	assert_int_equal(qb_exec((const char *const[]){"/usr/bin/env", NULL}, 5000, &r, NULL), 0);
	assert_string_equal(r.out, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n"
				   "LVM_OUT_FD=2\nLVM_REPORT_FD=1\n");
}

static void a_failure_says_the_last_lines_made_safe(void **state)
{
	struct qb_error err = QB_ERROR_INIT;

	(void)state;
	assert_int_equal(
		qb_exec_check((const char *const[]){"/bin/ls", "/no/\033[31m", NULL}, 5000, &err),
		-EIO);
	assert_non_null(strstr(err.msg, "/bin/ls ended with status 2: "));
	assert_null(strchr(err.msg, '\033'));
	assert_int_equal(qb_exec_check((const char *const[]){"/bin/ls", "/no/1", "/no/2", "/no/3",
							     "/no/4", NULL},
				       5000, &err),
			 -EIO);
	assert_null(strstr(err.msg, "/no/1"));
	assert_non_null(strstr(err.msg, "/no/2': No such file or directory; /bin/ls: "));
	assert_non_null(strstr(err.msg, "/no/4"));
}

static void a_missing_program_is_an_error(void **state)
{
	struct qb_error err = QB_ERROR_INIT;

	(void)state;
	assert_int_equal(qb_exec_check((const char *const[]){"/no/such", NULL}, 5000, &err), -EIO);
	assert_non_null(strstr(err.msg, "No such file or directory"));
	assert_int_equal(qb_exec_check((const char *const[]){"ls", NULL}, 5000, &err), -EINVAL);
}

static void what_outlives_its_time_is_killed(void **state)
{
	struct qb_error err = QB_ERROR_INIT;

	(void)state;
	assert_int_equal(qb_exec_check((const char *const[]){"/bin/sleep", "60", NULL}, 50, &err),
			 -ETIMEDOUT);
	assert_string_equal(err.msg, "/bin/sleep: did not end within 50 ms");
}

static void much_output_is_cut_and_does_not_block(void **state)
{
	_cleanup_exec_ struct qb_exec_result r = {0};

	(void)state;
	assert_int_equal(
		qb_exec((const char *const[]){"/usr/bin/head", "-c", "3000000", "/dev/zero", NULL},
			5000, &r, NULL),
		0);
	assert_int_equal(r.status, 0);
}

/* Its output and its end may come in one look, and the pipe stays open. */
static void a_grandchild_is_not_waited_for(void **state)
{
	const char *const argv[] = {"/bin/sh", "-c", "sleep 2 & echo hi", NULL};
	struct qb_error err = QB_ERROR_INIT;

	(void)state;
	for (int i = 0; i < 50; i++) {
		_cleanup_exec_ struct qb_exec_result r = {0};

		if (qb_exec(argv, 1000, &r, &err) < 0)
			fail_msg("%s", err.msg);
		assert_string_equal(r.out, "hi\n");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status_come_back),
		cmocka_unit_test(the_environment_is_clean),
		cmocka_unit_test(a_failure_says_the_last_lines_made_safe),
		cmocka_unit_test(a_missing_program_is_an_error),
		cmocka_unit_test(what_outlives_its_time_is_killed),
		cmocka_unit_test(much_output_is_cut_and_does_not_block),
		cmocka_unit_test(a_grandchild_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
