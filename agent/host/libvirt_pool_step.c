/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/host/libvirt_object.h"
#include "agent/host/libvirt_parse.h"
#include "agent/host/mounting.h"
#include "agent/host/plan.h"
#include "agent/host/target.h"
#include "agent/host/target_use.h"

static void *lookup(virConnectPtr conn, const char *name)
{
	return sym_virStoragePoolLookupByName(conn, name);
}

static void *define(virConnectPtr conn, const char *xml)
{
	return sym_virStoragePoolDefineXML(conn, xml, 0);
}

/* Not CREATE_WITH_BUILD: libvirt registers, it never makes file systems here. */
static int start(void *pool)
{
	return sym_virStoragePoolCreate(pool, 0);
}

/* Unmounts an fs pool. Never sym_virStoragePoolDelete(), which removes what is in it. */
static int stop(void *pool)
{
	return sym_virStoragePoolDestroy(pool);
}

static int undefine(void *pool)
{
	return sym_virStoragePoolUndefine(pool);
}

static int is_active(void *pool)
{
	return sym_virStoragePoolIsActive(pool);
}

static int get_autostart(void *pool, int *ret)
{
	return sym_virStoragePoolGetAutostart(pool, ret);
}

static int set_autostart(void *pool, int on)
{
	return sym_virStoragePoolSetAutostart(pool, on);
}

static void release(void *pool)
{
	sym_virStoragePoolFree(pool);
}

/* Stopping takes no image away; of a file system in use, the unmount fails. */
static int users(void *pool)
{
	(void)pool;
	return 0;
}

static const struct qb_vir_class pools = {
	"pool",    VIR_ERR_NO_STORAGE_POOL, lookup,        stop,  undefine,
	is_active, get_autostart,           set_autostart, users, release,
};

struct args {
	const char *name, *xml, *target;
	const char *source; /* of fs alone */
	bool devices;       /* LVM makes what is in target, and target itself */
	bool has_mode;      /* one is configured, which another step gives it */
};

static int parse(const json_t *json, struct args *ret, struct qb_error *err)
{
	ret->name = json_string_value(json_object_get(json, "name"));
	ret->xml = json_string_value(json_object_get(json, "xml"));
	ret->target = json_string_value(json_object_get(json, "target"));
	ret->source = json_string_value(json_object_get(json, "source"));
	ret->devices = qb_arg(json, "group");
	ret->has_mode = qb_arg(json, "mode");
	if (!ret->name || !ret->xml || !ret->target || ret->target[0] != '/')
		return qb_error_set(err, EINVAL, "a step of libvirt.pool without name or target");
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *json, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;
	struct qb_vir_state state;
	struct args args;
	json_t *before;
	int r = parse(json, &args, err);

	if (r == 0)
		r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, err);
	if (r == 0)
		r = qb_vir_look(&pools, conn, args.name, &state, err);
	if (r == 0 && args.source && !state.active)
		r = qb_mount_would_hide(ctx, args.source, args.target, err);
	if (r < 0)
		return r;
	before = qb_vir_state_json(&state);
	json_object_set_new(before, "target_exists",
			    json_boolean(qb_root_exists(ctx->root, args.target)));
	*ret = state.active && state.autostart ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = before;
	return 0;
}

/* Of a pool that somebody else defined, whoever did gave the directory what it is to have. */
static bool is_own(virStoragePoolPtr pool, const struct args *args)
{
	char uuid[VIR_UUID_STRING_BUFLEN];

	return sym_virStoragePoolGetUUIDString(pool, uuid) == 0 && strstr(args->xml, uuid);
}

/* Autostart is set last: a pool of type fs that has it has its mode, whatever broke off a run. */
static int bring_up(const struct qb_step_ctx *ctx, virStoragePoolPtr pool, const struct args *args,
		    bool made, struct qb_error *err)
{
	int active = is_active(pool), autostart = 0;
	int r = 0;

	if (active < 0 || get_autostart(pool, &autostart) < 0)
		return qb_vir_error(err, "pool %s: cannot read its state", args->name);
	if (!active && start(pool) < 0)
		return qb_vir_error(err, "pool %s: cannot start it", args->name);
	if (autostart)
		return 0;
	/* A dir pool's directory that was there keeps what its owner gave it. */
	if (!args->devices && (made || (args->source && qb_mount_is_bare(ctx, args->target))) &&
	    is_own(pool, args))
		r = qb_mount_dress(ctx, args->target, args->has_mode, err);
	if (r == 0 && set_autostart(pool, 1) < 0)
		return qb_vir_error(err, "pool %s: cannot set autostart", args->name);
	return r;
}

