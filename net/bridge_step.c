/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step net.bridge. The journaled "before" holds:
 *   boot               the kernel's name of this boot
 *   existed, up, stp   the bridge as it was
 *   mac, mtu           likewise, where it existed
 *   rp_filter          likewise
 *   release            ports that were not its ports yet
 *   down               ports that were switched off
 *   managed            ports that NetworkManager managed
 *   profiles           {port: UUID of its profile that was active}
 *   networkmanager     it runs
 *   lifetimes          {address: [valid_s, preferred_s]} of what is moved
 *   expiries           {route: seconds} likewise
 *   gateways, defaults, whole, peer: who answered, see net/gateway.h
 */
#include "net/bridge.h"

#include <errno.h>
#include <time.h>
#include <net/if.h>

#include <linux/if_link.h>

#include "net/boot.h"
#include "net/bridge_owner.h"
#include "net/bridge_settings.h"
#include "net/bridge_state.h"
#include "net/gateway.h"
#include "net/names.h"
#include "net/nl_write.h"
#include "net/nm.h"
#include "net/probe.h"
#include "net/renamed.h"
#include "net/replay.h"
#include "net/settle.h"

#define RP_FILTER_LOOSE 2
/* For who had looked up a route when it changed to have sent by it; a few instructions, but for
 * the CPU that is taken away meanwhile. */
#define SENT_NS 2000000

static void seen_done(void *seen)
{
	qb_net_done(seen);
	free(seen);
}

/* A snapshot for all that look at this moment; own is its place where there is nobody else. */
static int look(const struct qb_step_ctx *ctx, struct qb_net *own, const struct qb_net **ret,
		struct qb_error *err)
{
	_cleanup_free_ struct qb_net *seen = NULL;
	int r = 0;

	*ret = ctx->shared ? ctx->shared->seen : own;
	if (*ret == own)
		return qb_net_probe_known(ctx->root, own, err);
	if (!*ret) {
		seen = qb_alloc(1, sizeof(*seen));
		r = qb_net_probe_known(ctx->root, seen, err);
		if (r < 0)
			return r;
		*ret = seen;
		*ctx->shared = (struct qb_shared){QB_TAKE_PTR(seen), seen_done};
	}
	return r;
}

/* Who answers before the change has to answer after it. */
static int note_who_answers(const struct qb_step_ctx *ctx, struct nl_sock *sock,
			    const struct qb_net *net, const struct qb_move *move, json_t *before,
			    struct qb_error *err)
{
	int r;

	/* Nobody is reached by it, and it may be one of a thousand. */
	if (move->apart)
		return 0;
	r = move->source ? qb_gateways_note(sock, net, move->source, before, err) : 0;
	if (r == 0 && qb_net_link(net, move->bridge))
		r = qb_gateways_note(sock, net, move->bridge, before, err);
	if (r == 0 && ctx->peer)
		qb_peer_note(ctx->peer, before);
	return r;
}

static void note_kernel(const struct qb_step_ctx *ctx, const struct qb_move *move, json_t *before)
{
	int rp_filter = qb_setting_read(ctx->root, "ipv4", move->bridge, "rp_filter");

	qb_boot_note(ctx->root, before);
	if (rp_filter >= 0 && json_is_true(json_object_get(before, "existed")))
		json_object_set_new(before, "rp_filter", json_integer(rp_filter));
}

/*
 * It is kept for each of what may be a thousand: lists of nothing and what is not so are left out,
 * as whoever reads it takes them for that. Whether the bridge existed is said.
 */
static void make_brief(json_t *before)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe (before, next, key, value) {
		bool list = json_is_object(value) || json_is_array(value);
		bool empty = list && !json_object_size(value) && !json_array_size(value);

		if (empty || (json_is_false(value) && strcmp(key, "existed") != 0))
			json_object_del(before, key);
	}
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_net_ struct qb_net own = {0};
	const struct qb_net *net = NULL;
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	json_auto_t *before = NULL;
	bool done;
	int r;

	r = qb_move_from_json(args, &move, err);
	if (r == 0)
		r = look(ctx, &own, &net, err);
	if (r == 0)
		r = qb_bridge_state_check(net, &move, &done, err);
	if (r < 0)
		return r;
	before = qb_bridge_state_before(net, &move);
	note_kernel(ctx, &move, before);
	if (!done) {
		r = qb_nl_open(&sock, err);
		if (r == 0)
			r = note_who_answers(ctx, sock, net, &move, before, err);
		if (r == 0)
			r = qb_owner_note(ctx, net, &move, before, err);
		if (r < 0)
			return r;
	}
	make_brief(before);
	*ret = done ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = QB_TAKE_PTR(before);
	return 0;
}

