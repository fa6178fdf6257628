/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "agent/base/clock.h"

enum qb_guest_cause qb_guest_cause_of_open(int error)
{
	switch (error) {
	case ENOENT:
		return QB_GUEST_NO_DEVICE;
	case ENODEV:
	case ENXIO:
		return QB_GUEST_NO_DRIVER;
	default:
		return qb_guest_cause_of_ioctl(error);
	}
}

/* Documentation/virt/kvm/api.rst, and virt/kvm/kvm_main.c where that is silent: enabling the
 * hardware on the CPUs gives EBUSY, the vendor module without it EOPNOTSUPP. */
enum qb_guest_cause qb_guest_cause_of_ioctl(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return QB_GUEST_PERMISSION;
	case EBUSY:
		return QB_GUEST_BUSY;
	case EOPNOTSUPP:
		return QB_GUEST_FIRMWARE;
	case ENOMEM:
		return QB_GUEST_MEMORY;
	default:
		return QB_GUEST_OTHER;
	}
}

const unsigned char qb_guest_code[] = {
	0x01, 0xd8,       /* add %bx,%ax */
	0xba, 0x17, 0x02, /* mov $0x217,%dx */
	0xef,             /* out %ax,(%dx) */
	0xf4,             /* hlt */
};
const size_t qb_guest_code_size = sizeof(qb_guest_code);

/*
 * What QEMU does not start without: its lists kvm_required_capabilites (accel/kvm/kvm-all.c) and
 * kvm_arch_required_capabilities (target/i386/kvm/kvm.c), as far as QEMU 7.2 has them; and an
 * interrupt controller in the kernel, which every machine type it has by default makes use of.
 */
static const struct {
	int number;
	const char *name;
} needed[] = {
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_DESTROY_MEMORY_REGION_WORKS, "KVM_CAP_DESTROY_MEMORY_REGION_WORKS"},
	{KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, "KVM_CAP_JOIN_MEMORY_REGIONS_WORKS"},
	{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
};

/* What the child tells of one guest, in one piece (it is shorter than PIPE_BUF). */
struct report {
	unsigned missing; /* bits of needed[] */
	bool counted;     /* missing is known */
	enum qb_guest_cause cause;
	int error;
	const char *stage; /* a literal: the child is a copy of this process */
	int64_t api_version, max_vcpus;
	uint32_t exit_reason, answered;
	uint64_t hardware_reason;
	uint32_t answer, expected;
	uint64_t duration_us;
};

#if defined(__x86_64__) || defined(__i386__)

/* Only a CPU in 64-bit mode gets the sum of what stands in the upper halves. */
static const unsigned char long_code[] = {
	0x48, 0x01, 0xd8,       /* add %rbx,%rax */
	0x48, 0xc1, 0xe8, 0x20, /* shr $32,%rax */
	0x66, 0xba, 0x17, 0x02, /* mov $0x217,%dx */
	0x66, 0xef,             /* out %ax,(%dx) */
	0xf4,                   /* hlt */
};

enum {
	PAGE = 4096,
	GUEST_ADDRESS = 0x1000,
	LONG_CODE = 0x1800, /* behind the other guest's */
	PML4 = 0x2000,
	PDPT = 0x3000,
	PD = 0x4000,
	MEMORY_SIZE = 4 * PAGE,
	TSS_ADDRESS = 0xfffbd000, /* below the BIOS, as api.rst proposes */
	EXITS_MAX = 64,
};

struct machine {
	int kvm, vm, vcpu;
	unsigned char *memory;
	struct kvm_run *run;
};

static bool failed(struct report *r, const char *stage)
{
	r->error = errno;
	r->stage = stage;
	r->cause = qb_guest_cause_of_ioctl(errno);
	return false;
}

static bool machine_make(struct machine *m, const unsigned char *code, size_t size,
			 struct report *r)
{
	struct kvm_userspace_memory_region region = {.guest_phys_addr = GUEST_ADDRESS};
	int run_size;

