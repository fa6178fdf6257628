/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_probe.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/base/clock.h"
#include "agent/host/libvirt_conn.h"
#include "agent/host/libvirt_parse.h"
#include "agent/host/libvirt_units.h"
#include "tests/unit/tree.h"

static struct qb_vir_network *add_network(struct qb_facts *f)
{
	return QB_APPEND(f->libvirt.networks, f->libvirt.n_networks);
}

static struct qb_vir_pool *add_pool(struct qb_facts *f)
{
	return QB_APPEND(f->libvirt.pools, f->libvirt.n_pools);
}

static void networks(void **state)
{
	static const struct {
		const char *xml, *forward, *bridge, *address, *devices;
	} rows[] = {
		{"<network><name>n</name><forward mode='bridge'/><bridge name='br0'/></network>",
		 "bridge", "br0", NULL},
		{"<network><name>n</name><forward/><bridge name='virbr0' stp='on'/>"
		 "<ip address='192.0.2.1' netmask='255.255.255.128'/></network>",
		 "nat", "virbr0", "192.0.2.1/25"},
		{"<network connections='1'><name>n</name>"
		 "<ip family='ipv6' address='2001:db8::1' prefix='64'/>"
		 "<ip family='ipv4' address='198.51.100.1' prefix='24'/></network>",
		 NULL, NULL, "198.51.100.1/24"},
		{"<network><name>n</name><forward mode='bridge'><interface dev='eno1'/>"
		 "<interface dev='eno2'/></forward></network>",
		 "bridge", NULL, NULL, "eno1 and eno2"},
		{"<network><name>n</name><forward mode='nat' dev='eno1'><interface dev='eno1'/>"
		 "</forward><bridge name='virbr1'/></network>",
		 "nat", "virbr1", NULL, "eno1"},
		{"<network><name>n</name><forward mode='hostdev' managed='yes'><pf dev='eno3'/>"
		 "</forward></network>",
		 "hostdev", NULL, NULL, "eno3"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		_cleanup_facts_ struct qb_facts f = {0};
		struct qb_vir_network *n = add_network(&f);
		_cleanup_free_ char *devices = NULL;

		assert_int_equal(qb_vir_network_parse(rows[i].xml, n), 0);
		assert_string_equal(n->name, "n");
		assert_true(qb_streq(n->now.forward, rows[i].forward));
		assert_true(qb_streq(n->now.bridge, rows[i].bridge));
		assert_true(qb_streq(n->now.address, rows[i].address));
		devices = qb_strs_sentence(&n->now.devices);
		assert_string_equal(devices, rows[i].devices ? rows[i].devices : "");
	}
}

static void pools(void **state)
{
	_cleanup_facts_ struct qb_facts f = {0};
	struct qb_vir_pool *p = add_pool(&f);

	(void)state;
	assert_int_equal(qb_vir_pool_parse("<pool type='fs'><name>a&lt;b</name><uuid>u</uuid>"
					   "<source><device path='/dev/x'/><name>vg</name></source>"
					   "<target><path> /srv/a </path></target></pool>",
					   p),
			 0);
	assert_string_equal(p->name, "a<b");
	assert_string_equal(p->uuid, "u");
	assert_string_equal(p->type, "fs");
	assert_string_equal(p->source_device, "/dev/x");
	assert_string_equal(p->source_name, "vg");
	assert_string_equal(p->target, "/srv/a");
}

/* IPv6 has a DHCP of its own, of which the configuration says nothing. */
static void what_a_network_serves(void **state)
{
	static const char xml[] =
		"<network><name>n</name><domain name='x.example' localOnly='yes'/><dns>"
		"<forwarder addr='192.0.2.53'/><forwarder domain='y.example'/>"
		"<txt name='a' value='b'/><host ip='198.51.100.5'><hostname>a</hostname>"
		"<hostname>b</hostname></host><host ip='2001:db8::5'/></dns>"
		"<ip family='ipv6' address='2001:db8::1' prefix='64'><dhcp>"
		"<range start='2001:db8::5' end='2001:db8::6'/>"
		"<host id='0:1' name='six' ip='2001:db8::7'/></dhcp></ip>"
		"<ip address='198.51.100.1' prefix='24'><tftp root='/srv'/><dhcp>"
		"<range start='198.51.100.2' end='198.51.100.9'/>"
		"<range start='198.51.100.20' end='198.51.100.29'><lease expiry='1'/></range>"
		"<host mac='00:00:5E:00:53:0A' name='web' ip='198.51.100.10'/>"
		"<host name='nomac' ip='198.51.100.11'/><bootp file='pxe'/></dhcp></ip></network>";
	_cleanup_facts_ struct qb_facts f = {0};
	struct qb_vir_network *n = add_network(&f);
	const struct qb_vir_definition *d = &n->next;

	(void)state;
	assert_int_equal(qb_vir_network_parse(xml, n), 0);
	assert_int_equal(n->now.n_dhcp_hosts, 2);
	assert_null(d->domain);
	assert_int_equal(qb_vir_definition_parse(xml, &n->next), 0);
	assert_string_equal(d->domain, "x.example");
	assert_true(d->domain_local_only);
	assert_string_equal(d->address, "198.51.100.1/24");
	assert_int_equal(d->n_dhcp_ranges, 2);
	assert_string_equal(d->dhcp_ranges[1].start, "198.51.100.20");
	assert_string_equal(d->dhcp_ranges[1].end, "198.51.100.29");
	assert_int_equal(d->n_dhcp_hosts, 2);
	assert_string_equal(d->dhcp_hosts[0].mac, "00:00:5e:00:53:0a");
	assert_string_equal(d->dhcp_hosts[0].name, "web");
	assert_null(d->dhcp_hosts[1].mac);
	assert_string_equal(d->dhcp_hosts[1].ip, "198.51.100.11");
	assert_int_equal(d->n_dns_forwarders, 2);
	assert_string_equal(d->dns_forwarders[0].addr, "192.0.2.53");
	assert_null(d->dns_forwarders[0].domain);
	assert_string_equal(d->dns_forwarders[1].domain, "y.example");
	assert_int_equal(d->n_dns_hosts, 2);
	assert_string_equal(d->dns_hosts[0].names.v[1], "b");
	assert_int_equal(d->dns_hosts[1].names.n, 0);
}

/* What runs has an id, and only then its interfaces count. */
static void domains(void **state)
{
	static const char shape[] =
		"<domain%s><devices><disk type='file'><source file='/srv/a.img'/></disk>"
		"<disk type='block'><source dev='/dev/sdb'/></disk>"
		"<disk type='block'><driver/><source dev='/dev/vg/a'/></disk>"
		"<disk type='block'><source dev='/dev/sdb'/></disk><disk type='block'/>"
		"<interface type='network'><source network='n' portid='p' bridge='virbr0'/>"
		"<target dev='vnet0'/></interface>"
		"<interface type='bridge'><source bridge='br0'/></interface>"
		"<interface type='user'/></devices></domain>";
	_cleanup_facts_ struct qb_facts facts = {0};
	struct qb_libvirt_facts *f = &facts.libvirt;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		_cleanup_free_ char *xml = qb_asprintf(shape, i ? " id='3'" : "");

		assert_int_equal(qb_vir_domain_parse(xml, "a", f), 0);
		assert_int_equal(f->n_guest_disks, 2);
		assert_int_equal(f->n_guest_interfaces, i ? 3 : 0);
		assert_string_equal(f->guest_disks[1].domain, "a");
		assert_string_equal(f->guest_disks[1].device, "/dev/vg/a");
	}
	assert_string_equal(f->guest_interfaces[0].domain, "a");
	assert_string_equal(f->guest_interfaces[0].network, "n");
	assert_string_equal(f->guest_interfaces[0].bridge, "virbr0");
	assert_string_equal(f->guest_interfaces[0].link, "vnet0");
	assert_null(f->guest_interfaces[1].network);
	assert_string_equal(f->guest_interfaces[1].bridge, "br0");
	/* Another guest's are its own. */
	assert_int_equal(qb_vir_domain_parse("<domain><devices><disk type='block'><source "
					     "dev='/dev/sdb'/></disk></devices></domain>",
					     "b", f),
			 0);
	assert_int_equal(f->n_guest_disks, 3);
	assert_int_equal(qb_vir_domain_parse("<pool/>", "c", f), -EINVAL);
}

