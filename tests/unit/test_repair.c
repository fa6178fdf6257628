/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host on which an earlier run bound br0, and on which the hardware is not the same any more:
 * what plan and apply refuse, and what repair does about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/schema.h"
#include "agent/plan.h"
#include "net/bound.h"
#include "net/link_fields.h"

#define NIC(name, number, mac, slot, rest)                                                         \
	"{name: " name ", ifindex: " number ", mac: 00:00:5e:00:53:" mac                           \
	", permanent_mac: 00:00:5e:00:53:" mac ", mtu: 1500, up: true, driver: ixgbe, path: "      \
	"pci-0000:" slot rest "}"
#define VETH(name, mac)                                                                            \
	"{name: " name ", ifindex: 9, kind: veth, mac: 00:00:5e:00:53:" mac ", mtu: 1500, up: "    \
	"true}"
#define BRIDGE(mac)                                                                                \
	"{name: br0, ifindex: 7, kind: bridge, mac: 00:00:5e:00:53:" mac                           \
	", mtu: 1500, up: true, stp: false, addresses: [{address: 192.0.2.10/24, "                 \
	"scope: global, flags: 128}]}"
#define HOST(links) "known: true\nlinks: [" links "]\n"

/* What the first run bound: eth0 in slot 01:00.0, whose MAC the bridge has. */
#define RECORD(match)                                                                              \
	"{\"bridge\": \"br0\", \"mac\": \"00:00:5e:00:53:01\", \"ports\": [{\"match\": "           \
	"\"" match "\", \"name\": \"eth0\", \"ifindex\": 2, \"mac\": \"00:00:5e:00:53:01\", "      \
	"\"permanent_mac\": \"00:00:5e:00:53:01\", \"path\": \"pci-0000:01:00.0\"}]}"
#define RECORD_VETH(match)                                                                         \
	"{\"bridge\": \"br0\", \"mac\": \"00:00:5e:00:53:01\", \"ports\": [{\"match\": "           \
	"\"" match "\", \"name\": \"up0\", \"ifindex\": 2, \"mac\": \"00:00:5e:00:53:01\"}]}"

struct setup {
	struct qb_net net;
	struct qb_plan plan;
	struct qb_port_match ports[2];
	struct qb_bridge_config config;
	struct qb_ledger_entry entries[4];
	struct qb_ledger ledger;
};

static void remember(struct setup *s, const char *kind, json_t *args)
{
	assert_non_null(args);
	s->entries[s->ledger.n_entries++] = (struct qb_ledger_entry){
		.kind = (char *)kind, .target = (char *)"br0", .args = args, .done = true};
	s->ledger.entries = s->entries;
}

static void load_net(struct setup *s, const char *yaml)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	qb_net_done(&s->net);
	if (qb_schema_load(&qb_net_type, yaml, strlen(yaml), QB_LOAD_STRICT, &s->net, NULL,
			   &diags) < 0)
		fail_msg("%s\n%s", diags.v[0].msg, yaml);
}

static void load(struct setup *s, const char *yaml, const char *record)
{
	*s = (struct setup){0};
	load_net(s, yaml);
	s->config =
		(struct qb_bridge_config){.name = (char *)"br0", .ports = s->ports, .n_ports = 1};
	if (record)
		remember(s, "net.bridge", json_loads(record, 0, NULL));
}

static void done(struct setup *s)
{
	qb_net_done(&s->net);
	qb_plan_done(&s->plan);
	for (size_t i = 0; i < s->ledger.n_entries; i++)
		json_decref(s->entries[i].args);
}

static void plan(struct setup *s, bool rebind)
{
	qb_plan_done(&s->plan);
	s->plan.rebind = rebind;
	qb_bridge_plan(&s->net, &s->config, 1, NULL, &s->ledger, &s->plan);
}

static const char *said(const struct setup *s)
{
	return s->plan.n_refused   ? s->plan.refused[0].reasons[0].evidence
	       : s->plan.n_changes ? s->plan.changes[0].why
				   : "nothing";
}

static void assert_refused(const struct setup *s, const char *code, const char *evidence)
{
	if (!s->plan.n_refused)
		fail_msg("not refused as %s, but %zu steps, and said: %s", code, s->plan.n_steps,
			 said(s));
	assert_string_equal(s->plan.refused[0].reasons[0].code, code);
	if (!strstr(said(s), evidence))
		fail_msg("\"%s\" does not say \"%s\"", said(s), evidence);
	assert_int_equal(s->plan.n_steps, 0);
}

