/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network of libvirt, as its XML has it, beside one that a configuration wants: what is adopted
 * as it is, what is changed and how, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/host/libvirt_parse.h"
#include "agent/host/plan.h"

#define TEXT(s) ((char *)(uintptr_t)(s))
#define UUID "0b0e7a60-6b5c-5d3e-8a4a-3a3c1f0c5d11"

#define NETWORK(inside) "<network><name>guests</name><uuid>" UUID "</uuid>" inside "</network>"
#define NAT "<forward mode='nat'/><bridge name='virbr7' stp='on' delay='0'/>"
#define IP(inside) "<ip address='198.51.100.1' prefix='24'>" inside "</ip>"
#define REST "<dhcp><range start='198.51.100.2' end='198.51.100.254'/></dhcp>"
#define USUAL NETWORK(NAT IP(REST))

/* What stands behind the name in the configuration. */
#define SUBNET "subnet: 198.51.100.0/24"
#define ELSEWHERE "subnet: 203.0.113.0/24"

struct has {
	const char *live; /* NULL: no such network */
	const char *next; /* NULL: the same */
	bool inactive, no_autostart, transient;
	/* A running guest "web" is on the network of this name, or the bridge. */
	const char *guest_network, *guest_bridge;
	const char *link_on_bridge; /* a link below virbr7 */
};

static void load(const char *network, struct qb_config *ret)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text =
		qb_asprintf("version: 1\nnetworks:\n- {name: guests, %s}\n", network);

	if (qb_config_parse(text, strlen(text), ret, &diags) < 0)
		fail_msg("%s: %s", network, diags.v[0].msg);
}

static void add_network(const struct has *has, struct qb_facts *to)
{
	struct qb_vir_network *n = QB_APPEND(to->libvirt.networks, to->libvirt.n_networks);

	assert_int_equal(qb_vir_network_parse(has->live, n), 0);
	assert_int_equal(qb_vir_definition_parse(has->next ? has->next : has->live, &n->next), 0);
	n->active = !has->inactive;
	n->autostart = !has->no_autostart;
	n->persistent = !has->transient;
}

static void make_facts(const struct has *has, struct qb_facts *to)
{
	to->system.machine_id = qb_strdup("00005e005300492e8d3a715b2cafe001");
	qb_tri_set(&to->libvirt.connected, true);
	if (has->live)
		add_network(has, to);
	if (has->guest_network || has->guest_bridge) {
		struct qb_vir_nic *nic =
			QB_APPEND(to->libvirt.guest_interfaces, to->libvirt.n_guest_interfaces);

		*nic = (struct qb_vir_nic){qb_strdup("web"), qb_strdup(has->guest_network),
					   qb_strdup(has->guest_bridge), qb_strdup("vnet0")};
	}
	if (has->link_on_bridge) {
		struct qb_link *link = QB_APPEND(to->net.links, to->net.n_links);

		link->name = qb_strdup(has->link_on_bridge);
		link->master = qb_strdup("virbr7");
	}
}

static void make_plan(const struct has *has, const char *wanted, struct qb_plan *ret)
{
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_config_ struct qb_config config = {0};

	make_facts(has, &facts);
	load(wanted, &config);
	qb_libvirt_plan(&facts, &config, ret);
}

static void expect_step(const struct has *has, const char *wanted, const char *why)
{
	_cleanup_plan_ struct qb_plan p = {0};

	make_plan(has, wanted, &p);
	if (p.n_refused)
		fail_msg("%s: refused: %s", wanted, p.refused[0].reasons[0].evidence);
	if (p.n_steps != (why ? 1 : 0))
		fail_msg("%s: %zu steps: %s", wanted, p.n_steps, p.n_steps ? p.steps[0].why : "");
	if (!why)
		return;
	assert_string_equal(p.steps[0].kind, "libvirt.network");
	assert_string_equal(p.steps[0].target, "network guests");
	assert_string_equal(p.steps[0].why, why);
}

