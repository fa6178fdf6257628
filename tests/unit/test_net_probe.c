/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot of links, addresses, routes and rules that ip(8) made, in a network namespace. */
#include "test_bridge_ns.h"

#include <stdlib.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "agent/base/root.h"
#include "net/probe.h"
#include "tests/unit/scratch.h"

static void probe(struct qb_net *ret)
{
	_cleanup_root_ struct qb_root root = QB_ROOT_INIT;

	assert_int_equal(qb_root_open("/", &root, NULL), 0);
	qb_net_probe(&root, ret);
	if (!qb_is(&ret->known))
		fail_msg("%s", ret->known.why);
}

static void fresh(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ip("link set lo up");
	ip("link add up0 address " HOST_MAC " type veth peer name gw0");
	write_file("/proc/sys/net/ipv6/conf/up0/accept_dad", "0");
	ip("link set up0 up");
	ip("link set gw0 up");
}

static const struct qb_route *route(const struct qb_net *net, const char *dst)
{
	for (size_t i = 0; i < net->n_routes; i++)
		if (!strcmp(net->routes[i].dst, dst))
			return &net->routes[i];
	fail_msg("no route %s", dst);
	return NULL;
}

static const struct qb_address *address(const struct qb_link *link, const char *text)
{
	for (size_t i = 0; i < link->n_addresses; i++)
		if (!strcmp(link->addresses[i].address, text))
			return &link->addresses[i];
	fail_msg("no address %s", text);
	return NULL;
}

static void links(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *link;

	(void)state;
	fresh();
	ip("link add br9 type bridge stp_state 1");
	ip("link set gw0 master br9");
	ip("link add mv0 link up0 type macvlan");
	ip("link set up0 mtu 1300");
	probe(&net);
	link = qb_net_link(&net, "up0");
	assert_string_equal(link->mac, HOST_MAC);
	assert_string_equal(link->kind, "veth");
	assert_int_equal(link->mtu, 1300);
	assert_true(link->up);
	assert_true(qb_is(&link->carrier));
	assert_null(link->master);
	assert_int_equal(link->stp.state, QB_UNKNOWN);
	assert_null(link->driver);
	assert_string_equal(qb_net_link(&net, "gw0")->master, "br9");
	assert_string_equal(qb_net_link(&net, "br9")->kind, "bridge");
	assert_true(qb_is(&qb_net_link(&net, "br9")->stp));
	assert_false(qb_net_link(&net, "br9")->up);
	/* Of a link that is down the kernel cannot tell. */
	assert_int_equal(qb_net_link(&net, "br9")->carrier.state, QB_UNKNOWN);
	assert_int_equal(qb_net_link(&net, "mv0")->lower_ifindex, link->ifindex);
	assert_string_equal(qb_net_link(&net, "mv0")->kind, "macvlan");
	assert_true(qb_net_link(&net, "lo")->loopback);
	assert_null(qb_net_link(&net, "eth0"));
}

static void addresses(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_address *a;
	const struct qb_link *up0;

	(void)state;
	fresh();
	ip("addr add 192.0.2.10/24 brd + dev up0");
	ip("addr add 192.0.2.11/24 dev up0 label up0:1");
	ip("addr add 198.51.100.1 peer 198.51.100.2/32 dev up0 scope link");
	ip("addr add 203.0.113.5/24 dev up0 valid_lft 600 preferred_lft 300 noprefixroute");
	ip("addr add 2001:db8::10/64 dev up0 metric 77");
	ip("addr add 192.0.2.12/24 dev up0 preferred_lft 0");
	probe(&net);
	up0 = qb_net_link(&net, "up0");
	assert_int_equal(up0->n_addresses, 7);
	/* The kernel says "for ever" of it, and marks it. */
	assert_int_equal(address(up0, "192.0.2.12/24")->preferred_s, 0);
	a = address(up0, "192.0.2.10/24");
	assert_string_equal(a->broadcast, "192.0.2.255");
	assert_null(a->label);
	assert_null(a->peer);
	assert_string_equal(a->scope, "global");
	assert_int_equal(a->valid_s, UINT32_MAX);
	assert_true(a->flags & IFA_F_PERMANENT);
	a = address(up0, "192.0.2.11/24");
	assert_string_equal(a->label, "up0:1");
	assert_true(a->flags & IFA_F_SECONDARY);
	a = address(up0, "198.51.100.1/32");
	assert_string_equal(a->peer, "198.51.100.2/32");
	assert_string_equal(a->scope, "link");
	a = address(up0, "203.0.113.5/24");
	assert_true(a->valid_s > 590 && a->valid_s <= 600);
	assert_true(a->preferred_s > 290 && a->preferred_s <= 300);
	assert_int_equal(a->flags & (IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE), IFA_F_NOPREFIXROUTE);
	assert_int_equal(address(up0, "2001:db8::10/64")->metric, 77);
	assert_string_equal(address(up0, "fe80::200:5eff:fe00:5301/64")->scope, "link");
}

