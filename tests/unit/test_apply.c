/* SPDX-License-Identifier: Apache-2.0 */
/* What a run does, in which order, and what its journal has of it. */
#include "tests/unit/counted_run.h"

#include <sys/resource.h>

static void steps_run_in_order_and_are_journaled(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", "{\"name\":\"b\",\"is-there\":1}",
					   "{\"name\":\"c\"}", NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};
	struct qb_ledger ledger;

	(void)state;
	assert_int_equal(run("test.count", args, &outcome, &runs), QB_RUN_DONE);
	assert_string_equal(trace.s, "observe a;apply a;verify a;observe b;observe c;apply c;"
				     "verify c;");
	assert_null(outcome.error);
	assert_int_equal(outcome.steps[1].status, QB_OUTCOME_SKIPPED);
	assert_int_equal(runs.v[0].steps[0].state, QB_STEP_DONE);
	assert_int_equal(runs.v[0].steps[1].state, QB_STEP_SKIPPED);
	assert_int_equal(runs.v[0].steps[2].state, QB_STEP_DONE);
	qb_runs_ledger(&runs, &ledger);
	assert_int_equal(ledger.n_entries, 2);
	assert_string_equal(ledger.entries[1].target, "c");
	assert_true(ledger.entries[1].done);
	qb_ledger_done(&ledger);
}

static void a_failure_undoes_it_and_all_before_it(void **state)
{
	static const struct {
		const char *args[4];
		const char *trace;
		const char *error;
	} cases[] = {
		{{"{\"name\":\"a\"}", "{\"name\":\"b\",\"fail\":\"apply\"}", "{\"name\":\"c\"}"},
		 "observe a;apply a;verify a;observe b;apply b;undo b;undo a;",
		 "apply was told to fail"},
		{{"{\"name\":\"a\"}", "{\"name\":\"b\",\"fail\":\"verify\"}"},
		 "observe a;apply a;verify a;observe b;apply b;verify b;undo b;undo a;",
		 "done, but not as wanted: verify was told to fail"},
		/* Nothing was begun of b, so there is nothing of it to undo. */
		{{"{\"name\":\"a\"}", "{\"name\":\"b\",\"fail\":\"observe\"}"},
		 "observe a;apply a;verify a;observe b;undo a;",
		 "observe was told to fail"},
		/* Nor of what was there before. */
		{{"{\"name\":\"a\",\"is-there\":1}", "{\"name\":\"b\",\"fail\":\"apply\"}"},
		 "observe a;observe b;apply b;undo b;",
		 "apply was told to fail"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_outcome_ struct qb_outcome outcome = {0};
		_cleanup_runs_ struct qb_runs runs = {0};

		assert_int_equal(run("test.count", cases[i].args, &outcome, &runs), QB_RUN_UNDONE);
		assert_string_equal(trace.s, cases[i].trace);
		assert_string_equal(outcome.steps[1].error, cases[i].error);
	}
}

/* One for itself: what failed is undone, and neither what came before it nor what comes after. */
static void each_is_undone_by_itself(void **state)
{
	static const char a[] = "{\"name\":\"a\"}", c[] = "{\"name\":\"c\"}";
	static const struct {
		const char *args[4], *trace;
		enum qb_run_state came_to;
		const char *statuses;
	} cases[] = {
		{{a, c},
		 "observe a;apply a;verify a;observe c;apply c;verify c;",
		 QB_RUN_DONE,
		 "done done"},
		{{a, "{\"name\":\"b\",\"fail\":\"verify\"}", c},
		 "observe a;apply a;verify a;observe b;apply b;verify b;undo b;observe c;apply c;"
		 "verify c;",
		 QB_RUN_UNDONE,
		 "done undone done"},
		{{a, "{\"name\":\"b\",\"fail\":\"observe\"}", c},
		 "observe a;apply a;verify a;observe b;observe c;apply c;verify c;",
		 QB_RUN_UNDONE,
		 "done failed done"},
		/* What comes after cannot make that better. */
		{{"{\"name\":\"b\",\"fail\":\"apply undo\"}", a,
		  "{\"name\":\"b\",\"fail\":\"observe\"}"},
		 "observe b;apply b;undo b;observe a;apply a;verify a;observe b;",
		 QB_RUN_STUCK,
		 "undo-failed done failed"},
		/* Whoever stops it does not want what is done undone. */
		{{"{\"name\":\"a\",\"raise\":1}", "{\"name\":\"b\"}", c},
		 "observe a;apply a;verify a;",
		 QB_RUN_UNDONE,
		 "done failed not-run"},
	};
	static const struct qb_apply_events each = {.each = true};

	(void)state;
	events = &each;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_outcome_ struct qb_outcome outcome = {0};
		_cleanup_runs_ struct qb_runs runs = {0};
		_cleanup_buf_ struct qb_buf got = {0};

		assert_int_equal(run("test.count", cases[i].args, &outcome, &runs),
				 cases[i].came_to);
		assert_string_equal(trace.s, cases[i].trace);
		for (size_t j = 0; j < outcome.n_steps; j++)
			qb_buf_printf(&got, "%s%s", j ? " " : "",
				      qb_outcome_status_name(outcome.steps[j].status));
		assert_string_equal(got.s, cases[i].statuses);
	}
	events = NULL;
}

