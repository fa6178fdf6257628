/* SPDX-License-Identifier: Apache-2.0 */
/* What the host itself does for guests' traffic. */
#include "checks/judging.h"

#include <inttypes.h>

#include "agent/host/config_valid.h"
#include "net/names.h"

static bool in_vrf(const struct qb_net *net, const struct qb_link *l)
{
	const struct qb_link *master = l->master ? qb_net_link(net, l->master) : NULL;

	return master && qb_streq(master->kind, "vrf");
}

/* One that can clash: not link-local, not of a point-to-point link, and not of the whole-address
 * prefix by which routers announce one address on many links. */
static bool may_clash(const struct qb_address *a)
{
	return a->address && !a->peer && !qb_streq(a->scope, "link") &&
	       !qb_streq(a->scope, "host") &&
	       !qb_endswith(a->address, strchr(a->address, ':') ? "/128" : "/32");
}

static void weigh_pair(const struct qb_link *a, const struct qb_address *x, const struct qb_link *b,
		       const struct qb_address *y, struct qb_tally *t, struct qb_result *r)
{
	struct qb_prefix p, q;
	size_t len = strcspn(x->address, "/");
	bool same = len == strcspn(y->address, "/") && !strncmp(x->address, y->address, len);

	if (!qb_prefix_parse(x->address, true, &p) || !qb_prefix_parse(y->address, true, &q))
		return;
	/* Two NICs of one subnet are known to be done on purpose (iSCSI, multipath). */
	if (!same && (p.family != q.family || p.length != q.length || !qb_prefix_overlaps(&p, &q) ||
		      !(qb_is_bridge(a) || qb_is_bridge(b))))
		return;
	qb_evidence(r, a->name, "netlink", "%s", x->address);
	qb_evidence(r, b->name, "netlink", "%s", y->address);
	if (same)
		qb_tally_bad(t, "%.*s is on %s and on %s", (int)len, x->address, a->name, b->name);
	else
		qb_tally_bad(t, "%s on %s and %s on %s are of one subnet", x->address, a->name,
			     y->address, b->name);
}

/* Addresses that can clash, in the order of the snapshot, and where each of their keys is: itself
 * without its length, and its network. */
struct held {
	const struct qb_link *link;
	const struct qb_address *address;
	char *keys[2];
};

struct place {
	const char *key;
	size_t at;
};

struct holdings {
	struct held *v;
	size_t n;
	struct place *places;
	size_t n_places;
};

static int compare_places(const void *va, const void *vb)
{
	const struct place *a = va, *b = vb;
	int r = strcmp(a->key, b->key);

	return r ? r : (a->at > b->at) - (a->at < b->at);
}

static void holdings_done(struct holdings *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->v[i].keys[0]);
		free(h->v[i].keys[1]);
	}
	free(h->v);
	free(h->places);
}

static void collect(const struct qb_net *net, struct holdings *h)
{
	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *l = &net->links[i];

		for (size_t k = 0; !l->loopback && !in_vrf(net, l) && k < l->n_addresses; k++) {
			const struct qb_address *a = &l->addresses[k];
			struct held *to;

			if (!may_clash(a))
				continue;
			to = QB_APPEND(h->v, h->n);
			to->link = l;
			to->address = a;
			to->keys[0] = qb_strndup(a->address, strcspn(a->address, "/"));
			to->keys[1] = qb_ip_network(a->address);
		}
	}
	for (size_t i = 0; i < h->n; i++)
		for (size_t k = 0; k < 2; k++)
			if (h->v[i].keys[k])
				*QB_APPEND(h->places, h->n_places) =
					(struct place){h->v[i].keys[k], i};
	if (h->n_places)
		qsort(h->places, h->n_places, sizeof(*h->places), compare_places);
}

