/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/host.h"
#include "agent/host/module.h"
#include "agent/host/plan.h"

static bool is_x86(const struct qb_facts *f)
{
	/* Where the architecture is not known, a CPU that shows one of the two flags is one. */
	return f->system.arch
		       ? qb_streq(f->system.arch, "x86_64") || qb_streq(f->system.arch, "i686")
		       : qb_is(&f->cpu.flag_vmx) || qb_is(&f->cpu.flag_svm);
}

static const char *vendor_module(const struct qb_facts *f)
{
	const char *name = qb_facts_vendor_module(f);

	if (name || !is_x86(f))
		return name;
	if (qb_is(&f->cpu.flag_vmx) || qb_is(&f->cpu.cpuid_vmx))
		return "kvm_intel";
	return qb_is(&f->cpu.flag_svm) || qb_is(&f->cpu.cpuid_svm) ? "kvm_amd" : NULL;
}

static const char *yes_no(const struct qb_tri *t)
{
	return qb_is(t) ? "yes" : qb_is_not(t) ? "no" : "unknown";
}

/* The CPU as evidence: what the kernel shows, what the instruction says, who is below. */
static char *cpu_evidence(const struct qb_facts *f)
{
	const struct qb_cpu_facts *c = &f->cpu;

	return qb_asprintf(
		"/proc/cpuinfo: vmx %s, svm %s; CPUID: vmx %s, svm %s; hypervisor: %s%s%s%s",
		yes_no(&c->flag_vmx), yes_no(&c->flag_svm), yes_no(&c->cpuid_vmx),
		yes_no(&c->cpuid_svm), yes_no(&c->hypervisor), c->hypervisor_vendor ? " (" : "",
		c->hypervisor_vendor ? c->hypervisor_vendor : "", c->hypervisor_vendor ? ")" : "");
}

/* In a guest its hypervisor plays the firmware. */
static const char *who_locks(const struct qb_facts *f)
{
	return qb_is(&f->cpu.hypervisor) ? "the outer hypervisor keeps"
					 : "the firmware has switched";
}

/* The kernel found the device and the driver, so it is not for modules or the CPU that no guest
 * ran. True when that was the cause and is refused. */
static bool refuse_by_cause(const struct qb_facts *f, struct qb_plan *plan)
{
	const char *detail = f->kvm.guest_detail ? f->kvm.guest_detail : "no detail";

	switch ((enum qb_guest_cause)f->kvm.guest_cause) {
	case QB_GUEST_NOT_RUN:
	case QB_GUEST_RAN:
	case QB_GUEST_NO_DEVICE:
	case QB_GUEST_NO_DRIVER:
		return false;
	case QB_GUEST_PERMISSION:
		qb_plan_refuse(plan, "kvm", "kvm-permission",
			       "%s; /dev/kvm has mode %04llo, uid %lld, gid %lld", detail,
			       (unsigned long long)f->kvm.mode, (long long)f->kvm.uid,
			       (long long)f->kvm.gid);
		return true;
	case QB_GUEST_BUSY:
		qb_plan_refuse(plan, "kvm", "kvm-busy",
			       "another hypervisor holds the CPU's virtualization: %s", detail);
		return true;
	case QB_GUEST_FIRMWARE:
		qb_plan_refuse(plan, "kvm", "virtualization-disabled", "%s virtualization off: %s",
			       who_locks(f), detail);
		return true;
	case QB_GUEST_MEMORY:
	case QB_GUEST_API:
	case QB_GUEST_ENTRY:
	case QB_GUEST_WRONG:
	case QB_GUEST_TIMEOUT:
	case QB_GUEST_OTHER:
		qb_plan_refuse(plan, "kvm", "guest-failed", "%s", detail);
		return true;
	}
	return false;
}

/* Neither flag is shown, which both are known of. */
static bool shows_nothing(const struct qb_cpu_facts *c)
{
	return qb_is_not(&c->flag_vmx) && qb_is_not(&c->flag_svm);
}

static bool is_able(const struct qb_cpu_facts *c)
{
	return qb_is(&c->cpuid_vmx) || qb_is(&c->cpuid_svm);
}

/*
 * Whoever ignores that the CPU cannot run guests wants a host without KVM: one that emulates, or
 * only stores and forwards. Everything else is set up then. Firmware can be told otherwise from
 * here, an outer hypervisor not.
 */
