/* SPDX-License-Identifier: Apache-2.0 */
/* What of a NIC's routes goes to a bridge, in which order, and what of them lasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/schema.h"
#include "net/bridge.h"
#include "net/bridge_state.h"
#include "net/link_fields.h"
#include "net/move.h"

#define HOST                                                                                       \
	"known: true\n"                                                                            \
	"links:\n"                                                                                 \
	"  - {name: eth0, ifindex: 2, mac: 00:00:5e:00:53:01, mtu: 1500, up: true,\n"              \
	"     addresses: [{address: 192.0.2.10/24, scope: global, flags: 128},\n"                  \
	"                 {address: '2001:db8::10/64', scope: global, flags: 128}]}\n"             \
	"  - {name: eth1, ifindex: 3, mac: 00:00:5e:00:53:02, mtu: 1500, up: true}\n"
#define NM HOST "networkmanager_installed: true\n"
#define ROUTE(family, dst, rest)                                                                   \
	"  - {family: " family ", dst: " dst ", type: unicast, proto: static, scope: global, "     \
	"table: 254, n_nexthops: 1" rest "}\n"
/* The same with a table of its own. */
#define IN_TABLE(family, dst, table, rest)                                                         \
	"  - {family: " family ", dst: " dst ", type: unicast, proto: static, scope: global, "     \
	"table: " table ", n_nexthops: 1" rest "}\n"
#define ECMP(family, dst, gateway)                                                                 \
	"  - {family: " family ", dst: " dst ", type: unicast, proto: static, scope: global, "     \
	"table: 254, n_nexthops: 2, devs: [eth0, eth1], hops: ["                                   \
	"{dev: eth0, gateway: '" gateway "', weight: 3, flags: 4}, {dev: eth1, weight: 1}]}\n"

struct setup {
	struct qb_net net;
	struct qb_plan plan;
	struct qb_port_match port;
	struct qb_bridge_config config;
	struct qb_move move;
};

static void load(struct setup *s, const char *yaml)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	*s = (struct setup){.port = {.name = (char *)"eth0"}};
	if (qb_schema_load(&qb_net_type, yaml, strlen(yaml), QB_LOAD_STRICT, &s->net, NULL,
			   &diags) < 0)
		fail_msg("%s\n%s", diags.v[0].msg, yaml);
	s->config =
		(struct qb_bridge_config){.name = (char *)"br0", .ports = &s->port, .n_ports = 1};
}

/* The move as the step gets it. */
static void plan(struct setup *s)
{
	struct qb_error err = QB_ERROR_INIT;

	qb_bridge_plan(&s->net, &s->config, 1, NULL, NULL, &s->plan);
	if (s->plan.n_refused)
		fail_msg("refused: %s", s->plan.refused[0].reasons[0].evidence);
	assert_true(s->plan.n_steps >= 1);
	assert_int_equal(qb_move_from_json(s->plan.steps[0].args, &s->move, &err), 0);
}

static void done(struct setup *s)
{
	qb_net_done(&s->net);
	qb_plan_done(&s->plan);
	qb_move_done(&s->move);
}

static void assert_refused(const char *yaml, enum qb_ip_mode mode, const char *code,
			   const char *evidence)
{
	struct setup s;
	bool found = false;

	load(&s, yaml);
	s.config.ipv4.mode = mode;
	qb_bridge_plan(&s.net, &s.config, 1, NULL, NULL, &s.plan);
	for (size_t i = 0; s.plan.n_refused && i < s.plan.refused[0].n_reasons; i++)
		found |= !strcmp(s.plan.refused[0].reasons[i].code, code) &&
			 strstr(s.plan.refused[0].reasons[i].evidence, evidence);
	if (!found)
		fail_msg("not refused as %s, %s, but %s:\n%s", code, evidence,
			 s.plan.n_refused ? s.plan.refused[0].reasons[0].evidence : "planned",
			 yaml);
	assert_int_equal(s.plan.n_steps, 0);
	done(&s);
}

/* "dst/table" of the routes of a kind, in their order. */
static void assert_order(const struct qb_ops *ops, enum qb_op_kind kind, const char *wanted)
{
	_cleanup_buf_ struct qb_buf b = {0};

	for (size_t i = 0; i < ops->n; i++)
		if (ops->v[i].kind == kind)
			qb_buf_printf(&b, "%s%s table %lld", b.len ? ", " : "",
				      ops->v[i].route->dst, (long long)ops->v[i].route->table);
	assert_string_equal(b.s, wanted);
}

