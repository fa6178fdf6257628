/* SPDX-License-Identifier: Apache-2.0 */
/* Captured hosts: what sysfs, mountinfo and swaps say about disks, without a device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <unistd.h>
#include <cmocka.h>

#include "storage/blocks.h"
#include "storage/probe.h"
#include "tests/unit/scratch.h"

struct host {
	char dir[SCRATCH_MAX];
	struct qb_root root;
	struct qb_disks disks;
};

static int setup(void **state)
{
	struct host *h = qb_alloc(1, sizeof(*h));

	scratch(h->dir);
	*state = h;
	return !mkdtemp(h->dir) || qb_root_open(h->dir, &h->root, NULL) < 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct host *h = *state;

	qb_disks_done(&h->disks);
	qb_root_done(&h->root);
	nftw(h->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(h);
	return 0;
}

/* fmt makes the path */
QB_PRINTF(3, 4) static void file(struct host *h, const char *text, const char *fmt, ...)
{
	_cleanup_free_ char *path = NULL;
	struct qb_error err = QB_ERROR_INIT;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&path, fmt, ap) > 0);
	va_end(ap);
	if (qb_root_write(&h->root, path, 0644, text, strlen(text), &err) < 0)
		fail_msg("%s", err.msg);
}

static void link_to(struct host *h, const char *path, const char *target)
{
	_cleanup_free_ char *whole = qb_asprintf("%s%s", h->dir, path);
	_cleanup_free_ char *parent = qb_strdup(path);

	*strrchr(parent, '/') = '\0';
	assert_int_equal(qb_root_mkdir(&h->root, parent, 0755, NULL), 0);
	assert_int_equal(symlink(target, whole), 0);
}

/* A disk of 1 GiB below devices/, with its link in /sys/block. */
static void disk(struct host *h, const char *name, const char *devno, const char *below)
{
	_cleanup_free_ char *dir = qb_asprintf("/sys/devices/%s/block/%s", below, name);
	_cleanup_free_ char *link = qb_asprintf("/sys/block/%s", name);
	_cleanup_free_ char *target = qb_asprintf("../devices/%s/block/%s", below, name);

	file(h, devno, "%s/dev", dir);
	file(h, "2097152\n", "%s/size", dir);
	file(h, "512\n", "%s/queue/logical_block_size", dir);
	file(h, "0\n", "%s/queue/rotational", dir);
	file(h, "0\n", "%s/ro", dir);
	file(h, "0\n", "%s/removable", dir);
	link_to(h, link, target);
}

static void partition(struct host *h, const char *name, const char *part, const char *devno)
{
	file(h, devno, "/sys/block/%s/%s/dev", name, part);
	file(h, "1\n", "/sys/block/%s/%s/partition", name, part);
	file(h, "2048\n", "/sys/block/%s/%s/start", name, part);
	file(h, "4096\n", "/sys/block/%s/%s/size", name, part);
}

static const struct qb_disk *probe(struct host *h, const char *name)
{
	qb_disks_done(&h->disks);
	qb_disks_probe(&h->root, NULL, 0, &h->disks);
	for (size_t i = 0; i < h->disks.n_disks; i++)
		if (qb_streq(h->disks.disks[i].name, name))
			return &h->disks.disks[i];
	return NULL;
}

static void assert_reason(const struct qb_disk *d, const char *code, const char *evidence)
{
	for (size_t i = 0; i < d->n_reasons; i++)
		if (qb_streq(d->reasons[i].code, code) && strstr(d->reasons[i].evidence, evidence))
			return;
	fail_msg("%s: no %s with %s", d->name, code, evidence);
}

