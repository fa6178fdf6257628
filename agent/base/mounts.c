/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/mounts.h"

#include <sys/statvfs.h>

#include "agent/base/child.h"
#include "agent/base/clock.h"

enum {
	MOUNTINFO_MAX = 16 << 20,
	ANSWER_MS = 1000,
	POINTS_MAX = 64, /* a process each */
};

/* Of which somebody else answers: another host, or a process of this one. */
static bool has_server(const char *type)
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

/* The octal escapes of proc(5), mountinfo, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++)
		if (*s == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	*to = '\0';
}

/* "36 35 98:0 /root /point options optional... - type source options" */
static void take_line(char *line, struct qb_strs *ret)
{
	char *rest = NULL, *type = strstr(line, " - "), *word;

	if (!type)
		return;
	*type = '\0';
	type += strlen(" - ");
	type[strcspn(type, " ")] = '\0';
	word = strtok_r(line, " ", &rest);
	for (unsigned i = 0; word && i < 4; i++)
		word = strtok_r(NULL, " ", &rest);
	if (!word || !has_server(type))
		return;
	unescape(word);
	if (!qb_strs_has(ret, word))
		qb_strs_add(ret, word);
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
	_cleanup_strs_ struct qb_strs points = {0};
	_cleanup_free_ char *text = NULL;
	char *rest = NULL;
	size_t n;

	if (qb_root_read(root, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		take_line(line, &points);
	n = points.n < POINTS_MAX ? points.n : POINTS_MAX;
	for (size_t i = 0; i < n; i++)
		if (qb_child_begin(tell, points.v[i], &children[i]) < 0)
			children[i] = (struct qb_child)QB_CHILD_INIT;
	qb_children_wait(children, n, qb_now_ms() + ANSWER_MS);
	for (size_t i = 0; i < n; i++) {
		if (children[i].late)
			qb_strs_add(ret, points.v[i]);
		qb_child_done(&children[i]);
	}
}
