/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <time.h>

#include "agent/host/kmod_lib.h"
#include "agent/host/module.h"
#include "agent/host/plan.h"

enum {
	REMOVE_TRIES = 50,
	DEVICE_TRIES = 200,
	PAUSE_MS = 20
};

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

static int open_module(const char *name, struct kmod_ctx **ret_ctx, struct kmod_module **ret,
		       struct qb_error *err)
{
	int r = qb_kmod_load(err);

	if (r < 0)
		return r;
	*ret_ctx = sym_kmod_new(NULL, NULL);
	if (!*ret_ctx)
		return qb_error_set(err, ENOMEM, "libkmod could not be set up");
	/* It would write to stderr; what failed is in the error already. */
	sym_kmod_set_log_priority(*ret_ctx, 0);
	r = sym_kmod_module_new_from_name(*ret_ctx, name, ret);
	return r < 0 ? qb_error_errno(err, r, "libkmod cannot look up %s", name) : 0;
}

static bool in_kernel(struct kmod_module *mod)
{
	int state = sym_kmod_module_get_initstate(mod);

	return state == KMOD_MODULE_BUILTIN || state == KMOD_MODULE_LIVE;
}

static int prove(const struct qb_step_ctx *ctx, const char *name, struct qb_error *err)
{
	struct qb_facts facts = {0};
	int r = 0;

	qb_kvm_probe(ctx->root, &facts.kvm);
	if (!qb_is(&facts.kvm.guest_ran))
		r = qb_error_set(err, ENODEV, "%s is loaded, but no guest runs: %s", name,
				 facts.kvm.guest_detail ? facts.kvm.guest_detail : "no detail");
	qb_facts_done(&facts);
	return r;
}

/* The module and what it depends on, as far as that is not loaded yet: undo takes these away. */
static json_t *absent_now(struct kmod_module *mod)
{
	_cleanup_kmod_list_ struct kmod_list *deps = sym_kmod_module_get_dependencies(mod);
	json_t *absent = json_array();

	json_array_append_new(absent, json_string(sym_kmod_module_get_name(mod)));
	for (struct kmod_list *entry = deps; entry; entry = sym_kmod_list_next(deps, entry)) {
		_cleanup_module_ struct kmod_module *dep = sym_kmod_module_get_module(entry);

		if (!in_kernel(dep))
			json_array_append_new(absent, json_string(sym_kmod_module_get_name(dep)));
	}
	return absent;
}

static int load_observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
			json_t **ret_before, struct qb_error *err)
{
	_cleanup_kmod_ struct kmod_ctx *kmod = NULL;
	_cleanup_module_ struct kmod_module *mod = NULL;
	const char *name = qb_arg(args, "module");
	int r = open_module(name, &kmod, &mod, err);

	if (r < 0)
		return r;
	if (in_kernel(mod)) {
		if (json_is_true(json_object_get(args, "prove"))) {
			r = prove(ctx, name, err);
			if (r < 0)
				return r;
		}
		*ret = QB_OBSERVED_DONE;
		return 0;
	}
	if (!sym_kmod_module_get_path(mod))
		return qb_error_set(err, ESTALE, "the running kernel has no module %s any more",
				    name);
	*ret_before = json_pack("{s:o}", "absent", absent_now(mod));
	*ret = QB_OBSERVED_NEEDED;
	return 0;
}

/* In place of a shell: what modprobe.d would run for a module that comes along is not run. */
static int refuse_install(struct kmod_module *mod, const char *command, void *data)
{
	(void)mod, (void)command;
	*(bool *)data = true;
	return -EPERM;
}

