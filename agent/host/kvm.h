/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that this machine runs guests: a guest that ran. */
#pragma once

#include "agent/base/child.h"
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
	/* The same of a guest in 64-bit mode; QB_GUEST_NOT_RUN where the first did not run. */
	enum qb_guest_cause long_cause;
	char *long_detail;
	bool capabilities_known;
	struct qb_strs missing; /* what QEMU needs and this KVM has not */
};

/* A guest that runs, in a process of its own: a kernel that hangs must not hang its caller. */
struct qb_guest {
	struct qb_child child;
	unsigned timeout_ms;
	uint64_t deadline_ms; /* of qb_now_ms() */
	int r;                /* of beginning it */
};

/*
 * Makes a machine of one CPU on the open /dev/kvm, runs code in real mode with two numbers and
 * compares its answer; then code of its own in 64-bit mode. x86 only. kvm_fd may be closed after.
 */
void qb_guest_begin(int kvm_fd, const unsigned char *code, size_t size, unsigned deadline_ms,
		    struct qb_guest *ret);
/* Waits for it until deadline_ms is over; one that has not ended then is left behind. */
void qb_guest_end(struct qb_guest *guest, struct qb_guest_result *ret);

/* What a failure to open /dev/kvm, or an errno of one of its calls, comes from. */
enum qb_guest_cause qb_guest_cause_of_open(int error);
enum qb_guest_cause qb_guest_cause_of_ioctl(int error);

/* qb_kvm_probe() in two halves, so that other things are looked at while the guest runs. */
struct qb_kvm_inquiry {
	struct qb_guest guest;
	bool running;
};

void qb_kvm_inquiry_begin(const struct qb_root *root, struct qb_kvm_inquiry *inquiry,
			  struct qb_kvm_facts *ret);
void qb_kvm_inquiry_end(struct qb_kvm_inquiry *inquiry, struct qb_kvm_facts *ret);

/*
 * The last lines of the kernel's log that tell of KVM, of the CPU's virtualization, or of a module
 * that was refused; made printable. Nothing where this user may not read it.
 */
void qb_kernel_says(struct qb_strs *ret);
/* One line of syslog(2), "<6>[    0.123456] message": in ret when it is one of those, which then
 * drops its first. */
void qb_kernel_line(const char *line, struct qb_strs *ret);
bool qb_kernel_line_is_of_kvm(const char *line);
