/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a link can be a port of a bridge, and come back as one after a reboot. */
#include "net/move.h"

#include "net/bound.h"
#include "net/names.h"

static bool is_one_of(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; s && i < n; i++)
		if (!strcmp(s, words[i]))
			return true;
	return false;
}

/*
 * Frames of a VLAN go to the VLAN's link before the bridge sees them (vlan_do_receive() comes
 * before the rx_handler in net/core/dev.c), so that goes on as it was. What stands on the port
 * otherwise would be cut off, or go past the bridge.
 */
static void refuse_uppers(const struct qb_net *net, const struct qb_link *port, const char *name,
			  struct qb_plan *plan)
{
	static const char *const kinds[] = {"macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"};

	for (const struct qb_link *upper = NULL;
	     (upper = qb_net_upper(net, port->ifindex, upper));) {
		if (is_one_of(upper->kind, kinds, QB_ARRAY_SIZE(kinds)))
			qb_plan_refuse(plan, name, "has-upper", "%s carries %s (%s)", port->name,
				       upper->name, upper->kind);
		if (qb_net_keeper(net) == QB_KEEPER_NETWORKMANAGER && upper->parent_uuid)
			qb_plan_refuse(plan, name, "has-upper",
				       "the profile of %s stands on the profile %s, which %s would "
				       "not have any more after a reboot; have it stand on the "
				       "link: nmcli connection modify %s vlan.parent %s",
				       upper->name, upper->parent_uuid, port->name, upper->name,
				       port->name);
	}
}

static void refuse_extra(const struct qb_net *net, const struct qb_link *port, const char *name,
			 struct qb_plan *plan)
{
	if (qb_net_keeper(net) == QB_KEEPER_NETWORKMANAGER && port->extra)
		qb_plan_refuse(plan, name, "unsupported",
			       "%s has %s, which would not be so any more after a reboot: writing "
			       "that into a profile is not implemented",
			       port->name, port->extra);
}

/* A port, or what its VLAN stands on. */
static void refuse_mode(const struct qb_net *net, const struct qb_link *port, const char *name,
			struct qb_plan *plan)
{
	/* Documentation/networking/bonding.rst: what leaves by one of its NICs gets the MAC of
	 * that as its sender, also where it is a guest's. */
	static const char *const modes[] = {"mode=balance-tlb", "mode=balance-alb"};
	const struct qb_link *bond = port;

	for (size_t i = 0; bond && i < net->n_links && qb_streq(bond->kind, "vlan"); i++)
		bond = qb_net_link_by_index(net, bond->lower_ifindex);
	for (size_t i = 0; bond && i < QB_ARRAY_SIZE(modes); i++)
		if (qb_strs_has(&bond->bond, modes[i]))
			qb_plan_refuse(plan, name, "unsupported",
				       "%s has %s, which writes its own MAC address into frames "
				       "of guests",
				       bond->name, modes[i]);
}

static void refuse_vlan(const struct qb_net *net, const struct qb_link *vlan, const char *name,
			struct qb_plan *plan)
{
	const struct qb_link *lower = qb_net_link_by_index(net, vlan->lower_ifindex);

	if (!vlan->lower_ifindex || !lower)
		qb_plan_refuse(plan, name, "unsupported",
			       "%s is a VLAN of a link in another network namespace", vlan->name);
	else if (!qb_link_is_nic(lower) && !qb_link_is_uplink(lower))
		qb_plan_refuse(plan, name, "unsupported",
			       "%s is a VLAN of %s, which is a %s; only VLANs of network cards and "
			       "bonds are put under a bridge",
			       vlan->name, lower->name, lower->kind);
	refuse_extra(net, vlan, name, plan);
}

/* What it authenticates with is in no fact, in no plan and in no journal. */
static void refuse_dot1x(const struct qb_net *net, const struct qb_link *nic, const char *name,
			 struct qb_plan *plan)
{
	if (qb_net_keeper(net) == QB_KEEPER_NETWORKMANAGER && nic->dot1x)
		qb_plan_refuse(plan, name, "unsupported",
			       "the profile %s authenticates %s by 802.1X, and the one that would "
			       "be written for it does not; have NetworkManager itself make %s, "
			       "with that profile, or delete the profile if it is not in use",
			       nic->dot1x, nic->name, name);
}

