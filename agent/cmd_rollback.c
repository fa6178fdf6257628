/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"
#include "agent/prepare.h"

static void list(const struct qb_runs *change, struct qb_buf *out)
{
	qb_buf_puts(out, "To be undone, in this order:\n");
	for (size_t i = change->n; i-- > 0;) {
		const struct qb_run *run = &change->v[i];

		for (size_t j = run->n_steps; j-- > 0;) {
			_cleanup_free_ char *target = qb_str_printable(run->steps[j].target);

			if (qb_run_step_stands(&run->steps[j]))
				qb_buf_printf(out, "  %s [%s]\n", target, run->steps[j].kind);
		}
	}
	qb_buf_puts(out, "\n");
}

static int undo(struct qb_invocation *inv, const struct qb_runs *change)
{
	struct qb_apply_events events = {
		.begin = qb_progress_begin, .end = qb_progress_end, .data = inv};
	_cleanup_outcome_ struct qb_outcome outcome = {.state = QB_RUN_UNDONE};
	_cleanup_facts_ struct qb_facts facts = {0};
	const char *result = "undone", *text = "Undone.";
	int r = QB_EXIT_OK;
	struct qb_step_ctx ctx;

	if (qb_invocation_facts(inv, NULL, NULL, 0, &facts) < 0)
		return QB_EXIT_FAILED;
	ctx = qb_step_context(inv, &facts);
	qb_rollback(&ctx, change, &events, &outcome);
	if (outcome.error)
		qb_log(QB_LOG_ERROR, "%s", outcome.error);
	if (outcome.state == QB_RUN_STUCK) {
		result = "undo-failed";
		text = "Not everything could be undone: look at the host.";
		r = QB_EXIT_UNDO_FAILED;
	} else if (outcome.error) {
		result = "failed";
		text = "Undone, but the journal could not be closed: run qubi-agent rollback "
		       "again.";
		r = QB_EXIT_FAILED;
	}
	if (inv->opt.format != QB_FORMAT_JSON)
		puts(text);
	else if (qb_print_json(json_pack("{s:s, s:s, s:o}", "schema", "qubi-agent/apply/1",
					 "result", result, "steps",
					 qb_outcome_steps_json(&outcome))) < 0)
		return QB_EXIT_FAILED;
	return r;
}

static int run(struct qb_invocation *inv)
{
	_cleanup_runs_ struct qb_runs runs = {0};
	_cleanup_buf_ struct qb_buf text = {0};
	struct qb_error err = QB_ERROR_INIT;
	_cleanup_close_ int lock = -1;
	struct qb_runs change;
	int r = qb_enter_run(inv, &lock);

	if (r != QB_EXIT_OK)
		return r;
	if (qb_journal_read(&inv->root, &runs, &err) < 0) {
		qb_log(QB_LOG_ERROR, "%s", err.msg);
		return QB_EXIT_FAILED;
	}
	change = qb_runs_change(&runs);
	if (change.n && inv->opt.all)
		change = runs;
	if (!change.n) {
		qb_log(QB_LOG_INFO, "nothing to undo: the journal knows no run");
		return QB_EXIT_OK;
	}
	list(&change, &text);
	qb_show(inv, &text);
	r = qb_consent(inv, &text, "Undo this?");
	return r != QB_EXIT_OK ? r : undo(inv, &change);
}

const struct qb_command qb_cmd_rollback = {
	.name = "rollback",
	.summary = "undo an interrupted or unwanted run from its journal",
	.help = "Undoes the latest run, and with it those it completed, step by step from the\n"
		"journal, last first; with --all every run, back to the state before the first\n"
		"apply. What cannot be undone without loss is left and said.",
	.takes = QB_TAKES_CONSENT | QB_TAKES_ALL,
	.run = run,
};
