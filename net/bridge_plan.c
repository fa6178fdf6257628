/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bridge.h"

#include <linux/if_addr.h>

#include "agent/base/uuid.h"
#include "net/bound.h"
#include "net/drift.h"
#include "net/move.h"
#include "net/names.h"
#include "net/persist.h"
#include "net/vlans.h"

/* Of each link of the snapshot the bridge that a step gives it to; NULL: none does. */
struct claims {
	const struct qb_link *links;
	const char **bridges;
};

static const char **claim_of(const struct claims *claims, const struct qb_link *port)
{
	return &claims->bridges[port - claims->links];
}

/* What earlier steps make ports of something, bonds of theirs. */
static void claim_of_steps(const struct qb_net *net, const struct claims *claims,
			   const struct qb_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		const json_t *port;
		size_t j;

		if (strcmp(plan->steps[i].kind, "net.link") != 0)
			continue;
		json_array_foreach (json_object_get(plan->steps[i].args, "ports"), j, port) {
			const char *name = json_string_value(json_object_get(port, "name"));
			const struct qb_link *link = qb_net_link(net, name);

			if (link)
				*claim_of(claims, link) = plan->steps[i].target;
		}
	}
}

/* The newest that an earlier run did to it, or began to. */
static const struct qb_ledger_entry *newest_of(const struct qb_ledger *ledger, const char *name,
					       const char *kind)
{
	const struct qb_ledger_entry *e = NULL;

	while ((e = qb_ledger_newest(ledger, name, e)))
		if (!strcmp(e->kind, kind))
			break;
	return e;
}

static const struct qb_ledger_entry *newest(const struct qb_ledger *ledger, const char *name)
{
	return newest_of(ledger, name, "net.bridge");
}

/* It made the bridge, and is not known to have been completed. */
static bool was_broken_off(const struct qb_ledger_entry *e)
{
	return e && !e->done && json_is_false(json_object_get(e->before, "existed"));
}

static const char *zone_of(const struct qb_net *net, const char *name)
{
	const struct qb_link *link = qb_net_link(net, name);
	size_t len = strlen(name);

	if (link && link->zone)
		return link->zone;
	for (size_t i = 0; i < net->zones.n; i++)
		if (!strncmp(net->zones.v[i], name, len) && net->zones.v[i][len] == ' ')
			return net->zones.v[i] + len + 1;
	return net->default_zone;
}

/* Of a port only its bridge's zone counts, into which its profile puts the bridge. */
static void refuse_zone(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan)
{
	const struct qb_link *source = qb_net_link(net, move->source);
	const char *zone, *other;

	if (!net->firewalld || !source || qb_streq(source->master, move->bridge) ||
	    (net->networkmanager_running && qb_bridge_is_taken(net, move)))
		return;
	zone = zone_of(net, source->name);
	other = zone_of(net, move->bridge);
	if (!qb_streq(zone, other))
		qb_plan_refuse(plan, move->bridge, "firewall-zone",
			       "%s is in firewalld's zone %s, and %s would be in %s; put it into "
			       "the same one first, which may be done before it is there: "
			       "firewall-cmd --zone=%s --change-interface=%s && firewall-cmd "
			       "--permanent --zone=%s --change-interface=%s. What was changed "
			       "without --permanent is in no file, and firewall-cmd "
			       "--get-zone-of-interface=%s says it",
			       source->name, zone, move->bridge, other, zone, move->bridge, zone,
			       move->bridge, source->name);
}

/* What a boot leaves of it, where no other program makes it again. */
static const char *how_long(const struct qb_net *net, const struct qb_move *move)
{
	if (qb_net_keeper(net) != QB_KEEPER_AGENT)
		return "";
	if (!net->boot_unit)
		return "; it lasts until the next boot, and for good after systemctl enable "
		       "qubi-agent-network.service";
	return move->n_nexthops ? "; at each boot qubi-agent-network.service makes it again, "
				  "without the routes of nexthop objects"
				: "; at each boot qubi-agent-network.service makes it again";
}

