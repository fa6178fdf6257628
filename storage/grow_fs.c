/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a file system larger, which the kernel does while it is mounted, all or nothing: what
 * xfs_growfs(8) and resize2fs(8) ask it for. What is mounted nowhere is, for that moment, where
 * nobody else sees it.
 */
#include "storage/carve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "storage/fs_size.h"
#include "storage/probe_parts.h"

static int mount_apart(const char *node, const struct qb_fs *fs, struct qb_error *err)
{
	_cleanup_close_ int mount = qb_carve_mount(node, fs, false, err);
	int fd = mount < 0 ? -1 : openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (mount < 0)
		return mount;
	return fd < 0 ? qb_error_errno(err, errno, "%s: cannot open its root", node) : fd;
}

static int grow_xfs(int fd, const char *node, uint64_t size_bytes, struct qb_error *err)
{
	struct qb_xfs_geometry is;
	struct qb_xfs_growth to = {0};

	if (ioctl(fd, QB_XFS_IOC_GEOMETRY, &is) < 0)
		return qb_error_errno(err, errno, "%s: its XFS does not tell its size", node);
	to.newblocks = size_bytes / is.blocksize;
	to.imaxpct = is.imaxpct;
	if (to.newblocks > is.datablocks && ioctl(fd, QB_XFS_IOC_GROW, &to) < 0)
		return qb_error_errno(err, errno, "%s: its XFS does not grow", node);
	return 0;
}

/* What the kernel means by it: ext4_resize_begin() in fs/ext4/resize.c, jbd2's start_this_handle().
 */
static const char *ext4_hint(int error)
{
	switch (error) {
	case EPERM:
		return " (it takes CAP_SYS_RESOURCE, and an ext4 in which e2fsck finds nothing)";
	case ENOSPC:
		return " (its journal is too small for that; resize2fs can while it is not "
		       "mounted)";
	}
	return "";
}

static int grow_ext4(int fd, int device, const char *node, uint64_t size_bytes,
		     struct qb_error *err)
{
	uint8_t super[QB_FS_SUPER_BYTES];
	struct statfs st;
	uint64_t blocks;

	if (qb_read_whole(device, super, sizeof(super), 0) < 0 || fstatfs(fd, &st) < 0)
		return qb_error_set(err, EIO, "%s: its ext4 does not tell its size", node);
	blocks = size_bytes / (uint64_t)st.f_bsize;
	if (blocks * (uint64_t)st.f_bsize > qb_fs_size("ext4", super) &&
	    ioctl(fd, QB_EXT4_IOC_RESIZE, &blocks) < 0)
		return qb_error_errno(err, errno, "%s: its ext4 does not grow%s", node,
				      ext4_hint(errno));
	return 0;
}

int qb_grow_fs(const char *node, const struct qb_fs *fs, const char *mountpoint,
	       struct qb_error *err)
{
	_cleanup_close_ int device = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC), fd = -1;
	uint64_t size;
	struct stat st;
	int r;

	if (device < 0 || fstat(device, &st) < 0 || ioctl(device, BLKGETSIZE64, &size) < 0)
		return qb_error_errno(err, errno, "%s: its size", node);
	fd = qb_fs_open_mounted(mountpoint, st.st_rdev);
	if (fd < 0)
		fd = mount_apart(node, fs, err);
	if (fd < 0)
		return fd;
	r = fs == &qb_file_systems[QB_FS_EXT4] ? grow_ext4(fd, device, node, size, err)
					       : grow_xfs(fd, node, size, err);
	if (r == 0 && syncfs(fd) < 0)
		r = qb_error_errno(err, errno, "%s: cannot sync it", node);
	return r;
}
