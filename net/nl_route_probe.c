/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_probe.h"

#include <errno.h>

#include "net/names.h"
#include "net/nl_rule.h"

static void add_extra(struct qb_route *r, const char *fmt, ...) QB_PRINTF(2, 3);

static void add_extra(struct qb_route *r, const char *fmt, ...)
{
	_cleanup_free_ char *before = QB_TAKE_PTR(r->extra);
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = qb_vasprintf(fmt, ap);
	va_end(ap);
	r->extra = before ? qb_asprintf("%s, %s", before, text) : qb_strdup(text);
}

static char *name_of(const struct qb_net *net, uint32_t ifindex)
{
	const struct qb_link *link = qb_net_link_by_index(net, ifindex);

	return link ? qb_strdup(link->name) : qb_asprintf("#%u", ifindex);
}

static const struct nla_policy route_policy[RTA_MAX + 1] = {
	[RTA_TABLE] = {.type = NLA_U32},
	[RTA_OIF] = {.type = NLA_U32},
	[RTA_FLOW] = {.type = NLA_U32},
	[RTA_PRIORITY] = {.type = NLA_U32},
	[RTA_NH_ID] = {.type = NLA_U32},
	[RTA_PREF] = {.type = NLA_U8},
	[RTA_VIA] = {.minlen = sizeof(struct rtvia)},
};

static unsigned len_of(int family)
{
	return family == AF_INET6 ? 16 : 4;
}

/* Whole addresses, each of its family. */
static bool has_addresses(int family, struct nlattr **tb)
{
	static const int addresses[] = {RTA_DST, RTA_SRC, RTA_GATEWAY, RTA_PREFSRC};
	const struct rtvia *via = tb[RTA_VIA] ? nla_data(tb[RTA_VIA]) : NULL;

	for (size_t i = 0; i < QB_ARRAY_SIZE(addresses); i++)
		if (tb[addresses[i]] && nla_len(tb[addresses[i]]) != (int)len_of(family))
			return false;
	return !via || nla_len(tb[RTA_VIA]) >= (int)(sizeof(*via) + len_of(via->rtvia_family));
}

static bool is_word(const struct nlattr *attr)
{
	return memchr(nla_data(attr), '\0', (size_t)nla_len(attr)) != NULL;
}

static int parse_metrics(struct nlattr *attr, struct qb_route *r)
{
	struct nlattr *m;
	int left;

	nla_for_each_nested(m, attr, left)
	{
		_cleanup_free_ char *word = qb_metric_name((unsigned)nla_type(m));

		if (nla_type(m) == RTAX_CC_ALGO ? !is_word(m) : nla_len(m) < (int)sizeof(uint32_t))
			return -EBADMSG;
		if (nla_type(m) == RTAX_MTU)
			r->mtu = nla_get_u32(m);
		else if (nla_type(m) == RTAX_CC_ALGO)
			qb_strs_addf(&r->metrics, "%s %s", word, nla_get_string(m));
		else if (nla_len(m) == sizeof(uint32_t))
			qb_strs_addf(&r->metrics, "%s %u", word, nla_get_u32(m));
		else
			add_extra(r, "metric %s", word);
	}
	return 0;
}

/* The next hop of a route, or of one of its hops. An IPv4 one may be reached over IPv6. */
static char *gateway_of(int family, struct nlattr **tb)
{
	const struct rtvia *via = tb[RTA_VIA] ? nla_data(tb[RTA_VIA]) : NULL;

	if (tb[RTA_GATEWAY])
		return qb_ip_format(family, nla_data(tb[RTA_GATEWAY]));
	return via && via->rtvia_family == AF_INET6 ? qb_ip_format(AF_INET6, via->rtvia_addr)
						    : NULL;
}

static int parse_multipath(int family, struct nlattr *attr, const struct qb_net *net,
			   struct qb_route *r)
{
	const struct rtnexthop *hop = nla_data(attr);
	int left = nla_len(attr);

