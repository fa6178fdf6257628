/* SPDX-License-Identifier: Apache-2.0 */
/* A bridge that is gone: what its port is to have again, and what a boot is to make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>

#include <cmocka.h>

#include "agent/base/schema.h"
#include "agent/host/plan.h"
#include "net/link_fields.h"
#include "net/restore.h"

#define ADDRESS(a) "{address: " a ", scope: global, flags: 128}"
#define NIC(name, rest)                                                                            \
	"{name: " name ", ifindex: 2, mac: 00:00:5e:00:53:01, permanent_mac: 00:00:5e:00:53:01, "  \
	"mtu: 1500, up: true" rest "}"
#define ETH0 NIC("eth0", "")
#define BOTH "{\"address\": \"192.0.2.10/24\"}, {\"address\": \"2001:db8::10/64\"}"
#define OWN "{\"address\": \"192.0.2.10/24\", \"scope\": \"global\", \"flags\": 128}"
#define ROUTES                                                                                     \
	"{\"family\": \"inet\", \"dst\": \"default\", \"gateway\": \"192.0.2.1\", "                \
	"\"table\": 254}, {\"family\": \"inet6\", \"dst\": \"default\", "                          \
	"\"gateway\": \"2001:db8::1\", \"table\": 254}"
/* "inherit", with a rule and a nexthop object. */
#define RUN                                                                                        \
	"{\"source\": \"eth0\", \"mtu\": 1500, \"ports\": [{\"name\": \"eth0\", "                  \
	"\"permanent_mac\": \"00:00:5e:00:53:01\"}], \"add\": [" BOTH "], \"drop\": [" BOTH        \
	"], \"add_routes\": [" ROUTES "], \"drop_routes\": [" ROUTES "], \"rules\": [{"            \
	"\"family\": \"inet\", \"priority\": 500, \"table\": 100, \"iif\": \"eth0\", \"action\": " \
	"\"lookup\", \"terms\": [\"fwmark 1\"]}], "                                                \
	"\"nexthops\": [{\"id\": 7, \"family\": \"inet\", \"gateway\": \"192.0.2.1\"}]}"
/* The bridge got another address than the port had. */
#define OTHER                                                                                      \
	"{\"source\": \"eth0\", \"ports\": [{\"name\": \"eth0\", \"permanent_mac\": "              \
	"\"00:00:5e:00:53:01\"}], \"add\": [{\"address\": \"192.0.2.30/24\"}], "                   \
	"\"drop\": [" BOTH "]}"
/* A later one found an address on the port again. */
#define LATER                                                                                      \
	"{\"source\": \"eth0\", \"ports\": [{\"name\": \"eth0\", \"permanent_mac\": "              \
	"\"00:00:5e:00:53:01\"}], \"add\": [{\"address\": \"192.0.2.11/24\"}], "                   \
	"\"drop\": [{\"address\": \"192.0.2.11/24\"}]}"

struct run {
	const char *args;
	bool done;
};

static void load_net(const char *links, const char *rest, struct qb_net *ret)
{
	_cleanup_free_ char *yaml = qb_asprintf("known: true\nlinks: [%s]\n%s", links, rest);
	_cleanup_diags_ struct qb_diags diags = {0};

	if (qb_schema_load(&qb_net_type, yaml, strlen(yaml), QB_LOAD_STRICT, ret, NULL, &diags) < 0)
		fail_msg("%s\n%s", diags.v[0].msg, yaml);
}

static void parse(const char *text, struct qb_config *ret)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	if (qb_config_parse(text, strlen(text), ret, &diags) < 0)
		fail_msg("%s", diags.v[0].msg);
}

static void add_entry(struct qb_ledger *ledger, const char *kind, const char *target,
		      const char *args, bool done)
{
	*QB_APPEND(ledger->entries, ledger->n_entries) = (struct qb_ledger_entry){
		.kind = qb_strdup(kind),
		.target = qb_strdup(target),
		.args = json_loads(args, 0, NULL),
		.done = done,
	};
	assert_non_null(ledger->entries[ledger->n_entries - 1].args);
}

