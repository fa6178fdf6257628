/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knowledge of a yes-or-no fact. What could not be read is neither yes nor no: it is unknown, and
 * says why. Zeroed memory is "unknown, nobody looked".
 */
#pragma once

#include "agent/base/str.h"

enum qb_tri_state {
	QB_UNKNOWN = 0,
	QB_NO,
	QB_YES
};

struct qb_tri {
	enum qb_tri_state state;
	char *why; /* cause of QB_UNKNOWN; may be NULL */
};

static inline bool qb_is(const struct qb_tri *t)
{
	return t->state == QB_YES;
}

static inline bool qb_is_not(const struct qb_tri *t)
{
	return t->state == QB_NO;
}

static inline void qb_tri_set(struct qb_tri *t, bool value)
{
	t->state = value ? QB_YES : QB_NO;
	qb_strset(&t->why, NULL);
}

QB_PRINTF(2, 3) void qb_tri_unknown(struct qb_tri *t, const char *fmt, ...);
