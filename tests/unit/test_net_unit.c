/* SPDX-License-Identifier: Apache-2.0 */
/* Units of systemd-networkd: what they say of a bridge, what is taken over, what is refused. */
#include "net/drift.h"
#include "net/unit.h"
#include "tests/unit/net_owner_host.h"

static void make(struct setup *s)
{
	move(s);
	qb_unit_plan(&s->net, &s->config, &s->move, NULL, &s->files);
	assert_int_equal(s->files.n, 3);
}

static void assert_golden(const char *host)
{
	static const char *const paths[] = {"/etc/systemd/network/0-qubi-br0-port-1.network",
					    "/etc/systemd/network/0-qubi-br0.network",
					    "/etc/systemd/network/0-qubi-br0.netdev"};
	static const char *const parts[] = {"port.network", "bridge.network", "bridge.netdev"};
	_cleanup_free_ char *yaml = qb_asprintf("networkd-%s.yaml", host);
	struct setup s;

	load(&s, yaml);
	make(&s);
	for (size_t i = 0; i < 3; i++) {
		_cleanup_free_ char *name = qb_asprintf("networkd-%s-%s", host, parts[i]);
		_cleanup_free_ char *wanted = data(name);

		assert_string_equal(s.files.v[i].path, paths[i]);
		if (strcmp(s.files.v[i].text, wanted) != 0)
			fprintf(stderr, "%s is:\n%s", name, s.files.v[i].text);
		assert_string_equal(s.files.v[i].text, wanted);
	}
	done(&s);
}

static void all_that_is_fixed_is_written_down(void **state)
{
	(void)state;
	assert_golden("static");
}

static void who_is_asked_is_asked_as_before(void **state)
{
	(void)state;
	assert_golden("dynamic");
}

/* Made once more, from what the bridge has then, they are the same: nothing is to be done. */
static void a_second_plan_wants_the_same(void **state)
{
	char *addresses[] = {(char *)"192.0.2.10/24"};
	json_t *list, *differences;
	struct setup s, again;
	bool any;

	(void)state;
	load(&s, "networkd-static.yaml");
	s.config.ipv4 = (struct qb_ip_config){.mode = QB_IP_STATIC, .addresses = {addresses, 1}};
	make(&s);
	assert_non_null(strstr(s.files.v[1].text, "\nDNS=192.0.2.53\n"));
	assert_null(strstr(s.files.v[1].text, "Address=192.0.2.11/24"));
	load(&again, "networkd-static.yaml");
	again.config = s.config;
	again.config.ports = &again.port;
	qb_strset(&again.net.links[0].unit_path, s.files.v[0].path);
	qb_strset(&again.net.links[0].unit_text, s.files.v[0].text);
	{
		struct qb_link *br0 = QB_APPEND(again.net.links, again.net.n_links);

		br0->name = qb_strdup("br0");
		br0->ifindex = 3;
		br0->unit_text = qb_strdup(s.files.v[1].text);
	}
	for (size_t i = 0; i < s.files.n; i++) {
		struct qb_keyfile *file = QB_APPEND(again.net.keyfiles, again.net.n_keyfiles);

		file->path = qb_strdup(s.files.v[i].path);
		file->text = qb_strdup(s.files.v[i].text);
	}
	make(&again);
	assert_null(qb_keyfiles_missing(&again.net, &again.files, NULL,
					&(struct qb_fixed){true, true}, &any, &list, &differences));
	assert_int_equal(json_array_size(differences), 0);
	json_decref(list);
	json_decref(differences);
	done(&again);
	done(&s);
}

static void a_port_is_bound_as_configured(void **state)
{
	struct setup s;

	(void)state;
	load(&s, "networkd-static.yaml");
	make(&s);
	assert_non_null(
		strstr(s.files.v[0].text, "[Match]\nPermanentMACAddress=00:00:5e:00:53:01"));
	done(&s);
	load(&s, "networkd-static.yaml");
	qb_strset(&s.net.links[0].path, "pci-0000:01:00.0");
	s.port = (struct qb_port_match){.path = (char *)"pci-0000:01:00.0"};
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "[Match]\nPath=pci-0000:01:00.0\n"));
	done(&s);
	load(&s, "networkd-static.yaml");
	s.port = (struct qb_port_match){.name = (char *)"eno1"};
	make(&s);
	assert_non_null(strstr(s.files.v[0].text, "[Match]\nName=eno1\n"));
	done(&s);
}

