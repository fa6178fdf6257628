/* SPDX-License-Identifier: Apache-2.0 */
/* What can be a port, and what a bridge without one is. */
#include "test_bridge_plan.h"

#include "net/keyfile.h"

static void a_bridge_needs_no_port(void **state)
{
	char *addresses[] = {(char *)"198.51.100.1/24"};
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, HOST);
	s.config.n_ports = 0;
	assert_step(&s, NULL, &move);
	assert_int_equal(move.n_ports, 0);
	assert_int_equal(move.n_add, 0);
	assert_null(move.source);
	assert_string_equal(move.mac, "6e:77:95:fd:b2:df");
	qb_move_done(&move);
	s.config.name = (char *)"br1";
	s.config.ipv4 = (struct qb_ip_config){.mode = QB_IP_STATIC, .addresses = {addresses, 1}};
	assert_step(&s, NULL, &move);
	assert_int_equal(move.n_add, 1);
	assert_int_equal(move.n_drop, 0);
	/* Another name, another MAC; each for one station, and nobody's who makes cards. */
	assert_string_not_equal(move.mac, "6e:77:95:fd:b2:df");
	assert_int_equal(strtoul(move.mac, NULL, 16) & 3, 2);
	qb_move_done(&move);
	done(&s);
}

#define BR0_ALONE                                                                                  \
	"{name: br0, ifindex: 7, kind: bridge, mac: 6e:77:95:fd:b2:df, mtu: 1500, up: true, "      \
	"stp: false"

static void without_a_port_much_is_refused(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST);
	s.config.n_ports = 0;
	s.config.ipv4.mode = QB_IP_DHCP;
	assert_refused(&s, "unsupported", "ipv4: dhcp where no address of br0 came by DHCP");
	done(&s);
	load(&s, LINKS(ETH0_HEAD ", master: br0}, " BR0_ALONE "}"));
	s.config.n_ports = 0;
	assert_refused(&s, "has-port", "has eth0; taking it out is not implemented: ip link set");
	s.net.networkmanager_installed = true;
	assert_refused(&s, "has-port", "eth0 nomaster; where a profile makes it one: nmcli");
	done(&s);
	load(&s, LINKS(BR0_ALONE ", addresses: [{address: 192.0.2.7/24, scope: global, "
				 "flags: 128}]}"));
	s.config.n_ports = 0;
	assert_refused(&s, "unsupported", "br0 has 192.0.2.7/24");
	done(&s);
	load(&s, HOST);
	s.config.n_ports = 0;
	qb_bridge_plan(&s.net, &s.config, 1, NULL, NULL, &s.plan);
	assert_non_null(reason(&s.plan, "unknown"));
	assert_non_null(strstr(reason(&s.plan, "unknown")->evidence, "machine-id"));
	done(&s);
}

static void guests_do_not_make_it_another_bridge(void **state)
{
	struct setup s;

	(void)state;
	load(&s, LINKS(BR0_ALONE "}, {name: vnet0, ifindex: 9, kind: tun, master: br0, up: true}"));
	s.config.n_ports = 0;
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_refused, 0);
	assert_int_equal(s.plan.n_steps, 0);
	done(&s);
}

/* NetworkManager waits for a port only where something has to be asked for through it. */
static void its_profile_waits_for_nobody(void **state)
{
	static const char *const hosts[] = {
		LINKS(LO) "networkmanager_installed: true\n",
		LINKS(BR0_ALONE ", addresses: [{address: 'fe80::1/64', scope: link, "
				"flags: 128}]}") "networkmanager_installed: true\n",
	};
	const json_t *file;
	struct qb_ledger_entry entry = {.kind = (char *)"net.bridge", .target = (char *)"br0"};
	const struct qb_ledger ours = {&entry, 1};
	struct setup s;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(hosts); i++) {
		const struct qb_step *step;

		load(&s, hosts[i]);
		s.config.n_ports = 0;
		plan_with(&s, &ours);
		assert_int_equal(s.plan.n_refused, 0);
		assert_int_equal(s.plan.n_steps, 2 - i);
		step = &s.plan.steps[s.plan.n_steps - 1];
		assert_string_equal(step->kind, "net.persist");
		assert_int_equal(json_array_size(json_object_get(step->args, "files")), 1);
		file = json_array_get(json_object_get(step->args, "files"), 0);
		assert_non_null(strstr(json_string_value(json_object_get(file, "text")),
				       "\n[ethernet]\n"
				       "cloned-mac-address=6e:77:95:fd:b2:df\n\n"
				       "[bridge]\nstp=false\n\n"
				       "[ipv4]\nmethod=disabled\n\n"
				       "[ipv6]\nmethod=disabled\n"));
		done(&s);
	}
}

