/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/choose.h"
#include "storage/erase.h"
#include "storage/grow.h"

/* The group of the pool being planned. */
struct group {
	const struct qb_volume_group *is; /* NULL: there is none */
	enum qb_vg_state state;
	const char *name; /* as the configuration wants it */
};

static struct group group_of(const struct qb_pool_planning *p, const struct qb_pool_config *pool)
{
	const struct qb_volume_group *is = qb_vg_find(p->disks, pool, p->machine_id);

	return (struct group){is, qb_vg_state(is, pool->name, p->machine_id), qb_vg_name(pool)};
}

/* How many of those that the group lacks are on disks that are here, behind a torn table. */
static uint64_t hidden_of(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
			  const struct group *g)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		struct qb_pool_ids ids;

		/* A whole one the kernel shows, and LVM was told not to look at it. */
		if (!disk->mark.ours || disk->mark.state == QB_MARK_READY ||
		    !qb_streq(disk->mark.pool, pool->name))
			continue;
		qb_pool_ids(p->machine_id, pool->name, qb_disk_identity(disk), &ids);
		n += qb_vg_lacks(g->is, &ids);
	}
	return n;
}

static void refuse_names(const struct qb_pool_planning *p, const struct group *g,
			 const char *target)
{
	size_t n = 0;

	for (size_t i = 0; i < p->disks->n_groups; i++)
		n += qb_streq(p->disks->groups[i].name, g->name);
	if (n > 1)
		qb_plan_refuse(p->plan, target, "volume-group",
			       "%zu volume groups here are called %s: rename all but one "
			       "(vgrename takes a UUID)",
			       n, g->name);
	if (g->state > QB_VG_IS_FOREIGN && !qb_streq(g->is->name, g->name))
		qb_plan_refuse(p->plan, target, "volume-group",
			       "the pool's volume group is called %s, and is to be %s: write "
			       "volume-group: %s, or rename it (vgrename)",
			       g->is->name, g->name, g->is->name);
}

static void refuse_foreign(const struct qb_pool_planning *p, const struct group *g,
			   const char *target)
{
	_cleanup_free_ char *list = qb_strs_sentence(&g->is->physical_volumes);

	qb_plan_refuse(p->plan, target, "volume-group",
		       "a volume group %s is here that was not made for this pool, on %s: to take "
		       "it as it is leave out disks, else give another name as volume-group",
		       g->name, g->is->physical_volumes.n ? list : "nothing that is here");
}

static void refuse_degraded(const struct qb_pool_planning *p, const struct group *g,
			    const char *target)
{
	qb_plan_refuse(p->plan, target, "degraded",
		       "the volume group %s lacks %ju of its physical volumes: plug their disks in "
		       "again; what is on them is not given up here (are they all here, and LVM "
		       "has noted that they were not: vgextend --restoremissing)",
		       g->is->name, (uintmax_t)g->is->missing);
}

void qb_vg_look(const struct qb_pool_planning *p, struct qb_choice *c)
{
	_cleanup_free_ char *target = qb_pool_target(c->pool);
	struct group g = group_of(p, c->pool);

	c->done = true;
	if (p->disks->lvm.state == QB_UNKNOWN) {
		qb_plan_refuse(p->plan, target, "probe-error",
			       "what volume groups are here is unknown: %s",
			       p->disks->lvm.why ? p->disks->lvm.why : "nobody asked LVM");
		return;
	}
	refuse_names(p, &g, target);
	/* The kernel shows no partition of it, and LVM no group that it knows of. */
	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];

		if (disk->mark.ours && qb_streq(disk->mark.pool, c->pool->name) &&
		    (disk->mark.state >= QB_MARK_COMMITTING || qb_vg_has(g.is, disk)))
			qb_grow_refuse_shrunk(p, disk, target);
	}
	/* One that is hidden is seen again once the disk's table is mended, which takes that the
	 * disk is the pool's to mend; and of what was only begun nothing is missed. */
	if (g.is && g.state != QB_VG_IS_PENDING &&
	    g.is->missing > (c->pool->n_disks ? hidden_of(p, c->pool, &g) : 0))
		refuse_degraded(p, &g, target);
	if (!c->pool->n_disks && !g.is)
		qb_plan_refuse(p->plan, target, "no-match",
			       "there is no volume group %s here, and no disks are given to make "
			       "it of",
			       g.name);
	if (!c->pool->n_disks && g.state == QB_VG_IS_PENDING)
		qb_plan_refuse(
			p->plan, target, "volume-group",
			"the volume group %s was begun, and no disks are given to go on with",
			g.name);
	if (g.state == QB_VG_IS_FOREIGN && qb_pool_is_by_match(c->pool))
		refuse_foreign(p, &g, target);
	/* Without disks it is taken as it is. */
	c->done = !c->pool->n_disks || qb_plan_refuses(p->plan, target);
}

