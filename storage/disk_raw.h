/* SPDX-License-Identifier: Apache-2.0 */
/* What the probe saw of a disk beyond what the facts keep: the input of the verdict. */
#pragma once

#include "storage/disk.h"

/* What was read from the disk itself. */
struct qb_contents {
	bool ambiguous; /* more than one superblock claims it */
	char *error;    /* it could not be read to its end */
	int error_code; /* errno of that; 0 where there is none */
	bool nonzero;   /* a byte in the first or last 4 MiB */
	uint64_t nonzero_at;
	char *table_fault; /* damaged, backup-only, hybrid: a sentence */
};

struct qb_disk_raw {
	char *devpath; /* /devices/pci0000:00/.../block/sda */
	unsigned major, minor;
	bool hidden; /* a path of an NVMe namespace that has a head */
	struct qb_strs nvme_transports;
	struct qb_strs kernel_partitions;
	struct qb_strs mounts;      /* "/dev/sda1 on /boot" */
	struct qb_strs swaps;       /* "/dev/sda2" */
	struct qb_strs system_uses; /* "/boot", "swap" */
	bool glance; /* nobody asks why it is not available: what only tells that is left out */
	struct qb_strs mpath_holders;
	/* no: O_EXCL gave EBUSY. Not tried where it is known to be in use. */
	struct qb_tri exclusive;
	struct qb_strs openers; /* "qemu-kvm (pid 4711)" */
	/* What could not be found out, by the code that it would have as a reason. */
	struct qb_reason *unknown;
	size_t n_unknown;
	bool udev_runs;
	struct qb_tri udev_initialized;
	char *udev_fs_type, *udev_table_type, *udev_bus, *udev_serial;
	bool udev_ambivalent, udev_multipath;
	bool in_wwids;           /* /etc/multipath/wwids names it */
	struct qb_tri pv_listed; /* local LVM lists the PV that is on it */
	struct qb_contents contents;
};

void qb_disk_raw_done(struct qb_disk_raw *raw);
QB_PRINTF(3, 4)
void qb_disk_raw_unknown(struct qb_disk_raw *raw, const char *code, const char *fmt, ...);

/*
 * Every reason against each disk, raw[i] being what was seen of disks[i]; sets available. Pure.
 * "changed" is judged where the plan meets the live disk.
 */
void qb_disks_judge(struct qb_disks *disks, const struct qb_disk_raw *raw);

enum {
	/* mkfs.xfs wants 300 MiB; below this there is no room for a guest in any case. */
	QB_DISK_MIN_MIB = 512,
};
