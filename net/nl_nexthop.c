/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_rule.h"

#include <errno.h>
#include <linux/nexthop.h>

#include "net/names.h"
#include "net/nl_msg.h"
#include "net/nl_probe.h"

int qb_nl_parse_nexthop(struct nlmsghdr *hdr, struct qb_net *net)
{
	static const struct nla_policy policy[NHA_MAX + 1] = {
		[NHA_ID] = {.type = NLA_U32},
		[NHA_OIF] = {.type = NLA_U32},
	};
	const struct nhmsg *nhm = nlmsg_data(hdr);
	int bytes = nhm->nh_family == AF_INET6 ? 16 : 4;
	struct nlattr *tb[NHA_MAX + 1];
	const struct qb_link *link;
	struct qb_nexthop *nh;

	if (nlmsg_parse(hdr, sizeof(*nhm), tb, NHA_MAX, policy) < 0 || !tb[NHA_ID] ||
	    (tb[NHA_GATEWAY] && nla_len(tb[NHA_GATEWAY]) != bytes))
		return -EBADMSG;
	link = tb[NHA_OIF] ? qb_net_link_by_index(net, nla_get_u32(tb[NHA_OIF])) : NULL;
	if (!link)
		return 0;
	nh = QB_APPEND(net->nexthops, net->n_nexthops);
	nh->id = nla_get_u32(tb[NHA_ID]);
	nh->family = qb_strdup(nhm->nh_family == AF_INET6 ? "inet6" : "inet");
	nh->dev = qb_strdup(link->name);
	if (tb[NHA_GATEWAY])
		nh->gateway = qb_ip_format(nhm->nh_family, nla_data(tb[NHA_GATEWAY]));
	nh->proto = qb_route_proto_name(nhm->nh_protocol);
	nh->flags = nhm->nh_flags;
	if (tb[NHA_ENCAP])
		nh->extra = qb_strdup("encap");
	else if (tb[NHA_FDB])
		nh->extra = qb_strdup("fdb");
	return 0;
}

int qb_nl_write_nexthop(const struct qb_op *op, unsigned ifindex, struct qb_nl_batch *batch,
			struct qb_error *err)
{
	const struct qb_nexthop *nh = op->nexthop;
	struct nhmsg nhm = {
		.nh_family = !strcmp(nh->family, "inet6") ? AF_INET6 : AF_INET,
		.nh_flags = (unsigned)nh->flags & RTNH_F_ONLINK,
	};
	struct nl_msg *msg;

	if (qb_route_proto_parse(nh->proto, &nhm.nh_protocol) < 0)
		return qb_error_set(err, EINVAL, "nexthop %llu: cannot be read",
				    (unsigned long long)nh->id);
	/* Whatever refers to its number follows. */
	msg = qb_nl_message(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE, &nhm, sizeof(nhm));
	qb_nl_put_u32(msg, NHA_ID, (uint32_t)nh->id);
	qb_nl_put_u32(msg, NHA_OIF, ifindex);
	qb_nl_put_ip(msg, NHA_GATEWAY, nh->gateway);
	qb_nl_batch_add(batch, msg,
			qb_asprintf("nexthop %llu by %s", (unsigned long long)nh->id, op->dev));
	return 0;
}
