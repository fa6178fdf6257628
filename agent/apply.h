/* SPDX-License-Identifier: Apache-2.0 */
/* Executes plans and undoes them, with the journal a step ahead. */
#pragma once

#include "agent/journal.h"

enum qb_outcome_status {
	QB_OUTCOME_NOT_RUN,
	QB_OUTCOME_DONE,
	QB_OUTCOME_SKIPPED, /* was as wanted when its turn came */
	QB_OUTCOME_FAILED,  /* and could not be, or was not to be, undone */
	QB_OUTCOME_UNDONE,
	QB_OUTCOME_UNDO_FAILED,
};

const char *qb_outcome_status_name(enum qb_outcome_status status);

struct qb_outcome_step {
	enum qb_outcome_status status;
	uint64_t duration_us;
	char *error;
};

struct qb_outcome {
	struct qb_outcome_step *steps; /* as many as were to be run */
	size_t n_steps;
	enum qb_run_state state; /* QB_RUN_DONE, _UNDONE, _STUCK */
	bool failed;             /* something went wrong, whatever was undone */
};

void qb_outcome_done(struct qb_outcome *outcome);
#define _cleanup_outcome_ QB_CLEANUP(qb_outcome_done)

/* Told as things happen, for a person who waits. Each may be NULL. */
struct qb_apply_events {
	void (*begin)(void *data, size_t i, size_t n, const char *target, bool undo);
	void (*end)(void *data, size_t i, size_t n, const char *target,
		    const struct qb_outcome_step *step);
	void *data;
};

/*
 * Runs the steps in order. When one fails, or SIGINT or SIGTERM came, it and those before it are
 * undone, last first. The caller holds the lock. SIGHUP does not stop a run: the session that is
 * lost may well be lost by it.
 */
void qb_apply(const struct qb_step_ctx *ctx, const struct qb_plan *plan, struct qb_journal *journal,
	      const struct qb_apply_events *events, struct qb_outcome *ret);

/* Undoes what a run did, last first, and records that in its journal. */
void qb_rollback(const struct qb_step_ctx *ctx, const struct qb_run *run,
		 struct qb_journal *journal, const struct qb_apply_events *events,
		 struct qb_outcome *ret);
