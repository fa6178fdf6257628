/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt's mounting of a pool and our own of a volume have in common. */
#pragma once

#include "agent/base/step.h"

#define QB_MOUNT_UNITS "/etc/systemd/system"
#define QB_MOUNT_WANTS QB_MOUNT_UNITS "/local-fs.target.wants"

/*
 * A directory of our own making gets its label, where there are labels, and libvirt's mode, 0711;
 * not where it keeps_mode.
 */
QB_MUST_CHECK int qb_mount_dress(const struct qb_step_ctx *ctx, const char *target, bool keeps_mode,
				 struct qb_error *err);
/*
 * Whether what is mounted there has the root directory that mkfs makes, root's own and of mode
 * 0755: to be dressed yet. What differs from that somebody gave it, and it is kept.
 */
bool qb_mount_is_bare(const struct qb_step_ctx *ctx, const char *target);
/*
 * Mounting over a directory that holds something would hide it: to its owner it would be lost.
 * -ESTALE where it would.
 */
QB_MUST_CHECK int qb_mount_would_hide(const struct qb_step_ctx *ctx, const char *source,
				      const char *target, struct qb_error *err);
/*
 * The directory that a mount point is while nothing is mounted there: immutable, nobody writes into
 * it by mistake what belongs on the volume. Where its file system has no such thing it stays as it
 * is.
 */
void qb_mount_bar(const struct qb_step_ctx *ctx, const char *target, bool on);
bool qb_mount_is_barred(const struct qb_step_ctx *ctx, const char *target);
/* Removes a directory that apply made, when it is empty still. */
QB_MUST_CHECK int qb_mount_remove_target(const struct qb_step_ctx *ctx, const char *target,
					 struct qb_error *err);

/* The name of systemd's unit for a mount point, as systemd-escape(1) makes it. Pure. */
char *qb_mount_unit(const char *target);
/* The link by which systemd mounts it at boot. Pure. The caller frees either. */
char *qb_mount_link(const char *target);