/* The plan is this one step; the name of its first port. */
static const char *only_port(const struct setup *s, const char *kind)
{
	const json_t *ports;

	if (s->plan.n_refused || s->plan.n_steps != 1)
		fail_msg("%zu steps, %zu refused: %s", s->plan.n_steps, s->plan.n_refused, said(s));
	assert_string_equal(s->plan.steps[0].kind, kind);
	ports = json_object_get(s->plan.steps[0].args, "ports");
	return json_string_value(json_object_get(json_array_get(ports, 0), "name"));
}

/*
 * Each kind of matcher against each kind of change: the code with which plan and apply refuse
 * (NULL: they do not), and what repair takes and tells.
 */
#define ETH0 NIC("eth0", "2", "01", "01:00.0", ", master: br0")
#define NEW_IN_SLOT NIC("eth0", "2", "09", "01:00.0", "")
#define MOVED NIC("eth5", "2", "01", "05:00.0", ", master: br0")
#define RENAMED NIC("lan0", "2", "01", "01:00.0", ", master: br0")
#define OTHER NIC("eth1", "3", "02", "01:00.1", "")
static const struct {
	struct qb_port_match match;
	const char *record, *links;
	const char *refused;       /* by plan and apply */
	const char *change, *port; /* of repair; NULL: it refuses, too, with this code */
	const char *says;
} changes[] = {
	/* Nothing is different. */
	{{.match = (char *)"default-route"}, RECORD("default-route"), ETH0, NULL, NULL, "eth0", ""},
	{{.name = (char *)"eth0"}, RECORD("name eth0"), ETH0, NULL, NULL, "eth0", ""},
	/* Another card in the slot, whatever the configuration goes by. */
	{{.match = (char *)"default-route"},
	 RECORD("default-route"),
	 NEW_IN_SLOT,
	 "nic-missing",
	 "nic-replaced",
	 "eth0",
	 "in its slot is eth0 (00:00:5e:00:53:09, pci-0000:01:00.0, ixgbe)"},
	{{.driver = (char *)"ixgbe"},
	 RECORD("driver ixgbe"),
	 NEW_IN_SLOT,
	 "nic-missing",
	 "nic-replaced",
	 "eth0",
	 "00:00:5e:00:53:09"},
	{{.path = (char *)"pci-0000:01:00.0"},
	 RECORD("path pci-0000:01:00.0"),
	 NEW_IN_SLOT,
	 "nic-missing",
	 "nic-replaced",
	 "eth0",
	 "00:00:5e:00:53:09"},
	{{.mac = (char *)"00:00:5e:00:53:01"},
	 RECORD("MAC 00:00:5e:00:53:01"),
	 NEW_IN_SLOT,
	 "nic-missing",
	 "nic-replaced",
	 "eth0",
	 "00:00:5e:00:53:09"},
	{{.name = (char *)"eth0"},
	 RECORD("name eth0"),
	 NEW_IN_SLOT,
	 "nic-missing",
	 "nic-replaced",
	 "eth0",
	 "00:00:5e:00:53:09"},
	/* The card is in another slot: that matters to who named the slot. */
	{{.match = (char *)"default-route"},
	 RECORD("default-route"),
	 MOVED,
	 NULL,
	 "nic-moved",
	 "eth5",
	 "in another slot now: eth5"},
	{{.mac = (char *)"00:00:5E:00:53:01"},
	 RECORD("MAC 00:00:5e:00:53:01"),
	 MOVED,
	 NULL,
	 "nic-moved",
	 "eth5",
	 "pci-0000:05:00.0"},
	{{.path = (char *)"pci-0000:01:00.0"},
	 RECORD("path pci-0000:01:00.0"),
	 MOVED,
	 "nic-moved",
	 "nic-moved",
	 "eth5",
	 "pci-0000:05:00.0"},
	/* ...also when another one is in that slot by now. */
	{{.path = (char *)"pci-0000:01:00.0"},
	 RECORD("path pci-0000:01:00.0"),
	 MOVED ", " NEW_IN_SLOT,
	 "nic-moved",
	 "nic-moved",
	 "eth5",
	 "pci-0000:05:00.0"},
	/* It has another name: that matters to who goes by the name. */
	{{.match = (char *)"default-route"},
	 RECORD("default-route"),
	 RENAMED,
	 NULL,
	 "nic-renamed",
	 "lan0",
	 "called now lan0"},
	{{.path = (char *)"pci-0000:01:00.0"},
	 RECORD("path pci-0000:01:00.0"),
	 RENAMED,
	 NULL,
	 "nic-renamed",
	 "lan0",
	 "eth0 (00:00:5e:00:53:01, pci-0000:01:00.0)"},
	{{.name = (char *)"eth0"},
	 RECORD("name eth0"),
	 RENAMED,
	 "nic-renamed",
	 "nic-renamed",
	 "lan0",
	 "lan0"},
	/* ...also when its name is another one's now. */
	{{.name = (char *)"eth0"},
	 RECORD("name eth0"),
	 RENAMED ", " NIC("eth0", "3", "02", "01:00.1", ""),
	 "nic-renamed",
	 "nic-renamed",
	 "lan0",
	 "lan0"},
	/* Gone, and nothing in its slot: no other is taken, not even the only one. */
	{{.match = (char *)"default-route"},
	 RECORD("default-route"),
	 OTHER,
	 "nic-missing",
	 NULL,
	 NULL,
	 "not in use are: eth1 (00:00:5e:00:53:02, pci-0000:01:00.1, ixgbe)"},
	{{.name = (char *)"eth0"},
	 RECORD("name eth0"),
	 NIC("eth0", "3", "02", "01:00.1", ""),
	 "nic-missing",
	 NULL,
	 NULL,
	 "no one NIC is in its slot"},
	{{.path = (char *)"pci-0000:01:00.0"},
	 RECORD("path pci-0000:01:00.0"),
	 NIC("eth1", "3", "02", "01:00.1", ", master: br1"),
	 "nic-missing",
	 NULL,
	 NULL,
	 "not in use are: none"},
	/* Two in the slot, as of a card with two ports of one function. */
	{{.match = (char *)"default-route"},
	 RECORD("default-route"),
	 NEW_IN_SLOT ", " NIC("eth8", "8", "08", "01:00.0", ""),
	 "nic-missing",
	 NULL,
	 NULL,
	 "eth8"},
	/* Where there are no slots the name counts, if the configuration goes by it. */
	{{.name = (char *)"up0"},
	 RECORD_VETH("name up0"),
	 VETH("up0", "09"),
	 "nic-missing",
	 "nic-replaced",
	 "up0",
	 "of its name is up0 (00:00:5e:00:53:09)"},
	{{.match = (char *)"default-route"},
	 RECORD_VETH("default-route"),
	 VETH("up0", "09"),
	 "nic-missing",
	 NULL,
	 NULL,
	 "up0"},
	{{.name = (char *)"up0"},
	 RECORD_VETH("name up0"),
	 NEW_IN_SLOT,
	 "nic-missing",
	 NULL,
	 NULL,
	 "eth0"},
	/* Two with the MAC that was recorded. */
	{{.match = (char *)"default-route"},
	 RECORD_VETH("default-route"),
	 VETH("up0", "01") ", " VETH("up1", "01"),
	 "ambiguous",
	 NULL,
	 NULL,
	 "more than one"},
};

