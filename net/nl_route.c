/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_route.h"

#include <errno.h>
#include <net/if.h>

#include "net/names.h"
#include "net/nl_msg.h"

static int header(const struct qb_route *r, struct rtmsg *rtm, struct qb_ip *dst)
{
	bool inet6 = !strcmp(r->family, "inet6");

	*dst = (struct qb_ip){.family = inet6 ? AF_INET6 : AF_INET};
	if (strcmp(r->dst, "default") != 0 && qb_ip_parse(r->dst, dst) < 0)
		return -EINVAL;
	*rtm = (struct rtmsg){
		.rtm_family = (unsigned char)dst->family,
		.rtm_dst_len = (unsigned char)dst->prefix,
		.rtm_tos = (unsigned char)r->tos,
		.rtm_table = r->table < 256 ? (unsigned char)r->table : RT_TABLE_COMPAT,
		.rtm_flags = r->n_hops ? 0 : (unsigned)r->flags & RTNH_F_ONLINK,
	};
	if (qb_route_proto_parse(r->proto, &rtm->rtm_protocol) < 0 ||
	    qb_scope_parse(r->scope, &rtm->rtm_scope) < 0)
		return -EINVAL;
	return qb_route_type_parse(r->type, &rtm->rtm_type);
}

static void put_pref(struct nl_msg *msg, const char *pref)
{
	unsigned char value = 0;

	if (!pref)
		return;
	if (!strcmp(pref, "high"))
		value = 1;
	else if (!strcmp(pref, "low"))
		value = 3;
	qb_nl_put(msg, RTA_PREF, &value, sizeof(value));
}

/* "advmss 1400", "congctl reno" */
static void put_metric(struct nl_msg *msg, const char *text)
{
	const char *value = strchr(text, ' ');
	_cleanup_free_ char *word = value ? qb_strndup(text, (size_t)(value - text)) : NULL;
	unsigned char metric;
	uint64_t number;

	if (qb_metric_parse(word, &metric) < 0)
		return;
	if (metric == RTAX_CC_ALGO)
		qb_nl_put(msg, metric, value + 1, strlen(value + 1) + 1);
	else if (qb_parse_u64(value + 1, &number) == 0)
		qb_nl_put_u32(msg, metric, (uint32_t)number);
}

static void put_metrics(struct nl_msg *msg, const struct qb_route *r)
{
	struct nlattr *metrics;

	if (!r->mtu && !r->metrics.n)
		return;
	metrics = qb_nl_nest(msg, RTA_METRICS);
	if (r->mtu)
		qb_nl_put_u32(msg, RTAX_MTU, (uint32_t)r->mtu);
	for (size_t i = 0; i < r->metrics.n; i++)
		put_metric(msg, r->metrics.v[i]);
	nla_nest_end(msg, metrics);
}

static void put_gateway(struct nl_msg *msg, int family, const char *gateway)
{
	char buf[sizeof(struct rtvia) + 16] = {0};
	struct rtvia *via = (void *)buf;
	struct qb_ip ip;

	if (!gateway || qb_ip_parse(gateway, &ip) < 0)
		return;
	if (ip.family == family) {
		qb_nl_put(msg, RTA_GATEWAY, ip.bytes, ip.len);
		return;
	}
	via->rtvia_family = (unsigned short)ip.family;
	memcpy(via->rtvia_addr, ip.bytes, ip.len);
	qb_nl_put(msg, RTA_VIA, buf, sizeof(*via) + ip.len);
}

/* dev: only those that leave by it; NULL: all. */
static int put_hops(struct nl_msg *msg, int family, const struct qb_route *r, const char *dev,
		    struct qb_error *err)
{
	struct nlattr *hops = qb_nl_nest(msg, RTA_MULTIPATH);

