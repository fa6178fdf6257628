/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "agent/host/config.h"
#include "tests/unit/scratch.h"

static char *slurp(const char *name)
{
	_cleanup_free_ char *path = qb_asprintf(QB_TESTS "/data/config/%s", name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = qb_alloc(65536, 1);

	assert_non_null(f);
	assert_in_range(fread(text, 1, 65535, f), 1, 65534);
	return text;
}

static int parse(const char *text, struct qb_config *config, struct qb_diags *diags)
{
	return qb_config_parse(text, strlen(text), config, diags);
}

static void check_served(const struct qb_network_config *n)
{
	assert_true(n->autostart);
	assert_string_equal(n->bridge, "guests0");
	assert_string_equal(n->domain.name, "guests.example.com");
	assert_true(qb_is(&n->domain.local_only));
	assert_int_equal(n->dhcp.n_ranges, 1);
	assert_string_equal(n->dhcp.ranges[0].start, "203.0.113.100");
	assert_string_equal(n->dhcp.ranges[0].end, "203.0.113.199");
	assert_int_equal(n->dhcp.n_hosts, 2);
	assert_string_equal(n->dhcp.hosts[0].mac, "00:00:5e:00:53:11");
	assert_string_equal(n->dhcp.hosts[0].ip, "203.0.113.10");
	assert_string_equal(n->dhcp.hosts[0].name, "web");
	assert_null(n->dhcp.hosts[1].name);
	assert_int_equal(n->dns.n_forwarders, 2);
	assert_string_equal(n->dns.forwarders[0].addr, "192.0.2.53");
	assert_null(n->dns.forwarders[0].domain);
	assert_string_equal(n->dns.forwarders[1].domain, "example.com");
	assert_int_equal(n->dns.n_hosts, 1);
	assert_string_equal(n->dns.hosts[0].names.v[1], "db.guests.example.com");
}

static void every_key_is_read(void **state)
{
	_cleanup_config_ struct qb_config c = {0};
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text = slurp("full.yaml");

	(void)state;
	if (parse(text, &c, &diags) < 0)
		fail_msg("%u:%u: %s", diags.v[0].line, diags.v[0].column, diags.v[0].msg);
	assert_int_equal(c.version, 1);
	assert_true(qb_is_not(&c.kvm.nested));
	assert_int_equal(c.kvm.modules.n, 2);
	assert_int_equal(c.n_bridges, 4);
	assert_string_equal(c.bridges[0].ports[0].match, "default-route");
	assert_int_equal(c.bridges[0].ipv4.mode, QB_IP_INHERIT);
	assert_string_equal(c.bridges[0].libvirt_network, "host-bridge");
	assert_string_equal(c.bridges[1].ports[0].mac, "00:00:5e:00:53:01");
	assert_string_equal(c.bridges[1].ports[1].path, "pci-0000:01:00.0");
	assert_int_equal(c.bridges[1].ipv4.mode, QB_IP_STATIC);
	assert_string_equal(c.bridges[1].ipv4.addresses.v[1], "192.0.2.11/24");
	assert_string_equal(c.bridges[1].ipv6.addresses.v[0], "2001:db8::10/64");
	assert_string_equal(c.bridges[1].ipv6.gateway, "fe80::1");
	assert_true(c.bridges[1].stp);
	assert_string_equal(c.bridges[2].ports[0].name, "eno3");
	assert_int_equal(c.bridges[2].ipv4.mode, QB_IP_DHCP);
	assert_int_equal(c.bridges[2].ipv6.mode, QB_IP_NONE);
	assert_string_equal(c.bridges[3].ports[0].driver, "ixgbe");
	assert_int_equal(c.n_networks, 4);
	assert_int_equal(c.networks[1].forward, QB_FORWARD_ROUTE);
	assert_string_equal(c.networks[0].subnet, "192.168.122.0/24");
	assert_false(c.networks[2].autostart);
	check_served(&c.networks[3]);
	assert_int_equal(c.n_pools, 4);
	assert_int_equal(c.pools[0].type, QB_POOL_FS);
	assert_true(c.pools[0].disks[0].has_match);
	assert_true(c.pools[0].disks[0].match.min_size == 200ull << 30);
	assert_true(c.pools[0].disks[0].match.max_size == 4000000000000);
	assert_true(qb_is_not(&c.pools[0].disks[0].match.rotational));
	assert_string_equal(c.pools[0].disks[0].match.model, "QEMU *");
	assert_int_equal(c.pools[1].n_disks, 3);
	assert_string_equal(c.pools[1].disks[2].serial, "QB0001");
	assert_false(c.pools[1].disks[2].has_match);
	assert_string_equal(c.pools[2].disks[0].path, "/dev/disk/by-id/virtio-QB0002");
	assert_string_equal(c.pools[3].target, "/srv/iso");
	assert_string_equal(c.checks.ignore.v[0], "iommu.enabled");
}

static void what_is_not_written_has_its_default(void **state)
{
	_cleanup_config_ struct qb_config c = {0};
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text = slurp("least.yaml");
	static const char some[] = "version: 1\n"
				   "bridges: [{name: br0, ports: {match: default-route}}]\n"
				   "networks: [{name: n, subnet: 192.168.122.0/24}]\n"
				   "pools: [{name: p, type: fs, target: /srv/p, "
				   "disks: {match: {rotational: true}}}]\n";

	(void)state;
	assert_int_equal(parse(text, &c, &diags), 0);
	assert_string_equal(c.domains, "/etc/qubi-agent/domains.d");
	assert_int_equal(c.kvm.nested.state, QB_UNKNOWN);
	assert_int_equal(c.n_bridges + c.n_networks + c.n_pools + c.checks.ignore.n, 0);
	qb_config_done(&c);
	assert_int_equal(parse(some, &c, &diags), 0);
	assert_int_equal(c.bridges[0].ipv4.mode, QB_IP_INHERIT);
	assert_int_equal(c.bridges[0].ipv6.mode, QB_IP_INHERIT);
	assert_false(c.bridges[0].stp);
	assert_null(c.bridges[0].libvirt_network);
	assert_int_equal(c.networks[0].forward, QB_FORWARD_NAT);
	assert_true(c.networks[0].autostart);
	assert_null(c.pools[0].disks[0].count);
}

/* JSON is YAML. */
static void json_is_read(void **state)
{
	static const char text[] =
		"{\"version\": 1, \"pools\": [{\"name\": \"p\", \"type\": \"fs\",\n"
		"\t\"target\": \"\\/srv\\/p\", \"disks\": [{\"match\":\n"
		"\t{\"min-size\": \"10GiB\"}, \"count\": 1}]}]}\n";
	_cleanup_config_ struct qb_config c = {0};
	_cleanup_diags_ struct qb_diags diags = {0};

	(void)state;
	if (parse(text, &c, &diags) < 0)
		fail_msg("%u:%u: %s", diags.v[0].line, diags.v[0].column, diags.v[0].msg);
	assert_string_equal(c.pools[0].target, "/srv/p");
}

static void all_errors_of_a_file_come_at_once(void **state)
{
	_cleanup_config_ struct qb_config c = {0};
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text = slurp("wrong.yaml"), *wanted = slurp("wrong.txt");
	_cleanup_buf_ struct qb_buf all = {0};

	(void)state;
	assert_int_equal(parse(text, &c, &diags), -EINVAL);
	for (size_t i = 0; i < diags.n; i++)
		qb_buf_printf(&all, "%u:%u: %s\n", diags.v[i].line, diags.v[i].column,
			      diags.v[i].msg);
	assert_string_equal(all.s, wanted);
	/* Nothing was given out. */
	assert_null(c.domains);
}

struct place {
	char dir[SCRATCH_MAX], file[SCRATCH_MAX + 32];
};

static int make_place(void **state)
{
	struct place *p = qb_alloc(1, sizeof(*p));

	scratch(p->dir);
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->file, sizeof(p->file), "%s/host.yaml", p->dir);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	unlink(p->file);
	rmdir(p->dir);
	free(p);
	return 0;
}

