/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config_check.h"

#include "storage/mark.h"
#include "storage/volume.h"

enum {
	GROUP_NAME_MAX = 127, /* NAME_LEN of LVM with its zero */
	XFS_MIN_MIB = 300,    /* mkfs.xfs makes none that is smaller */
};

static void check_match(struct qb_config_check *c, const struct qb_disk_selector *s)
{
	const struct qb_disk_match *m = &s->match;

	/* No selector means every disk there is. */
	if (!qb_config_misspelt(c, m) && !qb_config_present(c, &m->min_size) &&
	    !qb_config_present(c, &m->max_size) && !qb_config_present(c, &m->rotational) &&
	    !qb_config_present(c, &m->transport) && !qb_config_present(c, &m->model) &&
	    !qb_config_present(c, &m->slot))
		qb_config_wrong_object(c, m,
				       "a match names at least one of min-size, max-size, "
				       "rotational, transport, model and slot");
	if (qb_config_given(c, &m->max_size) && m->min_size > m->max_size)
		qb_config_wrong(c, &m->max_size, "max-size is less than min-size");
}

static void check_selector(struct qb_config_check *c, struct qb_disk_selector *s)
{
	_cleanup_strs_ struct qb_strs here = {0};
	_cleanup_free_ char *text = NULL;

	s->has_match = qb_positions_find_object(c->pos, &s->match).member != NULL;
	if (s->has_match)
		check_match(c, s);
	if (qb_config_misspelt(c, s))
		return;
	if (qb_config_present(c, &s->wwid))
		qb_strs_add(&here, "wwid");
	if (qb_config_present(c, &s->serial))
		qb_strs_add(&here, "serial");
	if (qb_config_present(c, &s->path))
		qb_strs_add(&here, "path");
	if (s->has_match)
		qb_strs_add(&here, "match");
	text = qb_strs_sentence(&here);
	if (here.n != 1)
		qb_config_wrong_object(c, s,
				       "a disk is named by exactly one of wwid, serial, path and "
				       "match; %s%s here",
				       here.n ? text : "none", here.n ? " are" : " is");
	else if (!s->has_match && qb_config_given(c, &s->count))
		qb_config_wrong(c, &s->count, "count goes with match only");
}

static void claim_disks(struct qb_config_check *c, struct qb_claims *claims,
			const struct qb_disk_selector *s)
{
	qb_config_claim(c, claims, "the disk by wwid", s->wwid, &s->wwid, true);
	qb_config_claim(c, claims, "the disk by serial", s->serial, &s->serial, false);
	qb_config_claim(c, claims, "the disk by path", s->path, &s->path, false);
}

/* What LVM takes as the name of a volume group. */
static bool is_group_name(const char *name)
{
	static const char accepted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_.+-";

	return strspn(name, accepted) == strlen(name) && !strchr("-.", *name) &&
	       strlen(name) <= GROUP_NAME_MAX;
}

/* What LVM keeps for itself: lvm(8), "valid names". */
static bool is_volume_name(const char *name)
{
	static const char *const within[] = {"_cdata",  "_cmeta",  "_corig", "_cpool",   "_cvol",
					     "_wcorig", "_mimage", "_mlog",  "_pmspare", "_rimage",
					     "_rmeta",  "_tdata",  "_tmeta", "_vdata",   "_vorigin",
					     "_imeta",  "_iorig"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(within); i++)
		if (strstr(name, within[i]))
			return false;
	return is_group_name(name) && !qb_startswith(name, "snapshot") &&
	       !qb_startswith(name, "pvmove");
}

static void check_volume_size(struct qb_config_check *c, const struct qb_pool_config *p, size_t i,
			      uint64_t *percent, const struct qb_volume_config **all)
{
	const struct qb_volume_config *v = &p->volumes[i];
	struct qb_volume_size size;

	if (!qb_config_given(c, &v->size) || qb_volume_size_parse(v->size, &size) < 0)
		return;
	*percent += size.percent_of_group;
	if (size.bytes && size.bytes < (uint64_t)XFS_MIN_MIB << 20)
		qb_config_wrong(c, &v->size, "an XFS needs at least %d MiB", XFS_MIN_MIB);
	if (*percent > 100 && size.percent_of_group)
		qb_config_wrong(c, &v->size, "the volumes have %ju%% of the group by now",
				(uintmax_t)*percent);
	if (*all)
		qb_config_wrong(c, &v->size,
				"the volume %s takes all that is left before (line %u)",
				(*all)->name ? (*all)->name : "",
				qb_positions_find(c->pos, &(*all)->size).line);
	else if (size.percent_of_free == 100)
		*all = v;
}

