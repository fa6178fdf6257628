/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/cpu.h"
#include "checks/judging.h"

/* What the vendor calls it. */
static const char *feature(const struct qb_cpu_facts *cpu)
{
	if (qb_is(&cpu->cpuid_vmx) || qb_is(&cpu->flag_vmx) ||
	    qb_streq(cpu->vendor, "GenuineIntel"))
		return "VT-x";
	if (qb_is(&cpu->cpuid_svm) || qb_is(&cpu->flag_svm) ||
	    qb_streq(cpu->vendor, "AuthenticAMD") || qb_streq(cpu->vendor, "HygonGenuine"))
		return "SVM (AMD-V)";
	return "hardware virtualization";
}

static const struct {
	const char *signature, *name, *remedy;
} hypervisors[] = {
	{"KVMKVMKVM", "KVM",
	 "# On the outer host: load kvm_intel or kvm_amd with nested=1, and give this guest\n"
	 "# the CPU as it is (<cpu mode='host-passthrough'/>)."},
	{"TCGTCGTCGTCG", "QEMU without KVM (TCG)",
	 "# Start the outer QEMU with -cpu max,+svm, or on a host with KVM."},
	{"VMwareVMware", "VMware",
	 "# Switch this on in the VM's CPU settings: Expose hardware assisted virtualization\n"
	 "# to the guest OS (vhv.enable = \"TRUE\")."},
	{"Microsoft Hv", "Hyper-V",
	 "# On the outer host, with this VM off: Set-VMProcessor -VMName NAME\n"
	 "# -ExposeVirtualizationExtensions $true"},
	{"XenVMMXenVMM", "Xen", "# Xen rarely offers nested virtualization: use another host."},
};

/* Clouds and VirtualBox show KVM's signature, too; what they sell or draw they name by DMI. */
static const struct {
	const char *vendor, *product; /* NULL: any */
	const char *name, *remedy;
} machines[] = {
	{NULL, "VirtualBox", "VirtualBox",
	 "# On the outer host, with this VM off:\n"
	 "# VBoxManage modifyvm NAME --nested-hw-virt on"},
	/* Amazon EC2 User Guide, "Use nested virtualization to run hypervisors". */
	{"Amazon EC2", NULL, "Amazon EC2",
	 "# Use an instance type that ends in .metal, or one of Intel's that has nested\n"
	 "# virtualization, and switch that on while the instance is stopped:\n"
	 "# aws ec2 modify-instance-cpu-options --nested-virtualization enabled "
	 "--instance-id ID"},
	{"Google", NULL, "Google Compute Engine",
	 "# Switch it on for the instance (advancedMachineFeatures:\n"
	 "# enableNestedVirtualization), of a machine type that has it: of Intel, and not E2."},
};

/* NULL where the machine is none of these. */
static const char *machine(const struct qb_system_facts *s, const char **ret_remedy)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(machines); i++) {
		if ((machines[i].vendor && !qb_streq(machines[i].vendor, s->chassis_vendor)) ||
		    (machines[i].product && !qb_streq(machines[i].product, s->product)))
			continue;
		*ret_remedy = machines[i].remedy;
		return machines[i].name;
	}
	return NULL;
}

#define XEN "/proc/xen/capabilities"

static void hidden(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_cpu_facts *cpu = &in->facts->cpu;
	const struct qb_reading *xen = qb_facts_reading(in->facts, XEN);
	const char *name = cpu->hypervisor_vendor, *remedy = NULL, *known;
	bool locked = qb_is(&cpu->cpuid_vmx) || qb_is(&cpu->cpuid_svm);

	/* The first guest is a host: of Xen's. */
	if (xen && xen->value && strstr(xen->value, "control_d")) {
		qb_remedy(r, "# Boot the kernel itself, not Xen:\ngrubby --info=ALL | grep title");
		qb_fail(r, "Xen runs this host, and holds the CPU's virtualization");
		return;
	}
	qb_remedy(r, "# Switch nested virtualization on for this machine in the outer hypervisor,\n"
		     "# or use an instance type that has it, or bare metal.");
	for (size_t i = 0; i < QB_ARRAY_SIZE(hypervisors); i++) {
		if (qb_streq(hypervisors[i].signature, cpu->hypervisor_vendor)) {
			name = hypervisors[i].name;
			qb_remedy(r, "%s", hypervisors[i].remedy);
		}
	}
	known = machine(&in->facts->system, &remedy);
	if (known) {
		qb_evidence(r, "vendor", "/sys/class/dmi/id/sys_vendor", "%.80s",
			    in->facts->system.chassis_vendor ? in->facts->system.chassis_vendor
							     : "unknown");
		qb_evidence(r, "product", "/sys/class/dmi/id/product_name", "%.80s",
			    in->facts->system.product ? in->facts->system.product : "unknown");
		name = known;
		qb_remedy(r, "%s", remedy);
	}
	qb_fail(r, "this machine is itself a guest, and its hypervisor%s%s%s %s %s%s",
		name ? " (" : "", name ? name : "", name ? ")" : "",
		locked ? "shows" : "does not offer", feature(cpu),
		locked ? ", but keeps it locked" : "");
}