	r->api_version = ioctl(m->kvm, KVM_GET_API_VERSION, 0);
	if (r->api_version < 0) {
		r->api_version = 0;
		return failed(r, "KVM_GET_API_VERSION");
	}
	if (r->api_version != KVM_API_VERSION) {
		r->cause = QB_GUEST_API;
		return false;
	}
	r->max_vcpus = ioctl(m->kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	for (size_t i = 0; i < QB_ARRAY_SIZE(needed); i++)
		if (ioctl(m->kvm, KVM_CHECK_EXTENSION, needed[i].number) <= 0)
			r->missing |= 1u << i;
	r->counted = true;
	m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
	if (m->vm < 0)
		return failed(r, "KVM_CREATE_VM");
	/* Intel's CPUs without "unrestricted guest" need a place for a task state segment. */
	if (ioctl(m->kvm, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0 &&
	    ioctl(m->vm, KVM_SET_TSS_ADDR, (unsigned long)TSS_ADDRESS) < 0)
		return failed(r, "KVM_SET_TSS_ADDR");
	m->memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED)
		return failed(r, "mmap of the guest's memory");
	memcpy(m->memory, code, size);
	memcpy(m->memory + LONG_CODE - GUEST_ADDRESS, long_code, sizeof(long_code));
	region.memory_size = MEMORY_SIZE;
	region.userspace_addr = (uintptr_t)m->memory;
	if (ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return failed(r, "KVM_SET_USER_MEMORY_REGION");
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	if (m->vcpu < 0)
		return failed(r, "KVM_CREATE_VCPU");
	run_size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_size < (int)sizeof(*m->run))
		return failed(r, "KVM_GET_VCPU_MMAP_SIZE");
	m->run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	return m->run != MAP_FAILED || failed(r, "mmap of the CPU's state");
}

static bool registers_set(const struct machine *m, uint16_t a, uint16_t b, struct report *r)
{
	struct kvm_regs regs = {.rip = GUEST_ADDRESS, .rax = a, .rbx = b, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return failed(r, "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) < 0)
		return failed(r, "KVM_SET_SREGS");
	return ioctl(m->vcpu, KVM_SET_REGS, &regs) == 0 || failed(r, "KVM_SET_REGS");
}

static void entry_put(const struct machine *m, uint32_t table, uint64_t entry)
{
	memcpy(m->memory + table - GUEST_ADDRESS, &entry, sizeof(entry));
}

/* 64-bit mode, with one page of 2 MiB at 0: Intel's manual, volume 3A, 4.5 and 10.8.5. */
static bool long_mode_set(const struct machine *m, uint16_t a, uint16_t b, struct report *r)
{
	enum {
		PRESENT_WRITABLE = 3,
		LARGE = 1 << 7,
		CR0_PE_ET_PG = 1 | 1 << 4,
		CR4_PAE = 1 << 5,
		EFER_LME_LMA = 1 << 8 | 1 << 10,
	};
	struct kvm_segment code = {.limit = 0xffffffff,
				   .selector = 8,
				   .type = 11,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1};
	struct kvm_segment rest = {.limit = 0xffffffff,
				   .selector = 16,
				   .type = 3,
				   .present = 1,
				   .s = 1,
				   .db = 1,
				   .g = 1};
	struct kvm_regs regs = {
		.rip = LONG_CODE, .rax = (uint64_t)a << 32, .rbx = (uint64_t)b << 32, .rflags = 2};
	struct kvm_sregs sregs;

	entry_put(m, PML4, PDPT | PRESENT_WRITABLE);
	entry_put(m, PDPT, PD | PRESENT_WRITABLE);
	entry_put(m, PD, PRESENT_WRITABLE | LARGE);
	if (ioctl(m->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return failed(r, "KVM_GET_SREGS");
	sregs.cr3 = PML4;
	sregs.cr4 |= CR4_PAE;
	sregs.cr0 |= CR0_PE_ET_PG | 1u << 31;
	sregs.efer |= EFER_LME_LMA;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = rest;
	if (ioctl(m->vcpu, KVM_SET_SREGS, &sregs) < 0)
		return failed(r, "KVM_SET_SREGS for 64-bit mode");
	return ioctl(m->vcpu, KVM_SET_REGS, &regs) == 0 || failed(r, "KVM_SET_REGS");
}

/* True when the guest goes on. */
static bool exit_handle(const struct kvm_run *run, struct report *r)
{
	r->exit_reason = run->exit_reason;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.direction == KVM_EXIT_IO_OUT && run->io.port == QB_GUEST_PORT &&
		    run->io.size == 2 && run->io.count == 1) {
			uint16_t answer;

			memcpy(&answer, (const char *)run + run->io.data_offset, sizeof(answer));
			r->answer = answer;
			r->answered++;
		}
		return true;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return true;
	case KVM_EXIT_HLT:
		r->cause = r->answered == 1 && r->answer == r->expected ? QB_GUEST_RAN
									: QB_GUEST_WRONG;
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		r->cause = QB_GUEST_ENTRY;
		r->hardware_reason = run->fail_entry.hardware_entry_failure_reason;
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		r->cause = QB_GUEST_ENTRY;
		r->hardware_reason = run->internal.suberror;
		return false;
	default:
		r->cause = QB_GUEST_WRONG;
		return false;
	}
}

static void run(const struct machine *m, struct report *r)
{
	r->cause = QB_GUEST_WRONG;
	for (unsigned i = 0; i < EXITS_MAX; i++) {
		if (ioctl(m->vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			failed(r, "KVM_RUN");
			return;
		}
		if (!exit_handle(m->run, r))
			return;
	}
}

/* A guest in real mode, and when that ran, one in 64-bit mode: a report of each. */
static void child_run(int kvm_fd, const unsigned char *code, size_t size, int fd)
{
	struct machine m = {.kvm = kvm_fd, .vm = -1, .vcpu = -1};
	uint64_t start = qb_now_us();
	/* Numbers that no guest can know beforehand. */
	uint16_t a = (uint16_t)start, b = (uint16_t)(start >> 7 | 1);
	struct report r = {.expected = (uint16_t)(a + b)}, wide = r;

	if (machine_make(&m, code, size, &r) && registers_set(&m, a, b, &r)) {
		run(&m, &r);
		r.duration_us = qb_now_us() - start;
	}
	if (write(fd, &r, sizeof(r)) != (ssize_t)sizeof(r) || r.cause != QB_GUEST_RAN)
		return;
	if (long_mode_set(&m, a, b, &wide))
		run(&m, &wide);
	(void)!write(fd, &wide, sizeof(wide));
}

#else

static void child_run(int kvm_fd, const unsigned char *code, size_t size, int fd)
{
	struct report r = {.cause = QB_GUEST_NOT_RUN};

	(void)kvm_fd, (void)code, (void)size;
	(void)!write(fd, &r, sizeof(r));
}

#endif

static char *detail_of(const struct report *r, unsigned deadline_ms)
{
	switch (r->cause) {
	case QB_GUEST_RAN:
		return qb_asprintf("the guest wrote %u to port %#x and halted", r->answer,
				   QB_GUEST_PORT);
	case QB_GUEST_NOT_RUN:
		return qb_strdup("the guest that proves it is written for x86 only");
	case QB_GUEST_API:
		return qb_asprintf("KVM_GET_API_VERSION gives %lld, not %d",
				   (long long)r->api_version, KVM_API_VERSION);
	case QB_GUEST_ENTRY:
		return qb_asprintf("the CPU refused to enter the guest (exit reason %u, %#llx)",
				   r->exit_reason, (unsigned long long)r->hardware_reason);
	case QB_GUEST_WRONG:
		if (r->answered == 1)
			return qb_asprintf("the guest wrote %u in place of %u", r->answer,
					   r->expected);
		return qb_asprintf("the guest ended (exit reason %u) after %u answers in place of "
				   "one",
				   r->exit_reason, r->answered);
	case QB_GUEST_TIMEOUT:
		return qb_asprintf("the guest did not halt within %u ms", deadline_ms);
	case QB_GUEST_NO_DEVICE:
	case QB_GUEST_NO_DRIVER:
	case QB_GUEST_PERMISSION:
	case QB_GUEST_BUSY:
	case QB_GUEST_FIRMWARE:
	case QB_GUEST_MEMORY:
	case QB_GUEST_OTHER:
		break;
	}
	return qb_asprintf("%s: %s", r->stage ? r->stage : "/dev/kvm", strerror(r->error));
}

struct given {
	int kvm_fd;
	const unsigned char *code;
	size_t size;
};

/* Other threads are gone here, with whatever locks they held: system calls only. */
static void tell(int fd, void *data)
{
	const struct given *given = data;

	child_run(given->kvm_fd, given->code, given->size, fd);
	/* To take the machine down again takes the kernel a while: nobody waits for that. */
	close(fd);
}

void qb_guest_begin(int kvm_fd, const unsigned char *code, size_t size, unsigned deadline_ms,
		    struct qb_guest *ret)
{
	struct given given = {kvm_fd, code, size < QB_GUEST_CODE_MAX ? size : QB_GUEST_CODE_MAX};

	ret->timeout_ms = deadline_ms;
	ret->deadline_ms = qb_now_ms() + deadline_ms;
	ret->r = qb_child_begin(tell, &given, &ret->child);
}

/* The report at that place; what stands for it where there is none. */
static struct report report_at(const struct qb_guest *guest, size_t i)
{
	struct report r;

	if (guest->r < 0)
		return (struct report){
			.cause = QB_GUEST_OTHER, .error = -guest->r, .stage = "fork"};
	if (guest->child.text.len >= (i + 1) * sizeof(r)) {
		memcpy(&r, guest->child.text.s + i * sizeof(r), sizeof(r));
		return r;
	}
	if (guest->child.late)
		return (struct report){.cause = QB_GUEST_TIMEOUT, .error = ETIMEDOUT};
	return (struct report){.cause = QB_GUEST_OTHER,
			       .error = ECHILD,
			       .stage = "the process of the guest ended early"};
}

void qb_guest_end(struct qb_guest *guest, struct qb_guest_result *ret)
{
	struct report r, wide;

	qb_children_wait(&guest->child, 1, guest->deadline_ms);
	r = report_at(guest, 0);
	*ret = (struct qb_guest_result){
		.cause = r.cause,
		.error = r.error,
		.detail = detail_of(&r, guest->timeout_ms),
		.api_version = r.api_version,
		.max_vcpus = r.max_vcpus > 0 ? r.max_vcpus : 0,
		.duration_us = r.duration_us,
		.capabilities_known = r.counted,
	};
	for (size_t i = 0; i < QB_ARRAY_SIZE(needed); i++)
		if (r.missing & 1u << i)
			qb_strs_add(&ret->missing, needed[i].name);
	if (r.cause == QB_GUEST_RAN) {
		wide = report_at(guest, 1);
		ret->long_cause = wide.cause;
		ret->long_detail = detail_of(&wide, guest->timeout_ms);
	}
	qb_child_done(&guest->child);
}
