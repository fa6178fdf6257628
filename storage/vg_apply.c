/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carving a volume group, in an order that survives a power cut at any point. All disks are locked
 * and looked at before any is written. Each gets a table that says pending, and a physical volume;
 * they become a group whose tag says pending; the tag that says ready is the commit; and the names
 * in the tables follow it. What says pending, and the journal knows, is begun anew; what the group
 * has taken in is only marked.
 */
#include "storage/vg_step.h"

#include <errno.h>

#include "storage/gpt.h"

struct work {
	const struct qb_step_ctx *ctx;
	const struct qb_vg_args *args;
	struct qb_carve_device *devices;
	bool *marked; /* its table is whole, and only the group's description is not */
	char **nodes; /* of the partitions; NULL of those that are the group's already */
};

/* What is only to be marked may be in use by now. */
static int lock_member(const struct qb_step_ctx *ctx, const struct qb_carve_args *m,
		       struct qb_carve_device *device, struct qb_error *err)
{
	return m->commit ? qb_carve_lock_used(m->disk, m, ctx->timeout_ms, device, err)
			 : qb_carve_lock(m->disk, m, ctx->timeout_ms, device, err);
}

static int still_carved(const struct qb_step_ctx *ctx, const struct qb_carve_args *m,
			const struct qb_carve_device *device, bool *ret_marked,
			struct qb_error *err)
{
	struct qb_disk disk = {0};
	int r = qb_carve_look(ctx, device->fd, m, &disk, err);

	if (r == 0 && (!disk.mark.ours || !qb_streq(disk.mark.uuid, m->ids.disk_guid)))
		r = qb_error_set(err, ESTALE, "%s does not carry the mark of pool %s any more",
				 m->disk, m->pool);
	*ret_marked = disk.mark.state == QB_MARK_READY;
	qb_disk_done(&disk);
	return r;
}

static int lock_all(struct work *w, struct qb_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->args->n_members; i++)
		r = lock_member(w->ctx, &w->args->members[i], &w->devices[i], err);
	for (size_t i = 0; r == 0 && i < w->args->n_members; i++) {
		const struct qb_carve_args *m = &w->args->members[i];

		r = m->commit ? still_carved(w->ctx, m, &w->devices[i], &w->marked[i], err)
			      : qb_carve_look_again(w->ctx, w->devices[i].exclusive, m, err);
	}
	return r;
}

static int write_table(const struct qb_carve_args *m, int fd, enum qb_mark_state state,
		       struct qb_error *err)
{
	return qb_carve_table(fd, m->disk, m->pool, QB_PART_LVM, &m->ids, state, err);
}

static int prepare(const struct qb_carve_args *m, const struct qb_carve_device *device,
		   struct qb_error *err)
{
	uint64_t start, size;
	int r;

	qb_carve_layout(m->size_bytes, &start, &size);
	r = qb_carve_forget(device->fd, m->disk, 1, err);
	if (r == 0)
		r = qb_carve_wipe(device->exclusive, m->disk, m->size_bytes, QB_PART_START_BYTES,
				  err);
	if (r == 0)
		r = write_table(m, device->exclusive, QB_MARK_PENDING, err);
	return r < 0 ? r : qb_carve_kernel(device->exclusive, m->disk, start, size, err);
}

/* LVM writes past the page cache, and leaves what it wrote in the disk's own. */
static int sync_all(const struct work *w, struct qb_error *err)
{
	for (size_t i = 0; i < w->args->n_members; i++)
		if (fsync(w->devices[i].fd) < 0)
			return qb_error_errno(err, errno, "%s: cannot sync it",
					      w->args->members[i].disk);
	return 0;
}

static int lvm(const struct work *w, const char *const *words, bool nodes, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs argv = {0};
	int r;

	for (; *words; words++)
		qb_strs_add(&argv, *words);
	for (size_t i = 0; nodes && i < w->args->n_members; i++)
		if (w->nodes[i])
			qb_strs_add(&argv, w->nodes[i]);
	r = qb_lvm(w->ctx, &argv, err);
	return r < 0 ? r : sync_all(w, err);
}

/* Without --yes: what LVM itself would ask about is a last guard. */
static int make_volumes(struct work *w, struct qb_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->args->n_members; i++) {
		const struct qb_carve_args *m = &w->args->members[i];
		char uuid[QB_PV_UUID_LEN];

		if (m->commit)
			continue;
		r = qb_carve_node(w->ctx, m->disk, &w->nodes[i], err);
		if (r < 0)
			break;
		qb_pv_uuid(m->ids.fs_uuid, uuid);
		r = lvm(w,
			(const char *const[]){"pvcreate", "--norestorefile", "--uuid", uuid,
					      w->nodes[i], NULL},
			false, err);
	}
	return r;
}

static int make_group(const struct work *w, struct qb_error *err)
{
	const char *group = w->args->group;
	int r = lvm(w,
		    (const char *const[]){"vgcreate", "--addtag", w->args->tag, "--addtag",
					  QB_VG_PENDING, group, NULL},
		    true, err);

	if (r < 0)
		return r;
	return lvm(w,
		   (const char *const[]){"vgchange", "--deltag", QB_VG_PENDING, "--addtag",
					 QB_VG_READY, group, NULL},
		   false, err);
}

