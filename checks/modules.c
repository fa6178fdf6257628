/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

static const char *state_name(const struct qb_module *m)
{
	switch (m ? (enum qb_module_state)m->state : QB_MODULE_UNKNOWN) {
	case QB_MODULE_LOADED:
		return "loaded";
	case QB_MODULE_BUILTIN:
		return "built into the kernel";
	case QB_MODULE_AVAILABLE:
		return "available, not loaded";
	case QB_MODULE_MISSING:
		return "missing";
	case QB_MODULE_UNKNOWN:
		break;
	}
	return "unknown";
}

static void evidence(struct qb_result *r, const char *name, const struct qb_module *m)
{
	qb_evidence(r, name, "libkmod", "%s%s%s", state_name(m),
		    m && m->blacklisted ? ", blacklisted" : "",
		    m && m->install_blocked ? ", its loading is blocked" : "");
}

/* The line by which the kernel turned a module away: an unknown key, no signature, lockdown. */
static const char *refusal(const struct qb_facts *f)
{
	const struct qb_strs *lines = &f->kvm.kernel_says;

	for (size_t i = 0; i < lines->n; i++)
		if (strstr(lines->v[i], "Loading of") || strstr(lines->v[i], "Lockdown:"))
			return lines->v[i];
	return NULL;
}

/* One module that has to be there, into the tally; true when apply could load it. */
static bool weigh(const struct qb_facts *f, const char *name, struct qb_tally *t)
{
	const struct qb_module *m = qb_facts_module(f, name);

	switch (m ? (enum qb_module_state)m->state : QB_MODULE_UNKNOWN) {
	case QB_MODULE_LOADED:
	case QB_MODULE_BUILTIN:
		t->good++;
		return false;
	case QB_MODULE_AVAILABLE:
		if (refusal(f))
			qb_tally_bad(t, "%s is not loaded; the kernel turned a module away: %s",
				     name, refusal(f));
		else
			qb_tally_bad(t, "%s is not loaded%s", name,
				     m->install_blocked ? ", and modprobe.d blocks its loading"
				     : m->blacklisted   ? ", and modprobe.d blacklists it"
							: "");
		return !m->install_blocked && !refusal(f);
	case QB_MODULE_MISSING:
		qb_tally_bad(t, "the running kernel has no module %s", name);
		return false;
	case QB_MODULE_UNKNOWN:
		break;
	}
	qb_tally_unsure(t, "the state of %s is unknown: %s", name,
			m && m->why ? m->why : "nobody looked");
	return false;
}

/* The remedy for one module that is not there. */
static void remedy(const struct qb_facts *f, const char *name, struct qb_result *r)
{
	const struct qb_module *m = qb_facts_module(f, name);
	_cleanup_free_ char *word = qb_shell_word(name);

	if (!m)
		return;
	if (m->state == QB_MODULE_MISSING)
		qb_remedy(r,
			  "dnf install \"kernel-modules-$(uname -r)\" && depmod\n"
			  "# When that kernel is gone from the repositories, restart into the "
			  "newest.\n"
			  "modprobe %s",
			  word);
	else if (refusal(f))
		qb_remedy(r,
			  "mokutil --sb-state; cat /sys/kernel/security/lockdown\n"
			  "# Use the distribution's own kernel and modules, or enrol the key that "
			  "signed them.");
	else if (m->install_blocked || m->blacklisted)
		qb_remedy(r,
			  "grep -rwE 'blacklist|install' /etc/modprobe.d | grep -w %s\n"
			  "# Remove that line, then:\n"
			  "modprobe %s",
			  word, word);
	else
		qb_remedy(r, "modprobe %s", word);
}