static void virtualization(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_cpu_facts *cpu = &in->facts->cpu;
	const struct qb_kvm_facts *kvm = &in->facts->kvm;

	qb_evidence_tri(r, "cpuinfo vmx", "/proc/cpuinfo", &cpu->flag_vmx);
	qb_evidence_tri(r, "cpuinfo svm", "/proc/cpuinfo", &cpu->flag_svm);
	qb_evidence_tri(r, "cpuid vmx", "CPUID 1", &cpu->cpuid_vmx);
	qb_evidence_tri(r, "cpuid svm", "CPUID 0x80000001", &cpu->cpuid_svm);
	qb_evidence_tri(r, "hypervisor", "CPUID 1", &cpu->hypervisor);
	if (cpu->firmware_lock.state != QB_UNKNOWN)
		qb_evidence_tri(r, "locked by firmware", "/dev/cpu/0/msr", &cpu->firmware_lock);
	qb_evidence_tri(r, "guest ran", "/dev/kvm", &kvm->guest_ran);
	qb_evidence_kernel(r, in->facts);

	switch (qb_virt_triage(in->facts)) {
	case QB_VIRT_PROVEN:
		qb_pass(r, "proven: a guest ran on this CPU");
		return;
	case QB_VIRT_OFFERED:
		qb_pass(r, "the CPU offers %s", feature(cpu));
		return;
	case QB_VIRT_FIRMWARE:
		qb_fail(r, "the CPU has %s, but the firmware has switched it off", feature(cpu));
		return;
	case QB_VIRT_HIDDEN:
		hidden(in, r);
		return;
	case QB_VIRT_ABSENT:
		qb_remedy(r, "# Use a machine whose CPU has VT-x or SVM; no setting adds it.");
		qb_fail(r, "this CPU has neither VT-x nor SVM");
		return;
	case QB_VIRT_ABSENT_OR_OFF:
		qb_fail(r, "the kernel shows neither vmx nor svm: the CPU lacks it, or the "
			   "firmware has switched it off");
		return;
	case QB_VIRT_UNTRIED:
		qb_unknown(r, "the CPU shows neither VT-x nor SVM, yet a KVM driver that needs "
			      "neither may be here; kvm.guest-run says more");
		return;
	case QB_VIRT_CONTRADICTED:
		qb_unknown(r, "/proc/cpuinfo shows what the CPUID instruction denies");
		return;
	case QB_VIRT_FOREIGN:
		qb_unknown(r, "how a CPU of type %s shows virtualization is not known here",
			   in->facts->system.arch);
		return;
	case QB_VIRT_UNKNOWN:
		qb_unknown(r, "neither CPUID nor /proc/cpuinfo could be read: %s",
			   qb_why(&cpu->flag_vmx));
		return;
	}
}

static void nested_paging(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_cpu_facts *cpu = &in->facts->cpu;
	bool intel = qb_is(&cpu->cpuid_vmx) || qb_is(&cpu->flag_vmx);
	bool amd = qb_is(&cpu->cpuid_svm) || qb_is(&cpu->flag_svm);
	const struct qb_tri *paging = intel ? &cpu->ept : &cpu->npt;
	const char *name = intel ? "EPT" : "NPT";
	enum qb_virt virt = qb_virt_triage(in->facts);

	if (virt == QB_VIRT_FOREIGN) {
		qb_skip(r, "a CPU of type %s has no such flag", in->facts->system.arch);
		return;
	}
	if (!intel && !amd) {
		/* Without VT-x or SVM in sight there is nothing whose paging could be judged. */
		if (cpu->cpuid_vmx.state == QB_UNKNOWN && cpu->flag_vmx.state == QB_UNKNOWN)
			qb_unknown(r, "the CPU's features could not be read: %s",
				   qb_why(&cpu->flag_vmx));
		else
			qb_skip(r, "the CPU shows neither VT-x nor SVM");
		return;
	}
	/* The kernel then clears the flags of what they bring along, too. */
	if (qb_virt_is_missing(virt)) {
		qb_skip(r, "the %s has switched %s off",
			virt == QB_VIRT_HIDDEN ? "outer hypervisor" : "firmware", feature(cpu));
		return;
	}
	qb_evidence_tri(r, name, "/proc/cpuinfo", paging);
	if (qb_is(paging))
		qb_pass(r, "the CPU translates guests' addresses itself (%s)", name);
	else if (qb_is_not(paging))
		qb_fail(r, "the CPU has no %s: every page table change of a guest costs an exit",
			name);
	else
		qb_unknown(r, "whether the CPU has %s is unknown: %s", name, qb_why(paging));
}