static void describe_step(const struct qb_net *net, const struct qb_move *move,
			  struct qb_step *step)
{
	_cleanup_strs_ struct qb_strs ports = {0};
	_cleanup_strs_ struct qb_strs addresses = {0};
	_cleanup_free_ char *port_list = NULL, *address_list = NULL;
	const struct qb_link *there = qb_net_link(net, move->bridge);
	size_t n_in = 0;

	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		qb_strs_add(&ports, move->ports[i].name);
		n_in += there && port && qb_streq(port->master, move->bridge);
	}
	for (size_t i = 0; i < move->n_add; i++)
		if (!qb_ip_is_link_local(move->add[i].address))
			qb_strs_add(&addresses, move->add[i].address);
	port_list = ports.n ? qb_strs_sentence(&ports) : qb_strdup("without a port");
	address_list = addresses.n ? qb_strs_sentence(&addresses) : qb_strdup("no address");
	if (there && n_in == move->n_ports && !move->n_add && !move->n_add_routes) {
		qb_step_why(step, "the bridge is there, and not as wanted; its ports stay");
		return;
	}
	qb_step_why(step, "%s: %s%s%s, with %s and %zu route%s%s",
		    there ? "the bridge is not as wanted" : "there is no such bridge",
		    ports.n ? "put " : "make it, ", port_list, ports.n ? " under it" : "",
		    address_list, move->n_add_routes, move->n_add_routes == 1 ? "" : "s",
		    how_long(net, move));
}

static void refuse_pair(const struct qb_link *a, const struct qb_link *b, const char *name,
			struct qb_plan *plan)
{
	if (a == b)
		qb_plan_refuse(plan, name, "claimed", "two of its ports name %s", a->name);
	/* A frame for all would come back by the other one. */
	if (a->lower_ifindex == b->ifindex || b->lower_ifindex == a->ifindex)
		qb_plan_refuse(plan, name, "claimed",
			       "of its ports %s and %s one stands on the other", a->name, b->name);
}

/* The ports that the configuration names; refusals are in plan. */
static size_t plan_ports(const struct qb_net *net, const struct qb_bridge_config *config,
			 const struct qb_ledger *ledger, const struct claims *claims,
			 struct qb_plan *plan, const struct qb_link **ports)
{
	size_t n = 0;

	for (size_t i = 0; i < config->n_ports; i++) {
		const struct qb_link *port =
			qb_port_plan(net, config, &config->ports[i], ledger, plan);
		const char *other;

		if (!port)
			continue;
		other = *claim_of(claims, port);
		if (other && strcmp(other, config->name) != 0)
			qb_plan_refuse(plan, config->name, "claimed", "%s is to be a port of %s",
				       port->name, other);
		for (size_t j = 0; j < n; j++)
			refuse_pair(ports[j], port, config->name, plan);
		qb_port_judge(net, port, config->name, plan);
		ports[n++] = port;
	}
	return n;
}

/* Of the ports that are there only those that an earlier run put there are asked for. */
static void refuse_dropped(const struct qb_net *net, const struct qb_bridge_config *config,
			   const struct qb_ledger *ledger, const struct qb_link *const *ports,
			   size_t n_ports, struct qb_plan *plan)
{
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, config->name, l));) {
		_cleanup_free_ char *way_out = NULL;
		bool named = false;

		for (size_t i = 0; i < n_ports; i++)
			named |= ports[i] == l;
		if (named || !qb_bound_put(ledger, config->name, l))
			continue;
		way_out = qb_keyfile_way_out(net, config->name, l);
		qb_plan_refuse(plan, config->name, "has-port",
			       "%s is a port of %s since an earlier run, and the configuration "
			       "does not name it any more; taking it out is not implemented: %s",
			       l->name, config->name, way_out);
	}
}

static void refuse_size(const struct qb_move *move, struct qb_plan *plan)
{
	size_t routes = move->n_add_routes + move->n_drop_routes;
	size_t rules = 2 * move->n_rules + move->n_nexthops;
	size_t addresses = 2 * (move->n_add + move->n_drop); /* an IPv6 one is settled, too */

	if (routes + rules + addresses > QB_MOVE_MAX)
		qb_plan_refuse(plan, move->bridge, "unsupported",
			       "%s has %zu routes and %zu addresses: more than can change over at "
			       "once",
			       move->source, move->n_drop_routes, move->n_drop);
}

