/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of bridges, and of what they stand on. */
#include "agent/host/config_keys.h"

#include "agent/host/config_valid.h"

static const struct qb_field port_fields[] = {
	QB_F(qb_port_match, match, "match", STR, .valid = qb_valid_default_route,
	     .doc = "default-route: the NIC, VLAN or bond that the default route leaves by."),
	QB_F(qb_port_match, mac, "mac", STR, .valid = qb_valid_mac,
	     .doc = "The NIC with this permanent MAC address."),
	QB_F(qb_port_match, path, "path", STR, .valid = qb_valid_word,
	     .doc = "The NIC plugged in there, as udev's ID_PATH says: pci-0000:01:00.0."),
	QB_F(qb_port_match, name, "name", STR, .valid = qb_valid_interface,
	     .doc = "The NIC, VLAN or bond of this name."),
	QB_F(qb_port_match, driver, "driver", STR, .valid = qb_valid_module,
	     .doc = "The one NIC with this driver."),
	QB_F(qb_port_match, speed, "speed", STR, .valid = qb_valid_speed,
	     .doc = "The one NIC whose link runs at this speed: 100M, 2.5G, 10G, 25G (bits in a "
		    "second)."),
	QB_F(qb_port_match, pvid, "pvid", I64, .min = 0, .max = 4094,
	     .doc = "With vlan-filtering: the VLAN of frames without a tag; 0: none come through. "
		    "Default: the bridge's."),
	QB_F(qb_port_match, tagged, "tagged", STRS, .valid = qb_valid_vlans,
	     .flags = QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
	     .doc = "With vlan-filtering: VLANs whose frames have a tag there: [10, 20-30]."),
};

/* What only a bridge asks of its ports. */
#define N_OF_BRIDGES 2

static void port_init(void *obj)
{
	((struct qb_port_match *)obj)->pvid = -1;
}

static const struct qb_type port_type = {
	.name = "port",
	.size = sizeof(struct qb_port_match),
	.fields = port_fields,
	.n_fields = QB_ARRAY_SIZE(port_fields),
	.init = port_init,
	.doc = "One NIC, VLAN or bond, named by exactly one of these.",
};

/* A scalar in its place is a name. */
static const struct qb_type link_type = {
	.name = "link",
	.size = sizeof(struct qb_port_match),
	.fields = port_fields,
	.n_fields = QB_ARRAY_SIZE(port_fields) - N_OF_BRIDGES,
	.scalar = "name",
	.doc = "One NIC or bond, named by exactly one of these.",
};

static const struct qb_type nic_type = {
	.name = "nic",
	.size = sizeof(struct qb_port_match),
	.fields = port_fields,
	.n_fields = QB_ARRAY_SIZE(port_fields) - N_OF_BRIDGES,
	.doc = "One NIC, named by exactly one of these.",
};

static const char *const bond_modes[] = {"active-backup", "802.3ad", NULL};

static const struct qb_field bond_fields[] = {
	QB_F(qb_bond_config, name, "name", STR, .valid = qb_valid_interface,
	     .flags = QB_FIELD_REQUIRED, .doc = "Name of the bond."),
	QB_F(qb_bond_config, mode, "mode", ENUM, .names = bond_modes,
	     .doc = "active-backup, or 802.3ad where the switch speaks LACP. Default: "
		    "active-backup."),
	QB_F_LIST(qb_bond_config, ports, "ports", &nic_type,
		  .flags = QB_FIELD_REQUIRED | QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
		  .doc = "The NICs it is made of. One that carries addresses is refused: it would "
			 "have to be switched off."),
};

const struct qb_type qb_bond_type = {
	.name = "bond",
	.size = sizeof(struct qb_bond_config),
	.fields = bond_fields,
	.n_fields = QB_ARRAY_SIZE(bond_fields),
	.doc = "NICs made one, for a bridge or a VLAN to stand on.",
};

