/* SPDX-License-Identifier: Apache-2.0 */
#include "net/keyfile.h"

#include <stdlib.h>
#include <linux/rtnetlink.h>

#include "net/names.h"

/* The kernel's word for a mask that leaves nothing out. */
#define FULL_PORT_MASK "65535"

static const char *value_of(const struct qb_rule *rule, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < rule->terms.n; i++)
		if (!strncmp(rule->terms.v[i], word, len) && rule->terms.v[i][len] == ' ')
			return rule->terms.v[i] + len + 1;
	return NULL;
}

/* Adds a term; false: nm-settings(5) has no word for it in "routing-rules". */
static bool put_term(struct qb_buf *b, const struct qb_rule *rule, const char *text)
{
	static const char *const same[] = {"ipproto ", "sport ", "dport ", "uidrange ",
					   "suppress_prefixlength "};
	const char *mask = value_of(rule, "fwmask");

	for (size_t i = 0; i < QB_ARRAY_SIZE(same); i++) {
		if (qb_startswith(text, same[i])) {
			qb_buf_printf(b, " %s", text);
			return true;
		}
	}
	if (qb_startswith(text, "fwmark ")) {
		qb_buf_printf(b, " %s%s%s", text, mask ? "/" : "", mask ? mask : "");
		return true;
	}
	return (qb_startswith(text, "fwmask ") && value_of(rule, "fwmark")) ||
	       !strcmp(text, "sport_mask " FULL_PORT_MASK) ||
	       !strcmp(text, "dport_mask " FULL_PORT_MASK);
}

const char *qb_rule_link(const char *name, const struct qb_move *move)
{
	return qb_streq(name, move->source) ? move->bridge : name;
}

/* The value of "routing-rule1="; false: not all of the rule can be said. */
static bool put_rule(struct qb_buf *b, const struct qb_rule *rule, const struct qb_move *move)
{
	static const char *const refusing[] = {"blackhole", "unreachable", "prohibit"};
	const char *any = !strcmp(rule->family, "inet6") ? "::/0" : "0.0.0.0/0";
	bool lookup = qb_streq(rule->action, "lookup"), refuses = false, all = !rule->extra;

	qb_buf_printf(b, "%spriority %lld", rule->invert ? "not " : "", (long long)rule->priority);
	if (rule->src || !rule->dst)
		qb_buf_printf(b, " from %s", rule->src ? rule->src : any);
	if (rule->dst)
		qb_buf_printf(b, " to %s", rule->dst);
	if (rule->tos)
		qb_buf_printf(b, " tos 0x%02llx", (unsigned long long)rule->tos);
	for (size_t i = 0; i < rule->terms.n; i++)
		all &= put_term(b, rule, rule->terms.v[i]);
	if (rule->iif)
		qb_buf_printf(b, " iif %s", qb_rule_link(rule->iif, move));
	if (rule->oif)
		qb_buf_printf(b, " oif %s", qb_rule_link(rule->oif, move));
	if (lookup)
		qb_buf_printf(b, " table %lld", (long long)rule->table);
	for (size_t i = 0; i < QB_ARRAY_SIZE(refusing); i++) {
		if (!qb_streq(rule->action, refusing[i]))
			continue;
		qb_buf_printf(b, " type %s", rule->action);
		refuses = true;
	}
	return all && (lookup || refuses);
}

/* Set by hand or by a profile; others make theirs anew. */
bool qb_proto_is_set(const char *proto)
{
	return qb_streq(proto, "unspec") || qb_streq(proto, "boot") || qb_streq(proto, "static");
}

static bool names(const struct qb_rule *rule, const char *link)
{
	return link && (qb_streq(rule->iif, link) || qb_streq(rule->oif, link));
}

/* What follows one of the words in a line; NULL: none is there. */
static char *said(const char *line, const char *const *words)
{
	for (const char *at = line, *next; *at; at = next) {
		size_t len = strcspn(at, " ");

		next = at + len + strspn(at + len, " ");
		for (const char *const *word = words; *word; word++)
			if (strlen(*word) == len && !strncmp(at, *word, len))
				return qb_strndup(next, strcspn(next, " "));
	}
	return NULL;
}

static bool says_number(const char *line, const char *const *words, int base, int64_t otherwise,
			int64_t number)
{
	_cleanup_free_ char *value = said(line, words);

	return (value ? strtoll(value, NULL, base) : otherwise) == number;
}

