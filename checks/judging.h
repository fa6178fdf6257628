/* SPDX-License-Identifier: Apache-2.0 */
/* What judges share; for checks/ only. */
#pragma once

#include "checks/check.h"

extern const struct qb_check_group qb_cpu_checks, qb_kvm_checks, qb_modules_checks, qb_iommu_checks,
	qb_memory_checks, qb_cgroup_checks, qb_security_checks, qb_net_checks, qb_storage_checks,
	qb_libvirt_checks, qb_system_checks, qb_config_checks, qb_cpu_state_checks,
	qb_kvm_host_checks, qb_net_path_checks, qb_net_host_checks, qb_security_libvirt_checks,
	qb_system_state_checks, qb_storage_host_checks, qb_libvirt_host_checks,
	qb_config_drift_checks, qb_security_labels_checks, qb_libvirt_units_checks,
	qb_net_bond_checks, qb_sysctl_checks, qb_net_owner_checks, qb_net_profile_checks,
	qb_net_filter_checks, qb_net_drift_checks, qb_storage_health_checks,
	qb_storage_volumes_checks, qb_modules_boot_checks, qb_storage_pools_checks;

struct qb_tally;

/* The name of the group that a check is in. */
const char *qb_check_group_of(const struct qb_check *check);
/* What to show as its remedy; NULL when there is nothing to mend. What could not be judged has one
 * only where the judge knows how to make it judgeable. */
const char *qb_result_remedy(const struct qb_result *r);

/* For a group's second file, which stands beside the first in the registry. */
#define QB_CHECK_GROUP_PART(symbol, group, table)                                                  \
	const struct qb_check_group symbol = {                                                     \
		.name = #group,                                                                    \
		.checks = (table),                                                                 \
		.n_checks = QB_ARRAY_SIZE(table),                                                  \
	}

#define QB_CHECK_GROUP(group, table) QB_CHECK_GROUP_PART(qb_##group##_checks, group, table)

/* The cause of an unknown fact; never NULL. */
const char *qb_why(const struct qb_tri *t);
/* "yes", "no" or "unknown: cause". */
void qb_evidence_tri(struct qb_result *r, const char *key, const char *source,
		     const struct qb_tri *t);
/*
 * True where there is no configuration to hold the host against; the verdict is given then:
 * skip, or unknown when there is one that could not be read.
 */
bool qb_no_config(const struct qb_check_input *in, struct qb_result *r);
/* As configured, or by default. */
const struct qb_thresholds_config *qb_thresholds(const struct qb_check_input *in);
/* What the kernel's log says of KVM, as evidence. */
void qb_evidence_kernel(struct qb_result *r, const struct qb_facts *facts);
/* Why libvirt does not answer; never NULL. */
const char *qb_libvirt_why(const struct qb_facts *facts);
/* True where libvirt did not answer; the verdict, unknown, is given then. */
bool qb_no_libvirt(const struct qb_facts *facts, struct qb_result *r);
/* True where libvirt is not installed, or nobody knows; the verdict is given then. */
bool qb_not_installed(const struct qb_check_input *in, struct qb_result *r);
/* The directories of pools, configured or active; with remote those from a server, too. */
void qb_pool_targets(const struct qb_check_input *in, bool remote, struct qb_strs *ret);
/* What is known of it. False: it is down or not there, which storage.pool-writable and
 * storage.pool-mounted tell, or the tally is unsure. */
bool qb_known_space(const struct qb_check_input *in, const char *target, struct qb_tally *t,
		    const struct qb_space **ret);
/* Unsure where libvirt did not tell its pools. */
void qb_no_pools_known(const struct qb_check_input *in, struct qb_tally *t);
/* Who blacklists or blocks a module, as a person names it: file as in struct qb_module. */
const char *qb_module_ban(const char *file);
/* A remedy: how to lift that, and load the module. The caller frees it. */
char *qb_module_unban(const struct qb_module *m);
/* A word for a remedy: quoted where a shell would see more than a word in it. Caller frees. */
char *qb_shell_word(const char *s);

/*
 * What check.reads asked for, at a path without "*". True when it has a value, which becomes
 * evidence. Else the verdict, unknown, is given: also where the file is known to be absent. A
 * judge to whom absence means something asks qb_is_absent() first.
 */
bool qb_read(const struct qb_check_input *in, struct qb_result *r, const char *path,
	     const char **ret);
/* The same for a number. */
bool qb_read_u64(const struct qb_check_input *in, struct qb_result *r, const char *path,
		 uint64_t *ret);
bool qb_is_absent(const struct qb_check_input *in, const char *path);
/* The readings that a path with "*" brought, one after the other; NULL after the last. */
const struct qb_reading *qb_read_next(const struct qb_check_input *in, const char *pattern,
				      const struct qb_reading *after);
