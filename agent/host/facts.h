/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that was found on a host. Facts are the only input of checks and of the plan, beside
 * the configuration; they print as JSON (schema qubi-agent/facts/1) and load back from it.
 * A new member goes into its table in agent/host/facts_fields*.c, too (a unit test looks for holes)
 * and into the shipped schema: build/unit/test_facts_schema --write.
 */
#pragma once

#include <jansson.h>

#include "agent/base/root.h"
#include "agent/base/schema.h"
#include "net/link.h"
#include "storage/disk.h"

struct qb_system_facts {
	char *hostname;
	char *arch;                         /* uname -m */
	char *kernel;                       /* uname -r */
	char *os_id, *os_version, *os_name; /* ID, VERSION_ID, PRETTY_NAME of os-release */
	char *machine_id;
	char *chassis_vendor, *product; /* DMI */
	uint64_t memory_bytes, memory_available_bytes;
	struct qb_tri systemd; /* it is PID 1 (/run/systemd/system) */
	struct qb_tri selinux_enabled, selinux_enforcing;
	struct qb_tri time_synchronised; /* adjtimex(2), live only */
	struct qb_tri bridge_nf_call;    /* net.bridge.bridge-nf-call-iptables = 1 */
	struct qb_tri ipv4_forwarding;
	struct qb_tri iommu; /* /sys/class/iommu has an entry */
	struct qb_tri cgroup_v2;
	struct qb_strs cgroup_controllers;
};

struct qb_cpu_facts {
	char *vendor; /* GenuineIntel, AuthenticAMD...; of the raw CPUID where it could run */
	char *model;
	uint64_t online;
	struct qb_tri flag_vmx, flag_svm;   /* /proc/cpuinfo, whole words */
	struct qb_tri cpuid_vmx, cpuid_svm; /* the instruction itself; unknown on captured hosts */
	struct qb_tri firmware_lock;        /* IA32_FEATURE_CONTROL or VM_CR: switched off */
	struct qb_tri hypervisor;           /* the hypervisor bit */
	char *hypervisor_vendor;            /* CPUID 0x40000000, printable */
	struct qb_tri ept, npt;
	struct qb_tri vulnerabilities_known; /* each was read, and decided; else why not */
	struct qb_strs
		vulnerable;       /* names in /sys/devices/system/cpu/vulnerabilities that say so */
	struct qb_strs flags;     /* of the first CPU */
	struct qb_strs vmx_flags; /* the same of "vmx flags"; before Linux 5.11 among the flags */
	struct qb_strs kinds; /* each once: "family 6 model 85 stepping 7, microcode 0x5003707" */
};

/* What the proof's run of a guest came to. */
enum qb_guest_cause {
	QB_GUEST_NOT_RUN = 0, /* not tried: not a live host, or no /dev/kvm */
	QB_GUEST_RAN,
	QB_GUEST_NO_DEVICE,  /* ENOENT: no /dev/kvm */
	QB_GUEST_NO_DRIVER,  /* ENODEV, ENXIO: a node without a driver behind */
	QB_GUEST_PERMISSION, /* EACCES, EPERM */
	QB_GUEST_BUSY,       /* EBUSY: another hypervisor holds VT-x or SVM */
	QB_GUEST_FIRMWARE,   /* EOPNOTSUPP of CREATE_VM: switched off */
	QB_GUEST_MEMORY,     /* ENOMEM */
	QB_GUEST_API,        /* KVM_GET_API_VERSION is not 12 */
	QB_GUEST_ENTRY,      /* KVM_EXIT_FAIL_ENTRY, INTERNAL_ERROR: the CPU refused the guest */
	QB_GUEST_WRONG,      /* it ran and gave the wrong answer */
	QB_GUEST_TIMEOUT,
	QB_GUEST_OTHER,
};

