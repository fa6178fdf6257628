/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/root.h"
#include "storage/disk.h"

/*
 * Reads every block device that is a disk, with its signatures and all reasons against it.
 * Opens for reading only. On a captured root: sysfs only, contents unknown.
 * machine_id decides which marks are ours; may be NULL.
 */
void qb_disks_probe(const struct qb_root *root, const char *machine_id, struct qb_disks *ret);
