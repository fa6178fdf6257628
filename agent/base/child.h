/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that finds out what may never answer: a disk that hangs takes whoever reads it along,
 * and not even SIGKILL gets that one back. It is a copy of this process, says what it found in
 * writing, and is left behind when its time is over.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "agent/base/str.h"

struct qb_child {
	pid_t pid;
	int fd;             /* what it says; -1 once it has ended, or was never begun */
	struct qb_buf text; /* what it has said */
	uint64_t heard_ms;  /* when it last said something, or was begun: qb_now_ms() */
	bool late;          /* it had not ended when its time was over */
};

#define QB_CHILD_INIT                                                                              \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Runs tell(fd, data) in a process of its own, which ends with it and with its parent. To be begun
 * before any thread. 0 or -errno.
 */
QB_MUST_CHECK int qb_child_begin(void (*tell)(int fd, void *data), void *data,
				 struct qb_child *ret);
/*
 * The same for what not even SIGKILL ends: of one name (a word) a few may wait at a time, those of
 * earlier runs included; -EBUSY then. Else a host that is looked at every minute would fill up.
 */
QB_MUST_CHECK int qb_child_begin_named(const char *name, void (*tell)(int fd, void *data),
				       void *data, struct qb_child *ret);
/*
 * In a copy that may hang for good: closes all files but these and the first three. Else it would
 * hold on to what this process has locked, and the next run would wait for it. Named ones do so.
 */
void qb_child_keep_files(int fd, int other);
/*
 * For a child that has several such things to ask, one after the other: takes the name until what
 * is returned is closed. The fd, -EBUSY, or another -errno.
 */
QB_MUST_CHECK int qb_child_hold_name(const char *name);
/*
 * Runs act(data), on a copy of data, in a process that nobody waits for: it outlives this one and
 * its session, and has of its files only keep. 0 or -errno.
 */
QB_MUST_CHECK int qb_child_leave(void (*act)(void *data), void *data, int keep);
/* Writes it as one line, at once: tokens one by one would wake the reader for each. */
void qb_child_say(int fd, const json_t *document);
/* Waits until it says more: false when it has ended, or it is deadline_ms, which makes it late. */
bool qb_child_says_more(struct qb_child *child, uint64_t deadline_ms);
/* Reads what they say, once, waiting until until_ms at most. False when all had ended before. */
bool qb_children_hear(struct qb_child *children, size_t n, uint64_t until_ms);
/* Reads what they say until all have ended or it is deadline_ms of qb_now_ms(). */
void qb_children_wait(struct qb_child *children, size_t n, uint64_t deadline_ms);
/* In a copy: what may live on is not to keep open what others read to its end. */
void qb_child_let_go_of_output(void);
void qb_child_done(struct qb_child *child);
#define _cleanup_child_ QB_CLEANUP(qb_child_done)
