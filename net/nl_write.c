/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_write.h"

#include <errno.h>
#include <net/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>

#include "net/names.h"
#include "net/neigh.h"
#include "net/nl_msg.h"
#include "net/nl_vlans.h"
#include "net/nl_route.h"
#include "net/nl_rule.h"

/* The answers of so many fit into the socket's buffer. See QB_MOVE_MAX, too. */
#define BATCH_MAX 12288

/* Newer than the headers of EL9, and ignored by kernels that do not know it. */
enum {
	ATTR_IFA_PROTO = 11
};

static struct nl_msg *link_message(int type, unsigned ifindex, unsigned flags, unsigned change)
{
	struct ifinfomsg ifi = {
		.ifi_index = (int)ifindex, .ifi_flags = flags, .ifi_change = change};

	return qb_nl_message(type, 0, &ifi, sizeof(ifi));
}

static int index_of(const char *name, unsigned *ret, struct qb_error *err)
{
	*ret = if_nametoindex(name);
	return *ret ? 0 : qb_error_errno(err, errno, "link %s", name);
}

static struct nl_msg *address_message(const struct qb_op *op, unsigned ifindex,
				      const struct qb_ip *ip, unsigned char scope)
{
	const struct qb_address *a = op->address;
	struct ifaddrmsg ifa = {
		.ifa_family = (unsigned char)ip->family,
		.ifa_prefixlen = (unsigned char)ip->prefix,
		.ifa_scope = scope,
		.ifa_index = ifindex,
	};
	struct ifa_cacheinfo life = {.ifa_valid = (uint32_t)a->valid_s,
				     .ifa_prefered = (uint32_t)a->preferred_s};
	uint32_t flags = (uint32_t)a->flags & ~(uint32_t)IFA_F_PERMANENT;
	bool delete = op->kind == QB_OP_ADDRESS_DELETE;
	unsigned char proto = (unsigned char)a->proto;
	struct nl_msg *msg;

	msg = qb_nl_message(delete ? RTM_DELADDR : RTM_NEWADDR,
			    delete ? 0 : NLM_F_CREATE | NLM_F_REPLACE, &ifa, sizeof(ifa));
	qb_nl_put(msg, IFA_LOCAL, ip->bytes, ip->len);
	qb_nl_put_ip(msg, IFA_ADDRESS, a->peer ? a->peer : a->address);
	if (delete)
		return msg;
	qb_nl_put_ip(msg, IFA_BROADCAST, a->broadcast);
	if (a->label)
		qb_nl_put(msg, IFA_LABEL, a->label, strlen(a->label) + 1);
	/* It was in use on this wire a moment ago: there is no need to ask whether it is free. */
	if (op->kind == QB_OP_ADDRESS_ADD && ip->family == AF_INET6)
		flags |= IFA_F_NODAD;
	qb_nl_put_u32(msg, IFA_FLAGS, flags);
	qb_nl_put(msg, IFA_CACHEINFO, &life, sizeof(life));
	if (proto)
		qb_nl_put(msg, ATTR_IFA_PROTO, &proto, sizeof(proto));
	if (op->kind == QB_OP_ADDRESS_YIELD)
		qb_nl_put_u32(msg, IFA_RT_PRIORITY, QB_METRIC_YIELD);
	else if (a->metric)
		qb_nl_put_u32(msg, IFA_RT_PRIORITY, (uint32_t)a->metric);
	return msg;
}

static int add_address(const struct qb_op *op, unsigned ifindex, struct qb_nl_batch *batch,
		       struct qb_error *err)
{
	struct qb_nl_item *item;
	unsigned char scope;
	struct qb_ip ip;

	if (qb_ip_parse(op->address->address, &ip) < 0 ||
	    qb_scope_parse(op->address->scope, &scope) < 0)
		return qb_error_set(err, EINVAL, "%s: not an address", op->address->address);
	/* Only IPv6 has flags that are set aside for the moment of the move. */
	if (op->kind == QB_OP_ADDRESS_SETTLE &&
	    (ip.family == AF_INET || (op->address->flags & IFA_F_NODAD)))
		return 0;
	item = qb_nl_batch_add(batch, address_message(op, ifindex, &ip, scope),
			       qb_asprintf("address %s on %s", op->address->address, op->dev));
	item->tolerate[0] = op->kind == QB_OP_ADDRESS_DELETE ? EADDRNOTAVAIL : EEXIST;
	if (op->kind == QB_OP_ADDRESS_DELETE || op->kind == QB_OP_ADDRESS_YIELD)
		item->tolerate[1] = ENODEV;
	return 0;
}

static int add_op(struct nl_sock *sock, const struct qb_op *op, const char *bridge,
		  struct qb_nl_batch *batch, struct qb_error *err)
{
	unsigned ifindex, master;
	struct nl_msg *msg;
	int r;

