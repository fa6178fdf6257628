/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as sysfs describes it: Documentation/ABI/stable/sysfs-block of the kernel. */
#include "storage/probe_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

enum {
	SECTOR = 512, /* the unit of sysfs, whatever the disk's own is */
	VPD_MAX = 4096,
	VPD_HEADER = 4,
};

/* Not disks of their own, or nothing that a host keeps data on. */
static bool left_out(const char *name)
{
	static const char *const prefixes[] = {"dm-", "md", "bcache", "ram", "sr", "fd", "mtd"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(prefixes); i++)
		if (qb_startswith(name, prefixes[i]) &&
		    (prefixes[i][strlen(prefixes[i]) - 1] == '-' ||
		     isdigit((unsigned char)name[strlen(prefixes[i])]) ||
		     qb_startswith(name, "mtd") || qb_startswith(name, "md_")))
			return true;
	return false;
}

/* NULL when it is not there or empty. */
QB_PRINTF(3, 4)
static char *value(const struct qb_root *root, const char *disk, const char *fmt, ...)
{
	_cleanup_free_ char *file = NULL, *path = NULL, *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	file = qb_vasprintf(fmt, ap);
	va_end(ap);
	path = qb_asprintf("/sys/block/%s/%s", disk, file);
	if (qb_root_read_value(root, path, &text) < 0 || !text[0])
		return NULL;
	/* A disk may say what it likes of itself; JSON takes UTF-8 only. */
	return qb_str_printable(text);
}

static uint64_t number(const struct qb_root *root, const char *disk, const char *file)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/%s", disk, file);
	uint64_t n;

	return qb_root_read_u64(root, path, &n) < 0 ? 0 : n;
}

/* SCSI's unit serial number page (SPC-4, 7.8.15), for disks that have no file for it. */
static char *scsi_serial(const struct qb_root *root, const char *name)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/device/vpd_pg80", name);
	_cleanup_free_ char *page = NULL, *serial = NULL;
	size_t len;
	char *s;

	if (qb_root_read(root, path, VPD_MAX, &page, &len) < 0 || len <= VPD_HEADER)
		return NULL;
	serial = qb_strndup(page + VPD_HEADER, len - VPD_HEADER);
	s = qb_strip(serial);
	return s[0] ? qb_str_printable(s) : NULL;
}

/*
 * What a verdict hangs on: NULL would speak for the disk, so a failure is noted. Not there is an
 * answer of kernels that do not have it yet, unless it is there always.
 */
static char *decisive(const struct qb_root *root, const char *name, const char *file, bool always,
		      struct qb_disk_raw *raw)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/%s", name, file), *text = NULL;
	int r = qb_root_read_value(root, path, &text);

	if (r < 0 && (always || r != -ENOENT))
		qb_disk_raw_unknown(raw, "probe-error", "what it is is unknown: %s: %s", path,
				    strerror(-r));
	return r < 0 ? NULL : qb_str_printable(text);
}

static bool is_set(const struct qb_root *root, const char *name, const char *file, bool always,
		   struct qb_disk_raw *raw)
{
	_cleanup_free_ char *text = decisive(root, name, file, always, raw);

	return text && !qb_streq(text, "0");
}

static void read_nvme_transports(const struct qb_root *root, const char *name,
				 struct qb_disk_raw *raw)
{
	_cleanup_free_ char *dir = qb_asprintf("/sys/block/%s/device", name), *own = NULL;
	_cleanup_strs_ struct qb_strs subs = {0};
	struct qb_strs *ret = &raw->nvme_transports;
	int r;

	if (!qb_startswith(name, "nvme"))
		return;
	own = decisive(root, name, "device/transport", false, raw);
	if (own)
		qb_strs_add(ret, own);
	/* A head belongs to the subsystem, and the controllers stand below that. */
	r = qb_root_list(root, dir, &subs);
	if (r < 0 && r != -ENOENT)
		qb_disk_raw_unknown(raw, "probe-error", "how it is attached is unknown: %s: %s",
				    dir, strerror(-r));
	for (size_t i = 0; i < subs.n; i++) {
		_cleanup_free_ char *file = NULL, *transport = NULL;

		if (!qb_startswith(subs.v[i], "nvme"))
			continue;
		file = qb_asprintf("device/%s/transport", subs.v[i]);
		transport = decisive(root, name, file, false, raw);
		if (transport && !qb_strs_has(ret, transport))
			qb_strs_add(ret, transport);
	}
}

static char *transport_of(const char *name, const struct qb_disk_raw *raw)
{
	static const struct {
		const char *part, *transport;
	} ways[] = {{"/usb", "usb"},       {"/session", "iscsi"},   {"/rport-", "fc"},
		    {"/virtio", "virtio"}, {"/end_device-", "sas"}, {"/ata", "sata"},
		    {"/mmc", "mmc"},       {"/vbd-", "xen"},        {"/host", "scsi"}};
	static const char *const names[] = {"loop", "zram", "nbd", "rbd", "nvme", "pmem"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(names); i++)
		if (qb_startswith(name, names[i]))
			return qb_strdup(names[i]);
	for (size_t i = 0; raw->devpath && i < QB_ARRAY_SIZE(ways); i++)
		if (strstr(raw->devpath, ways[i].part))
			return qb_strdup(ways[i].transport);
	return NULL;
}

static void read_partitions(const struct qb_root *root, const char *name, struct qb_disk *disk,
			    struct qb_disk_raw *raw)
{
	_cleanup_strs_ struct qb_strs subs = {0};
	int r = qb_blocks_partitions(root, name, &subs);

