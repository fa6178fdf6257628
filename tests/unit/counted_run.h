/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of plans whose steps only count, so that order, journal and undo can be seen. The table of
 * step kinds is this file's own; everything else is the real thing.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <ftw.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "agent/apply.h"
#include "agent/plan.h"
#include "agent/steps.h"
#include "tests/unit/scratch.h"

static struct qb_buf trace;
static int heard = -1; /* where undo says a word that is heard in another process, too */
static char top[SCRATCH_MAX];
static struct qb_root root;
static const struct qb_apply_events *events; /* of the next run */

static const char *name_of(const json_t *args)
{
	return json_string_value(json_object_get(args, "name"));
}

static void no_more(void *seen)
{
	(void)seen;
}

/* Who looks first looks for all that see the same moment. */
static void look(const struct qb_step_ctx *ctx)
{
	static int moment;

	if (ctx->shared && ctx->shared->seen)
		return;
	qb_buf_puts(&trace, "look;");
	if (ctx->shared)
		*ctx->shared = (struct qb_shared){&moment, no_more};
}

/* args.fail names the function that is to fail. */
static int tell(const char *what, const json_t *args, struct qb_error *err)
{
	const char *bad = json_string_value(json_object_get(args, "fail"));

	qb_buf_printf(&trace, "%s %s;", what, name_of(args));
	if (bad && strstr(bad, what))
		return qb_error_set(err, EIO, "%s was told to fail", what);
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	int r;

	if (json_object_get(args, "looks"))
		look(ctx);
	r = tell("observe", args, err);
	if (r < 0)
		return r;
	*ret = json_object_get(args, "is-there") ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = json_pack("{s:s}", "was", name_of(args));
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	(void)ctx;
	assert_string_equal(json_string_value(json_object_get(before, "was")), name_of(args));
	if (json_object_get(args, "raise"))
		raise(SIGTERM);
	if (json_object_get(args, "die"))
		raise(SIGKILL);
	if (json_object_get(args, "stop"))
		raise(SIGSTOP);
	return tell("apply", args, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	(void)before;
	if (json_object_get(args, "looks"))
		look(ctx);
	return tell("verify", args, err);
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	assert_string_equal(json_string_value(json_object_get(before, "was")), name_of(args));
	if (json_object_get(args, "looks"))
		look(ctx);
	if (heard >= 0)
		(void)!write(heard, name_of(args), 1);
	return tell("undo", args, err);
}

/* Those that say so in their args. */
static bool together(const json_t *args)
{
	return json_object_get(args, "apart") != NULL;
}

const struct qb_step_kind *qb_step_kind_find(const char *kind)
{
	static const struct qb_step_kind counts = {"test.count", observe, apply, verify, undo};
	static const struct qb_step_kind stays = {"test.stays", observe, apply, verify, NULL};
	static const struct qb_step_kind guards = {"test.guards", observe, apply,   verify,
						   undo,          true,    together};

	return !strcmp(kind, counts.kind)   ? &counts
	       : !strcmp(kind, stays.kind)  ? &stays
	       : !strcmp(kind, guards.kind) ? &guards
					    : NULL;
}

static int setup(void **state)
{
	(void)state;
	scratch(top);
	assert_non_null(mkdtemp(top));
	assert_int_equal(qb_root_open(top, &root, NULL), 0);
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	qb_root_done(&root);
	qb_buf_done(&trace);
	return nftw(top, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Runs a plan of one step per word: its args, in JSON, and reads the journal back. */
static enum qb_run_state run(const char *kind, const char *const *args, struct qb_outcome *outcome,
			     struct qb_runs *runs)
{
	struct qb_step_ctx ctx = {.root = &root};
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
	_cleanup_runs_ struct qb_runs before = {0};
	json_auto_t *document = NULL;

	for (size_t i = 0; args[i]; i++) {
		json_t *parsed = json_loads(args[i], 0, NULL);

		assert_non_null(parsed);
		qb_step_why(qb_plan_step(&plan, kind, QB_UNDO_EXACT, parsed, name_of(parsed)),
			    "because");
	}
	qb_buf_done(&trace);
	qb_buf_puts(&trace, "");
	document = qb_plan_to_json(&plan);
	assert_int_equal(qb_journal_read(&root, &before, NULL), 0);
	assert_int_equal(qb_journal_begin(&root, &before, document, NULL, &journal, NULL), 0);
	qb_apply(&ctx, &plan, &journal, events, outcome);
	/* They outlive the plan. */
	for (size_t i = 0; i < outcome->n_steps; i++)
		outcome->steps[i].kind = outcome->steps[i].target = NULL;
	assert_int_equal(qb_journal_read(&root, runs, NULL), 0);
	return runs->v[runs->n - 1].state;
}
