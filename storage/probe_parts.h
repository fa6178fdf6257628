/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of qb_disks_probe(). Each adds to one disk and fails only by leaving it unknown. */
#pragma once

#include "agent/base/child.h"
#include "agent/base/root.h"
#include "storage/blocks.h"
#include "storage/disk_raw.h"
#include "storage/gpt.h"

/* False when name is no disk worth a mention: a RAM disk, a loop device without a file. */
bool qb_sysfs_probe(const struct qb_root *root, const char *name, struct qb_disk *disk,
		    struct qb_disk_raw *raw);

/* Their names below /dev/disk, each link read once. */
void qb_links_probe(const struct qb_root *root, struct qb_disks *disks);
/* NULL: there is none of this name. They are sorted by it, as sysfs lists them. */
struct qb_disk *qb_disks_by_name(const struct qb_disks *disks, const char *name);

/* Who uses the disks: mounts, swap, holders; what the system itself stands on. And processes, all
 * of which have to be looked at for it. */
void qb_usage_probe(const struct qb_root *root, const struct qb_blocks *blocks, bool processes,
		    struct qb_disks *disks, struct qb_disk_raw *raw);

/*
 * Who beside this process could write to the disk of that name or to a partition of it, as far as
 * it shows in /proc; NULL: nobody. The caller frees it.
 */
char *qb_usage_writers(const struct qb_root *root, const char *name);

/* What udev knows. Live hosts only. Fills WWID, serial and path where sysfs had none. */
void qb_udev_probe(struct qb_disk *disk, struct qb_disk_raw *raw);
/* Gives a busy udev a moment: what it is about to see would else look like a disagreement. */
void qb_udev_wait(void);
/* udevd runs here: what it has not seen is not settled. */
bool qb_udev_runs(void);

/*
 * What is on the disk: signatures, partition tables with their file systems, both ends, our mark.
 * fd is open for reading; an image file will do. Partitions are named after disk->name. A glance
 * leaves out what only tells whether a disk is blank.
 */
void qb_contents_probe(int fd, const char *machine_id, bool glance, struct qb_disk *disk,
		       struct qb_contents *ret);
/*
 * How large the file system of a partition is, of the disk that fd is open for: as whoever has it
 * mounted says, else as stands on the disk. 0: unknown.
 */
uint64_t qb_fs_size_probe(int fd, const struct qb_partition *p);
/* What the first QB_FS_SUPER_BYTES of one of that type say. Pure. */
uint64_t qb_fs_size(const char *type, const uint8_t *super);
enum {
	QB_FS_SUPER_BYTES = 2048,
};
/* Opens what fd is open for once more, by itself: a descriptor, or -errno. */
QB_MUST_CHECK int qb_reopen(int fd, int flags);
/* qb_contents_probe() for a device node, with the O_EXCL test. It may hang with the device. */
void qb_device_probe(const char *machine_id, struct qb_disk *disk, struct qb_disk_raw *raw);

/* Its temperature. It may hang with the device, too. */
void qb_sensor_probe(const struct qb_root *root, struct qb_disk *disk);

/* Both, of the disks which[0] to which[n - 1], in this order. Filled by who asks. */
struct qb_device_reading {
	const struct qb_root *root;
	const char *machine_id;
	struct qb_disks *disks;
	struct qb_disk_raw *raw;
	size_t *which, n;
	struct qb_device_reading_queue *queue;
};
/* Begins to read them, by processes of its own. */
void qb_device_reading_begin(struct qb_device_reading *reading, struct qb_child *ret);
/*
 * Takes what was found, once it was waited for, until deadline_ms at most. Of a disk that has not
 * answered the contents are unknown.
 */
void qb_device_reading_end(struct qb_device_reading *reading, struct qb_child *child,
			   uint64_t deadline_ms);

/* Devices that are made of others. Of one that is not to be asked readable is unknown at once. */
void qb_mappings_list(const struct qb_root *root, const struct qb_blocks *blocks,
		      struct qb_disks *disks);
/* Begins to ask those that are left, if any, by one process. */
void qb_mappings_begin(struct qb_disks *disks, struct qb_child *ret);
/* Takes what they answered; timeout_ms is what is said of one that did not. */
void qb_mappings_end(struct qb_child *child, unsigned timeout_ms, struct qb_disks *disks);

/* Asks LVM, once, whether it lists the PVs that were found. Live hosts only. */
void qb_lvm_probe(struct qb_disks *disks, struct qb_disk_raw *raw);

/* Begins to ask LVM for its groups where a logical volume is active. Live hosts only. */
void qb_groups_begin(const struct qb_blocks *blocks, unsigned timeout_ms, struct qb_disks *disks,
		     struct qb_child *ret);
/*
 * Takes what it said. Where only the contents of disks have shown that there is LVM it is asked
 * now, unless it is past the deadline.
 */
void qb_groups_end(struct qb_child *child, unsigned timeout_ms, uint64_t deadline_ms,
		   const struct qb_disk_raw *raw, struct qb_disks *disks);
/* Adds what the kernel says of volumes that are active; LVM is unknown where that cannot be had. */
void qb_groups_ask_status(unsigned timeout_ms, struct qb_disks *disks);
/* What "dmsetup status" said, which is taken apart. Pure. */
void qb_groups_take_status(char *text, struct qb_disks *disks);
/* Asks LVM for its groups now. */
void qb_groups_ask(unsigned timeout_ms, struct qb_disks *disks);
/* What "lvm fullreport" said. Pure. False: it is no such report. */
QB_MUST_CHECK bool qb_groups_parse(const char *text, struct qb_disks *disks);

/* Both ends as they are on the device, whatever was cached of it; -errno. */
QB_MUST_CHECK int qb_ends_read(int fd, struct qb_ends *ret);

/* All of it: -EIO where there is less, or another -errno. */
QB_MUST_CHECK int qb_read_whole(int fd, uint8_t *buf, size_t len, uint64_t offset);

/*
 * As qb_disks_probe(), but reads the contents of those disks only that have these identities, and
 * asks for nothing above them; all are listed, since a disk is judged in the company of the others.
 */
void qb_disks_probe_some(const struct qb_root *root, const char *machine_id,
			 const struct qb_strs *identities, unsigned timeout_ms,
			 struct qb_disks *ret);
