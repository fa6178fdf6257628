/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/command.h"

const struct qb_command *const qb_commands[] = {
	&qb_cmd_init,     &qb_cmd_check,     &qb_cmd_explain, &qb_cmd_facts,
	&qb_cmd_plan,     &qb_cmd_apply,     &qb_cmd_repair,  &qb_cmd_prove,
	&qb_cmd_rollback, &qb_cmd_bootstrap, &qb_cmd_boot,    NULL,
};

static const struct qb_command *find(const char *name)
{
	for (size_t i = 0; qb_commands[i]; i++)
		if (!strcmp(qb_commands[i]->name, name))
			return qb_commands[i];
	return NULL;
}

static void unknown_command(const char *name)
{
	_cleanup_free_ char *safe = qb_str_printable(name);
	const char *names[16], *near;
	size_t n = 0;

	for (; qb_commands[n] && n < QB_ARRAY_SIZE(names); n++)
		names[n] = qb_commands[n]->name;
	near = qb_str_nearest(name, names, n);
	if (near)
		qb_log(QB_LOG_ERROR, "there is no command \"%s\"; did you mean \"%s\"?", safe,
		       near);
	else
		qb_log(QB_LOG_ERROR, "there is no command \"%s\"; see qubi-agent --help", safe);
}

/*
 * What is opened next would be standard input, output or error where that is closed, and be taken
 * for it. The wrong way round, so that using it still fails, as in gnulib's stdopen.c.
 */
static void fill_standard(void)
{
	static const int ways[] = {O_WRONLY, O_RDONLY, O_RDONLY};

	for (int fd = 0; fd < (int)QB_ARRAY_SIZE(ways); fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", ways[fd]) != fd)
			_exit(QB_EXIT_FAILED);
}

/* systemd's default of 1024 is kept low for programs that use select(2); a host may have more disks
 * than that, each read by a process with a pipe. */
static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	struct qb_invocation inv = {.root = QB_ROOT_INIT};
	struct qb_error err = QB_ERROR_INIT;
	const struct qb_command *command;
	int r;

	fill_standard();
	/* A closed pipe is reported as a failed write, where the command is not in mid-change. */
	signal(SIGPIPE, SIG_IGN);
	raise_open_files();
	if (argc < 2) {
		qb_help_print(stderr);
		return QB_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		qb_help_print(stdout);
		return QB_EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("qubi-agent " QB_VERSION);
		return QB_EXIT_OK;
	}
	command = find(argv[1]);
	if (!command) {
		unknown_command(argv[1]);
		if (qb_options_name_nagios(argc - 1, argv + 1))
			inv.opt.format = QB_FORMAT_NAGIOS;
		return qb_exit_usage(&inv);
	}
	r = qb_options_parse(command, argc - 1, argv + 1, &inv, &err);
	if (r < 0) {
		qb_log(QB_LOG_ERROR, "%s", err.msg);
		r = qb_exit_usage(&inv);
	} else {
		r = r > 0 ? QB_EXIT_OK : command->run(&inv);
	}
	qb_invocation_done(&inv);
	return r;
}
