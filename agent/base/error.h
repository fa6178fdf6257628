/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. A function that can fail returns 0 or -errno and fills a caller-owned struct qb_error
 * with a sentence for a person: what failed, where, and where it helps, what to do. Each border
 * adds its context in front ("outer: inner"). The pointer may be NULL where nobody will read it.
 */
#pragma once

#include "agent/base/cleanup.h"

struct qb_error {
	int code; /* -errno; 0 while nothing failed */
	char msg[512];
};

#define QB_ERROR_INIT                                                                              \
	{                                                                                          \
		0, ""                                                                              \
	}

/*
 * Sets the message and returns -abs(code), so that it can end a function:
 * return qb_error_set(err, ENOENT, "%s: no such bridge", name);
 */
QB_PRINTF(3, 4) int qb_error_set(struct qb_error *err, int code, const char *fmt, ...);

/* As qb_error_set(), with ": strerror(code)" appended. */
QB_PRINTF(3, 4) int qb_error_errno(struct qb_error *err, int code, const char *fmt, ...);

/* Puts "context: " in front of what err says, and returns its code. */
QB_PRINTF(2, 3) int qb_error_wrap(struct qb_error *err, const char *fmt, ...);
