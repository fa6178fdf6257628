/* SPDX-License-Identifier: Apache-2.0 */
/* Routes and policy rules as sections of a unit, and what of them no unit can say. */
#include "net/unit.h"

#include <stdlib.h>
#include <linux/rtnetlink.h>

#include "net/names.h"

static const char *yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

static const char *any_of(bool inet6)
{
	return inet6 ? "::/0" : "0.0.0.0/0";
}

/* "advmss 1400" as the kernel counts it; false: there is no key for it. */
static bool put_metric(struct qb_buf *b, const char *text)
{
	static const struct {
		const char *word, *key;
	} keys[] = {
		{"advmss ", "TCPAdvertisedMaximumSegmentSize"},
		{"initcwnd ", "InitialCongestionWindow"},
		{"initrwnd ", "InitialAdvertisedReceiveWindow"},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++)
		if (qb_startswith(text, keys[i].word)) {
			qb_buf_printf(b, "%s=%s\n", keys[i].key, text + strlen(keys[i].word));
			return true;
		}
	if (!qb_startswith(text, "quickack "))
		return false;
	qb_buf_printf(b, "QuickAck=%s\n", yes_no(strcmp(text, "quickack 0") != 0));
	return true;
}

/* What is not written systemd-networkd finds by itself. */
static const char *usual_scope(const struct qb_route *r)
{
	if (!strcmp(r->family, "inet6") || strcmp(r->type, "unicast") != 0)
		return qb_streq(r->type, "local") ? "host" : "global";
	return r->gateway ? "global" : "link";
}

/* A section; false: not all of the route can be said. */
static bool put_route(struct qb_buf *b, const struct qb_route *r)
{
	static const char *const types[] = {"unicast", "local",     "broadcast",
					    "anycast", "multicast", "blackhole",
					    "throw",   "prohibit",  "unreachable"};
	bool inet6 = !strcmp(r->family, "inet6"), known = false;
	bool all = !r->n_hops && !r->nhid && !r->extra && !r->realms && !r->tos;

	/* An IPv4 route over IPv6. */
	all &= !r->gateway || !strcmp(qb_ip_family(r->gateway), "inet6") == inet6;
	for (size_t i = 0; i < QB_ARRAY_SIZE(types); i++)
		known |= qb_streq(r->type, types[i]);
	qb_buf_printf(b, "\n[Route]\nDestination=%s\n",
		      !strcmp(r->dst, "default") ? any_of(inet6) : r->dst);
	if (r->gateway)
		qb_buf_printf(b, "Gateway=%s\n", r->gateway);
	if (r->flags & RTNH_F_ONLINK)
		qb_buf_puts(b, "GatewayOnLink=yes\n");
	if (r->metric)
		qb_buf_printf(b, "Metric=%lld\n", (long long)r->metric);
	if (r->table != RT_TABLE_MAIN)
		qb_buf_printf(b, "Table=%lld\n", (long long)r->table);
	if (!qb_streq(r->type, "unicast"))
		qb_buf_printf(b, "Type=%s\n", r->type);
	if (r->scope && !inet6 && strcmp(r->scope, usual_scope(r)) != 0)
		qb_buf_printf(b, "Scope=%s\n", r->scope);
	/* One of another proto it would take for another route. */
	if (r->proto && strcmp(r->proto, "static") != 0 && strcmp(r->proto, "unspec") != 0)
		qb_buf_printf(b, "Protocol=%s\n", r->proto);
	if (r->from)
		qb_buf_printf(b, "Source=%s\n", r->from);
	if (r->prefsrc)
		qb_buf_printf(b, "PreferredSource=%s\n", r->prefsrc);
	if (r->pref)
		qb_buf_printf(b, "IPv6Preference=%s\n", r->pref);
	if (r->mtu)
		qb_buf_printf(b, "MTUBytes=%lld\n", (long long)r->mtu);
	for (size_t i = 0; i < r->metrics.n; i++)
		all &= put_metric(b, r->metrics.v[i]);
	return all && known;
}

void qb_unit_routes(struct qb_buf *b, const struct qb_family *f)
{
	if (f->best)
		(void)put_route(b, f->best);
	for (size_t i = 0; i < f->n_routes; i++)
		(void)put_route(b, f->routes[i]);
}

static const char *value_of(const struct qb_rule *rule, const char *word)
{
	for (size_t i = 0; i < rule->terms.n; i++)
		if (qb_startswith(rule->terms.v[i], word))
			return rule->terms.v[i] + strlen(word);
	return NULL;
}

/* false: there is no key for it. */
static bool put_term(struct qb_buf *b, const struct qb_rule *rule, const char *text)
{
	static const struct {
		const char *word, *key;
	} keys[] = {
		{"ipproto ", "IPProtocol"},
		{"sport ", "SourcePort"},
		{"dport ", "DestinationPort"},
		{"uidrange ", "User"},
		{"suppress_prefixlength ", "SuppressPrefixLength"},
	};
	const char *mask = value_of(rule, "fwmask ");

	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++)
		if (qb_startswith(text, keys[i].word)) {
			qb_buf_printf(b, "%s=%s\n", keys[i].key, text + strlen(keys[i].word));
			return true;
		}
	if (qb_startswith(text, "fwmark ")) {
		qb_buf_printf(b, "FirewallMark=%s%s%s\n", text + strlen("fwmark "), mask ? "/" : "",
			      mask ? mask : "");
		return true;
	}
	/* The kernel's word for a mask that leaves nothing out. */
	return (qb_startswith(text, "fwmask ") && value_of(rule, "fwmark ")) ||
	       !strcmp(text, "sport_mask 65535") || !strcmp(text, "dport_mask 65535");
}

