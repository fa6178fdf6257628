/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/base/clock.h"

enum {
	NAMED_MAX = 16, /* several runs may meet */
};

void qb_child_let_go_of_output(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		(void)dup2(null, fd);
}

void qb_child_keep_files(int fd, int other)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int n = atoi(entry->d_name);

		if (n > STDERR_FILENO && n != fd && n != other && n != dirfd(dir))
			close(n);
	}
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
		qb_child_let_go_of_output();
		if (getppid() == parent)
			tell(fds[1], data);
		_exit(0);
	}
	if (ret->pid > 0)
		ret->fd = QB_TAKE_FD(fds[0]);
	else
		r = -errno;
	ret->heard_ms = qb_now_ms();
	qb_closep(&fds[0]);
	qb_closep(&fds[1]);
	return r;
}

/* A name that the kernel knows for as long as a process has the socket: unix(7), abstract. */
static struct sockaddr_un address_of(const char *name, unsigned i, socklen_t *ret_len)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "qubi-agent/%s/%u", name, i);

	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	if (*ret_len > sizeof(a))
		*ret_len = sizeof(a);
	return a;
}

/* Whether who has the name is of the same user: anybody may take one. */
static bool is_own(const struct sockaddr_un *a, socklen_t len)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t who_len = sizeof(who);

	return fd >= 0 && connect(fd, (const struct sockaddr *)a, len) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_len) == 0 && who.uid == geteuid();
}

int qb_child_hold_name(const char *name)
{
	bool busy = true;

	for (unsigned i = 0; i < NAMED_MAX; i++) {
		/* A program that the child runs keeps the name as well. */
		_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		socklen_t len;
		struct sockaddr_un a = address_of(name, i, &len);

		if (fd < 0)
			return -errno;
		if (bind(fd, (const struct sockaddr *)&a, len) == 0 && listen(fd, SOMAXCONN) == 0)
			return QB_TAKE_FD(fd);
		if (errno != EADDRINUSE)
			return -errno;
		busy &= is_own(&a, len);
	}
	return busy ? -EBUSY : -EADDRINUSE;
}

struct named {
	void (*tell)(int fd, void *data);
	void *data;
	int held;
};

static void tell_named(int fd, void *data)
{
	const struct named *named = data;

	qb_child_keep_files(fd, named->held);
	named->tell(fd, named->data);
}

int qb_child_begin_named(const char *name, void (*tell)(int fd, void *data), void *data,
			 struct qb_child *ret)
{
	/* The child has it by being a copy of this process; here it is closed. */
	_cleanup_close_ int held = qb_child_hold_name(name);
	struct named named = {tell, data, held};

	*ret = (struct qb_child)QB_CHILD_INIT;
	/* Without a name it is one that is not counted. */
	return held == -EBUSY ? -EBUSY : qb_child_begin(tell_named, &named, ret);
}

int qb_child_leave(void (*act)(void *data), void *data, int keep)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : 0;
	(void)setsid();
	qb_child_let_go_of_output();
	qb_child_keep_files(keep, -1);
	act(data);
	_exit(0);
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
	char chunk[64 << 10]; /* as much as a pipe holds */
	ssize_t n = read(c->fd, chunk, sizeof(chunk));

	if (n > 0) {
		qb_buf_add(&c->text, chunk, (size_t)n);
		c->heard_ms = qb_now_ms();
	}
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

/* Those that have not ended, for poll(2); which is which in ret_index. */
static size_t open_ones(const struct qb_child *children, size_t n, struct pollfd *ret,
			size_t *ret_index)
{
	size_t open = 0;

	for (size_t i = 0; i < n; i++)
		if (children[i].fd >= 0) {
			ret[open] = (struct pollfd){children[i].fd, POLLIN, 0};
			ret_index[open++] = i;
		}
	return open;
}

bool qb_children_hear(struct qb_child *children, size_t n, uint64_t until_ms)
{
	struct pollfd *p = qb_alloc(n, sizeof(*p));
	size_t *index = qb_alloc(n, sizeof(*index)), open = open_ones(children, n, p, index);
	uint64_t now = qb_now_ms();

	if (open && poll(p, open, until_ms > now ? (int)(until_ms - now) : 0) > 0)
		for (size_t i = 0; i < open; i++) {
			struct qb_child *c = &children[index[i]];

			if (p[i].revents && !listen_to(c))
				end(c);
		}
	free(index);
	free(p);
	return open;
}

void qb_children_wait(struct qb_child *children, size_t n, uint64_t deadline_ms)
{
	/* One that goes on talking is late as well. */
	while (qb_children_hear(children, n, deadline_ms) && qb_now_ms() < deadline_ms)
		;
	for (size_t i = 0; i < n; i++)
		if (children[i].fd >= 0)
			give_up(&children[i]);
}

bool qb_child_says_more(struct qb_child *child, uint64_t deadline_ms)
{
	size_t said = child->text.len;

	while (child->fd >= 0 && child->text.len == said) {
		struct pollfd p = {child->fd, POLLIN, 0};
		uint64_t now = qb_now_ms();
		int r = poll(&p, 1, deadline_ms > now ? (int)(deadline_ms - now) : 0);

		if (r > 0 && !listen_to(child))
			end(child);
		else if (r == 0 || (r < 0 && errno != EINTR))
			give_up(child);
	}
	return child->text.len > said;
}

void qb_child_done(struct qb_child *child)
{
	if (child->fd >= 0)
		give_up(child);
	qb_buf_done(&child->text);
}
