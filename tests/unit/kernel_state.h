/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of this network namespace, as lines of text: byte for byte, attributes that
 * no program here knows included, so that nothing is lost by being lost on both sides of a
 * comparison. It shares no code with what it is to judge.
 */
#pragma once

#include <stdlib.h>
#include <net/if.h>
#include <sys/socket.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/base/str.h"

#define STATE_TENTATIVE (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)
/* The kernel notes it some time after it is so. */
#define STATE_OF_LINK RTNH_F_LINKDOWN
/* IFF_LOWER_UP of linux/if.h, which does not go together with net/if.h. */
#define STATE_CARRIER (1U << 16)
#define NIC_SIGN "@"

/* The link whose name is written as NIC_SIGN. */
struct state_dump {
	const char *nic;
	struct qb_strs lines;
	/* To number what has an order: what was dumped last. */
	char like[256];
	unsigned place;
};

static inline const char *state_link(const struct state_dump *d, unsigned index)
{
	static char name[IF_NAMESIZE];

	if (!index)
		return "none";
	if (!if_indextoname(index, name))
		return "gone";
	return !strcmp(name, d->nic) ? NIC_SIGN : name;
}

static inline void state_hex(struct qb_buf *b, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		qb_buf_printf(b, "%02x", p[i]);
}

/* Seconds that run: a test takes far less than a minute, and gives multiples of 100. */
static inline void state_seconds(struct qb_buf *b, uint32_t s)
{
	if (s == UINT32_MAX)
		qb_buf_puts(b, "ever");
	else
		qb_buf_printf(b, "%u", (s + 50) / 100 * 100);
}

typedef bool (*state_attr)(struct state_dump *d, struct qb_buf *b, const struct rtattr *a);

/* All attributes, by number; those that special() does not write are written as they are. */
static inline void state_attrs(struct state_dump *d, struct qb_buf *b, const void *first,
			       size_t len, state_attr special)
{
	for (int type = 0; type < 64; type++) {
		const struct rtattr *a = first;
		size_t left = len;

		for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
			if ((a->rta_type & NLA_TYPE_MASK) != type)
				continue;
			qb_buf_printf(b, " %d=", type);
			if (!special(d, b, a))
				state_hex(b, RTA_DATA(a), RTA_PAYLOAD(a));
		}
	}
}

static inline bool state_address_attr(struct state_dump *d, struct qb_buf *b,
				      const struct rtattr *a)
{
	const struct ifa_cacheinfo *life = RTA_DATA(a);
	size_t len = strlen(d->nic);
	uint32_t flags;

	switch (a->rta_type) {
	case IFA_CACHEINFO:
		state_seconds(b, life->ifa_valid);
		qb_buf_puts(b, "/");
		state_seconds(b, life->ifa_prefered);
		return true;
	case IFA_FLAGS:
		memcpy(&flags, RTA_DATA(a), sizeof(flags));
		qb_buf_printf(b, "%x", flags & ~(uint32_t)STATE_TENTATIVE);
		return true;
	case IFA_LABEL:
		if (!strncmp(RTA_DATA(a), d->nic, len) &&
		    strchr(":", ((const char *)RTA_DATA(a))[len]))
			qb_buf_printf(b, NIC_SIGN "%s", (const char *)RTA_DATA(a) + len);
		else
			qb_buf_puts(b, RTA_DATA(a));
		return true;
	default:
		return false;
	}
}

static inline bool state_hop_attr(struct state_dump *d, struct qb_buf *b, const struct rtattr *a)
{
	(void)d;
	(void)b;
	(void)a;
	return false;
}

static inline bool state_route_attr(struct state_dump *d, struct qb_buf *b, const struct rtattr *a)
{
	const struct rta_cacheinfo *cache = RTA_DATA(a);
	const struct rtnexthop *hop = RTA_DATA(a);
	int left = RTA_PAYLOAD(a);

	switch (a->rta_type) {
	case RTA_OIF:
		qb_buf_puts(b, state_link(d, *(const unsigned *)RTA_DATA(a)));
		return true;
	case RTA_CACHEINFO:
		state_seconds(b, (uint32_t)cache->rta_expires / 100);
		return true;
	case RTA_MULTIPATH:
		for (; RTNH_OK(hop, left);
		     left -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
			qb_buf_printf(b, "{%s weight %u flags %x",
				      state_link(d, (unsigned)hop->rtnh_ifindex),
				      hop->rtnh_hops + 1U, hop->rtnh_flags & ~STATE_OF_LINK);
			state_attrs(d, b, RTNH_DATA(hop), hop->rtnh_len - sizeof(*hop),
				    state_hop_attr);
			qb_buf_puts(b, "}");
		}
		return true;
	default:
		return false;
	}
}

