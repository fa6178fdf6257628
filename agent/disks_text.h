/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/step.h"
#include "storage/disk.h"

/*
 * One table of all disks, beneath each disk every reason against it. plan: for which pool it takes
 * a disk is told as well; may be NULL. No line is longer than width, whatever the names. Pure.
 */
void qb_disks_text(const struct qb_disks *disks, const struct qb_plan *plan, bool colour,
		   unsigned width, struct qb_buf *out);
