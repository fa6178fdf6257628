/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/probe.h"

#include "storage/pool.h"
#include "storage/probe_parts.h"

enum {
	WWIDS_MAX = 1 << 20,
};

/* The names multipath may have for a disk: uid_attribute in multipath.conf(5). */
static bool wwids_name(const char *text, const char *id)
{
	_cleanup_free_ char *line = id ? qb_asprintf("/%s/", id) : NULL;

	return line && strstr(text, line);
}

static bool in_wwids(const char *text, const struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	_cleanup_free_ char *scsi = NULL;
	const char *wwid = disk->wwid;

	/* scsi_id puts the designator type in front where sysfs writes its name. */
	if (wwid && qb_startswith(wwid, "naa."))
		scsi = qb_asprintf("3%s", wwid + 4);
	else if (wwid && qb_startswith(wwid, "eui."))
		scsi = qb_asprintf("2%s", wwid + 4);
	return wwids_name(text, wwid) || wwids_name(text, scsi) ||
	       wwids_name(text, raw->udev_serial);
}

static void read_wwids(const struct qb_root *root, const struct qb_disks *disks,
		       struct qb_disk_raw *raw)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (qb_root_read(root, "/etc/multipath/wwids", WWIDS_MAX, &text, &len) < 0)
		return;
	for (size_t i = 0; i < disks->n_disks; i++)
		raw[i].in_wwids = in_wwids(text, &disks->disks[i], &raw[i]);
}

/* Everything that needs the device itself, of one disk: what may hang hangs in here. */
static void probe_device(const char *machine_id, struct qb_disk *disk, struct qb_disk_raw *raw)
{
	if (raw->hidden) {
		qb_tri_unknown(&disk->readable, "a hidden path has no device node");
		return;
	}
	qb_device_probe(machine_id, disk, raw);
}

static void probe(const struct qb_root *root, const char *machine_id, const char *identity,
		  struct qb_disks *ret)
{
	_cleanup_blocks_ struct qb_blocks blocks = {0};
	_cleanup_strs_ struct qb_strs names = {0};
	struct qb_disk_raw *raw;
	int r = qb_root_list(root, "/sys/block", &names);

	*ret = (struct qb_disks){0};
	if (r < 0) {
		qb_tri_unknown(&ret->known, "/sys/block: %s", strerror(-r));
		return;
	}
	qb_tri_set(&ret->known, true);
	if (root->live)
		qb_udev_wait();
	qb_blocks_read(root, &blocks);
	raw = qb_alloc(names.n, sizeof(*raw));
	for (size_t i = 0; i < names.n; i++) {
		struct qb_disk disk = {0};

		if (!qb_sysfs_probe(root, names.v[i], &disk, &raw[ret->n_disks])) {
			qb_disk_done(&disk);
			qb_disk_raw_done(&raw[ret->n_disks]);
			continue;
		}
		if (root->live)
			qb_udev_probe(&disk, &raw[ret->n_disks]);
		*QB_APPEND(ret->disks, ret->n_disks) = disk;
	}
	qb_usage_probe(root, &blocks, ret, raw);
	read_wwids(root, ret, raw);
	for (size_t i = 0; i < ret->n_disks; i++) {
		struct qb_disk *disk = &ret->disks[i];

		if (!root->live)
			qb_tri_unknown(&disk->readable, "the contents of a captured host's disks "
							"are not there to read");
		else if (!identity || qb_streq(identity, qb_disk_identity(disk)))
			probe_device(machine_id, disk, &raw[i]);
	}
	if (root->live)
		qb_lvm_probe(ret, raw);
	qb_disks_judge(ret, raw);
	for (size_t i = 0; i < ret->n_disks; i++)
		qb_disk_raw_done(&raw[i]);
	free(raw);
}

void qb_disks_probe(const struct qb_root *root, const char *machine_id, struct qb_disks *ret)
{
	probe(root, machine_id, NULL, ret);
}

void qb_disks_probe_one(const struct qb_root *root, const char *machine_id, const char *identity,
			struct qb_disks *ret)
{
	probe(root, machine_id, identity, ret);
}
