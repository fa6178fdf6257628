/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's per-link switches that a bridge takes over from the NIC whose place it takes. */
#pragma once

#include "agent/base/root.h"
#include "net/move.h"
#include "net/nl.h"

/* A small number of /proc/sys/net, or -1: no such link, or no such family in this kernel. */
int qb_setting_read(const struct qb_root *root, const char *family, const char *link,
		    const char *name);
QB_MUST_CHECK int qb_setting_write(const struct qb_root *root, const char *family, const char *link,
				   const char *name, int value, struct qb_error *err);

/*
 * A new bridge would listen to routers and make itself addresses by the defaults of this host;
 * it has to do as the NIC did, and has the NIC's addresses instead of new ones.
 */
QB_MUST_CHECK int qb_settings_copy(const struct qb_root *root, struct nl_sock *sock,
				   const struct qb_move *move, struct qb_error *err);
