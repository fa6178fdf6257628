/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink: a socket, dumps and batches. libnl's errors are translated here and nowhere else.
 * Attributes are read and written one by one rather than through libnl-route's objects: those do
 * not know all of what a link, an address or a route has, and what they do not know would be lost.
 */
#pragma once

#include <linux/rtnetlink.h>

#include <netlink/netlink.h>
#include <netlink/msg.h>
#include <netlink/attr.h>

#include "agent/base/error.h"
#include "agent/base/str.h"

QB_DEFINE_CLEANUP(struct nl_sock *, nl_socket_free);
QB_DEFINE_CLEANUP(struct nl_msg *, nlmsg_free);
#define _cleanup_nl_sock_ QB_CLEANUP(nl_socket_freep)
#define _cleanup_nl_msg_ QB_CLEANUP(nlmsg_freep)

QB_MUST_CHECK int qb_nl_open(struct nl_sock **ret, struct qb_error *err);

/* With the family of a dump of neighbours: those for which the host answers, instead. */
#define QB_NL_PROXIES 0x100

/*
 * Asks for all objects of a kind and family; *ret holds the answers, one after the other, to be
 * walked with qb_nl_next(); each has the whole of its fixed head. A dump that the kernel says was
 * disturbed is taken again, a few times, and is then -EAGAIN.
 */
QB_MUST_CHECK int qb_nl_dump(struct nl_sock *sock, int type, int family, struct qb_buf *ret,
			     struct qb_error *err);
/* The message after pos (NULL: the first), or NULL. */
struct nlmsghdr *qb_nl_next(const struct qb_buf *dump, const struct nlmsghdr *pos);
/* -EBADMSG for one whose parts are not what the kernel's headers say. */
int qb_nl_error(const struct nlmsghdr *hdr, struct qb_error *err);

/* One request of a batch, and what came of it. */
struct qb_nl_item {
	char *what;      /* for a message: "address 192.0.2.1/24 on br0" */
	int tolerate[2]; /* errnos that mean that it is already so; 0 for none */
	int result;      /* 0 or -errno; -ENODATA while no answer came */
};

struct qb_nl_batch {
	struct qb_buf bytes;
	struct qb_nl_item *items;
	size_t n_items;
};

/* Adds a message with its wording; both are stolen. */
struct qb_nl_item *qb_nl_batch_add(struct qb_nl_batch *batch, struct nl_msg *msg, char *what);
void qb_nl_batch_done(struct qb_nl_batch *batch);
#define _cleanup_nl_batch_ QB_CLEANUP(qb_nl_batch_done)

/*
 * Sends all in one sendmsg(2), so that the kernel works through them without a pause, and reads
 * every answer. It is not a transaction: what follows a refused message is executed nevertheless.
 * Fails with the first refusal that is not tolerated.
 */
QB_MUST_CHECK int qb_nl_batch_send(struct nl_sock *sock, struct qb_nl_batch *batch,
				   struct qb_error *err);
