/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/plan.h"

#include <linux/rtnetlink.h>

#include "agent/base/uuid.h"
#include "agent/host/config_valid.h"
#include "agent/host/libvirt_xml.h"

static const char *const flavours[] = {"", "monolithic", "modular"};

static struct qb_step *daemon_step(enum qb_vir_flavour flavour, struct qb_plan *plan)
{
	return qb_plan_step(plan, "libvirt.daemon", QB_UNDO_EXACT,
			    json_pack("{s:s}", "flavour", flavours[flavour]), "libvirt's daemons");
}

void qb_daemon_plan(const struct qb_facts *facts, const struct qb_config *config,
		    struct qb_plan *plan)
{
	const struct qb_libvirt_facts *v = &facts->libvirt;
	bool startable = v->flavour != QB_VIR_NONE && qb_is(&facts->system.systemd);

	(void)config;
	if (qb_is(&v->connected)) {
		/* Started by hand, it would be missed after the next boot. */
		if (startable && qb_is_not(&v->enabled))
			qb_step_why(daemon_step(v->flavour, plan),
				    "libvirt answers, but nothing starts it at boot: enable its %s "
				    "daemons",
				    flavours[v->flavour]);
		return;
	}
	if (v->connected.state == QB_UNKNOWN) {
		qb_plan_refuse(plan, "libvirt", "libvirt-unreachable",
			       "whether it answers is unknown: %s",
			       v->connected.why ? v->connected.why : "nobody asked");
		return;
	}
	if (!startable) {
		qb_plan_refuse(plan, "libvirt", "libvirt-unreachable",
			       "%s does not answer (%s), and there is %s; %s",
			       v->uri ? v->uri : "it", v->error ? v->error : "no reason given",
			       v->flavour == QB_VIR_NONE ? "no libvirt daemon installed"
							 : "no systemd to start it",
			       v->flavour == QB_VIR_NONE ? "install libvirt-daemon-kvm"
							 : "start libvirtd or virtqemud by hand");
		return;
	}
	qb_step_why(daemon_step(v->flavour, plan),
		    "libvirt does not answer (%s): enable and start its %s daemons",
		    v->error ? v->error : "no reason given", flavours[v->flavour]);
}

/* What is missing of an object that libvirt knows, or may know. */
struct gap {
	const char *kind; /* of the step */
	const char *noun; /* "network", "pool" */
	const char *name;
	bool exists, active, autostart;
};

/* "define, start and autostart"; NULL when nothing is missing. */
static char *gap_text(const struct gap *gap)
{
	_cleanup_strs_ struct qb_strs words = {0};

	if (!gap->exists)
		qb_strs_add(&words, "define");
	if (!gap->active)
		qb_strs_add(&words, "start");
	if (!gap->autostart)
		qb_strs_add(&words, "autostart");
	return words.n ? qb_strs_sentence(&words) : NULL;
}

static void plan_gap(const struct gap *gap, json_t *args, const char *what, struct qb_plan *plan)
{
	_cleanup_free_ char *target = qb_asprintf("%s %s", gap->noun, gap->name);
	_cleanup_free_ char *text = gap_text(gap);

	if (!text) {
		json_decref(args);
		return;
	}
	qb_step_why(qb_plan_step(plan, gap->kind, QB_UNDO_EXACT, args, target),
		    "libvirt %s: %s it%s%s",
		    !gap->exists  ? "has no such object"
		    : gap->active ? "does not start it at boot"
				  : "has it, but it is not active",
		    text, gap->exists ? "" : ", ", gap->exists ? "" : what);
}

static bool differs(struct qb_plan *plan, const char *noun, const char *name, const char *key,
		    const char *is, const char *wanted)
{
	_cleanup_free_ char *target = NULL;

	if (qb_streq(is, wanted))
		return false;
	target = qb_asprintf("%s %s", noun, name);
	qb_plan_refuse(
		plan, target, "definition-differs",
		"libvirt has it with %s %s, the configuration wants %s; change the one or the "
		"other by hand: what guests may use is not redefined",
		key, is ? is : "none", wanted ? wanted : "none");
	return true;
}

/* Nothing can make it start at boot, and it is gone once it is stopped. */
static bool is_transient(struct qb_plan *plan, const char *noun, const char *name, bool persistent)
{
	_cleanup_free_ char *target = NULL;

	if (persistent)
		return false;
	target = qb_asprintf("%s %s", noun, name);
	qb_plan_refuse(
		plan, target, "transient",
		"libvirt has it, but has no definition of it: it is gone once it is stopped; "
		"stop it, or define it as it is (virsh %s-dumpxml, virsh %s-define)",
		!strcmp(noun, "network") ? "net" : noun, !strcmp(noun, "network") ? "net" : noun);
	return true;
}