#define BOND0_HEAD                                                                                 \
	"{name: bond0, ifindex: 5, kind: bond, mac: 00:00:5e:00:53:01, mtu: 1500, up: true"
#define BOND0 BOND0_HEAD ", bond: [mode=active-backup, miimon=100], " ETH0_ADDRESSES "}"
#define SLAVE0 ETH0_HEAD ", master: bond0}"
#define VLAN5_HEAD                                                                                 \
	"{name: eth0.5, ifindex: 9, kind: vlan, lower_ifindex: 2, vlan_id: 5, "                    \
	"mac: 00:00:5e:00:53:01, mtu: 1500, up: true"
#define VLAN5 VLAN5_HEAD ", " ETH0_ADDRESSES "}"
#define DEFAULT_BY(dev) ROUTES(R4("default", ", gateway: 192.0.2.1, dev: " dev))
#define NM "networkmanager_installed: true\n"

static void vlans_and_bonds_can_be_ports(void **state)
{
	static const struct {
		const char *host, *port;
		struct qb_port_match match;
	} cases[] = {
		{LINKS(ETH0_HEAD "}, " VLAN5) DEFAULT_BY("eth0.5"),
		 "eth0.5",
		 {.name = (char *)"eth0.5"}},
		{LINKS(ETH0_HEAD "}, " VLAN5) DEFAULT_BY("eth0.5"),
		 "eth0.5",
		 {.match = (char *)"default-route"}},
		/* Both have that MAC; it is the card's. */
		{LINKS(VLAN5 ", " ETH0), "eth0", {.mac = (char *)"00:00:5e:00:53:01"}},
		{LINKS(SLAVE0 ", " BOND0) DEFAULT_BY("bond0"), "bond0", {.name = (char *)"bond0"}},
		{LINKS(SLAVE0 ", " BOND0) DEFAULT_BY("bond0"),
		 "bond0",
		 {.match = (char *)"default-route"}},
		{LINKS(SLAVE0
		       ", " BOND0_HEAD "}, {name: bond0.7, ifindex: 11, kind: vlan, vlan_id: 7, "
		       "lower_ifindex: 5, mac: 00:00:5e:00:53:01, mtu: 1500, " ETH0_ADDRESSES "}")
			 DEFAULT_BY("bond0.7"),
		 "bond0.7",
		 {.match = (char *)"default-route"}},
	};
	struct qb_move move;
	struct setup s;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		load(&s, cases[i].host);
		s.ports[0] = cases[i].match;
		assert_step(&s, NULL, &move);
		assert_string_equal(move.ports[0].name, cases[i].port);
		assert_string_equal(move.source, cases[i].port);
		assert_string_equal(move.mac, "00:00:5e:00:53:01");
		assert_int_equal(move.n_add, 3);
		assert_int_equal(move.n_drop, 3);
		qb_move_done(&move);
		done(&s);
	}
}

