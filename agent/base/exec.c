/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/base/clock.h"

enum {
	OUTPUT_MAX = 1 << 20,
	KILLED_MS = 1000,
	LINES_OF_ERROR = 3,
	STATUS_NOT_RUN = 127
};

void qb_exec_result_done(struct qb_exec_result *r)
{
	free(r->out);
	free(r->err);
	*r = (struct qb_exec_result){0};
}

_Noreturn static void child(const char *const *argv, pid_t parent, int out, int err)
{
	/* LVM's remarks go to stderr: else they stand in the midst of the JSON of its reports. */
	static char *const env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				    (char *)"LC_ALL=C", (char *)"LVM_OUT_FD=2",
				    (char *)"LVM_REPORT_FD=1", NULL};
	sigset_t none;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sigemptyset(&none);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(STATUS_NOT_RUN);
	execve(argv[0], (char *const *)(uintptr_t)argv, env);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(STATUS_NOT_RUN);
}

/* Reads what is there; closes the fd at its end. What is beyond OUTPUT_MAX is thrown away. */
static int drain(int *fd, struct qb_buf *into)
{
	char chunk[4096];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		close(QB_TAKE_FD(*fd));
	else if (into->len + (size_t)n <= OUTPUT_MAX)
		qb_buf_add(into, chunk, (size_t)n);
	return 0;
}

/*
 * Until the child has ended, and what it wrote has been read. A grandchild that keeps the pipes is
 * not waited for.
 */
static int follow(int pidfd, int *out, int *err, int64_t deadline, struct qb_buf *out_text,
		  struct qb_buf *err_text)
{
	bool ended = false;

	while (*out >= 0 || *err >= 0 || !ended) {
		struct pollfd p[] = {
			{*out, POLLIN, 0}, {*err, POLLIN, 0}, {ended ? -1 : pidfd, POLLIN, 0}};
		int64_t left = deadline - (int64_t)qb_now_ms();
		int r = left > 0 ? poll(p, 3, ended ? 0 : (int)left) : 0;

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0 && ended)
			break;
		if (r == 0)
			return -ETIMEDOUT;
		if (p[0].revents && (r = drain(out, out_text)) < 0)
			return r;
		if (p[1].revents && (r = drain(err, err_text)) < 0)
			return r;
		if (p[2].revents)
			ended = true;
	}
	return 0;
}

int qb_exec(const char *const *argv, unsigned timeout_ms, struct qb_exec_result *ret,
	    struct qb_error *err)
{
	_cleanup_close_ int out_r = -1, out_w = -1, err_r = -1, err_w = -1, pidfd = -1;
	_cleanup_buf_ struct qb_buf out_text = {0}, err_text = {0};
	pid_t parent = getpid(), pid;
	int out[2], errs[2], status, r;

	if (argv[0][0] != '/')
		return qb_error_set(err, EINVAL, "%s: not an absolute path", argv[0]);
	if (pipe2(out, O_CLOEXEC) < 0)
		return qb_error_errno(err, errno, "%s: pipe", argv[0]);
	out_r = out[0], out_w = out[1];
	if (pipe2(errs, O_CLOEXEC) < 0)
		return qb_error_errno(err, errno, "%s: pipe", argv[0]);
	err_r = errs[0], err_w = errs[1];
	pid = fork();
	if (pid < 0)
		return qb_error_errno(err, errno, "%s: fork", argv[0]);
	if (pid == 0)
		child(argv, parent, out_w, err_w);
	close(QB_TAKE_FD(out_w));
	close(QB_TAKE_FD(err_w));

	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	qb_buf_puts(&out_text, "");
	qb_buf_puts(&err_text, "");
	r = pidfd < 0 ? -errno
		      : follow(pidfd, &out_r, &err_r, (int64_t)qb_now_ms() + timeout_ms, &out_text,
			       &err_text);
	if (r < 0)
		kill(pid, SIGKILL);
	/* One that hangs in the kernel does not even end when it is killed: it is left behind. */
	if (r == -ETIMEDOUT && poll(&(struct pollfd){pidfd, POLLIN, 0}, 1, KILLED_MS) == 0)
		return qb_error_set(err, ETIMEDOUT, "%s: did not end within %u ms, nor when killed",
				    argv[0], timeout_ms);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return qb_error_errno(err, errno, "%s: waitpid", argv[0]);
	if (r == -ETIMEDOUT)
		return qb_error_set(err, ETIMEDOUT, "%s: did not end within %u ms", argv[0],
				    timeout_ms);
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot follow it", argv[0]);
	ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	ret->out = QB_TAKE_PTR(out_text.s);
	ret->err = QB_TAKE_PTR(err_text.s);
	return 0;
}

/* What went wrong may stand before the last line, which LVM has for what became of it. */
static char *last_lines(char *text)
{
	const char *lines[LINES_OF_ERROR] = {NULL};
	_cleanup_buf_ struct qb_buf said = {0};
	char *line;

	while ((line = strsep(&text, "\n"))) {
		line = qb_strip(line);
		if (!*line)
			continue;
		memmove(lines, lines + 1, sizeof(lines) - sizeof(lines[0]));
		lines[LINES_OF_ERROR - 1] = line;
	}
	qb_buf_puts(&said, "");
	for (size_t i = 0; i < LINES_OF_ERROR; i++)
		if (lines[i])
			qb_buf_printf(&said, "%s%s", said.len ? "; " : "", lines[i]);
	return qb_str_printable(said.s);
}

int qb_exec_check(const char *const *argv, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_exec_ struct qb_exec_result result = {0};
	_cleanup_free_ char *said = NULL;
	int r = qb_exec(argv, timeout_ms, &result, err);

	if (r < 0 || result.status == 0)
		return r;
	said = last_lines(result.err);
	return qb_error_set(err, EIO, "%s ended with status %d%s%s", argv[0], result.status,
			    *said ? ": " : "", said);
}
