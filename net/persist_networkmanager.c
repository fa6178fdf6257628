/* SPDX-License-Identifier: Apache-2.0 */
#include "net/persist_owner.h"

#include <errno.h>

#include "net/bridge_owner.h"
#include "net/nm.h"

static bool runs(const struct qb_net *net)
{
	return net->networkmanager_running;
}

static char *provisional(const char *path)
{
	return qb_asprintf("/run%s", path + strlen("/etc"));
}

/* The value of the first line "uuid=" of a profile. */
static char *uuid_of(const char *text)
{
	const char *at = text ? strstr(text, "\nuuid=") : NULL;

	if (!at)
		return NULL;
	at += strlen("\nuuid=");
	return qb_strndup(at, strcspn(at, "\n"));
}

static int owns(const struct qb_step_ctx *ctx, const struct qb_net *net, const char *link,
		const json_t *before, bool *ret, struct qb_error *err)
{
	_cleanup_free_ char *active = NULL;
	const char *path;
	json_t *text;
	int r = qb_nm_profile(link, ctx->timeout_ms, &active, err);

	(void)net;
	*ret = false;
	if (r < 0)
		return r;
	json_object_foreach (json_object_get(before, "files"), path, text) {
		_cleanup_free_ char *uuid = uuid_of(json_string_value(text));

		*ret |= active && qb_streq(uuid, active);
	}
	return 0;
}

static int reload(const struct qb_step_ctx *ctx, const json_t *args, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs paths = {0};
	const json_t *file;
	size_t i;

	json_array_foreach (json_object_get(args, "files"), i, file) {
		_cleanup_free_ char *run = provisional(qb_arg(file, "path"));

		qb_strs_add(&paths, qb_arg(file, "path"));
		qb_strs_add(&paths, run);
	}
	return qb_nm_load(&paths, ctx->timeout_ms, err);
}

static int take(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		struct qb_error *err)
{
	const json_t *file = json_array_get(json_object_get(args, "files"), 0), *port;
	_cleanup_free_ char *uuid = uuid_of(qb_arg(file, "text"));
	_cleanup_strs_ struct qb_strs ports = {0};
	int r = reload(ctx, args, err);
	size_t i;

	(void)net;
	if (r < 0 || !uuid)
		return r;
	json_array_foreach (json_object_get(args, "ports"), i, port)
		qb_strs_add(&ports, json_string_value(port));
	return qb_nm_take(qb_arg(args, "bridge"), &ports, uuid, ctx->timeout_ms, err);
}

static int knows(const struct qb_step_ctx *ctx, const char *text, struct qb_error *err)
{
	_cleanup_free_ char *uuid = uuid_of(text);

	return uuid ? qb_nm_knows(uuid, ctx->timeout_ms, err) : 0;
}

static bool names(const json_t *list, const char *link)
{
	const json_t *name;
	size_t i;

	json_array_foreach (list, i, name)
		if (qb_streq(json_string_value(name), link))
			return true;
	return false;
}

/*
 * With its profile a link goes, and with it the host's addresses, and a port leaves; or they come
 * again. It, its ports and the NICs of those are NetworkManager's no more before that. They may be
 * gone by now. NetworkManager that hangs is asked once.
 */
static void disown(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		   const json_t *before)
{
	const json_t *ports = json_object_get(args, "ports");
	const char *bridge = qb_arg(args, "bridge");
	unsigned timeout_ms = qb_owner_brief_ms(ctx);
	int r = 0;

	/* Not there since a boot: its ports have their own profiles again. */
	if (!qb_net_link(net, bridge) ||
	    (!json_object_get(before, "owned") && qb_persist_was_there(before)))
		return;
	for (size_t i = 0; i < net->n_links && r != -ETIMEDOUT; i++) {
		const struct qb_link *l = &net->links[i];

		if ((names(ports, l->name) || (l->master && names(ports, l->master))) &&
		    !qb_persist_is_owned(before, l->name))
			r = qb_nm_set_managed(l->name, false, timeout_ms, NULL);
	}
	if (r != -ETIMEDOUT && !qb_persist_is_owned(before, bridge))
		(void)!qb_nm_set_managed(bridge, false, timeout_ms, NULL);
}

static int let_go(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		  const json_t *before, struct qb_error *err)
{
	(void)net;
	(void)before;
	return reload(ctx, args, err);
}

const struct qb_persist_owner qb_persist_networkmanager = {
	.mode = 0600, /* it ignores one that others can read */
	.runs = runs,
	.provisional = provisional,
	.owns = owns,
	.reload = reload,
	.take = take,
	.knows = knows,
	.disown = disown,
	.let_go = let_go,
};
