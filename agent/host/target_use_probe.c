/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/target_use.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "agent/base/mounts.h"

#define MOUNTINFO "/proc/self/mountinfo"
#define SWAPS "/proc/swaps"
#define LOST_FOUND "lost+found"

enum {
	TABLE_MAX = 16 << 20
};

struct look {
	const struct qb_root *root;
	const char *source;
	char *target; /* without symbolic links, as the kernel says it */
	char *devno;  /* of source */
	bool mounted; /* at target */
};

static void look_done(struct look *look)
{
	free(look->target);
	free(look->devno);
}
#define _cleanup_look_ QB_CLEANUP(look_done)

static int in_use(const struct look *look, const char *by, const char *then, struct qb_error *err)
{
	_cleanup_free_ char *safe = qb_str_printable(by);

	return qb_error_set(err, EBUSY, "%s stays as it is: %s; %s", look->target, safe, then);
}

static bool is_below(const struct look *look, const char *path)
{
	return qb_path_is_in(path, look->target) && strcmp(path, look->target) != 0;
}

/* What is mounted later over the same point, or below it, would have to go first. */
static int refuse_mount(struct look *look, const struct qb_mount *m, struct qb_error *err)
{
	bool at = qb_streq(m->point, look->target), of = qb_streq(m->devno, look->devno);
	_cleanup_free_ char *by = NULL;

	if (at && of && !look->mounted) {
		look->mounted = true;
		return 0;
	}
	if (look->mounted && (at || is_below(look, m->point)))
		by = qb_asprintf("%s is mounted at %s, on top of it", m->source, m->point);
	else if (of)
		by = qb_asprintf("its file system is mounted at %s%s", m->point,
				 look->mounted ? ", too" : "");
	return by ? in_use(look, by, "unmount that first", err) : 0;
}

static int refuse_mounts(struct look *look, struct qb_error *err)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	struct qb_mount m;
	int r = qb_root_read(look->root, MOUNTINFO, TABLE_MAX, &text, NULL);

	if (r < 0)
		return qb_error_errno(err, r, "what is mounted is unknown: %s", MOUNTINFO);
	rest = text;
	while (r == 0 && (line = strsep(&rest, "\n")))
		if (qb_mount_parse(line, &m))
			r = refuse_mount(look, &m, err);
	return r;
}

static int refuse_swap(const struct look *look, struct qb_error *err)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	int r = qb_root_read(look->root, SWAPS, TABLE_MAX, &text, NULL);

	/* A kernel without swap space has no such file. */
	if (r < 0 && r != -ENOENT)
		return qb_error_errno(err, r, "what is swap space is unknown: %s", SWAPS);
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		_cleanup_free_ char *by = NULL;

		line[strcspn(line, " \t")] = '\0';
		qb_str_unescape_octal(line);
		by = qb_asprintf("%s is swap space in use", line);
		if (is_below(look, line))
			return in_use(look, by, "take it out by swapoff first", err);
	}
	return 0;
}

/* What the process has of the target, as the link says it; NULL: nothing, or it has ended. */
static char *linked(const struct look *look, int dir, const char *name)
{
	char text[4096];
	ssize_t n = readlinkat(dir, name, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return n > 0 && qb_path_is_in(text, look->target) ? qb_strdup(text) : NULL;
}

static char *opened(const struct look *look, int process)
{
	static const char *const links[] = {"cwd", "root", "exe"};
	_cleanup_closedir_ DIR *dir =
		qb_fdopendir(openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	char *found = NULL;

	for (size_t i = 0; !found && i < QB_ARRAY_SIZE(links); i++)
		found = linked(look, process, links[i]);
	while (!found && dir && (entry = readdir(dir)))
		found = linked(look, dirfd(dir), entry->d_name);
	return found;
}

static int refuse_process(const struct look *look, int proc, const char *pid, struct qb_error *err)
{
	_cleanup_close_ int process = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *file = process < 0 ? NULL : opened(look, process), *by = NULL,
			    *comm = NULL, *path = qb_asprintf("/proc/%s/comm", pid);

	if (!file)
		return 0;
	if (qb_root_read_value(look->root, path, &comm) < 0)
		comm = qb_strdup("a process");
	by = qb_asprintf("%s (pid %s) has %s open", comm, pid, file);
	return in_use(look, by, "end that first", err);
}

/* Of one that cannot be asked the unmount tells: it fails. */
static int refuse_processes(const struct look *look, struct qb_error *err)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct dirent *entry;
	int r = dir ? 0 : qb_error_errno(err, errno, "who uses it is unknown: /proc");

	while (r == 0 && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			r = refuse_process(look, dirfd(dir), entry->d_name, err);
	return r;
}

static int refuse_files(const struct look *look, struct qb_error *err)
{
	_cleanup_free_ char *lost = qb_asprintf("%s/" LOST_FOUND, look->target), *name = NULL;
	_cleanup_strs_ struct qb_strs names = {0}, found = {0};
	const char *first = NULL;
	size_t n = 0;
	int r = qb_root_list(look->root, look->target, &names);

	if (r == 0 && qb_strs_has(&names, LOST_FOUND))
		r = qb_root_list(look->root, lost, &found);
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot look into it", look->target);
	for (size_t i = 0; i < names.n; i++) {
		/* mkfs made it; what fsck has found and put there is somebody's. */
		if (qb_streq(names.v[i], LOST_FOUND) && !found.n)
			continue;
		first = first ? first : names.v[i];
		n++;
	}
	if (!n)
		return 0;
	name = qb_str_printable(first);
	return qb_error_set(err, ENOTEMPTY,
			    "%s stays as it is: it holds \"%s\"%s; move that away first",
			    look->target, name, n > 1 ? " and more" : "");
}

int qb_target_is_unused(const struct qb_step_ctx *ctx, const char *source, const char *target,
			struct qb_error *err)
{
	_cleanup_look_ struct look look = {.root = ctx->root, .source = source};
	struct stat st;
	int r = qb_root_stat(ctx->root, source, true, &st);

	/* A disk that is not here is not mounted. */
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot look at it", source);
	look.target = realpath(target, NULL);
	if (!look.target)
		look.target = qb_strdup(target);
	look.devno = qb_asprintf("%u:%u", major(st.st_rdev), minor(st.st_rdev));
	r = refuse_mounts(&look, err);
	if (r < 0 || !look.mounted)
		return r;
	r = refuse_swap(&look, err);
	if (r == 0)
		r = refuse_processes(&look, err);
	return r < 0 ? r : refuse_files(&look, err);
}
