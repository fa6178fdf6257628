/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "agent/host/libvirt_xml.h"
#include "tests/unit/libvirt_schema.h"

#define UUID "0b0e7a60-6b5c-5d3e-8a4a-3a3c1f0c5d11"

static void subnets(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *host, *first, *last;
	} cases[] = {
		{"192.0.2.0/24", 0, "192.0.2.1", "192.0.2.2", "192.0.2.254"},
		{"198.51.100.128/25", 0, "198.51.100.129", "198.51.100.130", "198.51.100.254"},
		{"203.0.113.4/30", 0, "203.0.113.5", "203.0.113.6", "203.0.113.6"},
		{"192.0.2.77/24", 0, "192.0.2.1", "192.0.2.2", "192.0.2.254"},
		{"192.0.2.0/31", -EINVAL, NULL, NULL, NULL},
		{"192.0.2.0", -EINVAL, NULL, NULL, NULL},
		{"192.0.2.0/0", -EINVAL, NULL, NULL, NULL},
		{"2001:db8::/64", -EINVAL, NULL, NULL, NULL},
		{"nonsense/24", -EINVAL, NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_subnet s;

		assert_int_equal(qb_subnet_parse(cases[i].text, &s), cases[i].r);
		if (cases[i].r < 0)
			continue;
		assert_string_equal(s.host, cases[i].host);
		assert_string_equal(s.first, cases[i].first);
		assert_string_equal(s.last, cases[i].last);
	}
}

static void a_network_over_a_bridge(void **state)
{
	_cleanup_free_ char *xml = qb_network_bridge_xml("host-bridge", UUID, "br0");

	(void)state;
	assert_string_equal(xml, "<network>\n"
				 "  <name>host-bridge</name>\n"
				 "  <uuid>" UUID "</uuid>\n"
				 "  <forward mode=\"bridge\"/>\n"
				 "  <bridge name=\"br0\"/>\n"
				 "</network>\n");
	assert_valid(xml, "network");
}

static void networks_of_libvirts_own(void **state)
{
	static const int forwards[] = {QB_FORWARD_NAT, QB_FORWARD_ROUTE, QB_FORWARD_OPEN,
				       QB_FORWARD_ISOLATED};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(forwards); i++) {
		struct qb_network_config n = {.name = (char *)(uintptr_t) "guests",
					      .forward = forwards[i]};
		struct qb_subnet subnet;
		_cleanup_free_ char *xml = NULL;

		assert_int_equal(qb_subnet_parse("198.51.100.0/24", &subnet), 0);
		xml = qb_network_xml(&n, UUID, &subnet);
		assert_valid(xml, "network");
		assert_non_null(strstr(xml, "<ip address=\"198.51.100.1\" prefix=\"24\">"));
		assert_int_equal(!strstr(xml, "<forward"), forwards[i] == QB_FORWARD_ISOLATED);
	}
}

static void load(const char *network, struct qb_config *ret)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text =
		qb_asprintf("version: 1\nnetworks:\n- {name: guests, %s}\n", network);

	if (qb_config_parse(text, strlen(text), ret, &diags) < 0)
		fail_msg("%s: %s", network, diags.v[0].msg);
}

