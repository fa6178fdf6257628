/* SPDX-License-Identifier: Apache-2.0 */
/* A run that is being executed or undone: what agent/apply.c and agent/undo.c have in common. */
#pragma once

#include <signal.h>

#include "agent/apply.h"
#include "agent/base/guard.h"

struct qb_running_step {
	const struct qb_step_kind *kind; /* NULL: this version knows no such step */
	const json_t *args;
	json_t *before; /* NULL: not begun, or undone */
};

struct qb_running {
	const struct qb_step_ctx *ctx;
	struct qb_journal *journal;
	const struct qb_apply_events *events;
	struct qb_running_step *steps;
	size_t n_steps;
	size_t n_kept;           /* so many of the first are to stay when the agent ends now */
	size_t n_alone;          /* so many of the first are not executed together with others */
	struct qb_shared shared; /* what steps see that are executed or undone together */
	struct qb_guard guard;
};

/* It is executed together with others of its kind. */
bool qb_running_is_together(const struct qb_running_step *step);
/* What they saw is of the past. */
void qb_running_look_anew(struct qb_running *run);
/* Half done this step could cut the host off. */
bool qb_running_is_guarded(const struct qb_running_step *step);

void qb_running_done(struct qb_running *run);
#define _cleanup_running_ QB_CLEANUP(qb_running_done)

/* SIGINT and SIGTERM are held back during a run and asked for between steps; SIGHUP is ignored. */
struct qb_signals {
	sigset_t held, before;
	struct sigaction hangup;
};

void qb_signals_hold(struct qb_signals *s);
bool qb_signals_came(const struct qb_signals *s);
void qb_signals_release(struct qb_signals *s);

QB_MUST_CHECK int qb_running_record(struct qb_running *run, const char *event, size_t i,
				    struct qb_error *err);
void qb_running_tell_begin(const struct qb_running *run, size_t i, const char *target, bool undo);
void qb_running_tell_end(const struct qb_running *run, size_t i, const struct qb_outcome_step *step,
			 const char *error);
/* Closes the journal; without an end on disk the run counts as broken off. */
void qb_running_end(struct qb_running *run, struct qb_outcome *outcome);

/* Longer than any step takes that does not hang. */
unsigned qb_running_limit_ms(const struct qb_running *run);
/*
 * From here on a process stands by for limit_ms that undoes step i, and before it those that are
 * not to be kept, as far as they are guarded, begun and not undone; and records that in the
 * journal. It takes the place of the one before.
 */
QB_MUST_CHECK int qb_running_guard(struct qb_running *run, size_t i, unsigned limit_ms,
				   struct qb_error *err);

/* Undoes step i. Returns whether nothing is left of it. */
bool qb_running_undo(struct qb_running *run, size_t i, struct qb_outcome_step *out);
