/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JUnit's XML, as CI servers read it (Jenkins' xunit-plugin has a schema, junit-10.xsd, which
 * tests/data/report describes): a suite for each group, a case for each check. What is not required
 * fails nothing: a warning is a case that passes, with what it says in its output, and one that
 * could not be judged is a skipped one.
 */
#include "checks/check.h"

#include <inttypes.h>

#include "checks/judging.h"
#include "checks/report.h"

enum outcome {
	PASSED,
	WARNED,
	FAILED,
	ERROR,
	SKIPPED
};

static enum outcome outcome_of(const struct qb_result *r)
{
	switch (r->status) {
	case QB_PASS:
		return PASSED;
	case QB_WARN:
		return WARNED;
	case QB_FAIL:
		return FAILED;
	case QB_STATUS_UNKNOWN:
		return r->severity == QB_REQUIRED ? ERROR : SKIPPED;
	case QB_SKIP:
		return SKIPPED;
	}
	return ERROR;
}

static void seconds(struct qb_buf *out, uint64_t us)
{
	qb_buf_printf(out, " time=\"%" PRIu64 ".%06" PRIu64 "\"", us / 1000000, us % 1000000);
}

/* The message, the evidence and the remedy, for a person. */
static void body(const struct qb_result *r, struct qb_buf *out)
{
	const char *remedy = qb_result_remedy(r);

	qb_xml_text(out, r->message);
	qb_buf_puts(out, "\n");
	for (size_t i = 0; i < r->n_evidence; i++) {
		const struct qb_evidence *e = &r->evidence[i];
		_cleanup_free_ char *line = qb_asprintf("%s: %s (%s)", e->key, e->value, e->source);

		qb_buf_puts(out, "  ");
		qb_xml_text(out, line);
		qb_buf_puts(out, "\n");
	}
	if (remedy && !r->ignored) {
		qb_buf_puts(out, "Remedy:\n");
		qb_xml_lines(out, remedy);
		qb_buf_puts(out, "\n");
	}
}

/* An element with the message as its attribute; the body only where it says more. */
static void spoken(const struct qb_result *r, const char *element, struct qb_buf *out)
{
	_cleanup_free_ char *message =
		qb_asprintf("%s%s", r->status == QB_STATUS_UNKNOWN ? "unknown: " : "", r->message);

	qb_buf_printf(out, "      <%s", element);
	qb_xml_attribute(out, "message", message);
	if (outcome_of(r) == SKIPPED) {
		qb_buf_puts(out, "/>\n");
		return;
	}
	qb_xml_attribute(out, "type", qb_severity_name(r->severity));
	qb_buf_puts(out, ">");
	body(r, out);
	qb_buf_printf(out, "</%s>\n", element);
}

static void test_case(const struct qb_result *r, const char *group, struct qb_buf *out)
{
	_cleanup_free_ char *class = qb_asprintf("qubi-agent.%s", group);

	qb_buf_puts(out, "    <testcase");
	qb_xml_attribute(out, "name", r->check->id);
	qb_xml_attribute(out, "classname", class);
	seconds(out, r->duration_us);
	if (r->status == QB_PASS) {
		qb_buf_puts(out, "/>\n");
		return;
	}
	qb_buf_puts(out, ">\n");
	switch (outcome_of(r)) {
	case FAILED:
		spoken(r, "failure", out);
		break;
	case ERROR:
		spoken(r, "error", out);
		break;
	case SKIPPED:
		spoken(r, "skipped", out);
		break;
	case PASSED:
	case WARNED:
		qb_buf_printf(
			out, "      <system-out>%s: ", r->ignored ? "warning, ignored" : "warning");
		body(r, out);
		qb_buf_puts(out, "</system-out>\n");
		break;
	}
	qb_buf_puts(out, "    </testcase>\n");
}

/* tests="" failures="" errors="" of n results, and the number of skipped ones. */
static size_t figures(const struct qb_result *results, size_t n, struct qb_buf *out)
{
	size_t counts[SKIPPED + 1] = {0};

	for (size_t i = 0; i < n; i++)
		counts[outcome_of(&results[i])]++;
	qb_buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"", n, counts[FAILED],
		      counts[ERROR]);
	return counts[SKIPPED];
}

static void suite(const struct qb_result *results, size_t n, const struct qb_report_about *about,
		  struct qb_buf *out)
{
	const char *group = qb_check_group_of(results->check);
	const char *host = about->facts->system.hostname;
	_cleanup_free_ char *time = qb_report_time(about->time_s);
	uint64_t us = 0;

	for (size_t i = 0; i < n; i++)
		us += results[i].duration_us;
	qb_buf_puts(out, "  <testsuite");
	qb_xml_attribute(out, "name", group);
	qb_buf_printf(out, " skipped=\"%zu\"", figures(results, n, out));
	seconds(out, us);
	qb_xml_attribute(out, "timestamp", time);
	qb_xml_attribute(out, "hostname", host ? host : "unknown");
	qb_buf_puts(out, ">\n");
	for (size_t i = 0; i < n; i++)
		test_case(&results[i], group, out);
	qb_buf_puts(out, "  </testsuite>\n");
}

void qb_report_junit(const struct qb_report *report, const struct qb_report_about *about,
		     struct qb_buf *out)
{
	const struct qb_result *results = report->results;

	qb_buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
	qb_xml_attribute(out, "name", "qubi-agent check");
	figures(results, report->n_results, out);
	seconds(out, about->duration_us);
	qb_buf_puts(out, ">\n");
	for (size_t i = 0, n; i < report->n_results; i += n) {
		const char *group = qb_check_group_of(results[i].check);

		for (n = 1; i + n < report->n_results; n++)
			if (!qb_streq(qb_check_group_of(results[i + n].check), group))
				break;
		suite(&results[i], n, about, out);
	}
	qb_buf_puts(out, "</testsuites>\n");
}
