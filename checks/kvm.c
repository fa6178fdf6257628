/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"
#include "agent/host/module.h"

static const char busy[] = "another hypervisor held the CPU's virtualization when KVM was started";

static void device(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	const char *vendor = qb_facts_vendor_module(f);
	const struct qb_module *module = vendor ? qb_facts_module(f, vendor) : NULL;

	qb_evidence_tri(r, "/dev/kvm", "/dev/kvm", &f->kvm.device);
	if (qb_is(&f->kvm.device) && f->kvm.guest_cause != QB_GUEST_NO_DRIVER) {
		qb_pass(r, "/dev/kvm is there");
		return;
	}
	if (f->kvm.device.state == QB_UNKNOWN) {
		qb_unknown(r, "whether there is a /dev/kvm is unknown: %s", qb_why(&f->kvm.device));
		return;
	}
	if (qb_virt_is_missing(qb_virt_triage(f))) {
		r->fix = NULL;
		qb_remedy(r, "qubi-agent explain cpu.virtualization");
		qb_fail(r, "there is no KVM device, because the CPU does not offer virtualization");
	} else if (qb_kvm_is_busy(f)) {
		r->fix = NULL;
		qb_kvm_busy_remedy(f, r);
		qb_evidence_kernel(r, f);
		qb_fail(r, "there is no KVM device: %s", busy);
	} else if (qb_is(&f->kvm.device)) {
		qb_fail(r, "/dev/kvm is there, but no driver stands behind it");
	} else if (module && module->state == QB_MODULE_LOADED) {
		r->fix = NULL;
		/* The kernel itself makes the node (devtmpfs), once; udev only sets its mode. Major
		 * and minor: MISC_MAJOR, KVM_MINOR of linux/miscdevice.h. */
		qb_remedy(r,
			  "# A container is given it from outside. Else, while no guest runs:\n"
			  "modprobe -r %s && modprobe %s\n"
			  "# Where that is in use, in its place:\n"
			  "mknod /dev/kvm c 10 232\n"
			  "chgrp kvm /dev/kvm; chmod 0666 /dev/kvm; restorecon /dev/kvm",
			  vendor, vendor);
		qb_fail(r, "%s is loaded, but the node /dev/kvm is gone", vendor);
	} else if (module && module->state == QB_MODULE_MISSING) {
		r->fix = NULL;
		qb_remedy(r, "qubi-agent explain modules.vendor");
		qb_fail(r, "there is no /dev/kvm: the running kernel has no module %s", vendor);
	} else if (!vendor) {
		r->fix = NULL;
		qb_remedy(r, "modprobe kvm\nls -l /dev/kvm; dmesg | grep -i kvm");
		qb_fail(r, "there is no /dev/kvm");
	} else {
		qb_fail(r, "there is no /dev/kvm");
	}
}

#define QEMU_CONF "/etc/libvirt/qemu.conf"
/* As the packages of libvirt are built; NULL where that is not known here. */
static const char *default_user(const struct qb_system_facts *s)
{
	if (qb_is_el(s) || qb_streq(s->os_id, "fedora"))
		return "qemu";
	return qb_streq(s->os_id, "debian") || qb_streq(s->os_id, "ubuntu") ? "libvirt-qemu" : NULL;
}

