/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/host/facts.h"
#include "net/link_fields.h"
#include "storage/disk_fields.h"

static const struct qb_field system_fields[] = {
	QB_F(qb_system_facts, hostname, "hostname", STR, .doc = "Name of the host."),
	QB_F(qb_system_facts, arch, "arch", STR, .doc = "Machine, as uname -m."),
	QB_F(qb_system_facts, kernel, "kernel", STR, .doc = "Kernel release."),
	QB_F(qb_system_facts, os_id, "os_id", STR, .doc = "ID of os-release."),
	QB_F(qb_system_facts, os_version, "os_version", STR, .doc = "VERSION_ID of os-release."),
	QB_F(qb_system_facts, os_name, "os_name", STR, .doc = "PRETTY_NAME of os-release."),
	QB_F(qb_system_facts, machine_id, "machine_id", STR, .doc = "/etc/machine-id."),
	QB_F(qb_system_facts, chassis_vendor, "chassis_vendor", STR, .doc = "Vendor, by DMI."),
	QB_F(qb_system_facts, product, "product", STR, .doc = "Product, by DMI."),
	QB_F(qb_system_facts, memory_bytes, "memory_bytes", U64, .doc = "Memory."),
	QB_F(qb_system_facts, memory_available_bytes, "memory_available_bytes", U64,
	     .doc = "Memory that is not in use."),
	QB_F(qb_system_facts, systemd, "systemd", TRI, .doc = "systemd is the first process."),
	QB_F(qb_system_facts, selinux_enabled, "selinux_enabled", TRI, .doc = "SELinux is on."),
	QB_F(qb_system_facts, selinux_enforcing, "selinux_enforcing", TRI,
	     .doc = "SELinux enforces its policy."),
	QB_F(qb_system_facts, time_synchronised, "time_synchronised", TRI,
	     .doc = "The clock follows another one."),
	QB_F(qb_system_facts, bridge_nf_call, "bridge_nf_call", TRI,
	     .doc = "The firewall of the host sees what guests send over a bridge."),
	QB_F(qb_system_facts, ipv4_forwarding, "ipv4_forwarding", TRI, .doc = "IPv4 is forwarded."),
	QB_F(qb_system_facts, iommu, "iommu", TRI, .doc = "An IOMMU is in use."),
	QB_F(qb_system_facts, cgroup_v2, "cgroup_v2", TRI, .doc = "Control groups are version 2."),
	QB_F(qb_system_facts, cgroup_controllers, "cgroup_controllers", STRS,
	     .doc = "Controllers of the root control group."),
};

static const struct qb_type system_type = {
	.name = "system",
	.size = sizeof(struct qb_system_facts),
	.fields = system_fields,
	.n_fields = QB_ARRAY_SIZE(system_fields),
	.doc = "The machine and its operating system.",
};

static const struct qb_field cpu_fields[] = {
	QB_F(qb_cpu_facts, vendor, "vendor", STR, .doc = "GenuineIntel, AuthenticAMD..."),
	QB_F(qb_cpu_facts, model, "model", STR, .doc = "Model."),
	QB_F(qb_cpu_facts, online, "online", U64, .doc = "CPUs that are on."),
	QB_F(qb_cpu_facts, flag_vmx, "flag_vmx", TRI, .doc = "/proc/cpuinfo shows vmx."),
	QB_F(qb_cpu_facts, flag_svm, "flag_svm", TRI, .doc = "/proc/cpuinfo shows svm."),
	QB_F(qb_cpu_facts, cpuid_vmx, "cpuid_vmx", TRI, .doc = "The CPUID instruction shows VMX."),
	QB_F(qb_cpu_facts, cpuid_svm, "cpuid_svm", TRI, .doc = "The CPUID instruction shows SVM."),
	QB_F(qb_cpu_facts, firmware_lock, "firmware_lock", TRI,
	     .doc = "The firmware has switched virtualization off and locked that (MSR)."),
	QB_F(qb_cpu_facts, hypervisor, "hypervisor", TRI, .doc = "The CPU is a virtual one."),
	QB_F(qb_cpu_facts, hypervisor_vendor, "hypervisor_vendor", STR,
	     .doc = "Whose hypervisor it is."),
	QB_F(qb_cpu_facts, ept, "ept", TRI, .doc = "Intel's nested paging."),
	QB_F(qb_cpu_facts, npt, "npt", TRI, .doc = "AMD's nested paging."),
	QB_F(qb_cpu_facts, vulnerabilities_known, "vulnerabilities_known", TRI,
	     .doc = "The kernel's list of weaknesses was read."),
	QB_F(qb_cpu_facts, vulnerable, "vulnerable", STRS,
	     .doc = "Weaknesses that nothing is done against."),
	QB_F(qb_cpu_facts, flags, "flags", STRS, .doc = "Flags of the first CPU."),
	QB_F(qb_cpu_facts, vmx_flags, "vmx_flags", STRS, .doc = "Its VMX flags."),
	QB_F(qb_cpu_facts, kinds, "kinds", STRS,
	     .doc = "Family, model, stepping and microcode, each once."),
};

