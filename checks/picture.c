/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes in columns, and lines from one column to the next. */
#include "checks/picture.h"

#include "checks/report.h"

enum {
	WIDTH = 376, /* of the smallest screen, less the page's margins: text stays legible */
	BOX_HEIGHT = 36,
	GAP = 10,
	TOP = 18,
	INSET = 6,      /* of text in a box */
	INDENT = 10,    /* of a box under another one */
	DEPTH_MAX = 2,  /* further down they are indented no more */
	STEM = 5,       /* of the line to what is under a box */
	SHOWN_MAX = 16, /* boxes in a column */
};

void qb_picture_unknown(struct qb_picture *p, size_t column, const char *why)
{
	struct qb_buf b = {0};

	p->columns[column].unknown = true;
	if (p->note)
		qb_buf_printf(&b, "%s; ", p->note);
	qb_buf_printf(&b, "%s unknown: %s", p->columns[column].title, why);
	free(p->note);
	p->note = b.s;
}

struct qb_box *qb_picture_box(struct qb_column *column, const char *name, size_t source,
			      const char *fmt, ...)
{
	struct qb_box *box = QB_APPEND(column->boxes, column->n_boxes);
	va_list ap;

	box->name = qb_str_printable(name);
	box->source = source;
	va_start(ap, fmt);
	box->detail = qb_vasprintf(fmt, ap);
	va_end(ap);
	return box;
}

void qb_picture_under(struct qb_column *column, size_t box, size_t on)
{
	/* A document may say so of two, of each other. */
	for (size_t i = on + 1; i; i = column->boxes[i - 1].under)
		if (i == box + 1)
			return;
	column->boxes[box].under = on + 1;
}

static void add_edge(struct qb_picture *p, size_t column, size_t from, size_t to)
{
	struct qb_column *c = &p->columns[column];

	*QB_APPEND(c->edges, c->n_edges) = (struct qb_edge){from, to};
	/* They stay together. */
	for (size_t i = from + 1; i; i = c->boxes[i - 1].under)
		c->boxes[i - 1].linked = true;
	p->columns[column + 1].boxes[to].linked = true;
}

void qb_picture_edge(struct qb_picture *p, size_t column, size_t from, size_t to_column, size_t to)
{
	const struct qb_box *end = &p->columns[to_column].boxes[to];
	bool off = p->columns[column].boxes[from].off || end->off;

	for (; column + 1 < to_column; column++) {
		struct qb_box *box =
			qb_picture_box(&p->columns[column + 1], end->name, 0, "%s", "");

		box->through = true;
		box->off = off;
		add_edge(p, column, from, p->columns[column + 1].n_boxes - 1);
		from = p->columns[column + 1].n_boxes - 1;
	}
	add_edge(p, column, from, to);
}

/* A box, and below it what stands on it. */
static void place(struct qb_column *column, size_t i, size_t *next)
{
	column->boxes[i].rank = (*next)++;
	for (size_t k = 0; k < column->n_boxes; k++)
		if (column->boxes[k].under == i + 1)
			place(column, k, next);
}

/* What is linked comes first, in the order of what it is linked to: lines seldom cross then. */
static void rank(struct qb_picture *p)
{
	for (size_t c = 0; c < p->n_columns; c++) {
		struct qb_column *column = &p->columns[c];
		const struct qb_column *left = c ? &p->columns[c - 1] : NULL;
		size_t next = 0;

		for (size_t i = 0; i < column->n_boxes; i++)
			column->boxes[i].rank = SIZE_MAX;
		for (size_t at = 0; left && at < left->n_boxes; at++)
			for (size_t e = 0; e < left->n_edges; e++) {
				struct qb_box *to = &column->boxes[left->edges[e].to];

				if (left->boxes[left->edges[e].from].rank == at &&
				    to->rank == SIZE_MAX)
					to->rank = next++;
			}
		for (int linked = 1; linked >= 0; linked--)
			for (size_t i = 0; i < column->n_boxes; i++)
				if (column->boxes[i].linked == linked &&
				    column->boxes[i].rank == SIZE_MAX && !column->boxes[i].under)
					place(column, i, &next);
	}
}

static unsigned column_width(const struct qb_picture *p)
{
	return p->n_columns == 2 ? 158 : 110;
}

static unsigned column_x(const struct qb_picture *p, size_t c)
{
	return (unsigned)c * (WIDTH - column_width(p)) / (unsigned)(p->n_columns - 1);
}

