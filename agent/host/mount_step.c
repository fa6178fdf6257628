/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting a volume, now and at each boot. The link that makes systemd mount it is written last:
 * where it is, all the rest was done.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/host/mounting.h"
#include "agent/host/plan.h"
#include "agent/host/target.h"
#include "agent/host/target_use.h"
#include "storage/vg_step.h"
#include "storage/volume.h"

enum {
	UNIT_MAX = 1 << 16
};

struct args {
	const char *group, *volume, *target; /* borrowed from the JSON */
	char *node, *unit, *link, *text;     /* unit: the path of the file, text: what is in it */
};

static void args_done(struct args *args)
{
	free(args->node);
	free(args->unit);
	free(args->link);
	free(args->text);
}
#define _cleanup_args_ QB_CLEANUP(args_done)

/* In a unit a percent sign begins a specifier. */
static void add_line(struct qb_buf *text, const char *key, const char *value)
{
	qb_buf_puts(text, key);
	for (; *value; value++)
		qb_buf_printf(text, "%s%c", *value == '%' ? "%" : "", *value);
	qb_buf_puts(text, "\n");
}

/* *ret is to be freed in any case. */
static int parse(const json_t *json, struct args *ret, struct qb_error *err)
{
	_cleanup_buf_ struct qb_buf text = {0};
	_cleanup_free_ char *name = NULL;

	ret->group = qb_arg(json, "group");
	ret->volume = qb_arg(json, "volume");
	ret->target = qb_arg(json, "target");
	if (!ret->group || !ret->volume || strchr("-./", ret->group[0]) ||
	    strchr("-./", ret->volume[0]) || !ret->target || ret->target[0] != '/')
		return qb_error_set(err, EINVAL,
				    "a step of storage.mount without volume or target");
	name = qb_mount_unit(ret->target);
	ret->node = qb_volume_node(ret->group, ret->volume);
	ret->unit = qb_asprintf(QB_MOUNT_UNITS "/%s", name);
	ret->link = qb_mount_link(ret->target);
	qb_buf_puts(&text, "# Made by qubi-agent.\n[Unit]\nDescription=A volume for guests\n\n"
			   "[Mount]\n");
	add_line(&text, "What=", ret->node);
	add_line(&text, "Where=", ret->target);
	qb_buf_puts(&text, "Type=xfs\n\n[Install]\nWantedBy=local-fs.target\n");
	ret->text = QB_TAKE_PTR(text.s);
	return 0;
}

/* 1: the unit is there as it is to be, 0: it is not there. What somebody else wrote is refused. */
static int unit_is_ours(const struct qb_step_ctx *ctx, const struct args *args,
			struct qb_error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = qb_root_read(ctx->root, args->unit, UNIT_MAX, &text, NULL);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot read it", args->unit);
	if (strcmp(text, args->text) != 0)
		return qb_error_set(err, ESTALE,
				    "%s is there, and is not what the agent writes: move it away",
				    args->unit);
	return 1;
}

static bool has_link(const struct qb_step_ctx *ctx, const struct args *args)
{
	return qb_root_stat(ctx->root, args->link, false, &(struct stat){0}) == 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_args_ struct args args = {0};
	struct qb_error not_mounted = QB_ERROR_INIT;
	bool mounted;
	int r = parse(json, &args, err);

	if (r < 0)
		return r;
	if (!ctx->root->live)
		return qb_error_set(err, EOPNOTSUPP, "volumes are mounted on a live host only");
	mounted = qb_target_is_mounted(ctx, args.node, args.target, &not_mounted) == 0;
	if (!mounted)
		r = qb_mount_would_hide(ctx, args.node, args.target, err);
	if (r == 0)
		r = unit_is_ours(ctx, &args, err);
	if (r < 0)
		return r;
	if (mounted && r && has_link(ctx, &args)) {
		*ret = QB_OBSERVED_DONE;
		return 0;
	}
	*ret = QB_OBSERVED_NEEDED;
	*ret_before = json_pack("{s:b, s:b, s:b}", "mounted", mounted, "target_exists",
				qb_root_exists(ctx->root, args.target), "barred",
				!mounted && qb_mount_is_barred(ctx, args.target));
	return 0;
}

