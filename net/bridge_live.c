/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bridge_state.h"

#include <errno.h>

#include "net/names.h"

static bool has_family(const struct qb_link *link, const char *family)
{
	for (size_t i = 0; link && i < link->n_addresses; i++) {
		const char *address = link->addresses[i].address;

		if (!qb_ip_is_link_local(address) && qb_streq(qb_ip_family(address), family))
			return true;
	}
	return false;
}

json_t *qb_bridge_state_live(const struct qb_net *net, const char *bridge)
{
	static const char *const families[] = {"inet", "inet6"};
	json_t *ports = json_array(), *has = json_array();

	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge, l));)
		json_array_append_new(ports, json_string(l->name));
	for (size_t i = 0; i < QB_ARRAY_SIZE(families); i++)
		if (has_family(qb_net_link(net, bridge), families[i]))
			json_array_append_new(has, json_string(families[i]));
	return json_pack("{s:o, s:o}", "ports", ports, "families", has);
}

int qb_bridge_state_lives(const struct qb_net *net, const char *bridge, const json_t *live,
			  struct qb_error *err)
{
	const struct qb_link *link = qb_net_link(net, bridge);
	const json_t *word;
	size_t i;

	if (!link || !link->up)
		return qb_error_set(err, EIO, "%s is not up", bridge);
	json_array_foreach (json_object_get(live, "ports"), i, word) {
		const struct qb_link *port = qb_net_link(net, json_string_value(word));

		if (!port || !port->up || !qb_streq(port->master, bridge))
			return qb_error_set(err, EIO, "%s is not a port of %s any more",
					    json_string_value(word), bridge);
	}
	json_array_foreach (json_object_get(live, "families"), i, word) {
		if (!has_family(link, json_string_value(word)))
			return qb_error_set(err, EIO, "%s has no %s address any more", bridge,
					    json_string_value(word));
	}
	return 0;
}
