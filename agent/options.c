/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command.h"

#include <errno.h>
#include <getopt.h>

#include "agent/base/log.h"
#include "agent/base/mounts.h"
#include "checks/check.h"

enum {
	TIMEOUT_DEFAULT_S = 30,
	TIMEOUT_MAX_S = 3600,
	COMMON = 0,
	LONG_FIRST = 256, /* no character */
};

/* One line is the parser, the bound to commands and the help. */
static const struct {
	const char *name;
	const char *arg; /* NULL: a flag */
	char letter;     /* 0: none */
	unsigned takes;  /* enum qb_takes; COMMON: every command */
	const char *help;
} options[] = {
	{"config", "FILE", 'c', COMMON, "configuration (default /etc/qubi-agent/host.yaml)"},
	{"root", "DIR", 0, QB_TAKES_ROOT, "read the captured host or image below DIR"},
	{"facts", "FILE", 0, QB_TAKES_FACTS, "judge the facts in FILE instead of this host"},
	{"format", "FORMAT", 'f', COMMON, "text (the default) or json"},
	{"connect", "URI", 0, COMMON, "libvirt to talk to (default qemu:///system)"},
	{"timeout", "SECONDS", 0, COMMON, "longest wait for another program (default 30)"},
	{"output", "FILE", 'o', QB_TAKES_FORMATS,
	 "replace FILE by the report; - is standard output"},
	{"list", NULL, 0, QB_TAKES_LIST, "list every check: id, severity, title"},
	{"ignore", "ID", 0, QB_TAKES_IGNORE, "demote a check to informational; repeatable"},
	{"yes", NULL, 'y', QB_TAKES_CONSENT, "go ahead without asking"},
	{"confirm", "SECONDS", 0, QB_TAKES_CONFIRM,
	 "undo it unless somebody confirms in time that the host is reached"},
	{"allow-partial", NULL, 0, QB_TAKES_PARTIAL, "do what is not refused"},
	{"all", NULL, 0, QB_TAKES_ALL, "undo every run, back to before the first one"},
	{"emulate", NULL, 0, QB_TAKES_EMULATE, "run the guests without KVM, which proves less"},
	{"quiet", NULL, 'q', COMMON, "say only what matters"},
	{"verbose", NULL, 'v', COMMON, "say more"},
	{"no-color", NULL, 0, COMMON, "no colour, also on a terminal"},
	{"help", NULL, 'h', COMMON, "this text"},
};

static bool taken(const struct qb_command *command, size_t i)
{
	return options[i].takes == COMMON || (command->takes & options[i].takes);
}

void qb_help_print(FILE *f)
{
	fputs("usage: qubi-agent COMMAND [OPTION...]\n\n"
	      "Turns this machine into a KVM host that libvirt can use, proves it and keeps it "
	      "so.\n\n",
	      f);
	for (size_t i = 0; qb_commands[i]; i++)
		fprintf(f, "  %-10s %s\n", qb_commands[i]->name, qb_commands[i]->summary);
	fputs("\nqubi-agent COMMAND --help says more; qubi-agent --version names the version.\n\n"
	      "Exit status: 0 done, in sync, ready or degraded; 1 not ready, unknown, or a step\n"
	      "failed and was undone; 2 usage or configuration error; 3 refused for safety;\n"
	      "4 plan: changes are pending; 5 an undo failed; 6 another run holds the lock.\n",
	      f);
}

static void command_help(const struct qb_command *command)
{
	printf("usage: qubi-agent %s [OPTION...]%s%s\n\n%s\n\n", command->name,
	       command->args ? " " : "", command->args ? command->args : "", command->help);
	for (size_t i = 0; i < QB_ARRAY_SIZE(options); i++) {
		_cleanup_free_ char *left = NULL;

		if (!taken(command, i))
			continue;
		left = qb_asprintf("%c%c%s --%s%s%s", options[i].letter ? '-' : ' ',
				   options[i].letter ? options[i].letter : ' ',
				   options[i].letter ? "," : " ", options[i].name,
				   options[i].arg ? " " : "", options[i].arg ? options[i].arg : "");
		printf("  %-24s %s\n", left, options[i].help);
		if (!strcmp(options[i].name, "format") && command->takes & QB_TAKES_FORMATS)
			printf("  %-24s %s\n", "", "or junit, tap, nagios, prometheus, html");
	}
}

