/* SPDX-License-Identifier: Apache-2.0 */
/* Step libvirt.target: mode, owner and group of a pool's directory, once the pool is active. */
#include "agent/host/target.h"

#include <errno.h>
#include <fcntl.h>

#include "agent/host/plan.h"

struct args {
	const char *target, *source;      /* source: of fs alone */
	const char *mode, *owner, *group; /* NULL: stays as it is */
};

int qb_target_is_mounted(const struct qb_step_ctx *ctx, const char *source, const char *target,
			 struct qb_error *err)
{
	struct stat device, root;
	int r = qb_root_stat(ctx->root, source, true, &device);

	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot look at it", source);
	r = qb_root_stat(ctx->root, target, true, &root);
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot look at it", target);
	if (root.st_dev != device.st_rdev)
		return qb_error_set(err, EIO, "%s is not mounted at %s", source, target);
	return 0;
}

static int parse(const json_t *json, struct args *ret, struct qb_error *err)
{
	*ret = (struct args){qb_arg(json, "target"), qb_arg(json, "source"), qb_arg(json, "mode"),
			     qb_arg(json, "owner"), qb_arg(json, "group")};
	if (!ret->target || ret->target[0] != '/')
		return qb_error_set(err, EINVAL, "a step of libvirt.target without a target");
	return 0;
}

/* The directory itself, and not what it is a link to: a descriptor. */
static int open_target(const struct qb_step_ctx *ctx, const struct args *args, struct stat *ret,
		       struct qb_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = args->source ? qb_target_is_mounted(ctx, args->source, args->target, err) : 0;

	if (r < 0)
		return r;
	fd = qb_root_openat(ctx->root, args->target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return qb_error_errno(err, fd, "%s: cannot open it", args->target);
	if (fstat(fd, ret) < 0)
		return qb_error_errno(err, errno, "%s: cannot look at it", args->target);
	return QB_TAKE_FD(fd);
}

static unsigned long number(const char *text, int base, unsigned long otherwise)
{
	return text ? strtoul(text, NULL, base) : otherwise;
}

/* The bits above those of access stay: a directory may hand its group on. */
static mode_t mode_of(const struct stat *st, const struct args *args)
{
	return (st->st_mode & ALLPERMS & ~ACCESSPERMS) |
	       (mode_t)number(args->mode, 8, st->st_mode & ACCESSPERMS);
}

static bool is_as_wanted(const struct stat *st, const struct args *args)
{
	return mode_of(st, args) == (st->st_mode & ALLPERMS) &&
	       number(args->owner, 10, st->st_uid) == st->st_uid &&
	       number(args->group, 10, st->st_gid) == st->st_gid;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_free_ char *mode = NULL, *owner = NULL, *group = NULL;
	_cleanup_close_ int fd = -1;
	struct args args;
	struct stat st;
	int r = parse(json, &args, err);

	if (r < 0)
		return r;
	fd = open_target(ctx, &args, &st, err);
	if (fd < 0)
		return fd;
	mode = qb_asprintf("%04o", st.st_mode & ACCESSPERMS);
	owner = qb_asprintf("%u", st.st_uid);
	group = qb_asprintf("%u", st.st_gid);
	*ret = is_as_wanted(&st, &args) ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = json_pack("{s:s, s:s?, s:s, s:s, s:s}", "target", args.target, "source",
				args.source, "mode", mode, "owner", owner, "group", group);
	return 0;
}

/* chown(2) may take bits off the mode, so that comes last. */
static int set(const struct qb_step_ctx *ctx, const json_t *json, struct qb_error *err)
{
	_cleanup_close_ int fd = -1;
	struct args args;
	struct stat st;
	int r = parse(json, &args, err);

	if (r < 0)
		return r;
	fd = open_target(ctx, &args, &st, err);
	if (fd < 0)
		return fd;
	if (fchown(fd, (uid_t)number(args.owner, 10, st.st_uid),
		   (gid_t)number(args.group, 10, st.st_gid)) < 0)
		return qb_error_errno(err, errno, "%s: cannot set its owner", args.target);
	if (fchmod(fd, mode_of(&st, &args)) < 0)
		return qb_error_errno(err, errno, "%s: cannot set its mode", args.target);
	return fsync(fd) < 0 ? qb_error_errno(err, errno, "%s: cannot sync it", args.target) : 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		 struct qb_error *err)
{
	(void)before;
	return set(ctx, json, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_close_ int fd = -1;
	struct args args;
	struct stat st;
	int r = parse(json, &args, err);

	(void)before;
	if (r < 0)
		return r;
	fd = open_target(ctx, &args, &st, err);
	if (fd < 0)
		return fd;
	return is_as_wanted(&st, &args)
		       ? 0
		       : qb_error_set(err, EIO, "%s has mode %04o, owner %u, group %u", args.target,
				      st.st_mode & ALLPERMS, st.st_uid, st.st_gid);
}

static int undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		struct qb_error *err)
{
	(void)json;
	return set(ctx, before, err);
}

const struct qb_step_kind qb_target_step = {
	.kind = "libvirt.target",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
