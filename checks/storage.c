/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/fstab.h"
#include "storage/vg.h"

/* Both have to be undercut: a tenth of a big pool is plenty, and a small one is small. */
enum {
	SPACE_PERCENT = 10
};

bool qb_no_disks(const struct qb_facts *f, struct qb_result *r)
{
	if (qb_is(&f->disks.known))
		return false;
	qb_unknown(r, "the disks could not be listed: %s", qb_why(&f->disks.known));
	return true;
}

static void disks_readable(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_disks *d = &in->facts->disks;
	struct qb_tally t = {0};

	if (qb_no_disks(in->facts, r))
		return;
	for (size_t i = 0; i < d->n_disks; i++) {
		const struct qb_disk *disk = &d->disks[i];
		_cleanup_free_ char *name = qb_shell_word(disk->name);
		_cleanup_free_ char *word = qb_shell_word(disk->path ? disk->path : disk->name);

		if (qb_is(&disk->readable)) {
			t.good++;
			continue;
		}
		if (qb_is_not(&disk->readable))
			qb_evidence(r, disk->name, word, "no: %s", qb_disk_unread_why(disk));
		else
			qb_evidence_tri(r, disk->name, word, &disk->readable);
		if (!qb_disk_is_unread(d, disk))
			continue;
		if (!qb_is_not(&disk->readable)) {
			qb_tally_unsure(&t, "%s could not be read: %s", disk->name,
					qb_why(&disk->readable));
			continue;
		}
		qb_tally_bad(&t, "%s cannot be read%s%s", disk->name, disk->error ? ": " : "",
			     disk->error ? disk->error : "");
		qb_remedy(r, "dmesg | grep -w %s | tail\nsmartctl -a %s", name, word);
	}
	qb_evidence(r, "read to their ends", "open, read", "%zu of %zu disks", t.good, d->n_disks);
	qb_tally_end(&t, r, "every disk can be read", "there are no disks to read");
}

static void pool_active(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_pools && qb_no_libvirt(in->facts, r))
		return;
	for (size_t i = 0; i < in->config->n_pools; i++) {
		const char *name = in->config->pools[i].name;
		const struct qb_vir_pool *p = qb_facts_pool(in->facts, name);

		if (p)
			qb_evidence(r, name, "libvirt", "type %s, %s", p->type ? p->type : "none",
				    p->active ? "active" : "not active");
		else
			qb_evidence(r, name, "libvirt", "no such pool");
		if (!p)
			qb_tally_bad(&t, "the pool %s is not defined", name);
		else if (!p->active)
			qb_tally_bad(&t, "the pool %s is not active", name);
		else
			t.good++;
	}
	qb_tally_end(&t, r, "every configured pool is active", "the configuration names no pools");
}

/* Whether a disk says, by its mounts, that something is mounted on target. */
static bool disk_is_mounted_on(const struct qb_disks *disks, const char *target)
{
	for (size_t i = 0; i < disks->n_disks; i++)
		if (target && qb_strs_has(&disks->disks[i].mountpoints, target))
			return true;
	return false;
}

static void weigh_mount(const struct qb_facts *f, const char *name, const char *target,
			struct qb_tally *t, struct qb_result *r)
{
	const struct qb_target *at = qb_facts_target(f, target);

	if (at && qb_is(&at->mounted)) {
		qb_evidence(r, target, "/proc/self/mountinfo", "a mount point");
		t->good++;
	} else if (disk_is_mounted_on(&f->disks, target)) {
		qb_evidence(r, target, "/proc/self/mountinfo", "a disk is mounted there");
		t->good++;
	} else if (!at || at->mounted.state == QB_UNKNOWN) {
		qb_tally_unsure(t, "whether anything is mounted on %s is unknown: %s", target,
				at ? qb_why(&at->mounted) : "nobody looked");
	} else {
		qb_evidence(r, target, "/proc/self/mountinfo", "no mount point");
		qb_tally_bad(t, "nothing is mounted on %s, the target of pool %s", target, name);
	}
}

/* libvirt's types of pools whose target is a mount point. */
static bool is_mounted_type(const char *type)
{
	return qb_streq(type, "fs") || qb_streq(type, "netfs");
}

