/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/report.h"

#include <time.h>

#include "agent/host/xml.h"
#include "checks/judging.h"

/* The results of one group from *at on, which moves behind them; whether one decides the verdict.
 */
static bool group_decides(const struct qb_report *report, size_t *at)
{
	const char *group = qb_check_group_of(report->results[*at].check);
	bool decides = false;

	for (; *at < report->n_results; (*at)++) {
		const struct qb_result *r = &report->results[*at];

		if (!qb_streq(qb_check_group_of(r->check), group))
			break;
		decides |= r->severity == QB_REQUIRED &&
			   (r->status == QB_FAIL || r->status == QB_STATUS_UNKNOWN);
	}
	return decides;
}

const struct qb_result **qb_report_order(const struct qb_report *report)
{
	const struct qb_result **order = qb_alloc(report->n_results, sizeof(*order));
	size_t n = 0;

	for (int deciding = 1; deciding >= 0; deciding--)
		for (size_t begin = 0, end = 0; begin < report->n_results; begin = end)
			if (group_decides(report, &end) == deciding)
				for (size_t i = begin; i < end; i++)
					order[n++] = &report->results[i];
	return order;
}

char *qb_report_lines(const char *s)
{
	struct qb_buf b = {0};

	qb_buf_puts(&b, "");
	while (*s) {
		size_t len = strcspn(s, "\n");
		_cleanup_free_ char *line = qb_strndup(s, len);
		_cleanup_free_ char *safe = qb_str_printable(line);

		qb_buf_printf(&b, "%s%s", b.len ? "\n" : "", safe);
		s += len + (s[len] == '\n');
	}
	return b.s;
}

char *qb_report_time(int64_t time_s)
{
	time_t t = (time_t)time_s;
	char text[32] = "";
	struct tm utc;

	if (gmtime_r(&t, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	return qb_strdup(text);
}

void qb_xml_text(struct qb_buf *out, const char *text)
{
	/* What is printable is a Char of XML 1.0, too. */
	_cleanup_free_ char *safe = qb_str_printable(text);

	qb_xml_escape(out, safe);
}

void qb_xml_lines(struct qb_buf *out, const char *text)
{
	_cleanup_free_ char *safe = qb_report_lines(text);

	qb_xml_escape(out, safe);
}

void qb_xml_element(struct qb_buf *out, const char *name, const char *class, const char *text)
{
	qb_buf_printf(out, "<%s", name);
	if (class)
		qb_xml_attribute(out, "class", class);
	qb_buf_puts(out, ">");
	qb_xml_text(out, text);
	qb_buf_printf(out, "</%s>\n", name);
}

void qb_xml_attribute(struct qb_buf *out, const char *name, const char *text)
{
	qb_buf_printf(out, " %s=\"", name);
	qb_xml_text(out, text);
	qb_buf_puts(out, "\"");
}
