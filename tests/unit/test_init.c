/* SPDX-License-Identifier: Apache-2.0 */
/* init: what it proposes for a host, as data and as the YAML that is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/host/config.h"
#include "agent/host/init.h"

/* What it is to say, and the configuration, of facts given as JSON. */
static const struct {
	const char *name, *facts, *config, *left;
} cases[] = {
	{
		"the NIC of the default route goes under a bridge of a free name",
		"'links': [{'name': 'eno1', 'addresses': [{'address': '192.0.2.10/24', 'scope': "
		"'global'}]}, {'name': 'br0', 'kind': 'bridge'}], 'routes': [{'family': 'inet', "
		"'dst': 'default', 'type': 'unicast', 'dev': 'eno1', 'table': 254}]",
		"'bridges': [{'name': 'br1', 'ports': [{'match': 'default-route'}], "
		"'libvirt-network': 'host-bridge'}], 'pools': [{'name': 'images', 'type': 'dir', "
		"'target': '/var/lib/libvirt/images'}]",
		"",
	},
	{
		"the route of the lowest metric counts",
		"'links': [{'name': 'wan'}, {'name': 'lan', 'kind': 'bridge', 'stp': true}, "
		"{'name': 'eno1', 'master': 'lan'}, {'name': 'vnet0', 'master': 'lan', 'kind': "
		"'tun'}], 'routes': [{'family': 'inet', 'dst': 'default', 'type': 'unicast', "
		"'dev': 'wan', 'table': 254, 'metric': 100}, {'family': 'inet', 'dst': 'default', "
		"'type': 'unicast', 'dev': 'lan', 'table': 254, 'metric': 9}]",
		"'bridges': [{'name': 'lan', 'ports': [{'name': 'eno1'}], 'stp': true, "
		"'libvirt-network': 'host-bridge'}], 'pools': [{'name': 'images', 'type': 'dir', "
		"'target': '/var/lib/libvirt/images'}]",
		"",
	},
	{
		"disks of a kind become one group, a single one a file system",
		"'disks': [{'name': 'sda', 'path': '/dev/sda', 'wwid': 'naa.1', 'available': true, "
		"'rotational': "
		"true}, {'name': 'sdb', 'path': '/dev/sdb', 'serial': 'S 2', 'available': true, "
		"'rotational': "
		"true}, {'name': 'nvme0n1', 'path': '/dev/nvme0n1', 'wwid': 'eui.3', 'available': "
		"true, 'rotational': "
		"false}, {'name': 'sdc', 'path': '/dev/sdc', 'available': false, 'reasons': "
		"[{'code': 'mounted', "
		"'evidence': 'on /'}]}]",
		"'pools': [{'name': 'images', 'type': 'fs', 'disks': [{'wwid': 'eui.3'}], "
		"'target': "
		"'/var/lib/libvirt/images'}, {'name': 'vms-hdd', 'type': 'logical', 'disks': "
		"[{'wwid': 'naa.1'}, {'serial': 'S 2'}]}]",
		"bridges: no link has a default route, to be made a port of a bridge\n"
		"/dev/sdc: on /\n",
	},
	{
		"what this program made, and what libvirt has, is taken as it is",
		"'disks': [{'name': 'sda', 'path': '/dev/sda', 'wwid': 'naa.1', 'mark': {'state': "
		"'ready', "
		"'pool': "
		"'vms', 'ours': true}, 'partitions': [{'name': 'sda1', 'fs_type': "
		"'LVM2_member'}]}, {'name': "
		"'sdb', 'path': '/dev/sdb', 'wwid': 'naa.2', 'mark': {'state': 'ready', 'pool': "
		"'files', 'ours': "
		"true}, 'partitions': [{'name': 'sdb1', 'fs_type': 'ext4', 'mountpoint': "
		"'/srv/files'}]}], "
		"'libvirt': {'pools': [{'name': 'vms', 'type': 'logical', 'persistent': true}, "
		"{'name': 'iso', 'type': 'dir', 'target': '/srv/iso', 'persistent': true}, "
		"{'name': "
		"'old', 'type': 'logical', 'source_name': 'vg_old', 'persistent': true}, {'name': "
		"'far', 'type': 'netfs', 'persistent': true}], 'networks': [{'name': 'default', "
		"'persistent': true, 'autostart': true, 'next': {'forward': 'nat', 'address': "
		"'192.0.2.65/26'}}, {'name': 'odd', 'persistent': true, 'next': {'forward': 'nat', "
		"'address': '192.0.2.9/24'}}]}",
		"'networks': [{'name': 'default', 'forward': 'nat', 'subnet': '192.0.2.64/26'}], "
		"'pools': [{'name': 'vms', 'type': 'logical', 'disks': [{'wwid': 'naa.1'}]}, "
		"{'name': "
		"'files', 'type': 'fs', 'format': 'ext4', 'target': '/srv/files', 'disks': "
		"[{'wwid': "
		"'naa.2'}]}, {'name': 'iso', 'type': 'dir', 'target': '/srv/iso'}, {'name': 'old', "
		"'type': 'logical', 'volume-group': 'vg_old'}]",
		"bridges: no link has a default route, to be made a port of a bridge\n",
	},
	{
		"what the configuration does not take is left out, and said",
		"'libvirt': {'pools': [{'name': 'a', 'type': 'dir', 'target': '/srv', "
		"'persistent': "
		"true}, {'name': 'b', 'type': 'dir', 'target': '/srv', 'persistent': true}]}",
		"'pools': [{'name': 'a', 'type': 'dir', 'target': '/srv'}]",
		"bridges: no link has a default route, to be made a port of a bridge\n"
		"b: ",
	},
};

