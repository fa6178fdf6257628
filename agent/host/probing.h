/* SPDX-License-Identifier: Apache-2.0 */
/* Yes-or-no facts read from files. Shared by the probes of this directory. */
#pragma once

#include "agent/base/root.h"
#include "agent/base/tri.h"

/*
 * What it means that path could not be read (r is -errno): "no" when it is missing while parent is
 * there, else unknown with the cause. A tree that was captured without /sys says nothing about
 * what /sys would hold. Without a parent (NULL) a missing file is always unknown.
 */
void qb_tri_absent(const struct qb_root *root, const char *path, const char *parent, int r,
		   struct qb_tri *ret);
/* Whether path is there. */
void qb_tri_exists(const struct qb_root *root, const char *path, const char *parent,
		   struct qb_tri *ret);
/* Whether path says 1, Y or y; a missing one is as qb_tri_absent() says. */
void qb_tri_flag(const struct qb_root *root, const char *path, const char *parent,
		 struct qb_tri *ret);