static void core(const struct qb_facts *f, const char *name, struct qb_result *r)
{
	struct qb_tally t = {0};
	bool loadable;

	evidence(r, name, qb_facts_module(f, name));
	qb_evidence_kernel(r, f);
	if (qb_is(&f->kvm.guest_ran)) {
		qb_evidence_tri(r, "guest ran", "KVM_RUN", &f->kvm.guest_ran);
		qb_pass(r, "what KVM needs is in the kernel: a guest ran");
		return;
	}
	if (qb_virt_is_missing(qb_virt_triage(f))) {
		qb_skip(r, "it could not help: the CPU does not offer virtualization");
		return;
	}
	loadable = weigh(f, name, &t);
	/* Then it may be missing because it could not help. */
	if (t.bad.n && qb_virt_triage(f) == QB_VIRT_UNKNOWN) {
		qb_unknown(r, "%s, and whether the CPU could use it is not known: %s", t.bad.v[0],
			   qb_why(&f->cpu.flag_vmx));
		qb_strs_done(&t.bad);
		return;
	}
	if (!loadable)
		r->fix = NULL;
	remedy(f, name, r);
	{
		_cleanup_free_ char *pass = qb_asprintf("%s is in the kernel", name);

		qb_tally_end(&t, r, pass, "");
	}
}

static void kvm(const struct qb_check_input *in, struct qb_result *r)
{
	core(in->facts, "kvm", r);
}

/* Linux, arch/arm64/kvm and arch/s390/kvm: one module, or none for being built in. */
static bool needs_no_vendor_module(const struct qb_system_facts *s)
{
	return qb_streq(s->arch, "aarch64") || qb_streq(s->arch, "s390x");
}

static void vendor(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	const char *name = f->kvm.module && qb_is(&f->kvm.guest_ran) ? f->kvm.module
								     : qb_facts_vendor_module(f);

	if (name) {
		core(f, name, r);
		return;
	}
	qb_evidence_tri(r, "guest ran", "KVM_RUN", &f->kvm.guest_ran);
	if (qb_is(&f->kvm.guest_ran))
		qb_pass(r, "what KVM needs is in the kernel: a guest ran");
	else if (needs_no_vendor_module(&f->system))
		qb_skip(r, "on %s kvm is all there is", f->system.arch);
	else if (f->cpu.vendor)
		qb_unknown(r, "which module serves a CPU of %s is not known here", f->cpu.vendor);
	else
		qb_unknown(r, "the CPU's vendor could not be read");
}

static void configured(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};
	bool loadable = true;
	const char *first = NULL;

	if (qb_no_config(in, r))
		return;
	for (size_t i = 0; i < in->config->kvm.modules.n; i++) {
		const char *name = in->config->kvm.modules.v[i];
		size_t bad = t.bad.n;

		evidence(r, name, qb_facts_module(in->facts, name));
		if (!weigh(in->facts, name, &t) && t.bad.n > bad)
			loadable = false;
		if (!first && t.bad.n > bad)
			first = name;
	}
	if (!loadable)
		r->fix = NULL;
	if (first)
		remedy(in->facts, first, r);
	qb_tally_end(&t, r, "every configured module is in the kernel",
		     "the configuration names no modules");
}

static void weigh_persisted(const struct qb_facts *f, const char *name, struct qb_tally *t,
			    struct qb_result *r)
{
	const struct qb_module *m = qb_facts_module(f, name);

	/* Only what is loaded from a file can be gone after a restart. */
	if (m && (m->state == QB_MODULE_BUILTIN || m->state == QB_MODULE_MISSING))
		return;
	if (!m || m->state == QB_MODULE_UNKNOWN || m->persisted.state == QB_UNKNOWN) {
		qb_tally_unsure(t, "whether %s is loaded at boot is unknown: %s", name,
				m && m->why ? m->why
				: m         ? qb_why(&m->persisted)
					    : "nobody looked");
		return;
	}
	qb_evidence_tri(r, name, "/etc/modules-load.d", &m->persisted);
	if (qb_is(&m->persisted))
		t->good++;
	else
		qb_tally_bad(t, "nothing loads %s at boot", name);
}

