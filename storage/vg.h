/* SPDX-License-Identifier: Apache-2.0 */
/* The volume group of a pool of type logical: whose it is, and how far it came. Pure. */
#pragma once

#include "storage/select.h"

#define QB_VG_KIND "storage.group"
#define QB_VG_POOL "qubi.pool="
/* Of a volume: what was on its extents before is on it still. */
#define QB_VG_NEW "qubi.state=new"
#define QB_VG_PENDING "qubi.state=pending"
#define QB_VG_READY "qubi.state=ready"

enum {
	QB_VG_TAG_LEN = sizeof(QB_VG_POOL) + 36,
	QB_PV_UUID_LEN = 39,
};

enum qb_vg_state {
	QB_VG_IS_NOT,
	QB_VG_IS_FOREIGN, /* it has not the pool's tag */
	QB_VG_IS_PENDING, /* nobody's data are in it */
	QB_VG_IS_READY,
};

/* The tag of a pool's group on this machine: "qubi.pool=<uuid>". */
void qb_vg_tag(const char *machine_id, const char *pool, char ret[QB_VG_TAG_LEN]);
/* A member's UUID as LVM writes it: the same digits, grouped by 6, 4, 4, 4, 4, 4 and 6. */
void qb_pv_uuid(const char *uuid, char ret[QB_PV_UUID_LEN]);

/* What the configuration calls the group. */
const char *qb_vg_name(const struct qb_pool_config *pool);
/* The group with the pool's tag, whatever its name, else the one of its name; NULL: neither. */
const struct qb_volume_group *qb_vg_find(const struct qb_disks *disks,
					 const struct qb_pool_config *pool, const char *machine_id);
/* group may be NULL. */
enum qb_vg_state qb_vg_state(const struct qb_volume_group *group, const char *pool,
			     const char *machine_id);
/* Whether the disk, or a partition of it, is a physical volume of the group. */
bool qb_vg_has(const struct qb_volume_group *group, const struct qb_disk *disk);
/*
 * Whether the group lacks what carving makes of a disk with these ids: where that disk is here, the
 * kernel shows no partition of it, as its table is torn.
 */
bool qb_vg_lacks(const struct qb_volume_group *group, const struct qb_pool_ids *ids);
/* Carving gave the disk a description of the group, and LVM cannot read it. */
bool qb_vg_cannot_read(const struct qb_volume_group *group, const struct qb_disk *disk);
/*
 * What may be done with a disk, which claim says without regard to groups. group: the pool's, ids:
 * what carving the disk for the pool makes.
 */
enum qb_disk_claim qb_vg_claim(enum qb_disk_claim claim, const struct qb_disks *disks,
			       const struct qb_volume_group *group, enum qb_vg_state state,
			       const struct qb_disk *disk, const struct qb_pool_ids *ids);
