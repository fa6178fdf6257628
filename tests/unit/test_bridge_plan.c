/* SPDX-License-Identifier: Apache-2.0 */
#include "test_bridge_plan.h"

#include "net/names.h"

/* What does not go into one batch would leave the host half moved. */
static void more_than_one_batch_holds_is_refused(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST);
	for (unsigned i = 0; i < QB_MOVE_MAX / 2; i++) {
		struct qb_route *r = QB_APPEND(s.net.routes, s.net.n_routes);

		r->family = qb_strdup("inet");
		r->dst = qb_asprintf("198.18.%u.%u/32", i / 250, i % 250);
		r->gateway = qb_strdup("192.0.2.1");
		r->dev = qb_strdup("eth0");
		r->type = qb_strdup("unicast");
		r->scope = qb_strdup("global");
		r->proto = qb_strdup("static");
		r->table = 254;
		r->n_nexthops = 1;
	}
	assert_refused(&s, "unsupported", "eth0 has 4098 routes");
	done(&s);
}

/* Host, code and a word of the evidence; the port is eth0. */
static const struct {
	const char *host, *code, *evidence;
} refusals[] = {
	{LINKS(LO ", " ETH0_HEAD ", wireless: true}") ROUTES(DEFAULT4), "wireless", "eth0"},
	{LINKS(LO ", " ETH0_HEAD ", master: bond0}"), "has-master", "bond0"},
	{LINKS(ETH0 ", {name: mv0, ifindex: 9, kind: macvlan, lower_ifindex: 2}"), "has-upper",
	 "mv0 (macvlan)"},
	{LINKS(ETH0 ", {name: mt0, ifindex: 9, kind: macvtap, lower_ifindex: 2}"), "has-upper",
	 "mt0 (macvtap)"},
	{LINKS("{name: eth0, ifindex: 2, loopback: true}"), "loopback", "eth0"},
	{LINKS(ETH1), "no-match", "eth1 (00:00:5e:00:53:02, pci-0000:01:00.1, ixgbe)"},
	{LINKS(ETH0_HEAD ", kind: dummy}"), "unsupported", "is a dummy"},
	{LINKS("{name: eth0, ifindex: 2, up: true}"), "unsupported", "no Ethernet address"},
	{LINKS(ETH0_HEAD ", networkd: true}"), "unsupported", "systemd-networkd"},
	{LINKS(ETH0_HEAD ", unmanaged: true}") "networkmanager_running: true\n", "unsupported",
	 "nmcli device set eth0 managed yes"},
	{LINKS(ETH0) "network_root: 192.0.2.9:/export / nfs4 rw 0 0\n", "network-root", "nfs4"},
	{LINKS(ETH0 ", {name: br0, ifindex: 7, kind: dummy}"), "name-taken", "dummy"},
	{LINKS(ETH0 ", {name: br0, ifindex: 7}"), "name-taken", "a NIC"},
	{LINKS(ETH0) ROUTES(R4("198.51.100.0/24", ", dev: eth0, extra: encap")),
	 "route-unsupported", "encap"},
	{LINKS(ETH0_HEAD ", addresses: [{address: 2001:db8::5/64, scope: global, flags: 1, "
			 "valid_s: 600, preferred_s: 300}]}"),
	 "address-unsupported", "temporary"},
	{LINKS(ETH0_HEAD ", addresses: [{address: 2001:db8::5/64, scope: global, flags: 136}]}"),
	 "address-unsupported", "duplicate"},
	{LINKS(ETH0_HEAD ", addresses: ["
			 "{address: 2001:db8::5/64, scope: global, flags: 128, metric: 50}, "
			 "{address: 2001:db8::6/64, scope: global, flags: 128}]}"),
	 "address-unsupported", "2001:db8::6/64 of eth0 has another metric"},
	{LINKS(ETH0_HEAD ", addresses: [{address: 192.0.2.5/24, scope: global, flags: 0, "
			 "valid_s: 600, preferred_s: 300}]}"),
	 "dynamic-address", "600 s left"},
	{"known: false\n", "unknown", "nobody looked"},
};

static void every_refusal_fires(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(refusals); i++) {
		struct setup s;

		load(&s, refusals[i].host);
		assert_refused(&s, refusals[i].code, refusals[i].evidence);
		done(&s);
	}
}

/* Where NetworkManager does not run its device files are old, and what is in the bridge may stay.
 */
