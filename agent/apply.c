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

/* Steps that are executed together, of one kind; most are by themselves. */
struct group {
	struct qb_running *run;
	struct qb_step_ctx ctx; /* with what they see in common */
	struct qb_outcome *outcome;
	size_t first, n;
	size_t at; /* the one that is under way, which is the one that failed */
};

/* How many from here on are executed together. */
static size_t group_size(const struct qb_running *run, size_t first)
{
	const struct qb_step_kind *kind = run->steps[first].kind;
	size_t n = 0;

	while (first >= run->n_alone && first + n < run->n_steps &&
	       run->steps[first + n].kind == kind && qb_running_is_together(&run->steps[first + n]))
		n++;
	return n ? n : 1;
}

static bool is_begun(const struct group *g)
{
	return g->run->steps[g->at].before != NULL;
}

static int observe(struct group *g, struct qb_error *err)
{
	struct qb_running_step *step = &g->run->steps[g->at];
	json_auto_t *seen = NULL;
	enum qb_observed observed;
	int r = step->kind->observe(&g->ctx, step->args, &observed, &seen, err);

	if (r < 0)
		return r;
	if (observed == QB_OBSERVED_NEEDED) {
		step->before = seen ? QB_TAKE_PTR(seen) : json_null();
		return 0;
	}
	g->outcome->steps[g->at].status = QB_OUTCOME_SKIPPED;
	return qb_running_record(g->run, "skipped", g->at, err);
}

static int apply(struct group *g, struct qb_error *err)
{
	const struct qb_running_step *step = &g->run->steps[g->at];

	return is_begun(g) ? step->kind->apply(&g->ctx, step->args, step->before, err) : 0;
}

static int verify(struct group *g, struct qb_error *err)
{
	const struct qb_running_step *step = &g->run->steps[g->at];
	int r = is_begun(g) ? step->kind->verify(&g->ctx, step->args, step->before, err) : 0;

	return r < 0 ? qb_error_wrap(err, "done, but not as wanted") : 0;
}

static int each(struct group *g, int (*what)(struct group *g, struct qb_error *err),
		struct qb_error *err)
{
	int r = 0;

	for (g->at = g->first; r == 0 && g->at < g->first + g->n; g->at++) {
		uint64_t start = qb_now_us();

		r = what(g, err);
		g->outcome->steps[g->at].duration_us += qb_now_us() - start;
	}
	g->at -= g->at > g->first;
	return r;
}

/* The last that was begun: with its record all are on disk. */
static size_t last_begun(const struct group *g)
{
	size_t i = g->first + g->n;

	while (i-- > g->first)
		if (g->run->steps[i].before)
			return i;
	return SIZE_MAX;
}

static int record_all(struct group *g, const char *event, struct qb_error *err)
{
	size_t last = last_begun(g);
	int r = 0;

	for (size_t i = g->first; r == 0 && last != SIZE_MAX && i <= last; i++) {
		json_t *before = g->run->steps[i].before, *record;

		if (!before)
			continue;
		record = json_pack("{s:s, s:I}", "event", event, "step", (json_int_t)i);
		if (!strcmp(event, "intent"))
			json_object_set(record, "before", before);
		r = i == last ? qb_journal_write(g->run->journal, record, err)
			      : qb_journal_put(g->run->journal, record, err);
	}
	return r;
}

/* Says what is about to be begun; where it cannot nothing is begun. */
static int announce(struct group *g, struct qb_error *err)
{
	struct qb_running *run = g->run;
	int r = 0;

	g->at = g->first;
	if (is_begun(g) && qb_running_is_guarded(&run->steps[g->first]))
		r = qb_running_guard(run, g->first, qb_running_limit_ms(run), err);
	if (r == 0)
		r = record_all(g, "intent", err);
	for (size_t i = g->first; r < 0 && i < g->first + g->n; i++)
		json_decref(QB_TAKE_PTR(run->steps[i].before));
	return r;
}

/*
 * From observe to verify. Once an intent is recorded, and so its before is set, that step is to be
 * undone when anything fails; where it is guarded somebody stands by from just before that.
 */
static int run_group(struct group *g, struct qb_error *err)
{
	int r = each(g, observe, err);

	qb_running_look_anew(g->run);
	if (r < 0) {
		/* Of what is only observed there is nothing to undo. */
		for (size_t i = g->first; i < g->first + g->n; i++)
			json_decref(QB_TAKE_PTR(g->run->steps[i].before));
		return r;
	}
	r = announce(g, err);
	if (r == 0)
		r = each(g, apply, err);
	if (r == 0)
		r = each(g, verify, err);
	qb_running_look_anew(g->run);
	if (r == 0)
		r = record_all(g, "done", err);
	for (size_t i = g->first; r == 0 && i < g->first + g->n; i++)
		if (g->run->steps[i].before)
			g->outcome->steps[i].status = QB_OUTCOME_DONE;
	return r;
}

