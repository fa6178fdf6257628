/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/disk.h"

#include "storage/disk_raw.h"
#include "storage/pool.h"

static void partition_done(struct qb_partition *p)
{
	free(p->name);
	free(p->path);
	free(p->devno);
	free(p->label);
	free(p->uuid);
	free(p->fs_type);
	free(p->fs_uuid);
	free(p->mountpoint);
}

void qb_disk_done(struct qb_disk *disk)
{
	char *const strings[] = {
		disk->name,           disk->path,         disk->devno,      disk->wwid,
		disk->serial,         disk->model,        disk->by_path,    disk->transport,
		disk->zoned,          disk->backing,      disk->mark.pool,  disk->mark.uuid,
		disk->rotational.why, disk->readable.why, disk->sensor.why, disk->error};

	for (size_t i = 0; i < QB_ARRAY_SIZE(strings); i++)
		free(strings[i]);
	qb_strs_done(&disk->links);
	qb_strs_done(&disk->holders);
	qb_strs_done(&disk->mountpoints);
	for (size_t i = 0; i < disk->n_signatures; i++) {
		free(disk->signatures[i].type);
		free(disk->signatures[i].usage);
		free(disk->signatures[i].uuid);
	}
	free(disk->signatures);
	for (size_t i = 0; i < disk->n_partitions; i++)
		partition_done(&disk->partitions[i]);
	free(disk->partitions);
	for (size_t i = 0; i < disk->n_reasons; i++) {
		free(disk->reasons[i].code);
		free(disk->reasons[i].evidence);
	}
	free(disk->reasons);
	*disk = (struct qb_disk){0};
}

void qb_mapping_done(struct qb_mapping *m)
{
	char *const strings[] = {m->name,  m->path,          m->devno,       m->dm_name,
				 m->error, m->suspended.why, m->readable.why};

	for (size_t i = 0; i < QB_ARRAY_SIZE(strings); i++)
		free(strings[i]);
	qb_strs_done(&m->disks);
	*m = (struct qb_mapping){0};
}

void qb_disks_done(struct qb_disks *disks)
{
	for (size_t i = 0; i < disks->n_disks; i++)
		qb_disk_done(&disks->disks[i]);
	for (size_t i = 0; i < disks->n_mappings; i++)
		qb_mapping_done(&disks->mappings[i]);
	for (size_t i = 0; i < disks->n_groups; i++) {
		free(disks->groups[i].name);
		qb_strs_done(&disks->groups[i].physical_volumes);
		qb_strs_done(&disks->groups[i].tags);
		qb_strs_done(&disks->groups[i].damaged);
		for (size_t k = 0; k < disks->groups[i].n_tagged; k++) {
			free(disks->groups[i].tagged[k].name);
			qb_strs_done(&disks->groups[i].tagged[k].tags);
		}
		free(disks->groups[i].tagged);
		for (size_t k = 0; k < disks->groups[i].n_sizes; k++)
			free(disks->groups[i].sizes[k].path);
		free(disks->groups[i].sizes);
	}
	free(disks->disks);
	free(disks->mappings);
	free(disks->groups);
	free(disks->known.why);
	free(disks->lvm.why);
	*disks = (struct qb_disks){0};
}

void qb_disk_raw_done(struct qb_disk_raw *raw)
{
	char *const strings[] = {raw->devpath,
				 raw->exclusive.why,
				 raw->udev_initialized.why,
				 raw->udev_fs_type,
				 raw->udev_table_type,
				 raw->udev_bus,
				 raw->udev_serial,
				 raw->pv_listed.why,
				 raw->contents.error,
				 raw->contents.table_fault};
	struct qb_strs *const lists[] = {
		&raw->nvme_transports, &raw->kernel_partitions, &raw->mounts, &raw->swaps,
		&raw->system_uses,     &raw->mpath_holders,     &raw->openers};

	for (size_t i = 0; i < QB_ARRAY_SIZE(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < QB_ARRAY_SIZE(lists); i++)
		qb_strs_done(lists[i]);
	for (size_t i = 0; i < raw->n_unknown; i++) {
		free(raw->unknown[i].code);
		free(raw->unknown[i].evidence);
	}
	free(raw->unknown);
	*raw = (struct qb_disk_raw){0};
}

void qb_disk_raw_unknown(struct qb_disk_raw *raw, const char *code, const char *fmt, ...)
{
	struct qb_reason *unknown = QB_APPEND(raw->unknown, raw->n_unknown);
	va_list ap;

	va_start(ap, fmt);
	unknown->code = qb_strdup(code);
	unknown->evidence = qb_vasprintf(fmt, ap);
	va_end(ap);
}

void qb_disk_reason(struct qb_disk *disk, const char *code, const char *fmt, ...)
{
	struct qb_reason *reason = QB_APPEND(disk->reasons, disk->n_reasons);
	_cleanup_free_ char *raw = NULL;
	va_list ap;

	va_start(ap, fmt);
	raw = qb_vasprintf(fmt, ap);
	va_end(ap);
	reason->code = qb_strdup(code);
	/* Labels, models and process names come from outside. */
	reason->evidence = qb_str_printable(raw);
	disk->available = false;
}

const char *qb_disk_unread_why(const struct qb_disk *disk)
{
	const char *why = qb_is_not(&disk->readable) ? disk->error : disk->readable.why;

	return why ? why : "nobody looked";
}

bool qb_disk_is_unread(const struct qb_disks *disks, const struct qb_disk *disk)
{
	bool fails = qb_is_not(&disk->readable);

	if (qb_is(&disk->readable) || !disk->size_bytes || (fails && disk->one_of_paths))
		return false;
	/* Two paths, and no multipath that would say so. */
	for (size_t i = 0; fails && disk->wwid && i < disks->n_disks; i++)
		if (qb_streq(disks->disks[i].wwid, disk->wwid) && qb_is(&disks->disks[i].readable))
			return false;
	return true;
}

bool qb_disk_has_reason(const struct qb_disk *disk, const char *code)
{
	for (size_t i = 0; i < disk->n_reasons; i++)
		if (qb_streq(disk->reasons[i].code, code))
			return true;
	return false;
}

const char *qb_disk_identity(const struct qb_disk *disk)
{
	if (disk->wwid || disk->serial)
		return disk->wwid ? disk->wwid : disk->serial;
	/* A zram device is another one after each boot, and takes no partitions either. */
	return qb_streq(disk->backing, "zram") ? NULL : disk->backing;
}

void qb_disks_claim(struct qb_disks *disks, const char *device, const char *domain)
{
	for (size_t i = 0; device && i < disks->n_disks; i++) {
		struct qb_disk *disk = &disks->disks[i];
		bool hit = qb_streq(disk->path, device) || qb_strs_has(&disk->links, device);

		for (size_t j = 0; !hit && j < disk->links.n; j++) {
			/* by-id names of partitions are those of the disk with -partN. */
			size_t len = strlen(disk->links.v[j]);

			hit = !strncmp(disk->links.v[j], device, len) &&
			      qb_startswith(device + len, "-part");
		}
		for (size_t j = 0; !hit && j < disk->n_partitions; j++)
			hit = qb_streq(disk->partitions[j].path, device);
		if (hit)
			qb_disk_reason(disk, "open", "the guest %s uses %s", domain, device);
	}
}
