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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_is_in_the_zone_of_its_nic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
