/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a mounted file system about its size, and what makes it larger. */
#pragma once

#include <linux/ioctl.h>
#include <stdint.h>
#include <sys/types.h>

/* struct xfs_fsop_geom_v1 in fs/xfs/libxfs/xfs_fs.h. */
struct qb_xfs_geometry {
	uint32_t blocksize, rtextsize, agblocks, agcount, logblocks, sectsize, inodesize, imaxpct;
	uint64_t datablocks, rtblocks, rtextents, logstart;
	unsigned char uuid[16];
	uint32_t sunit, swidth;
	int32_t version;
	uint32_t flags, logsectsize, rtsectsize, dirblocksize;
};

/* struct xfs_growfs_data. */
struct qb_xfs_growth {
	uint64_t newblocks;
	uint32_t imaxpct;
};

#define QB_XFS_IOC_GEOMETRY _IOR('X', 100, struct qb_xfs_geometry)
#define QB_XFS_IOC_GROW _IOW('X', 110, struct qb_xfs_growth)
#define QB_EXT4_IOC_RESIZE _IOW('f', 16, uint64_t)

/* The root of what is mounted there, where it is that device: a descriptor, or -1. */
int qb_fs_open_mounted(const char *mountpoint, dev_t device);