static void routes_of_all_tables_go_along(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	struct setup s;

	(void)state;
	load(&s, HOST "routes:\n" IN_TABLE("inet", "default", "100",
					   ", gateway: 192.0.2.1, dev: eth0") //
	     IN_TABLE("inet", "192.0.2.0/24", "100", ", dev: eth0")           //
	     IN_TABLE("inet6", "default", "70000", ", gateway: '2001:db8::1', dev: eth0")
		     IN_TABLE("inet", "198.51.100.0/24", "100", ", dev: eth1"));
	plan(&s);
	assert_int_equal(s.move.n_add_routes, 3);
	assert_int_equal(s.move.n_drop_routes, 3);
	b = qb_move_forward(&s.move);
	/* Whatever the table, a gateway has to be reachable when its route comes. */
	assert_order(&b.clear, QB_OP_ROUTE_ADD,
		     "192.0.2.0/24 table 100, default table 70000, default table 100");
	assert_order(&b.clear, QB_OP_ROUTE_DELETE,
		     "default table 100, default table 70000, 192.0.2.0/24 table 100");
	done(&s);
}

static void all_that_a_route_is_goes_along(void **state)
{
	const struct qb_route *r;
	struct setup s;

	(void)state;
	load(&s, HOST
	     "routes:\n"
	     "  - {family: inet6, dst: '2001:db8:1::/48', from: '2001:db8:2::/48', type: local,\n"
	     "     proto: '11', scope: global, table: 7, n_nexthops: 1, dev: eth0, metric: 5,\n"
	     "     tos: 16, realms: 9, mtu: 1400, metrics: [lock 4, congctl reno], pref: high,\n"
	     "     prefsrc: '2001:db8::10', flags: 20, expires_s: 600}\n");
	plan(&s);
	r = &s.move.add_routes[0];
	assert_string_equal(r->from, "2001:db8:2::/48");
	assert_string_equal(r->type, "local");
	assert_string_equal(r->proto, "11");
	assert_string_equal(r->prefsrc, "2001:db8::10");
	assert_string_equal(r->pref, "high");
	assert_int_equal(r->tos, 16);
	assert_int_equal(r->realms, 9);
	assert_int_equal(r->metrics.n, 2);
	assert_string_equal(r->metrics.v[1], "congctl reno");
	/* "linkdown" is the kernel's note. */
	assert_int_equal(r->flags, 4);
	/* What runs is no part of a plan. */
	assert_int_equal(r->expires_s, 0);
	done(&s);
}

static void of_a_multipath_route_one_hop_is_exchanged(void **state)
{
	const struct qb_route *r;
	struct setup s;

	(void)state;
	load(&s, HOST "routes:\n" ECMP("inet", "default", "192.0.2.1"));
	plan(&s);
	r = &s.move.add_routes[0];
	assert_int_equal(r->n_hops, 2);
	assert_string_equal(r->hops[0].dev, "br0");
	assert_string_equal(r->hops[0].gateway, "192.0.2.1");
	assert_int_equal(r->hops[0].weight, 3);
	assert_int_equal(r->hops[0].flags, 4);
	assert_string_equal(r->hops[1].dev, "eth1");
	assert_string_equal(s.move.drop_routes[0].hops[0].dev, "eth0");
	done(&s);
}

/* The kernel asks the first of several that only their next hops tell from each other. */
static void the_first_of_routes_that_are_alike_stays_first(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	struct setup s;

	(void)state;
	load(&s, HOST "routes:\n" ROUTE("inet", "198.51.100.0/24", ", dev: eth0, metric: 1")
			 ROUTE("inet", "198.51.100.0/25", ", dev: eth0, metric: 2, behind: true")
				 ROUTE("inet", "198.51.100.0/26", ", dev: eth0, metric: 3"));
	plan(&s);
	/* Each is put before its like, so the last is added first. */
	b = qb_move_forward(&s.move);
	assert_order(&b.clear, QB_OP_ROUTE_ADD,
		     "198.51.100.0/26 table 254, 198.51.100.0/24 table 254, "
		     "198.51.100.0/25 table 254");
	done(&s);
}

