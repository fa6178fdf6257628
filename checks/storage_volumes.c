/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of disks: mapped devices, volume groups, the volumes of pools. */
#include "checks/judging.h"

#include <inttypes.h>

/* By the disks something is made of them. */
static bool has_holders(const struct qb_disks *d)
{
	for (size_t i = 0; i < d->n_disks; i++)
		for (size_t k = 0; k < d->disks[i].holders.n; k++)
			if (qb_startswith(d->disks[i].holders.v[k], "dm-"))
				return true;
	return false;
}

static void mapped_readable(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_disks *d = &in->facts->disks;
	struct qb_tally t = {0};

	if (qb_no_disks(in->facts, r))
		return;
	if (!d->n_mappings && has_holders(d)) {
		qb_unknown(r, "nobody looked what is made of the disks");
		return;
	}
	for (size_t i = 0; i < d->n_mappings; i++) {
		const struct qb_mapping *m = &d->mappings[i];
		const char *name = m->dm_name ? m->dm_name : m->name;
		_cleanup_free_ char *word = qb_shell_word(name), *kernel = qb_shell_word(m->name);

		qb_evidence_tri(r, name, m->path ? m->path : m->name, &m->readable);
		if (qb_is(&m->readable)) {
			t.good++;
			continue;
		}
		if (!qb_is_not(&m->readable)) {
			qb_tally_unsure(&t, "%s could not be read: %s", name, qb_why(&m->readable));
			continue;
		}
		qb_tally_bad(&t, "%s cannot be read%s%s", name, m->error ? ": " : "",
			     m->error ? m->error : "");
		qb_remedy(r,
			  m->dm_name ? "journalctl -k -g %s | tail -n 40\ndmsetup status %s"
				     : "journalctl -k -g %s | tail -n 40\nmdadm --detail /dev/%s",
			  kernel, word);
	}
	qb_tally_end(&t, r, "every mapped device can be read", "there are no mapped devices");
}

/* The disk that a path is of, or a partition of. */
static const struct qb_disk *disk_of(const struct qb_disks *d, const char *path)
{
	for (size_t i = 0; i < d->n_disks; i++) {
		if (qb_streq(d->disks[i].path, path))
			return &d->disks[i];
		for (size_t k = 0; k < d->disks[i].n_partitions; k++)
			if (qb_streq(d->disks[i].partitions[k].path, path))
				return &d->disks[i];
	}
	return NULL;
}

/* Made by a guest on a disk of its own: the host sees a part of it, and has no say in it. */
static bool is_a_guests(const struct qb_facts *f, const struct qb_volume_group *g)
{
	for (size_t i = 0; i < g->physical_volumes.n; i++) {
		const char *path = g->physical_volumes.v[i];
		const struct qb_disk *disk = disk_of(&f->disks, path);

		for (size_t k = 0; k < f->libvirt.n_guest_disks; k++) {
			const char *used = f->libvirt.guest_disks[k].device;

			if (qb_streq(used, path) || (disk && (qb_streq(used, disk->path) ||
							      qb_strs_has(&disk->links, used))))
				return true;
		}
	}
	return false;
}

static char *joined(const struct qb_strs *list)
{
	struct qb_buf b = {0};

	for (size_t i = 0; i < list->n; i++)
		qb_buf_printf(&b, "%s%s", i ? ", " : "", list->v[i]);
	return b.s ? b.s : qb_strdup("none");
}

static void weigh_group(const struct qb_check_input *in, struct qb_result *r,
			const struct qb_volume_group *g, struct qb_tally *t)
{
	_cleanup_free_ char *damaged = joined(&g->damaged), *word = qb_shell_word(g->name);
	bool guests = is_a_guests(in->facts, g);

	qb_evidence(r, g->name, "lvm fullreport", "%" PRIu64 " missing, damaged: %s%s", g->missing,
		    damaged, guests ? "; a guest's" : "");
	if (guests)
		return;
	if (!g->missing && !g->damaged.n) {
		t->good++;
		return;
	}
	if (g->missing && g->damaged.n)
		qb_tally_bad(t, "the volume group %s lacks %" PRIu64 " of its disks: %s", g->name,
			     g->missing, damaged);
	else if (g->missing)
		qb_tally_bad(t, "the volume group %s lacks %" PRIu64 " of its disks", g->name,
			     g->missing);
	else
		qb_tally_bad(t, "volumes of the volume group %s are not whole: %s", g->name,
			     damaged);
	qb_remedy(r,
		  "pvs -o +pv_missing\nlvs -a -o +lv_health_status,devices %s\n"
		  "# Bring the disk back; one that has been away: vgextend --restoremissing.\n"
		  "# On EL9 and later it may only be missing in lvmdevices.",
		  word);
}

