/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/check.h"

#include "checks/judging.h"
#include "checks/report.h"

/* What was read on the host, made printable: JSON goes to terminals, too, and has to be UTF-8. */
static json_t *text(const char *s)
{
	_cleanup_free_ char *safe = s ? qb_str_printable(s) : NULL;

	return safe ? json_string(safe) : json_null();
}

/* The same for a remedy, whose line breaks are ours. */
static json_t *lines(const char *s)
{
	_cleanup_free_ char *safe = s ? qb_report_lines(s) : NULL;

	return safe ? json_string(safe) : json_null();
}

static json_t *evidence(const struct qb_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_evidence; i++) {
		const struct qb_evidence *e = &r->evidence[i];

		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:o}", "key", text(e->key), "value",
						text(e->value), "source", text(e->source)));
	}
	return list;
}

static json_t *result(const struct qb_result *r)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:s?, s:I}", "id",
			 r->check->id, "group", qb_check_group_of(r->check), "title",
			 r->check->title, "status", qb_status_name(r->status), "severity",
			 qb_severity_name(r->severity), "ignored", r->ignored, "message",
			 text(r->message), "evidence", evidence(r), "remedy",
			 lines(qb_result_remedy(r)), "fix", r->fix, "duration_us",
			 (json_int_t)r->duration_us);
}

json_t *qb_report_to_json(const struct qb_report *report)
{
	json_t *summary = json_object(), *checks = json_array();

	json_object_set_new(summary, "total", json_integer((json_int_t)report->n_results));
	for (size_t i = 0; i < QB_ARRAY_SIZE(report->counts); i++)
		json_object_set_new(summary, qb_status_name((enum qb_status)i),
				    json_integer((json_int_t)report->counts[i]));
	for (size_t i = 0; i < report->n_results; i++)
		json_array_append_new(checks, result(&report->results[i]));
	return json_pack("{s:s, s:s, s:o, s:o}", "schema", "qubi-agent/check/1", "verdict",
			 qb_verdict_name(report->verdict), "summary", summary, "checks", checks);
}

static json_t *description(const struct qb_check *c)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "id", c->id, "group", qb_check_group_of(c),
			 "title", c->title, "severity", qb_severity_name(c->severity));
}

json_t *qb_check_list_json(void)
{
	json_t *checks = json_array();

	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		for (size_t i = 0; i < (*g)->n_checks; i++)
			json_array_append_new(checks, description(&(*g)->checks[i]));
	return json_pack("{s:s, s:o}", "schema", "qubi-agent/check-list/1", "checks", checks);
}

json_t *qb_check_explain_json(const struct qb_check *check)
{
	json_auto_t *described = description(check);
	json_t *document = json_pack("{s:s}", "schema", "qubi-agent/check-explain/1");

	json_object_update(document, described);
	json_object_set_new(document, "looks", json_string(check->looks));
	json_object_set_new(document, "why", json_string(check->why));
	json_object_set_new(document, "remedy", lines(check->remedy));
	json_object_set_new(document, "fix", check->fix ? json_string(check->fix) : json_null());
	return document;
}