struct qb_kvm_facts {
	struct qb_tri device;   /* /dev/kvm is a character device */
	int64_t mode, uid, gid; /* of /dev/kvm */
	int64_t api_version;    /* 0 while unknown */
	struct qb_tri guest_ran;
	int guest_cause; /* enum qb_guest_cause */
	int64_t guest_errno;
	char *guest_detail; /* which ioctl failed and how; what the guest answered */
	uint64_t guest_duration_us;
	struct qb_tri long_mode;    /* a guest ran in 64-bit mode, too */
	char *long_mode_detail;     /* as guest_detail */
	struct qb_tri capabilities; /* all that QEMU needs is there */
	struct qb_strs missing_capabilities;
	int64_t max_vcpus;
	struct qb_strs kernel_says; /* lines of its log about KVM; only where no guest ran */
	struct qb_tri nested;       /* parameter nested of kvm_intel or kvm_amd */
	char *module;               /* the vendor module in use: kvm_amd, kvm_intel; NULL unknown */
};

enum qb_module_state {
	QB_MODULE_UNKNOWN = 0,
	QB_MODULE_LOADED,
	QB_MODULE_BUILTIN,
	QB_MODULE_AVAILABLE, /* a file for the running kernel */
	QB_MODULE_MISSING,
};

/* A line "options MODULE ..." of modprobe.d. */
struct qb_module_options {
	char *file, *options;
};

struct qb_module {
	char *name;                        /* with underscores */
	int state;                         /* enum qb_module_state */
	char *why;                         /* of unknown */
	bool blacklisted;                  /* by modprobe.d: not loaded by alias; by name it is */
	bool install_blocked;              /* "install NAME /bin/false" and the like */
	char *blacklisted_by, *blocked_by; /* the file that says so, /proc/cmdline too; or NULL */
	struct qb_module_options *options; /* in the order in which they count, the last one most */
	size_t n_options;
	bool at_boot;            /* modules-load.d or the kernel command line names it */
	struct qb_tri persisted; /* it will be loaded at boot: modules-load.d, not blacklisted */
};

/* Addresses that DHCP gives to whoever asks: both ends of a range, and what one MAC gets. */
struct qb_vir_range {
	char *start, *end;
};

struct qb_vir_host {
	char *mac, *ip, *name; /* the MAC in lower case; what is not said is NULL */
};

/* Whom DNS asks about a domain (NULL: about all), and what it answers by itself. */
struct qb_vir_forwarder {
	char *domain, *addr;
};

struct qb_vir_record {
	char *ip;
	struct qb_strs names;
};

/* What libvirt's XML says of a network; of what it says about DHCP, the part about IPv4. */
struct qb_vir_definition {
	char *forward, *bridge, *address; /* address: "192.168.122.1/24" or NULL */
	struct qb_strs devices; /* links of the host that it is bound to, where it names some */
	char *domain;
	bool domain_local_only;
	struct qb_vir_range *dhcp_ranges;
	size_t n_dhcp_ranges;
	struct qb_vir_host *dhcp_hosts;
	size_t n_dhcp_hosts;
	struct qb_vir_forwarder *dns_forwarders;
	size_t n_dns_forwarders;
	struct qb_vir_record *dns_hosts;
	size_t n_dns_hosts;
};

struct qb_vir_network {
	char *name, *uuid;
	struct qb_vir_definition now;  /* JSON: its members stand beside the name */
	struct qb_vir_definition next; /* what it will be started with */
	bool active, autostart, persistent;
};

struct qb_vir_pool {
	char *name, *uuid, *type, *target, *source_device, *source_name;
	bool active, autostart, persistent;
	uint64_t capacity_bytes, available_bytes;
	/* Of an active pool, its volumes: what they promise, and the room they take by now. */
	struct qb_tri volumes_known;
	uint64_t volumes, volumes_capacity_bytes, volumes_allocation_bytes;
};

/* A block device that a defined or running guest uses. */
struct qb_vir_disk {
	char *domain, *device;
};

/* An interface of a running guest. network: NULL where it is on a bridge without one. */
struct qb_vir_nic {
	char *domain, *network, *bridge, *link;
};

enum qb_vir_flavour {
	QB_VIR_NONE = 0,
	QB_VIR_MONOLITHIC,
	QB_VIR_MODULAR
};