/* "proto kernel", but not what comes with the address: NetworkManager's, with another metric. */
static void only_the_route_of_an_address_comes_with_it(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST "routes:\n"
		      "  - {family: inet, dst: 192.0.2.0/24, type: unicast, proto: kernel, "
		      "scope: link, table: 254, dev: eth0}\n"
		      "  - {family: inet, dst: 192.0.2.0/24, type: unicast, proto: kernel, "
		      "scope: link, table: 254, dev: eth0, metric: 100}\n"
		      "  - {family: inet6, dst: '2001:db8::/64', type: unicast, proto: kernel, "
		      "scope: global, table: 254, dev: eth0, metric: 256}\n");
	plan(&s);
	assert_int_equal(s.move.n_add_routes, 1);
	assert_int_equal(s.move.add_routes[0].metric, 100);
	done(&s);
}

static void too_many_hops(char *yaml, size_t size)
{
	size_t at =
		(size_t)snprintf(yaml, size,
				 HOST "routes: [{family: inet, dst: default, type: unicast, "
				      "proto: static, scope: global, table: 254, n_nexthops: 129, "
				      "devs: [eth0], hops: [");

	for (int i = 0; i < 129; i++)
		at += (size_t)snprintf(yaml + at, size - at, "%s{dev: eth0, weight: 1}",
				       i ? ", " : "");
	snprintf(yaml + at, size - at, "]}]\n");
}

static void what_cannot_be_moved_is_refused(void **state)
{
	char yaml[8192];

	(void)state;
	too_many_hops(yaml, sizeof(yaml));
	assert_refused(yaml, QB_IP_INHERIT, "route-unsupported", "129 next hops");
	assert_refused(HOST "routes:\n" ECMP("inet", "198.51.100.0/24", "192.0.2.1"), QB_IP_NONE,
		       "route-unsupported", "198.51.100.0/24 leaves by other links, too");
}

/* What step net.persist writes for the bridge. */
static const char *profile_of(const struct setup *s)
{
	const json_t *files = json_object_get(s->plan.steps[s->plan.n_steps - 1].args, "files");

	return json_string_value(json_object_get(json_array_get(files, 0), "text"));
}

static void assert_profile(const char *yaml, const char *lines)
{
	struct setup s;

	load(&s, yaml);
	plan(&s);
	assert_non_null(profile_of(&s));
	if (!strstr(profile_of(&s), lines))
		fail_msg("not in the profile:\n%s\nbut:\n%s", lines, profile_of(&s));
	done(&s);
}

static void what_a_profile_can_say_is_in_it(void **state)
{
	(void)state;
	assert_profile(NM "routes:\n" IN_TABLE("inet", "default", "100",
					       ", gateway: 192.0.2.1, dev: eth0"),
		       "route1=0.0.0.0/0,192.0.2.1\nroute1_options=table=100\n");
	assert_profile(NM "routes:\n" ROUTE("inet", "198.51.100.0/24",
					    ", dev: eth0, tos: 8, mtu: 1400, metric: 7, flags: 4, "
					    "prefsrc: 192.0.2.10, metrics: [lock 4, window 9, "
					    "quickack 1, rto_min 300]"),
		       "route1=198.51.100.0/24,,7\n"
		       "route1_options=tos=8,mtu=1400,lock-mtu=true,window=9,quickack=true,"
		       "rto_min=300,onlink=true,src=192.0.2.10\n");
	assert_profile(NM "routes:\n"
			  "  - {family: inet6, dst: '2001:db8:1::/48', from: '2001:db8:2::/48', "
			  "type: local, proto: boot, scope: global, table: 254, dev: eth0}\n",
		       "route1=2001:db8:1::/48\n"
		       "route1_options=from=2001:db8:2::/48,type=local\n");
}