/* What becomes of a line of the NIC's unit; 0 is the unit of the port, 1 that of the bridge. */
static void what_a_unit_says_has_an_heir(void **state)
{
	static const struct {
		const char *unit;
		size_t heir;
		const char *wanted, *unwanted;
	} cases[] = {
		/* With a link-local address alone nothing in the kernel says that it listens. */
		{"[Network]\nIPv6AcceptRA=no\n", 1, "\nIPv6AcceptRA=no\n", "AcceptRA=yes"},
		{"[Network]\nIPv6AcceptRA=yes\n", 1, "\nIPv6AcceptRA=yes\n", "AcceptRA=no"},
		{"[Network]\n", 1, "\nIPv6AcceptRA=yes\n", "AcceptRA=no"},
		/* Nor who made it. */
		{"[Network]\nAddress=FE80:0::1/64\n", 1, "\nAddress=fe80::1/64\n", "FE80"},
		{"[Address]\nAddress = fe80::1/64\n", 1, "\nAddress=fe80::1/64\n", "Address ="},
		{"[Network]\nAddress=fe80::2/64\n", 1, "\n[Network]\n", "fe80"},
		{"[Network]\nConfigureWithoutCarrier=yes\n", 1, "\nIgnoreCarrierLoss=yes\n",
		 "ConfigureWithoutCarrier"},
		{"[Network]\nConfigureWithoutCarrier=yes\nIgnoreCarrierLoss=no\n", 1,
		 "\nIgnoreCarrierLoss=no\n", "IgnoreCarrierLoss=yes"},
		{"[Network]\nBindCarrier=eno2\n", 0, "\nBindCarrier=eno2\n", "eno1\n\n[Bind"},
		{"[RoutingPolicyRule]\nIncomingInterface=eno1\nOutgoingInterface=eno11\n", 1,
		 "\nIncomingInterface=br0\nOutgoingInterface=eno11\n", "Interface=eno1\n"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_address link_local = {.address = "fe80::1/64", .flags = 128};
		struct qb_link nic = {.name = "eno1", .unit_text = (char *)cases[i].unit};
		struct qb_net net = {.links = &nic, .n_links = 1};
		struct qb_port port = {.name = "eno1"};
		struct qb_move m = {.bridge = "br0",
				    .source = "eno1",
				    .ports = &port,
				    .n_ports = 1,
				    .add = &link_local,
				    .n_add = 1};
		struct qb_port_match match = {.name = "eno1"};
		const struct qb_bridge_config config = {
			.name = "br0", .ports = &match, .n_ports = 1};
		_cleanup_keyfiles_ struct qb_keyfiles files = {0};

		qb_unit_plan(&net, &config, &m, NULL, &files);
		if (!strstr(files.v[cases[i].heir].text, cases[i].wanted) ||
		    strstr(files.v[cases[i].heir].text, cases[i].unwanted))
			fail_msg("%s\ngives\n%s", cases[i].unit, files.v[cases[i].heir].text);
	}
}

/* Of several tokens a router's prefix is given an address each. */
static void a_token_of_the_nic_is_the_only_one(void **state)
{
	struct setup s;
	size_t n = 0;

	(void)state;
	load(&s, "networkd-dynamic.yaml");
	qb_strset(&s.net.links[0].unit_text,
		  "[Network]\nIPv6AcceptRA=yes\n[IPv6AcceptRA]\nToken=prefixstable\n");
	for (size_t i = 0; i < s.net.links[0].n_addresses; i++)
		if (qb_address_is_dynamic(&s.net.links[0].addresses[i]) &&
		    strchr(s.net.links[0].addresses[i].address, ':'))
			qb_strset(&s.net.links[0].addresses[i].address, "2001:db8::77/64");
	make(&s);
	for (const char *at = s.files.v[1].text; (at = strstr(at, "Token=")); at++)
		n++;
	assert_int_equal(n, 1);
	assert_non_null(strstr(s.files.v[1].text, "\nToken=prefixstable\n"));
	done(&s);
}

static void vlans_of_a_bridge_that_filters(void **state)
{
	struct setup s;
	const struct qb_link *port;

	(void)state;
	load(&s, "networkd-static.yaml");
	port = qb_net_link(&s.net, "eno1");
	qb_move_plan(&s.net, &s.config, &port, 1, &s.plan, &s.move);
	s.move.vlan_filtering = true;
	s.move.pvid = 5;
	qb_strs_add(&s.move.ports[0].vlans, "5 pvid untagged");
	qb_strs_add(&s.move.ports[0].vlans, "20-30");
	qb_unit_plan(&s.net, &s.config, &s.move, NULL, &s.files);
	assert_non_null(strstr(s.files.v[0].text,
			       "\n[BridgeVLAN]\nVLAN=5\nPVID=5\nEgressUntagged=5\n"
			       "\n[BridgeVLAN]\nVLAN=20-30\n"));
	assert_non_null(strstr(s.files.v[2].text, "\nVLANFiltering=yes\nDefaultPVID=5\n"));
	done(&s);
}

/* Without a port it has no carrier, and would be given no address. */
static void a_bridge_without_a_port(void **state)
{
	char *addresses[] = {(char *)"198.51.100.1/24"};
	struct setup s;

	(void)state;
	load(&s, "networkd-static.yaml");
	s.config.n_ports = 0;
	s.config.ipv4 = (struct qb_ip_config){.mode = QB_IP_STATIC, .addresses = {addresses, 1}};
	s.config.ipv6.mode = QB_IP_NONE;
	qb_move_plan(&s.net, &s.config, NULL, 0, &s.plan, &s.move);
	qb_unit_plan(&s.net, &s.config, &s.move, NULL, &s.files);
	assert_int_equal(s.files.n, 2);
	assert_non_null(strstr(s.files.v[0].text, "\nConfigureWithoutCarrier=yes\n"));
	/* Nor does a boot wait for one. */
	assert_non_null(strstr(s.files.v[0].text, "\n[Link]\nRequiredForOnline=no\n"));
	assert_non_null(strstr(s.files.v[0].text, "\nAddress=198.51.100.1/24\n"));
	done(&s);
}

static void set_tos(struct setup *s)
{
	s->net.routes[1].tos = 16;
}

static void set_realms(struct setup *s)
{
	s->net.routes[1].realms = 3;
}

static void set_metric(struct setup *s)
{
	qb_strs_add(&s->net.routes[1].metrics, "rto_min 200");
}

static void set_type(struct setup *s)
{
	qb_strset(&s->net.routes[1].type, "nat");
}

static void set_term(struct setup *s)
{
	qb_strs_add(&s->net.rules[1].terms, "tun_id 7");
}

static void set_goto(struct setup *s)
{
	qb_strset(&s->net.rules[1].action, "goto");
}

static void set_nexthop(struct setup *s)
{
	struct qb_nexthop *nh = QB_APPEND(s->net.nexthops, s->net.n_nexthops);

	*nh = (struct qb_nexthop){.id = 9,
				  .family = qb_strdup("inet"),
				  .dev = qb_strdup("eno1"),
				  .gateway = qb_strdup("192.0.2.1"),
				  .proto = qb_strdup("static")};
}

static void set_earlier(struct setup *s)
{
	qb_strset(&s->net.links[0].unit_path, "/etc/systemd/network/0-eno1.network");
}

/* Its own unit is not known while it is held back. */
static void set_barred(struct setup *s)
{
	s->net.links[0].barred = true;
	qb_strset(&s->net.links[0].unit_text, NULL);
}

static void what_no_unit_says_is_refused(void **state)
{
	static const struct {
		void (*change)(struct setup *s);
		const char *code, *evidence;
	} cases[] = {
		{set_tos, "not-persistent", "route 198.51.100.0/24 of table 77 by eno1"},
		{set_realms, "not-persistent", "route 198.51.100.0/24"},
		{set_metric, "not-persistent", "route 198.51.100.0/24"},
		{set_type, "not-persistent", "route 198.51.100.0/24"},
		{set_term, "not-persistent", "inet rule 6, which names eno1"},
		{set_goto, "not-persistent", "inet rule 6"},
		{set_nexthop, "not-persistent", "nexthop 9 by eno1"},
		{set_barred, "not-persistent", "/run/systemd/network/0-barred-eno1.network"},
		{set_earlier, "unsupported", "/etc/systemd/network/0-eno1.network is for eno1"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		const struct qb_link *port;
		struct setup s;

		load(&s, "networkd-static.yaml");
		port = qb_net_link(&s.net, "eno1");
		cases[i].change(&s);
		qb_move_plan(&s.net, &s.config, &port, 1, &s.plan, &s.move);
		if (s.plan.n_refused)
			fail_msg("case %zu: %s", i, s.plan.refused[0].reasons[0].evidence);
		qb_unit_refuse(&s.net, &s.move, &s.plan);
		assert_int_equal(s.plan.n_refused, 1);
		assert_string_equal(s.plan.refused[0].reasons[0].code, cases[i].code);
		assert_non_null(strstr(s.plan.refused[0].reasons[0].evidence, cases[i].evidence));
		done(&s);
	}
}

static void all_that_a_unit_says_is_not_refused(void **state)
{
	const struct qb_link *port;
	struct setup s;

	(void)state;
	load(&s, "networkd-static.yaml");
	port = qb_net_link(&s.net, "eno1");
	/* One that is not confirmed yet is ours. */
	qb_strset(&s.net.links[0].unit_path,
		  "/run/systemd/network/0-provisional-br0-port-1.network");
	qb_move_plan(&s.net, &s.config, &port, 1, &s.plan, &s.move);
	qb_unit_refuse(&s.net, &s.move, &s.plan);
	assert_int_equal(s.plan.n_refused, 0);
	done(&s);
}

/* Who keeps bridges: who runs and has a link, in case of doubt NetworkManager. */
static void keepers(void **state)
{
	static const struct {
		bool installed, running, networkd, link, loopback;
		enum qb_keeper keeper;
		bool renews, barred;
	} cases[] = {
		{false, false, false, false, false, QB_KEEPER_AGENT, false},
		{false, false, true, false, false, QB_KEEPER_NETWORKD, true, true},
		{false, false, false, false, false, QB_KEEPER_AGENT, false, true},
		{true, false, false, false, false, QB_KEEPER_NETWORKMANAGER, false},
		{true, true, false, false, false, QB_KEEPER_NETWORKMANAGER, true},
		{true, true, true, true, false, QB_KEEPER_NETWORKMANAGER, true},
		{true, false, true, true, false, QB_KEEPER_NETWORKD, true},
		{false, false, true, true, false, QB_KEEPER_NETWORKD, true},
		{false, false, true, false, false, QB_KEEPER_AGENT, false},
		{false, false, true, true, true, QB_KEEPER_AGENT, false},
		{false, false, false, true, false, QB_KEEPER_AGENT, false},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_link link = {.networkd = cases[i].link,
				       .barred = cases[i].barred,
				       .loopback = cases[i].loopback};
		const struct qb_net net = {.links = &link,
					   .n_links = 1,
					   .networkmanager_installed = cases[i].installed,
					   .networkmanager_running = cases[i].running,
					   .networkd_running = cases[i].networkd};

		if (qb_net_keeper(&net) != cases[i].keeper ||
		    qb_net_renews(&net) != cases[i].renews)
			fail_msg("case %zu", i);
	}
}

static void assert_differences(const char *path, const char *text, const char *wanted,
			       const char *written, bool addresses, size_t n)
{
	json_auto_t *list = json_array();

	qb_keyfile_differences(path, text, wanted, written,
			       &(struct qb_fixed){addresses, addresses}, list);
	if (json_array_size(list) != n)
		fail_msg("%zu differences of\n%s", json_array_size(list), text);
}

#define UNIT "/etc/systemd/network/0-qubi-br0.network"

/*
 * Sections and keys come again in a unit; where the bridge inherits, its addresses are its own, but
 * those that were written into it and the host has are not lost unseen.
 */
static void keys_of_units_are_told(void **state)
{
	static const char wanted[] = "[Match]\nName=br0\n[Address]\nAddress=192.0.2.1/24\n"
				     "[Address]\nAddress=192.0.2.2/24\n[Link]\nMTUBytes=9000\n";
	static const char first[] = "[Match]\nName=br0\n[Address]\nAddress=192.0.2.1/24\n"
				    "[Link]\nMTUBytes=9000\n";
	static const char second[] = "[Match]\nName=br0\n[Address]\nAddress=192.0.2.2/24\n"
				     "[Link]\nMTUBytes=9000\n";
	static const struct {
		const char *text, *written;
		size_t all, own;
	} cases[] = {
		{wanted, NULL, 0, 0},
		{"[Match]\nName=br0\n[Address]\nAddress=192.0.2.2/24\n[Address]\n"
		 "Address=192.0.2.1/24\n[Link]\nMTUBytes=9000\n",
		 NULL, 0, 0},
		{second, NULL, 1, 0},
		{second, second, 1, 0}, /* somebody gave the host another one */
		{second, first, 1, 1},
		{"[Match]\nName=br9\n[Address]\nAddress=192.0.2.1/24\nAddress=192.0.2.2/24\n", NULL,
		 2, 2},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		assert_differences(UNIT, cases[i].text, wanted, cases[i].written, true,
				   cases[i].all);
		assert_differences(UNIT, cases[i].text, wanted, cases[i].written, false,
				   cases[i].own);
	}
}

/* Of a family that is not inherited a file has what the configuration says, and no more. */
static void families_are_told_apart(void **state)
{
#define BOTH                                                                                       \
	"[Match]\nName=br0\n[Network]\nDHCP=no\n[Address]\nAddress=192.0.2.1/24\n"                 \
	"[Address]\nAddress=2001:db8::1/64\n"
#define WAY "[Route]\nDestination=0.0.0.0/0\nGateway=192.0.2.254\n"
	static const struct {
		const char *text, *wanted;
		struct qb_fixed fixed;
		size_t n;
	} cases[] = {
		{BOTH, BOTH WAY, {false, false}, 0},
		{BOTH, BOTH WAY, {true, false}, 2},
		{BOTH, BOTH WAY, {false, true}, 0},
		{BOTH WAY, BOTH, {true, false}, 1},
		{BOTH WAY, BOTH, {false, true}, 0},
		{BOTH "[Address]\nAddress=192.0.2.2/24\n", BOTH, {true, false}, 1},
		{BOTH "[Address]\nAddress=192.0.2.2/24\n", BOTH, {false, true}, 0},
		{BOTH "[Address]\nAddress=2001:db8::2/64\n", BOTH, {false, true}, 1},
		{BOTH "[Network]\nDHCP=yes\nDHCP=no\n", BOTH, {true, false}, 1},
		/* A way to one network is nobody's but whoever wrote it. */
		{BOTH "[Route]\nDestination=198.51.100.0/24\nGateway=192.0.2.9\n",
		 BOTH,
		 {true, true},
		 0},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		json_auto_t *list = json_array();

		qb_keyfile_differences(UNIT, cases[i].text, cases[i].wanted, NULL, &cases[i].fixed,
				       list);
		if (json_array_size(list) != cases[i].n)
			fail_msg("case %zu: %zu", i, json_array_size(list));
	}
}

/* With a line too many a port would have the host's address, and the bridge not. */
static void what_has_no_address_is_as_written(void **state)
{
	static const char port[] = "/etc/systemd/network/0-qubi-br0-port-1.network";
	static const char netdev[] = "/etc/systemd/network/0-qubi-br0.netdev";
	static const char wanted[] = "# Made\n[Match]\nName=eno1\n[Network]\nBridge=br0\n";
	static const char device[] = "[NetDev]\nName=br0\nKind=bridge\n";
	static const struct {
		const char *path, *text, *wanted;
		size_t n;
	} cases[] = {
		{port, wanted, wanted, 0},
		{port, "[Match]\nName=eno1\n[Network]\nBridge=br0\nDHCP=yes\n", wanted, 1},
		{port, "[Match]\nName=eno1\n[Network]\nBridge=br0\nBridge=br9\n", wanted, 1},
		{port, "[Match]\nName=eno1\n[Network]\nBridge=br9\n", wanted, 1},
		{port, "[Match]\nName=eno1\n", wanted, 1},
		{netdev, device, device, 0},
		{netdev, "[NetDev]\nName=br0\nKind=bridge\n[Bridge]\nSTP=yes\n", device, 1},
		{UNIT, "[Match]\nName=br0\n[Network]\nDHCP=yes\n", "[Match]\nName=br0\n", 0},
		/* With these there would be no bridge after a boot. */
		{UNIT, "[Match]\nName=br0\nHost=elsewhere\n[Network]\n", "[Match]\nName=br0\n", 1},
		{UNIT, "[Match]\nName=br0\n[Link]\nUnmanaged=yes\n", "[Match]\nName=br0\n", 1},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		assert_differences(cases[i].path, cases[i].text, cases[i].wanted, NULL, false,
				   cases[i].n);
}

/*
 * The files are written from the last one on, and may end anywhere: by a port that comes before the
 * NIC with the addresses the bridge would have these, and so would the NIC.
 */
static void the_nic_with_the_addresses_is_the_last_of_the_ports(void **state)
{
	static const struct {
		const char *source;
		size_t order[3];
	} cases[] = {
		{"eth0", {1, 2, 0}}, {"eth1", {0, 2, 1}}, {"eth2", {0, 1, 2}}, {NULL, {0, 1, 2}}};
	struct qb_port ports[] = {{.name = "eth0"}, {.name = "eth1"}, {.name = "eth2"}};
	struct qb_move m = {.ports = ports, .n_ports = 3, .bridge = (char *)"br0"};
	const struct qb_port_match matches[3] = {{0}};
	const struct qb_bridge_config config = {
		.name = (char *)"br0", .ports = (struct qb_port_match *)matches, .n_ports = 3};
	const struct qb_net net = {0};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_keyfiles_ struct qb_keyfiles files = {0};

		m.source = (char *)cases[i].source;
		qb_unit_plan(&net, &config, &m, NULL, &files);
		assert_int_equal(files.n, 5);
		for (size_t j = 0; j < 3; j++) {
			_cleanup_free_ char *path =
				qb_asprintf(QB_UNITS "/" QB_UNIT_PREFIX "br0-port-%zu.network",
					    cases[i].order[j] + 1);

			assert_int_equal(qb_move_port_at(&m, j), cases[i].order[j]);
			assert_string_equal(files.v[j].path, path);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_fixed_is_written_down),
		cmocka_unit_test(who_is_asked_is_asked_as_before),
		cmocka_unit_test(a_second_plan_wants_the_same),
		cmocka_unit_test(a_port_is_bound_as_configured),
		cmocka_unit_test(what_a_unit_says_has_an_heir),
		cmocka_unit_test(a_token_of_the_nic_is_the_only_one),
		cmocka_unit_test(vlans_of_a_bridge_that_filters),
		cmocka_unit_test(a_bridge_without_a_port),
		cmocka_unit_test(the_nic_with_the_addresses_is_the_last_of_the_ports),
		cmocka_unit_test(what_no_unit_says_is_refused),
		cmocka_unit_test(all_that_a_unit_says_is_not_refused),
		cmocka_unit_test(keepers),
		cmocka_unit_test(keys_of_units_are_told),
		cmocka_unit_test(families_are_told_apart),
		cmocka_unit_test(what_has_no_address_is_as_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
