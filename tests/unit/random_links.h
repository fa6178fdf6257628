/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What up0 of a host made by chance is: the NIC that it was, a bond, or a VLAN of either; and the
 * VLANs that stand on it or beside it, each with a gateway of its own. The other end is made alike
 * on the gateway. Of what the kernel does not make there is none.
 */
#pragma once

#include "random_pick.h"

/* One end of the cable becomes the lower link of what gets its name. */
static inline void rename_ends(struct random_host *h, const char *ours, const char *theirs)
{
	SAY(h, "link set up0 down\nlink set up0 name %s\n", ours);
	SAY_GATEWAY(h, "addr flush dev gw0\nlink set gw0 down\nlink set gw0 name %s\n", theirs);
}

/* nic0, and nic1 as may be, into a bond; and their other ends. */
static inline void random_bond(struct random_host *h, const char *ours, const char *theirs)
{
	/* As hosts have them, and as they may have them. */
	static const char *const usual[] = {
		"active-backup miimon 100",
		"active-backup miimon 100 fail_over_mac active",
		"active-backup primary nic0",
		"active-backup arp_interval 200 arp_ip_target 192.0.2.1",
		"balance-xor miimon 100 xmit_hash_policy layer3+4",
		"balance-xor miimon 100 min_links 1",
		"balance-xor miimon 200 downdelay 400",
		"802.3ad miimon 100 lacp_rate fast",
		"802.3ad lacp_rate fast xmit_hash_policy encap3+4",
		"802.3ad lacp_rate fast ad_select bandwidth min_links 1",
	};
	static const char *const rare[] = {
		"active-backup miimon 50 updelay 100 num_grat_arp 3",
		"balance-xor",
		"balance-rr miimon 100 packets_per_slave 2",
		"balance-rr miimon 100 resend_igmp 2",
		"broadcast miimon 100",
		"balance-tlb miimon 100 tlb_dynamic_lb 0",
		"balance-alb miimon 100",
	};
	const char *mode = one_in(h, 3) ? PICK(h, rare) : PICK(h, usual);
	bool lacp = qb_startswith(mode, "802.3ad"), one_sided = strstr(mode, "lb ");
	const char *other_mode = one_sided ? "active-backup" : mode;
	/* By ARP one that nothing is sent to is taken to be down. */
	unsigned n = strstr(mode, "arp_interval") ? 1 : 1 + pick(h, 2);

	rename_ends(h, "nic0", "wire0");
	if (n == 2)
		SAY(h, "link add nic1 type veth peer name wire1 netns %d\n", h->gateway_pid);
	SAY(h, "link add %s type bond mode %s\n", ours, mode);
	SAY_GATEWAY(h, "link add %s type bond miimon 100 mode %.*s%s\n", theirs,
		    (int)strcspn(other_mode, " "), other_mode, lacp ? " lacp_rate fast" : "");
	for (unsigned k = 0; k < n; k++) {
		SAY(h, "link set nic%u master %s\n", k, ours);
		SAY_GATEWAY(h, "link set wire%u master %s\n", k, theirs);
	}
	SAY(h, "link set %s up\n", ours);
	SAY_GATEWAY(h, "link set %s up\n", theirs);
	h->has_bond = true;
}

/* proto: of both ends; options: of ours. */
static inline void say_vlan(struct random_host *h, const char *lower, const char *name,
			    const char *their_lower, const char *their_name, unsigned id)
{
	static const char *const options[] = {
		"",
		" reorder_hdr off",
		" loose_binding on",
		" ingress-qos-map 1:2 3:4",
		" egress-qos-map 1:2",
	};
	const char *with = one_in(h, 2) ? "" : PICK(h, options);
	const char *proto = one_in(h, 6) ? " protocol 802.1ad" : "";

	SAY(h, "link add link %s name %s type vlan%s id %u%s\n", lower, name, proto, id, with);
	SAY(h, "link set %s up\n", name);
	SAY_GATEWAY(h, "link add link %s name %s type vlan%s id %u\n", their_lower, their_name,
		    proto, id);
	SAY_GATEWAY(h, "link set %s up\n", their_name);
	h->has_vlan = true;
}

