/* SPDX-License-Identifier: Apache-2.0 */
/* All keys of the configuration. The manual's text is made from this, too. */
#include "agent/host/config_keys.h"

#include "agent/host/config_valid.h"

static const struct qb_field kvm_fields[] = {
	QB_F(qb_kvm_config, nested, "nested", TRI,
	     .doc = "Whether guests can run guests of their own. Left as it is where not given."),
	QB_F(qb_kvm_config, modules, "modules", STRS, .valid = qb_valid_module, .max = QB_ITEMS_MAX,
	     .doc = "Kernel modules to load now and at boot, beside kvm and the CPU vendor's."),
};

static const struct qb_type kvm_type = {
	.name = "kvm",
	.size = sizeof(struct qb_kvm_config),
	.fields = kvm_fields,
	.n_fields = QB_ARRAY_SIZE(kvm_fields),
	.doc = "The hypervisor of the kernel.",
};

static const char *const forwards[] = {"nat", "route", "open", "isolated", NULL};

const char *qb_forward_name(int forward)
{
	return forwards[forward];
}

static const struct qb_field range_fields[] = {
	QB_F(qb_vir_range, start, "start", STR, .valid = qb_valid_gateway,
	     .flags = QB_FIELD_REQUIRED, .doc = "The first address."),
	QB_F(qb_vir_range, end, "end", STR, .valid = qb_valid_gateway, .flags = QB_FIELD_REQUIRED,
	     .doc = "The last address."),
};

static const struct qb_type range_type = {
	.name = "range",
	.size = sizeof(struct qb_vir_range),
	.fields = range_fields,
	.n_fields = QB_ARRAY_SIZE(range_fields),
	.doc = "Addresses that whoever asks gets.",
};

static const struct qb_field dhcp_host_fields[] = {
	QB_F(qb_vir_host, mac, "mac", STR, .valid = qb_valid_mac, .flags = QB_FIELD_REQUIRED,
	     .doc = "MAC address of the guest's interface."),
	QB_F(qb_vir_host, ip, "ip", STR, .valid = qb_valid_gateway, .flags = QB_FIELD_REQUIRED,
	     .doc = "The address it gets, also within a range."),
	QB_F(qb_vir_host, name, "name", STR, .valid = qb_valid_host_name,
	     .doc = "The name it gets, by which DNS knows it from then on. None where not given."),
};

static const struct qb_type dhcp_host_type = {
	.name = "host",
	.size = sizeof(struct qb_vir_host),
	.fields = dhcp_host_fields,
	.n_fields = QB_ARRAY_SIZE(dhcp_host_fields),
	.doc = "What one guest gets.",
};

static const struct qb_field dhcp_fields[] = {
	QB_F(qb_dhcp_config, enabled, "enabled", TRI, .flags = QB_FIELD_SCALAR_ONLY,
	     .doc = "Written in place of the keys."),
	QB_F_LIST(qb_dhcp_config, ranges, "ranges", &range_type, .flags = QB_FIELD_ONE_IS_LIST,
		  .max = QB_ITEMS_MAX,
		  .doc = "What whoever asks gets; [] for nothing. Where not given, a new network "
			 "has the rest of its subnet, and one that is there is left as it is."),
	QB_F_LIST(qb_dhcp_config, hosts, "hosts", &dhcp_host_type, .flags = QB_FIELD_ONE_IS_LIST,
		  .max = QB_ITEMS_MAX,
		  .doc = "What single guests get; changed while the network runs. Given, these "
			 "are all there are; where not given, those that libvirt has stay."),
};

static const struct qb_type dhcp_type = {
	.name = "dhcp",
	.size = sizeof(struct qb_dhcp_config),
	.fields = dhcp_fields,
	.n_fields = QB_ARRAY_SIZE(dhcp_fields),
	.scalar = "enabled",
	.doc = "How guests get their addresses.",
};

static const struct qb_field domain_fields[] = {
	QB_F(qb_domain_config, name, "name", STR, .valid = qb_valid_dns_name,
	     .flags = QB_FIELD_REQUIRED, .doc = "The domain."),
	QB_F(qb_domain_config, local_only, "local-only", TRI,
	     .doc = "Whether nobody else is asked about names in it. Where not given, a new "
		    "network asks, and one that is there is left as it is."),
};

