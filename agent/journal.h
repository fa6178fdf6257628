/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs did, one file of JSON lines a run, below /var/lib/qubi-agent/journal. Each record is
 * on disk (fsync) before what it announces begins, so that after a crash the journal knows at
 * least as much as happened. A torn last line is what a crash leaves and is dropped.
 *
 *	{"event":"begin","time":...,"version":...,"plan":{...},"config":{...}}
 *	{"event":"config","config":{...}}		see qb_journal_configure()
 *	{"event":"intent","step":0,"before":{...}}	observed, apply is next
 *	{"event":"done","step":0}			applied and verified
 *	{"event":"skipped","step":1}			already as wanted: nothing to undo
 *	{"event":"failed","step":2,"error":"..."}
 *	{"event":"undone","step":0}
 *	{"event":"end","result":"done"}
 */
#pragma once

#include <jansson.h>

#include "agent/base/root.h"
#include "agent/base/step.h"

enum qb_run_state {
	QB_RUN_OPEN,      /* broken off: no end is recorded */
	QB_RUN_DONE,      /* all steps verified */
	QB_RUN_CONTINUED, /* broken off, and completed by the next run */
	QB_RUN_UNDONE,    /* everything it did was undone */
	QB_RUN_STUCK,     /* an undo failed */
};

enum qb_run_step_state {
	QB_STEP_PLANNED,
	QB_STEP_INTENT, /* begun; it may have done all, part or nothing */
	QB_STEP_DONE,
	QB_STEP_SKIPPED,
	QB_STEP_UNDONE,
};

struct qb_run_step {
	char *kind, *target;
	json_t *args, *before;
	char *error; /* what last went wrong with it; NULL: nothing did */
	enum qb_run_step_state state;
	bool undoing; /* undoing it was begun, and neither ended nor was given up */
};

/* Something of it may be on the host: it was begun and not undone. */
bool qb_run_step_stands(const struct qb_run_step *step);

struct qb_run {
	unsigned id; /* counts from 1 */
	int64_t time_s;
	enum qb_run_state state;
	struct qb_run_step *steps;
	size_t n_steps;
	json_t *config; /* see qb_journal_begin(); NULL: none */
};

struct qb_runs {
	struct qb_run *v; /* oldest first */
	size_t n;
	json_t *adopted; /* see qb_journal_adopt(); NULL: nothing */
};

/* All runs. No directory means no runs. A damaged file is an error that names it. */
QB_MUST_CHECK int qb_journal_read(const struct qb_root *root, struct qb_runs *ret,
				  struct qb_error *err);
/*
 * For a boot, without which nobody reaches the host to repair anything: leaves damaged records out,
 * each with a line in damaged. What they said is not known of what is returned.
 */
QB_MUST_CHECK int qb_journal_read_rest(const struct qb_root *root, struct qb_strs *damaged,
				       struct qb_runs *ret, struct qb_error *err);
void qb_runs_done(struct qb_runs *runs);
#define _cleanup_runs_ QB_CLEANUP(qb_runs_done)
/*
 * Both are a part of runs, whose memory it is; n is 0 where there is none. Some of it may have been
 * undone.
 */
/* What rollback undoes: the latest run, and before it those it completed, since together they are
 * one change to the one who called apply. */
struct qb_runs qb_runs_change(const struct qb_runs *runs);
/* What the next run completes. */
struct qb_runs qb_runs_broken_off(const struct qb_runs *runs);
/* What planning needs to know of them. */
void qb_runs_ledger(const struct qb_runs *runs, struct qb_ledger *ret);

/*
 * Remembers the hardware of what was as wanted before any run: {bridge: args of step net.bind}, or
 * forgets it: {bridge: null}. It is no run, since there is nothing to undo, and all runs count as
 * newer.
 */
QB_MUST_CHECK int qb_journal_adopt(const struct qb_root *root, const struct qb_runs *runs,
				   json_t *adopted, struct qb_error *err);

struct qb_journal {
	int fd;
	unsigned id;
};

#define QB_JOURNAL_INIT                                                                            \
	{                                                                                          \
		-1, 0                                                                              \
	}

/*
 * Starts the file of a new run with its begin record. plan is borrowed, and so is config, the part
 * of the configuration that a boot needs to do the same again; NULL: another program will. Without
 * runs it is a boot's, which is no run: it is below /run, and nobody looks for it there but a
 * guard.
 */
QB_MUST_CHECK int qb_journal_begin(const struct qb_root *root, const struct qb_runs *runs,
				   json_t *plan, json_t *config, struct qb_journal *ret,
				   struct qb_error *err);
/*
 * The host is as wanted, and a boot is to make it as it is configured now: notes that with the
 * newest run that stands, unless it says so. Where there is none there is nothing to make.
 */
QB_MUST_CHECK int qb_journal_configure(const struct qb_root *root, const struct qb_runs *runs,
				       json_t *config, struct qb_error *err);
/* Opens the file of an earlier run to go on with it; a torn last line is cut off. */
QB_MUST_CHECK int qb_journal_reopen(const struct qb_root *root, unsigned id, struct qb_journal *ret,
				    struct qb_error *err);
/* Appends a record, which is on disk once the next one is that is written. The reference is
 * stolen; also on failure. */
QB_MUST_CHECK int qb_journal_put(struct qb_journal *journal, json_t *record, struct qb_error *err);
/* Appends one record and waits until it is on disk. The reference is stolen; also on failure. */
QB_MUST_CHECK int qb_journal_write(struct qb_journal *journal, json_t *record,
				   struct qb_error *err);
/* Appends the end of the run; state is not QB_RUN_OPEN. */
QB_MUST_CHECK int qb_journal_end(struct qb_journal *journal, enum qb_run_state state,
				 struct qb_error *err);
/*
 * Ends those of runs that were broken off, as all that they were to do is done: the newest run that
 * was not undone as state, those before it as continued, so that they stay one change.
 */
QB_MUST_CHECK int qb_journal_complete(const struct qb_root *root, const struct qb_runs *runs,
				      enum qb_run_state state, struct qb_error *err);
void qb_journal_done(struct qb_journal *journal);
#define _cleanup_journal_ QB_CLEANUP(qb_journal_done)
