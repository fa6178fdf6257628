/* SPDX-License-Identifier: Apache-2.0 */
/* Which disks each pool gets: where pools compete, and what was bound stays so. Pure. */
#pragma once

#include "storage/vg.h"

/* What is being planned: one of it for all pools. */
struct qb_pool_planning {
	const struct qb_disks *disks;
	const char *machine_id;
	const struct qb_ledger *ledger;
	struct qb_plan *plan;
	const struct qb_pool_config **owner; /* of each disk; NULL: nobody's yet */
};

struct qb_member {
	size_t at; /* its index among the disks */
	enum qb_disk_claim claim;
	bool by_path; /* the configuration names it by its path */
};

struct qb_choice {
	const struct qb_pool_config *pool;
	struct qb_member *members;
	size_t n_members;
	struct qb_strs passed_over; /* what matches and cannot be had, and why: "/dev/sdc (swap)" */
	bool done;                  /* decided or refused */
};

/* "pool images": what a pool is called in a plan; the caller frees it. */
char *qb_pool_target(const struct qb_pool_config *pool);
/* Some of its disks are not named, but matched. */
bool qb_pool_is_by_match(const struct qb_pool_config *pool);

/* Every reason against the disk becomes one against target. */
void qb_refuse_disk(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		    const char *target, const struct qb_disk *disk, bool by_path);

/* The arguments of the step that carves a member. A new reference. */
json_t *qb_member_args(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		       const struct qb_member *m);

/*
 * Gives each choice that is not done its members, or refuses it with what speaks against each
 * disk, and is done with it. Those named by identity or path come first.
 */
void qb_choose(struct qb_pool_planning *p, struct qb_choice *choices, size_t n);

/* Whether the pool's group can be told apart from others; what cannot be planned is refused. */
void qb_vg_look(const struct qb_pool_planning *p, struct qb_choice *c);
/* Adds the step that makes or extends the group of the disks chosen, where there is one to do. */
void qb_vg_plan(const struct qb_pool_planning *p, const struct qb_choice *c);
