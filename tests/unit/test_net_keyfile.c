/* SPDX-License-Identifier: Apache-2.0 */
#include "net/drift.h"
#include "tests/unit/net_owner_host.h"

static void make(struct setup *s)
{
	move(s);
	qb_keyfile_plan(&s->net, &s->config, &s->move, &s->files);
	assert_int_equal(s->files.n, 2);
}

static void assert_golden(const char *host, const char *bridge, const char *port)
{
	_cleanup_free_ char *want_bridge = data(bridge), *want_port = data(port);
	struct setup s;

	load(&s, host);
	make(&s);
	assert_string_equal(s.files.v[0].path,
			    "/etc/NetworkManager/system-connections/qubi-br0.nmconnection");
	assert_string_equal(s.files.v[1].path,
			    "/etc/NetworkManager/system-connections/qubi-br0-port-1.nmconnection");
	assert_string_equal(s.files.v[0].text, want_bridge);
	assert_string_equal(s.files.v[1].text, want_port);
	done(&s);
}

static void static_addresses_are_written_down(void **state)
{
	(void)state;
	assert_golden("static.yaml", "static.nmconnection", "static-port.nmconnection");
}

static void renewed_addresses_are_asked_for_anew(void **state)
{
	(void)state;
	assert_golden("dynamic.yaml", "dynamic.nmconnection", "dynamic-port.nmconnection");
}

/* After a reboot nobody brings a default route that the profile neither names nor asks for. */
static void a_default_route_comes_back(void **state)
{
	struct setup s;
	char *addresses[] = {(char *)"192.0.2.20/24"};

	(void)state;
	/* A lease without an end: its address looks permanent. */
	load(&s, "dynamic.yaml");
	s.net.links[0].addresses[0].flags = 128;
	s.net.links[0].addresses[0].valid_s = s.net.links[0].addresses[0].preferred_s = 0;
	qb_strset(&s.net.routes[0].prefsrc, "192.0.2.10");
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\n[ipv4]\nmethod=auto\n"));
	assert_null(strstr(s.files.v[0].text, "address1"));
	done(&s);
	/* A fixed address where a lease was: its gateway goes on, as it does until the reboot. */
	load(&s, "dynamic.yaml");
	s.config.ipv4 = (struct qb_ip_config){.mode = QB_IP_STATIC, .addresses = {addresses, 1}};
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\n[ipv4]\nmethod=manual\n"
						  "address1=192.0.2.20/24\ngateway=192.0.2.1\n"));
	done(&s);
	/* A fixed IPv6 address, the route from a router. */
	load(&s, "dynamic.yaml");
	s.net.links[0].addresses[1].flags = 128;
	s.net.links[0].addresses[1].valid_s = s.net.links[0].addresses[1].preferred_s = 0;
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\n[ipv6]\nmethod=auto\n"
						  "address1=2001:db8::1234:5678:9abc:def0/64\n"));
	done(&s);
}

static void a_port_is_bound_as_configured(void **state)
{
	struct setup s;

	(void)state;
	load(&s, "static.yaml");
	s.port = (struct qb_port_match){.path = (char *)"pci-0000:01:00.0"};
	make(&s);
	assert_non_null(strstr(s.files.v[1].text, "\n[match]\npath=pci-0000:01:00.0\n"));
	assert_null(strstr(s.files.v[1].text, "mac-address"));
	done(&s);
	load(&s, "static.yaml");
	s.port = (struct qb_port_match){.name = (char *)"eno1"};
	make(&s);
	assert_non_null(strstr(s.files.v[1].text, "\ninterface-name=eno1\n"));
	assert_null(strstr(s.files.v[1].text, "mac-address"));
	done(&s);
}

static void identifiers_are_kept(void **state)
{
	struct setup s;

	(void)state;
	/* Made of the MAC by the kernel: so it is made again. */
	load(&s, "static.yaml");
	qb_strset(&s.net.links[1].addresses[3].address, "fe80::200:5eff:fe00:5301/64");
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\naddr-gen-mode=eui64\n"));
	done(&s);
	load(&s, "dynamic.yaml");
	qb_strset(&s.net.links[0].addresses[1].address, "2001:db8::200:5eff:fe00:5301/64");
	qb_strset(&s.net.links[0].addresses[2].address, "fe80::200:5eff:fe00:5301/64");
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\naddr-gen-mode=eui64\n"));
	assert_null(strstr(s.files.v[0].text, "token"));
	done(&s);
	/* There is none: that which the bridge is to get is made of its MAC. */
	load(&s, "static.yaml");
	s.net.links[1].n_addresses = 3;
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\naddr-gen-mode=eui64\n"));
	s.net.links[1].n_addresses = 4;
	done(&s);
}

