/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/module.h"
#include "agent/host/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A host with one AMD CPU; rows say how it differs. */
struct host {
	enum qb_tri_state flag, cpuid; /* of svm */
	enum qb_module_state kvm, vendor;
	enum qb_tri_state ran;
	enum qb_guest_cause cause;
	bool blocked, blacklisted;
};

static const struct host bare = {
	QB_YES, QB_YES, QB_MODULE_AVAILABLE, QB_MODULE_AVAILABLE, QB_NO, QB_GUEST_NO_DEVICE};

static void add_module(struct qb_facts *f, const char *name, enum qb_module_state state)
{
	struct qb_module *m = QB_APPEND(f->modules, f->n_modules);

	m->name = qb_strdup(name);
	m->state = state;
	qb_tri_set(&m->persisted, false);
}

static struct qb_module *module(struct qb_facts *f, const char *name)
{
	return (struct qb_module *)qb_facts_module(f, name);
}

static void make(const struct host *h, struct qb_facts *f)
{
	*f = (struct qb_facts){0};
	f->system.arch = qb_strdup("x86_64");
	f->system.kernel = qb_strdup("5.14.0");
	f->cpu.vendor = qb_strdup("AuthenticAMD");
	f->cpu.flag_svm.state = h->flag;
	f->cpu.flag_vmx.state = h->flag == QB_UNKNOWN ? QB_UNKNOWN : QB_NO;
	f->cpu.cpuid_svm.state = h->cpuid;
	f->cpu.cpuid_vmx.state = h->cpuid == QB_UNKNOWN ? QB_UNKNOWN : QB_NO;
	f->kvm.guest_ran.state = h->ran;
	f->kvm.guest_cause = h->cause;
	f->kvm.guest_detail = qb_strdup("detail of the guest");
	f->kvm.device.state = h->cause == QB_GUEST_NO_DEVICE ? QB_NO : QB_YES;
	if (h->ran == QB_YES)
		f->kvm.module = qb_strdup("kvm_amd");
	add_module(f, "kvm", h->kvm);
	add_module(f, "kvm_amd", h->vendor);
	add_module(f, "vhost_net", QB_MODULE_AVAILABLE);
	add_module(f, "absent", QB_MODULE_MISSING);
	add_module(f, "strange", QB_MODULE_UNKNOWN);
	module(f, "kvm_amd")->install_blocked = h->blocked;
	module(f, "kvm_amd")->blacklisted = h->blacklisted;
}

static const struct qb_step *step(const struct qb_plan *plan, const char *target)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (!strcmp(plan->steps[i].target, target))
			return &plan->steps[i];
	return NULL;
}

static const char *arg(const struct qb_step *s, const char *key)
{
	return s ? json_string_value(json_object_get(s->args, key)) : NULL;
}

static bool refused(const struct qb_plan *plan, const char *target, const char *code)
{
	for (size_t i = 0; i < plan->n_refused; i++)
		for (size_t j = 0; j < plan->refused[i].n_reasons; j++)
			if (!strcmp(plan->refused[i].target, target) &&
			    !strcmp(plan->refused[i].reasons[j].code, code))
				return true;
	return false;
}