static void uuid_of(const struct qb_facts *facts, const char *noun, const char *name,
		    char ret[QB_UUID_LEN])
{
	const char *machine = facts->system.machine_id;

	qb_uuid5((const char *const[]){"libvirt", noun, machine ? machine : "", name, NULL}, ret);
}

static void plan_network(const struct qb_facts *facts, const char *name, const char *forward,
			 const char *bridge, const char *address, char *xml, const char *what,
			 struct qb_plan *plan)
{
	const struct qb_vir_network *is = qb_facts_network(facts, name);
	struct gap gap = {"libvirt.network", "network",          name, is,
			  is && is->active,  is && is->autostart};
	bool bad = is && is_transient(plan, "network", name, is->persistent);

	if (is) {
		bad |= differs(plan, "network", name, "forward mode", is->forward, forward);
		if (bridge)
			bad |= differs(plan, "network", name, "bridge", is->bridge, bridge);
		if (address)
			bad |= differs(plan, "network", name, "address", is->address, address);
	}
	if (!bad)
		plan_gap(&gap, json_pack("{s:s, s:s}", "name", name, "xml", xml), what, plan);
	free(xml);
}

static void plan_bridge_network(const struct qb_facts *facts, const struct qb_bridge_config *bridge,
				struct qb_plan *plan)
{
	const char *name = bridge->libvirt_network;
	_cleanup_free_ char *what = qb_asprintf("bridged to %s", bridge->name);
	char uuid[QB_UUID_LEN];

	/* A network over a bridge that will not be there would only fail its guests. */
	if (!name || qb_plan_refuses(plan, bridge->name))
		return;
	uuid_of(facts, "network", name, uuid);
	plan_network(facts, name, "bridge", bridge->name, NULL,
		     qb_network_bridge_xml(name, uuid, bridge->name), what, plan);
}

/*
 * A route of the host into the subnet: libvirt would not start the network, or the host would not
 * reach what is there. One to a wider network by a gateway does not matter: the narrower one
 * counts.
 */
static bool is_taken(const struct qb_facts *facts, const struct qb_network_config *network,
		     const char *target, struct qb_plan *plan)
{
	const struct qb_vir_network *is = qb_facts_network(facts, network->name);
	struct qb_prefix subnet, dst;
	bool taken = false;

	if ((is && is->active) || !qb_prefix_parse(network->subnet, true, &subnet))
		return false;
	for (size_t i = 0; i < facts->net.n_routes; i++) {
		const struct qb_route *r = &facts->net.routes[i];

		if (r->table != RT_TABLE_MAIN || strcmp(r->family, "inet") != 0 ||
		    !qb_prefix_parse(r->dst, strchr(r->dst, '/'), &dst) ||
		    !qb_prefix_overlaps(&subnet, &dst) ||
		    (r->gateway && dst.length < subnet.length) ||
		    (is && is->bridge && qb_streq(r->dev, is->bridge)))
			continue;
		qb_plan_refuse(plan, target, "subnet-in-use",
			       "%s is taken: this host has a route to %s by %s; give the network "
			       "another subnet",
			       network->subnet, r->dst, r->dev ? r->dev : "more than one link");
		taken = true;
	}
	return taken;
}

static void plan_own_network(const struct qb_facts *facts, const struct qb_network_config *network,
			     struct qb_plan *plan)
{
	_cleanup_free_ char *address = NULL, *target = NULL, *what = NULL;
	struct qb_subnet subnet;
	char uuid[QB_UUID_LEN];

	target = qb_asprintf("network %s", network->name);
	if (network->subnet && is_taken(facts, network, target, plan))
		return;
	if (network->subnet && qb_subnet_parse(network->subnet, &subnet) < 0) {
		qb_plan_refuse(plan, target, "unsupported",
			       "%s is no IPv4 subnet of a /30 or larger", network->subnet);
		return;
	}
	if (network->subnet)
		address = qb_asprintf("%s/%u", subnet.host, subnet.prefix);
	what = qb_asprintf("%s%s%s", qb_forward_name(network->forward),
			   address ? ", the host at " : "", address ? address : "");
	uuid_of(facts, "network", network->name, uuid);
	plan_network(facts, network->name, qb_forward_mode(network->forward), NULL, address,
		     qb_network_xml(network, uuid, network->subnet ? &subnet : NULL), what, plan);
}

