/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that speaks against carving a disk. A rule fires on its own, whatever others do. */
#include "storage/disk_raw.h"
#include "storage/pool.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	DASD_MAJOR = 94,
};

static bool is_table(const struct qb_signature *s)
{
	return qb_streq(s->usage, "partition-table");
}

static bool has_signature(const struct qb_disk *disk, const char *type)
{
	for (size_t i = 0; i < disk->n_signatures; i++)
		if (qb_streq(disk->signatures[i].type, type))
			return true;
	return false;
}

static void judge_use(struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	for (size_t i = 0; i < raw->mounts.n; i++)
		qb_disk_reason(disk, "mounted", "%s", raw->mounts.v[i]);
	for (size_t i = 0; i < raw->swaps.n; i++)
		qb_disk_reason(disk, "swap", "%s is swap space in use", raw->swaps.v[i]);
	for (size_t i = 0; i < disk->holders.n; i++)
		qb_disk_reason(disk, "holder", "%s is made of it", disk->holders.v[i]);
	if (qb_is_not(&raw->exclusive) && !raw->mounts.n && !raw->swaps.n && !disk->holders.n)
		qb_disk_reason(disk, "holder",
			       "the kernel says it is in use (EBUSY), and no mount, swap space or "
			       "holder shows by what");
	else if (raw->exclusive.why)
		qb_disk_reason(disk, "holder", "whether it is in use is unknown: %s",
			       raw->exclusive.why);
	for (size_t i = 0; i < raw->openers.n; i++)
		qb_disk_reason(disk, "open", "%s has it open", raw->openers.v[i]);
	if (raw->system_uses.n) {
		_cleanup_free_ char *uses = qb_strs_sentence(&raw->system_uses);

		qb_disk_reason(disk, "system-disk", "the running system needs it for %s", uses);
	}
}

static void judge_unknown(struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	for (size_t i = 0; i < raw->n_unknown; i++)
		qb_disk_reason(disk, raw->unknown[i].code, "%s", raw->unknown[i].evidence);
}

static void judge_tables(struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	struct qb_strs names = {0};
	_cleanup_free_ char *list = NULL;

	for (size_t i = 0; i < disk->n_partitions; i++)
		qb_strs_add(&names, disk->partitions[i].name);
	for (size_t i = 0; i < raw->kernel_partitions.n; i++)
		if (!qb_strs_has(&names, raw->kernel_partitions.v[i]))
			qb_strs_add(&names, raw->kernel_partitions.v[i]);
	list = qb_strs_sentence(&names);
	if (names.n)
		qb_disk_reason(disk, "partitions", "it has %s", list);
	qb_strs_done(&names);
	for (size_t i = 0; i < disk->n_signatures; i++)
		if (is_table(&disk->signatures[i]))
			qb_disk_reason(disk, "partition-table",
				       "a partition table (%s) at byte %" PRIu64,
				       disk->signatures[i].type, disk->signatures[i].offset);
	if (raw->contents.table_fault)
		qb_disk_reason(disk, "partition-table", "%s", raw->contents.table_fault);
	if (disk->mark.state >= QB_MARK_COMMITTING && !disk->mark.ours)
		qb_disk_reason(disk, "partition-table",
			       "it carries the mark of a pool %s, of another machine or made for "
			       "another disk; to keep what is on it mount it, and have a pool of "
			       "type dir there",
			       disk->mark.pool);
}

static void judge_contents(struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	bool known = raw->contents.table_fault || disk->n_partitions;

	for (size_t i = 0; i < disk->n_signatures; i++) {
		known = true;
		if (!is_table(&disk->signatures[i]))
			qb_disk_reason(disk, "signature", "%s (%s) at byte %" PRIu64,
				       disk->signatures[i].type, disk->signatures[i].usage,
				       disk->signatures[i].offset);
	}
	if (raw->contents.ambiguous)
		qb_disk_reason(disk, "ambiguous", "more than one format claims it");
	if (!qb_is(&disk->readable))
		qb_disk_reason(disk, "probe-error", "its contents are unknown: %s",
			       qb_disk_unread_why(disk));
	if (raw->contents.nonzero && !known)
		qb_disk_reason(disk, "unknown-content",
			       "byte %" PRIu64 " is not zero, and no known format says why",
			       raw->contents.nonzero_at);
	if (qb_is_not(&raw->pv_listed))
		qb_disk_reason(disk, "foreign-pv",
			       "it holds an LVM physical volume that LVM here does not list");
	else if (has_signature(disk, "LVM2_member") && !qb_is(&raw->pv_listed))
		qb_disk_reason(disk, "foreign-pv",
			       "it holds an LVM physical volume, and whose it is is unknown: %s",
			       raw->pv_listed.why ? raw->pv_listed.why : "nobody asked LVM");
}

