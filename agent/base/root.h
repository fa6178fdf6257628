/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files below a root. Every read of /proc, /sys and /etc, and every file the agent writes, goes
 * through here, so that a captured host or an image is read by the same code as a live one.
 * Resolution is confined: absolute links and ".." are taken relative to the root, by openat2(2)
 * with RESOLVE_IN_ROOT where the kernel has it (5.6), else by a walk that opens one component at
 * a time and follows no link outside.
 * Paths are given absolute ("/proc/cpuinfo") and mean "below the root".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "agent/base/error.h"
#include "agent/base/str.h"

struct qb_root {
	int fd;              /* O_PATH directory */
	bool live;           /* it is "/": devices, netlink and sockets belong to what is read */
	char *path;          /* as the user named it, for messages */
	struct qb_strs hung; /* mount points that do not answer; what is below them is -ETIMEDOUT */
};

#define QB_ROOT_INIT                                                                               \
	{                                                                                          \
		.fd = -1                                                                           \
	}

QB_MUST_CHECK int qb_root_open(const char *path, struct qb_root *ret, struct qb_error *err);
void qb_root_done(struct qb_root *root);
#define _cleanup_root_ QB_CLEANUP(qb_root_done)

/* open(2) below the root; O_CLOEXEC is added. Returns the fd or -errno. mode counts for O_CREAT. */
QB_MUST_CHECK int qb_root_openat(const struct qb_root *root, const char *path, int flags,
				 mode_t mode);

/*
 * Reads a whole file, at most max bytes (-EFBIG beyond). A terminating NUL that is not counted
 * is appended. Quiet: a missing file is an ordinary answer (-ENOENT), the caller words the error.
 */
QB_MUST_CHECK int qb_root_read(const struct qb_root *root, const char *path, size_t max, char **ret,
			       size_t *ret_len);
/* Tells as well what it is, also when that is nothing to be read: -EISDIR, -EINVAL. */
QB_MUST_CHECK int qb_root_read_stat(const struct qb_root *root, const char *path, size_t max,
				    char **ret, size_t *ret_len, struct stat *ret_stat);
/* A file of one value: stripped, at most 4 KiB. */
QB_MUST_CHECK int qb_root_read_value(const struct qb_root *root, const char *path, char **ret);
QB_MUST_CHECK int qb_root_read_u64(const struct qb_root *root, const char *path, uint64_t *ret);
/* The names in a directory, sorted, without "." and "..". */
QB_MUST_CHECK int qb_root_list(const struct qb_root *root, const char *path, struct qb_strs *ret);
/* The text of a symbolic link. */
QB_MUST_CHECK int qb_root_readlink(const struct qb_root *root, const char *path, char **ret);
/* stat(2) or lstat(2) below the root. */
QB_MUST_CHECK int qb_root_stat(const struct qb_root *root, const char *path, bool follow,
			       struct stat *ret);
bool qb_root_exists(const struct qb_root *root, const char *path);

/* Whose a new file is; (uid_t)-1 and (gid_t)-1: the process's. */
struct qb_file_as {
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/*
 * Replaces name in dir as a whole: temp is written beside it, fsynced and renamed over it, dir
 * fsynced. -EEXIST, and nothing done, where there is a temp; after any other failure there is none.
 */
QB_MUST_CHECK int qb_file_replace(int dir, const char *temp, const char *name,
				  const struct qb_file_as *as, const char *data, size_t len);
/*
 * Replaces a file as a whole: written beside it with its final mode, fsynced, renamed over it,
 * the directory fsynced. Missing parent directories are made with 0755. No two at a time: what a
 * run left over that was killed is removed.
 */
QB_MUST_CHECK int qb_root_write(const struct qb_root *root, const char *path, mode_t mode,
				const char *data, size_t len, struct qb_error *err);
/* Removes a file and fsyncs its directory. A file that is not there is no error. */
QB_MUST_CHECK int qb_root_unlink(const struct qb_root *root, const char *path,
				 struct qb_error *err);
/* mkdir -p below the root; only what is missing is made, with the mode given. */
QB_MUST_CHECK int qb_root_mkdir(const struct qb_root *root, const char *path, mode_t mode,
				struct qb_error *err);
