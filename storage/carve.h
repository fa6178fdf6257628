/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the step storage.carve: everything here writes to a disk, or holds one. */
#pragma once

#include "agent/base/step.h"
#include "storage/disk.h"
#include "storage/pool.h"

struct qb_carve_args {
	const char *pool, *disk, *devno, *identity; /* borrowed from the JSON */
	uint64_t size_bytes, diskseq, logical_sector_bytes;
	struct qb_pool_ids ids;
	const struct qb_fs *fs;
	bool by_path, resume, commit;
};

QB_MUST_CHECK int qb_carve_args_read(const json_t *json, struct qb_carve_args *ret,
				     struct qb_error *err);

/*
 * All disks that are here now, those of these identities with their contents. *ret is to be freed
 * in any case.
 */
QB_MUST_CHECK int qb_carve_probe(const struct qb_step_ctx *ctx, const struct qb_strs *identities,
				 struct qb_disks *ret, struct qb_error *err);
/* The disk of the plan among them; NULL: it is not here. -ESTALE when it is not unique. */
QB_MUST_CHECK int qb_carve_pick(const struct qb_disks *disks, const struct qb_carve_args *args,
				const struct qb_disk **ret, struct qb_error *err);
/* Reads the step's arguments, and finds its disk (-ESTALE when it is gone) in *ret_disks. */
QB_MUST_CHECK int qb_carve_find(const struct qb_step_ctx *ctx, const json_t *json,
				struct qb_carve_args *ret_args, struct qb_disks *ret_disks,
				const struct qb_disk **ret, struct qb_error *err);

/* What is on the disk is known; else -EIO, with why, and where more is to be found. */
QB_MUST_CHECK int qb_carve_is_read(const struct qb_disk *disk, struct qb_error *err);
/* After a reboot it is the same disk under another name: args are those of the disk as it is now.
 */
void qb_carve_as_it_is(const struct qb_disk *disk, struct qb_carve_args *args);
/* Everything the plan relied on; "changed" in the words of the reasons. */
QB_MUST_CHECK int qb_carve_unchanged(const struct qb_disk *disk, const struct qb_carve_args *args,
				     struct qb_error *err);

/* A locked disk. fd holds the flock to the end; exclusive keeps every other opener out. */
struct qb_carve_device {
	int fd, exclusive;
};

#define QB_CARVE_DEVICE_INIT                                                                       \
	{                                                                                          \
		-1, -1                                                                             \
	}

/* Locks path and makes sure that it is the very device of the plan, by devno, size and diskseq. */
QB_MUST_CHECK int qb_carve_lock(const char *path, const struct qb_carve_args *args,
				unsigned timeout_ms, struct qb_carve_device *ret,
				struct qb_error *err);
/*
 * The same, where it takes a mount to see whether a file system is in use, which nobody else's
 * being kept out would prevent: look() looks under the lock, and what both ends of the disk read as
 * is the same before it and once the disk is had alone; -ESTALE where it is not. Whoever mounts a
 * file system of ours to write, or makes a file in it, changes what is there at the beginning: the
 * super block of ext4, the root directory of XFS. A log that look() writes back is one that an
 * earlier look has to have written back.
 */
typedef int qb_carve_look_fn(void *data, struct qb_error *err);
QB_MUST_CHECK int qb_carve_lock_looked_at(const char *path, const struct qb_carve_args *args,
					  unsigned timeout_ms, qb_carve_look_fn *look, void *data,
					  struct qb_carve_device *ret, struct qb_error *err);
/* The same of a disk that is in use: exclusive is not had. */
QB_MUST_CHECK int qb_carve_lock_used(const char *path, const struct qb_carve_args *args,
				     unsigned timeout_ms, struct qb_carve_device *ret,
				     struct qb_error *err);
/* The child mkfs wants the disk for itself: leaves the flock in place. */
void qb_carve_share(struct qb_carve_device *device);
void qb_carve_unlock(struct qb_carve_device *device);
#define _cleanup_carve_device_ QB_CLEANUP(qb_carve_unlock)

/*
 * Once more, under the locks: what is on it now, as reasons, of which *ret has no others:
 * everything else holds still while we hold the disk. -ESTALE where somebody could write to it.
 * *ret is to be freed in any case.
 */
QB_MUST_CHECK int qb_carve_look(const struct qb_step_ctx *ctx, int fd,
				const struct qb_carve_args *args, struct qb_disk *ret,
				struct qb_error *err);