static void what_a_guest_has_of_a_pool(void **state)
{
	static const struct {
		const char *disk, *dir, *volume;
	} cases[] = {
		{"<disk><source pool='images' volume='a'/></disk>", NULL, "a"},
		{"<disk/><disk><source pool='images' volume='a'/></disk>", NULL, "a"},
		{"<disk><source pool='other' volume='a'/></disk>", "/srv/x", NULL},
		{"<disk><source file='/srv/x/a'/></disk>", "/srv/x", "/srv/x/a"},
		{"<disk><source dev='/dev/vms/a'/></disk>", "/dev/vms", "/dev/vms/a"},
		{"<disk><source dir='/srv/x'/></disk>", "/srv/x", "/srv/x"},
		{"<disk><source file='/srv/x/a'/></disk>", NULL, NULL},
		{"<disk><source file='/srv/xy/a'/></disk>", "/srv/x", NULL},
		{"<interface><source pool='images' volume='a'/></interface>", "/srv/x", NULL},
	};
	char *volume = NULL;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *xml =
			qb_asprintf("<domain><devices>%s</devices></domain>", cases[i].disk);

		assert_int_equal(qb_vir_domain_volume(xml, "images", cases[i].dir, &volume), 0);
		if (!qb_streq(volume, cases[i].volume))
			fail_msg("%s: %s", cases[i].disk, volume ? volume : "none");
		free(volume);
	}
	assert_int_equal(qb_vir_domain_volume("<pool/>", "images", NULL, &volume), -EINVAL);
}