static void write_file(const struct place *p, const char *text, size_t len, mode_t mode)
{
	_cleanup_fclose_ FILE *f = fopen(p->file, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fchmod(fileno(f), mode), 0);
}

static int load(const struct place *p, struct qb_diags *diags, struct qb_error *err)
{
	_cleanup_config_ struct qb_config c = {0};

	return qb_config_load(p->file, &c, diags, err);
}

static void a_file_that_others_can_write_is_refused(void **state)
{
	static const struct {
		mode_t mode;
		int r;
		const char *says;
	} cases[] = {
		{0600, 0, ""},
		{0644, 0, ""},
		{0664, -EPERM, "can be written by its group (mode 0664)"},
		{0646, -EPERM, "can be written by everyone (mode 0646)"},
	};
	const struct place *p = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_diags_ struct qb_diags diags = {0};
		struct qb_error err = QB_ERROR_INIT;

		write_file(p, "version: 1\n", 11, cases[i].mode);
		assert_int_equal(load(p, &diags, &err), cases[i].r);
		assert_int_equal(diags.n, 0);
		assert_non_null(strstr(err.msg, cases[i].says));
		if (cases[i].r < 0) {
			assert_non_null(strstr(err.msg, "chown root: "));
			assert_non_null(strstr(err.msg, p->file));
		}
		unlink(p->file);
	}
}

