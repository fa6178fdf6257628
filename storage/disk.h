/* SPDX-License-Identifier: Apache-2.0 */
/* Disks as sysfs, udev and libblkid show them, and what speaks against carving one. */
#pragma once

#include "agent/base/step.h"
#include "agent/base/tri.h"

/* What libblkid or our own reading found on a disk or partition. */
struct qb_signature {
	char *type;      /* "ext4", "LVM2_member", "gpt" */
	char *usage;     /* filesystem, raid, crypto, other, partition-table */
	char *uuid;      /* as libblkid writes it; NULL where the type has none */
	uint64_t offset; /* bytes from the start of the device */
};

struct qb_partition {
	char *name;  /* loop0p1 */
	char *path;  /* /dev/loop0p1 */
	char *devno; /* "259:1" */
	uint64_t number, start_bytes, size_bytes;
	char *label, *uuid; /* of the partition entry; NULL where unread */
	char *fs_type, *fs_uuid;
	uint64_t fs_size_bytes; /* of the file system; 0: unknown */
	char *mountpoint;
};

enum qb_mark_state {
	QB_MARK_NONE,
	QB_MARK_PENDING,    /* carving began: nobody's data are on it */
	QB_MARK_COMMITTING, /* all is carved; the first copy of the table does not say so yet */
	QB_MARK_READY,      /* data may be on it */
};

/* Our ownership mark, read from the GPT. */
struct qb_mark {
	int state; /* enum qb_mark_state */
	char *pool;
	char *uuid;         /* GPT disk GUID */
	bool ours;          /* it is what this machine-id, pool and WWID give */
	uint64_t end_bytes; /* of its partition, as the table says; 0: it does not */
	/*
	 * Of a pending mark: nothing is on the disk but the mark and what its carving may have left
	 * in its partition, so that an interrupted run may go on. A torn table can be pending
	 * without a pool or a uuid.
	 */
	bool only;
};

struct qb_disk {
	char *name;  /* kernel name: sda, nvme0n1 */
	char *path;  /* /dev/sda */
	char *devno; /* "8:0" */
	char *wwid;  /* sysfs wwid, else udev's ID_WWN; with the prefix sysfs gives (eui., naa.) */
	char *serial;
	char *model;
	char *by_path;        /* udev's ID_PATH */
	struct qb_strs links; /* its names below /dev/disk */
	uint64_t size_bytes, logical_sector_bytes, physical_sector_bytes;
	char *transport; /* sata, sas, nvme, virtio, usb, iscsi, fc, loop, zram...; NULL unknown */
	struct qb_tri rotational;
	bool removable, read_only;
	bool one_of_paths; /* to a disk: multipath's, or a hidden one of an NVMe namespace */
	char *zoned;       /* host-managed, host-aware; NULL for none */
	uint64_t diskseq;
	char *backing;              /* loop: the file; zram: "zram" */
	struct qb_strs holders;     /* "dm-0 (vg0-root)" */
	struct qb_strs mountpoints; /* of the disk and its partitions */
	bool swap;
	struct qb_signature *signatures;
	size_t n_signatures;
	struct qb_partition *partitions;
	size_t n_partitions;
	struct qb_mark mark;
	struct qb_tri readable;         /* the probe read it to its end; else why not */
	char *error;                    /* what that gave where it is known to be not readable */
	struct qb_tri sensor;           /* it tells its temperature */
	int64_t celsius, celsius_limit; /* now; what it stands at most, 0 where that is not told */
	bool too_hot;                   /* its controller itself warns of its temperature */
	/* The verdict. available: reasons is empty. */
	bool available;
	struct qb_reason *reasons;
	size_t n_reasons;
};

/* A block device that is made of others: by the device mapper, or an md array. */
struct qb_mapping {
	char *name;    /* dm-0, md127 */
	char *path;    /* /dev/dm-0 */
	char *devno;   /* "253:0" */
	char *dm_name; /* vg0-root; NULL for an md array */
	struct qb_tri suspended;
	struct qb_tri readable; /* its first block was read; else why not */
	char *error;            /* what that gave where it is known to be not readable */
	bool lvm;               /* a physical volume is on it */
	struct qb_strs disks;   /* the names of those it comes down to */
};

struct qb_physical_volume {
	char *path;
	uint64_t taken_bytes; /* of the device, by extents and metadata */
	bool unread;          /* it has no description of the group that LVM could read */
};

struct qb_logical_volume {
	char *name;
	uint64_t size_bytes;
	struct qb_strs tags;
};

struct qb_volume_group {
	char *name;
	uint64_t size_bytes, free_bytes, extent_bytes;
	struct qb_strs physical_volumes; /* paths; without the missing ones */
	uint64_t volumes;                /* how many logical volumes it has */
	uint64_t missing;                /* physical volumes that are nowhere to be found */
	struct qb_strs missing_uuids;    /* LVM's of those */
	struct qb_strs tags;
	struct qb_strs damaged; /* logical volumes, each with its health: "root (partial)" */
	struct qb_logical_volume *tagged; /* those that have tags */
	size_t n_tagged;
	struct qb_physical_volume *sizes; /* of the physical volumes */
	size_t n_sizes;
};

struct qb_disks {
	struct qb_tri known;
	struct qb_disk *disks;
	size_t n_disks;
	struct qb_mapping *mappings; /* without what LVM has for itself only */
	size_t n_mappings;
	struct qb_tri lvm; /* no: nothing here is LVM's. yes: it was asked */
	struct qb_volume_group *groups;
	size_t n_groups;
};

void qb_disk_done(struct qb_disk *disk);
void qb_mapping_done(struct qb_mapping *mapping);
void qb_disks_done(struct qb_disks *disks);
#define _cleanup_disks_ QB_CLEANUP(qb_disks_done)

QB_PRINTF(3, 4)
void qb_disk_reason(struct qb_disk *disk, const char *code, const char *fmt, ...);
bool qb_disk_has_reason(const struct qb_disk *disk, const char *code);
/* Why it is not readable; never NULL. */
const char *qb_disk_unread_why(const struct qb_disk *disk);
/*
 * It was to be read, and was not. What has nothing to read is left out: no medium (a size of 0),
 * and a path that gives errors, as a passive one does, beside the disk's others. Pure.
 */
bool qb_disk_is_unread(const struct qb_disks *disks, const struct qb_disk *disk);
/*
 * A guest of libvirt uses device (a path or a link): the disk it names is no longer available.
 * Pure.
 */
void qb_disks_claim(struct qb_disks *disks, const char *device, const char *domain);