struct qb_libvirt_facts {
	struct qb_tri connected;
	char *error; /* why not, as libvirt says it; NULL when connected */
	char *uri;
	int flavour;           /* enum qb_vir_flavour: which sockets are there or units installed */
	struct qb_tri enabled; /* systemd starts its services at boot, and so what autostarts */
	char *version, *hypervisor_version; /* "9.0.0"; of QEMU */
	struct qb_tri kvm_domains;          /* capabilities offer <domain type='kvm'> */
	struct qb_vir_network *networks;
	size_t n_networks;
	struct qb_vir_pool *pools;
	size_t n_pools;
	struct qb_vir_disk *guest_disks;
	size_t n_guest_disks;
	struct qb_vir_nic *guest_interfaces;
	size_t n_guest_interfaces;
};

/* The directory of a pool, of the configuration or of libvirt's. */
struct qb_target {
	char *path;
	struct qb_tri mounted; /* it is a mount point of its own */
	char *real_path;       /* without symbolic links, as far as it is there; NULL: unknown */
	char *mount_point;     /* where the file system is mounted that it lies on; NULL: unknown */
	char *device;          /* "253:0", of what is mounted there; NULL: nothing is */
	char *fs_type;         /* of the same */
	bool at_boot;          /* a unit of systemd's mounts it at boot */
	struct qb_tri empty;   /* it holds nothing, or is not there; unknown when mounted */
	char *holds;           /* one of the names in it; NULL for none */
	char *mode;            /* octal, of what is mounted there; NULL: unknown, or not there */
	uint64_t owner, group; /* known where mode is */
};

/* Room for files where path is: a directory of the host's, or a pool's target. */
struct qb_space {
	char *path;
	struct qb_tri read_only; /* unknown: with why nothing of this is known */
	bool absent;             /* path is known not to be there */
	char *down;   /* what says that the file system gave up, or its server did; NULL: none */
	char *device; /* "8:1", as stat(2) has it: the same for all paths of a file system */
	uint64_t size_bytes, available_bytes;
	uint64_t inodes, inodes_available; /* 0 of 0: made as they are needed */
	/* Of SELinux: the directory's, and of a pool's target those of the files in it, each once.
	 * NULL: it has no label. */
	char *selinux_type;
	struct qb_strs file_types;
};

/*
 * A small file that a check asked for by its path: of /proc, /sys, /etc or /run. What is no file
 * but a directory has its names as value, one a line.
 */
struct qb_reading {
	char *path;
	char *value; /* without white space around it; NULL when there is none, or too long a one */
	int64_t mode; /* st_mode; 0: it is not there, or nobody knows */
	bool absent;  /* it is not there, and its surroundings are */
	char *why;    /* why value is not known; NULL when it is, or is known to be absent */
};

struct qb_facts {
	struct qb_tri live; /* read from a live host, not from a captured one */
	struct qb_system_facts system;
	struct qb_cpu_facts cpu;
	struct qb_kvm_facts kvm;
	struct qb_module *modules;
	size_t n_modules;
	struct qb_net net; /* JSON: links[], routes[] at the top */
	struct qb_disks disks;
	struct qb_libvirt_facts libvirt;
	struct qb_target *targets;
	size_t n_targets;
	struct qb_space *spaces;
	size_t n_spaces;
	struct qb_reading *readings;
	size_t n_readings;
	struct qb_reading_order *reading_order; /* qb_facts_index(); NULL: there is none */
};

extern const struct qb_type qb_facts_type, qb_libvirt_type, qb_vir_definition_type;

struct qb_config;

/* Parts of the facts that take their time to find. */
enum qb_facts_part {
	QB_FACTS_KVM = 1 << 0,
	QB_FACTS_MODULES = 1 << 1,
	QB_FACTS_NET = 1 << 2,
	QB_FACTS_DISKS = 1 << 3,
	QB_FACTS_LIBVIRT = 1 << 4, /* and the targets of pools */
	QB_FACTS_SPACE = 1 << 5,   /* of the host's directories; of targets with libvirt */
	QB_FACTS_REASONS = 1 << 6, /* why disks are not available */
	QB_FACTS_ALL = (1 << 7) - 1,
};