static const struct qb_field vlan_fields[] = {
	QB_F(qb_vlan_config, name, "name", STR, .valid = qb_valid_interface,
	     .flags = QB_FIELD_REQUIRED, .doc = "Name of the VLAN's link."),
	QB_F(qb_vlan_config, id, "id", I64, .flags = QB_FIELD_REQUIRED, .min = 1, .max = 4094,
	     .doc = "Number of the VLAN."),
	QB_F(qb_vlan_config, link, "link", OBJECT, .of = &link_type, .flags = QB_FIELD_REQUIRED,
	     .doc = "What it stands on: a NIC, named as a port, or the name of a bond. What that "
		    "carries goes on."),
};

const struct qb_type qb_vlan_type = {
	.name = "vlan",
	.size = sizeof(struct qb_vlan_config),
	.fields = vlan_fields,
	.n_fields = QB_ARRAY_SIZE(vlan_fields),
	.doc = "A VLAN of a NIC or bond, for a bridge to stand on.",
};

static const char *const ip_modes[] = {"inherit", "dhcp", "none", "static", NULL};

static const struct qb_field ip_fields[] = {
	QB_F(qb_ip_config, mode, "mode", ENUM, .names = ip_modes, .flags = QB_FIELD_SCALAR_ONLY,
	     .doc = "Written in place of the keys."),
	QB_F(qb_ip_config, addresses, "addresses", STRS, .valid = qb_valid_address,
	     .flags = QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
	     .doc = "Addresses with their prefix length: 192.0.2.10/24, 2001:db8::10/64."),
	QB_F(qb_ip_config, gateway, "gateway", STR, .valid = qb_valid_gateway,
	     .doc = "Next hop of the default route. None where not given."),
};

static const struct qb_type ip_type = {
	.name = "ip",
	.size = sizeof(struct qb_ip_config),
	.fields = ip_fields,
	.n_fields = QB_ARRAY_SIZE(ip_fields),
	.scalar = "mode",
	.doc = "inherit (the port's addresses, its routes of all tables, and the policy rules "
	       "that name it), dhcp, none, or addresses of its own.",
};

static const struct qb_field bridge_fields[] = {
	QB_F(qb_bridge_config, name, "name", STR, .valid = qb_valid_interface,
	     .flags = QB_FIELD_REQUIRED, .doc = "Name of the bridge."),
	QB_F_LIST(qb_bridge_config, ports, "ports", &port_type,
		  .flags = QB_FIELD_REQUIRED | QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
		  .doc = "The NICs, VLANs and bonds that become its ports. [] for a bridge of "
			 "guests alone: its MAC "
			 "address follows from the machine-id and its name."),
	QB_F(qb_bridge_config, ipv4, "ipv4", OBJECT, .of = &ip_type,
	     .doc = "IPv4 of the host on the bridge: inherit (what the ports had), dhcp, none, or "
		    "addresses of its own. Default: inherit."),
	QB_F(qb_bridge_config, ipv6, "ipv6", OBJECT, .of = &ip_type,
	     .doc = "IPv6 of the host on the bridge: inherit (what the ports had), dhcp, none, or "
		    "addresses of its own. Default: inherit."),
	QB_F(qb_bridge_config, stp, "stp", BOOL,
	     .doc = "Spanning tree protocol; a port then forwards nothing for seconds. Default: "
		    "false."),
	QB_F(qb_bridge_config, vlan_filtering, "vlan-filtering", BOOL,
	     .doc = "Frames come through by their VLAN, as ports say. Default: false: a bridge "
		    "that is there is left as it is."),
	QB_F(qb_bridge_config, pvid, "pvid", I64, .min = 1, .max = 4094,
	     .doc = "With vlan-filtering: the VLAN of the host itself, and of guests that name "
		    "none. Default: 1."),
	QB_F(qb_bridge_config, libvirt_network, "libvirt-network", STR, .valid = qb_valid_name,
	     .doc = "Name of a libvirt network over this bridge. None where not given."),
};

const struct qb_type qb_bridge_type = {
	.name = "bridge",
	.size = sizeof(struct qb_bridge_config),
	.fields = bridge_fields,
	.n_fields = QB_ARRAY_SIZE(bridge_fields),
	.doc = "A bridge over NICs; the host's addresses move onto it.",
};
