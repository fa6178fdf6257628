/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What statvfs(3) says of the host's directories and of pools' targets. It may never answer, when
 * what is mounted there is a server that is gone: so a process of its own asks.
 */
#include "agent/host/facts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "agent/base/child.h"
#include "agent/base/clock.h"

enum {
	ANSWER_MS = 1000, /* a server that is there answers within some */
	HUNG_MAX = 3,     /* then the others are not asked any more */
};

struct inquiry {
	const struct qb_space *spaces;
	size_t n;
};

/* One line for each, so that what came before one that hangs is known. */
static void tell(int fd, void *data)
{
	const struct inquiry *q = data;

	for (size_t i = 0; i < q->n; i++) {
		struct statvfs v;
		struct stat st;

		if (stat(q->spaces[i].path, &st) < 0 || statvfs(q->spaces[i].path, &v) < 0)
			dprintf(fd, "%d 0 0 0 0 0 0 0\n", errno);
		else
			dprintf(fd, "0 %u %u %d %ju %ju %ju %ju\n", major(st.st_dev),
				minor(st.st_dev), (v.f_flag & ST_RDONLY) != 0,
				(uintmax_t)v.f_blocks * v.f_frsize,
				(uintmax_t)v.f_bavail * v.f_frsize, (uintmax_t)v.f_files,
				(uintmax_t)v.f_favail);
	}
}

static bool take_line(const char *line, struct qb_space *ret)
{
	unsigned major_number, minor_number;
	int error, read_only;

	if (sscanf(line, "%d %u %u %d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &error,
		   &major_number, &minor_number, &read_only, &ret->size_bytes,
		   &ret->available_bytes, &ret->inodes, &ret->inodes_available) != 8)
		return false;
	ret->absent = error == ENOENT;
	if (error) {
		qb_tri_unknown(&ret->read_only, "%s: %s", ret->path, strerror(error));
		return true;
	}
	ret->device = qb_asprintf("%u:%u", major_number, minor_number);
	qb_tri_set(&ret->read_only, read_only);
	return true;
}

/* How many of them were told of. */
static size_t take(const char *text, struct qb_space *spaces, size_t n)
{
	size_t i = 0;

	for (const char *line = text; line && i < n && take_line(line, &spaces[i]); i++) {
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return i;
}

/* Asks for those from the first one on; returns how many are settled, one that hangs included. */
static size_t ask(struct qb_space *spaces, size_t n, bool *ret_hung)
{
	struct inquiry q = {spaces, n};
	_cleanup_child_ struct qb_child child = QB_CHILD_INIT;
	int r = qb_child_begin(tell, &q, &child);
	size_t told;

	*ret_hung = false;
	if (r == 0)
		qb_children_wait(&child, 1, qb_now_ms() + ANSWER_MS);
	told = take(child.text.s, spaces, n);
	if (told == n)
		return n;
	*ret_hung = child.late;
	if (r < 0)
		qb_tri_unknown(&spaces[told].read_only, "no process to ask: %s", strerror(-r));
	else if (child.late)
		qb_tri_unknown(&spaces[told].read_only, "%s: no answer within %d ms",
			       spaces[told].path, ANSWER_MS);
	else
		qb_tri_unknown(&spaces[told].read_only, "%s: the process that asked ended early",
			       spaces[told].path);
	return told + 1;
}

void qb_spaces_probe(const struct qb_root *root, const struct qb_strs *paths,
		     struct qb_facts *facts)
{
	unsigned hung = 0;
	size_t done = facts->n_spaces;

	for (size_t i = 0; i < paths->n; i++)
		if (!qb_facts_space(facts, paths->v[i]))
			QB_APPEND(facts->spaces, facts->n_spaces)->path = qb_strdup(paths->v[i]);
	while (root->live && done < facts->n_spaces && hung < HUNG_MAX) {
		bool is_hung;

		done += ask(facts->spaces + done, facts->n_spaces - done, &is_hung);
		hung += is_hung;
	}
	for (; done < facts->n_spaces; done++)
		qb_tri_unknown(&facts->spaces[done].read_only, "%s",
			       root->live ? "others hang" : "not a live host");
}
