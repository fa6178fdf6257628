/* SPDX-License-Identifier: Apache-2.0 */
/* A bridge without a port, from the plan to real links. */
#include "test_bridge_host.h"

#include <net/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "net/keyfile.h"

#define PORTLESS_MAC "6e:77:95:fd:b2:df"
#define LINK_LOCAL "fe80::6c77:95ff:fefd:b2df/64" /* made of it */

static void begin_portless(struct host *h, char **addresses, size_t n)
{
	begin(h);
	h->config.n_ports = 0;
	if (n)
		h->config.ipv4 =
			(struct qb_ip_config){.mode = QB_IP_STATIC, .addresses = {addresses, n}};
}

static void there_and_back(void **state)
{
	char *addresses[] = {(char *)"198.51.100.1/24"};
	char *addresses6[] = {(char *)"2001:db8:2::1/64"};
	_cleanup_free_ char *before = NULL;
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *bridge;
	bool link_local = false, broadcast = false;
	struct host h;

	(void)state;
	begin_portless(&h, addresses, 1);
	h.config.ipv6 = (struct qb_ip_config){.mode = QB_IP_STATIC, .addresses = {addresses6, 1}};
	before = state_of_host(&h);
	assert_int_equal(plan(&h), 1);
	assert_non_null(strstr(h.plan.steps[0].why, "there is no such bridge: make it, without a "
						    "port, with 198.51.100.1/24 and "
						    "2001:db8:2::1/64 and 0 routes"));
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	bridge = find(&net, &h, "br0");
	assert_non_null(bridge);
	assert_true(bridge->up);
	assert_string_equal(bridge->mac, PORTLESS_MAC);
	assert_int_equal(bridge->n_addresses, 3);
	for (size_t i = 0; i < 3; i++) {
		link_local |= !strcmp(bridge->addresses[i].address, LINK_LOCAL);
		broadcast |= qb_streq(bridge->addresses[i].broadcast, "198.51.100.255");
	}
	assert_true(link_local);
	assert_true(broadcast);
	assert_int_equal(observe(&h), 1);
	assert_int_equal(plan(&h), 0);
	end(&h);

	begin_portless(&h, addresses, 1);
	move_host(&h);
	assert_undone(&h, before);
	assert_ok(&h, undo(&h));
	end(&h);
}

/* It has a MAC of its own each time, and no address where it inherits: there is nobody to. */
static void it_is_the_same_bridge_each_time(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	struct host h;

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin_portless(&h, NULL, 0);
		move_and_verify(&h);
		qb_net_done(&net);
		assert_string_equal(find(&net, &h, "br0")->mac, PORTLESS_MAC);
		assert_int_equal(find(&net, &h, "br0")->n_addresses, 0);
		end(&h);
	}
}

/* Whatever a killed run left, the next one makes it whole, and its undo does away with it. */
static void killed_in_the_middle(void **state)
{
	char *addresses[] = {(char *)"198.51.100.1/24"};

	(void)state;
	for (int half = 0; half < 2; half++) {
		_cleanup_free_ char *before = NULL;
		struct host h;

		begin_portless(&h, addresses, 1);
		before = state_of_host(&h);
		assert_int_equal(plan(&h), 1);
		assert_ok(&h, observe(&h));
		remember(&h);
		ip("link add br0 address " PORTLESS_MAC " type bridge");
		if (half)
			ip("addr add 198.51.100.1/24 dev br0");
		move_and_verify(&h);
		assert_undone(&h, before);
		end(&h);
	}
}

/* After a boot nothing is left of it, unless its profile made it anew. */
static void after_a_boot(void **state)
{
	struct host h;

	(void)state;
	for (int made_anew = 0; made_anew < 2; made_anew++) {
		begin_portless(&h, NULL, 0);
		move_host(&h);
		json_object_set_new(h.before, "boot", json_string("another"));
		ip("link del br0");
		ip("link add br0 address %s type bridge",
		   made_anew ? PORTLESS_MAC : "00:00:5e:00:53:99");
		assert_ok(&h, undo(&h));
		/* One with another MAC is somebody else's. */
		assert_int_equal(if_nametoindex("br0") != 0, !made_anew);
		end(&h);
	}
}

static void a_guests_tap_holds_it(void **state)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "guest0"};
	struct host h;
	int tap;

	(void)state;
	begin_portless(&h, NULL, 0);
	move_host(&h);
	tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &ifr) < 0) {
		end(&h);
		skip();
	}
	ip("link set guest0 master br0");
	assert_int_equal(undo(&h), -EBUSY);
	assert_non_null(strstr(h.err.msg, "guest0"));
	assert_true(if_nametoindex("br0"));
	close(tap);
	assert_ok(&h, undo(&h));
	assert_int_equal(if_nametoindex("br0"), 0);
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(it_is_the_same_bridge_each_time),
		cmocka_unit_test(killed_in_the_middle),
		cmocka_unit_test(after_a_boot),
		cmocka_unit_test(a_guests_tap_holds_it),
	};

	return run_in_namespaces(tests);
}
