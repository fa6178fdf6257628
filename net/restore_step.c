/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step net.restore. The journaled "before" is what the port was, {"up", "mtu"}, and the kernel's
 * name of this "boot". Nobody speaks through a port without an address, so nothing is to be kept
 * going.
 */
#include "net/restore.h"

#include <errno.h>

#include "net/boot.h"
#include "net/bridge_state.h"
#include "net/nl_write.h"
#include "net/probe.h"
#include "net/renamed.h"
#include "net/settle.h"

/* The move, and its port as it is now; net owns what *ret_port points to. */
static int look(const struct qb_step_ctx *ctx, const json_t *args, struct qb_move *move,
		struct qb_net *net, const struct qb_link **ret_port, struct qb_error *err)
{
	int r = qb_move_from_json(args, move, err);

	if (r == 0)
		r = qb_net_probe_known(ctx->root, net, err);
	if (r == 0)
		r = qb_bridge_state_ports(net, move, true, err);
	if (r < 0)
		return r;
	*ret_port = qb_net_link(net, move->source);
	/* Nor the bridge's, which is there since then. */
	if (!*ret_port || (*ret_port)->master)
		return qb_error_set(err, ESTALE, "%s is a port since, or not there",
				    move->source ? move->source : "the port");
	return 0;
}

/* All that is to be given is there, and the MTU. */
static bool is_given(const struct qb_net *net, const struct qb_move *move,
		     const struct qb_link *port)
{
	return !qb_bridge_state_is_touched(net, move) && (!move->mtu || port->mtu == move->mtu);
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *port;
	int r = look(ctx, args, &move, &net, &port, err);

	if (r < 0)
		return r;
	*ret = is_given(&net, &move, port) ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = json_pack("{s:b, s:I}", "up", (int)port->up, "mtu", (json_int_t)port->mtu);
	qb_boot_note(ctx->root, *ret_before);
	return 0;
}

static int send_to_port(struct nl_sock *sock, const struct qb_move *move,
			struct qb_batches *batches, struct qb_error *err)
{
	_cleanup_nl_batch_ struct qb_nl_batch build = {0}, clear = {0};
	int r = qb_nl_write_ops(sock, &batches->build, move->source, &build, err);

	if (r == 0)
		r = qb_nl_write_ops(sock, &batches->clear, move->source, &clear, err);
	if (r == 0)
		r = qb_nl_batch_send(sock, &build, err);
	if (r == 0)
		r = qb_nl_settle(sock, &batches->build, err);
	return r < 0 ? r : qb_nl_batch_send(sock, &clear, err);
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_batches_ struct qb_batches batches = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_move_ struct qb_move move = {0};
	int r = qb_move_from_json(args, &move, err);

	(void)ctx;
	if (r == 0)
		r = qb_nl_open(&sock, err);
	if (r == 0 && move.mtu != json_integer_value(json_object_get(before, "mtu")))
		r = qb_nl_link_identity(sock, move.source, NULL, move.mtu, err);
	if (r < 0)
		return r;
	batches = qb_move_restore(&move);
	return send_to_port(sock, &move, &batches, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *port;
	int r = look(ctx, args, &move, &net, &port, err);

	(void)before;
	if (r == 0 && !is_given(&net, &move, port))
		r = qb_error_set(err, EIO, "%s does not have again all that it had", move.source);
	return r;
}

/* args have the name of now. */
static int undo_given(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		      struct qb_error *err)
{
	json_int_t mtu = json_integer_value(json_object_get(before, "mtu"));
	_cleanup_batches_ struct qb_batches batches = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *port;
	int r = look(ctx, args, &move, &net, &port, err);

	if (r == 0)
		r = qb_nl_open(&sock, err);
	if (r < 0)
		return r;
	batches = qb_move_strip(&move);
	r = send_to_port(sock, &move, &batches, err);
	if (r == 0 && mtu != port->mtu)
		r = qb_nl_link_identity(sock, move.source, NULL, mtu, err);
	if (r == 0 && !json_is_true(json_object_get(before, "up")))
		r = qb_nl_link_up(sock, move.source, false, err);
	return r;
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	json_auto_t *names = NULL, *now = NULL;
	_cleanup_net_ struct qb_net net = {0};
	int r;

	/* It went with that boot, and what the port has since then is of whoever gave it that. */
	if (!qb_boot_is_same(ctx->root, before))
		return 0;
	r = qb_net_probe_known(ctx->root, &net, err);
	if (r < 0)
		return r;
	names = qb_renamed_ports(&net, args, true);
	now = qb_renamed(args, names);
	return undo_given(ctx, now, before, err);
}

const struct qb_step_kind qb_restore_step = {
	.kind = "net.restore",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
	/* Else the next to come would take what is there for all that somebody gave it. */
	.guarded = true,
};
