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

/* True: the word came. A descriptor of the parent's may live on in other copies of it, so that the
 * pipe ends is not the only sign of its end. */
static bool word_comes(int fd, int ended, pid_t parent)
{
	struct pollfd p[] = {{fd, POLLIN, 0}, {ended, POLLIN, 0}};
	char word;

	while (getppid() == parent && poll(p, 2, -1) < 0 && errno == EINTR)
		;
	/* It may have come just before the end. */
	return read(fd, &word, 1) == 1;
}

/* With all signals blocked, from before it was made. */
static void watch(int fd, pid_t parent, void (*act)(void *data), void *data)
{
	sigset_t mask;
	int ended;

	setsid();
	sigemptyset(&mask);
	sigaddset(&mask, PARENT_ENDED);
	ended = signalfd(-1, &mask, SFD_CLOEXEC);
	prctl(PR_SET_PDEATHSIG, PARENT_ENDED);
	qb_child_let_go_of_output();
	if (!word_comes(fd, ended, parent))
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
