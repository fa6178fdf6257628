/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link_fields.h"

#include <stdlib.h>

static const struct qb_field address_fields[] = {
	QB_F(qb_address, address, "address", STR, .flags = QB_FIELD_REQUIRED,
	     .doc = "Address and prefix length."),
	QB_F(qb_address, peer, "peer", STR, .doc = "The other end of a point-to-point address."),
	QB_F(qb_address, broadcast, "broadcast", STR, .doc = "IPv4 broadcast address."),
	QB_F(qb_address, label, "label", STR,
	     .doc = "IPv4 label, where it is not the link's name."),
	QB_F(qb_address, scope, "scope", STR, .doc = "global, site, link or host."),
	QB_F(qb_address, flags, "flags", U64, .doc = "IFA_F_* of linux/if_addr.h."),
	QB_F(qb_address, valid_s, "valid_s", U64,
	     .doc = "Lifetime left in seconds; 4294967295 is forever."),
	QB_F(qb_address, preferred_s, "preferred_s", U64,
	     .doc = "Preferred lifetime left in seconds; 4294967295 is forever."),
	QB_F(qb_address, proto, "proto", I64,
	     .doc = "Who made it (IFA_PROTO); 0 where the kernel does not tell."),
	QB_F(qb_address, metric, "metric", I64,
	     .doc = "Metric of the prefix route that comes with it; 0 is the kernel's default."),
};

const struct qb_type qb_address_type = {
	.name = "address",
	.size = sizeof(struct qb_address),
	.fields = address_fields,
	.n_fields = QB_ARRAY_SIZE(address_fields),
	.doc = "An address of a link.",
};

