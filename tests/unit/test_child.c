/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that may never answer: each has its time, and leaves the others theirs. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/child.h"
#include "agent/base/clock.h"
#include "agent/host/asking.h"
#include "tests/unit/scratch.h"

enum {
	SHORT_MS = 100,
	LONG_MS = 20000, /* nobody is to wait for as long */
};

static void never(int fd, void *data)
{
	(void)fd;
	(void)data;
	pause();
}

static void at_once(int fd, void *data)
{
	dprintf(fd, "%s\n", (const char *)data);
}

static void for_ever(int fd, void *data)
{
	(void)data;
	while (dprintf(fd, "and so on\n") > 0)
		usleep(1000);
}

static void one_that_hangs_is_late_and_the_others_are_heard(void **state)
{
	struct qb_child children[3];
	uint64_t begin = qb_now_ms();

	(void)state;
	assert_int_equal(qb_child_begin(at_once, "one", &children[0]), 0);
	assert_int_equal(qb_child_begin(never, NULL, &children[1]), 0);
	assert_int_equal(qb_child_begin(for_ever, NULL, &children[2]), 0);
	qb_children_wait(children, 3, begin + SHORT_MS);
	assert_true(qb_now_ms() - begin < LONG_MS);
	assert_string_equal(children[0].text.s, "one\n");
	assert_false(children[0].late);
	assert_true(children[1].late);
	assert_true(children[2].late);
	for (size_t i = 0; i < 3; i++)
		qb_child_done(&children[i]);
}

/* poll(2) refuses more entries than files may be open. */
static void many_that_are_not_there_do_not_matter(void **state)
{
	static struct qb_child children[200];
	struct rlimit was, few = {40, 40};

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few.rlim_max = was.rlim_max;
	for (size_t i = 0; i < 200; i++)
		children[i] = (struct qb_child)QB_CHILD_INIT;
	assert_int_equal(qb_child_begin(never, NULL, &children[150]), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	qb_children_wait(children, 200, qb_now_ms() + SHORT_MS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_true(children[150].late);
	qb_child_done(&children[150]);
}

static void says_and_waits(int fd, void *data)
{
	(void)data;
	dprintf(fd, "here\n");
	pause();
}

/* What was locked is free once this process lets go of it, whatever a child waits for. */
static void one_that_hangs_holds_no_lock(void **state)
{
	_cleanup_free_ char *name = qb_asprintf("test-lock-%d", getpid());
	char path[SCRATCH_MAX];
	struct qb_child child;
	int lock = mkstemp(scratch(path)), again = open(path, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	assert_int_equal(qb_child_begin_named(name, says_and_waits, NULL, &child), 0);
	assert_true(qb_child_says_more(&child, qb_now_ms() + LONG_MS));
	close(lock);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), 0);
	close(again);
	qb_child_done(&child);
}

static void those_of_one_name_do_not_pile_up(void **state)
{
	_cleanup_free_ char *name = qb_asprintf("test-%d", getpid());
	struct qb_child children[32];
	siginfo_t info;
	size_t n = 0;
	int r;

	(void)state;
	while ((r = qb_child_begin_named(name, never, NULL, &children[n])) == 0)
		assert_true(++n < 32);
	assert_int_equal(r, -EBUSY);
	assert_true(n > 1);
	kill(children[0].pid, SIGKILL);
	/* When it can be waited for its files are closed, and its name is free. */
	assert_int_equal(waitid(P_PID, (id_t)children[0].pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(qb_child_says_more(&children[0], qb_now_ms() + LONG_MS));
	qb_child_done(&children[0]);
	assert_int_equal(qb_child_begin_named(name, never, NULL, &children[0]), 0);
	for (size_t i = 0; i < n; i++)
		qb_child_done(&children[i]);
}

struct question {
	unsigned pause_ms, hangs;
	size_t taken, given_up;
	char *why;
	int file, lock;
};

static void tell(int fd, size_t i, void *data)
{
	const struct question *q = data;

	usleep(q->pause_ms * 1000);
	if (i + 1 == q->hangs)
		pause();
	dprintf(fd, "%zu\n", i);
}

static bool take(const char *line, size_t i, void *data)
{
	struct question *q = data;
	size_t got;

	if (sscanf(line, "%zu", &got) != 1 || !strchr(line, '\n'))
		return false;
	assert_int_equal(got, i);
	q->taken++;
	return true;
}

static void give_up(size_t i, const char *why, void *data)
{
	struct question *q = data;

	(void)i;
	q->given_up++;
	free(q->why);
	q->why = qb_strdup(why);
}

/* All of them take longer than one may. */
static void answers_that_come_slowly_are_answers(void **state)
{
	struct question q = {.pause_ms = 100};
	const struct qb_asking asking = {tell, take, give_up, &q, -1};

	(void)state;
	qb_ask_each(&asking, 0, 12, LONG_MS);
	assert_int_equal(q.taken, 12);
	assert_int_equal(q.given_up, 0);
}

static void what_hangs_costs_its_own_answer(void **state)
{
	struct question q = {.hangs = 2};
	const struct qb_asking asking = {tell, take, give_up, &q, -1};

	(void)state;
	qb_ask_each(&asking, 0, 5, LONG_MS);
	assert_int_equal(q.taken, 4);
	assert_int_equal(q.given_up, 1);
	assert_string_equal(q.why, "no answer within 1000 ms");
	free(q.why);
}

static void all_of_it_has_its_time(void **state)
{
	struct question q = {.pause_ms = 60};
	const struct qb_asking asking = {tell, take, give_up, &q, -1};

	(void)state;
	qb_ask_each(&asking, 0, 100, 300);
	assert_int_equal(q.taken + q.given_up, 100);
	assert_true(q.given_up > 50);
	assert_string_equal(q.why, "no time is left");
	free(q.why);
}

/* Says of the file that it was given and of the next one whether it has them. */
static void tell_files(int fd, size_t i, void *data)
{
	const struct question *q = data;
	struct stat given, other;

	(void)i;
	dprintf(fd, "%d\n",
		fstat(q->file, &given) == 0 && S_ISCHR(given.st_mode) &&
			!(fstat(q->lock, &other) == 0 && S_ISREG(other.st_mode)));
}

static bool take_files(const char *line, size_t i, void *data)
{
	struct question *q = data;

	(void)i;
	q->taken = line[0] == '1';
	return strchr(line, '\n');
}

/* One that hangs for good would hold on to what this process has locked. */
static void who_asks_has_one_file_of_ours(void **state)
{
	char path[SCRATCH_MAX];
	struct question q = {.file = open("/dev/null", O_RDONLY | O_CLOEXEC),
			     .lock = mkstemp(scratch(path))};
	const struct qb_asking asking = {tell_files, take_files, give_up, &q, q.file};

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_true(q.file >= 0 && q.lock >= 0);
	qb_ask_each(&asking, 0, 1, LONG_MS);
	assert_int_equal(q.given_up, 0);
	assert_int_equal(q.taken, 1);
	close(q.file);
	close(q.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_hangs_is_late_and_the_others_are_heard),
		cmocka_unit_test(many_that_are_not_there_do_not_matter),
		cmocka_unit_test(those_of_one_name_do_not_pile_up),
		cmocka_unit_test(one_that_hangs_holds_no_lock),
		cmocka_unit_test(answers_that_come_slowly_are_answers),
		cmocka_unit_test(what_hangs_costs_its_own_answer),
		cmocka_unit_test(all_of_it_has_its_time),
		cmocka_unit_test(who_asks_has_one_file_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
