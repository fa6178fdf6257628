/* SPDX-License-Identifier: Apache-2.0 */
/* How KVM was set up, and what else on the host its guests need or suffer from. */
#include "checks/judging.h"

#include <inttypes.h>
#include <sys/stat.h>

#define PARAMETER(module, name) "/sys/module/" module "/parameters/" name
#define INTEL(name) PARAMETER("kvm_intel", name)
#define AMD(name) PARAMETER("kvm_amd", name)

/* A switch of a module: the kernel writes Y and N, EL8 some as 1 and 0. */
static enum qb_tri_state switch_of(const struct qb_reading *x)
{
	if (!x || !x->value)
		return QB_UNKNOWN;
	if (qb_streq(x->value, "Y") || qb_streq(x->value, "1"))
		return QB_YES;
	return qb_streq(x->value, "N") || qb_streq(x->value, "0") ? QB_NO : QB_UNKNOWN;
}

static enum qb_tri_state parameter(const struct qb_check_input *in, const char *path)
{
	return switch_of(qb_facts_reading(in->facts, path));
}

/* True where neither vendor's module is in the kernel or that is not known; the verdict is given
 * then. The paths are of a parameter that each of them always has. */
static bool no_vendor_module(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *intel = qb_facts_reading(in->facts, INTEL("ept"));
	const struct qb_reading *amd = qb_facts_reading(in->facts, AMD("npt"));
	const struct qb_reading *strange = intel && intel->absent ? amd : intel;

	if (switch_of(intel) != QB_UNKNOWN || switch_of(amd) != QB_UNKNOWN)
		return false;
	if (intel && intel->absent && amd && amd->absent)
		qb_skip(r, "neither kvm_intel nor kvm_amd is in the kernel");
	else if (strange && strange->value)
		qb_unknown(r, "%s holds \"%.40s\", which is neither yes nor no", strange->path,
			   strange->value);
	else
		qb_unknown(r, "the parameters of KVM could not be read: %s", qb_read_why(strange));
	return true;
}

static void nested_paging(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_cpu_facts *cpu = &in->facts->cpu;
	bool intel = parameter(in, INTEL("ept")) != QB_UNKNOWN;
	const char *path = intel ? INTEL("ept") : AMD("npt"), *name = intel ? "EPT" : "NPT";
	const struct qb_tri *paging = intel ? &cpu->ept : &cpu->npt;
	enum qb_tri_state state;

	if (no_vendor_module(in, r))
		return;
	state = parameter(in, path);
	qb_evidence(r, intel ? "ept" : "npt", path, "%s", state == QB_YES ? "yes" : "no");
	qb_evidence_tri(r, name, "/proc/cpuinfo", paging);
	if (state == QB_YES)
		qb_pass(r, "KVM uses %s", name);
	else if (qb_is_not(paging))
		qb_skip(r, "the CPU has no %s that KVM could use", name);
	else
		qb_fail(r, "KVM was told not to use %s", name);
}

/* Switches that KVM clears only where the CPU lacks the flag, or somebody has said so (Linux,
 * vmx_hardware_setup() and svm_hardware_setup()). Not here: avic, which was off by default. */
static const struct {
	const char *path, *flag;
} features[] = {
	{INTEL("vpid"), "vpid"},
	{INTEL("unrestricted_guest"), "unrestricted_guest"},
	{INTEL("flexpriority"), "flexpriority"},
	{INTEL("eptad"), "ept_ad"},
	{INTEL("pml"), "pml"},
	{INTEL("enable_apicv"), "apicv"},
	{AMD("vgif"), "vgif"},
	{AMD("vls"), "v_vmsave_vmload"},
	{AMD("nrips"), "nrip_save"},
};

static const char *const feature_reads[] = {
	INTEL("ept"),          AMD("npt"),     INTEL("vpid"), INTEL("unrestricted_guest"),
	INTEL("flexpriority"), INTEL("eptad"), INTEL("pml"),  INTEL("enable_apicv"),
	AMD("vgif"),           AMD("vls"),     AMD("nrips"),  NULL};

