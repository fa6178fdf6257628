/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, where no library does the work. Never a shell; absolute path, argv, empty environment
 * but for PATH, LC_ALL=C and where LVM writes (LVM_OUT_FD, LVM_REPORT_FD of lvm(8)). */
#pragma once

#include "agent/base/error.h"
#include "agent/base/str.h"

struct qb_exec_result {
	int status;      /* exit status; 128 + signal when killed by one */
	char *out, *err; /* stdout and stderr, at most 1 MiB each; never NULL */
};

void qb_exec_result_done(struct qb_exec_result *r);
#define _cleanup_exec_ QB_CLEANUP(qb_exec_result_done)

/*
 * Runs argv (NULL-terminated, argv[0] an absolute path) with stdin from /dev/null, and waits.
 * The child is killed when it outlives timeout_ms (-ETIMEDOUT) and when this process dies.
 * 0 means that it ran, whatever its status; qb_exec_check() also wants status 0 and otherwise
 * words the error with the last lines of its stderr (-EIO).
 */
QB_MUST_CHECK int qb_exec(const char *const *argv, unsigned timeout_ms, struct qb_exec_result *ret,
			  struct qb_error *err);
QB_MUST_CHECK int qb_exec_check(const char *const *argv, unsigned timeout_ms, struct qb_error *err);