static unsigned box_y(const struct qb_box *box)
{
	return TOP + (unsigned)box->rank * (BOX_HEIGHT + GAP);
}

static unsigned indent(const struct qb_column *column, const struct qb_box *box)
{
	unsigned depth = 0;

	for (; box->under && depth < DEPTH_MAX; depth++)
		box = &column->boxes[box->under - 1];
	return depth * INDENT;
}

/* Hundredths of the font's size that a character takes, in a font that is rather wide. */
static unsigned breadth(unsigned char first)
{
	if (first >= 0xe1)
		return 100;
	if (first == 'm' || first == 'w' || first == 'M' || first == 'W' || first == '@')
		return 95;
	if (first && strchr("ijlftrI .,:;'|!()[]/-", first))
		return 38;
	return first >= 'A' && first <= 'Z' ? 72 : 62;
}

/* As much of the text as fits into so many hundredths of the font's size. */
static void cut(struct qb_buf *out, const char *text, unsigned room)
{
	enum {
		ELLIPSIS = 100
	};
	unsigned used = 0;
	size_t fits = 0, n = 0;

	for (; text[n]; n++) {
		unsigned char c = (unsigned char)text[n];

		if ((c & 0xc0) == 0x80)
			continue;
		if (used + ELLIPSIS <= room)
			fits = n;
		used += breadth(c);
	}
	if (used <= room) {
		qb_xml_text(out, text);
	} else {
		_cleanup_free_ char *part = qb_strndup(text, fits);

		qb_xml_text(out, part);
		qb_buf_puts(out, "…");
	}
}

static void draw_box(const struct qb_picture *p, size_t c, const struct qb_box *box,
		     struct qb_buf *out)
{
	unsigned in = indent(&p->columns[c], box), width = column_width(p) - in;

	if (box->through) {
		qb_buf_printf(out, "<path%s d=\"M%u %uH%u\"/>\n", box->off ? " class=\"off\"" : "",
			      column_x(p, c), box_y(box) + BOX_HEIGHT / 2, column_x(p, c) + width);
		return;
	}
	/* An inner svg cuts off what sticks out of it. */
	qb_buf_printf(out, "<svg x=\"%u\" y=\"%u\" width=\"%u\" height=\"%d\"%s><title>",
		      column_x(p, c) + in, box_y(box), width, BOX_HEIGHT,
		      box->off ? " class=\"off\"" : "");
	qb_xml_text(out, box->name);
	qb_buf_puts(out, ": ");
	qb_xml_text(out, box->detail);
	qb_buf_printf(out,
		      "</title><rect x=\".5\" y=\".5\" width=\"%u\" height=\"%d\" rx=\"4\"/>"
		      "<text class=\"name\" x=\"%d\" y=\"15\">",
		      width - 1, BOX_HEIGHT - 1, INSET);
	cut(out, box->name, (width - 2 * INSET) * 100 / 12);
	qb_buf_printf(out, "</text><text class=\"detail\" x=\"%d\" y=\"28\">", INSET);
	cut(out, box->detail, (width - 2 * INSET) * 100 / 10);
	qb_buf_puts(out, "</text></svg>\n");
}

static void draw_edges(const struct qb_picture *p, size_t c, struct qb_buf *out)
{
	const struct qb_column *column = &p->columns[c];
	unsigned x1 = column_x(p, c) + column_width(p), x2;

	if (!column->n_edges)
		return;
	x2 = column_x(p, c + 1);
	for (size_t i = 0; i < column->n_edges; i++) {
		const struct qb_box *from = &column->boxes[column->edges[i].from];
		const struct qb_box *to = &p->columns[c + 1].boxes[column->edges[i].to];
		unsigned y1 = box_y(from) + BOX_HEIGHT / 2, y2 = box_y(to) + BOX_HEIGHT / 2;

		if (from->rank < SHOWN_MAX && to->rank < SHOWN_MAX)
			qb_buf_printf(out, "<path%s d=\"M%u %uC%u %u %u %u %u %u\"/>\n",
				      from->off || to->off ? " class=\"off\"" : "", x1, y1,
				      (x1 + x2) / 2, y1, (x1 + x2) / 2, y2, x2, y2);
	}
}