static void cpu_features(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_cpu_facts *cpu = &in->facts->cpu;
	struct qb_tally t = {0};

	if (no_vendor_module(in, r))
		return;
	/* Flags of a virtual CPU are what the outer host likes to show. */
	if (qb_is(&cpu->hypervisor)) {
		qb_skip(r, "this machine is itself a guest: its flags promise nothing");
		return;
	}
	if (!cpu->flags.n) {
		qb_unknown(r, "the CPU's flags could not be read: %s", qb_why(&cpu->flag_vmx));
		return;
	}
	for (size_t i = 0; i < QB_ARRAY_SIZE(features); i++) {
		const char *flag = features[i].flag;
		enum qb_tri_state state = parameter(in, features[i].path);

		if (state == QB_UNKNOWN ||
		    (!qb_strs_has(&cpu->flags, flag) && !qb_strs_has(&cpu->vmx_flags, flag)))
			continue;
		qb_evidence(r, flag, features[i].path, "%s", state == QB_YES ? "yes" : "no");
		if (state == QB_YES)
			t.good++;
		else
			qb_tally_bad(&t, "KVM was told not to use %s", flag);
	}
	qb_tally_end(&t, r, "KVM uses what the CPU offers",
		     "the kernel does not show which of its features KVM could use");
}

#define SEV AMD("sev")
#define TDX INTEL("tdx")

static const struct {
	const char *flag, *path, *name;
} encryptions[] = {
	{"sev", SEV, "SEV"},
	{"sev_es", AMD("sev_es"), "SEV-ES"},
	{"sev_snp", AMD("sev_snp"), "SEV-SNP"},
	{"tdx_host_platform", TDX, "TDX"},
};

/* SEV without its younger kinds is no fault: those take settings of the firmware of their own. */
static void confidential(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_cpu_facts *cpu = &in->facts->cpu;
	_cleanup_strs_ struct qb_strs on = {0}, off = {0};
	_cleanup_free_ char *names = NULL;

	if (no_vendor_module(in, r))
		return;
	if (!cpu->flags.n) {
		qb_unknown(r, "the CPU's flags could not be read: %s", qb_why(&cpu->flag_vmx));
		return;
	}
	if (qb_is(&cpu->hypervisor)) {
		qb_skip(r, "this machine is itself a guest");
		return;
	}
	for (size_t i = 0; i < QB_ARRAY_SIZE(encryptions); i++) {
		const struct qb_reading *x = qb_facts_reading(in->facts, encryptions[i].path);
		enum qb_tri_state state = switch_of(x);

		if (!qb_strs_has(&cpu->flags, encryptions[i].flag))
			continue;
		if (state == QB_UNKNOWN && x && !x->absent) {
			qb_unknown(r, "%s is neither yes nor no", encryptions[i].path);
			return;
		}
		qb_evidence(r, encryptions[i].name, encryptions[i].path, "%s",
			    state == QB_YES  ? "yes"
			    : state == QB_NO ? "no"
					     : "the kernel has no such parameter");
		qb_strs_add(state == QB_YES ? &on : &off, encryptions[i].name);
	}
	names = qb_strs_sentence(on.n ? &on : &off);
	if (on.n)
		qb_pass(r, "KVM can encrypt guests (%s)", names);
	else if (off.n)
		qb_fail(r, "the CPU can encrypt guests (%s), and KVM does not", names);
	else
		qb_skip(r, "the CPU does not show that it could encrypt guests");
}

#define IGNORE_MSRS PARAMETER("kvm", "ignore_msrs")

