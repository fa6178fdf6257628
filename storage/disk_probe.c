/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/probe.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "storage/pool.h"
#include "storage/probe_parts.h"

#define WWIDS "/etc/multipath/wwids"

enum {
	WWIDS_MAX = 1 << 20,
};

/* The names multipath may have for a disk: uid_attribute in multipath.conf(5). */
static bool wwids_name(const struct qb_strs *lines, const char *id)
{
	_cleanup_free_ char *line = id ? qb_asprintf("/%s/", id) : NULL;

	return line && qb_strs_has_sorted(lines, line);
}

static bool in_wwids(const struct qb_strs *lines, const struct qb_disk *disk,
		     const struct qb_disk_raw *raw)
{
	_cleanup_free_ char *scsi = NULL;
	const char *wwid = disk->wwid;

	/* scsi_id puts the designator type in front where sysfs writes its name. */
	if (wwid && qb_startswith(wwid, "naa."))
		scsi = qb_asprintf("3%s", wwid + 4);
	else if (wwid && qb_startswith(wwid, "eui."))
		scsi = qb_asprintf("2%s", wwid + 4);
	return wwids_name(lines, wwid) || wwids_name(lines, scsi) ||
	       wwids_name(lines, raw->udev_serial);
}

static void read_wwids(const struct qb_root *root, const struct qb_disks *disks,
		       struct qb_disk_raw *raw)
{
	_cleanup_strs_ struct qb_strs lines = {0};
	_cleanup_free_ char *text = NULL;
	int r = qb_root_read(root, WWIDS, WWIDS_MAX, &text, NULL);
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		qb_strs_add(&lines, qb_strip(line));
	qb_strs_sort(&lines);
	for (size_t i = 0; i < disks->n_disks; i++) {
		raw[i].in_wwids = in_wwids(&lines, &disks->disks[i], &raw[i]);
		if (r < 0 && r != -ENOENT)
			qb_disk_raw_unknown(&raw[i], "multipath-member",
					    "whether multipath knows it is unknown: %s: %s", WWIDS,
					    strerror(-r));
	}
}

enum {
	TIMEOUT_MS = 5000,
};

/* Who is asked what, and may hang. */
enum {
	READING,
	MAPPINGS,
	GROUPS,
	CHILDREN,
};

struct qb_disks_inquiry {
	bool live;
	const struct qb_strs *some; /* identities of the disks that are read; NULL: all */
	struct qb_disks disks;
	struct qb_disk_raw *raw;
	bool reasons;
	struct qb_device_reading reading;
	struct qb_child children[CHILDREN];
	unsigned timeout_ms;
	uint64_t deadline_ms;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct qb_disk *)a)->name, ((const struct qb_disk *)b)->name);
}

struct qb_disk *qb_disks_by_name(const struct qb_disks *disks, const char *name)
{
	const struct qb_disk like = {.name = (char *)name};

	return disks->n_disks ? bsearch(&like, disks->disks, disks->n_disks, sizeof(like), by_name)
			      : NULL;
}

static void list_disks(const struct qb_root *root, const struct qb_strs *names,
		       struct qb_disks_inquiry *q)
{
	for (size_t i = 0; i < names->n; i++) {
		struct qb_disk disk = {0};
		struct qb_disk_raw *raw = &q->raw[q->disks.n_disks];

		if (!qb_sysfs_probe(root, names->v[i], &disk, raw)) {
			qb_disk_done(&disk);
			qb_disk_raw_done(raw);
			continue;
		}
		if (root->live)
			qb_udev_probe(&disk, raw);
		*QB_APPEND(q->disks.disks, q->disks.n_disks) = disk;
	}
	qb_links_probe(root, &q->disks);
}

static bool is_asked(const struct qb_strs *some, const struct qb_disk *disk)
{
	const char *identity = qb_disk_identity(disk);

	return identity && qb_strs_has(some, identity);
}

static void begin_reading(const struct qb_root *root, const char *machine_id,
			  struct qb_disks_inquiry *q)
{
	q->reading =
		(struct qb_device_reading){.root = root,
					   .machine_id = machine_id,
					   .disks = &q->disks,
					   .raw = q->raw,
					   .which = qb_alloc(q->disks.n_disks, sizeof(size_t))};
	for (size_t i = 0; i < q->disks.n_disks; i++) {
		struct qb_disk *disk = &q->disks.disks[i];

		q->raw[i].glance = !q->reasons;
		if (!q->live) {
			qb_tri_unknown(&disk->readable, "the contents of a captured host's disks "
							"are not there to read");
			qb_tri_unknown(&disk->sensor, "not a live host");
		} else if (q->raw[i].hidden) {
			qb_tri_set(&disk->readable, false);
			disk->error = qb_strdup("a hidden path has no device node");
			qb_tri_set(&disk->sensor, false);
		} else if (!q->some || is_asked(q->some, disk)) {
			q->reading.which[q->reading.n++] = i;
		}
	}
	qb_device_reading_begin(&q->reading, &q->children[READING]);
}

