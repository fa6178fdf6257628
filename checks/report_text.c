/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/check.h"

#include "agent/base/text.h"
#include "checks/judging.h"
#include "checks/report.h"

enum {
	WIDTH_DEFAULT = 80,
	WIDTH_LEAST = 40,
	STATUS_COLUMN = 2,
	TEXT_COLUMN = 11
};

static unsigned width_of(const struct qb_text_style *style)
{
	unsigned width = style->width ? style->width : WIDTH_DEFAULT;

	return width < WIDTH_LEAST ? WIDTH_LEAST : width;
}

/* Prose in lines of at most width columns, words that are longer than one cut. */
static void prose(struct qb_buf *out, unsigned at, unsigned indent, unsigned width,
		  const char *text)
{
	_cleanup_free_ char *safe = qb_str_printable(text);
	_cleanup_buf_ struct qb_buf b = {0};
	unsigned run = 0;

	for (const char *p = safe; *p; p++) {
		bool starts = ((unsigned char)*p & 0xc0) != 0x80;

		run = *p == ' ' ? 0 : run + starts;
		if (starts && run > width - indent) {
			qb_buf_puts(&b, " ");
			run = 1;
		}
		qb_buf_add(&b, p, 1);
	}
	qb_text_wrap(out, at, indent, width, b.s ? b.s : "");
}

/* A comment of a remedy, each of its lines a comment again. */
static void comment(struct qb_buf *out, unsigned indent, unsigned width, const char *text)
{
	_cleanup_buf_ struct qb_buf b = {0};
	unsigned inner = indent + 2;

	prose(&b, inner, inner, width, text);
	for (char *line = b.s, *end; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		qb_buf_printf(out, "%*s# %s\n", (int)indent, "", qb_strip(line));
	}
}

/* Columns from s to the next space that stands outside quotes. */
static unsigned word_columns(const char *s)
{
	unsigned n = 0;
	char quote = '\0';

	for (; *s && (*s != ' ' || quote); s++) {
		if (quote ? *s == quote : *s == '\'' || *s == '"')
			quote = quote ? '\0' : *s;
		n += ((unsigned char)*s & 0xc0) != 0x80;
	}
	return n;
}

/*
 * A command of a remedy. It stays one for the shell: broken only at a space outside quotes, with
 * a backslash; longer than the line where there is no such space.
 */
static void command(struct qb_buf *out, unsigned indent, unsigned width, const char *text)
{
	_cleanup_free_ char *safe = qb_str_printable(text);
	/* Two columns for " \\". */
	unsigned at = indent, end = width - 2;
	bool first = true;

	qb_buf_printf(out, "%*s", (int)indent, "");
	for (const char *p = safe; *p;) {
		unsigned columns = word_columns(p);
		size_t len = 0;

		if (!first && at + 1 + columns > end) {
			qb_buf_printf(out, " \\\n%*s", (int)indent + 2, "");
			at = indent + 2;
		} else if (!first) {
			qb_buf_puts(out, " ");
			at++;
		}
		while (columns || ((unsigned char)p[len] & 0xc0) == 0x80)
			columns -= ((unsigned char)p[len++] & 0xc0) != 0x80 ? 1 : 0;
		qb_buf_add(out, p, len);
		at += word_columns(p);
		p += len + (p[len] == ' ');
		first = false;
	}
	qb_buf_puts(out, "\n");
}

static void remedy(struct qb_buf *out, unsigned indent, unsigned width, const char *text)
{
	_cleanup_buf_ struct qb_buf said = {0};

	/* Comments that follow each other are one paragraph. */
	for (const char *s = text; s && *s;) {
		size_t len = strcspn(s, "\n");
		_cleanup_free_ char *line = qb_strndup(s, len);

		if (*line == '#') {
			qb_buf_printf(&said, "%s%s", said.len ? " " : "", qb_strip(line + 1));
		} else {
			if (said.len)
				comment(out, indent, width, said.s);
			qb_buf_done(&said);
			command(out, indent, width, line);
		}
		s += len + (s[len] == '\n');
	}
	if (said.len)
		comment(out, indent, width, said.s);
}

char *qb_report_counts(const struct qb_report *report)
{
	static const struct {
		enum qb_status status;
		const char *one, *many;
	} words[] = {
		{QB_FAIL, "failed", "failed"},
		{QB_WARN, "warning", "warnings"},
		{QB_STATUS_UNKNOWN, "unknown", "unknown"},
		{QB_PASS, "passed", "passed"},
		{QB_SKIP, "skipped", "skipped"},
	};
	struct qb_buf b = {0};

	qb_buf_puts(&b, "");
	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++) {
		size_t n = report->counts[words[i].status];

		if (n)
			qb_buf_printf(&b, "%s%zu %s", b.len ? ", " : "", n,
				      n == 1 ? words[i].one : words[i].many);
	}
	return b.s;
}

