/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as sysfs describes it: Documentation/ABI/stable/sysfs-block of the kernel. */
#include "storage/probe_parts.h"

#include <ctype.h>
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

static void read_nvme_transports(const struct qb_root *root, const char *name, struct qb_strs *ret)
{
	_cleanup_free_ char *dir = qb_asprintf("/sys/block/%s/device", name);
	_cleanup_free_ char *own = value(root, name, "device/transport");
	_cleanup_strs_ struct qb_strs subs = {0};

	if (!qb_startswith(name, "nvme"))
		return;
	if (own)
		qb_strs_add(ret, own);
	/* A head belongs to the subsystem, and the controllers stand below that. */
	if (qb_root_list(root, dir, &subs) < 0)
		return;
	for (size_t i = 0; i < subs.n; i++) {
		_cleanup_free_ char *transport = NULL;

		if (!qb_startswith(subs.v[i], "nvme"))
			continue;
		transport = value(root, name, "device/%s/transport", subs.v[i]);
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

	qb_blocks_partitions(root, name, &subs);
	for (size_t i = 0; i < subs.n; i++) {
		_cleanup_free_ char *no = value(root, name, "%s/partition", subs.v[i]);
		_cleanup_free_ char *start = value(root, name, "%s/start", subs.v[i]);
		_cleanup_free_ char *size = value(root, name, "%s/size", subs.v[i]);
		struct qb_partition *p;

		if (!no)
			continue;
		qb_strs_add(&raw->kernel_partitions, subs.v[i]);
		p = QB_APPEND(disk->partitions, disk->n_partitions);
		p->name = qb_strdup(subs.v[i]);
		p->path = qb_asprintf("/dev/%s", subs.v[i]);
		p->devno = value(root, name, "%s/dev", subs.v[i]);
		if (qb_parse_u64(no, &p->number) < 0)
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
	const char *at;

	if (qb_root_readlink(root, path, &link) < 0)
		return;
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

static void read_links(const struct qb_root *root, const char *name, struct qb_disk *disk)
{
	static const char *const dirs[] = {"/dev/disk/by-id", "/dev/disk/by-path",
					   "/dev/disk/by-diskseq"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(dirs); i++) {
		_cleanup_strs_ struct qb_strs names = {0};

		if (qb_root_list(root, dirs[i], &names) < 0)
			continue;
		for (size_t j = 0; j < names.n; j++) {
			_cleanup_free_ char *path = qb_asprintf("%s/%s", dirs[i], names.v[j]);
			_cleanup_free_ char *target = NULL;
			const char *base;

			if (qb_root_readlink(root, path, &target) < 0)
				continue;
			base = strrchr(target, '/');
			if (qb_streq(base ? base + 1 : target, name))
				qb_strs_add(&disk->links, path);
		}
	}
}

bool qb_sysfs_probe(const struct qb_root *root, const char *name, struct qb_disk *disk,
		    struct qb_disk_raw *raw)
{
	_cleanup_free_ char *rotational = NULL, *removable = NULL, *zoned = NULL, *hidden = NULL;

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
	disk->devno = value(root, name, "dev");
	if (disk->devno && sscanf(disk->devno, "%u:%u", &raw->major, &raw->minor) != 2)
		raw->major = raw->minor = 0;
	disk->logical_sector_bytes = number(root, name, "queue/logical_block_size");
	disk->physical_sector_bytes = number(root, name, "queue/physical_block_size");
	disk->diskseq = number(root, name, "diskseq");
	disk->read_only = number(root, name, "ro");
	removable = value(root, name, "removable");
	disk->removable = removable && !qb_streq(removable, "0");
	hidden = value(root, name, "hidden");
	raw->hidden = hidden && !qb_streq(hidden, "0");
	rotational = value(root, name, "queue/rotational");
	if (rotational)
		qb_tri_set(&disk->rotational, !qb_streq(rotational, "0"));
	else
		qb_tri_unknown(&disk->rotational, "no queue/rotational in sysfs");
	zoned = value(root, name, "queue/zoned");
	if (zoned && !qb_streq(zoned, "none"))
		disk->zoned = QB_TAKE_PTR(zoned);
	read_devpath(root, name, raw);
	read_nvme_transports(root, name, &raw->nvme_transports);
	disk->transport = transport_of(name, raw);
	read_partitions(root, name, disk, raw);
	read_links(root, name, disk);
	return true;
}