#define UNMITIGATED                                                                                \
	"grubby --update-kernel=ALL --remove-args='mitigations nospectre_v2'\n"                    \
	"# Then restart the host."

static void vulnerabilities(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_cpu_facts *cpu = &in->facts->cpu;
	_cleanup_free_ char *names = qb_strs_sentence(&cpu->vulnerable);

	qb_evidence(r, "vulnerable", "/sys/devices/system/cpu/vulnerabilities", "%s",
		    cpu->vulnerable.n ? names : "none named");
	if (cpu->vulnerable.n) {
		if (qb_is(&cpu->hypervisor))
			qb_remedy(r, "# Microcode is for the outer host to update; then power "
				     "this guest off\n"
				     "# and on. In here:\n"
				     "dnf upgrade kernel\n" UNMITIGATED);
		qb_fail(r, "the CPU is vulnerable to %s, and nothing mitigates it", names);
	} else if (qb_is(&cpu->vulnerabilities_known)) {
		qb_pass(r, "every vulnerability the kernel knows is mitigated or absent");
	} else {
		qb_unknown(r, "whether every vulnerability is mitigated is not known: %s",
			   qb_why(&cpu->vulnerabilities_known));
	}
}

#define WEAKNESSES "/sys/devices/system/cpu/vulnerabilities/*"
#define SMT "/sys/devices/system/cpu/smt/active"

/* Its "Unknown" says nothing of threads. */
static bool is_of_the_kernel(const char *text)
{
	return qb_weakness_of(text) != QB_WEAKNESS_UNDECIDED || qb_startswith(text, "Unknown");
}

/* What the kernel's files say of threads of one core (kernel, admin-guide/hw-vuln). */
static void threads(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *smt = qb_facts_reading(in->facts, SMT);
	struct qb_tally t = {0};
	size_t n = 0;

	if (smt && smt->value && *smt->value)
		qb_evidence(r, "smt", SMT, "%.20s", smt->value);
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, WEAKNESSES, x)); n++) {
		const char *name = strrchr(x->path, '/') + 1;

		if (!x->value)
			qb_tally_unsure(&t, "%s could not be read: %s", x->path, qb_read_why(x));
		else if (strstr(x->value, "SMT vulnerable"))
			qb_tally_bad(&t, "threads of one core are not kept apart (%s)", name);
		else if (strstr(x->value, "SMT Host state unknown"))
			qb_tally_unsure(&t,
					"only the outer host knows whether guests share a core "
					"(%s)",
					name);
		else if (is_of_the_kernel(x->value))
			t.good++;
		else
			qb_tally_unsure(&t, "%s says \"%.40s\"", name, x->value);
		if (x->value && strstr(x->value, "SMT"))
			qb_evidence(r, name, x->path, "%.200s", x->value);
	}
	if (!n)
		qb_tally_unsure(&t, "the kernel's list of vulnerabilities could not be read: %s",
				qb_read_why(qb_facts_reading(in->facts, WEAKNESSES)));
	qb_evidence(r, "weaknesses", "/sys/devices/system/cpu/vulnerabilities", "%zu known", n);
	qb_tally_end(&t, r, "no known weakness opens one thread of a core to the other", "");
}

#define L1TF "/sys/devices/system/cpu/vulnerabilities/l1tf"
#define ITLB "/sys/devices/system/cpu/vulnerabilities/itlb_multihit"

