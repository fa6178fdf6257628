/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's network configuration made by chance, as lines for "ip -batch", those that begin with
 * -4 or -6 for "ip -4" or "ip -6": what up0 may have, and other links beside it. The same seed
 * makes the same host, but for the bonds and VLANs that one kernel makes and another does not.
 */
#pragma once

#include "random_links.h"

/* The gateway namespace has .1 and .2 of each. */
static const char *const nets4[] = {"192.0.2", "203.0.113", "198.18.0"};
static const char *const nets6[] = {"2001:db8", "2001:db8:1", "2001:db8:2"};

static inline void random_address4(struct random_host *h, unsigned net, unsigned host)
{
	bool no_route = one_in(h, 5);

	if (h->n_own4 == MAX_PICKS)
		return;
	snprintf(h->own4[h->n_own4++], sizeof(h->own4[0]), "%s.%u", nets4[net], host);
	SAY(h, "-4 addr add %s.%u/24 dev up0", nets4[net], host);
	if (one_in(h, 2))
		SAY(h, " brd +");
	if (one_in(h, 4))
		SAY(h, " label up0:%u", pick(h, 50));
	if (one_in(h, 8))
		SAY(h, " scope %s", one_in(h, 2) ? "link" : "site");
	if (one_in(h, 4) && !no_route)
		SAY(h, " metric %u", 50 + pick(h, 3) * 100);
	if (no_route)
		SAY(h, " noprefixroute");
	if (one_in(h, 8))
		SAY(h, " preferred_lft %s", one_in(h, 2) ? "3000" : "0");
	SAY(h, "\n");
	/* As NetworkManager has it. */
	if (no_route)
		SAY(h,
		    "-4 route append %s.0/24 dev up0 proto kernel scope link src %s.%u metric %u\n",
		    nets4[net], nets4[net], host, 100 + pick(h, 3));
	h->net4[net] = true;
}

static inline void random_address6(struct random_host *h, unsigned net, unsigned host)
{
	bool no_route = one_in(h, 5);

	if (h->n_own6 == MAX_PICKS)
		return;
	snprintf(h->own6[h->n_own6++], sizeof(h->own6[0]), "%s::%x", nets6[net], host);
	SAY(h, "-6 addr add %s::%x/64 dev up0", nets6[net], host);
	/* With two metrics in one network the kernel forgets one of its two routes. */
	if (h->metric6[net] && !no_route)
		SAY(h, " metric %u", h->metric6[net]);
	if (no_route)
		SAY(h, " noprefixroute");
	if (one_in(h, 6))
		SAY(h, " nodad");
	if (one_in(h, 10))
		SAY(h, " home");
	if (one_in(h, 10))
		SAY(h, " mngtmpaddr");
	if (one_in(h, 8))
		SAY(h, " preferred_lft %s", one_in(h, 2) ? "3000" : "0");
	SAY(h, "\n");
	if (no_route)
		SAY(h, "-6 route append %s::/64 dev up0 proto kernel metric %u\n", nets6[net],
		    100 + h->n_own6);
	h->net6[net] = true;
}

static inline void random_addresses(struct random_host *h)
{
	for (unsigned net = 0; net < 3; net++) {
		if (net && one_in(h, 2))
			continue;
		h->metric6[net] = pick(h, 3) * 50;
		for (unsigned n = 1 + pick(h, 3); n; n--)
			random_address4(h, net, 10 + pick(h, 60) * 3 + n % 3);
		for (unsigned n = pick(h, 4); n; n--)
			random_address6(h, net, 16 + pick(h, 60) * 3 + n % 3);
	}
	if (one_in(h, 5))
		SAY(h, "-4 addr add 198.18.5.1 peer 198.18.5.2/32 dev up0\n");
	if (one_in(h, 8))
		SAY(h, "-6 addr add 2001:db8:5::1 peer 2001:db8:5::2/128 dev up0\n");
}