static void what_a_network_serves(void **state)
{
	static const struct {
		const char *wanted, *has[4], *lacks[4];
	} cases[] = {
		{"subnet: 198.51.100.0/24",
		 {"<range start=\"198.51.100.2\" end=\"198.51.100.254\"/>"},
		 {"<domain", "<dns", "<host", "<bridge name"}},
		{"subnet: 198.51.100.0/24, dhcp: true",
		 {"<range start=\"198.51.100.2\" end=\"198.51.100.254\"/>"},
		 {"<host"}},
		{"subnet: 198.51.100.0/24, dhcp: false",
		 {"<ip address=\"198.51.100.1\""},
		 {"<dhcp"}},
		{"subnet: 198.51.100.0/24, dhcp: {ranges: []}", {"<ip"}, {"<dhcp"}},
		{"subnet: 198.51.100.0/24, dhcp: {ranges: {start: 198.51.100.9, end: "
		 "198.51.100.9}}",
		 {"<range start=\"198.51.100.9\" end=\"198.51.100.9\"/>"},
		 {"198.51.100.254"}},
		{"subnet: 198.51.100.0/24, dhcp: {hosts: [{mac: '00:00:5E:00:53:01', ip: "
		 "198.51.100.7, name: web}, {mac: '00:00:5e:00:53:02', ip: 198.51.100.8}]}",
		 {"<range start=\"198.51.100.2\" end=\"198.51.100.254\"/>",
		  "<host mac=\"00:00:5E:00:53:01\" name=\"web\" ip=\"198.51.100.7\"/>",
		  "<host mac=\"00:00:5e:00:53:02\" ip=\"198.51.100.8\"/>"},
		 {NULL}},
		{"subnet: 198.51.100.0/24, domain: x.example, bridge: guests0",
		 {"<domain name=\"x.example\"/>", "<bridge name=\"guests0\""},
		 {"localOnly"}},
		{"subnet: 198.51.100.0/24, domain: {name: x.example, local-only: false}",
		 {"<domain name=\"x.example\" localOnly=\"no\"/>"},
		 {NULL}},
		{"subnet: 198.51.100.0/24, dns: {forwarders: [192.0.2.53, {addr: '2001:0db8::53', "
		 "domain: y.example}], hosts: [{ip: '2001:0db8::5', names: [a, a.x.example]}]}",
		 {"<forwarder addr=\"192.0.2.53\"/>",
		  "<forwarder domain=\"y.example\" addr=\"2001:db8::53\"/>",
		  "<host ip=\"2001:db8::5\">\n      <hostname>a</hostname>\n"
		  "      <hostname>a.x.example</hostname>"},
		 {NULL}},
		{"forward: isolated", {"<bridge stp"}, {"<ip", "<forward", "<dns"}},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_config_ struct qb_config config = {0};
		_cleanup_free_ char *xml = NULL;
		struct qb_subnet subnet;
		bool has;

		load(cases[i].wanted, &config);
		has = config.networks[0].subnet;
		if (has)
			assert_int_equal(qb_subnet_parse(config.networks[0].subnet, &subnet), 0);
		xml = qb_network_xml(&config.networks[0], UUID, has ? &subnet : NULL);
		assert_valid(xml, "network");
		for (size_t k = 0; k < 4 && cases[i].has[k]; k++)
			if (!strstr(xml, cases[i].has[k]))
				fail_msg("no %s in\n%s", cases[i].has[k], xml);
		for (size_t k = 0; k < 4 && cases[i].lacks[k]; k++)
			if (strstr(xml, cases[i].lacks[k]))
				fail_msg("%s in\n%s", cases[i].lacks[k], xml);
	}
}

static void pools_and_names_that_must_be_escaped(void **state)
{
	struct qb_pool_config p = {.name = (char *)(uintptr_t) "a<b>&\"c\"",
				   .type = QB_POOL_FS,
				   .target = (char *)(uintptr_t) "/srv/x&y"};
	_cleanup_free_ char *fs = qb_pool_xml(&p, UUID, "/dev/disk/by-partuuid/" UUID), *dir = NULL,
			    *logical = NULL;

	(void)state;
	assert_non_null(strstr(fs, "<name>a&lt;b&gt;&amp;&quot;c&quot;</name>"));
	assert_non_null(strstr(fs, "<path>/srv/x&amp;y</path>"));
	p.type = QB_POOL_DIR;
	p.name = (char *)(uintptr_t) "iso";
	p.target = (char *)(uintptr_t) "/srv/iso";
	dir = qb_pool_xml(&p, UUID, NULL);
	assert_string_equal(dir, "<pool type=\"dir\">\n"
				 "  <name>iso</name>\n"
				 "  <uuid>" UUID "</uuid>\n"
				 "  <target>\n"
				 "    <path>/srv/iso</path>\n"
				 "  </target>\n"
				 "</pool>\n");
	assert_valid(dir, "storagepool");
	free(fs);
	p.type = QB_POOL_FS;
	p.format = QB_FS_EXT4;
	p.mode = (char *)(uintptr_t) "0750";
	p.group = (char *)(uintptr_t) "36";
	fs = qb_pool_xml(&p, UUID, "/dev/disk/by-partuuid/" UUID);
	assert_non_null(strstr(fs, "<format type=\"ext4\"/>"));
	assert_non_null(strstr(fs, "<mode>0750</mode>"));
	assert_non_null(strstr(fs, "<group>36</group>"));
	assert_null(strstr(fs, "<owner>"));
	assert_valid(fs, "storagepool");
	p.type = QB_POOL_LOGICAL;
	p.target = p.mode = p.group = NULL;
	p.volume_group = (char *)(uintptr_t) "guests";
	logical = qb_pool_xml(&p, UUID, NULL);
	assert_string_equal(logical, "<pool type=\"logical\">\n"
				     "  <name>iso</name>\n"
				     "  <uuid>" UUID "</uuid>\n"
				     "  <source>\n"
				     "    <name>guests</name>\n"
				     "    <format type=\"lvm2\"/>\n"
				     "  </source>\n"
				     "  <target>\n"
				     "    <path>/dev/guests</path>\n"
				     "  </target>\n"
				     "</pool>\n");
	assert_valid(logical, "storagepool");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subnets),
		cmocka_unit_test(a_network_over_a_bridge),
		cmocka_unit_test(networks_of_libvirts_own),
		cmocka_unit_test(what_a_network_serves),
		cmocka_unit_test(pools_and_names_that_must_be_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
