/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>

#include "agent/base/root.h"

enum {
	MODE_NEW = 0644, /* what it tells, others read, such as node_exporter */
	TRIES = 16,
};

/* As the old file is; what is no file, such as /dev/null, would be replaced by one. */
static int as_before(int dir, const char *name, struct qb_file_as *ret)
{
	struct stat st;

	*ret = (struct qb_file_as){MODE_NEW, (uid_t)-1, (gid_t)-1};
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	ret->mode = st.st_mode & 0777;
	/* The process's own needs no right to set. The group is always set: in a directory with the
	 * setgid bit a new file has that one's. */
	if (st.st_uid != geteuid())
		ret->uid = st.st_uid;
	ret->gid = st.st_gid;
	return 0;
}

/* Others may be writing the same report just now: each has a name of its own. */
static int write_beside(int dir, const char *name, const struct qb_file_as *as,
			const struct qb_buf *text)
{
	int r = -EEXIST;

	for (int i = 0; i < TRIES && r == -EEXIST; i++) {
		_cleanup_free_ char *temp = NULL;
		uint64_t random;

		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return -EIO;
		/* Without the name in it, which may be as long as names can be. */
		temp = qb_asprintf(".qubi-agent.%016" PRIx64, random);
		r = qb_file_replace(dir, temp, name, as, text->s ? text->s : "", text->len);
	}
	return r;
}

int qb_output_replace(const char *path, const struct qb_buf *text, struct qb_error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	_cleanup_free_ char *parent =
		slash ? qb_strndup(path, (size_t)(slash - path) + 1) : qb_strdup(".");
	_cleanup_free_ char *safe = qb_str_printable(path), *where = qb_str_printable(parent);
	_cleanup_close_ int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct qb_file_as as;
	int r;

	if (dir < 0)
		return qb_error_errno(err, -errno, "%s: cannot open the directory %s", safe, where);
	if (!*name)
		return qb_error_set(err, EISDIR, "%s is a directory", safe);
	r = as_before(dir, name, &as);
	if (r == -EINVAL)
		return qb_error_set(err, EINVAL, "%s is no regular file", safe);
	if (r == 0)
		r = write_beside(dir, name, &as, text);
	/* Not ours to give away: then nobody gets more than he had. */
	if (r == -EPERM && (as.uid != (uid_t)-1 || as.gid != (gid_t)-1)) {
		mode_t others = as.mode & 07;

		as = (struct qb_file_as){(as.mode & 0700) | (others << 3) | others, (uid_t)-1,
					 (gid_t)-1};
		r = write_beside(dir, name, &as, text);
	}
	return r < 0 ? qb_error_errno(err, r, "%s: cannot write", safe) : 0;
}
