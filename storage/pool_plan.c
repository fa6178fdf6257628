/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/pool.h"

#include <inttypes.h>

#include "storage/choose.h"
#include "storage/erase.h"
#include "storage/grow.h"
#include "storage/mark.h"

const struct qb_fs qb_file_systems[] = {
	[QB_FS_XFS] = {"xfs", "XFS", "/usr/sbin/mkfs.xfs", "xfs_repair", "xfsprogs", 1 << 20},
	[QB_FS_EXT4] = {"ext4", "ext4", "/usr/sbin/mkfs.ext4", "e2fsck", "e2fsprogs", 16 << 20},
};

const struct qb_fs qb_physical_volume = {
	.name = "LVM2_member",
	.title = "physical volume",
	.slack_bytes = 1 << 20, /* what LVM aligns to; beside an extent */
};

const struct qb_fs *qb_fs_find(const char *name)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(qb_file_systems); i++)
		if (qb_streq(qb_file_systems[i].name, name))
			return &qb_file_systems[i];
	return NULL;
}

/* False when the configuration wants what cannot be planned, which is refused. */
static bool shape_is_known(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
			   const char *target)
{
	if (pool->type == QB_POOL_FS &&
	    (pool->n_disks != 1 || qb_selector_count(&pool->disks[0]) != 1)) {
		qb_plan_refuse(p->plan, target, "unsupported",
			       "a pool of type fs takes exactly one disk");
		return false;
	}
	if (strlen(pool->name) > QB_MARK_POOL_MAX) {
		qb_plan_refuse(p->plan, target, "unsupported",
			       "its name has more than %d bytes, and the mark on the disk has room "
			       "for no more",
			       QB_MARK_POOL_MAX);
		return false;
	}
	if (!p->machine_id || !p->machine_id[0]) {
		qb_plan_refuse(p->plan, target, "no-identity",
			       "this machine has no /etc/machine-id to mark its disks with");
		return false;
	}
	if (!qb_is(&p->disks->known)) {
		qb_plan_refuse(p->plan, target, "probe-error", "the disks are unknown: %s",
			       p->disks->known.why ? p->disks->known.why : "nobody looked");
		return false;
	}
	return true;
}

/* "type@offset" of what is recognised on it. */
static json_t *signatures(const struct qb_disk *disk)
{
	json_t *list = json_array();

	for (size_t i = 0; i < disk->n_signatures; i++)
		json_array_append_new(list, json_sprintf("%s@%" PRIu64, disk->signatures[i].type,
							 disk->signatures[i].offset));
	return list;
}

json_t *qb_member_args(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		       const struct qb_member *m)
{
	const struct qb_disk *disk = &p->disks->disks[m->at];
	const char *identity = qb_disk_identity(disk);
	struct qb_pool_ids ids;

	qb_pool_ids(p->machine_id, pool->name, identity, &ids);
	return json_pack("{s:s, s:s?, s:s, s:s?, s:s, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:s, s:s, "
			 "s:s, s:s?, s:b, s:b, s:b, s:o}",
			 "pool", pool->name, "target", pool->target, "disk", disk->path, "devno",
			 disk->devno, "identity", identity, "wwid", disk->wwid, "serial",
			 disk->serial, "backing", disk->backing, "size_bytes",
			 (json_int_t)disk->size_bytes, "diskseq", (json_int_t)disk->diskseq,
			 "logical_sector_bytes", (json_int_t)disk->logical_sector_bytes,
			 "disk_guid", ids.disk_guid, "part_guid", ids.part_guid, "fs_uuid",
			 ids.fs_uuid, "format",
			 pool->type == QB_POOL_FS ? qb_file_systems[pool->format].name : NULL,
			 "by_path", m->by_path, "resume", m->claim == QB_CLAIM_RESUME, "commit",
			 m->claim == QB_CLAIM_COMMIT, "signatures", signatures(disk));
}

/* What is carved is never made anew, in whatever the configuration would rather have it. */
static bool refuse_format(const struct qb_pool_planning *p, const struct qb_choice *c,
			  const char *target)
{
	const struct qb_disk *disk = &p->disks->disks[c->members[0].at];
	const char *is = disk->n_partitions == 1 ? disk->partitions[0].fs_type : NULL;
	const char *wanted = qb_file_systems[c->pool->format].name;

	if (!is || qb_streq(is, wanted))
		return false;
	qb_plan_refuse(p->plan, target, "format",
		       "%s carries the pool as %s, and the configuration wants %s: what was "
		       "carved is never formatted anew; write format: %s",
		       disk->path, is, wanted, is);
	return true;
}

