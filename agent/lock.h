/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/root.h"

/*
 * One run at a time. Takes the lock for as long as *ret_fd stays open; the kernel drops it when
 * the process ends. -EWOULDBLOCK, with the holder's PID in err, when another run has it.
 */
QB_MUST_CHECK int qb_lock(const struct qb_root *root, int *ret_fd, struct qb_error *err);
/*
 * For a copy of that process which outlives it: from now on it is the holder that is named. Waits
 * for another such copy to be through.
 */
void qb_lock_take_over(const struct qb_root *root);
