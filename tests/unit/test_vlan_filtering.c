/* SPDX-License-Identifier: Apache-2.0 */
/* Bridges that filter VLANs: what is planned, and frames on real links that pass or do not. */
#include "test_bridge_host.h"
#include "test_ports_ns.h"

#include <net/if.h>

#include "agent/base/schema.h"
#include "net/vlans.h"

static void begin_filtering(struct host *h)
{
	begin(h);
	h->config.vlan_filtering = true;
	h->ports[0].pvid = -1;
}

static char *list(int64_t pvid, char **tagged, size_t n)
{
	const struct qb_strs items = {.v = tagged, .n = n};
	_cleanup_strs_ struct qb_strs vlans = {0};
	struct qb_buf b = {0};

	qb_vlans_list(pvid, &items, &vlans);
	for (size_t i = 0; i < vlans.n; i++)
		qb_buf_printf(&b, "%s%s", i ? ", " : "", vlans.v[i]);
	return b.s ? b.s : qb_strdup("");
}

static void lists_are_as_the_kernel_tells_them(void **state)
{
	static const struct {
		int64_t pvid;
		const char *tagged[4], *wanted;
	} cases[] = {
		{1, {NULL}, "1 pvid untagged"},
		{0, {NULL}, ""},
		{5, {"10", "20-30"}, "5 pvid untagged, 10, 20-30"},
		{5, {"30", "10", "11-12", "1"}, "1, 5 pvid untagged, 10-12, 30"},
		{0, {"1-4094"}, "1-4094"},
		/* What the VLAN without a tag parts are two ranges. */
		{5, {"4", "6"}, "4, 5 pvid untagged, 6"},
		{4094, {"4092-4093"}, "4092-4093, 4094 pvid untagged"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *got = NULL;
		size_t n = 0;

		while (n < 4 && cases[i].tagged[n])
			n++;
		got = list(cases[i].pvid, (char **)cases[i].tagged, n);
		assert_string_equal(got, cases[i].wanted);
	}
}

static void load_net(struct qb_net *net, const char *yaml)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	if (qb_schema_load(&qb_net_type, yaml, strlen(yaml), QB_LOAD_STRICT, net, NULL, &diags) < 0)
		fail_msg("%s", diags.v[0].msg);
}

#define ETH0 "{name: eth0, ifindex: 2, mac: '00:00:5e:00:53:01', mtu: 1500, up: true"
#define BR0_WITH(vlans)                                                                            \
	"{name: br0, ifindex: 7, kind: bridge, mac: '00:00:5e:00:53:01', mtu: 1500, up: true, "    \
	"stp: false, vlan_filtering: true, default_pvid: 1, vlans: " vlans "}"
#define BR0 BR0_WITH("[1 pvid untagged]")
#define LINKS(...) "known: true\nlinks: [" __VA_ARGS__ "]\n"