static const char *cause_of(int error)
{
	switch (-error) {
	case EPERM:
		return "not permitted: not root, modules_disabled, module_blacklist or lockdown";
	case EKEYREJECTED:
	case ENOKEY:
	case EBADMSG:
		return "its signature is not accepted (Secure Boot)";
	case EOPNOTSUPP:
		return "the firmware has switched virtualization off, or the CPU has none";
	case EIO: /* since Linux 6.12 */
		return "of kvm_intel and kvm_amd: another hypervisor holds the CPU's "
		       "virtualization";
	case EBUSY:
		return "another hypervisor holds the CPU's virtualization";
	case ENODEV:
		return "there is no device for it";
	case ENOEXEC:
		return "it was built for another kernel";
	case EINVAL:
		return "it has a wrong option, or was built for another kernel";
	case ENOENT:
		return "its file or a symbol it needs is missing";
	default:
		return "see the kernel log";
	}
}

static int load_apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		      struct qb_error *err)
{
	_cleanup_kmod_ struct kmod_ctx *kmod = NULL;
	_cleanup_module_ struct kmod_module *mod = NULL;
	const char *name = qb_arg(args, "module");
	bool command = false;
	int r = open_module(name, &kmod, &mod, err);

	(void)ctx, (void)before;
	if (r < 0)
		return r;
	r = sym_kmod_module_probe_insert_module(mod, KMOD_PROBE_IGNORE_COMMAND, NULL,
						refuse_install, &command, NULL);
	if (command)
		return qb_error_set(
			err, EPERM,
			"cannot load %s: modprobe.d has an install command for a module "
			"it depends on",
			name);
	return r < 0 ? qb_error_errno(err, r, "cannot load %s: %s", name, cause_of(r)) : 0;
}

static int load_verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		       struct qb_error *err)
{
	_cleanup_kmod_ struct kmod_ctx *kmod = NULL;
	_cleanup_module_ struct kmod_module *mod = NULL;
	const char *name = qb_arg(args, "module");
	int r = open_module(name, &kmod, &mod, err);

	(void)before;
	if (r < 0)
		return r;
	if (!in_kernel(mod))
		return qb_error_set(err, EIO, "%s is not loaded", name);
	if (!json_is_true(json_object_get(args, "prove")))
		return 0;
	for (unsigned i = 0; i < DEVICE_TRIES && !qb_root_exists(ctx->root, "/dev/kvm"); i++)
		pause_ms(PAUSE_MS);
	return prove(ctx, name, err);
}

/* One module, when it is loaded; again while somebody is just letting go of it. */
static int remove_one(struct kmod_ctx *kmod, const char *name)
{
	_cleanup_module_ struct kmod_module *mod = NULL;
	int r = sym_kmod_module_new_from_name(kmod, name, &mod);

	for (unsigned i = 0; r == 0 && i < REMOVE_TRIES; i++) {
		if (sym_kmod_module_get_initstate(mod) != KMOD_MODULE_LIVE)
			return 0;
		r = sym_kmod_module_remove_module(mod, KMOD_REMOVE_NOLOG);
		if (r != -EAGAIN && r != -EBUSY)
			return r == -ENOENT ? 0 : r;
		pause_ms(PAUSE_MS);
		r = 0;
	}
	return r < 0 ? r : -EBUSY;
}

static int load_undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		     struct qb_error *err)
{
	_cleanup_kmod_ struct kmod_ctx *kmod = NULL;
	_cleanup_module_ struct kmod_module *mod = NULL;
	const char *name = qb_arg(args, "module");
	const json_t *absent = json_object_get(before, "absent");
	int r = open_module(name, &kmod, &mod, err);

	(void)ctx;
	if (r < 0)
		return r;
	r = remove_one(kmod, name);
	if (r == -EBUSY)
		return qb_error_set(err, EBUSY, "%s is in use and stays loaded", name);
	if (r < 0)
		return qb_error_errno(err, r, "cannot remove %s", name);
	/*
	 * Another module may use by now what came along; then it stays, and does no harm. libkmod
	 * lists them as they are loaded: each is in use until those behind it are gone.
	 */
	for (size_t i = json_array_size(absent); i-- > 1;)
		(void)!remove_one(kmod, json_string_value(json_array_get(absent, i)));
	return 0;
}

const struct qb_step_kind qb_module_load_step = {
	.kind = "kvm.module",
	.observe = load_observe,
	.apply = load_apply,
	.verify = load_verify,
	.undo = load_undo,
};