/*
 * What the bridge is to be left with; -1 leaves it as it is. An address generation mode is set as
 * soon as the addresses are there: from then on the kernel makes a lost link-local one anew,
 * where it did so on the NIC.
 */
struct settings {
	int rp_filter, addr_gen_mode;
};

/*
 * One that nobody speaks through, so there is no frame to lose. It gets its settings while it is
 * down: each setting of a link that is up makes the kernel look through all routes.
 */
static int send_apart(struct nl_sock *sock, const char *bridge, const struct qb_batches *batches,
		      const struct settings *after, struct qb_error *err)
{
	const struct qb_ops *const in_order[] = {&batches->build, &batches->clear, &batches->leave,
						 &batches->rest};
	_cleanup_nl_batch_ struct qb_nl_batch all = {0};
	int r = 0;

	qb_nl_write_rp_filter(bridge, after->rp_filter, &all);
	if (after->addr_gen_mode >= 0)
		r = qb_nl_write_addr_gen_mode(bridge, (unsigned char)after->addr_gen_mode, &all,
					      err);
	for (size_t i = 0; r == 0 && i < QB_ARRAY_SIZE(in_order); i++)
		r = qb_nl_write_ops(sock, in_order[i], bridge, &all, err);
	return r < 0 ? r : qb_nl_batch_send(sock, &all, err);
}

/*
 * Sends a move. Until it is through, frames that come in by the bridge while their route is still
 * the NIC's must not be taken for forged: with "loose" they are not, whatever holds for all links.
 */
static int send_move(struct nl_sock *sock, const char *bridge, const struct qb_strs *ports,
		     const struct qb_batches *batches, const struct settings *after,
		     struct qb_error *err)
{
	_cleanup_nl_batch_ struct qb_nl_batch build = {0}, clear = {0}, leave = {0}, rest = {0};
	const struct timespec sent = {.tv_nsec = SENT_NS};
	_cleanup_replay_ struct qb_replay replay = QB_REPLAY_INIT;
	int r;

	qb_replay_open(sock, bridge, ports, &replay);
	/* Nothing is sent of a move that cannot be sent as a whole. */
	qb_nl_write_rp_filter(bridge, RP_FILTER_LOOSE, &build);
	r = qb_nl_write_ops(sock, &batches->build, bridge, &build, err);
	if (r == 0 && after->addr_gen_mode >= 0)
		r = qb_nl_write_addr_gen_mode(bridge, (unsigned char)after->addr_gen_mode, &build,
					      err);
	if (r == 0)
		r = qb_nl_write_ops(sock, &batches->clear, bridge, &clear, err);
	qb_nl_write_rp_filter(bridge, after->rp_filter, &clear);
	if (r == 0)
		r = qb_nl_write_ops(sock, &batches->leave, bridge, &leave, err);
	if (r == 0)
		r = qb_nl_write_ops(sock, &batches->rest, bridge, &rest, err);
	if (r == 0)
		r = qb_nl_batch_send(sock, &build, err);
	if (r == 0)
		r = qb_nl_settle(sock, &batches->build, err);
	if (r == 0)
		r = qb_nl_batch_send(sock, &clear, err);
	nanosleep(&sent, NULL);
	if (r == 0)
		r = qb_nl_batch_send(sock, &leave, err);
	(void)qb_replay_run(&replay);
	return r < 0 ? r : qb_nl_batch_send(sock, &rest, err);
}

static void names_of(const json_t *list, struct qb_strs *ret)
{
	const json_t *name;
	size_t i;

	json_array_foreach (list, i, name)
		qb_strs_add(ret, json_string_value(name));
}

static int number_of(const json_t *before, const char *key)
{
	const json_t *value = json_object_get(before, key);

	return json_is_integer(value) ? (int)json_integer_value(value) : -1;
}

