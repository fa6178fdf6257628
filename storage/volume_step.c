/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a logical volume with an XFS, in an order that survives a power cut at any point: its tags
 * say whose it is, and that it is new until nothing of a former volume shows in it; then that it is
 * pending; and once the file system is on the disk, that it is ready.
 */
#include "storage/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/mark.h"
#include "storage/probe_parts.h"
#include "storage/vg_step.h"

struct args {
	const char *pool, *group, *volume, *tag, *fs_uuid; /* borrowed from the JSON */
	struct qb_volume_size size;
	bool resume;
};

struct look {
	struct qb_disks disks;
	struct qb_volume_look now;
};

static int parse(const json_t *json, struct args *ret, struct qb_error *err)
{
	const char *size = qb_arg(json, "size");

	*ret = (struct args){
		.pool = qb_arg(json, "pool"),
		.group = qb_arg(json, "group"),
		.volume = qb_arg(json, "volume"),
		.tag = qb_arg(json, "tag"),
		.fs_uuid = qb_arg(json, "fs_uuid"),
		.resume = json_is_true(json_object_get(json, "resume")),
	};
	if (!ret->pool || !ret->group || !ret->volume || strchr("-./", ret->group[0]) ||
	    strchr("-./", ret->volume[0]) || !ret->tag || !ret->fs_uuid || !size ||
	    qb_volume_size_parse(size, &ret->size) < 0)
		return qb_error_set(err, EINVAL, "a step of %s without group, volume or size",
				    QB_VOLUME_KIND);
	return 0;
}

static void look_done(struct look *look)
{
	qb_disks_done(&look->disks);
}
#define _cleanup_look_ QB_CLEANUP(look_done)

/* *ret is to be freed in any case. */
static int look_at(const struct qb_step_ctx *ctx, const struct args *args, struct look *ret,
		   struct qb_error *err)
{
	const struct qb_pool_config pool = {.name = (char *)(uintptr_t)args->pool,
					    .volume_group = (char *)(uintptr_t)args->group};
	int r = qb_vg_ask(&ret->disks, err);

	if (r < 0)
		return r;
	qb_volume_look(&ret->disks, &pool, args->volume, ctx->machine_id, &ret->now);
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_look_ struct look look = {0};
	const struct qb_volume_group *group;
	struct args args;
	int r = parse(json, &args, err);

	if (r == 0)
		r = look_at(ctx, &args, &look, err);
	if (r < 0)
		return r;
	group = look.now.group;
	if (!group || !qb_streq(group->name, args.group) ||
	    qb_vg_state(group, args.pool, ctx->machine_id) == QB_VG_IS_PENDING)
		return qb_error_set(err, ESTALE, "the volume group %s is not here", args.group);
	if (group->missing)
		return qb_error_set(err, ESTALE, "the volume group %s lacks physical volumes",
				    args.group);
	if (look.now.state == QB_VOLUME_IS_READY) {
		*ret = QB_OBSERVED_DONE;
		return 0;
	}
	if ((look.now.state == QB_VOLUME_IS_PENDING) != args.resume)
		return qb_error_set(err, ESTALE, "%s/%s is no longer what was planned: it is %s",
				    args.group, args.volume,
				    args.resume ? "not here any more" : "here now");
	*ret = QB_OBSERVED_NEEDED;
	*ret_before = json_pack("{s:b}", "begun", args.resume);
	return 0;
}

static int lvm(const struct qb_step_ctx *ctx, const char *const *words, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs argv = {0};

	for (; *words; words++)
		qb_strs_add(&argv, *words);
	return qb_lvm(ctx, &argv, err);
}

static int set_state(const struct qb_step_ctx *ctx, const char *name, const char *was,
		     const char *is, struct qb_error *err)
{
	return lvm(ctx,
		   (const char *const[]){"lvchange", "--deltag", was, "--addtag", is, name, NULL},
		   err);
}

/*
 * What a former volume left there is wiped by LVM before anybody sees the new one: a signature that
 * is found in it later is somebody's.
 */
