/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step net.bridge. The journaled "before" holds:
 *   existed, up, stp   the bridge as it was
 *   release            ports that were not its ports yet
 *   down               ports that were switched off
 *   managed            ports that NetworkManager managed
 *   networkmanager     it runs
 *   lifetimes          {address: [valid_s, preferred_s]} of what is moved
 *   gateways, defaults who answered, see net/gateway.h
 */
#include "net/bridge.h"

#include <errno.h>
#include <fcntl.h>

#include <linux/if_link.h>

#include "net/bridge_state.h"
#include "net/gateway.h"
#include "net/names.h"
#include "net/nl_write.h"
#include "net/nm.h"
#include "net/probe.h"
#include "net/replay.h"
#include "net/settle.h"

static int probe(const struct qb_step_ctx *ctx, struct qb_net *ret, struct qb_error *err)
{
	qb_net_probe(ctx->root, ret);
	if (qb_is(&ret->known))
		return 0;
	qb_error_set(err, EIO, "links and routes: %s", ret->known.why ? ret->known.why : "unknown");
	qb_net_done(ret);
	return -EIO;
}

/* Who answers before the change has to answer after it. */
static int note_gateways(struct nl_sock *sock, const struct qb_net *net, const struct qb_move *move,
			 json_t *before, struct qb_error *err)
{
	int r = move->source ? qb_gateways_note(sock, net, move->source, before, err) : 0;

	if (r == 0 && qb_net_link(net, move->bridge))
		r = qb_gateways_note(sock, net, move->bridge, before, err);
	return r;
}

static int note_managed(const struct qb_step_ctx *ctx, const struct qb_net *net,
			const struct qb_move *move, json_t *managed, struct qb_error *err)
{
	for (size_t i = 0; net->networkmanager_running && i < move->n_ports; i++) {
		bool is;
		int r = qb_nm_managed(move->ports[i].name, ctx->timeout_ms, &is, err);

		if (r < 0)
			return r;
		if (is)
			json_array_append_new(managed, json_string(move->ports[i].name));
	}
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_net_ struct qb_net net = {0};
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	json_auto_t *before = NULL;
	bool done;
	int r;

	r = qb_move_from_json(args, &move, err);
	if (r == 0)
		r = probe(ctx, &net, err);
	if (r == 0)
		r = qb_bridge_state_check(&net, &move, &done, err);
	if (r < 0)
		return r;
	before = qb_bridge_state_before(&net, &move);
	if (!done) {
		r = qb_nl_open(&sock, err);
		if (r == 0)
			r = note_gateways(sock, &net, &move, before, err);
		if (r == 0)
			r = note_managed(ctx, &net, &move, json_object_get(before, "managed"), err);
		if (r < 0)
			return r;
	}
	*ret = done ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = QB_TAKE_PTR(before);
	return 0;
}

static char *setting_path(const char *family, const char *link, const char *name)
{
	return qb_asprintf("/proc/sys/net/%s/conf/%s/%s", family, link, name);
}

static int read_setting(const struct qb_root *root, const char *family, const char *link,
			const char *name, char **ret)
{
	_cleanup_free_ char *path = setting_path(family, link, name);

	return qb_root_read_value(root, path, ret);
}

static int write_setting(const struct qb_root *root, const char *family, const char *link,
			 const char *name, const char *value, struct qb_error *err)
{
	_cleanup_free_ char *path = setting_path(family, link, name);
	_cleanup_close_ int fd = qb_root_openat(root, path, O_WRONLY, 0);

	if (fd < 0)
		return qb_error_errno(err, fd, "%s", path);
	return write(fd, value, strlen(value)) < 0 ? qb_error_errno(err, errno, "%s", path) : 0;
}