/* These come again, or go, by themselves: who speaks a routing protocol makes them anew. */
static void what_a_profile_is_not_about_is_not_in_it(void **state)
{
	static const char *const rests[] = {
		"proto: '186'",
		"proto: kernel",
		"proto: static, expires_s: 60",
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rests); i++) {
		_cleanup_free_ char *yaml = qb_asprintf(
			NM "routes: [{family: inet, dst: 198.51.100.0/24, type: unicast, "
			   "scope: global, table: 254, dev: eth0, realms: 7, %s}]\n",
			rests[i]);
		struct setup s;

		load(&s, yaml);
		plan(&s);
		assert_non_null(profile_of(&s));
		assert_null(strstr(profile_of(&s), "route1"));
		done(&s);
	}
}

static void what_would_be_gone_after_a_reboot_is_refused(void **state)
{
	static const char *const rests[] = {
		"dev: eth0, realms: 7",
		"dev: eth0, metrics: [advmss 1300]",
		"dev: eth0, metrics: [lock 256]",
		"dev: eth0, metrics: [congctl reno]",
		"dev: eth0, gateway: 'fe80::1'",
		"dev: eth0, pref: high",
		"devs: [eth0], hops: [{dev: eth0, weight: 1}, {dev: eth1, weight: 1}]",
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rests); i++) {
		_cleanup_free_ char *yaml = qb_asprintf(
			NM "routes: [{family: inet, dst: 198.51.100.0/24, type: unicast, "
			   "proto: static, scope: global, table: 254, %s}]\n",
			rests[i]);

		assert_refused(yaml, QB_IP_INHERIT, "not-persistent",
			       "198.51.100.0/24 of table 254 by eth0 would be gone");
	}
	assert_refused(NM "routes: [{family: inet, dst: 233.252.0.0/24, type: multicast, "
			  "proto: boot, scope: global, table: 254, dev: eth0}]\n",
		       QB_IP_INHERIT, "not-persistent", "233.252.0.0/24");
}

#define RULE(family, priority, rest)                                                               \
	"  - {family: " family ", priority: " priority ", table: 100, action: lookup, "            \
	"proto: static" rest "}\n"

/* "dev priority" of the rules of a kind, in their order. */
static void assert_rules(const struct qb_ops *ops, enum qb_op_kind kind, const char *wanted)
{
	_cleanup_buf_ struct qb_buf b = {0};

	for (size_t i = 0; i < ops->n; i++)
		if (ops->v[i].kind == kind)
			qb_buf_printf(&b, "%s%s %lld", b.len ? ", " : "", ops->v[i].dev,
				      (long long)ops->v[i].rule->priority);
	assert_string_equal(b.len ? b.s : "", wanted);
}

static void rules_that_name_the_nic_name_the_bridge(void **state)
{
	_cleanup_batches_ struct qb_batches there = {0}, back = {0};
	const struct qb_rule *r;
	struct setup s;

	(void)state;
	load(&s, HOST "rules:\n" RULE("inet", "10", ", iif: eth0") RULE("inet", "20", "")
			 RULE("inet6", "30",
			      ", oif: eth0, iif: eth1, src: '2001:db8:9::/48', tos: 16, "
			      "dst: '2001:db8:a::/48', terms: [fwmark 1, sport 1-2]"));
	plan(&s);
	assert_int_equal(s.move.n_rules, 2);
	r = &s.move.rules[1];
	assert_string_equal(r->src, "2001:db8:9::/48");
	assert_string_equal(r->dst, "2001:db8:a::/48");
	assert_string_equal(r->iif, "eth1");
	assert_int_equal(r->tos, 16);
	assert_int_equal(r->terms.n, 2);
	/* The new one is there before the port is, and the old one as long as it is asked. */
	there = qb_move_forward(&s.move);
	assert_rules(&there.build, QB_OP_RULE_ADD, "br0 10, br0 30");
	assert_rules(&there.clear, QB_OP_RULE_DELETE, "eth0 30, eth0 10");
	/* Rules outlive their link. */
	back = qb_move_inverse(&s.move, &(struct qb_strs){0}, false);
	assert_rules(&back.build, QB_OP_RULE_ADD, "eth0 10, eth0 30");
	assert_rules(&back.clear, QB_OP_RULE_DELETE, "br0 30, br0 10");
	done(&s);
}