/* One that others made is known by its hardware from the first run on that found it as wanted. */
static void adopt(const struct qb_bridge_config *config, const struct qb_ledger *ledger,
		  const struct qb_move *move, struct qb_plan *plan)
{
	json_auto_t *all = NULL;
	bool known = true;

	for (size_t i = 0; i < config->n_ports; i++)
		known &= qb_bound_port(ledger, config, &config->ports[i]) != NULL;
	if (known)
		return;
	all = qb_move_to_json(move);
	/* Its MAC and MTU are its owner's to say, also later. */
	qb_plan_adopt(plan, move->bridge,
		      json_pack("{s:s, s:O}", "bridge", move->bridge, "ports",
				json_object_get(all, "ports")));
}

/* Nothing on the host is to change, but what is remembered of it. */
static void plan_binding(const struct qb_move *move, struct qb_plan *plan)
{
	json_auto_t *all = qb_move_to_json(move);
	_cleanup_strs_ struct qb_strs ports = {0};
	_cleanup_free_ char *list = NULL;

	for (size_t i = 0; i < move->n_ports; i++)
		qb_strs_addf(&ports, "%s (%s)", move->ports[i].name, move->ports[i].match);
	list = qb_strs_sentence(&ports);
	qb_step_why(qb_plan_step(plan, "net.bind", QB_UNDO_EXACT,
				 json_pack("{s:s, s:O*, s:O*, s:O*}", "bridge", move->bridge, "mac",
					   json_object_get(all, "mac"), "mtu",
					   json_object_get(all, "mtu"), "ports",
					   json_object_get(all, "ports")),
				 move->bridge),
		    "its hardware changed, and its ports are as wanted: note that they are %s",
		    list);
}

/* Locally administered, and the same each time: guests and their neighbours know it by that. */
static char *derive_mac(const char *machine_id, const char *bridge)
{
	const char *parts[] = {"bridge", machine_id, bridge, NULL};
	char uuid[QB_UUID_LEN];
	unsigned first;

	qb_uuid5(parts, uuid);
	/* xxxxxxxx-xxxx: 48 bits of the hash, of which two say what kind of MAC it is. */
	first = ((unsigned)strtoul((char[]){uuid[0], uuid[1], '\0'}, NULL, 16) & 0xfc) | 2;
	return qb_asprintf("%02x:%.2s:%.2s:%.2s:%.2s:%.2s", first, uuid + 2, uuid + 4, uuid + 6,
			   uuid + 9, uuid + 11);
}

/* What a port would bring along, where there is none. */
static void plan_portless(const struct qb_net *net, const struct qb_bridge_config *config,
			  const char *machine_id, struct qb_plan *plan, struct qb_move *move)
{
	_cleanup_free_ char *mac = NULL;

	for (const struct qb_link *l = NULL; (l = qb_net_port(net, config->name, l));) {
		_cleanup_free_ char *way_out = qb_keyfile_way_out(net, config->name, l);

		if (qb_link_is_uplink(l))
			qb_plan_refuse(plan, config->name, "has-port",
				       "it is to have no port and has %s; taking it out is not "
				       "implemented: %s",
				       l->name, way_out);
	}
	mac = machine_id ? derive_mac(machine_id, config->name) : NULL;
	qb_strset(&move->mac, mac);
	if (!mac)
		qb_plan_refuse(plan, config->name, "unknown",
			       "there is no machine-id, of which its MAC address is made");
}

/*
 * Every host of a network has one (RFC 4291), by which it also tells switches what it listens to.
 * What becomes a port of a bridge made anew has brought it along, if it has one.
 */
static void plan_link_local(const struct qb_link *there, const struct qb_bridge_config *config,
			    struct qb_move *move)
{
	_cleanup_free_ char *address = qb_ip_link_local(move->mac);
	struct qb_address *a;

	for (size_t i = 0; i < move->n_add; i++)
		if (qb_ip_is_link_local(move->add[i].address))
			return;
	if (config->ipv6.mode != QB_IP_STATIC || !address || (there && !move->broken_off))
		return;
	a = QB_APPEND(move->add, move->n_add);
	a->address = QB_TAKE_PTR(address);
	a->scope = qb_strdup("link");
	a->flags = IFA_F_PERMANENT;
	a->valid_s = a->preferred_s = UINT32_MAX;
}