/* Whether the group's physical volumes are on the disks that were named, and on no others. */
static bool is_on_members(const struct qb_pool_planning *p, const struct qb_choice *c,
			  const struct qb_volume_group *group)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_members; i++) {
		if (!qb_vg_has(group, &p->disks->disks[c->members[i].at]))
			return false;
		n++;
	}
	return n == group->physical_volumes.n;
}

static bool refuse_members(const struct qb_pool_planning *p, const struct qb_choice *c,
			   const struct group *g, const char *target)
{
	uint64_t sector = 0;

	for (size_t i = 0; i < c->n_members; i++) {
		const struct qb_disk *disk = &p->disks->disks[c->members[i].at];

		if (c->members[i].claim == QB_CLAIM_NONE)
			qb_refuse_disk(p, c->pool, target, disk, c->members[i].by_path);
		if (!sector)
			sector = disk->logical_sector_bytes;
		if (disk->logical_sector_bytes != sector)
			qb_plan_refuse(p->plan, target, "sector-size",
				       "%s has sectors of %ju bytes, %s of %ju: a volume group "
				       "takes disks of one size of sectors",
				       disk->path, (uintmax_t)disk->logical_sector_bytes,
				       p->disks->disks[c->members[0].at].path, (uintmax_t)sector);
	}
	/* Made anew on some of its disks it would lack the others. */
	if (g->state == QB_VG_IS_PENDING &&
	    c->n_members < g->is->physical_volumes.n + g->is->missing)
		qb_plan_refuse(p->plan, target, "volume-group",
			       "the volume group %s was begun on %ju disks, and the configuration "
			       "now names %zu: name those again, or roll the run back first",
			       g->name, (uintmax_t)(g->is->physical_volumes.n + g->is->missing),
			       c->n_members);
	/* Data may be on what is marked as ready: without its group it is left alone. */
	for (size_t i = 0; g->state != QB_VG_IS_READY && i < p->disks->n_disks; i++) {
		const struct qb_mark *mark = &p->disks->disks[i].mark;

		if (mark->state == QB_MARK_READY && mark->ours &&
		    qb_streq(mark->pool, c->pool->name))
			qb_plan_refuse(p->plan, target, "volume-group",
				       "%s carries the mark of this pool, but its volume group %s "
				       "is not here",
				       p->disks->disks[i].path, g->name);
	}
	return qb_plan_refuses(p->plan, target);
}

/*
 * "/dev/sda (100 GiB, QB0001)" of each member that is to be carved, or of each that is not. unread:
 * of which LVM cannot read the group's description.
 */
static char *members_text(const struct qb_pool_planning *p, const struct qb_choice *c,
			  const struct group *g, enum qb_disk_claim first, enum qb_disk_claim last,
			  bool unread)
{
	_cleanup_strs_ struct qb_strs list = {0};

	for (size_t i = 0; i < c->n_members; i++) {
		const struct qb_disk *disk = &p->disks->disks[c->members[i].at];
		_cleanup_free_ char *size = qb_format_size(disk->size_bytes);
		_cleanup_free_ char *text =
			qb_asprintf("%s (%s, %s)", disk->path, size, qb_disk_identity(disk));

		if (c->members[i].claim >= first && c->members[i].claim <= last &&
		    (disk->mark.state == QB_MARK_READY && qb_vg_cannot_read(g->is, disk)) == unread)
			qb_strs_add(&list, text);
	}
	return list.n ? qb_strs_sentence(&list) : NULL;
}

static void explain(const struct qb_pool_planning *p, const struct qb_choice *c,
		    const struct group *g, bool make, struct qb_step *step)
{
	_cleanup_free_ char *blank =
		members_text(p, c, g, QB_CLAIM_INTENDED, QB_CLAIM_BLANK, false);
	_cleanup_free_ char *erased = members_text(p, c, g, QB_CLAIM_ERASE, QB_CLAIM_ERASE, false);
	_cleanup_free_ char *torn = members_text(p, c, g, QB_CLAIM_RESUME, QB_CLAIM_RESUME, false);
	_cleanup_free_ char *marked =
		members_text(p, c, g, QB_CLAIM_COMMIT, QB_CLAIM_COMMIT, false);
	_cleanup_free_ char *unread = members_text(p, c, g, QB_CLAIM_COMMIT, QB_CLAIM_COMMIT, true);
	_cleanup_buf_ struct qb_buf why = {0};

	if (blank)
		qb_buf_printf(&why, "blank: %s; ", blank);
	if (erased)
		qb_buf_printf(&why, "blank then: %s; ", erased);
	if (torn)
		qb_buf_printf(&why, "left half carved by a run that broke off: %s; ", torn);
	if (blank || erased || torn)
		qb_buf_printf(&why,
			      "each gets a GPT with one LVM physical volume, %s the volume group "
			      "%s",
			      make ? "together" : "for", g->name);
	if (marked)
		qb_buf_printf(&why,
			      "%scarved by a run that broke off at its last write, whose mark is "
			      "written anew: %s",
			      why.len ? "; " : "", marked);
	if (unread)
		qb_buf_printf(
			&why,
			"%sLVM cannot read the description of the volume group %s there, as a "
			"power cut leaves it, and writes it anew from another disk's: %s",
			why.len ? "; " : "", g->name, unread);
	if (c->passed_over.n) {
		_cleanup_free_ char *list = qb_strs_sentence(&c->passed_over);

		qb_buf_printf(&why, "; not taken: %s", list);
	}
	qb_step_why(step, "%s", why.s);
}