/* With both of it at once nothing would pass, or no gateway be found. */
static void rules_that_refuse_change_over_at_once(void **state)
{
	static const char *const rests[] = {"invert: true, action: lookup",
					    "invert: false, action: prohibit", "action: blackhole",
					    "action: unreachable"};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rests); i++) {
		_cleanup_free_ char *yaml = qb_asprintf(
			HOST "rules: [{family: inet, priority: 10, table: 100, proto: boot, "
			     "oif: eth0, %s}]\nroutes:\n" ROUTE("inet", "198.51.100.0/24",
								", dev: eth0"),
			rests[i]);
		_cleanup_batches_ struct qb_batches there = {0}, back = {0};
		struct setup s;

		load(&s, yaml);
		plan(&s);
		there = qb_move_forward(&s.move);
		back = qb_move_inverse(&s.move, &(struct qb_strs){0}, true);
		assert_rules(&there.build, QB_OP_RULE_ADD, "");
		assert_rules(&there.clear, QB_OP_RULE_ADD, "br0 10");
		assert_rules(&there.clear, QB_OP_RULE_DELETE, "eth0 10");
		assert_rules(&back.build, QB_OP_RULE_ADD, "");
		assert_rules(&back.clear, QB_OP_RULE_ADD, "eth0 10");
		/* Off before the routes come, which the kernel would not let by them. */
		for (size_t j = 0, deleted = 0; j < there.clear.n; j++) {
			deleted |= there.clear.v[j].kind == QB_OP_RULE_DELETE;
			assert_true(deleted || there.clear.v[j].kind != QB_OP_ROUTE_ADD);
		}
		done(&s);
	}
}

static void rules_that_cannot_be_moved_are_refused(void **state)
{
	(void)state;
	assert_refused(HOST "rules:\n" RULE("inet", "10", ", iif: eth0, extra: attribute 99"),
		       QB_IP_INHERIT, "rule-unsupported", "rule 10 names eth0 and has what");
	assert_refused(HOST "rules:\n" RULE("inet", "10", ", iif: eth0")
			       RULE("inet", "10", ", src: 198.18.0.0/15"),
		       QB_IP_INHERIT, "rule-unsupported",
		       "another of that priority is asked after");
	assert_refused(HOST "rules:\n" RULE("inet", "10", ", iif: eth0, src: 198.18.0.0/15")
			       RULE("inet", "10", ", iif: eth0"),
		       QB_IP_INHERIT, "rule-unsupported", "two inet rules 10 that name eth0");
	assert_refused(
		HOST "rules:\n" RULE("inet", "10", ", iif: eth0, terms: [suppress_prefixlength 0]")
			RULE("inet", "10", ", iif: eth0"),
		QB_IP_INHERIT, "rule-unsupported", "two inet rules 10 that name eth0");
}

/* That of the other family, or one that comes before, or differs in what the kernel compares. */
static void rules_of_one_priority_may_be_moved(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST "rules:\n" RULE("inet", "10", ", src: 198.18.0.0/15")
			 RULE("inet", "10", ", iif: eth0, terms: [fwmark 1]")
				 RULE("inet", "10", ", iif: eth0, terms: [fwmark 2]")
					 RULE("inet6", "10", ""));
	plan(&s);
	assert_int_equal(s.move.n_rules, 2);
	done(&s);
}

/* Each of these is another rule, though all but one member agree. */
static void a_rule_is_there_to_the_letter(void **state)
{
	static const struct {
		const char *there; /* the family, priority, table and the rest */
		bool same;
	} cases[] = {
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [sport 1-2, fwmark 1]",
		 true},
		{"inet6, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 8, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 6, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: nop, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: eth0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, oif: eth1, "
		 "src: 192.0.2.0/24, tos: 16, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/25, "
		 "tos: 16, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "dst: 198.51.100.0/24, tos: 16, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, invert: true, terms: [fwmark 1, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [fwmark 2, sport 1-2]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [fwmark 1]",
		 false},
		{"inet, priority: 9, table: 5, action: lookup, iif: br0, src: 192.0.2.0/24, "
		 "tos: 16, terms: [fwmark 1, sport 1-2, suppress_prefixlength 0]",
		 false},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *yaml = qb_asprintf(
			HOST "rules:\n  - {family: inet, priority: 9, table: 5, action: lookup, "
			     "iif: eth0, src: 192.0.2.0/24, tos: 16, proto: static, "
			     "terms: [fwmark 1, sport 1-2]}\n  - {family: %s}\n",
			cases[i].there);
		struct setup s;

		load(&s, yaml);
		if (qb_rule_is(&s.net.rules[1], &s.net.rules[0], "eth0", "br0") != cases[i].same)
			fail_msg("%s", cases[i].there);
		done(&s);
	}
}