/* Of what the group has taken in the kernel may show no partition, and LVM no group, as the table
 * is torn. */
static int show(const struct work *w, struct qb_error *err)
{
	uint64_t start, size;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->args->n_members; i++) {
		const struct qb_carve_args *m = &w->args->members[i];

		if (!m->commit)
			continue;
		qb_carve_layout(m->size_bytes, &start, &size);
		if (!w->marked[i])
			r = qb_carve_kernel_resize(w->devices[i].fd, m->disk, start, size, err);
		if (r == 0)
			r = qb_carve_node(w->ctx, m->disk, &w->nodes[i], err);
	}
	return r;
}

/*
 * A cut between the two copies of its last change left one behind: LVM would warn of it for good.
 * A group that lacks a disk is left alone: LVM would note that disk as missing.
 */
static int even_out(const struct work *w, bool *ret_whole, struct qb_error *err)
{
	_cleanup_disks_ struct qb_disks disks = {0};
	const struct qb_volume_group *group;
	int r = qb_vg_ask_for(w->ctx, w->args->pool, w->args->group, &disks, &group, err);

	if (r < 0)
		return r;
	if (qb_vg_state(group, w->args->pool, w->ctx->machine_id) != QB_VG_IS_READY)
		return qb_error_set(err, ESTALE, "the volume group %s is not here", w->args->group);
	for (size_t i = 0; i < w->args->n_members; i++)
		if (w->nodes[i] && !qb_strs_has(&group->physical_volumes, w->nodes[i]))
			return qb_error_set(err, ESTALE, "%s is not in the volume group %s",
					    w->nodes[i], group->name);
	*ret_whole = !group->missing;
	if (!*ret_whole)
		return 0;
	return lvm(w, (const char *const[]){"vgck", "--updatemetadata", group->name, NULL}, false,
		   err);
}

/*
 * What the group has taken in is only marked. What is marked is in use, and somebody may have made
 * its partition another one than we would: it is left as it is.
 */
static int mark_anew(struct work *w, struct qb_error *err)
{
	bool any = false, unmarked = false, whole = false;
	int r;

	for (size_t i = 0; i < w->args->n_members; i++)
		any |= w->args->members[i].commit;
	if (!any)
		return 0;
	r = show(w, err);
	if (r == 0)
		r = even_out(w, &whole, err);
	for (size_t i = 0; r == 0 && i < w->args->n_members; i++) {
		if (w->marked[i])
			free(QB_TAKE_PTR(w->nodes[i]));
		if (w->marked[i] || !w->args->members[i].commit)
			continue;
		unmarked = true;
		r = write_table(&w->args->members[i], w->devices[i].fd, QB_MARK_READY, err);
	}
	if (r < 0 || !whole || !unmarked)
		return r;
	/* Its disk may have become larger meanwhile. */
	return lvm(w, (const char *const[]){"pvresize", NULL}, true, err);
}

static int carve(struct work *w, struct qb_error *err)
{
	bool any = false;
	int r = lock_all(w, err);

	if (r == 0)
		r = mark_anew(w, err);
	for (size_t i = 0; i < w->args->n_members; i++) {
		free(QB_TAKE_PTR(w->nodes[i]));
		any |= !w->args->members[i].commit;
		if (r == 0 && !w->args->members[i].commit)
			r = prepare(&w->args->members[i], &w->devices[i], err);
	}
	for (size_t i = 0; i < w->args->n_members; i++)
		qb_carve_share(&w->devices[i]);
	if (r < 0 || !any)
		return r;
	r = make_volumes(w, err);
	if (r == 0 && w->args->make)
		r = make_group(w, err);
	else if (r == 0)
		r = lvm(w, (const char *const[]){"vgextend", w->args->group, NULL}, true, err);
	for (size_t i = 0; r == 0 && i < w->args->n_members; i++)
		if (!w->args->members[i].commit)
			r = write_table(&w->args->members[i], w->devices[i].fd, QB_MARK_READY, err);
	return r;
}

int qb_vg_apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		struct qb_error *err)
{
	_cleanup_vg_args_ struct qb_vg_args args = {0};
	struct work w = {.ctx = ctx, .args = &args};
	int r = qb_vg_args_read(json, &args, err);

	(void)before;
	if (r < 0)
		return r;
	w.devices = qb_alloc(args.n_members, sizeof(*w.devices));
	w.marked = qb_alloc(args.n_members, sizeof(*w.marked));
	w.nodes = qb_alloc(args.n_members, sizeof(*w.nodes));
	for (size_t i = 0; i < args.n_members; i++)
		w.devices[i] = (struct qb_carve_device)QB_CARVE_DEVICE_INIT;
	r = carve(&w, err);
	for (size_t i = 0; i < args.n_members; i++) {
		qb_carve_unlock(&w.devices[i]);
		free(w.nodes[i]);
	}
	free(w.devices);
	free(w.marked);
	free(w.nodes);
	for (size_t i = 0; r == 0 && i < args.n_members; i++)
		r = qb_carve_settle(ctx->timeout_ms, args.members[i].ids.part_guid, err);
	return r;
}