/* Where a file system is to be mounted that a directory of a pool lies on, it is. */
static void weigh_below(const struct qb_check_input *in, const char *name, const char *target,
			struct qb_tally *t, struct qb_result *r)
{
	const struct qb_target *at = qb_facts_target(in->facts, target);
	const struct qb_reading *fstab = qb_facts_reading(in->facts, QB_FSTAB);
	const char *path = at && at->real_path ? at->real_path : target;
	/* Where something hangs no more is known than the mounts. */
	const char *on = at && at->mount_point       ? at->mount_point
			 : at && qb_is(&at->mounted) ? target
						     : NULL;
	_cleanup_free_ char *wanted =
		fstab && fstab->value ? qb_fstab_mount_point(fstab->value, path) : NULL;
	_cleanup_free_ char *word = wanted ? qb_shell_word(wanted) : NULL;

	/* Something is there, whoever mounted it. */
	if (at && qb_is(&at->mounted) && !wanted)
		return;
	if (!fstab || (!fstab->value && !fstab->absent)) {
		qb_tally_unsure(t, "where the pool %s is to be mounted is unknown: %s: %s", name,
				QB_FSTAB, qb_read_why(fstab));
	} else if (wanted && !qb_streq(wanted, "/") && !on) {
		qb_tally_unsure(t, "what %s lies on is unknown: %s", target,
				at && at->mounted.why ? at->mounted.why
				: at && at->empty.why ? at->empty.why
						      : "nobody looked");
	} else if (wanted && !qb_streq(wanted, "/")) {
		qb_evidence(r, target, "/proc/self/mountinfo", "on %s; " QB_FSTAB ": on %s", on,
			    wanted);
		if (strlen(on) >= strlen(wanted)) {
			t->good++;
			return;
		}
		qb_tally_bad(t, "nothing is mounted on %s, where " QB_FSTAB " wants the pool %s",
			     wanted, name);
		/* Of several causes apply mends the first. */
		if (t->bad.n > 1)
			return;
		r->fix = NULL;
		qb_remedy(r,
			  "journalctl -b -u \"$(systemd-escape -p --suffix=mount %s)\" | tail\n"
			  "findmnt --verify\n"
			  "# What was written to the directory since then is hidden by the mount:\n"
			  "# stop the guests and move it away, then: mount %s",
			  word, word);
	}
}

/* Directories that libvirt takes as they are, configured or active. */
static void dirs_mounted(const struct qb_check_input *in, struct qb_tally *t, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	const struct qb_config *c = in->config;
	_cleanup_strs_ struct qb_strs seen = {0};

	for (size_t i = 0; c && i < c->n_pools; i++)
		if (c->pools[i].type == QB_POOL_DIR && c->pools[i].target) {
			weigh_below(in, c->pools[i].name, c->pools[i].target, t, r);
			qb_strs_add(&seen, c->pools[i].target);
		}
	for (size_t i = 0; i < v->n_pools; i++) {
		const struct qb_vir_pool *p = &v->pools[i];

		if (p->active && p->target && qb_streq(p->type, "dir") &&
		    !qb_strs_has(&seen, p->target))
			weigh_below(in, p->name, p->target, t, r);
	}
}

static void pool_mounted(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	const struct qb_config *c = in->config;
	struct qb_tally t = {0};
	bool all_known = qb_is(&v->connected);

	for (size_t i = 0; c && i < c->n_pools; i++)
		if (c->pools[i].type == QB_POOL_FS)
			weigh_mount(in->facts, c->pools[i].name, c->pools[i].target, &t, r);
	/* Pools that are none of ours: one that is active over an empty directory is a trap. */
	for (size_t i = 0; all_known && i < v->n_pools; i++) {
		const struct qb_vir_pool *p = &v->pools[i];
		bool ours = false;

		for (size_t k = 0; c && k < c->n_pools; k++)
			ours |= c->pools[k].type == QB_POOL_FS &&
				qb_streq(c->pools[k].name, p->name);
		if (!ours && p->active && is_mounted_type(p->type) && p->target)
			weigh_mount(in->facts, p->name, p->target, &t, r);
	}
	dirs_mounted(in, &t, r);
	if (!all_known)
		qb_tally_unsure(&t, "libvirt could not be asked for pools: %s",
				qb_is_not(&v->connected) ? "libvirt.connection tells why"
							 : qb_libvirt_why(in->facts));
	qb_tally_end(&t, r, "what every pool lies on is really mounted",
		     "there is no pool with a file system of its own");
}

