/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what libvirt has; facts_fields.c has the others. */
#include "agent/host/facts.h"

static const struct qb_field range_fields[] = {
	QB_F(qb_vir_range, start, "start", STR, .doc = "The first address."),
	QB_F(qb_vir_range, end, "end", STR, .doc = "The last one."),
};

static const struct qb_type range_type = {
	.name = "dhcp-range",
	.size = sizeof(struct qb_vir_range),
	.fields = range_fields,
	.n_fields = QB_ARRAY_SIZE(range_fields),
	.doc = "Addresses that DHCP gives to whoever asks.",
};

static const struct qb_field host_fields[] = {
	QB_F(qb_vir_host, mac, "mac", STR, .doc = "Of the guest's interface; lower case."),
	QB_F(qb_vir_host, ip, "ip", STR, .doc = "The address it gets."),
	QB_F(qb_vir_host, name, "name", STR, .doc = "The name it gets."),
};

static const struct qb_type host_type = {
	.name = "dhcp-host",
	.size = sizeof(struct qb_vir_host),
	.fields = host_fields,
	.n_fields = QB_ARRAY_SIZE(host_fields),
	.doc = "What DHCP gives to one guest.",
};

static const struct qb_field forwarder_fields[] = {
	QB_F(qb_vir_forwarder, domain, "domain", STR, .doc = "About this domain; null: all."),
	QB_F(qb_vir_forwarder, addr, "addr", STR, .doc = "Who is asked."),
};

static const struct qb_type forwarder_type = {
	.name = "dns-forwarder",
	.size = sizeof(struct qb_vir_forwarder),
	.fields = forwarder_fields,
	.n_fields = QB_ARRAY_SIZE(forwarder_fields),
	.doc = "A server that DNS asks.",
};

static const struct qb_field record_fields[] = {
	QB_F(qb_vir_record, ip, "ip", STR, .doc = "The address."),
	QB_F(qb_vir_record, names, "names", STRS, .doc = "Its names."),
};

static const struct qb_type record_type = {
	.name = "dns-host",
	.size = sizeof(struct qb_vir_record),
	.fields = record_fields,
	.n_fields = QB_ARRAY_SIZE(record_fields),
	.doc = "An address that DNS knows by itself.",
};

