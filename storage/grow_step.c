/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step storage.grow, in an order that survives a power cut at any point. The second copy of the
 * table is written at the new end first, and is on the disk before the first one is touched, so
 * that always one of them is whole; the kernel is told, and what is in it grows last. Whatever of
 * it is done, what is missing shows in what is smaller than it could be.
 */
#include "storage/grow.h"

#include <errno.h>

#include "storage/gpt.h"
#include "storage/vg_step.h"

/* What is to be done on a disk. */
struct now {
	enum qb_disk_claim claim;
	enum qb_growth_state state;
	struct qb_growth growth;
};

struct look {
	struct qb_disks disks;
	const struct qb_disk *disk;
	const struct qb_volume_group *group; /* that it is in; NULL: none */
};

static void look_done(struct look *look)
{
	qb_disks_done(&look->disks);
}
#define _cleanup_look_ QB_CLEANUP(look_done)

/* *ret is to be freed in any case. */
static int look_at(const struct qb_step_ctx *ctx, const json_t *json,
		   struct qb_carve_args *ret_args, struct look *ret, struct qb_error *err)
{
	const char *name = qb_arg(json, "group");
	int r = qb_carve_find(ctx, json, ret_args, &ret->disks, &ret->disk, err);

	if (r < 0 || !name)
		return r;
	ret_args->fs = &qb_physical_volume;
	r = qb_vg_ask_for(ctx, ret_args->pool, name, &ret->disks, &ret->group, err);
	if (r < 0)
		return r;
	if (qb_vg_state(ret->group, ret_args->pool, ctx->machine_id) != QB_VG_IS_READY ||
	    !qb_vg_has(ret->group, ret->disk))
		ret->group = NULL;
	return 0;
}

static int expect_member(const struct look *look, const struct qb_carve_args *args,
			 struct qb_error *err)
{
	if (args->fs != &qb_physical_volume)
		return 0;
	if (!look->group)
		return qb_error_set(err, ESTALE, "%s is in no volume group of pool %s",
				    look->disk->path, args->pool);
	/* LVM changes none of which it does not see all. */
	if (look->group->missing)
		return qb_error_set(err, ESTALE, "the volume group %s lacks physical volumes",
				    look->group->name);
	return 0;
}

/* The disk has to be the pool's own still. */
static int judge(const struct qb_disk *disk, const struct qb_volume_group *group,
		 const struct qb_carve_args *args, struct now *ret, struct qb_error *err)
{
	ret->claim = qb_disk_claim(disk, args->pool, &args->ids, args->by_path, false);
	ret->state = qb_growth_of(disk, &args->ids, args->fs, group, &ret->growth);
	if (ret->claim > QB_CLAIM_COMMIT || ret->state == QB_GROWTH_FOREIGN)
		return qb_error_set(err, ESTALE,
				    "%s stays as it is: it does not carry the %s of pool %s any "
				    "more, as it was carved",
				    disk->path, args->fs->title, args->pool);
	return 0;
}

static bool is_done(const struct now *now)
{
	return now->claim == QB_CLAIM_READY && now->state == QB_GROWTH_NONE;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_look_ struct look look = {0};
	struct qb_carve_args args;
	struct now now;
	int r = look_at(ctx, json, &args, &look, err);

	if (r == 0)
		r = expect_member(&look, &args, err);
	if (r == 0)
		r = qb_carve_unchanged(look.disk, &args, err);
	if (r == 0)
		r = judge(look.disk, look.group, &args, &now, err);
	if (r < 0)
		return r;
	if (is_done(&now)) {
		*ret = QB_OBSERVED_DONE;
		return 0;
	}
	*ret = QB_OBSERVED_NEEDED;
	*ret_before = json_pack("{s:I, s:I}", "partition_bytes",
				(json_int_t)now.growth.partition->size_bytes, "fs_bytes",
				(json_int_t)now.growth.from_bytes);
	return 0;
}

/* Under the lock: the table, and what the kernel makes of it. */
static int enlarge(const struct qb_step_ctx *ctx, const struct qb_carve_args *args, int fd,
		   struct qb_error *err)
{
	struct qb_disk disk = {0};
	struct now now;
	int r = qb_carve_look(ctx, fd, args, &disk, err);

