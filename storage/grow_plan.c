/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/grow.h"

#include "storage/gpt.h"
#include "storage/vg.h"

/* What is in the partition takes of it. */
static uint64_t taken_of(const struct qb_partition *p, const struct qb_volume_group *group)
{
	for (size_t i = 0; group && i < group->n_sizes; i++)
		if (qb_streq(group->sizes[i].path, p->path))
			return group->sizes[i].taken_bytes;
	return p->fs_size_bytes ? p->fs_size_bytes : p->size_bytes;
}

enum qb_growth_state qb_growth_of(const struct qb_disk *disk, const struct qb_pool_ids *ids,
				  const struct qb_fs *fs, const struct qb_volume_group *group,
				  struct qb_growth *ret)
{
	const struct qb_partition *p = qb_disk_carved(disk, ids, fs);
	uint64_t start, room, slack = fs->slack_bytes + (group ? group->extent_bytes : 0);

	*ret = (struct qb_growth){0};
	qb_carve_layout(disk->size_bytes, &start, &room);
	if (!p || p->start_bytes != start || disk->mark.end_bytes > disk->size_bytes)
		return QB_GROWTH_FOREIGN;
	*ret = (struct qb_growth){
		.partition = p,
		.from_bytes = taken_of(p, group),
		/* Somebody may have made it larger than we would. */
		.to_bytes = p->size_bytes > room ? p->size_bytes : room,
		.table = p->size_bytes < room,
	};
	return ret->to_bytes > ret->from_bytes && ret->to_bytes - ret->from_bytes >= slack
		       ? QB_GROWTH_ROOM
		       : QB_GROWTH_NONE;
}

bool qb_grow_refuse_shrunk(const struct qb_pool_planning *p, const struct qb_disk *disk,
			   const char *target)
{
	_cleanup_free_ char *is = qb_format_size(disk->size_bytes);
	_cleanup_free_ char *was = qb_format_size(disk->mark.end_bytes);

	if (disk->mark.end_bytes <= disk->size_bytes)
		return false;
	qb_plan_refuse(p->plan, target, "shrunk",
		       "%s has %ju bytes (%s), and its partition ends at byte %ju (%s): the disk "
		       "became smaller, and what was behind its end is out of reach; make it as "
		       "large as it was, nothing is written to it until then",
		       disk->path, (uintmax_t)disk->size_bytes, is, (uintmax_t)disk->mark.end_bytes,
		       was);
	return true;
}

/* What speaks against writing to a disk also where it is the pool's own and in use. */
static bool refuse_reasons(const struct qb_pool_planning *p, const struct qb_disk *disk,
			   const char *target)
{
	static const char *const codes[] = {"read-only",   "multipath-member", "nvme-path",
					    "no-identity", "ambiguous",        "probe-error"};
	bool any = false;

	for (size_t i = 0; i < disk->n_reasons; i++)
		for (size_t k = 0; k < QB_ARRAY_SIZE(codes); k++) {
			if (!qb_streq(disk->reasons[i].code, codes[k]))
				continue;
			qb_plan_refuse(p->plan, target, codes[k],
				       "%s became larger, and cannot be taken into use: %s",
				       disk->path, disk->reasons[i].evidence);
			any = true;
		}
	return any;
}

static const struct qb_fs *in_partition(const struct qb_pool_config *pool)
{
	return pool->type == QB_POOL_LOGICAL ? &qb_physical_volume : &qb_file_systems[pool->format];
}

bool qb_grow_has_room(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		      const struct qb_member *m, struct qb_growth *ret)
{
	const struct qb_disk *disk = &p->disks->disks[m->at];
	const struct qb_volume_group *group =
		pool->type == QB_POOL_LOGICAL ? qb_vg_find(p->disks, pool, p->machine_id) : NULL;
	struct qb_pool_ids ids;

	qb_pool_ids(p->machine_id, pool->name, qb_disk_identity(disk), &ids);
	return qb_growth_of(disk, &ids, in_partition(pool), group, ret) == QB_GROWTH_ROOM;
}

bool qb_grow_plan(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		  const struct qb_member *m, const char *target)
{
	const struct qb_disk *disk = &p->disks->disks[m->at];
	_cleanup_free_ char *size = qb_format_size(disk->size_bytes), *from = NULL, *to = NULL;
	struct qb_growth growth;
	json_t *args;

	if (!qb_grow_has_room(p, pool, m, &growth))
		return false;
	if (refuse_reasons(p, disk, target))
		return true;
	from = qb_format_size(growth.from_bytes);
	to = qb_format_size(growth.to_bytes);
	args = qb_member_args(p, pool, m);
	if (pool->type == QB_POOL_LOGICAL)
		json_object_set_new(args, "group", json_string(qb_vg_name(pool)));
	json_object_set_new(args, "from_bytes", json_integer((json_int_t)growth.from_bytes));
	json_object_set_new(args, "to_bytes", json_integer((json_int_t)growth.to_bytes));
	qb_step_why(qb_plan_step(p->plan, QB_GROW_KIND, QB_UNDO_NONE, args, target),
		    "%s (%s, %s) became larger: its %s grows from %s to %s, in use as it is; it "
		    "cannot be made smaller again",
		    disk->path, size, qb_disk_identity(disk), in_partition(pool)->title, from, to);
	return true;
}