/* Host, name of the port, code and a word of the evidence. */
static void not_every_vlan_or_bond_can(void **state)
{
	static const struct {
		const char *host, *port, *code, *evidence;
	} cases[] = {
		{LINKS(BR0 ", {name: br0.5, ifindex: 9, kind: vlan, lower_ifindex: 7, mac: "
			   "00:00:5e:00:53:01}"),
		 "br0.5", "unsupported", "br0.5 is a VLAN of br0, which is a bridge"},
		{LINKS("{name: v.5, ifindex: 9, kind: vlan, mac: 00:00:5e:00:53:01}"), "v.5",
		 "unsupported", "another network namespace"},
		{LINKS(ETH0 ", " VLAN5_HEAD ", extra: flags 3}") NM, "eth0.5", "unsupported",
		 "flags 3"},
		{LINKS(SLAVE0 ", " BOND0_HEAD ", bond: [mode=balance-alb]}"), "bond0",
		 "unsupported", "balance-alb"},
		{LINKS(SLAVE0 ", " BOND0_HEAD ", bond: [mode=balance-tlb]}"), "bond0",
		 "unsupported", "balance-tlb"},
		{LINKS(SLAVE0 ", " BOND0_HEAD ", bond: [mode=balance-alb]}, {name: bond0.7, "
			      "ifindex: 9, kind: vlan, vlan_id: 7, lower_ifindex: 5, "
			      "mac: 00:00:5e:00:53:01}"),
		 "bond0.7", "unsupported", "bond0 has mode=balance-alb"},
		{LINKS(SLAVE0 ", " BOND0_HEAD ", extra: arp_interval 100}") NM, "bond0",
		 "unsupported", "arp_interval 100"},
		{LINKS(ETH0 ", " VLAN5_HEAD ", master: bond0}, " BOND0) NM, "bond0", "unsupported",
		 "bond0 has eth0.5, a vlan"},
		{LINKS(SLAVE0 ", " BOND0_HEAD
			      ", addresses: [{address: 192.0.2.5/24, scope: global, "
			      "flags: 0, valid_s: 600, preferred_s: 300}]}") NM
		 "networkmanager_running: true\n",
		 "bond0", "dynamic-address", "192.0.2.5/24 of bond0"},
		{LINKS(SLAVE0 ", " BOND0_HEAD "}, {name: bond0.7, ifindex: 9, kind: vlan, "
			      "vlan_id: 7, lower_ifindex: 5, mac: 00:00:5e:00:53:01, "
			      "addresses: [{address: 192.0.2.5/24, scope: global, flags: 0, "
			      "valid_s: 600, preferred_s: 300}]}") NM
		 "networkmanager_running: true\n",
		 "bond0.7", "dynamic-address", "from a vlan is not implemented"},
		{LINKS(SLAVE0 ", " BOND0), "eth0", "has-master", "eth0 is a port of bond0"},
		{LINKS(ETH0 ", " VLAN5_HEAD ", parent_uuid: 00005e00-5300-4000-8000-000000000001}")
			 NM,
		 "eth0", "has-upper", "nmcli connection modify eth0.5 vlan.parent eth0"},
	};
	struct setup s;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		load(&s, cases[i].host);
		s.config.name = (char *)"br9";
		s.ports[0].name = (char *)cases[i].port;
		assert_refused(&s, cases[i].code, cases[i].evidence);
		done(&s);
	}
	load(&s, LINKS(ETH0 ", " VLAN5_HEAD "}"));
	s.ports[1].name = (char *)"eth0.5";
	s.config.n_ports = 2;
	assert_refused(&s, "claimed", "of its ports eth0 and eth0.5 one stands on the other");
	done(&s);
}

/* What a profile cannot say matters only to who would have to read it. */
static void without_networkmanager_nothing_is_written(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD "}, " VLAN5_HEAD ", extra: flags 3}"));
	s.ports[0].name = (char *)"eth0.5";
	assert_step(&s, NULL, &move);
	qb_move_done(&move);
	done(&s);
}

/* The kernel gives frames of a VLAN to the VLAN before it gives them to the bridge. */
static void a_nic_keeps_its_vlans(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0 ", " VLAN5_HEAD ", addresses: [{address: 198.51.100.5/24, "
			    "scope: global, flags: 128}]}") NM);
	assert_step(&s, NULL, &move);
	assert_int_equal(move.n_ports, 1);
	assert_int_equal(move.n_add, 3);
	qb_move_done(&move);
	done(&s);
}

/* One made by software is known by its name, and not taken for the card that has its MAC. */
static void a_bound_vlan_is_found_again(void **state)
{
	struct qb_ledger_entry entry = {.kind = (char *)"net.bridge", .target = (char *)"br0"};
	const struct qb_ledger ledger = {&entry, 1};
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD "}, " VLAN5) DEFAULT_BY("eth0.5"));
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_steps, 1);
	entry.args = json_incref(s.plan.steps[0].args);
	done(&s);
	load(&s, LINKS(ETH0_HEAD "}, " VLAN5_HEAD ", master: br0}, " BR0) DEFAULT_BY("br0"));
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	plan_with(&s, &ledger);
	assert_int_equal(s.plan.n_refused, 0);
	assert_int_equal(s.plan.n_steps, 0);
	json_decref(entry.args);
	done(&s);
}