static const struct qb_type domain_type = {
	.name = "domain",
	.size = sizeof(struct qb_domain_config),
	.fields = domain_fields,
	.n_fields = QB_ARRAY_SIZE(domain_fields),
	.scalar = "name",
	.doc = "The DNS domain of the guests.",
};

static const struct qb_field forwarder_fields[] = {
	QB_F(qb_vir_forwarder, addr, "addr", STR, .valid = qb_valid_gateway,
	     .flags = QB_FIELD_REQUIRED, .doc = "Address of the server."),
	QB_F(qb_vir_forwarder, domain, "domain", STR, .valid = qb_valid_dns_name,
	     .doc = "The domain it is asked about. All where not given."),
};

static const struct qb_type forwarder_type = {
	.name = "forwarder",
	.size = sizeof(struct qb_vir_forwarder),
	.fields = forwarder_fields,
	.n_fields = QB_ARRAY_SIZE(forwarder_fields),
	.scalar = "addr",
	.doc = "A server that is asked.",
};

static const struct qb_field dns_host_fields[] = {
	QB_F(qb_vir_record, ip, "ip", STR, .valid = qb_valid_gateway, .flags = QB_FIELD_REQUIRED,
	     .doc = "The address."),
	QB_F(qb_vir_record, names, "names", STRS, .valid = qb_valid_dns_name,
	     .flags = QB_FIELD_REQUIRED | QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
	     .doc = "Names of this address."),
};

static const struct qb_type dns_host_type = {
	.name = "host",
	.size = sizeof(struct qb_vir_record),
	.fields = dns_host_fields,
	.n_fields = QB_ARRAY_SIZE(dns_host_fields),
	.doc = "An address with its names.",
};

static const struct qb_field dns_fields[] = {
	QB_F_LIST(qb_dns_config, forwarders, "forwarders", &forwarder_type,
		  .flags = QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
		  .doc = "Servers that are asked; [] for the host's nameservers. Given, these are "
			 "all there are; where not given, those that libvirt has stay."),
	QB_F_LIST(qb_dns_config, hosts, "hosts", &dns_host_type, .flags = QB_FIELD_ONE_IS_LIST,
		  .max = QB_ITEMS_MAX,
		  .doc = "What is answered without asking anybody; changed while the network "
			 "runs. Given, these are all there are; where not given, those that "
			 "libvirt has stay."),
};

static const struct qb_type dns_type = {
	.name = "dns",
	.size = sizeof(struct qb_dns_config),
	.fields = dns_fields,
	.n_fields = QB_ARRAY_SIZE(dns_fields),
	.doc = "What guests are told about names.",
};

static const struct qb_field network_fields[] = {
	QB_F(qb_network_config, name, "name", STR, .valid = qb_valid_name,
	     .flags = QB_FIELD_REQUIRED, .doc = "Name of the network in libvirt."),
	QB_F(qb_network_config, forward, "forward", ENUM, .names = forwards,
	     .doc = "How guests reach what is outside; open is route without firewall rules of "
		    "libvirt's. Default: nat."),
	QB_F(qb_network_config, subnet, "subnet", STR, .valid = qb_valid_subnet,
	     .doc = "IPv4 network; the host takes its first address. Needed by all but "
		    "isolated. Where it is changed and dhcp.ranges is not given, DHCP has the "
		    "rest of the new one."),
	QB_F(qb_network_config, bridge, "bridge", STR, .valid = qb_valid_interface,
	     .doc = "Name of the bridge that libvirt makes for it. Where not given, a new network "
		    "gets the next free one of virbr0, virbr1..."),
	QB_F(qb_network_config, domain, "domain", OBJECT, .of = &domain_type,
	     .doc = "The DNS domain of the guests. Where not given, a new network has none, and "
		    "one that is there is left as it is."),
	QB_F(qb_network_config, dhcp, "dhcp", OBJECT, .of = &dhcp_type,
	     .doc = "How guests get their addresses; false: not from this host; true: anybody "
		    "who asks, from the rest of the subnet. Where not given, a new network is as "
		    "with true, and one that is there is left as it is."),
	QB_F(qb_network_config, dns, "dns", OBJECT, .of = &dns_type,
	     .doc = "What guests are told about names."),
	QB_F(qb_network_config, autostart, "autostart", BOOL,
	     .doc = "Whether it is started with the host. Default: true."),
};

