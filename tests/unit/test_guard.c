/* SPDX-License-Identifier: Apache-2.0 */
/* A process that acts when its parent ends without a word, and only then. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <unistd.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "agent/base/guard.h"

enum {
	PATIENCE_MS = 10000
};

static int said[2]; /* by whoever acts */

static void act(void *data)
{
	(void)!write(said[1], data, 1);
}

/* What the one that is guarded does; it tells its guard's pid first. */
enum way {
	IS_KILLED,
	GUARD_IS_ASKED_TO_END, /* as by the terminal, or a shutdown */
	A_COPY_LIVES_ON,       /* with all that is open */
	ENDS_WELL,
};

static void live(enum way way, int tell)
{
	struct qb_error err = QB_ERROR_INIT;
	struct qb_guard guard;
	char c = 'a';

	if (qb_guard_begin(act, &c, &guard, &err) < 0)
		_exit(1);
	if (way == GUARD_IS_ASKED_TO_END) {
		kill(guard.pid, SIGHUP);
		kill(guard.pid, SIGINT);
		kill(guard.pid, SIGTERM);
	}
	if (way == A_COPY_LIVES_ON && fork() == 0) {
		alarm(3 * PATIENCE_MS / 1000);
		pause();
	}
	if (way == ENDS_WELL)
		qb_guard_end(&guard);
	(void)!write(tell, &guard.pid, sizeof(guard.pid));
	if (way != ENDS_WELL)
		kill(getpid(), SIGKILL);
	_exit(0);
}

/* Whether somebody acted; a guard that does not is through before the other end of said is shut. */
static bool acted(enum way way)
{
	int tell[2];
	pid_t guarded, guard = 0;
	char c = 0;
	bool is;

	assert_int_equal(pipe(said), 0);
	assert_int_equal(pipe(tell), 0);
	guarded = fork();
	if (guarded == 0) {
		setpgid(0, 0);
		live(way, tell[1]);
	}
	close(said[1]);
	assert_int_equal(read(tell[0], &guard, sizeof(guard)), sizeof(guard));
	assert_int_equal(waitpid(guarded, NULL, 0), guarded);
	is = poll(&(struct pollfd){said[0], POLLIN, 0}, 1, PATIENCE_MS) == 1 &&
	     read(said[0], &c, 1) == 1 && c == 'a';
	kill(-guarded, SIGKILL); /* the copy; the guard is in none of its groups */
	close(said[0]);
	close(tell[0]);
	close(tell[1]);
	return is;
}

static void it_acts_when_nobody_says_a_word(void **state)
{
	(void)state;
	assert_true(acted(IS_KILLED));
	assert_true(acted(GUARD_IS_ASKED_TO_END));
	assert_true(acted(A_COPY_LIVES_ON));
}

static void it_does_not_when_all_is_well(void **state)
{
	(void)state;
	assert_false(acted(ENDS_WELL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_acts_when_nobody_says_a_word),
		cmocka_unit_test(it_does_not_when_all_is_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
