/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

enum {
	LINKS_MAX = 40, /* as path_resolution(7) */
	DEPTH_MAX = 64, /* directories one below the other */
	RACES_MAX = 16, /* openat2 says EAGAIN when a rename or mount crosses its ".." */
	VALUE_MAX = 4096,
};

int qb_root_open(const char *path, struct qb_root *ret, struct qb_error *err)
{
	struct stat root, self;
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return qb_error_errno(err, errno, "%s: cannot open the root directory", path);
	if (stat("/", &root) < 0 || fstat(fd, &self) < 0)
		return qb_error_errno(err, errno, "%s: cannot look at the root directory", path);
	ret->path = qb_strdup(path);
	ret->live = root.st_dev == self.st_dev && root.st_ino == self.st_ino;
	ret->fd = QB_TAKE_FD(fd);
	return 0;
}

void qb_root_done(struct qb_root *root)
{
	if (root->fd >= 0)
		close(root->fd);
	free(root->path);
	qb_strs_done(&root->hung);
	*root = (struct qb_root)QB_ROOT_INIT;
}

/* One directory after the other, so that a link is never followed by the kernel. */
struct walk {
	int fds[DEPTH_MAX];
	size_t depth; /* fds[0] is the root, borrowed */
	unsigned links;
};

static void walk_up(struct walk *w, size_t depth)
{
	while (w->depth > depth)
		close(w->fds[w->depth--]);
}

static int walk_link(struct walk *w, const char *name, const char *rest, char **ret_rest)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(w->fds[w->depth], name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	if (n == 0 || ++w->links > LINKS_MAX)
		return -ELOOP;
	target[n] = '\0';
	if (target[0] == '/')
		walk_up(w, 0);
	*ret_rest = qb_asprintf("%s/%s", target, rest);
	return 0;
}