static int make(const struct qb_step_ctx *ctx, const struct args *args, struct qb_error *err)
{
	const struct qb_volume_size *s = &args->size;
	_cleanup_free_ char *size =
		s->bytes ? qb_asprintf("%jub", (uintmax_t)s->bytes)
			 : qb_asprintf("%ju%s",
				       (uintmax_t)(s->percent_of_group ? s->percent_of_group
								       : s->percent_of_free),
				       s->percent_of_group ? "%VG" : "%FREE");

	return lvm(ctx,
		   (const char *const[]){"lvcreate", "--addtag", args->tag, "--addtag", QB_VG_NEW,
					 "--wipesignatures", "y", "--yes", "--zero", "y", "--name",
					 args->volume, s->bytes ? "--size" : "--extents", size,
					 args->group, NULL},
		   err);
}

/* Both ends: what somebody's former volume left there is no signature of this one. */
static int wipe(const char *node, struct qb_error *err)
{
	_cleanup_close_ int fd = open(node, O_RDWR | O_EXCL | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (size < 0)
		return qb_error_errno(err, errno, "%s: cannot have it alone", node);
	return qb_carve_wipe(fd, node, (uint64_t)size, 0, err);
}

static int make_xfs(const struct qb_step_ctx *ctx, const char *node, const struct args *args,
		    struct qb_error *err)
{
	struct qb_carve_args carve = {.fs = &qb_file_systems[QB_FS_XFS]};

	snprintf(carve.ids.fs_uuid, sizeof(carve.ids.fs_uuid), "%s", args->fs_uuid);
	return qb_carve_mkfs(node, &carve, ctx->timeout_ms, err);
}

/* Many formats leave the beginning of a volume as it is. */
static int has_no_signature(int fd, const char *node, struct qb_error *err)
{
	struct qb_disk disk = {.name = qb_strdup(node)};
	struct qb_disk_raw raw = {0};
	int r = 0;

	qb_contents_probe(fd, NULL, true, &disk, &raw.contents);
	if (!qb_is(&disk.readable))
		r = qb_error_set(err, EIO, "%s", qb_disk_unread_why(&disk));
	else if (disk.n_signatures)
		r = qb_error_set(err, EUCLEAN, "it holds something: %s at byte %ju",
				 disk.signatures[0].type, (uintmax_t)disk.signatures[0].offset);
	qb_disk_raw_done(&raw);
	qb_disk_done(&disk);
	return r;
}

/*
 * Whoever found the volume there may have put something of his own into it. A new one begins with
 * the zeros that LVM wrote, and has behind them what was there before, but for signatures.
 */
static int was_begun(const char *node, const char *fs_uuid, bool is_new, struct qb_error *err)
{
	_cleanup_close_ int fd = open(node, O_RDONLY | O_CLOEXEC);
	_cleanup_ends_ struct qb_ends ends = {0};
	int r = fd < 0 ? -errno : qb_ends_read(fd, &ends);

	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot be read", node);
	if (qb_volume_was_begun(&ends, fs_uuid))
		return 0;
	if (is_new && qb_volume_is_zeroed(&ends))
		return has_no_signature(fd, node, err);
	return qb_error_set(err, EUCLEAN,
			    "it holds something that is not a file system begun by qubi-agent");
}

/* What is half made has no files: what has is in use, whatever the journal says. */
static int is_unused(const struct qb_volume_look *look, const char *node, const char *fs_uuid,
		     struct qb_error *err)
{
	bool pending = look->state == QB_VOLUME_IS_PENDING;
	struct qb_error why = QB_ERROR_INIT;
	int r = qb_carve_empty(node, &qb_file_systems[QB_FS_XFS], &why);

	if (r == -EUCLEAN && pending)
		r = was_begun(node, fs_uuid, look->is_new, &why);
	if (r == 0)
		return 0;
	return qb_error_set(err, -r, "%s stays as it is: %s%s", node, why.msg,
			    pending && (r == -EUCLEAN || r == -ENOTEMPTY)
				    ? "; where nobody needs that, remove it by lvremove"
				    : "");
}

static int apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_free_ char *node = NULL, *name = NULL;
	_cleanup_look_ struct look look = {0};
	struct args args;
	int r = parse(json, &args, err);

	(void)before;
	if (r == 0 && !args.resume)
		r = make(ctx, &args, err);
	if (r == 0)
		r = look_at(ctx, &args, &look, err);
	if (r < 0)
		return r;
	node = qb_volume_node(args.group, args.volume);
	name = qb_asprintf("%s/%s", args.group, args.volume);
	if (args.resume)
		r = lvm(ctx, (const char *const[]){"lvchange", "--activate", "y", name, NULL}, err);
	if (r == 0 && args.resume)
		r = is_unused(&look.now, node, args.fs_uuid, err);
	if (r == 0)
		r = wipe(node, err);
	if (r == 0 && look.now.is_new)
		r = set_state(ctx, name, QB_VG_NEW, QB_VG_PENDING, err);
	if (r == 0)
		r = make_xfs(ctx, node, &args, err);
	return r < 0 ? r : set_state(ctx, name, QB_VG_PENDING, QB_VG_READY, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_free_ char *node = NULL;
	_cleanup_look_ struct look look = {0};
	struct args args;
	int r = parse(json, &args, err);

	(void)before;
	if (r == 0)
		r = look_at(ctx, &args, &look, err);
	if (r < 0)
		return r;
	if (look.now.state != QB_VOLUME_IS_READY)
		return qb_error_set(err, EIO, "there is no whole volume %s/%s", args.group,
				    args.volume);
	node = qb_volume_node(args.group, args.volume);
	r = qb_carve_empty(node, &qb_file_systems[QB_FS_XFS], err);
	return r < 0 ? r : qb_vg_sync(look.now.group, err);
}

/* Of one that is mounted the step that mounted it tells; one that is not active is not looked into.
 */
static int may_undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		    struct qb_error *err)
{
	_cleanup_free_ char *node = NULL;
	_cleanup_look_ struct look look = {0};
	struct qb_error why = QB_ERROR_INIT;
	struct args args;
	int r = parse(json, &args, err);

	(void)before;
	if (r < 0)
		return r;
	if (look_at(ctx, &args, &look, &why) < 0 || !look.now.ours)
		return 0;
	node = qb_volume_node(look.now.group->name, args.volume);
	r = is_unused(&look.now, node, args.fs_uuid, &why);
	return r == 0 || r == -EBUSY || r == -ENOENT || r == -EIO
		       ? 0
		       : qb_error_set(err, -r, "%s", why.msg);
}