static void unknown_msrs(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, IGNORE_MSRS);
	const char *text;

	if (qb_is_absent(in, IGNORE_MSRS)) {
		qb_skip(r, "kvm is not in the kernel");
		return;
	}
	if (!qb_read(in, r, IGNORE_MSRS, &text))
		return;
	if (switch_of(x) == QB_NO)
		qb_pass(r, "a guest that asks for a register KVM does not have is told so");
	else if (switch_of(x) == QB_YES)
		qb_fail(r, "KVM makes up the registers it does not have");
	else
		qb_unknown(r, "%s holds \"%.40s\", which is neither yes nor no", IGNORE_MSRS, text);
}

static void vcpus(const struct qb_check_input *in, struct qb_result *r)
{
	int64_t most = in->facts->kvm.max_vcpus;
	uint64_t online = in->facts->cpu.online;

	if (qb_is_not(&in->facts->kvm.device)) {
		qb_skip(r, "there is no /dev/kvm");
		return;
	}
	if (most <= 0 || !online) {
		qb_unknown(r, "%s",
			   most <= 0 ? "KVM could not be asked how many CPUs a guest may "
				       "have"
				     : "the number of CPUs could not be read");
		return;
	}
	qb_evidence(r, "max_vcpus", "/dev/kvm", "%" PRId64, most);
	qb_evidence(r, "online", "/sys/devices/system/cpu/online", "%" PRIu64, online);
	if ((uint64_t)most >= online)
		qb_pass(r, "one guest may have all %" PRIu64 " CPUs", online);
	else
		qb_fail(r, "one guest may have %" PRId64 " CPUs of %" PRIu64, most, online);
}

#define VIRTUALBOX "/sys/module/vboxdrv/initstate"
#define VMWARE "/sys/module/vmmon/initstate"
#define XEN "/proc/xen/capabilities"

static void other_hypervisor(const struct qb_check_input *in, struct qb_result *r)
{
	static const struct {
		const char *path, *key, *what;
		/* What the file says, and else nothing (Linux, drivers/xen/xenfs/super.c); NULL
		 * for anything. */
		const char *sign;
	} others[] = {
		{VIRTUALBOX, "vboxdrv", "VirtualBox (vboxdrv) is in the kernel beside KVM", NULL},
		{VMWARE, "vmmon", "VMware (vmmon) is in the kernel beside KVM", NULL},
		{XEN, "Xen", "this is the first guest of a Xen, which holds the CPU", "control_d"},
	};
	struct qb_tally t = {0};

	for (size_t i = 0; i < QB_ARRAY_SIZE(others); i++) {
		const struct qb_reading *x = qb_facts_reading(in->facts, others[i].path);

		if (x && x->absent) {
			qb_evidence(r, others[i].key, others[i].path, "not there");
			t.good++;
		} else if (!x || !x->value) {
			qb_tally_unsure(&t, "%s could not be read: %s", others[i].path,
					qb_read_why(x));
		} else {
			qb_evidence(r, others[i].key, others[i].path, "%.40s",
				    *x->value ? x->value : "(empty)");
			if (!others[i].sign || qb_streq(x->value, others[i].sign))
				qb_tally_bad(&t, "%s", others[i].what);
			else if (*x->value)
				qb_tally_unsure(&t, "%s says \"%.40s\"", others[i].path, x->value);
			else
				t.good++;
		}
	}
	qb_tally_end(&t, r, "no other hypervisor is in the kernel", "");
}

/*
 * udev makes such nodes at boot for whoever opens them, which then loads the module by its alias.
 * Why it would not; NULL where it would, or nobody knows. The caller frees it.
 */
static char *why_not_loaded(const struct qb_module *m)
{
	if (!m || m->state == QB_MODULE_LOADED || m->state == QB_MODULE_BUILTIN)
		return NULL;
	if (m->state == QB_MODULE_MISSING)
		return qb_strdup("this kernel has no such module");
	if (m->install_blocked)
		return qb_asprintf("%s blocks it", qb_module_ban(m->blocked_by));
	return m->blacklisted ? qb_asprintf("%s blacklists it", qb_module_ban(m->blacklisted_by))
			      : NULL;
}

