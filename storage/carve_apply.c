/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carving, in an order that survives a power cut at any point: the disk is blank, or carries a
 * table that names us and says pending, or one that says ready; each state is on the disk before
 * the next one begins.
 */
#include "storage/carve.h"

#include <errno.h>

#include "storage/gpt.h"
#include "storage/probe_parts.h"
#include "storage/select.h"

int qb_carve_look_again(const struct qb_step_ctx *ctx, int fd, const struct qb_carve_args *args,
			struct qb_error *err)
{
	struct qb_disk disk = {0};
	enum qb_disk_claim claim;
	int r = qb_carve_look(ctx, fd, args, &disk, err);

	claim = qb_disk_claim(&disk, args->pool, &args->ids, args->by_path, args->resume);
	if (r == 0 && (claim == QB_CLAIM_NONE || claim == QB_CLAIM_READY ||
		       (claim == QB_CLAIM_COMMIT) != args->commit))
		r = qb_error_set(err, ESTALE,
				 "%s: something was written on it since it was planned",
				 args->disk);
	qb_disk_done(&disk);
	return r;
}

/* The last write of a carving, once more: whichever part of it had been done. */
static int commit(const struct qb_carve_args *args, struct qb_carve_device *device,
		  struct qb_error *err)
{
	uint64_t start, size;
	int r = qb_carve_table(device->exclusive, args->disk, args->pool, QB_PART_LINUX, &args->ids,
			       QB_MARK_READY, err);

	qb_carve_layout(args->size_bytes, &start, &size);
	return r < 0 ? r : qb_carve_kernel(device->exclusive, args->disk, start, size, err);
}

static int carve(const struct qb_step_ctx *ctx, const struct qb_carve_args *args,
		 struct qb_carve_device *device, struct qb_error *err)
{
	_cleanup_free_ char *node = NULL;
	uint64_t start, size;
	int r;

	qb_carve_layout(args->size_bytes, &start, &size);
	r = qb_carve_forget(device->fd, args->disk, 1, err);
	if (r < 0)
		return r;
	r = qb_carve_wipe(device->exclusive, args->disk, args->size_bytes, start, err);
	if (r < 0)
		return r;
	r = qb_carve_table(device->exclusive, args->disk, args->pool, QB_PART_LINUX, &args->ids,
			   QB_MARK_PENDING, err);
	if (r < 0)
		return r;
	r = qb_carve_kernel(device->exclusive, args->disk, start, size, err);
	if (r < 0)
		return r;
	qb_carve_share(device);
	r = qb_carve_node(ctx, args->disk, &node, err);
	if (r < 0)
		return r;
	r = qb_carve_mkfs(node, args, ctx->timeout_ms, err);
	if (r < 0)
		return r;
	return qb_carve_table(device->fd, args->disk, args->pool, QB_PART_LINUX, &args->ids,
			      QB_MARK_READY, err);
}

struct resuming {
	const struct qb_step_ctx *ctx;
	const json_t *json;
};

static int is_unused(void *data, struct qb_error *err)
{
	const struct resuming *resuming = data;
	_cleanup_disks_ struct qb_disks disks = {0};
	const struct qb_disk *disk;
	struct qb_carve_args args;
	int r = qb_carve_find(resuming->ctx, resuming->json, &args, &disks, &disk, err);

	return r < 0 ? r : qb_carve_unused(disk, err);
}

int qb_carve_apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		   struct qb_error *err)
{
	_cleanup_carve_device_ struct qb_carve_device device = QB_CARVE_DEVICE_INIT;
	struct resuming resuming = {ctx, json};
	struct qb_carve_args args;
	int r = qb_carve_args_read(json, &args, err);

	(void)before;
	if (r < 0)
		return r;
	r = args.resume ? qb_carve_lock_looked_at(args.disk, &args, ctx->timeout_ms, is_unused,
						  &resuming, &device, err)
			: qb_carve_lock(args.disk, &args, ctx->timeout_ms, &device, err);
	if (r < 0)
		return r;
	r = qb_carve_look_again(ctx, device.exclusive, &args, err);
	if (r < 0)
		return r;
	r = args.commit ? commit(&args, &device, err) : carve(ctx, &args, &device, err);
	if (r < 0)
		return r;
	qb_carve_unlock(&device);
	return qb_carve_settle(ctx->timeout_ms, args.ids.part_guid, err);
}
