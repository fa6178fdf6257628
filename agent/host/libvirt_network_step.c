/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/host/libvirt_object.h"
#include "agent/host/plan.h"

static void *lookup(virConnectPtr conn, const char *name)
{
	return sym_virNetworkLookupByName(conn, name);
}

static void *define(virConnectPtr conn, const char *xml)
{
	return sym_virNetworkDefineXML(conn, xml);
}

static int start(void *network)
{
	return sym_virNetworkCreate(network);
}

static int stop(void *network)
{
	return sym_virNetworkDestroy(network);
}

static int undefine(void *network)
{
	return sym_virNetworkUndefine(network);
}

static int is_active(void *network)
{
	return sym_virNetworkIsActive(network);
}

static int get_autostart(void *network, int *ret)
{
	return sym_virNetworkGetAutostart(network, ret);
}

static int set_autostart(void *network, int on)
{
	return sym_virNetworkSetAutostart(network, on);
}

/* Each interface of a guest on it is a port. */
static int users(void *network)
{
	return sym_virNetworkListAllPorts(network, NULL, 0);
}

static void release(void *network)
{
	sym_virNetworkFree(network);
}

static const struct qb_vir_class networks = {
	"network", VIR_ERR_NO_NETWORK, lookup,        define,        start, stop,
	undefine,  is_active,          get_autostart, set_autostart, users, release,
};

static int parse(const json_t *args, const char **ret_name, const char **ret_xml,
		 struct qb_error *err)
{
	*ret_name = json_string_value(json_object_get(args, "name"));
	*ret_xml = json_string_value(json_object_get(args, "xml"));
	if (!*ret_name || !*ret_xml)
		return qb_error_set(err, EINVAL, "a step of libvirt.network without name or xml");
	return 0;
}

static int look(const struct qb_step_ctx *ctx, const json_t *args, struct qb_vir_state *ret,
		struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;
	const char *name, *xml;
	int r = parse(args, &name, &xml, err);

	if (r == 0)
		r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, err);
	return r < 0 ? r : qb_vir_look(&networks, conn, name, ret, err);
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	struct qb_vir_state state;
	int r = look(ctx, args, &state, err);

	if (r < 0)
		return r;
	*ret = state.active && state.autostart ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = qb_vir_state_json(&state);
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;
	const char *name, *xml;
	int r = parse(args, &name, &xml, err);

	(void)before;
	if (r == 0)
		r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, err);
	return r < 0 ? r : qb_vir_ensure(&networks, conn, name, xml, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	struct qb_vir_state state;
	int r = look(ctx, args, &state, err);

	(void)before;
	if (r < 0)
		return r;
	if (!state.active || !state.autostart)
		return qb_error_set(err, EIO, "the network is %s and %s autostart",
				    state.active ? "active" : "not active",
				    state.autostart ? "has" : "has no");
	return 0;
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;
	struct qb_vir_state was;
	const char *name, *xml;
	int r = parse(args, &name, &xml, err);

	if (r == 0)
		r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, err);
	if (r < 0)
		return r;
	qb_vir_state_read(before, &was);
	return qb_vir_restore(&networks, conn, name, &was, err);
}

const struct qb_step_kind qb_network_step = {
	.kind = "libvirt.network",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
