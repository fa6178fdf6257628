/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks: pure functions of facts and configuration. A check is one entry in the table of its
 * group's file (checks/cpu.c, checks/kvm.c, ...).
 */
#pragma once

#include "agent/host/config.h"
#include "agent/host/facts.h"

enum qb_severity {
	QB_REQUIRED,
	QB_RECOMMENDED,
	QB_INFORMATIONAL
};
enum qb_status {
	QB_PASS,
	QB_WARN,
	QB_FAIL,
	QB_STATUS_UNKNOWN,
	QB_SKIP
};
enum qb_verdict {
	QB_READY,
	QB_DEGRADED,
	QB_NOT_READY,
	QB_VERDICT_UNKNOWN
};

const char *qb_severity_name(enum qb_severity s);
const char *qb_status_name(enum qb_status s);
const char *qb_verdict_name(enum qb_verdict v); /* ready, degraded, not-ready, unknown */

struct qb_evidence {
	char *key, *value, *source; /* source: where it was read: "/proc/cpuinfo", "CPUID" */
};

struct qb_result {
	const struct qb_check *check;
	enum qb_severity severity; /* informational when ignored */
	bool ignored;
	enum qb_status status;
	char *message; /* one sentence: what is */
	char *remedy;  /* when it differs from the check's own */
	/* Kind of the step by which apply mends it. The check's own, unless the judge knows that
	 * apply cannot mend this cause and sets NULL. */
	const char *fix;
	struct qb_evidence *evidence;
	size_t n_evidence;
	uint64_t duration_us;
};

struct qb_check_input {
	const struct qb_facts *facts;
	const struct qb_config *config; /* NULL where there is none: drift checks skip */
	/* Why config is NULL although there is a file: drift checks are unknown then. NULL else. */
	const char *config_unknown;
};

struct qb_check {
	const char *id; /* group.words-with-dashes; stable */
	const char *title;
	enum qb_severity severity;
	const char *looks; /* what it looks at */
	const char *why;   /* why it matters */
	/* How to mend it. Every line can be pasted into a root shell: what is for the person to
	 * read is a comment ("# Switch SVM on in the firmware setup."). */
	const char *remedy;
	const char *fix; /* kind of the step by which apply mends it; NULL */
	/* The small files it looks at, as qb_probe_options.reads has them; ends with NULL. */
	const char *const *reads;
	void (*judge)(const struct qb_check_input *in, struct qb_result *r);
};

/* What a judge says. A required check fails, another one warns. One of them exactly once. */
QB_PRINTF(2, 3) void qb_pass(struct qb_result *r, const char *fmt, ...);
QB_PRINTF(2, 3) void qb_fail(struct qb_result *r, const char *fmt, ...);
QB_PRINTF(2, 3) void qb_unknown(struct qb_result *r, const char *fmt, ...);
QB_PRINTF(2, 3) void qb_skip(struct qb_result *r, const char *fmt, ...);
QB_PRINTF(2, 3) void qb_remedy(struct qb_result *r, const char *fmt, ...);
QB_PRINTF(4, 5)
void qb_evidence(struct qb_result *r, const char *key, const char *source, const char *fmt, ...);

struct qb_check_group {
	const char *name;
	const struct qb_check *checks;
	size_t n_checks;
};

extern const struct qb_check_group *const qb_check_groups[]; /* ends with NULL */

struct qb_report {
	enum qb_verdict verdict;
	struct qb_result *results;
	size_t n_results;
	size_t counts[QB_SKIP + 1]; /* by status */
};

/* NULL when there is no check of that id. */
const struct qb_check *qb_check_find(const char *id);
/*
 * -EINVAL with the nearest right word when a name in select (ids and groups) or in ignore (ids)
 * is no check. Both may be NULL.
 */
QB_MUST_CHECK int qb_check_names(const struct qb_strs *select, const struct qb_strs *ignore,
				 struct qb_error *err);
/* What these checks read, each path once. select as in qb_judge(). */
void qb_check_reads(const struct qb_strs *select, struct qb_strs *ret);
/* Parts of the facts (enum qb_facts_part) that none of them looks at. */
unsigned qb_check_without(const struct qb_strs *select);
/*
 * Judges what select names (ids and groups; empty: all), in the order of the registry. -EINVAL
 * as qb_check_names().
 */
QB_MUST_CHECK int qb_judge(const struct qb_check_input *in, const struct qb_strs *select,
			   const struct qb_strs *ignore, struct qb_report *ret,
			   struct qb_error *err);
void qb_report_done(struct qb_report *report);
#define _cleanup_report_ QB_CLEANUP(qb_report_done)

json_t *qb_report_to_json(const struct qb_report *report); /* schema qubi-agent/check/1 */

struct qb_text_style {
	bool colour;
	bool all;     /* also what passed or was skipped */
	bool verbose; /* as all, with the evidence */
	bool quiet;   /* the verdict line only */
	unsigned width;
};

void qb_report_text(const struct qb_report *report, const struct qb_text_style *style,
		    struct qb_buf *out);
/* "3 failed, 1 warning, 24 passed": what is there, by status. The caller frees it. */
char *qb_report_counts(const struct qb_report *report);

/* What a report for other programs says beside the checks. */
struct qb_report_about {
	const struct qb_facts *facts; /* those that were judged */
	int64_t time_s;               /* since the epoch */
	uint64_t duration_us;         /* of probing and judging */
};

/*
 * A report as other programs read it. junit and tap count a check as failed exactly where it
 * makes the verdict not-ready or unknown.
 */
typedef void qb_report_format(const struct qb_report *report, const struct qb_report_about *about,
			      struct qb_buf *out);
qb_report_format qb_report_junit, qb_report_tap, qb_report_nagios, qb_report_prometheus,
	qb_report_html;
/* What Nagios is told where there is no report. */
void qb_report_nagios_unknown(const char *why, struct qb_buf *out);

/* check --list: id, severity, title, one a line. explain ID. */
void qb_check_list_text(struct qb_buf *out);
json_t *qb_check_list_json(void);
void qb_check_explain_text(const struct qb_check *check, const struct qb_text_style *style,
			   struct qb_buf *out);
json_t *qb_check_explain_json(const struct qb_check *check);
