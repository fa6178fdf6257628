/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/running.h"

#include <syslog.h>
#include <time.h>

#include "agent/base/log.h"
#include "agent/base/scope.h"
#include "agent/lock.h"

enum {
	PROGRAMS = 4,
	OWN_MS = 30000
};

void qb_running_done(struct qb_running *run)
{
	for (size_t i = 0; i < run->n_steps; i++)
		json_decref(run->steps[i].before);
	free(run->steps);
	qb_running_look_anew(run);
	qb_guard_end(&run->guard);
	*run = (struct qb_running){.guard = QB_GUARD_INIT};
}

void qb_signals_hold(struct qb_signals *s)
{
	sigemptyset(&s->held);
	sigaddset(&s->held, SIGINT);
	sigaddset(&s->held, SIGTERM);
	sigprocmask(SIG_BLOCK, &s->held, &s->before);
	sigaction(SIGHUP, &(struct sigaction){.sa_handler = SIG_IGN}, &s->hangup);
}

bool qb_signals_came(const struct qb_signals *s)
{
	static const struct timespec now = {0, 0};

	return sigtimedwait(&s->held, NULL, &now) > 0;
}

void qb_signals_release(struct qb_signals *s)
{
	/* One more of them after the undo is not worth a death without a report. */
	while (qb_signals_came(s))
		;
	sigaction(SIGHUP, &s->hangup, NULL);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
}

int qb_running_record(struct qb_running *run, const char *event, size_t i, struct qb_error *err)
{
	return qb_journal_write(
		run->journal, json_pack("{s:s, s:I}", "event", event, "step", (json_int_t)i), err);
}

void qb_running_tell_begin(const struct qb_running *run, size_t i, const char *target, bool undo)
{
	if (run->events && run->events->begin)
		run->events->begin(run->events->data, i, run->n_steps, target, undo);
}

void qb_running_tell_end(const struct qb_running *run, size_t i, const struct qb_outcome_step *step,
			 const char *error)
{
	if (run->events && run->events->end)
		run->events->end(run->events->data, i, run->n_steps, step, error);
}

void qb_running_end(struct qb_running *run, struct qb_outcome *outcome)
{
	struct qb_error err = QB_ERROR_INIT;

	if (qb_journal_end(run->journal, outcome->state, &err) < 0 && !outcome->error)
		outcome->error = qb_str_printable(err.msg);
}

/* What a guard has to know. It is a copy of this process, so it need not be kept. */
struct watched {
	struct qb_running *run;
	size_t first, last;
};

bool qb_running_is_together(const struct qb_running_step *step)
{
	return step->kind && step->kind->together && step->kind->together(step->args);
}

void qb_running_look_anew(struct qb_running *run)
{
	if (run->shared.seen)
		run->shared.done(run->shared.seen);
	run->shared = (struct qb_shared){0};
}

bool qb_running_is_guarded(const struct qb_running_step *step)
{
	return step->kind && step->kind->guarded && !qb_running_is_together(step);
}

static const char *words_of(enum qb_guard_why why)
{
	switch (why) {
	case QB_GUARD_ENDED:
		return "the agent ended in it";
	case QB_GUARD_STOPPED:
		return "the agent was stopped in it, and was killed";
	case QB_GUARD_LATE:
		return "the agent hung in it, and was killed";
	}
	return NULL;
}

/* In the guard. What it did is written down last: the host is to be reached first. */
static void undo_watched(void *data, enum qb_guard_why why)
{
	const struct watched *w = data;
	struct qb_running *run = w->run;
	_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
	json_auto_t *records = json_array();
	const json_t *record;
	size_t j;

	qb_lock_take_over(run->ctx->root);
	openlog("qubi-agent", LOG_PID, LOG_DAEMON);
	for (size_t i = w->last + 1; i-- > w->first;) {
		const struct qb_running_step *step = &run->steps[i];
		_cleanup_free_ char *said = NULL, *safe = NULL;
		struct qb_error err = QB_ERROR_INIT;
		int r;

		if (!step->before || !qb_running_is_guarded(step))
			continue;
		r = step->kind->undo(run->ctx, step->args, step->before, &err);
		said = qb_asprintf("%s; its guard %s%s", words_of(why),
				   r < 0 ? "could not undo it: " : "undid it",
				   r < 0 ? err.msg : "");
		safe = qb_str_printable(said);
		syslog(LOG_ERR, "%s: %s", step->kind->kind, safe);
		json_array_append_new(records, json_pack("{s:s, s:I, s:s}", "event", "failed",
							 "step", (json_int_t)i, "error", safe));
		if (r == 0)
			json_array_append_new(records, json_pack("{s:s, s:I}", "event", "undone",
								 "step", (json_int_t)i));
	}
	if (qb_journal_reopen(run->ctx->root, run->journal->id, &journal, NULL) < 0)
		return;
	json_array_foreach (records, j, record)
		(void)!qb_journal_write(&journal, json_incref((json_t *)(uintptr_t)record), NULL);
}

static void leave_session(const struct qb_running *run, pid_t pid)
{
	_cleanup_free_ char *name = qb_asprintf("qubi-guard-%d.scope", (int)pid);
	struct qb_error err = QB_ERROR_INIT;

	if (!run->ctx->root->live || !qb_scope_available() ||
	    qb_scope_begin(name, "Undoes a change of the network that qubi-agent does not finish",
			   pid, &err) == 0)
		return;
	qb_log(QB_LOG_WARNING,
	       "%s; who kills this whole session while the network changes kills what would undo "
	       "it, too",
	       err.msg);
}

/* Each of a few other programs may take as long as is waited for one. */
unsigned qb_running_limit_ms(const struct qb_running *run)
{
	return PROGRAMS * run->ctx->timeout_ms + OWN_MS;
}

int qb_running_guard(struct qb_running *run, size_t i, unsigned limit_ms, struct qb_error *err)
{
	struct watched watched = {run, i < run->n_kept ? i : run->n_kept, i};
	struct qb_guard guard;
	int r = qb_guard_begin(undo_watched, &watched, limit_ms, &guard, err);

	if (r < 0)
		return r;
	leave_session(run, guard.pid);
	qb_guard_end(&run->guard);
	run->guard = guard;
	return 0;
}