static struct settings settings_after(const struct qb_step_ctx *ctx, const struct qb_move *move,
				      const json_t *before)
{
	struct settings s = {number_of(before, "rp_filter"), -1};

	if (json_is_true(json_object_get(before, "existed")) || !move->source)
		return s;
	s.rp_filter = qb_setting_read(ctx->root, "ipv4", move->source, "rp_filter");
	if (qb_setting_read(ctx->root, "ipv6", move->source, "addr_gen_mode") ==
	    IN6_ADDR_GEN_MODE_EUI64)
		s.addr_gen_mode = IN6_ADDR_GEN_MODE_EUI64;
	return s;
}

/*
 * A bridge that nobody gave a MAC takes the lowest of its ports', and would change it when one
 * joins; given by hand it stays. Its neighbours learn a new one by the questions that the gateways
 * are asked afterwards, which all of them hear.
 */
static int set_identity(struct nl_sock *sock, const struct qb_move *move, const json_t *before,
			struct qb_error *err)
{
	bool mac_is = qb_streq(json_string_value(json_object_get(before, "mac")), move->mac);
	bool mtu_is = !move->mtu || number_of(before, "mtu") == move->mtu;

	for (size_t i = 0; i < move->n_ports; i++)
		mac_is &= !move->mac || !move->ports[i].mac ||
			  strcmp(move->ports[i].mac, move->mac) >= 0;
	if (mac_is && mtu_is)
		return 0;
	return qb_nl_link_identity(sock, move->bridge, mac_is ? NULL : move->mac,
				   mtu_is ? 0 : move->mtu, err);
}

/* The bridge as it is before its first port joins. */
static int make_bridge(const struct qb_step_ctx *ctx, struct nl_sock *sock,
		       const struct qb_move *move, const json_t *before, struct qb_error *err)
{
	bool existed = json_is_true(json_object_get(before, "existed"));
	int r = qb_owner_prepare(ctx, move, before, err);
	if (r == 0 && !if_nametoindex(move->bridge))
		r = qb_nl_bridge_make(sock, move, err);
	if (r == 0)
		r = existed ? set_identity(sock, move, before, err)
			    : qb_settings_copy(ctx->root, sock, move, err);
	/* With STP a port that joins listens for half a minute; one that is there forwards on. */
	if (r == 0 && json_is_true(json_object_get(before, "stp")))
		r = qb_nl_bridge_stp(sock, move->bridge, false, err);
	/* One that is down is of a run that was killed; NetworkManager has not taken it yet. */
	if (r == 0 && !json_is_true(json_object_get(before, "up")) &&
	    json_is_true(json_object_get(before, "networkmanager")))
		r = qb_nm_disown(move->bridge, ctx->timeout_ms, err);
	return r;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_batches_ struct qb_batches batches = {0};
	_cleanup_strs_ struct qb_strs ports = {0};
	struct settings after;
	int r;

	r = qb_move_from_json(args, &move, err);
	if (r == 0)
		r = qb_nl_open(&sock, err);
	if (r == 0)
		r = make_bridge(ctx, sock, &move, before, err);
	if (r == 0)
		r = qb_owner_set_managed(ctx, &move, before, false, err);
	if (r < 0)
		return r;
	qb_bridge_state_lifetimes(before, &move);
	names_of(json_object_get(before, "release"), &ports);
	batches = qb_move_forward(&move);
	after = settings_after(ctx, &move, before);
	r = move.apart ? send_apart(sock, move.bridge, &batches, &after, err)
		       : send_move(sock, move.bridge, &ports, &batches, &after, err);
	if (r == 0 && move.stp)
		r = qb_nl_bridge_stp(sock, move.bridge, true, err);
	return r;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_net_ struct qb_net own = {0};
	const struct qb_net *net = NULL;
	_cleanup_move_ struct qb_move move = {0};
	int r;

	r = qb_move_from_json(args, &move, err);
	if (r == 0)
		r = look(ctx, &own, &net, err);
	if (r == 0)
		r = qb_bridge_state_verify(net, &move, err);
	return r < 0 ? r : qb_gateways_verify(net, move.bridge, before, err);
}

/* Its MTU may be what it is because of a port that joined. */
static int restore_identity(struct nl_sock *sock, const struct qb_link *now, const json_t *before,
			    struct qb_error *err)
{
	const char *mac = json_string_value(json_object_get(before, "mac"));
	int mtu = number_of(before, "mtu");

