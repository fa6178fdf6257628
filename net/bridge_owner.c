/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bridge_owner.h"

#include "net/nm.h"

#define BRIEF_MS 2000
#define GIVE_BACK_MS 10000

int qb_owner_note(const struct qb_step_ctx *ctx, const struct qb_net *net,
		  const struct qb_move *move, json_t *before, struct qb_error *err)
{
	json_object_set_new(before, "profiles", json_object());
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

void qb_owner_give_back(const struct qb_step_ctx *ctx, const struct qb_move *move,
			const json_t *before)
{
	unsigned timeout_ms = ctx->timeout_ms < GIVE_BACK_MS ? ctx->timeout_ms : GIVE_BACK_MS;
	const char *link;
	json_t *uuid;

	json_object_foreach (json_object_get(before, "profiles"), link, uuid)
		if (!is_bond(move, link))
			(void)!qb_nm_take(link, NULL, json_string_value(uuid), timeout_ms, NULL);
}