static int copy_setting(const struct qb_step_ctx *ctx, const struct qb_move *move,
			const char *family, const char *name, struct qb_error *err)
{
	_cleanup_free_ char *theirs = NULL, *ours = NULL;

	/* No IPv6 in this kernel, or a bridge of nothing. */
	if (!move->source || read_setting(ctx->root, family, move->source, name, &theirs) < 0 ||
	    read_setting(ctx->root, family, move->bridge, name, &ours) < 0 || !strcmp(theirs, ours))
		return 0;
	return write_setting(ctx->root, family, move->bridge, name, theirs, err);
}

/*
 * A new bridge would listen to routers and make itself addresses by the defaults of this host;
 * it has to do as the NIC did, and has the NIC's addresses instead of new ones.
 */
static int copy_settings(const struct qb_step_ctx *ctx, struct nl_sock *sock,
			 const struct qb_move *move, struct qb_error *err)
{
	static const char *const names[] = {"disable_ipv6", "accept_ra", "autoconf"};
	int r = qb_nl_addr_gen_mode(sock, move->bridge, IN6_ADDR_GEN_MODE_NONE, err);

	for (size_t i = 0; r == 0 && i < QB_ARRAY_SIZE(names); i++)
		r = copy_setting(ctx, move, "ipv6", names[i], err);
	return r;
}

/* From now on the kernel makes a lost link-local address anew, where it did so on the NIC. */
static int settle_addr_gen_mode(const struct qb_step_ctx *ctx, struct nl_sock *sock,
				const struct qb_move *move, struct qb_error *err)
{
	_cleanup_free_ char *mode = NULL;

	if (!move->source ||
	    read_setting(ctx->root, "ipv6", move->source, "addr_gen_mode", &mode) < 0 ||
	    strcmp(mode, "0") != 0)
		return 0;
	return qb_nl_addr_gen_mode(sock, move->bridge, IN6_ADDR_GEN_MODE_EUI64, err);
}

/*
 * Sends a move as its two batches. Until they are through, frames that come in by the bridge while
 * their route is still the NIC's must not be taken for forged.
 */
static int send_move(const struct qb_step_ctx *ctx, struct nl_sock *sock, const char *bridge,
		     const struct qb_strs *ports, const struct qb_ops *build,
		     const struct qb_ops *clear, struct qb_error *err)
{
	_cleanup_nl_batch_ struct qb_nl_batch first = {0}, second = {0};
	_cleanup_replay_ struct qb_replay replay = QB_REPLAY_INIT;
	int r;

	(void)write_setting(ctx->root, "ipv4", bridge, "rp_filter", "0", NULL);
	qb_replay_open(sock, bridge, ports, &replay);
	/* Nothing is sent of a move that cannot be sent as a whole. */
	r = qb_nl_write_ops(sock, build, bridge, &first, err);
	if (r == 0)
		r = qb_nl_write_ops(sock, clear, bridge, &second, err);
	if (r == 0)
		r = qb_nl_batch_send(sock, &first, err);
	if (r == 0)
		r = qb_nl_settle(sock, build, err);
	if (r == 0)
		r = qb_nl_batch_send(sock, &second, err);
	(void)qb_replay_run(&replay);
	return r;
}

static int set_managed(const struct qb_step_ctx *ctx, const json_t *before, bool managed,
		       struct qb_error *err)
{
	const json_t *name;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(before, "managed"), i, name) {
		r = qb_nm_set_managed(json_string_value(name), managed, ctx->timeout_ms, err);
		if (r < 0)
			break;
	}
	return r;
}

