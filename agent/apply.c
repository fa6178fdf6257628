/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/apply.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "agent/base/clock.h"
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
	*outcome = (struct qb_outcome){0};
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

static int record_end(struct qb_journal *journal, enum qb_run_state state, struct qb_error *err)
{
	const char *result = state == QB_RUN_DONE     ? "done"
			     : state == QB_RUN_UNDONE ? "undone"
						      : "stuck";

	return qb_journal_write(journal, json_pack("{s:s, s:s}", "event", "end", "result", result),
				err);
}

/* One step from observe to verify. *before is set once the intent is recorded: from there on the
 * step is to be undone when anything fails. */
static int run_step(const struct qb_step_ctx *ctx, const struct qb_step *step, size_t i,
		    struct qb_journal *journal, json_t **before, enum qb_outcome_status *status,
		    struct qb_error *err)
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
	r = qb_journal_write(journal,
			     json_pack("{s:s, s:I, s:O}", "event", "intent", "step", (json_int_t)i,
				       "before", seen),
			     err);
	if (r < 0)
		return r;
	*before = json_incref(seen);
	r = kind->apply(ctx, step->args, seen, err);
	if (r < 0)
		return r;
	r = kind->verify(ctx, step->args, seen, err);
	if (r < 0)
		return qb_error_wrap(err, "done, but not as wanted");
	r = record(journal, "done", i, err);
	if (r == 0)
		*status = QB_OUTCOME_DONE;
	return r;
}

/* Undoes one step; true when nothing is left of it. */
static bool undo_step(const struct qb_step_ctx *ctx, const char *kind_name, const json_t *args,
		      const json_t *before, size_t i, struct qb_journal *journal,
		      struct qb_outcome_step *out)
{
	const struct qb_step_kind *kind = qb_step_kind_find(kind_name);
	struct qb_error err = QB_ERROR_INIT;
	int r;

	if (!kind)
		r = qb_error_set(&err, ENOSYS, "this version knows no step %s", kind_name);
	else if (!kind->undo)
		r = qb_error_set(&err, EOPNOTSUPP, "%s cannot be undone", kind_name);
	else
		r = kind->undo(ctx, args, before, &err);
	if (r == 0)
		r = record(journal, "undone", i, &err);
	out->status = r < 0 ? QB_OUTCOME_UNDO_FAILED : QB_OUTCOME_UNDONE;
	if (r < 0) {
		/* What went wrong first is the more interesting half. */
		char *both = out->error ? qb_asprintf("%s; undo: %s", out->error, err.msg)
					: qb_asprintf("undo: %s", err.msg);

		free(out->error);
		out->error = both;
	}
	return r == 0;
}

static void tell_begin(const struct qb_apply_events *e, size_t i, size_t n, const char *target,
		       bool undo)
{
	if (e && e->begin)
		e->begin(e->data, i, n, target, undo);
}

static void tell_end(const struct qb_apply_events *e, size_t i, size_t n, const char *target,
		     const struct qb_outcome_step *step)
{
	if (e && e->end)
		e->end(e->data, i, n, target, step);
}

static void fail(struct qb_outcome *outcome, size_t i, struct qb_journal *journal,
		 const struct qb_error *err)
{
	outcome->failed = true;
	outcome->steps[i].status = QB_OUTCOME_FAILED;
	/* A message may end in the middle of a character, and JSON wants whole ones. */
	outcome->steps[i].error = qb_str_printable(err->msg);
	/* The run is being undone already; a full disk cannot make that worse. */
	(void)!qb_journal_write(journal,
				json_pack("{s:s, s:I, s:s}", "event", "failed", "step",
					  (json_int_t)i, "error", outcome->steps[i].error),
				NULL);
}

void qb_apply(const struct qb_step_ctx *ctx, const struct qb_plan *plan, struct qb_journal *journal,
	      const struct qb_apply_events *events, struct qb_outcome *ret)
{
	json_t **before = qb_alloc(plan->n_steps, sizeof(*before));
	struct qb_error err = QB_ERROR_INIT;
	size_t n = plan->n_steps;
	struct signals signals;

	*ret = (struct qb_outcome){
		.steps = qb_alloc(n, sizeof(*ret->steps)), .n_steps = n, .state = QB_RUN_DONE};
	signals_hold(&signals);
	for (size_t i = 0; i < n && !ret->failed; i++) {
		const struct qb_step *step = &plan->steps[i];
		uint64_t start = qb_now_us();
		int r;

		tell_begin(events, i, n, step->target, false);
		r = signals_came(&signals)
			    ? qb_error_set(&err, EINTR, "stopped by a signal before this step")
			    : run_step(ctx, step, i, journal, &before[i], &ret->steps[i].status,
				       &err);
		ret->steps[i].duration_us = qb_now_us() - start;
		if (r < 0)
			fail(ret, i, journal, &err);
		tell_end(events, i, n, step->target, &ret->steps[i]);
	}
	if (ret->failed)
		ret->state = QB_RUN_UNDONE;
	for (size_t i = n; ret->failed && i-- > 0;) {
		const struct qb_step *step = &plan->steps[i];

		if (!before[i])
			continue;
		tell_begin(events, i, n, step->target, true);
		if (!undo_step(ctx, step->kind, step->args, before[i], i, journal, &ret->steps[i]))
			ret->state = QB_RUN_STUCK;
		tell_end(events, i, n, step->target, &ret->steps[i]);
	}
	/* Without an end on disk the run counts as broken off, which the next one mends. */
	if (record_end(journal, ret->state, &err) < 0)
		ret->failed = true;
	signals_release(&signals);
	for (size_t i = 0; i < n; i++)
		json_decref(before[i]);
	free(before);
}

void qb_rollback(const struct qb_step_ctx *ctx, const struct qb_run *run,
		 struct qb_journal *journal, const struct qb_apply_events *events,
		 struct qb_outcome *ret)
{
	size_t n = run->n_steps;
	struct signals signals;

	*ret = (struct qb_outcome){
		.steps = qb_alloc(n, sizeof(*ret->steps)), .n_steps = n, .state = QB_RUN_UNDONE};
	signals_hold(&signals);
	for (size_t i = n; i-- > 0;) {
		const struct qb_run_step *step = &run->steps[i];
		uint64_t start = qb_now_us();

		if (step->state != QB_STEP_INTENT && step->state != QB_STEP_DONE)
			continue;
		tell_begin(events, i, n, step->target, true);
		if (!undo_step(ctx, step->kind, step->args, step->before, i, journal,
			       &ret->steps[i]))
			ret->state = QB_RUN_STUCK;
		ret->steps[i].duration_us = qb_now_us() - start;
		tell_end(events, i, n, step->target, &ret->steps[i]);
	}
	ret->failed = record_end(journal, ret->state, NULL) < 0 || ret->state == QB_RUN_STUCK;
	signals_release(&signals);
}
