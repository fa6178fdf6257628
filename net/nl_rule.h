/* SPDX-License-Identifier: Apache-2.0 */
/* Policy rules and nexthop objects, from netlink messages and as such. */
#pragma once

#include "net/move.h"
#include "net/nl.h"

/* Adds the rule to net unless it is one of the kernel's own. -EBADMSG */
QB_MUST_CHECK int qb_nl_parse_rule(struct nlmsghdr *hdr, int family, struct qb_net *net);
/* Adds the message of a QB_OP_RULE_*: what names the link op->from names op->dev instead. */
QB_MUST_CHECK int qb_nl_write_rule(const struct qb_op *op, struct qb_nl_batch *batch,
				   struct qb_error *err);

/* Adds the object to net when it leaves by a link of net. -EBADMSG */
QB_MUST_CHECK int qb_nl_parse_nexthop(struct nlmsghdr *hdr, struct qb_net *net);
/* Adds the message of a QB_OP_NEXTHOP. ifindex is that of op->dev. */
QB_MUST_CHECK int qb_nl_write_nexthop(const struct qb_op *op, unsigned ifindex,
				      struct qb_nl_batch *batch, struct qb_error *err);