/* Files that begin with "Mitigation" or "KVM", whose part on guests says otherwise. */
static void guests_kept_out(const struct qb_check_input *in, struct qb_result *r)
{
	/* Until then the kernel has not decided what to do about it, and says "Vulnerable". */
	bool loaded = qb_streq(in->facts->kvm.module, "kvm_intel");
	struct qb_tally t = {0};
	const char *text;

	if (!qb_read(in, r, L1TF, &text))
		return;
	if (strstr(text, "VMX: vulnerable"))
		qb_tally_bad(&t, "the cache is not flushed before a guest runs (l1tf)");
	else if (is_of_the_kernel(text))
		t.good++;
	else
		qb_tally_unsure(&t, "l1tf says \"%.40s\"", text);
	/* It is younger than the other one: not all kernels have it. */
	if (qb_facts_reading(in->facts, ITLB)) {
		if (!qb_read(in, r, ITLB, &text)) {
			qb_strs_done(&t.bad);
			return;
		}
		if (loaded && strstr(text, "KVM: Vulnerable"))
			qb_tally_bad(&t, "a guest can halt the host (itlb_multihit)");
		else if (!is_of_the_kernel(text))
			qb_tally_unsure(&t, "itlb_multihit says \"%.40s\"", text);
	}
	qb_tally_end(&t, r, "KVM's own mitigations are on or not needed", "");
}

static const struct qb_check table[] = {
	{
		.id = "cpu.virtualization",
		.title = "The CPU can run guests",
		.severity = QB_REQUIRED,
		.looks = "First whether a guest ran, which settles it. Else the CPUID instruction "
			 "itself, the flags vmx and svm in /proc/cpuinfo, which the kernel clears "
			 "when the firmware has locked the feature, and whether this machine is "
			 "itself a guest.",
		.why = "Without it QEMU has to emulate every instruction: guests are ten to a "
		       "hundred times slower, and libvirt offers no domain of type kvm.",
		.remedy = "# Switch VT-x (Intel) or SVM (AMD) on in the firmware setup, save, and\n"
			  "# cut the power once: some firmware applies it only then.",
		.reads = (const char *const[]){XEN, NULL},
		.judge = virtualization,
	},
	{
		.id = "cpu.nested-paging",
		.title = "The CPU has nested paging (EPT, NPT)",
		.severity = QB_RECOMMENDED,
		.looks = "The flags ept (Intel) or npt (AMD) in /proc/cpuinfo.",
		.why = "Without it KVM keeps shadow page tables, which makes memory-heavy guests "
		       "several times slower.",
		.remedy = "# Use a CPU made after 2010. In a guest, the outer host has to offer "
			  "it\n"
			  "# (<cpu mode='host-passthrough'/>).",
		.judge = nested_paging,
	},
	{
		.id = "cpu.vulnerabilities",
		.title = "The CPU's known weaknesses are mitigated",
		.severity = QB_RECOMMENDED,
		.looks = "Every file in /sys/devices/system/cpu/vulnerabilities, for the word "
			 "Vulnerable, and that none says the kernel does not know.",
		.why = "Guests share caches and predictors with the host and with each other: an "
		       "unmitigated weakness lets one read another's memory.",
		.remedy = "dnf upgrade microcode_ctl kernel\n" UNMITIGATED,
		.judge = vulnerabilities,
	},
	{
		.id = "cpu.smt",
		.title = "Guests cannot listen on a shared core",
		.severity = QB_INFORMATIONAL,
		.looks = "Every file in /sys/devices/system/cpu/vulnerabilities, for the words SMT "
			 "vulnerable.",
		.why = "A guest on one thread of a core can read what a guest on the other one "
		       "works with. Where all guests belong to one owner that may be accepted.",
		.remedy = "grep -r SMT /sys/devices/system/cpu/vulnerabilities\n"
			  "# Give each guest whole cores, by core scheduling or pinning; or do "
			  "without the second threads, half the CPUs, from the next start on "
			  "(grubby --update-kernel=ALL --args=nosmt).",
		.reads = (const char *const[]){WEAKNESSES, SMT, NULL},
		.judge = threads,
	},
	{
		.id = "cpu.guest-mitigations",
		.title = "KVM's mitigations are on",
		.severity = QB_RECOMMENDED,
		.looks = "What l1tf and itlb_multihit in /sys/devices/system/cpu/vulnerabilities "
			 "say of guests, behind the word Mitigation.",
		.why = "Without the one a guest reads the host's memory, without the other it "
		       "stops the host; both are on unless somebody switched them off.",
		.remedy = "grep -rE 'vmentry_l1d_flush|nx_huge_pages' /etc/modprobe.d\n"
			  "# Remove those, then:\n"
			  "grubby --update-kernel=ALL --remove-args='l1tf mitigations'\n"
			  "grubby --update-kernel=ALL --remove-args=kvm.nx_huge_pages\n"
			  "# And restart the host.",
		.reads = (const char *const[]){WEAKNESSES, NULL},
		.judge = guests_kept_out,
	},
};

QB_CHECK_GROUP(cpu, table);
