/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings and memory. Allocation never returns NULL: a failed one ends the process by abort().
 * That is deliberate. Every change is journaled so that any moment may be the last one, and an
 * untested ENOMEM path in the middle of a change would be worse than a stop there.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/base/error.h"

void *qb_alloc(size_t n, size_t size); /* zeroed; aborts on overflow */
void *qb_realloc(void *p, size_t n, size_t size);
char *qb_strdup(const char *s); /* NULL stays NULL */
char *qb_strndup(const char *s, size_t n);
QB_PRINTF(1, 2) char *qb_asprintf(const char *fmt, ...);
QB_PRINTF(1, 0) char *qb_vasprintf(const char *fmt, va_list ap);
/* Replaces *p, freeing what it was, with a copy of s. */
void qb_strset(char **p, const char *s);

static inline bool qb_streq(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool qb_startswith(const char *s, const char *prefix);
bool qb_endswith(const char *s, const char *suffix);

/*
 * Grows *items (n used, element size) by one zeroed element and returns it. The room is known from
 * n alone, so a list that is grown here must have been made here.
 */
void *qb_append(void *items_ptr, size_t *n, size_t size);
#define QB_APPEND(items, n) ((__typeof__(*(items)) *)qb_append(&(items), &(n), sizeof(*(items))))

/* A list of strings that owns them. */
struct qb_strs {
	char **v;
	size_t n;
};

void qb_strs_add(struct qb_strs *s, const char *item);
QB_PRINTF(2, 3) void qb_strs_addf(struct qb_strs *s, const char *fmt, ...);
bool qb_strs_has(const struct qb_strs *s, const char *item);
void qb_strs_sort(struct qb_strs *s);
bool qb_strs_has_sorted(const struct qb_strs *s, const char *item); /* of those that are sorted */
/* "a, b and c"; the caller frees it. */
char *qb_strs_sentence(const struct qb_strs *s);
void qb_strs_done(struct qb_strs *s);
#define _cleanup_strs_ QB_CLEANUP(qb_strs_done)

/* A growing string. s is always terminated once anything was added. */
struct qb_buf {
	char *s;
	size_t len, size;
};

void qb_buf_add(struct qb_buf *b, const char *data, size_t len);
void qb_buf_puts(struct qb_buf *b, const char *s);
QB_PRINTF(2, 3) void qb_buf_printf(struct qb_buf *b, const char *fmt, ...);
void qb_buf_done(struct qb_buf *b);
#define _cleanup_buf_ QB_CLEANUP(qb_buf_done)

/* In place: cuts white space at both ends and returns the new beginning. */
char *qb_strip(char *s);

/*
 * A copy that is safe on a terminal and in a log: control characters, DEL, C1 and bytes that are
 * not UTF-8 become \xNN. The caller frees it. NULL gives "".
 */
char *qb_str_printable(const char *s);
/* No control character but white space in len bytes: what the kernel writes as text. */
bool qb_is_text(const char *data, size_t len);

/* \040 and its like, as /proc and fstab(5) write blanks. In place. */
void qb_str_unescape_octal(char *s);
/* path is dir, or below it: by their names alone. */
bool qb_path_is_in(const char *path, const char *dir);

/* Whole-string decimal, or hexadecimal after 0x. -EINVAL, -ERANGE. */
QB_MUST_CHECK int qb_parse_u64(const char *s, uint64_t *ret);
/* "200GiB", "1.5TB", "4096": bytes. KiB.. are powers of 1024, kB/MB.. of 1000. -EINVAL, -ERANGE */
QB_MUST_CHECK int qb_parse_size(const char *s, uint64_t *ret_bytes);
/* "1.8 TiB"; the caller frees it. */
char *qb_format_size(uint64_t bytes);

/* The candidate nearest to word, or NULL when none is near enough to be a typing error of it. */
const char *qb_str_nearest(const char *word, const char *const *candidates, size_t n);
