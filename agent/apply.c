/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/apply.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/steps.h"

const char *qb_outcome_status_name(enum qb_outcome_status status)
{
	switch (status) {
	case QB_OUTCOME_NOT_RUN:
		return "not-run";
	case QB_OUTCOME_DONE:
		return "done";
	case QB_OUTCOME_SKIPPED:
		return "skipped";
	case QB_OUTCOME_FAILED:
		return "failed";
	case QB_OUTCOME_UNDONE:
		return "undone";
	case QB_OUTCOME_UNDO_FAILED:
		return "undo-failed";
	}
	return NULL;
}

void qb_outcome_done(struct qb_outcome *outcome)
{
	for (size_t i = 0; i < outcome->n_steps; i++)
		free(outcome->steps[i].error);
	free(outcome->steps);
	free(outcome->error);
	*outcome = (struct qb_outcome){0};
}

json_t *qb_outcome_steps_json(const struct qb_outcome *outcome)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < outcome->n_steps; i++) {
		const struct qb_outcome_step *s = &outcome->steps[i];

		json_array_append_new(steps,
				      json_pack("{s:s, s:s, s:s, s:I, s:s?}", "kind", s->kind,
						"target", s->target, "status",
						qb_outcome_status_name(s->status), "duration_us",
						(json_int_t)s->duration_us, "error", s->error));
	}
	return steps;
}

/* SIGINT and SIGTERM are held back during a run and asked for between steps. */
struct signals {
	sigset_t held, before;
	struct sigaction hangup;
};

static void signals_hold(struct signals *s)
{
	sigemptyset(&s->held);
	sigaddset(&s->held, SIGINT);
	sigaddset(&s->held, SIGTERM);
	sigprocmask(SIG_BLOCK, &s->held, &s->before);
	sigaction(SIGHUP, &(struct sigaction){.sa_handler = SIG_IGN}, &s->hangup);
}

static bool signals_came(const struct signals *s)
{
	static const struct timespec now = {0, 0};

	return sigtimedwait(&s->held, NULL, &now) > 0;
}

static void signals_release(struct signals *s)
{
	/* One more of them after the undo is not worth a death without a report. */
	while (signals_came(s))
		;
	sigaction(SIGHUP, &s->hangup, NULL);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
}

static int record(struct qb_journal *journal, const char *event, size_t i, struct qb_error *err)
{
	return qb_journal_write(
		journal, json_pack("{s:s, s:I}", "event", event, "step", (json_int_t)i), err);
}

/* What the guard does in our place. It keeps no journal: undoing once more does nothing. */
struct guarded {
	const struct qb_step_ctx *ctx;
	const struct qb_step_kind *kind;
	const json_t *args, *before;
};

static void undo_in_place(void *data)
{
	const struct guarded *g = data;

	(void)!g->kind->undo(g->ctx, g->args, g->before, NULL);
}

static int guard_step(const struct qb_step_ctx *ctx, const struct qb_step_kind *kind,
		      const json_t *args, const json_t *before, struct qb_guard *ret,
		      struct qb_error *err)
{
	struct guarded guarded = {ctx, kind, args, before};

	return kind->guarded ? qb_guard_begin(undo_in_place, &guarded, ret, err) : 0;
}

/* One step from observe to verify. *before is set once the intent is recorded: from there on the
 * step is to be undone when anything fails, and where it is guarded *guard stands until then. */
static int run_step(const struct qb_step_ctx *ctx, const struct qb_step *step, size_t i,
		    struct qb_journal *journal, json_t **before, struct qb_guard *guard,
		    enum qb_outcome_status *status, struct qb_error *err)
{
	const struct qb_step_kind *kind = qb_step_kind_find(step->kind);
	json_auto_t *seen = NULL;
	enum qb_observed observed;
	int r;