/* Somebody who answers on up0, in a network that it has. false: there is none. */
static inline bool random_gateway(struct random_host *h, bool inet6, char *ret, size_t size)
{
	unsigned net = pick(h, 3);

	for (unsigned i = 0; i < 3; i++, net = (net + 1) % 3) {
		if (inet6 ? !h->net6[net] : !h->net4[net])
			continue;
		snprintf(ret, size, "%s%s%u", inet6 ? nets6[net] : nets4[net], inet6 ? "::" : ".",
			 1 + pick(h, 2));
		return true;
	}
	snprintf(ret, size, "fe80::1");
	return inet6;
}

/* Beyond all networks of the link. Most answer; one that does not is waited for. */
static inline void random_onlink(struct random_host *h, bool inet6)
{
	SAY(h, " via %s%s dev up0 onlink", inet6 ? "2001:db8:77::" : "198.18.77.",
	    one_in(h, 10) ? "9" : "1");
}

static inline void random_metrics(struct random_host *h, bool inet6)
{
	static const char *const words[] = {
		"mtu 1400",    "mtu lock 1380", "advmss 1300",  "window 20000",
		"rtt 30",      "rttvar 20",     "ssthresh 9",   "cwnd lock 12",
		"hoplimit 40", "initcwnd 20",   "initrwnd 30",  "features ecn",
		"rto_min 300", "quickack 1",    "reordering 5", "congctl reno",
	};

	while (one_in(h, 3))
		SAY(h, " %s", PICK(h, words));
	if (!inet6 && one_in(h, 12))
		SAY(h, " realm %u", 1 + pick(h, 9));
}

static inline void random_rest(struct random_host *h, bool inet6)
{
	static const char *const tables[] = {"100", "200", "1000", "70000"};
	static const char *const protos[] = {"boot", "static", "11", "dhcp", "ra", "200"};

	if (one_in(h, 2))
		SAY(h, " table %s", PICK(h, tables));
	SAY(h, " metric %u", 1 + pick(h, 4000));
	if (one_in(h, 2))
		SAY(h, " proto %s", PICK(h, protos));
	random_metrics(h, inet6);
}

static inline void random_dst(struct random_host *h, bool inet6)
{
	if (one_in(h, 5))
		SAY(h, " default");
	else if (inet6)
		SAY(h, " 2001:db8:%x::/%u", 0x100 + pick(h, 64), 48 + 16 * pick(h, 2));
	else
		SAY(h, " 198.19.%u.0/%u", pick(h, 16) * 16, 20 + pick(h, 5));
}

/* By the links that are not moved, one after the other. */
static inline void other_hop(struct random_host *h, bool inet6)
{
	unsigned which = h->n_other_hops++ % (h->n_beside + 1);

	if (which == h->n_beside)
		SAY(h, "%s dev oth0", inet6 ? " via fe80::99" : " via 198.51.100.1");
	else
		SAY(h, inet6 ? " via 2001:db8:%u::1 dev %s" : " via 198.18.%u.1 dev %s",
		    h->beside[which].net, h->beside[which].link);
}

static inline void random_hop(struct random_host *h, bool inet6)
{
	char gateway[64];

	if (one_in(h, 3))
		other_hop(h, inet6);
	else if (random_gateway(h, inet6, gateway, sizeof(gateway)) && !one_in(h, inet6 ? 1000 : 6))
		SAY(h, " via %s dev up0", gateway);
	else
		SAY(h, " dev up0");
}

static inline void random_multipath(struct random_host *h, bool inet6)
{
	SAY(h, "%s route append", inet6 ? "-6" : "-4");
	random_dst(h, inet6);
	random_rest(h, true);
	for (unsigned n = 2 + pick(h, 3); n; n--) {
		SAY(h, " nexthop");
		random_hop(h, inet6);
		SAY(h, " weight %u", 1 + pick(h, 9));
	}
	SAY(h, "\n");
}

