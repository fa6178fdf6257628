/* SPDX-License-Identifier: Apache-2.0 */
/* VLANs and bonds that become ports, on real links. */
#include "test_bridge_host.h"
#include "test_ports_ns.h"

#include <net/if.h>

/* Onto the bridge, which is as wanted then; and back, from another host just like it. */
static void there_and_back(void (*onto)(void), const char *port)
{
	_cleanup_free_ char *before = NULL;
	_cleanup_net_ struct qb_net net = {0};
	struct host h;

	begin(&h);
	onto();
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_true(
		json_is_true(json_object_get(json_object_get(h.before, "gateways"), "192.0.2.1")));
	assert_true(json_is_true(
		json_object_get(json_object_get(h.before, "gateways"), "2001:db8::1")));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	assert_int_equal(observe(&h), 1);
	assert_int_equal(plan(&h), 0);
	find(&net, &h, "br0");
	assert_string_equal(qb_net_link(&net, port)->master, "br0");
	assert_string_equal(qb_net_link(&net, port)->mac, HOST_MAC);
	assert_string_equal(qb_net_link(&net, "br0")->mac, HOST_MAC);
	end(&h);

	begin(&h);
	onto();
	before = state_of_host(&h);
	move_host(&h);
	assert_undone(&h, before);
	end(&h);
}

static void a_vlan_becomes_a_port(void **state)
{
	(void)state;
	if (!can_make("vlan"))
		skip();
	there_and_back(onto_a_vlan, "up0.5");
}

static void a_bond_becomes_a_port(void **state)
{
	(void)state;
	if (!can_make("bond"))
		skip();
	there_and_back(onto_a_bond, "bond0");
}

/* The NIC below goes under a bridge; what is on its VLAN speaks and is spoken to as before. */
static void a_vlan_on_a_port_goes_on(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	struct host h;

	(void)state;
	if (!can_make("vlan"))
		skip();
	begin(&h);
	ip("link add link up0 name up0.5 type vlan id 5");
	ip("link set up0.5 up");
	ip("addr add 203.0.113.130/25 dev up0.5");
	ip_on_gateway("link add link gw0 name gw0.5 type vlan id 5");
	ip_on_gateway("link set gw0.5 up");
	ip_on_gateway("addr add 203.0.113.129/25 dev gw0.5");
	assert_true(answers("203.0.113.129"));
	move_and_verify(&h);
	assert_int_equal(find(&net, &h, "up0.5")->n_addresses, 2);
	/* Whom nobody knows any more has to be asked for first, in both directions. */
	ip("neigh flush dev up0.5");
	ip_on_gateway("neigh flush dev gw0.5");
	assert_true(answers("203.0.113.129"));
	assert_true(answers("192.0.2.1"));
	assert_ok(&h, undo(&h));
	assert_true(answers("203.0.113.129"));
	end(&h);
}

/* What a bond is made with is read as a profile has to say it. */
static void options_of_bonds_and_vlans_are_read(void **state)
{
	_cleanup_net_ struct qb_net net = {0}, later = {0};
	const struct qb_link *bond, *vlan;
	struct host h;

	(void)state;
	if (!can_make("bond") || !can_make("vlan"))
		skip();
	begin(&h);
	ip("link add bond7 type bond mode 802.3ad miimon 50 lacp_rate fast xmit_hash_policy "
	   "layer3+4");
	ip("link add link up0 name up0.7 type vlan id 7");
	bond = find(&net, &h, "bond7");
	assert_int_equal(bond->bond.n, 4);
	assert_string_equal(bond->bond.v[0], "mode=802.3ad");
	assert_string_equal(bond->bond.v[1], "miimon=50");
	assert_string_equal(bond->bond.v[2], "xmit_hash_policy=layer3+4");
	assert_string_equal(bond->bond.v[3], "lacp_rate=fast");
	assert_null(bond->extra);
	vlan = qb_net_link(&net, "up0.7");
	assert_int_equal(vlan->vlan_id, 7);
	assert_null(vlan->extra);
	ip("link del bond7");
	ip("link del up0.7");
	ip("link add bond7 type bond mode active-backup miimon 0 arp_interval 100 arp_ip_target "
	   "192.0.2.1 primary up0");
	ip("link add link up0 name up0.7 type vlan id 7 gvrp on egress-qos-map 0:3");
	bond = find(&later, &h, "bond7");
	assert_string_equal(bond->extra, "arp_interval 100");
	vlan = qb_net_link(&later, "up0.7");
	assert_string_equal(vlan->extra, "flags 3 and a map of priorities");
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vlan_becomes_a_port),
		cmocka_unit_test(a_bond_becomes_a_port),
		cmocka_unit_test(a_vlan_on_a_port_goes_on),
		cmocka_unit_test(options_of_bonds_and_vlans_are_read),
	};

	return run_in_namespaces(tests);
}
