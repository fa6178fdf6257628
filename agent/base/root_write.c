/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/root.h"

#include <errno.h>
#include <fcntl.h>

/* The directory part of path, "/" at least. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash != path ? qb_strndup(path, (size_t)(slash - path)) : qb_strdup("/");
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int qb_file_replace(int dir, const char *temp, const char *name, const struct qb_file_as *as,
		    const char *data, size_t len)
{
	/* O_TMPFILE has no rename over an existing name, so it is a file beside it. */
	_cleanup_close_ int fd =
		openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	/* fchown(2) takes bits of the mode away, and umask must not decide. */
	r = fchown(fd, as->uid, as->gid) < 0 || fchmod(fd, as->mode) < 0 ? -errno
									 : write_all(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir, temp, dir, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, temp, 0);
	else if (fsync(dir) < 0)
		r = -errno;
	return r;
}

/* Those who write state hold the lock: what has the name was left over by one that was killed. */
static int write_beside(int dir, const char *name, mode_t mode, const char *data, size_t len)
{
	const struct qb_file_as as = {mode, (uid_t)-1, (gid_t)-1};
	_cleanup_free_ char *temp = qb_asprintf(".%s.qubi-new", name);

	if (unlinkat(dir, temp, 0) < 0 && errno != ENOENT)
		return -errno;
	return qb_file_replace(dir, temp, name, &as, data, len);
}

int qb_root_write(const struct qb_root *root, const char *path, mode_t mode, const char *data,
		  size_t len, struct qb_error *err)
{
	_cleanup_free_ char *parent = parent_of(path);
	_cleanup_close_ int dir = -1;
	int r = qb_root_mkdir(root, parent, 0755, err);

	if (r < 0)
		return r;
	dir = qb_root_openat(root, parent, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return qb_error_errno(err, dir, "%s: cannot open its directory", path);
	r = write_beside(dir, name_of(path), mode, data, len);
	return r < 0 ? qb_error_errno(err, r, "%s: cannot write", path) : 0;
}

int qb_root_unlink(const struct qb_root *root, const char *path, struct qb_error *err)
{
	_cleanup_free_ char *parent = parent_of(path);
	_cleanup_close_ int dir = qb_root_openat(root, parent, O_RDONLY | O_DIRECTORY, 0);

	if (dir == -ENOENT)
		return 0;
	if (dir < 0)
		return qb_error_errno(err, dir, "%s: cannot open its directory", path);
	if (unlinkat(dir, name_of(path), 0) < 0)
		return errno == ENOENT ? 0 : qb_error_errno(err, errno, "%s: cannot remove", path);
	if (fsync(dir) < 0)
		return qb_error_errno(err, errno, "%s: cannot sync its directory", path);
	return 0;
}

int qb_root_mkdir(const struct qb_root *root, const char *path, mode_t mode, struct qb_error *err)
{
	_cleanup_free_ char *parent = NULL;
	_cleanup_close_ int dir = qb_root_openat(root, path, O_PATH | O_DIRECTORY, 0);
	int r;

	if (dir >= 0)
		return 0;
	if (dir != -ENOENT || !strcmp(path, "/") || !*path)
		return qb_error_errno(err, dir, "%s: cannot open the directory", path);
	parent = parent_of(path);
	r = qb_root_mkdir(root, parent, mode, err);
	if (r < 0)
		return r;
	dir = qb_root_openat(root, parent, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return qb_error_errno(err, dir, "%s: cannot open the directory", parent);
	if (mkdirat(dir, name_of(path), mode) < 0)
		return errno == EEXIST ? 0 : qb_error_errno(err, errno, "%s: cannot make", path);
	if (fchmodat(dir, name_of(path), mode, 0) < 0 || fsync(dir) < 0)
		return qb_error_errno(err, errno, "%s: cannot make", path);
	return 0;
}