/* The same, and -ESTALE where it is not what was planned: somebody else may have been quicker. */
QB_MUST_CHECK int qb_carve_look_again(const struct qb_step_ctx *ctx, int fd,
				      const struct qb_carve_args *args, struct qb_error *err);

/* Zeroes [from, to) of the disk. */
QB_MUST_CHECK int qb_carve_zero(int fd, const char *path, uint64_t from, uint64_t to,
				struct qb_error *err);
/*
 * Zeroes both ends and syncs, what lies behind the headers of a partition (or, with 0, of the
 * volume) that starts there first: broken off anywhere, what is left is known to be ours. What was
 * there before must have been judged.
 */
QB_MUST_CHECK int qb_carve_wipe(int fd, const char *path, uint64_t size_bytes, uint64_t start_bytes,
				struct qb_error *err);
/* Types of partitions, of the Discoverable Partitions Specification. */
#define QB_PART_LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define QB_PART_LVM "E6D6D379-F507-44C2-A23C-238F2A3DF928"
/* Writes the GPT with its one partition and syncs; the same call with QB_MARK_READY commits. */
QB_MUST_CHECK int qb_carve_table(int fd, const char *path, const char *pool, const char *type,
				 const struct qb_pool_ids *ids, enum qb_mark_state state,
				 struct qb_error *err);
/* Tells the kernel that there is none of the partitions 1 to last. */
QB_MUST_CHECK int qb_carve_forget(int fd, const char *path, int last, struct qb_error *err);
/* Tells the kernel that there is partition 1, and of what size. */
QB_MUST_CHECK int qb_carve_kernel(int fd, const char *path, uint64_t start_bytes,
				  uint64_t size_bytes, struct qb_error *err);
/* The same of a partition that may be in use; where there is none yet it is made. */
QB_MUST_CHECK int qb_carve_kernel_resize(int fd, const char *path, uint64_t start_bytes,
					 uint64_t size_bytes, struct qb_error *err);
/* Waits for the partition's node; the caller frees *ret, its path. */
QB_MUST_CHECK int qb_carve_node(const struct qb_step_ctx *ctx, const char *disk, char **ret,
				struct qb_error *err);
QB_MUST_CHECK int qb_carve_mkfs(const char *node, const struct qb_carve_args *args,
				unsigned timeout_ms, struct qb_error *err);
/*
 * Where udev runs: until it has digested what was written. An unsettled udev is an error only when
 * part_guid is given and has no link yet; it may be busy with something else.
 */
QB_MUST_CHECK int qb_carve_settle(unsigned timeout_ms, const char *part_guid, struct qb_error *err);
/*
 * Mounts it where nobody else sees it: returns a descriptor, with which the mount goes. -EUCLEAN:
 * what is there cannot be mounted.
 */
QB_MUST_CHECK int qb_carve_mount(const char *node, const struct qb_fs *fs, bool read_only,
				 struct qb_error *err);
/*
 * 0: the file system on node has nothing in it but what mkfs puts there. -ENOTEMPTY; -EUCLEAN: it
 * cannot be mounted, or lacks that; other errors: unknown.
 */
QB_MUST_CHECK int qb_carve_empty(const char *node, const struct qb_fs *fs, struct qb_error *err);
/* What is half carved has no files: one that has is a pool in use, whatever the journal says. */
QB_MUST_CHECK int qb_carve_unused(const struct qb_disk *disk, struct qb_error *err);

/*
 * The file system of node takes all of it, without anybody who uses it being disturbed. mountpoint:
 * where it is mounted; NULL: nowhere that is known. It never becomes smaller.
 */
QB_MUST_CHECK int qb_grow_fs(const char *node, const struct qb_fs *fs, const char *mountpoint,
			     struct qb_error *err);

QB_MUST_CHECK int qb_carve_apply(const struct qb_step_ctx *ctx, const json_t *json,
				 const json_t *before, struct qb_error *err);
QB_MUST_CHECK int qb_carve_undo(const struct qb_step_ctx *ctx, const json_t *json,
				const json_t *before, struct qb_error *err);
/* Fails where undo would refuse for what is on a disk that is not mounted. */
QB_MUST_CHECK int qb_carve_may_undo(const struct qb_step_ctx *ctx, const json_t *json,
				    const json_t *before, struct qb_error *err);