static void what_networkmanager_leaves_alone_may_be_left(void **state)
{
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", unmanaged: true}"));
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_refused, 0);
	done(&s);
	load(&s, LINKS(ETH0_HEAD ", unmanaged: true, master: br0}, " BR0) ROUTES_BR0
	     "networkmanager_running: true\n");
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_refused, 0);
	done(&s);
}

static void all_reasons_at_once(void **state)
{
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", wireless: true, master: bond0, networkd: true}, "
				 "{name: mv0, ifindex: 9, kind: macvlan, lower_ifindex: 2}"));
	assert_refused(&s, "wireless", "eth0");
	assert_int_equal(s.plan.n_refused, 1);
	assert_int_equal(s.plan.refused[0].n_reasons, 4);
	done(&s);
}

static void a_veth_peer_is_no_upper(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0 ", {name: v0, ifindex: 9, kind: veth, lower_ifindex: 2}"));
	assert_step(&s, NULL, &move);
	qb_move_done(&move);
	done(&s);
}

static void ports_are_found(void **state)
{
	static const struct {
		struct qb_port_match match;
		const char *link;
	} cases[] = {
		{{.match = (char *)"default-route"}, "eth0"},
		{{.mac = (char *)"00:00:5E:00:53:02"}, "eth1"},
		{{.path = (char *)"pci-0000:01:00.1"}, "eth1"},
		{{.name = (char *)"eth1"}, "eth1"},
	};
	struct qb_move move;
	struct setup s;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		load(&s, HOST);
		s.ports[0] = cases[i].match;
		assert_step(&s, NULL, &move);
		assert_int_equal(move.n_ports, 1);
		assert_string_equal(move.ports[0].name, cases[i].link);
		qb_move_done(&move);
		done(&s);
	}
}

static void the_mac_of_the_hardware_comes_first(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	/* eth9 pretends to be eth0, and the bridge to be made would, too. */
	load(&s, LINKS("{name: eth9, ifindex: 9, mac: 00:00:5e:00:53:01, "
		       "permanent_mac: 00:00:5e:00:53:09, mtu: 1500, up: true}, " ETH0));
	s.ports[0] = (struct qb_port_match){.mac = (char *)"00:00:5e:00:53:01"};
	assert_step(&s, NULL, &move);
	assert_string_equal(move.ports[0].name, "eth0");
	qb_move_done(&move);
	done(&s);
	/* Where no hardware has it, one set by software counts. */
	load(&s, LINKS("{name: eth9, ifindex: 9, mac: 00:00:5e:00:53:01, mtu: 1500, up: true}"));
	s.ports[0] = (struct qb_port_match){.mac = (char *)"00:00:5e:00:53:01"};
	assert_step(&s, NULL, &move);
	assert_string_equal(move.ports[0].name, "eth9");
	qb_move_done(&move);
	done(&s);
}

static void half_way_the_default_route_is_the_nics(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", master: br0, " ETH0_ADDRESSES "}, " BR0)
			 ROUTES(DEFAULT4 ", " R4("default", ", gateway: 192.0.2.1, dev: br0, "
							    "metric: 100")));
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	assert_step(&s, NULL, &move);
	assert_string_equal(move.ports[0].name, "eth0");
	qb_move_done(&move);
	done(&s);
}

static void several_candidates_are_listed(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST);
	s.ports[0] = (struct qb_port_match){.driver = (char *)"ixgbe"};
	assert_refused(&s, "ambiguous",
		       "eth0 (00:00:5e:00:53:01, pci-0000:01:00.0, ixgbe) and "
		       "eth1 (00:00:5e:00:53:02, pci-0000:01:00.1, ixgbe)");
	done(&s);
	/* Two families that leave by two links. */
	load(&s, LINKS(ETH0 ", " ETH1)
			 ROUTES(DEFAULT4 ", " R6("default", ", dev: eth1, metric: 1024")));
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	assert_refused(&s, "ambiguous", "default-route names 2 links");
	done(&s);
}

static void the_lowest_metric_is_the_default_route(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s,
	     LINKS(ETH0 ", " ETH1) ROUTES(R4("default", ", dev: eth1, metric: 600") ", " DEFAULT4));
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	assert_step(&s, NULL, &move);
	assert_string_equal(move.ports[0].name, "eth0");
	qb_move_done(&move);
	done(&s);
}

