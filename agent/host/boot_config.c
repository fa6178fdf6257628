/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/plan.h"

#include <errno.h>

/* What of the configuration is not kept by anybody else, and the step that makes it. */
static const struct {
	const char *key, *kind;
} parts[] = {{"bonds", "net.link"}, {"vlans", "net.link"}, {"bridges", "net.bridge"}};

/* What stands for a key that is not there is nothing that somebody could have written. */
static void drop_defaults(json_t *bridges)
{
	json_t *bridge, *port;
	size_t i, j;

	json_array_foreach (bridges, i, bridge) {
		if (!json_integer_value(json_object_get(bridge, "pvid")))
			json_object_del(bridge, "pvid");
		json_array_foreach (json_object_get(bridge, "ports"), j, port)
			if (json_integer_value(json_object_get(port, "pvid")) < 0)
				json_object_del(port, "pvid");
	}
}

json_t *qb_boot_part(const struct qb_config *config)
{
	json_auto_t *all = qb_schema_to_json(&qb_config_type, config);
	json_t *part = json_pack("{s:O}", "version", json_object_get(all, "version"));

	drop_defaults(json_object_get(all, "bridges"));
	for (size_t i = 0; i < QB_ARRAY_SIZE(parts); i++)
		json_object_set(part, parts[i].key, json_object_get(all, parts[i].key));
	return part;
}

/* The newest that a run did to it; NULL: none made it. */
static const struct qb_ledger_entry *find_made(const struct qb_ledger *ledger, const char *name,
					       const char *kind)
{
	const struct qb_ledger_entry *e = NULL;

	while ((e = qb_ledger_newest(ledger, name, e)))
		if (e->done && !strcmp(e->kind, kind))
			break;
	return e;
}

/*
 * What a VLAN stands on was answered when it was made: after a boot another link may have that
 * name, or the default route, or none. A card is known by its own MAC. A new reference.
 */
static json_t *answered(json_t *item, const struct qb_ledger_entry *e)
{
	const json_t *lower = json_array_get(json_object_get(e->before, "ports"), 0);
	const char *permanent = qb_arg(lower, "permanent_mac"), *kind = qb_arg(lower, "kind");
	const char *mac = permanent ? permanent : qb_arg(lower, "mac");
	bool card = mac && (!kind || !strcmp(kind, "veth"));
	json_t *copy;

	if (!lower || !json_object_get(item, "link"))
		return json_incref(item);
	copy = json_copy(item);
	json_object_set_new(copy, "link",
			    card ? json_pack("{s:s}", "mac", mac)
				 : json_pack("{s:s*}", "name", qb_arg(lower, "name")));
	return copy;
}

int qb_boot_config(const struct qb_ledger *ledger, struct qb_config *ret, struct qb_error *err)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	json_auto_t *made = json_object();
	json_t *item;
	size_t j;

	*ret = (struct qb_config){0};
	if (!ledger->config)
		return 0;
	json_object_set(made, "version", json_object_get(ledger->config, "version"));
	for (size_t i = 0; i < QB_ARRAY_SIZE(parts); i++) {
		json_t *list = json_array();

		json_array_foreach (json_object_get(ledger->config, parts[i].key), j, item) {
			const char *name = qb_arg(item, "name");

			const struct qb_ledger_entry *e =
				name ? find_made(ledger, name, parts[i].kind) : NULL;

			if (e)
				json_array_append_new(list, answered(item, e));
		}
		json_object_set_new(made, parts[i].key, list);
	}
	if (qb_schema_load_json(&qb_config_type, made, 0, ret, &diags) == 0)
		return 0;
	qb_config_done(ret);
	return qb_error_set(err, EBADMSG,
			    "the journal's configuration cannot be read: %s; run qubi-agent apply",
			    diags.n ? diags.v[0].msg : "damaged");
}