/* A bridge made anew, with NICs that have no address and carry nothing: it may be one of many. */
static bool is_apart(const struct qb_net *net, const struct qb_move *move)
{
	if (qb_net_link(net, move->bridge) || move->n_add_routes || move->n_drop_routes)
		return false;
	for (size_t i = 0; i < move->n_add; i++)
		if (!qb_ip_is_link_local(move->add[i].address))
			return false;
	for (size_t i = 0; i < move->n_drop; i++)
		if (!qb_ip_is_link_local(move->drop[i].address))
			return false;
	for (size_t i = 0; i < move->n_ports; i++) {
		const int64_t port = move->ports[i].ifindex;

		for (const struct qb_link *l = NULL; (l = qb_net_upper(net, port, l));)
			if (!qb_streq(l->kind, "veth"))
				return false;
	}
	return true;
}

static void plan_one(const struct qb_net *net, const struct qb_bridge_config *config,
		     const char *machine_id, const struct qb_ledger *ledger,
		     const struct claims *claims, struct qb_plan *plan)
{
	_cleanup_free_ const struct qb_link **ports =
		qb_alloc(config->n_ports + 1, sizeof(const struct qb_link *));
	const struct qb_link *there = qb_net_link(net, config->name);
	const struct qb_ledger_entry *kept = newest_of(ledger, config->name, "net.persist");
	_cleanup_move_ struct qb_move move = {0};
	struct qb_step *step;
	size_t n_ports, n_changes = plan->n_changes;
	bool done;

	if (there && !qb_streq(there->kind, "bridge"))
		qb_plan_refuse(plan, config->name, "name-taken",
			       "%s is there and is %s%s, not a bridge", config->name,
			       there->kind ? "a " : "", there->kind ? there->kind : "a NIC");
	n_ports = plan_ports(net, config, ledger, claims, plan, ports);
	/* Else which of those that are there is meant is not known. */
	if (n_ports && n_ports == config->n_ports)
		refuse_dropped(net, config, ledger, ports, n_ports, plan);
	qb_move_plan(net, config, ports, n_ports, plan, &move);
	if (!config->n_ports)
		plan_portless(net, config, machine_id, plan, &move);
	qb_bound_identity(net, ledger, plan, n_changes, &move);
	move.broken_off = there && was_broken_off(newest(ledger, config->name));
	plan_link_local(there, config, &move);
	qb_vlans_plan(net, config, plan, &move);
	refuse_size(&move, plan);
	refuse_zone(net, &move, plan);
	qb_persist_refuse(net, &move, plan);
	if (qb_plan_refuses(plan, config->name))
		return;
	done = qb_move_is_done(net, &move) && qb_vlans_are(net, &move);
	move.apart = is_apart(net, &move);
	if (!done) {
		step = qb_plan_step(plan, "net.bridge", QB_UNDO_EXACT, qb_move_to_json(&move),
				    config->name);
		qb_step_differences(step, qb_bridge_differences(net, &move));
		describe_step(net, &move, step);
	} else if (plan->n_changes > n_changes) {
		plan_binding(&move, plan);
	} else if (!newest(ledger, config->name)) {
		adopt(config, ledger, &move, plan);
	}
	for (size_t i = 0; (!done || plan->n_changes > n_changes) && i < n_ports; i++)
		*claim_of(claims, ports[i]) = config->name;
	qb_persist_plan(net, config, &move, !done || newest(ledger, config->name),
			kept ? kept->args : NULL, plan);
}

/* Where there is no port there is nothing to inherit. */
static void inherit_nothing(struct qb_ip_config *ip)
{
	if (ip->mode == QB_IP_INHERIT)
		ip->mode = QB_IP_NONE;
}

void qb_bridge_plan(const struct qb_net *net, const struct qb_bridge_config *bridges,
		    size_t n_bridges, const char *machine_id, const struct qb_ledger *ledger,
		    struct qb_plan *plan)
{
	_cleanup_free_ const char **of = qb_alloc(net->n_links + 1, sizeof(const char *));
	const struct claims claims = {net->links, of};

	claim_of_steps(net, &claims, plan);
	if (qb_is(&net->known))
		qb_bound_forget(net, bridges, n_bridges, ledger, plan);
	for (size_t i = 0; i < n_bridges; i++) {
		struct qb_bridge_config config = bridges[i];

		if (!config.n_ports) {
			inherit_nothing(&config.ipv4);
			inherit_nothing(&config.ipv6);
		}
		if (qb_is(&net->known))
			plan_one(net, &config, machine_id, ledger, &claims, plan);
		else
			qb_plan_refuse(plan, bridges[i].name, "unknown",
				       "links and routes could not be read: %s",
				       net->known.why ? net->known.why : "nobody looked");
	}
}
