/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/vg_step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "agent/base/exec.h"
#include "storage/probe_parts.h"

#define LVM "/usr/sbin/lvm"

enum {
	LVM_TIMEOUT_MIN_MS = 60 * 1000,
};

/* Whoever locks several disks does so in the same order. */
static int by_number(const void *va, const void *vb)
{
	const struct qb_carve_args *a = va, *b = vb;
	unsigned major[2] = {0}, minor[2] = {0};

	(void)!sscanf(a->devno, "%u:%u", &major[0], &minor[0]);
	(void)!sscanf(b->devno, "%u:%u", &major[1], &minor[1]);
	if (major[0] != major[1])
		return major[0] < major[1] ? -1 : 1;
	return minor[0] < minor[1] ? -1 : minor[0] > minor[1];
}

int qb_vg_args_read(const json_t *json, struct qb_vg_args *ret, struct qb_error *err)
{
	const json_t *members = json_object_get(json, "members"), *member;
	_cleanup_vg_args_ struct qb_vg_args args = {
		.pool = qb_arg(json, "pool"),
		.group = qb_arg(json, "group"),
		.tag = qb_arg(json, "tag"),
		.make = json_is_true(json_object_get(json, "make")),
		.members = qb_alloc(json_array_size(members), sizeof(struct qb_carve_args)),
	};
	size_t i;

	if (!args.pool || !args.group || args.group[0] == '-' || !args.tag ||
	    !json_array_size(members))
		return qb_error_set(err, EINVAL, "a step of %s without group or members",
				    QB_VG_KIND);
	json_array_foreach (members, i, member) {
		int r = qb_carve_args_read(member, &args.members[i], err);

		if (r < 0)
			return r;
		args.n_members++;
	}
	qsort(args.members, args.n_members, sizeof(*args.members), by_number);
	*ret = args;
	args.members = NULL;
	return 0;
}

void qb_vg_args_done(struct qb_vg_args *args)
{
	free(args->members);
	args->members = NULL;
}

void qb_vg_look_done(struct qb_vg_look *look)
{
	qb_disks_done(&look->disks);
	free(look->members);
	*look = (struct qb_vg_look){0};
}

static int find_members(const struct qb_vg_args *args, struct qb_vg_look *look,
			struct qb_error *err)
{
	int r = 0;

	look->members = qb_alloc(args->n_members, sizeof(*look->members));
	for (size_t i = 0; r == 0 && i < args->n_members; i++)
		r = qb_carve_pick(&look->disks, &args->members[i], &look->members[i], err);
	return r;
}

int qb_vg_ask(struct qb_disks *disks, struct qb_error *err)
{
	qb_groups_ask(LVM_TIMEOUT_MIN_MS, disks);
	if (!qb_is(&disks->lvm))
		return qb_error_set(err, EIO, "what volume groups are here is unknown: %s",
				    disks->lvm.why ? disks->lvm.why : "nobody said");
	return 0;
}

int qb_vg_ask_for(const struct qb_step_ctx *ctx, const char *pool, const char *group,
		  struct qb_disks *disks, const struct qb_volume_group **ret, struct qb_error *err)
{
	const struct qb_pool_config config = {.name = (char *)(uintptr_t)pool,
					      .volume_group = (char *)(uintptr_t)group};
	int r = qb_vg_ask(disks, err);

	if (r < 0)
		return r;
	*ret = qb_vg_find(disks, &config, ctx->machine_id);
	return 0;
}

int qb_vg_look_at(const struct qb_step_ctx *ctx, const struct qb_vg_args *args,
		  struct qb_vg_look *ret, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs identities = {0};
	int r;

	*ret = (struct qb_vg_look){0};
	for (size_t i = 0; i < args->n_members; i++)
		qb_strs_add(&identities, args->members[i].identity);
	r = qb_carve_probe(ctx, &identities, &ret->disks, err);
	if (r == 0)
		r = qb_vg_ask_for(ctx, args->pool, args->group, &ret->disks, &ret->group, err);
	if (r < 0)
		return r;
	ret->state = qb_vg_state(ret->group, args->pool, ctx->machine_id);
	return find_members(args, ret, err);
}

int qb_lvm(const struct qb_step_ctx *ctx, const struct qb_strs *argv, struct qb_error *err)
{
	/* udev waits for the locks that are held meanwhile: what there is LVM is to see itself. */
	static const char *const config[] = {"--config", "devices/obtain_device_list_from_udev=0"};
	_cleanup_free_ const char **all = qb_alloc(argv->n + 4, sizeof(*all));
	unsigned timeout_ms =
		ctx->timeout_ms < LVM_TIMEOUT_MIN_MS ? LVM_TIMEOUT_MIN_MS : ctx->timeout_ms;
	int r;

	all[0] = LVM;
	all[1] = argv->v[0];
	all[2] = config[0];
	all[3] = config[1];
	for (size_t i = 1; i < argv->n; i++)
		all[3 + i] = argv->v[i];
	r = qb_exec_check(all, timeout_ms, err);
	return r < 0 ? qb_error_wrap(err, "%s", argv->v[0]) : 0;
}

int qb_vg_sync(const struct qb_volume_group *group, struct qb_error *err)
{
	for (size_t i = 0; i < group->physical_volumes.n; i++) {
		const char *path = group->physical_volumes.v[i];
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || fsync(fd) < 0)
			return qb_error_errno(err, errno, "%s: cannot sync it", path);
	}
	return 0;
}