/* The last step that could cut the host off, of those that are done; n_steps: there is none. */
static size_t last_guarded(const struct qb_running *run, size_t n)
{
	while (n-- > 0)
		if (run->steps[n].before && qb_running_is_guarded(&run->steps[n]))
			return n;
	return run->n_steps;
}

/* Whether step i is where somebody has to say that the host can still be reached. */
static bool is_to_confirm(const struct qb_running *run, size_t i)
{
	if (!run->events || !run->events->confirm || last_guarded(run, i + 1) == run->n_steps)
		return false;
	for (size_t later = i + 1; later < run->n_steps; later++)
		if (qb_running_is_guarded(&run->steps[later]))
			return false;
	return qb_running_is_guarded(&run->steps[i]);
}

/*
 * The next step is of the same link, and could cut the host off as well: a bridge that nobody has
 * been handed yet loses its lease one day. The two stand or fall together.
 */
static bool goes_on(const struct qb_running *run, size_t i, const struct qb_outcome *outcome)
{
	return run->guard.pid > 0 && i + 1 < run->n_steps &&
	       qb_running_is_guarded(&run->steps[i + 1]) &&
	       qb_streq(outcome->steps[i].target, outcome->steps[i + 1].target);
}

/* It is confirmed: all up to step i outlives a power cycle from now on. */
static int keep(struct qb_running *run, size_t i, struct qb_error *err)
{
	int r = 0;

	for (size_t j = 0; r == 0 && j <= i; j++) {
		const struct qb_running_step *step = &run->steps[j];

		if (step->before && step->kind->keep)
			r = step->kind->keep(run->ctx, step->args, err);
	}
	return r;
}

/* Asks, or lets the guard go where nobody is to be asked. */
static int confirm(struct qb_running *run, size_t i, const struct qb_outcome *outcome,
		   struct qb_error *err)
{
	int r = 0;

	if (is_to_confirm(run, i)) {
		r = qb_running_guard(run, i, run->events->confirm_ms + qb_running_limit_ms(run),
				     err);
		if (r == 0)
			r = run->events->confirm(run->events->data, err);
		if (r == 0)
			r = keep(run, i, err);
	} else if (goes_on(run, i, outcome) || (run->events && run->events->confirm)) {
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
	if (outcome->state == QB_RUN_DONE)
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

/* Undoes what was begun of the steps from first to before end, last first. */
static void undo_steps(struct qb_running *run, size_t first, size_t end, struct qb_outcome *outcome)
{
	while (end-- > first)
		if (run->steps[end].before && !qb_running_undo(run, end, &outcome->steps[end]))
			outcome->state = QB_RUN_STUCK;
}

/* Returns the number of the step that comes next; past the last one when the run is to stop. */
static size_t do_group(struct qb_running *run, size_t first, const struct qb_signals *signals,
		       struct qb_outcome *outcome)
{
	struct group g = {.run = run,
			  .ctx = *run->ctx,
			  .outcome = outcome,
			  .first = first,
			  .n = group_size(run, first),
			  .at = first};
	struct qb_outcome_step *out = &outcome->steps[first];
	struct qb_error err = QB_ERROR_INIT;
	bool each = run->events && run->events->each, stopped = qb_signals_came(signals);
	int r;

	g.ctx.shared = &run->shared;
	qb_running_tell_begin(run, first, out->target, false);
	if (stopped)
		r = qb_error_set(&err, EINTR, "stopped by a signal before this step");
	else if (!run->steps[first].kind)
		r = qb_error_set(&err, ENOSYS, "this version knows no step %s", out->kind);
	else
		r = run_group(&g, &err);
	if (r < 0 && each && !stopped && g.n > 1) {
		/* Which of them it is that cannot be done each shows by itself. */
		undo_steps(run, first, first + g.n, outcome);
		run->n_alone = first + g.n;
		return first;
	}
	if (r == 0)
		r = confirm(run, g.at, outcome, &err);
	if (r < 0)
		fail(run, g.at, outcome, &err);
	for (size_t i = first; i < first + g.n; i++)
		if (r == 0 || outcome->steps[i].status != QB_OUTCOME_NOT_RUN)
			qb_running_tell_end(run, i, &outcome->steps[i], outcome->steps[i].error);
	if (r < 0) {
		undo_steps(run, each ? first : 0, first + g.n, outcome);
		qb_guard_end(&run->guard);
	}
	return r == 0 || (each && !stopped) ? first + g.n : run->n_steps;
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
	for (size_t i = 0; i < plan->n_steps;)
		i = do_group(&run, i, &signals, ret);
	qb_guard_end(&run.guard);
	qb_running_end(&run, ret);
	qb_signals_release(&signals);
}