static void capabilities(void **state)
{
	bool kvm = true;

	(void)state;
	assert_int_equal(qb_vir_capabilities_parse(
				 "<capabilities><guest><arch><domain type='qemu'/></arch></guest>"
				 "</capabilities>",
				 &kvm),
			 0);
	assert_false(kvm);
	assert_int_equal(qb_vir_capabilities_parse(
				 "<capabilities><guest><arch><domain type='qemu'/></arch></guest>"
				 "<guest><arch><domain type='qemu'/><domain type='kvm'/></arch>"
				 "</guest></capabilities>",
				 &kvm),
			 0);
	assert_true(kvm);
}

static void what_is_no_such_document(void **state)
{
	static const char *const bad[] = {
		"",
		"<network>",
		"<pool><name>n</name></pool>",
		"<network/>",
		"not XML",
		"<!DOCTYPE network [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><network>",
	};
	_cleanup_facts_ struct qb_facts f = {0};
	struct qb_vir_network *n = add_network(&f);

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(bad); i++)
		assert_int_equal(qb_vir_network_parse(bad[i], n), -EINVAL);
}

/* An external entity must not be followed: a document that has any is not read at all. */
static void entities_are_not_followed(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};
	struct qb_vir_network *n = add_network(&f);
	_cleanup_free_ char *xml =
		qb_asprintf("<!DOCTYPE network [<!ENTITY e SYSTEM 'file://%s/secret'>]>"
			    "<network><name>n&e;</name><bridge name='b'/></network>",
			    t->top);

	tree_put(t, "/secret", "the secret");
	assert_int_equal(qb_vir_network_parse(xml, n), -EINVAL);
	assert_null(n->name);
}

/* libvirt's own test driver: real calls, no host. */
static void the_test_driver(void **state)
{
	_cleanup_root_ struct qb_root root = QB_ROOT_INIT;
	_cleanup_facts_ struct qb_facts f = {0};
	const struct qb_vir_network *network;
	const struct qb_vir_pool *pool;

	(void)state;
	assert_int_equal(qb_root_open("/", &root, NULL), 0);
	qb_libvirt_probe(&root, "test:///default", 5000, &f.libvirt);
	assert_true(qb_is(&f.libvirt.connected));
	assert_null(f.libvirt.error);
	assert_non_null(f.libvirt.version);
	assert_string_equal(f.libvirt.uri, "test:///default");
	assert_true(qb_is_not(&f.libvirt.kvm_domains));
	network = qb_facts_network(&f, "default");
	assert_non_null(network);
	assert_true(network->active && network->persistent && !network->autostart);
	assert_string_equal(network->now.forward, "nat");
	pool = qb_facts_pool(&f, "default-pool");
	assert_non_null(pool);
	assert_true(pool->active && pool->capacity_bytes > 0);
	assert_string_equal(pool->type, "dir");
}

static void add_image_pool(struct qb_libvirt_facts *v, const char *type, const char *target)
{
	struct qb_vir_pool *p = QB_APPEND(v->pools, v->n_pools);

	p->name = qb_strdup(target);
	p->type = qb_strdup(type);
	p->target = qb_strdup(target);
	p->active = true;
}

