/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step net.persist: the files of a bridge and its ports by which another program makes them after
 * a boot, "text" being null for one that is to go. The journaled "before" is {"files": {path: its
 * text, or null where there was none}}, and where that program takes the bridge over, "bridge":
 * what that has and which gateways answer, which has to be so after it, and "owned": of the bridge
 * and its ports those that it has by a file that was there.
 */
#include "net/bridge.h"

#include <errno.h>
#include <time.h>

#include "agent/base/clock.h"
#include "net/bridge_owner.h"
#include "net/bridge_settings.h"
#include "net/bridge_state.h"
#include "net/gateway.h"
#include "net/hold.h"
#include "net/persist_owner.h"
#include "net/probe.h"
#include "net/unit.h"

#define LIVE_POLL_MS 100
#define PROFILE_MAX (1 << 20)

static const struct qb_persist_owner *owner_of(const json_t *args)
{
	const json_t *file = json_array_get(json_object_get(args, "files"), 0);

	return qb_startswith(qb_arg(file, "path"), QB_UNITS "/") ? &qb_persist_networkd
								 : &qb_persist_networkmanager;
}

static char *place_of(const struct qb_persist_owner *owner, bool provisional, const char *path)
{
	return provisional ? owner->provisional(path) : qb_strdup(path);
}

static int read_profile(const struct qb_root *root, const char *path, char **ret,
			struct qb_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = qb_root_read(root, path, PROFILE_MAX, &text, &len);

	if (r < 0 && r != -ENOENT)
		return qb_error_errno(err, r, "%s", path);
	*ret = r == 0 ? QB_TAKE_PTR(text) : NULL;
	return 0;
}

static bool has_mode(const struct qb_root *root, const char *path, mode_t mode)
{
	struct stat st;

	return qb_root_stat(root, path, false, &st) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 07777) == mode;
}

/* wanted: NULL for none. */
static bool is_as(const struct qb_step_ctx *ctx, const struct qb_persist_owner *owner,
		  const char *path, const char *text, const char *wanted)
{
	return qb_streq(text, wanted) && (!wanted || has_mode(ctx->root, path, owner->mode));
}

static bool takes_over(const struct qb_step_ctx *ctx, const json_t *args)
{
	return json_is_true(json_object_get(args, "running")) && ctx->root->live;
}

bool qb_persist_is_owned(const json_t *before, const char *link)
{
	const json_t *name;
	size_t i;

	json_array_foreach (json_object_get(before, "owned"), i, name)
		if (qb_streq(json_string_value(name), link))
			return true;
	return false;
}

bool qb_persist_was_there(const json_t *before)
{
	const char *path;
	json_t *text;

	json_object_foreach (json_object_get(before, "files"), path, text)
		if (json_is_string(text))
			return true;
	return false;
}

static int note_owned(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		      const char *link, json_t *before, struct qb_error *err)
{
	bool owned;
	int r = owner_of(args)->owns(ctx, net, link, before, &owned, err);

	if (r == 0 && owned)
		json_array_append_new(json_object_get(before, "owned"), json_string(link));
	return r;
}

static int note_all_owned(const struct qb_step_ctx *ctx, const struct qb_net *net,
			  const json_t *args, json_t *before, struct qb_error *err)
{
	const json_t *port;
	size_t i;
	int r;

	json_object_set_new(before, "owned", json_array());
	r = note_owned(ctx, net, args, qb_arg(args, "bridge"), before, err);
	json_array_foreach (json_object_get(args, "ports"), i, port)
		if (r == 0)
			r = note_owned(ctx, net, args, json_string_value(port), before, err);
	return r;
}

static int note_bridge(const struct qb_step_ctx *ctx, const json_t *args, json_t *before,
		       struct qb_error *err)
{
	const char *bridge = qb_arg(args, "bridge");
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_net_ struct qb_net net = {0};
	json_auto_t *noted = NULL;
	int r = qb_nl_open(&sock, err);

	if (r == 0)
		r = qb_net_probe_known(ctx->root, &net, err);
	if (r < 0)
		return r;
	noted = qb_bridge_state_live(&net, bridge);
	json_object_set_new(noted, "gateways", json_object());
	json_object_set_new(noted, "defaults", json_object());
	json_object_set_new(noted, "accept_dad",
			    json_integer(qb_setting_read(ctx->root, "ipv6", bridge, "accept_dad")));
	r = qb_gateways_note(sock, &net, bridge, noted, err);
	if (r == 0 && ctx->peer)
		qb_peer_note(ctx->peer, noted);
	if (r == 0)
		json_object_set(before, "bridge", noted);
	if (r == 0 && owner_of(args)->runs(&net))
		r = note_all_owned(ctx, &net, args, before, err);
	return r;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	json_auto_t *before = json_pack("{s:{}}", "files");
	const json_t *file;
	bool same = true;
	size_t i;