static int parse_seconds(const char *name, const char *text, unsigned *ret_ms, struct qb_error *err)
{
	uint64_t s;

	if (qb_parse_u64(text, &s) < 0 || !s || s > TIMEOUT_MAX_S)
		return qb_error_set(err, EINVAL, "--%s takes whole seconds from 1 to %d", name,
				    TIMEOUT_MAX_S);
	*ret_ms = (unsigned)s * 1000;
	return 0;
}

static const struct {
	const char *name;
	enum qb_format format;
	unsigned takes;
} formats[] = {
	{"text", QB_FORMAT_TEXT, COMMON},
	{"json", QB_FORMAT_JSON, COMMON},
	{"junit", QB_FORMAT_JUNIT, QB_TAKES_FORMATS},
	{"tap", QB_FORMAT_TAP, QB_TAKES_FORMATS},
	{"nagios", QB_FORMAT_NAGIOS, QB_TAKES_FORMATS},
	{"prometheus", QB_FORMAT_PROMETHEUS, QB_TAKES_FORMATS},
	{"html", QB_FORMAT_HTML, QB_TAKES_FORMATS},
};

static int parse_format(const struct qb_command *command, const char *text, enum qb_format *ret,
			struct qb_error *err)
{
	bool all = command->takes & QB_TAKES_FORMATS;

	for (size_t i = 0; i < QB_ARRAY_SIZE(formats); i++)
		if (!strcmp(text, formats[i].name) && (all || formats[i].takes == COMMON)) {
			*ret = formats[i].format;
			return 0;
		}
	return qb_error_set(err, EINVAL, "--format takes %s",
			    all ? "text, json, junit, tap, nagios, prometheus or html"
				: "text or json");
}

/* Puts one option where it belongs. The names are those of the table. */
static int take(const struct qb_command *command, struct qb_options *opt, const char *name,
		const char *arg, struct qb_error *err)
{
	const struct {
		const char *name;
		bool *flag;
		char **text;
	} plain[] = {
		{"config", &opt->config_given, &opt->config},
		{"root", NULL, &opt->root},
		{"facts", NULL, &opt->facts},
		{"output", NULL, &opt->output},
		{"connect", NULL, &opt->connect},
		{"list", &opt->list, NULL},
		{"yes", &opt->yes, NULL},
		{"allow-partial", &opt->allow_partial, NULL},
		{"all", &opt->all, NULL},
		{"emulate", &opt->emulate, NULL},
		{"quiet", &opt->quiet, NULL},
		{"verbose", &opt->verbose, NULL},
		{"no-color", &opt->no_color, NULL},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(plain); i++) {
		if (strcmp(plain[i].name, name) != 0)
			continue;
		if (plain[i].flag)
			*plain[i].flag = true;
		if (plain[i].text) {
			if (!*arg)
				return qb_error_set(err, EINVAL, "--%s must not be empty", name);
			qb_strset(plain[i].text, arg);
		}
		return 0;
	}
	if (!strcmp(name, "ignore"))
		qb_strs_add(&opt->ignore, arg);
	else if (!strcmp(name, "timeout"))
		return parse_seconds(name, arg, &opt->timeout_ms, err);
	else if (!strcmp(name, "confirm"))
		return parse_seconds(name, arg, &opt->confirm_ms, err);
	else
		return parse_format(command, arg, &opt->format, err);
	return 0;
}

/* The option that getopt_long() stopped at, printable. */
static char *wrong_word(const char *last)
{
	const char letter[] = {'-', (char)optopt, '\0'};

	/* Letters may stand in one word, of which getopt has not seen all. */
	return qb_str_printable(optopt && optopt < LONG_FIRST ? letter : last);
}

/* The table as getopt_long() takes it. */
struct words {
	struct option longs[QB_ARRAY_SIZE(options) + 1];
	char shorts[2 * QB_ARRAY_SIZE(options) + 2];
};

static void begin_words(struct words *ret)
{
	char *s = ret->shorts;

	*ret = (struct words){0};
	*s++ = ':';
	for (size_t i = 0; i < QB_ARRAY_SIZE(options); i++) {
		ret->longs[i] = (struct option){options[i].name,
						options[i].arg ? required_argument : no_argument,
						NULL, LONG_FIRST + (int)i};
		if (options[i].letter)
			s += sprintf(s, "%c%s", options[i].letter, options[i].arg ? ":" : "");
	}
	opterr = 0;
	optind = 0; /* glibc: begin anew */
}