/* What images may grow to, by what they say themselves: libvirt is not asked. */
static void images_of_pools(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};
	struct qb_libvirt_facts *v = &f.libvirt;
	static const char qcow[64] = "QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0"
				     "\24\0\0\0\0"; /* 80 GiB */

	add_image_pool(v, "dir", "/thin");
	add_image_pool(v, "dir", "/many");
	add_image_pool(v, "netfs", "/far");
	add_image_pool(v, "fs", "/none");
	tree_write(t, "/thin/a.qcow2", qcow, sizeof(qcow));
	tree_put(t, "/thin/b.img", "12345");
	tree_link(t, "/thin/b.img", "/thin/c.img");
	for (size_t i = 0; i < 1001; i++) {
		_cleanup_free_ char *path = qb_asprintf("/many/%zu", i);

		tree_put(t, path, "");
	}
	qb_volumes_probe(&t->root, 20000, v);
	assert_true(qb_is(&v->pools[0].volumes_known));
	assert_int_equal(v->pools[0].volumes, 2);
	assert_int_equal(v->pools[0].volumes_capacity_bytes, (80ULL << 30) + 5);
	assert_true(v->pools[0].volumes_allocation_bytes < 1 << 20);
	assert_string_equal(v->pools[1].volumes_known.why, "/many holds more than 1000 files");
	assert_true(qb_is_not(&v->pools[2].volumes_known));
	assert_string_equal(v->pools[3].volumes_known.why, "/none: No such file or directory");
}

static void ask(const char *uri, unsigned timeout_ms, struct qb_facts *f)
{
	*f = (struct qb_facts){0};
	qb_vir_inquiry_end(qb_vir_inquiry_begin(uri, timeout_ms), &f->libvirt);
}

/* Nobody listens: known. Another failure: not known. */
static void no_daemon(void **state)
{
	struct tree *t = *state;
	_cleanup_free_ char *uri =
		qb_asprintf("qemu+unix:///system?socket=%s/no-such-socket", t->top);
	_cleanup_facts_ struct qb_facts f, g;

	ask(uri, 5000, &f);
	assert_int_equal(f.libvirt.connected.state, QB_NO);
	assert_non_null(strstr(f.libvirt.error, "no-such-socket"));
	ask("test:///no/such/file", 5000, &g);
	assert_int_equal(g.libvirt.connected.state, QB_UNKNOWN);
	assert_non_null(strstr(g.libvirt.connected.why, "/no/such/file"));
}

/* A daemon's socket, at which nobody ever says a word. */
static int listen_in_silence(struct tree *t, char **ret_uri)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", t->top);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	*ret_uri = qb_asprintf("qemu+unix:///system?socket=%s/socket", t->top);
	return fd;
}

/* A daemon that accepts and never answers. It is left behind when the time is over. */
static void a_daemon_that_hangs(void **state)
{
	struct tree *t = *state;
	_cleanup_free_ char *uri = NULL;
	_cleanup_close_ int fd = listen_in_silence(t, &uri);
	_cleanup_facts_ struct qb_facts f;
	uint64_t begin = qb_now_ms();

	ask(uri, 300, &f);
	assert_int_equal(f.libvirt.connected.state, QB_UNKNOWN);
	assert_string_equal(f.libvirt.connected.why, "no answer within 300 ms");
	assert_true(qb_now_ms() - begin <= 3000);
}

static void a_step_does_not_wait_for_one_either(void **state)
{
	struct tree *t = *state;
	_cleanup_free_ char *uri = NULL;
	_cleanup_close_ int fd = listen_in_silence(t, &uri);
	struct qb_error err = QB_ERROR_INIT;
	virConnectPtr conn = NULL;
	uint64_t begin = qb_now_ms();

	assert_int_equal(qb_vir_open(uri, 300, &conn, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.msg, "no answer within 300 ms"));
	assert_true(qb_now_ms() - begin <= 3000);
}

static void enable(struct tree *t, const char *target, const char *unit)
{
	_cleanup_free_ char *dir = qb_asprintf("/etc/systemd/system/%s.wants", target);
	_cleanup_free_ char *to = qb_asprintf("/usr/lib/systemd/system/%s", unit);
	_cleanup_free_ char *link = qb_asprintf("%s/%s", dir, unit);

	tree_mkdir(t, dir);
	tree_put(t, to, "[Unit]\n");
	tree_link(t, to, link);
}

static void expect_units(struct tree *t, enum qb_vir_flavour flavour, enum qb_tri_state enabled)
{
	_cleanup_facts_ struct qb_facts f = {0};

	qb_vir_units_probe(&t->root, &f.libvirt);
	assert_int_equal(f.libvirt.flavour, flavour);
	assert_int_equal(f.libvirt.enabled.state, enabled);
}

