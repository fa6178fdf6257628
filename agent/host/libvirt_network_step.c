/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/host/libvirt_network.h"
#include "agent/host/libvirt_object.h"
#include "agent/host/libvirt_parse.h"
#include "agent/host/plan.h"
#include "agent/host/xml.h"

static void *lookup(virConnectPtr conn, const char *name)
{
	return sym_virNetworkLookupByName(conn, name);
}

static void *define(virConnectPtr conn, const char *xml)
{
	return sym_virNetworkDefineXML(conn, xml);
}

static int start(void *network)
{
	return sym_virNetworkCreate(network);
}

static int stop(void *network)
{
	return sym_virNetworkDestroy(network);
}

static int undefine(void *network)
{
	return sym_virNetworkUndefine(network);
}

static int is_active(void *network)
{
	return sym_virNetworkIsActive(network);
}

static int get_autostart(void *network, int *ret)
{
	return sym_virNetworkGetAutostart(network, ret);
}

static int set_autostart(void *network, int on)
{
	return sym_virNetworkSetAutostart(network, on);
}

/* Each interface of a guest on it is a port. */
static int users(void *network)
{
	return sym_virNetworkListAllPorts(network, NULL, 0);
}

static void release(void *network)
{
	sym_virNetworkFree(network);
}

static const struct qb_vir_class networks = {
	"network", VIR_ERR_NO_NETWORK, lookup,        stop,  undefine,
	is_active, get_autostart,      set_autostart, users, release,
};

/* Of the step's arguments. */
struct wanted {
	const char *name, *xml;
	unsigned keys; /* of xml, that are compared with what is there */
	bool autostart, restart;
	struct qb_vir_definition is;
};

static int parse(const json_t *args, struct wanted *ret, struct qb_error *err)
{
	const json_t *autostart = json_object_get(args, "autostart"), *key;
	size_t i;

	ret->name = json_string_value(json_object_get(args, "name"));
	ret->xml = json_string_value(json_object_get(args, "xml"));
	if (!ret->name || !ret->xml)
		return qb_error_set(err, EINVAL, "a step of libvirt.network without name or xml");
	ret->autostart = !autostart || json_is_true(autostart);
	ret->restart = json_is_true(json_object_get(args, "restart"));
	json_array_foreach (json_object_get(args, "keys"), i, key)
		if (json_is_string(key))
			ret->keys |= qb_network_key_find(json_string_value(key));
	/* What is no XML is left for libvirt to say. */
	(void)!qb_vir_definition_parse(ret->xml, &ret->is);
	return 0;
}

static void wanted_done(struct wanted *wanted)
{
	qb_schema_done(&qb_vir_definition_type, &wanted->is);
}

#define _cleanup_wanted_ QB_CLEANUP(wanted_done)

/* The network under that name, with its XML as it runs and as it is started next. */
struct seen {
	virConnectPtr conn;
	virNetworkPtr network; /* NULL: there is none */
	struct qb_vir_state state;
	char *live, *next;
	unsigned differs_now, differs_next; /* from what is wanted */
	bool fixed;                         /* of now, something wants a restart */
	bool loses;                         /* of next, hosts that nobody spoke of */
};

static void seen_done(struct seen *seen)
{
	free(seen->live);
	free(seen->next);
	if (seen->network)
		sym_virNetworkFree(seen->network);
	if (seen->conn)
		sym_virConnectClose(seen->conn);
}

#define _cleanup_seen_ QB_CLEANUP(seen_done)

static int look(const struct qb_step_ctx *ctx, const char *name, struct seen *ret,
		struct qb_error *err)
{
	int r = qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &ret->conn, err);

	if (r == 0)
		r = qb_vir_look(&networks, ret->conn, name, &ret->state, err);
	if (r < 0 || !ret->state.exists)
		return r;
	ret->network = lookup(ret->conn, name);
	if (!ret->network)
		return qb_vir_error(err, "network %s: cannot look it up", name);
	ret->live = sym_virNetworkGetXMLDesc(ret->network, 0);
	ret->next = qb_vir_network_next(ret->network);
	return ret->live && ret->next ? 0 : qb_vir_error(err, "network %s: cannot read it", name);
}

