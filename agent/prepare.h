/* SPDX-License-Identifier: Apache-2.0 */
/* What plan, apply and rollback have in common: from the invocation to a plan. */
#pragma once

#include "agent/apply.h"
#include "agent/command.h"
#include "agent/plan.h"

/* What a run is for. */
enum qb_mode {
	QB_MODE_APPLY,
	QB_MODE_REPAIR, /* what was bound to hardware that changed is bound anew */
	/* Of the network what runs made, and the host has started since: it is done again, and is
	 * no change of its own that could be undone. */
	QB_MODE_BOOT,
};

struct qb_prepared {
	enum qb_mode mode; /* given */
	bool damaged;      /* a boot: the journal is, and was read as far as it could be */
	struct qb_config config;
	struct qb_facts facts;
	struct qb_runs runs;
	struct qb_ledger ledger;
	struct qb_plan plan;
};

/*
 * Loads the configuration, for a boot from the journal, and the journal, probes and plans. Errors
 * are printed; negative then.
 */
QB_MUST_CHECK int qb_prepare(const struct qb_invocation *inv, struct qb_prepared *ret);
/* The same with a configuration in hand; that of ret stays empty. */
QB_MUST_CHECK int qb_prepare_again(const struct qb_invocation *inv, const struct qb_config *config,
				   struct qb_prepared *ret);
void qb_prepared_done(struct qb_prepared *p);
#define _cleanup_prepared_ QB_CLEANUP(qb_prepared_done)

/* The step context of this invocation; valid as long as both arguments are. */
struct qb_step_ctx qb_step_context(const struct qb_invocation *inv, const struct qb_facts *facts);

/*
 * Takes the lock and asks that a person or --yes agrees. Each returns an enum qb_exit, QB_EXIT_OK
 * to go on, and has printed why otherwise. what is to be done is printed as a part of the report,
 * and to whoever is asked without having the report before him.
 */
QB_MUST_CHECK int qb_enter_run(const struct qb_invocation *inv, int *ret_lock);
bool qb_reports_text(const struct qb_invocation *inv); /* text, and not to be short */
void qb_show(const struct qb_invocation *inv, const struct qb_buf *what);
QB_MUST_CHECK int qb_consent(const struct qb_invocation *inv, const struct qb_buf *what,
			     const char *question);

/* Commands apply, repair and boot. */
int qb_run_plan(struct qb_invocation *inv, enum qb_mode mode);

/*
 * Whether there is somebody who could answer --confirm, where it is given: an enum qb_exit as
 * above; and the question (agent/apply.h). data is the invocation. What was typed before the
 * question is no answer to it.
 */
QB_MUST_CHECK int qb_can_confirm(const struct qb_invocation *inv);
QB_MUST_CHECK int qb_confirm(void *data, struct qb_error *err);

/* Progress for a terminal, one line a step for everybody, and errors. data is the invocation. */
extern void qb_progress_begin(void *data, size_t i, size_t n, const char *target, bool undo);
extern void qb_progress_end(void *data, size_t i, size_t n, const struct qb_outcome_step *step,
			    const char *error);