static void check_volumes(struct qb_config_check *c, const struct qb_pool_config *p)
{
	_cleanup_claims_ struct qb_claims names = {0};
	const struct qb_volume_config *all = NULL;
	uint64_t percent = 0;

	if (p->n_volumes && qb_config_given(c, &p->type) && p->type != QB_POOL_LOGICAL)
		qb_config_wrong(c, &p->volumes, "only a pool of type logical has volumes");
	for (size_t i = 0; i < p->n_volumes; i++) {
		const struct qb_volume_config *v = &p->volumes[i];
		_cleanup_free_ char *dm_name = NULL;

		check_volume_size(c, p, i, &percent, &all);
		if (!qb_config_given(c, &v->name) || !p->name)
			continue;
		dm_name = qb_volume_dm_name(qb_vg_name(p), v->name);
		if (!is_volume_name(v->name))
			qb_config_wrong(
				c, &v->name,
				"the name of a volume has letters, digits and _ . + - only, "
				"does not begin with -, ., snapshot or pvmove, and has no "
				"ending that LVM uses, such as _mlog");
		else if (strlen(dm_name) > QB_DM_NAME_MAX)
			qb_config_wrong(c, &v->name,
					"with that of its group the name has %zu characters, "
					"hyphens counted twice; the kernel takes %d",
					strlen(dm_name), QB_DM_NAME_MAX);
		qb_config_claim(c, &names, "the volume", v->name, &v->name, false);
	}
}

/* The name becomes that of a partition, or of a volume group. */
static void check_carved_name(struct qb_config_check *c, const struct qb_pool_config *p)
{
	if (!qb_config_given(c, &p->name))
		return;
	if (!is_group_name(p->name))
		qb_config_wrong(c, &p->name,
				"the name of a pool that is carved from disks has letters, digits "
				"and _ . + - only, and does not begin with - or .");
	else if (strlen(p->name) > QB_MARK_POOL_MAX)
		qb_config_wrong(c, &p->name,
				"the name of a pool that is carved from disks has at most %d "
				"characters, not %zu",
				QB_MARK_POOL_MAX, strlen(p->name));
}

/* Not where the key is there and was refused as no list. */
static bool lacks_disks(struct qb_config_check *c, const struct qb_pool_config *p)
{
	return !p->n_disks && (!qb_config_present(c, &p->disks) || qb_config_given(c, &p->disks));
}

static void check_erase(struct qb_config_check *c, const struct qb_pool_config *p)
{
	for (size_t i = 0; i < p->n_erase; i++) {
		const struct qb_erase_config *e = &p->erase[i];

		if (qb_config_given(c, &e->contains) && !e->contains.n)
			qb_config_wrong(c, &e->contains, "contains names at least one thing");
		if (!qb_config_misspelt(c, e) && qb_config_present(c, &e->wwid) +
								 qb_config_present(c, &e->serial) +
								 qb_config_present(c, &e->path) !=
							 1)
			qb_config_wrong_object(c, e,
					       "a disk to be erased is named by exactly one of "
					       "wwid, serial and path");
	}
	if (p->n_erase && qb_config_given(c, &p->type) && p->type == QB_POOL_DIR)
		qb_config_wrong(c, &p->erase, "a pool of type dir erases no disks");
}

static void check_dir(struct qb_config_check *c, const struct qb_pool_config *p)
{
	if (!qb_config_present(c, &p->target))
		qb_config_wrong_object(c, p, "a pool of type dir needs a target, its directory");
	if (p->n_disks)
		qb_config_wrong(c, &p->disks,
				"a pool of type dir takes no disks; use fs or "
				"logical");
}

static void check_fs(struct qb_config_check *c, const struct qb_pool_config *p)
{
	if (!qb_config_present(c, &p->target))
		qb_config_wrong_object(c, p,
				       "a pool of type fs needs a target, the directory it "
				       "is mounted on");
	if (lacks_disks(c, p))
		qb_config_wrong_object(c, p, "a pool of type fs needs a disk: disks: {wwid: ...}");
	else if (p->n_disks > 1 || (p->n_disks && qb_selector_count(&p->disks[0]) > 1))
		qb_config_wrong(c, &p->disks,
				"a pool of type fs stands on one disk; use logical "
				"for more");
	check_carved_name(c, p);
}

static void check_logical(struct qb_config_check *c, const struct qb_pool_config *p,
			  struct qb_claims *groups)
{
	if (qb_config_present(c, &p->target))
		qb_config_wrong(c, &p->target,
				"a pool of type logical has no target; its volumes "
				"are devices");
	if (qb_config_given(c, &p->volume_group) && !is_group_name(p->volume_group))
		qb_config_wrong(c, &p->volume_group,
				"the name of a volume group has at most %d letters, digits and _ . "
				"+ -, and does not begin with - or .",
				GROUP_NAME_MAX);
	check_carved_name(c, p);
	qb_config_claim(c, groups, "the volume group", qb_vg_name(p),
			p->volume_group ? &p->volume_group : &p->name, false);
}

