/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The temperature of a disk: drivers/nvme/host/hwmon.c and Documentation/hwmon/drivetemp.rst of the
 * kernel. The disk itself is asked for it: a process that reads it may hang with the disk.
 */
#include "storage/probe_parts.h"

#include <errno.h>
#include <stdlib.h>

/* The first directory of a hwmon device in dir: hwmon3. NULL for none. Caller frees. */
static char *hwmon_in(const struct qb_root *root, const char *dir)
{
	_cleanup_strs_ struct qb_strs names = {0};

	if (qb_root_list(root, dir, &names) < 0)
		return NULL;
	for (size_t i = 0; i < names.n; i++)
		if (qb_startswith(names.v[i], "hwmon") && names.v[i][strlen("hwmon")])
			return qb_asprintf("%s/%s", dir, names.v[i]);
	return NULL;
}

/* Of a disk with several controllers, below their subsystem, the first that tells. */
static char *hwmon_of_controllers(const struct qb_root *root, const char *dir)
{
	_cleanup_strs_ struct qb_strs names = {0};
	char *found = NULL;

	if (qb_root_list(root, dir, &names) < 0)
		return NULL;
	for (size_t i = 0; !found && i < names.n; i++) {
		_cleanup_free_ char *sub = qb_asprintf("%s/%s", dir, names.v[i]);

		if (qb_startswith(names.v[i], "nvme"))
			found = hwmon_in(root, sub);
	}
	return found;
}

/*
 * drivetemp's stands below the SCSI device, NVMe's in the controller: beside its files, or, before
 * Linux 5.12, below its PCI device.
 */
static char *find(const struct qb_root *root, const char *disk)
{
	static const char *const places[] = {"device/hwmon", "device", "device/device/hwmon"};
	char *found = NULL;

	for (size_t i = 0; !found && i < QB_ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *dir = qb_asprintf("/sys/block/%s/%s", disk, places[i]);

		found = hwmon_in(root, dir);
		if (!found && qb_startswith(disk, "nvme"))
			found = hwmon_of_controllers(root, dir);
	}
	return found;
}

/* Thousandths of a degree, as hwmon writes them. */
static int read_number(const struct qb_root *root, const char *dir, const char *file, int64_t *ret)
{
	_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, file), *text = NULL;
	int r = qb_root_read_value(root, path, &text);
	char *end;

	if (r < 0)
		return r;
	*ret = strtoll(text, &end, 10);
	return end == text || *end ? -EINVAL : 0;
}

void qb_sensor_probe(const struct qb_root *root, struct qb_disk *disk)
{
	_cleanup_free_ char *dir = find(root, disk->name);
	int64_t now = 0, limit = 0, alarm = 0;
	int r = dir ? read_number(root, dir, "temp1_input", &now) : -ENODATA;

	/* ENODATA is drivetemp's word for a disk that names no temperature now. */
	if (r == -ENODATA || r == -ENOENT) {
		qb_tri_set(&disk->sensor, false);
		return;
	}
	if (r < 0) {
		qb_tri_unknown(&disk->sensor, "%s/temp1_input: %s", dir, strerror(-r));
		return;
	}
	if (read_number(root, dir, "temp1_crit", &limit) < 0)
		limit = 0;
	if (read_number(root, dir, "temp1_alarm", &alarm) < 0)
		alarm = 0;
	qb_tri_set(&disk->sensor, true);
	disk->celsius = now / 1000;
	disk->celsius_limit = limit / 1000;
	disk->too_hot = alarm;
}
