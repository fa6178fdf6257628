/* SPDX-License-Identifier: Apache-2.0 */
/* A command is one const struct; main() looks it up, parses the options it takes and runs it. */
#pragma once

#include "agent/host/config.h"
#include "agent/host/facts.h"

/* What a run of any command may come to; documented in the manual. */
enum qb_exit {
	QB_EXIT_OK = 0,
	QB_EXIT_FAILED = 1,      /* not-ready or unknown; a step failed and was undone */
	QB_EXIT_USAGE = 2,       /* usage or configuration error: nothing was done */
	QB_EXIT_REFUSED = 3,     /* refused for safety */
	QB_EXIT_PENDING = 4,     /* plan: changes are pending */
	QB_EXIT_UNDO_FAILED = 5, /* a person must look */
	QB_EXIT_LOCKED = 6,      /* another run holds the lock */
};

/* Of check --format nagios, where others expect it. */
enum qb_nagios_exit {
	QB_NAGIOS_OK,
	QB_NAGIOS_WARNING,
	QB_NAGIOS_CRITICAL,
	QB_NAGIOS_UNKNOWN
};

enum qb_format {
	QB_FORMAT_TEXT,
	QB_FORMAT_JSON,
	/* Of a report of checks only. */
	QB_FORMAT_JUNIT,
	QB_FORMAT_TAP,
	QB_FORMAT_NAGIOS,
	QB_FORMAT_PROMETHEUS,
	QB_FORMAT_HTML
};

/* Options beside the common ones, as a command declares to take them. */
enum qb_takes {
	QB_TAKES_ROOT = 1 << 0,    /* --root DIR: commands that only read */
	QB_TAKES_FACTS = 1 << 1,   /* --facts FILE */
	QB_TAKES_CONSENT = 1 << 2, /* --yes */
	QB_TAKES_PARTIAL = 1 << 3, /* --allow-partial */
	QB_TAKES_LIST = 1 << 4,    /* --list */
	QB_TAKES_IGNORE = 1 << 5,  /* --ignore ID */
	QB_TAKES_ARGS = 1 << 6,    /* words beside options */
	QB_TAKES_FORMATS = 1 << 7, /* --format junit and the like, --output FILE */
	QB_TAKES_CONFIRM = 1 << 8, /* --confirm SECONDS */
	QB_TAKES_EMULATE = 1 << 9, /* --emulate */
	QB_TAKES_ALL = 1 << 10,    /* --all */
};

struct qb_options {
	char *config; /* --config, or the default path */
	bool config_given;
	char *root;   /* --root, or "/" */
	char *facts;  /* --facts, or NULL */
	char *output; /* --output; NULL: standard output */
	char *connect;
	enum qb_format format;
	unsigned timeout_ms;
	unsigned confirm_ms; /* --confirm; 0: nobody is asked */
	bool quiet, verbose, no_color, yes, allow_partial, list, emulate, all;
	struct qb_strs ignore;
};

struct qb_invocation {
	struct qb_options opt;
	struct qb_root root;
	char **args; /* words after the options, as the command takes them */
	size_t n_args;
};

struct qb_command {
	const char *name;
	const char *args;                      /* "[ID|GROUP...]", NULL for none */
	const char *summary;                   /* half a line, for the list of commands */
	const char *help;                      /* paragraphs for --help */
	unsigned takes;                        /* enum qb_takes */
	int (*run)(struct qb_invocation *inv); /* an enum qb_exit */
};

extern const struct qb_command qb_cmd_init, qb_cmd_facts, qb_cmd_check, qb_cmd_explain, qb_cmd_plan,
	qb_cmd_apply, qb_cmd_repair, qb_cmd_prove, qb_cmd_rollback, qb_cmd_bootstrap, qb_cmd_boot;

/* All commands in the order of help; ends with NULL. */
extern const struct qb_command *const qb_commands[];

/*
 * Fills inv from argv (argv[0] is the command's name). -EINVAL with what is wrong; 1 when --help
 * or --version was given and printed.
 */
QB_MUST_CHECK int qb_options_parse(const struct qb_command *command, int argc, char **argv,
				   struct qb_invocation *inv, struct qb_error *err);
void qb_invocation_done(struct qb_invocation *inv);
/* Somewhere in these words stands --format nagios, whatever else is wrong with them. */
bool qb_options_name_nagios(int argc, char **argv);
/*
 * How a run ends that could not begin: QB_EXIT_USAGE, or as a plugin of Nagios does then, with the
 * latest error on standard output.
 */
int qb_exit_usage(const struct qb_invocation *inv);
void qb_help_print(FILE *f);

/*
 * What commands have in common. They print what is wrong to stderr and return a negative number
 * then; the command ends with QB_EXIT_USAGE.
 */
/* The configuration: what --config names, or that of the host which is read. */
QB_MUST_CHECK int qb_invocation_config(const struct qb_invocation *inv, struct qb_config *ret);
/*
 * The same for commands that can do without: 1 where there is none, or none that this user may
 * read, which *ret_unknown says then.
 */
QB_MUST_CHECK int qb_invocation_config_if_any(const struct qb_invocation *inv,
					      struct qb_config *ret, const char **ret_unknown);
/* Facts of the live host, of --root or of --facts; the rest as in struct qb_probe_options. */
QB_MUST_CHECK int qb_invocation_facts(const struct qb_invocation *inv,
				      const struct qb_config *config, const struct qb_strs *reads,
				      unsigned without, struct qb_facts *ret);
/* Prints a document to stdout, indented, and drops the reference. 0, or -EIO when stdout failed. */
QB_MUST_CHECK int qb_print_json(json_t *document);
QB_MUST_CHECK int qb_print_text(const struct qb_buf *text);
/* stdout is a terminal and neither --no-color, NO_COLOR nor TERM=dumb speaks against colour. */
bool qb_invocation_colour(const struct qb_invocation *inv);
unsigned qb_terminal_width(void); /* columns of stdout's terminal; 80 where there is none */
