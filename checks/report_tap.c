/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TAP 13 (testanything.org), as prove of perl 5.36 refuses 14. What is not required fails nothing:
 * a warning is a TODO, which is what TAP calls a point that is amiss and that a harness does not
 * count, and what could not be judged is skipped.
 */
#include "checks/check.h"

#include "checks/judging.h"
#include "checks/report.h"

/* A double-quoted scalar of YAML, which a string of JSON is. */
static void quoted(struct qb_buf *out, const char *key, const char *safe)
{
	json_auto_t *string = json_string(safe);
	_cleanup_free_ char *json = json_dumps(string, JSON_ENCODE_ANY);

	qb_buf_printf(out, "  %s: %s\n", key, json);
}

static void pair(struct qb_buf *out, const char *key, const char *text)
{
	_cleanup_free_ char *safe = qb_str_printable(text);

	quoted(out, key, safe);
}

static void diagnostics(const struct qb_result *r, struct qb_buf *out)
{
	const char *remedy = qb_result_remedy(r);

	qb_buf_puts(out, "  ---\n");
	pair(out, "message", r->message);
	pair(out, "status", qb_status_name(r->status));
	pair(out, "severity", qb_severity_name(r->severity));
	if (r->n_evidence)
		qb_buf_puts(out, "  evidence:\n");
	for (size_t i = 0; i < r->n_evidence; i++) {
		pair(out, "  - key", r->evidence[i].key);
		pair(out, "    value", r->evidence[i].value);
		pair(out, "    source", r->evidence[i].source);
	}
	if (remedy && !r->ignored) {
		_cleanup_free_ char *lines = qb_report_lines(remedy);

		quoted(out, "remedy", lines);
	}
	qb_buf_puts(out, "  ...\n");
}

/* A hash would begin another directive. */
static void escaped(struct qb_buf *out, const char *text)
{
	_cleanup_free_ char *safe = qb_str_printable(text);

	for (const char *p = safe; *p; p++) {
		if (*p == '#' || *p == '\\')
			qb_buf_puts(out, "\\");
		qb_buf_add(out, p, 1);
	}
}

static void point(const struct qb_result *r, size_t number, struct qb_buf *out)
{
	const char *directive = NULL;
	bool ok = false;

	switch (r->status) {
	case QB_PASS:
		ok = true;
		break;
	case QB_SKIP:
		ok = true;
		directive = "SKIP ";
		break;
	case QB_STATUS_UNKNOWN:
		if (r->severity != QB_REQUIRED) {
			ok = true;
			directive = "SKIP unknown: ";
		}
		break;
	case QB_WARN:
		directive = r->ignored ? "TODO ignored: " : "TODO ";
		break;
	case QB_FAIL:
		break;
	}
	qb_buf_printf(out, "%s %zu - ", ok ? "ok" : "not ok", number);
	escaped(out, r->check->id);
	if (directive) {
		qb_buf_printf(out, " # %s", directive);
		escaped(out, r->message);
	}
	qb_buf_puts(out, "\n");
	if (r->status != QB_PASS && r->status != QB_SKIP)
		diagnostics(r, out);
}

void qb_report_tap(const struct qb_report *report, const struct qb_report_about *about,
		   struct qb_buf *out)
{
	(void)about;
	qb_buf_printf(out, "TAP version 13\n1..%zu\n", report->n_results);
	for (size_t i = 0; i < report->n_results; i++)
		point(&report->results[i], i + 1, out);
}
