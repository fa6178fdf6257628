/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the host has started since a step was done: an undo then finds other links. */
#pragma once

#include <jansson.h>

#include "agent/base/root.h"

/* Adds "boot", the kernel's name of this boot, to the before of a step. */
void qb_boot_note(const struct qb_root *root, json_t *before);
/* What does not say, or cannot be compared, counts as of this boot. */
bool qb_boot_is_same(const struct qb_root *root, const json_t *before);
