/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links, addresses and routes as one netlink snapshot saw them. Data only; the tables in
 * net/link_fields.h print and load them as JSON.
 */
#pragma once

#include "agent/base/tri.h"

struct qb_address {
	char *address; /* "192.0.2.10/24", "2001:db8::10/64" */
	char *peer;    /* of a point-to-point address, else NULL */
	char *broadcast;
	char *label;                   /* IPv4 label when it differs from the link's name */
	char *scope;                   /* global, link, host, site */
	uint64_t flags;                /* IFA_F_* of linux/if_addr.h */
	uint64_t valid_s, preferred_s; /* lifetimes left; UINT32_MAX is forever */
	int64_t proto;                 /* IFA_PROTO: 0 where the kernel does not tell */
	int64_t metric; /* IFA_RT_PRIORITY, of the prefix route that comes with it; 0: default */
};

struct qb_link {
	int64_t ifindex;
	char *name;
	char *kind;          /* IFLA_INFO_KIND: bridge, veth, vlan, bond...; NULL for hardware */
	char *mac;           /* lower case, colons; NULL where the link has none */
	char *permanent_mac; /* NULL where the driver does not tell */
	int64_t mtu;
	bool up; /* IFF_UP */
	bool loopback;
	struct qb_tri carrier;
	char *master; /* name of the bridge or bond it is a port of */
	char *driver; /* of the device below it, NULL for software links */
	char *path;   /* "pci-0000:01:00.0", as udev's ID_PATH names it */
	bool wireless;
	int64_t speed_mbps; /* 0 while unknown */
	struct qb_tri stp;  /* bridges */
	struct qb_tri vlan_filtering;
	int64_t default_pvid;  /* of a bridge: the VLAN that a port joins with */
	struct qb_strs vlans;  /* of a bridge that filters, and of its ports; see net/vlans.h */
	int64_t lower_ifindex; /* IFLA_LINK: what a VLAN or macvlan stands on; 0 for none */
	int64_t vlan_id;       /* of a VLAN, else 0 */
	struct qb_strs bond;   /* "mode=active-backup": mode, miimon, and what is not as usual */
	char *extra;           /* of a VLAN or bond: what these do not say; NULL: nothing */
	char *parent_uuid;     /* a VLAN whose profile names the profile of the NIC, not the NIC */
	/* Who it is to a DHCP server, as its profile has it: "ipv4.dhcp-client-id=mac"; as a unit
	 * of systemd-networkd has to have it: "DHCPv4.IAID=7". */
	struct qb_strs dhcp_identity;
	struct qb_strs profile_rules; /* likewise: "ipv4.routing-rule1=priority 5 table 254" */
	char *dot1x;   /* its NetworkManager profile that authenticates it by 802.1X; else NULL */
	char *zone;    /* firewalld's, as its or NetworkManager's files bind it; else NULL */
	bool networkd; /* systemd-networkd manages it */
	bool barred;   /* it does not, for this program told it so when it undid something */
	/* By that unit; its text, and behind it that of its drop-ins. NULL: it does not. */
	char *unit_path, *unit_text;
	/* NetworkManager leaves it alone, as its configuration or udev's says; see
	 * net/profile_probe.c */
	bool unmanaged;
	struct qb_address *addresses;
	size_t n_addresses;
};

/* One of the next hops of a multipath route. */
struct qb_hop {
	char *dev, *gateway;
	int64_t weight; /* from 1 */
	uint64_t flags; /* RTNH_F_* */
	uint64_t realms;
};

struct qb_route {
	char *family;  /* inet, inet6 */
	char *dst;     /* "default" or a prefix */
	char *from;    /* the prefix a packet has to come from (IPv6); NULL: any */
	char *gateway; /* NULL: on link; of an IPv4 route it may be an IPv6 address */
	char *dev;     /* name; NULL for multipath and for unreachable and the like */
	char *prefsrc;
	char *type;    /* unicast, local, broadcast, ... */
	char *scope;   /* global, link, host */
	char *proto;   /* kernel, boot, static, dhcp, ra or a number */
	int64_t table; /* 254 is main */
	int64_t metric;
	int64_t tos;
	uint64_t realms;        /* RTA_FLOW; 0 for none */
	uint64_t expires_s;     /* seconds left (IPv6); 0: it stays */
	uint64_t flags;         /* RTNH_F_*: onlink, linkdown... */
	uint64_t nhid;          /* nexthop object; 0 for none */
	int64_t n_nexthops;     /* > 1: multipath */
	int64_t mtu;            /* RTAX_MTU; 0 for none */
	struct qb_strs metrics; /* the other RTAX_*: "advmss 1400", as the kernel counts them */
	char *pref;             /* RFC 4191 preference of an IPv6 route when not medium */
	struct qb_strs devs;    /* of the next hops of a multipath route */
	struct qb_hop *hops;    /* likewise */
	size_t n_hops;
	/* Of several that only their next hops tell from each other the first is asked. It is not
	 * this one but another link's, or one that needs no gateway. */
	bool behind;
	char *extra; /* what the members above cannot say ("encap, via"); NULL: nothing */
};