static const struct qb_type cpu_type = {
	.name = "cpu",
	.size = sizeof(struct qb_cpu_facts),
	.fields = cpu_fields,
	.n_fields = QB_ARRAY_SIZE(cpu_fields),
	.doc = "The CPU.",
};

static const char *const guest_causes[] = {
	[QB_GUEST_NOT_RUN] = "not-run",
	[QB_GUEST_RAN] = "ran",
	[QB_GUEST_NO_DEVICE] = "no-device",
	[QB_GUEST_NO_DRIVER] = "no-driver",
	[QB_GUEST_PERMISSION] = "permission",
	[QB_GUEST_BUSY] = "busy",
	[QB_GUEST_FIRMWARE] = "firmware",
	[QB_GUEST_MEMORY] = "memory",
	[QB_GUEST_API] = "api",
	[QB_GUEST_ENTRY] = "entry",
	[QB_GUEST_WRONG] = "wrong-answer",
	[QB_GUEST_TIMEOUT] = "timeout",
	[QB_GUEST_OTHER] = "other",
	NULL,
};

static const struct qb_field kvm_fields[] = {
	QB_F(qb_kvm_facts, device, "device", TRI, .doc = "/dev/kvm is there."),
	QB_F(qb_kvm_facts, mode, "mode", I64, .doc = "Mode of /dev/kvm, in decimal."),
	QB_F(qb_kvm_facts, uid, "uid", I64, .doc = "Owner of /dev/kvm."),
	QB_F(qb_kvm_facts, gid, "gid", I64, .doc = "Group of /dev/kvm."),
	QB_F(qb_kvm_facts, api_version, "api_version", I64, .doc = "12; 0 while unknown."),
	QB_F(qb_kvm_facts, guest_ran, "guest_ran", TRI, .doc = "A guest ran, for proof."),
	QB_F(qb_kvm_facts, guest_cause, "guest_cause", ENUM, .names = guest_causes,
	     .doc = "What the run came to."),
	QB_F(qb_kvm_facts, guest_errno, "guest_errno", I64, .doc = "Error number; 0 for none."),
	QB_F(qb_kvm_facts, guest_detail, "guest_detail", STR,
	     .doc = "Which call failed and how, or what the guest answered."),
	QB_F(qb_kvm_facts, guest_duration_us, "guest_duration_us", U64, .doc = "How long it took."),
	QB_F(qb_kvm_facts, long_mode, "long_mode", TRI, .doc = "One ran in 64-bit mode, too."),
	QB_F(qb_kvm_facts, long_mode_detail, "long_mode_detail", STR,
	     .doc = "Which call failed and how, or what that guest answered."),
	QB_F(qb_kvm_facts, capabilities, "capabilities", TRI, .doc = "All that QEMU needs."),
	QB_F(qb_kvm_facts, missing_capabilities, "missing_capabilities", STRS,
	     .doc = "What QEMU needs and this KVM has not."),
	QB_F(qb_kvm_facts, max_vcpus, "max_vcpus", I64, .doc = "Most CPUs of one guest."),
	QB_F(qb_kvm_facts, kernel_says, "kernel_says", STRS,
	     .doc = "Lines of the kernel's log about KVM, where no guest ran."),
	QB_F(qb_kvm_facts, nested, "nested", TRI, .doc = "Guests can run guests."),
	QB_F(qb_kvm_facts, module, "module", STR, .doc = "kvm_intel or kvm_amd, as loaded."),
};

static const struct qb_type kvm_type = {
	.name = "kvm",
	.size = sizeof(struct qb_kvm_facts),
	.fields = kvm_fields,
	.n_fields = QB_ARRAY_SIZE(kvm_fields),
	.doc = "The kernel's hypervisor.",
};