/* What is there already under that number is not the rule that is to go to the bridge. */
static void a_moved_rule_is_told_from_its_like(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST "rules:\n" RULE("inet", "10", ", iif: eth0, terms: [fwmark 1]")
			 RULE("inet", "11", ", iif: br0, terms: [fwmark 1]"));
	plan(&s);
	assert_false(qb_bridge_state_is_touched(&s.net, &s.move));
	s.net.rules[1].priority = 10;
	assert_true(qb_bridge_state_is_touched(&s.net, &s.move));
	qb_strset(&s.net.rules[1].terms.v[0], "fwmark 2");
	assert_false(qb_bridge_state_is_touched(&s.net, &s.move));
	done(&s);
}

#define NEXTHOP(id, rest) "  - {id: " id ", family: inet, dev: eth0, gateway: 192.0.2.1" rest "}\n"

static void nexthop_objects_leave_by_the_bridge(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	size_t on_link = 0, nexthop = 0, gateway = 0;
	struct setup s;

	(void)state;
	load(&s, HOST "nexthops:\n" NEXTHOP("7", ", proto: '11', flags: 20") "routes:\n" ROUTE(
			 "inet", "default", ", gateway: 192.0.2.1, dev: eth0")
			 ROUTE("inet", "198.51.100.0/24", ", dev: eth0")
				 ROUTE("inet", "203.0.113.0/24",
				       ", gateway: 192.0.2.1, dev: eth0, nhid: 7"));
	plan(&s);
	assert_int_equal(s.move.n_nexthops, 1);
	assert_int_equal(s.move.nexthops[0].flags, 4);
	/* The route of it follows by itself. */
	assert_int_equal(s.move.n_add_routes, 2);
	b = qb_move_forward(&s.move);
	for (size_t i = 0; i < b.clear.n; i++) {
		if (b.clear.v[i].kind == QB_OP_NEXTHOP)
			nexthop = i;
		else if (b.clear.v[i].kind == QB_OP_ROUTE_ADD && b.clear.v[i].route->gateway)
			gateway = i;
		else if (b.clear.v[i].kind == QB_OP_ROUTE_ADD)
			on_link = i;
	}
	assert_true(on_link < nexthop && nexthop < gateway);
	done(&s);
	assert_refused(HOST "nexthops:\n" NEXTHOP("7", ", proto: '11', extra: encap"),
		       QB_IP_INHERIT, "route-unsupported", "nexthop 7 by eth0 has what");
	assert_refused(HOST "nexthops:\n" NEXTHOP("7", ", proto: '11'"), QB_IP_NONE,
		       "route-unsupported", "nexthop 7 leaves by eth0");
}

static void rules_in_a_profile(void **state)
{
	(void)state;
	assert_profile(
		NM "rules:\n" RULE("inet", "10", ", iif: eth0, terms: [fwmark 16, fwmask 240]")
			RULE("inet6", "11",
			     ", oif: eth0, iif: eth1, invert: true, tos: 16, "
			     "src: '2001:db8:9::/48', dst: '2001:db8:a::/48', "
			     "terms: [ipproto 6, sport 80-80, sport_mask 65535]"),
		"routing-rule1=priority 10 from 0.0.0.0/0 fwmark 16/240 iif br0 table 100\n");
	assert_profile(NM "rules:\n" RULE("inet6", "11",
					  ", oif: eth0, iif: eth1, invert: true, tos: 16, "
					  "src: '2001:db8:9::/48', dst: '2001:db8:a::/48', "
					  "terms: [ipproto 6, sport 80-80, sport_mask 65535]"),
		       "routing-rule1=not priority 11 from 2001:db8:9::/48 to 2001:db8:a::/48 "
		       "tos 0x10 ipproto 6 sport 80-80 iif eth1 oif br0 table 100\n");
	/* It was the profile of the NIC that had it: nobody else would set it again. */
	assert_profile(NM
		       "rules:\n" RULE("inet", "12", ", src: 192.0.2.10/32") "routes:\n" IN_TABLE(
			       "inet", "default", "100", ", gateway: 192.0.2.1, dev: eth0"),
		       "routing-rule1=priority 12 from 192.0.2.10/32 table 100\n");
	assert_profile(NM "rules: [{family: inet, priority: 13, action: prohibit, proto: boot, "
			  "iif: eth0}]\n",
		       "routing-rule1=priority 13 from 0.0.0.0/0 iif br0 type prohibit\n");
}