static void two_bridges_do_not_share_a_nic(void **state)
{
	struct qb_bridge_config two[2];
	struct setup s;

	(void)state;
	load(&s, HOST);
	two[0] = two[1] = s.config;
	two[1].name = (char *)"br1";
	qb_bridge_plan(&s.net, two, 2, NULL, NULL, &s.plan);
	assert_int_equal(s.plan.n_steps, 1);
	assert_non_null(reason(&s.plan, "claimed"));
	assert_non_null(strstr(reason(&s.plan, "claimed")->evidence, "br0"));
	done(&s);
	load(&s, HOST);
	s.ports[1] = s.ports[0];
	s.config.n_ports = 2;
	assert_refused(&s, "claimed", "eth0");
	done(&s);
}

static void the_move_is_what_the_nic_carries(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, HOST);
	assert_step(&s, NULL, &move);
	assert_int_equal(s.plan.n_steps, 1);
	assert_string_equal(move.bridge, "br0");
	assert_string_equal(move.mac, "00:00:5e:00:53:01");
	assert_string_equal(move.source, "eth0");
	assert_int_equal(move.mtu, 1500);
	assert_int_equal(move.n_add, 3);
	assert_int_equal(move.n_drop, 3);
	assert_string_equal(move.add[0].broadcast, "192.0.2.255");
	/* The kernel makes the prefix route of 192.0.2.10 by itself. */
	assert_int_equal(move.n_add_routes, 2);
	assert_int_equal(move.n_drop_routes, 2);
	/* Nobody would bring it back, and that is said. */
	assert_non_null(strstr(s.plan.steps[0].why, "until the next boot"));
	qb_move_done(&move);
	done(&s);
}

static void prefix_routes_of_noprefixroute_addresses_move(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	/* As NetworkManager has it: IFA_F_NOPREFIXROUTE | IFA_F_PERMANENT. */
	load(&s, LINKS(ETH0_HEAD ", addresses: [{address: 192.0.2.10/24, scope: global, "
				 "flags: 640}]}") ROUTES(DEFAULT4 ", " ONLINK4));
	assert_step(&s, NULL, &move);
	assert_int_equal(move.add[0].flags, 640);
	assert_int_equal(move.n_add_routes, 2);
	qb_move_done(&move);
	done(&s);
}

static void labels_follow_the_bridge(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", addresses: ["
				 "{address: 192.0.2.10/24, scope: global, flags: 128, "
				 "label: eth0:1}, "
				 "{address: 192.0.2.11/24, scope: global, flags: 129, "
				 "label: uplink}]}"));
	assert_step(&s, NULL, &move);
	assert_string_equal(move.add[0].label, "br0:1");
	assert_string_equal(move.drop[0].label, "eth0:1");
	assert_string_equal(move.add[1].label, "uplink");
	/* "secondary" is the kernel's finding, not a setting. */
	assert_int_equal(move.add[1].flags, 128);
	qb_move_done(&move);
	done(&s);
}

static void a_bridge_as_wanted_needs_nothing(void **state)
{
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", master: br0}, " BR0) ROUTES_BR0);
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_steps, 0);
	assert_int_equal(s.plan.n_refused, 0);
	/* Nor does the link-local address matter that the kernel makes on a port. */
	done(&s);
	load(&s, LINKS(ETH0_HEAD ", master: br0, addresses: [{address: fe80::2/64, scope: link, "
				 "flags: 128}]}, " BR0) ROUTES_BR0);
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_steps, 0);
	/* Then it is the bridge by which the default route leaves, and still the same port. */
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	plan_with(&s, NULL);
	assert_int_equal(s.plan.n_refused, 0);
	assert_int_equal(s.plan.n_steps, 0);
	done(&s);
}