	/* A rule may name a link that is not there. */
	if (op->kind == QB_OP_RULE_ADD || op->kind == QB_OP_RULE_DELETE)
		return qb_nl_write_rule(op, batch, err);
	r = index_of(op->dev, &ifindex, err);

	/* With the link goes all that it had. */
	if (r == -ENODEV && (op->kind == QB_OP_ADDRESS_DELETE || op->kind == QB_OP_ROUTE_DELETE ||
			     op->kind == QB_OP_ADDRESS_YIELD))
		return 0;
	if (r < 0)
		return r;
	switch (op->kind) {
	case QB_OP_LINK_UP:
		msg = link_message(RTM_NEWLINK, ifindex, IFF_UP, IFF_UP);
		qb_nl_batch_add(batch, msg, qb_asprintf("switching %s on", op->dev));
		return 0;
	case QB_OP_ENSLAVE:
		r = index_of(bridge, &master, err);
		if (r < 0)
			return r;
		msg = link_message(RTM_NEWLINK, ifindex, 0, 0);
		qb_nl_put_u32(msg, IFLA_MASTER, master);
		qb_nl_batch_add(batch, msg, qb_asprintf("making %s a port", op->dev));
		return 0;
	case QB_OP_VLANS:
		qb_nl_write_vlans(ifindex, op->dev, op->vlans, batch);
		return 0;
	case QB_OP_RELEASE:
		msg = link_message(RTM_NEWLINK, ifindex, 0, 0);
		qb_nl_put_u32(msg, IFLA_MASTER, 0);
		qb_nl_batch_add(batch, msg, qb_asprintf("releasing port %s", op->dev));
		return 0;
	case QB_OP_NEIGHBOURS:
		return qb_neigh_copy(sock, op->from, op->dev, batch, err);
	case QB_OP_ADDRESS_ADD:
	case QB_OP_ADDRESS_SETTLE:
	case QB_OP_ADDRESS_YIELD:
	case QB_OP_ADDRESS_DELETE:
		return add_address(op, ifindex, batch, err);
	case QB_OP_ROUTE_ADD:
	case QB_OP_ROUTE_DELETE:
	case QB_OP_ROUTE_TELL:
		return qb_nl_write_route(op, ifindex, batch, err);
	case QB_OP_NEXTHOP:
		return qb_nl_write_nexthop(op, ifindex, batch, err);
	case QB_OP_RULE_ADD:
	case QB_OP_RULE_DELETE:
		break;
	}
	return qb_error_set(err, EINVAL, "operation %d", op->kind);
}

int qb_nl_write_ops(struct nl_sock *sock, const struct qb_ops *ops, const char *bridge,
		    struct qb_nl_batch *batch, struct qb_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ops->n; i++)
		r = add_op(sock, &ops->v[i], bridge, batch, err);
	if (r == 0 && batch->n_items > BATCH_MAX)
		r = qb_error_set(err, E2BIG, "%zu netlink messages at once", batch->n_items);
	return r;
}

static int send_one(struct nl_sock *sock, struct nl_msg *msg, char *what, int tolerate,
		    struct qb_error *err)
{
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};

	qb_nl_batch_add(&batch, msg, what)->tolerate[0] = tolerate;
	return qb_nl_batch_send(sock, &batch, err);
}

static int parse_mac(const char *s, unsigned char mac[6])
{
	return s && sscanf(s, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2],
			   &mac[3], &mac[4], &mac[5]) == 6
		       ? 0
		       : -EINVAL;
}

/* stp: NULL leaves it as it is. pvid: 0 leaves VLANs as they are. */
static void put_bridge(struct nl_msg *msg, const bool *stp, uint16_t pvid)
{
	const unsigned char on = 1;

	struct nlattr *info = qb_nl_nest(msg, IFLA_LINKINFO), *data;

	qb_nl_put(msg, IFLA_INFO_KIND, "bridge", sizeof("bridge"));
	data = qb_nl_nest(msg, IFLA_INFO_DATA);
	if (stp)
		qb_nl_put_u32(msg, IFLA_BR_STP_STATE, *stp);
	if (pvid) {
		qb_nl_put(msg, IFLA_BR_VLAN_FILTERING, &on, sizeof(on));
		qb_nl_put(msg, IFLA_BR_VLAN_DEFAULT_PVID, &pvid, sizeof(pvid));
	}
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
}

static void put_identity(struct nl_msg *msg, const char *mac_text, int64_t mtu)
{
	unsigned char mac[6];

	if (parse_mac(mac_text, mac) == 0)
		qb_nl_put(msg, IFLA_ADDRESS, mac, sizeof(mac));
	if (mtu)
		qb_nl_put_u32(msg, IFLA_MTU, (uint32_t)mtu);
}