#define RULES_OF_PROFILE                                                                           \
	"known: true\nnetworkmanager_installed: true\nlinks: [{name: eth0, ifindex: 2, "           \
	"mac: 00:00:5e:00:53:01, mtu: 1500, up: true, addresses: [{address: 192.0.2.10/24, "       \
	"scope: global, flags: 128}, {address: '2001:db8::10/64', scope: global, flags: 128}], "   \
	"profile_rules: [ipv4.routing-rule1=priority 5 to 198.51.100.0/24 table 254, "             \
	"ipv4.routing-rule2=order 6 type blackhole, "                                              \
	"ipv6.routing-rule1=pref 7 iif eth1 table 254]}]\nrules:\n"

/* Tables that no route is in, as main, tell nothing: the NIC's own profile does. */
static void rules_of_the_nics_profile_go_along(void **state)
{
	(void)state;
	assert_profile(
		RULES_OF_PROFILE
		"  - {family: inet, priority: 4, table: 254, action: lookup, proto: static}\n"
		"  - {family: inet, priority: 5, table: 254, action: lookup, proto: static, "
		"dst: 198.51.100.0/24}\n"
		"  - {family: inet, priority: 6, action: blackhole, proto: static}\n"
		"  - {family: inet, priority: 7, table: 254, action: lookup, proto: static}\n",
		"routing-rule1=priority 5 to 198.51.100.0/24 table 254\n"
		"routing-rule2=priority 6 from 0.0.0.0/0 type blackhole\n"
		"\n[ipv6]");
	assert_profile(RULES_OF_PROFILE
		       "  - {family: inet6, priority: 7, table: 254, action: lookup, "
		       "proto: static, iif: eth1}\n"
		       "  - {family: inet6, priority: 5, table: 254, action: lookup, "
		       "proto: static}\n",
		       "routing-rule1=priority 7 from ::/0 iif eth1 table 254\n");
}

/* One of another NIC's profile may have the same priority. */
static void rules_like_those_of_the_nics_profile_stay(void **state)
{
	static const char *const rules[] = {
		"{family: inet, priority: 5, table: 254, action: lookup, dst: 203.0.113.0/24, ",
		"{family: inet, priority: 5, table: 254, action: lookup, dst: 198.51.100.0/24, "
		"src: 192.0.2.0/24, ",
		"{family: inet, priority: 5, table: 100, action: lookup, dst: 198.51.100.0/24, ",
		"{family: inet, priority: 5, action: blackhole, dst: 198.51.100.0/24, ",
		"{family: inet, priority: 5, table: 254, action: lookup, dst: 198.51.100.0/24, "
		"invert: true, ",
		"{family: inet, priority: 5, table: 254, action: lookup, dst: 198.51.100.0/24, "
		"tos: 16, ",
		"{family: inet, priority: 5, table: 254, action: lookup, dst: 198.51.100.0/24, "
		"iif: eth1, ",
		"{family: inet, priority: 6, action: prohibit, ",
		"{family: inet6, priority: 7, table: 254, action: lookup, iif: eth1, oif: eth2, ",
		"{family: inet6, priority: 7, table: 254, action: lookup, ",
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rules); i++) {
		_cleanup_free_ char *host =
			qb_asprintf("%s  - %sproto: static}\n", RULES_OF_PROFILE, rules[i]);
		struct setup s;

		load(&s, host);
		plan(&s);
		if (strstr(profile_of(&s), "routing-rule"))
			fail_msg("%s", rules[i]);
		done(&s);
	}
}

