/* SPDX-License-Identifier: Apache-2.0 */
/* A process that acts when its parent ends without a word, stops or hangs, and only then. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "agent/base/guard.h"

enum {
	PATIENCE_MS = 10000,
	LIMIT_MS = 300
};

static int said[2]; /* by whoever acts */

/* The reason, and whether the one that was guarded can still do anything. */
static void act(void *data, enum qb_guard_why why)
{
	static const char letters[] = {
		[QB_GUARD_ENDED] = 'e', [QB_GUARD_STOPPED] = 's', [QB_GUARD_LATE] = 'l'};
	const pid_t *parent = data;
	bool is_there = getppid() == *parent;

	(void)!write(said[1], is_there ? "!" : &letters[why], 1);
}

/* What the one that is guarded does; it tells its guard's pid first. */
enum way {
	IS_KILLED,
	GUARD_IS_ASKED_TO_END, /* as by the terminal, or a shutdown */
	A_COPY_LIVES_ON,       /* with all that is open */
	IS_STOPPED,
	IS_STOPPED_FOR_A_MOMENT,
	HANGS,
	ENDS_WELL,
};

static void live(enum way way, int tell)
{
	struct qb_error err = QB_ERROR_INIT;
	unsigned limit_ms = way == HANGS ? LIMIT_MS : 6 * PATIENCE_MS;
	struct qb_guard guard;
	pid_t self = getpid();

	if (qb_guard_begin(act, &self, limit_ms, &guard, &err) < 0)
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
	switch (way) {
	case IS_KILLED:
	case GUARD_IS_ASKED_TO_END:
	case A_COPY_LIVES_ON:
		kill(self, SIGKILL);
		break;
	case IS_STOPPED:
		kill(self, SIGSTOP);
		break;
	case IS_STOPPED_FOR_A_MOMENT:
		kill(self, SIGSTOP);
		qb_guard_end(&guard);
		break;
	case HANGS:
		pause();
		break;
	case ENDS_WELL:
		break;
	}
	_exit(0);
}

/* What somebody said who acted, or '-'; a guard that does not act is through before the other end
 * of said is shut. */
static char said_by_guard(enum way way)
{
	const struct timespec moment = {.tv_nsec = 500000000};
	int tell[2], status;
	pid_t guarded, guard = 0;
	char c = '-';

	assert_int_equal(pipe(said), 0);
	assert_int_equal(pipe(tell), 0);
	guarded = fork();
	if (guarded == 0) {
		setpgid(0, 0);
		live(way, tell[1]);
	}
	close(said[1]);
	assert_int_equal(read(tell[0], &guard, sizeof(guard)), sizeof(guard));
	if (way == IS_STOPPED_FOR_A_MOMENT) {
		assert_int_equal(waitpid(guarded, &status, WUNTRACED), guarded);
		nanosleep(&moment, NULL);
		kill(guarded, SIGCONT);
	}
	assert_int_equal(waitpid(guarded, &status, 0), guarded);
	assert_int_equal(WIFEXITED(status), way == ENDS_WELL || way == IS_STOPPED_FOR_A_MOMENT);
	if (poll(&(struct pollfd){said[0], POLLIN, 0}, 1, PATIENCE_MS) == 1)
		(void)!read(said[0], &c, 1);
	kill(-guarded, SIGKILL); /* the copy; the guard is in none of its groups */
	close(said[0]);
	close(tell[0]);
	close(tell[1]);
	return c;
}

static void it_acts_when_nobody_says_a_word(void **state)
{
	(void)state;
	assert_int_equal(said_by_guard(IS_KILLED), 'e');
	assert_int_equal(said_by_guard(GUARD_IS_ASKED_TO_END), 'e');
	assert_int_equal(said_by_guard(A_COPY_LIVES_ON), 'e');
}

/* Whoever acts acts alone: what was guarded has been killed by then. */
static void it_ends_what_is_stopped_or_hangs(void **state)
{
	(void)state;
	assert_int_equal(said_by_guard(IS_STOPPED), 's');
	assert_int_equal(said_by_guard(HANGS), 'l');
}

static void it_does_not_when_all_is_well(void **state)
{
	(void)state;
	assert_int_equal(said_by_guard(ENDS_WELL), '-');
	assert_int_equal(said_by_guard(IS_STOPPED_FOR_A_MOMENT), '-');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_acts_when_nobody_says_a_word),
		cmocka_unit_test(it_ends_what_is_stopped_or_hangs),
		cmocka_unit_test(it_does_not_when_all_is_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
