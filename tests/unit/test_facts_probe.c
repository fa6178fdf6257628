/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config.h"
#include "agent/host/facts.h"

#include "net/probe.h"
#include "tests/unit/tree.h"

/* Netlink is not what this is about: a captured host has none, its links are in the document. */
void qb_net_probe(const struct qb_root *root, struct qb_net *ret)
{
	*ret = (struct qb_net){0};
	qb_tri_unknown(&ret->known, "%s", root->live ? "not in this test" : "not a live host");
}

#define DOCUMENT                                                                                   \
	"{\"schema\": \"qubi-agent/facts/1\", \"live\": true,"                                     \
	" \"kvm\": {\"guest_ran\": true, \"guest_cause\": \"ran\", \"device\": true},"             \
	" \"cpu\": {\"cpuid_svm\": true, \"firmware_lock\": false, \"vendor\": \"GenuineIntel\"}," \
	" \"system\": {\"arch\": \"x86_64\", \"time_synchronised\": true},"                        \
	" \"links\": [{\"name\": \"eno1\", \"ifindex\": 2}], \"net\": {\"known\": true},"          \
	" \"libvirt\": {\"connected\": true, \"pools\": [{\"name\": \"images\", \"type\":"         \
	" \"dir\"}], \"guest_disks\": [{\"domain\": \"g1\", \"device\": \"/dev/sdb\"}]}}"

static void probe(struct tree *t, struct qb_facts *ret)
{
	struct qb_config config = {0};

	qb_strs_add(&config.kvm.modules, "vhost_vsock");
	qb_facts_probe(&(struct qb_probe_options){.root = &t->root,
						  .connect_uri = "test:///default",
						  .timeout_ms = 1000,
						  .config = &config},
		       ret);
	qb_strs_done(&config.kvm.modules);
}

static void put_disk(struct tree *t, const char *name, const char *dev)
{
	static const char *const files[][2] = {
		{"size", "2097152\n"},
		{"ro", "0\n"},
		{"removable", "0\n"},
		{"queue/logical_block_size", "512\n"},
		{"queue/physical_block_size", "512\n"},
		{"queue/rotational", "0\n"},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/%s", name, files[i][0]);

		tree_put(t, path, files[i][1]);
	}
	{
		_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/dev", name);

		tree_put(t, path, dev);
	}
}

/* Files tell what files can; the document that was captured with them tells the rest. */
static void a_captured_host(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f;
	const struct qb_disk *sdb = NULL;

	tree_put(t, "/qubi-agent/facts.json", DOCUMENT);
	tree_put(t, "/proc/sys/kernel/osrelease", "5.14.0-1.el9\n");
	tree_put(t, "/proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : fpu svm\n\n");
	put_disk(t, "sda", "8:0\n");
	put_disk(t, "sdb", "8:16\n");
	probe(t, &f);
	assert_true(qb_is_not(&f.live));
	assert_string_equal(f.system.kernel, "5.14.0-1.el9");
	/* This kernel's release does not end in it. */
	assert_string_equal(f.system.arch, "x86_64");
	assert_true(qb_is(&f.system.time_synchronised));
	assert_true(qb_is(&f.cpu.flag_svm));
	assert_string_equal(f.cpu.vendor, "AuthenticAMD");
	assert_true(qb_is(&f.cpu.cpuid_svm));
	assert_true(qb_is_not(&f.cpu.firmware_lock));
	assert_true(qb_is(&f.kvm.guest_ran));
	assert_int_equal(f.net.n_links, 1);
	assert_true(qb_is(&f.libvirt.connected));
	assert_non_null(qb_facts_pool(&f, "images"));
	assert_non_null(qb_facts_module(&f, "kvm"));
	assert_non_null(qb_facts_module(&f, "vhost_vsock"));
	/* A guest's disk is nobody else's. */
	for (size_t i = 0; i < f.disks.n_disks; i++)
		if (qb_streq(f.disks.disks[i].name, "sdb"))
			sdb = &f.disks.disks[i];
		else
			assert_false(qb_disk_has_reason(&f.disks.disks[i], "open"));
	assert_non_null(sdb);
	assert_true(qb_disk_has_reason(sdb, "open"));
	assert_false(sdb->available);
}

