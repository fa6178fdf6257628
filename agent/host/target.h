/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/step.h"

/* What is mounted at target is the source, not the empty directory beneath; else -EIO. */
QB_MUST_CHECK int qb_target_is_mounted(const struct qb_step_ctx *ctx, const char *source,
				       const char *target, struct qb_error *err);