/* Whether what is mounted on the pool's target is the pool's own disk. */
static bool own_is_mounted(const struct qb_facts *facts, const struct qb_pool_config *pool)
{
	for (size_t i = 0; i < facts->disks.n_disks; i++) {
		const struct qb_disk *disk = &facts->disks.disks[i];

		if (disk->mark.ours && qb_streq(disk->mark.pool, pool->name) &&
		    qb_strs_has(&disk->mountpoints, pool->target))
			return true;
	}
	return false;
}

/* Mounting over what is there would hide it: to its owner it would be lost. */
static bool refuse_target(const struct qb_facts *facts, const struct qb_pool_config *pool,
			  const char *target, struct qb_plan *plan)
{
	const struct qb_target *t = qb_facts_target(facts, pool->target);
	_cleanup_free_ char *name = NULL;

	if (!t || own_is_mounted(facts, pool))
		return false;
	if (qb_is(&t->mounted)) {
		qb_plan_refuse(plan, target, "target-mounted",
			       "another file system is mounted on %s already", t->path);
		return true;
	}
	if (qb_is_not(&t->empty)) {
		name = qb_str_printable(t->holds);
		qb_plan_refuse(plan, target, "target-not-empty",
			       "%s holds \"%s\", which a file system mounted there would hide; "
			       "move what it holds away, or name another target",
			       t->path, name);
		return true;
	}
	if (t->empty.state == QB_UNKNOWN)
		qb_plan_refuse(plan, target, "target-unknown", "whether %s is empty is unknown: %s",
			       t->path, t->empty.why ? t->empty.why : "nobody looked");
	return t->empty.state == QB_UNKNOWN;
}

static void plan_pool(const struct qb_facts *facts, const struct qb_pool_config *pool,
		      struct qb_plan *plan)
{
	static const char *const types[] = {"dir", "fs", "logical"};
	const struct qb_vir_pool *is = qb_facts_pool(facts, pool->name);
	struct gap gap = {"libvirt.pool",     "pool", pool->name, is, is && is->active,
			  is && is->autostart};
	_cleanup_free_ char *target = qb_asprintf("pool %s", pool->name), *source = NULL;
	_cleanup_free_ char *what = NULL, *xml = NULL;
	bool bad = is && is_transient(plan, "pool", pool->name, is->persistent);
	char uuid[QB_UUID_LEN];

	if (qb_plan_refuses(plan, target))
		return;
	uuid_of(facts, "pool", pool->name, uuid);
	if (pool->type == QB_POOL_FS)
		source = qb_pool_source(&facts->disks, pool, facts->system.machine_id, plan, uuid);
	if (pool->type == QB_POOL_FS && !source) {
		qb_plan_refuse(plan, target, "no-match", "its disk is not known");
		return;
	}
	if (is) {
		bad |= differs(plan, "pool", pool->name, "type", is->type, types[pool->type]);
		bad |= differs(plan, "pool", pool->name, "target", is->target, pool->target);
		if (source)
			bad |= differs(plan, "pool", pool->name, "source device", is->source_device,
				       source);
	}
	if (pool->type == QB_POOL_FS && !(is && is->active))
		bad |= refuse_target(facts, pool, target, plan);
	if (bad)
		return;
	xml = qb_pool_xml(pool, uuid, source);
	what = source ? qb_asprintf("%s mounted at %s", source, pool->target)
		      : qb_asprintf("directory %s", pool->target);
	plan_gap(&gap,
		 json_pack("{s:s, s:s, s:s, s:s?, s:s}", "name", pool->name, "type",
			   types[pool->type], "target", pool->target, "source", source, "xml", xml),
		 what, plan);
}

void qb_libvirt_plan(const struct qb_facts *facts, const struct qb_config *config,
		     struct qb_plan *plan)
{
	if (qb_plan_refuses(plan, "libvirt"))
		return;
	for (size_t i = 0; i < config->n_bridges; i++)
		plan_bridge_network(facts, &config->bridges[i], plan);
	for (size_t i = 0; i < config->n_networks; i++)
		plan_own_network(facts, &config->networks[i], plan);
	for (size_t i = 0; i < config->n_pools; i++)
		plan_pool(facts, &config->pools[i], plan);
}