static inline void say_beside(struct random_host *h, const char *link, const char *their_link)
{
	struct beside *b = &h->beside[h->n_beside];

	b->net = 130 + h->n_beside++;
	snprintf(b->link, sizeof(b->link), "%s", link);
	SAY_GATEWAY(h, "addr add 198.18.%u.1/24 dev %s\n", b->net, their_link);
	SAY_GATEWAY(h, "addr add 2001:db8:%u::1/64 dev %s nodad\n", b->net, their_link);
}

/* Addresses, routes and rules of a link that stays where it is. */
static inline void random_beside(struct random_host *h, const struct beside *b)
{
	SAY(h, "-4 addr add 198.18.%u.10/24 brd + dev %s\n", b->net, b->link);
	SAY(h, "-6 addr add 2001:db8:%u::10/64 dev %s\n", b->net, b->link);
	if (one_in(h, 2))
		SAY(h, "-4 addr add 198.18.%u.11/24 dev %s label %s:%u\n", b->net, b->link, b->link,
		    pick(h, 9));
	if (one_in(h, 2))
		SAY(h, "-4 route append 198.19.%u.0/24 via 198.18.%u.1 dev %s table %u\n",
		    pick(h, 250), b->net, b->link, one_in(h, 2) ? 254 : 100);
	if (one_in(h, 2))
		SAY(h, "-6 route append default via 2001:db8:%u::1 dev %s metric %u\n", b->net,
		    b->link, 1 + pick(h, 4000));
	if (one_in(h, 4))
		SAY(h, "-4 route append default dev %s metric %u\n", b->link, 1 + pick(h, 4000));
	if (one_in(h, 3))
		SAY(h, "-4 rule add iif %s priority %u lookup 100\n", b->link, 100 + pick(h, 40));
	if (one_in(h, 3))
		SAY(h, "-4 neigh replace 198.18.%u.77 lladdr 00:00:5e:00:53:77 dev %s\n", b->net,
		    b->link);
}

/* ours and theirs: what VLANs stand on. */
static inline void random_links(struct random_host *h)
{
	bool bond = one_in(h, 3) && h->can_bond, vlan = one_in(h, 3) && h->can_vlan;
	const char *ours = vlan ? bond ? "bond0" : "nic0" : "up0";
	const char *theirs = vlan ? bond ? "wires" : "wire0" : "gw0";

	if (bond)
		random_bond(h, ours, theirs);
	else if (vlan)
		rename_ends(h, ours, theirs);
	if (vlan) {
		const char *mtu = one_in(h, 2) ? "1500" : "9000";

		SAY(h, "link set %s mtu %s up\n", ours, mtu);
		SAY_GATEWAY(h, "link set %s mtu %s up\n", theirs, mtu);
		say_vlan(h, ours, "up0", theirs, "gw0", 5);
		if (one_in(h, 2))
			say_beside(h, ours, theirs);
	}
	for (unsigned n = one_in(h, 2) && h->can_vlan ? 1 + pick(h, 2) : 0; n; n--) {
		bool on = !vlan || one_in(h, 2);
		char name[16], their_name[16];

		snprintf(name, sizeof(name), "%s.%u", on ? "up0" : ours, 10 + n);
		snprintf(their_name, sizeof(their_name), "%s.%u", on ? "gw0" : theirs, 10 + n);
		say_vlan(h, on ? "up0" : ours, name, on ? "gw0" : theirs, their_name, 10 + n);
		say_beside(h, name, their_name);
	}
	for (unsigned i = 0; i < h->n_beside; i++)
		random_beside(h, &h->beside[i]);
}
