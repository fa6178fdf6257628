/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_vlans.h"

#include <errno.h>
#include <sys/socket.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>

#include "net/nl_msg.h"
#include "net/vlans.h"

static bool filters(const struct qb_net *net, const struct qb_link *link)
{
	const struct qb_link *bridge = link->master ? qb_net_link(net, link->master) : link;

	return bridge && qb_is(&bridge->vlan_filtering);
}

static void add_range(struct qb_link *link, unsigned first, const struct bridge_vlan_info *v)
{
	const char *words =
		v->flags & BRIDGE_VLAN_INFO_PVID
			? v->flags & BRIDGE_VLAN_INFO_UNTAGGED ? " pvid untagged" : " pvid"
		: v->flags & BRIDGE_VLAN_INFO_UNTAGGED ? " untagged"
						       : "";

	if (first == v->vid)
		qb_strs_addf(&link->vlans, "%u%s", v->vid, words);
	else
		qb_strs_addf(&link->vlans, "%u-%u%s", first, v->vid, words);
}

static int parse_vlans(const struct nlmsghdr *hdr, struct qb_net *net)
{
	const struct ifinfomsg *ifi = nlmsg_data(hdr);
	struct nlattr *tb[IFLA_MAX + 1], *attr;
	struct qb_link *link;
	unsigned first = 0;
	int left;

	link = (struct qb_link *)qb_net_link_by_index(net, ifi->ifi_index);
	if (!link || !filters(net, link))
		return 0;
	if (nlmsg_parse((struct nlmsghdr *)hdr, sizeof(*ifi), tb, IFLA_MAX, NULL) < 0)
		return -EBADMSG;
	if (!tb[IFLA_AF_SPEC])
		return 0;
	nla_for_each_nested(attr, tb[IFLA_AF_SPEC], left)
	{
		const struct bridge_vlan_info *v = nla_data(attr);

		if (nla_type(attr) != IFLA_BRIDGE_VLAN_INFO)
			continue;
		if (nla_len(attr) < (int)sizeof(*v))
			return -EBADMSG;
		if (v->flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) {
			first = v->vid;
			continue;
		}
		add_range(link, v->flags & BRIDGE_VLAN_INFO_RANGE_END ? first : v->vid, v);
	}
	return 0;
}

int qb_nl_vlans(struct nl_sock *sock, struct qb_net *net, struct qb_error *err)
{
	_cleanup_buf_ struct qb_buf dump = {0};
	bool any = false;
	int r;

	for (size_t i = 0; i < net->n_links; i++)
		any |= qb_is(&net->links[i].vlan_filtering);
	if (!any)
		return 0;
	r = qb_nl_dump(sock, RTM_GETLINK, AF_BRIDGE, &dump, err);
	for (struct nlmsghdr *h = NULL; r == 0 && (h = qb_nl_next(&dump, h));)
		if (h->nlmsg_type == RTM_NEWLINK && parse_vlans(h, net) < 0)
			r = qb_nl_error(h, err);
	return r;
}

static void put_vlan(struct nl_msg *msg, unsigned id, unsigned flags)
{
	struct bridge_vlan_info v = {.flags = (uint16_t)flags, .vid = (uint16_t)id};

	qb_nl_put(msg, IFLA_BRIDGE_VLAN_INFO, &v, sizeof(v));
}

static void write_range(int type, unsigned ifindex, const char *port, unsigned first, unsigned last,
			unsigned flags, struct qb_nl_batch *batch)
{
	struct ifinfomsg ifi = {.ifi_family = AF_BRIDGE, .ifi_index = (int)ifindex};
	struct nl_msg *msg = qb_nl_message(type, 0, &ifi, sizeof(ifi));
	struct nlattr *spec = qb_nl_nest(msg, IFLA_AF_SPEC);

	if (first == last) {
		put_vlan(msg, first, flags);
	} else {
		put_vlan(msg, first, flags | BRIDGE_VLAN_INFO_RANGE_BEGIN);
		put_vlan(msg, last, flags | BRIDGE_VLAN_INFO_RANGE_END);
	}
	nla_nest_end(msg, spec);
	qb_nl_batch_add(batch, msg, qb_asprintf("VLANs %u-%u of %s", first, last, port));
}

void qb_nl_write_vlans(unsigned ifindex, const char *port, const struct qb_strs *vlans,
		       struct qb_nl_batch *batch)
{
	struct qb_vlan_range r;
	unsigned next = 1;

	for (size_t i = 0; i < vlans->n; i++)
		if (qb_vlan_range_parse(vlans->v[i], &r))
			write_range(RTM_SETLINK, ifindex, port, r.first, r.last,
				    (r.pvid ? BRIDGE_VLAN_INFO_PVID : 0) |
					    (r.untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0),
				    batch);
	for (size_t i = 0; i < vlans->n; i++) {
		if (!qb_vlan_range_parse(vlans->v[i], &r))
			continue;
		if (next < r.first)
			write_range(RTM_DELLINK, ifindex, port, next, r.first - 1, 0, batch);
		next = r.last + 1;
	}
	if (next <= QB_VLAN_MAX)
		write_range(RTM_DELLINK, ifindex, port, next, QB_VLAN_MAX, 0, batch);
}