/* Only root can give a file away. */
static void a_file_of_somebody_else_is_refused(void **state)
{
	const struct place *p = *state;
	_cleanup_diags_ struct qb_diags diags = {0};
	struct qb_error err = QB_ERROR_INIT;

	write_file(p, "version: 1\n", 11, 0644);
	if (chown(p->file, 65534, (gid_t)-1) < 0) {
		assert_int_not_equal(geteuid(), 0);
		assert_int_equal(load(p, &diags, &err), 0);
		return;
	}
	assert_int_equal(load(p, &diags, &err), -EPERM);
	assert_non_null(strstr(err.msg, "belongs to user 65534"));
	assert_non_null(strstr(err.msg, "chown root: "));
}

static void what_is_no_file_is_refused(void **state)
{
	const struct place *p = *state;
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *big = qb_alloc((1 << 20) + 1, 1);
	struct qb_error err = QB_ERROR_INIT;

	assert_int_equal(load(p, &diags, &err), -ENOENT);
	assert_int_equal(mkdir(p->file, 0755), 0);
	assert_int_equal(load(p, &diags, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "not a regular file"));
	rmdir(p->file);
	/* Nobody writes into it; to wait for that would be for ever. */
	assert_int_equal(mkfifo(p->file, 0644), 0);
	assert_int_equal(load(p, &diags, &err), -EINVAL);
	unlink(p->file);
	memset(big, '#', (1 << 20) + 1);
	write_file(p, big, (1 << 20) + 1, 0644);
	assert_int_equal(load(p, &diags, &err), -EFBIG);
	unlink(p->file);
	/* A link to a file of root's is as good as the file. */
	assert_int_equal(symlink("/etc/passwd", p->file), 0);
	assert_int_equal(load(p, &diags, &err), -EINVAL);
	assert_true(diags.n > 0);
}

static void errors_in_a_file_are_in_diags(void **state)
{
	const struct place *p = *state;
	_cleanup_diags_ struct qb_diags diags = {0};
	struct qb_error err = QB_ERROR_INIT;

	write_file(p, "version: 1\nx: 1\n", 16, 0644);
	assert_int_equal(load(p, &diags, &err), -EINVAL);
	assert_int_equal(diags.n, 1);
	assert_int_equal(diags.v[0].line, 2);
	assert_non_null(strstr(err.msg, "host.yaml: 1 error"));
}