static void flavours(void **state)
{
	struct tree *t = *state;

	expect_units(t, QB_VIR_NONE, QB_NO);
	tree_put(t, "/lib/systemd/system/libvirtd.service", "[Unit]\n");
	expect_units(t, QB_VIR_MONOLITHIC, QB_UNKNOWN);
	tree_mkdir(t, "/etc/systemd/system");
	expect_units(t, QB_VIR_MONOLITHIC, QB_NO);
	/* Both installed: the modular one, unless the other is what is enabled. */
	tree_put(t, "/usr/lib/systemd/system/virtqemud.socket", "[Unit]\n");
	expect_units(t, QB_VIR_MODULAR, QB_NO);
	enable(t, "multi-user.target", "libvirtd.service");
	expect_units(t, QB_VIR_MONOLITHIC, QB_YES);
	/* Its socket would start it when somebody connects, and not at boot. */
	enable(t, "sockets.target", "virtqemud.socket");
	expect_units(t, QB_VIR_MODULAR, QB_NO);
	enable(t, "multi-user.target", "virtqemud.service");
	expect_units(t, QB_VIR_MODULAR, QB_YES);
	/* The networks have a daemon of their own. */
	tree_put(t, "/usr/lib/systemd/system/virtnetworkd.service", "[Unit]\n");
	expect_units(t, QB_VIR_MODULAR, QB_NO);
	enable(t, "multi-user.target", "virtnetworkd.service");
	expect_units(t, QB_VIR_MODULAR, QB_YES);
}

/* A mask outdoes the links that enabling made. */
static void masked_units(void **state)
{
	struct tree *t = *state;

	enable(t, "multi-user.target", "libvirtd.service");
	enable(t, "sockets.target", "virtqemud.socket");
	tree_link(t, "/dev/null", "/etc/systemd/system/virtqemud.socket");
	expect_units(t, QB_VIR_MONOLITHIC, QB_YES);
	/* What listens now decides. */
	tree_put(t, "/run/libvirt/virtqemud-sock", "");
	expect_units(t, QB_VIR_MODULAR, QB_NO);
}

static void targets_of_pools(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts unread = {0}, f = {0};
	_cleanup_strs_ struct qb_strs paths = {0};

	qb_strs_add(&paths, "/srv/a b");
	qb_strs_add(&paths, "/srv/a");
	qb_strs_add(&paths, "/srv/a"); /* of two pools */
	qb_strs_add(&paths, "/srv/none");
	tree_put(t, "/srv/a/notes", "");
	qb_targets_probe(&t->root, &paths, 5000, &unread);
	assert_int_equal(unread.n_targets, 3);
	assert_int_equal(unread.targets[0].mounted.state, QB_UNKNOWN);
	tree_put(t, "/proc/self/mountinfo",
		 "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		 "30 22 8:17 / /srv/a\\040b rw shared:1 - xfs /dev/sdb1 rw\n");
	qb_targets_probe(&t->root, &paths, 5000, &f);
	assert_int_equal(f.targets[0].mounted.state, QB_YES);
	assert_int_equal(f.targets[0].empty.state, QB_UNKNOWN);
	assert_int_equal(f.targets[1].mounted.state, QB_NO);
	assert_int_equal(f.targets[1].empty.state, QB_NO);
	assert_string_equal(f.targets[1].holds, "notes");
	assert_int_equal(f.targets[2].empty.state, QB_YES);
	assert_string_equal(f.targets[0].mount_point, "/srv/a b");
	assert_string_equal(f.targets[1].mount_point, "/");
	assert_string_equal(f.targets[1].real_path, "/srv/a");
	assert_null(unread.targets[1].mount_point);
}

/* Also where a part of the way, or all of it, is not there. */
static void what_a_target_lies_on(void **state)
{
	static const struct {
		const char *path, *real_path, *mount_point;
	} cases[] = {
		{"/link/images", "/data/images", "/data"},
		{"/link/none/deep", "/data/none/deep", "/data"},
		{"/database", "/database", "/"},
		{"/dangling", "/dangling", "/"},
		{"/data", "/data", "/data"},
		{"/", "/", "/"},
	};
	struct tree *t = *state;
	_cleanup_strs_ struct qb_strs paths = {0};
	_cleanup_facts_ struct qb_facts f = {0};
	_cleanup_buf_ struct qb_buf mounts = {0};

	tree_put(t, "/data/images/a", "");
	tree_link(t, "data", "/link");
	tree_link(t, "nowhere", "/dangling");
	qb_buf_printf(&mounts,
		      "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		      "30 22 8:17 / %s/data rw - xfs /dev/sdb1 rw\n",
		      t->top);
	tree_put(t, "/proc/self/mountinfo", mounts.s);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		qb_strs_addf(&paths, "%s%s", t->top, cases[i].path);
	/* Links are followed where the host is this one. */
	t->root.live = true;
	qb_targets_probe(&t->root, &paths, 5000, &f);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		const struct qb_target *x = &f.targets[i];
		size_t here = strlen(t->top);

		assert_true(qb_startswith(x->real_path, t->top));
		if (strcmp(cases[i].path, "/") != 0)
			assert_string_equal(x->real_path + here, cases[i].real_path);
		assert_string_equal(x->mount_point + (x->mount_point[1] ? here : 0),
				    cases[i].mount_point);
	}
}

