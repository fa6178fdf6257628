/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bridge_state.h"

#include <errno.h>
#include <linux/if_addr.h>

#include "net/names.h"

/* A temporary one is the kernel's to replace. */
static bool is_kept(const struct qb_address *a)
{
	return !qb_ip_is_link_local(a->address) &&
	       !(!strcmp(qb_ip_family(a->address), "inet6") && (a->flags & IFA_F_TEMPORARY));
}

json_t *qb_bridge_state_live(const struct qb_net *net, const char *bridge)
{
	const struct qb_link *link = qb_net_link(net, bridge);
	json_t *ports = json_array(), *addresses = json_array();

	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge, l));)
		json_array_append_new(ports, json_string(l->name));
	for (size_t i = 0; link && i < link->n_addresses; i++)
		if (is_kept(&link->addresses[i]))
			json_array_append_new(addresses, json_string(link->addresses[i].address));
	return json_pack("{s:o, s:o}", "ports", ports, "addresses", addresses);
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
	json_array_foreach (json_object_get(live, "addresses"), i, word) {
		if (!qb_link_address(link, json_string_value(word)))
			return qb_error_set(err, EIO, "%s does not have %s any more", bridge,
					    json_string_value(word));
	}
	return 0;
}
