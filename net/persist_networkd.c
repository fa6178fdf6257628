/* SPDX-License-Identifier: Apache-2.0 */
#include "net/persist_owner.h"

#include "net/bridge_owner.h"
#include "net/hold.h"
#include "net/networkd.h"
#include "net/nl_made.h"
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

/* An undoing that ended here left its ports barred: what they are to be is said by files now. */
static int reload(const struct qb_step_ctx *ctx, const json_t *args, struct qb_error *err)
{
	int r = qb_networkd_unbar(ctx->root, qb_arg(args, "bridge"), err);
	const json_t *port;
	size_t i;

	json_array_foreach (json_object_get(args, "ports"), i, port)
		if (r == 0)
			r = qb_networkd_unbar(ctx->root, json_string_value(port), err);
	return r < 0 ? r : qb_networkd_reload(ctx->timeout_ms, err);
}

static char *unit_of_bridge(const json_t *args)
{
	return qb_asprintf(QB_UNITS "/" QB_UNIT_PREFIX "%s.network", qb_arg(args, "bridge"));
}

static bool is_network(const char *path)
{
	return qb_endswith(path, ".network");
}

/* The units of the ports are the first, in their order. */
static int take(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		struct qb_error *err)
{
	const json_t *files = json_object_get(args, "files"), *file;
	const json_t *ports = json_object_get(args, "ports");
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	size_t i;
	int r = qb_nl_open(&sock, err);

	/* It holds the .netdev against a link when it is told of that (seen with 252), and a port
	 * waits for that. */
	if (r == 0)
		r = qb_nl_link_announce(sock, ctx->root, qb_arg(args, "bridge"), err);
	json_array_foreach (files, i, file) {
		const char *path = qb_arg(file, "path");
		const char *name = i < json_array_size(ports)
					   ? json_string_value(json_array_get(ports, i))
					   : qb_arg(args, "bridge");
		_cleanup_free_ char *run = provisional(path);
		const struct qb_link *l = qb_net_link(net, name);

		if (r == 0 && l && is_network(path) && qb_arg(file, "text"))
			r = qb_networkd_wait(ctx->root, l, ctx->provisional ? run : path,
					     ctx->timeout_ms, err);
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
	int r = bridge ? qb_hold_begin(net, bridge->name, &holding, err) : 0;

	if (r == 0)
		r = qb_networkd_reload(timeout_ms, err);
	if (r == 0 && bridge)
		r = qb_networkd_wait(ctx->root, bridge, stays ? unit : NULL, timeout_ms, err);
	if (r == 0 && bridge)
		r = qb_hold_end(net, bridge->name, &holding, err);
	return r;
}

const struct qb_persist_owner qb_persist_networkd = {
	.mode = 0644, /* it runs as a user of its own */
	.keeps_provisional = true,
	.runs = runs,
	.provisional = provisional,
	.owns = owns,
	.reload = reload,
	.take = take,
	.disown = disown,
	.let_go = let_go,
};