/* "192.0.2.10/24 default default rule 500 nexthop 7": what a step gives, in its order. */
static char *given(const json_t *args)
{
	struct qb_buf b = {0};
	const json_t *item;
	size_t i;

	qb_buf_puts(&b, qb_arg(args, "source"));
	json_array_foreach (json_object_get(args, "drop"), i, item)
		qb_buf_printf(&b, " %s", qb_arg(item, "address"));
	json_array_foreach (json_object_get(args, "drop_routes"), i, item)
		qb_buf_printf(&b, " %s", qb_arg(item, "gateway"));
	json_array_foreach (json_object_get(args, "rules"), i, item)
		qb_buf_printf(&b, " rule %lld",
			      (long long)json_integer_value(json_object_get(item, "priority")));
	json_array_foreach (json_object_get(args, "nexthops"), i, item)
		qb_buf_printf(&b, " nexthop %lld",
			      (long long)json_integer_value(json_object_get(item, "id")));
	return b.s;
}

#define ALL "192.0.2.10/24 2001:db8::10/64 192.0.2.1 2001:db8::1 rule 500 nexthop 7"

/* Lost is what runs moved to a bridge that is gone, and nobody has given the port since. */
static void what_went_with_the_bridge_comes_again(void **state)
{
	static const struct {
		const char *what, *links, *rest;
		enum qb_ip_mode ipv4, ipv6;
		struct run runs[3];
		const char *wanted; /* NULL: no step */
	} cases[] = {
		{"all of it", ETH0, "", 0, 0, {{RUN, true}}, "eth0 " ALL},
		{"the port by its MAC", NIC("eno1", ""), "", 0, 0, {{RUN, true}}, "eno1 " ALL},
		{"the bridge is there",
		 ETH0 ", {name: br0, ifindex: 3, kind: bridge}",
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 NULL},
		{"its owner gave it an IPv4 address",
		 NIC("eth0", ", addresses: [" ADDRESS("192.0.2.20/24") "]"),
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 2001:db8::10/64 2001:db8::1"},
		{"its owner gave it both",
		 NIC("eth0",
		     ", addresses: [" ADDRESS("192.0.2.20/24") ", " ADDRESS("2001:db8::20/64") "]"),
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 NULL},
		{"a link-local address is nobody's gift",
		 NIC("eth0", ", addresses: [" ADDRESS("fe80::1/64") "]"),
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 " ALL},
		{"another link has the IPv4 address by now",
		 ETH0 ", {name: eth1, ifindex: 5, mac: 00:00:5e:00:53:02, addresses: [" ADDRESS(
			 "192.0.2.10/24") "]}",
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 2001:db8::10/64 2001:db8::1"},
		{"a default route leaves by another link",
		 ETH0 ", {name: eth1, ifindex: 5, mac: 00:00:5e:00:53:02}",
		 "routes: [{family: inet, dst: default, gateway: 198.51.100.1, table: 254, dev: "
		 "eth1, type: unicast, scope: global, proto: boot}]\n",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 192.0.2.10/24 2001:db8::10/64 2001:db8::1 rule 500 nexthop 7"},
		{"one of another metric",
		 ETH0 ", {name: eth1, ifindex: 5, mac: 00:00:5e:00:53:02}",
		 "routes: [{family: inet, dst: default, gateway: 198.51.100.1, table: 254, metric: "
		 "9, dev: eth1, type: unicast, scope: global, proto: boot}]\n",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 " ALL},
		{"IPv4 is configured by now",
		 ETH0,
		 "",
		 QB_IP_STATIC,
		 0,
		 {{RUN, true}},
		 "eth0 2001:db8::10/64 2001:db8::1"},
		{"IPv6 is not to be",
		 ETH0,
		 "",
		 0,
		 QB_IP_NONE,
		 {{RUN, true}},
		 "eth0 192.0.2.10/24 192.0.2.1 rule 500 nexthop 7"},
		{"what the bridge did not get", ETH0, "", 0, 0, {{OTHER, true}}, NULL},
		{"a run that was broken off", ETH0, "", 0, 0, {{RUN, false}}, NULL},
		{"the one before it", ETH0, "", 0, 0, {{RUN, true}, {LATER, false}}, "eth0 " ALL},
		{"two runs",
		 ETH0,
		 "",
		 0,
		 0,
		 {{RUN, true}, {LATER, true}},
		 "eth0 192.0.2.11/24 192.0.2.10/24 2001:db8::10/64 192.0.2.1 2001:db8::1 rule 500 "
		 "nexthop 7"},
		{"no run", ETH0, "", 0, 0, {{NULL, false}}, NULL},
		{"another card has the name of the port",
		 "{name: eth0, ifindex: 2, mac: 00:00:5e:00:53:02, permanent_mac: "
		 "00:00:5e:00:53:02, mtu: 1500, up: true}",
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 NULL},
		{"another card has the name of the port, which has another one",
		 "{name: eth0, ifindex: 2, mac: 00:00:5e:00:53:02, permanent_mac: "
		 "00:00:5e:00:53:02, mtu: 1500, up: true}, " NIC("eth1", ""),
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 "eth1 " ALL},
		{"the port is another bridge's",
		 NIC("eth0", ", master: br9"),
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 NULL},
		{"the port is gone",
		 "{name: eth1, ifindex: 5, mac: 00:00:5e:00:53:02}",
		 "",
		 0,
		 0,
		 {{RUN, true}},
		 NULL},
		{"a rule that names the bridge is there",
		 ETH0,
		 "rules: [{family: inet, priority: 500, table: 100, iif: br0, action: lookup, "
		 "terms: [fwmark 1]}]\n",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 192.0.2.10/24 2001:db8::10/64 192.0.2.1 2001:db8::1 nexthop 7"},
		{"one of that priority that asks for another link",
		 ETH0,
		 "rules: [{family: inet, priority: 500, table: 100, iif: eth7, action: lookup}]\n",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 " ALL},
		{"one that asks for another mark",
		 ETH0,
		 "rules: [{family: inet, priority: 500, table: 100, iif: br0, action: lookup, "
		 "terms: [fwmark 2]}]\n",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 " ALL},
		{"the nexthop object is there",
		 ETH0,
		 "nexthops: [{id: 7, family: inet, dev: eth0, gateway: 192.0.2.1}]\n",
		 0,
		 0,
		 {{RUN, true}},
		 "eth0 192.0.2.10/24 2001:db8::10/64 192.0.2.1 2001:db8::1 rule 500"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_bridge_config config = {.name = (char *)"br0",
						  .ipv4.mode = cases[i].ipv4,
						  .ipv6.mode = cases[i].ipv6};
		_cleanup_net_ struct qb_net net = {0}, after = {0};
		_cleanup_plan_ struct qb_plan plan = {0};
		struct qb_ledger ledger = {0};
		_cleanup_free_ char *got = NULL;

		load_net(cases[i].links, cases[i].rest, &net);
		for (size_t j = 0; cases[i].runs[j].args; j++)
			add_entry(&ledger, "net.bridge", "br0", cases[i].runs[j].args,
				  cases[i].runs[j].done);
		qb_restore_plan(&net, &config, 1, &ledger, &plan, &after);
		got = plan.n_steps ? given(plan.steps[0].args) : NULL;
		if (!qb_streq(got, cases[i].wanted))
			fail_msg("%s: %s", cases[i].what, got ? got : "no step");
		qb_ledger_done(&ledger);
	}
}

/* repair says so, and nothing else does. */
static void a_card_in_the_place_of_another_has_what_that_had(void **state)
{
	struct qb_bridge_config config = {.name = (char *)"br0"};
	_cleanup_net_ struct qb_net net = {0}, after = {0};
	_cleanup_plan_ struct qb_plan plan = {.rebind = true};
	struct qb_ledger ledger = {0};
	_cleanup_free_ char *got = NULL;

	(void)state;
	load_net("{name: eth0, ifindex: 2, mac: 00:00:5e:00:53:02, up: true}", "", &net);
	add_entry(&ledger, "net.bridge", "br0", RUN, true);
	assert_true(qb_restore_plan(&net, &config, 1, &ledger, &plan, &after));
	got = given(plan.steps[0].args);
	assert_string_equal(got, "eth0 " ALL);
	qb_ledger_done(&ledger);
}

/* NetworkManager was there, who renewed it. */
static void what_was_leased_is_not_given_again(void **state)
{
	static const struct {
		const char *before, *wanted;
	} cases[] = {
		{"{\"lifetimes\": {\"192.0.2.10/24\": [3600, 3600]}}",
		 "eth0 2001:db8::10/64 2001:db8::1"},
		/* Others are just not to be preferred. */
		{"{\"lifetimes\": {\"192.0.2.10/24\": [4294967295, 0]}}", "eth0 " ALL},
	};
	struct qb_bridge_config config = {.name = (char *)"br0"};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_net_ struct qb_net net = {0}, after = {0};
		_cleanup_plan_ struct qb_plan plan = {0};
		struct qb_ledger ledger = {0};
		_cleanup_free_ char *got = NULL;

		load_net(ETH0, "", &net);
		add_entry(&ledger, "net.bridge", "br0", RUN, true);
		ledger.entries[0].before = json_loads(cases[i].before, 0, NULL);
		qb_restore_plan(&net, &config, 1, &ledger, &plan, &after);
		got = given(plan.steps[0].args);
		assert_string_equal(got, cases[i].wanted);
		qb_ledger_done(&ledger);
	}
}

/* What somebody gave a VLAN that a run had made: it is made again first. */
static void a_port_that_is_made_has_it_again(void **state)
{
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_buf_ struct qb_buf got = {0};
	struct qb_ledger ledger = {0};

	(void)state;
	parse("version: 1\nvlans: [{name: eth0.5, id: 5, link: eth0}]\n"
	      "bridges: [{name: br0, ports: {name: eth0.5}}]\n",
	      &config);
	load_net(ETH0, "", &facts.net);
	add_entry(&ledger, "net.bridge", "br0",
		  "{\"source\": \"eth0.5\", \"ports\": [{\"name\": \"eth0.5\", \"kind\": \"vlan\", "
		  "\"match\": \"name eth0.5\"}], \"add\": [" OWN "], \"drop\": [" OWN "]}",
		  true);
	qb_net_plan(&facts, &config, &ledger, &plan);
	for (size_t i = 0; i < plan.n_steps; i++)
		qb_buf_printf(&got, "%s %s;", plan.steps[i].kind, plan.steps[i].target);
	if (plan.n_refused)
		fail_msg("%s", plan.refused[0].reasons[0].evidence);
	assert_string_equal(got.s, "net.link eth0.5;net.restore eth0.5;net.bridge br0;");
	assert_int_equal(json_array_size(json_object_get(plan.steps[plan.n_steps - 1].args, "add")),
			 1);
	qb_ledger_done(&ledger);
}

/* The plan of the bridge goes on from what the port will have. */
static void the_bridge_inherits_it(void **state)
{
	struct qb_bridge_config config = {.name = (char *)"br0"};
	_cleanup_net_ struct qb_net net = {0}, after = {0};
	_cleanup_plan_ struct qb_plan plan = {0};
	struct qb_ledger ledger = {0};
	const struct qb_link *eth0;

	(void)state;
	load_net(ETH0, "", &net);
	add_entry(&ledger, "net.bridge", "br0", RUN, true);
	assert_true(qb_restore_plan(&net, &config, 1, &ledger, &plan, &after));
	assert_string_equal(plan.steps[0].target, "eth0");
	eth0 = qb_net_link(&after, "eth0");
	assert_int_equal(eth0->n_addresses, 2);
	assert_int_equal(eth0->addresses[0].valid_s, UINT32_MAX);
	assert_int_equal(after.n_routes, 2);
	assert_string_equal(after.routes[0].dev, "eth0");
	assert_string_equal(after.rules[0].iif, "eth0");
	assert_string_equal(after.nexthops[0].dev, "eth0");
	assert_int_equal(qb_net_link(&net, "eth0")->n_addresses, 0);
	qb_ledger_done(&ledger);
}

#define CONFIG                                                                                     \
	"version: 1\n"                                                                             \
	"bonds: [{name: bond0, ports: [{name: eth1}]}]\n"                                          \
	"vlans: [{name: bond0.5, id: 5, link: bond0}]\n"                                           \
	"bridges:\n"                                                                               \
	"  - {name: br0, ports: [{match: default-route}], libvirt-network: host}\n"                \
	"  - {name: br1, ports: {name: bond0.5, pvid: 0, tagged: 7}, vlan-filtering: true,\n"      \
	"     pvid: 9, ipv4: {addresses: 192.0.2.30/24, gateway: 192.0.2.1}}\n"                    \
	"pools: [{name: iso, type: dir, target: /srv/iso}]\n"

static char *part_of(const struct qb_config *config)
{
	json_auto_t *part = qb_boot_part(config);

	return json_dumps(part, JSON_COMPACT);
}

/* What is kept for a boot is read again as it was written. */
static void the_network_is_kept(void **state)
{
	_cleanup_config_ struct qb_config config = {0}, again = {0};
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct qb_ledger ledger = {0};
	struct qb_error err;

	(void)state;
	parse(CONFIG, &config);
	ledger.config = qb_boot_part(&config);
	assert_null(json_object_get(ledger.config, "pools"));
	for (size_t i = 0; i < 4; i++)
		add_entry(&ledger, i < 2 ? "net.link" : "net.bridge",
			  ((const char *[]){"bond0", "bond0.5", "br0", "br1"})[i], "{}", true);
	if (qb_boot_config(&ledger, &again, &err) < 0)
		fail_msg("%s", err.msg);
	before = part_of(&config);
	after = part_of(&again);
	assert_string_equal(before, after);
	assert_int_equal(again.bridges[0].ports[0].pvid, -1);
	assert_int_equal(again.bridges[1].ports[0].pvid, 0);
	qb_ledger_done(&ledger);
}

/* Neither what somebody else made, nor what was only begun, nor what was undone. */
static void only_what_runs_made_is_made_again(void **state)
{
	_cleanup_config_ struct qb_config config = {0}, again = {0};
	struct qb_ledger ledger = {0};

	(void)state;
	parse(CONFIG, &config);
	ledger.config = qb_boot_part(&config);
	add_entry(&ledger, "net.bind", "br0", "{}", true);
	add_entry(&ledger, "net.bridge", "br0", "{}", false);
	add_entry(&ledger, "net.bridge", "br1", "{}", true);
	add_entry(&ledger, "net.link", "bond0", "{}", true);
	assert_int_equal(qb_boot_config(&ledger, &again, NULL), 0);
	assert_int_equal(again.n_bridges, 1);
	assert_string_equal(again.bridges[0].name, "br1");
	assert_int_equal(again.n_bonds, 1);
	assert_int_equal(again.n_vlans, 0);
	qb_ledger_done(&ledger);
}

/* By whatever words the configuration named it. */
static void a_vlan_stands_where_it_stood(void **state)
{
	static const struct {
		const char *lower, *mac, *name;
	} cases[] = {
		{"[{\"name\": \"eth0\", \"mac\": \"00:00:5e:00:53:02\", \"permanent_mac\": "
		 "\"00:00:5e:00:53:01\"}]",
		 "00:00:5e:00:53:01", NULL},
		{"[{\"name\": \"eth0\", \"mac\": \"00:00:5e:00:53:02\"}]", "00:00:5e:00:53:02",
		 NULL},
		{"[{\"name\": \"bond0\", \"mac\": \"00:00:5e:00:53:02\", \"kind\": \"bond\"}]",
		 NULL, "bond0"},
		/* Noted by an earlier version. */
		{"[]", NULL, NULL},
	};
	_cleanup_config_ struct qb_config config = {0};

	(void)state;
	parse("version: 1\nvlans: [{name: eth0.5, id: 5, link: {match: default-route}}]\n",
	      &config);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_config_ struct qb_config again = {0};
		struct qb_ledger ledger = {.config = qb_boot_part(&config)};

		add_entry(&ledger, "net.link", "eth0.5", "{}", true);
		ledger.entries[0].before =
			json_pack("{s:o}", "ports", json_loads(cases[i].lower, 0, NULL));
		assert_int_equal(qb_boot_config(&ledger, &again, NULL), 0);
		assert_true(qb_streq(again.vlans[0].link.mac, cases[i].mac));
		assert_true(qb_streq(again.vlans[0].link.name, cases[i].name));
		assert_int_equal(again.vlans[0].link.match != NULL, i == QB_ARRAY_SIZE(cases) - 1);
		qb_ledger_done(&ledger);
	}
}

static void without_a_run_there_is_nothing(void **state)
{
	_cleanup_config_ struct qb_config config = {0};
	struct qb_ledger ledger = {0};

	(void)state;
	assert_int_equal(qb_boot_config(&ledger, &config, NULL), 0);
	assert_int_equal(config.n_bridges, 0);
}

static void a_damaged_one_is_an_error(void **state)
{
	_cleanup_config_ struct qb_config config = {0};
	struct qb_error err = QB_ERROR_INIT;
	struct qb_ledger ledger = {.config = json_pack("{s:i, s:[{s:s, s:i}]}", "version", 1,
						       "bridges", "name", "br0", "ports", 5)};

	(void)state;
	add_entry(&ledger, "net.bridge", "br0", "{}", true);
	assert_int_equal(qb_boot_config(&ledger, &config, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "run qubi-agent apply"));
	qb_ledger_done(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_went_with_the_bridge_comes_again),
		cmocka_unit_test(a_card_in_the_place_of_another_has_what_that_had),
		cmocka_unit_test(what_was_leased_is_not_given_again),
		cmocka_unit_test(a_port_that_is_made_has_it_again),
		cmocka_unit_test(the_bridge_inherits_it),
		cmocka_unit_test(the_network_is_kept),
		cmocka_unit_test(only_what_runs_made_is_made_again),
		cmocka_unit_test(a_vlan_stands_where_it_stood),
		cmocka_unit_test(without_a_run_there_is_nothing),
		cmocka_unit_test(a_damaged_one_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
