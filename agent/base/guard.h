/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that stands by while this one does what could cut the host off, and acts in its place
 * when it ends without a word: killed, or by a bug. One that is stopped (SIGSTOP, a debugger) or
 * takes too long is killed first, so that nobody goes on beside the guard. It is a copy of this
 * process with a session and a name of its own (qubi-guard), so it outlives the terminal and a
 * killall; agent/base/scope.h takes it out of the cgroup, too. It keeps the lock of the run until
 * it is through.
 */
#pragma once

#include <sys/types.h>

#include "agent/base/error.h"

/* Why it acts. */
enum qb_guard_why {
	QB_GUARD_ENDED,
	QB_GUARD_STOPPED, /* for two seconds */
	QB_GUARD_LATE,
};

struct qb_guard {
	pid_t pid; /* -1: there is none */
	int fd;    /* the word goes here */
};

#define QB_GUARD_INIT                                                                              \
	{                                                                                          \
		-1, -1                                                                             \
	}

/*
 * act(data, why) is called in that process, at the latest limit_ms of CLOCK_BOOTTIME after now: a
 * host that slept counts as one that hung. To be begun before any thread. 0 or -errno.
 */
QB_MUST_CHECK int qb_guard_begin(void (*act)(void *data, enum qb_guard_why why), void *data,
				 unsigned limit_ms, struct qb_guard *ret, struct qb_error *err);
/* The word: there is nothing left to guard. Returns when the guard is gone. */
void qb_guard_end(struct qb_guard *guard);
