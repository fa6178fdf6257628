/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/command.h"
#include "agent/output.h"
#include "checks/check.h"

static int deliver(const struct qb_invocation *inv, const struct qb_buf *text)
{
	struct qb_error err = QB_ERROR_INIT;
	int r;

	if (!inv->opt.output)
		return qb_print_text(text);
	r = qb_output_replace(inv->opt.output, text, &err);
	if (r < 0)
		qb_log(QB_LOG_ERROR, "cannot write the report: %s", err.msg);
	return r;
}

static int deliver_json(const struct qb_invocation *inv, json_t *document)
{
	_cleanup_buf_ struct qb_buf text = {0};
	char *dump = json_dumps(document, JSON_INDENT(2));

	qb_buf_printf(&text, "%s\n", dump);
	free(dump);
	json_decref(document);
	return deliver(inv, &text);
}

static int list(const struct qb_invocation *inv)
{
	_cleanup_buf_ struct qb_buf text = {0};
	int r;

	if (inv->n_args) {
		qb_log(QB_LOG_ERROR, "check: --list takes no names");
		return qb_exit_usage(inv);
	}
	if (inv->opt.format != QB_FORMAT_JSON && inv->opt.format != QB_FORMAT_TEXT) {
		qb_log(QB_LOG_ERROR, "check: --list is printed as text or json");
		return qb_exit_usage(inv);
	}
	if (inv->opt.format == QB_FORMAT_JSON) {
		r = deliver_json(inv, qb_check_list_json());
	} else {
		qb_check_list_text(&text);
		r = deliver(inv, &text);
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

static int print_plain(const struct qb_invocation *inv, const struct qb_report *report)
{
	const struct qb_text_style style = {
		.colour = !inv->opt.output && qb_invocation_colour(inv),
		.all = inv->n_args > 0,
		.verbose = inv->opt.verbose,
		.quiet = inv->opt.quiet,
		.width = qb_terminal_width(),
	};
	_cleanup_buf_ struct qb_buf text = {0};

	qb_report_text(report, &style, &text);
	return deliver(inv, &text);
}

static int print(const struct qb_invocation *inv, const struct qb_report *report,
		 const struct qb_report_about *about)
{
	static qb_report_format *const formats[] = {
		[QB_FORMAT_JUNIT] = qb_report_junit,
		[QB_FORMAT_TAP] = qb_report_tap,
		[QB_FORMAT_NAGIOS] = qb_report_nagios,
		[QB_FORMAT_PROMETHEUS] = qb_report_prometheus,
		[QB_FORMAT_HTML] = qb_report_html,
	};
	_cleanup_buf_ struct qb_buf text = {0};

	if (inv->opt.format == QB_FORMAT_TEXT)
		return print_plain(inv, report);
	if (inv->opt.format == QB_FORMAT_JSON)
		return deliver_json(inv, qb_report_to_json(report));
	formats[inv->opt.format](report, about, &text);
	return deliver(inv, &text);
}

static int exit_status(const struct qb_invocation *inv, enum qb_verdict verdict)
{
	bool nagios = inv->opt.format == QB_FORMAT_NAGIOS;

	switch (verdict) {
	case QB_READY:
		return nagios ? (int)QB_NAGIOS_OK : (int)QB_EXIT_OK;
	case QB_DEGRADED:
		return nagios ? (int)QB_NAGIOS_WARNING : (int)QB_EXIT_OK;
	case QB_NOT_READY:
		return nagios ? (int)QB_NAGIOS_CRITICAL : (int)QB_EXIT_FAILED;
	case QB_VERDICT_UNKNOWN:
		return nagios ? (int)QB_NAGIOS_UNKNOWN : (int)QB_EXIT_FAILED;
	}
	return QB_EXIT_FAILED;
}

static int run(struct qb_invocation *inv)
{
	_cleanup_strs_ struct qb_strs select = {0}, ignore = {0}, reads = {0};
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_report_ struct qb_report report = {0};
	struct qb_error err = QB_ERROR_INIT;
	struct qb_check_input in = {.facts = &facts};
	struct qb_report_about about = {.facts = &facts, .time_s = time(NULL)};
	uint64_t start = qb_now_us();
	unsigned without;
	int r;

	if (inv->opt.list)
		return list(inv);
	r = qb_invocation_config_if_any(inv, &config, &in.config_unknown);
	if (r < 0)
		return qb_exit_usage(inv);
	in.config = r == 0 ? &config : NULL;
	take_words(inv, in.config, &select, &ignore);
	/* A wrong name is told before anything is probed. */
	r = qb_check_names(&select, &ignore, &err);
	if (r < 0) {
		qb_log(QB_LOG_ERROR, "check: %s", err.msg);
		return qb_exit_usage(inv);
	}
	qb_check_reads(&select, &reads);
	/* The picture shows all, but why disks are not available: that is asked by opening idle
	 * ones exclusively, and of LVM once more. */
	without = inv->opt.format == QB_FORMAT_HTML ? (unsigned)QB_FACTS_REASONS
						    : qb_check_without(&select);
	if (qb_invocation_facts(inv, in.config, &reads, without, &facts) < 0)
		return qb_exit_usage(inv);
	r = qb_judge(&in, &select, &ignore, &report, &err);
	if (r < 0) {
		qb_log(QB_LOG_ERROR, "check: %s", err.msg);
		return qb_exit_usage(inv);
	}
	about.duration_us = qb_now_us() - start;
	if (print(inv, &report, &about) < 0)
		return inv->opt.format == QB_FORMAT_NAGIOS ? qb_exit_usage(inv) : QB_EXIT_FAILED;
	return exit_status(inv, report.verdict);
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
		"Exit status: 0 ready or degraded, 1 not-ready or unknown, 2 usage error; with\n"
		"--format nagios 0 ready, 1 degraded, 2 not-ready, 3 unknown or usage error.",
	.takes = QB_TAKES_ROOT | QB_TAKES_FACTS | QB_TAKES_LIST | QB_TAKES_IGNORE | QB_TAKES_ARGS |
		 QB_TAKES_FORMATS,
	.run = run,
};
