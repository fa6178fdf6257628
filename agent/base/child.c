/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/base/clock.h"

/* One that cannot be killed is not to keep open what others read to its end. */
static void let_go_of_output(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		(void)dup2(null, fd);
}

int qb_child_begin(void (*tell)(int fd, void *data), void *data, struct qb_child *ret)
{
	pid_t parent = getpid();
	int fds[2], r = 0;

	*ret = (struct qb_child)QB_CHILD_INIT;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	ret->pid = fork();
	if (ret->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		let_go_of_output();
		if (getppid() == parent)
			tell(fds[1], data);
		_exit(0);
	}
	if (ret->pid > 0)
		ret->fd = QB_TAKE_FD(fds[0]);
	else
		r = -errno;
	qb_closep(&fds[0]);
	qb_closep(&fds[1]);
	return r;
}

void qb_child_say(int fd, const json_t *document)
{
	char *text = json_dumps(document, JSON_COMPACT);

	if (text)
		dprintf(fd, "%s\n", text);
	free(text);
}

/* False at the end of what it says. */
static bool listen_to(struct qb_child *c)
{
	char chunk[16 << 10];
	ssize_t n = read(c->fd, chunk, sizeof(chunk));

	if (n > 0)
		qb_buf_add(&c->text, chunk, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void end(struct qb_child *c)
{
	close(QB_TAKE_FD(c->fd));
	/* Not waited for: one that hangs does not even end when it is killed. */
	waitpid(c->pid, NULL, WNOHANG);
}

static void give_up(struct qb_child *c)
{
	c->late = true;
	kill(c->pid, SIGKILL);
	end(c);
}

void qb_children_wait(struct qb_child *children, size_t n, uint64_t deadline_ms)
{
	struct pollfd *p = qb_alloc(n, sizeof(*p));
	size_t open;

	do {
		uint64_t now = qb_now_ms();
		int r;

		open = 0;
		for (size_t i = 0; i < n; i++) {
			p[i] = (struct pollfd){children[i].fd, POLLIN, 0};
			open += children[i].fd >= 0;
		}
		r = open ? poll(p, n, deadline_ms > now ? (int)(deadline_ms - now) : 0) : 0;
		for (size_t i = 0; i < n; i++) {
			if (children[i].fd < 0)
				continue;
			if (r == 0)
				give_up(&children[i]);
			else if (r > 0 && p[i].revents && !listen_to(&children[i]))
				end(&children[i]);
		}
	} while (open);
	free(p);
}

void qb_child_done(struct qb_child *child)
{
	if (child->fd >= 0)
		give_up(child);
	qb_buf_done(&child->text);
}