static bool does_without(const struct qb_facts *f, const struct qb_config *config)
{
	return qb_strs_has(&config->checks.ignore, "cpu.virtualization") &&
	       qb_is_not(&f->kvm.guest_ran) && qb_is_not(&f->kvm.device) &&
	       (!is_x86(f) ||
		(shows_nothing(&f->cpu) && (!is_able(&f->cpu) || qb_is(&f->cpu.hypervisor))));
}

/* What the CPU itself rules out. True when refused. */
static bool refuse_by_cpu(const struct qb_facts *f, struct qb_plan *plan)
{
	const struct qb_cpu_facts *c = &f->cpu;
	_cleanup_free_ char *evidence = NULL;

	if (!shows_nothing(c))
		return false;
	evidence = cpu_evidence(f);
	if (is_able(c))
		/* The kernel clears the flag of what the firmware has locked: feat_ctl.c. */
		qb_plan_refuse(plan, "kvm", "virtualization-disabled",
			       "the CPU has it, and %s it off: %s", who_locks(f), evidence);
	else
		qb_plan_refuse(plan, "kvm", "virtualization-absent", "%s", evidence);
	return true;
}

static void load_step(const struct qb_module *m, bool prove, struct qb_plan *plan)
{
	_cleanup_free_ char *target = qb_asprintf("module %s", m->name);
	struct qb_step *step =
		qb_plan_step(plan, qb_module_load_step.kind, QB_UNDO_BEST_EFFORT,
			     json_pack("{s:s, s:b}", "module", m->name, "prove", prove), target);

	qb_step_why(step, "%s is not loaded%s%s%s%s", m->name,
		    prove ? "; a guest has to run once it is" : "", m->blacklisted ? "; " : "",
		    !m->blacklisted     ? ""
		    : m->blacklisted_by ? m->blacklisted_by
					: "modprobe.d",
		    m->blacklisted ? " blacklists it, which holds for loading by alias, not by name"
				   : "");
}

/* Whether name is to be loaded and can be; says against target why it cannot. */
static bool loadable(const struct qb_facts *f, const char *name, const char *target,
		     struct qb_plan *plan)
{
	const struct qb_module *m = qb_facts_module(f, name);

	switch (m ? (enum qb_module_state)m->state : QB_MODULE_UNKNOWN) {
	case QB_MODULE_LOADED:
	case QB_MODULE_BUILTIN:
		return false;
	case QB_MODULE_MISSING:
		qb_plan_refuse(plan, target, "module-missing", "kernel %s has no module %s%s%s",
			       f->system.kernel ? f->system.kernel : "of unknown release", name,
			       m->why ? ": " : "", m->why ? m->why : "");
		return false;
	case QB_MODULE_UNKNOWN:
		qb_plan_refuse(plan, target, "module-unknown", "%s: %s", name,
			       m && m->why ? m->why : "nobody looked for it");
		return false;
	case QB_MODULE_AVAILABLE:
		if (!m->install_blocked)
			return true;
		qb_plan_refuse(plan, target, "module-blocked", "%s keeps %s from being loaded",
			       m->blocked_by ? m->blocked_by
					     : "modprobe.d or the kernel's command line",
			       name);
		return false;
	}
	return false;
}

static bool in_kernel(const struct qb_facts *f, const char *name)
{
	const struct qb_module *m = qb_facts_module(f, name);

	return m && (m->state == QB_MODULE_LOADED || m->state == QB_MODULE_BUILTIN);
}

/* Both are in the kernel, and no guest ran. */
static void refuse_loaded(const struct qb_facts *f, const char *vendor, struct qb_plan *plan)
{
	if (f->kvm.guest_cause == QB_GUEST_NOT_RUN)
		return;
	qb_plan_refuse(plan, "kvm", "guest-failed", "kvm and %s are in the kernel, and still: %s",
		       vendor, f->kvm.guest_detail ? f->kvm.guest_detail : "no guest ran");
}

/* Whether the vendor's module is to be loaded for guests to run; refuses "kvm" when no module
 * would help. */
