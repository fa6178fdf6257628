/* SPDX-License-Identifier: Apache-2.0 */
#include "net/neigh.h"

#include <errno.h>
#include <time.h>
#include <net/if.h>
#include <linux/neighbour.h>

#include "agent/base/clock.h"
#include "net/names.h"

#define POLL_MS 5
#define COPY_MAX 512
#define ADDRESS_MAX 32 /* MAX_ADDR_LEN of the kernel */

static int state_of(struct nl_sock *sock, unsigned ifindex, const struct qb_ip *ip,
		    unsigned *ret_state, struct qb_error *err)
{
	_cleanup_buf_ struct qb_buf dump = {0};
	int r = qb_nl_dump(sock, RTM_GETNEIGH, ip->family, &dump, err);

	if (r < 0)
		return r;
	*ret_state = NUD_NONE;
	for (struct nlmsghdr *h = qb_nl_next(&dump, NULL); h; h = qb_nl_next(&dump, h)) {
		const struct ndmsg *ndm = nlmsg_data(h);
		struct nlattr *tb[NDA_MAX + 1];

		if (h->nlmsg_type != RTM_NEWNEIGH || ndm->ndm_ifindex != (int)ifindex ||
		    nlmsg_parse(h, sizeof(*ndm), tb, NDA_MAX, NULL) < 0 || !tb[NDA_DST] ||
		    nla_len(tb[NDA_DST]) != (int)ip->len ||
		    memcmp(nla_data(tb[NDA_DST]), ip->bytes, ip->len) != 0)
			continue;
		*ret_state = ndm->ndm_state;
	}
	return 0;
}

static int send_one(struct nl_sock *sock, int type, const struct ndmsg *ndm, const struct qb_ip *ip,
		    char *what, struct qb_error *err)
{
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};
	struct nl_msg *msg =
		nlmsg_alloc_simple(type, type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0);

	if (!msg || nlmsg_append(msg, (void *)ndm, sizeof(*ndm), NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, NDA_DST, (int)ip->len, ip->bytes) < 0)
		abort();
	qb_nl_batch_add(&batch, msg, what);
	return qb_nl_batch_send(sock, &batch, err);
}

/* Starts resolution where the address of the neighbour is not known, else asks it to confirm. */
static int ask(struct nl_sock *sock, unsigned ifindex, const struct qb_ip *ip, unsigned state,
	       const char *address, struct qb_error *err)
{
	bool known = state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE);
	const struct ndmsg ndm = {
		.ndm_family = (unsigned char)ip->family,
		.ndm_ifindex = (int)ifindex,
		.ndm_state = known ? NUD_PROBE : NUD_NONE,
		.ndm_flags = known ? 0 : NTF_USE,
	};

	return send_one(sock, RTM_NEWNEIGH, &ndm, ip, qb_asprintf("asking for %s", address), err);
}

/*
 * The kernel goes on asking for seconds, and tells all who send there meanwhile that nobody is
 * there, although the change may be what lets the neighbour answer. The next one to send asks anew.
 */
static void take_back(struct nl_sock *sock, unsigned ifindex, const struct qb_ip *ip,
		      const char *address)
{
	const struct ndmsg ndm = {.ndm_family = (unsigned char)ip->family,
				  .ndm_ifindex = (int)ifindex};

	(void)!send_one(sock, RTM_DELNEIGH, &ndm, ip, qb_asprintf("forgetting %s", address), NULL);
}

static void copy_one(const struct ndmsg *from, struct nlattr **tb, unsigned to,
		     struct qb_nl_batch *batch)
{
	bool proxy = from->ndm_flags & NTF_PROXY, by_hand = from->ndm_state & NUD_PERMANENT;
	struct ndmsg ndm = {
		.ndm_family = from->ndm_family,
		.ndm_ifindex = (int)to,
		.ndm_state = proxy     ? NUD_NONE
			     : by_hand ? NUD_PERMANENT
				       : NUD_STALE,
		.ndm_flags = from->ndm_flags & (NTF_ROUTER | NTF_PROXY),
	};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWNEIGH, NLM_F_CREATE);

	if (!msg || nlmsg_append(msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, NDA_DST, nla_len(tb[NDA_DST]), nla_data(tb[NDA_DST])) < 0 ||
	    (tb[NDA_LLADDR] &&
	     nla_put(msg, NDA_LLADDR, nla_len(tb[NDA_LLADDR]), nla_data(tb[NDA_LLADDR])) < 0) ||
	    (tb[NDA_PROTOCOL] && nla_put_u8(msg, NDA_PROTOCOL, nla_get_u8(tb[NDA_PROTOCOL])) < 0))
		abort();
	qb_nl_batch_add(batch, msg, qb_strdup("neighbour"))->tolerate[0] = EEXIST;
}

