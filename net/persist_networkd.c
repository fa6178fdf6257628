/* SPDX-License-Identifier: Apache-2.0 */
#include "net/persist_owner.h"

#include "net/bridge_owner.h"
#include "net/hold.h"
#include "net/networkd.h"
#include "net/nl_made.h"
#include "net/tap.h"
#include "net/unit.h"

static bool runs(const struct qb_net *net)
{
	return qb_net_keeper(net) == QB_KEEPER_NETWORKD;
}

/* Of two of one name that in /etc counts, so it is another, which comes before. */
static char *provisional(const char *path)
{
	return qb_asprintf("/run/systemd/network/" QB_UNIT_PROVISIONAL "%s",
			   path + strlen(QB_UNITS "/" QB_UNIT_PREFIX));
}

static int owns(const struct qb_step_ctx *ctx, const struct qb_net *net, const char *link,
		const json_t *before, bool *ret, struct qb_error *err)
{
	const struct qb_link *l = qb_net_link(net, link);
	const char *path;
	json_t *text;

	(void)ctx;
	(void)err;
	*ret = false;
	json_object_foreach (json_object_get(before, "files"), path, text) {
		_cleanup_free_ char *run = provisional(path);

		*ret |= l && l->unit_path && json_is_string(text) &&
			(!strcmp(l->unit_path, path) || !strcmp(l->unit_path, run));
	}
	return 0;
}

static bool is_held(const struct qb_step_ctx *ctx, const json_t *args)
{
	bool held = qb_networkd_is_barred(ctx->root, qb_arg(args, "bridge"));
	const json_t *port;
	size_t i;

	json_array_foreach (json_object_get(args, "ports"), i, port)
		held |= qb_networkd_is_barred(ctx->root, json_string_value(port));
	return held;
}

/* An undoing that ended here left them barred: what they are to be is said by files now. */
static int unbar(const struct qb_step_ctx *ctx, const json_t *args, struct qb_error *err)
{
	int r = qb_networkd_unbar(ctx->root, qb_arg(args, "bridge"), err);
	const json_t *port;
	size_t i;

	json_array_foreach (json_object_get(args, "ports"), i, port)
		if (r == 0)
			r = qb_networkd_unbar(ctx->root, json_string_value(port), err);
	return r < 0 ? r : qb_networkd_unbar(ctx->root, QB_TAP_NAME, err);
}

static char *unit_of_bridge(const json_t *args)
{
	return qb_asprintf(QB_UNITS "/" QB_UNIT_PREFIX "%s.network", qb_arg(args, "bridge"));
}

static bool is_network(const char *path)
{
	return qb_endswith(path, ".network");
}

/* What the n-th file is for; NULL: no link that is there, or it is to go. */
static const struct qb_link *link_of(const struct qb_net *net, const json_t *args, size_t n)
{
	const json_t *file = json_array_get(json_object_get(args, "files"), n);
	const json_t *ports = json_object_get(args, "ports");
	/* The units of the ports are the first, in their order. */
	const char *name = n < json_array_size(ports) ? json_string_value(json_array_get(ports, n))
						      : qb_arg(args, "bridge");

	return is_network(qb_arg(file, "path")) && qb_arg(file, "text") ? qb_net_link(net, name)
									: NULL;
}

static int take(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		struct qb_error *err)
{
	const json_t *files = json_object_get(args, "files"), *file;
	_cleanup_free_ struct qb_networkd_word *words =
		qb_alloc(json_array_size(files), sizeof(*words));
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	size_t i;
	int r = qb_nl_open(&sock, err);

	json_array_foreach (files, i, file)
		if (link_of(net, args, i))
			words[i] = qb_networkd_word(ctx->root, link_of(net, args, i));
	if (r == 0)
		r = unbar(ctx, args, err);
	if (r == 0)
		r = qb_networkd_reload(ctx->timeout_ms, err);
	/* It holds the .netdev against a link when it is told of that (seen with 252), and a port
	 * waits for that. */
	if (r == 0)
		r = qb_nl_link_announce(sock, ctx->root, qb_arg(args, "bridge"), err);
	json_array_foreach (files, i, file) {
		const struct qb_link *link = link_of(net, args, i);
		const char *path = qb_arg(file, "path");
		_cleanup_free_ char *run = provisional(path);

		if (r == 0 && link)
			r = qb_networkd_wait(ctx->root, link, ctx->provisional ? run : path,
					     &words[i], ctx->timeout_ms, err);
	}
	return r;
}

/*
 * Else the ports would leave the bridge, and ask for addresses, as their own units say; and to the
 * bridge a unit that is for any link may apply.
 */
static void disown(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		   const json_t *before)
{
	const json_t *port;
	size_t i;

	if (qb_net_link(net, qb_arg(args, "bridge")))
		(void)!qb_networkd_bar(ctx->root, QB_TAP_NAME, NULL);
	json_array_foreach (json_object_get(args, "ports"), i, port) {
		const struct qb_link *l = qb_net_link(net, json_string_value(port));

		if (l && qb_streq(l->master, qb_arg(args, "bridge")) &&
		    !qb_persist_is_owned(before, l->name))
			(void)!qb_networkd_bar(ctx->root, l->name, NULL);
	}
	if (qb_net_link(net, qb_arg(args, "bridge")) &&
	    !qb_persist_is_owned(before, qb_arg(args, "bridge")))
		(void)!qb_networkd_bar(ctx->root, qb_arg(args, "bridge"), NULL);
}

/* With its unit the bridge would lose what it had by it, which is still to go back to the NIC. */
static int let_go(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		  const json_t *before, struct qb_error *err)
{
	const struct qb_link *bridge = qb_net_link(net, qb_arg(args, "bridge"));
	_cleanup_child_ struct qb_child holding = QB_CHILD_INIT;
	_cleanup_free_ char *unit = unit_of_bridge(args);
	unsigned timeout_ms = qb_owner_brief_ms(ctx);
	bool stays = json_is_string(json_object_get(json_object_get(before, "files"), unit));
	struct qb_networkd_word word = {0};
	int r = bridge ? qb_hold_begin(net, bridge->name, &holding, err) : 0;

	if (bridge)
		word = qb_networkd_word(ctx->root, bridge);
	if (r == 0)
		r = qb_networkd_reload(timeout_ms, err);
	if (r == 0 && bridge)
		r = qb_networkd_wait(ctx->root, bridge, stays ? unit : NULL, stays ? &word : NULL,
				     timeout_ms, err);
	if (r == 0 && bridge)
		r = qb_hold_end(net, bridge->name, &holding, err);
	return r;
}

const struct qb_persist_owner qb_persist_networkd = {
	.mode = 0644, /* it runs as a user of its own */
	.runs = runs,
	.provisional = provisional,
	.owns = owns,
	.take = take,
	.answers = qb_networkd_answers,
	.is_held = is_held,
	.disown = disown,
	.let_go = let_go,
};
