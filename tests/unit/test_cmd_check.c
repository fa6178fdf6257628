/* SPDX-License-Identifier: Apache-2.0 */
/* The command check from its words to what it prints and how it ends. */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/log.h"
#include "agent/command.h"
#include "agent/output.h"
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
	if (qb_options_parse(&qb_cmd_check, argc, argv, &inv, &err) < 0) {
		qb_log(QB_LOG_ERROR, "%s", err.msg);
		status = qb_exit_usage(&inv);
	} else {
		status = qb_cmd_check.run(&inv);
	}
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

/* Wherever the format stands: 2 would be critical, and what is not on stdout nobody sees. */
static void what_is_wrong_is_told_to_nagios(void **state)
{
	static const struct {
		const char *words[6], *says;
	} cases[] = {
		{{"--bogus", "--format", "nagios"}, "unknown option --bogus; see qubi-agent"},
		{{"-f", "nagios", "--bo|gus"}, "unknown option --bo\\x7cgus; see qubi-agent"},
		{{"-qvfnagios"}, "--quiet and --verbose contradict each other"},
		{{"--timeout", "x", "--form=nagios"}, "--timeout takes whole seconds"},
		{{"--format", "nagios", "-f"}, "-f needs a value"},
		{{"--format", "nagios", "--format", "xml"}, "--format takes text, json"},
		{{"--yes", "-f", "nagios"}, "check does not take --yes"},
		{{"no.such-check", "-f", "nagios"}, "check: no check is called \"no.such-check\""},
		{{"-f", "nagios", "--list"}, "check: --list is printed as text or json"},
		{{"-f", "nagios", "--facts", "/no/such"}, "/no/such: cannot read the facts"},
		{{"-f", "nagios", "--root", "/no/such"}, "/no/such: cannot open the root"},
		{{"-f", "nagios", "--config", "/no/such"}, "/no/such: no configuration there"},
		{{"-fnagios", "--facts", HOST, "-o", "/no/such/dir"}, "cannot write the report"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *says = qb_asprintf("QUBI UNKNOWN - %s", cases[i].says);
		_cleanup_buf_ struct qb_buf out = {0};

		assert_int_equal(check(cases[i].words, &out), QB_NAGIOS_UNKNOWN);
		if (!qb_startswith(out.s, says))
			fail_msg("not \"%s\" but %s", says, out.s);
		assert_null(strchr(out.s, '|'));
		assert_ptr_equal(strchr(out.s, '\n'), out.s + out.len - 1);
	}
}

static void who_does_not_ask_as_nagios_is_told_otherwise(void **state)
{
	/* The first is the value of another option, the second a word. */
	static const char *const words[][6] = {
		{"--ignore", "--format=nagios", "--bogus"},
		{"--bogus", "--", "--format=nagios"},
		{"--bogus", "-f", "tap"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++) {
		_cleanup_buf_ struct qb_buf out = {0};

		assert_int_equal(check(words[i], &out), QB_EXIT_USAGE);
		assert_string_equal(out.s, "");
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
	assert_int_equal(fchmod(fd, 0644), 0);
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

static void put(const char *path, mode_t mode)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "old", 3), 3);
	assert_int_equal(fchmod(fd, mode), 0);
}

static size_t count_names(const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n - 2;
}

/* A report that only some may read does not become one that all may read. */
static void a_file_keeps_who_may_read_it(void **state)
{
	static const mode_t modes[] = {0600, 0640, 0444, 0755};
	char dir[SCRATCH_MAX], path[SCRATCH_MAX + 8];
	const char *words[] = {"-f", "tap", "--facts", HOST, "-o", path, "cpu", NULL};
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(scratch(dir)));
	snprintf(path, sizeof(path), "%s/report", dir);
	for (size_t i = 0; i < QB_ARRAY_SIZE(modes); i++) {
		_cleanup_buf_ struct qb_buf out = {0};
		uid_t uid = geteuid() ? geteuid() : 12;

		put(path, modes[i]);
		assert_int_equal(chown(path, uid, uid == 12 ? 34 : getegid()), 0);
		assert_int_equal(check(words, &out), QB_EXIT_OK);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, modes[i]);
		assert_int_equal(st.st_uid, uid);
		assert_int_equal(st.st_gid, uid == 12 ? 34 : getegid());
		assert_true(st.st_size > 3);
	}
	assert_int_equal(count_names(dir), 1);
	unlink(path);
	rmdir(dir);
}