static void network_init(void *obj)
{
	((struct qb_network_config *)obj)->autostart = true;
}

static const struct qb_type network_type = {
	.name = "network",
	.size = sizeof(struct qb_network_config),
	.fields = network_fields,
	.n_fields = QB_ARRAY_SIZE(network_fields),
	.init = network_init,
	.doc = "A network of libvirt's own.",
};

static const struct qb_field match_fields[] = {
	QB_F(qb_disk_match, min_size, "min-size", SIZE, .doc = "At least as large: 200GiB, 1.5TB."),
	QB_F(qb_disk_match, max_size, "max-size", SIZE, .doc = "At most as large."),
	QB_F(qb_disk_match, rotational, "rotational", TRI,
	     .doc = "true: turning disks only; false: none of them. Either where not given."),
	QB_F(qb_disk_match, transport, "transport", STR, .valid = qb_valid_word,
	     .doc = "sata, sas, nvme, virtio..."),
	QB_F(qb_disk_match, model, "model", STR, .valid = qb_valid_line,
	     .doc = "Model; * and ? stand for any text and character."),
	QB_F(qb_disk_match, slot, "slot", STR, .valid = qb_valid_word,
	     .doc = "Where it is plugged in, the path that facts prints: pci-0000:03:00.0-nvme-1; "
		    "* and ? as in model."),
};

static const struct qb_type match_type = {
	.name = "match",
	.size = sizeof(struct qb_disk_match),
	.fields = match_fields,
	.n_fields = QB_ARRAY_SIZE(match_fields),
	.doc = "What a disk must be; at least one of these is given.",
};

static const struct qb_field selector_fields[] = {
	QB_F(qb_disk_selector, wwid, "wwid", STR, .valid = qb_valid_line,
	     .doc = "The disk with this WWID, as facts prints it."),
	QB_F(qb_disk_selector, serial, "serial", STR, .valid = qb_valid_line,
	     .doc = "The disk with this serial number."),
	QB_F(qb_disk_selector, path, "path", STR, .valid = qb_valid_device,
	     .doc = "The disk that this path names."),
	QB_F(qb_disk_selector, match, "match", OBJECT, .of = &match_type,
	     .doc = "Available disks with these properties."),
	QB_F(qb_disk_selector, count, "count", STR, .valid = qb_valid_count,
	     .doc = "How many of those that match are taken: a number, or all. What speaks against "
		    "a disk keeps it out of all, too. Default: 1."),
};

static const struct qb_type selector_type = {
	.name = "disks",
	.size = sizeof(struct qb_disk_selector),
	.fields = selector_fields,
	.n_fields = QB_ARRAY_SIZE(selector_fields),
	.doc = "Disks, named by exactly one of wwid, serial, path and match.",
};

static const struct qb_field erase_fields[] = {
	QB_F(qb_erase_config, wwid, "wwid", STR, .valid = qb_valid_line,
	     .doc = "The disk with this WWID, as facts prints it."),
	QB_F(qb_erase_config, serial, "serial", STR, .valid = qb_valid_line,
	     .doc = "The disk with this serial number."),
	QB_F(qb_erase_config, path, "path", STR, .valid = qb_valid_device,
	     .doc = "The loop or zram device that this path names; no other disk."),
	QB_F(qb_erase_config, contains, "contains", STRS, .valid = qb_valid_word,
	     .flags = QB_FIELD_REQUIRED | QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
	     .doc = "All that is on it, and nothing else: the types of signatures, partition "
		    "tables and file systems; unknown-content; qubi:NAME for a pool. A plan that "
		    "refuses says what that is."),
};

static const struct qb_type erase_type = {
	.name = "erase",
	.size = sizeof(struct qb_erase_config),
	.fields = erase_fields,
	.n_fields = QB_ARRAY_SIZE(erase_fields),
	.doc = "A disk that is erased for the pool. What is on it is lost for good.",
};

static const char *const volume_formats[] = {"xfs", NULL};