	json_array_foreach (json_object_get(args, "files"), i, file) {
		const char *path = qb_arg(file, "path");
		_cleanup_free_ char *text = NULL;
		int r = read_profile(ctx->root, path, &text, err);

		if (r < 0)
			return r;
		same &= is_as(ctx, owner_of(args), path, text, qb_arg(file, "text"));
		json_object_set_new(json_object_get(before, "files"), path,
				    text ? json_string(text) : json_null());
	}
	if (takes_over(ctx, args) && owner_of(args)->is_held)
		same &= !owner_of(args)->is_held(ctx, args);
	if (!same && takes_over(ctx, args)) {
		int r = note_bridge(ctx, args, before, err);

		if (r < 0)
			return r;
	}
	*ret = same ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	*ret_before = QB_TAKE_PTR(before);
	return 0;
}

/* Whether the bridge looks for duplicates of its addresses, as it did before. */
static int restore_accept_dad(const struct qb_step_ctx *ctx, const json_t *args,
			      const json_t *before, struct qb_error *err)
{
	const json_t *was = json_object_get(json_object_get(before, "bridge"), "accept_dad");
	const char *bridge = qb_arg(args, "bridge");

	if (json_integer_value(was) <= 0 ||
	    qb_setting_read(ctx->root, "ipv6", bridge, "accept_dad") < 0)
		return 0;
	return qb_setting_write(ctx->root, "ipv6", bridge, "accept_dad",
				(int)json_integer_value(was), err);
}

/*
 * It has a new owner from now on, who renews what is leased, and resolves names as its file says.
 * What the bridge has it had before: to look for duplicates would take a second.
 */
static int hand_over(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		     struct qb_error *err)
{
	const struct qb_persist_owner *owner = owner_of(args);
	const char *bridge = qb_arg(args, "bridge");
	_cleanup_child_ struct qb_child holding = QB_CHILD_INIT;
	_cleanup_net_ struct qb_net net = {0};
	int r = qb_net_probe_known(ctx->root, &net, err);

	if (r == 0 && qb_setting_read(ctx->root, "ipv6", bridge, "accept_dad") > 0)
		r = qb_setting_write(ctx->root, "ipv6", bridge, "accept_dad", 0, err);
	if (r == 0)
		r = qb_hold_begin(&net, bridge, &holding, err);
	if (r == 0)
		r = owner->take(ctx, &net, args, err);
	if (r == 0)
		r = qb_hold_end(&net, bridge, &holding, err);
	return r < 0 ? r : restore_accept_dad(ctx, args, before, err);
}

static int unlink_both(const struct qb_step_ctx *ctx, const struct qb_persist_owner *owner,
		       const char *path, struct qb_error *err)
{
	_cleanup_free_ char *provisional = owner->provisional(path);
	int r = qb_root_unlink(ctx->root, path, err);

	return r < 0 ? r : qb_root_unlink(ctx->root, provisional, err);
}

/*
 * The first file is written last, and undo takes it away first. NetworkManager's is the bridge's:
 * after a boot without it the ports' profiles are given up, which name a bridge that it does not
 * know, and the NIC has its own profile as before; with it, and without those, the host's addresses
 * would be on a bridge without a port. systemd-networkd's are those of the ports, that of the NIC
 * with the addresses after the others: without it the NIC has its own unit, and a bridge without a
 * port has no carrier and is given nothing; but by another port the bridge would have the addresses
 * a second time. So one file is there or not, and so is the bridge. Those that are to go are what
 * an earlier one has for its ports: they go after it, and stay until what is written is confirmed.
 */
static int write_all(const struct qb_step_ctx *ctx, const json_t *args, bool provisional,
		     struct qb_error *err)
{
	const json_t *files = json_object_get(args, "files"), *file;
	size_t i;
	int r = 0;

	for (i = json_array_size(files); r == 0 && i-- > 0;) {
		_cleanup_free_ char *path = NULL;
		const char *text;

		file = json_array_get(files, i);
		path = place_of(owner_of(args), provisional, qb_arg(file, "path"));
		text = qb_arg(file, "text");
		if (text)
			r = qb_root_write(ctx->root, path, owner_of(args)->mode, text, strlen(text),
					  err);
	}
	json_array_foreach (files, i, file)
		if (r == 0 && !provisional && !qb_arg(file, "text"))
			r = unlink_both(ctx, owner_of(args), qb_arg(file, "path"), err);
	return r;
}

static int write_lasting(const struct qb_step_ctx *ctx, const json_t *args, struct qb_error *err)
{
	int r = write_all(ctx, args, false, err);
	const json_t *file;
	size_t i;

	json_array_foreach (json_object_get(args, "files"), i, file) {
		_cleanup_free_ char *provisional =
			owner_of(args)->provisional(qb_arg(file, "path"));

		if (r == 0)
			r = qb_root_unlink(ctx->root, provisional, err);
	}
	return r;
}

static int keep(const struct qb_step_ctx *ctx, const json_t *args, struct qb_error *err)
{
	const struct qb_persist_owner *owner = owner_of(args);
	int r;

	if (!owner->reload)
		return write_all(ctx, args, false, err);
	r = write_lasting(ctx, args, err);
	return r == 0 && takes_over(ctx, args) ? owner->reload(ctx, args, err) : r;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	int r = ctx->provisional ? write_all(ctx, args, true, err) : write_lasting(ctx, args, err);

	return r == 0 && takes_over(ctx, args) ? hand_over(ctx, args, before, err) : r;
}

