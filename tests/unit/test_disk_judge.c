/* SPDX-License-Identifier: Apache-2.0 */
/* Every reason fires alone: a rule that only ever fires beside another one is not proven. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "storage/disk_raw.h"

/* A disk against which nothing speaks. */
static void blank(struct qb_disk *d, struct qb_disk_raw *r)
{
	*d = (struct qb_disk){
		.name = qb_strdup("sda"),
		.path = qb_strdup("/dev/sda"),
		.devno = qb_strdup("8:0"),
		.wwid = qb_strdup("naa.5000000000000001"),
		.serial = qb_strdup("QB0001"),
		.transport = qb_strdup("sata"),
		.size_bytes = 1ull << 40,
		.logical_sector_bytes = 512,
		.physical_sector_bytes = 4096,
		.diskseq = 7,
	};
	qb_tri_set(&d->readable, true);
	*r = (struct qb_disk_raw){
		.devpath = qb_strdup("/devices/pci0000:00/0000:00:17.0/ata1/host0/block/sda"),
		.major = 8,
		.udev_runs = true,
	};
	qb_tri_set(&r->udev_initialized, true);
	qb_tri_set(&r->exclusive, true);
}

static void add_signature(struct qb_disk *d, const char *type, const char *usage)
{
	struct qb_signature *s = QB_APPEND(d->signatures, d->n_signatures);

	s->type = qb_strdup(type);
	s->usage = qb_strdup(usage);
	s->offset = 1080;
}

/* One thing that is wrong with it. */
enum wrong {
	NOTHING,
	MOUNTED,
	SWAP,
	HOLDER,
	BUSY,
	OPEN,
	OPEN_UNKNOWN,
	BUSY_UNKNOWN,
	SYSTEM,
	PARTITION,
	KERNEL_PARTITION,
	TABLE,
	TABLE_FAULT,
	FOREIGN_MARK,
	SIGNATURE,
	AMBIGUOUS,
	UNREADABLE,
	DAMAGED,
	NOT_LOOKED,
	NONZERO,
	MPATH_HOLDER,
	MPATH_UDEV,
	MPATH_UDEV_FS,
	MPATH_WWIDS,
	NVME_PATH,
	ISCSI,
	FC,
	NVME_TCP,
	NBD,
	READ_ONLY,
	REMOVABLE,
	USB_PATH,
	USB_UDEV,
	ZONED,
	DASD,
	LOOP,
	PMEM,
	VIRTUAL_PATH,
	SMALL,
	EMPTY,
	SECTOR,
	UDEV_NEW,
	UDEV_UNKNOWN,
	UDEV_FS,
	UDEV_TABLE,
	UDEV_AMBIVALENT,
	NO_IDENTITY,
	FOREIGN_PV,
};

static void devpath(struct qb_disk_raw *r, const char *path)
{
	qb_strset(&r->devpath, path);
}

static void spoil_use(enum wrong wrong, struct qb_disk *d, struct qb_disk_raw *r)
{
	if (wrong == MOUNTED)
		qb_strs_add(&r->mounts, "/dev/sda1 on /srv");
	if (wrong == SWAP)
		qb_strs_add(&r->swaps, "/dev/sda2");
	if (wrong == HOLDER)
		qb_strs_add(&d->holders, "dm-0 (vg0-root)");
	if (wrong == BUSY)
		qb_tri_set(&r->exclusive, false);
	if (wrong == OPEN)
		qb_strs_add(&r->openers, "qemu-kvm (pid 4711)");
	if (wrong == OPEN_UNKNOWN)
		qb_disk_raw_unknown(r, "open", "/proc: Permission denied");
	if (wrong == BUSY_UNKNOWN)
		qb_tri_unknown(&r->exclusive, "/dev/sda: No medium found");
	if (wrong == SYSTEM)
		qb_strs_add(&r->system_uses, "/boot");
	if (wrong == MPATH_HOLDER)
		qb_strs_add(&r->mpath_holders, "dm-1 (mpatha)");
	if (wrong == MPATH_UDEV)
		r->udev_multipath = true;
	if (wrong == MPATH_UDEV_FS)
		r->udev_fs_type = qb_strdup("mpath_member");
	if (wrong == MPATH_WWIDS)
		r->in_wwids = true;
}

