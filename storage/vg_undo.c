/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a group, or what was added to it, apart again, when nothing would be lost. */
#include "storage/vg_step.h"

#include <errno.h>

#include "storage/gpt.h"
#include "storage/volume.h"

struct undoing {
	const struct qb_step_ctx *ctx;
	const struct qb_vg_args *args;
	struct qb_vg_look *look;
	const json_t *contents; /* of each member before the step */
	bool *ours;             /* of each member: something of this step is on it */
	struct qb_carve_device *devices;
	bool ahead; /* it is only asked whether it may be undone */
};

/* LVM does not see what is on it: the kernel shows no partition, as a cut tore the table. */
static bool is_hidden(const struct undoing *u, size_t i)
{
	const struct qb_disk *disk = u->look->members[i];

	return disk && disk->mark.ours && disk->mark.state != QB_MARK_READY &&
	       disk->n_partitions == 1 &&
	       qb_streq(disk->mark.uuid, u->args->members[i].ids.disk_guid) &&
	       (!u->look->group || qb_vg_lacks(u->look->group, &u->args->members[i].ids));
}

static int show(const struct undoing *u, size_t i, struct qb_error *err)
{
	_cleanup_carve_device_ struct qb_carve_device device = QB_CARVE_DEVICE_INIT;
	const struct qb_disk *disk = u->look->members[i];
	struct qb_carve_args now = u->args->members[i];
	_cleanup_free_ char *node = NULL;
	uint64_t start, size;
	int r;

	qb_carve_as_it_is(disk, &now);
	r = qb_carve_lock_used(now.disk, &now, u->ctx->timeout_ms, &device, err);
	qb_carve_layout(disk->size_bytes, &start, &size);
	/* By a torn table the kernel would lose it again, once udev has it read anew. */
	if (r == 0 && disk->partitions[0].start_bytes == start &&
	    disk->partitions[0].size_bytes == size)
		r = qb_carve_table(
			device.fd, now.disk, now.pool, QB_PART_LVM, &now.ids,
			disk->mark.state == QB_MARK_PENDING ? QB_MARK_PENDING : QB_MARK_READY, err);
	if (r == 0)
		r = qb_carve_kernel_resize(device.fd, now.disk, disk->partitions[0].start_bytes,
					   disk->partitions[0].size_bytes, err);
	return r < 0 ? r : qb_carve_node(u->ctx, now.disk, &node, err);
}

/* A rollback that broke off in the tables is gone on with once LVM sees all of the group. */
static int show_hidden(const struct undoing *u, struct qb_error *err)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < u->args->n_members; i++) {
		if (!is_hidden(u, i))
			continue;
		any = true;
		r = show(u, i, err);
	}
	if (r == 0 && any)
		r = qb_carve_settle(u->ctx->timeout_ms, NULL, err);
	if (r < 0 || !any)
		return r;
	qb_vg_look_done(u->look);
	return qb_vg_look_at(u->ctx, u->args, u->look, err);
}

/* Of the group's volumes those that later steps made, which are undone before this one. */
static uint64_t made_later(const struct undoing *u)
{
	char uuid[QB_UUID_LEN], tag[QB_VOLUME_TAG_LEN];
	uint64_t n = 0;

	for (size_t i = 0; i < u->look->group->n_tagged; i++) {
		const struct qb_logical_volume *v = &u->look->group->tagged[i];

		qb_volume_uuid(u->ctx->machine_id, u->args->pool, v->name, uuid);
		qb_volume_tag(uuid, tag);
		n += qb_strs_has(&v->tags, tag);
	}
	return n;
}

static int refuse_member(const struct undoing *u, size_t i, const struct qb_disk *disk,
			 struct qb_error *err)
{
	/* One of its name that somebody made of the same disks is not the pool's. */
	bool has = u->look->state > QB_VG_IS_FOREIGN && qb_vg_has(u->look->group, disk);
	char uuid[QB_PV_UUID_LEN];
	int r;