#define DEFINED_LIST(strct, within, member, key, t, text)                                          \
	{                                                                                          \
		.name = (key), .kind = QB_FIELD_LIST,                                              \
		.offset = offsetof(struct strct, within member),                                   \
		.n_offset = offsetof(struct strct, within n_##member), .of = (t), .doc = (text)    \
	}

/* The same at the top of a network and in an object of its own. within: "now.", or nothing. */
#define DEFINITION(strct, within)                                                                  \
	QB_F(strct, within forward, "forward", STR, .doc = "Forward mode; null: isolated."),       \
		QB_F(strct, within bridge, "bridge", STR, .doc = "The bridge below it."),          \
		QB_F(strct, within address, "address", STR, .doc = "The host's address on it."),   \
		QB_F(strct, within devices, "devices", STRS, .doc = "Links that it is bound to."), \
		QB_F(strct, within domain, "domain", STR, .doc = "Its DNS domain."),               \
		QB_F(strct, within domain_local_only, "domain_local_only", BOOL,                   \
		     .doc = "Nobody else is asked about names in the domain."),                    \
		DEFINED_LIST(strct, within, dhcp_ranges, "dhcp_ranges", &range_type,               \
			     "What DHCP gives to whoever asks."),                                  \
		DEFINED_LIST(strct, within, dhcp_hosts, "dhcp_hosts", &host_type,                  \
			     "What DHCP gives to guests that it knows."),                          \
		DEFINED_LIST(strct, within, dns_forwarders, "dns_forwarders", &forwarder_type,     \
			     "Whom DNS asks; none: the host's nameservers."),                      \
		DEFINED_LIST(strct, within, dns_hosts, "dns_hosts", &record_type,                  \
			     "What DNS knows by itself.")

static const struct qb_field vir_definition_fields[] = {DEFINITION(qb_vir_definition, )};

const struct qb_type qb_vir_definition_type = {
	.name = "network-definition",
	.size = sizeof(struct qb_vir_definition),
	.fields = vir_definition_fields,
	.n_fields = QB_ARRAY_SIZE(vir_definition_fields),
	.doc = "How a network is defined.",
};

static const struct qb_field vir_network_fields[] = {
	QB_F(qb_vir_network, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Name."),
	QB_F(qb_vir_network, uuid, "uuid", STR, .doc = "UUID."),
	DEFINITION(qb_vir_network, now.),
	QB_F(qb_vir_network, next, "next", OBJECT, .of = &qb_vir_definition_type,
	     .doc = "The definition it is started with next."),
	QB_F(qb_vir_network, active, "active", BOOL, .doc = "It runs."),
	QB_F(qb_vir_network, autostart, "autostart", BOOL, .doc = "It is started at boot."),
	QB_F(qb_vir_network, persistent, "persistent", BOOL, .doc = "It outlives a stop."),
};

static const struct qb_type vir_network_type = {
	.name = "libvirt-network",
	.size = sizeof(struct qb_vir_network),
	.fields = vir_network_fields,
	.n_fields = QB_ARRAY_SIZE(vir_network_fields),
	.doc = "A network of libvirt.",
};

static const struct qb_field vir_pool_fields[] = {
	QB_F(qb_vir_pool, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Name."),
	QB_F(qb_vir_pool, uuid, "uuid", STR, .doc = "UUID."),
	QB_F(qb_vir_pool, type, "type", STR, .flags = QB_FIELD_REQUIRED, .doc = "dir, fs..."),
	QB_F(qb_vir_pool, target, "target", STR, .doc = "Directory."),
	QB_F(qb_vir_pool, source_device, "source_device", STR, .doc = "Device it stands on."),
	QB_F(qb_vir_pool, source_name, "source_name", STR, .doc = "Volume group it stands on."),
	QB_F(qb_vir_pool, active, "active", BOOL, .doc = "It runs."),
	QB_F(qb_vir_pool, autostart, "autostart", BOOL, .doc = "It is started at boot."),
	QB_F(qb_vir_pool, persistent, "persistent", BOOL, .doc = "It outlives a stop."),
	QB_F(qb_vir_pool, capacity_bytes, "capacity_bytes", U64, .doc = "Size."),
	QB_F(qb_vir_pool, available_bytes, "available_bytes", U64, .doc = "Free room."),
	QB_F(qb_vir_pool, volumes_known, "volumes_known", TRI, .doc = "Its volumes were asked."),
	QB_F(qb_vir_pool, volumes, "volumes", U64, .doc = "How many volumes it has."),
	QB_F(qb_vir_pool, volumes_capacity_bytes, "volumes_capacity_bytes", U64,
	     .doc = "What its volumes hold when they are full."),
	QB_F(qb_vir_pool, volumes_allocation_bytes, "volumes_allocation_bytes", U64,
	     .doc = "The room that its volumes take."),
};

static const struct qb_type vir_pool_type = {
	.name = "libvirt-pool",
	.size = sizeof(struct qb_vir_pool),
	.fields = vir_pool_fields,
	.n_fields = QB_ARRAY_SIZE(vir_pool_fields),
	.doc = "A storage pool of libvirt.",
};

static const struct qb_field vir_disk_fields[] = {
	QB_F(qb_vir_disk, domain, "domain", STR, .flags = QB_FIELD_REQUIRED, .doc = "The guest."),
	QB_F(qb_vir_disk, device, "device", STR, .flags = QB_FIELD_REQUIRED,
	     .doc = "The device it uses."),
};

static const struct qb_type vir_disk_type = {
	.name = "guest-disk",
	.size = sizeof(struct qb_vir_disk),
	.fields = vir_disk_fields,
	.n_fields = QB_ARRAY_SIZE(vir_disk_fields),
	.doc = "A block device that a guest uses.",
};

static const struct qb_field vir_nic_fields[] = {
	QB_F(qb_vir_nic, domain, "domain", STR, .flags = QB_FIELD_REQUIRED, .doc = "The guest."),
	QB_F(qb_vir_nic, network, "network", STR, .doc = "The network it is on."),
	QB_F(qb_vir_nic, bridge, "bridge", STR, .doc = "The bridge it is on."),
	QB_F(qb_vir_nic, link, "link", STR, .doc = "The host's end of it."),
};

static const struct qb_type vir_nic_type = {
	.name = "guest-interface",
	.size = sizeof(struct qb_vir_nic),
	.fields = vir_nic_fields,
	.n_fields = QB_ARRAY_SIZE(vir_nic_fields),
	.doc = "An interface of a running guest.",
};

static const char *const flavours[] = {[QB_VIR_NONE] = "none",
				       [QB_VIR_MONOLITHIC] = "monolithic",
				       [QB_VIR_MODULAR] = "modular",
				       NULL};

static const struct qb_field libvirt_fields[] = {
	QB_F(qb_libvirt_facts, connected, "connected", TRI, .doc = "libvirt answered."),
	QB_F(qb_libvirt_facts, error, "error", STR, .doc = "Why it did not, in its own words."),
	QB_F(qb_libvirt_facts, uri, "uri", STR, .doc = "Where it was asked."),
	QB_F(qb_libvirt_facts, flavour, "flavour", ENUM, .names = flavours,
	     .doc = "One daemon for all, or one for each kind of thing."),
	QB_F(qb_libvirt_facts, enabled, "enabled", TRI,
	     .doc = "systemd starts its services at boot, and with them what autostarts."),
	QB_F(qb_libvirt_facts, version, "version", STR, .doc = "Version of libvirt."),
	QB_F(qb_libvirt_facts, hypervisor_version, "hypervisor_version", STR,
	     .doc = "Version of QEMU."),
	QB_F(qb_libvirt_facts, kvm_domains, "kvm_domains", TRI, .doc = "It offers KVM guests."),
	QB_F_LIST(qb_libvirt_facts, networks, "networks", &vir_network_type, .doc = "Networks."),
	QB_F_LIST(qb_libvirt_facts, pools, "pools", &vir_pool_type, .doc = "Storage pools."),
	QB_F_LIST(qb_libvirt_facts, guest_disks, "guest_disks", &vir_disk_type,
		  .doc = "Block devices that guests use."),
	QB_F_LIST(qb_libvirt_facts, guest_interfaces, "guest_interfaces", &vir_nic_type,
		  .doc = "Interfaces of running guests."),
};

const struct qb_type qb_libvirt_type = {
	.name = "libvirt",
	.size = sizeof(struct qb_libvirt_facts),
	.fields = libvirt_fields,
	.n_fields = QB_ARRAY_SIZE(libvirt_fields),
	.doc = "libvirt and what it has.",
};