static bool path_has(const struct qb_disk_raw *raw, const char *part)
{
	return raw->devpath && strstr(raw->devpath, part);
}

static void judge_attachment(struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	static const char *const remote_names[] = {"nbd", "rbd", "drbd"};

	for (size_t i = 0; i < raw->mpath_holders.n; i++)
		qb_disk_reason(disk, "multipath-member", "%s is a multipath map over it",
			       raw->mpath_holders.v[i]);
	if (raw->udev_multipath)
		qb_disk_reason(disk, "multipath-member", "udev says DM_MULTIPATH_DEVICE_PATH");
	if (qb_streq(raw->udev_fs_type, "mpath_member"))
		qb_disk_reason(disk, "multipath-member", "udev says ID_FS_TYPE=mpath_member");
	if (raw->in_wwids)
		qb_disk_reason(disk, "multipath-member", "/etc/multipath/wwids names it");
	if (raw->hidden)
		qb_disk_reason(disk, "nvme-path", "it is one path of an NVMe namespace");
	if (path_has(raw, "/session"))
		qb_disk_reason(disk, "remote", "it is reached through iSCSI (%s)", raw->devpath);
	if (path_has(raw, "/rport-"))
		qb_disk_reason(disk, "remote", "it is reached through Fibre Channel (%s)",
			       raw->devpath);
	for (size_t i = 0; i < raw->nvme_transports.n; i++)
		if (!qb_streq(raw->nvme_transports.v[i], "pcie"))
			qb_disk_reason(disk, "remote", "it is reached through NVMe over %s",
				       raw->nvme_transports.v[i]);
	for (size_t i = 0; i < QB_ARRAY_SIZE(remote_names); i++)
		if (qb_startswith(disk->name, remote_names[i]))
			qb_disk_reason(disk, "remote", "%s is a device of the network", disk->name);
}

static void judge_kind(struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	if (disk->read_only)
		qb_disk_reason(disk, "read-only", "the kernel says ro = 1");
	if (disk->removable)
		qb_disk_reason(disk, "removable", "the kernel says removable = 1");
	if (path_has(raw, "/usb"))
		qb_disk_reason(disk, "removable", "it is on USB (%s)", raw->devpath);
	else if (qb_streq(raw->udev_bus, "usb"))
		qb_disk_reason(disk, "removable", "udev says ID_BUS=usb");
	if (disk->zoned)
		qb_disk_reason(disk, "zoned", "its zones are %s", disk->zoned);
	if (raw->major == DASD_MAJOR)
		qb_disk_reason(disk, "dasd", "it is a DASD, which is formatted in tracks");
	if (disk->backing)
		qb_disk_reason(disk, "virtual", "%s is not hardware: %s", disk->name,
			       disk->backing);
	else if (qb_startswith(disk->name, "pmem"))
		qb_disk_reason(disk, "virtual", "%s is persistent memory", disk->name);
	else if (path_has(raw, "/devices/virtual/") && !path_has(raw, "/nvme-subsystem/"))
		qb_disk_reason(disk, "virtual", "%s is not hardware (%s)", disk->name,
			       raw->devpath);
	if (disk->size_bytes < (uint64_t)QB_DISK_MIN_MIB << 20) {
		_cleanup_free_ char *size = qb_format_size(disk->size_bytes);

		qb_disk_reason(disk, "too-small", "%s, and a pool takes %d MiB", size,
			       QB_DISK_MIN_MIB);
	}
	if (disk->logical_sector_bytes != 512 && disk->logical_sector_bytes != 4096)
		qb_disk_reason(disk, "sector-size", "sectors of %" PRIu64 " bytes",
			       disk->logical_sector_bytes);
}