static void every_change_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(changes); i++) {
		_cleanup_free_ char *yaml =
			qb_asprintf(HOST("%s, %s"), changes[i].links, BRIDGE("01"));
		struct setup s;

		load(&s, yaml, changes[i].record);
		s.ports[0] = changes[i].match;
		plan(&s, false);
		assert_int_equal(s.plan.n_changes, 0);
		if (changes[i].refused)
			assert_refused(&s, changes[i].refused, "br0 was bound to");
		else if (s.plan.n_refused || s.plan.n_steps)
			fail_msg("%zu: %s", i, said(&s));
		plan(&s, true);
		if (!changes[i].port)
			assert_refused(&s, changes[i].refused, changes[i].says);
		else if (!changes[i].change && s.plan.n_changes + s.plan.n_steps)
			fail_msg("%zu: %s", i, said(&s));
		if (changes[i].port && changes[i].change) {
			assert_int_equal(s.plan.n_changes, 1);
			assert_string_equal(s.plan.changes[0].kind, changes[i].change);
			if (!strstr(said(&s), changes[i].says))
				fail_msg("%zu: \"%s\" does not say \"%s\"", i, said(&s),
					 changes[i].says);
			assert_string_equal(
				only_port(&s, strcmp(changes[i].change, "nic-replaced") != 0
						      ? "net.bind"
						      : "net.bridge"),
				changes[i].port);
		}
		done(&s);
	}
}

