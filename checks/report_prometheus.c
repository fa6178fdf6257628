/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format 0.0.4, for the textfile collector of node_exporter: no timestamps on
 * samples. States are sets, one sample for each state, so that a rule can name the state.
 */
#include "checks/check.h"

#include <inttypes.h>

#include "checks/judging.h"

static void label(struct qb_buf *out, const char *name, const char *value)
{
	_cleanup_free_ char *safe = qb_str_printable(value);

	qb_buf_printf(out, "%s=\"", name);
	for (const char *p = safe; *p; p++) {
		if (*p == '"' || *p == '\\')
			qb_buf_puts(out, "\\");
		qb_buf_add(out, p, 1);
	}
	qb_buf_puts(out, "\"");
}

static void family(struct qb_buf *out, const char *name, const char *help)
{
	qb_buf_printf(out, "# HELP qubi_agent_check_%s %s\n# TYPE qubi_agent_check_%s gauge\n",
		      name, help, name);
}

static void statuses(const struct qb_result *r, struct qb_buf *out)
{
	for (size_t i = 0; i <= QB_SKIP; i++) {
		enum qb_status status = (enum qb_status)i;

		qb_buf_puts(out, "qubi_agent_check_status{");
		label(out, "id", r->check->id);
		qb_buf_puts(out, ",");
		label(out, "group", qb_check_group_of(r->check));
		qb_buf_puts(out, ",");
		label(out, "severity", qb_severity_name(r->severity));
		qb_buf_puts(out, ",");
		label(out, "status", qb_status_name(status));
		qb_buf_printf(out, "} %d\n", r->status == status);
	}
}

void qb_report_prometheus(const struct qb_report *report, const struct qb_report_about *about,
			  struct qb_buf *out)
{
	family(out, "status", "Whether a check came to this status.");
	for (size_t i = 0; i < report->n_results; i++)
		statuses(&report->results[i], out);
	family(out, "verdict", "Whether the host was found to be in this state.");
	for (size_t i = 0; i <= QB_VERDICT_UNKNOWN; i++) {
		enum qb_verdict verdict = (enum qb_verdict)i;

		qb_buf_puts(out, "qubi_agent_check_verdict{");
		label(out, "verdict", qb_verdict_name(verdict));
		qb_buf_printf(out, "} %d\n", report->verdict == verdict);
	}
	family(out, "timestamp_seconds", "When the host was judged, since the epoch.");
	qb_buf_printf(out, "qubi_agent_check_timestamp_seconds %" PRId64 "\n", about->time_s);
	family(out, "duration_seconds", "How long probing and judging took.");
	qb_buf_printf(out, "qubi_agent_check_duration_seconds %" PRIu64 ".%06" PRIu64 "\n",
		      about->duration_us / 1000000, about->duration_us % 1000000);
	/* A comment to Prometheus; who writes a file tells by it that the file is whole. */
	qb_buf_puts(out, "# EOF\n");
}