static enum qb_disk_claim claim_of(const struct qb_vg_look *look, const struct qb_vg_args *args,
				   size_t i)
{
	const struct qb_carve_args *m = &args->members[i];
	const struct qb_disk *disk = look->members[i];

	return qb_vg_claim(
		qb_disk_claim(disk, args->pool, &m->ids, m->by_path, m->resume || m->commit),
		&look->disks, look->group, look->state, disk, &m->ids);
}

static int refuse(const struct qb_vg_look *look, const struct qb_vg_args *args, size_t i,
		  struct qb_error *err)
{
	const struct qb_disk *disk = look->members[i];
	_cleanup_free_ char *why = qb_reasons_text(disk, args->members[i].by_path);

	return qb_error_set(err, ESTALE, "%s is no longer what was planned for pool %s: %s",
			    disk->path, args->pool, why ? why : "it changed");
}

static int group_is_as_planned(const struct qb_vg_look *look, const struct qb_vg_args *args,
			       bool extends, struct qb_error *err)
{
	if (args->make && look->state != QB_VG_IS_NOT && look->state != QB_VG_IS_PENDING)
		return qb_error_set(err, ESTALE, "there is a volume group %s now",
				    look->group->name);
	if (look->state == QB_VG_IS_PENDING && look->group->volumes)
		return qb_error_set(err, ESTALE,
				    "the volume group %s, which was begun, has logical volumes",
				    look->group->name);
	if (!extends)
		return 0;
	if (look->state != QB_VG_IS_READY)
		return qb_error_set(err, ESTALE, "the volume group %s is not here any more",
				    args->group);
	if (look->group->missing)
		return qb_error_set(err, ESTALE, "the volume group %s lacks physical volumes",
				    args->group);
	return 0;
}

static int members_are_as_planned(const struct qb_vg_look *look, const struct qb_vg_args *args,
				  json_t *contents, size_t *ret_ready, struct qb_error *err)
{
	for (size_t i = 0; i < args->n_members; i++) {
		const struct qb_carve_args *m = &args->members[i];
		enum qb_disk_claim claim;
		int r;

		if (!look->members[i])
			return qb_error_set(err, ESTALE, "the disk %s (%s) is not here any more",
					    m->disk, m->identity);
		r = qb_carve_is_read(look->members[i], err);
		if (r < 0)
			return r;
		claim = claim_of(look, args, i);
		*ret_ready += claim == QB_CLAIM_READY;
		if (claim == QB_CLAIM_READY)
			continue;
		r = qb_carve_unchanged(look->members[i], m, err);
		if (r < 0)
			return r;
		if (claim == QB_CLAIM_NONE || (claim == QB_CLAIM_COMMIT) != m->commit)
			return refuse(look, args, i, err);
		json_object_set_new(contents, m->identity,
				    json_string(claim == QB_CLAIM_COMMIT   ? "carved"
						: claim == QB_CLAIM_RESUME ? "torn"
									   : "blank"));
	}
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	json_auto_t *before = json_pack("{s:{}}", "contents");
	json_t *contents = json_object_get(before, "contents");
	_cleanup_vg_look_ struct qb_vg_look look = {0};
	_cleanup_vg_args_ struct qb_vg_args args = {0};
	bool extends = false;
	size_t ready = 0;
	int r = qb_vg_args_read(json, &args, err);

	if (r == 0)
		r = qb_vg_look_at(ctx, &args, &look, err);
	if (r == 0)
		r = members_are_as_planned(&look, &args, contents, &ready, err);
	if (r < 0)
		return r;
	if (ready == args.n_members) {
		*ret = QB_OBSERVED_DONE;
		return 0;
	}
	if (ready)
		return qb_error_set(err, ESTALE, "changed: a part of it has been done since");
	for (size_t i = 0; i < args.n_members; i++)
		extends |= !args.make && !args.members[i].commit;
	r = group_is_as_planned(&look, &args, extends, err);
	if (r < 0)
		return r;
	*ret = QB_OBSERVED_NEEDED;
	*ret_before = json_incref(before);
	return 0;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_vg_look_ struct qb_vg_look look = {0};
	_cleanup_vg_args_ struct qb_vg_args args = {0};
	int r = qb_vg_args_read(json, &args, err);

	(void)before;
	if (r == 0)
		r = qb_vg_look_at(ctx, &args, &look, err);
	if (r < 0)
		return r;
	if (look.state != QB_VG_IS_READY || !qb_streq(look.group->name, args.group))
		return qb_error_set(err, EIO, "there is no volume group %s of pool %s", args.group,
				    args.pool);
	if (look.group->missing)
		return qb_error_set(err, EIO, "the volume group %s lacks physical volumes",
				    args.group);
	for (size_t i = 0; r == 0 && i < args.n_members; i++)
		r = look.members[i] ? qb_carve_is_read(look.members[i], err) : 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < args.n_members; i++)
		if (!look.members[i] || claim_of(&look, &args, i) != QB_CLAIM_READY)
			return qb_error_set(err, EIO, "%s is not a whole member of %s",
					    args.members[i].disk, args.group);
	/* Those that were in it before got new metadata, too. */
	return qb_vg_sync(look.group, err);
}

const struct qb_step_kind qb_vg_step = {
	.kind = QB_VG_KIND,
	.observe = observe,
	.apply = qb_vg_apply,
	.verify = verify,
	.undo = qb_vg_undo,
	.may_undo = qb_vg_may_undo,
};
