/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the addresses and routes of a link while its owner changes: NetworkManager switches IPv6 of
 * a link off and on when it takes it over, systemd-networkd takes away what another unit gave, and
 * either has a lease or an announcement only some time later. A process of its own, which the
 * kernel tells of each change, puts back what is missing, with the lifetime it had. It ends with
 * its parent.
 */
#pragma once

#include "agent/base/child.h"
#include "net/link.h"

/* net is as it is to be kept, and outlives the process. */
QB_MUST_CHECK int qb_hold_begin(const struct qb_net *net, const char *link, struct qb_child *ret,
				struct qb_error *err);
/* Ends the process, once the owner is through, and does what it may not have come to. */
QB_MUST_CHECK int qb_hold_end(const struct qb_net *net, const char *link, struct qb_child *child,
			      struct qb_error *err);