static void plan_fs(const struct qb_pool_planning *p, const struct qb_choice *c, const char *target)
{
	const struct qb_member *m = &c->members[0];
	const struct qb_disk *disk = &p->disks->disks[m->at];
	_cleanup_free_ char *size = qb_format_size(disk->size_bytes);
	struct qb_step *step;

	if (m->claim <= QB_CLAIM_COMMIT &&
	    (qb_grow_refuse_shrunk(p, disk, target) || refuse_format(p, c, target) ||
	     qb_grow_plan(p, c->pool, m, target)))
		return;
	if (m->claim == QB_CLAIM_READY)
		return;
	if (m->claim == QB_CLAIM_NONE) {
		qb_refuse_disk(p, c->pool, target, disk, m->by_path);
		return;
	}
	if (m->claim == QB_CLAIM_ERASE)
		qb_erase_plan(p->plan, disk,
			      qb_erase_begun(p->ledger, c->pool->name, qb_disk_identity(disk)),
			      qb_member_args(p, c->pool, m), target);
	step = qb_plan_step(p->plan, QB_CARVE_KIND, QB_UNDO_BEST_EFFORT,
			    qb_member_args(p, c->pool, m), target);
	if (m->claim == QB_CLAIM_COMMIT) {
		qb_step_why(step,
			    "%s (%s, %s) was carved by a run that broke off at its last write; its "
			    "mark is written anew, and nothing else",
			    disk->path, size, qb_disk_identity(disk));
		return;
	}
	qb_step_why(step, "%s (%s, %s) %s; it gets a GPT with one %s for %s", disk->path, size,
		    qb_disk_identity(disk),
		    m->claim == QB_CLAIM_RESUME  ? "was left half carved by a run that broke off"
		    : m->claim == QB_CLAIM_ERASE ? "is blank then"
						 : "is blank",
		    qb_file_systems[c->pool->format].title,
		    c->pool->target ? c->pool->target : c->pool->name);
}

void qb_pool_plan(const struct qb_disks *disks, const struct qb_pool_config *pools, size_t n_pools,
		  const char *machine_id, const struct qb_ledger *ledger, struct qb_plan *plan)
{
	struct qb_pool_planning p = {disks, machine_id, ledger, plan, NULL};
	struct qb_choice *choices = qb_alloc(n_pools, sizeof(*choices));

	p.owner = qb_alloc(disks->n_disks, sizeof(const struct qb_pool_config *));
	for (size_t i = 0; i < n_pools; i++) {
		_cleanup_free_ char *target = qb_pool_target(&pools[i]);

		choices[i].pool = &pools[i];
		choices[i].done =
			pools[i].type == QB_POOL_DIR || !shape_is_known(&p, &pools[i], target);
		if (!choices[i].done && pools[i].type == QB_POOL_LOGICAL)
			qb_vg_look(&p, &choices[i]);
	}
	qb_choose(&p, choices, n_pools);
	for (size_t i = 0; i < n_pools; i++) {
		_cleanup_free_ char *target = qb_pool_target(&pools[i]);

		if (!choices[i].done && pools[i].type == QB_POOL_LOGICAL)
			qb_vg_plan(&p, &choices[i]);
		else if (!choices[i].done)
			plan_fs(&p, &choices[i], target);
		free(choices[i].members);
		qb_strs_done(&choices[i].passed_over);
	}
	free(p.owner);
	free(choices);
}

char *qb_pool_source(const struct qb_disks *disks, const struct qb_pool_config *pool,
		     const char *machine_id, const struct qb_plan *plan, char ret_uuid[37])
{
	const struct qb_disk_selector *selector = pool->n_disks ? &pool->disks[0] : NULL;
	const char *identity = NULL, *planned;
	bool wanted = false;
	struct qb_pool_ids ids;

	for (size_t i = 0; plan && i < plan->n_steps; i++) {
		const json_t *args = plan->steps[i].args;

		if ((qb_streq(plan->steps[i].kind, QB_CARVE_KIND) ||
		     qb_streq(plan->steps[i].kind, QB_GROW_KIND)) &&
		    qb_streq(json_string_value(json_object_get(args, "pool")), pool->name))
			identity = json_string_value(json_object_get(args, "identity"));
	}
	planned = identity;
	/* Of several that carry the pool's mark, the one that qb_pool_plan() goes by. */
	for (size_t i = 0; !planned && i < disks->n_disks; i++) {
		const struct qb_disk *disk = &disks->disks[i];
		_cleanup_free_ char *differs = NULL;

		if (disk->mark.state != QB_MARK_READY || !disk->mark.ours ||
		    !qb_streq(disk->mark.pool, pool->name))
			continue;
		if (selector)
			differs = qb_selector_differs(selector, disk);
		if (differs && (wanted || !selector->has_match))
			continue;
		if (!identity || wanted != !differs || strcmp(qb_disk_identity(disk), identity) < 0)
			identity = qb_disk_identity(disk);
		wanted = !differs;
	}
	if (pool->type != QB_POOL_FS || !machine_id || !identity)
		return NULL;
	qb_pool_ids(machine_id, pool->name, identity, &ids);
	memcpy(ret_uuid, ids.pool_uuid, sizeof(ids.pool_uuid));
	return qb_asprintf("/dev/disk/by-partuuid/%s", ids.part_guid);
}
