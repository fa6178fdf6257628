/* SPDX-License-Identifier: Apache-2.0 */
/* Who would lose a file system, were it unmounted. */
#pragma once

#include "agent/base/step.h"

/*
 * 0: the file system of source is mounted nowhere, or at target alone with nothing in it that mkfs
 * did not put there, and nobody uses it. -EBUSY, -ENOTEMPTY: what is in the way, and what to do.
 */
QB_MUST_CHECK int qb_target_is_unused(const struct qb_step_ctx *ctx, const char *source,
				      const char *target, struct qb_error *err);