	if (r < 0)
		qb_disk_raw_unknown(raw, "partitions",
				    "whether it has partitions is unknown: "
				    "/sys/block/%s: %s",
				    name, strerror(-r));
	for (size_t i = 0; i < subs.n; i++) {
		_cleanup_free_ char *no = value(root, name, "%s/partition", subs.v[i]);
		_cleanup_free_ char *start = value(root, name, "%s/start", subs.v[i]);
		_cleanup_free_ char *size = value(root, name, "%s/size", subs.v[i]);
		struct qb_partition *p;

		qb_strs_add(&raw->kernel_partitions, subs.v[i]);
		p = QB_APPEND(disk->partitions, disk->n_partitions);
		p->name = qb_strdup(subs.v[i]);
		p->path = qb_asprintf("/dev/%s", subs.v[i]);
		p->devno = value(root, name, "%s/dev", subs.v[i]);
		if (!no || qb_parse_u64(no, &p->number) < 0)
			p->number = 0;
		if (start && qb_parse_u64(start, &p->start_bytes) == 0)
			p->start_bytes *= SECTOR;
		if (size && qb_parse_u64(size, &p->size_bytes) == 0)
			p->size_bytes *= SECTOR;
	}
}

static void read_devpath(const struct qb_root *root, const char *name, struct qb_disk_raw *raw)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/block/%s", name), *link = NULL;
	int r = qb_root_readlink(root, path, &link);
	const char *at;

	if (r < 0) {
		qb_disk_raw_unknown(raw, "probe-error", "how it is attached is unknown: %s: %s",
				    path, strerror(-r));
		return;
	}
	at = strstr(link, "/devices/");
	raw->devpath = qb_strdup(at ? at : qb_startswith(link, "devices/") ? link : NULL);
}

static void read_identity(const struct qb_root *root, const char *name, struct qb_disk *disk)
{
	disk->wwid = value(root, name, "wwid");
	if (!disk->wwid)
		disk->wwid = value(root, name, "device/wwid");
	disk->serial = value(root, name, "serial");
	if (!disk->serial)
		disk->serial = value(root, name, "device/serial");
	if (!disk->serial)
		disk->serial = scsi_serial(root, name);
	disk->model = value(root, name, "device/model");
	if (qb_startswith(name, "loop"))
		disk->backing = value(root, name, "loop/backing_file");
	else if (qb_startswith(name, "zram") && disk->size_bytes)
		disk->backing = qb_strdup("zram");
}

bool qb_sysfs_probe(const struct qb_root *root, const char *name, struct qb_disk *disk,
		    struct qb_disk_raw *raw)
{
	_cleanup_free_ char *rotational = NULL, *zoned = NULL;

	if (left_out(name))
		return false;
	disk->size_bytes = number(root, name, "size") * SECTOR;
	read_identity(root, name, disk);
	/* The kernel makes these ahead of their use; without a backing they are nothing. */
	if ((qb_startswith(name, "loop") || qb_startswith(name, "zram")) && !disk->backing)
		return false;
	if (qb_startswith(name, "nbd") && !disk->size_bytes)
		return false;
	disk->name = qb_strdup(name);
	disk->path = qb_asprintf("/dev/%s", name);
	/* A '/' in a device's name reads '!' in sysfs: cciss!c0d0. */
	for (char *s = disk->path; (s = strchr(s, '!'));)
		*s = '/';
	disk->devno = decisive(root, name, "dev", true, raw);
	if (disk->devno && sscanf(disk->devno, "%u:%u", &raw->major, &raw->minor) != 2)
		raw->major = raw->minor = 0;
	disk->logical_sector_bytes = number(root, name, "queue/logical_block_size");
	disk->physical_sector_bytes = number(root, name, "queue/physical_block_size");
	disk->diskseq = number(root, name, "diskseq");
	disk->read_only = is_set(root, name, "ro", true, raw);
	disk->removable = is_set(root, name, "removable", true, raw);
	raw->hidden = is_set(root, name, "hidden", false, raw);
	rotational = value(root, name, "queue/rotational");
	if (rotational)
		qb_tri_set(&disk->rotational, !qb_streq(rotational, "0"));
	else
		qb_tri_unknown(&disk->rotational, "no queue/rotational in sysfs");
	zoned = decisive(root, name, "queue/zoned", false, raw);
	if (zoned && !qb_streq(zoned, "none"))
		disk->zoned = QB_TAKE_PTR(zoned);
	read_devpath(root, name, raw);
	read_nvme_transports(root, name, raw);
	disk->transport = transport_of(name, raw);
	read_partitions(root, name, disk, raw);
	return true;
}

static void note_link(const struct qb_root *root, char *path, struct qb_disks *disks)
{
	_cleanup_free_ char *target = NULL;
	const char *base;
	struct qb_disk *disk;

	if (qb_root_readlink(root, path, &target) < 0)
		return;
	base = strrchr(target, '/');
	disk = qb_disks_by_name(disks, base ? base + 1 : target);
	if (disk)
		qb_strs_add(&disk->links, path);
}

void qb_links_probe(const struct qb_root *root, struct qb_disks *disks)
{
	static const char *const dirs[] = {"/dev/disk/by-id", "/dev/disk/by-path",
					   "/dev/disk/by-diskseq"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(dirs); i++) {
		_cleanup_strs_ struct qb_strs names = {0};

		if (qb_root_list(root, dirs[i], &names) < 0)
			continue;
		for (size_t j = 0; j < names.n; j++) {
			_cleanup_free_ char *path = qb_asprintf("%s/%s", dirs[i], names.v[j]);

			note_link(root, path, disks);
		}
	}
}
