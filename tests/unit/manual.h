/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manual pages of which a part is made from a table in the program. Between a line that says so and
 * MANUAL_END it is made, around them it is written by hand. A test holds the page against the
 * table; with --write it makes the part anew.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/base/str.h"

#define MANUAL_END ".\\\" End of what is made\n"

struct manual {
	const char *name, *begin; /* in packaging/; the line above what is made */
	void (*make)(struct qb_buf *out);
};

static inline char *manual_path(const struct manual *m)
{
	return qb_asprintf("%s/../packaging/%s", QB_TESTS, m->name);
}

/* One line: a minus that can be copied, and nothing that begins with a request. */
static inline void manual_escape(const char *line, size_t n, struct qb_buf *out)
{
	if (n && strchr(".'", *line))
		qb_buf_puts(out, "\\&");
	for (size_t i = 0; i < n; i++)
		switch (line[i]) {
		case '-':
			qb_buf_puts(out, "\\-");
			break;
		case '\\':
			qb_buf_puts(out, "\\e");
			break;
		default:
			qb_buf_add(out, line + i, 1);
		}
	qb_buf_puts(out, "\n");
}

/* The page as it is, and as it should be. */
static inline void manual_read(const struct manual *m, struct qb_buf *is, struct qb_buf *wanted)
{
	_cleanup_free_ char *path = manual_path(m);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char chunk[4096];
	const char *begin, *end;
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		qb_buf_add(is, chunk, n);
	begin = strstr(is->s, m->begin);
	assert_non_null(begin);
	begin += strlen(m->begin);
	end = strstr(begin, MANUAL_END);
	assert_non_null(end);
	qb_buf_add(wanted, is->s, (size_t)(begin - is->s));
	m->make(wanted);
	qb_buf_puts(wanted, end);
}

static inline void manual_hold(const struct manual *m)
{
	_cleanup_buf_ struct qb_buf is = {0}, wanted = {0};

	manual_read(m, &is, &wanted);
	if (strcmp(is.s, wanted.s) != 0)
		fail_msg("packaging/%s is not what the program says; this test with --write "
			 "writes it anew",
			 m->name);
}

static inline int manual_write(const struct manual *m)
{
	_cleanup_buf_ struct qb_buf is = {0}, wanted = {0};
	_cleanup_free_ char *path = manual_path(m);
	_cleanup_fclose_ FILE *f = NULL;

	manual_read(m, &is, &wanted);
	f = fopen(path, "we");
	if (!f || fwrite(wanted.s, 1, wanted.len, f) != wanted.len || fflush(f) != 0) {
		perror(path);
		return 1;
	}
	return 0;
}