static void metrics_are_those_of_the_networks_where_there_is_no_default_route(void **state)
{
	struct setup s;

	(void)state;
	load(&s, "static.yaml");
	qb_strset(&s.net.routes[0].dst, "198.51.100.128/25");
	qb_strset(&s.net.routes[1].dst, "2001:db8:1::/48");
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\nroute-metric=0\n"));
	assert_non_null(strstr(s.files.v[0].text, "\nroute-metric=256\n"));
	done(&s);
	load(&s, "static.yaml");
	qb_strset(&s.net.routes[0].dst, "198.51.100.128/25");
	s.net.links[1].addresses[0].flags |= 0x200; /* its route is not the kernel's to add */
	s.net.routes[4].metric = 426;
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\nroute-metric=426\n"));
	done(&s);
	load(&s, "static.yaml");
	qb_strset(&s.net.routes[0].dst, "198.51.100.128/25");
	s.net.links[1].addresses[0].metric = 50;
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\nroute-metric=50\n"));
	done(&s);
}

static void none_is_disabled(void **state)
{
	struct setup s;

	(void)state;
	load(&s, "static.yaml");
	s.config.ipv6.mode = QB_IP_NONE;
	s.net.routes[1].metric = 0;
	qb_strset(&s.net.routes[1].dev, "lo"); /* else it is refused: it is the default route */
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "\n[ipv6]\nmethod=disabled\n"));
	assert_null(strstr(s.files.v[0].text, "2001:db8::10"));
	done(&s);
}

/* NetworkManager has its own words for the same, and a profile that lost something is damaged. */
static void profiles_by_its_own_words_are_the_same(void **state)
{
	static const char wanted[] = "[connection]\nautoconnect=true\n"
				     "[ethernet]\ncloned-mac-address=00:00:5e:00:53:0a\n"
				     "[ipv4]\nmethod=manual\naddress1=192.0.2.1/24\n"
				     "gateway=192.0.2.254\n[ipv6]\nmethod=auto\n";
	static const struct {
		const char *text;
		struct qb_fixed fixed;
		size_t n;
	} cases[] = {
		{wanted, {true, true}, 0},
		{"[ethernet]\ncloned-mac-address=00:00:5E:00:53:0A\n[ipv4]\nmethod=manual\n"
		 "address1=192.0.2.1/24,192.0.2.254\n[ipv6]\nmethod=auto\n",
		 {false, false},
		 0},
		{"[connection]\nautoconnect=false\n[ethernet]\n"
		 "cloned-mac-address=00:00:5e:00:53:0b\n[ipv4]\nmethod=manual\n"
		 "address1=192.0.2.1/24,192.0.2.254\n[ipv6]\nmethod=auto\n",
		 {false, false},
		 2},
		{"[ethernet]\ncloned-mac-address=00:00:5E:00:53:0A\n", {false, false}, 4},
		{"[ethernet]\ncloned-mac-address=00:00:5E:00:53:0A\n[ipv4]\nmethod=disabled\n"
		 "[ipv6]\nmethod=disabled\n",
		 {false, false},
		 4},
		{"[ethernet]\ncloned-mac-address=00:00:5E:00:53:0A\n[ipv4]\nmethod=manual\n"
		 "address1=192.0.2.1/24\naddress2=192.0.2.2/24\ngateway=192.0.2.254\n"
		 "[ipv6]\nmethod=auto\n[bridge]\nvlan-filtering=true\n",
		 {true, false},
		 2},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		json_auto_t *list = json_array();

		qb_keyfile_differences("/etc/x", cases[i].text, wanted, wanted, &cases[i].fixed,
				       list);
		if (json_array_size(list) != cases[i].n)
			fail_msg("case %zu: %zu", i, json_array_size(list));
	}
}

static bool has(const char *text, const char *wanted, bool addresses)
{
	json_auto_t *list = json_array();

	qb_keyfile_differences("/etc/x", text, wanted, NULL,
			       &(struct qb_fixed){addresses, addresses}, list);
	return !json_array_size(list);
}

static void what_differs_is_seen(void **state)
{
	_cleanup_free_ char *text = data("static.nmconnection");
	static const char other_stp[] = "[bridge]\nstp=true\n";
	static const char other_address[] = "[ipv4]\naddress1=192.0.2.99/24\n";
	static const char other_zone[] = "[connection]\nzone=dmz\n";

	(void)state;
	assert_true(has(text, text, true));
	assert_false(has(text, other_stp, false));
	/* Where the bridge inherits, what the file says of addresses holds. */
	assert_true(has("[ipv4]\naddress1=192.0.2.1/24\n", other_address, false));
	assert_false(has("[ipv4]\naddress1=192.0.2.1/24\n", other_address, true));
	assert_true(has("[connection]\nzone=internal\n", other_zone, true));
	/* A key in another section is not that key. */
	assert_false(has("[bridge]\nid=x\n", "[connection]\nid=x\n", true));
	assert_false(has("", text, false));
}

