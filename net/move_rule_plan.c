/* SPDX-License-Identifier: Apache-2.0 */
/* Policy rules that name a NIC, and nexthop objects that leave by it. */
#include "net/move_context.h"

#include <linux/rtnetlink.h>

#include "net/names.h"

static bool names(const struct qb_rule *rule, const char *link)
{
	return qb_streq(rule->iif, link) || qb_streq(rule->oif, link);
}

/* The kernel does not look at these when it compares rules. */
static bool is_compared(const char *term)
{
	return !qb_startswith(term, "suppress_") && !qb_startswith(term, "goto ") &&
	       !qb_startswith(term, "realms ");
}

/* The terms of a are among those of b; to the kernel, or to the letter. */
static bool has_terms(const struct qb_rule *a, const struct qb_rule *b, bool to_kernel)
{
	for (size_t i = 0; i < a->terms.n; i++)
		if ((!to_kernel || is_compared(a->terms.v[i])) &&
		    !qb_strs_has(&b->terms, a->terms.v[i]))
			return false;
	return true;
}

/* A rule that is there is what another asks for, less what the kernel does not compare. */
static bool answers(const struct qb_rule *there, const struct qb_rule *rule, const char *iif,
		    const char *oif, bool to_kernel)
{
	return qb_streq(there->family, rule->family) && there->priority == rule->priority &&
	       qb_streq(there->action, rule->action) && there->table == rule->table &&
	       qb_streq(there->iif, iif) && qb_streq(there->oif, oif) &&
	       has_terms(there, rule, to_kernel) && has_terms(rule, there, to_kernel) &&
	       /* It takes one that asks for more for the same. */
	       ((to_kernel && !rule->src) || qb_streq(rule->src, there->src)) &&
	       ((to_kernel && !rule->dst) || qb_streq(rule->dst, there->dst)) &&
	       ((to_kernel && !rule->tos) || rule->tos == there->tos) &&
	       (to_kernel || there->invert == rule->invert);
}

bool qb_rule_is(const struct qb_rule *there, const struct qb_rule *rule, const char *of,
		const char *link)
{
	return answers(there, rule, qb_streq(rule->iif, of) ? link : rule->iif,
		       qb_streq(rule->oif, of) ? link : rule->oif, false);
}

static void refuse_rule(const struct qb_move_context *c, const struct qb_rule *rule)
{
	const char *name = c->config->name, *port = c->source->name;

	if (rule->extra)
		qb_plan_refuse(c->plan, name, "rule-unsupported",
			       "%s rule %lld names %s and has what cannot be carried over: %s",
			       rule->family, (long long)rule->priority, port, rule->extra);
	for (size_t i = 0; i < c->net->n_rules; i++) {
		const struct qb_rule *other = &c->net->rules[i];

		if (other == rule || other->priority != rule->priority ||
		    !qb_streq(other->family, rule->family))
			continue;
		/* What is added comes after all of its priority. */
		if (other > rule && !names(other, port))
			qb_plan_refuse(c->plan, name, "rule-unsupported",
				       "%s rule %lld names %s, and another of that priority is "
				       "asked after it; the kernel would ask that one first, then",
				       rule->family, (long long)rule->priority, port);
		if (other < rule && answers(other, rule, rule->iif, rule->oif, true))
			qb_plan_refuse(c->plan, name, "rule-unsupported",
				       "two %s rules %lld that name %s are the same to the kernel",
				       rule->family, (long long)rule->priority, port);
	}
}

static void copy_rule(struct qb_move *move, const struct qb_rule *rule)
{
	struct qb_rule *to = QB_APPEND(move->rules, move->n_rules);

	*to = *rule;
	to->family = qb_strdup(rule->family);
	to->iif = qb_strdup(rule->iif);
	to->oif = qb_strdup(rule->oif);
	to->src = qb_strdup(rule->src);
	to->dst = qb_strdup(rule->dst);
	to->action = qb_strdup(rule->action);
	to->proto = qb_strdup(rule->proto);
	to->extra = NULL;
	to->terms = (struct qb_strs){0};
	for (size_t i = 0; i < rule->terms.n; i++)
		qb_strs_add(&to->terms, rule->terms.v[i]);
}

void qb_move_rules_plan(const struct qb_move_context *c)
{
	for (size_t i = 0; i < c->net->n_rules; i++) {
		const struct qb_rule *rule = &c->net->rules[i];

		if (!names(rule, c->source->name))
			continue;
		refuse_rule(c, rule);
		copy_rule(c->move, rule);
	}
}

void qb_move_nexthops_plan(const struct qb_move_context *c)
{
	for (size_t i = 0; i < c->net->n_nexthops; i++) {
		const struct qb_nexthop *nh = &c->net->nexthops[i];
		enum qb_ip_mode mode = qb_move_mode(c, nh->family)->mode;
		struct qb_nexthop *to;

		if (!qb_streq(nh->dev, c->source->name))
			continue;
		if (nh->extra)
			qb_plan_refuse(c->plan, c->config->name, "route-unsupported",
				       "nexthop %llu by %s has what cannot be carried over: %s",
				       (unsigned long long)nh->id, nh->dev, nh->extra);
		if (mode != QB_IP_INHERIT && mode != QB_IP_DHCP)
			qb_plan_refuse(c->plan, c->config->name, "route-unsupported",
				       "nexthop %llu leaves by %s: only with \"inherit\" it goes "
				       "along",
				       (unsigned long long)nh->id, nh->dev);
		to = QB_APPEND(c->move->nexthops, c->move->n_nexthops);
		*to = *nh;
		to->family = qb_strdup(nh->family);
		to->dev = NULL;
		to->gateway = qb_strdup(nh->gateway);
		to->proto = qb_strdup(nh->proto);
		to->flags = nh->flags & RTNH_F_ONLINK;
		to->extra = NULL;
	}
}