static void plan_of(const struct host *h, struct qb_plan *plan)
{
	_cleanup_facts_ struct qb_facts f;
	struct qb_config config = {0};

	make(h, &f);
	qb_module_plan(&f, &config, plan);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *code;
		struct host host;
	} rows[] = {
		{"virtualization-absent",
		 {QB_NO, QB_NO, QB_MODULE_AVAILABLE, QB_MODULE_AVAILABLE, QB_NO,
		  QB_GUEST_NO_DEVICE}},
		{"virtualization-disabled",
		 {QB_NO, QB_YES, QB_MODULE_AVAILABLE, QB_MODULE_AVAILABLE, QB_NO,
		  QB_GUEST_NO_DEVICE}},
		{"virtualization-disabled",
		 {QB_YES, QB_YES, QB_MODULE_LOADED, QB_MODULE_LOADED, QB_NO, QB_GUEST_FIRMWARE}},
		{"module-missing",
		 {QB_YES, QB_YES, QB_MODULE_AVAILABLE, QB_MODULE_MISSING, QB_NO,
		  QB_GUEST_NO_DEVICE}},
		{"module-missing",
		 {QB_YES, QB_YES, QB_MODULE_MISSING, QB_MODULE_AVAILABLE, QB_NO,
		  QB_GUEST_NO_DEVICE}},
		{"module-unknown",
		 {QB_YES, QB_YES, QB_MODULE_UNKNOWN, QB_MODULE_UNKNOWN, QB_NO, QB_GUEST_NO_DEVICE}},
		{"module-blocked",
		 {QB_YES, QB_YES, QB_MODULE_AVAILABLE, QB_MODULE_AVAILABLE, QB_NO,
		  QB_GUEST_NO_DEVICE, .blocked = true}},
		{"kvm-busy",
		 {QB_YES, QB_YES, QB_MODULE_LOADED, QB_MODULE_LOADED, QB_NO, QB_GUEST_BUSY}},
		/* On a CPU without the flag, too: a driver of another kind may run guests there. */
		{"kvm-permission",
		 {QB_NO, QB_NO, QB_MODULE_BUILTIN, QB_MODULE_UNKNOWN, QB_UNKNOWN,
		  QB_GUEST_PERMISSION}},
		{"guest-failed",
		 {QB_YES, QB_YES, QB_MODULE_LOADED, QB_MODULE_LOADED, QB_NO, QB_GUEST_WRONG}},
		{"guest-failed",
		 {QB_YES, QB_YES, QB_MODULE_LOADED, QB_MODULE_LOADED, QB_NO, QB_GUEST_NO_DRIVER}},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++) {
		_cleanup_plan_ struct qb_plan plan = {0};

		plan_of(&rows[i].host, &plan);
		if (!refused(&plan, "kvm", rows[i].code) || plan.n_steps)
			fail_msg("row %zu: %s, %zu refused, %zu steps", i, rows[i].code,
				 plan.n_refused, plan.n_steps);
	}
}

static void test_bare(void **state)
{
	_cleanup_plan_ struct qb_plan plan = {0};
	const struct qb_step *s;

	(void)state;
	plan_of(&bare, &plan);
	assert_int_equal(plan.n_refused, 0);
	assert_int_equal(plan.n_steps, 2);
	s = step(&plan, "module kvm_amd");
	assert_string_equal(s->kind, "kvm.module");
	assert_true(json_is_true(json_object_get(s->args, "prove")));
	assert_non_null(strstr(arg(step(&plan, QB_MODULES_LOAD_FILE), "text"), "\nkvm_amd\n"));
}

/* The flags may be unknown (they are, when /proc/cpuinfo was not captured): no reason to refuse. */
static void test_unknown_flags(void **state)
{
	struct host h = bare;
	_cleanup_plan_ struct qb_plan plan = {0};

	(void)state;
	h.flag = QB_UNKNOWN;
	h.cpuid = QB_UNKNOWN;
	plan_of(&h, &plan);
	assert_int_equal(plan.n_refused, 0);
	assert_non_null(step(&plan, "module kvm_amd"));
}

static void test_blacklisted(void **state)
{
	struct host h = bare;
	_cleanup_plan_ struct qb_plan plan = {0};
	const struct qb_step *s;

	(void)state;
	h.blacklisted = true;
	plan_of(&h, &plan);
	assert_int_equal(plan.n_refused, 0);
	assert_non_null(strstr(step(&plan, "module kvm_amd")->why, "blacklists"));
	assert_non_null(step(&plan, QB_MODULES_LOAD_FILE));
	s = step(&plan, QB_MODULES_UNIT_FILE);
	assert_non_null(strstr(arg(s, "text"), "modprobe -a kvm_amd\n"));
}

static void test_ran(void **state)
{
	static const struct host loaded = {QB_YES,           QB_YES, QB_MODULE_LOADED,
					   QB_MODULE_LOADED, QB_YES, QB_GUEST_RAN};
	static const struct host builtin = {
		QB_YES, QB_YES, QB_MODULE_BUILTIN, QB_MODULE_BUILTIN, QB_YES, QB_GUEST_RAN};
	_cleanup_plan_ struct qb_plan plan = {0}, none = {0}, other = {0};
	_cleanup_facts_ struct qb_facts f;
	struct qb_config config = {0};

	(void)state;
	plan_of(&loaded, &plan);
	assert_int_equal(plan.n_steps, 1);
	assert_string_equal(plan.steps[0].target, QB_MODULES_LOAD_FILE);
	plan_of(&builtin, &none);
	assert_int_equal(none.n_steps + none.n_refused, 0);
	/* A guest ran by a driver of another kind: neither kvm_amd nor the CPU's flags matter. */
	make(&(struct host){QB_NO, QB_NO, QB_MODULE_BUILTIN, QB_MODULE_AVAILABLE, QB_YES,
			    QB_GUEST_RAN},
	     &f);
	qb_strset(&f.kvm.module, "kvm_other");
	qb_module_plan(&f, &config, &other);
	assert_int_equal(other.n_steps + other.n_refused, 0);
}

