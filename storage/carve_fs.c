/* SPDX-License-Identifier: Apache-2.0 */
/* The file system in the partition: making it, and looking whether anything is in it. */
#include "storage/carve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include "agent/base/exec.h"

#define LOST_FOUND "lost+found"

enum {
	/* It zeroes a log of up to 2 GiB, and an old disk may write 20 MB in a second. */
	MKFS_TIMEOUT_MIN_MS = 5 * 60 * 1000,
	EXT4_BLOCK = 4096,
	/* Of 4 KiB: as many groups as have their descriptors in 4 MiB. */
	EXT4_BLOCKS = 1u << 31,
};

/* Never -f: what mkfs.xfs itself recognises there is the last guard. -K: nothing to discard. */
static int mkfs_xfs(const char *node, const char *uuid, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_free_ char *meta = qb_asprintf("uuid=%s", uuid);

	return qb_exec_check((const char *const[]){qb_file_systems[QB_FS_XFS].mkfs, "-q", "-K",
						   "-m", meta, node, NULL},
			     timeout_ms, err);
}

/*
 * Whatever mke2fs.conf says, one block, and behind it 4 MiB of descriptors of groups or room for
 * them: so all that one sees of the partition at the beginning of the disk can be told from
 * anybody else's bytes, when it breaks off (mark.c). All room is for images: none is kept for root.
 */
static int mkfs_ext4(const char *node, const char *uuid, uint64_t size_bytes, unsigned timeout_ms,
		     struct qb_error *err)
{
	_cleanup_free_ char *more =
		qb_asprintf("nodiscard,lazy_itable_init=1%s",
			    size_bytes / EXT4_BLOCK < EXT4_BLOCKS ? ",resize=2147483648" : "");

	return qb_exec_check(
		(const char *const[]){qb_file_systems[QB_FS_EXT4].mkfs, "-q", "-b", "4096", "-m",
				      "0", "-O",
				      "64bit,metadata_csum,resize_inode,^bigalloc,^meta_bg", "-E",
				      more, "-U", uuid, node, NULL},
		timeout_ms, err);
}

int qb_carve_mkfs(const char *node, const struct qb_carve_args *args, unsigned timeout_ms,
		  struct qb_error *err)
{
	/* Opened before: it is told of every write that failed, whether or not mkfs minds. */
	_cleanup_close_ int witness = open(node, O_RDONLY | O_CLOEXEC);
	int r;

	if (witness < 0)
		return qb_error_errno(err, errno, "%s", node);
	if (access(args->fs->mkfs, X_OK) < 0)
		return qb_error_errno(err, errno, "%s (install %s)", args->fs->mkfs,
				      args->fs->package);
	if (timeout_ms < MKFS_TIMEOUT_MIN_MS)
		timeout_ms = MKFS_TIMEOUT_MIN_MS;
	r = args->fs == &qb_file_systems[QB_FS_EXT4]
		    ? mkfs_ext4(node, args->ids.fs_uuid, args->size_bytes, timeout_ms, err)
		    : mkfs_xfs(node, args->ids.fs_uuid, timeout_ms, err);
	if (r < 0)
		return qb_error_wrap(err, "%s", node);
	/* The commit that follows says that the file system is whole: so it must be on the disk. */
	if (fsync(witness) < 0)
		return qb_error_errno(err, errno, "%s: cannot sync it", node);
	return 0;
}

/* How many entries are in the directory, and whether one of them is name. */
static int count_entries(int dir_fd, const char *path, const char *name, size_t *ret, bool *ret_has)
{
	_cleanup_closedir_ DIR *dir =
		qb_fdopendir(openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	struct dirent *entry;

	if (!dir)
		return -errno;
	*ret = 0;
	*ret_has = false;
	errno = 0;
	while ((entry = readdir(dir))) {
		if (qb_streq(entry->d_name, ".") || qb_streq(entry->d_name, ".."))
			continue;
		++*ret;
		*ret_has |= qb_streq(entry->d_name, name);
	}
	return -errno;
}

static int is_empty(int mount, const char *node, const struct qb_fs *fs, struct qb_error *err)
{
	size_t n, n_found = 0;
	bool has, any;
	int r = count_entries(mount, ".", LOST_FOUND, &n, &has);

	/* What fsck has found and put there is somebody's. */
	if (r == 0 && has)
		r = count_entries(mount, LOST_FOUND, LOST_FOUND, &n_found, &any);
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot look into it", node);
	if (n > has || n_found)
		return qb_error_set(err, ENOTEMPTY, "%s has something in it", node);
	/* Of a damaged directory ext4 shows what is whole (ext4_readdir() in fs/ext4/dir.c). */
	if (fs == &qb_file_systems[QB_FS_EXT4] && !has)
		return qb_error_set(err, EUCLEAN, "%s has no %s, as mkfs makes it", node,
				    LOST_FOUND);
	return 0;
}

int qb_carve_mount(const char *node, const struct qb_fs *fs, bool read_only, struct qb_error *err)
{
	_cleanup_close_ int context = (int)syscall(SYS_fsopen, fs->name, FSOPEN_CLOEXEC);
	int mount;

	if (context < 0)
		return qb_error_errno(err, errno, "%s: the kernel cannot mount %s here", node,
				      fs->title);
	if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", node, 0) < 0 ||
	    (read_only && syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0))
		return qb_error_errno(err, errno, "%s: cannot prepare its mount", node);
	/* EBADMSG: a checksum is wrong. */
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return qb_error_errno(err, errno == EINVAL || errno == EBADMSG ? EUCLEAN : errno,
				      "%s: no file system that can be mounted; %s may mend it",
				      node, fs->repair);
	mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	return mount < 0 ? qb_error_errno(err, errno, "%s: cannot mount it", node) : mount;
}

int qb_carve_empty(const char *node, const struct qb_fs *fs, struct qb_error *err)
{
	_cleanup_close_ int mount = qb_carve_mount(node, fs, true, err);

	return mount < 0 ? mount : is_empty(mount, node, fs, err);
}

int qb_carve_unused(const struct qb_disk *disk, struct qb_error *err)
{
	const struct qb_partition *p = disk->n_partitions == 1 ? &disk->partitions[0] : NULL;
	/* Whatever the run that broke off was to make there. */
	const struct qb_fs *fs = p ? qb_fs_find(p->fs_type) : NULL;
	int r;

	if (!fs)
		return 0;
	r = qb_carve_empty(p->path, fs, err);
	/* What mkfs did not finish cannot be mounted; and the kernel may not show the partition. */
	return r == -EUCLEAN || r == -ENOENT ? 0 : r;
}