static int ensure(const struct qb_step_ctx *ctx, virConnectPtr conn, const struct args *args,
		  bool made, struct qb_error *err)
{
	void *pool = lookup(conn, args->name);
	int r;

	if (!pool && sym_virGetLastErrorCode() != VIR_ERR_NO_STORAGE_POOL)
		return qb_vir_error(err, "pool %s: cannot look it up", args->name);
	if (!pool)
		pool = define(conn, args->xml);
	if (!pool)
		return qb_vir_error(err, "pool %s: cannot define it", args->name);
	r = bring_up(ctx, pool, args, made, err);
	release(pool);
	return r;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		 struct qb_error *err)
{
	bool made = !json_is_true(json_object_get(before, "target_exists"));
	_cleanup_vir_conn_ virConnectPtr conn = NULL;
	struct args args;
	int r = parse(json, &args, err);

	if (r == 0)
		r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, err);
	if (r == 0 && !args.devices)
		r = qb_root_mkdir(ctx->root, args.target, 0711, err);
	return r < 0 ? r : ensure(ctx, conn, &args, made, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;
	struct qb_vir_state state;
	struct args args;
	int r = parse(json, &args, err);

	(void)before;
	if (r == 0)
		r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, err);
	if (r == 0)
		r = qb_vir_look(&pools, conn, args.name, &state, err);
	if (r < 0)
		return r;
	if (!state.active || !state.autostart)
		return qb_error_set(err, EIO, "the pool is %s and %s autostart",
				    state.active ? "active" : "not active",
				    state.autostart ? "has" : "has no");
	return args.source ? qb_target_is_mounted(ctx, args.source, args.target, err) : 0;
}

/* Both what it runs with and what it will be started with next. */
static int refuse_guest(const struct args *args, virDomainPtr domain, struct qb_error *err)
{
	static const unsigned flags[] = {0, VIR_DOMAIN_XML_INACTIVE};
	const char *name = sym_virDomainGetName(domain);
	/* Of a directory that stays the files do, too. */
	const char *dir = args->source || args->devices ? args->target : NULL;

	for (size_t i = 0; i < QB_ARRAY_SIZE(flags); i++) {
		_cleanup_free_ char *xml = sym_virDomainGetXMLDesc(domain, flags[i]),
				    *volume = NULL;

		if (!xml && sym_virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
			return 0;
		if (!xml)
			return qb_vir_error(err, "guest %s: cannot read its definition", name);
		if (qb_vir_domain_volume(xml, args->name, dir, &volume) < 0)
			return qb_error_set(err, EIO, "guest %s: its definition is not understood",
					    name);
		if (volume)
			return qb_error_set(err, EBUSY,
					    "pool %s stays as it is: the guest %s has %s of it; "
					    "detach that disk, or undefine the guest, first",
					    args->name, name, volume);
	}
	return 0;
}

static int refuse_guests(virConnectPtr conn, const struct args *args, struct qb_error *err)
{
	virDomainPtr *list = NULL;
	int n = sym_virConnectListAllDomains(conn, &list, 0), r = 0;

	if (n < 0)
		return qb_vir_error(err, "pool %s: whose guests use it is unknown", args->name);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = refuse_guest(args, list[i], err);
		sym_virDomainFree(list[i]);
	}
	free(list);
	return r;
}

/* Of a pool that somebody undefined: nobody would unmount what it had, and its disk would stay. */
static int refuse_mounted(const struct qb_step_ctx *ctx, const struct args *args,
			  struct qb_error *err)
{
	struct qb_error not_mounted = QB_ERROR_INIT;

	if (!args->source ||
	    qb_target_is_mounted(ctx, args->source, args->target, &not_mounted) < 0)
		return 0;
	return qb_error_set(err, EBUSY,
			    "%s stays as it is: it is mounted, and libvirt has no pool %s any more "
			    "that would unmount it; unmount it first",
			    args->target, args->name);
}

/* Only of what is taken away from guests, or unmounted. */
static int may_undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		    struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;
	struct qb_vir_state was, is;
	struct args args;
	int r = parse(json, &args, err);

	if (r < 0)
		return r;
	/* A libvirt that does not answer keeps its pool: that is no reason to leave all else. */
	if (qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, NULL) < 0)
		return 0;
	r = qb_vir_look(&pools, conn, args.name, &is, err);
	if (r < 0)
		return r;
	qb_vir_state_read(before, &was);
	if (was.exists && (was.active || !is.active))
		return 0;
	r = is.exists ? refuse_guests(conn, &args, err) : refuse_mounted(ctx, &args, err);
	if (r == 0 && args.source)
		r = qb_target_is_unused(ctx, args.source, args.target, err);
	return r;
}

static int undo(const struct qb_step_ctx *ctx, const json_t *json, const json_t *before,
		struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;
	struct qb_vir_state was;
	struct args args;
	int r = parse(json, &args, err);

	if (r == 0)
		r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, err);
	if (r < 0)
		return r;
	qb_vir_state_read(before, &was);
	r = qb_vir_restore(&pools, conn, args.name, &was, err);
	if (r == 0 && !args.devices && json_is_false(json_object_get(before, "target_exists")))
		r = qb_mount_remove_target(ctx, args.target, err);
	return r;
}

const struct qb_step_kind qb_pool_step = {
	.kind = "libvirt.pool",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
	.may_undo = may_undo,
};