	if (!kind)
		return qb_error_set(err, ENOSYS, "this version knows no step %s", step->kind);
	r = kind->observe(ctx, step->args, &observed, &seen, err);
	if (r < 0)
		return r;
	if (observed == QB_OBSERVED_DONE) {
		*status = QB_OUTCOME_SKIPPED;
		return record(journal, "skipped", i, err);
	}
	if (!seen)
		seen = json_null();
	r = guard_step(ctx, kind, step->args, seen, guard, err);
	if (r < 0)
		return r;
	r = qb_journal_write(journal,
			     json_pack("{s:s, s:I, s:O}", "event", "intent", "step", (json_int_t)i,
				       "before", seen),
			     err);
	if (r < 0) {
		qb_guard_end(guard);
		return r;
	}
	*before = json_incref(seen);
	r = kind->apply(ctx, step->args, seen, err);
	if (r < 0)
		return r;
	r = kind->verify(ctx, step->args, seen, err);
	if (r < 0)
		return qb_error_wrap(err, "done, but not as wanted");
	qb_guard_end(guard);
	r = record(journal, "done", i, err);
	if (r == 0)
		*status = QB_OUTCOME_DONE;
	return r;
}

/* A run that is being executed or undone. */
struct doing {
	const struct qb_step_ctx *ctx;
	struct qb_journal *journal;
	const struct qb_apply_events *events;
	size_t n_steps;
};

static void tell_begin(const struct doing *d, size_t i, const char *target, bool undo)
{
	if (d->events && d->events->begin)
		d->events->begin(d->events->data, i, d->n_steps, target, undo);
}

static void tell_end(const struct doing *d, size_t i, const struct qb_outcome_step *step,
		     const char *error)
{
	if (d->events && d->events->end)
		d->events->end(d->events->data, i, d->n_steps, step, error);
}

static void fail(struct qb_outcome *outcome, size_t i, struct qb_journal *journal,
		 const struct qb_error *err)
{
	outcome->state = QB_RUN_UNDONE;
	outcome->steps[i].status = QB_OUTCOME_FAILED;
	/* A message may end in the middle of a character, and JSON wants whole ones. */
	outcome->steps[i].error = qb_str_printable(err->msg);
	/* The run is being undone already; a full disk cannot make that worse. */
	(void)!qb_journal_write(journal,
				json_pack("{s:s, s:I, s:s}", "event", "failed", "step",
					  (json_int_t)i, "error", outcome->steps[i].error),
				NULL);
}

/* Undoes step i, which may have its guard. Returns whether nothing is left of it. */
static bool undo_step(const struct doing *d, size_t i, const json_t *args, const json_t *before,
		      struct qb_guard *guard, struct qb_outcome_step *out)
{
	const struct qb_step_kind *kind = qb_step_kind_find(out->kind);
	_cleanup_free_ char *first = NULL, *safe = NULL;
	struct qb_error err = QB_ERROR_INIT;
	int r;

	tell_begin(d, i, out->target, true);
	if (!kind) {
		r = qb_error_set(&err, ENOSYS, "this version knows no step %s", out->kind);
	} else if (!kind->undo) {
		r = qb_error_set(&err, EOPNOTSUPP, "%s cannot be undone", out->kind);
	} else {
		/* Where none can be had undoing is still the better way. */
		if (guard->pid < 0)
			(void)!guard_step(d->ctx, kind, args, before, guard, NULL);
		r = kind->undo(d->ctx, args, before, &err);
		qb_guard_end(guard);
	}
	if (r == 0)
		r = record(d->journal, "undone", i, &err);
	out->status = r < 0 ? QB_OUTCOME_UNDO_FAILED : QB_OUTCOME_UNDONE;
	if (r < 0) {
		/* What went wrong first is the more interesting half. */
		first = QB_TAKE_PTR(out->error);
		safe = qb_str_printable(err.msg);
		out->error =
			qb_asprintf("%s%sundo: %s", first ? first : "", first ? "; " : "", safe);
	}
	tell_end(d, i, out, safe);
	return r == 0;
}