struct qb_probe_options {
	const struct qb_root *root;
	const char *connect_uri;
	unsigned timeout_ms;
	/* What it names is looked at, too: modules, targets of pools. May be NULL. */
	const struct qb_config *config;
	unsigned without; /* parts nobody will look at: they stay unknown */
	/* Paths of readings, "*" in a component standing for any name. May be NULL. */
	const struct qb_strs *reads;
};

/* Never fails: what could not be read is unknown. Changes nothing and loads nothing. */
void qb_facts_probe(const struct qb_probe_options *options, struct qb_facts *ret);
/* A captured facts document (JSON). All errors in diags, -EINVAL. */
QB_MUST_CHECK int qb_facts_load(const char *text, size_t len, struct qb_facts *ret,
				struct qb_diags *diags);
json_t *qb_facts_to_json(const struct qb_facts *facts);
/* The JSON Schema of that; packaging/schema/facts.schema.json is its text. */
json_t *qb_facts_describe(void);
void qb_facts_done(struct qb_facts *facts);
#define _cleanup_facts_ QB_CLEANUP(qb_facts_done)

const struct qb_module *qb_facts_module(const struct qb_facts *facts, const char *name);
/* kvm_intel or kvm_amd by the CPU's vendor; NULL for another one. */
const char *qb_facts_vendor_module(const struct qb_facts *facts);
const struct qb_vir_network *qb_facts_network(const struct qb_facts *facts, const char *name);
const struct qb_vir_pool *qb_facts_pool(const struct qb_facts *facts, const char *name);
/*
 * Makes what links, routes and readings are found quickly by; whoever adds or renames one
 * afterwards makes it anew. Without it they are found as well.
 */
void qb_facts_index(struct qb_facts *facts);
const struct qb_reading *qb_facts_reading(const struct qb_facts *facts, const char *path);
/* Those whose paths begin with len bytes of prefix, by path. False: there is no index. */
bool qb_facts_readings_below(const struct qb_facts *facts, const char *prefix, size_t len,
			     const struct qb_reading *const **ret, size_t *ret_n);
const struct qb_target *qb_facts_target(const struct qb_facts *facts, const char *path);
const struct qb_space *qb_facts_space(const struct qb_facts *facts, const char *path);

/* The parts of qb_facts_probe(). */
void qb_system_probe(const struct qb_root *root, struct qb_system_facts *ret);
/* A part of it, by itself: NULL where there is none. The caller frees it. */
char *qb_machine_id_read(const struct qb_root *root);
void qb_cpu_probe(const struct qb_root *root, struct qb_cpu_facts *ret);
void qb_kvm_probe(const struct qb_root *root, struct qb_kvm_facts *ret);
void qb_modules_probe(const struct qb_root *root, const struct qb_strs *names,
		      struct qb_module **ret, size_t *ret_n);
void qb_readings_probe(const struct qb_root *root, const struct qb_strs *paths,
		       struct qb_reading **ret, size_t *ret_n);
/* Adds to the facts' targets those that are not there yet. */
void qb_targets_probe(const struct qb_root *root, const struct qb_strs *paths, unsigned timeout_ms,
		      struct qb_facts *facts);
/* The same with their spaces. */
void qb_spaces_probe(const struct qb_root *root, const struct qb_strs *paths, unsigned timeout_ms,
		     struct qb_facts *facts);
/* The images in the directories of pools; of others it is known that they have none. */
void qb_volumes_probe(const struct qb_root *root, unsigned timeout_ms, struct qb_libvirt_facts *v);
/*
 * What guests use, by libvirt's own files: guest_disks alone. ret_unread: what could not be read,
 * and why; untouched where all could. The caller frees both.
 */
void qb_guest_files_probe(const struct qb_root *root, struct qb_libvirt_facts *to,
			  char **ret_unread);
void qb_libvirt_probe(const struct qb_root *root, const char *uri, unsigned timeout_ms,
		      struct qb_libvirt_facts *ret);
