/* SPDX-License-Identifier: Apache-2.0 */
/* What a move, or the next boot, would take from the host without a word: it is refused. */
#include "test_bridge_plan.h"

#include "net/renamed.h"

#define FIREWALL "firewalld: true\ndefault_zone: public\n"
#define IN_DMZ LINKS(ETH0_HEAD ", zone: dmz, " ETH0_ADDRESSES "}")
#define NM_INSTALLED "networkmanager_installed: true\n"
#define NM_RUNNING NM_INSTALLED "networkmanager_running: true\n"

static void assert_planned(const char *yaml)
{
	struct qb_move move;
	struct setup s;

	load(&s, yaml);
	assert_step(&s, NULL, &move);
	qb_move_done(&move);
	done(&s);
}

static void assert_refused_for(const char *yaml, const char *code, const char *evidence)
{
	struct setup s;

	load(&s, yaml);
	assert_refused(&s, code, evidence);
	done(&s);
}

static void a_bridge_is_in_the_zone_of_its_nic(void **state)
{
	(void)state;
	assert_refused_for(IN_DMZ FIREWALL, "firewall-zone",
			   "eth0 is in firewalld's zone dmz, and br0 would be in public");
	assert_refused_for(IN_DMZ FIREWALL NM_INSTALLED, "firewall-zone",
			   "firewall-cmd --zone=dmz --change-interface=br0 && firewall-cmd "
			   "--permanent --zone=dmz --change-interface=br0.");
	assert_refused_for(IN_DMZ FIREWALL, "firewall-zone", "--get-zone-of-interface=eth0");
	assert_refused_for(HOST FIREWALL "zones: [br0 work]\n", "firewall-zone",
			   "eth0 is in firewalld's zone public, and br0 would be in work");
	assert_refused_for(IN_DMZ FIREWALL "zones: [br01 dmz]\n", "firewall-zone", "public");
	assert_planned(IN_DMZ FIREWALL "zones: [br1 work, br0 dmz]\n");
	assert_planned(IN_DMZ "firewalld: true\ndefault_zone: dmz\n");
	assert_planned(IN_DMZ "default_zone: public\n");
	/* The bridge's profile says it, and is in force from the hand-over on. */
	assert_planned(IN_DMZ FIREWALL NM_RUNNING);
	/* A bond is handed over at the next boot. */
	assert_refused_for(LINKS(ETH0_HEAD ", zone: dmz, kind: bond, " ETH0_ADDRESSES "}")
				   FIREWALL NM_RUNNING,
			   "firewall-zone", "br0 would be in public");
	/* Nor is there a hand-over where NetworkManager does not run. Either is well with this: */
	assert_planned(LINKS(ETH0_HEAD ", zone: dmz, kind: bond, " ETH0_ADDRESSES "}")
			       FIREWALL NM_RUNNING "zones: [br0 dmz]\n");
	assert_planned(IN_DMZ FIREWALL NM_INSTALLED "zones: [br0 dmz]\n");
}

#define WITH(address)                                                                              \
	LINKS(ETH0_HEAD ", addresses: [{" address                                                  \
			", flags: 128}, {address: fe80::1/64, scope: link, flags: 128}]}")

