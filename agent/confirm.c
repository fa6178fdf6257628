/* SPDX-License-Identifier: Apache-2.0 */
/* Whether somebody still reaches this host: asked for a while, and no answer is a no. */
#include "agent/prepare.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"

enum {
	TICK_MS = 200,   /* for the countdown and for signals, which are held back */
	AHEAD_MAX = 1000 /* reads */
};

int qb_can_confirm(const struct qb_invocation *inv)
{
	struct stat st;

	if (!inv->opt.confirm_ms || isatty(STDIN_FILENO) ||
	    (fstat(STDIN_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))))
		return QB_EXIT_OK;
	qb_log(QB_LOG_ERROR,
	       "nothing was done: --confirm needs somebody to ask, and standard input "
	       "is neither a terminal nor a pipe");
	return QB_EXIT_USAGE;
}

static bool is_stopped_by_signal(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM));
}

static void ask(bool terminal, unsigned left_s)
{
	fprintf(stderr, "%sStill connected? Keep the change? [y/N] (undone in %u s) ",
		terminal ? "\r\033[K" : "", left_s);
}

/* Seldom, since it hides what is being typed. */
static bool is_to_be_told(unsigned left_s)
{
	return left_s % 10 == 0 || left_s <= 5;
}

/* One line: 1 yes, 0 no. -EPIPE: nobody is there who could answer. */
static int read_answer(void)
{
	char text[64];
	ssize_t n = read(STDIN_FILENO, text, sizeof(text));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return -EAGAIN;
	return n <= 0 ? -EPIPE : text[0] == 'y' || text[0] == 'Y';
}

/* What was sent before the question is no answer to it. -EAGAIN, or as read_answer(). */
static int forget_input(void)
{
	struct pollfd in = {STDIN_FILENO, POLLIN, 0};

	tcflush(STDIN_FILENO, TCIFLUSH);
	for (int i = 0; i < AHEAD_MAX; i++) {
		if (poll(&in, 1, 0) <= 0)
			return -EAGAIN;
		if (read_answer() == -EPIPE)
			return -EPIPE;
	}
	/* Whoever says yes all the time has not read what to. */
	return 0;
}

int qb_confirm(void *data, struct qb_error *err)
{
	const struct qb_invocation *inv = data;
	uint64_t end = qb_now_ms() + inv->opt.confirm_ms, now;
	bool terminal = isatty(STDERR_FILENO);
	unsigned told_s = 0;
	struct pollfd in = {STDIN_FILENO, POLLIN, 0};
	int answer = forget_input();

	while (answer == -EAGAIN && !is_stopped_by_signal() && (now = qb_now_ms()) < end) {
		unsigned left_s = (unsigned)((end - now + 999) / 1000);

		if (!told_s || (terminal && left_s != told_s && is_to_be_told(left_s))) {
			ask(terminal, left_s);
			told_s = left_s;
		}
		if (poll(&in, 1, (int)(end - now < TICK_MS ? end - now : TICK_MS)) > 0)
			answer = read_answer();
	}
	if (answer != 1 || !terminal)
		fputc('\n', stderr);
	if (answer == 1)
		return 0;
	if (answer == 0)
		return qb_error_set(err, ECANCELED, "it was answered that it is not to be kept");
	if (answer == -EPIPE)
		return qb_error_set(err, EPIPE,
				    "whoever was to confirm it is gone: standard input has ended");
	if (is_stopped_by_signal())
		return qb_error_set(err, EINTR, "stopped by a signal instead of being confirmed");
	return qb_error_set(err, ETIMEDOUT, "nobody confirmed within %u s that it is to be kept",
			    inv->opt.confirm_ms / 1000);
}
