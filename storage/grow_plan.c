/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/grow.h"

#include "storage/gpt.h"
#include "storage/select.h"

enum qb_growth_state qb_growth_of(const struct qb_disk *disk, const struct qb_pool_ids *ids,
				  const struct qb_fs *fs, struct qb_growth *ret)
{
	const struct qb_partition *p = qb_disk_carved(disk, ids, fs);
	uint64_t start, room;

	*ret = (struct qb_growth){0};
	qb_carve_layout(disk->size_bytes, &start, &room);
	if (!p || p->start_bytes != start || disk->mark.end_bytes > disk->size_bytes)
		return QB_GROWTH_FOREIGN;
	*ret = (struct qb_growth){
		.partition = p,
		.from_bytes = p->fs_size_bytes ? p->fs_size_bytes : p->size_bytes,
		/* Somebody may have made it larger than we would. */
		.to_bytes = p->size_bytes > room ? p->size_bytes : room,
		.table = p->size_bytes < room,
	};
	return ret->to_bytes > ret->from_bytes && ret->to_bytes - ret->from_bytes >= fs->slack_bytes
		       ? QB_GROWTH_ROOM
		       : QB_GROWTH_NONE;
}

bool qb_grow_refuse_shrunk(const struct qb_pool_planning *p, const struct qb_member *m,
			   const char *target)
{
	const struct qb_disk *disk = &p->disks->disks[m->at];
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

bool qb_grow_plan(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		  const struct qb_member *m, const char *target)
{
	const struct qb_disk *disk = &p->disks->disks[m->at];
	const struct qb_fs *fs = &qb_file_systems[pool->format];
	_cleanup_free_ char *size = qb_format_size(disk->size_bytes), *from = NULL, *to = NULL;
	struct qb_growth growth;
	struct qb_pool_ids ids;
	json_t *args;

	qb_pool_ids(p->machine_id, pool->name, qb_disk_identity(disk), &ids);
	if (qb_growth_of(disk, &ids, fs, &growth) != QB_GROWTH_ROOM)
		return false;
	if (refuse_reasons(p, disk, target))
		return true;
	from = qb_format_size(growth.from_bytes);
	to = qb_format_size(growth.to_bytes);
	args = qb_member_args(p, pool, m);
	json_object_set_new(args, "from_bytes", json_integer((json_int_t)growth.from_bytes));
	json_object_set_new(args, "to_bytes", json_integer((json_int_t)growth.to_bytes));
	qb_step_why(qb_plan_step(p->plan, QB_GROW_KIND, QB_UNDO_NONE, args, target),
		    "%s (%s, %s) became larger: its %s grows from %s to %s, in use as it is; it "
		    "cannot be made smaller again",
		    disk->path, size, qb_disk_identity(disk), fs->title, from, to);
	return true;
}