static unsigned differences(const char *xml, const struct wanted *wanted, struct seen *seen)
{
	struct qb_vir_definition is = {0};
	unsigned differ = qb_vir_definition_parse(xml, &is) < 0
				  ? wanted->keys
				  : qb_network_differences(&is, &wanted->is, wanted->keys);

	seen->fixed = differ & ~qb_network_updatable(&is, differ);
	seen->loses = qb_network_loses_hosts(&is, &wanted->is, wanted->keys);
	qb_schema_done(&qb_vir_definition_type, &is);
	return differ;
}

static int compare(const struct qb_step_ctx *ctx, const struct wanted *wanted, struct seen *ret,
		   struct qb_error *err)
{
	int r = look(ctx, wanted->name, ret, err);
	bool loses;

	if (r < 0 || !ret->network)
		return r;
	ret->differs_next = differences(ret->next, wanted, ret);
	loses = ret->loses;
	ret->fixed = false;
	if (ret->state.active)
		ret->differs_now = differences(ret->live, wanted, ret);
	ret->loses = loses;
	return 0;
}

static void add_port(virNetworkPortPtr port, struct qb_strs *ret)
{
	char *text = sym_virNetworkPortGetXMLDesc(port, 0);
	_cleanup_xml_ struct qb_xml *xml = text ? qb_xml_read(text, "networkport") : NULL;
	const char *name = qb_xml_content(qb_xml_child(qb_xml_child(xml, "owner"), "name"));

	if (!qb_strs_has(ret, name ? name : "a guest"))
		qb_strs_add(ret, name ? name : "a guest");
	free(text);
}

/* Guests, and what else is on a bridge that libvirt made for the network. */
static void users_of(const struct qb_step_ctx *ctx, const struct seen *seen, struct qb_strs *ret)
{
	struct qb_vir_definition is = {0};
	_cleanup_free_ char *dir = NULL;
	virNetworkPortPtr *ports = NULL;
	_cleanup_strs_ struct qb_strs links = {0};
	int n = sym_virNetworkListAllPorts(seen->network, &ports, 0);

	/* That it cannot tell is no "nobody"; but a driver without ports has none. */
	if (n < 0 && sym_virGetLastErrorCode() != VIR_ERR_NO_SUPPORT)
		qb_strs_add(ret, "whoever libvirt cannot tell");
	for (int i = 0; i < n; i++) {
		add_port(ports[i], ret);
		sym_virNetworkPortFree(ports[i]);
	}
	free(ports);
	if (ret->n || qb_vir_definition_parse(seen->live, &is) < 0)
		return;
	if (is.bridge && !qb_streq(is.forward, "bridge"))
		dir = qb_asprintf("/sys/class/net/%s/brif", is.bridge);
	if (dir && qb_root_list(ctx->root, dir, &links) == 0)
		for (size_t i = 0; i < links.n; i++)
			if (!qb_network_dummy(is.bridge, links.v[i]))
				qb_strs_addf(ret, "whoever is behind %s", links.v[i]);
	qb_schema_done(&qb_vir_definition_type, &is);
}

static int refuse_users(const struct qb_step_ctx *ctx, const struct seen *seen, const char *name,
			struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs who = {0};
	_cleanup_free_ char *text = NULL;

	users_of(ctx, seen, &who);
	if (!who.n)
		return 0;
	text = qb_strs_sentence(&who);
	return qb_error_set(err, EBUSY, "network %s stays as it is: running guests use it (%s)",
			    name, text);
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_wanted_ struct wanted wanted = {0};
	_cleanup_seen_ struct seen seen = {0};
	const struct qb_vir_state *state = &seen.state;
	int r = parse(args, &wanted, err);

	if (r == 0)
		r = compare(ctx, &wanted, &seen, err);
	if (r < 0)
		return r;
	if (seen.network && sym_virNetworkIsPersistent(seen.network) == 0)
		return qb_error_set(err, ESTALE, "network %s: libvirt has no definition of it",
				    wanted.name);
	if (seen.loses)
		return qb_error_set(
			err, ESTALE,
			"network %s: libvirt has DHCP hosts of it that the configuration "
			"says nothing of, and that do not go with another subnet",
			wanted.name);
	if (seen.fixed) {
		if (!wanted.restart)
			return qb_error_set(err, ESTALE,
					    "network %s: it has become another one since the plan "
					    "was made, and would have to be restarted",
					    wanted.name);
		r = refuse_users(ctx, &seen, wanted.name, err);
		if (r < 0)
			return r;
	}
	*ret = state->active && state->autostart == wanted.autostart && !seen.differs_now &&
			       !seen.differs_next
		       ? QB_OBSERVED_DONE
		       : QB_OBSERVED_NEEDED;
	*ret_before = qb_vir_state_json(state);
	if (seen.network) {
		json_object_set_new(*ret_before, "xml", json_string(seen.next));
		json_object_set_new(*ret_before, "live", json_string(seen.live));
	}
	return 0;
}