static void end_run(struct qb_journal *journal, struct qb_outcome *outcome)
{
	struct qb_error err = QB_ERROR_INIT;

	/* Without an end on disk the run counts as broken off, which the next one mends. */
	if (qb_journal_end(journal, outcome->state, &err) < 0 && !outcome->error)
		outcome->error = qb_str_printable(err.msg);
}

void qb_apply(const struct qb_step_ctx *ctx, const struct qb_plan *plan, struct qb_journal *journal,
	      const struct qb_apply_events *events, struct qb_outcome *ret)
{
	struct doing doing = {ctx, journal, events, plan->n_steps};
	struct qb_guard guard = QB_GUARD_INIT;
	json_t **before = qb_alloc(plan->n_steps, sizeof(*before));
	struct signals signals;

	*ret = (struct qb_outcome){.state = QB_RUN_DONE};
	for (size_t i = 0; i < plan->n_steps; i++)
		*QB_APPEND(ret->steps, ret->n_steps) = (struct qb_outcome_step){
			.kind = plan->steps[i].kind, .target = plan->steps[i].target};
	signals_hold(&signals);
	for (size_t i = 0; i < plan->n_steps && ret->state == QB_RUN_DONE; i++) {
		struct qb_outcome_step *out = &ret->steps[i];
		struct qb_error err = QB_ERROR_INIT;
		uint64_t start = qb_now_us();
		int r;

		tell_begin(&doing, i, out->target, false);
		r = signals_came(&signals)
			    ? qb_error_set(&err, EINTR, "stopped by a signal before this step")
			    : run_step(ctx, &plan->steps[i], i, journal, &before[i], &guard,
				       &out->status, &err);
		out->duration_us = qb_now_us() - start;
		if (r < 0)
			fail(ret, i, journal, &err);
		tell_end(&doing, i, out, out->error);
	}
	for (size_t i = plan->n_steps; ret->state != QB_RUN_DONE && i-- > 0;)
		if (before[i] &&
		    !undo_step(&doing, i, plan->steps[i].args, before[i], &guard, &ret->steps[i]))
			ret->state = QB_RUN_STUCK;
	end_run(journal, ret);
	signals_release(&signals);
	for (size_t i = 0; i < plan->n_steps; i++)
		json_decref(before[i]);
	free(before);
}

static void rollback_run(const struct qb_step_ctx *ctx, const struct qb_run *run,
			 const struct qb_apply_events *events, struct qb_outcome *outcome)
{
	_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
	struct doing doing = {ctx, &journal, events, run->n_steps};
	struct qb_guard guard = QB_GUARD_INIT;
	struct qb_error err = QB_ERROR_INIT;

	if (qb_journal_reopen(ctx->root, run->id, &journal, &err) < 0) {
		free(outcome->error);
		outcome->error = qb_str_printable(err.msg);
		outcome->state = QB_RUN_STUCK;
		return;
	}
	for (size_t i = run->n_steps; i-- > 0;) {
		const struct qb_run_step *step = &run->steps[i];
		uint64_t start = qb_now_us();
		struct qb_outcome_step *out;

		if (!qb_run_step_stands(step))
			continue;
		out = QB_APPEND(outcome->steps, outcome->n_steps);
		out->kind = step->kind;
		out->target = step->target;
		if (!undo_step(&doing, i, step->args, step->before, &guard, out))
			outcome->state = QB_RUN_STUCK;
		out->duration_us = qb_now_us() - start;
	}
	end_run(&journal, outcome);
}

void qb_rollback(const struct qb_step_ctx *ctx, const struct qb_runs *runs,
		 const struct qb_apply_events *events, struct qb_outcome *outcome)
{
	struct signals signals;

	signals_hold(&signals);
	for (size_t i = runs->n; i-- > 0 && outcome->state == QB_RUN_UNDONE;)
		if (runs->v[i].state != QB_RUN_UNDONE)
			rollback_run(ctx, &runs->v[i], events, outcome);
	signals_release(&signals);
}