static inline bool state_rule_attr(struct state_dump *d, struct qb_buf *b, const struct rtattr *a)
{
	if (a->rta_type != FRA_IIFNAME && a->rta_type != FRA_OIFNAME)
		return false;
	qb_buf_puts(b, !strcmp(RTA_DATA(a), d->nic) ? NIC_SIGN : (const char *)RTA_DATA(a));
	return true;
}

static inline bool state_nexthop_attr(struct state_dump *d, struct qb_buf *b,
				      const struct rtattr *a)
{
	if (a->rta_type != NHA_OIF)
		return false;
	qb_buf_puts(b, state_link(d, *(const unsigned *)RTA_DATA(a)));
	return true;
}

/* What is alike has an order; its place in it, from 0. */
static inline unsigned state_place(struct state_dump *d, const char *like)
{
	d->place = strcmp(d->like, like) != 0 ? 0 : d->place + 1;
	snprintf(d->like, sizeof(d->like), "%s", like);
	return d->place;
}

static inline void state_link_line(struct state_dump *d, struct qb_buf *b, const struct nlmsghdr *h)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *a = IFLA_RTA(ifi);
	size_t left = IFLA_PAYLOAD(h);

	qb_buf_printf(b, "link %s%s%s", state_link(d, (unsigned)ifi->ifi_index),
		      ifi->ifi_flags & IFF_UP ? " up" : "",
		      ifi->ifi_flags & STATE_CARRIER ? " carrier" : "");
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == IFLA_MTU || a->rta_type == IFLA_ADDRESS) {
			qb_buf_printf(b, " %d=", a->rta_type);
			state_hex(b, RTA_DATA(a), RTA_PAYLOAD(a));
		}
	}
}

static inline const struct rtattr *state_find(const struct rtattr *a, size_t left, int type)
{
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

/* The name that the link of that index has whatever is compared. */
static inline const char *state_name(int index)
{
	static char name[IF_NAMESIZE];

	return if_indextoname((unsigned)index, name) ? name : "none";
}

/* What is told of a link of that kind, in those of its attributes; NULL: it is none. */
static inline const struct rtattr *state_info(const struct nlmsghdr *h, const char *kind,
					      int kind_type, int data_type)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *info = state_find(IFLA_RTA(ifi), IFLA_PAYLOAD(h), IFLA_LINKINFO), *is;

	if (!info)
		return NULL;
	is = state_find(RTA_DATA(info), RTA_PAYLOAD(info), kind_type);
	return is && !strcmp(RTA_DATA(is), kind)
		       ? state_find(RTA_DATA(info), RTA_PAYLOAD(info), data_type)
		       : NULL;
}

/* "TELLS NAME KIND", and the name of the link that an attribute has the index of. */
static inline void state_relation(struct state_dump *d, struct qb_buf *b, const struct nlmsghdr *h,
				  const char *tells, const char *kind, int attribute,
				  const struct rtattr *data)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *to = state_find(IFLA_RTA(ifi), IFLA_PAYLOAD(h), attribute);

	qb_buf_printf(b, "%s %s %s ", tells, state_name(ifi->ifi_index), kind);
	qb_buf_puts(b, to ? state_name(*(const int *)RTA_DATA(to)) : "none");
	if (data)
		state_attrs(d, b, RTA_DATA(data), RTA_PAYLOAD(data), state_hop_attr);
}

/* What a VLAN or a bond is. */
static inline void state_made_line(struct state_dump *d, struct qb_buf *b, const struct nlmsghdr *h)
{
	const struct rtattr *vlan = state_info(h, "vlan", IFLA_INFO_KIND, IFLA_INFO_DATA);
	const struct rtattr *bond = state_info(h, "bond", IFLA_INFO_KIND, IFLA_INFO_DATA);

	if (vlan)
		state_relation(d, b, h, "made", "vlan on", IFLA_LINK, vlan);
	else if (bond)
		state_relation(d, b, h, "made", "bond on", IFLA_LINK, bond);
}

