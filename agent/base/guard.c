/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "agent/base/child.h"
#include "agent/base/cleanup.h"

/* What the kernel sends when the parent has ended; nobody else here uses it. */
#define PARENT_ENDED SIGUSR1

enum {
	LOOK_MS = 100,     /* whether it is stopped, which nobody tells */
	STOPPED_MS = 2000, /* a debugger that looks and lets go is no reason */
	DIES_MS = 1000,    /* it may be in the kernel, from where it does not come back */
	ACT_S = 120,       /* then it hangs, and the lock is to be free again */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void read_proc(pid_t pid, const char *file, char *ret, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, ret, size - 1);
	ret[n > 0 ? n : 0] = '\0';
	qb_closep(&fd);
}

/* proc_pid_stat(5): "pid (name) state"; the name may hold anything. */
static bool is_stopped(pid_t pid)
{
	char text[128];
	const char *end;

	read_proc(pid, "stat", text, sizeof(text));
	end = strrchr(text, ')');
	return end && (end[1] == ' ') && (end[2] == 'T' || end[2] == 't');
}

/* What it has run so far, in ns. One that is traced is stopped often, and goes on all the same. */
static unsigned long long runtime_of(pid_t pid)
{
	unsigned long long ns = 0;
	char text[128];

	read_proc(pid, "schedstat", text, sizeof(text));
	return sscanf(text, "%llu", &ns) == 1 ? ns : 0;
}

struct watch {
	int fd, signals;
	pid_t parent;
	uint64_t end_ms, stopped_ms; /* since when it is stopped; 0: it is not */
	unsigned long long runtime;  /* when that began */
};

/* Whether there is a reason to act by now. */
static bool has_reason(struct watch *w, enum qb_guard_why *ret)
{
	uint64_t now = now_ms();

	if (getppid() != w->parent) {
		*ret = QB_GUARD_ENDED;
		return true;
	}
	if (!is_stopped(w->parent)) {
		w->stopped_ms = 0;
	} else if (!w->stopped_ms || w->runtime != runtime_of(w->parent)) {
		w->stopped_ms = now;
		w->runtime = runtime_of(w->parent);
	}
	*ret = now >= w->end_ms ? QB_GUARD_LATE : QB_GUARD_STOPPED;
	return now >= w->end_ms || (w->stopped_ms && now >= w->stopped_ms + STOPPED_MS);
}

/*
 * True: the word came. That the pipe is shut is not yet the end of the parent, which may have other
 * things open, and the pipe may live on in copies of it: only that it is nobody's parent any more.
 */
static bool word_comes(struct watch *w, enum qb_guard_why *ret)
{
	struct pollfd p[] = {{w->fd, POLLIN, 0}, {w->signals, POLLIN, 0}};
	struct signalfd_siginfo info;
	char word;

	for (;;) {
		bool act = has_reason(w, ret);
		ssize_t n = read(w->fd, &word, 1);

		if (n == 1)
			return true;
		if (act)
			return false;
		if (n == 0)
			p[0].fd = -1;
		(void)poll(p, 2, LOOK_MS);
		(void)!read(w->signals, &info, sizeof(info));
	}
}

/* It is our parent for as long as it is there, so its number is nobody else's. */
static void end_parent(pid_t parent)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L / 10};
	uint64_t end = now_ms() + DIES_MS;

	if (getppid() == parent)
		kill(parent, SIGKILL);
	while (getppid() == parent && now_ms() < end)
		nanosleep(&pause, NULL);
}

/* With all signals blocked, from before it was made. */
static void stand_by(struct watch *w, void (*act)(void *data, enum qb_guard_why why), void *data)
{
	enum qb_guard_why why;
	sigset_t mask;

	setsid();
	prctl(PR_SET_NAME, "qubi-guard");
	sigemptyset(&mask);
	sigaddset(&mask, PARENT_ENDED);
	w->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	prctl(PR_SET_PDEATHSIG, PARENT_ENDED);
	qb_child_let_go_of_output();
	if (word_comes(w, &why))
		return;
	end_parent(w->parent);
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	alarm(ACT_S);
	act(data, why);
}

int qb_guard_begin(void (*act)(void *data, enum qb_guard_why why), void *data, unsigned limit_ms,
		   struct qb_guard *ret, struct qb_error *err)
{
	struct watch watch = {.parent = getpid(), .end_ms = now_ms() + limit_ms};
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
		watch.fd = fds[0];
		stand_by(&watch, act, data);
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
