/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bridges that others made and that are as the configuration wants them, as captured: they are
 * left to their owners. No step, no profile of ours beside theirs, and none after a second look.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/host/plan.h"
#include "net/bridge.h"

#define MACHINE_ID "0123456789abcdef0123456789abcdef"

#define NIC(name, number, mac, slot, rest)                                                         \
	"{name: " name ", ifindex: " number ", mac: '00:00:5e:00:53:" mac                          \
	"', permanent_mac: '00:00:5e:00:53:" mac "', mtu: 1500, up: true, driver: igb, "           \
	"path: 'pci-0000:" slot "'" rest "}"
#define BRIDGE(name, mac, mtu, stp, addresses)                                                     \
	"{name: " name ", ifindex: 7, kind: bridge, mac: '00:00:5e:00:53:" mac "', mtu: " mtu      \
	", up: true, stp: " stp ", addresses: [" addresses "]}"
/* 128 is permanent; 512 noprefixroute, as NetworkManager has them. */
#define FIXED(flags) "{address: 192.0.2.10/24, scope: global, flags: " flags "}"
#define LEASE                                                                                      \
	"{address: 192.0.2.10/24, scope: global, flags: 512, valid_s: 3000, preferred_s: 3000}"
#define DEFAULT(dev, proto)                                                                        \
	"{family: inet, dst: default, gateway: 192.0.2.1, dev: " dev ", type: unicast, "           \
	"scope: global, proto: " proto ", table: 254, metric: 425, n_nexthops: 1}"
#define ONLINK(dev)                                                                                \
	"{family: inet, dst: 192.0.2.0/24, dev: " dev ", prefsrc: 192.0.2.10, type: unicast, "     \
	"scope: link, proto: kernel, table: 254, metric: 425, n_nexthops: 1}"
#define NETWORKMANAGER "networkmanager_installed: true, networkmanager_running: true"
#define FACTS(links, routes, net, libvirt)                                                         \
	"{schema: qubi-agent/facts/1, links: [" links "], routes: [" routes                        \
	"], net: {known: true, " net "}, libvirt: {connected: true" libvirt "}}"
#define NETWORK(name, bridge)                                                                      \
	", networks: [{name: " name ", forward: bridge, bridge: " bridge ", active: true, "        \
	"autostart: true, persistent: true, next: {forward: bridge, bridge: " bridge "}}]"

#define CONFIG(name, port, rest)                                                                   \
	"version: 1\nbridges:\n  - name: " name "\n    ports: [{" port "}]\n" rest

static const struct {
	const char *owner, *facts, *config;
} adopted[] = {
	{"NetworkManager, fixed address",
	 FACTS(NIC("eno1", "2", "01", "01:00.0",
		   ", master: br0") ", " BRIDGE("br0", "01", "1500", "false", FIXED("640")),
	       DEFAULT("br0", "static") ", " ONLINK("br0"), NETWORKMANAGER, ""),
	 CONFIG("br0", "match: default-route", "")},
	{"NetworkManager, a lease, STP as it has it by default",
	 FACTS(NIC("eno1", "2", "01", "01:00.0", ", master: br0") ", " BRIDGE("br0", "01", "1500",
									      "true", LEASE),
	       DEFAULT("br0", "dhcp") ", " ONLINK("br0"), NETWORKMANAGER, ""),
	 CONFIG("br0", "name: eno1", "    ipv4: dhcp\n    stp: true\n")},
	{"NetworkManager, with a MAC and an MTU of its own",
	 FACTS(NIC("eno1", "2", "01", "01:00.0",
		   ", master: br0") ", " BRIDGE("br0", "77", "1400", "false", FIXED("640")),
	       DEFAULT("br0", "static"), NETWORKMANAGER, ""),
	 CONFIG("br0", "mac: '00:00:5e:00:53:01'", "")},
	{"by hand",
	 FACTS(NIC("eno1", "2", "01", "01:00.0",
		   ", master: br0") ", " BRIDGE("br0", "01", "1500", "false", FIXED("128")),
	       DEFAULT("br0", "boot"), "networkmanager_installed: false", ""),
	 CONFIG("br0", "path: 'pci-0000:01:00.0'",
		"    ipv4: {addresses: [192.0.2.10/24], gateway: 192.0.2.1}\n")},
	/* Guests' taps are ports, too, and another NIC is none. */
	{"the Qubinode roles, with libvirt's network over it",
	 FACTS(NIC("eno1", "2", "01", "01:00.0", ", master: qubibr0") ", " NIC(
		       "eno2", "3", "02", "01:00.1",
		       "") ", {name: vnet0, ifindex: 9, kind: tun, mac: 'fe:54:00:00:53:03', "
			   "mtu: 1500, up: true, master: qubibr0}, " BRIDGE("qubibr0", "01", "1500",
									    "false", FIXED("640")),
	       DEFAULT("qubibr0", "static"), NETWORKMANAGER, NETWORK("qubinet", "qubibr0")),
	 CONFIG("qubibr0", "match: default-route", "    libvirt-network: qubinet\n")},
};

