/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_plan.h"

#include <linux/rtnetlink.h>

#include "agent/host/config_valid.h"
#include "agent/host/libvirt_network.h"
#include "agent/host/libvirt_parse.h"
#include "agent/host/libvirt_xml.h"

enum {
	SHOWN_MAX = 4, /* items of a list in a sentence; the step's arguments have all */
};

/* A network that the configuration names, with what libvirt has under that name. */
struct network {
	const struct qb_facts *facts;
	const char *name;
	char *target;  /* of the plan */
	char *xml;     /* as it is made where there is none */
	char *what;    /* the same for a person */
	unsigned keys; /* that the configuration gives */
	bool autostart;
	struct qb_vir_definition wanted;
	const struct qb_vir_network *is; /* NULL: none */
	unsigned now, next;              /* which of the keys differ */
	unsigned fixed;                  /* of now: those that want a restart */
};

static void network_done(struct network *n)
{
	free(n->target);
	free(n->xml);
	free(n->what);
	qb_schema_done(&qb_vir_definition_type, &n->wanted);
}

#define _cleanup_network_ QB_CLEANUP(network_done)

static void add_user(struct qb_strs *users, const char *name)
{
	if (!qb_strs_has(users, name))
		qb_strs_add(users, name);
}

/*
 * Who would lose the network: running guests, by name, and links on its bridge that are nobody's.
 * A bridge of the host's outlives the network: those on it by themselves lose nothing.
 */
static void users_of(const struct network *n, struct qb_strs *ret)
{
	const struct qb_libvirt_facts *v = &n->facts->libvirt;
	const char *bridge = qb_streq(n->is->now.forward, "bridge") ? NULL : n->is->now.bridge;
	_cleanup_strs_ struct qb_strs links = {0};

	for (size_t i = 0; i < v->n_guest_interfaces; i++) {
		const struct qb_vir_nic *nic = &v->guest_interfaces[i];

		if (!qb_streq(nic->network, n->name) && !(bridge && qb_streq(nic->bridge, bridge)))
			continue;
		add_user(ret, nic->domain);
		if (nic->link)
			qb_strs_add(&links, nic->link);
	}
	for (const struct qb_link *link = NULL;
	     (link = qb_net_port(&n->facts->net, bridge, link));) {
		_cleanup_free_ char *text = qb_asprintf("whoever is behind %s", link->name);

		if (!qb_strs_has(&links, link->name) && !qb_network_dummy(bridge, link->name))
			add_user(ret, text);
	}
}

/* "address is 192.0.2.1/24, wanted is 198.51.100.1/24; domain is none, wanted is example.com" */
static char *changes_text(const struct network *n, unsigned keys)
{
	struct qb_buf text = {0};

	for (unsigned key = 1; key <= keys; key <<= 1) {
		bool now = n->now & key;
		const struct qb_vir_definition *is = now ? &n->is->now : &n->is->next;
		_cleanup_free_ char *has = NULL, *wants = NULL;

		if (!(keys & key))
			continue;
		has = qb_network_value(is, &n->wanted, key, SHOWN_MAX);
		wants = qb_network_value(&n->wanted, is, key, SHOWN_MAX);
		qb_buf_printf(&text, "%s%s is %s%s, wanted is %s", text.len ? "; " : "",
			      qb_network_key_name(key), has,
			      now || !n->is->active ? "" : " from its next start on", wants);
	}
	return text.s;
}

static bool refuse_in_use(const struct network *n, struct qb_plan *plan)
{
	_cleanup_strs_ struct qb_strs users = {0};
	_cleanup_free_ char *who = NULL, *changes = NULL;

	if (n->fixed)
		users_of(n, &users);
	if (!users.n)
		return false;
	who = qb_strs_sentence(&users);
	changes = changes_text(n, n->fixed);
	qb_plan_refuse(plan, n->target, "network-in-use",
		       "%s: that wants a restart of the network, which would cut off %s until "
		       "started anew; shut %s down first, or change the configuration",
		       changes, who, users.n == 1 ? "that" : "those");
	return true;
}

/* What somebody made by hand, and what would not fit any more. */
static bool refuse_hosts(const struct network *n, struct qb_plan *plan)
{
	size_t hosts = n->is->next.n_dhcp_hosts;

	if (!qb_network_loses_hosts(&n->is->next, &n->wanted, n->keys))
		return false;
	qb_plan_refuse(plan, n->target, "definition-differs",
		       "address is %s, wanted is %s, and of %zu DHCP host%s that libvirt has the "
		       "configuration says nothing: name in dhcp.hosts what is to become of them",
		       n->is->next.address ? n->is->next.address : "none", n->wanted.address, hosts,
		       hosts == 1 ? "" : "s");
	return true;
}

