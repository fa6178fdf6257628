/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of pools: what is mounted there, and whether they hold anything. */
#include "agent/host/facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/mounts.h"
#include "agent/host/asking.h"
#include "agent/host/mounting.h"

enum {
	MOUNTINFO_MAX = 16 << 20
};

static void mount_points(const char *mountinfo, struct qb_strs *ret)
{
	_cleanup_free_ char *text = qb_strdup(mountinfo);
	char *rest = text, *line;
	struct qb_mount m;

	while ((line = strsep(&rest, "\n")))
		if (qb_mount_parse(line, &m))
			qb_strs_add(ret, m.point);
}

struct inquiry {
	const struct qb_root *root;
	const struct qb_strs *points;
	struct qb_target *targets;
};

/* Without symbolic links, as far as it is there. */
static char *real_path(const struct qb_root *root, const char *path)
{
	_cleanup_free_ char *there = qb_strdup(path);
	char *slash = there;

	/* What a captured host has below a link is not where it says. */
	while (root->live && slash && *there) {
		_cleanup_free_ char *real = realpath(there, NULL);
		const char *rest = path + strlen(there);

		if (real)
			return qb_asprintf("%s%s", *rest && qb_streq(real, "/") ? "" : real, rest);
		slash = strrchr(there, '/');
		if (slash)
			*slash = '\0';
	}
	return qb_strdup(path);
}

/* What was mounted last hides the others. */
static void mounted_on(const char *mountinfo, struct qb_target *t)
{
	_cleanup_free_ char *text = qb_strdup(mountinfo);
	char *rest = text, *line;
	struct qb_mount m;

	while ((line = strsep(&rest, "\n"))) {
		if (!qb_mount_parse(line, &m) || !qb_streq(m.point, t->path))
			continue;
		qb_strset(&t->device, m.devno);
		qb_strset(&t->fs_type, m.type);
	}
}

static const char *mount_point_of(const struct qb_strs *points, const char *path)
{
	const char *best = NULL;

	for (size_t i = 0; i < points->n; i++)
		if (qb_path_is_in(path, points->v[i]) &&
		    (!best || strlen(points->v[i]) > strlen(best)))
			best = points->v[i];
	return best;
}

/* The directory may be below a mount whose server is gone, though none itself. */
static void tell(int fd, size_t i, void *data)
{
	const struct inquiry *q = data;
	_cleanup_strs_ struct qb_strs names = {0};
	struct stat st = {0};
	_cleanup_free_ char *name = NULL, *real = real_path(q->root, q->targets[i].path);
	int r = qb_is(&q->targets[i].mounted) ? 0
					      : qb_root_list(q->root, q->targets[i].path, &names);
	bool there = qb_root_stat(q->root, q->targets[i].path, true, &st) == 0;

	/* A name may hold a line break. */
	name = names.n ? qb_str_printable(names.v[0]) : NULL;
	if (strchr(real, '\n'))
		*real = '\0';
	dprintf(fd, "%d %d %o %u %u %zu %s %s\n", r == -ENOENT ? 0 : -r, there,
		(unsigned)st.st_mode & 07777, st.st_uid, st.st_gid, strlen(real), real,
		name ? name : "");
}

static bool take(const char *line, size_t i, void *data)
{
	const struct inquiry *q = data;
	struct qb_target *t = &q->targets[i];
	int error, there, begin = 0;
	unsigned mode, owner, group;
	size_t len, real_len;

	if (sscanf(line, "%d %d %o %u %u %zu%n", &error, &there, &mode, &owner, &group, &real_len,
		   &begin) != 6 ||
	    line[begin] != ' ' || !strchr(line, '\n'))
		return false;
	line += begin + 1;
	len = strcspn(line, "\n");
	if (real_len >= len)
		return false;
	if (real_len) {
		t->real_path = qb_strndup(line, real_len);
		t->mount_point = qb_strdup(mount_point_of(q->points, t->real_path));
	}
	line += real_len + 1;
	len -= real_len + 1;
	if (there) {
		t->mode = qb_asprintf("%04o", mode);
		t->owner = owner;
		t->group = group;
	}
	/* What is mounted hides what the directory holds. */
	if (qb_is(&t->mounted))
		qb_tri_unknown(&t->empty, "a file system is mounted there");
	else if (error)
		qb_tri_unknown(&t->empty, "%s: %s", t->path, strerror(error));
	else
		qb_tri_set(&t->empty, !len);
	t->holds = len ? qb_strndup(line, len) : NULL;
	return true;
}

static void give_up(size_t i, const char *why, void *data)
{
	struct qb_target *t = &((struct inquiry *)data)->targets[i];

	qb_tri_unknown(&t->empty, "%s: %s", t->path, why);
}

void qb_targets_probe(const struct qb_root *root, const struct qb_strs *paths, unsigned timeout_ms,
		      struct qb_facts *facts)
{
	_cleanup_strs_ struct qb_strs points = {0};
	_cleanup_free_ char *text = NULL;
	struct inquiry q = {.root = root, .points = &points};
	const struct qb_asking asking = {tell, take, give_up, &q, root->fd};
	size_t begin = facts->n_targets;
	int r = qb_root_read(root, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);

	if (r == 0)
		mount_points(text, &points);
	for (size_t i = 0; i < paths->n; i++) {
		_cleanup_free_ char *link = qb_mount_link(paths->v[i]);
		struct qb_target *t;

		if (qb_facts_target(facts, paths->v[i]))
			continue;
		t = QB_APPEND(facts->targets, facts->n_targets);
		t->path = qb_strdup(paths->v[i]);
		if (r < 0)
			qb_tri_unknown(&t->mounted, "/proc/self/mountinfo: %s", strerror(-r));
		else
			qb_tri_set(&t->mounted, qb_strs_has(&points, t->path));
		if (qb_is(&t->mounted))
			mounted_on(text, t);
		t->at_boot = link && qb_root_stat(root, link, false, &(struct stat){0}) == 0;
	}
	q.targets = facts->targets;
	if (begin < facts->n_targets)
		qb_ask_each(&asking, begin, facts->n_targets, timeout_ms);
}