static void spoil_contents(enum wrong wrong, struct qb_disk *d, struct qb_disk_raw *r)
{
	if (wrong == PARTITION)
		QB_APPEND(d->partitions, d->n_partitions)->name = qb_strdup("sda1");
	if (wrong == KERNEL_PARTITION)
		qb_strs_add(&r->kernel_partitions, "sda1");
	if (wrong == TABLE)
		add_signature(d, "dos", "partition-table");
	if (wrong == TABLE_FAULT)
		r->contents.table_fault = qb_strdup("a GPT of which only the backup is left");
	if (wrong == FOREIGN_MARK) {
		d->mark.state = QB_MARK_READY;
		d->mark.pool = qb_strdup("images");
	}
	if (wrong == SIGNATURE)
		add_signature(d, "ext4", "filesystem");
	if (wrong == AMBIGUOUS)
		r->contents.ambiguous = true;
	if (wrong == UNREADABLE)
		qb_tri_unknown(&d->readable, "Input/output error");
	if (wrong == DAMAGED) {
		qb_tri_set(&d->readable, false);
		d->error = qb_strdup("reading its end: Input/output error");
	}
	if (wrong == NOT_LOOKED)
		d->readable.state = QB_UNKNOWN;
	if (wrong == NONZERO) {
		r->contents.nonzero = true;
		r->contents.nonzero_at = 4095;
	}
	if (wrong == FOREIGN_PV)
		qb_tri_set(&r->pv_listed, false);
}

static void spoil_kind(enum wrong wrong, struct qb_disk *d, struct qb_disk_raw *r)
{
	if (wrong == NVME_PATH)
		r->hidden = true;
	if (wrong == ISCSI)
		devpath(r, "/devices/platform/host2/session1/target2:0:0/2:0:0:1/block/sda");
	if (wrong == FC)
		devpath(r, "/devices/pci0000:00/0000:00:03.0/host1/rport-1:0-2/block/sda");
	if (wrong == NVME_TCP)
		qb_strs_add(&r->nvme_transports, "tcp");
	if (wrong == NBD)
		qb_strset(&d->name, "nbd0");
	if (wrong == READ_ONLY)
		d->read_only = true;
	if (wrong == REMOVABLE)
		d->removable = true;
	if (wrong == USB_PATH)
		devpath(r, "/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/block/sda");
	if (wrong == USB_UDEV)
		r->udev_bus = qb_strdup("usb");
	if (wrong == ZONED)
		d->zoned = qb_strdup("host-managed");
	if (wrong == DASD)
		r->major = 94;
	if (wrong == LOOP)
		d->backing = qb_strdup("/srv/a.img");
	if (wrong == PMEM)
		qb_strset(&d->name, "pmem0");
	if (wrong == VIRTUAL_PATH)
		devpath(r, "/devices/virtual/block/nullb0");
	if (wrong == SMALL)
		d->size_bytes = 511ull << 20;
	if (wrong == EMPTY)
		d->size_bytes = 0;
	if (wrong == SECTOR)
		d->logical_sector_bytes = 520;
	if (wrong == NO_IDENTITY) {
		qb_strset(&d->wwid, NULL);
		qb_strset(&d->serial, NULL);
	}
}

static void spoil_udev(enum wrong wrong, struct qb_disk_raw *r)
{
	if (wrong == UDEV_NEW)
		qb_tri_set(&r->udev_initialized, false);
	if (wrong == UDEV_UNKNOWN)
		qb_tri_unknown(&r->udev_initialized, "No such device");
	if (wrong == UDEV_FS)
		r->udev_fs_type = qb_strdup("ext4");
	if (wrong == UDEV_TABLE)
		r->udev_table_type = qb_strdup("gpt");
	if (wrong == UDEV_AMBIVALENT)
		r->udev_ambivalent = true;
}

