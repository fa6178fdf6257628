/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of pools: what is mounted there, and whether they hold anything. */
#include "agent/host/facts.h"

#include <errno.h>

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

static void look_into(const struct qb_root *root, struct qb_target *t)
{
	_cleanup_strs_ struct qb_strs names = {0};
	int r = qb_root_list(root, t->path, &names);

	if (r < 0 && r != -ENOENT) {
		qb_tri_unknown(&t->empty, "%s: %s", t->path, strerror(-r));
		return;
	}
	qb_tri_set(&t->empty, !names.n);
	t->holds = names.n ? qb_strdup(names.v[0]) : NULL;
}

void qb_targets_probe(const struct qb_root *root, const struct qb_strs *paths,
		      struct qb_facts *facts)
{
	_cleanup_strs_ struct qb_strs points = {0};
	_cleanup_free_ char *text = NULL;
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
		/* What is mounted may be a server that hangs; what it holds is for nobody to ask.
		 */
		if (qb_is(&t->mounted))
			qb_tri_unknown(&t->empty, "a file system is mounted there");
		else
			look_into(root, t);
	}
}
