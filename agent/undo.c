/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/running.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/steps.h"

/* Those in a row that are executed together concern nothing of each other's: one look will do. */
static int undo(struct qb_running *run, const struct qb_running_step *step, struct qb_error *err)
{
	struct qb_step_ctx ctx = *run->ctx;
	bool together = qb_running_is_together(step);

	if (!together)
		qb_running_look_anew(run);
	ctx.shared = together ? &run->shared : NULL;
	return step->kind->undo(&ctx, step->args, step->before, err);
}

bool qb_running_undo(struct qb_running *run, size_t i, struct qb_outcome_step *out)
{
	struct qb_running_step *step = &run->steps[i];
	_cleanup_free_ char *first = NULL, *safe = NULL;
	struct qb_error err = QB_ERROR_INIT;
	int r;

	qb_running_tell_begin(run, i, out->target, true);
	if (!step->kind) {
		r = qb_error_set(&err, ENOSYS, "this version knows no step %s", out->kind);
	} else if (!step->kind->undo) {
		r = qb_error_set(&err, EOPNOTSUPP, "%s cannot be undone", out->kind);
	} else {
		/* Where no guard can be had undoing is still the better way; nor does a journal
		 * that cannot be written keep it from being tried. */
		if (qb_running_is_guarded(step))
			(void)!qb_running_guard(run, i, qb_running_limit_ms(run), NULL);
		else if (!step->kind->guarded)
			(void)!qb_running_record(run, "undoing", i, NULL);
		r = undo(run, step, &err);
		if (r < 0 && !step->kind->guarded)
			(void)!qb_running_record(run, "kept", i, NULL);
	}
	if (r == 0) {
		json_decref(QB_TAKE_PTR(step->before));
		r = qb_running_record(run, "undone", i, &err);
	}
	out->status = r < 0 ? QB_OUTCOME_UNDO_FAILED : QB_OUTCOME_UNDONE;
	if (r < 0) {
		/* What went wrong first is the more interesting half. */
		first = QB_TAKE_PTR(out->error);
		safe = qb_str_printable(err.msg);
		out->error =
			qb_asprintf("%s%sundo: %s", first ? first : "", first ? "; " : "", safe);
	}
	qb_running_tell_end(run, i, out, safe);
	return r == 0;
}

static struct qb_outcome_step *add_outcome(struct qb_outcome *outcome, const struct qb_run_step *of)
{
	struct qb_outcome_step *out = QB_APPEND(outcome->steps, outcome->n_steps);

	out->kind = of->kind;
	out->target = of->target;
	return out;
}

static void leave(struct qb_running *run, size_t i, struct qb_outcome_step *out, const char *why)
{
	out->status = QB_OUTCOME_UNDO_FAILED;
	out->error = qb_str_printable(why);
	qb_running_tell_begin(run, i, out->target, true);
	qb_running_tell_end(run, i, out, out->error);
}

/* Whether all of it can be undone, as far as can be told before. */
static bool may_undo(struct qb_running *run, const struct qb_run *from, struct qb_outcome *outcome)
{
	bool may = true;

	for (size_t i = from->n_steps; i-- > 0;) {
		const struct qb_running_step *step = &run->steps[i];
		struct qb_error err = QB_ERROR_INIT;

		if (!step->before || !step->kind || !step->kind->may_undo ||
		    step->kind->may_undo(run->ctx, step->args, step->before, &err) == 0)
			continue;
		may = false;
		leave(run, i, add_outcome(outcome, &from->steps[i]), err.msg);
	}
	return may;
}

static void rollback_run(const struct qb_step_ctx *ctx, const struct qb_run *run,
			 const struct qb_apply_events *events, struct qb_outcome *outcome)
{
	_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
	_cleanup_running_ struct qb_running r = {
		.ctx = ctx, .journal = &journal, .events = events, .guard = QB_GUARD_INIT};
	_cleanup_strs_ struct qb_strs stuck = {0};
	struct qb_error err = QB_ERROR_INIT;

	if (qb_journal_reopen(ctx->root, run->id, &journal, &err) < 0) {
		free(outcome->error);
		outcome->error = qb_str_printable(err.msg);
		outcome->state = QB_RUN_STUCK;
		return;
	}
	r.steps = qb_alloc(run->n_steps, sizeof(*r.steps));
	r.n_steps = run->n_steps;
	for (size_t i = 0; i < run->n_steps; i++) {
		const struct qb_run_step *step = &run->steps[i];

		r.steps[i] =
			(struct qb_running_step){qb_step_kind_find(step->kind), step->args, NULL};
		if (qb_run_step_stands(step))
			r.steps[i].before = json_incref(step->before);
	}
	if (!may_undo(&r, run, outcome)) {
		outcome->state = QB_RUN_STUCK;
		qb_running_end(&r, outcome);
		return;
	}
	for (size_t i = run->n_steps; i-- > 0;) {
		uint64_t start = qb_now_us();
		struct qb_outcome_step *out;

		if (!qb_run_step_stands(&run->steps[i]))
			continue;
		out = add_outcome(outcome, &run->steps[i]);
		/* What a later step left in place rests on it. */
		if (qb_strs_has(&stuck, run->steps[i].target)) {
			leave(&r, i, out, "left as it is: what was done to it later is not undone");
			continue;
		}
		if (!qb_running_undo(&r, i, out)) {
			outcome->state = QB_RUN_STUCK;
			qb_strs_add(&stuck, run->steps[i].target);
		}
		out->duration_us = qb_now_us() - start;
	}
	qb_running_end(&r, outcome);
}

void qb_rollback(const struct qb_step_ctx *ctx, const struct qb_runs *runs,
		 const struct qb_apply_events *events, struct qb_outcome *outcome)
{
	struct qb_signals signals;

	qb_signals_hold(&signals);
	for (size_t i = runs->n; i-- > 0 && outcome->state == QB_RUN_UNDONE;)
		if (runs->v[i].state != QB_RUN_UNDONE)
			rollback_run(ctx, &runs->v[i], events, outcome);
	qb_signals_release(&signals);
}