static enum qb_colour status_colour(enum qb_status status)
{
	switch (status) {
	case QB_PASS:
		return QB_GREEN;
	case QB_WARN:
	case QB_STATUS_UNKNOWN:
		return QB_YELLOW;
	case QB_FAIL:
		return QB_RED;
	case QB_SKIP:
		return QB_GREY;
	}
	return QB_PLAIN;
}

static enum qb_colour verdict_colour(enum qb_verdict verdict)
{
	switch (verdict) {
	case QB_READY:
		return QB_GREEN;
	case QB_DEGRADED:
	case QB_VERDICT_UNKNOWN:
		return QB_YELLOW;
	case QB_NOT_READY:
		return QB_RED;
	}
	return QB_PLAIN;
}

static bool shown(const struct qb_result *r, const struct qb_text_style *style)
{
	return style->all || style->verbose || (r->status != QB_PASS && r->status != QB_SKIP);
}

static void print_result(const struct qb_result *r, const struct qb_text_style *style,
			 struct qb_buf *out)
{
	_cleanup_free_ char *line =
		qb_asprintf("%s%s: %s", r->check->id, r->ignored ? " (ignored)" : "", r->message);
	const char *status = qb_status_name(r->status), *mend = qb_result_remedy(r);
	unsigned width = width_of(style);

	qb_buf_printf(out, "%*s", STATUS_COLUMN, "");
	qb_text_colour(out, style->colour, status_colour(r->status), status);
	qb_buf_printf(out, "%*s", TEXT_COLUMN - STATUS_COLUMN - (int)strlen(status), "");
	prose(out, TEXT_COLUMN, TEXT_COLUMN, width, line);
	for (size_t i = 0; style->verbose && i < r->n_evidence; i++) {
		const struct qb_evidence *e = &r->evidence[i];
		_cleanup_free_ char *text = qb_asprintf("%s: %s (%s)", e->key, e->value, e->source);

		qb_buf_printf(out, "%*s", TEXT_COLUMN, "");
		prose(out, TEXT_COLUMN, TEXT_COLUMN + 2, width, text);
	}
	if (r->ignored)
		return;
	remedy(out, TEXT_COLUMN, width, mend);
	if (r->fix && !(mend && strstr(mend, "qubi-agent apply"))) {
		_cleanup_free_ char *text =
			qb_asprintf("qubi-agent apply mends this (%s).", r->fix);

		comment(out, TEXT_COLUMN, width, text);
	}
}

void qb_report_text(const struct qb_report *report, const struct qb_text_style *style,
		    struct qb_buf *out)
{
	_cleanup_free_ const struct qb_result **order = qb_report_order(report);
	_cleanup_free_ char *counts = qb_report_counts(report);
	const char *group = NULL;

	qb_text_colour(out, style->colour, verdict_colour(report->verdict),
		       qb_verdict_name(report->verdict));
	qb_buf_printf(out, ": %s\n", counts);
	for (size_t i = 0; !style->quiet && i < report->n_results; i++) {
		const struct qb_result *r = order[i];

		if (!shown(r, style))
			continue;
		if (!group || !qb_streq(group, qb_check_group_of(r->check))) {
			group = qb_check_group_of(r->check);
			qb_buf_puts(out, "\n");
			qb_text_colour(out, style->colour, QB_BOLD, group);
			qb_buf_puts(out, "\n");
		}
		print_result(r, style, out);
	}
}

void qb_check_list_text(struct qb_buf *out)
{
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		for (size_t i = 0; i < (*g)->n_checks; i++)
			qb_buf_printf(out, "%-24s %-11s %s\n", (*g)->checks[i].id,
				      qb_severity_name((*g)->checks[i].severity),
				      (*g)->checks[i].title);
}

void qb_check_explain_text(const struct qb_check *check, const struct qb_text_style *style,
			   struct qb_buf *out)
{
	const struct {
		const char *title, *text;
	} parts[] = {
		{"Looks at", check->looks},
		{"Matters because", check->why},
	};
	unsigned width = width_of(style);
	_cleanup_free_ char *fix =
		check->fix ? qb_asprintf("qubi-agent apply mends it where it can (%s).", check->fix)
			   : NULL;

	qb_text_colour(out, style->colour, QB_BOLD, check->id);
	qb_buf_printf(out, " (%s)\n  %s\n", qb_severity_name(check->severity), check->title);
	for (size_t i = 0; i < QB_ARRAY_SIZE(parts); i++) {
		qb_buf_puts(out, "\n");
		qb_text_colour(out, style->colour, QB_BOLD, parts[i].title);
		qb_buf_puts(out, "\n  ");
		prose(out, 2, 2, width, parts[i].text);
	}
	qb_buf_puts(out, "\n");
	qb_text_colour(out, style->colour, QB_BOLD, "Remedy");
	qb_buf_puts(out, "\n");
	remedy(out, 2, width, check->remedy);
	if (fix)
		comment(out, 2, width, fix);
}
