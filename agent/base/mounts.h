/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted, and what of it does not answer. */
#pragma once

#include "agent/base/root.h"

/*
 * The mount points of servers' and of processes' file systems (NFS, CIFS, FUSE...) on this host
 * that do not answer stat(2) within a second. What lies below one is not to be looked at: whoever
 * does waits with it. Nothing where mountinfo cannot be read.
 */
void qb_mounts_hung(const struct qb_root *root, struct qb_strs *ret);
