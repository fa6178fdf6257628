/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan is data: steps to take and targets refused. It is what `plan` prints, what `apply`
 * executes and what the journal keeps. A step kind is a table of functions that observe, apply,
 * verify and undo one such step; it is named in agent/steps.c.
 */
#pragma once

#include <jansson.h>

#include "agent/base/error.h"
#include "agent/base/root.h"
#include "agent/base/str.h"

enum qb_undo {
	QB_UNDO_EXACT,
	QB_UNDO_BEST_EFFORT,
	QB_UNDO_NONE
};

const char *qb_undo_name(enum qb_undo undo); /* exact, best-effort, none */

/* A string of args or before, or of a part of them; NULL where there is none of that name. */
const char *qb_arg(const json_t *object, const char *key);

/* One change, wholly described by kind and args: whoever has these two can execute it. */
struct qb_step {
	const char *kind; /* of struct qb_step_kind; static */
	char *target;     /* what it changes, for a person: "br0", "pool images" */
	char *why;        /* what is and what is wanted, one sentence */
	enum qb_undo undo;
	json_t *args;
	json_t *differences; /* of what is there already: see qb_difference(); NULL for none */
};

/* Something that speaks against a target: a stable code and what a person can verify. */
struct qb_reason {
	char *code;
	char *evidence;
};

struct qb_refusal {
	char *target;
	struct qb_reason *reasons;
	size_t n_reasons;
};

/* Hardware that is not what it was when an earlier run bound a target to it. */
struct qb_change {
	const char *kind; /* "nic-replaced"; static */
	char *target;
	char *why; /* what was and what is, one sentence */
	json_t *was, *is;
};

struct qb_plan {
	struct qb_step *steps;
	size_t n_steps;
	struct qb_refusal *refused;
	size_t n_refused;
	bool rebind; /* targets go with changed hardware, which is noted; else they are refused */
	bool bound;  /* what is there of it counts, whatever the configuration calls it by now */
	struct qb_change *changes;
	size_t n_changes;
	/* {target: what of its hardware is to be remembered} of what is as wanted without a step
	 * that would tell, or null where it is to be forgotten; NULL: none. */
	json_t *adopted;
};

/* what: stolen. */
void qb_plan_adopt(struct qb_plan *plan, const char *target, json_t *what);

/* Appends a step; args is stolen. The returned step is valid until the next one is added. */
struct qb_step *qb_plan_step(struct qb_plan *plan, const char *kind, enum qb_undo undo,
			     json_t *args, const char *target);
QB_PRINTF(2, 3) void qb_step_why(struct qb_step *step, const char *fmt, ...);
/* Gives the step a list of them, which is stolen; an empty one counts as none. */
void qb_step_differences(struct qb_step *step, json_t *list);
/*
 * Adds {key, is, wanted, source} to a list of differences: NULL for what is not there, or is not
 * to be; source is where it was read.
 */
void qb_difference(json_t *list, const char *key, const char *is, const char *wanted,
		   const char *source);
/* Adds a reason against target, whose refusal is made when it is the first one. */
QB_PRINTF(4, 5)
void qb_plan_refuse(struct qb_plan *plan, const char *target, const char *code, const char *fmt,
		    ...);
/* Notes a change; was and is are stolen. Its sentence may be added to. */
QB_PRINTF(6, 7)
void qb_plan_change(struct qb_plan *plan, const char *target, const char *kind, json_t *was,
		    json_t *is, const char *fmt, ...);
QB_PRINTF(2, 3) void qb_change_why(struct qb_change *change, const char *fmt, ...);
bool qb_plan_refuses(const struct qb_plan *plan, const char *target);
/* Takes the steps of a refused target out: what comes later may refuse what was planned before. */
void qb_plan_drop_refused(struct qb_plan *plan);
bool qb_plan_has(const struct qb_plan *plan, const char *kind);
bool qb_plan_has_for(const struct qb_plan *plan, const char *kind, const char *target);
/* Takes all steps out that are of that kind. */
void qb_plan_leave_out(struct qb_plan *plan, const char *kind);
void qb_plan_done(struct qb_plan *plan);
#define _cleanup_plan_ QB_CLEANUP(qb_plan_done)

/* What was done in earlier runs, read from their journals. */
struct qb_ledger_entry {
	char *kind;
	char *target;
	json_t *args, *before;
	bool done;    /* false: only the intent is known, the run broke off */
	bool undoing; /* undoing it broke off */
};

struct qb_ledger {
	struct qb_ledger_entry *entries; /* oldest first; what was undone is left out */
	size_t n_entries;
	const struct qb_ledger_entry **order; /* by target, see qb_ledger_index() */
	/* Of the newest run that came to its end, the part of the configuration that
	 * qb_journal_begin() was given; NULL: none. */
	json_t *config;
};

/* Makes qb_ledger_newest() fast; without it all are looked through. */
void qb_ledger_index(struct qb_ledger *ledger);
/* The newest entry of that target, or the next older one than before. ledger may be NULL. */
const struct qb_ledger_entry *qb_ledger_newest(const struct qb_ledger *ledger, const char *target,
					       const struct qb_ledger_entry *before);
void qb_ledger_done(struct qb_ledger *ledger);

/*
 * What was seen of the host, kept for the steps that look at the same moment: of one kind, and
 * executed together. Whoever looks first puts it there.
 */
struct qb_shared {
	void *seen;
	void (*done)(void *seen);
};

/* What a step may use. Steps that talk to libvirt or systemd open their own connection. */
struct qb_step_ctx {
	const struct qb_root *root;
	const char *connect_uri;
	unsigned timeout_ms; /* for each wait on another program */
	const char *machine_id;
	struct qb_shared *shared; /* NULL: each looks for itself */
	const char *peer; /* address from where whoever runs this has logged in; NULL: unknown */
	bool provisional; /* somebody is still to confirm what is done */
};

enum qb_observed {
	QB_OBSERVED_NEEDED,
	QB_OBSERVED_DONE, /* already as wanted: apply is skipped, undo never called */
};

struct qb_step_kind {
	const char *kind; /* "net.bridge" */
	/*
	 * Looks at the live host. Fails when what the plan was made for has changed since
	 * (-ESTALE), and so nothing is done. *ret_before is what undo will need; it is journaled
	 * before apply is called.
	 */
	int (*observe)(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		       json_t **ret_before, struct qb_error *err);
	int (*apply)(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		     struct qb_error *err);
	/* Looks anew whether what was wanted is there. */
	int (*verify)(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		      struct qb_error *err);
	/*
	 * Restores what before describes. Called after a failed or interrupted apply, too: it has
	 * to cope with any part of it done. NULL with QB_UNDO_NONE.
	 */
	int (*undo)(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		    struct qb_error *err);
	/* Half done it could cut the host off: should the agent end in it, a guard calls undo. */
	bool guarded;
	/*
	 * It concerns nothing that the host itself uses. Steps in a row of which that is so are
	 * executed together, without a guard: all are observed, then all applied, then all
	 * verified. NULL: of none.
	 */
	bool (*together)(const json_t *args);
	/*
	 * Where ctx is provisional, apply did what a power cycle takes back; from keep on it lasts.
	 * NULL: there is no difference.
	 */
	int (*keep)(const struct qb_step_ctx *ctx, const json_t *args, struct qb_error *err);
	/*
	 * Fails where undo would refuse for what others use now (-EBUSY), or where who has a part
	 * in it does not answer. Asked of all steps of a run before any is undone: half of it
	 * undone would be worse. NULL: nothing to ask.
	 */
	int (*may_undo)(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
			struct qb_error *err);
};