/* An owner calls a link configured when one family is there; the other may come later. */
static int verify_bridge(const struct qb_step_ctx *ctx, const char *bridge, const json_t *noted,
			 struct qb_error *err)
{
	const struct timespec pause = {.tv_nsec = LIVE_POLL_MS * 1000000L};
	uint64_t end = qb_now_ms() + ctx->timeout_ms;

	for (;;) {
		_cleanup_net_ struct qb_net net = {0};
		int r = qb_net_probe_known(ctx->root, &net, err);

		if (r == 0)
			r = qb_bridge_state_lives(&net, bridge, noted, err);
		if (r == 0)
			r = qb_gateways_verify(&net, bridge, noted, err);
		if (r == 0 || qb_now_ms() >= end)
			return r;
		nanosleep(&pause, NULL);
	}
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	const struct qb_persist_owner *owner = owner_of(args);
	const json_t *file;
	size_t i;

	json_array_foreach (json_object_get(args, "files"), i, file) {
		_cleanup_free_ char *path = place_of(owner, ctx->provisional, qb_arg(file, "path"));
		_cleanup_free_ char *text = NULL;
		int r;

		if (ctx->provisional && !qb_arg(file, "text"))
			continue;
		r = read_profile(ctx->root, path, &text, err);
		if (r < 0)
			return r;
		if (!is_as(ctx, owner, path, text, qb_arg(file, "text")))
			return qb_error_set(err, EIO, "%s is not what was written", path);
		if (!takes_over(ctx, args) || !owner->knows)
			continue;
		r = owner->knows(ctx, text, err);
		if (r < 0)
			return qb_error_wrap(err, "%s", path);
	}
	return takes_over(ctx, args) ? verify_bridge(ctx, qb_arg(args, "bridge"),
						     json_object_get(before, "bridge"), err)
				     : 0;
}

/* was: its text, or null. What an earlier run left below /run of one that was to go is its own. */
static int restore_file(const struct qb_step_ctx *ctx, const struct qb_persist_owner *owner,
			const json_t *file, const json_t *was, struct qb_error *err)
{
	const char *path = qb_arg(file, "path");
	_cleanup_free_ char *provisional = owner->provisional(path);
	int r = qb_arg(file, "text") ? qb_root_unlink(ctx->root, provisional, err) : 0;

	if (r < 0)
		return r;
	if (!json_is_string(was))
		return qb_root_unlink(ctx->root, path, err);
	return qb_root_write(ctx->root, path, owner->mode, json_string_value(was),
			     json_string_length(was), err);
}

/* The inverse of write_all(): first those that an earlier profile of the bridge has for ports. */
static int restore_files(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
			 struct qb_error *err)
{
	const json_t *files = json_object_get(before, "files"), *file;
	size_t i;
	int r = 0;

	for (int stale = 1; stale >= 0; stale--)
		json_array_foreach (json_object_get(args, "files"), i, file) {
			const char *path = qb_arg(file, "path");

			if (r == 0 && stale == !qb_arg(file, "text"))
				r = restore_file(ctx, owner_of(args), file,
						 json_object_get(files, path), err);
		}
	return r;
}

/*
 * What its owner did not take over at once it has since a boot: it is asked if it runs now. Where
 * nobody knows what links there are it is told nothing, and the next boot finds the files.
 */
static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	const struct qb_persist_owner *owner = owner_of(args);
	struct qb_error unknown = QB_ERROR_INIT;
	_cleanup_net_ struct qb_net net = {0};
	int known = ctx->root->live ? qb_net_probe_known(ctx->root, &net, &unknown) : 0, r;
	bool runs = known == 0 && owner->runs(&net);

	if (runs)
		owner->disown(ctx, &net, args, before);
	r = restore_files(ctx, args, before, err);
	if (r == 0)
		r = restore_accept_dad(ctx, args, before, err);
	if (r == 0 && known < 0)
		return qb_error_set(err, -known, "%s", unknown.msg);
	return r == 0 && runs ? owner->let_go(ctx, &net, args, before, err) : r;
}

/* It would have the NIC by its unit for the port once that has left, without addresses. */
static int may_undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		    struct qb_error *err)
{
	const struct qb_persist_owner *owner = owner_of(args);
	_cleanup_net_ struct qb_net net = {0};
	int r = ctx->root->live && owner->answers ? qb_net_probe_known(ctx->root, &net, err) : 0;

	(void)before;
	if (r < 0 || !owner->answers || !owner->runs(&net))
		return r;
	r = owner->answers(ctx->timeout_ms, err);
	return r < 0 ? qb_error_wrap(err, "%s is left as it is, for who has it does not answer",
				     qb_arg(args, "bridge"))
		     : 0;
}

const struct qb_step_kind qb_bridge_persist_step = {
	.kind = "net.persist",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
	.keep = keep,
	.may_undo = may_undo,
	.guarded = true,
};