static void a_signal_stops_before_those_apart(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\",\"raise\":1}",
					   "{\"name\":\"b\",\"apart\":1}",
					   "{\"name\":\"c\",\"apart\":1}", NULL};
	static const struct qb_apply_events each = {.each = true};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};

	(void)state;
	events = &each;
	assert_int_equal(run("test.guards", args, &outcome, &runs), QB_RUN_UNDONE);
	events = NULL;
	assert_string_equal(trace.s, "observe a;apply a;verify a;");
}

/* Together they are tried first, and what that did is undone before. */
static void each_of_those_apart_is_undone_by_itself(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\",\"apart\":1}",
					   "{\"name\":\"b\",\"apart\":1,\"fail\":\"verify\"}",
					   "{\"name\":\"c\",\"apart\":1}", NULL};
	static const struct qb_apply_events each = {.each = true};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};

	(void)state;
	events = &each;
	assert_int_equal(run("test.guards", args, &outcome, &runs), QB_RUN_UNDONE);
	events = NULL;
	assert_string_equal(trace.s,
			    "observe a;observe b;observe c;apply a;apply b;apply c;verify a;"
			    "verify b;undo c;undo b;undo a;observe a;apply a;verify a;observe b;"
			    "apply b;verify b;undo b;observe c;apply c;verify c;");
	assert_int_equal(outcome.steps[0].status, QB_OUTCOME_DONE);
	assert_int_equal(outcome.steps[1].status, QB_OUTCOME_UNDONE);
	assert_int_equal(outcome.steps[2].status, QB_OUTCOME_DONE);
	assert_int_equal(runs.v[0].steps[2].state, QB_STEP_DONE);
}

/* What concerns nothing that the host uses is done all at once, what does by itself. */
static void steps_apart_are_executed_together(void **state)
{
	static const char a[] = "{\"name\":\"a\",\"apart\":1}", b[] = "{\"name\":\"b\"}",
			  c[] = "{\"name\":\"c\",\"apart\":1}";
	static const struct {
		const char *args[5];
		const char *trace;
		enum qb_run_state came_to;
		size_t failed;
	} cases[] = {
		{{a, c, a},
		 "observe a;observe c;observe a;apply a;apply c;apply a;verify a;verify c;"
		 "verify a;"},
		{{a, c, b, a, NULL},
		 "observe a;observe c;apply a;apply c;verify a;verify c;observe b;apply b;verify b;"
		 "observe a;apply a;verify a;"},
		{{a, "{\"name\":\"c\",\"apart\":1,\"is-there\":1}", a},
		 "observe a;observe c;observe a;apply a;apply a;verify a;verify a;"},
		/* Nothing is begun before all were looked at, and what was is undone. */
		{{a, "{\"name\":\"c\",\"apart\":1,\"fail\":\"observe\"}", a},
		 "observe a;observe c;",
		 QB_RUN_UNDONE,
		 1},
		{{a, "{\"name\":\"c\",\"apart\":1,\"fail\":\"apply\"}", a},
		 "observe a;observe c;observe a;apply a;apply c;undo a;undo c;undo a;",
		 QB_RUN_UNDONE,
		 1},
		{{a, "{\"name\":\"c\",\"apart\":1,\"fail\":\"verify\"}", a},
		 "observe a;observe c;observe a;apply a;apply c;apply a;verify a;verify c;undo a;"
		 "undo c;undo a;",
		 QB_RUN_UNDONE,
		 1},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		enum qb_run_state wanted = cases[i].came_to ? cases[i].came_to : QB_RUN_DONE;
		_cleanup_outcome_ struct qb_outcome outcome = {0};
		_cleanup_runs_ struct qb_runs runs = {0};
		const struct qb_run *last;

		assert_int_equal(run("test.guards", cases[i].args, &outcome, &runs), wanted);
		assert_string_equal(trace.s, cases[i].trace);
		last = &runs.v[runs.n - 1];
		for (size_t j = 0; wanted == QB_RUN_DONE && j < last->n_steps; j++)
			assert_int_equal(last->steps[j].state,
					 outcome.steps[j].status == QB_OUTCOME_SKIPPED
						 ? QB_STEP_SKIPPED
						 : QB_STEP_DONE);
		if (wanted != QB_RUN_DONE)
			assert_non_null(last->steps[cases[i].failed].error);
	}
}