/* Defined again under its UUID, it runs on as it does, and is started from that next. */
static int redefine(struct seen *seen, const char *name, const char *xml, struct qb_error *err)
{
	virNetworkPtr network = define(seen->conn, xml);

	if (!network)
		return qb_vir_error(err, "network %s: cannot define it", name);
	sym_virNetworkFree(network);
	return 0;
}

static int set_state(const struct seen *seen, const char *name, bool active, bool autostart,
		     struct qb_error *err)
{
	int on = 0;

	if (active && is_active(seen->network) == 0 && start(seen->network) < 0)
		return qb_vir_error(err, "network %s: cannot start it", name);
	if (!active && is_active(seen->network) == 1 && stop(seen->network) < 0)
		return qb_vir_error(err, "network %s: cannot stop it", name);
	if (get_autostart(seen->network, &on) < 0)
		return qb_vir_error(err, "network %s: cannot read its state", name);
	if (!!on != autostart && set_autostart(seen->network, autostart) < 0)
		return qb_vir_error(err, "network %s: cannot set autostart", name);
	return 0;
}

static int update(const struct seen *seen, const char *name,
		  const struct qb_network_updates *updates, struct qb_error *err)
{
	for (size_t i = 0; i < updates->n; i++) {
		const struct qb_network_update *u = &updates->v[i];
		unsigned section = u->key == QB_NETWORK_RANGES  ? VIR_NETWORK_SECTION_IP_DHCP_RANGE
				   : u->key == QB_NETWORK_HOSTS ? VIR_NETWORK_SECTION_IP_DHCP_HOST
								: VIR_NETWORK_SECTION_DNS_HOST;
		unsigned command = u->add ? VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
					  : VIR_NETWORK_UPDATE_COMMAND_DELETE;

		if (sym_virNetworkUpdate(seen->network, command, section, u->parent, u->xml,
					 VIR_NETWORK_UPDATE_AFFECT_LIVE) < 0)
			return qb_vir_error(err, "network %s: cannot %s %s", name,
					    u->add ? "add to" : "delete from",
					    qb_network_key_name(u->key));
	}
	return 0;
}

/* What is to run, what is to be started next, and where updates do not lead there, from what the
 * one that runs is to be started: which no guest may use then. */
struct goal {
	const char *live, *next, *fresh;
	bool restart; /* was said in the plan */
};

static int restart(const struct qb_step_ctx *ctx, struct seen *seen, const char *name,
		   const char *fresh, struct qb_error *err)
{
	int r = refuse_users(ctx, seen, name, err);

	if (r == 0 && strcmp(seen->next, fresh) != 0)
		r = redefine(seen, name, fresh, err);
	if (r < 0)
		return r;
	if (stop(seen->network) < 0)
		return qb_vir_error(err, "network %s: cannot stop it", name);
	return start(seen->network) < 0 ? qb_vir_error(err, "network %s: cannot start it", name)
					: 0;
}