	for (size_t i = 0; i < r->n_hops; i++) {
		const struct qb_hop *h = &r->hops[i];
		size_t at = nlmsg_hdr(msg)->nlmsg_len;
		struct rtnexthop *hop;
		unsigned ifindex;

		if (dev && !qb_streq(h->dev, dev))
			continue;
		ifindex = if_nametoindex(h->dev);
		if (!ifindex)
			return qb_error_errno(err, errno, "link %s", h->dev);
		hop = nlmsg_reserve(msg, sizeof(*hop), NLMSG_ALIGNTO);
		if (!hop)
			abort();
		*hop = (struct rtnexthop){
			.rtnh_flags = (unsigned char)(h->flags & RTNH_F_ONLINK),
			.rtnh_hops = (unsigned char)(h->weight - 1),
			.rtnh_ifindex = (int)ifindex,
		};
		put_gateway(msg, family, h->gateway);
		if (h->realms)
			qb_nl_put_u32(msg, RTA_FLOW, (uint32_t)h->realms);
		hop->rtnh_len = (unsigned short)(nlmsg_hdr(msg)->nlmsg_len - at);
	}
	nla_nest_end(msg, hops);
	return 0;
}

static int flags_of(const struct qb_op *op, const struct rtmsg *rtm)
{
	if (op->kind == QB_OP_ROUTE_DELETE)
		return 0;
	if (op->kind == QB_OP_ROUTE_TELL || (op->route->n_hops && rtm->rtm_family == AF_INET6))
		return NLM_F_CREATE | NLM_F_REPLACE;
	return NLM_F_CREATE | (op->route->behind ? NLM_F_APPEND : 0);
}

/*
 * Without NLM_F_APPEND or REPLACE an IPv4 route goes in front of its like, and takes over at that
 * moment; the old one is then deleted by its link. REPLACE would take whichever route of that
 * prefix and metric comes first, another NIC's, too. IPv6 has only one multipath route of a prefix
 * and metric, to which an added one would be one hop more; that is replaced. Of the old one only
 * the next hops by its link are deleted, which then are not there any more: the others are the new
 * one's, too.
 */
int qb_nl_write_route(const struct qb_op *op, unsigned ifindex, struct qb_nl_batch *batch,
		      struct qb_error *err)
{
	const struct qb_route *r = op->route;
	bool delete = op->kind == QB_OP_ROUTE_DELETE;
	_cleanup_nl_msg_ struct nl_msg *msg = NULL;
	struct qb_nl_item *item;
	struct qb_ip dst, from;
	struct rtmsg rtm;

	if (header(r, &rtm, &dst) < 0)
		return qb_error_set(err, EINVAL, "route %s: cannot be read", r->dst);
	if (r->from && qb_ip_parse(r->from, &from) == 0)
		rtm.rtm_src_len = (unsigned char)from.prefix;
	msg = qb_nl_message(delete ? RTM_DELROUTE : RTM_NEWROUTE, flags_of(op, &rtm), &rtm,
			    sizeof(rtm));
	if (dst.len)
		qb_nl_put(msg, RTA_DST, dst.bytes, dst.len);
	qb_nl_put_ip(msg, RTA_SRC, r->from);
	qb_nl_put_u32(msg, RTA_TABLE, (uint32_t)r->table);
	qb_nl_put_ip(msg, RTA_PREFSRC, r->prefsrc);
	if (r->metric)
		qb_nl_put_u32(msg, RTA_PRIORITY, (uint32_t)r->metric);
	if (r->n_hops) {
		const char *by = delete &&dst.family == AF_INET6 ? op->dev : NULL;
		int err_hops = put_hops(msg, dst.family, r, by, err);

		if (err_hops < 0)
			return err_hops;
	} else {
		qb_nl_put_u32(msg, RTA_OIF, ifindex);
		put_gateway(msg, dst.family, r->gateway);
		if (r->realms)
			qb_nl_put_u32(msg, RTA_FLOW, (uint32_t)r->realms);
	}
	if (!delete) {
		put_metrics(msg, r);
		put_pref(msg, r->pref);
		if (r->expires_s)
			qb_nl_put_u32(msg, RTA_EXPIRES, (uint32_t)r->expires_s);
	}
	item = qb_nl_batch_add(batch, QB_TAKE_PTR(msg),
			       qb_asprintf("route %s by %s", r->dst, op->dev));
	item->tolerate[0] = delete ? ESRCH : EEXIST;
	if (delete)
		item->tolerate[1] = ENODEV;
	return 0;
}