static void names_of(const json_t *list, struct qb_strs *ret)
{
	const json_t *name;
	size_t i;

	json_array_foreach (list, i, name)
		qb_strs_add(ret, json_string_value(name));
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	bool existed = json_is_true(json_object_get(before, "existed"));
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_ops_ struct qb_ops build = {0}, clear = {0};
	_cleanup_strs_ struct qb_strs ports = {0};
	int r;

	r = qb_move_from_json(args, &move, err);
	if (r == 0)
		r = qb_nl_open(&sock, err);
	if (r == 0 && !existed)
		r = qb_nl_bridge_make(sock, &move, err);
	if (r == 0 && !existed)
		r = copy_settings(ctx, sock, &move, err);
	/* One that is down is of a run that was killed; NetworkManager has not taken it yet. */
	if (r == 0 && !json_is_true(json_object_get(before, "up")) &&
	    json_is_true(json_object_get(before, "networkmanager")))
		r = qb_nm_disown(move.bridge, ctx->timeout_ms, err);
	if (r == 0)
		r = set_managed(ctx, before, false, err);
	if (r < 0)
		return r;
	qb_bridge_state_lifetimes(before, &move);
	names_of(json_object_get(before, "release"), &ports);
	qb_move_forward(&move, &build, &clear);
	r = send_move(ctx, sock, move.bridge, &ports, &build, &clear, err);
	if (r == 0 && !existed)
		r = settle_addr_gen_mode(ctx, sock, &move, err);
	if (r == 0)
		r = copy_setting(ctx, &move, "ipv4", "rp_filter", err);
	if (r == 0 && move.stp != (existed && json_is_true(json_object_get(before, "stp"))))
		r = qb_nl_bridge_stp(sock, move.bridge, move.stp, err);
	return r;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_net_ struct qb_net net = {0};
	_cleanup_move_ struct qb_move move = {0};
	int r;

	r = qb_move_from_json(args, &move, err);
	if (r == 0)
		r = probe(ctx, &net, err);
	if (r == 0)
		r = qb_bridge_state_verify(&net, &move,
					   json_is_true(json_object_get(before, "existed")), err);
	return r < 0 ? r : qb_gateways_verify(&net, move.bridge, before, err);
}

/* The bridge, whose ports are back where they were: as it was, or gone. */
static int undo_bridge(struct nl_sock *sock, const struct qb_move *move, const json_t *before,
		       struct qb_error *err)
{
	bool stp = json_is_true(json_object_get(before, "stp"));
	int r = 0;

	if (!json_is_true(json_object_get(before, "existed")))
		return qb_nl_link_delete(sock, move->bridge, err);
	if (stp != move->stp)
		r = qb_nl_bridge_stp(sock, move->bridge, stp, err);
	if (r == 0 && !json_is_true(json_object_get(before, "up")))
		r = qb_nl_link_up(sock, move->bridge, false, err);
	return r;
}

static int undo_ports(struct nl_sock *sock, const json_t *before, struct qb_error *err)
{
	const json_t *name;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(before, "down"), i, name) {
		if (r == 0)
			r = qb_nl_link_up(sock, json_string_value(name), false, err);
	}
	return r;
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	_cleanup_net_ struct qb_net net = {0};
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_strs_ struct qb_strs release = {0};
	_cleanup_ops_ struct qb_ops build = {0}, clear = {0};
	int r;

	r = qb_move_from_json(args, &move, err);
	if (r == 0)
		r = probe(ctx, &net, err);
	if (r == 0)
		r = qb_bridge_state_can_undo(&net, &move, before, err);
	if (r == 0)
		r = qb_nl_open(&sock, err);
	if (r < 0)
		return r;
	qb_bridge_state_release(&net, &move, before, &release);
	qb_bridge_state_lifetimes(before, &move);
	/* First everything back onto the NIC: a bridge deleted before takes it all along. */
	if (release.n || qb_bridge_state_is_touched(&net, &move)) {
		qb_move_inverse(&move, &release, qb_net_link(&net, move.bridge), &build, &clear);
		r = send_move(ctx, sock, move.bridge, &release, &build, &clear, err);
	}
	if (r == 0 && qb_net_link(&net, move.bridge))
		r = undo_bridge(sock, &move, before, err);
	if (r == 0)
		r = undo_ports(sock, before, err);
	if (r == 0)
		r = set_managed(ctx, before, true, err);
	return r;
}

const struct qb_step_kind qb_bridge_step = {
	.kind = "net.bridge",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