int qb_nl_bridge_make(struct nl_sock *sock, const struct qb_move *move, struct qb_error *err)
{
	struct ifinfomsg ifi = {0};
	struct nl_msg *msg =
		qb_nl_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));

	qb_nl_put(msg, IFLA_IFNAME, move->bridge, strlen(move->bridge) + 1);
	/* An address given by hand stays; else it would follow the ports, and the lease with it. */
	put_identity(msg, move->mac, move->mtu);
	put_bridge(msg, NULL, move->vlan_filtering ? (uint16_t)move->pvid : 0);
	return send_one(sock, msg, qb_asprintf("bridge %s", move->bridge), 0, err);
}

int qb_nl_bridge_stp(struct nl_sock *sock, const char *name, bool stp, struct qb_error *err)
{
	struct nl_msg *msg;
	unsigned index;
	int r = index_of(name, &index, err);

	if (r < 0)
		return r;
	msg = link_message(RTM_NEWLINK, index, 0, 0);
	put_bridge(msg, &stp, 0);
	return send_one(sock, msg, qb_asprintf("STP of %s", name), 0, err);
}

int qb_nl_link_identity(struct nl_sock *sock, const char *name, const char *mac, int64_t mtu,
			struct qb_error *err)
{
	struct nl_msg *msg;
	unsigned index;
	int r = index_of(name, &index, err);

	if (r < 0)
		return r;
	msg = link_message(RTM_NEWLINK, index, 0, 0);
	put_identity(msg, mac, mtu);
	return send_one(sock, msg, qb_asprintf("MAC and MTU of %s", name), 0, err);
}

int qb_nl_write_addr_gen_mode(const char *name, unsigned char mode, struct qb_nl_batch *batch,
			      struct qb_error *err)
{
	struct nlattr *spec, *inet6;
	struct nl_msg *msg;
	unsigned index;
	int r = index_of(name, &index, err);

	if (r < 0)
		return r;
	msg = link_message(RTM_NEWLINK, index, 0, 0);
	spec = qb_nl_nest(msg, IFLA_AF_SPEC);
	inet6 = qb_nl_nest(msg, AF_INET6);
	qb_nl_put(msg, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	nla_nest_end(msg, inet6);
	nla_nest_end(msg, spec);
	/* A kernel without IPv6. */
	qb_nl_batch_add(batch, msg, qb_asprintf("address generation of %s", name))->tolerate[0] =
		EAFNOSUPPORT;
	return 0;
}

int qb_nl_addr_gen_mode(struct nl_sock *sock, const char *name, unsigned char mode,
			struct qb_error *err)
{
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};
	int r = qb_nl_write_addr_gen_mode(name, mode, &batch, err);

	return r < 0 ? r : qb_nl_batch_send(sock, &batch, err);
}

void qb_nl_write_rp_filter(const char *name, int value, struct qb_nl_batch *batch)
{
	unsigned index = if_nametoindex(name);
	struct nlattr *spec, *inet, *conf;
	struct nl_msg *msg;

	if (!index || value < 0)
		return;
	msg = link_message(RTM_NEWLINK, index, 0, 0);
	spec = qb_nl_nest(msg, IFLA_AF_SPEC);
	inet = qb_nl_nest(msg, AF_INET);
	conf = qb_nl_nest(msg, IFLA_INET_CONF);
	qb_nl_put_u32(msg, IPV4_DEVCONF_RP_FILTER, (uint32_t)value);
	nla_nest_end(msg, conf);
	nla_nest_end(msg, inet);
	nla_nest_end(msg, spec);
	qb_nl_batch_add(batch, msg, qb_asprintf("rp_filter of %s", name))->tolerate[0] = ENODEV;
}

int qb_nl_port_learning(struct nl_sock *sock, const char *port, bool on, struct qb_error *err)
{
	unsigned char value = on;
	struct nlattr *info, *data;
	struct nl_msg *msg;
	unsigned index;
	int r = index_of(port, &index, err);

	if (r < 0)
		return r;
	msg = link_message(RTM_NEWLINK, index, 0, 0);
	info = qb_nl_nest(msg, IFLA_LINKINFO);
	qb_nl_put(msg, IFLA_INFO_SLAVE_KIND, "bridge", sizeof("bridge"));
	data = qb_nl_nest(msg, IFLA_INFO_SLAVE_DATA);
	qb_nl_put(msg, IFLA_BRPORT_LEARNING, &value, sizeof(value));
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return send_one(sock, msg, qb_asprintf("learning of %s", port), 0, err);
}

int qb_nl_link_up(struct nl_sock *sock, const char *name, bool up, struct qb_error *err)
{
	unsigned index;
	int r = index_of(name, &index, err);

	if (r < 0)
		return r;
	return send_one(sock, link_message(RTM_NEWLINK, index, up ? IFF_UP : 0, IFF_UP),
			qb_asprintf("switching %s %s", name, up ? "on" : "off"), 0, err);
}

int qb_nl_link_delete(struct nl_sock *sock, const char *name, struct qb_error *err)
{
	unsigned index = if_nametoindex(name);

	if (!index)
		return 0;
	return send_one(sock, link_message(RTM_DELLINK, index, 0, 0),
			qb_asprintf("deleting %s", name), ENODEV, err);
}
