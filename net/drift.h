/* SPDX-License-Identifier: Apache-2.0 */
/* Key by key, in what something that is there is not as wanted. Pure. */
#pragma once

#include "net/keyfile.h"

/* Of a bridge and its ports; empty, too, where there is no bridge. A new reference. */
json_t *qb_bridge_differences(const struct qb_net *net, const struct qb_move *move);
/* The bridge is there, and as the move would leave it. */
bool qb_move_is_done(const struct qb_net *net, const struct qb_move *move);

/* The families of which the configuration says what the bridge has; else it inherits. */
struct qb_fixed {
	bool inet, inet6;
};

/*
 * Adds to list every key that wanted, a profile or unit, has and text, which was read from path,
 * has not with that value; and those that it has and wanted has not, where that matters. What is of
 * a family that is not fixed is left out: there the file is what holds. But one that has lost what
 * this program had written into it, written or NULL, and what the host still has, is damaged.
 */
void qb_keyfile_differences(const char *path, const char *text, const char *wanted,
			    const char *written, const struct qb_fixed *fixed, json_t *list);

/* What a step net.persist of these args, or NULL, wrote there; NULL: nothing. */
const char *qb_keyfile_written(const json_t *args, const char *path);

/*
 * The path of the first profile that is not there or differs, or is of a port that is not wanted
 * any more; NULL: all are as wanted. args: of the newest step net.persist that stands, or NULL.
 * *ret_any: one is there. *ret_list: all as arguments of step net.persist, *ret_differences: how
 * those that are there differ, which are missing beside them, and which are to go; new references.
 */
const char *qb_keyfiles_missing(const struct qb_net *net, const struct qb_keyfiles *files,
				const json_t *args, const struct qb_fixed *fixed, bool *ret_any,
				json_t **ret_list, json_t **ret_differences);
