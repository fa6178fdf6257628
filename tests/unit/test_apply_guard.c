/* SPDX-License-Identifier: Apache-2.0 */
/* Who undoes what could cut the host off, when the agent cannot or nobody confirms it. */
#include "tests/unit/counted_run.h"

/*
 * What the process of a run that is killed in its apply leaves to others: the first letter of each
 * step that is undone without it. runs: as the journal has it then.
 */
static void undone_after(const char *kind, const char *const *args, char ret[8],
			 struct qb_runs *runs)
{
	_cleanup_outcome_ struct qb_outcome outcome = {0};
	int fds[2], status;
	size_t len;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		heard = fds[1];
		run(kind, args, &outcome, runs);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* Until the last who could say something has ended. */
	for (len = 0; len < 7 && (n = read(fds[0], ret + len, 7 - len)) > 0;)
		len += (size_t)n;
	ret[len] = '\0';
	close(fds[0]);
	assert_int_equal(qb_journal_read(&root, runs, NULL), 0);
}

static void a_guard_undoes_the_step_that_is_under_way(void **state)
{
	static const struct {
		const char *kind, *ends, *undone, *error;
	} cases[] = {
		{"test.guards", "\"die\":1", "b", "the agent ended in it; its guard undid it"},
		{"test.guards", "\"stop\":1", "b",
		 "the agent was stopped in it, and was killed; its guard undid it"},
		{"test.guards", "\"die\":1, \"fail\":\"undo\"", "b",
		 "the agent ended in it; its guard could not undo it: undo was told to fail"},
		{"test.count", "\"die\":1", "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *b = qb_asprintf("{\"name\":\"b\", %s}", cases[i].ends);
		const char *const args[] = {"{\"name\":\"a\"}", b, NULL};
		bool stands = !cases[i].error || strstr(cases[i].error, "could not");
		_cleanup_runs_ struct qb_runs runs = {0};
		const struct qb_run *run;
		char undone[8];

		undone_after(cases[i].kind, args, undone, &runs);
		assert_string_equal(undone, cases[i].undone);
		/* For whoever runs it again the run is broken off, and that step not begun. */
		run = &runs.v[runs.n - 1];
		assert_int_equal(run->state, QB_RUN_OPEN);
		assert_int_equal(run->steps[0].state, QB_STEP_DONE);
		assert_int_equal(run->steps[1].state, stands ? QB_STEP_INTENT : QB_STEP_UNDONE);
		if (cases[i].error)
			assert_string_equal(run->steps[1].error, cases[i].error);
		else
			assert_null(run->steps[1].error);
	}
}

/* Two steps in a row of one target stand or fall together. */
static void steps_of_one_target_have_one_guard(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", "{\"name\":\"b\"}",
					   "{\"name\":\"b\",\"die\":1}", NULL};
	_cleanup_runs_ struct qb_runs runs = {0};
	char undone[8];

	(void)state;
	undone_after("test.guards", args, undone, &runs);
	assert_string_equal(undone, "bb");
}

/* What somebody who is asked does. */
static int asked;
static int answer(void *data, struct qb_error *err)
{
	const char *how = data;

	asked++;
	qb_buf_puts(&trace, "asked;");
	if (!strcmp(how, "die"))
		raise(SIGKILL);
	return strcmp(how, "yes") != 0 ? qb_error_set(err, ETIMEDOUT, "nobody confirmed") : 0;
}

static void who_is_asked_can_have_it_undone(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", "{\"name\":\"b\"}", NULL};
	static const char *const there[] = {"{\"name\":\"a\",\"is-there\":1}", NULL};
	static const struct {
		const char *kind, *answer;
		const char *const *args;
		const char *trace;
	} cases[] = {
		/* Once, when all that could cut the host off is done. */
		{"test.guards", "yes", args,
		 "observe a;apply a;verify a;observe b;apply b;verify b;asked;"},
		{"test.guards", "no", args,
		 "observe a;apply a;verify a;observe b;apply b;verify b;asked;undo b;undo a;"},
		/* Nothing of that kind, or nothing done. */
		{"test.count", "no", args,
		 "observe a;apply a;verify a;observe b;apply b;verify b;"},
		{"test.guards", "no", there, "observe a;"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		const struct qb_apply_events asks = {.confirm = answer,
						     .data = (void *)(uintptr_t)cases[i].answer};
		_cleanup_outcome_ struct qb_outcome outcome = {0};
		_cleanup_runs_ struct qb_runs runs = {0};
		enum qb_run_state wanted =
			strstr(cases[i].trace, "undo") ? QB_RUN_UNDONE : QB_RUN_DONE;

		events = &asks;
		assert_int_equal(run(cases[i].kind, cases[i].args, &outcome, &runs), wanted);
		events = NULL;
		assert_string_equal(trace.s, cases[i].trace);
		if (wanted == QB_RUN_UNDONE)
			assert_string_equal(outcome.steps[1].error, "nobody confirmed");
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	}
}

/* Until somebody says yes, everything that could cut the host off is undone without the agent. */
static void a_guard_stands_by_while_somebody_is_asked(void **state)
{
	static const char *const args[] = {"{\"name\":\"a\"}", "{\"name\":\"b\"}", NULL};
	static const struct qb_apply_events asks = {.confirm = answer, .data = (void *)"die"};
	_cleanup_runs_ struct qb_runs runs = {0};
	char undone[8];

	(void)state;
	events = &asks;
	undone_after("test.guards", args, undone, &runs);
	events = NULL;
	assert_string_equal(undone, "ba");
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(runs.v[runs.n - 1].steps[i].state, QB_STEP_UNDONE);
}

static void a_guard_that_is_not_needed_does_nothing(void **state)
{
	static const char *const good[] = {"{\"name\":\"a\"}", NULL};
	static const char *const bad[] = {"{\"name\":\"a\",\"fail\":\"verify\"}", NULL};
	_cleanup_outcome_ struct qb_outcome first = {0}, second = {0};
	_cleanup_runs_ struct qb_runs runs = {0}, after = {0};
	char words[8];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	heard = fds[1];
	assert_int_equal(run("test.guards", good, &first, &runs), QB_RUN_DONE);
	assert_string_equal(trace.s, "observe a;apply a;verify a;");
	assert_int_equal(run("test.guards", bad, &second, &after), QB_RUN_UNDONE);
	assert_string_equal(trace.s, "observe a;apply a;verify a;undo a;");
	/* Nobody is left, and only the run itself has undone anything. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	heard = -1;
	close(fds[1]);
	assert_int_equal(read(fds[0], words, sizeof(words)), 1);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_guard_undoes_the_step_that_is_under_way, setup,
						teardown),
		cmocka_unit_test_setup_teardown(steps_of_one_target_have_one_guard, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_is_asked_can_have_it_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_guard_stands_by_while_somebody_is_asked, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_guard_that_is_not_needed_does_nothing, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