static void rules_of_others_are_in_no_profile(void **state)
{
	static const char *const hosts[] = {
		NM "rules: [{family: inet, priority: 10, table: 100, action: lookup, iif: eth0, "
		   "proto: '186'}]\n",
		NM "rules:\n" RULE("inet", "10", ", src: 198.18.0.0/15"),
		NM "rules:\n" RULE("inet", "10", ", iif: eth1"),
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(hosts); i++) {
		struct setup s;

		load(&s, hosts[i]);
		plan(&s);
		assert_null(strstr(profile_of(&s), "routing-rule"));
		done(&s);
	}
}

/* Where a lease has its routes in a table of their own. */
static void routes_of_a_lease_stay_in_their_table(void **state)
{
	(void)state;
	assert_profile("known: true\nnetworkmanager_installed: true\nnetworkmanager_running: true\n"
		       "links: [{name: eth0, ifindex: 2, mac: 00:00:5e:00:53:01, mtu: 1500, "
		       "up: true, addresses: [{address: 192.0.2.10/24, scope: global, flags: 512, "
		       "valid_s: 600, preferred_s: 600}]}]\n"
		       "rules:\n" RULE(
			       "inet", "12",
			       ", src: 192.0.2.10/32") "routes:\n"
						       "  - {family: inet, dst: default, gateway: "
						       "192.0.2.1, dev: eth0, proto: dhcp, "
						       "type: unicast, scope: global, table: 100}\n"
						       "  - {family: inet, dst: 192.0.2.0/24, dev: "
						       "eth0, proto: kernel, "
						       "type: unicast, scope: link, table: 100}\n",
		       "method=auto\nroute-table=100\n"
		       "routing-rule1=priority 12 from 192.0.2.10/32 table 100\n");
}

static void rules_and_nexthops_that_would_be_gone_are_refused(void **state)
{
	(void)state;
	assert_refused(NM "rules:\n" RULE("inet", "10", ", iif: eth0, terms: [tun_id 7]"),
		       QB_IP_INHERIT, "not-persistent", "rule 10, which names eth0");
	assert_refused(NM "rules: [{family: inet, priority: 10, table: 0, action: goto, iif: eth0, "
			  "terms: [goto 99], proto: boot}]\n",
		       QB_IP_INHERIT, "not-persistent", "rule 10, which names eth0");
	assert_refused(NM "nexthops:\n" NEXTHOP("7", ", proto: static"), QB_IP_INHERIT,
		       "not-persistent", "nexthop 7 by eth0");
}

/* They are of a routing daemon, which makes them anew. */
static void nexthops_of_others_are_not_refused(void **state)
{
	struct setup s;

	(void)state;
	load(&s, NM "nexthops:\n" NEXTHOP("7", ", proto: '11'"));
	plan(&s);
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_that_name_the_nic_name_the_bridge),
		cmocka_unit_test(rules_that_refuse_change_over_at_once),
		cmocka_unit_test(rules_that_cannot_be_moved_are_refused),
		cmocka_unit_test(rules_of_one_priority_may_be_moved),
		cmocka_unit_test(a_rule_is_there_to_the_letter),
		cmocka_unit_test(a_moved_rule_is_told_from_its_like),
		cmocka_unit_test(nexthop_objects_leave_by_the_bridge),
		cmocka_unit_test(rules_in_a_profile),
		cmocka_unit_test(rules_of_the_nics_profile_go_along),
		cmocka_unit_test(rules_like_those_of_the_nics_profile_stay),
		cmocka_unit_test(rules_of_others_are_in_no_profile),
		cmocka_unit_test(routes_of_a_lease_stay_in_their_table),
		cmocka_unit_test(rules_and_nexthops_that_would_be_gone_are_refused),
		cmocka_unit_test(nexthops_of_others_are_not_refused),
		cmocka_unit_test(routes_of_all_tables_go_along),
		cmocka_unit_test(all_that_a_route_is_goes_along),
		cmocka_unit_test(of_a_multipath_route_one_hop_is_exchanged),
		cmocka_unit_test(the_first_of_routes_that_are_alike_stays_first),
		cmocka_unit_test(only_the_route_of_an_address_comes_with_it),
		cmocka_unit_test(what_cannot_be_moved_is_refused),
		cmocka_unit_test(what_a_profile_can_say_is_in_it),
		cmocka_unit_test(what_a_profile_is_not_about_is_not_in_it),
		cmocka_unit_test(what_would_be_gone_after_a_reboot_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