static bool refuse_bridge(const struct network *n, struct qb_plan *plan)
{
	const char *wanted = n->wanted.bridge, *owner = NULL;
	const struct qb_libvirt_facts *v = &n->facts->libvirt;

	if (!(n->keys & QB_NETWORK_BRIDGE) || qb_streq(n->wanted.forward, "bridge") ||
	    (n->is && qb_streq(n->is->now.bridge, wanted)))
		return false;
	for (size_t i = 0; i < v->n_networks; i++)
		if (&v->networks[i] != n->is && (qb_streq(v->networks[i].now.bridge, wanted) ||
						 qb_streq(v->networks[i].next.bridge, wanted)))
			owner = v->networks[i].name;
	if (owner)
		qb_plan_refuse(plan, n->target, "bridge-in-use",
			       "the bridge %s is that of libvirt's network %s", wanted, owner);
	else if (qb_net_link(&n->facts->net, wanted))
		qb_plan_refuse(plan, n->target, "bridge-in-use",
			       "this host has a link %s already, which is not libvirt's", wanted);
	else
		return false;
	return true;
}

static json_t *changes_json(const struct network *n)
{
	json_t *changes = json_array();

	for (unsigned key = 1; key <= (n->now | n->next); key <<= 1) {
		const struct qb_vir_definition *is = n->now & key ? &n->is->now : &n->is->next;
		_cleanup_free_ char *has = NULL, *wants = NULL;

		if (!((n->now | n->next) & key))
			continue;
		has = qb_network_value(is, &n->wanted, key, SIZE_MAX);
		wants = qb_network_value(&n->wanted, is, key, SIZE_MAX);
		json_array_append_new(changes,
				      json_pack("{s:s, s:s, s:s}", "key", qb_network_key_name(key),
						"is", has, "wanted", wants));
	}
	return changes;
}

/* Nobody could be asked yet: the step finds out whether there is one, and who uses it. */
static bool is_unasked(const struct network *n)
{
	return !n->is && !qb_is(&n->facts->libvirt.connected);
}

static json_t *args_of(const struct network *n)
{
	json_t *keys = json_array();

	for (unsigned key = 1; key <= n->keys; key <<= 1)
		if (n->keys & key)
			json_array_append_new(keys, json_string(qb_network_key_name(key)));
	return json_pack("{s:s, s:s, s:o, s:b, s:b, s:o}", "name", n->name, "xml", n->xml, "keys",
			 keys, "autostart", n->autostart, "restart", n->fixed || is_unasked(n),
			 "changes", n->is ? changes_json(n) : json_array());
}

/* "redefine, start and autostart"; NULL when nothing is to be done. */
static char *doing(const struct network *n)
{
	const struct qb_vir_network *is = n->is;
	_cleanup_strs_ struct qb_strs words = {0};

	if (!is)
		qb_strs_add(&words, "define");
	else if (n->now && !n->fixed)
		qb_strs_add(&words, "change");
	else if (n->now | n->next)
		qb_strs_add(&words, "redefine");
	if (n->fixed)
		qb_strs_add(&words, "restart");
	if (!is || !is->active)
		qb_strs_add(&words, "start");
	if (n->autostart && (!is || !is->autostart))
		qb_strs_add(&words, "autostart");
	if (!n->autostart && is && is->autostart)
		qb_strs_add(&words, "no longer autostart");
	return words.n ? qb_strs_sentence(&words) : NULL;
}

static void plan_step(const struct network *n, struct qb_plan *plan)
{
	_cleanup_free_ char *text = doing(n), *changes = NULL;
	const struct qb_vir_network *is = n->is;
	struct qb_step *step;

	if (!text)
		return;
	step = qb_plan_step(plan, "libvirt.network", QB_UNDO_EXACT, args_of(n), n->target);
	if (!is) {
		qb_step_why(step, "libvirt %s: %s it, %s",
			    is_unasked(n) ? "is to be asked for it" : "has no such object", text,
			    n->what);
	} else if (n->now | n->next) {
		changes = changes_text(n, n->now | n->next);
		qb_step_why(step, "%s: %s it%s", changes, text,
			    n->fixed ? ", which no guest uses"
			    : n->now ? " while it runs"
				     : "");
	} else {
		qb_step_why(step, "libvirt %s: %s it",
			    !is->active    ? "has it, but it is not active"
			    : n->autostart ? "does not start it at boot"
					   : "starts it at boot",
			    text);
	}
}

static void plan_network(struct network *n, struct qb_plan *plan)
{
	bool bad;

	n->is = qb_facts_network(n->facts, n->name);
	bad = n->is && qb_plan_transient(plan, "network", n->name, n->is->persistent);
	if (bad || qb_vir_definition_parse(n->xml, &n->wanted) < 0)
		return;
	bad = refuse_bridge(n, plan);
	if (n->is) {
		/* One that does not run is what it will be started with. */
		n->now = n->is->active ? qb_network_differences(&n->is->now, &n->wanted, n->keys)
				       : 0;
		n->next = qb_network_differences(&n->is->next, &n->wanted, n->keys);
		n->fixed = n->now & ~qb_network_updatable(&n->is->now, n->now);
		bad |= refuse_in_use(n, plan);
		bad |= refuse_hosts(n, plan);
	}
	if (!bad)
		plan_step(n, plan);
}