static void a_failed_undo_is_said_and_the_others_are_undone(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}",
					   "{\"name\":\"b\",\"fail\":\"apply undo\"}", NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};

	(void)state;
	assert_int_equal(run("test.count", args, &outcome, &runs), QB_RUN_STUCK);
	assert_string_equal(trace.s, "observe a;apply a;verify a;observe b;apply b;undo b;undo a;");
	assert_int_equal(outcome.steps[0].status, QB_OUTCOME_UNDONE);
	assert_int_equal(outcome.steps[1].status, QB_OUTCOME_UNDO_FAILED);
	assert_string_equal(outcome.steps[1].error,
			    "apply was told to fail; undo: undo was told to fail");
}

static void a_step_without_undo_is_stuck(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\",\"fail\":\"apply\"}", NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};

	(void)state;
	assert_int_equal(run("test.stays", args, &outcome, &runs), QB_RUN_STUCK);
}

static void an_unknown_kind_does_nothing(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};

	(void)state;
	assert_int_equal(run("test.none", args, &outcome, &runs), QB_RUN_UNDONE);
	assert_string_equal(outcome.steps[0].error, "this version knows no step test.none");
	assert_string_equal(trace.s, "");
}

/* The step under way is finished, the next one is not begun, and all is undone. */
static void a_signal_stops_between_steps(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\",\"raise\":1}", "{\"name\":\"b\"}",
					   NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};

	(void)state;
	assert_int_equal(run("test.count", args, &outcome, &runs), QB_RUN_UNDONE);
	assert_string_equal(trace.s, "observe a;apply a;verify a;undo a;");
	assert_string_equal(outcome.steps[1].error, "stopped by a signal before this step");
}

static void rollback_undoes_last_first(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", "{\"name\":\"b\"}", NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0}, back = {0};
	_cleanup_runs_ struct qb_runs runs = {0}, after = {0};
	struct qb_step_ctx ctx = {.root = &root};

	(void)state;
	assert_int_equal(run("test.count", args, &outcome, &runs), QB_RUN_DONE);
	qb_buf_done(&trace);
	back.state = QB_RUN_UNDONE;
	qb_rollback(&ctx, &runs, NULL, &back);
	assert_string_equal(trace.s, "undo b;undo a;");
	assert_null(back.error);
	assert_int_equal(qb_journal_read(&root, &after, NULL), 0);
	assert_int_equal(after.v[0].state, QB_RUN_UNDONE);
}

