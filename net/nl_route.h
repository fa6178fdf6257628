/* SPDX-License-Identifier: Apache-2.0 */
/* Routes as netlink messages. */
#pragma once

#include "net/move.h"
#include "net/nl.h"

/* Adds the message of a QB_OP_ROUTE_*. ifindex is that of op->dev. */
QB_MUST_CHECK int qb_nl_write_route(const struct qb_op *op, unsigned ifindex,
				    struct qb_nl_batch *batch, struct qb_error *err);