/* A nexthop object that leaves by a link, and is one next hop alone. */
struct qb_nexthop {
	uint64_t id;
	char *family, *dev;
	char *gateway; /* NULL: on link */
	char *proto;
	uint64_t flags; /* RTNH_F_* */
	char *extra;    /* what the members above cannot say; NULL: nothing */
};

/* A policy rule other than the kernel's own (0, 32766 and 32767). */
struct qb_rule {
	char *family; /* inet, inet6 */
	int64_t priority, table;
	char *iif, *oif; /* names; NULL where it does not ask */
	char *src, *dst; /* prefixes, likewise */
	int64_t tos;
	bool invert;          /* it holds for what does not match */
	char *action;         /* lookup, goto, nop, blackhole, unreachable, prohibit */
	char *proto;          /* who made it, as of a route */
	struct qb_strs terms; /* "fwmark 16", "sport 80-90": as ip-rule(8) names them */
	char *extra;          /* what the members above cannot say; NULL: nothing */
};

/*
 * A NetworkManager profile of ours, qubi-*.nmconnection, or a unit of systemd-networkd's of ours.
 * Others' profiles are not kept, they hold secrets.
 */
struct qb_keyfile {
	char *path, *text;
};

struct qb_net {
	struct qb_tri known; /* the snapshot was taken; else why not */
	struct qb_link *links;
	size_t n_links;
	struct qb_route *routes; /* of table local (255) only those that the kernel did not make */
	size_t n_routes;
	struct qb_rule *rules; /* as they are asked */
	size_t n_rules;
	struct qb_nexthop *nexthops;
	size_t n_nexthops;
	/* Evidence that the root file system or a disk is reached over the network; NULL: none. */
	char *network_root;
	struct qb_keyfile *keyfiles;
	size_t n_keyfiles;
	/* Who manages links here, as files and processes show it. */
	bool networkmanager_installed, networkmanager_running;
	bool networkd_running;
	bool boot_unit;     /* qubi-agent-network.service is started at boot */
	bool firewalld;     /* it runs, or is started at boot */
	char *default_zone; /* firewalld's, for links that nobody bound */
	struct qb_strs
		zones; /* "br0 internal": names that firewalld's files bind, of no link yet */
	struct qb_strs nameservers; /* /run/NetworkManager/resolv.conf, else /etc/resolv.conf */
	struct qb_strs search;
	struct qb_net_index *index; /* of links and routes: qb_net_index(); NULL: there is none */
};

/* Who makes links again after a boot. */
enum qb_keeper {
	QB_KEEPER_NETWORKMANAGER, /* by profiles */
	QB_KEEPER_NETWORKD,       /* by units: it runs, and has a link */
	QB_KEEPER_AGENT,          /* there is nobody else: this program, by its journal */
};

enum qb_keeper qb_net_keeper(const struct qb_net *net);
/* Somebody is there to renew what is leased or announced. */
bool qb_net_renews(const struct qb_net *net);

/*
 * From now on the functions below are quick on a host of thousands of links: each makes what it is
 * quick by when it is first called. Whoever changes a link or a route afterwards calls this again.
 */
void qb_net_index(struct qb_net *net);
void qb_net_index_done(struct qb_net *net);

/* NULL: there is none. */
const struct qb_link *qb_net_link(const struct qb_net *net, const char *name);
/* By address and prefix length; NULL, also for no link. */
const struct qb_address *qb_link_address(const struct qb_link *link, const char *address);
/* It has another address than those that every link makes itself. */
bool qb_link_carries_host(const struct qb_link *link);
const struct qb_link *qb_net_link_by_index(const struct qb_net *net, int64_t ifindex);
/* The next in the order of the snapshot, the first behind NULL: the ports of a bridge or bond. */
const struct qb_link *qb_net_port(const struct qb_net *net, const char *master,
				  const struct qb_link *after);
/* What stands on that link. */
const struct qb_link *qb_net_upper(const struct qb_net *net, int64_t lower_ifindex,
				   const struct qb_link *after);
/* In use or the hardware's. */
const struct qb_link *qb_net_link_of_mac(const struct qb_net *net, const char *mac,
					 const struct qb_link *after);
const struct qb_route *qb_net_route_to(const struct qb_net *net, const char *dst,
				       const struct qb_route *after);
/* Routes that leave by dev, by some of several hops, too. NULL: those that leave by no link. */
const struct qb_route *qb_net_route(const struct qb_net *net, const char *dev,
				    const struct qb_route *after);
/* It leads out of this host, as hardware, bonds and VLANs do and guests' taps do not. */
bool qb_link_is_uplink(const struct qb_link *link);
/* It needs somebody on a link to pass packets on. */
bool qb_route_has_gateway(const struct qb_route *r);
/* Frees what the snapshot owns and zeroes it. */
void qb_net_done(struct qb_net *net);
#define _cleanup_net_ QB_CLEANUP(qb_net_done)