static void lvm_complete(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_disks *d = &in->facts->disks;
	struct qb_tally t = {0};

	if (d->lvm.state == QB_UNKNOWN) {
		qb_unknown(r, "LVM could not be asked: %s", qb_why(&d->lvm));
		return;
	}
	for (size_t i = 0; i < d->n_groups; i++)
		weigh_group(in, r, &d->groups[i], &t);
	qb_tally_end(&t, r, "every volume group is complete",
		     "there is no volume group of the host");
}

enum {
	FREE_SHARE = 4, /* a quarter: before storage.pool-space finds too little left */
};

static void pool_overcommit(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	struct qb_tally t = {0};

	if (qb_no_libvirt(in->facts, r))
		return;
	for (size_t i = 0; i < v->n_pools; i++) {
		const struct qb_vir_pool *p = &v->pools[i];
		uint64_t promised = p->volumes_capacity_bytes, taken = p->volumes_allocation_bytes;
		uint64_t growth = promised > taken ? promised - taken : 0;
		_cleanup_free_ char *promised_text = qb_format_size(promised);
		_cleanup_free_ char *all_text = qb_format_size(p->capacity_bytes);
		_cleanup_free_ char *free_text = qb_format_size(p->available_bytes);

		if (!p->active || !p->capacity_bytes || qb_is_not(&p->volumes_known))
			continue;
		if (!qb_is(&p->volumes_known)) {
			qb_tally_unsure(&t, "the volumes of the pool %s are unknown: %s", p->name,
					qb_why(&p->volumes_known));
			continue;
		}
		qb_evidence(r, p->name, p->target ? p->target : "libvirt",
			    "%" PRIu64 " volumes for %s in %s, of which %s are free", p->volumes,
			    promised_text, all_text, free_text);
		if (promised > p->capacity_bytes && growth > p->available_bytes &&
		    p->available_bytes < p->capacity_bytes / FREE_SHARE)
			qb_tally_bad(&t,
				     "the volumes of the pool %s may grow to %s; it has %s, "
				     "of which %s are left",
				     p->name, promised_text, all_text, free_text);
		else
			t.good++;
	}
	qb_tally_end(&t, r,
		     "every pool has room for what its volumes promise, or much of it is free",
		     "no pool is active whose volumes could be asked");
}

static const struct qb_check table[] = {
	{
		.id = "storage.mapped-readable",
		.title = "Every mapped device can be read",
		.severity = QB_RECOMMENDED,
		.looks = "Reads the first block of every device of LVM, multipath, encryption or "
			 "software RAID. One that is suspended is not read, since that would wait.",
		.why = "Its disks may all be well, and it gives errors or no answer: paths are "
		       "gone, a snapshot is full, a table is wrong. Guests on it stand still.",
		.remedy = "dmsetup info\ndmsetup status\ncat /proc/mdstat",
		.judge = mapped_readable,
	},
	{
		.id = "storage.lvm-complete",
		.title = "Every volume group is complete",
		.severity = QB_RECOMMENDED,
		.looks = "What LVM finds of its volume groups: no physical volume is missing, and "
			 "no volume is partial. Those that a guest has made on a disk of its own "
			 "do not count.",
		.why = "A volume that is partial is not activated at the next boot, and a mirror "
		       "that lacks a side does not survive the next disk that fails.",
		.remedy = "pvs -o +pv_missing\nlvs -a -o +lv_health_status,devices",
		.judge = lvm_complete,
	},
	{
		.id = "storage.pool-overcommit",
		.title = "Pools hold what their volumes promise",
		.severity = QB_INFORMATIONAL,
		.looks = "The images in the directory of every active pool of type dir or fs, by "
			 "their own headers. Not good is when they together are larger than the "
			 "pool, may yet grow by more than is "
			 "free, and less than a quarter is free.",
		.why = "Thin images promise more than there is, which is fine while much of it is "
		       "free. After that guests fill the pool by what they were promised, and all "
		       "of them are paused.",
		.remedy = "virsh pool-list --details\n"
			  "# What has grown: virsh vol-list --details POOL. Move or shrink it "
			  "(guests "
			  "that discard\n# give room back), or add a disk.",
		.judge = pool_overcommit,
	},
};

QB_CHECK_GROUP_PART(qb_storage_volumes_checks, storage, table);
