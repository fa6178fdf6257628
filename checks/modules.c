/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"
#include "agent/host/module.h"

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
	qb_evidence(r, name, "libkmod", "%s", state_name(m));
	if (m && m->blacklisted)
		qb_evidence(r, name, m->blacklisted_by ? m->blacklisted_by : "modprobe.d",
			    "blacklisted");
	if (m && m->install_blocked)
		qb_evidence(r, name, m->blocked_by ? m->blocked_by : "modprobe.d",
			    "its loading is blocked");
}

const char *qb_module_ban(const char *file)
{
	if (qb_streq(file, QB_CMDLINE))
		return "the kernel's command line";
	return file ? file : "modprobe.d";
}

/* Files of modprobe.d may call it by either name. */
static char *either_name(const char *name)
{
	_cleanup_buf_ struct qb_buf b = {0};

	for (; *name; name++)
		if (*name == '_')
			qb_buf_puts(&b, "[-_]");
		else
			qb_buf_add(&b, name, 1);
	return QB_TAKE_PTR(b.s);
}

char *qb_module_unban(const struct qb_module *m)
{
	const char *file = m->install_blocked ? m->blocked_by : m->blacklisted_by;
	_cleanup_free_ char *word = qb_shell_word(m->name), *pattern = NULL, *in_file = NULL;

	if (qb_streq(file, QB_CMDLINE))
		return qb_asprintf("cat " QB_CMDLINE "\n"
				   "grubby --update-kernel=ALL --remove-args=%s\n"
				   "# Give back with --args what else it named, then%s:\n%s%s",
				   m->install_blocked ? "module_blacklist" : "modprobe.blacklist",
				   m->install_blocked ? " restart the host" : "",
				   m->install_blocked ? "lsmod | grep -w " : "modprobe ", word);
	in_file = file ? qb_shell_word(file) : NULL;
	pattern = either_name(m->name);
	return qb_asprintf(
		"grep -rnE '^\\s*(blacklist|install)\\s+%s(\\s|$)' %s\n"
		"# Remove that line, then:\nmodprobe %s",
		pattern ? pattern : "",
		in_file ? in_file : "/etc/modprobe.d /run/modprobe.d /usr/lib/modprobe.d", word);
}

/*
 * Whether by this line the kernel turned a module away, for an unknown key, no signature or
 * lockdown (Linux, kernel/module/signing.c and lockdown_reasons[]). Which one, some kernels tell in
 * front of it: *ret_named. Not so a line of another module.
 */
static bool is_refusal(const char *line, const char *name, bool *ret_named)
{
	const char *at = strcasestr(line, "loading of ");
	bool lockdown = qb_startswith(line, "Lockdown:");
	_cleanup_free_ char *plain = qb_module_name(line);
	size_t n = strlen(name);

	*ret_named = at && qb_startswith(plain, name) && plain[n] == ':';
	if (lockdown && strstr(line, "module loading is restricted"))
		return true;
	if (!at || !strstr(at, "module") ||
	    !(strstr(at, "is rejected") || strstr(at, "is restricted")))
		return false;
	return at == line || lockdown || *ret_named;
}

/* The last such line; one that names the module before one that may be of any. */
static const char *refusal(const struct qb_facts *f, const char *name, bool *ret_named)
{
	const struct qb_strs *lines = &f->kvm.kernel_says;
	const char *line = NULL;
	bool named;

	*ret_named = false;
	for (size_t i = 0; i < lines->n; i++)
		if (is_refusal(lines->v[i], name, &named) && (named || !*ret_named)) {
			line = lines->v[i];
			*ret_named = named;
		}
	return line;
}

/* Only the vendor's module takes the CPU. */
static bool is_kept_busy(const struct qb_facts *f, const char *name)
{
	return qb_streq(name, qb_facts_vendor_module(f)) && qb_kvm_is_busy(f);
}

/* One module that has to be there, into the tally; true when apply could load it. */
static bool weigh(const struct qb_facts *f, const char *name, struct qb_tally *t)
{
	const struct qb_module *m = qb_facts_module(f, name);
	bool named;
	const char *line = refusal(f, name, &named);

	switch (m ? (enum qb_module_state)m->state : QB_MODULE_UNKNOWN) {
	case QB_MODULE_LOADED:
	case QB_MODULE_BUILTIN:
		t->good++;
		return false;
	case QB_MODULE_AVAILABLE:
		if (is_kept_busy(f, name))
			qb_tally_bad(t,
				     "%s is not loaded: another hypervisor held the CPU's "
				     "virtualization when that was tried",
				     name);
		else if (m->install_blocked)
			qb_tally_bad(t, "%s is not loaded, and %s blocks its loading", name,
				     qb_module_ban(m->blocked_by));
		else if (m->blacklisted)
			qb_tally_bad(t, "%s is not loaded, and %s blacklists it", name,
				     qb_module_ban(m->blacklisted_by));
		else if (line)
			qb_tally_bad(t, "%s is not loaded; the kernel turned %s away: %s", name,
				     named ? "it" : "a module, perhaps this one,", line);
		else
			qb_tally_bad(t, "%s is not loaded", name);
		return !m->install_blocked && !named && !is_kept_busy(f, name);
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
	_cleanup_free_ char *word = qb_shell_word(name), *unban = NULL;
	bool named;
	const char *line = refusal(f, name, &named);

	if (!m)
		return;
	if (m->state == QB_MODULE_MISSING)
		qb_remedy(r,
			  "dnf install \"kernel-modules-$(uname -r)\" && depmod\n"
			  "# When that kernel is gone from the repositories, restart into the "
			  "newest.\n"
			  "modprobe %s",
			  word);
	else if (is_kept_busy(f, name))
		qb_kvm_busy_remedy(f, r);
	else if (m->install_blocked || m->blacklisted)
		qb_remedy(r, "%s", unban = qb_module_unban(m));
	else if (line)
		qb_remedy(r,
			  "%s%s%s"
			  "mokutil --sb-state; cat /sys/kernel/security/lockdown\n"
			  "# Use the distribution's own kernel and modules, or enrol the key that "
			  "signed them.",
			  named ? "" : "modprobe ", named ? "" : word,
			  named ? "" : "\n# If that is refused:\n");
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
};

QB_CHECK_GROUP(modules, table);
