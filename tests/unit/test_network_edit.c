/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a network's XML, and which updates of a running one lead there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "agent/host/libvirt_network.h"
#include "tests/unit/libvirt_schema.h"

#define UUID "0b0e7a60-6b5c-5d3e-8a4a-3a3c1f0c5d11"
#define OTHER "00005e00-5300-4000-8000-000000000001"
#define NETWORK(uuid, inside) "<network><name>n</name><uuid>" uuid "</uuid>" inside "</network>"
#define RANGE(from, to) "<range start='198.51.100." from "' end='198.51.100." to "'/>"
#define HOST(mac, ip) "<host mac='00:00:5e:00:53:" mac "' ip='198.51.100." ip "'/>"
#define RECORD(ip, name) "<host ip='198.51.100." ip "'><hostname>" name "</hostname></host>"
#define IP(inside) "<ip address='198.51.100.1' prefix='24'>" inside "</ip>"
#define DHCP(inside) IP("<dhcp>" inside "</dhcp>")
/* What the configuration cannot say. */
#define UNSAID                                                                                     \
	"<metadata><x:a xmlns:x='urn:x'>&lt;b&gt;</x:a></metadata><mtu size='9000'/><mac "         \
	"address='52:54:00:00:53:01'/>"                                                            \
	"<bandwidth><inbound average='1000'/></bandwidth>"

enum {
	ALL = QB_NETWORK_FORWARD | QB_NETWORK_BRIDGE | QB_NETWORK_ADDRESS | QB_NETWORK_DOMAIN |
	      QB_NETWORK_LOCAL_ONLY | QB_NETWORK_FORWARDERS | QB_NETWORK_LIVE,
};

/* The documents without the white space between elements, as they are compared. */
static char *squeezed(const char *xml)
{
	struct qb_buf out = {0};

	for (const char *p = xml; *p; p++) {
		if (*p == '\n' || (*p == ' ' && (p == xml || p[-1] == '\n' || p[-1] == ' ')))
			continue;
		qb_buf_add(&out, *p == '"' ? "'" : p, 1);
	}
	return out.s;
}