static void identity_of_each_kind(void **state)
{
	struct host *h = *state;
	const struct qb_disk *d;

	disk(h, "sda", "8:0\n", "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0");
	file(h, "naa.5000000000000001\n", "/sys/block/sda/device/wwid");
	file(h, "Example SSD     \n", "/sys/block/sda/device/model");
	/* Page 0x80: four bytes of header, the number filled up with blanks. */
	file(h, "\1\x80\1\x0c  QB0001    ", "/sys/block/sda/device/vpd_pg80");
	disk(h, "nvme0n1", "259:0\n", "pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0");
	file(h, "eui.0000000000000001\n", "/sys/block/nvme0n1/wwid");
	file(h, "QB0002  \n", "/sys/block/nvme0n1/device/serial");
	file(h, "pcie\n", "/sys/block/nvme0n1/device/transport");
	disk(h, "vda", "252:0\n", "pci0000:00/0000:00:04.0/virtio1");
	file(h, "QB0003\n", "/sys/block/vda/serial");
	file(h, "12\n", "/sys/block/vda/diskseq");
	link_to(h, "/dev/disk/by-id/wwn-0x5000000000000001", "../../sda");

	d = probe(h, "sda");
	assert_string_equal(d->wwid, "naa.5000000000000001");
	assert_string_equal(d->serial, "QB0001");
	assert_string_equal(d->model, "Example SSD");
	assert_string_equal(d->transport, "sata");
	assert_true(qb_is_not(&d->rotational));
	assert_int_equal(d->size_bytes, 1ull << 30);
	assert_true(qb_strs_has(&d->links, "/dev/disk/by-id/wwn-0x5000000000000001"));
	d = probe(h, "nvme0n1");
	assert_string_equal(d->wwid, "eui.0000000000000001");
	assert_string_equal(d->serial, "QB0002");
	assert_string_equal(d->transport, "nvme");
	d = probe(h, "vda");
	assert_null(d->wwid);
	assert_string_equal(d->serial, "QB0003");
	assert_string_equal(d->transport, "virtio");
	assert_int_equal(d->diskseq, 12);
}

static void what_a_disk_says_of_itself_is_made_printable(void **state)
{
	struct host *h = *state;

	disk(h, "vda", "252:0\n", "pci0000:00/0000:00:04.0/virtio1");
	file(h, "QB\0330\xff\n", "/sys/block/vda/serial");
	assert_string_equal(probe(h, "vda")->serial, "QB\\x1b0\\xff");
}

static void a_captured_disk_is_never_available(void **state)
{
	struct host *h = *state;
	const struct qb_disk *d;

	disk(h, "vda", "252:0\n", "pci0000:00/0000:00:04.0/virtio1");
	file(h, "QB0001\n", "/sys/block/vda/serial");
	d = probe(h, "vda");
	assert_int_equal(d->readable.state, QB_UNKNOWN);
	assert_int_equal(d->n_reasons, 1);
	assert_reason(d, "probe-error", "captured");
}

static void what_is_no_disk_is_left_out(void **state)
{
	static const char *const names[] = {"dm-0", "md0", "md_d0", "bcache0",  "ram0",
					    "sr0",  "fd0", "loop0", "mtdblock0"};
	struct host *h = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(names); i++)
		disk(h, names[i], "7:0\n", "virtual");
	disk(h, "zram0", "253:0\n", "virtual");
	file(h, "0\n", "/sys/block/zram0/size");
	disk(h, "nbd0", "43:0\n", "virtual");
	file(h, "0\n", "/sys/block/nbd0/size");
	disk(h, "srx", "8:0\n", "pci0000:00/ata1");
	probe(h, "");
	assert_true(qb_is(&h->disks.known));
	assert_int_equal(h->disks.n_disks, 1);
	assert_string_equal(h->disks.disks[0].name, "srx");
	file(h, "/srv/a.img\n", "/sys/block/loop0/loop/backing_file");
	assert_reason(probe(h, "loop0"), "virtual", "/srv/a.img");
	file(h, "8192\n", "/sys/block/zram0/size");
	assert_string_equal(probe(h, "zram0")->backing, "zram");
}

static void no_sysfs_is_unknown(void **state)
{
	struct host *h = *state;

	probe(h, "");
	assert_int_equal(h->disks.known.state, QB_UNKNOWN);
	assert_string_equal(h->disks.known.why, "/sys/block: No such file or directory");
}

