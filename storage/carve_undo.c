/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a pool's marks off a disk again, when they are provably ours and nothing would be lost. */
#include "storage/carve.h"

#include <errno.h>

#include "storage/gpt.h"
#include "storage/select.h"

/* Whether anything on the disk is this step's work. */
static bool is_ours(const struct qb_disk *disk, const struct qb_carve_args *args)
{
	if (disk->mark.state == QB_MARK_NONE)
		return false;
	return qb_streq(disk->mark.uuid, args->ids.disk_guid) ||
	       qb_disk_resumable(disk, args->pool, &args->ids);
}

static int refuse_lossy(const struct qb_disk *disk, const struct qb_carve_args *args,
			struct qb_error *err)
{
	const struct qb_partition *p = disk->n_partitions == 1 ? &disk->partitions[0] : NULL;
	int r;

	if (disk->mountpoints.n)
		return qb_error_set(err, EBUSY, "%s stays as it is: it is mounted on %s",
				    disk->path, disk->mountpoints.v[0]);
	if (disk->n_partitions > 1)
		return qb_error_set(err, EEXIST, "%s stays as it is: partitions were added to it",
				    disk->path);
	r = qb_carve_is_read(disk, err);
	if (r < 0)
		return qb_error_wrap(err, "%s stays as it is", disk->path);
	if (disk->mark.state == QB_MARK_PENDING && !disk->mark.only)
		return qb_error_set(err, EEXIST,
				    "%s stays as it is: something is on it that is not ours",
				    disk->path);
	if (!p || !p->fs_type) {
		/* Where files may be, "not recognised" is not "nothing". */
		if (disk->mark.state != QB_MARK_PENDING)
			return qb_error_set(err, EUCLEAN,
					    "%s stays as it is: its %s cannot be recognised; "
					    "%s may mend it",
					    disk->path, args->fs->title, args->fs->repair);
		return 0;
	}
	if (!qb_streq(p->fs_type, args->fs->name) || !qb_streq(p->fs_uuid, args->ids.fs_uuid))
		return qb_error_set(err, EEXIST, "%s stays as it is: it has a %s that is not ours",
				    p->path, p->fs_type);
	r = qb_carve_empty(p->path, args->fs, err);
	/* What mkfs did not finish cannot be mounted, nor what the kernel does not show. */
	if ((r == -EUCLEAN || r == -ENOENT) && disk->mark.state == QB_MARK_PENDING)
		return 0;
	return r < 0 ? qb_error_wrap(err, "%s stays as it is", disk->path) : 0;
}

struct undoing {
	const struct qb_step_ctx *ctx;
	const json_t *json;
	struct qb_carve_args args; /* qb_carve_as_it_is() */
	struct qb_disks disks;
	const struct qb_disk *disk; /* NULL: there is nothing of this step's */
};

static void undoing_done(struct undoing *u)
{
	qb_disks_done(&u->disks);
}
#define _cleanup_undoing_ QB_CLEANUP(undoing_done)

static int judge(struct undoing *u, struct qb_error *err)
{
	int r = qb_carve_find(u->ctx, u->json, &u->args, &u->disks, &u->disk, err);

	if (r < 0)
		return r;
	if (!is_ours(u->disk, &u->args)) {
		u->disk = NULL;
		return 0;
	}
	qb_carve_as_it_is(u->disk, &u->args);
	return refuse_lossy(u->disk, &u->args, err);
}

static int judge_again(void *data, struct qb_error *err)
{
	const struct undoing *first = data;
	_cleanup_undoing_ struct undoing u = {.ctx = first->ctx, .json = first->json};
	int r = judge(&u, err);

	if (r == 0 && (!u.disk || !qb_streq(u.disk->path, first->disk->path)))
		r = qb_error_set(err, ESTALE, "%s is not what it was a moment ago",
				 first->disk->path);
	return r;
}

int qb_carve_may_undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		      struct qb_error *err)
{
	_cleanup_undoing_ struct undoing u = {.ctx = ctx, .json = json};
	struct qb_error why = QB_ERROR_INIT;
	int r;

	if (qb_streq(qb_arg(before, "contents"), "carved"))
		return 0;
	r = judge(&u, &why);
	/*
	 * Of what is mounted the step that mounted it tells, and a disk that is gone or cannot be
	 * read is left as it is: that is no reason to leave all else.
	 */
	if (r == 0 || r == -EIO || !u.disk || u.disk->mountpoints.n)
		return 0;
	return qb_error_set(err, -r, "%s", why.msg);
}

int qb_carve_undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_carve_device_ struct qb_carve_device device = QB_CARVE_DEVICE_INIT;
	_cleanup_undoing_ struct undoing u = {.ctx = ctx, .json = json};
	int r;

	/* What this step finished was carved by another run, and is that one's to undo. */
	if (qb_streq(qb_arg(before, "contents"), "carved"))
		return 0;
	r = judge(&u, err);
	if (r < 0 || !u.disk)
		return r;
	r = qb_carve_lock_looked_at(u.args.disk, &u.args, ctx->timeout_ms, judge_again, &u, &device,
				    err);
	if (r < 0)
		return r;
	/* First what says that nobody's data are on it; so what breaks off can be gone on with. */
	if (u.disk->mark.state != QB_MARK_PENDING)
		r = qb_carve_table(device.exclusive, u.args.disk, u.args.pool, QB_PART_LINUX,
				   &u.args.ids, QB_MARK_PENDING, err);
	if (r == 0)
		r = qb_carve_forget(device.exclusive, u.args.disk, 1, err);
	if (r == 0)
		r = qb_carve_wipe(device.exclusive, u.args.disk, u.args.size_bytes,
				  QB_PART_START_BYTES, err);
	if (r < 0)
		return r;
	qb_carve_unlock(&device);
	return qb_carve_settle(ctx->timeout_ms, NULL, err);
}
