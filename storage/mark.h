/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "storage/disk.h"
#include "storage/gpt.h"

#define QB_MARK_PREFIX "qubi:"
#define QB_PENDING_PREFIX "qubi-pending:"

enum {
	/* A GPT holds 36 characters, and the longer prefix is 13 of them. */
	QB_MARK_POOL_MAX = 23,
};

/* Nothing at either end of a volume could be anything but a begun XFS of that UUID, or is there. */
bool qb_volume_was_begun(const struct qb_ends *ends, const char *fs_uuid);
/* It begins with the zeros that lvcreate writes. */
bool qb_volume_is_zeroed(const struct qb_ends *ends);
/* The name of the partition; the caller frees it. */
char *qb_mark_name(const char *pool, enum qb_mark_state state);

/*
 * Whether nobody wrote to the disk between two readings of its ends, as far as they show it, beside
 * what each mount of an XFS at start writes, one to read from also: sb_crc and sb_lsn of its super
 * block (struct xfs_dsb). Pure.
 */
bool qb_ends_unwritten(const struct qb_ends *seen, const struct qb_ends *now, size_t start);