static int become(const struct qb_step_ctx *ctx, struct seen *seen, const char *name,
		  const struct goal *goal, struct qb_error *err)
{
	_cleanup_updates_ struct qb_network_updates updates = {0};
	const char *next = seen->next;
	int r = 0;

	if (seen->state.active && qb_network_updates(seen->live, goal->live, &updates) < 0)
		return qb_error_set(err, EINVAL, "network %s: its XML cannot be read", name);
	if (updates.restart && !goal->restart)
		return qb_error_set(err, ESTALE, "network %s: it would have to be restarted", name);
	if (updates.restart) {
		r = restart(ctx, seen, name, goal->fresh, err);
		next = goal->fresh;
	}
	if (r == 0 && strcmp(next, goal->next) != 0)
		r = redefine(seen, name, goal->next, err);
	if (r == 0 && !updates.restart)
		r = update(seen, name, &updates, err);
	return r;
}

static int change(const struct qb_step_ctx *ctx, const struct wanted *wanted, struct seen *seen,
		  struct qb_error *err)
{
	_cleanup_free_ char *live = NULL, *next = NULL;

	if (!(seen->differs_now | seen->differs_next))
		return 0;
	if (qb_network_edit(seen->live, wanted->xml, wanted->keys, &live) < 0 ||
	    qb_network_edit(seen->next, wanted->xml, wanted->keys, &next) < 0)
		return qb_error_set(err, EINVAL, "network %s: its XML cannot be read",
				    wanted->name);
	return become(ctx, seen, wanted->name, &(struct goal){live, next, next, wanted->restart},
		      err);
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_wanted_ struct wanted wanted = {0};
	_cleanup_seen_ struct seen seen = {0};
	int r = parse(args, &wanted, err);

	(void)before;
	if (r == 0)
		r = compare(ctx, &wanted, &seen, err);
	if (r < 0)
		return r;
	if (seen.network)
		r = change(ctx, &wanted, &seen, err);
	else
		seen.network = define(seen.conn, wanted.xml);
	if (!seen.network)
		return qb_vir_error(err, "network %s: cannot define it", wanted.name);
	return r < 0 ? r : set_state(&seen, wanted.name, true, wanted.autostart, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_wanted_ struct wanted wanted = {0};
	_cleanup_seen_ struct seen seen = {0};
	int r = parse(args, &wanted, err);

	(void)before;
	if (r == 0)
		r = compare(ctx, &wanted, &seen, err);
	if (r < 0)
		return r;
	if (!seen.state.active || seen.state.autostart != wanted.autostart)
		return qb_error_set(err, EIO, "the network is %s and %s autostart",
				    seen.state.active ? "active" : "not active",
				    seen.state.autostart ? "has" : "has no");
	for (unsigned key = 1; key <= (seen.differs_now | seen.differs_next); key <<= 1)
		if ((seen.differs_now | seen.differs_next) & key)
			return qb_error_set(err, EIO, "the network has another %s than is wanted",
					    qb_network_key_name(key));
	return 0;
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	const char *xml = json_string_value(json_object_get(before, "xml"));
	const char *live = json_string_value(json_object_get(before, "live"));
	_cleanup_wanted_ struct wanted wanted = {0};
	_cleanup_seen_ struct seen seen = {0};
	struct qb_vir_state was;
	int r = parse(args, &wanted, err);

	if (r == 0)
		r = look(ctx, wanted.name, &seen, err);
	if (r < 0 || !seen.network)
		return r;
	qb_vir_state_read(before, &was);
	if (!was.exists || !xml || !live)
		return qb_vir_restore(&networks, seen.conn, wanted.name, &was, err);
	if (seen.state.active && !was.active) {
		r = refuse_users(ctx, &seen, wanted.name, err);
		if (r == 0)
			r = set_state(&seen, wanted.name, false, was.autostart, err);
		if (r < 0)
			return r;
		seen.state.active = false;
	}
	/* Killed between stop and start. */
	if (was.active && !seen.state.active) {
		r = redefine(&seen, wanted.name, live, err);
		if (r == 0 && start(seen.network) < 0)
			return qb_vir_error(err, "network %s: cannot start it", wanted.name);
		free(seen.next);
		seen.next = qb_strdup(live);
	}
	if (r == 0)
		r = become(ctx, &seen, wanted.name, &(struct goal){live, xml, live, true}, err);
	return r < 0 ? r : set_state(&seen, wanted.name, was.active, was.autostart, err);
}

const struct qb_step_kind qb_network_step = {
	.kind = "libvirt.network",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