/* A file system mounted there would hide what the system lives of. */
static bool is_system_directory(const char *path)
{
	static const char *const itself[] = {"/",        "/home",    "/root",    "/run",
					     "/tmp",     "/var",     "/var/lib", "/var/lib/libvirt",
					     "/var/log", "/var/run", "/var/tmp"};
	static const char *const below[] = {"/bin",   "/boot", "/dev",  "/etc", "/lib",
					    "/lib64", "/proc", "/sbin", "/sys", "/usr"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(itself); i++)
		if (!strcmp(path, itself[i]))
			return true;
	for (size_t i = 0; i < QB_ARRAY_SIZE(below); i++) {
		size_t n = strlen(below[i]);

		if (!strncmp(path, below[i], n) && (!path[n] || path[n] == '/'))
			return true;
	}
	return false;
}

static bool is_inside(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return !strncmp(path, directory, n) && path[n] == '/';
}

static bool refuse_system_directory(struct qb_config_check *c, const char *const *target)
{
	if (!is_system_directory(*target))
		return false;
	qb_config_wrong(c, target, "%s belongs to the system; a pool needs a directory of its own",
			*target);
	return true;
}

/* A directory for images may be on a volume; a file system over it, or in it, may not. */
static void check_pool_and_volume(struct qb_config_check *c, const struct qb_pool_config *pool,
				  const struct qb_volume_config *v)
{
	if (pool->target && (is_inside(v->target, pool->target) ||
			     (pool->type == QB_POOL_FS && qb_path_is_in(pool->target, v->target))))
		qb_config_wrong(c, &v->target,
				"it and the target %s (line %u) hide or hold one another",
				pool->target, qb_positions_find(c->pos, &pool->target).line);
}

static void check_volume_targets(struct qb_config_check *c, const struct qb_pool_config *p,
				 struct qb_claims *mounts, struct qb_strs *seen)
{
	for (size_t i = 0; i < p->n_volumes; i++) {
		const struct qb_volume_config *v = &p->volumes[i];

		if (!qb_config_given(c, &v->target) ||
		    refuse_system_directory(c, (const char *const *)&v->target))
			continue;
		qb_config_claim(c, mounts, "the mount point", v->target, &v->target, false);
		for (size_t k = 0; k < seen->n; k++)
			if (is_inside(v->target, seen->v[k]) || is_inside(seen->v[k], v->target))
				qb_config_wrong(c, &v->target, "it and %s lie one in the other",
						seen->v[k]);
		qb_strs_add(seen, v->target);
		for (size_t k = 0; k < c->config->n_pools; k++)
			check_pool_and_volume(c, &c->config->pools[k], v);
	}
}

static void check_target(struct qb_config_check *c, size_t i, struct qb_claims *targets)
{
	const struct qb_pool_config *p = &c->config->pools[i];

	if (!qb_config_given(c, &p->target) ||
	    refuse_system_directory(c, (const char *const *)&p->target))
		return;
	qb_config_claim(c, targets, "the target", p->target, &p->target, false);
	for (size_t j = 0; j < i; j++) {
		const struct qb_pool_config *o = &c->config->pools[j];

		if (o->target &&
		    (is_inside(p->target, o->target) || is_inside(o->target, p->target)))
			qb_config_wrong(c, &p->target,
					"the targets %s and %s (line %u) lie one in the other",
					p->target, o->target,
					qb_positions_find(c->pos, &o->target).line);
	}
}

static void check_permissions(struct qb_config_check *c, const struct qb_pool_config *p)
{
	char *const *const keys[] = {&p->mode, &p->owner, &p->group};

	for (size_t i = 0; p->type == QB_POOL_LOGICAL && i < QB_ARRAY_SIZE(keys); i++)
		if (qb_config_present(c, keys[i]))
			qb_config_wrong(c, keys[i],
					"a pool of type logical has no target, and so no mode, "
					"owner or group of it");
}

void qb_config_check_pools(struct qb_config_check *c)
{
	_cleanup_claims_ struct qb_claims disks = {0}, targets = {0}, groups = {0}, mounts = {0};
	_cleanup_strs_ struct qb_strs seen = {0};

	for (size_t i = 0; i < c->config->n_pools; i++) {
		struct qb_pool_config *p = &c->config->pools[i];

		for (size_t j = 0; j < p->n_disks; j++) {
			check_selector(c, &p->disks[j]);
			claim_disks(c, &disks, &p->disks[j]);
		}
		check_target(c, i, &targets);
		check_volumes(c, p);
		check_volume_targets(c, p, &mounts, &seen);
		check_erase(c, p);
		if (qb_config_misspelt(c, p) || !qb_config_given(c, &p->type))
			continue;
		if (p->type != QB_POOL_LOGICAL && qb_config_present(c, &p->volume_group))
			qb_config_wrong(c, &p->volume_group,
					"only a pool of type logical has a volume group");
		check_permissions(c, p);
		if (p->type != QB_POOL_FS && qb_config_present(c, &p->format))
			qb_config_wrong(c, &p->format, "only a pool of type fs has a format");
		switch ((enum qb_pool_type)p->type) {
		case QB_POOL_DIR:
			check_dir(c, p);
			break;
		case QB_POOL_FS:
			check_fs(c, p);
			break;
		case QB_POOL_LOGICAL:
			check_logical(c, p, &groups);
			break;
		}
	}
}
