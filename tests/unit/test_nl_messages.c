/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of netlink whose parts are not what the kernel's headers say: none is read beyond its
 * end, and no snapshot is made of the rest, which would lack what they told. The functions of libnl
 * and libc that would speak to the kernel stand here instead.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <linux/fib_rules.h>
#include <linux/nexthop.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>

#include <cmocka.h>

#include "net/neigh.h"
#include "net/nl_probe.h"

/* What is answered to a dump of that type; of routes and the like to that of IPv4. */
static struct nl_msg *answers[RTM_MAX + 1];
static int asked;
static unsigned char asked_family;
static struct qb_buf acks;

int nl_send_auto(struct nl_sock *sock, struct nl_msg *msg)
{
	(void)sock;
	asked = nlmsg_hdr(msg)->nlmsg_type;
	asked_family = *(unsigned char *)nlmsg_data(nlmsg_hdr(msg));
	return 0;
}

static int feed(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **buf,
		struct ucred **creds)
{
	struct nlmsghdr *hdr = answers[asked] ? nlmsg_hdr(answers[asked]) : NULL;

	(void)sock;
	*from = (struct sockaddr_nl){.nl_family = AF_NETLINK};
	*creds = NULL;
	if (!hdr || asked_family == AF_INET6)
		return 0;
	*buf = malloc(hdr->nlmsg_len);
	memcpy(*buf, hdr, hdr->nlmsg_len);
	return (int)hdr->nlmsg_len;
}

int nl_recvmsgs(struct nl_sock *sock, struct nl_cb *cb)
{
	int r;

	nl_cb_overwrite_recv(cb, feed);
	r = nl_recvmsgs_report(sock, cb);
	return r > 0 ? 0 : r;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	(void)fd, (void)flags;
	return (ssize_t)msg->msg_iov->iov_len;
}

ssize_t recv(int fd, void *buf, size_t size, int flags)
{
	size_t n = acks.len;

	(void)fd, (void)flags;
	if (!n) {
		errno = EAGAIN;
		return -1;
	}
	assert_true(n <= size);
	memcpy(buf, acks.s, n);
	acks.len = 0;
	return (ssize_t)n;
}

static const unsigned char zeros[64];

static struct nl_msg *answer(int asked_type, int type, const void *head, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, 0);

	assert_non_null(msg);
	assert_int_equal(nlmsg_append(msg, (void *)head, len, NLMSG_ALIGNTO), 0);
	nlmsg_free(answers[asked_type]);
	answers[asked_type] = msg;
	return msg;
}

static struct nl_msg *link_answer(void)
{
	static const struct ifinfomsg head = {.ifi_index = 2};
	struct nl_msg *msg = answer(RTM_GETLINK, RTM_NEWLINK, &head, sizeof(head));

	nla_put_string(msg, IFLA_IFNAME, "up0");
	return msg;
}

static struct nl_msg *address_answer(unsigned char prefix)
{
	const struct ifaddrmsg head = {
		.ifa_family = AF_INET, .ifa_index = 2, .ifa_prefixlen = prefix};

	return answer(RTM_GETADDR, RTM_NEWADDR, &head, sizeof(head));
}

static struct nl_msg *route_answer(unsigned char prefix)
{
	const struct rtmsg head = {.rtm_family = AF_INET,
				   .rtm_dst_len = prefix,
				   .rtm_table = RT_TABLE_MAIN,
				   .rtm_type = RTN_UNICAST};

	return answer(RTM_GETROUTE, RTM_NEWROUTE, &head, sizeof(head));
}

static struct nl_msg *rule_answer(void)
{
	static const struct fib_rule_hdr head = {.family = AF_INET};

	return answer(RTM_GETRULE, RTM_NEWRULE, &head, sizeof(head));
}

static void forget(void)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(answers); i++) {
		nlmsg_free(answers[i]);
		answers[i] = NULL;
	}
}

static int snapshot(struct qb_net *net, struct qb_error *err)
{
	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();
	int r;

	nl_socket_disable_auto_ack(sock);
	r = qb_nl_links(sock, net, err);
	return r < 0 ? r : qb_nl_routes(sock, net, err);
}

static void assert_refused(const char *what)
{
	_cleanup_net_ struct qb_net net = {0};
	struct qb_error err = QB_ERROR_INIT;

	if (snapshot(&net, &err) != -EBADMSG)
		fail_msg("%s was taken", what);
	assert_non_null(strstr(err.msg, "makes no sense"));
	forget();
}

/* The messages below are good but for the one part. */
static void good(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	const struct rtnexthop hop = {.rtnh_len = sizeof(hop), .rtnh_ifindex = 2};
	struct qb_error err = QB_ERROR_INIT;

	(void)state;
	nla_put_u32(link_answer(), IFLA_MTU, 1500);
	nla_put(address_answer(24), IFA_LOCAL, 4, "\300\0\2\12");
	nla_put(route_answer(25), RTA_MULTIPATH, sizeof(hop), &hop);
	assert_int_equal(snapshot(&net, &err), 0);
	assert_string_equal(net.links[0].name, "up0");
	assert_int_equal(net.links[0].mtu, 1500);
	assert_string_equal(net.links[0].addresses[0].address, "192.0.2.10/24");
	assert_string_equal(net.routes[0].dst, "0.0.0.0/25");
	assert_string_equal(net.routes[0].devs.v[0], "up0");
	forget();
}