/*
 * Pools whose volumes grow into what is free. One of logical, disk or zfs is given out once for
 * all, and full is what it is made to be; of LUNs (iscsi, scsi, mpath) libvirt tells 0 as free:
 * virStorageBackendSCSINewLun() in its src/storage adds what a LUN has to the allocation, too.
 */
static bool grows_into_its_pool(const struct qb_vir_pool *p)
{
	static const char *const types[] = {"dir", "fs", "netfs", "gluster", "rbd", "vstorage"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(types); i++)
		if (qb_streq(p->type, types[i]))
			return true;
	return false;
}

static void pool_space(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	uint64_t space_bytes = qb_thresholds(in)->pool_space;
	struct qb_tally t = {0};

	if (qb_no_libvirt(in->facts, r))
		return;
	for (size_t i = 0; i < v->n_pools; i++) {
		const struct qb_vir_pool *p = &v->pools[i];
		_cleanup_free_ char *free_text = qb_format_size(p->available_bytes);
		_cleanup_free_ char *all_text = qb_format_size(p->capacity_bytes);

		if (!p->active)
			continue;
		if (!grows_into_its_pool(p)) {
			qb_evidence(r, p->name, "libvirt", "%s; %s of %s not given to volumes",
				    p->type ? p->type : "no type", free_text, all_text);
			continue;
		}
		if (!p->capacity_bytes) {
			qb_tally_unsure(&t, "libvirt tells no size of the pool %s", p->name);
			continue;
		}
		qb_evidence(r, p->name, "libvirt", "%s of %s free", free_text, all_text);
		if (p->available_bytes < space_bytes &&
		    p->available_bytes / SPACE_PERCENT < p->capacity_bytes / 100)
			qb_tally_bad(&t, "the pool %s has only %s of %s left", p->name, free_text,
				     all_text);
		else
			t.good++;
	}
	qb_tally_end(&t, r, "every active pool has space left",
		     "no pool is active in whose free space volumes grow");
}

/* One configured fs pool: the disk that carries its mark. */
static void weigh_marks(const struct qb_disks *d, const char *pool, struct qb_tally *t,
			struct qb_result *r)
{
	const struct qb_disk *ready = NULL, *pending = NULL, *foreign = NULL, *unread = NULL;
	size_t n_ready = 0;

	for (size_t i = 0; i < d->n_disks; i++) {
		const struct qb_disk *disk = &d->disks[i];

		if (qb_disk_is_unread(d, disk))
			unread = disk;
		if (disk->mark.state == QB_MARK_NONE || !qb_streq(disk->mark.pool, pool))
			continue;
		qb_evidence(r, pool, disk->name, "%s%s",
			    disk->mark.state == QB_MARK_READY ? "ready" : "unfinished",
			    disk->mark.ours ? "" : ", of another machine");
		if (!disk->mark.ours)
			foreign = disk;
		else if (disk->mark.state != QB_MARK_READY)
			pending = disk;
		else
			ready = disk, n_ready++;
	}
	if (!n_ready && !pending && !foreign)
		qb_evidence(r, pool, "partition tables", "on no disk");
	if (n_ready > 1)
		qb_tally_bad(t, "%zu disks carry the mark of the pool %s", n_ready, pool);
	else if (ready)
		t->good++;
	else if (pending)
		qb_tally_bad(t, "carving %s for the pool %s broke off", pending->name, pool);
	else if (foreign)
		qb_tally_bad(t, "the pool %s on %s belongs to another machine", pool,
			     foreign->name);
	else if (unread)
		qb_tally_unsure(t,
				"no disk seen carries the mark of the pool %s, and %s could "
				"not be read: %s",
				pool, unread->name, qb_disk_unread_why(unread));
	else
		qb_tally_bad(t, "no disk carries the mark of the pool %s", pool);
}

/* A pool of type logical has what LVM has, whoever made it. */
static void weigh_pool_group(const struct qb_facts *facts, const struct qb_pool_config *pool,
			     struct qb_tally *t, struct qb_result *r)
{
	const struct qb_volume_group *group =
		qb_vg_find(&facts->disks, pool, facts->system.machine_id);