static bool is_to_copy(const struct ndmsg *ndm, struct nlattr **tb, unsigned *n_learned)
{
	static const int addresses[] = {NDA_DST, NDA_LLADDR};
	const unsigned learned = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;

	for (size_t i = 0; i < QB_ARRAY_SIZE(addresses); i++)
		if (tb[addresses[i]] && nla_len(tb[addresses[i]]) > ADDRESS_MAX)
			return false;
	if (!tb[NDA_DST])
		return false;
	if (ndm->ndm_flags & NTF_PROXY)
		return true;
	if (!tb[NDA_LLADDR])
		return false;
	return ndm->ndm_state & NUD_PERMANENT ||
	       (ndm->ndm_state & learned && (*n_learned)++ < COPY_MAX);
}

int qb_neigh_copy(struct nl_sock *sock, const char *from, const char *to, struct qb_nl_batch *batch,
		  struct qb_error *err)
{
	static const int families[] = {AF_INET, AF_INET6, AF_INET | QB_NL_PROXIES,
				       AF_INET6 | QB_NL_PROXIES};
	unsigned source = if_nametoindex(from), target = if_nametoindex(to), n = 0;

	for (size_t i = 0; i < QB_ARRAY_SIZE(families); i++) {
		_cleanup_buf_ struct qb_buf dump = {0};
		int r = qb_nl_dump(sock, RTM_GETNEIGH, families[i], &dump, err);

		if (r < 0)
			return r;
		for (struct nlmsghdr *h = qb_nl_next(&dump, NULL); h; h = qb_nl_next(&dump, h)) {
			static const struct nla_policy policy[NDA_MAX + 1] = {
				[NDA_PROTOCOL] = {.type = NLA_U8}};
			const struct ndmsg *ndm = nlmsg_data(h);
			struct nlattr *tb[NDA_MAX + 1];

			if (h->nlmsg_type == RTM_NEWNEIGH && ndm->ndm_ifindex == (int)source &&
			    nlmsg_parse(h, sizeof(*ndm), tb, NDA_MAX, policy) == 0 &&
			    is_to_copy(ndm, tb, &n))
				copy_one(ndm, tb, target, batch);
		}
	}
	return 0;
}

int qb_neigh_answers(struct nl_sock *sock, const char *dev, const char *address, bool anew,
		     unsigned timeout_ms, bool *ret, struct qb_error *err)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	int64_t end = (int64_t)qb_now_ms() + timeout_ms;
	unsigned ifindex = if_nametoindex(dev), state;
	bool asked = false;
	struct qb_ip ip;
	int r;

	if (!ifindex)
		return qb_error_errno(err, errno, "link %s", dev);
	if (qb_ip_parse(address, &ip) < 0)
		return qb_error_set(err, EINVAL, "%s: not an address", address);
	for (;;) {
		r = state_of(sock, ifindex, &ip, &state, err);
		if (r < 0)
			return r;
		/* What the kernel has known for a while was so before the change. */
		if ((state & (NUD_PERMANENT | NUD_NOARP)) ||
		    ((state & NUD_REACHABLE) && (asked || !anew))) {
			*ret = true;
			return 0;
		}
		if ((int64_t)qb_now_ms() >= end || (asked && state == NUD_FAILED)) {
			if (asked)
				take_back(sock, ifindex, &ip, address);
			*ret = false;
			return 0;
		}
		if (!asked) {
			r = ask(sock, ifindex, &ip, state, address, err);
			if (r < 0)
				return r;
			asked = true;
		}
		nanosleep(&pause, NULL);
	}
}