static void room_for_files(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts captured = {0}, f = {0};
	_cleanup_strs_ struct qb_strs paths = {0};
	const struct qb_space *s;

	qb_strs_add(&paths, "/");
	qb_strs_add(&paths, "/proc/none");
	qb_strs_add(&paths, "/"); /* of two pools */
	qb_strs_add(&paths, "/dev");
	qb_spaces_probe(&t->root, &paths, 5000, &captured);
	assert_int_equal(captured.n_spaces, 3);
	assert_string_equal(captured.spaces[0].read_only.why, "not a live host");
	t->root.live = true;
	qb_spaces_probe(&t->root, &paths, 5000, &f);
	assert_int_equal(f.n_spaces, 3);
	s = qb_facts_space(&f, "/");
	assert_int_not_equal(s->read_only.state, QB_UNKNOWN);
	assert_true(s->size_bytes && s->available_bytes <= s->size_bytes);
	assert_true(strchr(s->device, ':') && !s->absent);
	s = qb_facts_space(&f, "/proc/none");
	assert_true(s->absent && s->read_only.state == QB_UNKNOWN);
	assert_string_equal(s->read_only.why, "/proc/none: No such file or directory");
	/* What comes after one that is not there is asked, too. */
	assert_non_null(qb_facts_space(&f, "/dev")->device);
}

/* Stands before libc's: below /down are file systems that are no more, each by its error. */
int stat(const char *path, struct stat *st)
{
	static const char prefix[] = "/down/";

	if (!strncmp(path, prefix, strlen(prefix))) {
		errno = atoi(path + strlen(prefix));
		return -1;
	}
	return fstatat(AT_FDCWD, path, st, 0);
}

static void a_file_system_that_is_down(void **state)
{
	static const int down[] = {EIO, EUCLEAN, ESTALE, ENOTCONN}, other[] = {EACCES, ELOOP};
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};
	_cleanup_strs_ struct qb_strs paths = {0};

	for (size_t i = 0; i < QB_ARRAY_SIZE(down); i++)
		qb_strs_addf(&paths, "/down/%d", down[i]);
	for (size_t i = 0; i < QB_ARRAY_SIZE(other); i++)
		qb_strs_addf(&paths, "/down/%d", other[i]);
	t->root.live = true;
	qb_spaces_probe(&t->root, &paths, 5000, &f);
	for (size_t i = 0; i < f.n_spaces; i++) {
		const struct qb_space *s = &f.spaces[i];

		assert_true(s->read_only.state == QB_UNKNOWN && !s->absent);
		if (i < QB_ARRAY_SIZE(down))
			assert_string_equal(s->down, strerror(down[i]));
		else
			assert_null(s->down);
	}
}

static void a_captured_host_is_not_asked(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f = {0};

	qb_libvirt_probe(&t->root, "test:///default", 1000, &f.libvirt);
	assert_int_equal(f.libvirt.connected.state, QB_UNKNOWN);
	assert_string_equal(f.libvirt.connected.why, "not a live host");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks),
		cmocka_unit_test(pools),
		cmocka_unit_test(what_a_network_serves),
		cmocka_unit_test(domains),
		cmocka_unit_test(what_a_guest_has_of_a_pool),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(what_is_no_such_document),
		tree_test(entities_are_not_followed),
		cmocka_unit_test(the_test_driver),
		tree_test(images_of_pools),
		tree_test(no_daemon),
		tree_test(a_daemon_that_hangs),
		tree_test(a_step_does_not_wait_for_one_either),
		tree_test(flavours),
		tree_test(masked_units),
		tree_test(targets_of_pools),
		tree_test(what_a_target_lies_on),
		tree_test(room_for_files),
		tree_test(a_file_system_that_is_down),
		tree_test(a_captured_host_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