static void persisted(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	const char *vendor_module = qb_facts_vendor_module(f);
	bool other_driver = qb_is(&f->kvm.guest_ran) && f->kvm.module &&
			    !qb_streq(f->kvm.module, vendor_module);
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (vendor_module && !other_driver && !qb_virt_is_missing(qb_virt_triage(f)))
		weigh_persisted(f, vendor_module, &t, r);
	for (size_t i = 0; i < in->config->kvm.modules.n; i++)
		weigh_persisted(f, in->config->kvm.modules.v[i], &t, r);
	qb_tally_end(&t, r, "what is needed is loaded at boot",
		     "no module has to be loaded at boot");
}

#define DISABLED "/proc/sys/kernel/modules_disabled"

/* True where the kernel has no such thing as a module; the verdict, skip, is given then. */
static bool no_modules(const struct qb_check_input *in, struct qb_result *r)
{
	if (!qb_is_absent(in, DISABLED))
		return false;
	qb_skip(r, "this kernel has no support for modules");
	return true;
}

static void loadable(const struct qb_check_input *in, struct qb_result *r)
{
	uint64_t disabled;

	if (no_modules(in, r) || !qb_read_u64(in, r, DISABLED, &disabled))
		return;
	if (disabled)
		qb_fail(r, "the kernel loads no more modules until it is restarted");
	else
		qb_pass(r, "the kernel loads modules");
}

#define LOADED "/proc/modules"
#define INDICES "/lib/modules/*/modules.dep.bin"

static void files(const struct qb_check_input *in, struct qb_result *r)
{
	const char *kernel = in->facts->system.kernel;
	_cleanup_free_ char *path =
		kernel ? qb_asprintf("/lib/modules/%s/modules.dep.bin", kernel) : NULL;
	const struct qb_reading *own, *all = qb_facts_reading(in->facts, INDICES);
	const struct qb_reading *loaded = qb_facts_reading(in->facts, LOADED);

	if (no_modules(in, r))
		return;
	if (!kernel) {
		qb_unknown(r, "the running kernel's name could not be read");
		return;
	}
	own = qb_facts_reading(in->facts, path);
	if (!own && !all)
		all = qb_read_next(in, INDICES, NULL);
	if (own && own->mode) {
		qb_evidence(r, "modules.dep.bin", path, "there");
		qb_pass(r, "the modules of the running kernel are there (%s)", kernel);
	} else if (loaded && qb_streq(loaded->value, "")) {
		qb_skip(r, "nothing was ever loaded: all that is in use is built in");
	} else if (own ? own->absent : all && (all->absent || all->mode)) {
		qb_evidence(r, "running", "/proc/sys/kernel/osrelease", "%s", kernel);
		qb_evidence(r, "modules.dep.bin", path, "not there");
		qb_fail(r, "the modules of the running kernel are gone (%s)", kernel);
	} else {
		qb_unknown(r, "%s could not be read: %s", path, qb_read_why(own ? own : all));
	}
}

static void contradicted(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_facts *f = in->facts;
	struct qb_tally t = {0};

	if (!f->n_modules) {
		qb_unknown(r, "what modprobe.d and modules-load.d say is unknown: nobody looked");
		return;
	}
	for (size_t i = 0; i < f->n_modules; i++) {
		const struct qb_module *m = &f->modules[i];

		/* Some of the files could not be read, of which one may name it. */
		if (!t.unsure.n && m->persisted.state == QB_UNKNOWN)
			qb_tally_unsure(&t, "what is loaded at boot is unknown: %s",
					qb_why(&m->persisted));
		if (!m->at_boot)
			continue;
		qb_evidence(r, m->name, "/etc/modules-load.d, /etc/modprobe.d", "named%s%s",
			    m->blacklisted ? ", blacklisted" : "",
			    m->install_blocked ? ", its loading is blocked" : "");
		if (m->install_blocked)
			qb_tally_bad(&t, "%s is to be loaded at boot, and its loading is blocked",
				     m->name);
		else if (m->blacklisted && !qb_is(&m->persisted))
			qb_tally_bad(&t, "%s is to be loaded at boot, and is blacklisted", m->name);
		else
			t.good++;
	}
	if (!t.good && !t.bad.n && !t.unsure.n) {
		qb_evidence(r, "named", "/etc/modules-load.d", "none");
		t.good++;
	}
	qb_tally_end(&t, r, "nothing that is to be loaded at boot is forbidden", "");
}