static bool vendor_needed(const struct qb_facts *f, const char *vendor, struct qb_plan *plan)
{
	bool kvm;

	if (qb_is(&f->kvm.guest_ran) || refuse_by_cause(f, plan))
		return false;
	if (!is_x86(f)) {
		/* There it is part of the kernel, and works when that was started in EL2. */
		if (qb_is_not(&f->kvm.device))
			qb_plan_refuse(plan, "kvm", "virtualization-absent",
				       "there is no /dev/kvm on this %s machine",
				       f->system.arch ? f->system.arch : "unknown");
		return false;
	}
	if (refuse_by_cpu(f, plan))
		return false;
	if (!vendor) {
		qb_plan_refuse(plan, "kvm", "module-unknown",
			       "which module serves a CPU of %s is not known",
			       f->cpu.vendor ? f->cpu.vendor : "an unknown vendor");
		return false;
	}
	if (in_kernel(f, "kvm") && in_kernel(f, vendor)) {
		refuse_loaded(f, vendor, plan);
		return false;
	}
	/* The vendor's brings kvm along, so both have to be free to be loaded. */
	kvm = in_kernel(f, "kvm") || loadable(f, "kvm", "kvm", plan);
	return loadable(f, vendor, "kvm", plan) && kvm;
}

/* What has to be loaded at each boot: the vendor's module and the configured ones, by names. */
static void wanted_at_boot(const struct qb_facts *f, const struct qb_config *config,
			   const struct qb_plan *plan, struct qb_strs *ret)
{
	_cleanup_strs_ struct qb_strs names = {0};
	const char *vendor = vendor_module(f);

	/* A guest that ran by another driver needs none of the two. */
	if (vendor && !qb_plan_refuses(plan, "kvm") && !does_without(f, config) &&
	    !(qb_is(&f->kvm.guest_ran) && !qb_streq(f->kvm.module, vendor)))
		qb_strs_add(&names, vendor);
	for (size_t i = 0; i < config->kvm.modules.n; i++) {
		const char *name = config->kvm.modules.v[i];
		_cleanup_free_ char *target = qb_asprintf("module %s", name);

		if (!qb_plan_refuses(plan, target) && !qb_strs_has(&names, name))
			qb_strs_add(&names, name);
	}
	for (size_t i = 0; i < names.n; i++) {
		const struct qb_module *m = qb_facts_module(f, names.v[i]);

		if (m && (m->state == QB_MODULE_LOADED || m->state == QB_MODULE_AVAILABLE))
			qb_strs_add(ret, names.v[i]);
	}
}

static struct qb_step *file_step(const char *path, const char *text, struct qb_plan *plan)
{
	return qb_plan_step(plan, qb_module_persist_step.kind, QB_UNDO_EXACT,
			    json_pack("{s:s, s:s}", "path", path, "text", text), path);
}

/* Our file in modules-load.d, whole, when one of its modules would not be loaded at boot. */
static void plan_boot(const struct qb_facts *f, const struct qb_strs *names, struct qb_plan *plan)
{
	_cleanup_strs_ struct qb_strs missing = {0};
	_cleanup_buf_ struct qb_buf text = {0}, unit = {0};
	_cleanup_free_ char *list = NULL;
	bool blacklisted = false;

	qb_buf_puts(&text, QB_OURS_HEADER);
	qb_buf_puts(&unit, QB_OURS_HEADER);
	qb_buf_puts(&unit, "# systemd-modules-load leaves out what modprobe.d blacklists; modprobe "
			   "does not.\n[Service]\nExecStartPre=-/sbin/modprobe -a");
	for (size_t i = 0; i < names->n; i++) {
		const struct qb_module *m = qb_facts_module(f, names->v[i]);

		qb_buf_printf(&text, "%s\n", m->name);
		if (!qb_is(&m->persisted))
			qb_strs_add(&missing, m->name);
		if (m->blacklisted) {
			qb_buf_printf(&unit, " %s", m->name);
			blacklisted |= !qb_is(&m->persisted);
		}
	}
	qb_buf_puts(&unit, "\n");
	if (!missing.n)
		return;
	list = qb_strs_sentence(&missing);
	qb_step_why(file_step(QB_MODULES_LOAD_FILE, text.s, plan), "nothing loads %s at boot",
		    list);
	if (blacklisted)
		qb_step_why(file_step(QB_MODULES_UNIT_FILE, unit.s, plan),
			    "modprobe.d blacklists a module that is needed at boot");
}