/* Which of the routes to dst are behind another, a digit each. */
static void assert_behind(const struct qb_net *net, const char *dst, const char *wanted)
{
	_cleanup_buf_ struct qb_buf b = {0};

	for (size_t i = 0; i < net->n_routes; i++)
		if (!strcmp(net->routes[i].dst, dst))
			qb_buf_puts(&b, net->routes[i].behind ? "1" : "0");
	assert_string_equal(b.s, wanted);
}

static void routes(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_route *r;

	(void)state;
	fresh();
	ip("addr add 192.0.2.10/24 dev up0");
	ip("addr add 192.0.2.20/24 dev gw0");
	ip("addr add 2001:db8::10/64 dev up0");
	ip("route add default via 192.0.2.1 dev up0 metric 100 proto dhcp");
	ip("route add 198.51.100.0/25 via 192.0.2.1 dev up0 mtu 1400 src 192.0.2.10");
	ip("route add 198.51.100.128/25 via 203.0.113.9 dev up0 onlink table 100");
	ip("route add unreachable 198.18.0.0/15");
	ip("route add 203.0.113.0/26 nexthop via 192.0.2.1 dev up0 nexthop via 192.0.2.2 dev gw0");
	ip("route add 203.0.113.64/26 dev up0 tos 0x10");
	ip("route add 203.0.113.128/26 dev up0 rtt 20 realm 7");
	ip("nexthop add id 55 via 192.0.2.1 dev up0");
	ip("route add 203.0.113.192/26 nhid 55");
	ip("route append 198.19.0.0/24 via 192.0.2.1 dev up0");
	ip("route append 198.19.0.0/24 via 192.0.2.2 dev up0");
	ip("route append 198.19.0.0/24 via 192.0.2.2 dev gw0");
	ip("route append 198.19.1.0/24 dev up0 scope link");
	ip("route append 198.19.1.0/24 via 192.0.2.1 dev up0");
	ip("-6 route add 2001:db8:1::/48 via 2001:db8::1 pref high");
	ip("-6 route add 2001:db8:2::/48 from 2001:db8:3::/48 dev up0");
	ip("-6 route add 2001:db8:4::/48 dev up0 expires 900");
	probe(&net);
	r = route(&net, "default");
	assert_string_equal(r->gateway, "192.0.2.1");
	assert_string_equal(r->dev, "up0");
	assert_string_equal(r->proto, "dhcp");
	assert_int_equal(r->metric, 100);
	assert_int_equal(r->table, 254);
	assert_int_equal(r->n_nexthops, 1);
	assert_null(r->extra);
	r = route(&net, "198.51.100.0/25");
	assert_int_equal(r->mtu, 1400);
	assert_string_equal(r->prefsrc, "192.0.2.10");
	assert_null(r->extra);
	r = route(&net, "198.51.100.128/25");
	assert_int_equal(r->table, 100);
	assert_true(r->flags & RTNH_F_ONLINK);
	assert_string_equal(route(&net, "198.18.0.0/15")->type, "unreachable");
	r = route(&net, "203.0.113.0/26");
	assert_int_equal(r->n_nexthops, 2);
	assert_null(r->dev);
	assert_true(qb_strs_has(&r->devs, "up0") && qb_strs_has(&r->devs, "gw0"));
	assert_int_equal(r->n_hops, 2);
	assert_string_equal(r->hops[1].dev, "gw0");
	assert_string_equal(r->hops[1].gateway, "192.0.2.2");
	assert_int_equal(r->hops[1].weight, 1);
	assert_int_equal(route(&net, "203.0.113.64/26")->tos, 16);
	r = route(&net, "203.0.113.128/26");
	assert_int_equal(r->realms, 7);
	assert_int_equal(r->metrics.n, 1);
	assert_string_equal(r->metrics.v[0], "rtt 20");
	assert_null(r->extra);
	assert_int_equal(route(&net, "203.0.113.192/26")->nhid, 55);
	assert_string_equal(route(&net, "2001:db8:1::/48")->pref, "high");
	assert_string_equal(route(&net, "2001:db8:2::/48")->from, "2001:db8:3::/48");
	assert_in_range(route(&net, "2001:db8:4::/48")->expires_s, 890, 900);
	assert_behind(&net, "198.19.0.0/24", "001");
	assert_behind(&net, "198.19.1.0/24", "01");
	r = route(&net, "192.0.2.0/24");
	assert_string_equal(r->proto, "kernel");
	assert_string_equal(r->scope, "link");
	/* Table local is the kernel's own. */
	for (size_t i = 0; i < net.n_routes; i++)
		assert_int_not_equal(net.routes[i].table, 255);
}

