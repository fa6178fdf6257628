/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "agent/base/exec.h"
#include "agent/host/libvirt_xml.h"
#include "tests/unit/scratch.h"

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

/* libvirt's own schema is the judge, where it is installed. */
static void assert_valid(const char *xml, const char *schema)
{
	_cleanup_exec_ struct qb_exec_result r = {0};
	char path[SCRATCH_MAX];
	int fd = mkstemp(scratch(path));

	assert_true(fd >= 0);
	assert_int_equal(write(fd, xml, strlen(xml)), strlen(xml));
	close(fd);
	assert_int_equal(
		qb_exec((const char *const[]){"/usr/bin/virt-xml-validate", path, schema, NULL},
			20000, &r, NULL),
		0);
	unlink(path);
	if (r.status == 127)
		skip();
	if (r.status)
		print_error("%s%s%s", xml, r.out, r.err);
	assert_int_equal(r.status, 0);
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
		struct qb_network_config n = {(char *)(uintptr_t) "guests", forwards[i], NULL};
		struct qb_subnet subnet;
		_cleanup_free_ char *xml = NULL;

		assert_int_equal(qb_subnet_parse("198.51.100.0/24", &subnet), 0);
		xml = qb_network_xml(&n, UUID, &subnet);
		assert_valid(xml, "network");
		assert_non_null(strstr(xml, "<ip address=\"198.51.100.1\" prefix=\"24\">"));
		assert_int_equal(!strstr(xml, "<forward"), forwards[i] == QB_FORWARD_ISOLATED);
	}
}

static void pools_and_names_that_must_be_escaped(void **state)
{
	struct qb_pool_config p = {.name = (char *)(uintptr_t) "a<b>&\"c\"",
				   .type = QB_POOL_FS,
				   .target = (char *)(uintptr_t) "/srv/x&y"};
	_cleanup_free_ char *fs = qb_pool_xml(&p, UUID, "/dev/disk/by-partuuid/" UUID), *dir = NULL;

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
	fs = qb_pool_xml(&p, UUID, "/dev/disk/by-partuuid/" UUID);
	assert_valid(fs, "storagepool");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subnets),
		cmocka_unit_test(a_network_over_a_bridge),
		cmocka_unit_test(networks_of_libvirts_own),
		cmocka_unit_test(pools_and_names_that_must_be_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
