/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/root.h"
#include "storage/disk.h"

/*
 * Reads every block device that is a disk, with its signatures and all reasons against it.
 * Opens for reading only. On a captured root: sysfs only, contents unknown.
 * machine_id decides which marks are ours; may be NULL.
 */
struct qb_disks_inquiry;

/*
 * Begins to read, in processes of its own, so before any thread is made. Without reasons nobody
 * asks LVM and all processes what they use, and no disk is available. 0 ms: five seconds.
 */
struct qb_disks_inquiry *qb_disks_inquiry_begin(const struct qb_root *root, const char *machine_id,
						bool reasons, unsigned timeout_ms);
/* Waits for the disks that have not answered, until the time is over. Frees the inquiry. */
void qb_disks_inquiry_end(struct qb_disks_inquiry *inquiry, struct qb_disks *ret);
/* Both. */
void qb_disks_probe(const struct qb_root *root, const char *machine_id, unsigned timeout_ms,
		    struct qb_disks *ret);
