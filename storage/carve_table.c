/* SPDX-License-Identifier: Apache-2.0 */
/* What carving writes at both ends of a disk. The one place that talks to libfdisk. */
#include "storage/carve.h"

#include <errno.h>
#include <fcntl.h>

#include "storage/fdisk_lib.h"
#include "storage/gpt.h"
#include "storage/mark.h"
#include "storage/probe_parts.h"

enum {
	WIPE_BEHIND = 4096 + 512,
};

static void contextp(struct fdisk_context **c)
{
	if (*c)
		sym_fdisk_unref_context(*c);
}

static void partitionp(struct fdisk_partition **p)
{
	if (*p)
		sym_fdisk_unref_partition(*p);
}

static void parttypep(struct fdisk_parttype **t)
{
	if (*t)
		sym_fdisk_unref_parttype(*t);
}

int qb_carve_zero(int fd, const char *path, uint64_t from, uint64_t to, struct qb_error *err)
{
	size_t len = to - from < QB_END_BYTES ? to - from : QB_END_BYTES;
	_cleanup_free_ char *zero = qb_alloc(len, 1);

	while (from < to) {
		ssize_t n = pwrite(fd, zero, to - from < len ? to - from : len, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return qb_error_errno(err, n < 0 ? errno : EIO, "%s: cannot wipe it", path);
		from += (uint64_t)n;
	}
	return 0;
}

/*
 * What tells of a partition what it is stands before WIPE_BEHIND: the headers of an XFS, LVM's
 * label and the header of its metadata area. A wipe that breaks off behind it is known by it, and
 * one that breaks off in it by there being nothing else.
 */
int qb_carve_wipe(int fd, const char *path, uint64_t size_bytes, uint64_t start_bytes,
		  struct qb_error *err)
{
	uint64_t len = size_bytes < QB_END_BYTES ? size_bytes : QB_END_BYTES;
	uint64_t behind = start_bytes + WIPE_BEHIND < len ? start_bytes + WIPE_BEHIND : len;
	uint64_t end = size_bytes - start_bytes;
	int r = qb_carve_zero(fd, path, behind, len, err);

	if (r == 0)
		r = qb_carve_zero(fd, path, size_bytes - len, end, err);
	if (r == 0 && fsync(fd) < 0)
		r = qb_error_errno(err, errno, "%s: cannot sync it", path);
	if (r == 0)
		r = qb_carve_zero(fd, path, 0, behind, err);
	if (r == 0)
		r = qb_carve_zero(fd, path, end, size_bytes, err);
	if (r == 0 && fsync(fd) < 0)
		r = qb_error_errno(err, errno, "%s: cannot sync it", path);
	return r;
}

static int describe(struct fdisk_context *c, const char *name, const char *part_type,
		    const struct qb_pool_ids *ids, struct fdisk_partition *p)
{
	QB_CLEANUP(parttypep) struct fdisk_parttype *type = NULL;
	uint64_t sector = sym_fdisk_get_sector_size(c), start, size;
	int r;

	qb_carve_layout(sym_fdisk_get_nsectors(c) * sector, &start, &size);
	type = sym_fdisk_label_get_parttype_from_string(sym_fdisk_get_label(c, NULL), part_type);
	r = type ? sym_fdisk_partition_set_type(p, type) : -EINVAL;
	r = r ? r : sym_fdisk_partition_set_partno(p, 0);
	r = r ? r : sym_fdisk_partition_set_start(p, start / sector);
	r = r ? r : sym_fdisk_partition_set_size(p, size / sector);
	r = r ? r : sym_fdisk_partition_size_explicit(p, 1);
	r = r ? r : sym_fdisk_partition_set_name(p, name);
	return r ? r : sym_fdisk_partition_set_uuid(p, ids->part_guid);
}

int qb_carve_table(int fd, const char *path, const char *pool, const char *type,
		   const struct qb_pool_ids *ids, enum qb_mark_state state, struct qb_error *err)
{
	QB_CLEANUP(contextp) struct fdisk_context *c = NULL;
	QB_CLEANUP(partitionp) struct fdisk_partition *p = NULL;
	_cleanup_free_ char *name = qb_mark_name(pool, state);
	/*
	 * The kernel tells each open file once that a write failed, and libfdisk syncs by its own
	 * between the two copies and does not look (gpt_write_disklabel() in libfdisk/src/gpt.c):
	 * what it was told nobody else would hear by the same one.
	 */
	_cleanup_close_ int witness = qb_reopen(fd, O_RDONLY);
	int r;

	if (witness < 0)
		return qb_error_errno(err, witness, "%s: cannot open it again", path);
	r = qb_fdisk_load(err);
	if (r < 0)
		return r;
	c = sym_fdisk_new_context();
	p = sym_fdisk_new_partition();
	if (!c || !p)
		return qb_error_set(err, ENOMEM, "%s: libfdisk", path);
	sym_fdisk_disable_dialogs(c, 1);
	/*
	 * By our own descriptor: libfdisk's would be opened again without O_EXCL when that gives
	 * EBUSY, and nobody would hear of it.
	 */
	r = sym_fdisk_assign_device_by_fd(c, fd, path, 0);
	if (r)
		return qb_error_errno(err, r, "%s: libfdisk does not take it", path);
	r = sym_fdisk_create_disklabel(c, "gpt");
	r = r ? r : sym_fdisk_set_disklabel_id_from_string(c, ids->disk_guid);
	r = r ? r : describe(c, name, type, ids, p);
	r = r ? r : sym_fdisk_add_partition(c, p, NULL);
	r = r ? r : sym_fdisk_write_disklabel(c);
	if (r)
		qb_error_errno(err, r, "%s: cannot write its GPT", path);
	else if (fsync(witness) < 0)
		r = qb_error_errno(err, errno, "%s: cannot sync it", path);
	/* 1: no sync() of the whole machine, we synced what is ours. */
	(void)sym_fdisk_deassign_device(c, 1);
	return r ? -abs(r) : 0;
}
