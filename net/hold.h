/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the addresses and routes of a link while NetworkManager takes it over. It switches IPv6 of
 * the link off and on for that, which takes all of it away, and has a lease or an announcement only
 * some time later. A process of its own looks every millisecond and puts back what is missing, with
 * the lifetime it had. It ends with its parent.
 */
#pragma once

#include "agent/base/child.h"
#include "net/link.h"

/* net is as it is to be kept, and outlives the process. */
QB_MUST_CHECK int qb_hold_begin(const struct qb_net *net, const char *link, struct qb_child *ret,
				struct qb_error *err);