/* What an undo that broke off leaves is told from what is done, and one that failed leaves that. */
static void what_is_being_undone_is_told_from_what_is_done(void **state)
{
	static const struct {
		const char *events[3];
		bool undoing;
	} cases[] = {
		{{"undoing"}, true},
		{{"undoing", "kept"}, false},
		{{"undoing", "kept", "undoing"}, true},
	};
	static const char *const args[] = {"{\"name\":\"a\",\"fail\":\"undo\"}", NULL};
	struct qb_step_ctx ctx = {.root = &root};

	(void)state;
	for (size_t i = 0; i <= QB_ARRAY_SIZE(cases); i++) {
		_cleanup_outcome_ struct qb_outcome outcome = {0}, back = {.state = QB_RUN_UNDONE};
		_cleanup_runs_ struct qb_runs runs = {0}, now = {0};
		_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
		bool broke_off = i < QB_ARRAY_SIZE(cases);
		struct qb_ledger ledger;

		assert_int_equal(run("test.count", args, &outcome, &runs), QB_RUN_DONE);
		assert_int_equal(qb_journal_reopen(&root, runs.v[runs.n - 1].id, &journal, NULL),
				 0);
		for (size_t k = 0; broke_off && k < 3 && cases[i].events[k]; k++)
			assert_int_equal(qb_journal_write(&journal,
							  json_pack("{s:s, s:i}", "event",
								    cases[i].events[k], "step", 0),
							  NULL),
					 0);
		if (!broke_off)
			qb_rollback(&ctx, &(struct qb_runs){&runs.v[runs.n - 1], 1, NULL}, NULL,
				    &back);
		assert_int_equal(back.state, broke_off ? QB_RUN_UNDONE : QB_RUN_STUCK);
		assert_int_equal(qb_journal_read(&root, &now, NULL), 0);
		qb_runs_ledger(&now, &ledger);
		assert_true(ledger.entries[ledger.n_entries - 1].done);
		assert_int_equal(ledger.entries[ledger.n_entries - 1].undoing,
				 broke_off && cases[i].undoing);
		qb_ledger_done(&ledger);
	}
}

/* Those apart look once, before and after, and once where they are undone; others each time. */
static void steps_apart_see_one_moment(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\",\"apart\":1,\"looks\":1}",
					   "{\"name\":\"b\",\"apart\":1,\"looks\":1}",
					   "{\"name\":\"c\",\"looks\":1}",
					   "{\"name\":\"d\",\"apart\":1,\"looks\":1}", NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0}, back = {.state = QB_RUN_UNDONE};
	_cleanup_runs_ struct qb_runs runs = {0};
	struct qb_step_ctx ctx = {.root = &root};

	(void)state;
	assert_int_equal(run("test.guards", args, &outcome, &runs), QB_RUN_DONE);
	assert_string_equal(trace.s,
			    "look;observe a;observe b;apply a;apply b;look;verify a;verify b;"
			    "look;observe c;apply c;look;verify c;"
			    "look;observe d;apply d;look;verify d;");
	qb_buf_done(&trace);
	qb_rollback(&ctx, &runs, NULL, &back);
	assert_string_equal(trace.s, "look;undo d;look;undo c;look;undo b;undo a;");
}

static enum qb_run_state state_of(char letter)
{
	return letter == 'o'   ? QB_RUN_OPEN
	       : letter == 'f' ? QB_RUN_OPEN /* and its undo will fail */
	       : letter == 'd' ? QB_RUN_DONE
	       : letter == 'c' ? QB_RUN_CONTINUED
	       : letter == 'u' ? QB_RUN_UNDONE
			       : QB_RUN_STUCK;
}

/* Runs of one step each, called a, b, c, one a letter of states. */
static void make_runs(const char *states, struct qb_runs *ret)
{
	for (size_t i = 0; states[i]; i++) {
		enum qb_run_state came_to = state_of(states[i]);
		_cleanup_runs_ struct qb_runs before = {0};
		_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
		char name[] = {(char)('a' + i), '\0'};
		json_auto_t *plan = json_pack("{s:[{s:s, s:s, s:{s:s, s:s?}}]}", "steps", "kind",
					      "test.count", "target", name, "args", "name", name,
					      "fail", states[i] == 'f' ? "undo" : NULL);
		json_t *intent = json_pack("{s:s, s:i, s:{s:s}}", "event", "intent", "step", 0,
					   "before", "was", name);

		assert_int_equal(qb_journal_read(&root, &before, NULL), 0);
		assert_int_equal(qb_journal_begin(&root, &before, plan, NULL, &journal, NULL), 0);
		assert_int_equal(qb_journal_write(&journal, intent, NULL), 0);
		if (came_to == QB_RUN_UNDONE)
			assert_int_equal(qb_journal_write(&journal,
							  json_pack("{s:s, s:i}", "event", "undone",
								    "step", 0),
							  NULL),
					 0);
		if (came_to != QB_RUN_OPEN)
			assert_int_equal(qb_journal_end(&journal, came_to, NULL), 0);
	}
	assert_int_equal(qb_journal_read(&root, ret, NULL), 0);
}

