/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "agent/base/child.h"
#include "agent/base/cleanup.h"

/* What the kernel sends when the parent has ended; nobody else here uses it. */
#define PARENT_ENDED SIGUSR1

enum {
	LOOK_MS = 100, /* should that signal not have been to be had */
	ACT_S = 60,    /* then it hangs, and the lock is to be free again */
};

/*
 * True: the word came. That the pipe is shut is not yet the end of the parent, which may have other
 * things open, and the pipe may live on in copies of it: only that it is nobody's parent any more.
 */
static bool word_comes(int fd, int signals, pid_t parent)
{
	struct pollfd p[] = {{fd, POLLIN, 0}, {signals, POLLIN, 0}};
	struct signalfd_siginfo info;
	char word;

	for (;;) {
		bool ended = getppid() != parent;
		ssize_t n = read(fd, &word, 1);

		if (n == 1)
			return true;
		if (ended)
			return false;
		if (n == 0)
			p[0].fd = -1;
		(void)poll(p, 2, LOOK_MS);
		(void)!read(signals, &info, sizeof(info));
	}
}

/* With all signals blocked, from before it was made. */
static void watch(int fd, pid_t parent, void (*act)(void *data), void *data)
{
	sigset_t mask;
	int signals;

	setsid();
	prctl(PR_SET_NAME, "qubi-guard");
	sigemptyset(&mask);
	sigaddset(&mask, PARENT_ENDED);
	signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	prctl(PR_SET_PDEATHSIG, PARENT_ENDED);
	qb_child_let_go_of_output();
	if (word_comes(fd, signals, parent))
		return;
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	alarm(ACT_S);
	act(data);
}

int qb_guard_begin(void (*act)(void *data), void *data, struct qb_guard *ret, struct qb_error *err)
{
	pid_t parent = getpid();
	sigset_t all, before;
	int fds[2], r = 0;

	*ret = (struct qb_guard)QB_GUARD_INIT;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return qb_error_errno(err, errno, "no pipe to a guard");
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	ret->pid = fork();
	if (ret->pid == 0) {
		close(fds[1]);
		watch(fds[0], parent, act, data);
		_exit(0);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (ret->pid > 0)
		ret->fd = QB_TAKE_FD(fds[1]);
	else
		r = qb_error_errno(err, errno, "no process to stand guard");
	qb_closep(&fds[0]);
	qb_closep(&fds[1]);
	return r;
}

void qb_guard_end(struct qb_guard *guard)
{
	if (guard->pid < 0)
		return;
	(void)!write(guard->fd, "", 1);
	close(guard->fd);
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guard = (struct qb_guard)QB_GUARD_INIT;
}