/* Of a device that not everybody may open. */
static void openable_by(const struct qb_check_input *in, struct qb_result *r, const char *user,
			const char *conf_group)
{
	const struct qb_kvm_facts *kvm = &in->facts->kvm;
	unsigned mode = (unsigned)kvm->mode & 07777;
	_cleanup_free_ char *gid = qb_asprintf("%lld", (long long)kvm->gid), *group = NULL;
	_cleanup_free_ char *why = NULL;
	bool root = qb_streq(user, "root") || qb_streq(qb_id_number(user), "0");
	enum qb_tri_state member;

	/* libvirt leaves QEMU none of root's capabilities (clear_emulator_capabilities). */
	if (root && kvm->uid == 0) {
		if ((mode & 0600) == 0600)
			qb_pass(r, "QEMU runs as root, and may open /dev/kvm (mode %04o)", mode);
		else
			qb_fail(r, "nobody may open /dev/kvm (mode %04o)", mode);
		return;
	}
	if ((mode & 0060) != 0060) {
		qb_fail(r,
			"only root may open /dev/kvm (mode %04o, group %s), and QEMU runs as %.40s",
			mode, gid, user);
		return;
	}
	member = qb_user_has_group(in, r, user, gid, &group, &why);
	/* libvirt gives it this one beside the user's (virGetGroupList()). */
	if (conf_group && (qb_streq(conf_group, group) || qb_streq(qb_id_number(conf_group), gid)))
		member = QB_YES;
	if (member == QB_YES)
		qb_pass(r, "QEMU runs as %.40s, and may open /dev/kvm by the group %s", user,
			group);
	else if (member == QB_NO)
		qb_fail(r,
			"QEMU runs as %.40s, who is not in the group %s that may open /dev/kvm "
			"(mode %04o)",
			user, group, mode);
	else
		qb_unknown(r, "QEMU runs as %.40s; whether he is in the group %s is unknown: %s",
			   user, group, why);
}

static void openable(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_kvm_facts *kvm = &in->facts->kvm;
	const struct qb_reading *conf = qb_facts_reading(in->facts, QEMU_CONF);
	const char *text = conf && conf->value ? conf->value : "";
	_cleanup_free_ char *set = qb_conf_value(text, "user"),
			    *group = qb_conf_value(text, "group");
	const char *user = set && *set ? set : default_user(&in->facts->system);
	unsigned mode = (unsigned)kvm->mode & 07777;

	if (qb_is_not(&kvm->device)) {
		qb_skip(r, "there is no /dev/kvm");
		return;
	}
	if (kvm->device.state == QB_UNKNOWN) {
		qb_unknown(r, "whether there is a /dev/kvm is unknown: %s", qb_why(&kvm->device));
		return;
	}
	if (kvm->guest_cause == QB_GUEST_NO_DRIVER) {
		qb_skip(r, "no driver stands behind /dev/kvm");
		return;
	}
	qb_evidence(r, "mode", "/dev/kvm", "%04o", mode);
	qb_evidence(r, "uid", "/dev/kvm", "%lld", (long long)kvm->uid);
	qb_evidence(r, "gid", "/dev/kvm", "%lld", (long long)kvm->gid);
	if ((mode & 0006) == 0006) {
		qb_pass(r, "everybody may open /dev/kvm (mode %04o)", mode);
	} else if (conf && conf->value && user) {
		qb_evidence(r, "user", QEMU_CONF, "%.40s%s", user,
			    user == set ? "" : " (by default)");
		openable_by(in, r, user, group);
	} else if (!conf || !(conf->value || conf->absent)) {
		qb_unknown(r, "as whom QEMU runs is unknown: %s: %s", QEMU_CONF, qb_read_why(conf));
	} else if ((mode & 0060) == 0060 && kvm->gid != 0) {
		/* Without libvirt, or as it is built for another system. */
		qb_pass(r, "the group %lld may open /dev/kvm (mode %04o)", (long long)kvm->gid,
			mode);
	} else {
		qb_fail(r, "only root may open /dev/kvm (mode %04o, group %lld)", mode,
			(long long)kvm->gid);
	}
}

