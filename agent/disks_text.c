/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/disks_text.h"

#include "agent/base/text.h"
#include "storage/pool.h"

enum {
	NAME,
	SIZE,
	TRANSPORT,
	STATE,
	IDENTITY,
	N_COLUMNS,
	COLUMN_MAX = 20, /* one that is longer shifts its own row, and no other */
};

struct row {
	char *cells[N_COLUMNS];
};

static unsigned columns(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

/* The pool that the plan takes the disk for; NULL: none. */
static const char *taken_for(const struct qb_plan *plan, const struct qb_disk *disk)
{
	for (size_t i = 0; plan && i < plan->n_steps; i++) {
		const json_t *args = plan->steps[i].args, *member;
		const json_t *members = json_object_get(args, "members");
		size_t k;

		if (!qb_startswith(plan->steps[i].kind, "storage."))
			continue;
		if (qb_streq(qb_arg(args, "disk"), disk->path))
			return qb_arg(args, "pool");
		json_array_foreach (members, k, member)
			if (qb_streq(qb_arg(member, "disk"), disk->path))
				return qb_arg(args, "pool");
	}
	return NULL;
}

static char *state_of(const struct qb_plan *plan, const struct qb_disk *disk)
{
	const char *pool = taken_for(plan, disk);

	if (pool)
		return qb_asprintf("for %s", pool);
	if (disk->mark.ours && disk->mark.pool)
		return qb_asprintf("pool %s", disk->mark.pool);
	return qb_strdup(disk->available   ? "available"
			 : disk->n_reasons ? "refused"
					   : "not judged");
}

static void cell(struct row *row, size_t column, const char *text)
{
	row->cells[column] = qb_str_printable(text && *text ? text : "-");
}

static void fill(struct row *row, const struct qb_plan *plan, const struct qb_disk *disk)
{
	_cleanup_free_ char *size = qb_format_size(disk->size_bytes);
	_cleanup_free_ char *state = state_of(plan, disk);

	cell(row, NAME, disk->name);
	cell(row, SIZE, size);
	cell(row, TRANSPORT, disk->transport);
	cell(row, STATE, state);
	cell(row, IDENTITY, qb_disk_identity(disk));
}

/* Text as it is, spaces too: whoever copies an identity from here needs each. */
static void put_broken(struct qb_buf *out, unsigned at, unsigned indent, unsigned width,
		       const char *text)
{
	for (; *text; text++) {
		bool begins = (*text & 0xc0) != 0x80;

		if (begins && at >= width && width > indent) {
			qb_buf_printf(out, "\n%*s", (int)indent, "");
			at = indent;
		}
		qb_buf_add(out, text, 1);
		at += begins;
	}
	qb_buf_puts(out, "\n");
}

static void put_row(const struct row *row, const unsigned *widths, bool colour, unsigned width,
		    struct qb_buf *out)
{
	unsigned at = 0, indent = 0;

	for (size_t c = 0; c < IDENTITY; c++) {
		unsigned len = columns(row->cells[c]);
		unsigned pad = len < widths[c] ? widths[c] - len : 0;

		qb_text_colour(out, colour, c == NAME ? QB_BOLD : QB_PLAIN, row->cells[c]);
		qb_buf_printf(out, "%*s", (int)pad + 1, "");
		at += len + pad + 1;
		indent += widths[c] + 1;
	}
	put_broken(out, at, indent, width, row->cells[IDENTITY]);
}

/* Wrapped at spaces; a path that is longer than a line is broken where the line ends. */
static void put_reason(const struct qb_reason *reason, unsigned indent, unsigned width,
		       struct qb_buf *out)
{
	_cleanup_free_ char *raw = qb_asprintf("%s: %s", reason->code, reason->evidence);
	_cleanup_free_ char *text = qb_str_printable(raw);
	unsigned room = width > indent + 2 ? width - indent - 2 : 1, n = 0;
	_cleanup_buf_ struct qb_buf words = {0};

	for (const char *s = text; *s; s++) {
		if ((*s & 0xc0) != 0x80)
			n = *s == ' ' ? 0 : n + 1;
		if (n > room) {
			qb_buf_puts(&words, " ");
			n = 1;
		}
		qb_buf_add(&words, s, 1);
	}
	qb_buf_printf(out, "%*s- ", (int)indent, "");
	qb_text_wrap(out, indent + 2, indent + 2, width, words.s);
}

void qb_disks_text(const struct qb_disks *disks, const struct qb_plan *plan, bool colour,
		   unsigned width, struct qb_buf *out)
{
	static const char *const headings[N_COLUMNS] = {"NAME", "SIZE", "TRAN", "STATE",
							"IDENTITY"};
	struct row *rows = qb_alloc(disks->n_disks + 1, sizeof(*rows));
	unsigned widths[N_COLUMNS] = {0};

	for (size_t c = 0; c < N_COLUMNS; c++)
		cell(&rows[0], c, headings[c]);
	for (size_t i = 0; i < disks->n_disks; i++)
		fill(&rows[i + 1], plan, &disks->disks[i]);
	for (size_t i = 0; i <= disks->n_disks; i++)
		for (size_t c = 0; c < N_COLUMNS; c++) {
			unsigned n = columns(rows[i].cells[c]);

			if (n > widths[c] && n <= COLUMN_MAX)
				widths[c] = n;
		}
	for (size_t i = 0; i <= disks->n_disks; i++) {
		put_row(&rows[i], widths, colour && i, width, out);
		for (size_t k = 0; i && k < disks->disks[i - 1].n_reasons; k++)
			put_reason(&disks->disks[i - 1].reasons[k], widths[NAME] + 1, width, out);
		for (size_t c = 0; c < N_COLUMNS; c++)
			free(rows[i].cells[c]);
	}
	free(rows);
}