static void options(struct qb_facts *f, const char *file, const char *text)
{
	struct qb_module *m = module(f, "kvm_amd");
	struct qb_module_options *o = QB_APPEND(m->options, m->n_options);

	o->file = qb_strdup(file);
	o->options = qb_strdup(text);
}

static void test_rerun(void **state)
{
	_cleanup_facts_ struct qb_facts f;
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_strs_ struct qb_strs names = {0};
	struct qb_config config = {0};

	(void)state;
	make(&(struct host){QB_YES, QB_YES, QB_MODULE_LOADED, QB_MODULE_LOADED, QB_YES,
			    QB_GUEST_RAN},
	     &f);
	qb_strs_add(&config.kvm.modules, "vhost_net");
	qb_tri_set(&config.kvm.nested, true);
	module(&f, "vhost_net")->state = QB_MODULE_LOADED;
	qb_tri_set(&module(&f, "vhost_net")->persisted, true);
	qb_tri_set(&module(&f, "kvm_amd")->persisted, true);
	options(&f, "/usr/lib/modprobe.d/kvm.conf", "nested=0");
	options(&f, "/etc/modprobe.d/qubi-agent.conf", "npt=1 nested=1");
	qb_module_plan(&f, &config, &plan);
	qb_strs_done(&config.kvm.modules);
	assert_int_equal(plan.n_steps + plan.n_refused, 0);
}

static void test_configured(void **state)
{
	static const char *const names[] = {"vhost_net", "absent", "strange", "unheard_of"};
	_cleanup_facts_ struct qb_facts f;
	_cleanup_plan_ struct qb_plan plan = {0}, blocked = {0};
	struct qb_config config = {0};
	const char *text;

	(void)state;
	make(&bare, &f);
	for (size_t i = 0; i < QB_ARRAY_SIZE(names); i++)
		qb_strs_add(&config.kvm.modules, names[i]);
	qb_module_plan(&f, &config, &plan);
	assert_string_equal(arg(step(&plan, "module vhost_net"), "module"), "vhost_net");
	assert_false(json_is_true(json_object_get(step(&plan, "module vhost_net")->args, "prove")));
	assert_true(refused(&plan, "module absent", "module-missing"));
	assert_true(refused(&plan, "module strange", "module-unknown"));
	assert_true(refused(&plan, "module unheard_of", "module-unknown"));
	assert_false(qb_plan_refuses(&plan, "kvm"));
	text = arg(step(&plan, QB_MODULES_LOAD_FILE), "text");
	assert_non_null(strstr(text, "\nkvm_amd\nvhost_net\n"));
	assert_null(strstr(text, "absent"));
	module(&f, "vhost_net")->install_blocked = true;
	qb_module_plan(&f, &config, &blocked);
	assert_true(refused(&blocked, "module vhost_net", "module-blocked"));
	qb_strs_done(&config.kvm.modules);
}

static void nested_plan(struct qb_facts *f, bool wanted, struct qb_plan *plan)
{
	struct qb_config config = {0};

	qb_tri_set(&config.kvm.nested, wanted);
	qb_module_plan(f, &config, plan);
}

static void test_nested(void **state)
{
	_cleanup_facts_ struct qb_facts f, builtin, other;
	_cleanup_plan_ struct qb_plan before = {0}, loaded = {0}, part = {0}, unsupported = {0};

	(void)state;
	make(&bare, &f);
	nested_plan(&f, true, &before);
	/* The option is there before the module is loaded. */
	assert_string_equal(before.steps[0].target, QB_MODPROBE_FILE);
	assert_non_null(strstr(arg(&before.steps[0], "text"), "\noptions kvm_amd nested=1\n"));
	assert_null(strstr(before.steps[0].why, "loaded"));
	assert_string_equal(before.steps[1].target, "module kvm_amd");

	module(&f, "kvm")->state = module(&f, "kvm_amd")->state = QB_MODULE_LOADED;
	qb_tri_set(&f.kvm.guest_ran, true);
	f.kvm.guest_cause = QB_GUEST_RAN;
	qb_strset(&f.kvm.module, "kvm_amd");
	qb_tri_set(&f.kvm.nested, true);
	nested_plan(&f, false, &loaded);
	assert_non_null(strstr(arg(step(&loaded, QB_MODPROBE_FILE), "text"), "nested=0"));
	assert_non_null(strstr(step(&loaded, QB_MODPROBE_FILE)->why, "until it is loaded anew"));

	make(&(struct host){QB_YES, QB_YES, QB_MODULE_BUILTIN, QB_MODULE_BUILTIN, QB_YES,
			    QB_GUEST_RAN},
	     &builtin);
	qb_tri_set(&builtin.kvm.nested, false);
	nested_plan(&builtin, true, &part);
	assert_true(refused(&part, "nested", "module-builtin"));

	make(&(struct host){QB_NO, QB_NO, QB_MODULE_BUILTIN, QB_MODULE_UNKNOWN, QB_YES,
			    QB_GUEST_RAN},
	     &other);
	qb_strset(&other.kvm.module, "kvm_other");
	nested_plan(&other, true, &unsupported);
	assert_true(refused(&unsupported, "nested", "unsupported"));
}