static void only_what_is_said_is_edited(void **state)
{
	static const struct {
		unsigned keys;
		const char *is, *wanted, *becomes; /* NULL: as it is */
	} cases[] = {
		{QB_NETWORK_FORWARD | QB_NETWORK_ADDRESS,
		 "<forward mode='nat'/>" UNSAID DHCP(RANGE("9", "10") HOST("01", "9")),
		 "<forward mode='nat'/><bridge stp='on'/>" DHCP(RANGE("2", "254")), NULL},
		{QB_NETWORK_FORWARD,
		 "<forward dev='eno1' mode='nat'><nat><port start='1024' end='65535'/></nat>"
		 "<interface dev='eno1'/></forward>" UNSAID IP(""),
		 "<forward mode='route'/>" IP(""),
		 "<forward dev='eno1' mode='route'><interface dev='eno1'/></forward>" UNSAID
		 "<ip address='198.51.100.1' prefix='24'/>"},
		{QB_NETWORK_FORWARD,
		 "<forward dev='eno1' mode='nat'><interface dev='eno1'/></forward>" IP(""),
		 "<forward mode='open'/>" IP(""),
		 "<ip address='198.51.100.1' prefix='24'/><forward mode='open'/>"},
		{QB_NETWORK_FORWARD, "<forward mode='nat'/><bridge name='b'/>", "",
		 "<bridge name='b'/>"},
		{QB_NETWORK_BRIDGE, "<bridge name='b' stp='off' delay='3'/>" UNSAID,
		 "<bridge name='c' stp='on' delay='0'/>",
		 "<bridge name='c' stp='off' delay='3'/>" UNSAID},
		{QB_NETWORK_DOMAIN, "<domain name='a.example' localOnly='yes'/>",
		 "<domain name='b.example'/>", "<domain name='b.example' localOnly='yes'/>"},
		{QB_NETWORK_DOMAIN | QB_NETWORK_LOCAL_ONLY, UNSAID,
		 "<domain name='b.example' localOnly='yes'/>",
		 UNSAID "<domain name='b.example' localOnly='yes'/>"},
		{QB_NETWORK_FORWARDERS,
		 "<dns><forwarder addr='192.0.2.1'/><txt name='a' value='b'/></dns>",
		 "<dns><forwarder addr='192.0.2.2'/></dns>",
		 "<dns><txt name='a' value='b'/><forwarder addr='192.0.2.2'/></dns>"},
		{QB_NETWORK_FORWARDERS, "<dns><forwarder addr='192.0.2.1'/></dns>" UNSAID, "",
		 UNSAID},
		/* Another way to write the same address. */
		{QB_NETWORK_ADDRESS, "<ip address='198.51.100.1' netmask='255.255.255.0'/>", IP(""),
		 NULL},
		{QB_NETWORK_ADDRESS,
		 "<ip family='ipv6' address='2001:db8::1' prefix='64'/>"
		 "<ip address='203.0.113.1' netmask='255.255.255.0'><tftp root='/srv/tftp'/><dhcp>"
		 "<range start='203.0.113.9' end='203.0.113.10'/><bootp file='pxe'/></dhcp></ip>",
		 DHCP(RANGE("2", "254")),
		 "<ip family='ipv6' address='2001:db8::1' prefix='64'/>"
		 "<ip address='198.51.100.1' prefix='24'><tftp root='/srv/tftp'/><dhcp>"
		 "<bootp file='pxe'/>" RANGE("2", "254") "</dhcp></ip>"},
		{QB_NETWORK_ADDRESS, UNSAID, DHCP(RANGE("2", "254")),
		 UNSAID DHCP(RANGE("2", "254"))},
		/* What is off stays off, unless the configuration speaks of it. */
		{QB_NETWORK_ADDRESS, "<ip address='203.0.113.1' prefix='24'/>",
		 DHCP(RANGE("2", "254")), "<ip address='198.51.100.1' prefix='24'/>"},
		{QB_NETWORK_ADDRESS | QB_NETWORK_RANGES, "<ip address='203.0.113.1' prefix='24'/>",
		 DHCP(RANGE("2", "254")), DHCP(RANGE("2", "254"))},
		{QB_NETWORK_ADDRESS | QB_NETWORK_HOSTS,
		 "<ip address='203.0.113.1' prefix='24'><dhcp><host mac='00:00:5e:00:53:01' "
		 "ip='203.0.113.9'/></dhcp></ip>",
		 DHCP(RANGE("2", "254") HOST("01", "9")), DHCP(HOST("01", "9"))},
		{QB_NETWORK_HOSTS,
		 DHCP("<range start='198.51.100.9' end='198.51.100.10'><lease expiry='1' "
		      "unit='hours'/></range>" HOST(
			      "01", "9") "<host mac='00:00:5E:00:53:02' ip='198.51.100.10'><lease "
					 "expiry='2'/></host>"),
		 DHCP(HOST("03", "11") HOST("02", "10")),
		 DHCP("<range start='198.51.100.9' end='198.51.100.10'><lease expiry='1' "
		      "unit='hours'/></range><host mac='00:00:5E:00:53:02' ip='198.51.100.10'>"
		      "<lease expiry='2'/></host>" HOST("03", "11"))},
		{QB_NETWORK_RANGES | QB_NETWORK_HOSTS, DHCP(RANGE("9", "10") HOST("01", "9")),
		 IP(""), "<ip address='198.51.100.1' prefix='24'/>"},
		{QB_NETWORK_RECORDS,
		 "<dns enable='yes'>" RECORD("5", "a") "<forwarder addr='192.0.2.1'/></dns>",
		 "<dns>" RECORD("6", "b") "</dns>",
		 "<dns enable='yes'><forwarder addr='192.0.2.1'/>" RECORD("6", "b") "</dns>"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *is = qb_asprintf(NETWORK(UUID, "%s"), cases[i].is);
		_cleanup_free_ char *wanted = qb_asprintf(NETWORK(OTHER, "%s"), cases[i].wanted);
		_cleanup_free_ char *becomes = qb_asprintf(
			NETWORK(UUID, "%s"), cases[i].becomes ? cases[i].becomes : cases[i].is);
		_cleanup_free_ char *got = NULL, *text = NULL, *again = NULL;

		assert_int_equal(qb_network_edit(is, wanted, cases[i].keys, &got), 0);
		text = squeezed(got);
		assert_string_equal(text, becomes);
		assert_valid(got, "network");
		/* There is nothing more to be done. */
		assert_int_equal(qb_network_edit(got, wanted, cases[i].keys, &again), 0);
		assert_string_equal(again, got);
	}
}

/* Neither goes with what the other says: all is the wanted one's but what it is to libvirt. */
static void another_kind_of_network_takes_its_place(void **state)
{
	static const char own[] = "<forward mode='nat'/><domain name='a'/>" DHCP(RANGE("2", "254"));
	static const char bridged[] = "<forward mode='bridge'/><bridge name='br0'/>";
	static const char bound[] =
		"<forward dev='eno1' mode='bridge'><interface dev='eno1'/></forward>";
	static const struct {
		const char *is, *wanted;
	} cases[] = {{own, bridged}, {bridged, own}, {bound, bridged}, {bound, own}};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *is = qb_asprintf(NETWORK(UUID, "%s"), cases[i].is);
		_cleanup_free_ char *wanted = qb_asprintf(NETWORK(OTHER, "%s"), cases[i].wanted);
		_cleanup_free_ char *becomes = qb_asprintf(NETWORK(UUID, "%s"), cases[i].wanted);
		_cleanup_free_ char *got = NULL, *text = NULL;

		assert_int_equal(
			qb_network_edit(is, wanted, QB_NETWORK_FORWARD | QB_NETWORK_BRIDGE, &got),
			0);
		text = squeezed(got);
		assert_string_equal(text, becomes);
		assert_valid(got, "network");
	}
}