static inline void random_unicast(struct random_host *h, bool inet6)
{
	char gateway[64];

	SAY(h, "%s route append", inet6 ? "-6" : "-4");
	random_dst(h, inet6);
	if (one_in(h, 12) && !inet6)
		SAY(h, " via inet6 fe80::1 dev up0");
	else if (one_in(h, 12))
		random_onlink(h, inet6);
	else if (!one_in(h, 3) && random_gateway(h, inet6, gateway, sizeof(gateway)))
		SAY(h, " via %s dev up0", gateway);
	else
		SAY(h, " dev up0%s", inet6 || one_in(h, 3) ? "" : " scope link");
	random_rest(h, inet6);
	if (one_in(h, 5) && (inet6 ? h->n_own6 : h->n_own4))
		SAY(h, " src %s",
		    inet6 ? h->own6[pick(h, h->n_own6)] : h->own4[pick(h, h->n_own4)]);
	if (!inet6 && one_in(h, 6))
		SAY(h, " tos 0x%x", 4 * (1 + pick(h, 7)));
	if (inet6 && one_in(h, 6))
		SAY(h, " expires %u", 100 * (5 + pick(h, 50)));
	if (inet6 && one_in(h, 5))
		SAY(h, " pref %s", one_in(h, 2) ? "high" : "low");
	SAY(h, "\n");
}

/* Two that only their next hops tell from each other: the first is asked. */
static inline void random_alike(struct random_host *h)
{
	unsigned net = pick(h, 16), metric = pick(h, 3) * 10, n = 2 + pick(h, 2);
	bool other = one_in(h, 2);

	for (unsigned i = 0; i < n; i++) {
		SAY(h, "-4 route append 198.19.%u.0/28 metric %u", net * 16, metric);
		if (other && i == 0)
			SAY(h, " via 198.51.100.1 dev oth0\n");
		else
			SAY(h, " via 192.0.2.%u dev up0 proto %u\n", 1 + pick(h, 2), 20 + i);
	}
}

static inline void random_typed(struct random_host *h)
{
	static const char *const lines[] = {
		"-4 route append local 198.18.200.0/24 dev up0 table %u\n",
		"-4 route append local 198.18.201.0/24 dev up0 metric %u\n",
		"-4 route append broadcast 198.18.202.255 dev up0 table %u scope link\n",
		"-4 route append multicast 233.252.0.0/24 dev up0 table %u\n",
		"-4 route append anycast 198.18.203.1 dev up0 scope link table %u\n",
		"-6 route append local 2001:db8:200::/64 dev up0 table %u\n",
		"-6 route append anycast 2001:db8:201::1 dev up0 table %u\n",
		"-6 route append multicast ff0e::/32 dev up0 table %u\n",
		"-4 route append blackhole 198.18.204.0/24 metric %u\n",
		"-6 route append unreachable 2001:db8:202::/64 table %u\n",
		"-4 route append 198.18.205.0/24 dev oth0 table %u\n",
		"-6 route append default via fe80::99 dev oth0 metric %u\n",
	};
	_cleanup_free_ char *line = qb_strdup(PICK(h, lines));
	char *number = strstr(line, "%u");

	*number = '\0';
	SAY(h, "%s%u%s", line, 300 + pick(h, 5), number + 2);
}

/* Ids of one family are all odd or all even, so that a group finds its like. */
static inline void random_nexthops(struct random_host *h, bool inet6)
{
	const char *family = inet6 ? "-6" : "-4";
	unsigned id = inet6 ? 2 : 1, n = 1 + pick(h, 3), i;
	char gateway[64];

	for (i = 0; i < n; i++) {
		SAY(h, "%s nexthop add id %u", family, id + 2 * i);
		if (one_in(h, 4))
			SAY(h, "%s dev oth0", inet6 ? " via fe80::99" : " via 198.51.100.1");
		else if (one_in(h, 6))
			random_onlink(h, inet6);
		else if (random_gateway(h, inet6, gateway, sizeof(gateway)) && !one_in(h, 5))
			SAY(h, " via %s dev up0", gateway);
		else
			SAY(h, " dev up0");
		SAY(h, " proto %u\n", 3 + pick(h, 9));
		SAY(h, "%s route append", family);
		random_dst(h, inet6);
		random_rest(h, true);
		SAY(h, " nhid %u\n", id + 2 * i);
	}
	if (one_in(h, 2) || n < 2)
		return;
	SAY(h, "%s nexthop add id %u group %u,%u/%u,7\n", family, id + 100, id, id + 2,
	    1 + pick(h, 9));
	SAY(h, "%s route append", family);
	random_dst(h, inet6);
	random_rest(h, true);
	SAY(h, " nhid %u\n", id + 100);
}

