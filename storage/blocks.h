/* SPDX-License-Identifier: Apache-2.0 */
/* Every block device of sysfs, and how they are stacked. What /dev names resolve to. */
#pragma once

#include "agent/base/root.h"

struct qb_block {
	char *name;             /* dm-0, sda1 */
	char *devno;            /* "253:0" */
	char *disk;             /* of a partition: the disk it is on; NULL otherwise */
	char *dm_name;          /* vg0-root */
	char *dm_uuid;          /* LVM-..., mpath-... */
	struct qb_strs slaves;  /* what it is made of */
	struct qb_strs holders; /* what is made of it */
	char *unknown;          /* why not all of that is known; NULL: it is */
};

struct qb_blocks {
	struct qb_block *v;
	size_t n;
	struct qb_block **by_name, **by_devno; /* sorted */
	char *unknown;                         /* why there is no list */
};

void qb_blocks_read(const struct qb_root *root, struct qb_blocks *ret);
void qb_blocks_done(struct qb_blocks *blocks);
#define _cleanup_blocks_ QB_CLEANUP(qb_blocks_done)

/* The names of a disk's partitions, as the kernel has them. */
QB_MUST_CHECK int qb_blocks_partitions(const struct qb_root *root, const char *disk,
				       struct qb_strs *ret);
const struct qb_block *qb_blocks_by_name(const struct qb_blocks *blocks, const char *name);
const struct qb_block *qb_blocks_by_devno(const struct qb_blocks *blocks, const char *devno);
/*
 * What a device path as mountinfo and /proc/swaps write it stands for: /dev/sda1, /dev/mapper/NAME,
 * /dev/disk/by-*. NULL when it is none of ours.
 */
const struct qb_block *qb_blocks_by_path(const struct qb_blocks *blocks, const struct qb_root *root,
					 const char *path);
/* The names of the disks a device comes down to through slaves and partitions. */
void qb_blocks_disks_under(const struct qb_blocks *blocks, const char *name, struct qb_strs *ret);