static void heads_cut_short(void **state)
{
	(void)state;
	answer(RTM_GETLINK, RTM_NEWLINK, zeros, sizeof(struct ifinfomsg) - 4);
	assert_refused("a link");
	answer(RTM_GETADDR, RTM_NEWADDR, zeros, sizeof(struct ifaddrmsg) - 4);
	assert_refused("an address");
	answer(RTM_GETROUTE, RTM_NEWROUTE, zeros, sizeof(struct rtmsg) - 4);
	assert_refused("a route");
	answer(RTM_GETRULE, RTM_NEWRULE, zeros, sizeof(struct fib_rule_hdr) - 4);
	assert_refused("a rule");
}

static void put_kind(const char *kind, int type, int len)
{
	struct nl_msg *msg = link_answer();
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO), *data;

	nla_put_string(msg, IFLA_INFO_KIND, kind);
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	nla_put(msg, type, len, zeros);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
}

static void links(void **state)
{
	static const struct ifinfomsg nameless = {.ifi_index = 2};
	static const int words[] = {IFLA_MTU, IFLA_LINK, IFLA_MASTER};
	struct nlattr *info;
	struct nl_msg *msg;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++) {
		nla_put(link_answer(), words[i], 2, zeros);
		assert_refused("a number of two bytes");
	}
	nla_put(link_answer(), IFLA_CARRIER, 0, zeros);
	assert_refused("a carrier of no byte");
	msg = answer(RTM_GETLINK, RTM_NEWLINK, &nameless, sizeof(nameless));
	assert_refused("a link without a name");
	msg = answer(RTM_GETLINK, RTM_NEWLINK, &nameless, sizeof(nameless));
	nla_put(msg, IFLA_IFNAME, 4, "up0.");
	assert_refused("a name without an end");
	msg = link_answer();
	info = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put(msg, IFLA_INFO_KIND, 6, "bridge");
	nla_nest_end(msg, info);
	assert_refused("a kind without an end");
	put_kind("bridge", IFLA_BR_STP_STATE, 1);
	assert_refused("an STP state of one byte");
	put_kind("vlan", IFLA_VLAN_ID, 1);
	assert_refused("the number of a VLAN in one byte");
	put_kind("vlan", IFLA_VLAN_PROTOCOL, 1);
	assert_refused("the protocol of a VLAN in one byte");
	put_kind("vlan", IFLA_VLAN_FLAGS, 4);
	assert_refused("flags of a VLAN without what they are for");
}

static void addresses(void **state)
{
	struct nl_msg *msg;

	(void)state;
	link_answer();
	nla_put(address_answer(24), IFA_LOCAL, 16, zeros);
	assert_refused("an IPv4 address of 16 bytes");
	link_answer();
	nla_put(address_answer(33), IFA_LOCAL, 4, zeros);
	assert_refused("a prefix of 33 bits");
	link_answer();
	msg = address_answer(24);
	nla_put(msg, IFA_LOCAL, 4, zeros);
	nla_put(msg, IFA_LABEL, 3, "up0");
	assert_refused("a label without an end");
	link_answer();
	nla_put(address_answer(24), IFA_FLAGS, 1, zeros);
	assert_refused("flags of one byte");
}

static void routes(void **state)
{
	static const int whole[] = {RTA_DST, RTA_SRC, RTA_GATEWAY, RTA_PREFSRC};
	static const int words[] = {RTA_TABLE, RTA_OIF, RTA_FLOW, RTA_PRIORITY, RTA_NH_ID};
	const struct rtnexthop hops[] = {{.rtnh_len = 8, .rtnh_ifindex = 2}, {.rtnh_len = 4000}};
	const struct rtmsg other = {.rtm_family = AF_BRIDGE};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(whole); i++) {
		nla_put(route_answer(24), whole[i], 2, zeros);
		assert_refused("an address of two bytes");
		nla_put(route_answer(24), whole[i], 16, zeros);
		assert_refused("an IPv4 address of 16 bytes");
	}
	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++) {
		nla_put(route_answer(24), words[i], 2, zeros);
		assert_refused("a number of two bytes");
	}
	route_answer(33);
	assert_refused("a prefix of 33 bits");
	nla_put(route_answer(24), RTA_MULTIPATH, sizeof(hops), hops);
	assert_refused("a hop that is longer than the rest");
	nla_put(route_answer(24), RTA_MULTIPATH, sizeof(hops[0]) + 4, hops);
	assert_refused("half a hop");
	answer(RTM_GETROUTE, RTM_NEWROUTE, &other, sizeof(other));
	assert_refused("a route of another family");
}

static void put_metric(int type, int len, const void *value)
{
	struct nl_msg *msg = route_answer(24);
	struct nlattr *metrics = nla_nest_start(msg, RTA_METRICS);

	nla_put(msg, type, len, value);
	nla_nest_end(msg, metrics);
}

