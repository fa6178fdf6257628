/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership by scope. A variable marked with one of these is released when it goes out of scope;
 * QB_TAKE_PTR and QB_TAKE_FD hand it on instead.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>

#define QB_MUST_CHECK __attribute__((warn_unused_result))
#define QB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define QB_CLEANUP(fn) __attribute__((cleanup(fn)))

#define QB_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Defines NAMEp(), the cleanup function of a pointer whose destructor NAME accepts NULL. */
#define QB_DEFINE_CLEANUP(type, name)                                                              \
	static inline void name##p(type *p)                                                        \
	{                                                                                          \
		if (*p)                                                                            \
			name(*p);                                                                  \
	}                                                                                          \
	struct qb_swallow_semicolon

/* Nothing changes hands twice: what either holds, it holds alone. */
#define QB_SWAP(a, b)                                                                              \
	do {                                                                                       \
		__typeof__(a) qb_swap_ = (a);                                                      \
		(a) = (b);                                                                         \
		(b) = qb_swap_;                                                                    \
	} while (0)

#define QB_TAKE_PTR(p)                                                                             \
	({                                                                                         \
		__typeof__(p) qb_taken_ = (p);                                                     \
		(p) = NULL;                                                                        \
		qb_taken_;                                                                         \
	})

#define QB_TAKE_FD(fd)                                                                             \
	({                                                                                         \
		int qb_taken_ = (fd);                                                              \
		(fd) = -1;                                                                         \
		qb_taken_;                                                                         \
	})

static inline void qb_freep(void *p)
{
	free(*(void **)p);
}

static inline void qb_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void qb_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void qb_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* The directory at fd, which it takes in any case; NULL, with errno, also for no fd at all. */
static inline DIR *qb_fdopendir(int fd)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

#define _cleanup_free_ QB_CLEANUP(qb_freep)
#define _cleanup_close_ QB_CLEANUP(qb_closep)
#define _cleanup_fclose_ QB_CLEANUP(qb_fclosep)
#define _cleanup_closedir_ QB_CLEANUP(qb_closedirp)
