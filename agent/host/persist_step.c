/* SPDX-License-Identifier: Apache-2.0 */
/* Our drop-in files, each written whole; one of which nothing is left is removed. */
#include <errno.h>
#include <fcntl.h>

#include "agent/host/host.h"
#include "agent/host/module.h"
#include "agent/host/plan.h"

enum {
	FILE_MAX = 1 << 20
};

/* Plans come from a file at times; this step writes no others than these. */
static bool is_ours(const char *path)
{
	static const char *const files[] = {QB_MODULES_LOAD_FILE, QB_MODPROBE_FILE,
					    QB_MODULES_UNIT_FILE, QB_TMPFILES_FILE,
					    QB_SYSCTL_FILE,       QB_URI_FILE};

	for (size_t i = 0; i < QB_ARRAY_SIZE(files); i++)
		if (qb_streq(path, files[i]))
			return true;
	return false;
}

static char *parent_of(const char *path)
{
	return qb_strndup(path, (size_t)(strrchr(path, '/') - path));
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_free_ char *text = NULL, *parent = NULL;
	const char *path = qb_arg(args, "path"), *wanted = qb_arg(args, "text");
	struct stat st;
	json_t *before;
	int r;

	if (!is_ours(path))
		return qb_error_set(err, EINVAL, "%s is not a file of this step",
				    path ? path : "(none)");
	parent = parent_of(path);
	r = qb_root_read(ctx->root, path, FILE_MAX, &text, NULL);
	if (r < 0 && r != -ENOENT)
		return qb_error_errno(err, r, "%s: cannot read", path);
	if (r == 0 && (qb_root_stat(ctx->root, path, false, &st) < 0 || !S_ISREG(st.st_mode)))
		return qb_error_set(err, ESTALE,
				    "%s is a link; remove it, the agent writes a file "
				    "there",
				    path);
	if (wanted ? r == 0 && !strcmp(text, wanted) : r == -ENOENT) {
		*ret = QB_OBSERVED_DONE;
		return 0;
	}
	before = json_pack("{s:s?, s:i, s:b}", "text", text, "mode",
			   r == 0 ? (int)(st.st_mode & 07777) : 0644, "parent",
			   qb_root_exists(ctx->root, parent));
	if (!before)
		return qb_error_set(err, EILSEQ, "%s is there and is not UTF-8 text; move it away",
				    path);
	*ret_before = before;
	*ret = QB_OBSERVED_NEEDED;
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	const char *text = qb_arg(args, "text");

	(void)before;
	if (!text)
		return qb_root_unlink(ctx->root, qb_arg(args, "path"), err);
	return qb_root_write(ctx->root, qb_arg(args, "path"), 0644, text, strlen(text), err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_free_ char *text = NULL;
	const char *path = qb_arg(args, "path"), *wanted = qb_arg(args, "text");
	int r = qb_root_read(ctx->root, path, FILE_MAX, &text, NULL);

	(void)before;
	if (!wanted && r == -ENOENT)
		return 0;
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot read it back", path);
	if (!wanted || strcmp(text, wanted) != 0)
		return qb_error_set(err, EIO, "%s does not hold what was written", path);
	return 0;
}

/* The directory that was made for the file, unless somebody put another one there. */
static void remove_parent(const struct qb_root *root, const char *path)
{
	_cleanup_free_ char *parent = parent_of(path), *above = parent_of(parent);
	_cleanup_close_ int dir = qb_root_openat(root, above, O_RDONLY | O_DIRECTORY, 0);

	if (dir >= 0)
		(void)!unlinkat(dir, strrchr(parent, '/') + 1, AT_REMOVEDIR);
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	const char *path = qb_arg(args, "path"), *text = qb_arg(before, "text");
	mode_t mode = (mode_t)json_integer_value(json_object_get(before, "mode"));
	int r;

	if (!is_ours(path))
		return qb_error_set(err, EINVAL, "%s is not a file of this step", path);
	if (text)
		return qb_root_write(ctx->root, path, mode, text, strlen(text), err);
	r = qb_root_unlink(ctx->root, path, err);
	if (r == 0 && !json_is_true(json_object_get(before, "parent")))
		remove_parent(ctx->root, path);
	return r;
}

const struct qb_step_kind qb_module_persist_step = {
	.kind = "kvm.persist",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};

const struct qb_step_kind qb_host_persist_step = {
	.kind = "host.persist",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
