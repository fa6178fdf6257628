/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"
#include "agent/command.h"
#include "checks/check.h"

static int list(const struct qb_invocation *inv)
{
	_cleanup_buf_ struct qb_buf text = {0};
	int r;

	if (inv->n_args) {
		qb_log(QB_LOG_ERROR, "check: --list takes no names");
		return QB_EXIT_USAGE;
	}
	if (inv->opt.format == QB_FORMAT_JSON) {
		r = qb_print_json(qb_check_list_json());
	} else {
		qb_check_list_text(&text);
		r = qb_print_text(&text);
	}
	return r < 0 ? QB_EXIT_FAILED : QB_EXIT_OK;
}

static void take_words(const struct qb_invocation *inv, const struct qb_config *config,
		       struct qb_strs *ret_select, struct qb_strs *ret_ignore)
{
	for (size_t i = 0; i < inv->n_args; i++)
		qb_strs_add(ret_select, inv->args[i]);
	for (size_t i = 0; i < inv->opt.ignore.n; i++)
		qb_strs_add(ret_ignore, inv->opt.ignore.v[i]);
	for (size_t i = 0; config && i < config->checks.ignore.n; i++)
		qb_strs_add(ret_ignore, config->checks.ignore.v[i]);
}

static int print(const struct qb_invocation *inv, const struct qb_report *report)
{
	const struct qb_text_style style = {
		.colour = qb_invocation_colour(inv),
		.all = inv->n_args > 0,
		.verbose = inv->opt.verbose,
		.quiet = inv->opt.quiet,
		.width = qb_terminal_width(),
	};
	_cleanup_buf_ struct qb_buf text = {0};

	if (inv->opt.format == QB_FORMAT_JSON)
		return qb_print_json(qb_report_to_json(report));
	qb_report_text(report, &style, &text);
	return qb_print_text(&text);
}

static int run(struct qb_invocation *inv)
{
	_cleanup_strs_ struct qb_strs select = {0}, ignore = {0}, reads = {0};
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_report_ struct qb_report report = {0};
	struct qb_error err = QB_ERROR_INIT;
	struct qb_check_input in = {.facts = &facts};
	int r;

	if (inv->opt.list)
		return list(inv);
	r = qb_invocation_config_if_any(inv, &config, &in.config_unknown);
	if (r < 0)
		return QB_EXIT_USAGE;
	in.config = r == 0 ? &config : NULL;
	take_words(inv, in.config, &select, &ignore);
	/* A wrong name is told before anything is probed. */
	r = qb_check_names(&select, &ignore, &err);
	if (r < 0) {
		qb_log(QB_LOG_ERROR, "check: %s", err.msg);
		return QB_EXIT_USAGE;
	}
	qb_check_reads(&select, &reads);
	if (qb_invocation_facts(inv, in.config, &reads, &facts) < 0)
		return QB_EXIT_USAGE;
	r = qb_judge(&in, &select, &ignore, &report, &err);
	if (r < 0) {
		qb_log(QB_LOG_ERROR, "check: %s", err.msg);
		return QB_EXIT_USAGE;
	}
	if (print(inv, &report) < 0)
		return QB_EXIT_FAILED;
	return report.verdict == QB_READY || report.verdict == QB_DEGRADED ? QB_EXIT_OK
									   : QB_EXIT_FAILED;
}

const struct qb_command qb_cmd_check = {
	.name = "check",
	.args = "[ID|GROUP...]",
	.summary = "judge this host and say what is amiss, and how to mend it",
	.help = "Judges what was found and reports; changes nothing and loads nothing. Without\n"
		"names all checks are made, and what needs attention is shown. Every line of a\n"
		"remedy can be pasted into a root shell.\n\n"
		"The verdict is ready, degraded (something recommended is amiss), not-ready\n"
		"(something required is) or unknown (something required could not be judged).\n"
		"Exit status: 0 ready or degraded, 1 not-ready or unknown, 2 usage error.",
	.takes = QB_TAKES_ROOT | QB_TAKES_FACTS | QB_TAKES_LIST | QB_TAKES_IGNORE | QB_TAKES_ARGS,
	.run = run,
};