/* What a step of repair leaves in the journal is what the next plan goes by. */
static void a_second_run_says_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(changes); i++) {
		_cleanup_free_ char *yaml = NULL;
		struct setup s;

		if (!changes[i].change)
			continue;
		yaml = qb_asprintf(HOST("%s, %s"), changes[i].links, BRIDGE("01"));
		load(&s, yaml, changes[i].record);
		s.ports[0] = changes[i].match;
		plan(&s, true);
		remember(&s, s.plan.steps[0].kind, json_incref(s.plan.steps[0].args));
		/* Its port is in. */
		for (size_t j = 0; j < s.net.n_links; j++)
			if (!strcmp(s.net.links[j].name, changes[i].port))
				qb_strset(&s.net.links[j].master, "br0");
		for (int rebind = 1; rebind >= 0; rebind--) {
			plan(&s, rebind);
			if (s.plan.n_refused || s.plan.n_steps || s.plan.n_changes)
				fail_msg("%zu: %s", i, said(&s));
		}
		done(&s);
	}
}

/* What was named by its MAC comes back, and what took its place is still there. */
static void two_that_could_be_meant_are_not_chosen_from(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST(NEW_IN_SLOT), RECORD("MAC 00:00:5e:00:53:01"));
	s.ports[0].mac = (char *)"00:00:5e:00:53:01";
	plan(&s, true);
	assert_string_equal(only_port(&s, "net.bridge"), "eth0");
	remember(&s, "net.bridge", json_incref(s.plan.steps[0].args));
	load_net(&s, HOST(NEW_IN_SLOT ", " NIC("eth5", "5", "01", "05:00.0", "")));
	for (int rebind = 0; rebind < 2; rebind++) {
		plan(&s, rebind);
		assert_refused(&s, "ambiguous", "eth5");
	}
	done(&s);
}

static void reordered_ports_keep_their_nics(void **state)
{
	static const char ports[] =
		"{\"ports\": [{\"match\": \"driver ixgbe\", \"name\": \"eth0\", \"mac\": "
		"\"00:00:5e:00:53:01\", \"path\": \"pci-0000:01:00.0\"}, {\"match\": \"name "
		"eth1\", "
		"\"name\": \"eth1\", \"mac\": \"00:00:5e:00:53:02\", \"path\": "
		"\"pci-0000:01:00.1\"}]}";
	/* Of earlier versions: without how it was matched. */
	static const char places[] =
		"{\"ports\": [{\"name\": \"eth0\", \"mac\": \"00:00:5e:00:53:01\"}, "
		"{\"name\": \"eth1\", \"mac\": \"00:00:5e:00:53:02\"}]}";
	const char *const records[] = {ports, ports, places};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(records); i++) {
		bool reordered = i == 1;
		struct setup s;

		load(&s, HOST(NIC("eth0", "2", "01", "01:00.0", "") ", " OTHER), records[i]);
		s.config.n_ports = 2;
		s.ports[reordered].driver = (char *)"ixgbe";
		s.ports[!reordered].name = (char *)"eth1";
		plan(&s, false);
		assert_string_equal(only_port(&s, "net.bridge"), reordered ? "eth1" : "eth0");
		done(&s);
	}
}

/* A bond has the MAC of a NIC below it, which is not to be taken for it. */
static void software_is_known_by_its_name(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST(NIC("eth0", "2", "01", "01:00.0", "")),
	     "{\"ports\": [{\"match\": \"default-route\", \"name\": \"bond0\", \"kind\": \"bond\", "
	     "\"mac\": \"00:00:5e:00:53:01\"}]}");
	s.ports[0].match = (char *)"default-route";
	plan(&s, true);
	assert_refused(&s, "nic-missing", "bond0");
	done(&s);
}

static const char *mac_of(const struct setup *s)
{
	return json_string_value(json_object_get(s->plan.steps[0].args, "mac"));
}

static void the_bridge_keeps_its_mac(void **state)
{
	static const struct {
		const char *links, *mac;
		bool warned;
	} cases[] = {
		/* As it was recorded, whether the bridge is there or to be made. */
		{NEW_IN_SLOT ", " BRIDGE("01"), "00:00:5e:00:53:01", true},
		{NEW_IN_SLOT, "00:00:5e:00:53:01", true},
		/* Somebody here has it, and is no port of it: two would answer. */
		{NEW_IN_SLOT ", {name: eth4, ifindex: 4, mac: 00:00:5e:00:53:01, "
			     "permanent_mac: 00:00:5e:00:53:04, path: pci-0000:04:00.0}",
		 "00:00:5e:00:53:09", false},
		{NEW_IN_SLOT
		 ", {name: eth4, ifindex: 4, mac: 00:00:5e:00:53:01, master: br0, "
		 "permanent_mac: 00:00:5e:00:53:04, path: pci-0000:04:00.0}, " BRIDGE("01"),
		 "00:00:5e:00:53:01", true},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *yaml = qb_asprintf(HOST("%s"), cases[i].links);
		struct setup s;

		load(&s, yaml, RECORD("path pci-0000:01:00.0"));
		s.ports[0].path = (char *)"pci-0000:01:00.0";
		plan(&s, true);
		assert_string_equal(only_port(&s, "net.bridge"), "eth0");
		assert_string_equal(mac_of(&s), cases[i].mac);
		assert_int_equal(strstr(said(&s), "into no other host") != NULL, cases[i].warned);
		done(&s);
	}
}