/* NetworkManager's keyfiles have "address/prefix" and no more. */
static void what_an_address_is_lasts(void **state)
{
	static const struct {
		const char *host, *lost;
	} cases[] = {
		{WITH("address: 192.0.2.10/24, scope: global, label: 'eth0:1'"),
		 "192.0.2.10/24 of eth0 would be without its label br0:1"},
		{WITH("address: 192.0.2.10/32, scope: global, peer: 192.0.2.1/32"),
		 "its peer 192.0.2.1/32"},
		{WITH("address: 2001:db8::10/128, scope: global, peer: '2001:db8::1/128'"),
		 "its peer 2001:db8::1/128 after a reboot: a NetworkManager profile cannot say "
		 "that; what it does not need is to be taken off it first, or the address named "
		 "under ipv6, addresses"},
		{WITH("address: 192.0.2.10/24, scope: global, broadcast: 192.0.2.0"),
		 "its broadcast 192.0.2.0 after a reboot: a NetworkManager profile cannot say "
		 "that; what it does not need is to be taken off it first, or the address named "
		 "under ipv4, addresses"},
		{WITH("address: 192.0.2.10/24, scope: link, label: x"),
		 "its label x and scope link"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *installed = qb_asprintf("%s" NM_INSTALLED, cases[i].host);

		assert_refused_for(installed, "not-persistent", cases[i].lost);
		/* Until the next boot nothing is lost. */
		assert_planned(cases[i].host);
	}
	assert_planned(WITH("address: 192.0.2.10/25, scope: global, broadcast: 192.0.2.127")
			       NM_INSTALLED);
	assert_planned(WITH("address: 192.0.2.10/31, scope: global, broadcast: 192.0.2.11")
			       NM_INSTALLED);
	assert_planned(WITH("address: 192.0.2.10/32, scope: global, broadcast: 192.0.2.10")
			       NM_INSTALLED);
	assert_planned(WITH("address: 169.254.7.1/16, scope: link") NM_INSTALLED);
}

#define IN_BR0(name, ifindex, mac, rest)                                                           \
	"{name: " name ", ifindex: " ifindex ", mac: '" mac "', mtu: 1500, up: true, "             \
	"master: br0" rest "}"
#define TWO_PORTS                                                                                  \
	LINKS(IN_BR0("eth0", "2", "00:00:5e:00:53:01", "") ", " BR0 ", " IN_BR0(                   \
		"eth1", "3", "00:00:5e:00:53:02",                                                  \
		", permanent_mac: '00:00:5e:00:53:02'") ", " IN_BR0("vnet0", "9",                  \
								    "fe:00:5e:00:53:09",           \
								    ", kind: tun"))                \
	ROUTES_BR0
#define PROFILE(n, key)                                                                            \
	"keyfiles: [{path: /etc/NetworkManager/system-connections/qubi-br0-port-" n                \
	".nmconnection, text: \"[connection]\\n[ethernet]\\n" key "\\n\"}]\n"

static const char *left_over(struct setup *s, const char *release)
{
	json_auto_t *args =
		json_pack("{s:[{s:s, s:s, s:s, s:s}]}", "ports", "match", "name eth1", "name",
			  "eth1", "mac", "00:00:5e:00:53:02", "permanent_mac", "00:00:5e:00:53:02");
	json_auto_t *before = json_pack("{s:[s]}", "release", release);
	struct qb_ledger_entry entry = {(char *)"net.bridge", (char *)"br0", args, before, true};
	const struct qb_ledger ledger = {&entry, 1};
	const struct qb_reason *r;

	plan_with(s, &ledger);
	r = reason(&s->plan, "has-port");
	return r ? r->evidence : NULL;
}

static void a_port_that_is_not_named_any_more_is_told(void **state)
{
	const char *evidence;
	struct setup s;

	(void)state;
	load(&s, TWO_PORTS);
	evidence = left_over(&s, "eth1");
	assert_non_null(evidence);
	assert_non_null(strstr(evidence, "eth1 is a port of br0 since an earlier run"));
	assert_non_null(strstr(evidence, "ip link set eth1 nomaster"));
	assert_int_equal(s.plan.refused[0].n_reasons, 1);
	/* The agent found it there; nobody knows who put it there. */
	assert_null(left_over(&s, "eth0"));
	assert_int_equal(s.plan.n_steps + s.plan.n_refused, 0);
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_steps + s.plan.n_refused, 0);
	done(&s);
	/* It was renamed since. */
	load(&s, TWO_PORTS PROFILE("2", "mac-address=00:00:5e:00:53:02"));
	qb_strset(&s.net.links[2].name, "lan1");
	evidence = left_over(&s, "eth1");
	assert_non_null(evidence);
	assert_non_null(strstr(evidence, "lan1 is a port"));
	assert_non_null(strstr(evidence, "nmcli connection delete qubi-br0-port-2"));
	done(&s);
	load(&s, TWO_PORTS PROFILE("1", "mac-address=00:00:5e:00:53:01"));
	assert_non_null(strstr(left_over(&s, "eth1"), "nomaster"));
	assert_null(strstr(left_over(&s, "eth1"), "nmcli"));
	s.net.networkmanager_installed = true;
	assert_non_null(
		strstr(left_over(&s, "eth1"), "ip link set eth1 nomaster; where a profile"));
	assert_non_null(strstr(left_over(&s, "eth1"), "nmcli connection delete"));
	done(&s);
}

