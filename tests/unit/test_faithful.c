/* SPDX-License-Identifier: Apache-2.0 */
/* What a move, or the next boot, would take from the host without a word: it is refused. */
#include "test_bridge_plan.h"

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
			   "--zone=dmz --change-interface=br0");
	assert_refused_for(HOST FIREWALL "zones: [br0 work]\n", "firewall-zone",
			   "eth0 is in firewalld's zone public, and br0 would be in work");
	assert_refused_for(IN_DMZ FIREWALL "zones: [br01 dmz]\n", "firewall-zone", "public");
	assert_planned(IN_DMZ FIREWALL "zones: [br1 work, br0 dmz]\n");
	assert_planned(IN_DMZ "firewalld: true\ndefault_zone: dmz\n");
	assert_planned(IN_DMZ "default_zone: public\n");
	/* The bridge's profile says it, and is in force from the hand-over on. */
	assert_planned(IN_DMZ FIREWALL NM_RUNNING);
	/* A bond is handed over at the next boot. */
	assert_refused_for(
		LINKS(ETH0_HEAD ", zone: dmz, kind: bond, " ETH0_ADDRESSES "}") FIREWALL NM_RUNNING,
		"firewall-zone", "br0 would be in public");
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
		 "its peer 2001:db8::1/128"},
		{WITH("address: 192.0.2.10/24, scope: global, broadcast: 192.0.2.0"),
		 "its broadcast 192.0.2.0"},
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
	assert_planned(WITH("address: 192.0.2.10/32, scope: global, broadcast: 192.0.2.10")
			       NM_INSTALLED);
	assert_planned(WITH("address: 169.254.7.1/16, scope: link") NM_INSTALLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_is_in_the_zone_of_its_nic),
		cmocka_unit_test(what_an_address_is_lasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