	qb_pv_uuid(u->args->members[i].ids.fs_uuid, uuid);
	r = qb_carve_is_read(disk, err);
	if (r < 0)
		return qb_error_wrap(err, "%s stays as it is", disk->path);
	/* Ahead: the volumes that later steps made of it go first. */
	if (disk->mountpoints.n || (disk->holders.n && !u->ahead))
		return qb_error_set(err, EBUSY, "%s stays as it is: %s is made of it", disk->path,
				    disk->holders.n ? disk->holders.v[0] : disk->mountpoints.v[0]);
	if (disk->n_partitions > 1)
		return qb_error_set(err, EEXIST, "%s stays as it is: partitions were added to it",
				    disk->path);
	if (disk->mark.state == QB_MARK_PENDING && !disk->mark.only && !has)
		return qb_error_set(err, EEXIST,
				    "%s stays as it is: something is on it that is not ours",
				    disk->path);
	/* A ready mark without its group: whatever took the group away may have left data. */
	if (disk->mark.state != QB_MARK_PENDING && !has)
		return qb_error_set(err, EUCLEAN,
				    "%s stays as it is: LVM shows no volume group %s of pool %s on "
				    "it",
				    disk->path, u->args->group, u->args->pool);
	if (disk->n_partitions && disk->partitions[0].fs_type &&
	    (!qb_streq(disk->partitions[0].fs_type, "LVM2_member") ||
	     !qb_streq(disk->partitions[0].fs_uuid, uuid)))
		return qb_error_set(err, EEXIST, "%s stays as it is: it has a %s that is not ours",
				    disk->partitions[0].path, disk->partitions[0].fs_type);
	return 0;
}

/* Which members this step wrote to, and that nothing on them is anybody else's. */
static int judge_members(struct undoing *u, struct qb_error *err)
{
	for (size_t i = 0; i < u->args->n_members; i++) {
		const struct qb_carve_args *m = &u->args->members[i];
		const struct qb_disk *disk;
		int r;

		/* What this step only marked was carved by another run, and is that one's. */
		if (qb_streq(qb_arg(u->contents, m->identity), "carved"))
			continue;
		if (u->ahead && (!u->look->members[i] || is_hidden(u, i)))
			continue;
		if (!u->look->members[i])
			return qb_error_set(err, ESTALE, "the disk %s (%s) is not here", m->disk,
					    m->identity);
		disk = u->look->members[i];
		u->ours[i] = disk->mark.state != QB_MARK_NONE &&
			     (qb_streq(disk->mark.uuid, m->ids.disk_guid) ||
			      qb_disk_resumable(disk, m->pool, &m->ids));
		r = u->ours[i] ? refuse_member(u, i, disk, err) : 0;
		if (r < 0 && !(u->ahead && r == -EIO))
			return r;
	}
	return 0;
}

static int judge_group(const struct undoing *u, struct qb_error *err)
{
	const struct qb_volume_group *g = u->look->group;
	uint64_t stay;
	size_t n = 0;

	if (u->look->state <= QB_VG_IS_FOREIGN)
		return 0;
	stay = g->volumes - (u->ahead ? made_later(u) : 0);
	if (u->args->make && stay)
		return qb_error_set(err, ENOTEMPTY,
				    "the volume group %s stays as it is: it has %ju logical "
				    "volume%s",
				    g->name, (uintmax_t)stay, stay > 1 ? "s" : "");
	/* What was only begun has nothing of anybody's: a disk that was wiped already is no loss.
	 */
	if (g->missing && u->look->state != QB_VG_IS_PENDING)
		return qb_error_set(err, EIO,
				    "the volume group %s stays as it is: it lacks %ju of its "
				    "physical volumes",
				    g->name, (uintmax_t)g->missing);
	if (!u->args->make)
		return 0;
	for (size_t i = 0; i < u->args->n_members; i++)
		n += u->look->members[i] && qb_vg_has(g, u->look->members[i]);
	if (n != g->physical_volumes.n)
		return qb_error_set(err, EEXIST,
				    "the volume group %s stays as it is: disks were added to it",
				    g->name);
	return 0;
}

/* Between the first look and the lock somebody may have made something of it. */
static int look_again(const struct undoing *u, size_t i, const struct qb_carve_args *now,
		      struct qb_error *err)
{
	struct qb_disk disk = {0};
	int r = qb_carve_look(u->ctx, u->devices[i].exclusive, now, &disk, err);

	if (r == 0 && disk.mark.state != u->look->members[i]->mark.state)
		r = qb_error_set(err, ESTALE, "%s is not what it was a moment ago", now->disk);
	if (r == 0)
		r = refuse_member(u, i, &disk, err);
	qb_disk_done(&disk);
	return r;
}