static void attributes_become_reasons(void **state)
{
	static const struct {
		const char *name, *below, *path, *text, *code;
	} cases[] = {
		{"sda", "pci0000:00/ata1", "ro", "1\n", "read-only"},
		{"sdb", "pci0000:00/ata1", "removable", "1\n", "removable"},
		{"sdc", "pci0000:00/usb1/1-1/host1", NULL, NULL, "removable"},
		{"sdd", "platform/host2/session1/target2:0:0", NULL, NULL, "remote"},
		{"sde", "pci0000:00/host3/rport-3:0-1/target3:0:0", NULL, NULL, "remote"},
		{"sdf", "pci0000:00/ata1", "queue/zoned", "host-managed\n", "zoned"},
		{"sdg", "pci0000:00/ata1", "queue/logical_block_size", "520\n", "sector-size"},
		{"sdh", "pci0000:00/ata1", "size", "2048\n", "too-small"},
		{"dasda", "css0/0.0.0000", "dev", "94:0\n", "dasd"},
		{"nullb0", "virtual", NULL, NULL, "virtual"},
		{"pmem0", "LNXSYSTM:00/ndbus0", NULL, NULL, "virtual"},
		{"nvme0n1", "pci0000:00/nvme/nvme0", "device/transport", "pcie\n", NULL},
		{"nvme1n1", "virtual/nvme-fabrics/ctl/nvme1", "device/transport", "tcp\n",
		 "remote"},
		{"nvme2n1", "virtual/nvme-subsystem/nvme-subsys2", "device/nvme2/transport",
		 "rdma\n", "remote"},
		{"nvme3c3n1", "pci0000:00/nvme/nvme3", "hidden", "1\n", "nvme-path"},
		{"rbd0", "rbd/0", NULL, NULL, "remote"},
	};
	struct host *h = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		disk(h, cases[i].name, "8:0\n", cases[i].below);
		if (cases[i].path)
			file(h, cases[i].text, "/sys/block/%s/%s", cases[i].name, cases[i].path);
	}
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		const struct qb_disk *d = probe(h, cases[i].name);

		if (!d)
			fail_msg("%s is missing", cases[i].name);
		assert_int_equal(d->one_of_paths, qb_streq(cases[i].path, "hidden"));
		if (cases[i].code && !qb_disk_has_reason(d, cases[i].code))
			fail_msg("%s: no reason %s", cases[i].name, cases[i].code);
		if (!cases[i].code)
			assert_false(qb_disk_has_reason(d, "remote"));
	}
}

static void mounts_swap_and_holders_are_traced_to_the_disk(void **state)
{
	struct host *h = *state;
	const struct qb_disk *d;

	/* sda1: /boot; sda2: PV of the root; sdb: PV of swap; sdc1: data; sdd: a btrfs; sde: free
	 */
	disk(h, "sda", "8:0\n", "pci0000:00/ata1");
	partition(h, "sda", "sda1", "8:1\n");
	partition(h, "sda", "sda2", "8:2\n");
	disk(h, "sdb", "8:16\n", "pci0000:00/ata2");
	disk(h, "sdc", "8:32\n", "pci0000:00/ata3");
	partition(h, "sdc", "sdc1", "8:33\n");
	disk(h, "sdd", "8:48\n", "pci0000:00/ata4");
	disk(h, "sde", "8:64\n", "pci0000:00/ata5");
	disk(h, "dm-0", "253:0\n", "virtual");
	file(h, "rl-root\n", "/sys/block/dm-0/dm/name");
	file(h, "", "/sys/block/dm-0/slaves/sda2");
	file(h, "", "/sys/block/sda/sda2/holders/dm-0");
	disk(h, "dm-1", "253:1\n", "virtual");
	file(h, "rl-swap\n", "/sys/block/dm-1/dm/name");
	file(h, "", "/sys/block/dm-1/slaves/sdb");
	file(h, "", "/sys/block/sdb/holders/dm-1");
	file(h,
	     "22 1 253:0 / / rw,relatime - xfs /dev/mapper/rl-root rw\n"
	     "23 22 8:1 / /boot rw shared:1 - xfs /dev/sda1 rw\n"
	     "24 22 8:33 / /srv/two\\040words rw shared:1 master:2 - xfs /dev/sdc1 rw\n"
	     "25 22 0:40 / /data rw - btrfs /dev/sdd rw\n"
	     "26 22 0:41 / /proc rw - proc proc rw\n"
	     "a line that is none\n",
	     "/proc/self/mountinfo");
	file(h,
	     "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	     "/dev/mapper/rl-swap                     partition\t1024\t\t0\t\t-2\n",
	     "/proc/swaps");

	d = probe(h, "sda");
	assert_reason(d, "system-disk", "/ and /boot");
	assert_reason(d, "mounted", "/dev/sda1 on /boot");
	assert_reason(d, "holder", "dm-0 (rl-root)");
	assert_reason(d, "partitions", "sda1 and sda2");
	assert_string_equal(d->partitions[0].mountpoint, "/boot");
	assert_string_equal(d->partitions[1].devno, "8:2");
	assert_int_equal(d->partitions[1].start_bytes, 1 << 20);
	assert_int_equal(d->partitions[1].size_bytes, 2 << 20);
	d = probe(h, "sdb");
	assert_reason(d, "system-disk", "swap");
	assert_reason(d, "holder", "dm-1 (rl-swap)");
	d = probe(h, "sdc");
	assert_reason(d, "mounted", "/dev/sdc1 on /srv/two words");
	assert_false(qb_disk_has_reason(d, "system-disk"));
	assert_true(qb_strs_has(&d->mountpoints, "/srv/two words"));
	assert_reason(probe(h, "sdd"), "mounted", "/dev/sdd on /data");
	d = probe(h, "sde");
	assert_false(qb_disk_has_reason(d, "mounted"));
	assert_false(qb_disk_has_reason(d, "holder"));
}

