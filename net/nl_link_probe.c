/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_probe.h"

#include <errno.h>
#include <net/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>

#include "net/names.h"

/* Newer than the headers of EL9. */
enum {
	ATTR_IFA_PROTO = 11
};

char *qb_nl_mac(struct nlattr *attr)
{
	static const char digits[] = "0123456789abcdef";
	char text[] = "00:00:00:00:00:00";
	const unsigned char *b;

	if (!attr || nla_len(attr) != 6)
		return NULL;
	b = nla_data(attr);
	for (size_t i = 0; i < 6; i++) {
		text[3 * i] = digits[b[i] >> 4];
		text[3 * i + 1] = digits[b[i] & 15];
	}
	return qb_strdup(text);
}

/* The index of its master goes into *ret_master: that link's name may come later in the dump. */
static int parse_link(struct nlmsghdr *hdr, struct qb_net *net, uint32_t *ret_master)
{
	static const struct nla_policy policy[IFLA_MAX + 1] = {
		[IFLA_IFNAME] = {.type = NLA_STRING}, [IFLA_MTU] = {.type = NLA_U32},
		[IFLA_CARRIER] = {.type = NLA_U8},    [IFLA_LINK] = {.type = NLA_U32},
		[IFLA_MASTER] = {.type = NLA_U32},
	};
	const struct ifinfomsg *ifi = nlmsg_data(hdr);
	struct nlattr *tb[IFLA_MAX + 1];
	struct qb_link *link;

	*ret_master = 0;
	if (nlmsg_parse(hdr, sizeof(*ifi), tb, IFLA_MAX, policy) < 0 || !tb[IFLA_IFNAME])
		return -EBADMSG;
	link = QB_APPEND(net->links, net->n_links);
	link->ifindex = ifi->ifi_index;
	link->name = qb_strdup(nla_get_string(tb[IFLA_IFNAME]));
	link->mac = qb_nl_mac(tb[IFLA_ADDRESS]);
	link->permanent_mac = qb_nl_mac(tb[IFLA_PERM_ADDRESS]);
	link->mtu = tb[IFLA_MTU] ? nla_get_u32(tb[IFLA_MTU]) : 0;
	link->up = ifi->ifi_flags & IFF_UP;
	link->loopback = ifi->ifi_flags & IFF_LOOPBACK;
	/* The kernel cannot tell of a link that is down. */
	if (tb[IFLA_CARRIER] && link->up)
		qb_tri_set(&link->carrier, nla_get_u8(tb[IFLA_CARRIER]) != 0);
	else
		qb_tri_unknown(&link->carrier, "the link is down");
	/* With a namespace it is the number of a link there. */
	if (tb[IFLA_LINK] && !tb[IFLA_LINK_NETNSID])
		link->lower_ifindex = nla_get_u32(tb[IFLA_LINK]);
	if (tb[IFLA_MASTER])
		*ret_master = nla_get_u32(tb[IFLA_MASTER]);
	if (qb_nl_link_kind(tb[IFLA_LINKINFO], link) < 0)
		return -EBADMSG;
	if (!qb_streq(link->kind, "bridge")) {
		qb_tri_unknown(&link->stp, "not a bridge");
		qb_tri_unknown(&link->vlan_filtering, "not a bridge");
	}
	return 0;
}

