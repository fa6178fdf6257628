/* SPDX-License-Identifier: Apache-2.0 */
/* Who has to answer after a move, and after NetworkManager took it over: on real links. */
#include "scratch.h"
#include "test_bridge_host.h"

static void a_gateway_that_is_gone_fails_the_move(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	move_host(&h);
	ip_on_gateway("addr flush dev gw0");
	ip("neigh flush dev br0");
	assert_int_equal(verify(&h), -EHOSTUNREACH);
	assert_non_null(strstr(h.err.msg, "answered before and does not now"));
	end(&h);
}

/* Of the gateways of the plan none answered before; the one it takes the place of did. */
static void a_default_gateway_that_nobody_has_fails_the_move(void **state)
{
	char *addresses[] = {(char *)"192.0.2.10/24"};
	struct host h;

	(void)state;
	begin(&h);
	h.config.ipv4 = (struct qb_ip_config){.mode = QB_IP_STATIC,
					      .addresses = {addresses, 1},
					      .gateway = (char *)"192.0.2.254"};
	move_host(&h);
	assert_int_equal(verify(&h), -EHOSTUNREACH);
	assert_non_null(strstr(h.err.msg, "default gateway 192.0.2.254 does not answer"));
	assert_non_null(strstr(h.err.msg, "192.0.2.1 answered"));
	end(&h);
}

static void a_gateway_that_was_silent_is_not_asked_for(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	ip("route del default via 192.0.2.1");
	ip("route add default via 192.0.2.77 metric 100");
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_true(json_is_false(
		json_object_get(json_object_get(h.before, "gateways"), "192.0.2.77")));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	end(&h);
	/* Nor where another one of a worse metric answers. */
	begin(&h);
	ip("route add default via 192.0.2.77 metric 50");
	move_and_verify(&h);
	end(&h);
}

/* What NetworkManager made of the bridge when it took it over. */
static void a_takeover_is_looked_after(void **state)
{
	static const struct {
		const char *change, *message;
	} cases[] = {
		{"link set br0 up", NULL},
		{"link set br0 down", "br0 is not up"},
		{"link set up0 nomaster", "up0 is not a port of br0"},
		{"-6 addr flush dev br0 scope global",
		 "br0 does not have 2001:db8::10/64 any more"},
		{"route del default", "no inet default route"},
		{"route change default via 192.0.2.77 metric 100", "192.0.2.77 does not answer"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		json_auto_t *args = NULL, *before = NULL;
		enum qb_observed observed;
		char path[SCRATCH_MAX];
		struct host h;
		int r;

		begin(&h);
		move_host(&h);
		close(mkstemp(scratch(path)));
		args = json_pack("{s:s, s:[{s:s, s:s}], s:b}", "bridge", "br0", "files", "path",
				 path, "text", "[connection]\n", "running", 1);
		h.ctx.timeout_ms = 200;
		assert_ok(&h,
			  qb_bridge_persist_step.observe(&h.ctx, args, &observed, &before, &h.err));
		/* In place of apply, which would ask NetworkManager: there is none here. */
		write_file(path, "[connection]\n");
		ip("%s", cases[i].change);
		r = qb_bridge_persist_step.verify(&h.ctx, args, before, &h.err);
		if (cases[i].message ? r >= 0 || !strstr(h.err.msg, cases[i].message) : r < 0)
			fail_msg("%s: %d, %s", cases[i].change, r, h.err.msg);
		unlink(path);
		end(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gateway_that_is_gone_fails_the_move),
		cmocka_unit_test(a_default_gateway_that_nobody_has_fails_the_move),
		cmocka_unit_test(a_gateway_that_was_silent_is_not_asked_for),
		cmocka_unit_test(a_takeover_is_looked_after),
	};

	return run_in_namespaces(tests);
}