	if (r == 0)
		r = judge(&disk, NULL, args, &now, err);
	if (r == 0 && (now.growth.table || now.claim == QB_CLAIM_COMMIT))
		r = qb_carve_table(fd, args->disk, args->pool,
				   args->fs == &qb_physical_volume ? QB_PART_LVM : QB_PART_LINUX,
				   &args->ids, QB_MARK_READY, err);
	if (r == 0)
		r = qb_carve_kernel_resize(fd, args->disk, now.growth.partition->start_bytes,
					   now.growth.to_bytes, err);
	qb_disk_done(&disk);
	return r;
}

/* What LVM wrote of it is on all disks of the group. */
static int grow_volume(const struct qb_step_ctx *ctx, const char *node,
		       const struct qb_volume_group *group, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs argv = {0};
	int r;

	qb_strs_add(&argv, "pvresize");
	qb_strs_add(&argv, node);
	r = qb_lvm(ctx, &argv, err);
	return r < 0 ? r : qb_vg_sync(group, err);
}

static int grow(const struct qb_step_ctx *ctx, const struct look *look,
		const struct qb_carve_args *args, bool table_only, struct qb_error *err)
{
	_cleanup_carve_device_ struct qb_carve_device device = QB_CARVE_DEVICE_INIT;
	_cleanup_free_ char *node = NULL;
	int r = qb_carve_lock_used(args->disk, args, ctx->timeout_ms, &device, err);

	if (r == 0)
		r = enlarge(ctx, args, device.fd, err);
	if (r < 0 || table_only)
		return r;
	r = qb_carve_node(ctx, args->disk, &node, err);
	if (r < 0)
		return r;
	if (look->group)
		return grow_volume(ctx, node, look->group, err);
	return qb_grow_fs(node, args->fs,
			  look->disk->n_partitions ? look->disk->partitions[0].mountpoint : NULL,
			  err);
}

static int apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_look_ struct look look = {0};
	struct qb_carve_args args;
	int r = look_at(ctx, json, &args, &look, err);

	if (r == 0)
		r = expect_member(&look, &args, err);
	(void)before;
	if (r == 0)
		r = grow(ctx, &look, &args, false, err);
	return r < 0 ? r : qb_carve_settle(ctx->timeout_ms, args.ids.part_guid, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_look_ struct look look = {0};
	struct qb_carve_args args;
	struct now now;
	int r = look_at(ctx, json, &args, &look, err);

	if (r == 0)
		r = expect_member(&look, &args, err);
	(void)before;
	if (r == 0)
		r = judge(look.disk, look.group, &args, &now, err);
	if (r < 0)
		return r;
	if (!is_done(&now))
		return qb_error_set(
			err, EIO, "the %s on %s has %ju bytes, and there is room for %ju",
			args.fs->title, look.disk->path, (uintmax_t)now.growth.from_bytes,
			(uintmax_t)now.growth.to_bytes);
	return 0;
}

/* Nothing makes it smaller again; but a table that was left torn is not left so. */
static int undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		struct qb_error *err)
{
	_cleanup_look_ struct look look = {0};
	struct qb_carve_args args;
	struct now now;
	_cleanup_free_ char *size = NULL;
	int r = look_at(ctx, json, &args, &look, err);

	if (r == 0)
		r = judge(look.disk, look.group, &args, &now, err);
	if (r < 0)
		return r;
	if (now.claim == QB_CLAIM_COMMIT) {
		qb_carve_as_it_is(look.disk, &args);
		r = grow(ctx, &look, &args, true, err);
		if (r < 0)
			return r;
	} else if ((json_int_t)now.growth.partition->size_bytes ==
			   json_integer_value(json_object_get(before, "partition_bytes")) &&
		   (json_int_t)now.growth.from_bytes ==
			   json_integer_value(json_object_get(before, "fs_bytes"))) {
		return 0;
	}
	size = qb_format_size(now.growth.to_bytes);
	return qb_error_set(err, EOPNOTSUPP,
			    "%s keeps its larger size (%s): what grew is not made smaller again; "
			    "nothing is lost by that",
			    look.disk->path, size);
}

const struct qb_step_kind qb_grow_step = {
	.kind = QB_GROW_KIND,
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