static const struct qb_field link_fields[] = {
	QB_F(qb_link, ifindex, "ifindex", I64, .doc = "The kernel's number of it."),
	QB_F(qb_link, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Name."),
	QB_F(qb_link, kind, "kind", STR, .doc = "bridge, veth, vlan, bond...; null for hardware."),
	QB_F(qb_link, mac, "mac", STR, .doc = "MAC address in use."),
	QB_F(qb_link, permanent_mac, "permanent_mac", STR,
	     .doc = "MAC address of the hardware, where the driver tells."),
	QB_F(qb_link, mtu, "mtu", I64, .doc = "Largest packet in bytes."),
	QB_F(qb_link, up, "up", BOOL, .doc = "It is switched on."),
	QB_F(qb_link, loopback, "loopback", BOOL, .doc = "It is the loopback link."),
	QB_F(qb_link, carrier, "carrier", TRI, .doc = "There is a peer on the wire."),
	QB_F(qb_link, master, "master", STR, .doc = "The bridge or bond it is a port of."),
	QB_F(qb_link, driver, "driver", STR, .doc = "Kernel driver of the device."),
	QB_F(qb_link, path, "path", STR, .doc = "Where the device is plugged in, as ID_PATH."),
	QB_F(qb_link, wireless, "wireless", BOOL, .doc = "It is a wireless link."),
	QB_F(qb_link, speed_mbps, "speed_mbps", I64, .doc = "Speed in Mbit/s; 0 while unknown."),
	QB_F(qb_link, stp, "stp", TRI, .doc = "Of a bridge: it speaks the spanning tree protocol."),
	QB_F(qb_link, vlan_filtering, "vlan_filtering", TRI,
	     .doc = "Of a bridge: it lets frames through by their VLAN."),
	QB_F(qb_link, default_pvid, "default_pvid", I64,
	     .doc = "Of a bridge: the VLAN that a port joins with; 0 for none, and for others."),
	QB_F(qb_link, vlans, "vlans", STRS,
	     .doc = "Of a bridge that filters, and of its ports: VLANs, as profiles have them."),
	QB_F(qb_link, lower_ifindex, "lower_ifindex", I64,
	     .doc = "The link a VLAN or macvlan stands on; 0 for none."),
	QB_F(qb_link, vlan_id, "vlan_id", I64, .doc = "Of a VLAN: its number; 0 for others."),
	QB_F(qb_link, bond, "bond", STRS,
	     .doc = "Of a bond: mode, miimon and what is not as usual, as profiles have it."),
	QB_F(qb_link, extra, "extra", STR,
	     .doc = "Of a VLAN or bond: what these members do not say."),
	QB_F(qb_link, parent_uuid, "parent_uuid", STR,
	     .doc = "Of a VLAN: the profile, not the link, that its NetworkManager profile stands "
		    "on."),
	QB_F(qb_link, dhcp_identity, "dhcp_identity", STRS,
	     .doc = "Who it is to a DHCP server, as its profile has it or a unit of "
		    "systemd-networkd has to."),
	QB_F(qb_link, profile_rules, "profile_rules", STRS,
	     .doc = "Policy rules that its NetworkManager profile sets."),
	QB_F(qb_link, dot1x, "dot1x", STR,
	     .doc = "Its NetworkManager profile that authenticates it by 802.1X."),
	QB_F(qb_link, zone, "zone", STR, .doc = "firewalld zone that files bind it to."),
	QB_F(qb_link, networkd, "networkd", BOOL, .doc = "systemd-networkd manages it."),
	QB_F(qb_link, barred, "barred", BOOL,
	     .doc = "systemd-networkd does not manage it, for an undoing of qubi-agent that was "
		    "not completed holds it back."),
	QB_F(qb_link, unit_path, "unit_path", STR,
	     .doc = "The unit by which systemd-networkd manages it."),
	QB_F(qb_link, unit_text, "unit_text", STR,
	     .doc = "The text of that unit, and behind it that of its drop-ins."),
	QB_F(qb_link, unmanaged, "unmanaged", BOOL,
	     .doc = "NetworkManager leaves it alone, by its configuration or udev's."),
	QB_F_LIST(qb_link, addresses, "addresses", &qb_address_type, .doc = "Its addresses."),
};

const struct qb_type qb_link_type = {
	.name = "link",
	.size = sizeof(struct qb_link),
	.fields = link_fields,
	.n_fields = QB_ARRAY_SIZE(link_fields),
	.doc = "A network link.",
};

static const struct qb_field hop_fields[] = {
	QB_F(qb_hop, dev, "dev", STR, .doc = "Link it leaves by."),
	QB_F(qb_hop, gateway, "gateway", STR, .doc = "Next hop; null: on link."),
	QB_F(qb_hop, weight, "weight", I64, .doc = "Its share; 1 is the least."),
	QB_F(qb_hop, flags, "flags", U64, .doc = "RTNH_F_* of linux/rtnetlink.h."),
	QB_F(qb_hop, realms, "realms", U64, .doc = "Realms; 0 for none."),
};

const struct qb_type qb_hop_type = {
	.name = "hop",
	.size = sizeof(struct qb_hop),
	.fields = hop_fields,
	.n_fields = QB_ARRAY_SIZE(hop_fields),
	.doc = "One of the next hops of a multipath route.",
};

static const struct qb_field route_fields[] = {
	QB_F(qb_route, family, "family", STR, .flags = QB_FIELD_REQUIRED, .doc = "inet or inet6."),
	QB_F(qb_route, dst, "dst", STR, .flags = QB_FIELD_REQUIRED, .doc = "Prefix, or default."),
	QB_F(qb_route, from, "from", STR, .doc = "Prefix it is for packets of; null: any."),
	QB_F(qb_route, gateway, "gateway", STR, .doc = "Next hop; null: on link."),
	QB_F(qb_route, dev, "dev", STR, .doc = "Link it leaves by."),
	QB_F(qb_route, prefsrc, "prefsrc", STR, .doc = "Preferred source address."),
	QB_F(qb_route, type, "type", STR, .doc = "unicast, blackhole, unreachable..."),
	QB_F(qb_route, scope, "scope", STR, .doc = "global, link or host."),
	QB_F(qb_route, proto, "proto", STR, .doc = "kernel, boot, static, dhcp, ra or a number."),
	QB_F(qb_route, table, "table", I64, .doc = "Routing table; 254 is main."),
	QB_F(qb_route, metric, "metric", I64, .doc = "Metric; the lowest wins."),
	QB_F(qb_route, tos, "tos", I64, .doc = "Type of service it is for; 0: any."),
	QB_F(qb_route, realms, "realms", U64, .doc = "Realms; 0 for none."),
	QB_F(qb_route, expires_s, "expires_s", U64,
	     .doc = "Seconds until the kernel deletes it; 0: never."),
	QB_F(qb_route, flags, "flags", U64, .doc = "RTNH_F_* of linux/rtnetlink.h."),
	QB_F(qb_route, nhid, "nhid", U64, .doc = "Nexthop object; 0 for none."),
	QB_F(qb_route, n_nexthops, "n_nexthops", I64, .doc = "More than 1: multipath."),
	QB_F(qb_route, mtu, "mtu", I64, .doc = "Path MTU set on it; 0 for none."),
	QB_F(qb_route, metrics, "metrics", STRS,
	     .doc = "Its other metrics (advmss 1400...), as the kernel counts them."),
	QB_F(qb_route, pref, "pref", STR, .doc = "Router preference when not medium."),
	QB_F(qb_route, devs, "devs", STRS, .doc = "Links of a multipath route."),
	QB_F_LIST(qb_route, hops, "hops", &qb_hop_type, .doc = "Hops of a multipath route."),
	QB_F(qb_route, behind, "behind", BOOL,
	     .doc = "Only its next hop tells it from one by another link, or without a gateway, "
		    "that is asked before it."),
	QB_F(qb_route, extra, "extra", STR, .doc = "What it has beyond these members."),
};

const struct qb_type qb_route_type = {
	.name = "route",
	.size = sizeof(struct qb_route),
	.fields = route_fields,
	.n_fields = QB_ARRAY_SIZE(route_fields),
	.doc = "A route; of table local only what the kernel did not make itself.",
};

static const struct qb_field rule_fields[] = {
	QB_F(qb_rule, family, "family", STR, .flags = QB_FIELD_REQUIRED, .doc = "inet or inet6."),
	QB_F(qb_rule, priority, "priority", I64, .doc = "Order; the lowest is asked first."),
	QB_F(qb_rule, table, "table", I64, .doc = "Table it sends to."),
	QB_F(qb_rule, iif, "iif", STR, .doc = "Link a packet came in by."),
	QB_F(qb_rule, oif, "oif", STR, .doc = "Link a packet is bound to."),
	QB_F(qb_rule, src, "src", STR, .doc = "Prefix a packet comes from."),
	QB_F(qb_rule, dst, "dst", STR, .doc = "Prefix a packet goes to."),
	QB_F(qb_rule, tos, "tos", I64, .doc = "Type of service; 0: any."),
	QB_F(qb_rule, invert, "invert", BOOL, .doc = "It is for what does not match."),
	QB_F(qb_rule, action, "action", STR,
	     .doc = "lookup, goto, nop, blackhole, unreachable or prohibit."),
	QB_F(qb_rule, proto, "proto", STR, .doc = "Who made it, as of a route."),
	QB_F(qb_rule, terms, "terms", STRS, .doc = "What else it asks (fwmark 16...)."),
	QB_F(qb_rule, extra, "extra", STR, .doc = "What it has beyond these members."),
};

const struct qb_type qb_rule_type = {
	.name = "rule",
	.size = sizeof(struct qb_rule),
	.fields = rule_fields,
	.n_fields = QB_ARRAY_SIZE(rule_fields),
	.doc = "A policy rule beside the kernel's own.",
};

static const struct qb_field nexthop_fields[] = {
	QB_F(qb_nexthop, id, "id", U64, .doc = "Number that routes refer to."),
	QB_F(qb_nexthop, family, "family", STR, .flags = QB_FIELD_REQUIRED,
	     .doc = "inet or inet6."),
	QB_F(qb_nexthop, dev, "dev", STR, .doc = "Link it leaves by."),
	QB_F(qb_nexthop, gateway, "gateway", STR, .doc = "Next hop; null: on link."),
	QB_F(qb_nexthop, proto, "proto", STR, .doc = "Who made it, as of a route."),
	QB_F(qb_nexthop, flags, "flags", U64, .doc = "RTNH_F_* of linux/rtnetlink.h."),
	QB_F(qb_nexthop, extra, "extra", STR, .doc = "What it has beyond these members."),
};

const struct qb_type qb_nexthop_type = {
	.name = "nexthop",
	.size = sizeof(struct qb_nexthop),
	.fields = nexthop_fields,
	.n_fields = QB_ARRAY_SIZE(nexthop_fields),
	.doc = "A nexthop object that leaves by a link.",
};

static const struct qb_field keyfile_fields[] = {
	QB_F(qb_keyfile, path, "path", STR, .flags = QB_FIELD_REQUIRED, .doc = "Path."),
	QB_F(qb_keyfile, text, "text", STR, .flags = QB_FIELD_REQUIRED, .doc = "Text of the file."),
};

const struct qb_type qb_keyfile_type = {
	.name = "keyfile",
	.size = sizeof(struct qb_keyfile),
	.fields = keyfile_fields,
	.n_fields = QB_ARRAY_SIZE(keyfile_fields),
	.doc = "A NetworkManager profile or a unit of systemd-networkd by qubi-agent.",
};

/* links and routes first, so that the rest is the array's tail. */
static const struct qb_field net_fields[] = {
	QB_F_LIST(qb_net, links, "links", &qb_link_type, .doc = "Network links."),
	QB_F_LIST(qb_net, routes, "routes", &qb_route_type, .doc = "Routes."),
	QB_F(qb_net, known, "known", TRI, .doc = "The snapshot was taken."),
	QB_F_LIST(qb_net, rules, "rules", &qb_rule_type,
		  .doc = "Policy rules beside the kernel's own."),
	QB_F_LIST(qb_net, nexthops, "nexthops", &qb_nexthop_type,
		  .doc = "Nexthop objects that leave by a link."),
	QB_F(qb_net, network_root, "network_root", STR,
	     .doc = "Evidence that the root or a disk is reached over the network."),
	QB_F_LIST(qb_net, keyfiles, "keyfiles", &qb_keyfile_type,
		  .doc = "NetworkManager profiles and units of systemd-networkd by qubi-agent."),
	QB_F(qb_net, networkmanager_installed, "networkmanager_installed", BOOL,
	     .doc = "NetworkManager is installed."),
	QB_F(qb_net, networkmanager_running, "networkmanager_running", BOOL,
	     .doc = "NetworkManager runs."),
	QB_F(qb_net, networkd_running, "networkd_running", BOOL,
	     .doc = "systemd-networkd manages links."),
	QB_F(qb_net, boot_unit, "boot_unit", BOOL,
	     .doc = "qubi-agent-network.service is started at boot."),
	QB_F(qb_net, firewalld, "firewalld", BOOL, .doc = "firewalld runs, or is started at boot."),
	QB_F(qb_net, default_zone, "default_zone", STR,
	     .doc = "firewalld's zone of links that nobody bound."),
	QB_F(qb_net, zones, "zones", STRS,
	     .doc = "Names that firewalld's files bind to a zone, of no link yet, and that zone."),
	QB_F(qb_net, nameservers, "nameservers", STRS, .doc = "DNS servers in use."),
	QB_F(qb_net, search, "search", STRS, .doc = "DNS search domains."),
};

const struct qb_type qb_net_type = {
	.name = "net",
	.size = sizeof(struct qb_net),
	.fields = net_fields,
	.n_fields = QB_ARRAY_SIZE(net_fields),
	.doc = "What one netlink snapshot saw.",
};

const struct qb_type qb_net_rest_type = {
	.name = "net",
	.size = sizeof(struct qb_net),
	.fields = net_fields + 2,
	.n_fields = QB_ARRAY_SIZE(net_fields) - 2,
	.doc = "Who manages the network, and what else bears on it.",
};

void qb_net_from_json(const json_t *json, struct qb_net *ret)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	if (qb_schema_load_json(&qb_net_type, json, 0, ret, &diags) < 0)
		abort();
}
