/* SPDX-License-Identifier: Apache-2.0 */
/* What apply would do about bridges, bonds and VLANs that are there: its own plan, read aloud. */
#include "checks/judging.h"

#include "agent/host/plan.h"

/*
 * Of what was bound to which hardware earlier runs the plan knows more than a check: where several
 * could be meant it is not for this one to say.
 */
static bool is_unclear(const struct qb_refusal *refusal)
{
	static const char *const codes[] = {"ambiguous", "no-match", "unknown"};

	for (size_t i = 0; i < refusal->n_reasons; i++)
		for (size_t k = 0; k < QB_ARRAY_SIZE(codes); k++)
			if (qb_streq(refusal->reasons[i].code, codes[k]))
				return true;
	return false;
}

static void weigh_step(const struct qb_step *step, struct qb_tally *t, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs keys = {0};
	_cleanup_free_ char *list = NULL;
	const json_t *d;
	size_t i;

	/* Where a part is refused apply does nothing. */
	if (r->fix)
		r->fix = step->kind;
	json_array_foreach (step->differences, i, d) {
		const char *key = qb_arg(d, "key");
		const char *is = qb_arg(d, "is");
		const char *wanted = qb_arg(d, "wanted");
		const char *source = qb_arg(d, "source");
		_cleanup_free_ char *what = qb_asprintf("%s %s", step->target, key);

		qb_evidence(r, what, source, "%s, and %s is wanted", is ? is : "none",
			    wanted ? wanted : "none");
		if (!qb_strs_has(&keys, key))
			qb_strs_add(&keys, key);
	}
	if (!keys.n)
		qb_evidence(r, step->target, "kernel", "%s", step->why);
	list = qb_strs_sentence(&keys);
	qb_tally_bad(t, "%s is not as configured: %s", step->target, keys.n ? list : step->why);
}

static void weigh(const struct qb_plan *plan, const char *name, struct qb_tally *t,
		  struct qb_result *r)
{
	size_t bad = t->bad.n;

	for (size_t i = 0; i < plan->n_refused; i++) {
		const struct qb_refusal *refusal = &plan->refused[i];

		if (strcmp(refusal->target, name) != 0)
			continue;
		if (is_unclear(refusal))
			return;
		for (size_t k = 0; k < refusal->n_reasons; k++)
			qb_tally_bad(t, "%s is not as configured, and apply refuses it: %s", name,
				     refusal->reasons[k].evidence);
		qb_evidence(r, name, "kernel", "%s", refusal->reasons[0].code);
		r->fix = NULL;
		return;
	}
	for (size_t i = 0; i < plan->n_steps; i++)
		if (!strcmp(plan->steps[i].target, name))
			weigh_step(&plan->steps[i], t, r);
	if (t->bad.n > bad)
		return;
	qb_evidence(r, name, "kernel", "as configured");
	t->good++;
}

static void as_configured(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_plan_ struct qb_plan plan = {0};
	const struct qb_config *c = in->config;
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (c->n_bridges + c->n_bonds + c->n_vlans && qb_no_links(in->facts, r))
		return;
	qb_net_plan(in->facts, c, NULL, &plan);
	for (size_t i = 0; i < c->n_bonds; i++)
		weigh(&plan, c->bonds[i].name, &t, r);
	for (size_t i = 0; i < c->n_vlans; i++)
		weigh(&plan, c->vlans[i].name, &t, r);
	/* One that is not there is for net.bridge-present. */
	for (size_t i = 0; i < c->n_bridges; i++)
		if (qb_is_bridge(qb_net_link(&in->facts->net, c->bridges[i].name)))
			weigh(&plan, c->bridges[i].name, &t, r);
	qb_tally_end(&t, r, "the plan has nothing to do about bridges, bonds and VLANs",
		     "no bridge, bond or VLAN of the configuration can be compared");
}

static const struct qb_check table[] = {
	{
		.id = "net.as-configured",
		.title = "Bridges, bonds and VLANs are as configured",
		.severity = QB_RECOMMENDED,
		.looks = "What the plan would do about the configured bonds and VLANs, and the "
			 "bridges that are there: key by key, also VLAN filtering, and the "
			 "profiles that the agent wrote.",
		.why = "What was changed by hand, or only in the configuration, is not what the "
		       "next apply, or the next restart, makes of it.",
		.remedy = "qubi-agent plan",
		.fix = "net.bridge",
		.judge = as_configured,
	},
};

QB_CHECK_GROUP_PART(qb_net_drift_checks, net, table);
