/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/vg.h"

#include "agent/base/uuid.h"

void qb_vg_tag(const char *machine_id, const char *pool, char ret[QB_VG_TAG_LEN])
{
	char uuid[QB_UUID_LEN];

	qb_uuid5((const char *const[]){"volume-group", machine_id, pool, NULL}, uuid);
	snprintf(ret, QB_VG_TAG_LEN, "%s%s", QB_VG_POOL, uuid);
}

void qb_pv_uuid(const char *uuid, char ret[QB_PV_UUID_LEN])
{
	static const size_t groups[] = {6, 4, 4, 4, 4, 4, 6};
	char *to = ret;

	for (size_t i = 0; i < QB_ARRAY_SIZE(groups); i++) {
		if (i)
			*to++ = '-';
		for (size_t n = 0; n < groups[i] && *uuid; uuid++)
			if (*uuid != '-') {
				*to++ = *uuid;
				n++;
			}
	}
	*to = '\0';
}

const char *qb_vg_name(const struct qb_pool_config *pool)
{
	return pool->volume_group ? pool->volume_group : pool->name;
}

const struct qb_volume_group *qb_vg_find(const struct qb_disks *disks,
					 const struct qb_pool_config *pool, const char *machine_id)
{
	const struct qb_volume_group *named = NULL;
	char tag[QB_VG_TAG_LEN];

	qb_vg_tag(machine_id, pool->name, tag);
	for (size_t i = 0; i < disks->n_groups; i++) {
		if (qb_strs_has(&disks->groups[i].tags, tag))
			return &disks->groups[i];
		if (qb_streq(disks->groups[i].name, qb_vg_name(pool)))
			named = &disks->groups[i];
	}
	return named;
}

enum qb_vg_state qb_vg_state(const struct qb_volume_group *group, const char *pool,
			     const char *machine_id)
{
	char tag[QB_VG_TAG_LEN];

	if (!group)
		return QB_VG_IS_NOT;
	qb_vg_tag(machine_id, pool, tag);
	if (!qb_strs_has(&group->tags, tag))
		return QB_VG_IS_FOREIGN;
	return qb_strs_has(&group->tags, QB_VG_PENDING) ? QB_VG_IS_PENDING : QB_VG_IS_READY;
}

bool qb_vg_has(const struct qb_volume_group *group, const struct qb_disk *disk)
{
	if (!group)
		return false;
	for (size_t i = 0; i < disk->n_partitions; i++)
		if (qb_strs_has(&group->physical_volumes, disk->partitions[i].path))
			return true;
	return qb_strs_has(&group->physical_volumes, disk->path);
}

/* Somebody may have made one of what was only begun. */
static bool other_group_has(const struct qb_disks *disks, const struct qb_volume_group *group,
			    const struct qb_disk *disk)
{
	for (size_t i = 0; i < disks->n_groups; i++)
		if (&disks->groups[i] != group && qb_vg_has(&disks->groups[i], disk))
			return true;
	return false;
}

bool qb_vg_lacks(const struct qb_volume_group *group, const struct qb_pool_ids *ids)
{
	char uuid[QB_PV_UUID_LEN];

	qb_pv_uuid(ids->fs_uuid, uuid);
	return group && qb_strs_has(&group->missing_uuids, uuid);
}

bool qb_vg_cannot_read(const struct qb_volume_group *group, const struct qb_disk *disk)
{
	for (size_t i = 0; group && i < group->n_sizes; i++)
		if (group->sizes[i].unread && disk->n_partitions == 1 &&
		    qb_streq(group->sizes[i].path, disk->partitions[0].path))
			return true;
	return false;
}

enum qb_disk_claim qb_vg_claim(enum qb_disk_claim claim, const struct qb_disks *disks,
			       const struct qb_volume_group *group, enum qb_vg_state state,
			       const struct qb_disk *disk, const struct qb_pool_ids *ids)
{
	bool has = qb_vg_has(group, disk);

	if (other_group_has(disks, group, disk) || (has && state == QB_VG_IS_FOREIGN))
		return QB_CLAIM_NONE;
	/* The mark says that data may be on it; the group, where they are. */
	if (claim == QB_CLAIM_READY && (!has || state != QB_VG_IS_READY))
		return QB_CLAIM_NONE;
	/* A cut tore its copy of the group's description: LVM goes by the others, and leaves it. */
	if (claim == QB_CLAIM_READY)
		return qb_vg_cannot_read(group, disk) ? QB_CLAIM_COMMIT : claim;
	/* Its tag says so more than the table, also when there are volumes in it by now. */
	if ((has || qb_vg_lacks(group, ids)) && state == QB_VG_IS_READY &&
	    (claim == QB_CLAIM_RESUME || (disk->mark.state == QB_MARK_PENDING && disk->mark.ours)))
		return QB_CLAIM_COMMIT;
	return claim;
}
