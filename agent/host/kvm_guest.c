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

/* What the child tells. Written in one piece through a pipe (it is shorter than PIPE_BUF). */
struct report {
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

enum {
	GUEST_ADDRESS = 0x1000,
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
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
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
	m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
	if (m->vm < 0)
		return failed(r, "KVM_CREATE_VM");
	/* Intel's CPUs without "unrestricted guest" need a place for a task state segment. */
	if (ioctl(m->kvm, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0 &&
	    ioctl(m->vm, KVM_SET_TSS_ADDR, (unsigned long)TSS_ADDRESS) < 0)
		return failed(r, "KVM_SET_TSS_ADDR");
	m->memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED)
		return failed(r, "mmap of the guest's memory");
	memcpy(m->memory, code, size);
	region.memory_size = page;
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

static void child_run(int kvm_fd, const unsigned char *code, size_t size, struct report *r)
{
	struct machine m = {.kvm = kvm_fd, .vm = -1, .vcpu = -1};
	uint64_t start = qb_now_us();
	/* Numbers that no guest can know beforehand. */
	uint16_t a = (uint16_t)start, b = (uint16_t)(start >> 7 | 1);

	r->expected = (uint16_t)(a + b);
	if (!machine_make(&m, code, size, r) || !registers_set(&m, a, b, r))
		return;
	r->cause = QB_GUEST_WRONG;
	for (unsigned i = 0; i < EXITS_MAX; i++) {
		if (ioctl(m.vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			failed(r, "KVM_RUN");
			return;
		}
		if (!exit_handle(m.run, r))
			break;
	}
	r->duration_us = qb_now_us() - start;
}

#else

static void child_run(int kvm_fd, const unsigned char *code, size_t size, struct report *r)
{
	(void)kvm_fd, (void)code, (void)size;
	r->cause = QB_GUEST_NOT_RUN;
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
	struct report r = {0};

	child_run(given->kvm_fd, given->code, given->size, &r);
	(void)!write(fd, &r, sizeof(r));
}

void qb_guest_begin(int kvm_fd, const unsigned char *code, size_t size, unsigned deadline_ms,
		    struct qb_guest *ret)
{
	struct given given = {kvm_fd, code, size < QB_GUEST_CODE_MAX ? size : QB_GUEST_CODE_MAX};

	ret->timeout_ms = deadline_ms;
	ret->deadline_ms = qb_now_ms() + deadline_ms;
	ret->r = qb_child_begin(tell, &given, &ret->child);
}

void qb_guest_end(struct qb_guest *guest, struct qb_guest_result *ret)
{
	struct report r = {0};

	qb_children_wait(&guest->child, 1, guest->deadline_ms);
	if (guest->r < 0)
		r = (struct report){.cause = QB_GUEST_OTHER, .error = -guest->r, .stage = "fork"};
	else if (guest->child.late)
		r = (struct report){.cause = QB_GUEST_TIMEOUT, .error = ETIMEDOUT};
	else if (guest->child.text.len == sizeof(r))
		memcpy(&r, guest->child.text.s, sizeof(r));
	else
		r = (struct report){.cause = QB_GUEST_OTHER,
				    .error = ECHILD,
				    .stage = "the process of the guest ended early"};
	*ret = (struct qb_guest_result){
		.cause = r.cause,
		.error = r.error,
		.detail = detail_of(&r, guest->timeout_ms),
		.api_version = r.api_version,
		.max_vcpus = r.max_vcpus > 0 ? r.max_vcpus : 0,
		.duration_us = r.duration_us,
	};
	qb_child_done(&guest->child);
}
