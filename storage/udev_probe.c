/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/probe_parts.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "storage/udev_lib.h"

enum {
	QUEUE_TIMEOUT_MS = 1000, /* for it to run empty, */
	QUEUE_ROUNDS = 3,        /* and to stay so */
};

/* None where there is none: nothing was loaded then either. */
static void udev_unrefp(struct udev **u)
{
	if (*u)
		sym_udev_unref(*u);
}

static void udev_device_unrefp(struct udev_device **d)
{
	if (*d)
		sym_udev_device_unref(*d);
}

bool qb_udev_runs(void)
{
	return access("/run/udev/control", F_OK) == 0;
}

void qb_udev_wait(void)
{
	QB_CLEANUP(udev_unrefp)
	struct udev *udev = qb_udev_runs() && qb_udev_load(NULL) == 0 ? sym_udev_new() : NULL;
	struct udev_queue *queue = udev ? sym_udev_queue_new(udev) : NULL;
	struct pollfd p = {.fd = -1, .events = POLLIN};

	/* To take a watch off again costs the kernel tens of milliseconds. */
	if (queue && !sym_udev_queue_get_queue_is_empty(queue))
		p.fd = sym_udev_queue_get_fd(queue);
	/* Watched before it is asked again, or the last event could end in between. */
	for (int i = 0; i < QUEUE_ROUNDS && p.fd >= 0 && !sym_udev_queue_get_queue_is_empty(queue);
	     i++) {
		if (poll(&p, 1, QUEUE_TIMEOUT_MS) <= 0)
			break;
		sym_udev_queue_flush(queue);
	}
	if (queue)
		sym_udev_queue_unref(queue);
}

static void keep(struct udev_device *device, const char *key, char **ret)
{
	const char *value = sym_udev_device_get_property_value(device, key);

	if (!*ret && value)
		*ret = qb_str_printable(value);
}

static bool is_one(struct udev_device *device, const char *key)
{
	return qb_streq(sym_udev_device_get_property_value(device, key), "1");
}

void qb_udev_probe(struct qb_disk *disk, struct qb_disk_raw *raw)
{
	QB_CLEANUP(udev_unrefp) struct udev *udev = NULL;
	QB_CLEANUP(udev_device_unrefp) struct udev_device *device = NULL;
	struct qb_error err = QB_ERROR_INIT;

	raw->udev_runs = qb_udev_runs();
	if (!raw->udev_runs)
		return;
	if (qb_udev_load(&err) < 0) {
		qb_tri_unknown(&raw->udev_initialized, "%s", err.msg);
		return;
	}
	udev = sym_udev_new();
	if (udev)
		device =
			sym_udev_device_new_from_devnum(udev, 'b', makedev(raw->major, raw->minor));
	if (!device) {
		qb_tri_unknown(&raw->udev_initialized, "%s", strerror(errno));
		return;
	}
	qb_tri_set(&raw->udev_initialized, sym_udev_device_get_is_initialized(device) > 0);
	keep(device, "ID_WWN_WITH_EXTENSION", &disk->wwid);
	keep(device, "ID_WWN", &disk->wwid);
	keep(device, "ID_SERIAL_SHORT", &disk->serial);
	keep(device, "ID_MODEL", &disk->model);
	keep(device, "ID_PATH", &disk->by_path);
	keep(device, "ID_BUS", &raw->udev_bus);
	keep(device, "ID_SERIAL", &raw->udev_serial);
	keep(device, "ID_FS_TYPE", &raw->udev_fs_type);
	keep(device, "ID_PART_TABLE_TYPE", &raw->udev_table_type);
	raw->udev_ambivalent = sym_udev_device_get_property_value(device, "ID_FS_AMBIVALENT");
	raw->udev_multipath = is_one(device, "DM_MULTIPATH_DEVICE_PATH");
}
