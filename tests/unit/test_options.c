/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <getopt.h>
#include <cmocka.h>

#include "agent/command.h"

static const struct qb_command reads = {
	.name = "reads", .help = "", .summary = "", .takes = QB_TAKES_ROOT | QB_TAKES_FACTS};
static const struct qb_command reports = {
	.name = "reports", .help = "", .summary = "", .takes = QB_TAKES_FORMATS};
static const struct qb_command writes = {.name = "writes",
					 .help = "",
					 .summary = "",
					 .takes = QB_TAKES_CONSENT | QB_TAKES_ARGS |
						  QB_TAKES_CONFIRM};

const struct qb_command *const qb_commands[] = {&reads, &writes, NULL};

static int parse(const struct qb_command *command, const char *const *words,
		 struct qb_invocation *inv, struct qb_error *err)
{
	static char *argv[9]; /* inv->args are its last ones */
	int argc = 1;

	argv[0] = (char *)(uintptr_t)command->name;
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	argv[argc] = NULL;
	*inv = (struct qb_invocation){.root = QB_ROOT_INIT};
	*err = (struct qb_error)QB_ERROR_INIT;
	optind = 0; /* glibc: begin anew */
	return qb_options_parse(command, argc, argv, inv, err);
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const struct qb_command *command;
		const char *words[6];
		const char *msg;
	} cases[] = {
		{&reads, {"--yes"}, "reads does not take --yes; see qubi-agent reads --help"},
		{&writes,
		 {"--root", "/"},
		 "writes does not take --root; see qubi-agent writes --help"},
		{&writes,
		 {"--facts=x"},
		 "writes does not take --facts; see qubi-agent writes --help"},
		{&reads, {"--bogus"}, "unknown option --bogus; see qubi-agent reads --help"},
		{&reads,
		 {"--bo\033gus"},
		 "unknown option --bo\\x1bgus; see qubi-agent reads --help"},
		{&reads, {"-zq"}, "unknown option -z; see qubi-agent reads --help"},
		{&reads, {"-qz", "word"}, "unknown option -z; see qubi-agent reads --help"},
		{&reads, {"-\033q"}, "unknown option -\\x1b; see qubi-agent reads --help"},
		{&reads, {"-qc"}, "-c needs a value; see qubi-agent reads --help"},
		{&reads, {"--root"}, "--root needs a value; see qubi-agent reads --help"},
		{&reads, {"--root="}, "--root must not be empty"},
		{&reads, {"word"}, "reads takes no \"word\"; see qubi-agent reads --help"},
		{&reads, {"-f", "xml"}, "--format takes text or json"},
		{&reads, {"-f", "html"}, "--format takes text or json"},
		{&reports,
		 {"-f", "xml"},
		 "--format takes text, json, junit, tap, nagios, prometheus or html"},
		{&reads, {"--timeout", "0"}, "--timeout takes whole seconds from 1 to 3600"},
		{&reads, {"--timeout", "3601"}, "--timeout takes whole seconds from 1 to 3600"},
		{&reads, {"--timeout", "1s"}, "--timeout takes whole seconds from 1 to 3600"},
		{&writes, {"--confirm", "0"}, "--confirm takes whole seconds from 1 to 3600"},
		{&writes, {"--confirm=soon"}, "--confirm takes whole seconds from 1 to 3600"},
		{&reads, {"-q", "-v"}, "--quiet and --verbose contradict each other"},
		{&reads,
		 {"--facts", "f", "--root", "/x"},
		 "--facts and --root contradict each other"},
		{&reads,
		 {"--root", "/no/such"},
		 "/no/such: cannot open the root directory: No such file or directory"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_invocation inv;
		struct qb_error err;

		assert_true(parse(cases[i].command, cases[i].words, &inv, &err) < 0);
		assert_string_equal(err.msg, cases[i].msg);
		qb_invocation_done(&inv);
	}
}

static void options_and_words_are_taken(void **state)
{
	static const char *const words[] = {"one",         "--yes", "-f",           "json",
					    "--timeout=7", "two",   "--confirm=60", NULL};
	static const char *const none[] = {NULL};
	struct qb_invocation inv;
	struct qb_error err;

	(void)state;
	assert_int_equal(parse(&writes, words, &inv, &err), 0);
	assert_true(inv.opt.yes);
	assert_int_equal(inv.opt.format, QB_FORMAT_JSON);
	assert_int_equal(inv.opt.timeout_ms, 7000);
	assert_int_equal(inv.opt.confirm_ms, 60000);
	assert_int_equal(inv.n_args, 2);
	assert_string_equal(inv.args[0], "one");
	assert_string_equal(inv.args[1], "two");
	assert_false(inv.opt.config_given);
	qb_invocation_done(&inv);

	assert_int_equal(parse(&reads, none, &inv, &err), 0);
	assert_string_equal(inv.opt.config, "/etc/qubi-agent/host.yaml");
	assert_string_equal(inv.opt.connect, "qemu:///system");
	assert_true(inv.root.live);
	qb_invocation_done(&inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(options_and_words_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
