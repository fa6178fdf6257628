/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that became larger since it was carved: the table moves to its new end, the partition
 * takes the room, and what is in it grows, in use as it is. A step of its own; it only ever adds.
 */
#pragma once

#include "storage/choose.h"

#define QB_GROW_KIND "storage.grow"

enum qb_growth_state {
	QB_GROWTH_FOREIGN, /* what is on it is not what carving made there */
	QB_GROWTH_NONE,    /* it takes what there is */
	QB_GROWTH_ROOM,    /* it could take more */
};

struct qb_growth {
	const struct qb_partition *partition; /* of the disk; NULL: foreign */
	uint64_t from_bytes, to_bytes;        /* of what is in it, and of the room for that */
	bool table;                           /* the partition is to become larger, too */
};

/* Of a disk that carries the mark with these IDs. group: whose physical volume it is. Pure. */
enum qb_growth_state qb_growth_of(const struct qb_disk *disk, const struct qb_pool_ids *ids,
				  const struct qb_fs *fs, const struct qb_volume_group *group,
				  struct qb_growth *ret);

/* A pool's disk that is smaller than its table says: true, and the target is refused. Pure. */
bool qb_grow_refuse_shrunk(const struct qb_pool_planning *p, const struct qb_disk *disk,
			   const char *target);
/* Whether a carved member could take more. Pure. */
bool qb_grow_has_room(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		      const struct qb_member *m, struct qb_growth *ret);
/* Adds the step that enlarges a carved member, or refuses it. False: there is nothing to do. Pure.
 */
bool qb_grow_plan(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		  const struct qb_member *m, const char *target);

extern const struct qb_step_kind qb_grow_step; /* storage.grow */
