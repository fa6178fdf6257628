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
	assert_refused(&s, "has-port", "has eth0");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_needs_no_port),
		cmocka_unit_test(without_a_port_much_is_refused),
		cmocka_unit_test(guests_do_not_make_it_another_bridge),
		cmocka_unit_test(its_profile_waits_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
