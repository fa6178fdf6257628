/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/mounts.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "agent/base/child.h"
#include "agent/base/clock.h"

enum {
	MOUNTINFO_MAX = 16 << 20,
	ANSWER_MS = 1000,
	POINTS_MAX = 64, /* a process each */
};

bool qb_mount_has_server(const char *type)
{
	static const char *const types[] = {
		"nfs",     "nfs4", "cifs",   "smb3", "9p",    "virtiofs", "ceph",  "glusterfs",
		"fuseblk", "afs",  "lustre", "gfs2", "ocfs2", "beegfs",   "pvfs2", "coda",
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(types); i++)
		if (qb_streq(types[i], type))
			return true;
	return qb_streq(type, "fuse") || qb_startswith(type, "fuse.");
}

static bool has_option(char *options, const char *name)
{
	for (char *option; (option = strsep(&options, ","));)
		if (qb_streq(option, name))
			return true;
	return false;
}

/* "36 35 98:0 /root /point options optional... - type source options" */
bool qb_mount_parse(char *line, struct qb_mount *ret)
{
	char *fields[6] = {NULL}, *rest = line, *type, *source, *dash = strstr(line, " - ");

	if (!dash)
		return false;
	*dash = '\0';
	dash += strlen(" - ");
	type = strsep(&dash, " ");
	source = strsep(&dash, " ");
	for (size_t i = 0; i < QB_ARRAY_SIZE(fields); i++)
		fields[i] = strsep(&rest, " ");
	if (!fields[5] || !source)
		return false;
	qb_str_unescape_octal(fields[4]);
	qb_str_unescape_octal(source);
	*ret = (struct qb_mount){.id = fields[0],
				 .devno = fields[2],
				 .point = fields[4],
				 .source = source,
				 .type = type,
				 .nodev = has_option(fields[5], "nodev")};
	return true;
}

static void tell(int fd, void *data)
{
	struct statvfs v;
	struct stat st;

	if (stat(data, &st) == 0)
		(void)!statvfs(data, &v);
	/* An error is an answer. */
	dprintf(fd, "answered\n");
}

void qb_mounts_hung(const struct qb_root *root, struct qb_strs *ret)
{
	struct qb_child children[POINTS_MAX];
	_cleanup_strs_ struct qb_strs points = {0}, devnos = {0};
	_cleanup_free_ char *text = NULL;
	struct qb_mount m;
	char *rest = NULL;
	size_t n;

	if (qb_root_read(root, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (qb_mount_parse(line, &m) && qb_mount_has_server(m.type) &&
		    !qb_strs_has(&points, m.point)) {
			qb_strs_add(&points, m.point);
			qb_strs_add(&devnos, m.devno);
		}
	n = points.n < POINTS_MAX ? points.n : POINTS_MAX;
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *name = qb_asprintf("mount-%s", devnos.v[i]);
		int r = qb_child_begin_named(name, tell, points.v[i], &children[i]);

		/* Those who asked before still wait. */
		children[i].late = r == -EBUSY;
	}
	qb_children_wait(children, n, qb_now_ms() + ANSWER_MS);
	for (size_t i = 0; i < n; i++) {
		if (children[i].late)
			qb_strs_add(ret, points.v[i]);
		qb_child_done(&children[i]);
	}
}