static const struct qb_field volume_fields[] = {
	QB_F(qb_volume_config, name, "name", STR, .valid = qb_valid_name,
	     .flags = QB_FIELD_REQUIRED, .doc = "Name of the logical volume."),
	QB_F(qb_volume_config, size, "size", STR, .valid = qb_valid_volume_size,
	     .flags = QB_FIELD_REQUIRED,
	     .doc = "100GiB; or 50%VG of the whole group; or 100%FREE of what is free in it when "
		    "its turn comes."),
	QB_F(qb_volume_config, format, "format", ENUM, .names = volume_formats,
	     .doc = "Its file system. Default: xfs."),
	QB_F(qb_volume_config, target, "target", STR, .valid = qb_valid_path,
	     .flags = QB_FIELD_REQUIRED,
	     .doc = "Directory that it is mounted on, also after a boot. A pool of type dir may "
		    "have this as its target, or one below it."),
};

static const struct qb_type volume_type = {
	.name = "volume",
	.size = sizeof(struct qb_volume_config),
	.fields = volume_fields,
	.n_fields = QB_ARRAY_SIZE(volume_fields),
	.doc = "A logical volume with a file system. One of that name that is mounted there is "
	       "taken as it is; none is ever formatted anew, shrunk or grown.",
};

static const char *const pool_types[] = {"dir", "fs", "logical", NULL};

/* By enum qb_fs_format, as qb_file_systems[]. */
static const char *const formats[] = {"xfs", "ext4", NULL};

static const struct qb_field pool_fields[] = {
	QB_F(qb_pool_config, name, "name", STR, .valid = qb_valid_name, .flags = QB_FIELD_REQUIRED,
	     .doc = "Name of the pool in libvirt."),
	QB_F(qb_pool_config, type, "type", ENUM, .names = pool_types, .flags = QB_FIELD_REQUIRED,
	     .doc = "dir: a directory. fs: one disk with a file system. logical: disks as one "
		    "volume group."),
	QB_F_LIST(qb_pool_config, disks, "disks", &selector_type, .flags = QB_FIELD_ONE_IS_LIST,
		  .max = QB_ITEMS_MAX,
		  .doc = "The disks to carve; of fs and logical. Where "
			 "logical has none, the volume group is there and taken as it is."),
	QB_F_LIST(qb_pool_config, erase, "erase", &erase_type, .flags = QB_FIELD_ONE_IS_LIST,
		  .max = QB_ITEMS_MAX,
		  .doc = "Disks that hold something, and may be taken for it all the same where "
			 "disks says so."),
	QB_F(qb_pool_config, target, "target", STR, .valid = qb_valid_path,
	     .doc = "Directory that guests' images are in; of dir and fs."),
	QB_F(qb_pool_config, format, "format", ENUM, .names = formats,
	     .doc = "File system that is made on the disk; of fs. It is never made anew. "
		    "Default: xfs."),
	QB_F(qb_pool_config, mode, "mode", STR, .valid = qb_valid_mode,
	     .doc = "Mode of the target, octal, like 0711: of what is mounted there. "
		    "Default: whatever it has; a new one has 0711."),
	QB_F(qb_pool_config, owner, "owner", STR, .valid = qb_valid_id,
	     .doc = "Number of the user whose the target is. Default: whoever has it."),
	QB_F(qb_pool_config, group, "group", STR, .valid = qb_valid_id,
	     .doc = "Number of the group whose the target is. Default: whichever has it."),
	QB_F(qb_pool_config, volume_group, "volume-group", STR, .valid = qb_valid_name,
	     .doc = "Name of the volume group; of logical. Default: the pool's name."),
	QB_F_LIST(qb_pool_config, volumes, "volumes", &volume_type, .flags = QB_FIELD_ONE_IS_LIST,
		  .max = QB_ITEMS_MAX,
		  .doc = "Volumes of it that are to be file systems, made in this order; of "
			 "logical."),
};

static const struct qb_type pool_type = {
	.name = "pool",
	.size = sizeof(struct qb_pool_config),
	.fields = pool_fields,
	.n_fields = QB_ARRAY_SIZE(pool_fields),
	.doc = "A storage pool of libvirt.",
};

/*
 * A 4-GiB machine shows 3.6 GiB and more as MemTotal; two CPUs are one for the host beside one for
 * a guest.
 */
const struct qb_thresholds_config qb_thresholds_default = {
	.cpus = 2,
	.memory = 3584ull << 20,
	.space = 2ull << 30,
	.pool_space = 20ull << 30,
};

