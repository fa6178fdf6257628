/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that this machine runs guests: a guest that ran. */
#pragma once

#include "agent/host/facts.h"

/* A guest in real mode, loaded at address 0x1000: adds BX to AX, writes AX to QB_GUEST_PORT, halts.
 */
extern const unsigned char qb_guest_code[];
extern const size_t qb_guest_code_size;

enum {
	QB_GUEST_PORT = 0x217,
	QB_GUEST_CODE_MAX = 256
};

struct qb_guest_result {
	enum qb_guest_cause cause;
	int error;    /* errno of what failed; 0 where nothing was refused by the kernel */
	char *detail; /* what failed, or what the guest answered */
	int64_t api_version, max_vcpus; /* 0 while unknown */
	uint64_t duration_us;
};

/*
 * Makes a machine of one page and one CPU on the open /dev/kvm, runs code with two numbers and
 * compares its answer. It does so in a child that is killed, and left behind if it does not die,
 * when deadline_ms is over: a kernel that hangs must not hang its caller. x86 only.
 */
void qb_guest_run(int kvm_fd, const unsigned char *code, size_t size, unsigned deadline_ms,
		  struct qb_guest_result *ret);

/* What a failure to open /dev/kvm, or an errno of one of its calls, comes from. */
enum qb_guest_cause qb_guest_cause_of_open(int error);
enum qb_guest_cause qb_guest_cause_of_ioctl(int error);
