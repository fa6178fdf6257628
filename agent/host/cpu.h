/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/host/facts.h"

/* What the CPUID instruction says, before any kernel has cleared bits of it. */
struct qb_cpuid {
	char vendor[13], hypervisor_vendor[13];
	bool vmx, svm, npt, hypervisor;
};

/* False where the architecture has no such instruction. */
bool qb_cpuid_read(struct qb_cpuid *ret);

/* Fills in what the text of /proc/cpuinfo tells. Words are compared whole, lines may be of any
 * length. Where there is no line of flags the facts read from them stay unknown. */
void qb_cpuinfo_parse(const char *text, struct qb_cpu_facts *ret);

/* What a file of /sys/devices/system/cpu/vulnerabilities comes to. */
enum qb_weakness {
	QB_WEAKNESS_UNDECIDED, /* the kernel does not know either, or these are not its words */
	QB_WEAKNESS_OPEN,
	QB_WEAKNESS_CLOSED, /* not affected, mitigated, or left to KVM */
};

enum qb_weakness qb_weakness_of(const char *text);
