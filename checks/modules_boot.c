/* SPDX-License-Identifier: Apache-2.0 */
/* What is loaded at boot, and whether more can be later. */
#include "checks/judging.h"

/*
 * udev loads them for a CPU that shows the feature, at each boot: MODULE_DEVICE_TABLE(x86cpu, ...)
 * of Linux, arch/x86/kvm/vmx/vmx.c and svm/svm.c. What is blacklisted it leaves out.
 */
static bool comes_by_itself(const struct qb_facts *f, const struct qb_module *m)
{
	bool shown = !qb_is_not(&f->cpu.flag_vmx) || !qb_is_not(&f->cpu.flag_svm);

	return shown && qb_streq(m->name, qb_facts_vendor_module(f)) && !m->blacklisted &&
	       !m->install_blocked;
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
	if (qb_is(&m->persisted)) {
		t->good++;
	} else if (comes_by_itself(f, m)) {
		qb_evidence(r, name, "/etc/modprobe.d", "not blacklisted: udev loads it");
		t->good++;
	} else if (m->install_blocked || m->blacklisted) {
		qb_tally_bad(t, "nothing loads %s at boot, and %s %s it", name,
			     qb_module_ban(m->install_blocked ? m->blocked_by : m->blacklisted_by),
			     m->install_blocked ? "blocks" : "blacklists");
	} else {
		qb_tally_bad(t, "nothing loads %s at boot", name);
	}
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
			qb_tally_bad(&t, "%s is to be loaded at boot, and %s blocks its loading",
				     m->name, qb_module_ban(m->blocked_by));
		else if (m->blacklisted && !qb_is(&m->persisted))
			qb_tally_bad(&t, "%s is to be loaded at boot, and %s blacklists it",
				     m->name, qb_module_ban(m->blacklisted_by));
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
		.id = "modules.persisted",
		.title = "The modules are loaded at boot",
		.severity = QB_RECOMMENDED,
		.looks = "Whether a file of modules-load.d names the configured modules, and the "
			 "vendor's where modprobe.d keeps udev from loading it.",
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
			  "/run/modprobe.d /usr/lib/modprobe.d\ngrep -r . /etc/modules-load.d\n"
			  "# Remove one of the two lines.",
		.judge = contradicted,
	},
};

QB_CHECK_GROUP_PART(qb_modules_boot_checks, modules, table);
