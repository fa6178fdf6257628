/* SPDX-License-Identifier: Apache-2.0 */
/* Storage pools as the configuration wants them, and the plan that carves their disks. */
#pragma once

#include "storage/disk.h"

enum qb_pool_type {
	QB_POOL_DIR,
	QB_POOL_FS,
	QB_POOL_LOGICAL
};

/* What a pool of type fs may have in its partition. */
enum qb_fs_format {
	QB_FS_XFS,
	QB_FS_EXT4
};

struct qb_fs {
	const char *name;  /* as the kernel, libblkid, libvirt and the configuration call it */
	const char *title; /* for people */
	const char *mkfs, *repair, *package;
	/* What it may leave unused where it ends: a group that is too small. */
	uint64_t slack_bytes;
};

/* By enum qb_fs_format. */
extern const struct qb_fs qb_file_systems[];
/* What a member of a volume group has instead. */
extern const struct qb_fs qb_physical_volume;
/* NULL: it is none of them. */
const struct qb_fs *qb_fs_find(const char *name);

struct qb_disk_match {
	uint64_t min_size, max_size; /* bytes; 0: no bound */
	struct qb_tri rotational;    /* unknown: either */
	char *transport;
	char *model; /* exact, or a glob as in fnmatch(3); as slot */
	char *slot;  /* where it is plugged in: udev's ID_PATH */
};

/* Names disks: by wwid, serial or path (one of them), or by match and count. */
struct qb_disk_selector {
	char *wwid, *serial, *path;
	struct qb_disk_match match;
	bool has_match; /* set by validation */
	char *count;    /* with match: a number, or "all"; NULL: 1 */
};

/* A disk that may be erased for a pool: which, and all that is on it. */
struct qb_erase_config {
	char *wwid, *serial; /* one of them, */
	char *path;          /* or this, of a loop or zram device, which has neither */
	struct qb_strs contains;
};

/* A logical volume that becomes a file system, mounted. */
struct qb_volume_config {
	char *name;
	char *size; /* as qb_volume_size_parse() takes it */
	int format; /* xfs, the only one */
	char *target;
};

struct qb_pool_config {
	char *name;
	int type;   /* enum qb_pool_type */
	int format; /* of fs: enum qb_fs_format */
	struct qb_disk_selector *disks;
	size_t n_disks;
	struct qb_erase_config *erase;
	size_t n_erase;
	char *target;        /* absolute directory; none of logical */
	char *mode;          /* of the target, octal; NULL: whatever it has, as the next two */
	char *owner, *group; /* numbers */
	char *volume_group;  /* of logical; NULL: the pool's name */
	struct qb_volume_config *volumes; /* of logical */
	size_t n_volumes;
};

/* Identities of a pool on one member disk, the same each time they are computed. */
struct qb_pool_ids {
	char disk_guid[37], part_guid[37], fs_uuid[37], pool_uuid[37];
};

/* identity: the member's WWID, else serial, else the backing file of a loop device. */
void qb_pool_ids(const char *machine_id, const char *pool, const char *identity,
		 struct qb_pool_ids *ret);
/* What stands for a disk's hardware: WWID, serial or backing; NULL when it has none. */
const char *qb_disk_identity(const struct qb_disk *disk);

/*
 * Adds the steps that carve, or refuses with every reason of every disk looked at. Pure.
 * A pool whose disk already carries our ready mark needs no step here; one that is pending is
 * resumed when the ledger knows it.
 */
void qb_pool_plan(const struct qb_disks *disks, const struct qb_pool_config *pools, size_t n_pools,
		  const char *machine_id, const struct qb_ledger *ledger, struct qb_plan *plan);

/*
 * The libvirt source device of an fs pool: "/dev/disk/by-partuuid/...", when its disk is carved
 * or about to be, and the UUID of the pool; NULL otherwise. The caller frees it.
 */
char *qb_pool_source(const struct qb_disks *disks, const struct qb_pool_config *pool,
		     const char *machine_id, const struct qb_plan *plan, char ret_uuid[37]);

extern const struct qb_step_kind qb_carve_step; /* storage.carve */
extern const struct qb_step_kind qb_vg_step;    /* storage.group */
