/* SPDX-License-Identifier: Apache-2.0 */
/* Bonds and VLANs that are to be made, and bridges over them. */
#include "test_bridge_plan.h"

#include "net/made.h"

#define ETH2                                                                                       \
	"{name: eth2, ifindex: 4, mac: 00:00:5e:00:53:03, permanent_mac: 00:00:5e:00:53:03, "      \
	"mtu: 9000, up: true, driver: ixgbe, speed_mbps: 25000"
#define ETH1_HEAD                                                                                  \
	"{name: eth1, ifindex: 3, mac: 00:00:5e:00:53:02, permanent_mac: 00:00:5e:00:53:02, "      \
	"mtu: 1500, up: true, driver: igb"
#define BOND0_MADE                                                                                 \
	"{name: bond0, ifindex: 5, kind: bond, mac: 00:00:5e:00:53:02, mtu: 1500, up: true, "      \
	"bond: [mode=active-backup, miimon=100]}"
#define FREE LINKS(LO ", " ETH0 ", " ETH1_HEAD "}, " ETH2 "}") ROUTES(DEFAULT4)
#define NM "networkmanager_installed: true\n"

struct made {
	struct setup s;
	struct qb_net after;
	struct qb_port_match nics[2];
	struct qb_bond_config bond;
	struct qb_vlan_config vlan;
	struct qb_made_config config;
	struct qb_ledger ledger;
};

/* bond0 of eth1 and eth2; VLAN 5 of it, which is the port of br0. */
static void load_made(struct made *m, const char *host)
{
	*m = (struct made){0};
	load(&m->s, host);
	m->nics[0].name = (char *)"eth1";
	m->nics[1].name = (char *)"eth2";
	m->bond = (struct qb_bond_config){.name = (char *)"bond0", .ports = m->nics, .n_ports = 2};
	m->vlan = (struct qb_vlan_config){
		.name = (char *)"guests", .id = 5, .link = {.name = (char *)"bond0"}};
	m->s.ports[0].name = (char *)"guests";
	m->config = (struct qb_made_config){
		.bonds = &m->bond,
		.n_bonds = 1,
		.vlans = &m->vlan,
		.n_vlans = 1,
		.bridges = &m->s.config,
		.n_bridges = 1,
	};
}

static void plan_made(struct made *m)
{
	qb_plan_done(&m->s.plan);
	qb_net_done(&m->after);
	m->s.plan = (struct qb_plan){0};
	qb_made_plan(&m->s.net, &m->config, &m->ledger, &m->s.plan, &m->after);
	qb_bridge_plan(&m->after, &m->s.config, 1, MACHINE_ID, &m->ledger, &m->s.plan);
}

static void done_made(struct made *m)
{
	qb_net_done(&m->after);
	done(&m->s);
}

static const json_t *args_of(const struct made *m, size_t i, const char *kind)
{
	if (m->s.plan.n_refused)
		fail_msg("refused: %s", m->s.plan.refused[0].reasons[0].evidence);
	assert_true(i < m->s.plan.n_steps);
	assert_string_equal(m->s.plan.steps[i].kind, kind);
	return m->s.plan.steps[i].args;
}

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void links_come_before_the_bridges_over_them(void **state)
{
	struct made m;

	(void)state;
	load_made(&m, FREE);
	plan_made(&m);
	assert_string_equal(string_of(args_of(&m, 0, "net.link"), "kind"), "bond");
	assert_string_equal(string_of(args_of(&m, 0, "net.link"), "mode"), "active-backup");
	assert_string_equal(string_of(args_of(&m, 0, "net.link"), "mac"), "00:00:5e:00:53:02");
	/* The larger one of the NICs would drop what the other cannot send. */
	assert_int_equal(json_integer_value(json_object_get(args_of(&m, 0, "net.link"), "mtu")),
			 1500);
	assert_string_equal(string_of(args_of(&m, 1, "net.link"), "link"), "bond0");
	assert_string_equal(string_of(args_of(&m, 2, "net.bridge"), "mac"), "00:00:5e:00:53:02");
	assert_int_equal(m.s.plan.n_steps, 3);
	done_made(&m);
}