/* Whoever put it there reads it, and not libvirt. */
static void metadata_stays_to_the_letter(void **state)
{
	static const char metadata[] =
		"<metadata>\n    <x:a xmlns:x=\"urn:x\">some  <b>text</b> among\n elements<!-- and"
		" a comment --><![CDATA[</metadata>]]></x:a>\n  </metadata>";
	_cleanup_free_ char *is = qb_asprintf(NETWORK(UUID, "%s<domain name='a'/>"), metadata);
	_cleanup_free_ char *got = NULL;

	(void)state;
	assert_int_equal(
		qb_network_edit(is, NETWORK(OTHER, "<domain name='b'/>"), QB_NETWORK_DOMAIN, &got),
		0);
	assert_non_null(strstr(got, metadata));
	assert_non_null(strstr(got, "<domain name=\"b\"/>"));
	assert_valid(got, "network");
}

static char *told(const struct qb_network_updates *updates)
{
	struct qb_buf out = {0};

	qb_buf_puts(&out, updates->restart ? "restart " : "");
	for (size_t i = 0; !updates->restart && i < updates->n; i++) {
		const struct qb_network_update *u = &updates->v[i];
		_cleanup_free_ char *xml = squeezed(u->xml);

		qb_buf_printf(&out, "%s%d:%s ", u->add ? "+" : "-", u->parent, xml);
	}
	if (out.len)
		out.s[--out.len] = '\0';
	return out.s;
}

