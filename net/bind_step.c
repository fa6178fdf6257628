/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step net.bind changes nothing on the host. That it is in the journal is what it does: from then
 * on the ports of a bridge are known by this hardware.
 */
#include "net/bridge.h"

#include <errno.h>

#include "net/probe.h"

static int check(const struct qb_step_ctx *ctx, const json_t *args, struct qb_error *err)
{
	_cleanup_net_ struct qb_net net = {0};
	const json_t *port;
	size_t i;
	int r = qb_net_probe_known(ctx->root, &net, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(args, "ports"), i, port) {
		const struct qb_link *is = qb_net_link(&net, qb_arg(port, "name"));

		if (!is || !qb_streq(is->mac, qb_arg(port, "mac")) ||
		    !qb_streq(is->master, qb_arg(args, "bridge")))
			return qb_error_set(err, ESTALE, "%s is not the port it was when planned",
					    qb_arg(port, "name"));
	}
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	int r = check(ctx, args, err);

	if (r < 0)
		return r;
	*ret = QB_OBSERVED_NEEDED;
	*ret_before = json_object();
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	(void)ctx, (void)args, (void)before, (void)err;
	return 0;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	(void)before;
	return check(ctx, args, err);
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	(void)ctx, (void)args, (void)before, (void)err;
	return 0;
}

const struct qb_step_kind qb_bridge_bind_step = {
	.kind = "net.bind",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
