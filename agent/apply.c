/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/apply.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/running.h"
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

/*
 * One step from observe to verify. Once its intent is recorded, and so its before is set, it is to
 * be undone when anything fails; where it is guarded somebody stands by from just before that.
 */
static int run_step(struct qb_running *run, size_t i, enum qb_outcome_status *status,
		    struct qb_error *err)
{
	struct qb_running_step *step = &run->steps[i];
	const struct qb_step_kind *kind = step->kind;
	json_auto_t *seen = NULL;
	enum qb_observed observed;
	int r;

	r = kind->observe(run->ctx, step->args, &observed, &seen, err);
	if (r < 0)
		return r;
	if (observed == QB_OBSERVED_DONE) {
		*status = QB_OUTCOME_SKIPPED;
		return qb_running_record(run, "skipped", i, err);
	}
	step->before = seen ? QB_TAKE_PTR(seen) : json_null();
	r = kind->guarded ? qb_running_guard(run, i, qb_running_limit_ms(run), err) : 0;
	if (r == 0)
		r = qb_journal_write(run->journal,
				     json_pack("{s:s, s:I, s:O}", "event", "intent", "step",
					       (json_int_t)i, "before", step->before),
				     err);
	if (r < 0) {
		json_decref(QB_TAKE_PTR(step->before));
		return r;
	}
	r = kind->apply(run->ctx, step->args, step->before, err);
	if (r < 0)
		return r;
	r = kind->verify(run->ctx, step->args, step->before, err);
	if (r < 0)
		return qb_error_wrap(err, "done, but not as wanted");
	r = qb_running_record(run, "done", i, err);
	if (r == 0)
		*status = QB_OUTCOME_DONE;
	return r;
}

/* The last step that could cut the host off, of those that are done; n_steps: there is none. */
static size_t last_guarded(const struct qb_running *run, size_t n)
{
	while (n-- > 0)
		if (run->steps[n].before && run->steps[n].kind->guarded)
			return n;
	return run->n_steps;
}

/* Whether step i is where somebody has to say that the host can still be reached. */
static bool is_to_confirm(const struct qb_running *run, size_t i)
{
	if (!run->events || !run->events->confirm || last_guarded(run, i + 1) == run->n_steps)
		return false;
	for (size_t later = i + 1; later < run->n_steps; later++)
		if (run->steps[later].kind && run->steps[later].kind->guarded)
			return false;
	return run->steps[i].kind->guarded;
}

/* Asks, or lets the guard go where nobody is to be asked. */
static int confirm(struct qb_running *run, size_t i, struct qb_error *err)
{
	int r = 0;

	if (is_to_confirm(run, i)) {
		r = qb_running_guard(run, i, run->events->confirm_ms + qb_running_limit_ms(run),
				     err);
		if (r == 0)
			r = run->events->confirm(run->events->data, err);
	} else if (run->events && run->events->confirm) {
		return 0;
	}
	if (r == 0) {
		qb_guard_end(&run->guard);
		run->n_kept = i + 1;
	}
	return r;
}

static void fail(struct qb_running *run, size_t i, struct qb_outcome *outcome,
		 const struct qb_error *err)
{
	outcome->state = QB_RUN_UNDONE;
	outcome->steps[i].status = QB_OUTCOME_FAILED;
	/* A message may end in the middle of a character, and JSON wants whole ones. */
	outcome->steps[i].error = qb_str_printable(err->msg);
	/* The run is being undone already; a full disk cannot make that worse. */
	(void)!qb_journal_write(run->journal,
				json_pack("{s:s, s:I, s:s}", "event", "failed", "step",
					  (json_int_t)i, "error", outcome->steps[i].error),
				NULL);
}

static void do_step(struct qb_running *run, size_t i, const struct qb_signals *signals,
		    struct qb_outcome *outcome)
{
	struct qb_outcome_step *out = &outcome->steps[i];
	struct qb_error err = QB_ERROR_INIT;
	uint64_t start = qb_now_us();
	int r;

	qb_running_tell_begin(run, i, out->target, false);
	if (qb_signals_came(signals))
		r = qb_error_set(&err, EINTR, "stopped by a signal before this step");
	else if (!run->steps[i].kind)
		r = qb_error_set(&err, ENOSYS, "this version knows no step %s", out->kind);
	else
		r = run_step(run, i, &out->status, &err);
	out->duration_us = qb_now_us() - start;
	if (r == 0)
		r = confirm(run, i, &err);
	if (r < 0)
		fail(run, i, outcome, &err);
	qb_running_tell_end(run, i, out, out->error);
}

void qb_apply(const struct qb_step_ctx *ctx, const struct qb_plan *plan, struct qb_journal *journal,
	      const struct qb_apply_events *events, struct qb_outcome *ret)
{
	_cleanup_running_ struct qb_running run = {.ctx = ctx,
						   .journal = journal,
						   .events = events,
						   .n_steps = plan->n_steps,
						   .guard = QB_GUARD_INIT};
	struct qb_signals signals;

	*ret = (struct qb_outcome){.state = QB_RUN_DONE};
	run.steps = qb_alloc(plan->n_steps, sizeof(*run.steps));
	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct qb_step *step = &plan->steps[i];

		run.steps[i] =
			(struct qb_running_step){qb_step_kind_find(step->kind), step->args, NULL};
		*QB_APPEND(ret->steps, ret->n_steps) =
			(struct qb_outcome_step){.kind = step->kind, .target = step->target};
	}
	qb_signals_hold(&signals);
	for (size_t i = 0; i < plan->n_steps && ret->state == QB_RUN_DONE; i++)
		do_step(&run, i, &signals, ret);
	for (size_t i = plan->n_steps; ret->state != QB_RUN_DONE && i-- > 0;)
		if (run.steps[i].before && !qb_running_undo(&run, i, &ret->steps[i]))
			ret->state = QB_RUN_STUCK;
	qb_guard_end(&run.guard);
	qb_running_end(&run, ret);
	qb_signals_release(&signals);
}
