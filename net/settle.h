/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "net/move.h"
#include "net/nl.h"

/*
 * Waits until the IPv6 addresses that ops add are in use. The kernel takes them into use by a
 * worker of its own, some time after it said yes: until then there is no local route for them,
 * and what comes in for them is dropped unless another link has the address, too. A second at
 * most; a kernel that needs longer is not waited for.
 */
QB_MUST_CHECK int qb_nl_settle(struct nl_sock *sock, const struct qb_ops *ops,
			       struct qb_error *err);