static const struct qb_field thresholds_fields[] = {
	QB_F(qb_thresholds_config, cpus, "cpus", I64, .min = 1, .max = 1 << 20,
	     .doc = "CPUs that are online (system.cpus). Default: 2."),
	QB_F(qb_thresholds_config, memory, "memory", SIZE,
	     .doc = "Memory that the kernel counts (system.memory). Default: 3584MiB."),
	QB_F(qb_thresholds_config, space, "space", SIZE,
	     .doc = "Free room where the host itself writes (system.space). Default: 2GiB."),
	QB_F(qb_thresholds_config, pool_space, "pool-space", SIZE,
	     .doc = "Free room in a pool, or a tenth of it (storage.pool-space). Default: 20GiB."),
};

static void thresholds_init(void *obj)
{
	*(struct qb_thresholds_config *)obj = qb_thresholds_default;
}

static const struct qb_type thresholds_type = {
	.name = "thresholds",
	.size = sizeof(struct qb_thresholds_config),
	.fields = thresholds_fields,
	.n_fields = QB_ARRAY_SIZE(thresholds_fields),
	.init = thresholds_init,
	.doc = "The least that checks are content with.",
};

static const struct qb_field checks_fields[] = {
	QB_F(qb_checks_config, ignore, "ignore", STRS, .valid = qb_valid_check,
	     .flags = QB_FIELD_ONE_IS_LIST, .max = QB_ITEMS_MAX,
	     .doc = "Ids of checks that do not count for the verdict. With cpu.virtualization "
		    "a host whose CPU offers none is set up all the same."),
	QB_F(qb_checks_config, thresholds, "thresholds", OBJECT, .of = &thresholds_type,
	     .doc = "The least that checks are content with."),
};

static const struct qb_type checks_type = {
	.name = "checks",
	.size = sizeof(struct qb_checks_config),
	.fields = checks_fields,
	.n_fields = QB_ARRAY_SIZE(checks_fields),
	.doc = "How this host is judged.",
};

static const struct qb_field config_fields[] = {
	QB_F(qb_config, version, "version", I64, .flags = QB_FIELD_REQUIRED,
	     .doc = "Version of this format: 1."),
	QB_F(qb_config, kvm, "kvm", OBJECT, .of = &kvm_type,
	     .doc = "The hypervisor of the kernel."),
	QB_F(qb_config, host, "host", OBJECT, .of = &qb_host_config_type,
	     .doc = "What else a host for guests is set up with."),
	QB_F_LIST(qb_config, bonds, "bonds", &qb_bond_type, .max = QB_ITEMS_MAX,
		  .doc = "Bonds to be made; bridges name them as their ports."),
	QB_F_LIST(qb_config, vlans, "vlans", &qb_vlan_type, .max = QB_ITEMS_MAX,
		  .doc = "VLANs to be made; bridges name them as their ports."),
	QB_F_LIST(qb_config, bridges, "bridges", &qb_bridge_type, .max = QB_ITEMS_MAX,
		  .doc = "Bridges over the host's NICs."),
	QB_F_LIST(
		qb_config, networks, "networks", &network_type, .max = QB_ITEMS_MAX,
		.doc = "Networks of libvirt's own. One that is there is changed where a key that "
		       "is given differs; what is not given is left as it is. Ranges and hosts of "
		       "DHCP and DNS are changed while the network runs; for all else it is "
		       "restarted, which is refused while guests use it."),
	QB_F_LIST(qb_config, pools, "pools", &pool_type, .max = QB_ITEMS_MAX,
		  .doc = "Storage pools of libvirt."),
	QB_F(qb_config, domains, "domains", STR, .valid = qb_valid_path,
	     .doc = "Directory of libvirt domain XML. Default: /etc/qubi-agent/domains.d."),
	QB_F(qb_config, checks, "checks", OBJECT, .of = &checks_type,
	     .doc = "How this host is judged."),
};

static void config_init(void *obj)
{
	qb_strset(&((struct qb_config *)obj)->domains, "/etc/qubi-agent/domains.d");
}

const struct qb_type qb_config_type = {
	.name = "host",
	.size = sizeof(struct qb_config),
	.fields = config_fields,
	.n_fields = QB_ARRAY_SIZE(config_fields),
	.init = config_init,
	.doc = "What this host is to be.",
};