/* A section; false: not all of the rule can be said. */
static bool put_rule(struct qb_buf *b, const struct qb_rule *rule, const struct qb_move *move)
{
	static const char *const refusing[] = {"blackhole", "unreachable", "prohibit"};
	bool lookup = qb_streq(rule->action, "lookup"), refuses = false, all = !rule->extra;

	qb_buf_printf(b, "\n[RoutingPolicyRule]\nFamily=%s\nPriority=%lld\n",
		      !strcmp(rule->family, "inet6") ? "ipv6" : "ipv4", (long long)rule->priority);
	if (rule->invert)
		qb_buf_puts(b, "InvertRule=yes\n");
	if (rule->src)
		qb_buf_printf(b, "From=%s\n", rule->src);
	if (rule->dst)
		qb_buf_printf(b, "To=%s\n", rule->dst);
	if (rule->tos)
		qb_buf_printf(b, "TypeOfService=%lld\n", (long long)rule->tos);
	for (size_t i = 0; i < rule->terms.n; i++)
		all &= put_term(b, rule, rule->terms.v[i]);
	if (rule->iif)
		qb_buf_printf(b, "IncomingInterface=%s\n", qb_rule_link(rule->iif, move));
	if (rule->oif)
		qb_buf_printf(b, "OutgoingInterface=%s\n", qb_rule_link(rule->oif, move));
	if (lookup)
		qb_buf_printf(b, "Table=%lld\n", (long long)rule->table);
	for (size_t i = 0; i < QB_ARRAY_SIZE(refusing); i++) {
		if (!qb_streq(rule->action, refusing[i]))
			continue;
		qb_buf_printf(b, "Type=%s\n", rule->action);
		refuses = true;
	}
	return all && (lookup || refuses);
}

void qb_unit_rules(struct qb_buf *b, const struct qb_net *net, const struct qb_move *move,
		   const struct qb_family *f)
{
	for (size_t i = 0; i < net->n_rules; i++) {
		_cleanup_buf_ struct qb_buf text = {0};

		if (qb_rule_is_wanted(&net->rules[i], net, move, f) &&
		    put_rule(&text, &net->rules[i], move))
			qb_buf_puts(b, text.s);
	}
}

static void refuse_rules(const struct qb_move *move, struct qb_plan *plan)
{
	for (size_t i = 0; i < move->n_rules; i++) {
		_cleanup_buf_ struct qb_buf text = {0};

		if (qb_proto_is_set(move->rules[i].proto) &&
		    !put_rule(&text, &move->rules[i], move))
			qb_plan_refuse(plan, move->bridge, "not-persistent",
				       "%s rule %lld, which names %s, would be gone after a "
				       "reboot: a unit of systemd-networkd cannot say all that it "
				       "is",
				       move->rules[i].family, (long long)move->rules[i].priority,
				       move->source);
	}
	for (size_t i = 0; i < move->n_nexthops; i++)
		if (qb_proto_is_set(move->nexthops[i].proto))
			qb_plan_refuse(
				plan, move->bridge, "not-persistent",
				"nexthop %llu by %s would be gone after a reboot: writing it "
				"into a unit of systemd-networkd is not implemented",
				(unsigned long long)move->nexthops[i].id, move->source);
}

/* systemd-networkd takes the first by name, in whatever directory. */
static void refuse_order(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan)
{
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);
		const char *path = port ? port->unit_path : NULL;
		const char *slash = path ? strrchr(path, '/') : NULL;

		if (slash && strcmp(slash + 1, QB_UNIT_PREFIX) < 0 &&
		    !qb_startswith(slash + 1, QB_UNIT_PROVISIONAL))
			qb_plan_refuse(plan, move->bridge, "unsupported",
				       "%s is for %s and comes before all units of qubi-agent by "
				       "name: give it a name that sorts behind " QB_UNIT_PREFIX
				       ", then networkctl reload",
				       path, port->name);
	}
}

/* What its own unit says, such as name servers, cannot be known before it has it again. */
static void refuse_barred(const struct qb_net *net, const struct qb_move *move,
			  struct qb_plan *plan)
{
	const struct qb_link *source = qb_net_link(net, move->source);

	if (source && source->barred && !qb_unit_heir(net, move, NULL))
		qb_plan_refuse(plan, move->bridge, "not-persistent",
			       "%s is held back from systemd-networkd by " QB_UNIT_BAR
			       "%s.network, for an undoing was not completed: qubi-agent rollback "
			       "completes it",
			       source->name, source->name);
}

void qb_unit_refuse(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan)
{
	for (size_t i = 0; i < move->n_add_routes; i++) {
		const struct qb_route *r = &move->add_routes[i];
		_cleanup_buf_ struct qb_buf text = {0};

		/* What a lease or a router announces comes again with it. */
		if (qb_streq(r->proto, "dhcp") || qb_streq(r->proto, "ra"))
			continue;
		if (qb_family_wants(r) && !put_route(&text, r))
			qb_plan_refuse(plan, move->bridge, "not-persistent",
				       "route %s of table %lld by %s would be gone after a reboot: "
				       "a unit of systemd-networkd cannot say all that it is",
				       r->dst, (long long)r->table, move->source);
	}
	refuse_rules(move, plan);
	refuse_order(net, move, plan);
	refuse_barred(net, move, plan);
}