/* A boot makes again what the newest run had configured that came to its end and stands. */
static void a_boot_goes_by_the_newest_whole_run(void **state)
{
	static const enum qb_run_state ends[] = {QB_RUN_DONE, QB_RUN_DONE, QB_RUN_UNDONE,
						 QB_RUN_OPEN};
	_cleanup_runs_ struct qb_runs runs = {0};
	struct qb_ledger ledger = {0};

	(void)state;
	/* The last one is a boot's, and no run. */
	for (size_t i = 0; i <= QB_ARRAY_SIZE(ends); i++) {
		json_auto_t *plan = json_pack("{s:[]}", "steps"), *config = json_pack("[i]", i);
		bool boot = i == QB_ARRAY_SIZE(ends);
		_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
		_cleanup_runs_ struct qb_runs before = {0};

		assert_int_equal(qb_journal_read(&root, &before, NULL), 0);
		assert_int_equal(qb_journal_begin(&root, boot ? NULL : &before, plan, config,
						  &journal, NULL),
				 0);
		if (boot || ends[i] != QB_RUN_OPEN)
			assert_int_equal(
				qb_journal_end(&journal, boot ? QB_RUN_DONE : ends[i], NULL), 0);
	}
	assert_int_equal(qb_journal_read(&root, &runs, NULL), 0);
	assert_int_equal(runs.n, QB_ARRAY_SIZE(ends));
	qb_runs_ledger(&runs, &ledger);
	assert_int_equal(json_integer_value(json_array_get(ledger.config, 0)), 1);
	qb_ledger_done(&ledger);
}

