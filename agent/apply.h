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
	const char *kind, *target; /* of the plan or the run, whose strings they are */
	enum qb_outcome_status status;
	uint64_t duration_us;
	char *error; /* all that went wrong with it */
};

struct qb_outcome {
	struct qb_outcome_step *steps; /* those of the plan, and what was undone of earlier runs */
	size_t n_steps;
	enum qb_run_state state; /* QB_RUN_DONE, _UNDONE, _STUCK */
	char *error;             /* why the journal could not be closed; NULL: it was */
};

/* The "steps" array of schema qubi-agent/apply/1. A new reference. */
json_t *qb_outcome_steps_json(const struct qb_outcome *outcome);

void qb_outcome_done(struct qb_outcome *outcome);
#define _cleanup_outcome_ QB_CLEANUP(qb_outcome_done)

/* Told as things happen, for a person who waits. Each may be NULL. error is what went wrong now. */
struct qb_apply_events {
	void (*begin)(void *data, size_t i, size_t n, const char *target, bool undo);
	void (*end)(void *data, size_t i, size_t n, const struct qb_outcome_step *step,
		    const char *error);
	/*
	 * Asked once the last step that could cut the host off is verified, while a guard stands
	 * by: 0, or why all is to be undone. It takes confirm_ms at most. NULL: nobody is asked.
	 */
	int (*confirm)(void *data, struct qb_error *err);
	unsigned confirm_ms;
	bool each; /* a step that fails is undone alone, and those after it are tried */
	void *data;
};

/*
 * Runs the steps in order. When one fails, or SIGINT or SIGTERM came, it and those before it are
 * undone, last first, or with each only what failed. The caller holds the lock. SIGHUP does not
 * stop a run: the session that is lost may well be lost by it.
 */
void qb_apply(const struct qb_step_ctx *ctx, const struct qb_plan *plan, struct qb_journal *journal,
	      const struct qb_apply_events *events, struct qb_outcome *ret);

/*
 * Undoes what runs did, last first, and records that in their journals. It is added to outcome,
 * whose state is QB_RUN_UNDONE; a run of which not all could be undone makes that QB_RUN_STUCK and
 * is the last one to be touched.
 */
void qb_rollback(const struct qb_step_ctx *ctx, const struct qb_runs *runs,
		 const struct qb_apply_events *events, struct qb_outcome *outcome);