/* From a box to those that stand on it. */
static void draw_stems(const struct qb_picture *p, size_t c, struct qb_buf *out)
{
	const struct qb_column *column = &p->columns[c];

	for (size_t i = 0; i < column->n_boxes; i++) {
		const struct qb_box *box = &column->boxes[i], *on;

		if (!box->under || box->rank >= SHOWN_MAX)
			continue;
		on = &column->boxes[box->under - 1];
		qb_buf_printf(out, "<path%s d=\"M%u %uV%uH%u\"/>\n",
			      on->off || box->off ? " class=\"off\"" : "",
			      column_x(p, c) + indent(column, on) + STEM, box_y(on) + BOX_HEIGHT,
			      box_y(box) + BOX_HEIGHT / 2, column_x(p, c) + indent(column, box));
	}
}

static void describe_line(const struct qb_box *from, const struct qb_box *to, bool *first,
			  struct qb_buf *out)
{
	/* The line began further left, and is told there. */
	if (from->through)
		return;
	qb_buf_puts(out, *first ? "" : "; ");
	qb_xml_text(out, from->name);
	qb_buf_puts(out, " to ");
	qb_xml_text(out, to->name);
	*first = false;
}

/* What the lines say, for who does not see them. */
static void describe(const struct qb_picture *p, struct qb_buf *out)
{
	bool first = true;

	qb_buf_puts(out, "<desc>");
	for (size_t c = 0; c < p->n_columns; c++) {
		const struct qb_column *column = &p->columns[c];

		for (size_t i = 0; i < column->n_boxes; i++)
			if (column->boxes[i].under)
				describe_line(&column->boxes[column->boxes[i].under - 1],
					      &column->boxes[i], &first, out);
		for (size_t i = 0; i < column->n_edges; i++)
			describe_line(&column->boxes[column->edges[i].from],
				      &p->columns[c + 1].boxes[column->edges[i].to], &first, out);
	}
	qb_buf_puts(out, "</desc>\n");
}

static void draw_column(const struct qb_picture *p, size_t c, struct qb_buf *out)
{
	const struct qb_column *column = &p->columns[c];
	unsigned x = column_x(p, c);
	size_t more = 0;

	for (size_t i = 0; i < column->n_boxes; i++)
		more += column->boxes[i].rank >= SHOWN_MAX && !column->boxes[i].through;
	qb_buf_printf(out, "<text class=\"column\" x=\"%u\" y=\"10\">%s</text>\n", x,
		      column->title);
	for (size_t i = 0; i < column->n_boxes; i++)
		if (column->boxes[i].rank < SHOWN_MAX)
			draw_box(p, c, &column->boxes[i], out);
	if (!column->n_boxes)
		qb_buf_printf(out, "<text class=\"detail\" x=\"%u\" y=\"%d\">%s</text>\n", x,
			      TOP + 14, column->unknown ? "unknown" : "none");
	if (more)
		qb_buf_printf(out, "<text class=\"detail\" x=\"%u\" y=\"%d\">and %zu more</text>\n",
			      x, TOP + SHOWN_MAX * (BOX_HEIGHT + GAP) + 10, more);
}

void qb_picture_draw(struct qb_picture *p, struct qb_buf *out)
{
	size_t most = 1;

	for (size_t c = 0; c < p->n_columns; c++) {
		size_t n = p->columns[c].n_boxes;

		/* One place more for "and 4 more". */
		n = n > SHOWN_MAX ? SHOWN_MAX + 1 : n;
		most = n > most ? n : most;
	}
	rank(p);
	qb_buf_puts(out, "<figure>\n");
	qb_xml_element(out, "figcaption", NULL, p->title);
	qb_buf_printf(out, "<svg viewBox=\"0 0 %d %zu\" role=\"img\">\n", WIDTH,
		      TOP + most * (BOX_HEIGHT + GAP));
	qb_xml_element(out, "title", NULL, p->title);
	describe(p, out);
	for (size_t c = 0; c < p->n_columns; c++)
		draw_edges(p, c, out);
	for (size_t c = 0; c < p->n_columns; c++)
		draw_stems(p, c, out);
	for (size_t c = 0; c < p->n_columns; c++)
		draw_column(p, c, out);
	qb_buf_puts(out, "</svg>\n");
	if (p->note)
		qb_xml_element(out, "p", "muted", p->note);
	qb_buf_puts(out, "</figure>\n");
}

void qb_picture_done(struct qb_picture *p)
{
	for (size_t c = 0; c < p->n_columns; c++) {
		struct qb_column *column = &p->columns[c];

		for (size_t i = 0; i < column->n_boxes; i++) {
			free(column->boxes[i].name);
			free(column->boxes[i].detail);
		}
		free(column->boxes);
		free(column->edges);
	}
	free(p->note);
}