static const char *const module_states[] = {
	[QB_MODULE_UNKNOWN] = "unknown", [QB_MODULE_LOADED] = "loaded",
	[QB_MODULE_BUILTIN] = "builtin", [QB_MODULE_AVAILABLE] = "available",
	[QB_MODULE_MISSING] = "missing", NULL,
};

static const struct qb_field module_options_fields[] = {
	QB_F(qb_module_options, file, "file", STR, .doc = "The file of modprobe.d."),
	QB_F(qb_module_options, options, "options", STR, .doc = "What it sets."),
};

static const struct qb_type module_options_type = {
	.name = "options",
	.size = sizeof(struct qb_module_options),
	.fields = module_options_fields,
	.n_fields = QB_ARRAY_SIZE(module_options_fields),
	.doc = "Options that modprobe.d gives to a module.",
};

static const struct qb_field module_fields[] = {
	QB_F(qb_module, name, "name", STR, .flags = QB_FIELD_REQUIRED, .doc = "Name, with _."),
	QB_F(qb_module, state, "state", ENUM, .names = module_states,
	     .doc = "available: there is a file for the running kernel."),
	QB_F(qb_module, why, "why", STR, .doc = "Why the state is not known."),
	QB_F(qb_module, blacklisted, "blacklisted", BOOL, .doc = "modprobe.d blacklists it."),
	QB_F(qb_module, install_blocked, "install_blocked", BOOL,
	     .doc = "modprobe.d has a command run in its place."),
	QB_F(qb_module, blacklisted_by, "blacklisted_by", STR,
	     .doc = "The file that does; /proc/cmdline: the kernel's command line."),
	QB_F(qb_module, blocked_by, "blocked_by", STR,
	     .doc = "The file that keeps it from being loaded, in the same way."),
	QB_F_LIST(qb_module, options, "options", &module_options_type,
		  .doc = "Its options in modprobe.d; of two that contradict, the last counts."),
	QB_F(qb_module, at_boot, "at_boot", BOOL, .doc = "It is named to be loaded at boot."),
	QB_F(qb_module, persisted, "persisted", TRI, .doc = "It is loaded at boot."),
};

static const struct qb_type module_type = {
	.name = "module",
	.size = sizeof(struct qb_module),
	.fields = module_fields,
	.n_fields = QB_ARRAY_SIZE(module_fields),
	.doc = "A kernel module.",
};