/* What stopped the guest that was to prove it. */
static const struct {
	const char *what; /* NULL: it is no failure */
	bool unknown;     /* it says nothing about the host */
	const char *remedy;
} causes[] = {
	[QB_GUEST_NOT_RUN] = {NULL, true, NULL},
	[QB_GUEST_RAN] = {NULL, false, NULL},
	[QB_GUEST_NO_DEVICE] = {"there is no /dev/kvm", false, "qubi-agent explain kvm.device"},
	[QB_GUEST_NO_DRIVER] = {"/dev/kvm has no driver behind it", false,
				"modprobe kvm_intel || modprobe kvm_amd\n"
				"dmesg | grep -i kvm"},
	[QB_GUEST_PERMISSION] = {"this user was not permitted to open /dev/kvm", true,
				 "sudo qubi-agent check kvm"},
	[QB_GUEST_BUSY] = {"another hypervisor holds the CPU's virtualization", false, NULL},
	[QB_GUEST_FIRMWARE] = {"the firmware has switched virtualization off", false,
			       "# Switch VT-x (Intel) or SVM (AMD) on in the firmware setup, "
			       "save, and\n"
			       "# cut the power once: some firmware applies it only then."},
	[QB_GUEST_MEMORY] = {"there was not enough memory for even the smallest guest", false,
			     "free -m; ulimit -a\n"
			     "# Free memory, or raise the limit of this service."},
	[QB_GUEST_API] =
		{"the KVM driver speaks another version of the interface", false,
		 "dmesg | grep -i kvm\n"
		 "# The kernel is older than 2.6.22 or its driver is foreign: replace it."},
	[QB_GUEST_ENTRY] = {"the CPU refused to enter the guest", false,
			    "dmesg | tail -n 40\n"
			    "dnf upgrade microcode_ctl kernel\n"
			    "# When this machine is a guest, its outer hypervisor is at fault."},
	[QB_GUEST_WRONG] = {"the guest ran, and computed the wrong answer", false,
			    "dmesg | tail -n 40\n"
			    "# Do not trust this host: test its memory, update microcode and "
			    "kernel."},
	[QB_GUEST_TIMEOUT] = {"the guest did not end in time", true,
			      "uptime; dmesg | tail -n 40\n"
			      "qubi-agent check kvm.guest-run"},
	[QB_GUEST_OTHER] = {"the guest could not be run", false, "dmesg | tail -n 40"},
};

