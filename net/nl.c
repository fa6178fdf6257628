/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl.h"

#include <errno.h>
#include <sys/socket.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>

#include <netlink/errno.h>

#define BUFFER_BYTES (8 << 20) /* an ACK is charged about 1 KiB of it */
#define DUMP_TRIES 8
#define ERRNO_MAX 4095 /* MAX_ERRNO of the kernel */

static int from_nl(int nlerr)
{
	switch (-nlerr) {
	case NLE_NOMEM:
		return ENOMEM;
	case NLE_PERM:
	case NLE_NOACCESS:
		return EPERM;
	case NLE_DUMP_INTR:
	case NLE_AGAIN:
		return EAGAIN;
	case NLE_AF_NOSUPPORT:
	case NLE_OPNOTSUPP:
		return EOPNOTSUPP;
	case NLE_NODEV:
		return ENODEV;
	case NLE_INVAL:
		return EINVAL;
	default:
		return EIO;
	}
}

int qb_nl_open(struct nl_sock **ret, struct qb_error *err)
{
	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();
	int one = 1, size = BUFFER_BYTES, fd, r;

	if (!sock)
		return qb_error_set(err, ENOMEM, "netlink socket");
	r = nl_connect(sock, NETLINK_ROUTE);
	if (r < 0)
		return qb_error_set(err, from_nl(r), "netlink socket: %s", nl_geterror(r));
	fd = nl_socket_get_fd(sock);
	/* FORCE passes net.core.rmem_max but needs CAP_NET_ADMIN; without it, as much as goes. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* The kernel's own sentence beside the errno, and no copy of the request in an answer. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	nl_socket_set_msg_buf_size(sock, 64 << 10);
	*ret = QB_TAKE_PTR(sock);
	return 0;
}

static int keep_message(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *hdr = nlmsg_hdr(msg);
	static const char zero[NLMSG_ALIGNTO];

	qb_buf_add(arg, (const char *)hdr, hdr->nlmsg_len);
	qb_buf_add(arg, zero, NLMSG_ALIGN(hdr->nlmsg_len) - hdr->nlmsg_len);
	return NL_OK;
}

/* What each object of such a dump begins with; a rule's head has the size of a route's. */
static int head_of(int type)
{
	switch (type) {
	case RTM_GETLINK:
		return sizeof(struct ifinfomsg);
	case RTM_GETADDR:
		return sizeof(struct ifaddrmsg);
	case RTM_GETNEIGH:
		return sizeof(struct ndmsg);
	case RTM_GETNEXTHOP:
		return sizeof(struct nhmsg);
	default:
		return sizeof(struct rtmsg);
	}
}

static struct nl_msg *dump_request(int type, int family)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_DUMP);
	struct ifinfomsg link = {.ifi_family = (unsigned char)family};
	struct ifaddrmsg address = {.ifa_family = (unsigned char)family};
	struct rtmsg route = {.rtm_family = (unsigned char)family};
	struct ndmsg neigh = {.ndm_family = (unsigned char)family,
			      .ndm_flags = family & QB_NL_PROXIES ? NTF_PROXY : 0};
	struct nhmsg nexthop = {.nh_family = (unsigned char)family};
	int r = -1;

	if (!msg)
		return NULL;
	if (type == RTM_GETLINK) {
		r = nlmsg_append(msg, &link, sizeof(link), NLMSG_ALIGNTO);
		if (r == 0)
			r = nla_put_u32(msg, IFLA_EXT_MASK,
					family == AF_BRIDGE ? RTEXT_FILTER_BRVLAN_COMPRESSED
							    : RTEXT_FILTER_SKIP_STATS);
	} else if (type == RTM_GETADDR) {
		r = nlmsg_append(msg, &address, sizeof(address), NLMSG_ALIGNTO);
	} else if (type == RTM_GETNEIGH) {
		r = nlmsg_append(msg, &neigh, sizeof(neigh), NLMSG_ALIGNTO);
	} else if (type == RTM_GETNEXTHOP) {
		r = nlmsg_append(msg, &nexthop, sizeof(nexthop), NLMSG_ALIGNTO);
	} else {
		r = nlmsg_append(msg, &route, sizeof(route), NLMSG_ALIGNTO);
	}
	if (r == 0)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static int dump_once(struct nl_sock *sock, int type, int family, struct qb_buf *out)
{
	_cleanup_nl_msg_ struct nl_msg *msg = dump_request(type, family);
	struct nl_cb *cb;
	int r;

	if (!msg)
		return -NLE_NOMEM;
	cb = nl_cb_alloc(NL_CB_DEFAULT);
	if (!cb)
		return -NLE_NOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, keep_message, out);
	r = nl_send_auto(sock, msg);
	if (r >= 0)
		r = nl_recvmsgs(sock, cb);
	nl_cb_put(cb);
	return r < 0 ? r : 0;
}

int qb_nl_dump(struct nl_sock *sock, int type, int family, struct qb_buf *ret, struct qb_error *err)
{
	_cleanup_buf_ struct qb_buf out = {0};
	int r = -NLE_DUMP_INTR;

	for (int i = 0; i < DUMP_TRIES && r == -NLE_DUMP_INTR; i++) {
		out.len = 0;
		r = dump_once(sock, type, family, &out);
	}
	if (r < 0)
		return qb_error_set(err, from_nl(r), "netlink dump %d: %s", type, nl_geterror(r));
	for (struct nlmsghdr *h = qb_nl_next(&out, NULL); h; h = qb_nl_next(&out, h))
		if (nlmsg_datalen(h) < head_of(type))
			return qb_nl_error(h, err);
	*ret = out;
	out = (struct qb_buf){0};
	return 0;
}