static int lock_all(struct undoing *u, struct qb_error *err)
{
	for (size_t i = 0; i < u->args->n_members; i++) {
		struct qb_carve_args now = u->args->members[i];
		int r;

		if (!u->ours[i])
			continue;
		qb_carve_as_it_is(u->look->members[i], &now);
		r = qb_carve_lock(now.disk, &now, u->ctx->timeout_ms, &u->devices[i], err);
		if (r == 0)
			r = look_again(u, i, &now, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Neither forces anything: LVM refuses while a volume is there, or on what is to go. Of a group
 * that was only begun, and of which a part was wiped, it removes nothing: the rest is wiped, too.
 */
static int leave_group(const struct undoing *u, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs argv = {0};
	bool any = false;
	int r;

	if (u->look->state <= QB_VG_IS_FOREIGN || u->look->group->missing)
		return 0;
	qb_strs_add(&argv, u->args->make ? "vgremove" : "vgreduce");
	qb_strs_add(&argv, u->look->group->name);
	for (size_t i = 0; i < u->args->n_members; i++) {
		if (!u->ours[i] || !qb_vg_has(u->look->group, u->look->members[i]))
			continue;
		any = true;
		if (!u->args->make)
			qb_strs_add(&argv, u->look->members[i]->partitions[0].path);
	}
	r = any ? qb_lvm(u->ctx, &argv, err) : 0;
	/* Those that stay, too. */
	return r < 0 || !any ? r : qb_vg_sync(u->look->group, err);
}

/* First what says that data may be on them; so what breaks off in between can be gone on with. */
static int take_apart(struct undoing *u, struct qb_error *err)
{
	int r = lock_all(u, err);

	for (size_t i = 0; r == 0 && i < u->args->n_members; i++)
		if (u->ours[i] && u->look->members[i]->mark.state != QB_MARK_PENDING)
			r = qb_carve_table(u->devices[i].exclusive, u->look->members[i]->path,
					   u->args->pool, QB_PART_LVM, &u->args->members[i].ids,
					   QB_MARK_PENDING, err);
	for (size_t i = 0; i < u->args->n_members; i++)
		qb_carve_share(&u->devices[i]);
	if (r == 0)
		r = leave_group(u, err);
	for (size_t i = 0; r == 0 && i < u->args->n_members; i++) {
		if (!u->ours[i])
			continue;
		r = qb_carve_forget(u->devices[i].fd, u->look->members[i]->path, 1, err);
		if (r == 0)
			r = qb_carve_wipe(u->devices[i].fd, u->look->members[i]->path,
					  u->look->members[i]->size_bytes, QB_PART_START_BYTES,
					  err);
	}
	return r;
}

static int undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before, bool ahead,
		struct qb_error *err)
{
	_cleanup_vg_args_ struct qb_vg_args args = {0};
	_cleanup_vg_look_ struct qb_vg_look look = {0};
	struct undoing u = {.ctx = ctx,
			    .args = &args,
			    .look = &look,
			    .contents = json_object_get(before, "contents"),
			    .ahead = ahead};
	int r = qb_vg_args_read(json, &args, err);

	if (r == 0)
		r = qb_vg_look_at(ctx, &args, &look, err);
	if (r < 0)
		return r;
	if (!ahead)
		r = show_hidden(&u, err);
	if (r < 0)
		return r;
	u.ours = qb_alloc(args.n_members, sizeof(*u.ours));
	u.devices = qb_alloc(args.n_members, sizeof(*u.devices));
	for (size_t i = 0; i < args.n_members; i++)
		u.devices[i] = (struct qb_carve_device)QB_CARVE_DEVICE_INIT;
	r = judge_group(&u, err);
	if (r == 0)
		r = judge_members(&u, err);
	if (r == 0 && !ahead)
		r = take_apart(&u, err);
	for (size_t i = 0; i < args.n_members; i++)
		qb_carve_unlock(&u.devices[i]);
	free(u.devices);
	free(u.ours);
	return r;
}

int qb_vg_may_undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		   struct qb_error *err)
{
	struct qb_error why = QB_ERROR_INIT;
	int r = undo(ctx, json, before, true, &why);

	/* A disk that is gone or cannot be read stays: that is no reason to leave all else. */
	return r == 0 || r == -EIO || r == -ESTALE ? 0 : qb_error_set(err, -r, "%s", why.msg);
}

int qb_vg_undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
	       struct qb_error *err)
{
	int r = undo(ctx, json, before, false, err);

	return r < 0 ? r : qb_carve_settle(ctx->timeout_ms, NULL, err);
}