static void updates_lead_from_one_to_the_other(void **state)
{
	static const struct {
		const char *from, *to, *updates;
	} cases[] = {
		{DHCP(RANGE("2", "9")), DHCP(RANGE("2", "9")), ""},
		{DHCP(RANGE("2", "9")), IP(""), "-0:" RANGE("2", "9")},
		{IP(""), DHCP(RANGE("2", "9") HOST("01", "9")),
		 "+0:" RANGE("2", "9") " +0:" HOST("01", "9")},
		{DHCP(HOST("01", "9")), DHCP(HOST("01", "10")),
		 "-0:" HOST("01", "9") " +0:" HOST("01", "10")},
		/* Behind what is kept there is only the end of the list. */
		{DHCP(HOST("01", "1") HOST("02", "2") HOST("03", "3")),
		 DHCP(HOST("01", "1") HOST("03", "3") HOST("04", "4")),
		 "-0:" HOST("02", "2") " +0:" HOST("04", "4")},
		{DHCP(HOST("01", "1") HOST("03", "3") HOST("04", "4")),
		 DHCP(HOST("01", "1") HOST("02", "2") HOST("03", "3")),
		 "-0:" HOST("03", "3") " -0:" HOST("04", "4") " +0:" HOST("02", "2") " +0:" HOST(
			 "03", "3")},
		{"<dns>" RECORD("5", "a") "</dns>", "<dns>" RECORD("6", "b") "</dns>",
		 "--1:" RECORD("5", "a") " +-1:" RECORD("6", "b")},
		{"", "<dns>" RECORD("6", "b") "</dns>", "+-1:" RECORD("6", "b")},
		/* DHCP of IPv6 comes first, and is not meant. */
		{"<ip family='ipv6' address='2001:db8::1' prefix='64'><dhcp><range "
		 "start='2001:db8::5' "
		 "end='2001:db8::6'/></dhcp></ip>" IP(""),
		 "<ip family='ipv6' address='2001:db8::1' prefix='64'><dhcp><range "
		 "start='2001:db8::5' "
		 "end='2001:db8::6'/></dhcp></ip>" DHCP(RANGE("2", "9")),
		 "+1:" RANGE("2", "9")},
		{"<domain name='a'/>" IP(""), "<domain name='b'/>" IP(""), "restart"},
		{"<dns><forwarder addr='192.0.2.1'/></dns>", "", "restart"},
		{IP(""), "<ip address='198.51.100.1' prefix='25'/>", "restart"},
		/* libvirt would find both, or take no second one. */
		{"<dns>" RECORD("5", "a") RECORD("5", "b") "</dns>", "", "restart"},
		{"", "<dns>" RECORD("5", "a") RECORD("6", "a") "</dns>", "restart"},
		{IP(""), DHCP(HOST("01", "9") HOST("01", "10")), "restart"},
		{DHCP(HOST("01", "9") HOST("02", "9")), DHCP(HOST("01", "9") HOST("02", "9")), ""},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *from = qb_asprintf(
			"<network connections='2'><name>n</name>%s</network>", cases[i].from);
		_cleanup_free_ char *to =
			qb_asprintf("<network><name>n</name>%s</network>", cases[i].to);
		_cleanup_updates_ struct qb_network_updates updates = {0};
		_cleanup_free_ char *text = NULL;

		assert_int_equal(qb_network_updates(from, to, &updates), 0);
		text = told(&updates);
		assert_string_equal(text, cases[i].updates);
	}
}

static void what_is_no_network(void **state)
{
	struct qb_network_updates updates = {0};
	char *xml;

	(void)state;
	assert_int_equal(qb_network_edit("<pool/>", "<network/>", ALL, &xml), -EINVAL);
	assert_int_equal(qb_network_edit("<network/>", "<network>", ALL, &xml), -EINVAL);
	assert_int_equal(qb_network_updates("<network/>", "", &updates), -EINVAL);
}

static void long_lists_are_told_by_what_differs(void **state)
{
	struct qb_vir_host hosts[2] = {{(char *)(uintptr_t) "00:00:5e:00:53:01",
					(char *)(uintptr_t) "198.51.100.9",
					(char *)(uintptr_t) "web"},
				       {(char *)(uintptr_t) "00:00:5e:00:53:02",
					(char *)(uintptr_t) "198.51.100.10", NULL}};
	struct qb_vir_definition two = {.dhcp_hosts = hosts, .n_dhcp_hosts = 2};
	struct qb_vir_definition one = {.dhcp_hosts = hosts, .n_dhcp_hosts = 1}, none = {0};
	_cleanup_free_ char *more = qb_network_value(&two, &one, QB_NETWORK_HOSTS, 1);
	_cleanup_free_ char *both = qb_network_value(&two, &none, QB_NETWORK_HOSTS, 1);
	_cleanup_free_ char *less = qb_network_value(&one, &two, QB_NETWORK_HOSTS, 1);

	(void)state;
	assert_string_equal(more, "00:00:5e:00:53:02 198.51.100.10");
	assert_string_equal(less, "none");
	assert_string_equal(both, "00:00:5e:00:53:01 198.51.100.9 web and 1 more");
	for (unsigned key = 1; key & ALL; key <<= 1)
		assert_int_equal(qb_network_key_find(qb_network_key_name(key)), key);
	assert_int_equal(qb_network_key_find("name"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_said_is_edited),
		cmocka_unit_test(another_kind_of_network_takes_its_place),
		cmocka_unit_test(metadata_stays_to_the_letter),
		cmocka_unit_test(updates_lead_from_one_to_the_other),
		cmocka_unit_test(what_is_no_network),
		cmocka_unit_test(long_lists_are_told_by_what_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
