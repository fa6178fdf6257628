/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step storage.erase. What stands in the middle of the disk goes first and its two ends last, so
 * that whenever it breaks off either there is less of what was named, or nothing at all.
 */
#include "storage/erase.h"

#include <errno.h>
#include <unistd.h>

#include "storage/carve.h"
#include "storage/gpt.h"
#include "storage/probe_parts.h"

enum {
	PIECE_BYTES = 1 << 20, /* at each end of a partition, and around a signature */
	PARTITIONS_MAX = 256,  /* that the kernel has, apart from what is on the disk */
};

static void read_contains(const json_t *json, struct qb_strs *ret)
{
	const json_t *name;
	size_t i;

	json_array_foreach (json_object_get(json, "contains"), i, name)
		qb_strs_add(ret, json_string_value(name));
}

static bool is_blank(const struct qb_disk *disk, const struct qb_carve_args *args)
{
	return qb_disk_claim(disk, args->pool, &args->ids, args->by_path, false) == QB_CLAIM_BLANK;
}

static int check(const struct qb_disk *disk, const struct qb_carve_args *args, const json_t *json,
		 struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs contains = {0}, here = {0};
	_cleanup_free_ char *is = NULL, *named = NULL, *differs = NULL;

	read_contains(json, &contains);
	if (!qb_erase_allows(&contains, disk, args->by_path, args->resume ? json : NULL)) {
		qb_disk_contains(disk, &here);
		is = qb_strs_sentence(&here);
		named = qb_strs_sentence(&contains);
		return qb_error_set(err, ESTALE,
				    "%s is not erased: it was to contain %s, and contains %s",
				    args->disk, named, is ? is : "nothing");
	}
	differs = qb_erase_differs(json, disk, args->resume);
	if (differs)
		return qb_error_set(err, ESTALE,
				    "%s is not erased: it is not what was planned, %s; where that "
				    "is to go as well, plan again",
				    args->disk, differs);
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_disks_ struct qb_disks disks = {0};
	const struct qb_disk *disk;
	struct qb_carve_args args;
	int r = qb_carve_find(ctx, json, &args, &disks, &disk, err);

	if (r == 0)
		r = qb_carve_unchanged(disk, &args, err);
	if (r < 0)
		return r;
	if (is_blank(disk, &args)) {
		*ret = QB_OBSERVED_DONE;
		return 0;
	}
	r = check(disk, &args, json, err);
	if (r < 0)
		return r;
	*ret = QB_OBSERVED_NEEDED;
	*ret_before = json_pack("{s:O}", "contains", json_object_get(json, "contains"));
	return 0;
}

/* [from, from + len) as far as it is on the disk, in whole sectors. */
static int zero_piece(int fd, const struct qb_carve_args *args, uint64_t from, uint64_t len,
		      struct qb_error *err)
{
	uint64_t to = from > args->size_bytes || len > args->size_bytes - from ? args->size_bytes
									       : from + len;

	from -= from % 4096;
	return qb_carve_zero(fd, args->disk, from, to, err);
}

static int zero_middle(int fd, const struct qb_disk *disk, const struct qb_carve_args *args,
		       struct qb_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < disk->n_partitions; i++) {
		const struct qb_partition *p = &disk->partitions[i];
		uint64_t len = p->size_bytes < PIECE_BYTES ? p->size_bytes : PIECE_BYTES;

		r = zero_piece(fd, args, p->start_bytes, len, err);
		if (r == 0)
			r = zero_piece(fd, args, p->start_bytes + p->size_bytes - len, len, err);
	}
	for (size_t i = 0; r == 0 && i < disk->n_signatures; i++)
		r = zero_piece(fd, args, disk->signatures[i].offset, PIECE_BYTES, err);
	if (r == 0 && fsync(fd) < 0)
		r = qb_error_errno(err, errno, "%s: cannot sync it", args->disk);
	return r;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_carve_device_ struct qb_carve_device device = QB_CARVE_DEVICE_INIT;
	struct qb_disk disk = {0};
	struct qb_carve_args args;
	int r = qb_carve_args_read(json, &args, err);

	(void)before;
	if (r == 0)
		r = qb_carve_lock(args.disk, &args, ctx->timeout_ms, &device, err);
	if (r == 0)
		r = qb_carve_look(ctx, device.exclusive, &args, &disk, err);
	if (r == 0)
		r = check(&disk, &args, json, err);
	if (r == 0)
		r = qb_carve_forget(device.exclusive, args.disk, PARTITIONS_MAX, err);
	if (r == 0)
		r = zero_middle(device.exclusive, &disk, &args, err);
	if (r == 0)
		r = qb_carve_wipe(device.exclusive, args.disk, args.size_bytes, 0, err);
	qb_disk_done(&disk);
	if (r < 0)
		return r;
	qb_carve_unlock(&device);
	return qb_carve_settle(ctx->timeout_ms, NULL, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_disks_ struct qb_disks disks = {0};
	const struct qb_disk *disk;
	struct qb_carve_args args;
	int r = qb_carve_find(ctx, json, &args, &disks, &disk, err);

	(void)before;
	if (r < 0)
		return r;
	if (!is_blank(disk, &args))
		return qb_error_set(err, EIO, "%s was erased, and is not blank: %s", args.disk,
				    disk->n_reasons ? disk->reasons[0].evidence
						    : "nobody judged it");
	return 0;
}

/* A run that failed before it wrote anything has nothing to bring back. */
static int undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		struct qb_error *err)
{
	_cleanup_disks_ struct qb_disks disks = {0};
	_cleanup_strs_ struct qb_strs contains = {0};
	_cleanup_free_ char *list = NULL, *differs = NULL;
	const struct qb_disk *disk;
	struct qb_carve_args args;
	int r = qb_carve_find(ctx, json, &args, &disks, &disk, err);

	(void)before;
	if (r < 0)
		return r;
	read_contains(json, &contains);
	differs = qb_erase_differs(json, disk, false);
	if (!differs && qb_erase_allows(&contains, disk, args.by_path, NULL))
		return 0;
	list = qb_strs_sentence(&contains);
	return qb_error_set(err, EOPNOTSUPP, "%s was erased: what was on it (%s) is gone for good",
			    args.disk, list);
}

const struct qb_step_kind qb_erase_step = {
	.kind = QB_ERASE_KIND,
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
