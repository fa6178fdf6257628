/* SPDX-License-Identifier: Apache-2.0 */
#include "net/hold.h"

#include <errno.h>
#include <poll.h>

#include <netlink/socket.h>

#include "net/neigh.h"
#include "net/nl_probe.h"
#include "net/nl_write.h"

#define LOOK_MS 1 /* also where nothing was told */

struct hold {
	const struct qb_net *net;
	const char *link;
	struct qb_nl_batch neighbours; /* to ask for them anew would take a second */
};

static struct qb_op *add(struct qb_ops *ops, enum qb_op_kind kind, const char *dev)
{
	struct qb_op *op = QB_APPEND(ops->v, ops->n);

	op->kind = kind;
	op->dev = dev;
	return op;
}

/* With an address its routes went. */
static void put_routes(const struct hold *hold, struct qb_ops *ops)
{
	for (int gateway = 0; gateway < 2; gateway++)
		for (size_t i = 0; i < hold->net->n_routes; i++) {
			const struct qb_route *r = &hold->net->routes[i];

			if (qb_streq(r->dev, hold->link) && !r->extra && !r->nhid &&
			    (r->gateway != NULL) == gateway)
				add(ops, QB_OP_ROUTE_ADD, hold->link)->route = r;
		}
}

/*
 * Whoever takes the link over may be just taking it away, so what fails comes again. routes: also
 * where no address went, for one that was announced may go alone.
 */
static void keep(struct hold *hold, struct nl_sock *sock, bool routes)
{
	const struct qb_link *was = qb_net_link(hold->net, hold->link);
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};
	_cleanup_net_ struct qb_net now = {0};
	struct qb_ops ops = {0};

	if (!was || qb_nl_links(sock, &now, NULL) < 0)
		return;
	for (size_t i = 0; i < was->n_addresses; i++)
		if (!qb_link_address(qb_net_link(&now, hold->link), was->addresses[i].address))
			add(&ops, QB_OP_ADDRESS_ADD, hold->link)->address = &was->addresses[i];
	if (ops.n || routes)
		put_routes(hold, &ops);
	if (ops.n && qb_nl_write_ops(sock, &ops, hold->link, &batch, NULL) == 0 &&
	    qb_nl_batch_send(sock, &batch, NULL) == 0)
		(void)!qb_nl_batch_send(sock, &hold->neighbours, NULL);
	free(ops.v);
}

/* The kernel tells it of addresses that go. */
static int listen_to_kernel(struct nl_sock **ret)
{
	int r = qb_nl_open(ret, NULL);

	if (r == 0 && (nl_socket_add_memberships(*ret, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
						 RTNLGRP_NONE) < 0 ||
		       nl_socket_set_nonblocking(*ret) < 0))
		r = -EIO;
	return r;
}

static void stand(int fd, void *data)
{
	_cleanup_nl_sock_ struct nl_sock *sock = NULL, *told = NULL;
	struct hold *hold = data;
	char bytes[8192];

	(void)fd;
	if (qb_nl_open(&sock, NULL) < 0 || listen_to_kernel(&told) < 0)
		return;
	(void)!qb_neigh_copy(sock, hold->link, hold->link, &hold->neighbours, NULL);
	for (;;) {
		struct pollfd p = {.fd = nl_socket_get_fd(told), .events = POLLIN};

		while (recv(p.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
		keep(hold, sock, false);
		(void)poll(&p, 1, LOOK_MS);
	}
}

int qb_hold_begin(const struct qb_net *net, const char *link, struct qb_child *ret,
		  struct qb_error *err)
{
	struct hold hold = {.net = net, .link = link};
	int r = qb_child_begin(stand, &hold, ret);

	return r < 0 ? qb_error_errno(err, r, "no process to keep the addresses of %s", link) : 0;
}

int qb_hold_end(const struct qb_net *net, const char *link, struct qb_child *child,
		struct qb_error *err)
{
	struct hold hold = {.net = net, .link = link};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	int r;

	qb_child_done(child);
	r = qb_nl_open(&sock, err);
	if (r == 0)
		keep(&hold, sock, true);
	return r;
}