/* A typing error in the path is told, not made true. */
static void no_directory_is_made(void **state)
{
	char dir[SCRATCH_MAX], path[SCRATCH_MAX + 16];
	const char *words[] = {"-f", "tap", "--facts", HOST, "-o", path, "cpu", NULL};
	static const char *const paths[] = {"/no/report", "/", "/file/report"};

	(void)state;
	assert_non_null(mkdtemp(scratch(dir)));
	snprintf(path, sizeof(path), "%s/file", dir);
	put(path, 0644);
	for (size_t i = 0; i < QB_ARRAY_SIZE(paths); i++) {
		_cleanup_buf_ struct qb_buf out = {0};

		snprintf(path, sizeof(path), "%s%s", dir, paths[i]);
		assert_int_equal(check(words, &out), QB_EXIT_FAILED);
		assert_int_equal(count_names(dir), 1);
	}
	snprintf(path, sizeof(path), "%s/file", dir);
	unlink(path);
	rmdir(dir);
}

/* Nobody's file lands in the root directory. */
static void a_directory_that_is_gone_takes_no_report(void **state)
{
	static const char *const words[] = {
		"-f", "tap", "--facts", HOST, "-o", "qubi-report-of-a-test", "cpu", NULL};
	_cleanup_close_ int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_buf_ struct qb_buf out = {0};
	char dir[SCRATCH_MAX];

	(void)state;
	assert_non_null(mkdtemp(scratch(dir)));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(check(words, &out), QB_EXIT_FAILED);
	assert_int_equal(access("/qubi-report-of-a-test", F_OK), -1);
	assert_int_equal(fchdir(before), 0);
}

static void a_hyphen_is_standard_output(void **state)
{
	static const char *const words[] = {"-f", "tap", "--facts", HOST, "-o", "-", "cpu", NULL};
	_cleanup_buf_ struct qb_buf out = {0};

	(void)state;
	assert_int_equal(check(words, &out), QB_EXIT_OK);
	assert_true(qb_startswith(out.s, "TAP version 13\n"));
	assert_int_equal(access("-", F_OK), -1);
}

static void a_list_is_delivered(void **state)
{
	static const char *const formats[] = {"text", "json"};
	char path[SCRATCH_MAX];

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(formats); i++) {
		_cleanup_close_ int fd = mkstemp(scratch(path));
		const char *words[] = {"--list", "-f", formats[i], "-o", path, NULL};
		_cleanup_buf_ struct qb_buf out = {0};
		struct stat st;

		assert_int_equal(check(words, &out), QB_EXIT_OK);
		assert_string_equal(out.s, "");
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size > 1000);
		unlink(path);
	}
}

enum {
	WRITERS = 8,
	TIMES = 25
};

/* Each writes the whole report of its own, and none of them fails. */
static void many_write_the_same_file(void **state)
{
	char dir[SCRATCH_MAX], path[SCRATCH_MAX + 8];
	struct qb_error err = QB_ERROR_INIT;
	pid_t pids[WRITERS];
	struct stat st;
	int status;

	(void)state;
	assert_non_null(mkdtemp(scratch(dir)));
	snprintf(path, sizeof(path), "%s/report", dir);
	for (size_t i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			char chunk[4096];
			struct qb_buf text = {chunk, sizeof(chunk), 0};

			memset(chunk, 'a' + (int)i, sizeof(chunk));
			for (size_t k = 0; k < TIMES; k++)
				if (qb_output_replace(path, &text, &err) < 0)
					_exit(1);
			_exit(0);
		}
	}
	for (size_t i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4096);
	assert_int_equal(count_names(dir), 1);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_format_is_printed),
		cmocka_unit_test(each_verdict_ends_as_its_format_does),
		cmocka_unit_test(what_is_wrong_is_told_to_nagios),
		cmocka_unit_test(who_does_not_ask_as_nagios_is_told_otherwise),
		cmocka_unit_test(a_list_is_text_or_json),
		cmocka_unit_test(a_file_is_replaced_as_a_whole),
		cmocka_unit_test(a_file_keeps_who_may_read_it),
		cmocka_unit_test(no_directory_is_made),
		cmocka_unit_test(a_directory_that_is_gone_takes_no_report),
		cmocka_unit_test(a_hyphen_is_standard_output),
		cmocka_unit_test(a_list_is_delivered),
		cmocka_unit_test(many_write_the_same_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