static void swap_on_a_partition(void **state)
{
	struct host *h = *state;

	disk(h, "sda", "8:0\n", "pci0000:00/ata1");
	partition(h, "sda", "sda3", "8:3\n");
	file(h, "Filename Type\n/dev/sda3 partition 1 0 -2\n/swapfile file 1 0 -3\n",
	     "/proc/swaps");
	assert_reason(probe(h, "sda"), "swap", "/dev/sda3");
	assert_reason(probe(h, "sda"), "system-disk", "swap");
	assert_true(probe(h, "sda")->swap);
}

static void multipath_is_seen_by_its_map_and_its_list(void **state)
{
	struct host *h = *state;

	disk(h, "sda", "8:0\n", "pci0000:00/ata1");
	disk(h, "dm-0", "253:0\n", "virtual");
	file(h, "mpatha\n", "/sys/block/dm-0/dm/name");
	file(h, "mpath-35000000000000001\n", "/sys/block/dm-0/dm/uuid");
	file(h, "", "/sys/block/sda/holders/dm-0");
	assert_reason(probe(h, "sda"), "multipath-member", "dm-0 (mpatha)");
	disk(h, "sdb", "8:16\n", "pci0000:00/ata2");
	file(h, "naa.5000000000000002\n", "/sys/block/sdb/device/wwid");
	disk(h, "sdc", "8:32\n", "pci0000:00/ata3");
	file(h, "naa.5000000000000003\n", "/sys/block/sdc/device/wwid");
	file(h, "# Multipath wwids\n/35000000000000002/\n", "/etc/multipath/wwids");
	assert_reason(probe(h, "sdb"), "multipath-member", "/etc/multipath/wwids");
	assert_false(qb_disk_has_reason(probe(h, "sdc"), "multipath-member"));
}

