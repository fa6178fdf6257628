/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step libvirt.refresh: a pool is looked at anew, whose file system or volume group grew since it
 * was started.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#include "agent/host/libvirt_conn.h"
#include "agent/host/plan.h"
#include "storage/vg_step.h"

struct pool {
	virConnectPtr conn;
	virStoragePoolPtr pool;            /* NULL: libvirt knows none of that name */
	const char *name, *target, *group; /* one of the last two */
	bool active;
	uint64_t capacity; /* of an active one */
};

static void pool_done(struct pool *p)
{
	if (p->pool)
		sym_virStoragePoolFree(p->pool);
	qb_vir_closep(&p->conn);
}

#define _cleanup_pool_ QB_CLEANUP(pool_done)

static int look(const struct qb_step_ctx *ctx, const json_t *json, struct pool *ret,
		struct qb_error *err)
{
	virStoragePoolInfo info;
	int r;

	*ret = (struct pool){.name = qb_arg(json, "name"),
			     .target = qb_arg(json, "target"),
			     .group = qb_arg(json, "group")};
	if (!ret->name || (!ret->group && (!ret->target || ret->target[0] != '/')))
		return qb_error_set(err, EINVAL,
				    "a step of libvirt.refresh without name or target");
	r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &ret->conn, err);
	if (r < 0)
		return r;
	ret->pool = sym_virStoragePoolLookupByName(ret->conn, ret->name);
	if (!ret->pool && sym_virGetLastErrorCode() != VIR_ERR_NO_STORAGE_POOL)
		return qb_vir_error(err, "pool %s: cannot look it up", ret->name);
	/* When it is started libvirt looks by itself. */
	if (!ret->pool || sym_virStoragePoolIsActive(ret->pool) != 1)
		return 0;
	if (sym_virStoragePoolGetInfo(ret->pool, &info) < 0)
		return qb_vir_error(err, "pool %s: cannot read its size", ret->name);
	ret->active = true;
	ret->capacity = info.capacity;
	return 0;
}

static int size_mounted(const struct qb_step_ctx *ctx, const struct pool *p, uint64_t *ret,
			struct qb_error *err)
{
	_cleanup_close_ int fd =
		qb_root_openat(ctx->root, p->target, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
	struct statvfs v;

	if (fd < 0 || fstatvfs(fd, &v) < 0)
		return qb_error_errno(err, fd < 0 ? fd : errno, "%s: its size", p->target);
	*ret = (uint64_t)v.f_blocks * v.f_frsize;
	return 0;
}

static int size_of_group(const struct pool *p, uint64_t *ret, struct qb_error *err)
{
	_cleanup_disks_ struct qb_disks disks = {0};
	int r = qb_vg_ask(&disks, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < disks.n_groups; i++)
		if (qb_streq(disks.groups[i].name, p->group)) {
			*ret = disks.groups[i].size_bytes;
			return 0;
		}
	return qb_error_set(err, ESTALE, "the volume group %s is not here", p->group);
}

/* What libvirt says is not the size of what is there. */
static int is_stale(const struct qb_step_ctx *ctx, const struct pool *p, bool *ret,
		    struct qb_error *err)
{
	uint64_t size = 0;
	int r = p->group ? size_of_group(p, &size, err) : size_mounted(ctx, p, &size, err);

	if (r == 0)
		*ret = p->capacity != size;
	return r;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_pool_ struct pool p = {0};
	bool stale = false;
	int r = look(ctx, json, &p, err);

	if (r == 0 && p.active)
		r = is_stale(ctx, &p, &stale, err);
	if (r < 0)
		return r;
	*ret = stale ? QB_OBSERVED_NEEDED : QB_OBSERVED_DONE;
	if (stale)
		*ret_before = json_pack("{s:I}", "capacity_bytes", (json_int_t)p.capacity);
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_pool_ struct pool p = {0};
	int r = look(ctx, json, &p, err);

	(void)before;
	if (r == 0 && p.active && sym_virStoragePoolRefresh(p.pool, 0) < 0)
		r = qb_vir_error(err, "pool %s: cannot refresh it", p.name);
	return r;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_pool_ struct pool p = {0};
	bool stale = false;
	int r = look(ctx, json, &p, err);

	(void)before;
	if (r == 0 && p.active)
		r = is_stale(ctx, &p, &stale, err);
	if (r == 0 && stale)
		r = qb_error_set(err, EIO,
				 "libvirt says that the pool has %ju bytes, which %s has not",
				 (uintmax_t)p.capacity, p.group ? p.group : p.target);
	return r;
}

/* libvirt only looked. */
static int undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		struct qb_error *err)
{
	(void)ctx, (void)json, (void)before, (void)err;
	return 0;
}

const struct qb_step_kind qb_refresh_step = {
	.kind = QB_REFRESH_KIND,
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
