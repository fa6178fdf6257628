/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin of Nagios and its kin prints (nagios-plugins.org/doc/guidelines.html): one line
 * with figures behind a bar, then one for each check that needs attention. Whoever shows the first
 * line only, or cuts the rest off, shows what gave the verdict.
 */
#include "checks/check.h"

#include <inttypes.h>

/* A bar would begin figures, wherever it stands. */
static void text(struct qb_buf *out, const char *s)
{
	_cleanup_free_ char *safe = qb_str_printable(s);

	for (const char *p = safe; *p; p++)
		if (*p == '|')
			qb_buf_puts(out, "\\x7c");
		else
			qb_buf_add(out, p, 1);
}

static const char *title(enum qb_verdict verdict)
{
	switch (verdict) {
	case QB_READY:
		return "READY";
	case QB_DEGRADED:
		return "DEGRADED";
	case QB_NOT_READY:
		return "NOT-READY";
	case QB_VERDICT_UNKNOWN:
		return "UNKNOWN";
	}
	return "UNKNOWN";
}

static void figures(const struct qb_report *report, const struct qb_report_about *about,
		    struct qb_buf *out)
{
	static const struct {
		enum qb_status status;
		const char *label;
	} labels[] = {
		{QB_FAIL, "failed"}, {QB_WARN, "warnings"}, {QB_STATUS_UNKNOWN, "unknown"},
		{QB_PASS, "passed"}, {QB_SKIP, "skipped"},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(labels); i++)
		qb_buf_printf(out, "%s=%zu;;;0;%zu ", labels[i].label,
			      report->counts[labels[i].status], report->n_results);
	qb_buf_printf(out, "time=%" PRIu64 ".%06" PRIu64 "s;;;0\n", about->duration_us / 1000000,
		      about->duration_us % 1000000);
}

enum {
	NAMED_MAX = 3 /* in the first line */
};

/* From what gave the verdict to what had no part in it. */
enum weight {
	FAILED,
	UNSURE,
	LACKING,
	NOTED,
	NONE
};

static enum weight weight_of(const struct qb_result *r)
{
	if (r->status == QB_PASS || r->status == QB_SKIP)
		return NONE;
	switch (r->severity) {
	case QB_REQUIRED:
		return r->status == QB_STATUS_UNKNOWN ? UNSURE : FAILED;
	case QB_RECOMMENDED:
		return LACKING;
	case QB_INFORMATIONAL:
		return NOTED;
	}
	return NOTED;
}

static enum weight weight_of_verdict(enum qb_verdict verdict)
{
	switch (verdict) {
	case QB_READY:
		return NONE;
	case QB_DEGRADED:
		return LACKING;
	case QB_NOT_READY:
		return FAILED;
	case QB_VERDICT_UNKNOWN:
		return UNSURE;
	}
	return NONE;
}

/* ": kvm.device (there is no /dev/kvm), net.uplink and 4 more": what gave the verdict. */
static void name_first(const struct qb_report *report, struct qb_buf *out)
{
	enum weight weight = weight_of_verdict(report->verdict);
	size_t n = 0;

	for (size_t i = 0; i < report->n_results && weight != NONE; i++) {
		const struct qb_result *r = &report->results[i];

		if (weight_of(r) != weight || n++ >= NAMED_MAX)
			continue;
		qb_buf_puts(out, n == 1 ? ": " : ", ");
		text(out, r->check->id);
		if (n == 1) {
			qb_buf_puts(out, " (");
			text(out, r->message);
			qb_buf_puts(out, ")");
		}
	}
	if (n > NAMED_MAX)
		qb_buf_printf(out, " and %zu more", n - NAMED_MAX);
}

static void line(const struct qb_result *r, struct qb_buf *out)
{
	qb_buf_printf(out, "%s%s ", qb_status_name(r->status), r->ignored ? " (ignored)" : "");
	text(out, r->check->id);
	qb_buf_puts(out, ": ");
	text(out, r->message);
	qb_buf_puts(out, "\n");
}

void qb_report_nagios(const struct qb_report *report, const struct qb_report_about *about,
		      struct qb_buf *out)
{
	_cleanup_free_ char *counts = qb_report_counts(report);

	qb_buf_printf(out, "QUBI %s - %s", title(report->verdict), counts);
	name_first(report, out);
	qb_buf_puts(out, "|");
	figures(report, about, out);
	for (int weight = FAILED; weight < NONE; weight++)
		for (size_t i = 0; i < report->n_results; i++)
			if ((int)weight_of(&report->results[i]) == weight)
				line(&report->results[i], out);
}

void qb_report_nagios_unknown(const char *why, struct qb_buf *out)
{
	qb_buf_printf(out, "QUBI %s - ", title(QB_VERDICT_UNKNOWN));
	text(out, why);
	qb_buf_puts(out, "\n");
}