/* A list that stands at the top of the document and in a struct within the facts. */
#define LIST_WITHIN(outer, member, key, t, text)                                                   \
	{                                                                                          \
		.name = (key), .kind = QB_FIELD_LIST,                                              \
		.offset = offsetof(struct qb_facts, outer.member),                                 \
		.n_offset = offsetof(struct qb_facts, outer.n_##member), .of = (t), .doc = (text)  \
	}

static const struct qb_field target_fields[] = {
	QB_F(qb_target, path, "path", STR, .flags = QB_FIELD_REQUIRED, .doc = "The directory."),
	QB_F(qb_target, mounted, "mounted", TRI, .doc = "It is a mount point of its own."),
	QB_F(qb_target, real_path, "real_path", STR, .doc = "The same without symbolic links."),
	QB_F(qb_target, mount_point, "mount_point", STR,
	     .doc = "Where the file system is mounted that it lies on."),
	QB_F(qb_target, device, "device", STR,
	     .doc = "The number of the device whose file system is mounted there."),
	QB_F(qb_target, fs_type, "fs_type", STR, .doc = "The type of that file system."),
	QB_F(qb_target, at_boot, "at_boot", BOOL,
	     .doc = "A unit below /etc/systemd/system mounts it at boot."),
	QB_F(qb_target, empty, "empty", TRI, .doc = "It holds nothing, or is not there."),
	QB_F(qb_target, holds, "holds", STR, .doc = "One of the names in it."),
	QB_F(qb_target, mode, "mode", STR,
	     .doc = "Its mode, octal; null where it is not there, or unknown."),
	QB_F(qb_target, owner, "owner", U64, .doc = "Whose it is, as a number; see mode."),
	QB_F(qb_target, group, "group", U64, .doc = "Which group's it is, as a number; see mode."),
};

static const struct qb_type target_type = {
	.name = "target",
	.size = sizeof(struct qb_target),
	.fields = target_fields,
	.n_fields = QB_ARRAY_SIZE(target_fields),
	.doc = "The directory of a pool.",
};

static const struct qb_field space_fields[] = {
	QB_F(qb_space, path, "path", STR, .flags = QB_FIELD_REQUIRED, .doc = "The directory."),
	QB_F(qb_space, read_only, "read_only", TRI, .doc = "Nothing can be written there."),
	QB_F(qb_space, absent, "absent", BOOL, .doc = "It is known not to be there."),
	QB_F(qb_space, down, "down", STR,
	     .doc = "The error of a file system that has shut down, or lost its server."),
	QB_F(qb_space, device, "device", STR,
	     .doc = "The number of what it is on, the same for all of one file system."),
	QB_F(qb_space, size_bytes, "size_bytes", U64, .doc = "Size of the file system."),
	QB_F(qb_space, available_bytes, "available_bytes", U64, .doc = "Free room in it."),
	QB_F(qb_space, inodes, "inodes", U64, .doc = "Files it can hold; 0: any number."),
	QB_F(qb_space, inodes_available, "inodes_available", U64,
	     .doc = "Files that can be added."),
	QB_F(qb_space, selinux_type, "selinux_type", STR, .doc = "SELinux's type of it."),
	QB_F(qb_space, file_types, "file_types", STRS,
	     .doc = "SELinux's types of the files in a pool's directory, each once."),
};

static const struct qb_type space_type = {
	.name = "space",
	.size = sizeof(struct qb_space),
	.fields = space_fields,
	.n_fields = QB_ARRAY_SIZE(space_fields),
	.doc = "Room for files.",
};

static const struct qb_field reading_fields[] = {
	QB_F(qb_reading, path, "path", STR, .flags = QB_FIELD_REQUIRED, .doc = "The file."),
	QB_F(qb_reading, value, "value", STR, .doc = "What it says; of a directory, its names."),
	QB_F(qb_reading, mode, "mode", I64, .doc = "Its type and mode, as stat(2) has them."),
	QB_F(qb_reading, absent, "absent", BOOL, .doc = "It is known not to be there."),
	QB_F(qb_reading, why, "why", STR, .doc = "Why the value is not known."),
};

static const struct qb_type reading_type = {
	.name = "reading",
	.size = sizeof(struct qb_reading),
	.fields = reading_fields,
	.n_fields = QB_ARRAY_SIZE(reading_fields),
	.doc = "A small file that checks look at.",
};

static const struct qb_field facts_fields[] = {
	QB_F(qb_facts, live, "live", TRI, .doc = "Read from a live host, not a captured one."),
	QB_F(qb_facts, system, "system", OBJECT, .of = &system_type,
	     .doc = "The machine and its operating system."),
	QB_F(qb_facts, cpu, "cpu", OBJECT, .of = &cpu_type, .doc = "The CPU."),
	QB_F(qb_facts, kvm, "kvm", OBJECT, .of = &kvm_type, .doc = "The kernel's hypervisor."),
	QB_F_LIST(qb_facts, modules, "modules", &module_type, .doc = "Kernel modules."),
	LIST_WITHIN(net, links, "links", &qb_link_type, "Network links."),
	LIST_WITHIN(net, routes, "routes", &qb_route_type, "Routes of all tables but local."),
	QB_F(qb_facts, net, "net", OBJECT, .of = &qb_net_rest_type,
	     .doc = "Who manages the network, and what else bears on it."),
	QB_F(qb_facts, disks.known, "disks_known", TRI, .doc = "The disks were listed."),
	LIST_WITHIN(disks, disks, "disks", &qb_disk_type, "Disks."),
	LIST_WITHIN(disks, mappings, "mappings", &qb_mapping_type,
		    "Block devices that are made of others: device mapper, md."),
	QB_F(qb_facts, disks.lvm, "lvm", TRI, .doc = "LVM is in use here, and was asked."),
	LIST_WITHIN(disks, groups, "volume_groups", &qb_volume_group_type, "Volume groups of LVM."),
	QB_F(qb_facts, libvirt, "libvirt", OBJECT, .of = &qb_libvirt_type,
	     .doc = "libvirt and what it has."),
	QB_F_LIST(qb_facts, targets, "targets", &target_type,
		  .doc = "Directories of pools, of the configuration's and of libvirt's."),
	QB_F_LIST(qb_facts, spaces, "spaces", &space_type,
		  .doc = "Room in directories of the host and of pools."),
	QB_F_LIST(qb_facts, readings, "readings", &reading_type,
		  .doc = "Small files that checks look at."),
};

const struct qb_type qb_facts_type = {
	.name = "facts",
	.size = sizeof(struct qb_facts),
	.fields = facts_fields,
	.n_fields = QB_ARRAY_SIZE(facts_fields),
	.doc = "What was found on a host.",
};