static void device(const struct qb_check_input *in, struct qb_result *r, const char *path,
		   const char *module, const char *pass, const char *without)
{
	const struct qb_module *m = qb_facts_module(in->facts, module);
	_cleanup_free_ char *dead = why_not_loaded(m), *unban = NULL;
	const struct qb_reading *x = qb_facts_reading(in->facts, path);
	unsigned mode = x ? (unsigned)x->mode : 0;

	if (x && x->absent) {
		qb_evidence(r, "device", path, "not there");
		qb_fail(r, "there is no %s: %s", path, without);
	} else if (!mode) {
		qb_unknown(r, "whether there is a %s is unknown: %s", path, qb_read_why(x));
	} else if (S_ISCHR(mode) && dead) {
		qb_evidence(r, "module", "modprobe.d", "%s: %s", module, dead);
		if (m->install_blocked || m->blacklisted)
			qb_remedy(r, "%s", unban = qb_module_unban(m));
		qb_fail(r, "%s has no driver, and %s is not loaded when it is opened, as %s: %s",
			path, module, dead, without);
	} else if (S_ISCHR(mode)) {
		qb_evidence(r, "mode", path, "%04o", mode & 07777);
		qb_pass(r, "%s", pass);
	} else {
		qb_evidence(r, "type", path, "no character device (mode %07o)", mode);
		qb_fail(r, "%s is no device: %s", path, without);
	}
}

#define TUN "/dev/net/tun"

static void tun(const struct qb_check_input *in, struct qb_result *r)
{
	device(in, r, TUN, "tun", "guests get network interfaces",
	       "a guest with a network interface does not start");
}

#define VHOST_NET "/dev/vhost-net"

static void vhost_net(const struct qb_check_input *in, struct qb_result *r)
{
	device(in, r, VHOST_NET, "vhost_net", "the kernel carries guests' frames",
	       "each frame of a guest passes through QEMU");
}

#define VHOST_VSOCK "/dev/vhost-vsock"

static void vhost_vsock(const struct qb_check_input *in, struct qb_result *r)
{
	device(in, r, VHOST_VSOCK, "vhost_vsock", "guests and host can talk by vsock",
	       "a guest that is given a vsock does not start");
}