static inline void random_rule(struct random_host *h)
{
	static const char *const asks[] = {
		"fwmark 16",   "fwmark 0x20/0xf0", "tos 0x10",  "uidrange 1000-2000",
		"ipproto tcp", "sport 80-90",      "dport 443", "ipproto udp dport 53",
	};
	static const char *const actions[] = {
		"lookup 100", "lookup 70000",
		"lookup 200", "lookup main suppress_prefixlength 0",
		"goto 32766", "lookup main suppress_ifgroup 7",
		"nop",
	};
	static const char *const strict[] = {"prohibit", "blackhole", "unreachable"};
	/* One that refuses all is no host; and by a link that none may leave by no route can be
	 * made any more, not even the one that it has. */
	bool inet6 = one_in(h, 2), is_strict = one_in(h, 4), any = !is_strict;

	SAY(h, "%s rule add%s priority %u", inet6 ? "-6" : "-4", any && one_in(h, 6) ? " not" : "",
	    100 + pick(h, 40));
	if (one_in(h, 2))
		SAY(h, " iif %s", one_in(h, 4) ? "oth0" : "up0"), any = true;
	if (one_in(h, 3))
		SAY(h, " oif %s", !is_strict && one_in(h, 4) ? "oth0" : "up0"), any = true;
	if (!any || one_in(h, 3))
		SAY(h, " from %s", inet6 ? "2001:db8:9::/48" : "198.18.9.0/24");
	if (one_in(h, 4))
		SAY(h, " to %s", inet6 ? "2001:db8:a::/48" : "198.18.10.0/23");
	if (one_in(h, 2))
		SAY(h, " %s", PICK(h, asks));
	if (one_in(h, 5))
		SAY(h, " protocol %u", 3 + pick(h, 9));
	SAY(h, " %s\n", is_strict ? PICK(h, strict) : PICK(h, actions));
}

static inline void random_neighbour(struct random_host *h)
{
	bool inet6 = one_in(h, 2);
	unsigned n = 0x40 + pick(h, 64);

	if (one_in(h, 4))
		SAY(h, "%s neigh replace proxy %s%u dev up0\n", inet6 ? "-6" : "-4",
		    inet6 ? "2001:db8::" : "192.0.2.", n);
	else if (inet6)
		SAY(h, "-6 neigh replace 2001:db8::%x lladdr 00:00:5e:00:53:%02x dev up0%s\n", n, n,
		    one_in(h, 3) ? " router" : "");
	else
		SAY(h, "-4 neigh replace 192.0.2.%u lladdr 00:00:5e:00:53:%02x dev up0%s\n", n, n,
		    one_in(h, 4) ? " protocol 11" : "");
}

static inline void random_addressing(struct random_host *h)
{
	static const unsigned mtus[] = {1280, 1400, 1492, 9000};

	if (one_in(h, 3))
		SAY(h, "link set up0 mtu %u\n", PICK(h, mtus));
	SAY(h, "link add oth0 address 00:00:5e:00:53:77 type veth peer name oth1\n");
	SAY(h, "link set oth1 up\n");
	SAY(h, "link set oth0 up\n");
	SAY(h, "-4 addr add 198.51.100.10/24 dev oth0\n");
	random_addresses(h);
	for (unsigned n = pick(h, 10); n; n--)
		random_unicast(h, one_in(h, 2));
	for (unsigned n = pick(h, 3); n; n--)
		random_multipath(h, one_in(h, 2));
	for (unsigned n = pick(h, 3); n; n--)
		random_typed(h);
	for (unsigned n = pick(h, 2); n; n--)
		random_alike(h);
	for (unsigned n = pick(h, 3); n; n--)
		random_neighbour(h);
	for (unsigned n = pick(h, 5); n; n--)
		random_rule(h);
	for (unsigned inet6 = 0; inet6 < 2; inet6++)
		if (one_in(h, 3))
			random_nexthops(h, inet6);
}

static inline void random_host_done(struct random_host *h)
{
	qb_buf_done(&h->lines);
	qb_buf_done(&h->gateway);
}

/* What is given of h says what the kernel makes; the caller frees it. */
static inline void random_host(struct random_host *h, uint64_t seed)
{
	h->state = ~seed;
	random_links(h);
	h->state = seed;
	random_addressing(h);
}
