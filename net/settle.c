/* SPDX-License-Identifier: Apache-2.0 */
#include "net/settle.h"

#include <time.h>
#include <net/if.h>

#include "agent/base/clock.h"
#include "net/names.h"

#define WAIT_MS 1000

/* The route by which the host takes what is for this address, on this link. */
static bool is_local_route(const struct nlmsghdr *h, unsigned ifindex, const struct qb_ip *ip)
{
	static const struct nla_policy policy[RTA_MAX + 1] = {[RTA_OIF] = {.type = NLA_U32}};
	const struct rtmsg *rtm = nlmsg_data(h);
	struct nlattr *tb[RTA_MAX + 1];

	return h->nlmsg_type == RTM_NEWROUTE && rtm->rtm_type == RTN_LOCAL &&
	       rtm->rtm_dst_len == 128 &&
	       nlmsg_parse((struct nlmsghdr *)h, sizeof(*rtm), tb, RTA_MAX, policy) == 0 &&
	       tb[RTA_DST] && tb[RTA_OIF] && nla_get_u32(tb[RTA_OIF]) == ifindex &&
	       nla_len(tb[RTA_DST]) == (int)ip->len &&
	       memcmp(nla_data(tb[RTA_DST]), ip->bytes, ip->len) == 0;
}

static bool is_in_use(const struct qb_buf *routes, const struct qb_op *op)
{
	unsigned ifindex = if_nametoindex(op->dev);
	struct qb_ip ip;

	if (op->kind != QB_OP_ADDRESS_ADD || qb_ip_parse(op->address->address, &ip) < 0 ||
	    ip.family != AF_INET6)
		return true;
	for (struct nlmsghdr *h = qb_nl_next(routes, NULL); h; h = qb_nl_next(routes, h))
		if (is_local_route(h, ifindex, &ip))
			return true;
	return false;
}

int qb_nl_settle(struct nl_sock *sock, const struct qb_ops *ops, struct qb_error *err)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	const uint64_t end = qb_now_ms() + WAIT_MS;

	while (qb_now_ms() < end) {
		_cleanup_buf_ struct qb_buf routes = {0};
		int r = qb_nl_dump(sock, RTM_GETROUTE, AF_INET6, &routes, err);
		bool all = true;

		if (r < 0)
			return r;
		for (size_t j = 0; all && j < ops->n; j++)
			all = is_in_use(&routes, &ops->v[j]);
		if (all)
			break;
		nanosleep(&pause, NULL);
	}
	return 0;
}