static void a_bridge_half_made_is_made(void **state)
{
	static const char *const hosts[] = {
		/* Made, and no port yet. */
		LINKS(ETH0 ", {name: br0, ifindex: 7, kind: bridge, mac: 00:00:5e:00:53:01, "
			   "mtu: 1500, stp: false}") ROUTES(DEFAULT4 ", " DEFAULT6),
		/* The port is in, and still has the addresses. */
		LINKS(ETH0_HEAD
		      ", master: br0, " ETH0_ADDRESSES "}, {name: br0, ifindex: 7, kind: bridge, "
		      "mac: 00:00:5e:00:53:01, mtu: 1500, up: true, stp: false}") ROUTES(DEFAULT4),
		/* Both have them. */
		LINKS(ETH0_HEAD ", master: br0, " ETH0_ADDRESSES "}, " BR0) ROUTES_BR0,
		/* It is switched off. */
		LINKS(ETH0_HEAD ", master: br0}, {name: br0, ifindex: 7, kind: bridge, "
				"mac: 00:00:5e:00:53:01, mtu: 1500, stp: false}"),
		/* It speaks STP. */
		LINKS(ETH0_HEAD ", master: br0}, {name: br0, ifindex: 7, kind: bridge, "
				"mac: 00:00:5e:00:53:01, mtu: 1500, up: true, stp: true}"),
	};
	struct qb_move move;
	struct setup s;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(hosts); i++) {
		load(&s, hosts[i]);
		assert_step(&s, NULL, &move);
		qb_move_done(&move);
		done(&s);
	}
}

static void what_both_have_is_only_taken_off(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", master: br0, " ETH0_ADDRESSES "}, " BR0) ROUTES_BR0);
	assert_step(&s, NULL, &move);
	assert_int_equal(move.n_add, 0);
	assert_int_equal(move.n_drop, 2); /* the link-local one may stay */
	qb_move_done(&move);
	done(&s);
}

/* A ledger of one entry, as the journal of an earlier run gives it. */
static void ledger_of(const char *args, struct qb_ledger_entry *entry, struct qb_ledger *ret)
{
	*entry = (struct qb_ledger_entry){
		.kind = (char *)"net.bridge",
		.target = (char *)"br0",
		.args = json_loads(args, 0, NULL),
		.done = true,
	};
	assert_non_null(entry->args);
	*ret = (struct qb_ledger){.entries = entry, .n_entries = 1};
}

static void a_selector_stays_with_its_nic(void **state)
{
	struct qb_ledger_entry entry;
	struct qb_ledger ledger;
	struct qb_move move;
	struct setup s;

	(void)state;
	ledger_of("{\"ports\": [{\"name\": \"old0\", \"mac\": \"00:00:5e:00:53:02\", "
		  "\"permanent_mac\": \"00:00:5e:00:53:02\"}]}",
		  &entry, &ledger);
	/* The default route leaves by eth0 now, but br0 was bound to what is eth1 today. */
	load(&s, HOST);
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	assert_step(&s, &ledger, &move);
	assert_string_equal(move.ports[0].name, "eth1");
	qb_move_done(&move);
	/* It is said when the NIC is gone; no other takes its place. */
	done(&s);
	load(&s, LINKS(ETH0) ROUTES(DEFAULT4));
	s.ports[0] = (struct qb_port_match){.match = (char *)"default-route"};
	plan_with(&s, &ledger);
	assert_non_null(reason(&s.plan, "nic-missing"));
	assert_non_null(strstr(reason(&s.plan, "nic-missing")->evidence, "00:00:5e:00:53:02"));
	assert_int_equal(s.plan.n_steps, 0);
	done(&s);
	json_decref(entry.args);
}

static void static_addresses_replace(void **state)
{
	char *addresses[] = {(char *)"192.0.2.20/24"};
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, HOST);
	s.config.ipv4 = (struct qb_ip_config){
		.mode = QB_IP_STATIC, .addresses = {addresses, 1}, .gateway = (char *)"192.0.2.2"};
	assert_step(&s, NULL, &move);
	/* IPv6 is inherited all the same. */
	assert_int_equal(move.n_add, 3);
	assert_string_equal(move.add[2].address, "192.0.2.20/24");
	assert_int_equal(move.n_add_routes, 2);
	assert_string_equal(move.add_routes[1].gateway, "192.0.2.2");
	assert_int_equal(move.n_drop, 3);
	assert_int_equal(move.n_drop_routes, 2);
	assert_string_equal(move.add[2].broadcast, "192.0.2.255");
	qb_move_done(&move);
	/* The other one of two is a host. */
	addresses[0] = (char *)"192.0.2.20/31";
	assert_step(&s, NULL, &move);
	assert_null(move.add[2].broadcast);
	qb_move_done(&move);
	done(&s);
}