static void load(const char *facts_text, const char *config_text, struct qb_facts *facts,
		 struct qb_config *config)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	if (qb_facts_load(facts_text, strlen(facts_text), facts, &diags) < 0 ||
	    qb_config_parse(config_text, strlen(config_text), config, &diags) < 0)
		fail_msg("%s\n%s\n%s", diags.n ? diags.v[0].msg : "?", facts_text, config_text);
	qb_strset(&facts->system.machine_id, MACHINE_ID);
}

static void plan_with(const struct qb_facts *facts, const struct qb_config *config,
		      const struct qb_ledger *ledger, struct qb_plan *plan)
{
	qb_bridge_plan(&facts->net, config->bridges, config->n_bridges, MACHINE_ID, ledger, plan);
	qb_libvirt_plan(facts, config, plan);
}

static void plan(const struct qb_facts *facts, const struct qb_config *config, struct qb_plan *plan)
{
	static const struct qb_ledger nothing = {0};

	plan_with(facts, config, &nothing, plan);
}

static void what_is_as_wanted_is_left_to_its_owner(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(adopted); i++) {
		for (int rebind = 0; rebind < 2; rebind++) {
			_cleanup_plan_ struct qb_plan p = {.rebind = rebind};
			_cleanup_facts_ struct qb_facts facts = {0};
			_cleanup_config_ struct qb_config config = {0};

			load(adopted[i].facts, adopted[i].config, &facts, &config);
			plan(&facts, &config, &p);
			if (p.n_refused)
				fail_msg("%s: %s", adopted[i].owner,
					 p.refused[0].reasons[0].evidence);
			if (p.n_steps)
				fail_msg("%s: %s: %s", adopted[i].owner, p.steps[0].kind,
					 p.steps[0].why);
			assert_int_equal(p.n_changes, 0);
		}
	}
}

/* A name that is used again later is another bridge's, by other hardware. */
static void what_is_neither_wanted_nor_there_is_forgotten(void **state)
{
	static const struct {
		const char *kind, *target;
		bool unknown, forgotten;
	} cases[] = {
		{"net.bind", "br9", false, true},
		{"net.bind", "br9", true, false},
		{"net.bridge", "br9", false, false},
		{"net.bind", "eno1", false, false}, /* a link that is there */
		{"net.bind", "br0", false, false},  /* one that the configuration names */
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_ledger_entry entry = {.kind = (char *)cases[i].kind,
						.target = (char *)cases[i].target};
		const struct qb_ledger ledger = {.entries = &entry, .n_entries = 1};
		_cleanup_plan_ struct qb_plan p = {0};
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_config_ struct qb_config config = {0};

		load(FACTS(NIC("eno1", "2", "01", "01:00.0", ""), "", NETWORKMANAGER, ""),
		     adopted[0].config, &facts, &config);
		qb_tri_set(&facts.net.known, !cases[i].unknown);
		plan_with(&facts, &config, &ledger, &p);
		if (cases[i].forgotten != (json_object_get(p.adopted, entry.target) != NULL))
			fail_msg("%s of %s", cases[i].kind, cases[i].target);
	}
}