int qb_nl_error(const struct nlmsghdr *hdr, struct qb_error *err)
{
	return qb_error_set(err, EBADMSG,
			    "netlink: a message of type %u and %u bytes makes no sense",
			    hdr->nlmsg_type, hdr->nlmsg_len);
}

struct nlmsghdr *qb_nl_next(const struct qb_buf *dump, const struct nlmsghdr *pos)
{
	size_t at = pos ? (size_t)((const char *)pos - dump->s) + NLMSG_ALIGN(pos->nlmsg_len) : 0;

	if (at + sizeof(*pos) > dump->len)
		return NULL;
	return (struct nlmsghdr *)(void *)(dump->s + at);
}

struct qb_nl_item *qb_nl_batch_add(struct qb_nl_batch *batch, struct nl_msg *msg, char *what)
{
	struct qb_nl_item *item = QB_APPEND(batch->items, batch->n_items);
	struct nlmsghdr *hdr = nlmsg_hdr(msg);

	hdr->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	hdr->nlmsg_seq = (uint32_t)batch->n_items;
	hdr->nlmsg_pid = 0;
	keep_message(msg, &batch->bytes);
	nlmsg_free(msg);
	item->what = what;
	item->result = -ENODATA;
	return item;
}

void qb_nl_batch_done(struct qb_nl_batch *batch)
{
	for (size_t i = 0; i < batch->n_items; i++)
		free(batch->items[i].what);
	free(batch->items);
	qb_buf_done(&batch->bytes);
	*batch = (struct qb_nl_batch){0};
}

/* The kernel's sentence in an answer; NULL where it gave none. */
static const char *answer_text(struct nlmsghdr *hdr)
{
	static const struct nla_policy policy[NLMSGERR_ATTR_MSG + 1] = {
		[NLMSGERR_ATTR_MSG] = {.type = NLA_STRING},
	};
	struct nlattr *tb[NLMSGERR_ATTR_MSG + 1];
	size_t at = NLMSG_HDRLEN + sizeof(struct nlmsgerr);
	const struct nlmsgerr *answer = NLMSG_DATA(hdr);

	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
		at += NLMSG_ALIGN(answer->msg.nlmsg_len) - NLMSG_HDRLEN;
	if (at >= hdr->nlmsg_len ||
	    nla_parse(tb, NLMSGERR_ATTR_MSG, (struct nlattr *)(void *)((char *)hdr + at),
		      (int)(hdr->nlmsg_len - at), policy) < 0 ||
	    !tb[NLMSGERR_ATTR_MSG])
		return NULL;
	return nla_get_string(tb[NLMSGERR_ATTR_MSG]);
}

static bool tolerated(const struct qb_nl_item *item)
{
	return item->result == 0 || -item->result == item->tolerate[0] ||
	       -item->result == item->tolerate[1];
}

/* Notes one answer; the first refusal is worded in err. */
static void take_answer(struct qb_nl_batch *batch, struct nlmsghdr *hdr, int *r,
			struct qb_error *err)
{
	const struct nlmsgerr *answer = NLMSG_DATA(hdr);
	struct qb_nl_item *item;
	const char *text;

	if (hdr->nlmsg_type != NLMSG_ERROR || hdr->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)) ||
	    !hdr->nlmsg_seq || hdr->nlmsg_seq > batch->n_items)
		return;
	item = &batch->items[hdr->nlmsg_seq - 1];
	item->result = answer->error > 0 || answer->error < -ERRNO_MAX ? -EBADMSG : answer->error;
	if (tolerated(item) || *r < 0)
		return;
	text = answer_text(hdr);
	*r = text ? qb_error_set(err, item->result, "%s: %s (%s)", item->what,
				 strerror(-item->result), text)
		  : qb_error_errno(err, item->result, "%s", item->what);
}

/*
 * sendmsg() returns when the kernel has worked through the batch, so all answers are there by
 * then and none is waited for.
 */
static int read_answers(int fd, struct qb_nl_batch *batch, struct qb_error *err)
{
	_Alignas(struct nlmsghdr) char buf[16 << 10];
	int r = 0;

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return qb_error_errno(err, errno, "answers of netlink");
		if (n <= 0)
			break;
		for (struct nlmsghdr *hdr = (void *)buf; NLMSG_OK(hdr, n); hdr = NLMSG_NEXT(hdr, n))
			take_answer(batch, hdr, &r, err);
	}
	for (size_t i = 0; r == 0 && i < batch->n_items; i++) {
		if (batch->items[i].result == -ENODATA)
			r = qb_error_set(err, EIO, "%s: the kernel gave no answer",
					 batch->items[i].what);
	}
	return r;
}

int qb_nl_batch_send(struct nl_sock *sock, struct qb_nl_batch *batch, struct qb_error *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct iovec iov = {.iov_base = batch->bytes.s, .iov_len = batch->bytes.len};
	struct msghdr msg = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	if (!batch->n_items)
		return 0;
	do
		n = sendmsg(nl_socket_get_fd(sock), &msg, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return qb_error_errno(err, errno, "netlink");
	return read_answers(nl_socket_get_fd(sock), batch, err);
}
