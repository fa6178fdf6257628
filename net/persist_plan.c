/* SPDX-License-Identifier: Apache-2.0 */
#include "net/persist.h"

#include "net/drift.h"
#include "net/keyfile.h"
#include "net/unit.h"

static const struct qb_link *find_barred(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);

	if (bridge && bridge->barred)
		return bridge;
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		if (port->barred)
			return port;
	}
	return NULL;
}

bool qb_bridge_is_taken(const struct qb_net *net, const struct qb_move *move)
{
	bool networkd = qb_net_keeper(net) == QB_KEEPER_NETWORKD, now = qb_net_renews(net);

	for (size_t i = 0; !networkd && i < move->n_ports; i++)
		now &= qb_port_is_taken(net, qb_net_link(net, move->ports[i].name));
	return now;
}

/* By whom the bridge is there again after a boot. */
struct keeping {
	const char *who;
	const char *now; /* what it does when it is told of its files */
	void (*plan)(const struct qb_net *net, const struct qb_bridge_config *config,
		     const struct qb_move *move, const json_t *args, struct qb_keyfiles *ret);
	void (*refuse)(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan);
};

static void plan_profiles(const struct qb_net *net, const struct qb_bridge_config *config,
			  const struct qb_move *move, const json_t *args, struct qb_keyfiles *ret)
{
	(void)args;
	qb_keyfile_plan(net, config, move, ret);
}

/* NULL: by this program itself, which needs no files. */
static const struct keeping *keeping_of(const struct qb_net *net)
{
	static const struct keeping all[] = {
		[QB_KEEPER_NETWORKMANAGER] = {"NetworkManager", "it takes the bridge over now",
					      plan_profiles, qb_keyfile_refuse},
		/* Those that were edited and not loaded, too. */
		[QB_KEEPER_NETWORKD] = {"systemd-networkd",
					"it reads all its units and takes the bridge over now",
					qb_unit_plan, qb_unit_refuse},
	};
	enum qb_keeper keeper = qb_net_keeper(net);

	return keeper == QB_KEEPER_AGENT ? NULL : &all[keeper];
}

void qb_persist_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		     const struct qb_move *move, bool ours, const json_t *args,
		     struct qb_plan *plan)
{
	const struct keeping *keeping = keeping_of(net);
	_cleanup_keyfiles_ struct qb_keyfiles files = {0};
	const struct qb_fixed fixed = {config->ipv4.mode != QB_IP_INHERIT,
				       config->ipv6.mode != QB_IP_INHERIT};
	const struct qb_link *barred = find_barred(net, move);
	json_t *ports, *list, *differences;
	bool now = qb_bridge_is_taken(net, move);
	struct qb_step *step;
	const char *missing;
	bool any;

	if (!keeping)
		return;
	keeping->plan(net, config, move, args, &files);
	missing = qb_keyfiles_missing(net, &files, args, &fixed, &any, &list, &differences);
	if ((!missing && !barred) || (!ours && !any)) {
		json_decref(list);
		json_decref(differences);
		return;
	}
	ports = json_array();
	for (size_t i = 0; i < move->n_ports; i++)
		json_array_append_new(ports,
				      json_string(move->ports[qb_move_port_at(move, i)].name));
	step = qb_plan_step(plan, "net.persist", QB_UNDO_EXACT,
			    json_pack("{s:s, s:o, s:o, s:b}", "bridge", config->name, "ports",
				      ports, "files", list, "running", (int)now),
			    config->name);
	qb_step_differences(step, differences);
	if (!missing) {
		qb_step_why(step,
			    "%s is held back from systemd-networkd by " QB_UNIT_BAR
			    "%s.network, which an undoing left: nobody renews what is leased",
			    barred->name, barred->name);
		return;
	}
	qb_step_why(step,
		    "%s is not as wanted: after a reboot %s would not make %s as configured%s%s%s",
		    missing, keeping->who, config->name, now ? "; " : "", now ? keeping->now : "",
		    now ? ", which may cost a few frames" : "");
}

void qb_persist_refuse(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan)
{
	if (keeping_of(net))
		keeping_of(net)->refuse(net, move, plan);
}