#define GUEST(id, disk)                                                                            \
	"<domain type='kvm'" id "><devices><disk type='block' device='disk'><source dev='" disk    \
	"'/></disk></devices></domain>"

static bool is_claimed(const struct qb_facts *f, size_t at, const char *evidence)
{
	const struct qb_disk *disk = &f->disks.disks[at];

	for (size_t i = 0; i < disk->n_reasons; i++)
		if (qb_streq(disk->reasons[i].code, "open") &&
		    strstr(disk->reasons[i].evidence, evidence))
			return true;
	return false;
}

/* Guests are there also when libvirt is not: one that is defined, one that runs. */
static void guests_of_a_libvirt_that_does_not_answer(void **state)
{
	struct tree *t = *state;
	struct qb_facts f;

	put_disk(t, "sda", "8:0\n");
	put_disk(t, "sdb", "8:16\n");
	put_disk(t, "sdc", "8:32\n");
	tree_put(t, "/etc/libvirt/qemu/one.xml",
		 "<!-- made by libvirt -->\n" GUEST("", "/dev/sda"));
	tree_put(t, "/etc/libvirt/qemu/networks/default.xml", "<network/>");
	tree_put(t, "/run/libvirt/qemu/two.xml",
		 "<domstatus state='running'>" GUEST(" id='1'", "/dev/sdb") "</domstatus>");
	tree_put(t, "/run/libvirt/qemu/two.pid", "4711");
	probe(t, &f);
	assert_true(is_claimed(&f, 0, "the guest one uses /dev/sda"));
	assert_true(is_claimed(&f, 1, "the guest two uses /dev/sdb"));
	assert_false(qb_disk_has_reason(&f.disks.disks[2], "open"));
	qb_facts_done(&f);
	tree_put(t, "/run/libvirt/qemu/three.xml", "<domstatus>");
	probe(t, &f);
	assert_true(is_claimed(&f, 2, "unknown: /run/libvirt/qemu/three.xml: it describes no"));
	qb_facts_done(&f);
}

/* They are told with what was on them, which no tree holds. */
static void disks_of_a_document(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f;

	tree_put(t, "/qubi-agent/facts.json",
		 "{\"schema\": \"qubi-agent/facts/1\", \"disks_known\": true,"
		 " \"disks\": [{\"name\": \"sdz\", \"path\": \"/dev/sdz\", \"readable\": true}]}");
	put_disk(t, "sda", "8:0\n");
	probe(t, &f);
	assert_int_equal(f.disks.n_disks, 1);
	assert_string_equal(f.disks.disks[0].name, "sdz");
	assert_true(qb_is(&f.disks.disks[0].readable));
}

static void without_a_document(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f;

	probe(t, &f);
	assert_int_equal(f.net.known.state, QB_UNKNOWN);
	assert_int_equal(f.libvirt.connected.state, QB_UNKNOWN);
	assert_string_equal(f.libvirt.connected.why, "not a live host");
	assert_int_equal(f.kvm.guest_ran.state, QB_UNKNOWN);
	assert_int_equal(f.n_modules, 6);
}

static void a_document_that_cannot_be_read(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f;

	tree_put(t, "/qubi-agent/facts.json", "{\"schema\": \"another/1\"}");
	probe(t, &f);
	assert_int_equal(f.net.known.state, QB_UNKNOWN);
	assert_non_null(strstr(f.net.known.why, "/qubi-agent/facts.json"));
	assert_non_null(strstr(f.libvirt.connected.why, "/qubi-agent/facts.json"));
}

/* The document, too, is read below the root only. */
static void a_document_that_is_a_link_out(void **state)
{
	struct tree *t = *state;
	_cleanup_facts_ struct qb_facts f;
	_cleanup_free_ char *outside = qb_asprintf("%s-outside.json", t->top);
	FILE *file = fopen(outside, "w");

	assert_non_null(file);
	fputs(DOCUMENT, file);
	fclose(file);
	tree_mkdir(t, "/qubi-agent");
	tree_link(t, outside, "/qubi-agent/facts.json");
	probe(t, &f);
	unlink(outside);
	assert_int_equal(f.libvirt.connected.state, QB_UNKNOWN);
	assert_int_equal(f.net.n_links, 0);
}

