/* SPDX-License-Identifier: Apache-2.0 */
/* A picture as SVG in a figure of HTML: boxes in columns, and lines between them. */
#pragma once

#include "agent/base/str.h"

enum {
	QB_PICTURE_COLUMNS_MAX = 3
};

struct qb_box {
	char *name, *detail;
	bool off;      /* it is there, but not in use */
	bool through;  /* no box, but the place where a line passes */
	size_t source; /* index in the facts */
	size_t under;  /* index of the box of its column that it stands on, and 1; 0: none */
	size_t rank;   /* from the top */
	bool linked;
};

struct qb_edge {
	size_t from, to; /* boxes of a column and of the next one */
};

struct qb_column {
	const char *title;
	bool unknown; /* what would stand in it */
	struct qb_box *boxes;
	size_t n_boxes;
	struct qb_edge *edges; /* to the next column */
	size_t n_edges;
};

struct qb_picture {
	const char *title;
	struct qb_column columns[QB_PICTURE_COLUMNS_MAX];
	size_t n_columns;
	char *note;
};

/* What should stand in the column could not be read. */
void qb_picture_unknown(struct qb_picture *p, size_t column, const char *why);
/* Until the next one is added. */
QB_PRINTF(4, 5)
struct qb_box *qb_picture_box(struct qb_column *column, const char *name, size_t source,
			      const char *fmt, ...);
/* One of its column is drawn below another one, which it stands on; not where that stands on it. */
void qb_picture_under(struct qb_column *column, size_t box, size_t on);
/* A line from a box to one of a column further right. All that stand under others do so by now. */
void qb_picture_edge(struct qb_picture *p, size_t column, size_t from, size_t to_column, size_t to);
void qb_picture_draw(struct qb_picture *p, struct qb_buf *out);
void qb_picture_done(struct qb_picture *p);
