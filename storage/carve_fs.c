/* SPDX-License-Identifier: Apache-2.0 */
/* The file system in the partition: making it, and looking whether anything is in it. */
#include "storage/carve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include "agent/base/exec.h"

#define MKFS_XFS "/usr/sbin/mkfs.xfs"

enum {
	/* It zeroes a log of up to 2 GiB, and an old disk may write 20 MB in a second. */
	MKFS_TIMEOUT_MIN_MS = 5 * 60 * 1000,
};

int qb_carve_mkfs(const char *node, const char *fs_uuid, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_free_ char *meta = qb_asprintf("uuid=%s", fs_uuid);
	/* Never -f: what mkfs itself recognises there is the last guard. -K: nothing to discard. */
	const char *argv[] = {MKFS_XFS, "-q", "-K", "-m", meta, node, NULL};
	/* Opened before: it is told of every write that failed, whether or not mkfs minds. */
	_cleanup_close_ int witness = open(node, O_RDONLY | O_CLOEXEC);
	int r;

	if (witness < 0)
		return qb_error_errno(err, errno, "%s", node);
	if (access(MKFS_XFS, X_OK) < 0)
		return qb_error_errno(err, errno, "%s (install xfsprogs)", MKFS_XFS);
	if (timeout_ms < MKFS_TIMEOUT_MIN_MS)
		timeout_ms = MKFS_TIMEOUT_MIN_MS;
	r = qb_exec_check(argv, timeout_ms, err);
	if (r < 0)
		return qb_error_wrap(err, "%s", node);
	/* The commit that follows says that the file system is whole: so it must be on the disk. */
	if (fsync(witness) < 0)
		return qb_error_errno(err, errno, "%s: cannot sync it", node);
	return 0;
}

static int count_entries(int mount, const char *node, struct qb_error *err)
{
	int fd = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return qb_error_errno(err, errno, "%s: cannot look into it", node);
	errno = 0;
	while ((entry = readdir(dir)))
		if (!qb_streq(entry->d_name, ".") && !qb_streq(entry->d_name, ".."))
			return qb_error_set(err, ENOTEMPTY, "%s has something in it", node);
	return errno ? qb_error_errno(err, errno, "%s: cannot look into it", node) : 0;
}

int qb_carve_empty(const char *node, struct qb_error *err)
{
	/* A mount that hangs nowhere: nobody else sees it, and it goes with its descriptor. */
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, "xfs", FSOPEN_CLOEXEC);
	_cleanup_close_ int mount = -1;

	if (fs < 0)
		return qb_error_errno(err, errno, "%s: the kernel cannot mount XFS here", node);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", node, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return qb_error_errno(err, errno, "%s: cannot prepare its mount", node);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return qb_error_errno(err, errno == EINVAL || errno == EUCLEAN ? EUCLEAN : errno,
				      "%s: no file system that can be mounted", node);
	mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (mount < 0)
		return qb_error_errno(err, errno, "%s: cannot mount it", node);
	return count_entries(mount, node, err);
}