static int parse_address(struct nlmsghdr *hdr, struct qb_net *net)
{
	static const struct nla_policy policy[ATTR_IFA_PROTO + 1] = {
		[IFA_LABEL] = {.type = NLA_STRING},
		[IFA_FLAGS] = {.type = NLA_U32},
		[IFA_RT_PRIORITY] = {.type = NLA_U32},
		[ATTR_IFA_PROTO] = {.type = NLA_U8},
	};
	const struct ifaddrmsg *ifa = nlmsg_data(hdr);
	struct nlattr *tb[ATTR_IFA_PROTO + 1], *local;
	const struct ifa_cacheinfo *life;
	struct qb_address *a;
	struct qb_link *link;
	int want = ifa->ifa_family == AF_INET6 ? 16 : 4;

	if (nlmsg_parse(hdr, sizeof(*ifa), tb, ATTR_IFA_PROTO, policy) < 0)
		return -EBADMSG;
	/* IFA_ADDRESS is the peer's on a point-to-point link, ours is IFA_LOCAL then. */
	local = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	link = (struct qb_link *)qb_net_link_by_index(net, ifa->ifa_index);
	/* A link that came after the links were asked for. */
	if (!link || !local)
		return 0;
	if (nla_len(local) != want || ifa->ifa_prefixlen > want * 8)
		return -EBADMSG;
	a = QB_APPEND(link->addresses, link->n_addresses);
	a->address = qb_ip_format_prefix(ifa->ifa_family, nla_data(local), ifa->ifa_prefixlen);
	if (tb[IFA_ADDRESS] && nla_len(tb[IFA_ADDRESS]) == want &&
	    memcmp(nla_data(tb[IFA_ADDRESS]), nla_data(local), (size_t)want) != 0)
		a->peer = qb_ip_format_prefix(ifa->ifa_family, nla_data(tb[IFA_ADDRESS]),
					      ifa->ifa_prefixlen);
	if (tb[IFA_BROADCAST] && nla_len(tb[IFA_BROADCAST]) == want)
		a->broadcast = qb_ip_format(ifa->ifa_family, nla_data(tb[IFA_BROADCAST]));
	if (tb[IFA_LABEL] && strcmp(nla_get_string(tb[IFA_LABEL]), link->name) != 0)
		a->label = qb_strdup(nla_get_string(tb[IFA_LABEL]));
	a->scope = qb_scope_name(ifa->ifa_scope);
	a->flags = tb[IFA_FLAGS] ? nla_get_u32(tb[IFA_FLAGS]) : ifa->ifa_flags;
	a->valid_s = a->preferred_s = UINT32_MAX;
	if (tb[IFA_CACHEINFO] && nla_len(tb[IFA_CACHEINFO]) >= (int)sizeof(*life)) {
		life = nla_data(tb[IFA_CACHEINFO]);
		a->valid_s = life->ifa_valid;
		a->preferred_s = life->ifa_prefered;
	}
	/* Of a permanent IPv4 address the kernel says only by this that it is not preferred. */
	if (a->flags & IFA_F_DEPRECATED)
		a->preferred_s = 0;
	a->proto = tb[ATTR_IFA_PROTO] ? nla_get_u8(tb[ATTR_IFA_PROTO]) : 0;
	a->metric = tb[IFA_RT_PRIORITY] ? nla_get_u32(tb[IFA_RT_PRIORITY]) : 0;
	return 0;
}

int qb_nl_links(struct nl_sock *sock, struct qb_net *net, struct qb_error *err)
{
	_cleanup_buf_ struct qb_buf links = {0};
	_cleanup_buf_ struct qb_buf addresses = {0};
	_cleanup_free_ uint32_t *masters = NULL;
	const struct qb_link *master;
	size_t n_masters = 0;
	int r;

	r = qb_nl_dump(sock, RTM_GETLINK, AF_UNSPEC, &links, err);
	if (r == 0)
		r = qb_nl_dump(sock, RTM_GETADDR, AF_UNSPEC, &addresses, err);
	if (r < 0)
		return r;
	for (struct nlmsghdr *h = qb_nl_next(&links, NULL); h; h = qb_nl_next(&links, h)) {
		uint32_t index;

		if (h->nlmsg_type != RTM_NEWLINK)
			continue;
		if (parse_link(h, net, &index) < 0)
			return qb_nl_error(h, err);
		*QB_APPEND(masters, n_masters) = index;
	}
	qb_net_index(net);
	for (size_t i = 0; i < n_masters; i++) {
		master = masters[i] ? qb_net_link_by_index(net, masters[i]) : NULL;
		if (masters[i])
			net->links[i].master =
				master ? qb_strdup(master->name) : qb_asprintf("#%u", masters[i]);
	}
	for (struct nlmsghdr *h = qb_nl_next(&addresses, NULL); h; h = qb_nl_next(&addresses, h)) {
		const struct ifaddrmsg *ifa = nlmsg_data(h);

		if (h->nlmsg_type == RTM_NEWADDR &&
		    (ifa->ifa_family == AF_INET || ifa->ifa_family == AF_INET6) &&
		    parse_address(h, net) < 0)
			return qb_nl_error(h, err);
	}
	return 0;
}
