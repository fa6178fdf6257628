/* SPDX-License-Identifier: Apache-2.0 */
/* Step host.setting: a file of one value, of the kernel's. */
#include <errno.h>
#include <fcntl.h>

#include "agent/host/host.h"

/* Plans come from a file at times; this step writes nothing else. */
static bool is_setting(const char *path)
{
	static const char *const below[] = {"/sys/kernel/mm/", "/sys/devices/system/node/",
					    "/proc/sys/"};

	for (size_t i = 0; path && i < QB_ARRAY_SIZE(below); i++)
		if (qb_startswith(path, below[i]) && !strstr(path, "/../"))
			return true;
	return false;
}

static int parse(const json_t *args, const char **ret_path, const char **ret_value,
		 struct qb_error *err)
{
	*ret_path = qb_arg(args, "path");
	*ret_value = qb_arg(args, "value");
	if (!is_setting(*ret_path) || !*ret_value)
		return qb_error_set(err, EINVAL, "a step of host.setting that names no setting");
	return 0;
}

static int read_value(const struct qb_step_ctx *ctx, const char *path, char **ret,
		      struct qb_error *err)
{
	int r = qb_root_read_value(ctx->root, path, ret);

	return r < 0 ? qb_error_errno(err, r, "%s: cannot read it", path) : 0;
}

/* In place, as the kernel's files are: there is nothing to replace by rename. */
static int write_value(const struct qb_step_ctx *ctx, const char *path, const char *value,
		       struct qb_error *err)
{
	_cleanup_close_ int fd = qb_root_openat(ctx->root, path, O_WRONLY, 0);
	ssize_t n;

	if (fd < 0)
		return qb_error_errno(err, fd, "%s: cannot open it", path);
	n = write(fd, value, strlen(value));
	if (n != (ssize_t)strlen(value))
		return qb_error_errno(err, n < 0 ? errno : EIO, "%s does not take %s", path, value);
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	const char *path, *wanted;
	_cleanup_free_ char *is = NULL;
	int r = parse(args, &path, &wanted, err);

	if (r == 0)
		r = read_value(ctx, path, &is, err);
	if (r < 0)
		return r;
	*ret = qb_host_same_value(is, wanted) ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	if (*ret == QB_OBSERVED_NEEDED)
		*ret_before = json_pack("{s:s}", "value", is);
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	const char *path, *wanted;
	int r = parse(args, &path, &wanted, err);

	(void)before;
	return r < 0 ? r : write_value(ctx, path, wanted, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	const char *path, *wanted;
	_cleanup_free_ char *is = NULL;
	int r = parse(args, &path, &wanted, err);

	(void)before;
	if (r == 0)
		r = read_value(ctx, path, &is, err);
	if (r < 0 || qb_host_same_value(is, wanted))
		return r;
	/* Documentation/admin-guide/mm/hugetlbpage.rst: of pages it takes as many as it finds. */
	return qb_error_set(err, EIO, "%s is %s after %s was written to it%s", path, is, wanted,
			    strstr(path, "/hugepages-")
				    ? ": memory is too fragmented for more; reserve them on the "
				      "kernel's command line (hugepagesz=, hugepages=)"
				    : "");
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	const char *path, *wanted, *was = qb_arg(before, "value");
	_cleanup_free_ char *is = NULL;
	int r = parse(args, &path, &wanted, err);

	if (r == 0 && !was)
		r = qb_error_set(err, EINVAL, "what %s was is not known", path);
	if (r == 0)
		r = read_value(ctx, path, &is, err);
	return r < 0 || qb_host_same_value(is, was) ? r : write_value(ctx, path, was, err);
}

const struct qb_step_kind qb_setting_step = {
	.kind = "host.setting",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