static void guest_run(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_kvm_facts *kvm = &in->facts->kvm;
	const char *detail = kvm->guest_detail, *what;
	int cause = kvm->guest_cause;

	qb_evidence_tri(r, "guest ran", "KVM_RUN", &kvm->guest_ran);
	if (kvm->module)
		qb_evidence(r, "driver", "/sys/module", "%s", kvm->module);
	if (detail)
		qb_evidence(r, "detail", "/dev/kvm", "%s", detail);
	if (kvm->guest_errno)
		qb_evidence(r, "errno", "/dev/kvm", "%lld (%s)", (long long)kvm->guest_errno,
			    strerror((int)kvm->guest_errno));
	qb_evidence_kernel(r, in->facts);
	if (qb_is(&kvm->guest_ran)) {
		qb_evidence(r, "duration", "CLOCK_MONOTONIC", "%llu us",
			    (unsigned long long)kvm->guest_duration_us);
		qb_pass(r, "a guest ran and gave the right answer, in %llu us",
			(unsigned long long)kvm->guest_duration_us);
		return;
	}
	/* Not tried for want of a device that is known to be absent: that is an answer. */
	if (cause == QB_GUEST_NOT_RUN && qb_is_not(&kvm->device))
		cause = QB_GUEST_NO_DEVICE;
	if (cause != QB_GUEST_BUSY && qb_kvm_is_busy(in->facts)) {
		qb_kvm_busy_remedy(in->facts, r);
		qb_fail(r, "%s", busy);
		return;
	}
	what = cause > 0 && (size_t)cause < QB_ARRAY_SIZE(causes) ? causes[cause].what : NULL;
	if (!what) {
		qb_unknown(r, "no guest was run: %s", qb_why(&kvm->guest_ran));
		return;
	}
	if (cause == QB_GUEST_BUSY)
		qb_kvm_busy_remedy(in->facts, r);
	else
		qb_remedy(r, "%s", causes[cause].remedy);
	if (cause == QB_GUEST_FIRMWARE && qb_is(&in->facts->cpu.hypervisor)) {
		what = "the outer hypervisor keeps virtualization locked";
		qb_remedy(r, "qubi-agent explain cpu.virtualization");
	}
	/* "No such file or directory" adds nothing to these. */
	if (cause == QB_GUEST_NO_DEVICE || cause == QB_GUEST_NO_DRIVER ||
	    cause == QB_GUEST_PERMISSION)
		detail = NULL;
	if (causes[cause].unknown || (cause == QB_GUEST_OTHER && !qb_is_not(&kvm->guest_ran)))
		qb_unknown(r, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
	else
		qb_fail(r, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
}

static void long_mode(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_kvm_facts *kvm = &in->facts->kvm;

	if (qb_is_not(&kvm->guest_ran) || qb_is_not(&kvm->device)) {
		qb_skip(r, "no guest ran at all; kvm.guest-run says why");
		return;
	}
	qb_evidence_tri(r, "64-bit guest ran", "KVM_RUN", &kvm->long_mode);
	if (kvm->long_mode_detail)
		qb_evidence(r, "detail", "/dev/kvm", "%s", kvm->long_mode_detail);
	if (qb_is(&kvm->long_mode))
		qb_pass(r, "a guest ran in 64-bit mode, with page tables of its own");
	else if (qb_is_not(&kvm->long_mode))
		qb_fail(r, "a guest runs in real mode, and in 64-bit mode it does not: %s",
			kvm->long_mode_detail ? kvm->long_mode_detail : "no detail");
	else
		qb_unknown(r, "whether a guest runs in 64-bit mode is unknown: %s",
			   qb_why(&kvm->long_mode));
}

static void capabilities(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_kvm_facts *kvm = &in->facts->kvm;
	_cleanup_free_ char *missing = qb_strs_sentence(&kvm->missing_capabilities);

	if (kvm->capabilities.state == QB_UNKNOWN &&
	    (qb_is_not(&kvm->guest_ran) || qb_is_not(&kvm->device))) {
		qb_skip(r, "KVM could not be asked; kvm.guest-run says why");
		return;
	}
	qb_evidence_tri(r, "all there", "KVM_CHECK_EXTENSION", &kvm->capabilities);
	if (qb_is(&kvm->capabilities)) {
		qb_pass(r, "KVM has what QEMU needs");
	} else if (qb_is_not(&kvm->capabilities)) {
		qb_evidence(r, "missing", "KVM_CHECK_EXTENSION", "%s", missing);
		qb_fail(r, "KVM lacks what QEMU needs: %s", missing);
	} else {
		qb_unknown(r, "whether KVM has what QEMU needs is unknown: %s",
			   qb_why(&kvm->capabilities));
	}
}

static void nested(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_kvm_facts *kvm = &in->facts->kvm;
	const struct qb_tri *wanted;
	const char *name = kvm->module ? kvm->module : qb_facts_vendor_module(in->facts);
	const struct qb_module *m = name ? qb_facts_module(in->facts, name) : NULL;
	_cleanup_free_ char *module = name ? qb_shell_word(name) : NULL;
	const char *file;

	if (qb_no_config(in, r))
		return;
	wanted = &in->config->kvm.nested;
	if (wanted->state == QB_UNKNOWN) {
		qb_skip(r, "the configuration leaves nested virtualization as it is");
		return;
	}
	qb_evidence_tri(r, "nested", "/sys/module", &kvm->nested);
	if (kvm->nested.state == QB_UNKNOWN) {
		qb_unknown(r, "whether guests may run guests is unknown: %s", qb_why(&kvm->nested));
	} else if (kvm->nested.state == wanted->state) {
		qb_pass(r, "nested virtualization is %s, as configured",
			qb_is(wanted) ? "on" : "off");
	} else {
		/* What modprobe.d says already is not for apply to mend. */
		if (m && qb_module_nested_option(m, &file) == wanted->state)
			r->fix = NULL;
		if (module)
			qb_remedy(r,
				  "%s# It counts when the module is loaded anew, with no guest "
				  "running:\n"
				  "modprobe -r %s && modprobe %s",
				  r->fix ? "qubi-agent apply\n" : "", module, module);
		qb_fail(r, "nested virtualization is %s, and the configuration wants it %s",
			qb_is(wanted) ? "off" : "on", qb_is(wanted) ? "on" : "off");
	}
}

static const struct qb_check table[] = {
	{
		.id = "kvm.device",
		.title = "/dev/kvm is there",
		.severity = QB_REQUIRED,
		.looks = "Whether /dev/kvm is a character device with a driver behind it.",
		.why = "QEMU talks to KVM through it; without it guests are emulated or do not "
		       "start.",
		.remedy = "modprobe kvm_intel || modprobe kvm_amd\n"
			  "ls -l /dev/kvm; dmesg | grep -i kvm",
		.fix = "kvm.module",
		.judge = device,
	},
	{
		.id = "kvm.access",
		.title = "QEMU may open /dev/kvm",
		.severity = QB_REQUIRED,
		.looks = "Mode and group of /dev/kvm, and of the user as whom libvirt runs QEMU "
			 "(/etc/libvirt/qemu.conf): that one may read and write.",
		.why = "libvirt runs QEMU as an ordinary user; what works for root then fails for "
		       "every guest with \"Could not access KVM kernel module\".",
		.remedy = "chgrp kvm /dev/kvm && chmod 0666 /dev/kvm\n"
			  "# And look for the udev rule that changed it:\n"
			  "grep -r KERNEL==.*kvm /etc/udev/rules.d /usr/lib/udev/rules.d",
		.reads = (const char *const[]){QEMU_CONF, QB_GROUP, QB_PASSWD, NULL},
		.judge = openable,
	},
	{
		.id = "kvm.guest-run",
		.title = "A guest really runs",
		.severity = QB_REQUIRED,
		.looks = "Makes a guest of a dozen bytes through /dev/kvm, runs it, and compares "
			 "what it computed. Nothing is loaded or written for it.",
		.why = "Flags and device nodes only promise. This is the proof, and when it "
		       "fails, the kernel's own cause.",
		.remedy = "modprobe kvm_intel || modprobe kvm_amd\n"
			  "dmesg | grep -i kvm",
		.judge = guest_run,
	},
	{
		.id = "kvm.long-mode",
		.title = "A guest runs in 64-bit mode",
		.severity = QB_REQUIRED,
		.looks = "A second guest of the same proof: 64-bit code behind page tables of its "
			 "own, which adds what 16-bit code cannot.",
		.why = "That a boot sector runs proves no operating system: that needs the CPU's "
		       "64-bit mode and paging inside the guest.",
		.remedy = "dmesg | tail -n 40\n"
			  "dnf upgrade microcode_ctl kernel\n"
			  "# When this machine is a guest, its outer hypervisor is at fault.",
		.judge = long_mode,
	},
	{
		.id = "kvm.capabilities",
		.title = "KVM has what QEMU needs",
		.severity = QB_REQUIRED,
		.looks = "KVM_CHECK_EXTENSION of the capabilities without which QEMU gives up, "
			 "and of the interrupt controllers in the kernel.",
		.why = "A KVM of another make may run a guest and still lack what QEMU asks for; "
		       "then no guest of libvirt starts.",
		.remedy = "dnf upgrade kernel\n"
			  "# A driver of another make: ask who made it for these capabilities.",
		.judge = capabilities,
	},
	{
		.id = "kvm.nested",
		.title = "Nested virtualization is as configured",
		.severity = QB_RECOMMENDED,
		.looks = "The parameter nested of the loaded kvm_intel or kvm_amd, against "
			 "kvm.nested of the configuration.",
		.why = "Guests that run guests need it; for others it only widens the surface "
		       "that an attacker has.",
		.remedy = "qubi-agent apply\n"
			  "# It counts when the module is loaded anew, with no guest running.",
		.fix = "kvm.persist",
		.judge = nested,
	},
};

QB_CHECK_GROUP(kvm, table);