/* The host, what the port carries, and what is planned or the evidence of the refusal. */
static void plans_compare_with_what_is_there(void **state)
{
	char *ten[] = {(char *)"10"};
	static const struct {
		const char *host;
		int64_t bridge_pvid, pvid;
		bool tagged;
		size_t steps;
		const char *evidence;
	} cases[] = {
		{LINKS(ETH0 "}"), 0, -1, true, 1, NULL},
		{LINKS(ETH0 ", master: br0, vlans: [1 pvid untagged, '10']}, " BR0), 0, -1, true, 0,
		 NULL},
		{LINKS(ETH0 "}, " BR0), 0, -1, true, 1, NULL},
		{LINKS(ETH0 ", master: br0, vlans: [1 pvid untagged]}, " BR0), 0, -1, true, 0,
		 "eth0 is a port of br0 already, with other VLANs"},
		{LINKS(ETH0 ", master: br0, vlans: [1 pvid untagged]}, " BR0), 7, -1, false, 0,
		 "ports join br0, which is there, with VLAN 1, and 7 is wanted"},
		{LINKS(ETH0 ", master: br0}, " BR0_WITH("['1 pvid untagged', '10']")), 0, -1, false,
		 0, "br0 itself carries 1 pvid untagged and 10, and"},
		{LINKS(ETH0 ", master: br0}, " BR0_WITH("[]")), 0, -1, false, 0,
		 "br0 itself carries no VLAN, and"},
		{LINKS(ETH0 ", master: br0}, {name: br0, ifindex: 7, kind: bridge, "
			    "vlan_filtering: false}"),
		 0, -1, false, 0, "br0 is there and does not filter VLANs: "},
		{LINKS(ETH0 "}, {name: br0, ifindex: 7, kind: bridge}"), 0, -1, false, 0,
		 "does not tell whether it filters"},
		{LINKS(ETH0 "}") "networkmanager_installed: true\n", 0, 5, true, 0,
		 "eth0 is not to carry VLAN 1, the one of br0 itself"},
		{LINKS(ETH0 "}") "networkmanager_installed: true\n", 10, 0, true, 2, NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_port_match port = {.name = (char *)"eth0", .pvid = cases[i].pvid};
		struct qb_bridge_config config = {.name = (char *)"br0",
						  .ports = &port,
						  .n_ports = 1,
						  .vlan_filtering = true,
						  .pvid = cases[i].bridge_pvid};
		_cleanup_plan_ struct qb_plan plan = {0};
		_cleanup_net_ struct qb_net net = {0};

		if (cases[i].tagged)
			port.tagged = (struct qb_strs){.v = ten, .n = 1};
		load_net(&net, cases[i].host);
		qb_bridge_plan(&net, &config, 1, MACHINE_ID, NULL, &plan);
		if (!cases[i].evidence && plan.n_refused)
			fail_msg("%zu refused: %s", i, plan.refused[0].reasons[0].evidence);
		if (cases[i].evidence &&
		    (!plan.n_refused ||
		     !strstr(plan.refused[0].reasons[0].evidence, cases[i].evidence)))
			fail_msg("%zu: not refused: %s", i, cases[i].evidence);
		/* What its ports carry is no reason then. */
		if (cases[i].evidence && strstr(cases[i].evidence, "does not filter"))
			assert_int_equal(plan.refused[0].n_reasons, 1);
		assert_int_equal(plan.n_steps, cases[i].steps);
	}
}

static void profiles_filter_the_same(void **state)
{
	char *tagged[] = {(char *)"10", (char *)"20-30"};
	struct qb_port_match port = {
		.name = (char *)"eth0", .pvid = 5, .tagged = {.v = tagged, .n = 2}};
	struct qb_bridge_config config = {.name = (char *)"br0",
					  .ports = &port,
					  .n_ports = 1,
					  .vlan_filtering = true,
					  .pvid = 20};
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_net_ struct qb_net net = {0};
	const json_t *files;

	(void)state;
	load_net(&net, LINKS(ETH0 "}") "networkmanager_installed: true\n");
	qb_bridge_plan(&net, &config, 1, MACHINE_ID, NULL, &plan);
	assert_int_equal(plan.n_steps, 2);
	files = json_object_get(plan.steps[1].args, "files");
	assert_non_null(
		strstr(json_string_value(json_object_get(json_array_get(files, 0), "text")),
		       "\n[bridge]\nstp=false\nvlan-filtering=true\nvlan-default-pvid=20\n"));
	assert_non_null(strstr(json_string_value(json_object_get(json_array_get(files, 1), "text")),
			       "\n[bridge-port]\nvlans=5 pvid untagged, 10, 20-30\n"));
}

/* bridge(8) with these words, separated by single spaces. */
static void bridge(const char *words)
{
	const char *argv[16] = {access("/usr/sbin/bridge", X_OK) == 0 ? "/usr/sbin/bridge"
								      : "/sbin/bridge"};
	_cleanup_free_ char *line = qb_strdup(words);
	struct qb_error err = QB_ERROR_INIT;
	char *save = NULL;
	size_t n = 1;

	for (char *w = strtok_r(line, " ", &save); w && n < 15; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	if (qb_exec_check(argv, 10000, &err) < 0)
		fail_msg("bridge %s: %s", words, err.msg);
}

static void vlan_of_gateway(unsigned id, const char *address)
{
	ip_on_gateway("link add link gw0 name gw0.%u type vlan id %u", id, id);
	ip_on_gateway("link set gw0.%u up", id);
	ip_on_gateway("addr add %s dev gw0.%u", address, id);
}

/* The host itself in one more VLAN: what it sends there is let through as far as the port. */
static void vlan_of_host(unsigned id, const char *address)
{
	_cleanup_free_ char *words = qb_asprintf("vlan add dev br0 vid %u self", id);

	bridge(words);
	ip("link add link br0 name br0.%u type vlan id %u", id, id);
	ip("link set br0.%u up", id);
	ip("addr add %s dev br0.%u", address, id);
}

static void frames_of_the_right_vlan_pass(void **state)
{
	char *ten[] = {(char *)"10"};
	_cleanup_free_ char *before = NULL;
	_cleanup_net_ struct qb_net net = {0};
	struct host h;

	(void)state;
	if (!can_filter() || !can_make("vlan"))
		skip();
	begin_filtering(&h);
	h.ports[0].tagged = (struct qb_strs){.v = ten, .n = 1};
	before = state_of_host(&h);
	vlan_of_gateway(10, "198.18.10.1/24");
	vlan_of_gateway(20, "198.18.20.1/24");
	move_and_verify(&h);
	find(&net, &h, "br0");
	assert_string_equal(qb_net_link(&net, "up0")->vlans.v[0], "1 pvid untagged");
	assert_string_equal(qb_net_link(&net, "up0")->vlans.v[1], "10");
	assert_int_equal(qb_net_link(&net, "up0")->vlans.n, 2);
	assert_true(answers("192.0.2.1"));
	vlan_of_host(10, "198.18.10.10/24");
	vlan_of_host(20, "198.18.20.10/24");
	assert_true(answers("198.18.10.1"));
	assert_false(answers("198.18.20.1"));
	/* It was the port that kept it, and nothing else. */
	bridge("vlan add dev up0 vid 20");
	ip("neigh flush dev br0.20");
	assert_true(answers("198.18.20.1"));
	ip("link del br0.10");
	ip("link del br0.20");
	assert_undone(&h, before);
	end(&h);
}

static void the_second_time_there_is_nothing_to_do(void **state)
{
	char *ten[] = {(char *)"10", (char *)"20-30"};
	struct host h;

	(void)state;
	if (!can_filter())
		skip();
	begin_filtering(&h);
	h.ports[0].tagged = (struct qb_strs){.v = ten, .n = 2};
	move_and_verify(&h);
	assert_int_equal(observe(&h), 1);
	assert_int_equal(plan(&h), 0);
	end(&h);
}

/* The host's own VLAN has a tag on the wire; without a tag nothing comes through. */
static void the_host_in_a_vlan_of_its_own(void **state)
{
	char *ten[] = {(char *)"10"};
	_cleanup_net_ struct qb_net net = {0};
	struct host h;

	(void)state;
	if (!can_filter() || !can_make("vlan"))
		skip();
	begin_filtering(&h);
	ip_on_gateway("addr flush dev gw0");
	vlan_of_gateway(10, "192.0.2.1/24");
	h.config.pvid = 10;
	h.ports[0].pvid = 0;
	h.ports[0].tagged = (struct qb_strs){.v = ten, .n = 1};
	assert_false(answers("192.0.2.1"));
	move_and_verify(&h);
	find(&net, &h, "br0");
	assert_int_equal(qb_net_link(&net, "up0")->vlans.n, 1);
	assert_string_equal(qb_net_link(&net, "up0")->vlans.v[0], "10");
	assert_string_equal(qb_net_link(&net, "br0")->vlans.v[0], "10 pvid untagged");
	assert_int_equal(qb_net_link(&net, "br0")->vlans.n, 1);
	ip("neigh flush dev br0");
	assert_true(answers("192.0.2.1"));
	assert_int_equal(plan(&h), 0);
	end(&h);
}

/* A port that does not carry the host's VLAN cuts it off: who answered is missed. */
static void a_host_cut_off_is_put_back(void **state)
{
	char *ten[] = {(char *)"10"};
	_cleanup_free_ char *before = NULL;
	struct host h;

	(void)state;
	if (!can_filter())
		skip();
	begin_filtering(&h);
	h.ports[0].pvid = 0;
	h.ports[0].tagged = (struct qb_strs){.v = ten, .n = 1};
	before = state_of_host(&h);
	move_host(&h);
	assert_true(verify(&h) < 0);
	assert_undone(&h, before);
	assert_true(answers("192.0.2.1"));
	end(&h);
}

/* Killed when the bridge had been made, or its port was in and had no VLANs yet. */
static void a_killed_run_is_gone_on_with(void **state)
{
	char *ten[] = {(char *)"10"};
	struct host h;

	(void)state;
	if (!can_filter())
		skip();
	for (int half = 0; half < 2; half++) {
		_cleanup_free_ char *before = NULL;

		begin_filtering(&h);
		h.ports[0].tagged = (struct qb_strs){.v = ten, .n = 1};
		before = state_of_host(&h);
		assert_int_equal(plan(&h), 1);
		assert_ok(&h, observe(&h));
		remember(&h);
		ip("link add br0 address " HOST_MAC " type bridge vlan_filtering 1");
		if (half)
			ip("link set up0 master br0");
		move_and_verify(&h);
		assert_undone(&h, before);
		end(&h);
	}
}

int main(void)
{
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(lists_are_as_the_kernel_tells_them),
		cmocka_unit_test(plans_compare_with_what_is_there),
		cmocka_unit_test(profiles_filter_the_same),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_the_right_vlan_pass),
		cmocka_unit_test(the_second_time_there_is_nothing_to_do),
		cmocka_unit_test(the_host_in_a_vlan_of_its_own),
		cmocka_unit_test(a_host_cut_off_is_put_back),
		cmocka_unit_test(a_killed_run_is_gone_on_with),
	};
	int failed = cmocka_run_group_tests(pure, NULL, NULL);

	if (!may_unshare()) {
		print_error("no network namespace can be made here: nothing was tried\n");
		return failed;
	}
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