static const struct qb_step *find_step(const struct qb_plan *plan, const char *kind)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (!strcmp(plan->steps[i].kind, kind))
			return &plan->steps[i];
	return NULL;
}

static void profiles_are_planned_where_networkmanager_is(void **state)
{
	const struct qb_step *step;
	const json_t *files;
	struct setup s;

	(void)state;
	load(&s, "static.yaml");
	s.net.networkmanager_installed = true;
	qb_bridge_plan(&s.net, &s.config, 1, NULL, NULL, &s.plan);
	assert_int_equal(s.plan.n_steps, 2);
	assert_string_equal(s.plan.steps[0].kind, "net.bridge");
	assert_null(strstr(s.plan.steps[0].why, "until the next boot"));
	step = find_step(&s.plan, "net.persist");
	files = json_object_get(step->args, "files");
	assert_int_equal(json_array_size(files), 2);
	assert_false(json_is_true(json_object_get(step->args, "running")));
	done(&s);
	/* Where it runs it takes over at once: names are resolved as it says, leases renewed by it.
	 */
	load(&s, "dynamic.yaml");
	s.net.networkmanager_installed = s.net.networkmanager_running = true;
	qb_bridge_plan(&s.net, &s.config, 1, NULL, NULL, &s.plan);
	step = find_step(&s.plan, "net.persist");
	assert_true(json_is_true(json_object_get(step->args, "running")));
	assert_int_equal(json_array_size(json_object_get(step->args, "ports")), 1);
	assert_non_null(strstr(step->why, "it takes the bridge over now"));
	done(&s);
	load(&s, "static.yaml");
	qb_bridge_plan(&s.net, &s.config, 1, NULL, NULL, &s.plan);
	assert_null(find_step(&s.plan, "net.persist"));
	done(&s);
}

/* A bridge that is as wanted, with or without what an earlier run left. */
static void others_bridges_are_left_to_them(void **state)
{
	struct qb_ledger_entry entry = {.kind = (char *)"net.bridge", .target = (char *)"br0"};
	struct qb_ledger ours = {.entries = &entry, .n_entries = 1};
	struct qb_keyfile *file;
	struct setup s;

	(void)state;
	load(&s, "done.yaml");
	s.net.networkmanager_installed = true;
	qb_bridge_plan(&s.net, &s.config, 1, NULL, NULL, &s.plan);
	assert_int_equal(s.plan.n_refused, 0);
	assert_int_equal(s.plan.n_steps, 0);
	/* Made by a run of ours that was killed before it wrote them. */
	qb_bridge_plan(&s.net, &s.config, 1, NULL, &ours, &s.plan);
	assert_int_equal(s.plan.n_steps, 1);
	assert_string_equal(s.plan.steps[0].kind, "net.persist");
	/* With them there is nothing to do, whatever else NetworkManager does with the addresses.
	 */
	make(&s);
	for (size_t i = 0; i < s.files.n; i++) {
		file = QB_APPEND(s.net.keyfiles, s.net.n_keyfiles);
		file->path = qb_strdup(s.files.v[i].path);
		file->text = qb_strdup(s.files.v[i].text);
	}
	qb_plan_done(&s.plan);
	s.plan = (struct qb_plan){0};
	s.net.links[2].addresses[0].flags |= 0x200;
	qb_bridge_plan(&s.net, &s.config, 1, NULL, &ours, &s.plan);
	assert_int_equal(s.plan.n_steps, 0);
	/* One that somebody changed is written anew. */
	qb_strset(&s.net.keyfiles[1].text, "[connection]\n");
	qb_bridge_plan(&s.net, &s.config, 1, NULL, &ours, &s.plan);
	assert_int_equal(s.plan.n_steps, 1);
	assert_non_null(strstr(s.plan.steps[0].why, "qubi-br0-port-1"));
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(profiles_by_its_own_words_are_the_same),
		cmocka_unit_test(static_addresses_are_written_down),
		cmocka_unit_test(renewed_addresses_are_asked_for_anew),
		cmocka_unit_test(a_default_route_comes_back),
		cmocka_unit_test(a_port_is_bound_as_configured),
		cmocka_unit_test(identifiers_are_kept),
		cmocka_unit_test(metrics_are_those_of_the_networks_where_there_is_no_default_route),
		cmocka_unit_test(none_is_disabled),
		cmocka_unit_test(what_differs_is_seen),
		cmocka_unit_test(profiles_are_planned_where_networkmanager_is),
		cmocka_unit_test(others_bridges_are_left_to_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
