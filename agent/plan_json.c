/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/plan.h"

static json_t *steps_json(const struct qb_plan *plan)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct qb_step *step = &plan->steps[i];

		json_array_append_new(steps, json_pack("{s:s, s:s, s:s?, s:s, s:O*, s:O}", "kind",
						       step->kind, "target", step->target, "why",
						       step->why, "undo", qb_undo_name(step->undo),
						       "differences", step->differences, "args",
						       step->args));
	}
	return steps;
}

json_t *qb_plan_refused_json(const struct qb_plan *plan)
{
	json_t *refused = json_array();

	for (size_t i = 0; i < plan->n_refused; i++) {
		const struct qb_refusal *refusal = &plan->refused[i];
		json_t *reasons = json_array();

		for (size_t j = 0; j < refusal->n_reasons; j++)
			json_array_append_new(
				reasons, json_pack("{s:s, s:s}", "code", refusal->reasons[j].code,
						   "evidence", refusal->reasons[j].evidence));
		json_array_append_new(refused, json_pack("{s:s, s:o}", "target", refusal->target,
							 "reasons", reasons));
	}
	return refused;
}

json_t *qb_plan_changes_json(const struct qb_plan *plan)
{
	json_t *changes = json_array();

	for (size_t i = 0; i < plan->n_changes; i++) {
		const struct qb_change *c = &plan->changes[i];

		json_array_append_new(changes, json_pack("{s:s, s:s, s:s, s:O, s:O}", "kind",
							 c->kind, "target", c->target, "why",
							 c->why, "was", c->was, "is", c->is));
	}
	return changes;
}

void qb_plan_hash(const struct qb_plan *plan, char ret[QB_UUID_LEN])
{
	json_auto_t *what = json_pack("{s:o, s:o}", "steps", steps_json(plan), "refused",
				      qb_plan_refused_json(plan));
	_cleanup_free_ char *text = json_dumps(what, JSON_COMPACT | JSON_SORT_KEYS);

	qb_uuid5((const char *const[]){"plan", text ? text : "", NULL}, ret);
}

json_t *qb_plan_to_json(const struct qb_plan *plan)
{
	char hash[QB_UUID_LEN];

	qb_plan_hash(plan, hash);
	return json_pack("{s:s, s:s, s:o, s:o}", "schema", "qubi-agent/plan/1", "hash", hash,
			 "steps", steps_json(plan), "refused", qb_plan_refused_json(plan));
}