/* What a bridge has from an earlier configuration is not there in silence. */
static void leftovers_of_another_configuration_are_refused(void **state)
{
	char *other[] = {(char *)"192.0.2.20/24"}, *same[] = {(char *)"192.0.2.10/24"};
	struct setup s;

	(void)state;
	for (int i = 0; i < 3; i++) {
		load(&s, LINKS(ETH0_HEAD ", master: br0}, " BR0) ROUTES_BR0);
		s.config.ipv4 =
			(struct qb_ip_config){.mode = i ? QB_IP_STATIC : QB_IP_NONE,
					      .addresses = {i == 1 ? other : same, i ? 1 : 0},
					      .gateway = (char *)(i == 2 ? "192.0.2.254" : NULL)};
		if (i < 2)
			assert_refused(&s, "unsupported", "ip address del 192.0.2.10/24 dev br0");
		else
			assert_refused(&s, "unsupported", "default route via 192.0.2.1");
		done(&s);
	}
}

static void none_and_dhcp_do_not_cut_off(void **state)
{
	struct setup s;

	(void)state;
	load(&s, HOST);
	s.config.ipv4.mode = QB_IP_NONE;
	assert_refused(&s, "default-route", "inet default route");
	done(&s);
	load(&s, HOST);
	s.config.ipv4.mode = QB_IP_DHCP;
	assert_refused(&s, "unsupported", "ipv4: dhcp");
	done(&s);
}

static void two_ports_need_one_source(void **state)
{
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, HOST);
	s.ports[1].name = (char *)"eth1";
	s.config.n_ports = 2;
	assert_step(&s, NULL, &move);
	assert_int_equal(move.n_ports, 2);
	assert_string_equal(move.source, "eth0");
	qb_move_done(&move);
	done(&s);
	load(&s, LINKS(ETH0 ", {name: eth1, ifindex: 3, mac: 00:00:5e:00:53:02, mtu: 1500, "
			    "addresses: [{address: 198.51.100.1/24, scope: global, "
			    "flags: 128}]}"));
	s.ports[1].name = (char *)"eth1";
	s.config.n_ports = 2;
	assert_refused(&s, "address-unsupported", "both eth0 and eth1");
	done(&s);
}

static void the_same_host_gives_the_same_plan(void **state)
{
	_cleanup_plan_ struct qb_plan again = {0};
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", addresses: [{address: 192.0.2.5/24, scope: global, flags: 0, "
				 "valid_s: 600, preferred_s: 300}]}")
			 ROUTES(DEFAULT4) "networkmanager_running: true\n");
	assert_step(&s, NULL, &move);
	qb_move_done(&move);
	s.net.links[0].addresses[0].valid_s = 12;
	qb_bridge_plan(&s.net, &s.config, 1, NULL, NULL, &again);
	assert_true(json_equal(s.plan.steps[0].args, again.steps[0].args));
	done(&s);
}

static const struct qb_op *find_op(const struct qb_ops *ops, enum qb_op_kind kind, size_t *ret_at)
{
	for (size_t i = 0; i < ops->n; i++) {
		if (ops->v[i].kind == kind) {
			*ret_at = i;
			return &ops->v[i];
		}
	}
	fail_msg("no operation %d", kind);
	return NULL;
}

static size_t place_of_address(const struct qb_ops *ops, const char *family)
{
	for (size_t i = 0; i < ops->n; i++)
		if (ops->v[i].kind == QB_OP_ADDRESS_ADD &&
		    !strcmp(qb_ip_family(ops->v[i].address->address), family))
			return i;
	fail_msg("no %s address", family);
	return 0;
}