/* Takes the walk through all of path but its last component, which *ret_name names. */
static int walk_to(struct walk *w, const char *path, bool follow_last, char **ret_name)
{
	_cleanup_free_ char *todo = qb_strdup(path);
	const char *rest = todo;

	for (;;) {
		_cleanup_free_ char *name = NULL;
		struct stat st;
		size_t n;
		bool last;

		rest += strspn(rest, "/");
		n = strcspn(rest, "/");
		name = n ? qb_strndup(rest, n) : qb_strdup(".");
		rest += n;
		last = !rest[strspn(rest, "/")];
		if (!strcmp(name, "..")) {
			walk_up(w, w->depth ? w->depth - 1 : 0);
			name[1] = '\0';
		}
		if (fstatat(w->fds[w->depth], name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISLNK(st.st_mode) && (!last || follow_last || *rest)) {
			char *more;
			int r = walk_link(w, name, rest, &more);

			if (r < 0)
				return r;
			free(todo);
			rest = todo = more;
			continue;
		}
		if (last) {
			*ret_name = QB_TAKE_PTR(name);
			return 0;
		}
		if (!strcmp(name, "."))
			continue;
		if (w->depth + 1 == DEPTH_MAX)
			return -ENAMETOOLONG;
		w->fds[w->depth + 1] = openat(w->fds[w->depth], name,
					      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (w->fds[w->depth + 1] < 0)
			return -errno;
		w->depth++;
	}
}

/* What openat2() with RESOLVE_IN_ROOT does, for kernels before 5.6 and for seccomp filters. */
static int walk_openat(const struct qb_root *root, const char *path, int flags, mode_t mode)
{
	struct walk w = {.fds = {root->fd}};
	_cleanup_free_ char *name = NULL;
	int r = walk_to(&w, path, !(flags & (O_NOFOLLOW | O_EXCL)), &name);

	if (r == 0) {
		r = openat(w.fds[w.depth], name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
		if (r < 0)
			r = -errno;
	}
	walk_up(&w, 0);
	return r;
}

/* By its name: what a link leads to is not looked at for this. */
static bool is_hung(const struct qb_root *root, const char *path)
{
	for (size_t i = 0; i < root->hung.n; i++)
		if (qb_path_is_in(path, root->hung.v[i]))
			return true;
	return false;
}

int qb_root_openat(const struct qb_root *root, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	if (is_hung(root, path))
		return -ETIMEDOUT;
	for (unsigned i = 0; i < RACES_MAX; i++) {
		fd = syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	/* Also where others mount or rename so much that no try stays undisturbed. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN))
		return walk_openat(root, path, flags, mode);
	return fd < 0 ? -errno : (int)fd;
}

int qb_root_read_stat(const struct qb_root *root, const char *path, size_t max, char **ret,
		      size_t *ret_len, struct stat *ret_stat)
{
	/* O_NONBLOCK: a fifo in a captured tree must not hold the reader. */
	_cleanup_close_ int fd = qb_root_openat(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, size = 4096;

	if (fd < 0)
		return fd;
	if (fstat(fd, ret_stat) < 0)
		return -errno;
	if (S_ISDIR(ret_stat->st_mode))
		return -EISDIR;
	if (!S_ISREG(ret_stat->st_mode))
		return -EINVAL;
	for (;;) {
		ssize_t n;

		buf = qb_realloc(buf, size, 1);
		n = read(fd, buf + len, size - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
		/* A file with a size ends where a read comes up short. Those of /proc have none,
		 * and sysfs gives a page of 4 KiB or more at a time. */
		if (n == 0 || (ret_stat->st_size > 0 && n < 4096 && len + 1 < size))
			break;
		if (len + 1 == size)
			size *= 2;
	}
	buf[len] = '\0';
	*ret = QB_TAKE_PTR(buf);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int qb_root_read(const struct qb_root *root, const char *path, size_t max, char **ret,
		 size_t *ret_len)
{
	struct stat st;

	return qb_root_read_stat(root, path, max, ret, ret_len, &st);
}

int qb_root_read_value(const struct qb_root *root, const char *path, char **ret)
{
	_cleanup_free_ char *text = NULL;
	int r = qb_root_read(root, path, VALUE_MAX, &text, NULL);

	if (r < 0)
		return r;
	*ret = qb_strdup(qb_strip(text));
	return 0;
}

int qb_root_read_u64(const struct qb_root *root, const char *path, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = qb_root_read_value(root, path, &text);

	return r < 0 ? r : qb_parse_u64(text, ret);
}

int qb_root_list(const struct qb_root *root, const char *path, struct qb_strs *ret)
{
	_cleanup_close_ int fd = qb_root_openat(root, path, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_strs_ struct qb_strs names = {0};
	_Alignas(struct dirent64) char part[4096];
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	/* Not by opendir(3): three more calls and 32 KiB for each of the hundred that are read. */
	while ((n = syscall(SYS_getdents64, fd, part, sizeof(part))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const struct dirent64 *)(part + at);

			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
				qb_strs_add(&names, e->d_name);
			at += e->d_reclen;
		}
	/* It is gone, as a process is: so it holds no more. */
	if (n < 0 && errno != ENOENT)
		return -errno;
	qb_strs_sort(&names);
	*ret = names;
	names = (struct qb_strs){0};
	return 0;
}

int qb_root_readlink(const struct qb_root *root, const char *path, char **ret)
{
	_cleanup_close_ int fd = qb_root_openat(root, path, O_PATH | O_NOFOLLOW, 0);
	char target[PATH_MAX];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0)
		/* An empty path names what is no link with ENOENT; say what readlink(2) says. */
		return errno == ENOENT ? -EINVAL : -errno;
	*ret = qb_strndup(target, (size_t)n);
	return 0;
}

int qb_root_stat(const struct qb_root *root, const char *path, bool follow, struct stat *ret)
{
	_cleanup_close_ int fd = qb_root_openat(root, path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);

	if (fd < 0)
		return fd;
	return fstat(fd, ret) < 0 ? -errno : 0;
}

bool qb_root_exists(const struct qb_root *root, const char *path)
{
	struct stat st;

	return qb_root_stat(root, path, true, &st) == 0;
}
