/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the step storage.group, which makes a volume group of disks, or extends it. */
#pragma once

#include "storage/carve.h"
#include "storage/vg.h"

struct qb_vg_args {
	const char *pool, *group, *tag; /* borrowed from the JSON */
	bool make;                      /* the group is to be made; else it is there */
	struct qb_carve_args *members;  /* by device number: the order in which they are locked */
	size_t n_members;
};

QB_MUST_CHECK int qb_vg_args_read(const json_t *json, struct qb_vg_args *ret, struct qb_error *err);
void qb_vg_args_done(struct qb_vg_args *args);
#define _cleanup_vg_args_ QB_CLEANUP(qb_vg_args_done)

/* Asks LVM for its groups. -EIO when it does not say what is here. */
QB_MUST_CHECK int qb_vg_ask(struct qb_disks *disks, struct qb_error *err);
/* The same, and which of them is the pool's: *ret of *disks, by its tag; NULL: there is none. */
QB_MUST_CHECK int qb_vg_ask_for(const struct qb_step_ctx *ctx, const char *pool, const char *group,
				struct qb_disks *disks, const struct qb_volume_group **ret,
				struct qb_error *err);

/* The host as it is now, and the pool's group. */
struct qb_vg_look {
	struct qb_disks disks;
	const struct qb_disk **members; /* in the order of the arguments; NULL: it is not here */
	const struct qb_volume_group *group; /* NULL: there is none */
	enum qb_vg_state state;
};

/* *ret is to be freed in any case. -EIO when LVM does not say what is here. */
QB_MUST_CHECK int qb_vg_look_at(const struct qb_step_ctx *ctx, const struct qb_vg_args *args,
				struct qb_vg_look *ret, struct qb_error *err);
void qb_vg_look_done(struct qb_vg_look *look);
#define _cleanup_vg_look_ QB_CLEANUP(qb_vg_look_done)

/* Runs LVM with these arguments. It sees what it always sees here: its filters are the host's. */
QB_MUST_CHECK int qb_lvm(const struct qb_step_ctx *ctx, const struct qb_strs *argv,
			 struct qb_error *err);
/*
 * LVM leaves what it wrote of a group in the caches of the disks: before somebody says that it is
 * done it has to be on them.
 */
QB_MUST_CHECK int qb_vg_sync(const struct qb_volume_group *group, struct qb_error *err);

QB_MUST_CHECK int qb_vg_apply(const struct qb_step_ctx *ctx, const json_t *json,
			      const json_t *before, struct qb_error *err);
QB_MUST_CHECK int qb_vg_undo(const struct qb_step_ctx *ctx, const json_t *json,
			     const json_t *before, struct qb_error *err);
/* As qb_vg_undo() would judge it, were the volumes gone that later steps made; what is not here, or
 * cannot be read, is passed. */
QB_MUST_CHECK int qb_vg_may_undo(const struct qb_step_ctx *ctx, const json_t *json,
				 const json_t *before, struct qb_error *err);