	if (mtu <= 0 || (qb_streq(now->mac, mac) && now->mtu == mtu))
		return 0;
	return qb_nl_link_identity(sock, now->name, mac, mtu, err);
}

/* The bridge, whose ports are back where they were: as it was, or gone. */
static int undo_bridge(const struct qb_step_ctx *ctx, struct nl_sock *sock,
		       const struct qb_move *move, const struct qb_link *now, const json_t *before,
		       struct qb_error *err)
{
	int r, rp_filter = number_of(before, "rp_filter");

	if (!json_is_true(json_object_get(before, "existed")))
		return qb_nl_link_delete(sock, move->bridge, err);
	r = qb_nl_bridge_stp(sock, move->bridge, json_is_true(json_object_get(before, "stp")), err);
	if (r == 0)
		r = restore_identity(sock, now, before, err);
	if (r == 0 && rp_filter >= 0)
		r = qb_setting_write(ctx->root, "ipv4", move->bridge, "rp_filter", rp_filter, err);
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

/* Ports have the names of now. */
static int undo_move(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		     const json_t *before, struct qb_error *err)
{
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_strs_ struct qb_strs release = {0};
	_cleanup_batches_ struct qb_batches batches = {0};
	const struct settings as_it_is = {-1, -1};
	bool gone = false;
	int r;

	r = qb_move_from_json(args, &move, err);
	if (r == 0)
		r = qb_bridge_state_can_undo(net, &move, before, qb_boot_is_same(ctx->root, before),
					     &gone, err);
	if (r < 0 || gone)
		return r;
	r = qb_nl_open(&sock, err);
	if (r < 0)
		return r;
	qb_owner_disown(ctx, &move, before);
	qb_bridge_state_release(net, &move, before, &release);
	qb_bridge_state_lifetimes(before, &move);
	/* First everything back onto the NIC: a bridge deleted before takes it all along. */
	if (release.n || qb_bridge_state_is_touched(net, &move)) {
		batches = qb_move_inverse(&move, &release, qb_net_link(net, move.bridge));
		r = move.apart ? send_apart(sock, move.bridge, &batches, &as_it_is, err)
			       : send_move(sock, move.bridge, &release, &batches, &as_it_is, err);
	}
	if (r == 0 && qb_net_link(net, move.bridge))
		r = undo_bridge(ctx, sock, &move, qb_net_link(net, move.bridge), before, err);
	if (r == 0)
		r = undo_ports(sock, before, err);
	if (r == 0)
		r = qb_owner_set_managed(ctx, &move, before, true, err);
	return r < 0 ? r : qb_owner_give_back(ctx, &move, before, err);
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	json_auto_t *names = NULL, *args_now = NULL, *before_now = NULL;
	_cleanup_net_ struct qb_net own = {0};
	const struct qb_net *net = NULL;
	int r = look(ctx, &own, &net, err);

	if (r < 0)
		return r;
	names = qb_renamed_ports(net, args, qb_boot_is_same(ctx->root, before));
	args_now = qb_renamed(args, names);
	before_now = qb_renamed(before, names);
	return undo_move(ctx, net, args_now, before_now, err);
}

static bool together(const json_t *args)
{
	return json_is_true(json_object_get(args, "apart"));
}

/* Nobody else's is a bridge that concerns nothing of the host's, and there may be a thousand. */
static int may_undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		    struct qb_error *err)
{
	json_auto_t *names = NULL, *args_now = NULL;
	_cleanup_move_ struct qb_move move = {0};
	_cleanup_net_ struct qb_net own = {0};
	const struct qb_net *net = NULL;
	int r = together(args) ? 0 : look(ctx, &own, &net, err);

	if (r < 0 || !net)
		return r;
	names = qb_renamed_ports(net, args, qb_boot_is_same(ctx->root, before));
	args_now = qb_renamed(args, names);
	r = qb_move_from_json(args_now, &move, err);
	return r < 0 ? r : qb_bridge_state_is_free(net, &move, before, err);
}

const struct qb_step_kind qb_bridge_step = {
	.kind = "net.bridge",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
	.may_undo = may_undo,
	.guarded = true,
	.together = together,
};