static void the_order_loses_nothing(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	size_t enslave = 0, route = 0, route_off = 0, address_off = 0, settle = 0;
	struct qb_move move;
	struct setup s;

	(void)state;
	/* As a dump gives them: the default route first. */
	load(&s,
	     LINKS(ETH0) ROUTES(DEFAULT4 ", " DEFAULT6 ", " R4("203.0.113.0/24", ", dev: eth0")));
	assert_step(&s, NULL, &move);
	b = qb_move_forward(&move);
	find_op(&b.build, QB_OP_ENSLAVE, &enslave);
	/* With paths checked a link without an IPv4 address takes no IPv4 frame. */
	assert_true(place_of_address(&b.build, "inet") < enslave);
	/* Of two IPv6 routes the newest is taken, and that must lead somewhere. */
	assert_true(enslave < place_of_address(&b.build, "inet6"));
	assert_null(find_op(&b.clear, QB_OP_ROUTE_ADD, &route)->route->gateway);
	find_op(&b.clear, QB_OP_ROUTE_DELETE, &route_off);
	assert_true(route < route_off);
	/* The kernel would take another route of that network for the address's own. */
	find_op(&b.clear, QB_OP_ADDRESS_SETTLE, &settle);
	assert_true(settle < route);
	/* IPv6 addresses go at once, IPv4 ones when nothing more comes in by the port. */
	assert_string_equal(find_op(&b.clear, QB_OP_ADDRESS_DELETE, &address_off)->dev, "eth0");
	assert_true(route_off < address_off);
	assert_string_equal(find_op(&b.clear, QB_OP_ADDRESS_YIELD, &address_off)->dev, "eth0");
	for (size_t i = 0; i < b.rest.n; i++)
		assert_string_equal(qb_ip_family(b.rest.v[i].address->address), "inet");
	assert_int_equal(b.leave.n, 0);
	for (size_t i = 0; i < b.build.n; i++)
		assert_false(b.build.v[i].kind == QB_OP_ADDRESS_DELETE ||
			     b.build.v[i].kind == QB_OP_ROUTE_DELETE);
	qb_move_done(&move);
	done(&s);
}

/* With the first address of a subnet the kernel deletes the others of that subnet. */
static void the_first_address_of_a_subnet_goes_last(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", addresses: ["
				 "{address: 192.0.2.10/24, scope: global, flags: 128}, "
				 "{address: 192.0.2.11/24, scope: global, flags: 129}]}"));
	assert_step(&s, NULL, &move);
	b = qb_move_forward(&move);
	assert_int_equal(b.rest.n, 2);
	assert_string_equal(b.rest.v[0].address->address, "192.0.2.11/24");
	assert_string_equal(b.rest.v[1].address->address, "192.0.2.10/24");
	qb_move_done(&move);
	done(&s);
}

static void assert_addresses(const struct qb_ops *ops, enum qb_op_kind kind, const char *wanted)
{
	_cleanup_buf_ struct qb_buf b = {0};

	for (size_t i = 0; i < ops->n; i++)
		if (ops->v[i].kind == kind)
			qb_buf_printf(&b, "%s%s", b.len ? " " : "", ops->v[i].address->address);
	assert_string_equal(b.s, wanted);
}

/*
 * The kernel lists the newest IPv6 address first and prefers it; and it keeps the route of one that
 * goes while there is another without a route of its own.
 */
static void ipv6_addresses_keep_their_order(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0_HEAD ", addresses: ["
				 "{address: 2001:db8::10/64, scope: global, flags: 128}, "
				 "{address: 2001:db8::11/64, scope: global, flags: 640}, "
				 "{address: 192.0.2.10/24, scope: global, flags: 128}, "
				 "{address: 192.0.2.11/24, scope: global, flags: 129}]}"));
	assert_step(&s, NULL, &move);
	b = qb_move_forward(&move);
	assert_addresses(&b.build, QB_OP_ADDRESS_ADD,
			 "192.0.2.10/24 192.0.2.11/24 2001:db8::11/64 2001:db8::10/64");
	assert_addresses(&b.clear, QB_OP_ADDRESS_DELETE, "2001:db8::11/64 2001:db8::10/64");
	qb_move_done(&move);
	done(&s);
}

/* Without a like route on the bridge nothing would go before that of the port. */
static void only_what_has_a_successor_yields(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	char *addresses[] = {(char *)"192.0.2.10/16"};
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0));
	s.config.ipv4 = (struct qb_ip_config){.mode = QB_IP_STATIC, .addresses = {addresses, 1}};
	assert_step(&s, NULL, &move);
	b = qb_move_forward(&move);
	assert_int_equal(b.rest.n, 0);
	for (size_t i = 0; i < b.clear.n; i++)
		assert_false(b.clear.v[i].kind == QB_OP_ADDRESS_YIELD);
	qb_move_done(&move);
	done(&s);
}