/* Every key of every table has its sentence in the manual. */
static void every_key_is_documented(void **state)
{
	static const char *const keys[] = {
		"version\n",
		"kvm.nested\n",
		"kvm.modules\n",
		"bridges\n",
		"bridges[].name\n",
		"bridges[].ports[].match\n",
		"bridges[].ports[].mac\n",
		"bridges[].ports[].path\n",
		"bridges[].ports[].name\n",
		"bridges[].ports[].driver\n",
		"bridges[].ipv4\n",
		"bridges[].ipv6.addresses\n",
		"bridges[].ipv6.gateway\n",
		"bridges[].stp\n",
		"bridges[].libvirt-network\n",
		"networks[].name\n",
		"networks[].forward\n",
		"networks[].subnet\n",
		"networks[].bridge\n",
		"networks[].domain.local-only\n",
		"networks[].dhcp\n",
		"networks[].dhcp.ranges[].start\n",
		"networks[].dhcp.hosts[].mac\n",
		"networks[].dns.forwarders[].addr\n",
		"networks[].dns.hosts[].names\n",
		"networks[].autostart\n",
		"pools[].name\n",
		"pools[].type\n",
		"pools[].disks[].wwid\n",
		"pools[].disks[].serial\n",
		"pools[].disks[].path\n",
		"pools[].disks[].match.min-size\n",
		"pools[].disks[].match.max-size\n",
		"pools[].disks[].match.rotational\n",
		"pools[].disks[].match.transport\n",
		"pools[].disks[].match.model\n",
		"pools[].disks[].match.slot\n",
		"pools[].disks[].count\n",
		"pools[].target\n",
		"pools[].volume-group\n",
		"domains\n",
		"checks.ignore\n",
	};
	_cleanup_buf_ struct qb_buf text = {0};
	const char *at;

	(void)state;
	qb_config_document(&text);
	at = text.s;
	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++) {
		at = strstr(at, keys[i]);
		if (!at)
			fail_msg("%s: not there, or not in order", keys[i]);
		assert_int_equal(strncmp(at + strlen(keys[i]), "    (", 5), 0);
	}
	assert_null(strstr(text.s, "(null)"));
	assert_null(strstr(text.s, "ipv4.mode\n"));
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void broken_files_do_not_break_it(void **state)
{
	_cleanup_free_ char *full = slurp("full.yaml"), *changed = qb_strdup(full);
	static const char alphabet[] = "{}[]:,-&*'\"#\n \t019azx/.~";
	size_t len = strlen(full);
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		_cleanup_config_ struct qb_config c = {0};
		_cleanup_diags_ struct qb_diags diags = {0};
		int r = qb_config_parse(full, i, &c, &diags);

		assert_true((r == 0) == (diags.n == 0));
	}
	for (int round = 0; round < 5000; round++) {
		_cleanup_config_ struct qb_config c = {0};
		_cleanup_diags_ struct qb_diags diags = {0};
		int r;

		memcpy(changed, full, len);
		for (unsigned n = 1 + next_random(&seed) % 4; n; n--)
			changed[next_random(&seed) % len] =
				alphabet[next_random(&seed) % (sizeof(alphabet) - 1)];
		r = qb_config_parse(changed, len, &c, &diags);
		assert_true((r == 0) == (diags.n == 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(what_is_not_written_has_its_default),
		cmocka_unit_test(json_is_read),
		cmocka_unit_test(all_errors_of_a_file_come_at_once),
		cmocka_unit_test_setup_teardown(a_file_that_others_can_write_is_refused, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(a_file_of_somebody_else_is_refused, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(errors_in_a_file_are_in_diags, make_place,
						remove_place),
		cmocka_unit_test(every_key_is_documented),
		cmocka_unit_test(broken_files_do_not_break_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
