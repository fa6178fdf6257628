/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/cpu.h"

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>

/* Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E. */
enum {
	LEAF_FEATURES = 1,
	LEAF_EXTENDED = 0x80000001,
	LEAF_SVM = 0x8000000a,
	LEAF_HYPERVISOR = 0x40000000,
	FEATURES_ECX_VMX = 1 << 5,
	EXTENDED_ECX_SVM = 1 << 2,
	SVM_EDX_NPT = 1 << 0,
};
#define FEATURES_ECX_HYPERVISOR (1u << 31)

static void copy(char *to, unsigned a, unsigned b, unsigned c)
{
	memcpy(to, &a, 4);
	memcpy(to + 4, &b, 4);
	memcpy(to + 8, &c, 4);
	to[12] = '\0';
}

bool qb_cpuid_read(struct qb_cpuid *ret)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(0, &a, &b, &c, &d))
		return false;
	copy(ret->vendor, b, d, c);
	if (__get_cpuid(LEAF_FEATURES, &a, &b, &c, &d)) {
		ret->vmx = c & FEATURES_ECX_VMX;
		ret->hypervisor = c & FEATURES_ECX_HYPERVISOR;
	}
	if (__get_cpuid(LEAF_EXTENDED, &a, &b, &c, &d))
		ret->svm = c & EXTENDED_ECX_SVM;
	if (ret->svm && __get_cpuid(LEAF_SVM, &a, &b, &c, &d))
		ret->npt = d & SVM_EDX_NPT;
	if (ret->hypervisor) {
		/* Beyond the range that __get_cpuid() would check against. */
		__cpuid(LEAF_HYPERVISOR, a, b, c, d);
		copy(ret->hypervisor_vendor, b, c, d);
	}
	return true;
}

#else

bool qb_cpuid_read(struct qb_cpuid *ret)
{
	(void)ret;
	return false;
}

#endif
