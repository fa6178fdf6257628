/* SPDX-License-Identifier: Apache-2.0 */
/* What the hardware was when a run last succeeded: agent/host/hardware.h, kept in a file. */
#pragma once

#include <jansson.h>

#include "agent/base/root.h"

/*
 * An object that the program keeps in a file. *ret is NULL where there is none; -EBADMSG for a file
 * that is damaged, with what that means.
 */
QB_MUST_CHECK int qb_state_read(const struct qb_root *root, const char *path, const char *damaged,
				json_t **ret, struct qb_error *err);
/* What was noted, as qb_state_read(). */
QB_MUST_CHECK int qb_noted_read(const struct qb_root *root, json_t **ret, struct qb_error *err);
/* Nothing is written where the file has that already. */
QB_MUST_CHECK int qb_noted_write(const struct qb_root *root, const json_t *hardware,
				 struct qb_error *err);