/* From the first look on the NIC is known, so that one that takes its place is not taken for it. */
static void its_nic_is_remembered(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(adopted); i++) {
		_cleanup_plan_ struct qb_plan first = {0}, second = {0}, third = {0}, fourth = {0};
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_config_ struct qb_config config = {0};
		struct qb_ledger_entry entry = {.kind = (char *)"net.bind", .done = true};
		const struct qb_ledger ledger = {.entries = &entry, .n_entries = 1};
		const json_t *port;
		struct qb_link *nic;

		load(adopted[i].facts, adopted[i].config, &facts, &config);
		plan(&facts, &config, &first);
		entry.target = config.bridges[0].name;
		entry.args = json_object_get(first.adopted, entry.target);
		assert_non_null(entry.args);
		port = json_array_get(json_object_get(entry.args, "ports"), 0);
		assert_string_equal(json_string_value(json_object_get(port, "name")), "eno1");
		plan_with(&facts, &config, &ledger, &second);
		assert_int_equal(second.n_steps + second.n_refused, 0);
		assert_null(second.adopted);
		/* Another card in its slot. */
		nic = (struct qb_link *)qb_net_link(&facts.net, "eno1");
		qb_strset(&nic->mac, "00:00:5e:00:53:09");
		qb_strset(&nic->permanent_mac, "00:00:5e:00:53:09");
		qb_strset(&nic->master, NULL);
		plan_with(&facts, &config, &ledger, &third);
		assert_int_equal(third.n_refused, 1);
		assert_string_equal(third.refused[0].reasons[0].code, "nic-missing");
		fourth.rebind = true;
		plan_with(&facts, &config, &ledger, &fourth);
		assert_int_equal(fourth.n_refused, 0);
		assert_int_equal(fourth.n_changes, 1);
		assert_string_equal(fourth.changes[0].kind, "nic-replaced");
		assert_string_equal(fourth.steps[0].kind, "net.bridge");
	}
}

/* Nobody would know which NIC is meant once the bridge has none, or two. */
static void a_bridge_that_does_not_tell_its_nic_is_refused(void **state)
{
	static const struct {
		const char *links, *code, *says;
	} cases[] = {
		{NIC("eno1", "2", "01", "01:00.0", ""), "no-match", "eno1 (00:00:5e:00:53:01"},
		{NIC("eno1", "2", "01", "01:00.0",
		     ", master: br0") ", " NIC("eno2", "3", "02", "01:00.1", ", master: br0"),
		 "ambiguous", "names 2 links"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text =
			qb_asprintf(FACTS("%s, %s", "%s", NETWORKMANAGER, ""), cases[i].links,
				    BRIDGE("br0", "01", "1500", "false", FIXED("640")),
				    DEFAULT("br0", "static"));
		_cleanup_plan_ struct qb_plan p = {0};
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_config_ struct qb_config config = {0};

		load(text, CONFIG("br0", "match: default-route", ""), &facts, &config);
		plan(&facts, &config, &p);
		assert_int_equal(p.n_refused, 1);
		assert_string_equal(p.refused[0].reasons[0].code, cases[i].code);
		assert_non_null(strstr(p.refused[0].reasons[0].evidence, cases[i].says));
	}
}

/* What is not as wanted is told before it is changed: here NetworkManager's default. */
static void stp_of_another_owner_is_told(void **state)
{
	_cleanup_plan_ struct qb_plan p = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_config_ struct qb_config config = {0};
	const json_t *difference;

	(void)state;
	load(adopted[1].facts, CONFIG("br0", "name: eno1", "    ipv4: dhcp\n"), &facts, &config);
	plan(&facts, &config, &p);
	assert_int_equal(p.n_refused, 0);
	assert_true(p.n_steps > 0);
	assert_int_equal(json_array_size(p.steps[0].differences), 1);
	difference = json_array_get(p.steps[0].differences, 0);
	assert_string_equal(json_string_value(json_object_get(difference, "key")), "stp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_as_wanted_is_left_to_its_owner),
		cmocka_unit_test(its_nic_is_remembered),
		cmocka_unit_test(what_is_neither_wanted_nor_there_is_forgotten),
		cmocka_unit_test(a_bridge_that_does_not_tell_its_nic_is_refused),
		cmocka_unit_test(stp_of_another_owner_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
