/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a snapshot, each from one dump. */
#pragma once

#include "net/link.h"
#include "net/nl.h"

/* Links with their addresses. */
QB_MUST_CHECK int qb_nl_links(struct nl_sock *sock, struct qb_net *net, struct qb_error *err);
/* Routes and rules; the links must be there for their names. */
QB_MUST_CHECK int qb_nl_routes(struct nl_sock *sock, struct qb_net *net, struct qb_error *err);

/* An Ethernet address as text; NULL for none. The caller frees it. */
char *qb_nl_mac(struct nlattr *attr);
/* The kind of a link and what that kind tells, of its IFLA_LINKINFO, which may be NULL. -EBADMSG */
QB_MUST_CHECK int qb_nl_link_kind(struct nlattr *linkinfo, struct qb_link *link);