static void plan_bridge_network(const struct qb_facts *facts, const struct qb_bridge_config *bridge,
				struct qb_plan *plan)
{
	const char *name = bridge->libvirt_network;
	_cleanup_network_ struct network n = {.facts = facts, .name = name, .autostart = true};
	char uuid[QB_UUID_LEN];

	/* A network over a bridge that will not be there would only fail its guests. */
	if (!name || qb_plan_refuses(plan, bridge->name))
		return;
	qb_vir_uuid(facts, "network", name, uuid);
	n.target = qb_asprintf("network %s", name);
	n.what = qb_asprintf("bridged to %s", bridge->name);
	n.xml = qb_network_bridge_xml(name, uuid, bridge->name);
	n.keys = QB_NETWORK_FORWARD | QB_NETWORK_BRIDGE;
	plan_network(&n, plan);
}

/*
 * A route of the host into the subnet: libvirt would not start the network, or the host would not
 * reach what is there. One to a wider network by a gateway does not matter: the narrower one
 * counts.
 */
static bool is_taken(const struct qb_facts *facts, const struct qb_network_config *network,
		     const char *address, const char *target, struct qb_plan *plan)
{
	const struct qb_vir_network *is = qb_facts_network(facts, network->name);
	struct qb_prefix subnet, dst;
	bool taken = false;

	if ((is && is->active && qb_streq(is->now.address, address)) ||
	    !qb_prefix_parse(network->subnet, true, &subnet))
		return false;
	for (size_t i = 0; i < facts->net.n_routes; i++) {
		const struct qb_route *r = &facts->net.routes[i];

		if (r->table != RT_TABLE_MAIN || strcmp(r->family, "inet") != 0 ||
		    !qb_prefix_parse(r->dst, strchr(r->dst, '/'), &dst) ||
		    !qb_prefix_overlaps(&subnet, &dst) ||
		    (r->gateway && dst.length < subnet.length) ||
		    (is && is->now.bridge && qb_streq(r->dev, is->now.bridge)))
			continue;
		qb_plan_refuse(plan, target, "subnet-in-use",
			       "%s is taken: this host has a route to %s by %s; give the network "
			       "another subnet",
			       network->subnet, r->dst, r->dev ? r->dev : "more than one link");
		taken = true;
	}
	return taken;
}

static unsigned keys_of(const struct qb_network_config *n)
{
	unsigned keys = QB_NETWORK_FORWARD;

	keys |= n->bridge ? QB_NETWORK_BRIDGE : 0;
	keys |= n->subnet ? QB_NETWORK_ADDRESS : 0;
	keys |= n->domain.name ? QB_NETWORK_DOMAIN : 0;
	keys |= n->domain.local_only.state != QB_UNKNOWN ? QB_NETWORK_LOCAL_ONLY : 0;
	keys |= n->dns.has_forwarders ? QB_NETWORK_FORWARDERS : 0;
	keys |= n->dns.has_hosts ? QB_NETWORK_RECORDS : 0;
	keys |= n->dhcp.has_ranges ? QB_NETWORK_RANGES : 0;
	keys |= n->dhcp.has_hosts ? QB_NETWORK_HOSTS : 0;
	return keys;
}

static void plan_own_network(const struct qb_facts *facts, const struct qb_network_config *network,
			     struct qb_plan *plan)
{
	_cleanup_network_ struct network n = {.facts = facts, .name = network->name};
	_cleanup_free_ char *address = NULL;
	struct qb_subnet subnet;
	char uuid[QB_UUID_LEN];

	n.target = qb_asprintf("network %s", network->name);
	if (network->subnet && qb_subnet_parse(network->subnet, &subnet) < 0) {
		qb_plan_refuse(plan, n.target, "unsupported",
			       "%s is no IPv4 subnet of a /30 or larger", network->subnet);
		return;
	}
	if (network->subnet)
		address = qb_asprintf("%s/%u", subnet.host, subnet.prefix);
	if (network->subnet && is_taken(facts, network, address, n.target, plan))
		return;
	n.what = qb_asprintf("%s%s%s", qb_forward_name(network->forward),
			     address ? ", the host at " : "", address ? address : "");
	qb_vir_uuid(facts, "network", network->name, uuid);
	n.xml = qb_network_xml(network, uuid, network->subnet ? &subnet : NULL);
	n.keys = keys_of(network);
	n.autostart = network->autostart;
	plan_network(&n, plan);
}

void qb_network_plan(const struct qb_facts *facts, const struct qb_config *config,
		     struct qb_plan *plan)
{
	for (size_t i = 0; i < config->n_bridges; i++)
		plan_bridge_network(facts, &config->bridges[i], plan);
	for (size_t i = 0; i < config->n_networks; i++)
		plan_own_network(facts, &config->networks[i], plan);
}