/* Something else stands where the answer would: as a read that fails, but for the error. */
static void what_cannot_be_read_is_not_taken_for_nothing(void **state)
{
	static const struct {
		const char *path, *code, *evidence;
	} rows[] = {
		{"/sys/block/sda/holders", "holder", "made of it is unknown: "},
		{"/sys/block/sda/slaves", "holder", "/sys/block/sda/slaves: Not a directory"},
		{"/sys/block/sda/ro/x", "probe-error", "/sys/block/sda/ro: Is a directory"},
		{"/sys/block/sda/removable/x", "probe-error", "sda/removable: Is a directory"},
		{"/sys/block/sda/hidden/x", "probe-error", "/sys/block/sda/hidden: "},
		{"/sys/block/sda/dev/x", "probe-error", "/sys/block/sda/dev: "},
		{"/sys/block/sda/queue/zoned/x", "probe-error", "sda/queue/zoned: "},
		{"/proc/self/mountinfo/x", "mounted", "/proc/self/mountinfo: Is a directory"},
		{"/proc/1/mountinfo/x", "mounted", "/proc/1/mountinfo: "},
		{"/proc/swaps/x", "swap", "/proc/swaps: Is a directory"},
		{"/etc/multipath/wwids/x", "multipath-member", "wwids: Is a directory"},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		static const char *const own[] = {"ro", "removable", "dev"};
		struct host *h;

		teardown(state);
		assert_int_equal(setup(state), 0);
		h = *state;
		disk(h, "sda", "8:0\n", "pci0000:00/ata1");
		for (size_t j = 0; j < QB_ARRAY_SIZE(own); j++) {
			_cleanup_free_ char *path =
				qb_asprintf("%s/sys/block/sda/%s", h->dir, own[j]);

			if (strstr(rows[i].path, own[j]))
				assert_int_equal(unlink(path), 0);
		}
		file(h, "", "%s", rows[i].path);
		assert_reason(probe(h, "sda"), rows[i].code, rows[i].evidence);
	}
}

static void no_link_says_how_it_is_attached(void **state)
{
	struct host *h = *state;

	file(h, "8:0\n", "/sys/block/sda/dev");
	assert_reason(probe(h, "sda"), "probe-error", "how it is attached is unknown");
}

/* Where a list of what is stacked cannot be had at all. */
static void no_list_of_partitions(void **state)
{
	struct host *h = *state;

	disk(h, "sdb", "8:16\n", "pci0000:00/ata2");
	file(h, "not a disk", "/sys/block/sda");
	assert_reason(probe(h, "sda"), "partitions", "unknown: /sys/block/sda: Not a directory");
	assert_false(qb_disk_has_reason(probe(h, "sdb"), "partitions"));
}

static void each_device_of_a_btrfs_is_mounted(void **state)
{
	struct host *h = *state;

	disk(h, "sda", "8:0\n", "pci0000:00/ata1");
	disk(h, "sdb", "8:16\n", "pci0000:00/ata2");
	disk(h, "sdc", "8:32\n", "pci0000:00/ata3");
	partition(h, "sdb", "sdb1", "8:17\n");
	file(h, "", "/sys/fs/btrfs/features/x");
	file(h, "", "/sys/fs/btrfs/0f5e/devices/sda/x");
	file(h, "", "/sys/fs/btrfs/0f5e/devices/sdb1/x");
	file(h, "25 22 0:40 / /data rw - btrfs /dev/sda rw\n", "/proc/self/mountinfo");
	assert_reason(probe(h, "sda"), "mounted", "/dev/sda on /data");
	assert_reason(probe(h, "sdb"), "mounted", "/dev/sdb1 is a device of the btrfs 0f5e");
	assert_false(qb_disk_has_reason(probe(h, "sdc"), "mounted"));
}

static void stacks_that_run_in_a_circle_end(void **state)
{
	_cleanup_blocks_ struct qb_blocks blocks = {0};
	_cleanup_strs_ struct qb_strs names = {0};
	struct host *h = *state;

	disk(h, "dm-0", "253:0\n", "virtual");
	disk(h, "dm-1", "253:1\n", "virtual");
	file(h, "", "/sys/block/dm-0/slaves/dm-1");
	file(h, "", "/sys/block/dm-1/slaves/dm-0");
	qb_blocks_read(&h->root, &blocks);
	qb_blocks_disks_under(&blocks, "dm-0", &names);
	assert_int_equal(names.n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(identity_of_each_kind),
		T(what_a_disk_says_of_itself_is_made_printable),
		T(a_captured_disk_is_never_available),
		T(what_is_no_disk_is_left_out),
		T(no_sysfs_is_unknown),
		T(attributes_become_reasons),
		T(mounts_swap_and_holders_are_traced_to_the_disk),
		T(swap_on_a_partition),
		T(multipath_is_seen_by_its_map_and_its_list),
		T(what_cannot_be_read_is_not_taken_for_nothing),
		T(no_link_says_how_it_is_attached),
		T(no_list_of_partitions),
		T(each_device_of_a_btrfs_is_mounted),
		T(stacks_that_run_in_a_circle_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