/* A prefix that leaves nothing out is as good as none. */
static bool says_prefix(const char *line, const char *word, const char *prefix)
{
	_cleanup_free_ char *value = said(line, (const char *const[]){word, NULL});
	_cleanup_free_ char *network = value ? qb_ip_network(value) : NULL;
	bool any = network && (!strcmp(network, "0.0.0.0/0") || !strcmp(network, "::/0"));

	return qb_streq(any ? NULL : network, prefix);
}

static bool says_word(const char *line, const char *const *words, const char *wanted)
{
	_cleanup_free_ char *value = said(line, words);

	return qb_streq(value, wanted);
}

/* The words of nm_ip_routing_rule_from_string(). */
static bool says(const char *line, const struct qb_rule *rule)
{
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
	bool lookup = qb_streq(rule->action, "lookup");
	_cleanup_free_ char *inverse = said(line, WORDS("not"));

	return says_number(line, WORDS("priority", "preference", "pref", "order"), 10, -1,
			   rule->priority) &&
	       says_prefix(line, "from", rule->src) && says_prefix(line, "to", rule->dst) &&
	       says_number(line, WORDS("tos", "dsfield"), 16, 0, rule->tos) &&
	       says_word(line, WORDS("iif", "dev"), rule->iif) &&
	       says_word(line, WORDS("oif"), rule->oif) && !inverse == !rule->invert &&
	       says_word(line, WORDS("type"), lookup ? NULL : rule->action) &&
	       (!lookup ||
		says_number(line, WORDS("table", "lookup"), 10, RT_TABLE_MAIN, rule->table));
#undef WORDS
}

/*
 * A rule that names neither the NIC nor the bridge, and is of a profile, as its proto tells, of the
 * NIC's, which will not be used any more: that says so itself, or the rule sends to a table of
 * these routes.
 */
static bool is_of_profile(const struct qb_rule *rule, const struct qb_link *source,
			  const struct qb_family *f)
{
	const char *section = !strcmp(rule->family, "inet6") ? "ipv6." : "ipv4.";

	if (!qb_streq(rule->proto, "static"))
		return false;
	for (size_t i = 0; source && i < source->profile_rules.n; i++) {
		const char *line = source->profile_rules.v[i], *value = strchr(line, '=');

		if (value && qb_startswith(line, section) && says(value + 1, rule))
			return true;
	}
	if (rule->iif || rule->oif || rule->table == RT_TABLE_MAIN)
		return false;
	if (rule->table == f->table)
		return true;
	for (size_t i = 0; i < f->n_routes; i++)
		if (f->routes[i]->table == rule->table)
			return true;
	return false;
}

bool qb_rule_is_wanted(const struct qb_rule *rule, const struct qb_net *net,
		       const struct qb_move *move, const struct qb_family *f)
{
	const struct qb_link *source = qb_net_link(net, move->source);

	return !strcmp(rule->family, f->name) && qb_proto_is_set(rule->proto) &&
	       (names(rule, move->source) || names(rule, move->bridge) ||
		is_of_profile(rule, source, f));
}

void qb_keyfile_rules(struct qb_buf *b, const struct qb_net *net, const struct qb_move *move,
		      const struct qb_family *family)
{
	unsigned n = 0;

	for (size_t i = 0; i < net->n_rules; i++) {
		_cleanup_buf_ struct qb_buf text = {0};

		if (qb_rule_is_wanted(&net->rules[i], net, move, family) &&
		    put_rule(&text, &net->rules[i], move))
			qb_buf_printf(b, "routing-rule%u=%s\n", ++n, text.s);
	}
}

void qb_keyfile_refuse_rules(const struct qb_move *move, struct qb_plan *plan)
{
	for (size_t i = 0; i < move->n_rules; i++) {
		const struct qb_rule *rule = &move->rules[i];
		_cleanup_buf_ struct qb_buf text = {0};

		if (qb_proto_is_set(rule->proto) && !put_rule(&text, rule, move))
			qb_plan_refuse(plan, move->bridge, "not-persistent",
				       "%s rule %lld, which names %s, would be gone after a "
				       "reboot: a NetworkManager profile cannot say all that it is",
				       rule->family, (long long)rule->priority, move->source);
	}
	for (size_t i = 0; i < move->n_nexthops; i++)
		if (qb_proto_is_set(move->nexthops[i].proto))
			qb_plan_refuse(plan, move->bridge, "not-persistent",
				       "nexthop %llu by %s would be gone after a reboot: no "
				       "NetworkManager profile can say it",
				       (unsigned long long)move->nexthops[i].id, move->source);
}
