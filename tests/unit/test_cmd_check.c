/* SPDX-License-Identifier: Apache-2.0 */
/* The command check from its words to what it prints and how it ends. */
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/command.h"
#include "tests/unit/scratch.h"

#define HOST QB_TESTS "/data/checks/host.json"

const struct qb_command *const qb_commands[] = {&qb_cmd_check, NULL};

/* Runs check with those words; what it wrote to standard output. */
static int check(const char *const *words, struct qb_buf *ret)
{
	char path[SCRATCH_MAX], chunk[4096];
	_cleanup_close_ int fd = mkstemp(scratch(path)), saved = dup(STDOUT_FILENO);
	struct qb_invocation inv = {.root = QB_ROOT_INIT};
	struct qb_error err = QB_ERROR_INIT;
	char *argv[10] = {(char *)(uintptr_t) "check"};
	int argc = 1, status;
	ssize_t n;

	assert_true(fd >= 0 && saved >= 0 && unlink(path) == 0);
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	fflush(stdout);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	optind = 0; /* glibc: begin anew */
	if (qb_options_parse(&qb_cmd_check, argc, argv, &inv, &err) < 0)
		status = qb_exit_usage(&inv);
	else
		status = qb_cmd_check.run(&inv);
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	qb_invocation_done(&inv);
	qb_buf_puts(ret, "");
	for (off_t at = 0; (n = pread(fd, chunk, sizeof(chunk), at)) > 0; at += n)
		qb_buf_add(ret, chunk, (size_t)n);
	return status;
}

static void each_format_is_printed(void **state)
{
	static const struct {
		const char *format, *begins;
	} cases[] = {
		{"text", "ready: "},
		{"json", "{\n  \"schema\": \"qubi-agent/check/1\""},
		{"junit", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "},
		{"tap", "TAP version 13\n1.."},
		{"nagios", "QUBI READY - "},
		{"prometheus", "# HELP qubi_agent_check_"},
		{"html", "<!DOCTYPE html>\n"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		const char *const words[] = {
			"-f", cases[i].format, "--facts", HOST, "cpu", "iommu", NULL,
		};
		_cleanup_buf_ struct qb_buf out = {0};

		assert_int_equal(check(words, &out), QB_EXIT_OK);
		if (!qb_startswith(out.s, cases[i].begins))
			fail_msg("%s begins otherwise: %.60s", cases[i].format, out.s);
	}
}

static void each_verdict_ends_as_its_format_does(void **state)
{
	static const struct {
		const char *facts, *check;
		int nagios, others;
	} cases[] = {
		{"\"system\": {\"bridge_nf_call\": false}", "net.bridge-filter", 0, 0},
		{"\"system\": {\"bridge_nf_call\": true}", "net.bridge-filter", 1, 0},
		{"\"kvm\": {\"device\": false}", "kvm.device", 2, 1},
		{"\"kvm\": {}", "kvm.device", 3, 1},
		/* Nothing is judged. */
		{"\"kvm\": {}", "kvm.no-such-check", 3, 2},
		{"\"kvm\": []", "kvm.device", 3, 2},
		{"\"kvm\": {}", "--bogus", 3, 2},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		char path[SCRATCH_MAX];
		_cleanup_close_ int fd = mkstemp(scratch(path));
		const char *words[] = {"-f", "nagios", "--facts", path, cases[i].check, NULL};
		_cleanup_buf_ struct qb_buf nagios = {0}, others = {0};

		assert_true(dprintf(fd, "{\"schema\": \"qubi-agent/facts/1\", %s}\n",
				    cases[i].facts) > 0);
		assert_int_equal(check(words, &nagios), cases[i].nagios);
		words[1] = "tap";
		assert_int_equal(check(words, &others), cases[i].others);
		unlink(path);
	}
}

static void a_list_is_text_or_json(void **state)
{
	static const char *const plain[] = {"--list", NULL};
	static const char *const words[] = {"--list", "--format", "html", NULL};
	_cleanup_buf_ struct qb_buf out = {0}, none = {0};

	(void)state;
	assert_int_equal(check(plain, &out), QB_EXIT_OK);
	assert_non_null(strstr(out.s, "kvm.device"));
	assert_int_equal(check(words, &none), QB_EXIT_USAGE);
	assert_string_equal(none.s, "");
}

/* Who had the old file open still reads it; what is no file is not made one. */
static void a_file_is_replaced_as_a_whole(void **state)
{
	char path[SCRATCH_MAX], link_path[SCRATCH_MAX + 4], old[4] = "";
	_cleanup_close_ int fd = mkstemp(scratch(path));
	const char *words[] = {"-f", "tap", "--facts", HOST, "--output", path, "cpu", NULL};
	_cleanup_buf_ struct qb_buf out = {0}, none = {0};
	struct stat before, after;
	char begin[16] = "";

	(void)state;
	assert_int_equal(write(fd, "old", 3), 3);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(check(words, &out), QB_EXIT_OK);
	assert_string_equal(out.s, "");
	assert_int_equal(stat(path, &after), 0);
	assert_true(before.st_ino != after.st_ino);
	assert_int_equal(after.st_mode & 07777, 0644);
	assert_int_equal(pread(fd, old, 3, 0), 3);
	assert_string_equal(old, "old");
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, begin, 14), 14);
	assert_string_equal(begin, "TAP version 13");

	snprintf(link_path, sizeof(link_path), "%s-l", path);
	assert_int_equal(symlink(path, link_path), 0);
	words[5] = link_path;
	assert_int_equal(check(words, &none), QB_EXIT_FAILED);
	assert_int_equal(lstat(link_path, &after), 0);
	assert_true(S_ISLNK(after.st_mode));
	unlink(link_path);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_format_is_printed),
		cmocka_unit_test(each_verdict_ends_as_its_format_does),
		cmocka_unit_test(a_list_is_text_or_json),
		cmocka_unit_test(a_file_is_replaced_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
