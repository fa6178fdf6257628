/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/probe_parts.h"

#include <errno.h>
#include <libudev.h>
#include <poll.h>
#include <string.h>
#include <sys/sysmacros.h>

enum {
	QUEUE_TIMEOUT_MS = 1000, /* for it to run empty, */
	QUEUE_ROUNDS = 3,        /* and to stay so */
};

static void udev_unrefp(struct udev **u)
{
	udev_unref(*u);
}

static void udev_device_unrefp(struct udev_device **d)
{
	udev_device_unref(*d);
}

bool qb_udev_runs(void)
{
	return access("/run/udev/control", F_OK) == 0;
}

void qb_udev_wait(void)
{
	QB_CLEANUP(udev_unrefp) struct udev *udev = qb_udev_runs() ? udev_new() : NULL;
	struct udev_queue *queue = udev ? udev_queue_new(udev) : NULL;
	struct pollfd p = {.fd = queue ? udev_queue_get_fd(queue) : -1, .events = POLLIN};

	/* Watched before it is asked, or the last event could end in between. */
	for (int i = 0; i < QUEUE_ROUNDS && p.fd >= 0 && !udev_queue_get_queue_is_empty(queue);
	     i++) {
		if (poll(&p, 1, QUEUE_TIMEOUT_MS) <= 0)
			break;
		udev_queue_flush(queue);
	}
	udev_queue_unref(queue);
}

static void keep(struct udev_device *device, const char *key, char **ret)
{
	const char *value = udev_device_get_property_value(device, key);

	if (!*ret && value)
		*ret = qb_str_printable(value);
}

static bool is_one(struct udev_device *device, const char *key)
{
	return qb_streq(udev_device_get_property_value(device, key), "1");
}

void qb_udev_probe(struct qb_disk *disk, struct qb_disk_raw *raw)
{
	QB_CLEANUP(udev_unrefp) struct udev *udev = udev_new();
	QB_CLEANUP(udev_device_unrefp) struct udev_device *device = NULL;

	raw->udev_runs = qb_udev_runs();
	if (!raw->udev_runs)
		return;
	if (udev)
		device = udev_device_new_from_devnum(udev, 'b', makedev(raw->major, raw->minor));
	if (!device) {
		qb_tri_unknown(&raw->udev_initialized, "%s", strerror(errno));
		return;
	}
	qb_tri_set(&raw->udev_initialized, udev_device_get_is_initialized(device) > 0);
	keep(device, "ID_WWN_WITH_EXTENSION", &disk->wwid);
	keep(device, "ID_WWN", &disk->wwid);
	keep(device, "ID_SERIAL_SHORT", &disk->serial);
	keep(device, "ID_MODEL", &disk->model);
	keep(device, "ID_PATH", &disk->by_path);
	keep(device, "ID_BUS", &raw->udev_bus);
	keep(device, "ID_SERIAL", &raw->udev_serial);
	keep(device, "ID_FS_TYPE", &raw->udev_fs_type);
	keep(device, "ID_PART_TABLE_TYPE", &raw->udev_table_type);
	raw->udev_ambivalent = udev_device_get_property_value(device, "ID_FS_AMBIVALENT");
	raw->udev_multipath = is_one(device, "DM_MULTIPATH_DEVICE_PATH");
}
