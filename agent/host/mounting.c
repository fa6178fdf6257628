/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/mounting.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "agent/host/selinux_lib.h"
#include "agent/host/target.h"

bool qb_mount_is_bare(const struct qb_step_ctx *ctx, const char *target)
{
	struct stat st;

	return qb_root_stat(ctx->root, target, false, &st) == 0 &&
	       (st.st_mode & ALLPERMS) == 0755 && !st.st_uid && !st.st_gid;
}

int qb_mount_dress(const struct qb_step_ctx *ctx, const char *target, bool keeps_mode,
		   struct qb_error *err)
{
	_cleanup_close_ int fd =
		qb_root_openat(ctx->root, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int r;

	if (fd < 0)
		return qb_error_errno(err, fd, "%s: cannot open it", target);
	r = qb_selinux_load(err);
	if (r < 0)
		return r;
	if (sym_is_selinux_enabled() > 0 && sym_selinux_restorecon(target, 0) < 0)
		return qb_error_errno(err, errno, "%s: cannot label it", target);
	/* Last: by its mode it is known that the label is still to be set. */
	if (!keeps_mode && fchmod(fd, 0711) < 0)
		return qb_error_errno(err, errno, "%s: cannot set its mode", target);
	/* A step that is done is not done once more after a power cut. */
	return fsync(fd) < 0 ? qb_error_errno(err, errno, "%s: cannot sync it", target) : 0;
}

int qb_mount_would_hide(const struct qb_step_ctx *ctx, const char *source, const char *target,
			struct qb_error *err)
{
	_cleanup_free_ char *above = qb_asprintf("%s/..", target), *name = NULL;
	_cleanup_strs_ struct qb_strs names = {0};
	struct stat at, above_at;
	int r = qb_root_list(ctx->root, target, &names);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = qb_root_stat(ctx->root, target, true, &at);
	if (r == 0)
		r = qb_root_stat(ctx->root, above, true, &above_at);
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot look into it", target);
	if (at.st_dev != above_at.st_dev) {
		if (qb_target_is_mounted(ctx, source, target, err) == 0)
			return 0;
		return qb_error_set(err, ESTALE,
				    "%s: another file system than that of %s is mounted there",
				    target, source);
	}
	if (!names.n)
		return 0;
	name = qb_str_printable(names.v[0]);
	return qb_error_set(err, ESTALE,
			    "%s is not empty (%s%s): mounting %s there would hide what it holds; "
			    "move that away, or choose another target",
			    target, name, names.n > 1 ? " and more" : "", source);
}

static int flags_of(const struct qb_step_ctx *ctx, const char *target, int *ret_fd)
{
	int flags = 0;

	*ret_fd = qb_root_openat(ctx->root, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return *ret_fd < 0 || ioctl(*ret_fd, FS_IOC_GETFLAGS, &flags) < 0 ? 0 : flags;
}

void qb_mount_bar(const struct qb_step_ctx *ctx, const char *target, bool on)
{
	_cleanup_close_ int fd = -1;
	int is = flags_of(ctx, target, &fd);
	int flags = on ? is | FS_IMMUTABLE_FL : is & ~FS_IMMUTABLE_FL;

	if (fd >= 0 && flags != is)
		(void)!ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

bool qb_mount_is_barred(const struct qb_step_ctx *ctx, const char *target)
{
	_cleanup_close_ int fd = -1;

	return flags_of(ctx, target, &fd) & FS_IMMUTABLE_FL;
}

int qb_mount_remove_target(const struct qb_step_ctx *ctx, const char *target, struct qb_error *err)
{
	_cleanup_free_ char *parent = qb_strndup(target, (size_t)(strrchr(target, '/') - target));
	_cleanup_close_ int dir =
		qb_root_openat(ctx->root, *parent ? parent : "/", O_RDONLY | O_DIRECTORY, 0);

	if (dir < 0)
		return dir == -ENOENT ? 0 : qb_error_errno(err, dir, "%s: cannot open", parent);
	if (unlinkat(dir, strrchr(target, '/') + 1, AT_REMOVEDIR) < 0 && errno != ENOENT &&
	    errno != ENOTEMPTY && errno != EEXIST)
		return qb_error_errno(err, errno, "%s: cannot remove it", target);
	return 0;
}

char *qb_mount_unit(const char *target)
{
	_cleanup_buf_ struct qb_buf name = {0};

	if (qb_streq(target, "/"))
		return qb_strdup("-.mount");
	for (const char *s = target + 1; *s; s++) {
		bool plain = strchr("0123456789:_.", *s) || (*s >= 'a' && *s <= 'z') ||
			     (*s >= 'A' && *s <= 'Z');

		if (*s == '/')
			qb_buf_puts(&name, "-");
		else if (plain && !(*s == '.' && s == target + 1))
			qb_buf_add(&name, s, 1);
		else
			qb_buf_printf(&name, "\\x%02x", (unsigned char)*s);
	}
	qb_buf_puts(&name, ".mount");
	return QB_TAKE_PTR(name.s);
}

char *qb_mount_link(const char *target)
{
	_cleanup_free_ char *unit = qb_mount_unit(target);

	return qb_asprintf(QB_MOUNT_WANTS "/%s", unit);
}