static void expect_refusal(const struct has *has, const char *wanted, const char *code,
			   const char *evidence)
{
	_cleanup_plan_ struct qb_plan p = {0};

	make_plan(has, wanted, &p);
	assert_int_equal(p.n_steps, 0);
	assert_int_equal(p.n_refused, 1);
	assert_string_equal(p.refused[0].target, "network guests");
	assert_int_equal(p.refused[0].n_reasons, 1);
	assert_string_equal(p.refused[0].reasons[0].code, code);
	if (!strstr(p.refused[0].reasons[0].evidence, evidence))
		fail_msg("%s", p.refused[0].reasons[0].evidence);
}

static void what_is_missing_is_planned(void **state)
{
	static const struct {
		struct has has;
		const char *wanted, *why;
	} cases[] = {
		{{0},
		 SUBNET,
		 "libvirt has no such object: define, start and autostart it, nat, the host at "
		 "198.51.100.1/24"},
		{{0},
		 SUBNET ", autostart: false",
		 "libvirt has no such object: define and start it, nat, the host at "
		 "198.51.100.1/24"},
		{{.live = USUAL, .inactive = true},
		 SUBNET,
		 "libvirt has it, but it is not active: start it"},
		{{.live = USUAL, .no_autostart = true},
		 SUBNET,
		 "libvirt does not start it at boot: autostart it"},
		{{.live = USUAL, .inactive = true, .no_autostart = true},
		 SUBNET,
		 "libvirt has it, but it is not active: start and autostart it"},
		{{.live = USUAL},
		 SUBNET ", autostart: false",
		 "libvirt starts it at boot: no longer autostart it"},
		{{.live = USUAL, .no_autostart = true}, SUBNET ", autostart: false", NULL},
		{{.live = USUAL}, SUBNET, NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		expect_step(&cases[i].has, cases[i].wanted, cases[i].why);
}

/* libvirt is started by a step before. It may have a network of that name, which nobody knows. */
static void what_nobody_could_be_asked_for_is_found_out_later(void **state)
{
	for (size_t connected = 0; connected < 2; connected++) {
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_config_ struct qb_config config = {0};
		_cleanup_plan_ struct qb_plan p = {0};

		make_facts(&(struct has){0}, &facts);
		qb_tri_set(&facts.libvirt.connected, connected);
		load(SUBNET, &config);
		qb_libvirt_plan(&facts, &config, &p);
		assert_int_equal(p.n_steps, 1);
		assert_int_equal(json_is_true(json_object_get(p.steps[0].args, "restart")),
				 !connected);
		assert_int_equal(!strstr(p.steps[0].why, "libvirt is to be asked for it: define"),
				 connected);
	}
	(void)state;
}

/* Made by hand, by virt-manager or by a playbook: what the configuration does not say may be as
 * it will, and what it says may be written otherwise. */
static void what_is_as_wanted_is_adopted(void **state)
{
	static const struct {
		const char *live, *wanted;
	} cases[] = {
		{NETWORK("<forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>"
			 "<bridge name='virbr0' stp='on' delay='0'/><mac "
			 "address='52:54:00:00:53:01'/>"
			 "<ip address='198.51.100.1' netmask='255.255.255.0'><dhcp>"
			 "<range start='198.51.100.2' end='198.51.100.254'/></dhcp></ip>"),
		 SUBNET ", dhcp: true"},
		{NETWORK("<title>t</title><forward/><bridge name='b' stp='off' delay='2'/>"
			 "<mtu size='9000'/><domain name='x.example'/><dns><txt name='a' "
			 "value='b'/>"
			 "</dns>" IP("<dhcp><host mac='00:00:5e:00:53:01' "
				     "ip='198.51.100.7'/></dhcp>") "<ip family='ipv6' "
								   "address='2001:db8::1' "
								   "prefix='64'><dhcp>"
								   "<range start='2001:db8::10' "
								   "end='2001:db8::20'/></dhcp></"
								   "ip>"),
		 SUBNET},
		{NETWORK("<bridge name='b'/>"), "forward: isolated"},
		{NETWORK("<bridge name='b'/>" IP("")),
		 "forward: isolated, " SUBNET ", dhcp: false"},
		{NETWORK(NAT "<domain name='x.example' localOnly='yes'/><dns>"
			     "<forwarder addr='192.0.2.53'/>"
			     "<forwarder domain='y.example' addr='192.0.2.54'/>"
			     "<host ip='2001:db8::5'><hostname>a</hostname><hostname>b</hostname>"
			     "</host></dns>" IP(
				     "<dhcp><range start='198.51.100.200' end='198.51.100.250'/>"
				     "<range start='198.51.100.100' end='198.51.100.150'>"
				     "<lease expiry='1' unit='hours'/></range>"
				     "<host mac='00:00:5E:00:53:0A' name='web' ip='198.51.100.10'/>"
				     "<host mac='00:00:5e:00:53:02' ip='198.51.100.11'/></dhcp>")),
		 SUBNET
		 ", bridge: virbr7, domain: {name: x.example, local-only: true}, dhcp: {ranges: ["
		 "{start: 198.51.100.100, end: 198.51.100.150}, "
		 "{start: 198.51.100.200, end: 198.51.100.250}], hosts: ["
		 "{mac: '00:00:5e:00:53:02', ip: 198.51.100.11}, "
		 "{mac: '00:00:5e:00:53:0a', ip: 198.51.100.10, name: web}]}, "
		 "dns: {forwarders: [{domain: y.example, addr: 192.0.2.54}, 192.0.2.53], "
		 "hosts: [{ip: '2001:0db8::5', names: [b, a]}]}"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		expect_step(&(struct has){.live = cases[i].live, .guest_network = "guests"},
			    cases[i].wanted, NULL);
}

#define HOST "{mac: '00:00:5e:00:53:01', ip: 198.51.100.10, name: web}"

/* These, a guest's network lives through. */
static void what_can_be_is_changed_while_it_runs(void **state)
{
	static const struct {
		const char *live, *wanted, *why;
	} cases[] = {
		{USUAL, SUBNET ", dhcp: {hosts: [" HOST "]}",
		 "dhcp.hosts is none, wanted is 00:00:5e:00:53:01 198.51.100.10 web: change it "
		 "while it runs"},
		{USUAL, SUBNET ", dhcp: false",
		 "dhcp.ranges is 198.51.100.2-198.51.100.254, wanted is none: change it while it "
		 "runs"},
		{USUAL, SUBNET ", dns: {hosts: {ip: 198.51.100.9, names: db}}",
		 "dns.hosts is none, wanted is 198.51.100.9 db: change it while it runs"},
		{NETWORK(NAT IP(
			 "<dhcp><host mac='00:00:5e:00:53:01' name='web' ip='198.51.100.10'/>"
			 "<host mac='00:00:5e:00:53:02' ip='198.51.100.11'/></dhcp>")),
		 SUBNET ", dhcp: {hosts: [" HOST "]}",
		 "dhcp.hosts is 00:00:5e:00:53:02 198.51.100.11, wanted is none: change it while "
		 "it runs"},
		{NETWORK(NAT IP("<dhcp><host mac='00:00:5e:00:53:01' name='old' ip='198.51.100.9'/>"
				"</dhcp>")),
		 SUBNET ", dhcp: {ranges: [], hosts: [" HOST "]}",
		 "dhcp.hosts is 00:00:5e:00:53:01 198.51.100.9 old, wanted is 00:00:5e:00:53:01 "
		 "198.51.100.10 web: change it while it runs"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		expect_step(&(struct has){.live = cases[i].live, .guest_network = "guests"},
			    cases[i].wanted, cases[i].why);
}

/* Each wants a restart, and so each is refused where somebody would be cut off. */
static void what_cannot_be_is_for_a_network_that_nobody_uses(void **state)
{
	static const struct {
		const char *wanted, *change;
	} cases[] = {
		{SUBNET ", forward: route", "forward is nat, wanted is route"},
		{SUBNET ", forward: isolated", "forward is nat, wanted is isolated"},
		{ELSEWHERE, "address is 198.51.100.1/24, wanted is 203.0.113.1/24"},
		{SUBNET ", bridge: guests0", "bridge is virbr7, wanted is guests0"},
		{SUBNET ", domain: x.example", "domain is none, wanted is x.example"},
		{SUBNET ", domain: {name: x.example, local-only: true}",
		 "domain is none, wanted is x.example; domain.local-only is false, wanted is true"},
		{SUBNET ", dns: {forwarders: 192.0.2.53}",
		 "dns.forwarders is none, wanted is 192.0.2.53"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *restarted = qb_asprintf(
			"%s: redefine and restart it, which no guest uses", cases[i].change);
		_cleanup_free_ char *started =
			qb_asprintf("%s: redefine and start it", cases[i].change);
		_cleanup_free_ char *refused = qb_asprintf(
			"%s: that wants a restart of the network, which would cut off web until",
			cases[i].change);

		expect_step(&(struct has){.live = USUAL}, cases[i].wanted, restarted);
		expect_step(&(struct has){.live = USUAL, .inactive = true}, cases[i].wanted,
			    started);
		expect_refusal(&(struct has){.live = USUAL, .guest_network = "guests"},
			       cases[i].wanted, "network-in-use", refused);
	}
}

static void who_uses_a_network(void **state)
{
	static const struct {
		struct has has;
		const char *who; /* NULL: nobody */
	} cases[] = {
		{{.guest_network = "others"}, NULL},
		{{.guest_bridge = "virbr7"}, "cut off web until"},
		{{.guest_bridge = "virbr8"}, NULL},
		{{.link_on_bridge = "veth5"}, "cut off whoever is behind veth5 until"},
		{{.link_on_bridge = "vnet0", .guest_network = "guests"}, "cut off web until"},
		{{.link_on_bridge = "virbr7-nic"}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct has has = cases[i].has;

		has.live = USUAL;
		if (cases[i].who)
			expect_refusal(&has, ELSEWHERE, "network-in-use", cases[i].who);
		else
			expect_step(&has, ELSEWHERE,
				    "address is 198.51.100.1/24, wanted is 203.0.113.1/24: "
				    "redefine and restart it, which no guest uses");
	}
}

/* Of two records of one name libvirt finds neither. */
static void what_libvirt_cannot_tell_apart_wants_a_restart(void **state)
{
	static const char *const doubled =
		NETWORK(NAT "<dns><host ip='198.51.100.8'><hostname>a</hostname></host>"
			    "<host ip='198.51.100.9'><hostname>a</hostname></host></dns>" IP(REST));
	static const char *const wanted = SUBNET ", dns: {hosts: []}";

	(void)state;
	expect_step(&(struct has){.live = doubled}, wanted,
		    "dns.hosts is 198.51.100.8 a and 198.51.100.9 a, wanted is none: redefine "
		    "and restart it, which no guest uses");
	expect_refusal(&(struct has){.live = doubled, .guest_network = "guests"}, wanted,
		       "network-in-use", "dns.hosts is 198.51.100.8 a and 198.51.100.9 a");
}

/* What it will be started with next is changed under guests: they do not feel it. */
static void the_next_start_counts_too(void **state)
{
	static const char *const edited = NETWORK("<forward mode='route'/>" IP(REST));
	static const struct {
		struct has has;
		const char *wanted, *why;
	} cases[] = {
		{{.live = USUAL, .next = edited, .guest_network = "guests"},
		 SUBNET,
		 "forward is route from its next start on, wanted is nat: redefine it"},
		{{.live = USUAL, .next = edited, .guest_network = "guests"},
		 SUBNET ", dhcp: {hosts: [" HOST "]}",
		 "forward is route from its next start on, wanted is nat; dhcp.hosts is none, "
		 "wanted is 00:00:5e:00:53:01 198.51.100.10 web: change it while it runs"},
		{{.live = edited, .next = USUAL},
		 SUBNET,
		 "forward is route, wanted is nat: redefine and restart it, which no guest uses"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		expect_step(&cases[i].has, cases[i].wanted, cases[i].why);
	expect_refusal(&(struct has){.live = edited, .next = USUAL, .guest_network = "guests"},
		       SUBNET, "network-in-use", "forward is route, wanted is nat");
}

/* Somebody gave these out by hand: to drop them without a word would be a loss. */
static void hosts_that_nobody_spoke_of_are_not_dropped(void **state)
{
	static const char *const with_hosts =
		NETWORK(NAT IP("<dhcp><host mac='00:00:5e:00:53:01' ip='198.51.100.10'/></dhcp>"));

	(void)state;
	expect_refusal(&(struct has){.live = with_hosts}, ELSEWHERE, "definition-differs",
		       "of 1 DHCP host that libvirt has the configuration says nothing");
	expect_step(&(struct has){.live = with_hosts}, ELSEWHERE ", dhcp: {hosts: []}",
		    "address is 198.51.100.1/24, wanted is 203.0.113.1/24; dhcp.hosts is "
		    "00:00:5e:00:53:01 198.51.100.10, wanted is none: redefine and restart it, "
		    "which no guest uses");
}

static void a_bridge_of_somebody_elses_is_refused(void **state)
{
	static const struct {
		bool libvirts, link, own;
		const char *evidence;
	} cases[] = {
		{true, false, false, "the bridge virbr7 is that of libvirt's network other"},
		{false, true, false, "this host has a link virbr7 already, which is not libvirt's"},
		{false, true, true, NULL}, /* its own */
		{false, false, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_config_ struct qb_config config = {0};
		_cleanup_plan_ struct qb_plan p = {0};

		make_facts(&(struct has){.live = cases[i].own ? USUAL : NULL}, &facts);
		if (cases[i].libvirts)
			assert_int_equal(qb_vir_network_parse("<network><name>other</name><bridge "
							      "name='virbr7'/></network>",
							      QB_APPEND(facts.libvirt.networks,
									facts.libvirt.n_networks)),
					 0);
		if (cases[i].link)
			QB_APPEND(facts.net.links, facts.net.n_links)->name = qb_strdup("virbr7");
		load(SUBNET ", bridge: virbr7", &config);
		qb_libvirt_plan(&facts, &config, &p);
		assert_int_equal(p.n_refused, cases[i].evidence ? 1 : 0);
		if (!cases[i].evidence)
			continue;
		assert_string_equal(p.refused[0].reasons[0].code, "bridge-in-use");
		assert_string_equal(p.refused[0].reasons[0].evidence, cases[i].evidence);
	}
}

static void a_subnet_that_the_host_uses_is_refused(void **state)
{
	static const struct {
		const char *dst, *gateway, *dev;
		bool refused;
	} cases[] = {
		{"198.51.100.0/24", NULL, "eth0", true},
		{"198.51.100.128/25", "192.0.2.1", "eth0", true}, /* a part of it is elsewhere */
		{"198.51.100.7", NULL, "tun0", true},
		{"198.51.0.0/16", NULL, "eth0", true},         /* neighbours have its addresses */
		{"198.51.0.0/16", "192.0.2.1", "eth0", false}, /* narrower counts more */
		{"default", "192.0.2.1", "eth0", false},
		{"203.0.113.0/24", NULL, "eth0", false},
		{"198.51.100.0/24", NULL, "virbr7", false}, /* its own, left from before */
	};
	static const struct has others[] = {
		{.live = USUAL, .inactive = true},
		/* One that is to move there. */
		{.live = NETWORK(NAT "<ip address='203.0.113.1' prefix='24'/>")},
	};

	(void)state;
	for (size_t i = 0; i < 2 * QB_ARRAY_SIZE(cases); i++) {
		const __typeof__(cases[0]) *c = &cases[i / 2];
		struct qb_route r = {.family = TEXT("inet"),
				     .dst = TEXT(c->dst),
				     .gateway = TEXT(c->gateway),
				     .dev = TEXT(c->dev),
				     .type = TEXT("unicast"),
				     .proto = TEXT("kernel"),
				     .table = 254};
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_config_ struct qb_config config = {0};
		_cleanup_plan_ struct qb_plan p = {0};

		make_facts(&others[i % 2], &facts);
		facts.net.routes = &r;
		facts.net.n_routes = 1;
		load(SUBNET, &config);
		qb_libvirt_plan(&facts, &config, &p);
		facts.net.routes = NULL;
		facts.net.n_routes = 0;
		assert_int_equal(p.n_refused, c->refused);
		assert_int_equal(p.n_steps, !c->refused);
		if (c->refused)
			assert_string_equal(p.refused[0].reasons[0].code, "subnet-in-use");
	}
}

/* A playbook's: over the bridge it is; of another kind it is made anew when nobody uses it. */
static void a_network_over_a_bridge(void **state)
{
	static const struct {
		const char *live, *guest_network, *why, *code;
	} cases[] = {
		{NETWORK("<forward mode='bridge'/><bridge name='br0'/>"), "guests", NULL, NULL},
		{NETWORK("<forward mode='bridge'/><bridge name='br7'/>"), "others",
		 "bridge is br7, wanted is br0: redefine and restart it, which no guest uses",
		 NULL},
		{NETWORK("<forward mode='bridge'/><bridge name='br7'/>"), "guests", NULL,
		 "network-in-use"},
		{USUAL, NULL,
		 "forward is nat, wanted is bridge; bridge is virbr7, wanted is br0: redefine "
		 "and restart it, which no guest uses",
		 NULL},
	};
	struct qb_bridge_config bridge = {.name = TEXT("br0"), .libvirt_network = TEXT("guests")};
	struct qb_config config = {.bridges = &bridge, .n_bridges = 1};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_plan_ struct qb_plan p = {0};

		/* The host's own bridge has ports, and guests that are on it by themselves. */
		make_facts(&(struct has){.live = cases[i].live,
					 .guest_network = cases[i].guest_network,
					 .guest_bridge = cases[i].guest_network ? "br7" : NULL},
			   &facts);
		qb_libvirt_plan(&facts, &config, &p);
		assert_int_equal(p.n_refused, cases[i].code ? 1 : 0);
		assert_int_equal(p.n_steps, cases[i].why ? 1 : 0);
		if (cases[i].code)
			assert_string_equal(p.refused[0].reasons[0].code, cases[i].code);
		if (cases[i].why)
			assert_string_equal(p.steps[0].why, cases[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_missing_is_planned),
		cmocka_unit_test(what_nobody_could_be_asked_for_is_found_out_later),
		cmocka_unit_test(what_is_as_wanted_is_adopted),
		cmocka_unit_test(what_can_be_is_changed_while_it_runs),
		cmocka_unit_test(what_cannot_be_is_for_a_network_that_nobody_uses),
		cmocka_unit_test(who_uses_a_network),
		cmocka_unit_test(what_libvirt_cannot_tell_apart_wants_a_restart),
		cmocka_unit_test(the_next_start_counts_too),
		cmocka_unit_test(hosts_that_nobody_spoke_of_are_not_dropped),
		cmocka_unit_test(a_bridge_of_somebody_elses_is_refused),
		cmocka_unit_test(a_subnet_that_the_host_uses_is_refused),
		cmocka_unit_test(a_network_over_a_bridge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