static void what_is_there_is_not_made_again(void **state)
{
	struct made m;

	(void)state;
	load_made(&m,
		  LINKS(ETH1_HEAD
			", master: bond0}, " ETH2 ", master: bond0}, " BOND0_MADE
			", {name: guests, ifindex: 6, kind: vlan, vlan_id: 5, lower_ifindex: 5, "
			"mac: 00:00:5e:00:53:02, mtu: 1500, up: true, master: br0}, "
			"{name: br0, ifindex: 7, kind: bridge, mac: 00:00:5e:00:53:02, "
			"mtu: 1500, up: true, stp: false}"));
	plan_made(&m);
	assert_int_equal(m.s.plan.n_refused, 0);
	assert_int_equal(m.s.plan.n_steps, 0);
	done_made(&m);
	/* One of its NICs is not in it. */
	load_made(&m, LINKS(ETH1_HEAD ", master: bond0}, " ETH2 "}, " BOND0_MADE));
	m.config.n_vlans = 0;
	m.s.ports[0].name = (char *)"bond0";
	plan_made(&m);
	assert_int_equal(m.s.plan.n_steps, 2);
	args_of(&m, 0, "net.link");
	done_made(&m);
}

/* Host, what is refused, its code and a word of the evidence. */
static void every_refusal_fires(void **state)
{
	static const struct {
		const char *host, *target, *code, *evidence;
	} cases[] = {
		{LINKS(ETH1_HEAD ", addresses: [{address: 192.0.2.7/24, scope: global, "
				 "flags: 128}]}, " ETH2 "}"),
		 "bond0", "in-use", "eth1 has 192.0.2.7/24"},
		{LINKS(ETH1_HEAD "}, " ETH2 "}, {name: eth1.9, ifindex: 9, kind: vlan, vlan_id: 9, "
				 "lower_ifindex: 3}"),
		 "bond0", "has-upper", "eth1 carries eth1.9 (vlan)"},
		{LINKS(ETH1_HEAD ", master: br7}, " ETH2 "}"), "bond0", "has-master", "br7"},
		{LINKS(ETH1_HEAD ", wireless: true}, " ETH2 "}"), "bond0", "wireless", "eth1"},
		{LINKS(ETH1_HEAD ", kind: dummy}, " ETH2 "}"), "bond0", "unsupported",
		 "eth1 is a dummy; a bond is made of NICs"},
		{LINKS(ETH2 "}"), "bond0", "no-match", "name eth1"},
		{LINKS(ETH1_HEAD "}, " ETH2 "}, {name: bond0, ifindex: 9, kind: bridge}"), "bond0",
		 "name-taken", "is a bridge, not a bond"},
		{LINKS(ETH1_HEAD "}, " ETH2
				 "}, {name: bond0, ifindex: 9, kind: bond, bond: [mode=802.3ad]}"),
		 "bond0", "unsupported", "with mode=802.3ad, and the configuration wants "},
		{LINKS(ETH1_HEAD "}, " ETH2 "}, " BOND0_MADE
				 ", {name: eth3, ifindex: 8, master: bond0}"),
		 "bond0", "has-port", "bond0 has eth3"},
		{LINKS(ETH1_HEAD "}, " ETH2 "}, " BOND0_MADE
				 ", {name: eth3, ifindex: 8, master: bond0}") NM,
		 "bond0", "has-port",
		 "ip link set eth3 nomaster; where a profile makes it one: nmcli connection "
		 "delete"},
		{LINKS(ETH1_HEAD "}, " ETH2 "}, " BOND0_MADE
				 ", {name: eth3, ifindex: 8, master: bond0}") NM
		 "keyfiles: [{path: /etc/qubi-bond0-3.nmconnection, text: "
		 "\"[connection]\\ninterface-name=eth3\\n\"}]\n",
		 "bond0", "has-port", "not implemented: nmcli connection delete qubi-bond0-3"},
		{LINKS(ETH1_HEAD "}, " ETH2
				 "}, {name: guests, ifindex: 9, kind: vlan, vlan_id: 6}"),
		 "guests", "name-taken", "is not VLAN 5 of bond0"},
		{LINKS(ETH1_HEAD ", master: bond0}, " ETH2 ", master: bond0}, " BOND0_MADE
				 ", {name: other, ifindex: 9, kind: vlan, vlan_id: 5, "
				 "lower_ifindex: 5}"),
		 "guests", "claimed", "VLAN 5 of bond0 is there already, as other"},
		{"known: false\n", "bond0", "unknown", "could not be read"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		const struct qb_reason *r;
		struct made m;

		load_made(&m, cases[i].host);
		plan_made(&m);
		r = reason(&m.s.plan, cases[i].code);
		if (!r || !qb_plan_refuses(&m.s.plan, cases[i].target))
			fail_msg("%zu: not refused as %s", i, cases[i].code);
		if (!strstr(r->evidence, cases[i].evidence))
			fail_msg("%s does not name %s", r->evidence, cases[i].evidence);
		done_made(&m);
	}
}

static void a_vlan_stands_on_a_nic_or_a_bond(void **state)
{
	struct made m;

	(void)state;
	load_made(&m,
		  LINKS(ETH0 ", {name: br7, ifindex: 9, kind: bridge, mac: 00:00:5e:00:53:09}"));
	m.config.n_bonds = 0;
	m.vlan.link.name = (char *)"br7";
	plan_made(&m);
	assert_non_null(strstr(reason(&m.s.plan, "unsupported")->evidence, "br7 is bridge"));
	done_made(&m);
	/* The NIC's addresses stay where they are, and the NIC may be a port of a bridge, too. */
	load_made(&m, FREE);
	m.config.n_bonds = 0;
	m.vlan.link = (struct qb_port_match){.match = (char *)"default-route"};
	plan_made(&m);
	assert_string_equal(string_of(args_of(&m, 0, "net.link"), "link"), "eth0");
	assert_int_equal(json_array_size(json_object_get(args_of(&m, 1, "net.bridge"), "add")), 0);
	done_made(&m);
	/* By then the default route leaves by the bridge; what was found is what was meant. */
	load_made(&m, LINKS(ETH0_HEAD ", master: br7}, {name: br7, ifindex: 9, kind: bridge, "
				      "mac: 00:00:5e:00:53:01}, {name: guests, ifindex: 6, "
				      "kind: vlan, vlan_id: 5, lower_ifindex: 2, up: true, "
				      "mac: 00:00:5e:00:53:01}")
			      ROUTES(R4("default", ", gateway: 192.0.2.1, dev: br7")));
	m.config.n_bonds = 0;
	m.vlan.link = (struct qb_port_match){.match = (char *)"default-route"};
	plan_made(&m);
	args_of(&m, 0, "net.bridge");
	done_made(&m);
}

static void one_nic_is_claimed_once(void **state)
{
	struct made m;

	(void)state;
	load_made(&m, FREE);
	m.nics[1] = (struct qb_port_match){.driver = (char *)"igb"};
	plan_made(&m);
	assert_non_null(
		strstr(reason(&m.s.plan, "claimed")->evidence, "two of its ports name eth1"));
	done_made(&m);
	load_made(&m, FREE);
	m.s.ports[0] = (struct qb_port_match){.mac = (char *)"00:00:5e:00:53:02"};
	plan_made(&m);
	assert_non_null(
		strstr(reason(&m.s.plan, "claimed")->evidence, "eth1 is to be a port of bond0"));
	done_made(&m);
}

static const char *file_of(const json_t *args, size_t i)
{
	return string_of(json_array_get(json_object_get(args, "files"), i), "text");
}

static void assert_has(const char *text, const char *wanted)
{
	if (!text || !strstr(text, wanted))
		fail_msg("no\n%s\nin\n%s", wanted, text ? text : "nothing");
}

static void profiles_make_them_again(void **state)
{
	const json_t *args;
	struct made m;

	(void)state;
	load_made(&m, FREE NM);
	plan_made(&m);
	args_of(&m, 0, "net.link");
	args = args_of(&m, 1, "net.persist");
	assert_int_equal(json_array_size(json_object_get(args, "files")), 3);
	/* Undone after a boot, they are taken from NetworkManager first. */
	assert_int_equal(json_array_size(json_object_get(args, "ports")), 2);
	assert_has(file_of(args, 0), "\ntype=bond\n");
	assert_has(file_of(args, 0), "\ninterface-name=bond0\nautoconnect-slaves=1\n\n[ethernet]\n"
				     "cloned-mac-address=00:00:5e:00:53:02\n\n"
				     "[bond]\nmode=active-backup\nmiimon=100\n\n"
				     "[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=disabled\n");
	assert_has(file_of(args, 1), "\nslave-type=bond\n\n[ethernet]\n"
				     "mac-address=00:00:5e:00:53:02\n");
	assert_has(file_of(args, 2), "\nmac-address=00:00:5e:00:53:03\n");
	assert_memory_equal(strstr(file_of(args, 0), "\nuuid=") + 6,
			    strstr(file_of(args, 2), "\nmaster=") + 8, 36);
	/* That of the VLAN is its bridge's port's, and stands on the bond by name. */
	args_of(&m, 2, "net.link");
	args_of(&m, 3, "net.bridge");
	args = args_of(&m, 4, "net.persist");
	assert_int_equal(json_array_size(json_object_get(args, "files")), 2);
	assert_has(file_of(args, 1), "\ntype=vlan\n");
	assert_has(file_of(args, 1), "\nslave-type=bridge\n\n[ethernet]\n\n"
				     "[vlan]\nid=5\nflags=1\nparent=bond0\n");
	done_made(&m);
}

static void a_nic_is_found_by_its_speed(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	assert_int_equal(qb_speed_parse("100M"), 100);
	assert_int_equal(qb_speed_parse("2.5G"), 2500);
	assert_int_equal(qb_speed_parse("25G"), 25000);
	assert_int_equal(qb_speed_parse("25"), 0);
	assert_int_equal(qb_speed_parse("G"), 0);
	assert_int_equal(qb_speed_parse("2.5M"), 0);
	assert_int_equal(qb_speed_parse("01G"), 0);
	assert_int_equal(qb_speed_parse("1Gb"), 0);
	assert_int_equal(qb_speed_parse("9999999G"), 0);
	load(&s, FREE);
	s.ports[0] = (struct qb_port_match){.speed = (char *)"25G"};
	assert_step(&s, NULL, &move);
	assert_string_equal(move.ports[0].name, "eth2");
	assert_string_equal(move.ports[0].match, "speed 25G");
	qb_move_done(&move);
	done(&s);
	load(&s, FREE);
	s.ports[0] = (struct qb_port_match){.speed = (char *)"10G"};
	assert_refused(&s, "no-match", "speed 10G names no link; there are: eth0");
	done(&s);
	load(&s, LINKS(ETH1_HEAD ", speed_mbps: 25000}, " ETH2 "}"));
	s.ports[0] = (struct qb_port_match){.speed = (char *)"25G"};
	assert_refused(&s, "ambiguous", "speed 25G names 2 links: eth1");
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_come_before_the_bridges_over_them),
		cmocka_unit_test(what_is_there_is_not_made_again),
		cmocka_unit_test(every_refusal_fires),
		cmocka_unit_test(a_vlan_stands_on_a_nic_or_a_bond),
		cmocka_unit_test(one_nic_is_claimed_once),
		cmocka_unit_test(profiles_make_them_again),
		cmocka_unit_test(a_nic_is_found_by_its_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