	qb_evidence(r, pool->name, "lvm fullreport",
		    "volume group %s: %zu physical volumes, missing %ju", qb_vg_name(pool),
		    group ? group->physical_volumes.n : 0, (uintmax_t)(group ? group->missing : 0));
	if (facts->disks.lvm.state == QB_UNKNOWN)
		qb_tally_unsure(t, "LVM could not be asked for the group of the pool %s: %s",
				pool->name, qb_why(&facts->disks.lvm));
	else if (!group)
		qb_tally_bad(t, "there is no volume group %s for the pool %s", qb_vg_name(pool),
			     pool->name);
	else if (group->missing)
		qb_tally_bad(t, "the volume group %s of the pool %s lacks %ju of its disks",
			     group->name, pool->name, (uintmax_t)group->missing);
	else
		t->good++;
}

static void pool_disk(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_disks *d = &in->facts->disks;
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	for (size_t i = 0; i < in->config->n_pools; i++) {
		if (in->config->pools[i].type == QB_POOL_DIR)
			continue;
		if (!qb_is(&d->known))
			qb_tally_unsure(&t, "the disks could not be listed: %s", qb_why(&d->known));
		else if (in->config->pools[i].type == QB_POOL_LOGICAL)
			weigh_pool_group(in->facts, &in->config->pools[i], &t, r);
		else
			weigh_marks(d, in->config->pools[i].name, &t, r);
	}
	qb_tally_end(&t, r, "every configured pool has the disks carved for it",
		     "the configuration names no pool with a disk of its own");
}

static const struct qb_check table[] = {
	{
		.id = "storage.disks-readable",
		.title = "Every disk can be read",
		.severity = QB_RECOMMENDED,
		.looks = "Reads the beginning and the end of every disk. Without a medium (a size "
			 "of 0) there is nothing to read; and one of several paths to a disk may "
			 "give errors, as passive ones do.",
		.why = "A disk that gives errors loses guests' data next; and what cannot be read "
		       "is never taken for empty.",
		.remedy = "dmesg | grep -iE 'i/o error|medium error' | tail",
		.judge = disks_readable,
	},
	{
		.id = "storage.pool-disk",
		.title = "Every pool has the disk carved for it",
		.severity = QB_RECOMMENDED,
		.looks = "The mark in the partition table by which the disk of a pool is known: "
			 "there, once, complete, and made by this machine. Of a pool of type "
			 "logical the volume group: there, with all of its disks.",
		.why = "A mark that is pending tells of a carving that broke off; one of another "
		       "machine, of a disk that was moved here with its data.",
		.remedy = "qubi-agent facts\nqubi-agent plan",
		.fix = "storage.carve",
		.judge = pool_disk,
	},
	{
		.id = "storage.pool-active",
		.title = "The configured pools are active",
		.severity = QB_REQUIRED,
		.looks = "Every pool of the configuration: defined in libvirt, and active.",
		.why = "Guests whose volumes are in it do not start.",
		.remedy = "qubi-agent apply",
		.fix = "libvirt.pool",
		.judge = pool_active,
	},
	{
		.id = "storage.pool-mounted",
		.title = "The pools' file systems are really mounted",
		.severity = QB_REQUIRED,
		.looks = "The target of every pool of type fs or netfs, configured or active: a "
			 "mount point, not the empty directory beneath it. Of a pool of type dir: "
			 "what /etc/fstab has mounted at boot where its directory is.",
		.why = "libvirt is content with the directory: images then fill the root file "
		       "system, and vanish when the mount comes back.",
		.remedy = "findmnt --target /var/lib/libvirt/images\n"
			  "qubi-agent apply",
		.fix = "libvirt.pool",
		.reads = (const char *const[]){QB_FSTAB, NULL},
		.judge = pool_mounted,
	},
	{
		.id = "storage.pool-space",
		.title = "The pools have space left",
		.severity = QB_RECOMMENDED,
		.looks =
			"Every active pool in libvirt that holds images as files, or in Ceph: less "
			"than 10 % and less than 20 GiB (checks.thresholds.pool-space) free is too "
			"little. Pools of LUNs, partitions or logical volumes may be given out to "
			"the last byte.",
		.why = "When a pool is full every guest that writes to it is paused at once.",
		.remedy = "virsh pool-list --details\n"
			  "# Delete volumes that nothing uses (virsh vol-delete), or add a disk.",
		.judge = pool_space,
	},
};

QB_CHECK_GROUP(storage, table);