static char *quoted(const char *text)
{
	char *copy = qb_asprintf("{%s}", text);

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	return copy;
}

static void load(const char *text, struct qb_facts *ret)
{
	_cleanup_free_ char *body = qb_asprintf("'schema': 'qubi-agent/facts/1', %s", text);
	_cleanup_free_ char *json = quoted(body);
	_cleanup_diags_ struct qb_diags diags = {0};

	if (qb_facts_load(json, strlen(json), ret, &diags) < 0)
		fail_msg("%s: %s", text, diags.v[0].msg);
}

static void left_text(const struct qb_init *init, struct qb_buf *out)
{
	json_t *each, *reason;
	size_t i, j;

	qb_buf_puts(out, "");
	json_array_foreach (init->left, i, each)
		json_array_foreach (json_object_get(each, "reasons"), j, reason)
			qb_buf_printf(out, "%s: %s\n",
				      json_string_value(json_object_get(each, "target")),
				      json_string_value(reason));
}

static void test_proposals(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_init_ struct qb_init init = {0};
		_cleanup_buf_ struct qb_buf left = {0};
		_cleanup_free_ char *text = qb_asprintf("'version': 1, %s", cases[i].config);
		_cleanup_free_ char *json = quoted(text);
		json_auto_t *wanted = json_loads(json, 0, NULL), *got = NULL;

		assert_non_null(wanted);
		load(cases[i].facts, &facts);
		qb_init_plan(&facts, &init);
		got = qb_init_bare(&init);
		if (!json_equal(got, wanted)) {
			_cleanup_free_ char *is = json_dumps(got, 0);

			fail_msg("%s: %s", cases[i].name, is);
		}
		left_text(&init, &left);
		/* The last one ends where the words of others begin. */
		if (strncmp(left.s, cases[i].left, strlen(cases[i].left)) != 0 ||
		    (!*cases[i].left && left.len))
			fail_msg("%s: left out: %s", cases[i].name, left.s);
	}
}

/* Names of others are quoted, and end no comment. */
static void test_text_reads_as_the_same(void **state)
{
	static const char facts_text[] =
		"'disks': [{'name': 'sda', 'path': '/dev/sda', 'wwid': 'naa: #1\\\\', "
		"'model': "
		"'A\\nversion: 2', "
		"'available': true}, {'name': 'sdb', 'path': '/dev/sdb', 'serial': '007', "
		"'available': true}, "
		"{'name': 'sdc', 'path': '/dev/sdc', 'serial': 'no', 'available': true}, {'name': "
		"'sdd', 'path': '/dev/sdd', "
		"'reasons': [{'code': 'mounted', 'evidence': 'on /\\nversion: 3'}]}]";
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_init_ struct qb_init init = {0};
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_buf_ struct qb_buf text = {0};

	(void)state;
	load(facts_text, &facts);
	qb_init_plan(&facts, &init);
	qb_init_text(&init, "a\nversion: 4", &text);
	if (qb_config_parse(text.s, text.len, &config, &diags) < 0)
		fail_msg("%s in:\n%s", diags.v[0].msg, text.s);
	assert_int_equal(config.version, 1);
	assert_int_equal(config.n_pools, 1);
	assert_int_equal(config.pools[0].n_disks, 3);
	assert_string_equal(config.pools[0].disks[0].wwid, "naa: #1\\");
	assert_string_equal(config.pools[0].disks[1].serial, "007");
	assert_string_equal(config.pools[0].disks[2].serial, "no");
}

static void test_what_a_plan_refuses_is_left_out(void **state)
{
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_init_ struct qb_init init = {0};
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_buf_ struct qb_buf left = {0};
	json_auto_t *got = NULL;

	(void)state;
	load(cases[0].facts, &facts);
	qb_init_plan(&facts, &init);
	qb_plan_refuse(&plan, "br1", "wireless", "it is wireless");
	qb_plan_refuse(&plan, "pool images", "busy", "it is busy");
	qb_init_drop(&init, &plan);
	got = qb_init_bare(&init);
	assert_int_equal(json_object_size(got), 1);
	left_text(&init, &left);
	assert_string_equal(left.s, "br1: it is wireless\npool images: it is busy\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proposals),
		cmocka_unit_test(test_text_reads_as_the_same),
		cmocka_unit_test(test_what_a_plan_refuses_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
