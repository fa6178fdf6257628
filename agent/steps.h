/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of steps. A new one is named in the table of steps.c. */
#pragma once

#include "agent/base/step.h"

/* NULL when there is no such kind: a journal of another version may name one. */
const struct qb_step_kind *qb_step_kind_find(const char *kind);