/*
 * A member that the group has and whose disk became larger, also where that was broken off between
 * the copies of its table. One whose table still says pending is finished first.
 */
static bool grows(const struct qb_pool_planning *p, const struct qb_choice *c,
		  const struct group *g, const struct qb_member *m)
{
	const struct qb_disk *disk = &p->disks->disks[m->at];
	struct qb_growth growth;

	return (m->claim == QB_CLAIM_READY ||
		(m->claim == QB_CLAIM_COMMIT && disk->mark.state == QB_MARK_COMMITTING)) &&
	       g->state == QB_VG_IS_READY && qb_vg_has(g->is, disk) &&
	       qb_grow_has_room(p, c->pool, m, &growth);
}

/*
 * The members that are not whole yet. While a disk of the group is only hidden behind a torn
 * table, that is mended, and LVM would take no more.
 */
static json_t *unfinished(const struct qb_pool_planning *p, const struct qb_choice *c,
			  const struct group *g, bool only_commit)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_members; i++) {
		const struct qb_member *m = &c->members[i];

		if ((m->claim == QB_CLAIM_COMMIT && !grows(p, c, g, m)) ||
		    (m->claim > QB_CLAIM_COMMIT && m->claim < QB_CLAIM_NONE && !only_commit))
			json_array_append_new(list, qb_member_args(p, c->pool, m));
	}
	return list;
}

static void plan_erasing(const struct qb_pool_planning *p, const struct qb_choice *c,
			 const char *target, bool only_commit)
{
	for (size_t i = 0; !only_commit && i < c->n_members; i++) {
		const struct qb_member *m = &c->members[i];
		const struct qb_disk *disk = &p->disks->disks[m->at];

		if (m->claim == QB_CLAIM_ERASE)
			qb_erase_plan(
				p->plan, disk,
				qb_erase_begun(p->ledger, c->pool->name, qb_disk_identity(disk)),
				qb_member_args(p, c->pool, m), target);
	}
}

static void plan_group(const struct qb_pool_planning *p, const struct qb_choice *c,
		       const struct group *g, bool hidden, const char *target)
{
	json_t *members = unfinished(p, c, g, hidden);
	bool make = g->state != QB_VG_IS_READY && !hidden;
	char tag[QB_VG_TAG_LEN];

	if (!json_array_size(members)) {
		json_decref(members);
		return;
	}
	plan_erasing(p, c, target, hidden);
	qb_vg_tag(p->machine_id, c->pool->name, tag);
	explain(p, c, g, make,
		qb_plan_step(p->plan, QB_VG_KIND, QB_UNDO_BEST_EFFORT,
			     json_pack("{s:s, s:s, s:s, s:b, s:o}", "pool", c->pool->name, "group",
				       g->name, "tag", tag, "make", make, "members", members),
			     target));
}

void qb_vg_plan(const struct qb_pool_planning *p, const struct qb_choice *c)
{
	_cleanup_free_ char *target = qb_pool_target(c->pool);
	struct group g = group_of(p, c->pool);
	uint64_t hidden = 0;

	if (g.state == QB_VG_IS_FOREIGN) {
		if (!is_on_members(p, c, g.is))
			refuse_foreign(p, &g, target);
		return;
	}
	if (refuse_members(p, c, &g, target))
		return;
	for (size_t i = 0; i < c->n_members; i++)
		hidden += c->members[i].claim == QB_CLAIM_COMMIT &&
			  !qb_vg_has(g.is, &p->disks->disks[c->members[i].at]);
	/* Hidden are others than those it lacks. */
	if (g.state == QB_VG_IS_READY && g.is->missing > hidden) {
		refuse_degraded(p, &g, target);
		return;
	}
	plan_group(p, c, &g, hidden, target);
	/* Behind it: only then the group has all its disks. */
	for (size_t i = 0; i < c->n_members; i++)
		if (grows(p, c, &g, &c->members[i]))
			qb_grow_plan(p, c->pool, &c->members[i], target);
}