/* Facts are passed around. */
static void settings_are_read_without_secrets(void **state)
{
	static const char path[] = "/etc/libvirt/qemu.conf";
	struct tree *t = *state;
	_cleanup_strs_ struct qb_strs reads = {0};
	_cleanup_facts_ struct qb_facts f;

	tree_put(t, path,
		 "# user = \"root\"\n  #vnc_password = \"XX1\"\nuser = \"qemu\"\n"
		 "vnc_password = \"XX2\"\n\nspice_PASSWORD=XX3\n"
		 "//h/s /m cifs user=a,password=XX4 0 0\nsecret\npsk=XX5");
	qb_strs_add(&reads, path);
	qb_facts_probe(&(struct qb_probe_options){.root = &t->root, .reads = &reads}, &f);
	assert_string_equal(qb_facts_reading(&f, path)->value,
			    "user = \"qemu\"\nvnc_password = *\n\nspice_PASSWORD= *\n"
			    "//h/s /m cifs user=a,password= *\nsecret\npsk= *");
}

/* Where keys have any name, what holds none of them is kept, and no more. */
static void files_with_keys_are_read_in_part(void **state)
{
	static const char profile[] = "/etc/NetworkManager/system-connections/a b.nmconnection";
	static const char in_run[] = "/run/NetworkManager/system-connections/b.nmconnection";
	static const char netdev[] = "/usr/lib/systemd/network/wg0.netdev";
	static const char nmstate[] = "/etc/nmstate/1.yml";
	struct tree *t = *state;
	_cleanup_strs_ struct qb_strs reads = {0};
	_cleanup_facts_ struct qb_facts f;

	tree_put(t, profile,
		 "XX0\n[connection]\nid=a\n[wifi-security]\npsk=XX1\nauth-alg=XX2\n"
		 "[802-1x]\nprivate-key-password=XX3\npassword=XX4\n[vpn-secrets]\nx=XX5\n"
		 "[ethernet]\n# XX6\nwake-on-lan-password=XX7\nmtu=9000\n [ipv4]\n"
		 "method=auto\n[macsec]\nmka-cak=XX8\n");
	tree_put(t, in_run, "[wireguard]\nprivate-key=XX9\n\n[bridge]\nstp=false\n");
	tree_put(t, netdev, "[NetDev]\nName=wg0\n[WireGuard]\nPrivateKey=XX10\n");
	tree_put(t, nmstate,
		 "interfaces:\n- name: br0\n  type: ethernet\n  802.1x:\n"
		 "    private-key-password: |\n      XX11\n- {name: x, password: XX12}\n");
	qb_strs_add(&reads, "/etc/NetworkManager/system-connections/*");
	qb_strs_add(&reads, in_run);
	qb_strs_add(&reads, netdev);
	qb_strs_add(&reads, nmstate);
	qb_facts_probe(&(struct qb_probe_options){.root = &t->root, .reads = &reads}, &f);
	assert_int_equal(f.n_readings, 4);
	assert_string_equal(qb_facts_reading(&f, profile)->value,
			    "[connection]\nid=a\n[ethernet]\nwake-on-lan-password= *\n"
			    "mtu=9000\n [ipv4]\nmethod=auto");
	assert_string_equal(qb_facts_reading(&f, in_run)->value, "[bridge]\nstp=false");
	assert_string_equal(qb_facts_reading(&f, netdev)->value, "[NetDev]\nName=wg0");
	assert_string_equal(qb_facts_reading(&f, nmstate)->value,
			    "interfaces:\n- name: br0\n  type: ethernet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_captured_host),
		tree_test(guests_of_a_libvirt_that_does_not_answer),
		tree_test(disks_of_a_document),
		tree_test(without_a_document),
		tree_test(a_document_that_cannot_be_read),
		tree_test(a_document_that_is_a_link_out),
		tree_test(settings_are_read_without_secrets),
		tree_test(files_with_keys_are_read_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