static void rules(void **state)
{
	_cleanup_net_ struct qb_net net = {0};

	(void)state;
	fresh();
	ip("rule add pref 99 oif up0 lookup 100");
	ip("-6 rule add pref 98 iif up0 lookup 300");
	probe(&net);
	assert_int_equal(net.n_rules, 2);
	assert_string_equal(net.rules[0].family, "inet");
	assert_int_equal(net.rules[0].priority, 99);
	assert_int_equal(net.rules[0].table, 100);
	assert_string_equal(net.rules[0].oif, "up0");
	assert_null(net.rules[0].iif);
	assert_string_equal(net.rules[1].family, "inet6");
	assert_int_equal(net.rules[1].table, 300);
	assert_string_equal(net.rules[1].iif, "up0");
	assert_string_equal(net.rules[1].action, "lookup");
	assert_string_equal(net.rules[1].proto, "unspec");
	assert_int_equal(net.rules[1].terms.n, 0);
	assert_null(net.rules[1].extra);
}

static void all_that_a_rule_asks(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	_cleanup_free_ char *terms = NULL;
	const struct qb_rule *r;

	(void)state;
	fresh();
	ip("rule add not pref 99 iif up0 from 198.18.0.0/15 to 203.0.113.0/24 tos 0x10 protocol 11 "
	   "fwmark 1/3 uidrange 5-6 ipproto udp sport 7-8 suppress_prefixlength 9 lookup 100");
	ip("rule add pref 98 oif up0 prohibit");
	probe(&net);
	r = &net.rules[1];
	assert_true(r->invert);
	assert_string_equal(r->src, "198.18.0.0/15");
	assert_string_equal(r->dst, "203.0.113.0/24");
	assert_string_equal(r->proto, "11");
	assert_int_equal(r->tos, 16);
	assert_true(qb_strs_has(&r->terms, "fwmark 1"));
	assert_true(qb_strs_has(&r->terms, "fwmask 3"));
	assert_true(qb_strs_has(&r->terms, "uidrange 5-6"));
	assert_true(qb_strs_has(&r->terms, "ipproto 17"));
	assert_true(qb_strs_has(&r->terms, "sport 7-8"));
	assert_true(qb_strs_has(&r->terms, "suppress_prefixlength 9"));
	assert_null(r->extra);
	assert_string_equal(net.rules[0].action, "prohibit");
}

static void nexthops(void **state)
{
	_cleanup_net_ struct qb_net net = {0};

	(void)state;
	fresh();
	ip("addr add 192.0.2.10/24 dev up0");
	ip("nexthop add id 7 via 192.0.2.1 dev up0 onlink proto 11");
	ip("-6 nexthop add id 8 dev gw0");
	ip("nexthop add id 9 blackhole");
	probe(&net);
	/* What leaves by no link is nobody's. */
	assert_int_equal(net.n_nexthops, 2);
	assert_int_equal(net.nexthops[0].id, 7);
	assert_string_equal(net.nexthops[0].gateway, "192.0.2.1");
	assert_string_equal(net.nexthops[0].dev, "up0");
	assert_string_equal(net.nexthops[0].proto, "11");
	assert_true(net.nexthops[0].flags & RTNH_F_ONLINK);
	assert_null(net.nexthops[0].extra);
	assert_string_equal(net.nexthops[1].family, "inet6");
	assert_null(net.nexthops[1].gateway);
}

static void a_thousand_of_each(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	char path[SCRATCH_MAX];
	int fd = mkstemp(scratch(path));
	FILE *batch;

	(void)state;
	assert_true(fd >= 0);
	batch = fdopen(fd, "w");
	fresh();
	for (int i = 0; i < 1000; i++) {
		fprintf(batch, "link add v%d type veth peer name w%d\n", i, i);
		fprintf(batch, "addr add 198.18.%d.%d/32 dev v%d\n", i / 250, i % 250 + 1, i);
		fprintf(batch, "route add 198.19.%d.%d/32 dev up0\n", i / 250, i % 250 + 1);
	}
	fclose(batch);
	ip("-batch %s", path);
	remove(path);
	probe(&net);
	assert_int_equal(net.n_links, 2003);
	assert_int_equal(qb_net_link(&net, "v999")->n_addresses, 1);
	assert_string_equal(route(&net, "198.19.3.250/32")->dev, "up0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links),
		cmocka_unit_test(addresses),
		cmocka_unit_test(routes),
		cmocka_unit_test(rules),
		cmocka_unit_test(all_that_a_rule_asks),
		cmocka_unit_test(nexthops),
		cmocka_unit_test(a_thousand_of_each),
	};

	return run_in_namespaces(tests);
}