/* False where something that the pattern asks for is not known, and why; the caller frees that. */
bool qb_read_all(const struct qb_check_input *in, const char *pattern, char **ret_why);
/* Why a reading (NULL: nobody looked) has no value; never NULL. */
const char *qb_read_why(const struct qb_reading *reading);
/* The word between brackets: "always [madvise] never". Caller frees; NULL for none. */
char *qb_bracketed(const char *value);

/*
 * What a line "key = value" says last, without quotes; of a list all up to "]". Of lines that begin
 * with "#" nothing. Caller frees; NULL for none.
 */
char *qb_conf_value(const char *text, const char *key);
/* What "key = value" says last in "[section]", as it stands there. Caller frees; NULL for none. */
char *qb_ini_value(const char *text, const char *section, const char *key);
/* qb_conf_value() as a switch: 1 is on. */
bool qb_conf_is_on(const char *text, const char *key);

enum {
	TABLE_MAIN = 254, /* RT_TABLE_MAIN */
};

/* True where links could not be read; the verdict, unknown, is given then. */
bool qb_no_links(const struct qb_facts *f, struct qb_result *r);
/* The same for disks. */
bool qb_no_disks(const struct qb_facts *f, struct qb_result *r);
bool qb_is_bridge(const struct qb_link *l);
/* A guest's interface, which comes and goes with the guest. */
bool qb_is_tap(const struct qb_link *l);
/* The best one of the main table; of IPv4 before IPv6 where family is NULL. NULL for none. */
const struct qb_route *qb_default_route(const struct qb_net *net, const char *family);

/* What a check reads that asks for users or groups. */
#define QB_GROUP "/etc/group"
#define QB_PASSWD "/etc/passwd"
/* The number where a configuration has one in the place of a name, also behind "+"; NULL. */
const char *qb_id_number(const char *name);
/*
 * Whether user, a name or a number, is in the group of that number: his own one, or as a member.
 * What was found becomes evidence. Unknown: *ret_why. The caller frees both.
 */
enum qb_tri_state qb_user_has_group(const struct qb_check_input *in, struct qb_result *r,
				    const char *user, const char *gid, char **ret_group,
				    char **ret_why);

/* True where the architecture is not known; the verdict, unknown, is given then. */
bool qb_no_arch(const struct qb_facts *f, struct qb_result *r);
/* RHEL and what is built from it. */
bool qb_is_el(const struct qb_system_facts *s);

/* One verdict over many things (bridges, pools...): each is good, bad or cannot be judged. */
struct qb_tally {
	size_t good;
	struct qb_strs bad, unsure; /* one clause each */
};

QB_PRINTF(2, 3) void qb_tally_bad(struct qb_tally *t, const char *fmt, ...);
QB_PRINTF(2, 3) void qb_tally_unsure(struct qb_tally *t, const char *fmt, ...);
/*
 * Fails when one is bad, else is unknown when one could not be judged, else passes; skips when
 * there was none. Empties the tally.
 */
void qb_tally_end(struct qb_tally *t, struct qb_result *r, const char *pass, const char *skip);

/* What is known of the CPU's virtualization: cause, not symptom. */
enum qb_virt {
	QB_VIRT_UNKNOWN,
	QB_VIRT_PROVEN,        /* a guest ran, whatever the flags say */
	QB_VIRT_OFFERED,       /* the CPU shows it; no guest has run */
	QB_VIRT_FIRMWARE,      /* there, but switched off in the firmware */
	QB_VIRT_HIDDEN,        /* this is a guest, and its hypervisor does not offer it */
	QB_VIRT_ABSENT,        /* CPUID does not offer it */
	QB_VIRT_ABSENT_OR_OFF, /* only the kernel's flags are known, and they lack it */
	QB_VIRT_UNTRIED,       /* not shown, but a KVM driver may be there that does without */
	QB_VIRT_CONTRADICTED,  /* cpuinfo shows what CPUID denies */
	QB_VIRT_FOREIGN,       /* not an x86 */
};

enum qb_virt qb_virt_triage(const struct qb_facts *facts);
/*
 * True when another hypervisor had VT-x or SVM as KVM was started last. Since Linux 6.12 that is
 * when the vendor's module is loaded: there is no /dev/kvm then.
 */
bool qb_kvm_is_busy(const struct qb_facts *facts);
/* What to do about that. */
void qb_kvm_busy_remedy(const struct qb_facts *facts, struct qb_result *r);
/* True when modules and /dev/kvm cannot help: the hardware does not offer virtualization. */
bool qb_virt_is_missing(enum qb_virt virt);