/* A run that was killed had made the bridge's addresses, or the port's, give way already. */
static void what_was_on_its_way_off_is_taken_up(void **state)
{
#define YIELDING                                                                                   \
	"{address: 192.0.2.10/24, broadcast: 192.0.2.255, scope: global, flags: 128, "             \
	"metric: 4294967294}"
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, LINKS(ETH0 ", {name: br0, ifindex: 7, kind: bridge, mac: 00:00:5e:00:53:01, "
			    "mtu: 1500, up: true, stp: false, addresses: [" YIELDING "]}"));
	assert_step(&s, NULL, &move);
	assert_string_equal(move.add[0].address, "192.0.2.10/24");
	assert_int_equal(move.add[0].metric, 0);
	qb_move_done(&move);
	done(&s);
	load(&s, LINKS(ETH0_HEAD ", master: br0, addresses: [" YIELDING "]}, " BR0) ROUTES_BR0);
	assert_step(&s, NULL, &move);
	assert_int_equal(move.n_add, 0);
	assert_int_equal(move.n_drop, 1);
	assert_int_equal(move.drop[0].metric, 0);
	qb_move_done(&move);
	done(&s);
}

static void the_way_back_has_all_before_the_port_leaves(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	char *ports[] = {(char *)"eth0"};
	struct qb_strs release = {ports, 1};
	size_t released = 0, deleted = 0, added = 0;
	struct qb_move move;
	struct setup s;

	(void)state;
	load(&s, HOST);
	assert_step(&s, NULL, &move);
	b = qb_move_inverse(&move, &release, true);
	assert_string_equal(find_op(&b.build, QB_OP_ADDRESS_ADD, &added)->dev, "eth0");
	assert_string_equal(find_op(&b.clear, QB_OP_ROUTE_ADD, &added)->dev, "eth0");
	assert_true(added < b.clear.n - 1);
	/* Nobody is spoken to by the bridge's own route any more when the port leaves... */
	assert_string_equal(find_op(&b.leave, QB_OP_RELEASE, &released)->dev, "eth0");
	assert_string_equal(find_op(&b.clear, QB_OP_ADDRESS_YIELD, &deleted)->dev, "br0");
	/* ...but what the bridge still gets it can take, to the last frame. */
	assert_string_equal(find_op(&b.rest, QB_OP_ADDRESS_DELETE, &deleted)->dev, "br0");
	/* Whatever became of the bridge, the NIC gets its own back. */
	qb_batches_done(&b);
	b = qb_move_inverse(&move, &(struct qb_strs){0}, false);
	for (size_t i = 0; i < b.build.n; i++)
		assert_string_equal(b.build.v[i].dev, "eth0");
	for (size_t i = 0; i < b.clear.n; i++)
		assert_string_equal(b.clear.v[i].dev, "eth0");
	assert_int_equal(b.build.n, move.n_drop);
	assert_int_equal(b.leave.n, 0);
	assert_int_equal(b.rest.n, 0);
	qb_move_done(&move);
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_refusal_fires),
		cmocka_unit_test(what_networkmanager_leaves_alone_may_be_left),
		cmocka_unit_test(all_reasons_at_once),
		cmocka_unit_test(more_than_one_batch_holds_is_refused),
		cmocka_unit_test(a_veth_peer_is_no_upper),
		cmocka_unit_test(ports_are_found),
		cmocka_unit_test(the_mac_of_the_hardware_comes_first),
		cmocka_unit_test(half_way_the_default_route_is_the_nics),
		cmocka_unit_test(several_candidates_are_listed),
		cmocka_unit_test(the_lowest_metric_is_the_default_route),
		cmocka_unit_test(two_bridges_do_not_share_a_nic),
		cmocka_unit_test(the_move_is_what_the_nic_carries),
		cmocka_unit_test(prefix_routes_of_noprefixroute_addresses_move),
		cmocka_unit_test(labels_follow_the_bridge),
		cmocka_unit_test(a_bridge_as_wanted_needs_nothing),
		cmocka_unit_test(a_bridge_half_made_is_made),
		cmocka_unit_test(what_both_have_is_only_taken_off),
		cmocka_unit_test(a_selector_stays_with_its_nic),
		cmocka_unit_test(static_addresses_replace),
		cmocka_unit_test(leftovers_of_another_configuration_are_refused),
		cmocka_unit_test(none_and_dhcp_do_not_cut_off),
		cmocka_unit_test(two_ports_need_one_source),
		cmocka_unit_test(the_same_host_gives_the_same_plan),
		cmocka_unit_test(the_order_loses_nothing),
		cmocka_unit_test(the_first_address_of_a_subnet_goes_last),
		cmocka_unit_test(ipv6_addresses_keep_their_order),
		cmocka_unit_test(only_what_has_a_successor_yields),
		cmocka_unit_test(what_was_on_its_way_off_is_taken_up),
		cmocka_unit_test(the_way_back_has_all_before_the_port_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