static inline void state_master_line(struct state_dump *d, struct qb_buf *b,
				     const struct nlmsghdr *h)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);
	const struct rtattr *data =
		state_info(h, "bond", IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA);

	if (state_find(IFLA_RTA(ifi), IFLA_PAYLOAD(h), IFLA_MASTER))
		state_relation(d, b, h, "master", "is", IFLA_MASTER, data);
}

static inline void state_address_line(struct state_dump *d, struct qb_buf *b,
				      const struct nlmsghdr *h)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA(h);
	char like[64];

	snprintf(like, sizeof(like), "address %u %u %u", ifa->ifa_family, ifa->ifa_index,
		 ifa->ifa_scope);
	qb_buf_printf(b, "address %s #%u family %u /%u scope %u", state_link(d, ifa->ifa_index),
		      state_place(d, like), ifa->ifa_family, ifa->ifa_prefixlen, ifa->ifa_scope);
	state_attrs(d, b, IFA_RTA(ifa), IFA_PAYLOAD(h), state_address_attr);
}

static inline void state_route_line(struct state_dump *d, struct qb_buf *b,
				    const struct nlmsghdr *h)
{
	const struct rtmsg *rtm = NLMSG_DATA(h);
	struct qb_buf like = {0};
	const struct rtattr *a = RTM_RTA(rtm);
	size_t left = RTM_PAYLOAD(h);
	unsigned place = 0;

	qb_buf_printf(&like, "route %u /%u tos %u", rtm->rtm_family, rtm->rtm_dst_len,
		      rtm->rtm_tos);
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == RTA_DST || a->rta_type == RTA_TABLE ||
		    a->rta_type == RTA_PRIORITY) {
			qb_buf_puts(&like, " ");
			state_hex(&like, RTA_DATA(a), RTA_PAYLOAD(a));
		}
	/* Each link with IPv6 has a route to ff00::/8 and one to fe80::/64. */
	if (rtm->rtm_protocol != RTPROT_KERNEL ||
	    (!strstr(like.s, " ff000000000") && !strstr(like.s, " fe800000000")))
		place = state_place(d, like.s);
	qb_buf_printf(b, "%s #%u from /%u proto %u scope %u type %u flags %x", like.s, place,
		      rtm->rtm_src_len, rtm->rtm_protocol, rtm->rtm_scope, rtm->rtm_type,
		      rtm->rtm_flags & ~(unsigned)STATE_OF_LINK);
	state_attrs(d, b, RTM_RTA(rtm), RTM_PAYLOAD(h), state_route_attr);
	qb_buf_done(&like);
}

static inline void state_rule_line(struct state_dump *d, struct qb_buf *b, const struct nlmsghdr *h)
{
	const struct fib_rule_hdr *frh = NLMSG_DATA(h);
	char like[32];

	snprintf(like, sizeof(like), "rule %u", frh->family);
	qb_buf_printf(b, "rule %u #%03u from /%u to /%u tos %u table %u action %u flags %x",
		      frh->family, state_place(d, like), frh->src_len, frh->dst_len, frh->tos,
		      frh->table, frh->action, frh->flags);
	state_attrs(d, b, RTM_RTA(frh), RTM_PAYLOAD(h), state_rule_attr);
}

static inline void state_nexthop_line(struct state_dump *d, struct qb_buf *b,
				      const struct nlmsghdr *h)
{
	const struct nhmsg *nhm = NLMSG_DATA(h);

	qb_buf_printf(b, "nexthop family %u scope %u proto %u flags %x", nhm->nh_family,
		      nhm->nh_scope, nhm->nh_protocol, nhm->nh_flags);
	state_attrs(d, b, (const char *)nhm + NLMSG_ALIGN(sizeof(*nhm)),
		    h->nlmsg_len - NLMSG_SPACE(sizeof(*nhm)), state_nexthop_attr);
}