static void parts_of_routes(void **state)
{
	const struct {
		struct rtnexthop hop;
		struct nlattr attr;
		unsigned char gateway[4];
	} hop = {
		.hop = {.rtnh_len = sizeof(hop), .rtnh_ifindex = 2},
		.attr = {.nla_len = sizeof(hop.attr) + 2, .nla_type = RTA_GATEWAY},
	};
	static const unsigned char via[] = {AF_INET6, 0, 0x20, 1};

	(void)state;
	put_metric(RTAX_MTU, 2, zeros);
	assert_refused("an MTU of two bytes");
	put_metric(RTAX_CC_ALGO, 5, "cubic");
	assert_refused("an algorithm without an end");
	nla_put(route_answer(24), RTA_MULTIPATH, sizeof(hop), &hop);
	assert_refused("a hop with a gateway of two bytes");
	nla_put(route_answer(24), RTA_VIA, 1, via);
	assert_refused("a gateway of no family");
	nla_put(route_answer(24), RTA_VIA, sizeof(via), via);
	assert_refused("an IPv6 gateway of two bytes");
}

static void rules(void **state)
{
	(void)state;
	nla_put(rule_answer(), FRA_PRIORITY, 2, zeros);
	assert_refused("a priority of two bytes");
	nla_put(rule_answer(), FRA_IIFNAME, 3, "up0");
	assert_refused("a name without an end");
	nla_put_u32(rule_answer(), FRA_PRIORITY, 10);
	nla_put(answers[RTM_GETRULE], FRA_SRC, 2, zeros);
	assert_refused("a prefix of two bytes");
}

static void nexthops(void **state)
{
	static const struct nhmsg head = {.nh_family = AF_INET};

	(void)state;
	nla_put(answer(RTM_GETNEXTHOP, RTM_NEWNEXTHOP, &head, sizeof(head)), NHA_ID, 2, zeros);
	assert_refused("a number of two bytes");
	nla_put_u32(answer(RTM_GETNEXTHOP, RTM_NEWNEXTHOP, &head, sizeof(head)), NHA_ID, 1);
	nla_put(answers[RTM_GETNEXTHOP], NHA_GATEWAY, 2, zeros);
	assert_refused("a gateway of two bytes");
}

/* An address of a neighbour that no message has room for is left where it is. */
static void neighbours(void **state)
{
	static const unsigned char most[4080];
	static const struct ndmsg head = {.ndm_state = NUD_PERMANENT};
	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};
	struct qb_error err = QB_ERROR_INIT;
	struct nl_msg *msg = answer(RTM_GETNEIGH, RTM_NEWNEIGH, &head, sizeof(head));

	(void)state;
	nl_socket_disable_auto_ack(sock);
	nla_put(msg, NDA_DST, 4, zeros);
	nla_put(msg, NDA_LLADDR, sizeof(most), most);
	assert_int_equal(qb_neigh_copy(sock, "none0", "none1", &batch, &err), 0);
	assert_int_equal(batch.n_items, 0);
	forget();
}

static int ask_one(struct qb_error *err)
{
	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};

	qb_nl_batch_add(&batch, nlmsg_alloc_simple(RTM_NEWLINK, 0), qb_strdup("a link"));
	return qb_nl_batch_send(sock, &batch, err);
}

static void ack(int error, const char *text, size_t text_len)
{
	struct {
		struct nlmsghdr hdr;
		struct nlmsgerr err;
		struct nlattr attr;
		char text[8];
	} m = {
		.hdr = {.nlmsg_len = sizeof(m),
			.nlmsg_type = NLMSG_ERROR,
			.nlmsg_flags = NLM_F_CAPPED | NLM_F_ACK_TLVS,
			.nlmsg_seq = 1},
		.err = {.error = error},
		.attr = {.nla_len = (uint16_t)(sizeof(struct nlattr) + text_len),
			 .nla_type = NLMSGERR_ATTR_MSG},
	};

	memcpy(m.text, text, text_len);
	qb_buf_add(&acks, (const char *)&m, sizeof(m));
}

static void batch_answers(void **state)
{
	struct qb_error err = QB_ERROR_INIT;

	(void)state;
	ack(-EBUSY, "no room", 8);
	assert_int_equal(ask_one(&err), -EBUSY);
	assert_string_equal(err.msg, "a link: Device or resource busy (no room)");
	ack(-EBUSY, "no room.", 8);
	assert_int_equal(ask_one(&err), -EBUSY);
	assert_string_equal(err.msg, "a link: Device or resource busy");
	ack(INT32_MIN, "", 1);
	assert_int_equal(ask_one(&err), -EBADMSG);
	ack(16, "", 1);
	assert_int_equal(ask_one(&err), -EBADMSG);
	qb_buf_done(&acks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),       cmocka_unit_test(heads_cut_short),
		cmocka_unit_test(links),      cmocka_unit_test(addresses),
		cmocka_unit_test(routes),     cmocka_unit_test(rules),
		cmocka_unit_test(nexthops),   cmocka_unit_test(parts_of_routes),
		cmocka_unit_test(neighbours), cmocka_unit_test(batch_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
