/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/schema.h"

enum {
	DIAGS_MAX = 100
};

void qb_diags_add(struct qb_diags *d, unsigned line, unsigned column, const char *fmt, ...)
{
	_cleanup_free_ char *msg = NULL;
	struct qb_diag *diag;
	va_list ap;

	/* A file that is something else altogether gives thousands. */
	if (d->n == DIAGS_MAX)
		return;
	va_start(ap, fmt);
	msg = qb_vasprintf(fmt, ap);
	va_end(ap);
	diag = QB_APPEND(d->v, d->n);
	diag->line = line;
	diag->column = column;
	diag->msg = d->n < DIAGS_MAX ? qb_str_printable(msg)
				     : qb_strdup("too many errors; the rest is left out");
}

static bool after(const struct qb_diag *a, const struct qb_diag *b)
{
	return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* By insertion: few, and what stands at one place keeps its order. */
void qb_diags_sort(struct qb_diags *d)
{
	for (size_t i = 1; i < d->n; i++) {
		struct qb_diag moved = d->v[i];
		size_t j = i;

		for (; j > 0 && after(&d->v[j - 1], &moved); j--)
			d->v[j] = d->v[j - 1];
		d->v[j] = moved;
	}
}

void qb_diags_done(struct qb_diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].msg);
	free(d->v);
	free(d->file);
	*d = (struct qb_diags){0};
}

static int compare(const void *a, const void *b)
{
	const struct qb_position *x = a, *y = b;
	uintptr_t p = (uintptr_t)x->member, q = (uintptr_t)y->member;

	return p != q ? (p > q) - (p < q) : x->whole - y->whole;
}

void qb_positions_sort(struct qb_positions *p)
{
	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), compare);
}

static struct qb_position find(const struct qb_positions *p, const void *member, bool whole)
{
	struct qb_position key = {.member = member, .whole = whole}, *at = NULL;

	if (p->n)
		at = bsearch(&key, p->v, p->n, sizeof(*p->v), compare);
	return at ? *at : (struct qb_position){0};
}

struct qb_position qb_positions_find(const struct qb_positions *p, const void *member)
{
	return find(p, member, false);
}

struct qb_position qb_positions_find_object(const struct qb_positions *p, const void *obj)
{
	return find(p, obj, true);
}

void qb_positions_done(struct qb_positions *p)
{
	free(p->v);
	*p = (struct qb_positions){0};
}
