/* SPDX-License-Identifier: Apache-2.0 */
/* A bridge that is there, and not as wanted: step net.bridge on real links. */
#include "test_bridge_host.h"

/* What somebody changed of a bridge that an earlier run made: all of it, and no more. */
static void what_drifted_comes_back(void **state)
{
	static const struct {
		const char *command, *key;
		size_t n;
	} drifts[] = {
		{"link set br0 mtu 1400", "mtu", 1},
		{"link set br0 mtu 1600", "mtu", 1},
		{"link set br0 address 00:00:5e:00:53:77", "mac", 1},
		{"link set br0 type bridge stp_state 1", "stp", 1},
		{"link set up0 nomaster", "ports.up0.master", 1},
		{"link set up0 down", "ports.up0.up", 1},
		/* It goes to the bridge, and off the port. */
		{"addr add 192.0.2.99/24 dev up0", "addresses", 2},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(drifts); i++) {
		_cleanup_free_ char *before = NULL;
		const json_t *differences;
		const char *key = NULL;
		struct host h;

		begin(&h);
		assert_int_equal(plan(&h), 1);
		assert_null(h.plan.steps[0].differences);
		assert_ok(&h, observe(&h));
		assert_ok(&h, apply(&h));
		assert_ok(&h, verify(&h));
		remember(&h);
		h.ledger.entries[0].done = true;
		assert_int_equal(plan(&h), 0);

		ip("%s", drifts[i].command);
		before = state_of_host(&h);
		assert_int_equal(plan(&h), 1);
		differences = h.plan.steps[0].differences;
		assert_int_equal(json_array_size(differences), drifts[i].n);
		key = json_string_value(json_object_get(json_array_get(differences, 0), "key"));
		assert_string_equal(key, drifts[i].key);
		assert_ok(&h, observe(&h));
		assert_ok(&h, apply(&h));
		assert_ok(&h, verify(&h));
		assert_undone(&h, before);
		assert_ok(&h, apply(&h));
		assert_ok(&h, verify(&h));
		assert_int_equal(plan(&h), 0);
		end(&h);
	}
}

/* The kernel gives a bridge the lowest MAC of its ports, and the host's lease is of another. */
static void a_port_that_joins_leaves_the_bridge_its_mac(void **state)
{
	_cleanup_free_ char *before = NULL;
	_cleanup_net_ struct qb_net net = {0};
	struct host h;

	(void)state;
	begin(&h);
	h.ports[0] = (struct qb_port_match){.name = (char *)"up0"};
	ip("link add br0 type bridge");
	ip("link set up0 master br0");
	ip("link add low0 address 00:00:5e:00:53:00 type veth peer name low1");
	assert_string_equal(find(&net, &h, "br0")->mac, HOST_MAC);
	before = state_of_host(&h);
	h.ports[1].name = (char *)"low0";
	h.config.n_ports = 2;
	move_and_verify(&h);
	assert_undone(&h, before);
	end(&h);
}

/* One without a port that others made has what they gave it. */
static void a_portless_bridge_keeps_its_mac(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	h.config.n_ports = 0;
	ip("link add br0 address 00:00:5e:00:53:77 type bridge");
	ip("link set br0 up");
	assert_int_equal(plan(&h), 0);
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_drifted_comes_back),
		cmocka_unit_test(a_port_that_joins_leaves_the_bridge_its_mac),
		cmocka_unit_test(a_portless_bridge_keeps_its_mac),
	};

	return run_in_namespaces(tests);
}