static void each_reason_fires_alone(void **state)
{
	static const struct {
		enum wrong wrong;
		const char *code, *evidence; /* evidence: a part of it */
	} cases[] = {
		{MOUNTED, "mounted", "/dev/sda1 on /srv"},
		{SWAP, "swap", "/dev/sda2"},
		{HOLDER, "holder", "dm-0 (vg0-root)"},
		{BUSY, "holder", "EBUSY"},
		{OPEN, "open", "qemu-kvm (pid 4711)"},
		{OPEN_UNKNOWN, "open", "/proc: Permission denied"},
		{BUSY_UNKNOWN, "holder", "in use is unknown: /dev/sda: No medium found"},
		{SYSTEM, "system-disk", "/boot"},
		{PARTITION, "partitions", "sda1"},
		{KERNEL_PARTITION, "partitions", "sda1"},
		{TABLE, "partition-table", "dos"},
		{TABLE_FAULT, "partition-table", "only the backup"},
		{FOREIGN_MARK, "partition-table", "images, of another machine"},
		{SIGNATURE, "signature", "ext4 (filesystem) at byte 1080"},
		{AMBIGUOUS, "ambiguous", "more than one"},
		{UNREADABLE, "probe-error", "Input/output error"},
		{DAMAGED, "probe-error", "reading its end: Input/output error"},
		{NOT_LOOKED, "probe-error", "nobody looked"},
		{NONZERO, "unknown-content", "byte 4095"},
		{MPATH_HOLDER, "multipath-member", "dm-1 (mpatha)"},
		{MPATH_UDEV, "multipath-member", "DM_MULTIPATH_DEVICE_PATH"},
		{MPATH_UDEV_FS, "multipath-member", "ID_FS_TYPE=mpath_member"},
		{MPATH_WWIDS, "multipath-member", "/etc/multipath/wwids"},
		{NVME_PATH, "nvme-path", "one path"},
		{ISCSI, "remote", "iSCSI"},
		{FC, "remote", "Fibre Channel"},
		{NVME_TCP, "remote", "NVMe over tcp"},
		{NBD, "remote", "nbd0"},
		{READ_ONLY, "read-only", "ro = 1"},
		{REMOVABLE, "removable", "removable = 1"},
		{USB_PATH, "removable", "USB"},
		{USB_UDEV, "removable", "ID_BUS=usb"},
		{ZONED, "zoned", "host-managed"},
		{DASD, "dasd", "DASD"},
		{LOOP, "virtual", "/srv/a.img"},
		{PMEM, "virtual", "persistent memory"},
		{VIRTUAL_PATH, "virtual", "nullb0"},
		{SMALL, "too-small", "511 MiB"},
		{EMPTY, "too-small", "0 B"},
		{SECTOR, "sector-size", "520"},
		{UDEV_NEW, "udev-stale", "not seen it yet"},
		{UDEV_UNKNOWN, "udev-stale", "No such device"},
		{UDEV_FS, "udev-stale", "ID_FS_TYPE=ext4"},
		{UDEV_TABLE, "udev-stale", "ID_PART_TABLE_TYPE=gpt"},
		{UDEV_AMBIVALENT, "udev-stale", "ID_FS_AMBIVALENT"},
		{NO_IDENTITY, "no-identity", "neither a WWID nor a serial"},
		{FOREIGN_PV, "foreign-pv", "does not list"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_disks disks = {.disks = qb_alloc(1, sizeof(struct qb_disk)),
					 .n_disks = 1};
		struct qb_disk *d = &disks.disks[0];
		struct qb_disk_raw raw;

		blank(d, &raw);
		spoil_use(cases[i].wrong, d, &raw);
		spoil_contents(cases[i].wrong, d, &raw);
		spoil_kind(cases[i].wrong, d, &raw);
		spoil_udev(cases[i].wrong, &raw);
		qb_disks_judge(&disks, &raw);
		if (d->n_reasons != 1)
			fail_msg("case %zu (%s): %zu reasons, the first is %s", i, cases[i].code,
				 d->n_reasons, d->n_reasons ? d->reasons[0].code : "none");
		assert_string_equal(d->reasons[0].code, cases[i].code);
		if (!strstr(d->reasons[0].evidence, cases[i].evidence))
			fail_msg("%s: evidence is \"%s\"", cases[i].code, d->reasons[0].evidence);
		assert_false(d->available);
		qb_disks_done(&disks);
		qb_disk_raw_done(&raw);
	}
}

static void nothing_wrong_is_available(void **state)
{
	struct qb_disks disks = {.disks = qb_alloc(1, sizeof(struct qb_disk)), .n_disks = 1};
	struct qb_disk_raw raw;

	(void)state;
	blank(&disks.disks[0], &raw);
	/* An NVMe head stands below virtual/, and its own transport is no way out of the host. */
	qb_strset(&raw.devpath, "/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
	qb_strs_add(&raw.nvme_transports, "pcie");
	qb_disks_judge(&disks, &raw);
	assert_int_equal(disks.disks[0].n_reasons, 0);
	assert_true(disks.disks[0].available);
	qb_disks_done(&disks);
	qb_disk_raw_done(&raw);
}

static void all_reasons_at_once(void **state)
{
	static const char *const codes[] = {
		"mounted",     "swap",        "holder",          "open",
		"system-disk", "partitions",  "partition-table", "signature",
		"ambiguous",   "probe-error", "remote",          "read-only"};
	static const enum wrong wrongs[] = {MOUNTED,   SWAP,       HOLDER, OPEN,
					    SYSTEM,    PARTITION,  TABLE,  SIGNATURE,
					    AMBIGUOUS, UNREADABLE, ISCSI,  READ_ONLY};
	struct qb_disks disks = {.disks = qb_alloc(1, sizeof(struct qb_disk)), .n_disks = 1};
	struct qb_disk *d = &disks.disks[0];
	struct qb_disk_raw raw;

	(void)state;
	blank(d, &raw);
	for (size_t i = 0; i < QB_ARRAY_SIZE(wrongs); i++) {
		spoil_use(wrongs[i], d, &raw);
		spoil_contents(wrongs[i], d, &raw);
		spoil_kind(wrongs[i], d, &raw);
	}
	qb_disks_judge(&disks, &raw);
	for (size_t i = 0; i < QB_ARRAY_SIZE(codes); i++)
		if (!qb_disk_has_reason(d, codes[i]))
			fail_msg("%s is missing", codes[i]);
	qb_disks_done(&disks);
	qb_disk_raw_done(&raw);
}

/* Two disks, told apart by nothing or by one thing. */
static void judge_two(const char *wwid, const char *other_wwid, bool other_hidden, const char *code)
{
	struct qb_disks disks = {.disks = qb_alloc(2, sizeof(struct qb_disk)), .n_disks = 2};
	struct qb_disk_raw raw[2];

	for (int i = 0; i < 2; i++) {
		blank(&disks.disks[i], &raw[i]);
		qb_strset(&disks.disks[i].wwid, i ? other_wwid : wwid);
	}
	raw[1].hidden = other_hidden;
	qb_disks_judge(&disks, raw);
	assert_int_equal(disks.disks[0].n_reasons, code ? 1 : 0);
	if (code) {
		assert_string_equal(disks.disks[0].reasons[0].code, code);
		assert_string_equal(disks.disks[1].reasons[0].code, code);
	}
	for (int i = 0; i < 2; i++)
		qb_disk_raw_done(&raw[i]);
	qb_disks_done(&disks);
}

static void one_identity_twice(void **state)
{
	(void)state;
	judge_two("naa.1", "naa.2", false, NULL); /* the same serial, but WWIDs tell them apart */
	judge_two("naa.1", "naa.1", false, "multipath-member");
	judge_two(NULL, NULL, false, "no-identity");
	judge_two("naa.1", "naa.1", true, NULL); /* the second one is a path of the first */
}

/* A file stands for its loop device; nothing stands for zram. */
static void what_stands_for_a_virtual_disk(void **state)
{
	static const struct {
		const char *backing;
		size_t n;
	} cases[] = {{"/srv/a.img", 1}, {"zram", 2}};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct qb_disks disks = {.disks = qb_alloc(1, sizeof(struct qb_disk)),
					 .n_disks = 1};
		struct qb_disk *d = &disks.disks[0];
		struct qb_disk_raw raw;

		blank(d, &raw);
		qb_strset(&d->wwid, NULL);
		qb_strset(&d->serial, NULL);
		d->backing = qb_strdup(cases[i].backing);
		qb_disks_judge(&disks, &raw);
		assert_int_equal(d->n_reasons, cases[i].n);
		assert_true(qb_disk_has_reason(d, "virtual"));
		assert_int_equal(qb_disk_has_reason(d, "no-identity"), cases[i].n == 2);
		qb_disks_done(&disks);
		qb_disk_raw_done(&raw);
	}
}

static void lvm_that_cannot_be_asked_leaves_a_pv_foreign(void **state)
{
	struct qb_disks disks = {.disks = qb_alloc(1, sizeof(struct qb_disk)), .n_disks = 1};
	struct qb_disk *d = &disks.disks[0];
	struct qb_disk_raw raw;

	(void)state;
	blank(d, &raw);
	add_signature(d, "LVM2_member", "raid");
	qb_tri_unknown(&raw.pv_listed, "no lvm here");
	qb_disks_judge(&disks, &raw);
	assert_int_equal(d->n_reasons, 2);
	assert_true(qb_disk_has_reason(d, "signature"));
	assert_true(qb_disk_has_reason(d, "foreign-pv"));
	qb_disks_done(&disks);
	qb_disk_raw_done(&raw);
}

static void evidence_is_printable(void **state)
{
	struct qb_disks disks = {.disks = qb_alloc(1, sizeof(struct qb_disk)), .n_disks = 1};
	struct qb_disk *d = &disks.disks[0];
	struct qb_disk_raw raw;

	(void)state;
	blank(d, &raw);
	qb_strs_add(&raw.openers, "\033[31mevil");
	qb_disks_judge(&disks, &raw);
	assert_string_equal(d->reasons[0].evidence, "\\x1b[31mevil has it open");
	qb_disks_done(&disks);
	qb_disk_raw_done(&raw);
}

static void a_guests_disk_is_claimed(void **state)
{
	struct qb_disks disks = {.disks = qb_alloc(2, sizeof(struct qb_disk)), .n_disks = 2};
	struct qb_disk_raw raw[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		blank(&disks.disks[i], &raw[i]);
	qb_strset(&disks.disks[1].wwid, "naa.2");
	qb_strset(&disks.disks[1].path, "/dev/sdb");
	qb_strs_add(&disks.disks[0].links, "/dev/disk/by-id/wwn-0x5000000000000001");
	qb_disks_judge(&disks, raw);
	qb_disks_claim(&disks, "/dev/disk/by-id/wwn-0x5000000000000001-part2", "guest1");
	assert_false(disks.disks[0].available);
	assert_string_equal(disks.disks[0].reasons[0].code, "open");
	assert_true(disks.disks[1].available);
	qb_disks_claim(&disks, "/dev/sdb", "guest1");
	assert_false(disks.disks[1].available);
	for (int i = 0; i < 2; i++)
		qb_disk_raw_done(&raw[i]);
	qb_disks_done(&disks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason_fires_alone),
		cmocka_unit_test(nothing_wrong_is_available),
		cmocka_unit_test(all_reasons_at_once),
		cmocka_unit_test(one_identity_twice),
		cmocka_unit_test(what_stands_for_a_virtual_disk),
		cmocka_unit_test(lvm_that_cannot_be_asked_leaves_a_pv_foreign),
		cmocka_unit_test(evidence_is_printable),
		cmocka_unit_test(a_guests_disk_is_claimed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