/* What is refused as a port is left as it is where it is one already. */
static void a_port_that_would_not_become_one_stays(void **state)
{
	static const char *const hosts[] = {
		LINKS(SLAVE0 ", " BOND0_HEAD ", master: br0, bond: [mode=balance-alb]}, " BR0),
		LINKS(SLAVE0 ", " BOND0_HEAD ", bond: [mode=balance-tlb]}, {name: bond0.7, "
			     "ifindex: 9, kind: vlan, vlan_id: 7, lower_ifindex: 5, "
			     "mac: 00:00:5e:00:53:01, mtu: 1500, up: true, master: br0}, " BR0),
	};
	static const char *const ports[] = {"bond0", "bond0.7"};
	struct setup s;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(hosts); i++) {
		load(&s, hosts[i]);
		s.ports[0].name = (char *)ports[i];
		plan_with(&s, NULL);
		assert_int_equal(s.plan.n_refused, 0);
		assert_int_equal(s.plan.n_steps, 0);
		done(&s);
	}
}

static const char *text_of(const struct setup *s, size_t i)
{
	const struct qb_step *step = &s->plan.steps[s->plan.n_steps - 1];
	const json_t *files = json_object_get(step->args, "files");

	assert_string_equal(step->kind, "net.persist");
	return json_string_value(json_object_get(json_array_get(files, i), "text"));
}

static void assert_has(const char *text, const char *wanted)
{
	if (!text || !strstr(text, wanted))
		fail_msg("no\n%s\nin\n%s", wanted, text ? text : "nothing");
}

static void their_profiles_bring_the_same_back(void **state)
{
	struct setup s;

	(void)state;
	load(&s,
	     LINKS(ETH0_HEAD "}, " VLAN5) DEFAULT_BY("eth0.5") NM "networkmanager_running: true\n");
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	plan_with(&s, NULL);
	assert_true(
		json_is_true(json_object_get(s.plan.steps[s.plan.n_steps - 1].args, "running")));
	assert_has(text_of(&s, 1), "id=qubi-br0-port-1\n");
	assert_has(text_of(&s, 1), "\ntype=vlan\n");
	assert_has(text_of(&s, 1), "\ninterface-name=eth0.5\nmaster=");
	assert_has(text_of(&s, 1), "\nslave-type=bridge\n\n[ethernet]\n\n"
				   "[vlan]\nid=5\nflags=1\nparent=eth0\n");
	done(&s);
	load(&s, LINKS(SLAVE0 ", " ETH1 ", {name: veth9, ifindex: 12, kind: veth, "
			      "master: bond0, mac: 00:00:5e:00:53:01}, " BOND0) DEFAULT_BY("bond0")
			 NM "networkmanager_running: true\n");
	s.ports[0].name = (char *)"bond0";
	plan_with(&s, NULL);
	assert_has(text_of(&s, 1), "\ntype=bond\n");
	assert_has(text_of(&s, 1), "\ninterface-name=bond0\nautoconnect-slaves=1\nmaster=");
	assert_has(text_of(&s, 1), "\nslave-type=bridge\n\n[ethernet]\n"
				   "cloned-mac-address=00:00:5e:00:53:01\n\n"
				   "[bond]\nmode=active-backup\nmiimon=100\n");
	assert_has(text_of(&s, 2), "id=qubi-br0-port-1-1\n");
	assert_has(text_of(&s, 2), "\nslave-type=bond\n\n[ethernet]\n"
				   "mac-address=00:00:5e:00:53:01\n");
	assert_has(text_of(&s, 3), "\ninterface-name=veth9\nmaster=");
	assert_null(text_of(&s, 4));
	/* NetworkManager has it from the next boot on, and one over a VLAN of a NIC at once. */
	assert_true(
		json_is_false(json_object_get(s.plan.steps[s.plan.n_steps - 1].args, "running")));
	/* The NICs are the bond's that comes up then, whatever others there are profiles of. */
	assert_memory_equal(strstr(text_of(&s, 1), "\nuuid=") + 6,
			    strstr(text_of(&s, 2), "\nmaster=") + 8, 36);
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_needs_no_port),
		cmocka_unit_test(without_a_port_much_is_refused),
		cmocka_unit_test(guests_do_not_make_it_another_bridge),
		cmocka_unit_test(its_profile_waits_for_nobody),
		cmocka_unit_test(vlans_and_bonds_can_be_ports),
		cmocka_unit_test(not_every_vlan_or_bond_can),
		cmocka_unit_test(without_networkmanager_nothing_is_written),
		cmocka_unit_test(a_nic_keeps_its_vlans),
		cmocka_unit_test(a_bound_vlan_is_found_again),
		cmocka_unit_test(a_port_that_would_not_become_one_stays),
		cmocka_unit_test(their_profiles_bring_the_same_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