static int mount_volume(const struct qb_step_ctx *ctx, const struct args *args,
			struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs argv = {0};
	int r;

	qb_strs_add(&argv, "lvchange");
	qb_strs_add(&argv, "--activate");
	qb_strs_add(&argv, "y");
	qb_strs_addf(&argv, "%s/%s", args->group, args->volume);
	r = qb_lvm(ctx, &argv, err);
	if (r < 0)
		return r;
	qb_mount_bar(ctx, args->target, true);
	if (mount(args->node, args->target, "xfs", 0, NULL) < 0)
		return qb_error_errno(err, errno, "cannot mount %s on %s", args->node,
				      args->target);
	return 0;
}

static int make_link(const struct qb_step_ctx *ctx, const struct args *args, struct qb_error *err)
{
	_cleanup_close_ int dir = -1;
	int r = qb_root_mkdir(ctx->root, QB_MOUNT_WANTS, 0755, err);

	if (r < 0)
		return r;
	dir = qb_root_openat(ctx->root, QB_MOUNT_WANTS, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return qb_error_errno(err, dir, "%s: cannot open it", QB_MOUNT_WANTS);
	if (symlinkat(args->unit, dir, strrchr(args->link, '/') + 1) < 0 && errno != EEXIST)
		return qb_error_errno(err, errno, "%s: cannot make it", args->link);
	if (fsync(dir) < 0)
		return qb_error_errno(err, errno, "%s: cannot sync it", QB_MOUNT_WANTS);
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_args_ struct args args = {0};
	int r = parse(json, &args, err);

	if (r == 0)
		r = qb_root_mkdir(ctx->root, args.target, 0711, err);
	if (r == 0 && !json_is_true(json_object_get(before, "mounted")))
		r = mount_volume(ctx, &args, err);
	if (r == 0 && qb_mount_is_bare(ctx, args.target))
		r = qb_mount_dress(ctx, args.target, false, err);
	if (r == 0)
		r = qb_root_write(ctx->root, args.unit, 0644, args.text, strlen(args.text), err);
	return r < 0 ? r : make_link(ctx, &args, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_args_ struct args args = {0};
	int r = parse(json, &args, err);

	(void)before;
	if (r == 0)
		r = qb_target_is_mounted(ctx, args.node, args.target, err);
	if (r == 0)
		r = unit_is_ours(ctx, &args, err);
	if (r < 0)
		return r;
	if (!r || !has_link(ctx, &args))
		return qb_error_set(err, EIO, "nothing mounts %s at boot", args.target);
	return 0;
}

/* Where somebody uses it, what made the volume would not be undone, and so this is not. */
static int may_undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		    struct qb_error *err)
{
	_cleanup_args_ struct args args = {0};
	int r = parse(json, &args, err);

	if (r < 0 || json_is_true(json_object_get(before, "mounted")))
		return r;
	return qb_target_is_unused(ctx, args.node, args.target, err);
}

static int undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		struct qb_error *err)
{
	bool was_mounted = json_is_true(json_object_get(before, "mounted"));
	_cleanup_args_ struct args args = {0};
	struct qb_error not_mounted = QB_ERROR_INIT;
	int r = parse(json, &args, err);

	if (r == 0)
		r = may_undo(ctx, json, before, err);
	if (r == 0)
		r = unit_is_ours(ctx, &args, err);
	if (r < 0)
		return r;
	if (!was_mounted && qb_target_is_mounted(ctx, args.node, args.target, &not_mounted) == 0 &&
	    umount2(args.target, UMOUNT_NOFOLLOW) < 0)
		return qb_error_errno(err, errno, "%s: cannot unmount it", args.target);
	if (!was_mounted && !json_is_true(json_object_get(before, "barred")))
		qb_mount_bar(ctx, args.target, false);
	r = qb_root_unlink(ctx->root, args.link, err);
	if (r == 0)
		r = qb_root_unlink(ctx->root, args.unit, err);
	if (r == 0 && json_is_false(json_object_get(before, "target_exists")))
		r = qb_mount_remove_target(ctx, args.target, err);
	return r;
}

const struct qb_step_kind qb_mount_step = {
	.kind = "storage.mount",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
	.may_undo = may_undo,
};