/* Only what somebody has set by hand: the rest comes and goes. */
static inline void state_neigh_line(struct state_dump *d, struct qb_buf *b,
				    const struct nlmsghdr *h)
{
	const struct ndmsg *ndm = NLMSG_DATA(h);
	const struct rtattr *a = RTM_RTA(ndm);
	size_t left = RTM_PAYLOAD(h);

	if (ndm->ndm_family == AF_BRIDGE ||
	    (!(ndm->ndm_state & NUD_PERMANENT) && !(ndm->ndm_flags & NTF_PROXY)))
		return;
	qb_buf_printf(b, "neighbour %s family %u state %x flags %x type %u",
		      state_link(d, (unsigned)ndm->ndm_ifindex), ndm->ndm_family, ndm->ndm_state,
		      ndm->ndm_flags, ndm->ndm_type);
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == NDA_CACHEINFO || a->rta_type == NDA_PROBES)
			continue;
		qb_buf_printf(b, " %d=", a->rta_type);
		state_hex(b, RTA_DATA(a), RTA_PAYLOAD(a));
	}
}

typedef void (*state_line)(struct state_dump *d, struct qb_buf *b, const struct nlmsghdr *h);

static inline void state_take(struct state_dump *d, const struct nlmsghdr *h, state_line line)
{
	struct qb_buf b = {0};

	line(d, &b, h);
	if (b.len)
		qb_strs_add(&d->lines, b.s);
	qb_buf_done(&b);
}

static inline void state_ask(struct state_dump *d, int type, const void *head, size_t len,
			     state_line line)
{
	struct {
		struct nlmsghdr h;
		char head[32];
	} request = {.h = {.nlmsg_len = NLMSG_LENGTH((uint32_t)len),
			   .nlmsg_type = (unsigned short)type,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	_Alignas(struct nlmsghdr) static char answer[64 << 10];
	bool done = false;

	assert_true(fd >= 0);
	memcpy(request.head, head, len);
	assert_true(send(fd, &request, request.h.nlmsg_len, 0) > 0);
	while (!done) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);

		assert_true(n > 0);
		for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				done = true;
			else
				state_take(d, h, line);
		}
	}
}

/* Sorted, a line for each object; the caller frees them. */
static inline struct qb_strs kernel_state(const char *nic)
{
	static const state_line of_links[] = {state_link_line, state_made_line, state_master_line};
	static const unsigned char families[] = {AF_INET, AF_INET6};
	struct state_dump d = {.nic = nic};

	for (size_t i = 0; i < QB_ARRAY_SIZE(of_links); i++)
		state_ask(&d, RTM_GETLINK, &(struct ifinfomsg){0}, sizeof(struct ifinfomsg),
			  of_links[i]);
	for (size_t i = 0; i < QB_ARRAY_SIZE(families); i++) {
		const struct ifaddrmsg ifa = {.ifa_family = families[i]};
		const struct rtmsg rtm = {.rtm_family = families[i]};
		const struct fib_rule_hdr frh = {.family = families[i]};
		const struct ndmsg ndm = {.ndm_family = families[i]};
		const struct ndmsg proxies = {.ndm_family = families[i], .ndm_flags = NTF_PROXY};

		state_ask(&d, RTM_GETADDR, &ifa, sizeof(ifa), state_address_line);
		state_ask(&d, RTM_GETROUTE, &rtm, sizeof(rtm), state_route_line);
		state_ask(&d, RTM_GETRULE, &frh, sizeof(frh), state_rule_line);
		state_ask(&d, RTM_GETNEIGH, &ndm, sizeof(ndm), state_neigh_line);
		state_ask(&d, RTM_GETNEIGH, &proxies, sizeof(proxies), state_neigh_line);
	}
	state_ask(&d, RTM_GETNEXTHOP, &(struct nhmsg){0}, sizeof(struct nhmsg), state_nexthop_line);
	qb_strs_sort(&d.lines);
	return d.lines;
}

/* What stands in one of them only, "- " or "+ " before it. NULL: they are the same. */
static inline char *state_difference(const struct qb_strs *before, const struct qb_strs *after)
{
	struct qb_buf b = {0};
	size_t i = 0, j = 0;

	while (i < before->n || j < after->n) {
		int order = i == before->n  ? 1
			    : j == after->n ? -1
					    : strcmp(before->v[i], after->v[j]);

		if (order < 0)
			qb_buf_printf(&b, "  - %s\n", before->v[i++]);
		else if (order > 0)
			qb_buf_printf(&b, "  + %s\n", after->v[j++]);
		else
			i++, j++;
	}
	return b.s;
}
