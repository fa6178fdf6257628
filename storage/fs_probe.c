/* SPDX-License-Identifier: Apache-2.0 */
/* How large a file system is: fs/xfs/libxfs/xfs_format.h and fs/ext4/ext4.h of the kernel. */
#include "storage/fs_size.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "storage/probe_parts.h"

enum {
	EXT4_SUPER = 1024,
	EXT4_64BIT = 0x80,
	EXT4_LOG_BLOCK_MAX = 6, /* of 64 KiB */
};

static uint32_t big32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static uint32_t little32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t product(uint64_t blocks, uint64_t block_bytes)
{
	uint64_t n;

	return __builtin_mul_overflow(blocks, block_bytes, &n) ? 0 : n;
}

/* struct xfs_dsb: sb_magicnum, sb_blocksize, sb_dblocks. */
static uint64_t xfs_size(const uint8_t *super)
{
	if (memcmp(super, "XFSB", 4) != 0)
		return 0;
	return product((uint64_t)big32(super + 8) << 32 | big32(super + 12), big32(super + 4));
}

/* struct ext4_super_block: s_magic, s_log_block_size, s_feature_incompat, s_blocks_count. */
static uint64_t ext4_size(const uint8_t *super)
{
	const uint8_t *p = super + EXT4_SUPER;
	uint64_t blocks = little32(p + 4);
	uint32_t log = little32(p + 24);

	if (p[56] != 0x53 || p[57] != 0xef || log > EXT4_LOG_BLOCK_MAX)
		return 0;
	if (little32(p + 96) & EXT4_64BIT)
		blocks |= (uint64_t)little32(p + 336) << 32;
	return product(blocks, (uint64_t)1024 << log);
}

uint64_t qb_fs_size(const char *type, const uint8_t *super)
{
	return qb_streq(type, "xfs")    ? xfs_size(super)
	       : qb_streq(type, "ext4") ? ext4_size(super)
					: 0;
}

int qb_fs_open_mounted(const char *mountpoint, dev_t device)
{
	int fd =
		mountpoint ? open(mountpoint, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC) : -1;
	struct stat st;

	/* Something else may be mounted over it. */
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_dev != device)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool parse_devno(const char *devno, dev_t *ret)
{
	unsigned major_number, minor_number;

	if (!devno || sscanf(devno, "%u:%u", &major_number, &minor_number) != 2)
		return false;
	*ret = makedev(major_number, minor_number);
	return true;
}

/* XFS has its own copy of what is on the disk, and writes it back at leisure. */
static uint64_t mounted_xfs_size(const struct qb_partition *p)
{
	struct qb_xfs_geometry geometry;
	_cleanup_close_ int fd = -1;
	dev_t device;

	if (!parse_devno(p->devno, &device))
		return 0;
	fd = qb_fs_open_mounted(p->mountpoint, device);
	if (fd < 0 || ioctl(fd, QB_XFS_IOC_GEOMETRY, &geometry) < 0)
		return 0;
	return product(geometry.datablocks, geometry.blocksize);
}

static uint64_t read_size(int fd, const struct qb_partition *p, uint64_t at)
{
	uint8_t super[QB_FS_SUPER_BYTES];

	return qb_read_whole(fd, super, sizeof(super), at) < 0 ? 0 : qb_fs_size(p->fs_type, super);
}

/* ext4 has it in the partition's page cache, which is not the disk's. */
static uint64_t mounted_ext4_size(const struct qb_partition *p)
{
	_cleanup_close_ int fd = open(p->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? 0 : read_size(fd, p, 0);
}

uint64_t qb_fs_size_probe(int fd, const struct qb_partition *p)
{
	uint64_t size = 0;

	if (p->mountpoint && qb_streq(p->fs_type, "xfs"))
		size = mounted_xfs_size(p);
	else if (p->mountpoint && qb_streq(p->fs_type, "ext4"))
		size = mounted_ext4_size(p);
	return size ? size : read_size(fd, p, p->start_bytes);
}