/* First what says that nobody's data are in it; so what breaks off can be gone on with. */
static int undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		struct qb_error *err)
{
	_cleanup_free_ char *node = NULL, *name = NULL;
	_cleanup_look_ struct look look = {0};
	struct args args;
	int r = parse(json, &args, err);

	(void)before;
	if (r == 0)
		r = look_at(ctx, &args, &look, err);
	if (r < 0)
		return r;
	if (!look.now.ours)
		return 0;
	node = qb_volume_node(look.now.group->name, args.volume);
	name = qb_asprintf("%s/%s", look.now.group->name, args.volume);
	r = lvm(ctx, (const char *const[]){"lvchange", "--activate", "y", name, NULL}, err);
	if (r == 0)
		r = is_unused(&look.now, node, args.fs_uuid, err);
	if (r == 0 && look.now.state == QB_VOLUME_IS_READY)
		r = set_state(ctx, name, QB_VG_READY, QB_VG_PENDING, err);
	if (r == 0)
		r = qb_vg_sync(look.now.group, err);
	if (r == 0)
		r = wipe(node, err);
	/* Inactive it goes without a question; in use it does not become so. */
	if (r == 0)
		r = lvm(ctx, (const char *const[]){"lvchange", "--activate", "n", name, NULL}, err);
	if (r == 0)
		r = lvm(ctx, (const char *const[]){"lvremove", name, NULL}, err);
	return r < 0 ? r : qb_vg_sync(look.now.group, err);
}

const struct qb_step_kind qb_volume_step = {
	.kind = QB_VOLUME_KIND,
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
	.may_undo = may_undo,
};
