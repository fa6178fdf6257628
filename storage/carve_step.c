/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/carve.h"

#include <errno.h>

#include "storage/probe_parts.h"
#include "storage/select.h"

static uint64_t number(const json_t *json, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(json, key));

	return n < 0 ? 0 : (uint64_t)n;
}

int qb_carve_args_read(const json_t *json, struct qb_carve_args *ret, struct qb_error *err)
{
	const char *format = qb_arg(json, "format");
	struct qb_carve_args args = {
		.pool = qb_arg(json, "pool"),
		.disk = qb_arg(json, "disk"),
		.devno = qb_arg(json, "devno"),
		.identity = qb_arg(json, "identity"),
		.size_bytes = number(json, "size_bytes"),
		.diskseq = number(json, "diskseq"),
		.logical_sector_bytes = number(json, "logical_sector_bytes"),
		/* Steps of volume groups have none, and those of earlier versions were XFS. */
		.fs = qb_fs_find(format ? format : "xfs"),
		.by_path = json_is_true(json_object_get(json, "by_path")),
		.resume = json_is_true(json_object_get(json, "resume")),
		.commit = json_is_true(json_object_get(json, "commit")),
	};
	const struct {
		const char *key;
		char *to;
	} ids[] = {{"disk_guid", args.ids.disk_guid},
		   {"part_guid", args.ids.part_guid},
		   {"fs_uuid", args.ids.fs_uuid}};

	for (size_t i = 0; i < QB_ARRAY_SIZE(ids); i++) {
		const char *id = qb_arg(json, ids[i].key);

		if (!id || strlen(id) >= sizeof(args.ids.disk_guid))
			return qb_error_set(err, EINVAL, "a step of %s without %s", QB_CARVE_KIND,
					    ids[i].key);
		memcpy(ids[i].to, id, strlen(id) + 1);
	}
	if (!args.pool || !args.disk || !args.devno || !args.identity || !args.size_bytes ||
	    !qb_startswith(args.disk, "/dev/"))
		return qb_error_set(err, EINVAL, "a step of %s that names no disk", QB_CARVE_KIND);
	if (!args.fs)
		return qb_error_set(err, EINVAL, "a step of %s for an unknown file system",
				    QB_CARVE_KIND);
	*ret = args;
	return 0;
}

int qb_carve_probe(const struct qb_step_ctx *ctx, const struct qb_strs *identities,
		   struct qb_disks *ret, struct qb_error *err)
{
	*ret = (struct qb_disks){0};
	if (!ctx->root->live)
		return qb_error_set(err, EOPNOTSUPP, "disks are carved on a live host only");
	qb_disks_probe_some(ctx->root, ctx->machine_id, identities, ctx->timeout_ms, ret);
	if (!qb_is(&ret->known))
		return qb_error_set(err, ESTALE, "the disks are unknown: %s",
				    ret->known.why ? ret->known.why : "nobody looked");
	return 0;
}

int qb_carve_pick(const struct qb_disks *disks, const struct qb_carve_args *args,
		  const struct qb_disk **ret, struct qb_error *err)
{
	const struct qb_disk *found = NULL;

	for (size_t i = 0; i < disks->n_disks; i++) {
		const struct qb_disk *disk = &disks->disks[i];

		if (!qb_streq(qb_disk_identity(disk), args->identity) ||
		    qb_disk_has_reason(disk, "nvme-path"))
			continue;
		if (found)
			return qb_error_set(err, ESTALE, "the disk %s (%s) is here more than once",
					    args->disk, args->identity);
		found = disk;
	}
	*ret = found;
	return 0;
}

int qb_carve_find(const struct qb_step_ctx *ctx, const json_t *json, struct qb_carve_args *ret_args,
		  struct qb_disks *ret_disks, const struct qb_disk **ret, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs identities = {0};
	int r = qb_carve_args_read(json, ret_args, err);

	if (r < 0)
		return r;
	qb_strs_add(&identities, ret_args->identity);
	r = qb_carve_probe(ctx, &identities, ret_disks, err);
	if (r == 0)
		r = qb_carve_pick(ret_disks, ret_args, ret, err);
	if (r == 0 && !*ret)
		r = qb_error_set(err, ESTALE, "the disk %s (%s) is not here any more",
				 ret_args->disk, ret_args->identity);
	return r;
}