	/* RTNH_OK() looks at the length of a hop before whether there is one. */
	while (left >= (int)sizeof(*hop) && RTNH_OK(hop, left)) {
		struct qb_hop *to = QB_APPEND(r->hops, r->n_hops);
		struct nlattr *tb[RTA_MAX + 1];

		to->dev = name_of(net, (uint32_t)hop->rtnh_ifindex);
		to->weight = hop->rtnh_hops + 1;
		to->flags = hop->rtnh_flags;
		qb_strs_add(&r->devs, to->dev);
		if (nla_parse(tb, RTA_MAX, (struct nlattr *)(void *)RTNH_DATA(hop),
			      hop->rtnh_len - (int)sizeof(*hop), route_policy) < 0 ||
		    !has_addresses(family, tb))
			return -EBADMSG;
		to->gateway = gateway_of(family, tb);
		to->realms = tb[RTA_FLOW] ? nla_get_u32(tb[RTA_FLOW]) : 0;
		if (tb[RTA_ENCAP])
			add_extra(r, "encap");
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	r->n_nexthops = (int64_t)r->n_hops;
	return left > 0 ? -EBADMSG : 0;
}

/* What of a route no member of struct qb_route can hold. */
static void parse_rest(struct nlattr **tb, struct qb_route *r)
{
	static const char *const words[RTA_MAX + 1] = {
		[RTA_IIF] = "iif",
		[RTA_ENCAP] = "encap",
		[RTA_NEWDST] = "newdst",
		[RTA_MARK] = "mark",
	};

	for (int i = 0; i <= RTA_MAX; i++) {
		if (tb[i] && words[i])
			add_extra(r, "%s", words[i]);
	}
}

/* An IPv6 route may be for a time, in hundredths of a second. */
static uint64_t expiry_of(const struct rtmsg *rtm, struct nlattr *attr)
{
	const struct rta_cacheinfo *cache = attr ? nla_data(attr) : NULL;

	if (!cache || nla_len(attr) < (int)sizeof(*cache) || rtm->rtm_family != AF_INET6 ||
	    !cache->rta_expires)
		return 0;
	return cache->rta_expires < 100 ? 1 : (uint64_t)cache->rta_expires / 100;
}

static int parse_route(struct nlmsghdr *hdr, int family, struct qb_net *net)
{
	static const char *const prefs[] = {
		[0] = NULL, [1] = "high", [2] = "reserved", [3] = "low"};
	static const unsigned char zero[16];
	const struct rtmsg *rtm = nlmsg_data(hdr);
	struct nlattr *tb[RTA_MAX + 1];
	struct qb_route *r;
	uint32_t table;

	if (nlmsg_parse(hdr, sizeof(*rtm), tb, RTA_MAX, route_policy) < 0 ||
	    rtm->rtm_family != family || !has_addresses(family, tb) ||
	    rtm->rtm_dst_len > len_of(family) * 8 || rtm->rtm_src_len > len_of(family) * 8)
		return -EBADMSG;
	table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : rtm->rtm_table;
	if ((table == RT_TABLE_LOCAL && rtm->rtm_protocol == RTPROT_KERNEL) ||
	    (rtm->rtm_flags & RTM_F_CLONED))
		return 0;
	r = QB_APPEND(net->routes, net->n_routes);
	r->family = qb_strdup(rtm->rtm_family == AF_INET6 ? "inet6" : "inet");
	if (rtm->rtm_dst_len == 0)
		r->dst = qb_strdup("default");
	else
		r->dst = qb_ip_format_prefix(rtm->rtm_family,
					     tb[RTA_DST] ? nla_data(tb[RTA_DST]) : zero,
					     rtm->rtm_dst_len);
	if (rtm->rtm_src_len)
		r->from = qb_ip_format_prefix(rtm->rtm_family,
					      tb[RTA_SRC] ? nla_data(tb[RTA_SRC]) : zero,
					      rtm->rtm_src_len);
	r->gateway = gateway_of(rtm->rtm_family, tb);
	if (tb[RTA_PREFSRC])
		r->prefsrc = qb_ip_format(rtm->rtm_family, nla_data(tb[RTA_PREFSRC]));
	if (tb[RTA_OIF])
		r->dev = name_of(net, nla_get_u32(tb[RTA_OIF]));
	r->type = qb_route_type_name(rtm->rtm_type);
	r->scope = qb_scope_name(rtm->rtm_scope);
	r->proto = qb_route_proto_name(rtm->rtm_protocol);
	r->table = table;
	r->metric = tb[RTA_PRIORITY] ? nla_get_u32(tb[RTA_PRIORITY]) : 0;
	r->tos = rtm->rtm_tos;
	r->realms = tb[RTA_FLOW] ? nla_get_u32(tb[RTA_FLOW]) : 0;
	r->expires_s = expiry_of(rtm, tb[RTA_CACHEINFO]);
	r->flags = rtm->rtm_flags;
	r->nhid = tb[RTA_NH_ID] ? nla_get_u32(tb[RTA_NH_ID]) : 0;
	r->n_nexthops = 1;
	if (tb[RTA_MULTIPATH] && parse_multipath(family, tb[RTA_MULTIPATH], net, r) < 0)
		return -EBADMSG;
	if (tb[RTA_PREF] && nla_get_u8(tb[RTA_PREF]) < QB_ARRAY_SIZE(prefs))
		qb_strset(&r->pref, prefs[nla_get_u8(tb[RTA_PREF])]);
	if (tb[RTA_METRICS] && parse_metrics(tb[RTA_METRICS], r) < 0)
		return -EBADMSG;
	parse_rest(tb, r);
	return 0;
}

/* A kernel before 5.3 has none. */
static int probe_nexthops(struct nl_sock *sock, struct qb_net *net, struct qb_error *err)
{
	_cleanup_buf_ struct qb_buf dump = {0};
	int r = qb_nl_dump(sock, RTM_GETNEXTHOP, AF_UNSPEC, &dump, err);

	if (r == -EOPNOTSUPP)
		return 0;
	for (struct nlmsghdr *h = qb_nl_next(&dump, NULL); r == 0 && h; h = qb_nl_next(&dump, h))
		if (h->nlmsg_type == RTM_NEWNEXTHOP && qb_nl_parse_nexthop(h, net) < 0)
			r = qb_nl_error(h, err);
	return r;
}

static bool is_behind(const struct qb_route *r, const struct qb_route *like)
{
	bool same_link = qb_streq(r->dev, like->dev) && !r->n_hops && !like->n_hops;

	return r->metric == like->metric && r->tos == like->tos &&
	       (!same_link || (qb_route_has_gateway(r) && !qb_route_has_gateway(like)));
}

/* The kernel lists routes of one prefix together, and those that are alike as it asks them. */
static void mark_behind(struct qb_net *net)
{
	for (size_t i = 0; i < net->n_routes; i++) {
		struct qb_route *r = &net->routes[i];

		for (size_t j = i; j-- > 0 && !r->behind;) {
			const struct qb_route *like = &net->routes[j];

			if (r->table != like->table || !qb_streq(r->dst, like->dst) ||
			    !qb_streq(r->family, like->family))
				break;
			r->behind = is_behind(r, like);
		}
	}
}

int qb_nl_routes(struct nl_sock *sock, struct qb_net *net, struct qb_error *err)
{
	static const int families[] = {AF_INET, AF_INET6};
	int r;

	for (size_t i = 0; i < QB_ARRAY_SIZE(families); i++) {
		_cleanup_buf_ struct qb_buf routes = {0};
		_cleanup_buf_ struct qb_buf rules = {0};

		r = qb_nl_dump(sock, RTM_GETROUTE, families[i], &routes, err);
		if (r == 0)
			r = qb_nl_dump(sock, RTM_GETRULE, families[i], &rules, err);
		if (r < 0)
			return r;
		for (struct nlmsghdr *h = qb_nl_next(&routes, NULL); h; h = qb_nl_next(&routes, h))
			if (h->nlmsg_type == RTM_NEWROUTE && parse_route(h, families[i], net) < 0)
				return qb_nl_error(h, err);
		for (struct nlmsghdr *h = qb_nl_next(&rules, NULL); h; h = qb_nl_next(&rules, h))
			if (h->nlmsg_type == RTM_NEWRULE &&
			    qb_nl_parse_rule(h, families[i], net) < 0)
				return qb_nl_error(h, err);
	}
	mark_behind(net);
	r = probe_nexthops(sock, net, err);
	qb_net_index(net);
	return r;
}
