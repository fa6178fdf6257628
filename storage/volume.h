/* SPDX-License-Identifier: Apache-2.0 */
/* Logical volumes that become file systems: what they are called, whose, and how far. Pure. */
#pragma once

#include "agent/base/uuid.h"
#include "storage/vg.h"

#define QB_VOLUME_KIND "storage.volume"
#define QB_VOLUME_TAG "qubi.volume="

enum {
	QB_VOLUME_TAG_LEN = sizeof(QB_VOLUME_TAG) + 36,
	QB_DM_NAME_MAX = 127, /* DM_NAME_LEN of linux/dm-ioctl.h with its zero */
};

/* Of a volume's size, one of the three. */
struct qb_volume_size {
	uint64_t bytes;
	uint64_t percent_of_group, percent_of_free;
};

/* "100GiB", "50%VG" or "100%FREE". -EINVAL, -ERANGE */
QB_MUST_CHECK int qb_volume_size_parse(const char *text, struct qb_volume_size *ret);

enum qb_volume_state {
	QB_VOLUME_IS_NOT,
	QB_VOLUME_IS_FOREIGN, /* one of its name is active, without the tag */
	QB_VOLUME_IS_PENDING, /* nobody's data are in it */
	QB_VOLUME_IS_READY,   /* its file system was whole when it became so */
};

struct qb_volume_look {
	enum qb_volume_state state;
	const struct qb_volume_group *group;  /* the pool's; NULL: there is none */
	const struct qb_logical_volume *ours; /* of pending and ready */
	bool is_new;                          /* pending, and not wiped yet */
	const struct qb_mapping *mapping;     /* NULL: it is not active */
};

/* The UUID of a volume on this machine, which its file system has as well. */
void qb_volume_uuid(const char *machine_id, const char *pool, const char *volume,
		    char ret[QB_UUID_LEN]);
/* Its tag: "qubi.volume=<uuid>". */
void qb_volume_tag(const char *uuid, char ret[QB_VOLUME_TAG_LEN]);
/* Its name in the device mapper: "group-volume", the hyphens of either doubled. */
char *qb_volume_dm_name(const char *group, const char *volume);
/* "volume vms/images": what it is called in a plan. The caller frees either. */
char *qb_volume_target(const struct qb_pool_config *pool, const struct qb_volume_config *volume);
/* /dev/GROUP/VOLUME */
char *qb_volume_node(const char *group, const char *volume);

void qb_volume_look(const struct qb_disks *disks, const struct qb_pool_config *pool,
		    const char *volume, const char *machine_id, struct qb_volume_look *ret);

/*
 * Adds the steps that make the volumes of pools that are not there, or refuses what is there
 * otherwise. After qb_pool_plan().
 */
void qb_volumes_plan(const struct qb_disks *disks, const struct qb_pool_config *pools,
		     size_t n_pools, const char *machine_id, const struct qb_ledger *ledger,
		     struct qb_plan *plan);

extern const struct qb_step_kind qb_volume_step; /* storage.volume */
