/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bridge_owner.h"

#include <errno.h>
#include <time.h>

#include "agent/base/child.h"
#include "agent/base/clock.h"
#include "net/hold.h"
#include "net/networkd.h"
#include "net/nl_write.h"
#include "net/nm.h"
#include "net/probe.h"
#include "net/tap.h"

#define BRIEF_MS 2000
#define GIVE_BACK_MS 10000
#define AGAIN_MS 100
#define GO_ON_MS 120000 /* once nobody waits for it */
#define MAX_TOLD 64     /* networks of a link */

static json_t *units(const struct qb_net *net, const struct qb_move *move)
{
	json_t *units = json_object();

	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		if (port->unit_path && !qb_streq(port->master, move->bridge))
			json_object_set_new(units, port->name, json_string(port->unit_path));
	}
	return units;
}

int qb_owner_note(const struct qb_step_ctx *ctx, const struct qb_net *net,
		  const struct qb_move *move, json_t *before, struct qb_error *err)
{
	json_object_set_new(before, "profiles", json_object());
	if (qb_net_keeper(net) == QB_KEEPER_NETWORKD)
		json_object_set_new(before, "units", units(net, move));
	for (size_t i = 0; net->networkmanager_running && i < move->n_ports; i++) {
		const char *name = move->ports[i].name;
		_cleanup_free_ char *profile = NULL;
		bool is;
		int r;

		/* It stays where it is, and whose it is. */
		if (qb_streq(qb_net_link(net, name)->master, move->bridge))
			continue;
		r = qb_nm_managed(name, ctx->timeout_ms, &is, err);
		if (r == 0 && is)
			r = qb_nm_profile(name, ctx->timeout_ms, &profile, err);
		if (r < 0)
			return r;
		if (is)
			json_array_append_new(json_object_get(before, "managed"),
					      json_string(name));
		if (profile)
			json_object_set_new(json_object_get(before, "profiles"), name,
					    json_string(profile));
	}
	return 0;
}

int qb_owner_prepare(const struct qb_step_ctx *ctx, const struct qb_move *move,
		     const json_t *before, struct qb_error *err)
{
	int r;

	if (!json_object_get(before, "units"))
		return 0;
	r = qb_networkd_bar(ctx->root, QB_TAP_NAME, err);
	if (r == 0 && !json_is_true(json_object_get(before, "existed")))
		r = qb_networkd_bar(ctx->root, move->bridge, err);
	return r < 0 ? r : qb_networkd_reload(ctx->timeout_ms, err);
}

static bool is_bond(const struct qb_move *move, const char *name)
{
	for (size_t i = 0; i < move->n_ports; i++)
		if (qb_streq(move->ports[i].name, name))
			return qb_streq(move->ports[i].kind, "bond");
	return false;
}

int qb_owner_set_managed(const struct qb_step_ctx *ctx, const struct qb_move *move,
			 const json_t *before, bool managed, struct qb_error *err)
{
	const json_t *name;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(before, "managed"), i, name) {
		if (!managed || !is_bond(move, json_string_value(name)))
			r = qb_nm_set_managed(json_string_value(name), managed, ctx->timeout_ms,
					      err);
		if (r < 0)
			break;
	}
	return r;
}

unsigned qb_owner_brief_ms(const struct qb_step_ctx *ctx)
{
	return ctx->timeout_ms < BRIEF_MS ? ctx->timeout_ms : BRIEF_MS;
}

void qb_owner_disown(const struct qb_step_ctx *ctx, const struct qb_move *move,
		     const json_t *before)
{
	struct qb_step_ctx brief = *ctx;

	if (!json_is_true(json_object_get(before, "networkmanager")))
		return;
	brief.timeout_ms = qb_owner_brief_ms(ctx);
	(void)!qb_owner_set_managed(&brief, move, before, false, NULL);
	if (!json_is_true(json_object_get(before, "existed")))
		(void)!qb_nm_set_managed(move->bridge, false, brief.timeout_ms, NULL);
}

/* It would be replaced by itself, and by nothing else. */
static bool is_alone(const struct qb_net *net, const struct qb_route *route)
{
	for (const struct qb_route *r = NULL; (r = qb_net_route_to(net, route->dst, r));)
		if (r != route && r->table == route->table && r->metric == route->metric)
			return false;
	return true;
}

static void put_told(struct qb_ops *ops, const char *dev, const struct qb_route *route)
{
	*QB_APPEND(ops->v, ops->n) =
		(struct qb_op){.kind = QB_OP_ROUTE_TELL, .dev = dev, .route = route};
}

/*
 * When a port leaves a bridge systemd-networkd takes the link for gone, and for come again (seen
 * with 252: the kernel says RTM_DELLINK of the bridge's family), with none of the addresses and
 * routes that it knew. It waits for the link-local address before it listens to routers, and for
 * the network of a gateway before it sets a route, so it is told of both once more. Of an IPv4
 * route that replaces its like the kernel says nothing, so it has an MTU for a moment, the link's.
 */