static json_t *undone_for(const char *link)
{
	return json_pack("{s:s, s:[{s:s, s:s}], s:[{s:s+, s:s}], s:[{s:s, s:[{s:s}]}], "
			 "s:[{s:s, s:s, s:s}], s:[s], s:[s], s:[s], s:{s:s}, s:{s:s}}",
			 "source", link, "ports", "name", link, "path", "static", "add", "label",
			 link, ":1", "scope", "static", "add_routes", "proto", "static", "hops",
			 "dev", link, "rules", "iif", link, "oif", link, "proto", "static",
			 "release", link, "down", link, "managed", link, "profiles", link, "static",
			 "defaults", "static", "static");
}

static json_t *unmade_for(const char *link)
{
	return json_pack("{s:s, s:s, s:[s], s:[s], s:[s]}", "kind", "static", "link", link, "add",
			 link, "on", link, "managed", link);
}

/* A link may be called as a protocol or a scope is. */
static void only_names_of_links_are_renamed(void **state)
{
	json_auto_t *names = json_pack("{s:s}", "static", "lan0");
	json_auto_t *was = undone_for("static"), *wanted = undone_for("lan0");
	json_auto_t *made = unmade_for("static"), *wanted_made = unmade_for("lan0");
	json_auto_t *is = qb_renamed(was, names), *is_made = qb_renamed(made, names);

	(void)state;
	assert_non_null(was);
	assert_true(json_equal(is, wanted));
	assert_non_null(made);
	assert_true(json_equal(is_made, wanted_made));
}

#define BOND(rest)                                                                                 \
	"{name: bond0, ifindex: 5, kind: bond, mac: '00:00:5e:00:53:01', mtu: 1500, up: true, "    \
	"bond: [mode=active-backup]" rest "}"
#define IN_BOND                                                                                    \
	"{name: eth0, ifindex: 2, mac: '00:00:5e:00:53:01', mtu: 1500, up: true, master: bond0, "  \
	"dot1x: office}"

static void what_authenticates_a_nic_stays(void **state)
{
	struct setup s;

	(void)state;
	assert_refused_for(LINKS(ETH0_HEAD ", dot1x: office}") NM_INSTALLED, "unsupported",
			   "the profile office authenticates eth0 by 802.1X");
	assert_planned(LINKS(ETH0_HEAD ", dot1x: office}"));
	load(&s, LINKS(BOND("") ", " IN_BOND) NM_INSTALLED);
	s.ports[0].name = (char *)"bond0";
	assert_refused(&s, "unsupported", "the profile office authenticates eth0 by 802.1X");
	done(&s);
	/* Made by NetworkManager, with that profile. */
	load(&s, LINKS(ETH0_HEAD ", master: br0, dot1x: office}, " BR0) NM_INSTALLED ROUTES_BR0);
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_steps + s.plan.n_refused, 0);
	done(&s);
	load(&s, LINKS(BOND(", master: br0") ", " IN_BOND ", " BR0) NM_INSTALLED ROUTES_BR0);
	s.ports[0].name = (char *)"bond0";
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_steps + s.plan.n_refused, 0);
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_is_in_the_zone_of_its_nic),
		cmocka_unit_test(what_an_address_is_lasts),
		cmocka_unit_test(a_port_that_is_not_named_any_more_is_told),
		cmocka_unit_test(only_names_of_links_are_renamed),
		cmocka_unit_test(what_authenticates_a_nic_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