static const struct qb_check table[] = {
	{
		.id = "modules.kvm",
		.title = "The module kvm is in the kernel",
		.severity = QB_REQUIRED,
		.looks = "Whether kvm is loaded or built in, by its whole name; else whether the "
			 "running kernel has the file and what modprobe.d says of it.",
		.why = "It is the half of KVM that all CPUs share.",
		.remedy = "modprobe kvm",
		.fix = "kvm.module",
		.judge = kvm,
	},
	{
		.id = "modules.vendor",
		.title = "The CPU vendor's module is in the kernel",
		.severity = QB_REQUIRED,
		.looks = "Whether kvm_intel or kvm_amd, whichever this CPU needs, is loaded or "
			 "built in.",
		.why = "kvm alone makes no /dev/kvm: this module drives VT-x or SVM.",
		.remedy = "modprobe kvm_intel || modprobe kvm_amd",
		.fix = "kvm.module",
		.judge = vendor,
	},
	{
		.id = "modules.configured",
		.title = "The configured modules are in the kernel",
		.severity = QB_REQUIRED,
		.looks = "Every name of kvm.modules of the configuration.",
		.why = "vhost_net carries guests' network frames in the kernel, vhost_vsock links "
		       "guest and host; what was asked for and is not there shows only when a "
		       "guest fails to start.",
		.remedy = "qubi-agent apply",
		.fix = "kvm.module",
		.judge = configured,
	},
	{
		.id = "modules.persisted",
		.title = "The modules are loaded at boot",
		.severity = QB_RECOMMENDED,
		.looks = "Whether a file of modules-load.d names the vendor's module and the "
			 "configured ones.",
		.why = "What is loaded by hand is gone after a restart, when nobody looks.",
		.remedy = "qubi-agent apply",
		.fix = "kvm.persist",
		.judge = persisted,
	},
	{
		.id = "modules.loading",
		.title = "The kernel loads modules",
		.severity = QB_RECOMMENDED,
		.looks = "kernel.modules_disabled: 0.",
		.why = "libvirt, firewalls and device passthrough load modules when they first "
		       "need them; what is not loaded by then stays away until the next restart.",
		.remedy = "grep -r modules_disabled /etc/sysctl.d /etc/sysctl.conf\n# Remove that "
			  "setting, or load all that guests need before it is made; then restart.",
		.reads = (const char *const[]){DISABLED, NULL},
		.judge = loadable,
	},
	{
		.id = "modules.files",
		.title = "The running kernel's modules are there",
		.severity = QB_RECOMMENDED,
		.looks = "The file modules.dep.bin below /lib/modules for the kernel that runs.",
		.why = "When an upgrade has removed them, nothing more can be loaded: the first "
		       "guest that needs a device or a filter not yet in use fails.",
		.remedy = "uname -r; ls /lib/modules\ndepmod\n# When its directory is gone, "
			  "restart into a kernel that is installed.",
		.reads = (const char *const[]){INDICES, LOADED, DISABLED, NULL},
		.judge = files,
	},
	{
		.id = "modules.contradicted",
		.title = "Nothing loaded at boot is forbidden, too",
		.severity = QB_RECOMMENDED,
		.looks = "The names in modules-load.d and on the kernel command line, against what "
			 "modprobe.d blacklists or blocks.",
		.why = "systemd leaves out what is blacklisted and says so in its journal only: "
		       "the module looks configured, and is not there after a restart.",
		.remedy = "grep -rE '^ *(blacklist|install) ' /etc/modprobe.d "
			  "/usr/lib/modprobe.d\ngrep -r . /etc/modules-load.d\n# Remove one of "
			  "the two lines.",
		.judge = contradicted,
	},
};

QB_CHECK_GROUP(modules, table);