static void refuse_bond(const struct qb_net *net, const struct qb_link *bond, const char *name,
			struct qb_plan *plan)
{
	for (const struct qb_link *l = NULL; qb_net_keeper(net) == QB_KEEPER_NETWORKMANAGER &&
					     (l = qb_net_port(net, bond->name, l));) {
		if (!qb_link_is_nic(l))
			qb_plan_refuse(plan, name, "unsupported",
				       "%s has %s, a %s: only bonds of network cards are brought "
				       "back after a reboot",
				       bond->name, l->name, l->kind);
		if (!qb_streq(bond->master, name))
			refuse_dot1x(net, l, name, plan);
	}
	refuse_extra(net, bond, name, plan);
}

/* It has the bridge after a boot, and the port would not be in it. */
static void refuse_unmanaged(const struct qb_net *net, const struct qb_link *port, const char *name,
			     struct qb_plan *plan)
{
	if (net->networkmanager_running && port->unmanaged && !qb_streq(port->master, name))
		qb_plan_refuse(
			plan, name, "unsupported",
			"NetworkManager is not to manage %s, so after a reboot it would make "
			"%s without it: take it out of unmanaged-devices and the like of "
			"NetworkManager.conf(5), and of udev's NM_UNMANAGED, and then: nmcli "
			"device set %s managed yes",
			port->name, name, port->name);
}

/*
 * Seen with NetworkManager 1.42: a VLAN of a NIC is taken as it is, a bond that is given back to it
 * loses its addresses. What stands on a bond, or was made just now, was not tried.
 */
bool qb_port_is_taken(const struct qb_net *net, const struct qb_link *port)
{
	const struct qb_link *lower = qb_net_link_by_index(net, port->lower_ifindex);

	return qb_link_is_nic(port) || (qb_streq(port->kind, "vlan") && port->ifindex > 0 &&
					lower && qb_link_is_nic(lower));
}

/* What NetworkManager does not have before the next boot it does not renew. */
static void refuse_dynamic(const struct qb_net *net, const struct qb_link *port, const char *name,
			   struct qb_plan *plan)
{
	for (size_t i = 0; qb_net_renews(net) && i < port->n_addresses; i++)
		if (qb_address_is_dynamic(&port->addresses[i]) &&
		    !qb_ip_is_link_local(port->addresses[i].address))
			qb_plan_refuse(plan, name, "dynamic-address",
				       "%s of %s has to be renewed: moving such an address from a "
				       "%s is not implemented",
				       port->addresses[i].address, port->name, port->kind);
}

static void refuse_kind(const struct qb_net *net, const struct qb_link *port, const char *name,
			struct qb_plan *plan)
{
	if (qb_streq(port->kind, "vlan"))
		refuse_vlan(net, port, name, plan);
	else if (qb_streq(port->kind, "bond"))
		refuse_bond(net, port, name, plan);
	else if (!qb_link_is_nic(port))
		qb_plan_refuse(plan, name, "unsupported",
			       "%s is a %s; only network cards, bonds and VLANs are put under a "
			       "bridge",
			       port->name, port->kind);
	if (!qb_streq(port->master, name))
		refuse_mode(net, port, name, plan);
	if (!qb_port_is_taken(net, port))
		refuse_dynamic(net, port, name, plan);
}

void qb_port_judge(const struct qb_net *net, const struct qb_link *port, const char *name,
		   struct qb_plan *plan)
{
	if (port->loopback) {
		qb_plan_refuse(plan, name, "loopback", "%s is the loopback link", port->name);
		return;
	}
	if (port->wireless)
		qb_plan_refuse(plan, name, "wireless",
			       "%s is wireless: an access point takes frames of one MAC only",
			       port->name);
	if (port->master && strcmp(port->master, name) != 0)
		qb_plan_refuse(plan, name, "has-master", "%s is a port of %s already", port->name,
			       port->master);
	refuse_kind(net, port, name, plan);
	if (!qb_streq(port->master, name))
		refuse_dot1x(net, port, name, plan);
	if (!port->mac)
		qb_plan_refuse(plan, name, "unsupported", "%s has no Ethernet address", port->name);
	if (port->networkd && qb_net_keeper(net) != QB_KEEPER_NETWORKD)
		qb_plan_refuse(plan, name, "unsupported",
			       "systemd-networkd manages %s and would put its addresses back",
			       port->name);
	refuse_unmanaged(net, port, name, plan);
	if (net->network_root && qb_link_carries_host(port))
		qb_plan_refuse(plan, name, "network-root",
			       "the host's own disk is reached over the network (%s)",
			       net->network_root);
	refuse_uppers(net, port, name, plan);
}
