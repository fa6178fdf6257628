/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/kvm.h"

#include <errno.h>
#include <fcntl.h>

#include "agent/host/probing.h"

enum {
	/* The guest needs less than a millisecond; on a busy machine that emulates another, more
	 * than a second was seen. */
	GUEST_DEADLINE_MS = 10000
};

static void device(const struct qb_root *root, struct qb_kvm_facts *ret)
{
	struct stat st;
	int r = qb_root_stat(root, "/dev/kvm", true, &st);

	if (r == -ENOENT && !root->live) {
		/* Captured trees hold files; nodes are rarely among them. */
		qb_tri_unknown(&ret->device, "not a live host");
	} else if (r < 0) {
		qb_tri_absent(root, "/dev/kvm", "/dev", r, &ret->device);
	} else {
		qb_tri_set(&ret->device, S_ISCHR(st.st_mode));
		ret->mode = st.st_mode & 07777;
		ret->uid = st.st_uid;
		ret->gid = st.st_gid;
	}
}

/* The one in use. Where both vendors' are built in, the one that made parameters of its own does
 * not tell: then the CPU does. */
static char *module(const struct qb_root *root, struct qb_strs *names)
{
	bool intel = qb_root_exists(root, "/sys/module/kvm_intel");
	bool amd = qb_root_exists(root, "/sys/module/kvm_amd");
	_cleanup_free_ char *cpuinfo = NULL;

	if (intel && amd) {
		if (qb_root_read(root, "/proc/cpuinfo", 64 << 20, &cpuinfo, NULL) < 0)
			return NULL;
		return qb_strdup(strstr(cpuinfo, "AuthenticAMD") || strstr(cpuinfo, "HygonGenuine")
					 ? "kvm_amd"
					 : "kvm_intel");
	}
	if (intel || amd)
		return qb_strdup(intel ? "kvm_intel" : "kvm_amd");
	/* A vendor module of another kind, such as a cloud's own. */
	for (size_t i = 0; i < names->n; i++)
		if (qb_startswith(names->v[i], "kvm_"))
			return qb_strdup(names->v[i]);
	return NULL;
}

static void nested(const struct qb_root *root, const char *name, struct qb_tri *ret)
{
	_cleanup_free_ char *path = NULL;

	if (!name) {
		qb_tri_unknown(ret, "the CPU vendor's KVM module is not loaded");
		return;
	}
	path = qb_asprintf("/sys/module/%s/parameters/nested", name);
	qb_tri_flag(root, path, NULL, ret);
}

/* What it says of this host that the proof ended so. detail is stolen. */
static void conclude(struct qb_kvm_facts *ret, enum qb_guest_cause cause, int error, char *detail)
{
	ret->guest_cause = cause;
	ret->guest_errno = error;
	ret->guest_detail = detail;
	switch (cause) {
	case QB_GUEST_NOT_RUN:
	case QB_GUEST_PERMISSION: /* another user may */
	case QB_GUEST_TIMEOUT:    /* a machine this busy may yet */
		qb_tri_unknown(&ret->guest_ran, "%s", detail);
		break;
	case QB_GUEST_RAN:
		qb_tri_set(&ret->guest_ran, true);
		break;
	case QB_GUEST_NO_DEVICE:
	case QB_GUEST_NO_DRIVER:
	case QB_GUEST_BUSY:
	case QB_GUEST_FIRMWARE:
	case QB_GUEST_MEMORY:
	case QB_GUEST_API:
	case QB_GUEST_ENTRY:
	case QB_GUEST_WRONG:
	case QB_GUEST_OTHER:
		qb_tri_set(&ret->guest_ran, false);
		break;
	}
}

/*
 * kmod makes the node at boot, before any driver, and opening such a node makes the kernel load
 * kvm.ko. Looking must change nothing, so the driver has to be registered already.
 */
static bool driver_registered(const struct qb_root *root)
{
	return qb_root_exists(root, "/sys/class/misc/kvm") || !qb_root_exists(root, "/sys/class");
}

static bool guest_begin(const struct qb_root *root, struct qb_guest *guest,
			struct qb_kvm_facts *ret)
{
	_cleanup_close_ int fd = -1;

	if (!root->live) {
		conclude(ret, QB_GUEST_NOT_RUN, 0, qb_strdup("not a live host"));
		return false;
	}
	if (qb_is(&ret->device) && !driver_registered(root)) {
		conclude(ret, QB_GUEST_NO_DRIVER, 0,
			 qb_strdup("/dev/kvm is there, but no driver has registered it"));
		return false;
	}
	fd = qb_root_openat(root, "/dev/kvm", O_RDWR | O_NOCTTY, 0);
	if (fd < 0) {
		conclude(ret, qb_guest_cause_of_open(-fd), -fd,
			 qb_asprintf("open /dev/kvm: %s", strerror(-fd)));
		return false;
	}
	qb_guest_begin(fd, qb_guest_code, qb_guest_code_size, GUEST_DEADLINE_MS, guest);
	return true;
}

void qb_kvm_inquiry_begin(const struct qb_root *root, struct qb_kvm_inquiry *inquiry,
			  struct qb_kvm_facts *ret)
{
	_cleanup_strs_ struct qb_strs names = {0};

	*ret = (struct qb_kvm_facts){0};
	device(root, ret);
	inquiry->running = guest_begin(root, &inquiry->guest, ret);
	if (qb_root_list(root, "/sys/module", &names) == 0)
		ret->module = module(root, &names);
	nested(root, ret->module, &ret->nested);
}

static void guest_end(struct qb_kvm_inquiry *inquiry, struct qb_kvm_facts *ret)
{
	struct qb_guest_result g;

	if (!inquiry->running)
		return;
	qb_guest_end(&inquiry->guest, &g);
	ret->api_version = g.api_version;
	ret->max_vcpus = g.max_vcpus;
	ret->guest_duration_us = g.duration_us;
	conclude(ret, g.cause, g.error, g.detail);
	ret->long_mode_detail = g.long_detail;
	if (g.long_cause == QB_GUEST_NOT_RUN)
		qb_tri_unknown(&ret->long_mode, "no guest ran");
	else if (g.long_cause == QB_GUEST_TIMEOUT)
		qb_tri_unknown(&ret->long_mode, "%s", g.long_detail);
	else
		qb_tri_set(&ret->long_mode, g.long_cause == QB_GUEST_RAN);
	if (g.capabilities_known)
		qb_tri_set(&ret->capabilities, !g.missing.n);
	ret->missing_capabilities = g.missing;
}

void qb_kvm_inquiry_end(struct qb_kvm_inquiry *inquiry, struct qb_kvm_facts *ret)
{
	guest_end(inquiry, ret);
}

void qb_kvm_probe(const struct qb_root *root, struct qb_kvm_facts *ret)
{
	struct qb_kvm_inquiry inquiry;

	qb_kvm_inquiry_begin(root, &inquiry, ret);
	qb_kvm_inquiry_end(&inquiry, ret);
}