static int tell(const struct qb_net *net, const struct qb_link *link)
{
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	struct qb_route with_mtu[MAX_TOLD];
	struct qb_ops ops = {0};
	int r = qb_nl_open(&sock, NULL);
	size_t n = 0;

	for (size_t i = 0; i < link->n_addresses; i++)
		*QB_APPEND(ops.v, ops.n) = (struct qb_op){.kind = QB_OP_ADDRESS_SETTLE,
							  .dev = link->name,
							  .address = &link->addresses[i]};
	for (const struct qb_route *route = NULL; (route = qb_net_route(net, link->name, route));)
		if (qb_streq(route->proto, "kernel") && is_alone(net, route) && n < MAX_TOLD) {
			with_mtu[n] = *route;
			with_mtu[n].mtu = link->mtu;
			put_told(&ops, link->name, &with_mtu[n++]);
			put_told(&ops, link->name, route);
		}
	if (r == 0)
		r = qb_nl_write_ops(sock, &ops, link->name, &batch, NULL);
	if (r == 0)
		r = qb_nl_batch_send(sock, &batch, NULL);
	free(ops.v);
	return r;
}

/*
 * It may hang, or nobody be there to tell it anything: until it has read them it has its unit for
 * the port, by which the host's addresses are not the port's. So they are held there meanwhile.
 */
static int reload_by(uint64_t end, struct qb_error *err)
{
	for (;;) {
		uint64_t now = qb_now_ms();
		int r = qb_networkd_reload(now < end ? (unsigned)(end - now) : 1, err);

		if (r == 0 || qb_now_ms() >= end)
			return r;
		nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
	}
}

/* What systemd-networkd is to have again. */
struct giving {
	const struct qb_root *root;
	const struct qb_net *net;
	const struct qb_link *port;
	const char *unit; /* NULL: it has none, and is not to be managed */
	bool tell;        /* it does not know yet that its unit for the bridge went */
};

static int give(const struct giving *g, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_child_ struct qb_child holding = QB_CHILD_INIT;
	int r = qb_hold_begin(g->net, g->port->name, &holding, err), held;

	if (r == 0)
		r = tell(g->net, g->port);
	if (r == 0 && g->tell)
		r = reload_by(qb_now_ms() + timeout_ms, err);
	if (r == 0)
		r = qb_networkd_wait(g->root, g->port, g->unit, NULL, timeout_ms, err);
	held = qb_hold_end(g->net, g->port->name, &holding, NULL);
	return r < 0 ? r : held;
}

static void go_on(void *data)
{
	(void)!give(data, GO_ON_MS, NULL);
}

/*
 * Where its unit for the bridge went it was told to keep its hands off meanwhile. One that hangs
 * may go on once nobody waits for it any more, and take what the host is reached by off the port.
 */
static int give_to_networkd(const struct qb_step_ctx *ctx, const char *port, const char *unit,
			    unsigned timeout_ms, struct qb_error *err)
{
	struct giving g = {.root = ctx->root, .unit = unit};
	_cleanup_net_ struct qb_net net = {0};
	bool barred = qb_networkd_is_barred(ctx->root, port);
	int r;

	if (!barred && !unit)
		return 0;
	r = qb_net_probe_known(ctx->root, &net, err);
	if (r == 0 && barred)
		r = qb_networkd_unbar(ctx->root, port, err);
	g.net = &net;
	g.port = qb_net_link(&net, port);
	/* It reads its units when it is started. */
	if (r < 0 || !net.networkd_running || !g.port)
		return r;
	/* It may not have heard that its unit for the bridge went. */
	g.tell = barred || !qb_streq(g.port->unit_path, unit);
	r = give(&g, timeout_ms, err);
	if (r == 0)
		return 0;
	(void)!qb_child_leave(go_on, &g, ctx->root->fd);
	return qb_error_wrap(err,
			     "%s has what it had, but systemd-networkd may not renew it before it "
			     "is told to: networkctl reload",
			     port);
}

/*
 * Where it is slow it may take the NIC for somebody else's each time, and nobody would renew the
 * lease. Told to activate the profile it takes all off the NIC first, which costs a few frames.
 */
static int give_to_networkmanager(const char *port, const char *uuid, unsigned timeout_ms,
				  struct qb_error *err)
{
	int r = qb_nm_take(port, NULL, uuid, timeout_ms, NULL);

	if (r < 0)
		r = qb_nm_activate(port, uuid, timeout_ms, err);
	if (r != -ETIMEDOUT)
		return 0;
	return qb_error_wrap(err,
			     "%s has what it had, but NetworkManager may not renew it before it is "
			     "told to: nmcli connection up %s",
			     port, uuid);
}

/* What went wrong first is said; all others are given back all the same. */
static void put_first(int given, const struct qb_error *said, int *r, struct qb_error *err)
{
	if (*r == 0 && given < 0 && err)
		*err = *said;
	*r = *r < 0 ? *r : given;
}

int qb_owner_give_back(const struct qb_step_ctx *ctx, const struct qb_move *move,
		       const json_t *before, struct qb_error *err)
{
	unsigned timeout_ms = ctx->timeout_ms < GIVE_BACK_MS ? ctx->timeout_ms : GIVE_BACK_MS;
	const json_t *units = json_object_get(before, "units");
	struct qb_error said = QB_ERROR_INIT;
	const char *link;
	json_t *uuid;
	int r = units ? qb_networkd_unbar(ctx->root, move->bridge, err) : 0;

	if (units && r == 0)
		r = qb_networkd_unbar(ctx->root, QB_TAP_NAME, err);
	for (size_t i = 0; units && i < move->n_ports; i++) {
		const char *port = move->ports[i].name;

		put_first(give_to_networkd(ctx, port, qb_arg(units, port), timeout_ms, &said),
			  &said, &r, err);
	}
	json_object_foreach (json_object_get(before, "profiles"), link, uuid)
		if (!is_bond(move, link))
			put_first(give_to_networkmanager(link, json_string_value(uuid), timeout_ms,
							 &said),
				  &said, &r, err);
	return r;
}
