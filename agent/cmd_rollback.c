/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"
#include "agent/prepare.h"

/* Something of it is still to be undone. */
static bool undoable(const struct qb_run *run)
{
	return run->state != QB_RUN_UNDONE;
}

/*
 * The runs to undo: the latest, and before it those it completed, since together they are one
 * change to the one who called apply. *ret_first is the oldest of them; false: there is none.
 */
static bool choose(const struct qb_runs *runs, size_t *ret_first, size_t *ret_last)
{
	size_t last = runs->n;

	while (last > 0 && !undoable(&runs->v[last - 1]))
		last--;
	if (!last)
		return false;
	*ret_last = --last;
	while (last > 0 && runs->v[last - 1].state != QB_RUN_DONE &&
	       runs->v[last - 1].state != QB_RUN_STUCK)
		last--;
	*ret_first = last;
	return true;
}

static void show(const struct qb_invocation *inv, const struct qb_runs *runs, size_t first,
		 size_t last)
{
	if (inv->opt.quiet || inv->opt.format != QB_FORMAT_TEXT)
		return;
	puts("To be undone, in this order:");
	for (size_t i = last + 1; i-- > first;) {
		const struct qb_run *run = &runs->v[i];

		for (size_t j = run->n_steps; j-- > 0;) {
			_cleanup_free_ char *target = qb_str_printable(run->steps[j].target);

			if (run->steps[j].state == QB_STEP_INTENT ||
			    run->steps[j].state == QB_STEP_DONE)
				printf("  %s [%s]\n", target, run->steps[j].kind);
		}
	}
}

static json_t *steps_json(const struct qb_run *run, const struct qb_outcome *outcome, json_t *into)
{
	for (size_t i = outcome->n_steps; i-- > 0;) {
		const struct qb_outcome_step *s = &outcome->steps[i];

		if (s->status != QB_OUTCOME_NOT_RUN)
			json_array_append_new(
				into,
				json_pack("{s:s, s:s, s:s, s:I, s:s?}", "kind", run->steps[i].kind,
					  "target", run->steps[i].target, "status",
					  qb_outcome_status_name(s->status), "duration_us",
					  (json_int_t)s->duration_us, "error", s->error));
	}
	return into;
}

static int undo_runs(struct qb_invocation *inv, const struct qb_runs *runs, size_t first,
		     size_t last)
{
	struct qb_apply_events events = {qb_progress_begin, qb_progress_end, inv};
	_cleanup_facts_ struct qb_facts facts = {0};
	json_auto_t *steps = json_array();
	struct qb_step_ctx ctx;
	bool failed = false;

	if (qb_invocation_facts(inv, NULL, &facts) < 0)
		return QB_EXIT_FAILED;
	ctx = qb_step_context(inv, &facts);
	for (size_t i = last + 1; i-- > first && !failed;) {
		_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
		_cleanup_outcome_ struct qb_outcome outcome = {0};
		struct qb_error err = QB_ERROR_INIT;

		if (!undoable(&runs->v[i]))
			continue;
		if (qb_journal_reopen(&inv->root, runs->v[i].id, &journal, &err) < 0) {
			qb_log(QB_LOG_ERROR, "%s", err.msg);
			return QB_EXIT_FAILED;
		}
		qb_rollback(&ctx, &runs->v[i], &journal, &events, &outcome);
		failed = outcome.failed;
		steps_json(&runs->v[i], &outcome, steps);
	}
	if (inv->opt.format == QB_FORMAT_JSON) {
		if (qb_print_json(json_pack("{s:s, s:s, s:O}", "schema", "qubi-agent/apply/1",
					    "result", failed ? "undo-failed" : "undone", "steps",
					    steps)) < 0)
			return QB_EXIT_FAILED;
	} else if (!failed) {
		puts("Undone.");
	}
	return failed ? QB_EXIT_UNDO_FAILED : QB_EXIT_OK;
}

static int run(struct qb_invocation *inv)
{
	_cleanup_runs_ struct qb_runs runs = {0};
	struct qb_error err = QB_ERROR_INIT;
	_cleanup_close_ int lock = -1;
	size_t first, last;
	int r = qb_enter_run(inv, &lock);

	if (r != QB_EXIT_OK)
		return r;
	if (qb_journal_read(&inv->root, &runs, &err) < 0) {
		qb_log(QB_LOG_ERROR, "%s", err.msg);
		return QB_EXIT_FAILED;
	}
	if (!choose(&runs, &first, &last)) {
		qb_log(QB_LOG_INFO, "nothing to undo: the journal knows no run");
		return QB_EXIT_OK;
	}
	show(inv, &runs, first, last);
	r = qb_consent(inv, "Undo this?");
	return r != QB_EXIT_OK ? r : undo_runs(inv, &runs, first, last);
}

const struct qb_command qb_cmd_rollback = {
	.name = "rollback",
	.summary = "undo an interrupted or unwanted run from its journal",
	.help = "Undoes the latest run, and with it those it completed, step by step from the\n"
		"journal, last first. What cannot be undone without loss is left and said.",
	.takes = QB_TAKES_CONSENT,
	.run = run,
};
