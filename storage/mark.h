/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "storage/disk.h"

#define QB_MARK_PREFIX "qubi:"
#define QB_PENDING_PREFIX "qubi-pending:"

enum {
	/* A GPT holds 36 characters, and the longer prefix is 13 of them. */
	QB_MARK_POOL_MAX = 23,
};

/* The name of the partition; the caller frees it. */
char *qb_mark_name(const char *pool, enum qb_mark_state state);