/* Once it is known who uses them. */
static void note_paths(struct qb_disks_inquiry *q)
{
	for (size_t i = 0; i < q->disks.n_disks; i++) {
		const struct qb_disk_raw *raw = &q->raw[i];

		q->disks.disks[i].one_of_paths = raw->hidden || raw->mpath_holders.n ||
						 raw->udev_multipath ||
						 qb_streq(raw->udev_fs_type, "mpath_member");
	}
}

/* What is made of disks. Nobody who asks for one disk alone asks for that. */
static void begin_above(const struct qb_root *root, const struct qb_blocks *blocks,
			struct qb_disks_inquiry *q)
{
	qb_mappings_list(root, blocks, &q->disks);
	if (!q->live) {
		qb_tri_unknown(&q->disks.lvm, "not a live host");
		return;
	}
	qb_groups_begin(blocks, q->timeout_ms, &q->disks, &q->children[GROUPS]);
	qb_mappings_begin(&q->disks, &q->children[MAPPINGS]);
}

static struct qb_disks_inquiry *begin(const struct qb_root *root, const char *machine_id,
				      const struct qb_strs *some, bool reasons, unsigned timeout_ms)
{
	struct qb_disks_inquiry *q = qb_alloc(1, sizeof(*q));
	_cleanup_blocks_ struct qb_blocks blocks = {0};
	_cleanup_strs_ struct qb_strs names = {0};
	int r = qb_root_list(root, "/sys/block", &names);

	q->live = root->live;
	q->some = some;
	q->reasons = reasons;
	for (size_t i = 0; i < CHILDREN; i++)
		q->children[i] = (struct qb_child)QB_CHILD_INIT;
	if (r < 0) {
		qb_tri_unknown(&q->disks.known, "/sys/block: %s", strerror(-r));
		return q;
	}
	qb_tri_set(&q->disks.known, true);
	if (root->live)
		qb_udev_wait();
	qb_blocks_read(root, &blocks);
	q->raw = qb_alloc(names.n, sizeof(*q->raw));
	list_disks(root, &names, q);
	q->timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_MS;
	q->deadline_ms = qb_now_ms() + q->timeout_ms;
	/* First who uses them: what is in use is not opened with O_EXCL. */
	qb_usage_probe(root, &blocks, reasons, &q->disks, q->raw);
	read_wwids(root, &q->disks, q->raw);
	note_paths(q);
	if (!some)
		begin_above(root, &blocks, q);
	begin_reading(root, machine_id, q);
	return q;
}

struct qb_disks_inquiry *qb_disks_inquiry_begin(const struct qb_root *root, const char *machine_id,
						bool reasons, unsigned timeout_ms)
{
	return begin(root, machine_id, NULL, reasons, timeout_ms);
}

void qb_disks_inquiry_end(struct qb_disks_inquiry *q, struct qb_disks *ret)
{
	if (q->live && q->raw) {
		qb_children_wait(q->children, CHILDREN, q->deadline_ms);
		qb_device_reading_end(&q->reading, &q->children[READING], q->deadline_ms);
		qb_mappings_end(&q->children[MAPPINGS], q->timeout_ms, &q->disks);
		if (!q->some)
			qb_groups_end(&q->children[GROUPS], q->timeout_ms, q->deadline_ms, q->raw,
				      &q->disks);
		if (q->reasons)
			qb_lvm_probe(&q->disks, q->raw);
	}
	if (q->reasons)
		qb_disks_judge(&q->disks, q->raw);
	for (size_t i = 0; i < q->disks.n_disks; i++)
		qb_disk_raw_done(&q->raw[i]);
	*ret = q->disks;
	free(q->reading.which);
	free(q->raw);
	free(q);
}

void qb_disks_probe(const struct qb_root *root, const char *machine_id, unsigned timeout_ms,
		    struct qb_disks *ret)
{
	qb_disks_inquiry_end(begin(root, machine_id, NULL, true, timeout_ms), ret);
}

void qb_disks_probe_some(const struct qb_root *root, const char *machine_id,
			 const struct qb_strs *identities, unsigned timeout_ms,
			 struct qb_disks *ret)
{
	qb_disks_inquiry_end(begin(root, machine_id, identities, true, timeout_ms), ret);
}