static const struct qb_check table[] = {
	{
		.id = "kvm.nested-paging",
		.title = "KVM uses nested paging (EPT, NPT)",
		.severity = QB_RECOMMENDED,
		.looks = "The parameter ept of kvm_intel or npt of kvm_amd, against what the CPU "
			 "has.",
		.why = "Switched off, KVM keeps shadow page tables, which makes memory-heavy "
		       "guests several times slower, and takes other features with it.",
		.remedy = "grep -rE 'options +kvm[_-](intel|amd).*(ept|npt)=' /etc/modprobe.d\n"
			  "# Remove that option, also from the kernel command line, and restart.",
		.reads = (const char *const[]){INTEL("ept"), AMD("npt"), NULL},
		.judge = nested_paging,
	},
	{
		.id = "kvm.cpu-features",
		.title = "KVM uses what the CPU offers",
		.severity = QB_INFORMATIONAL,
		.looks = "Parameters of kvm_intel (vpid, unrestricted_guest, flexpriority, eptad, "
			 "pml, enable_apicv) or kvm_amd (vgif, vls, nrips) whose flag the CPU "
			 "shows.",
		.why = "Each of them spares guests exits to the host: at switches between guests, "
		       "at interrupts, in firmware, during migration.",
		.remedy = "grep -rE 'options +kvm' /etc/modprobe.d\n# Remove the option, also from "
			  "the kernel command line, and restart.",
		.reads = feature_reads,
		.judge = cpu_features,
	},
	{
		.id = "kvm.confidential",
		.title = "KVM can encrypt guests",
		.severity = QB_INFORMATIONAL,
		.looks = "The parameters sev, sev_es and sev_snp of kvm_amd and tdx of kvm_intel, "
			 "where the CPU shows the flag.",
		.why = "Guests that are to be kept secret from the host need it. Others do not.",
		.remedy = "dmesg | grep -iE 'sev|tdx|ccp'\n# Switch SME and SEV, or TDX, on in the "
			  "firmware setup, and restart with kvm_amd.sev=1 or kvm_intel.tdx=1.",
		.reads = (const char *const[]){INTEL("ept"), AMD("npt"), SEV, AMD("sev_es"),
					       AMD("sev_snp"), TDX, NULL},
		.judge = confidential,
	},
	{
		.id = "kvm.ignore-msrs",
		.title = "KVM makes up no registers for guests",
		.severity = QB_INFORMATIONAL,
		.looks = "The parameter ignore_msrs of kvm.",
		.why = "A guest that reads a register KVM does not have then gets 0 for an answer "
		       "and goes on, wrongly, where it would have taken another way. A few guests "
		       "need it.",
		.remedy = "echo N >" IGNORE_MSRS "\ngrep -r ignore_msrs /etc/modprobe.d",
		.reads = (const char *const[]){IGNORE_MSRS, NULL},
		.judge = unknown_msrs,
	},
	{
		.id = "kvm.vcpus",
		.title = "One guest may have all CPUs",
		.severity = QB_INFORMATIONAL,
		.looks = "How many CPUs KVM gives to one guest, against those online.",
		.why = "A guest defined with as many CPUs as the host has does not start on a "
		       "host larger than that.",
		.remedy = "dnf upgrade kernel\n# Newer kernels give a guest more CPUs.",
		.judge = vcpus,
	},
	{
		.id = "kvm.other-hypervisor",
		.title = "No other hypervisor is in the kernel",
		.severity = QB_RECOMMENDED,
		.looks = "Whether the modules vboxdrv (VirtualBox) or vmmon (VMware) are loaded, "
			 "or this is the first guest of a Xen.",
		.why = "Only one can hold the CPU's virtualization: whichever starts a guest "
		       "second fails, today or after the next restart.",
		.remedy = "modprobe -r vboxnetadp vboxnetflt vboxdrv\nmodprobe -r vmnet vmmon\n"
			  "# Then remove that product, or its units that load them. Of Xen: boot "
			  "the kernel without it.",
		.reads = (const char *const[]){VIRTUALBOX, VMWARE, XEN, NULL},
		.judge = other_hypervisor,
	},
	{
		.id = "kvm.tun",
		.title = "Guests get network interfaces",
		.severity = QB_REQUIRED,
		.looks = "Whether " TUN " is a character device.",
		.why = "libvirt makes each network interface of a guest on a bridge or a network "
		       "through it.",
		.remedy = "modprobe tun\nls -l " TUN,
		.reads = (const char *const[]){TUN, NULL},
		.judge = tun,
	},
	{
		.id = "kvm.vhost-net",
		.title = "The kernel carries guests' frames",
		.severity = QB_RECOMMENDED,
		.looks = "Whether " VHOST_NET " is a character device.",
		.why = "Else QEMU carries them, which takes more CPU time and reaches a fraction "
		       "of the speed.",
		.remedy = "modprobe vhost_net\necho vhost_net >>/etc/modules-load.d/guests.conf",
		.reads = (const char *const[]){VHOST_NET, NULL},
		.judge = vhost_net,
	},
	{
		.id = "kvm.vhost-vsock",
		.title = "Guests and host can talk by vsock",
		.severity = QB_INFORMATIONAL,
		.looks = "Whether " VHOST_VSOCK " is a character device.",
		.why = "It links guest and host without a network: guest agents, systemd's "
		       "credentials and ssh use it.",
		.remedy = "modprobe vhost_vsock\necho vhost_vsock "
			  ">>/etc/modules-load.d/guests.conf",
		.reads = (const char *const[]){VHOST_VSOCK, NULL},
		.judge = vhost_vsock,
	},
};

QB_CHECK_GROUP_PART(qb_kvm_host_checks, kvm, table);