static void judge_udev(struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	bool table = false;

	if (!raw->udev_runs)
		return;
	if (!qb_is(&raw->udev_initialized)) {
		qb_disk_reason(disk, "udev-stale", "udev has not seen it yet%s%s",
			       raw->udev_initialized.why ? ": " : "",
			       raw->udev_initialized.why ? raw->udev_initialized.why : "");
		return;
	}
	/* What cannot be read cannot disagree. */
	if (!qb_is(&disk->readable))
		return;
	for (size_t i = 0; i < disk->n_signatures; i++)
		table |= is_table(&disk->signatures[i]);
	/* Of a path udev says so whatever is on it. */
	if (raw->udev_fs_type && !qb_streq(raw->udev_fs_type, "mpath_member") &&
	    !has_signature(disk, raw->udev_fs_type))
		qb_disk_reason(disk, "udev-stale", "udev says ID_FS_TYPE=%s, a fresh look does not",
			       raw->udev_fs_type);
	if (raw->udev_ambivalent && !raw->contents.ambiguous)
		qb_disk_reason(disk, "udev-stale",
			       "udev says ID_FS_AMBIVALENT, a fresh look does not");
	if (raw->udev_table_type && !table)
		qb_disk_reason(disk, "udev-stale",
			       "udev says ID_PART_TABLE_TYPE=%s, a fresh look does not",
			       raw->udev_table_type);
}

/* Two disks of one identity: what that says against the first. */
static void judge_alike(const struct qb_disks *disks, const struct qb_disk_raw *raw, size_t at,
			size_t other_at)
{
	struct qb_disk *disk = &disks->disks[at];
	const struct qb_disk *other = &disks->disks[other_at];

	/* The paths below an NVMe head have its WWID. */
	if (at == other_at || raw[at].hidden || raw[other_at].hidden)
		return;
	if (disk->wwid && other->wwid)
		qb_disk_reason(disk, "multipath-member", "%s has the same WWID %s", other->name,
			       disk->wwid);
	else if (!disk->wwid)
		qb_disk_reason(disk, "no-identity", "%s has the same %s %s", other->name,
			       disk->serial ? "serial number" : "backing", qb_disk_identity(disk));
}

static int by_identity(const void *a, const void *b, void *data)
{
	const size_t *x = a, *y = b;
	const struct qb_disk *disks = data;
	const char *one = qb_disk_identity(&disks[*x]), *two = qb_disk_identity(&disks[*y]);
	int order = one && two ? strcmp(one, two) : !!one - !!two;

	return order ? order : (*x > *y) - (*x < *y);
}

static void judge_identities(struct qb_disks *disks, const struct qb_disk_raw *raw)
{
	size_t n = disks->n_disks, *sorted = qb_alloc(n, sizeof(*sorted));

	for (size_t i = 0; i < n; i++)
		sorted[i] = i;
	qsort_r(sorted, n, sizeof(*sorted), by_identity, disks->disks);
	for (size_t begin = 0, end; begin < n; begin = end) {
		const char *identity = qb_disk_identity(&disks->disks[sorted[begin]]);

		for (end = begin + 1; end < n && identity; end++)
			if (!qb_streq(identity, qb_disk_identity(&disks->disks[sorted[end]])))
				break;
		for (size_t i = begin; i < end; i++)
			for (size_t j = begin; j < end; j++)
				judge_alike(disks, raw, sorted[i], sorted[j]);
		if (!identity)
			qb_disk_reason(&disks->disks[sorted[begin]], "no-identity",
				       "it has neither a WWID nor a serial number");
	}
	free(sorted);
}

void qb_disks_judge(struct qb_disks *disks, const struct qb_disk_raw *raw)
{
	for (size_t i = 0; i < disks->n_disks; i++) {
		struct qb_disk *disk = &disks->disks[i];

		judge_use(disk, &raw[i]);
		judge_unknown(disk, &raw[i]);
		judge_tables(disk, &raw[i]);
		judge_contents(disk, &raw[i]);
		judge_attachment(disk, &raw[i]);
		judge_kind(disk, &raw[i]);
		judge_udev(disk, &raw[i]);
	}
	judge_identities(disks, raw);
	for (size_t i = 0; i < disks->n_disks; i++)
		disks->disks[i].available = !disks->disks[i].n_reasons;
}