/* What getopt_long() gave, as an index of the table. */
static size_t option_of(int c)
{
	size_t i = c >= LONG_FIRST ? (size_t)(c - LONG_FIRST) : 0;

	while (c < LONG_FIRST && options[i].letter != c)
		i++;
	return i;
}

bool qb_options_name_nagios(int argc, char **argv)
{
	struct words words;
	bool found = false;
	int c;

	begin_words(&words);
	while ((c = getopt_long(argc, argv, words.shorts, words.longs, NULL)) >= 0)
		if (c != '?' && c != ':' && !strcmp(options[option_of(c)].name, "format"))
			found |= !strcmp(optarg, "nagios");
	return found;
}

static int parse_words(const struct qb_command *command, int argc, char **argv,
		       struct qb_invocation *inv, struct qb_error *err)
{
	struct words words;
	int c;

	begin_words(&words);
	while ((c = getopt_long(argc, argv, words.shorts, words.longs, NULL)) >= 0) {
		_cleanup_free_ char *word = wrong_word(argv[optind - 1]);
		size_t i;
		int r;

		if (c == '?')
			return qb_error_set(err, EINVAL,
					    "unknown option %s; see qubi-agent %s --help", word,
					    command->name);
		if (c == ':')
			return qb_error_set(err, EINVAL,
					    "%s needs a value; see qubi-agent %s --help", word,
					    command->name);
		i = option_of(c);
		if (!taken(command, i))
			return qb_error_set(err, EINVAL,
					    "%s does not take --%s; see qubi-agent %s --help",
					    command->name, options[i].name, command->name);
		if (!strcmp(options[i].name, "help")) {
			command_help(command);
			return 1;
		}
		r = take(command, &inv->opt, options[i].name, optarg, err);
		if (r < 0)
			return r;
	}
	inv->args = argv + optind;
	inv->n_args = (size_t)(argc - optind);
	if (inv->n_args && !(command->takes & QB_TAKES_ARGS)) {
		_cleanup_free_ char *word = qb_str_printable(inv->args[0]);

		return qb_error_set(err, EINVAL, "%s takes no \"%s\"; see qubi-agent %s --help",
				    command->name, word, command->name);
	}
	return 0;
}

int qb_options_parse(const struct qb_command *command, int argc, char **argv,
		     struct qb_invocation *inv, struct qb_error *err)
{
	int r;

	inv->opt = (struct qb_options){
		.config = qb_strdup("/etc/qubi-agent/host.yaml"),
		.root = qb_strdup("/"),
		.connect = qb_strdup("qemu:///system"),
		.timeout_ms = TIMEOUT_DEFAULT_S * 1000,
		/* Also where another word is wrong, it is to say so to Nagios. */
		.format = qb_options_name_nagios(argc, argv) ? QB_FORMAT_NAGIOS : QB_FORMAT_TEXT,
	};
	r = parse_words(command, argc, argv, inv, err);
	if (r)
		return r;
	if (inv->opt.quiet && inv->opt.verbose)
		return qb_error_set(err, EINVAL, "--quiet and --verbose contradict each other");
	/* As everywhere: standard output, which is the default. */
	if (qb_streq(inv->opt.output, "-"))
		qb_strset(&inv->opt.output, NULL);
	if (inv->opt.facts && strcmp(inv->opt.root, "/") != 0)
		return qb_error_set(err, EINVAL, "--facts and --root contradict each other");
	qb_log_set_level(inv->opt.quiet     ? QB_LOG_ERROR
			 : inv->opt.verbose ? QB_LOG_DEBUG
					    : QB_LOG_INFO);
	r = qb_root_open(inv->opt.root, &inv->root, err);
	if (r == 0 && inv->root.live)
		qb_mounts_hung(&inv->root, &inv->root.hung);
	return r;
}

int qb_exit_usage(const struct qb_invocation *inv)
{
	_cleanup_buf_ struct qb_buf text = {0};

	if (inv->opt.format != QB_FORMAT_NAGIOS)
		return QB_EXIT_USAGE;
	qb_report_nagios_unknown(qb_log_last_error(), &text);
	/* Where that fails, too, the status has to do. */
	(void)!qb_print_text(&text);
	return QB_NAGIOS_UNKNOWN;
}

void qb_invocation_done(struct qb_invocation *inv)
{
	qb_root_done(&inv->root);
	free(inv->opt.config);
	free(inv->opt.root);
	free(inv->opt.facts);
	free(inv->opt.output);
	free(inv->opt.connect);
	qb_strs_done(&inv->opt.ignore);
}
