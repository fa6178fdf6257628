/* SPDX-License-Identifier: Apache-2.0 */
/* Why virtualization is not to be had, from everything that hints at it. */
#include "checks/judging.h"

/* Yes when one is; no only when both are known not to be. */
static enum qb_tri_state either(const struct qb_tri *a, const struct qb_tri *b)
{
	if (qb_is(a) || qb_is(b))
		return QB_YES;
	return qb_is_not(a) && qb_is_not(b) ? QB_NO : QB_UNKNOWN;
}

/*
 * True when a driver behind /dev/kvm answered, or may be there and was not asked for want of
 * permission. There are drivers that need neither VT-x nor SVM.
 */
static bool driver_may_be_there(const struct qb_kvm_facts *kvm)
{
	/* Such as clouds have. The vendors' own show nothing by being built in. */
	if (kvm->guest_cause == QB_GUEST_NOT_RUN && kvm->module &&
	    strcmp(kvm->module, "kvm_intel") != 0 && strcmp(kvm->module, "kvm_amd") != 0)
		return true;
	switch ((enum qb_guest_cause)kvm->guest_cause) {
	case QB_GUEST_RAN:
	case QB_GUEST_PERMISSION:
	case QB_GUEST_BUSY:
	case QB_GUEST_MEMORY:
	case QB_GUEST_API:
	case QB_GUEST_ENTRY:
	case QB_GUEST_WRONG:
	case QB_GUEST_TIMEOUT:
		return true;
	case QB_GUEST_NOT_RUN:
	case QB_GUEST_NO_DEVICE:
	case QB_GUEST_NO_DRIVER:
	case QB_GUEST_FIRMWARE:
	case QB_GUEST_OTHER:
		return false;
	}
	return false;
}

/*
 * Its words since 2.6: of kvm_intel, of kvm_amd, and of the CPU's own start (Linux,
 * arch/x86/kernel/cpu/feat_ctl.c and amd.c, kvm_is_vmx_supported(), kvm_is_svm_supported()).
 */
static bool kernel_blames_firmware(const struct qb_strs *lines)
{
	static const char *const words[] = {"disabled by bios", "disabled (by bios)",
					    "not enabled by bios", "not enabled (by bios)"};

	for (size_t i = 0; i < lines->n; i++)
		for (size_t k = 0; k < QB_ARRAY_SIZE(words); k++)
			if (strcasestr(lines->v[i], words[k]))
				return true;
	return false;
}

/*
 * Whoever locked it: the firmware, or in a guest the hypervisor that plays it. The register of a
 * CPU without the feature may say so, too: bhyve and ACRN let it read "locked".
 */
static bool is_locked(const struct qb_facts *f, enum qb_tri_state cpuid, enum qb_tri_state flag)
{
	if (f->kvm.guest_cause == QB_GUEST_FIRMWARE || kernel_blames_firmware(&f->kvm.kernel_says))
		return true;
	if (cpuid != QB_NO && qb_is(&f->cpu.firmware_lock))
		return true;
	/* The kernel clears its flag when it finds the feature locked; the instruction does not. */
	return cpuid == QB_YES && flag == QB_NO;
}

enum qb_virt qb_virt_triage(const struct qb_facts *facts)
{
	const struct qb_cpu_facts *cpu = &facts->cpu;
	enum qb_tri_state cpuid = either(&cpu->cpuid_vmx, &cpu->cpuid_svm);
	enum qb_tri_state flag = either(&cpu->flag_vmx, &cpu->flag_svm);

	if (qb_is(&facts->kvm.guest_ran))
		return QB_VIRT_PROVEN;
	if (facts->system.arch && !qb_streq(facts->system.arch, "x86_64"))
		return QB_VIRT_FOREIGN;
	/* Before Linux 6.7 the flag svm was shown although the firmware had locked it. */
	if (is_locked(facts, cpuid, flag))
		return qb_is(&cpu->hypervisor) ? QB_VIRT_HIDDEN : QB_VIRT_FIRMWARE;
	if (cpuid == QB_YES)
		return QB_VIRT_OFFERED;
	if (flag == QB_YES)
		return cpuid == QB_NO ? QB_VIRT_CONTRADICTED : QB_VIRT_OFFERED;
	if (cpuid == QB_UNKNOWN && flag == QB_UNKNOWN)
		return QB_VIRT_UNKNOWN;
	if (driver_may_be_there(&facts->kvm))
		return QB_VIRT_UNTRIED;
	if (qb_is(&cpu->hypervisor))
		return QB_VIRT_HIDDEN;
	return cpuid == QB_NO ? QB_VIRT_ABSENT : QB_VIRT_ABSENT_OR_OFF;
}

/*
 * virt/kvm/kvm_main.c, kvm_enable_virtualization_cpu(): CR4.VMXE or EFER.SVME was set already.
 * Where the CPU refused VMXON, which is no such case, the kernel warns before.
 */
static bool kernel_found_it_busy(const struct qb_strs *lines)
{
	bool busy = false;

	for (size_t i = 0; i < lines->n; i++) {
		if (strstr(lines->v[i], "VMXON faulted"))
			return false;
		busy |= strstr(lines->v[i], "enabling virtualization on CPU") &&
			strstr(lines->v[i], "failed");
	}
	return busy;
}

bool qb_kvm_is_busy(const struct qb_facts *facts)
{
	const struct qb_kvm_facts *kvm = &facts->kvm;

	switch ((enum qb_guest_cause)kvm->guest_cause) {
	case QB_GUEST_BUSY:
		return true;
	case QB_GUEST_NOT_RUN:
		return qb_is_not(&kvm->device) && kernel_found_it_busy(&kvm->kernel_says);
	case QB_GUEST_NO_DEVICE:
	case QB_GUEST_NO_DRIVER:
	case QB_GUEST_OTHER: /* EIO of KVM_CREATE_VM, with kvm.enable_virt_at_load=0 */
		return kernel_found_it_busy(&kvm->kernel_says);
	case QB_GUEST_RAN:
	case QB_GUEST_PERMISSION:
	case QB_GUEST_FIRMWARE:
	case QB_GUEST_MEMORY:
	case QB_GUEST_API:
	case QB_GUEST_ENTRY:
	case QB_GUEST_WRONG:
	case QB_GUEST_TIMEOUT:
		return false;
	}
	return false;
}

void qb_kvm_busy_remedy(const struct qb_facts *facts, struct qb_result *r)
{
	const char *vendor = qb_facts_vendor_module(facts);
	const struct qb_module *m = vendor ? qb_facts_module(facts, vendor) : NULL;
	bool load = m && m->state == QB_MODULE_AVAILABLE;

	qb_remedy(r,
		  "lsmod | grep -E 'vboxdrv|vmmon|xen'\n"
		  "# Stop that hypervisor's guests and unload its module%s%s",
		  load ? ", then:\nmodprobe " : ".", load ? vendor : "");
}

bool qb_virt_is_missing(enum qb_virt virt)
{
	switch (virt) {
	case QB_VIRT_FIRMWARE:
	case QB_VIRT_HIDDEN:
	case QB_VIRT_ABSENT:
	case QB_VIRT_ABSENT_OR_OFF:
		return true;
	case QB_VIRT_UNKNOWN:
	case QB_VIRT_PROVEN:
	case QB_VIRT_OFFERED:
	case QB_VIRT_UNTRIED:
	case QB_VIRT_CONTRADICTED:
	case QB_VIRT_FOREIGN:
		return false;
	}
	return false;
}