/* The next that has the same key; n: none. */
static size_t next_of(const struct holdings *h, const char *key, size_t after)
{
	const struct place wanted = {key, after + 1};
	size_t low = 0, high = h->n_places;

	while (key && low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(&h->places[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return key && low < h->n_places && !strcmp(h->places[low].key, key) ? h->places[low].at
									    : h->n;
}

static void weigh_held(const struct holdings *h, size_t i, struct qb_tally *t, struct qb_result *r)
{
	const struct held *a = &h->v[i];

	for (size_t k = i; k < h->n;) {
		size_t same = next_of(h, a->keys[0], k), near = next_of(h, a->keys[1], k);
		const struct held *b;

		k = same < near ? same : near;
		b = k < h->n ? &h->v[k] : NULL;
		/* A bridge and its port are for net.bridge-address. */
		if (b && b->link != a->link && !qb_streq(a->link->master, b->link->name) &&
		    !qb_streq(b->link->master, a->link->name))
			weigh_pair(a->link, a->address, b->link, b->address, t, r);
	}
}

static void address_twice(const struct qb_check_input *in, struct qb_result *r)
{
	QB_CLEANUP(holdings_done) struct holdings h = {0};
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	collect(&in->facts->net, &h);
	t.good = h.n;
	for (size_t i = 0; i < h.n; i++)
		weigh_held(&h, i, &t, r);
	if (t.good && !t.bad.n)
		qb_evidence(r, "addresses", "netlink", "%zu, no two alike", t.good);
	qb_tally_end(&t, r, "no address and no bridge's subnet is there twice",
		     "no link has an address");
}

#define ARP "/proc/net/arp"

enum {
	ATF_COM = 2 /* linux/if_arp.h: the address below it is known */
};

static void gateway(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	const struct qb_reading *arp = qb_facts_reading(in->facts, ARP);
	const struct qb_route *route = qb_default_route(net, "inet");
	const struct qb_link *l;

	if (qb_no_links(in->facts, r))
		return;
	l = route && route->dev ? qb_net_link(net, route->dev) : NULL;
	/* Also where the gateway of an IPv4 route is an IPv6 one. */
	if (!l || !l->mac || !route->gateway || strchr(route->gateway, ':')) {
		qb_skip(r, "there is no default route by an IPv4 gateway on a single link");
		return;
	}
	if (!arp || !arp->value) {
		qb_unknown(r, "%s could not be read: %s", ARP, qb_read_why(arp));
		return;
	}
	for (const char *line = arp->value; (line = strchr(line, '\n'));) {
		char address[64], mac[64], dev[64];
		unsigned flags;

		line++;
		if (sscanf(line, "%63s %*s %x %63s %*s %63s", address, &flags, mac, dev) != 4 ||
		    !qb_streq(address, route->gateway) || !qb_streq(dev, route->dev))
			continue;
		qb_evidence(r, address, ARP, "flags 0x%x, %s on %s", flags, mac, dev);
		if (flags & ATF_COM)
			qb_pass(r, "the gateway %s answers on %s", address, dev);
		else
			qb_fail(r, "the gateway %s does not answer on %s", address, dev);
		return;
	}
	qb_unknown(r, "the kernel did not ask for the gateway %s lately", route->gateway);
}

#define RESOLVER "/etc/resolv.conf"

static void resolver(const struct qb_check_input *in, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs servers = {0};
	_cleanup_free_ char *names = NULL;
	const char *text;

	if (qb_is_absent(in, RESOLVER)) {
		qb_evidence(r, "nameserver", RESOLVER, "no such file");
		qb_fail(r, "there is no %s", RESOLVER);
		return;
	}
	if (!qb_read(in, r, RESOLVER, &text))
		return;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		char server[64];

		line += strspn(line, " \t\n");
		if (sscanf(line, "nameserver%*[ \t]%63s", server) == 1)
			qb_strs_add(&servers, server);
	}
	names = qb_strs_sentence(&servers);
	if (servers.n)
		qb_pass(r, "names are asked of %s", names);
	else
		qb_fail(r, "%s names no nameserver", RESOLVER);
}

static void forwarding(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_libvirt_facts *v = &in->facts->libvirt;
	const struct qb_tri *on = &in->facts->system.ipv4_forwarding;
	_cleanup_strs_ struct qb_strs need = {0};
	_cleanup_free_ char *names = NULL;

	if (qb_no_libvirt(in->facts, r))
		return;
	for (size_t i = 0; i < v->n_networks; i++) {
		const char *forward = v->networks[i].now.forward;

		/* libvirt switches it on when it starts one of them. */
		if (v->networks[i].active &&
		    (qb_streq(forward, "nat") || qb_streq(forward, "route") ||
		     qb_streq(forward, "open")))
			qb_strs_add(&need, v->networks[i].name);
	}
	names = qb_strs_sentence(&need);
	if (!need.n) {
		qb_skip(r, "no active network of libvirt needs it");
		return;
	}
	qb_evidence(r, "active networks", "libvirt", "%s", names);
	qb_evidence_tri(r, "ip_forward", "/proc/sys/net/ipv4/ip_forward", on);
	if (on->state == QB_UNKNOWN)
		qb_unknown(r, "whether the host forwards IPv4 is unknown: %s", qb_why(on));
	else if (qb_is(on))
		qb_pass(r, "the host forwards IPv4 for %s", names);
	else
		qb_fail(r, "the host does not forward IPv4, and %s %s it", names,
			need.n > 1 ? "need" : "needs");
}

enum {
	NEARLY_PERCENT = 80
};

/* True when used is below four fifths of most. */
static void weigh_room(struct qb_result *r, uint64_t used, uint64_t most, const char *what)
{
	if (used < most / 100 * NEARLY_PERCENT + most % 100 * NEARLY_PERCENT / 100)
		qb_pass(r, "%" PRIu64 " of %" PRIu64 " %s are in use", used, most, what);
	else
		qb_fail(r, "%" PRIu64 " of %" PRIu64 " %s are in use", used, most, what);
}

#define NEIGHBOURS "/proc/net/stat/arp_cache"
#define NEIGHBOURS_MOST "/proc/sys/net/ipv4/neigh/default/gc_thresh3"

static void neighbours(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, NEIGHBOURS);
	const char *second = x && x->value ? strchr(x->value, '\n') : NULL;
	uint64_t used, most;

	if (!x || !x->value) {
		qb_unknown(r, "%s could not be read: %s", NEIGHBOURS, qb_read_why(x));
		return;
	}
	/* A line per CPU, in hexadecimal; the first column is of the whole table on each. */
	if (!qb_startswith(x->value, "entries") || !second ||
	    sscanf(second, "%" SCNx64, &used) != 1) {
		qb_unknown(r, "%s does not tell how many entries there are", NEIGHBOURS);
		return;
	}
	qb_evidence(r, "entries", NEIGHBOURS, "%" PRIu64, used);
	if (qb_read_u64(in, r, NEIGHBOURS_MOST, &most))
		weigh_room(r, used, most, "neighbours");
}

#define CONNECTIONS "/proc/sys/net/netfilter/nf_conntrack_count"
#define CONNECTIONS_MOST "/proc/sys/net/netfilter/nf_conntrack_max"

static void connections(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t used, most;

	if (qb_is_absent(in, CONNECTIONS)) {
		qb_skip(r, "the kernel tracks no connections");
		return;
	}
	if (!qb_read_u64(in, r, CONNECTIONS, &used) || !qb_read_u64(in, r, CONNECTIONS_MOST, &most))
		return;
	if (most)
		weigh_room(r, used, most, "tracked connections");
	else
		qb_pass(r, "the number of tracked connections has no limit");
}

static const struct qb_check table[] = {
	{
		.id = "net.address-twice",
		.title = "No address is on two links",
		.severity = QB_RECOMMENDED,
		.looks = "The addresses of all links: none is on two of them, and a bridge shares "
			 "its subnet with no other link. Single addresses (/32, /128), VRFs and "
			 "point-to-point links apart.",
		.why = "The kernel answers by one of the two, which is the wrong one now and then; "
		       "a network of the host's own subnet cuts guests off, or the host.",
		.remedy =
			"ip -br address\n"
			"# Take it from one: ip address del ADDRESS dev LINK; or give the libvirt "
			"network another subnet.",
		.judge = address_twice,
	},
	{
		.id = "net.gateway",
		.title = "The gateway answers",
		.severity = QB_RECOMMENDED,
		.looks = "What the kernel's table of neighbours (/proc/net/arp) has of the default "
			 "route's IPv4 gateway.",
		.why = "A route may be there and lead nowhere: wrong VLAN, wrong port, wrong "
		       "address.",
		.remedy = "ip route show default; ip neighbour\n"
			  "# Look at the VLAN of the switch port.",
		.reads = (const char *const[]){ARP, NULL},
		.judge = gateway,
	},
	{
		.id = "net.resolver",
		.title = "There is a nameserver",
		.severity = QB_RECOMMENDED,
		.looks = "/etc/resolv.conf: at least one line nameserver.",
		.why = "The dnsmasq of libvirt's networks asks the host's nameservers; without one "
		       "guests find no names, and the host no updates.",
		.remedy = "nmcli device show | grep DNS\n"
			  "# nmcli connection modify PROFILE ipv4.dns ADDRESS",
		.reads = (const char *const[]){RESOLVER, NULL},
		.judge = resolver,
	},
	{
		.id = "net.forwarding",
		.title = "The host forwards for guests behind it",
		.severity = QB_RECOMMENDED,
		.looks = "net.ipv4.ip_forward, where a network of libvirt of forward mode nat, "
			 "route or open is active.",
		.why = "libvirt switches it on with the network; a later sysctl that switches it "
		       "off again cuts all its guests off.",
		.remedy = "grep -rs ip_forward /etc/sysctl.conf /etc/sysctl.d /usr/lib/sysctl.d\n"
			  "sysctl -w net.ipv4.ip_forward=1",
		.judge = forwarding,
	},
	{
		.id = "net.neighbour-table",
		.title = "The table of neighbours has room",
		.severity = QB_RECOMMENDED,
		.looks = "The entries in /proc/net/stat/arp_cache against gc_thresh3 of IPv4: less "
			 "than four fifths.",
		.why = "Each guest in a network of the host takes an entry; when the table "
		       "overflows, connections fail by chance.",
		.remedy = "echo net.ipv4.neigh.default.gc_thresh3 = 8192 "
			  ">>/etc/sysctl.d/60-guests.conf\nsysctl -p /etc/sysctl.d/60-guests.conf",
		.reads = (const char *const[]){NEIGHBOURS, NEIGHBOURS_MOST, NULL},
		.judge = neighbours,
	},
	{
		.id = "net.connections",
		.title = "Connections can be tracked",
		.severity = QB_RECOMMENDED,
		.looks = "nf_conntrack_count against nf_conntrack_max: less than four fifths.",
		.why = "NAT and firewall keep an entry per connection of every guest; when the "
		       "table is full the kernel drops new ones.",
		/* systemd-sysctl sets it at boot only when the module is there by then. */
		.remedy = "echo nf_conntrack >>/etc/modules-load.d/guests.conf\n"
			  "echo net.netfilter.nf_conntrack_max = 1048576 "
			  ">>/etc/sysctl.d/60-guests.conf\nsysctl -p /etc/sysctl.d/60-guests.conf",
		.reads = (const char *const[]){CONNECTIONS, CONNECTIONS_MOST, NULL},
		.judge = connections,
	},
};

QB_CHECK_GROUP_PART(qb_net_host_checks, net, table);