/* What was configured without a run goes with the newest one that stands, and with its undo. */
static void a_boot_goes_by_what_was_found_as_wanted(void **state)
{
	static const struct {
		const char *runs; /* as of make_runs() */
		int wanted;       /* the run, from 0, with which it is noted; -1: with none */
	} cases[] = {{"", -1}, {"d", 0}, {"dd", 1}, {"du", 0}, {"u", -1}, {"ds", 0}};

	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		json_auto_t *config = json_pack("[s]", "now"), *other = json_pack("[s]", "later");
		_cleanup_runs_ struct qb_runs runs = {0}, after = {0};
		struct qb_ledger ledger = {0};

		make_runs(cases[i].runs, &runs);
		assert_int_equal(qb_journal_configure(&root, &runs, other, NULL), 0);
		assert_int_equal(qb_journal_configure(&root, &runs, config, NULL), 0);
		assert_int_equal(qb_journal_read(&root, &after, NULL), 0);
		for (size_t j = 0; j < after.n; j++)
			assert_int_equal(json_equal(after.v[j].config, config),
					 (int)j == cases[i].wanted);
		qb_runs_ledger(&after, &ledger);
		assert_int_equal(json_equal(ledger.config, config), cases[i].wanted >= 0);
		qb_ledger_done(&ledger);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* What is in sync was completed by the newest run; rollback takes it as one with those before. */
static void completed_runs_are_one_change(void **state)
{
	static const struct {
		const char *before, *after;
		const char *broken_off; /* before completion */
		const char *undone;     /* by rollback after it */
	} cases[] = {
		{"o", "d", "a", "undo a;"},
		/* Killed twice: the third finds nothing to do. */
		{"oo", "cd", "ab", "undo b;undo a;"},
		/* Killed between the end of the second and completion. */
		{"od", "cd", "", "undo b;undo a;"},
		{"ou", "du", "ab", "undo a;"},
		{"ouo", "cud", "abc", "undo c;undo a;"},
		/* What was whole before is a change of its own. */
		{"doo", "dcd", "bc", "undo c;undo b;"},
		{"dd", "dd", "", "undo b;"},
		{"os", "cs", "", "undo b;undo a;"},
		{"so", "sd", "b", "undo b;"},
		{"u", "u", "a", ""},
		/* Rolled back halfway. */
		{"cuo", "cud", "abc", "undo c;undo a;"},
		/* What cannot be undone may be in use of what was there before. */
		{"of", "cd", "ab", "undo b;"},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_runs_ struct qb_runs runs = {0}, after = {0};
		_cleanup_outcome_ struct qb_outcome back = {.state = QB_RUN_UNDONE};
		struct qb_step_ctx ctx = {.root = &root};
		struct qb_runs part;
		char names[5] = "";

		make_runs(cases[i].before, &runs);
		part = qb_runs_broken_off(&runs);
		for (size_t j = 0; j < part.n; j++)
			names[j] = part.v[j].steps[0].target[0];
		assert_string_equal(names, cases[i].broken_off);
		assert_int_equal(qb_journal_complete(&root, &runs, QB_RUN_DONE, NULL), 0);
		assert_int_equal(qb_journal_read(&root, &after, NULL), 0);
		for (size_t j = 0; j < after.n; j++)
			assert_int_equal(after.v[j].state, state_of(cases[i].after[j]));
		qb_buf_done(&trace);
		qb_buf_puts(&trace, "");
		part = qb_runs_change(&after);
		qb_rollback(&ctx, &part, NULL, &back);
		assert_string_equal(trace.s, cases[i].undone);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* Its end cannot be written: from the last step's report on, files cannot grow. */
static void no_more_room(void *data, size_t i, size_t n, const struct qb_outcome_step *step,
			 const char *error)
{
	struct rlimit *before = data;
	struct rlimit none;

	(void)step, (void)error;
	if (i + 1 != n)
		return;
	none = *before;
	none.rlim_cur = 0;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void a_journal_that_cannot_be_closed_is_said(void **state)
{
	static const struct {
		const char *args[2];
		enum qb_run_state came_to;
	} cases[] = {
		{{"{\"name\":\"a\"}"}, QB_RUN_DONE},
		{{"{\"name\":\"a\",\"fail\":\"observe\"}"}, QB_RUN_UNDONE},
	};
	struct rlimit limit;
	struct qb_apply_events full = {.end = no_more_room, .data = &limit};

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	events = &full;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_outcome_ struct qb_outcome outcome = {0};
		_cleanup_runs_ struct qb_runs runs = {0};
		enum qb_run_state recorded = run("test.count", cases[i].args, &outcome, &runs);

		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(recorded, QB_RUN_OPEN);
		assert_int_equal(outcome.state, cases[i].came_to);
		assert_non_null(outcome.error);
		assert_non_null(strstr(outcome.error, "cannot write: File too large"));
	}
	events = NULL;
}

static void rollback_says_what_it_could_not_write(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\",\"is-there\":1}", NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0}, back = {.state = QB_RUN_UNDONE},
					    none = {.state = QB_RUN_UNDONE};
	_cleanup_runs_ struct qb_runs runs = {0};
	struct qb_step_ctx ctx = {.root = &root};
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(run("test.count", args, &outcome, &runs), QB_RUN_DONE);
	no_more_room(&limit, 0, 1, NULL, NULL);
	qb_rollback(&ctx, &runs, NULL, &back);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	/* Nothing of it is left, whatever the journal has. */
	assert_int_equal(back.state, QB_RUN_UNDONE);
	assert_non_null(strstr(back.error, "cannot write: File too large"));
	/* Without its journal a run cannot be undone. */
	assert_int_equal(qb_root_unlink(&root, "/var/lib/qubi-agent/journal/000001.jsonl", NULL),
			 0);
	qb_rollback(&ctx, &runs, NULL, &none);
	assert_int_equal(none.state, QB_RUN_STUCK);
	assert_non_null(strstr(none.error, "000001.jsonl"));
}

/* Each event has what went wrong in it, and no more: so nothing is told twice. */
static void tell_errors(void *data, size_t i, size_t n, const struct qb_outcome_step *step,
			const char *error)
{
	(void)i, (void)n;
	if (error)
		qb_buf_printf(data, "%s %s: %s;", qb_outcome_status_name(step->status),
			      step->target, error);
}

static void an_error_is_told_once(void **state)
{
	static const struct {
		const char *args[3];
		const char *told;
	} cases[] = {
		{{"{\"name\":\"a\"}", "{\"name\":\"b\",\"fail\":\"apply\"}"},
		 "failed b: apply was told to fail;"},
		{{"{\"name\":\"a\"}", "{\"name\":\"b\",\"fail\":\"apply undo\"}"},
		 "failed b: apply was told to fail;undo-failed b: undo was told to fail;"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_outcome_ struct qb_outcome outcome = {0};
		_cleanup_runs_ struct qb_runs runs = {0};
		_cleanup_buf_ struct qb_buf told = {0};
		struct qb_apply_events tell = {.end = tell_errors, .data = &told};

		events = &tell;
		run("test.count", cases[i].args, &outcome, &runs);
		events = NULL;
		assert_string_equal(told.s, cases[i].told);
	}
}

/* What a crash leaves at each byte of a journal reads as an earlier moment of the same run. */
static void a_torn_journal_reads_as_an_earlier_moment(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", "{\"name\":\"b\"}", NULL};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};
	_cleanup_free_ char *text = NULL;
	size_t len, begun = 0;

	(void)state;
	assert_int_equal(run("test.count", args, &outcome, &runs), QB_RUN_DONE);
	assert_int_equal(qb_root_read(&root, "/var/lib/qubi-agent/journal/000001.jsonl", 1 << 20,
				      &text, &len),
			 0);
	for (size_t cut = 0; cut < len; cut++) {
		_cleanup_runs_ struct qb_runs torn = {0};
		_cleanup_journal_ struct qb_journal journal = QB_JOURNAL_INIT;
		struct qb_ledger ledger;

		assert_int_equal(qb_root_write(&root, "/var/lib/qubi-agent/journal/000001.jsonl",
					       0600, text, cut, NULL),
				 0);
		assert_int_equal(qb_journal_read(&root, &torn, NULL), 0);
		assert_int_not_equal(torn.v[0].state, QB_RUN_DONE);
		if (torn.v[0].state == QB_RUN_UNDONE)
			continue;
		/* And one can go on writing. */
		assert_int_equal(qb_journal_reopen(&root, 1, &journal, NULL), 0);
		assert_int_equal(qb_journal_write(&journal,
						  json_pack("{s:s, s:s}", "event", "end", "result",
							    "continued"),
						  NULL),
				 0);
		qb_runs_done(&torn);
		assert_int_equal(qb_journal_read(&root, &torn, NULL), 0);
		assert_int_equal(torn.v[0].state, QB_RUN_CONTINUED);
		/* Of what was completed nothing is taken for begun only: it may be in use by now.
		 */
		qb_runs_ledger(&torn, &ledger);
		for (size_t i = 0; i < ledger.n_entries; i++)
			assert_true(ledger.entries[i].done);
		begun += ledger.n_entries && torn.v[0].steps[0].state == QB_STEP_INTENT;
		qb_ledger_done(&ledger);
	}
	assert_true(begun > 0);
}

#define ADOPTED "/var/lib/qubi-agent/adopted.json"

/* It is older than any run, and no change that could be rolled back. */
static void what_was_adopted_is_remembered_beside_the_runs(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", NULL};
	json_auto_t *one = json_pack("{s:{s:i}}", "br0", "n", 1);
	json_auto_t *more = json_pack("{s:{s:i}, s:{s:i}}", "br0", "n", 2, "br1", "n", 3);
	json_auto_t *gone = json_pack("{s:n, s:n}", "br1", "br2");
	_cleanup_runs_ struct qb_runs none = {0}, first = {0}, runs = {0};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	struct qb_error err = QB_ERROR_INIT;
	struct qb_ledger ledger;

	(void)state;
	assert_int_equal(qb_journal_adopt(&root, &none, one, NULL), 0);
	assert_int_equal(qb_journal_read(&root, &first, NULL), 0);
	assert_int_equal(qb_runs_change(&first).n, 0);
	assert_true(json_equal(first.adopted, one));
	assert_int_equal(qb_journal_adopt(&root, &first, more, NULL), 0);
	assert_int_equal(run("test.count", args, &outcome, &runs), QB_RUN_DONE);
	qb_runs_done(&runs);
	assert_int_equal(qb_journal_read(&root, &runs, NULL), 0);
	assert_int_equal(qb_runs_change(&runs).n, 1);
	qb_runs_ledger(&runs, &ledger);
	assert_int_equal(ledger.n_entries, 3);
	assert_string_equal(ledger.entries[2].kind, "test.count");
	assert_true(json_equal(qb_ledger_newest(&ledger, "br0", NULL)->args,
			       json_object_get(more, "br0")));
	qb_ledger_done(&ledger);
	/* br1 has gone; of br2, and the second time, there is nothing to forget. */
	for (int i = 0; i < 2; i++) {
		struct stat st, now;

		assert_int_equal(qb_root_stat(&root, ADOPTED, false, &st), 0);
		assert_int_equal(qb_journal_adopt(&root, &runs, gone, NULL), 0);
		assert_int_equal(qb_root_stat(&root, ADOPTED, false, &now), 0);
		assert_int_equal(st.st_ino == now.st_ino, i);
		qb_runs_done(&runs);
		assert_int_equal(qb_journal_read(&root, &runs, NULL), 0);
		assert_int_equal(json_object_size(runs.adopted), 1);
		assert_non_null(json_object_get(runs.adopted, "br0"));
	}
	assert_int_equal(qb_root_write(&root, ADOPTED, 0600, "[", 1, NULL), 0);
	qb_runs_done(&none);
	assert_int_equal(qb_journal_read(&root, &none, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "adopted.json: damaged; remove it"));
}

static void a_damaged_journal_is_an_error_that_names_the_place(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", NULL};
	static const char *const bad[] = {
		"garbage\n",
		"{\"event\":\"end\",\"result\":\"done\"}\n",
		"{\"event\":\"begin\",\"time\":1,\"plan\":{\"steps\":[]}}\n{\"event\":\"done\","
		"\"step\":7}\n",
		"{\"event\":\"begin\",\"time\":1,\"plan\":{\"steps\":[]}}\n{\"event\":\"x\"}\n",
		"{\"event\":\"begin\",\"time\":1,\"plan\":{\"steps\":[]}}\n{\"event\":\"end\","
		"\"result\":\"?\"}\n",
		"{\"event\":\"begin\",\"time\":1,\"plan\":{\"steps\":[{}]}}\n",
	};
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	_cleanup_runs_ struct qb_runs runs = {0};

	(void)state;
	run("test.count", args, &outcome, &runs);
	for (size_t i = 0; i < QB_ARRAY_SIZE(bad); i++) {
		_cleanup_runs_ struct qb_runs read = {0};
		struct qb_error err = QB_ERROR_INIT;

		assert_int_equal(qb_root_write(&root, "/var/lib/qubi-agent/journal/000001.jsonl",
					       0600, bad[i], strlen(bad[i]), NULL),
				 0);
		assert_int_equal(qb_journal_read(&root, &read, &err), -EBADMSG);
		assert_non_null(strstr(err.msg, "journal/000001.jsonl:"));
	}
}

/* With an order and without. */
static void the_ledger_tells_of_one_target_the_newest_first(void **state)
{
	static char *const targets[] = {(char *)"b", (char *)"a", (char *)"b",
					(char *)"c", (char *)"b", (char *)"a"};
	struct qb_ledger_entry entries[QB_ARRAY_SIZE(targets)] = {0};
	struct qb_ledger ledger = {.entries = entries, .n_entries = QB_ARRAY_SIZE(entries)};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(targets); i++)
		entries[i].target = targets[i];
	for (int ordered = 0; ordered < 2; ordered++) {
		const struct qb_ledger_entry *e = qb_ledger_newest(&ledger, "b", NULL);

		assert_ptr_equal(e, &entries[4]);
		e = qb_ledger_newest(&ledger, "b", e);
		assert_ptr_equal(e, &entries[2]);
		e = qb_ledger_newest(&ledger, "b", e);
		assert_ptr_equal(e, &entries[0]);
		assert_null(qb_ledger_newest(&ledger, "b", e));
		assert_ptr_equal(qb_ledger_newest(&ledger, "c", NULL), &entries[3]);
		assert_null(qb_ledger_newest(&ledger, "d", NULL));
		assert_null(qb_ledger_newest(&ledger, "", NULL));
		qb_ledger_index(&ledger);
	}
	free(ledger.order);
	assert_null(qb_ledger_newest(NULL, "a", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(steps_run_in_order_and_are_journaled, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_failure_undoes_it_and_all_before_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(steps_apart_are_executed_together, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_undo_is_said_and_the_others_are_undone,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_step_without_undo_is_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_kind_does_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(each_is_undone_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(a_signal_stops_before_those_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(each_of_those_apart_is_undone_by_itself, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_signal_stops_between_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(rollback_undoes_last_first, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_being_undone_is_told_from_what_is_done,
						setup, teardown),
		cmocka_unit_test_setup_teardown(steps_apart_see_one_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(a_boot_goes_by_the_newest_whole_run, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_boot_goes_by_what_was_found_as_wanted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(completed_runs_are_one_change, setup, teardown),
		cmocka_unit_test_setup_teardown(a_journal_that_cannot_be_closed_is_said, setup,
						teardown),
		cmocka_unit_test_setup_teardown(rollback_says_what_it_could_not_write, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_error_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_journal_reads_as_an_earlier_moment, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_was_adopted_is_remembered_beside_the_runs,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_journal_is_an_error_that_names_the_place,
						setup, teardown),
		cmocka_unit_test(the_ledger_tells_of_one_target_the_newest_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