/* The value that the last "nested=" among options sets; unknown where there is none. */
static enum qb_tri_state nested_of(const char *options)
{
	enum qb_tri_state state = QB_UNKNOWN;

	for (const char *at = options; at && (at = strstr(at, "nested=")); at++)
		if (at == options || at[-1] == ' ') {
			char c = at[strlen("nested=")];

			state = c == '1' || c == 'y' || c == 'Y' ? QB_YES : QB_NO;
		}
	return state;
}

enum qb_tri_state qb_module_nested_option(const struct qb_module *m, const char **ret_file)
{
	enum qb_tri_state state = QB_UNKNOWN;

	*ret_file = NULL;
	for (size_t i = 0; i < m->n_options; i++) {
		enum qb_tri_state one = nested_of(m->options[i].options);

		if (one != QB_UNKNOWN) {
			state = one;
			*ret_file = m->options[i].file;
		}
	}
	return state;
}

/* Files of modprobe.d count in the order of their names, whatever their directory. */
static bool comes_after_ours(const char *file)
{
	const char *name = file ? strrchr(file, '/') : NULL;

	return name && strcmp(name, strrchr(QB_MODPROBE_FILE, '/')) > 0;
}

static void plan_nested(const struct qb_facts *f, const struct qb_config *config,
			struct qb_plan *plan)
{
	const struct qb_tri *wanted = &config->kvm.nested;
	const char *vendor = vendor_module(f);
	const struct qb_module *m = vendor ? qb_facts_module(f, vendor) : NULL;
	_cleanup_free_ char *text = NULL;
	enum qb_tri_state set;
	const char *file;
	bool other;

	if (wanted->state == QB_UNKNOWN || qb_plan_refuses(plan, "kvm") || does_without(f, config))
		return;
	if (!m || (qb_is(&f->kvm.guest_ran) && !qb_streq(f->kvm.module, vendor))) {
		qb_plan_refuse(plan, "nested", "unsupported",
			       "%s, which runs guests here, is not known to have such an option",
			       f->kvm.module ? f->kvm.module : "the driver");
		return;
	}
	if (m->state == QB_MODULE_BUILTIN && f->kvm.nested.state != wanted->state)
		qb_plan_refuse(plan, "nested", "module-builtin",
			       "%s is part of the kernel; add %s.nested=%d to its command line",
			       vendor, vendor, qb_is(wanted));
	set = qb_module_nested_option(m, &file);
	if (m->state == QB_MODULE_BUILTIN || set == wanted->state)
		return;
	if (comes_after_ours(file)) {
		qb_plan_refuse(plan, "nested", "options-conflict",
			       "%s sets %s nested=%d and counts more than %s, being read after it",
			       file, vendor, set == QB_YES, QB_MODPROBE_FILE);
		return;
	}
	other = in_kernel(f, vendor) && f->kvm.nested.state != wanted->state;
	text = qb_asprintf("%soptions %s nested=%d\n", QB_OURS_HEADER, vendor, qb_is(wanted));
	qb_step_why(
		file_step(QB_MODPROBE_FILE, text, plan),
		"modprobe.d does not set nested=%d for %s%s", qb_is(wanted), vendor,
		other ? "; it is loaded with another value and keeps that until it is loaded anew, "
			"as guests may be using it"
		      : "");
}

void qb_module_plan(const struct qb_facts *facts, const struct qb_config *config,
		    struct qb_plan *plan)
{
	_cleanup_strs_ struct qb_strs boot = {0};
	const char *vendor = vendor_module(facts);
	bool needed = !does_without(facts, config) && vendor_needed(facts, vendor, plan);

	/* Options count when the module is loaded, so they come first. */
	plan_nested(facts, config, plan);
	if (needed)
		load_step(qb_facts_module(facts, vendor), true, plan);
	for (size_t i = 0; i < config->kvm.modules.n; i++) {
		const char *name = config->kvm.modules.v[i];
		_cleanup_free_ char *target = qb_asprintf("module %s", name);

		if (strcmp(name, "kvm") != 0 && !qb_streq(name, vendor) &&
		    loadable(facts, name, target, plan))
			load_step(qb_facts_module(facts, name), false, plan);
	}
	wanted_at_boot(facts, config, plan, &boot);
	plan_boot(facts, &boot, plan);
}