/* What is read after our file has the last word: writing ours anew would never end. */
static void test_nested_conflict(void **state)
{
	_cleanup_facts_ struct qb_facts f;
	_cleanup_plan_ struct qb_plan conflict = {0}, unrelated = {0};

	(void)state;
	make(&bare, &f);
	options(&f, "/usr/lib/modprobe.d/kvm.conf", "nested=0");
	options(&f, "/etc/modprobe.d/virt.conf", "avic=1 nested=");
	nested_plan(&f, true, &conflict);
	assert_true(refused(&conflict, "nested", "options-conflict"));
	qb_strset(&module(&f, "kvm_amd")->options[1].options, "avic=1");
	nested_plan(&f, true, &unrelated);
	assert_non_null(step(&unrelated, QB_MODPROBE_FILE));
}

static void test_other_architecture(void **state)
{
	_cleanup_facts_ struct qb_facts f;
	_cleanup_plan_ struct qb_plan with = {0}, without = {0};
	struct qb_config config = {0};

	(void)state;
	make(&bare, &f);
	qb_strset(&f.system.arch, "aarch64");
	qb_strset(&f.cpu.vendor, NULL);
	qb_module_plan(&f, &config, &without);
	assert_true(refused(&without, "kvm", "virtualization-absent"));
	qb_tri_set(&f.kvm.device, true);
	f.kvm.guest_ran.state = QB_UNKNOWN;
	f.kvm.guest_cause = QB_GUEST_NOT_RUN;
	qb_module_plan(&f, &config, &with);
	assert_int_equal(with.n_steps + with.n_refused, 0);
}

/* Wanted without KVM, a host is set up without; what the firmware or a module keeps is refused. */
static void test_wanted_without(void **state)
{
	static const struct host able = {
		QB_NO, QB_YES, QB_MODULE_AVAILABLE, QB_MODULE_AVAILABLE, QB_NO, QB_GUEST_NO_DEVICE};
	static const struct host unable = {
		QB_NO, QB_NO, QB_MODULE_BUILTIN, QB_MODULE_AVAILABLE, QB_NO, QB_GUEST_NO_DEVICE};
	_cleanup_plan_ struct qb_plan absent = {0}, off = {0}, there = {0}, guest = {0},
				      locked = {0};
	_cleanup_facts_ struct qb_facts f = {0}, g = {0}, h = {0}, i = {0};
	_cleanup_config_ struct qb_config config = {0}, plain = {0};

	(void)state;
	qb_strs_add(&config.checks.ignore, "cpu.virtualization");
	qb_tri_set(&config.kvm.nested, true);
	make(&unable, &f);
	qb_module_plan(&f, &config, &absent);
	assert_int_equal(absent.n_steps + absent.n_refused, 0);
	make(&able, &g);
	qb_module_plan(&g, &config, &off);
	assert_true(refused(&off, "kvm", "virtualization-disabled"));
	assert_non_null(strstr(off.refused[0].reasons[0].evidence, "the firmware has switched"));
	/* In a guest it is for the outer host to unlock. */
	make(&able, &i);
	qb_tri_set(&i.cpu.hypervisor, true);
	qb_module_plan(&i, &config, &guest);
	assert_int_equal(guest.n_steps + guest.n_refused, 0);
	qb_module_plan(&i, &plain, &locked);
	assert_true(refused(&locked, "kvm", "virtualization-disabled"));
	assert_non_null(
		strstr(locked.refused[0].reasons[0].evidence, "the outer hypervisor keeps"));
	make(&bare, &h);
	qb_module_plan(&h, &config, &there);
	assert_int_equal(there.n_refused, 0);
	assert_true(there.n_steps > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_unknown_flags),
		cmocka_unit_test(test_blacklisted),
		cmocka_unit_test(test_ran),
		cmocka_unit_test(test_rerun),
		cmocka_unit_test(test_configured),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_nested_conflict),
		cmocka_unit_test(test_other_architecture),
		cmocka_unit_test(test_wanted_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