/* NetworkManager's profile of the port goes by what the port is now. */
static void the_profile_follows(void **state)
{
	static const struct {
		struct qb_port_match match;
		const char *record, *links, *line;
	} cases[] = {
		{{.match = (char *)"default-route"},
		 RECORD("default-route"),
		 NEW_IN_SLOT,
		 "\nmac-address=00:00:5e:00:53:09\n"},
		{{.path = (char *)"pci-0000:01:00.0"},
		 RECORD("path pci-0000:01:00.0"),
		 MOVED,
		 "\nmac-address=00:00:5e:00:53:01\n"},
		{{.path = (char *)"pci-0000:01:00.0"},
		 RECORD("path pci-0000:01:00.0"),
		 NEW_IN_SLOT,
		 "\npath=pci-0000:01:00.0\n"},
		{{.name = (char *)"eth0"}, RECORD("name eth0"), RENAMED, "\ninterface-name=lan0\n"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *yaml =
			qb_asprintf(HOST("%s, %s") "networkmanager_installed: true\n",
				    cases[i].links, BRIDGE("01"));
		const char *bridge, *port;
		struct setup s;

		load(&s, yaml, cases[i].record);
		s.ports[0] = cases[i].match;
		plan(&s, true);
		assert_int_equal(s.plan.n_steps, 2);
		assert_string_equal(s.plan.steps[1].kind, "net.persist");
		assert_int_equal(json_unpack(s.plan.steps[1].args, "{s:[{s:s}, {s:s}]}", "files",
					     "text", &bridge, "text", &port),
				 0);
		assert_non_null(strstr(bridge, "\ncloned-mac-address=00:00:5e:00:53:01\n"));
		if (!strstr(port, cases[i].line))
			fail_msg("%zu: no%sin\n%s", i, cases[i].line, port);
		done(&s);
	}
}

static void changes_are_sentences_and_json(void **state)
{
	_cleanup_buf_ struct qb_buf out = {0};
	json_auto_t *json = NULL;
	const char *kind, *was, *is;
	struct setup s;

	(void)state;
	load(&s, HOST(NEW_IN_SLOT ", " BRIDGE("01")), RECORD("default-route"));
	s.ports[0].match = (char *)"default-route";
	plan(&s, true);
	qb_plan_changes_text(&s.plan, false, 72, &out);
	assert_string_equal(
		out.s, "Hardware that changed since the last success:\n"
		       "  - br0 was bound to eth0 (00:00:5e:00:53:01, pci-0000:01:00.0), which\n"
		       "    is gone; in its slot is eth0 (00:00:5e:00:53:09, pci-0000:01:00.0,\n"
		       "    ixgbe); br0 keeps the MAC address 00:00:5e:00:53:01: put the old\n"
		       "    card into no other host of this network\n\n");
	json = qb_plan_changes_json(&s.plan);
	assert_int_equal(json_unpack(json, "[{s:s, s:{s:s}, s:{s:s}}]", "kind", &kind, "was", "mac",
				     &was, "is", "mac", &is),
			 0);
	assert_string_equal(kind, "nic-replaced");
	assert_string_equal(was, "00:00:5e:00:53:01");
	assert_string_equal(is, "00:00:5e:00:53:09");
	plan(&s, false);
	qb_buf_done(&out);
	out = (struct qb_buf){0};
	qb_plan_changes_text(&s.plan, false, 72, &out);
	assert_string_equal(out.s, "No hardware has changed since the last success.\n\n");
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_is_told),
		cmocka_unit_test(a_second_run_says_nothing),
		cmocka_unit_test(two_that_could_be_meant_are_not_chosen_from),
		cmocka_unit_test(reordered_ports_keep_their_nics),
		cmocka_unit_test(software_is_known_by_its_name),
		cmocka_unit_test(the_bridge_keeps_its_mac),
		cmocka_unit_test(the_profile_follows),
		cmocka_unit_test(changes_are_sentences_and_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
