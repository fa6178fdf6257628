/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of pools: what is mounted there, and whether they hold anything. */
#include "agent/host/facts.h"

#include <errno.h>
#include <stdio.h>

#include "agent/host/asking.h"

enum {
	MOUNTINFO_MAX = 16 << 20
};

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

static void mount_points(char *mountinfo, struct qb_strs *ret)
{
	char *lines = NULL;

	for (char *line = strtok_r(mountinfo, "\n", &lines); line;
	     line = strtok_r(NULL, "\n", &lines)) {
		char *words = NULL, *word = strtok_r(line, " ", &words);

		for (unsigned i = 0; word && i < 4; i++)
			word = strtok_r(NULL, " ", &words);
		if (!word)
			continue;
		unescape(word);
		qb_strs_add(ret, word);
	}
}

struct inquiry {
	const struct qb_root *root;
	struct qb_target *targets;
};

/* The directory may be below a mount whose server is gone, though none itself. */
static void tell(int fd, size_t i, void *data)
{
	const struct inquiry *q = data;
	_cleanup_strs_ struct qb_strs names = {0};
	_cleanup_free_ char *name = NULL;
	int r = qb_is(&q->targets[i].mounted) ? 0
					      : qb_root_list(q->root, q->targets[i].path, &names);

	/* A name may hold a line break. */
	name = names.n ? qb_str_printable(names.v[0]) : NULL;
	dprintf(fd, "%d %s\n", r == -ENOENT ? 0 : -r, name ? name : "");
}

static bool take(const char *line, size_t i, void *data)
{
	struct qb_target *t = &((struct inquiry *)data)->targets[i];
	int error, begin = 0;
	size_t len;

	if (sscanf(line, "%d%n", &error, &begin) != 1 || line[begin] != ' ' || !strchr(line, '\n'))
		return false;
	line += begin + 1;
	len = strcspn(line, "\n");
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
	struct inquiry q = {.root = root};
	const struct qb_asking asking = {tell, take, give_up, &q};
	size_t begin = facts->n_targets;
	int r = qb_root_read(root, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);

	if (r == 0)
		mount_points(text, &points);
	for (size_t i = 0; i < paths->n; i++) {
		struct qb_target *t;

		if (qb_facts_target(facts, paths->v[i]))
			continue;
		t = QB_APPEND(facts->targets, facts->n_targets);
		t->path = qb_strdup(paths->v[i]);
		if (r < 0)
			qb_tri_unknown(&t->mounted, "/proc/self/mountinfo: %s", strerror(-r));
		else
			qb_tri_set(&t->mounted, qb_strs_has(&points, t->path));
	}
	q.targets = facts->targets;
	if (begin < facts->n_targets)
		qb_ask_each(&asking, begin, facts->n_targets, timeout_ms);
}
