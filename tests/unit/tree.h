/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of files in a temporary directory, to be read as a captured host. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "agent/base/root.h"
#include "tests/unit/scratch.h"

struct tree {
	char top[SCRATCH_MAX];
	struct qb_root root;
};

static inline void tree_write(struct tree *t, const char *path, const char *text, size_t len)
{
	struct qb_error err = QB_ERROR_INIT;

	if (qb_root_write(&t->root, path, 0644, text, len, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void tree_put(struct tree *t, const char *path, const char *text)
{
	tree_write(t, path, text, strlen(text));
}

static inline void tree_mkdir(struct tree *t, const char *path)
{
	struct qb_error err = QB_ERROR_INIT;

	if (qb_root_mkdir(&t->root, path, 0755, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void tree_link(struct tree *t, const char *target, const char *path)
{
	assert_int_equal(symlinkat(target, t->root.fd, path + 1), 0);
}

/* A file of this machine, copied into the tree. */
static inline void tree_copy(struct tree *t, const char *from, const char *path)
{
	_cleanup_buf_ struct qb_buf text = {0};
	_cleanup_fclose_ FILE *f = fopen(from, "re");
	char chunk[4096];
	size_t n;

	if (!f)
		fail_msg("%s: %s", from, strerror(errno));
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		qb_buf_add(&text, chunk, n);
	tree_write(t, path, text.s, text.len);
}

static inline int tree_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int tree_setup(void **state)
{
	struct tree *t = qb_alloc(1, sizeof(*t));

	scratch(t->top);
	assert_non_null(mkdtemp(t->top));
	assert_int_equal(qb_root_open(t->top, &t->root, NULL), 0);
	*state = t;
	return 0;
}

static inline int tree_teardown(void **state)
{
	struct tree *t = *state;

	qb_root_done(&t->root);
	nftw(t->top, tree_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(t);
	return 0;
}

#define tree_test(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)