void qb_carve_as_it_is(const struct qb_disk *disk, struct qb_carve_args *args)
{
	args->disk = disk->path;
	args->devno = disk->devno;
	args->size_bytes = disk->size_bytes;
	args->diskseq = disk->diskseq;
}

int qb_carve_unchanged(const struct qb_disk *disk, const struct qb_carve_args *args,
		       struct qb_error *err)
{
	if (!qb_streq(disk->path, args->disk) || !qb_streq(disk->devno, args->devno) ||
	    disk->diskseq != args->diskseq)
		return qb_error_set(err, ESTALE, "changed: the disk %s is %s now, and was %s",
				    args->identity, disk->path, args->disk);
	if (disk->size_bytes != args->size_bytes ||
	    disk->logical_sector_bytes != args->logical_sector_bytes)
		return qb_error_set(err, ESTALE, "changed: %s has another size than planned",
				    disk->path);
	return 0;
}

static int refuse(const struct qb_disk *disk, const struct qb_carve_args *args,
		  struct qb_error *err)
{
	_cleanup_free_ char *why = qb_reasons_text(disk, args->by_path);

	return qb_error_set(err, ESTALE, "%s is no longer free for pool %s: %s", disk->path,
			    args->pool, why ? why : "nobody judged it");
}

int qb_carve_is_read(const struct qb_disk *disk, struct qb_error *err)
{
	if (qb_is(&disk->readable))
		return 0;
	return qb_error_set(err, EIO,
			    "%s cannot be read: %s; \"journalctl -k -g %s\" has what the kernel "
			    "says to it",
			    disk->path, qb_disk_unread_why(disk), disk->name);
}

/* A ready mark says that the file system was whole when it was set. */
static int is_ready(const struct qb_disk *disk, const struct qb_carve_args *args,
		    struct qb_error *err)
{
	if (!qb_disk_carved(disk, &args->ids, args->fs))
		return qb_error_set(err, EIO, "%s carries the mark of pool %s, but not its %s %s",
				    disk->path, args->pool, args->fs->title, args->ids.fs_uuid);
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_disks_ struct qb_disks disks = {0};
	const struct qb_disk *disk;
	struct qb_carve_args args;
	enum qb_disk_claim claim;
	int r = qb_carve_find(ctx, json, &args, &disks, &disk, err);

	if (r == 0)
		r = qb_carve_is_read(disk, err);
	if (r < 0)
		return r;
	claim = qb_disk_claim(disk, args.pool, &args.ids, args.by_path, args.resume);
	if (claim == QB_CLAIM_READY) {
		r = is_ready(disk, &args, err);
		if (r == 0)
			*ret = QB_OBSERVED_DONE;
		return r;
	}
	r = qb_carve_unchanged(disk, &args, err);
	if (r < 0)
		return r;
	if (claim == QB_CLAIM_NONE || (claim == QB_CLAIM_COMMIT) != args.commit)
		return refuse(disk, &args, err);
	if (claim == QB_CLAIM_RESUME)
		r = qb_carve_unused(disk, err);
	else if (claim == QB_CLAIM_COMMIT)
		r = is_ready(disk, &args, err);
	if (r < 0)
		return qb_error_wrap(err, "%s stays as it is", disk->path);
	*ret = QB_OBSERVED_NEEDED;
	*ret_before = json_pack("{s:s}", "contents",
				claim == QB_CLAIM_COMMIT   ? "carved"
				: claim == QB_CLAIM_RESUME ? "torn"
							   : "blank");
	return 0;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_disks_ struct qb_disks disks = {0};
	const struct qb_disk *disk;
	struct qb_carve_args args;
	int r = qb_carve_find(ctx, json, &args, &disks, &disk, err);

	(void)before;
	if (r == 0)
		r = qb_carve_is_read(disk, err);
	if (r < 0)
		return r;
	if (qb_disk_claim(disk, args.pool, &args.ids, args.by_path, false) != QB_CLAIM_READY)
		return qb_error_set(err, EIO, "%s does not carry the mark of pool %s", disk->path,
				    args.pool);
	return is_ready(disk, &args, err);
}

const struct qb_step_kind qb_carve_step = {
	.kind = QB_CARVE_KIND,
	.observe = observe,
	.apply = qb_carve_apply,
	.verify = verify,
	.undo = qb_carve_undo,
	.may_undo = qb_carve_may_undo,
};
