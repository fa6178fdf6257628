/* SPDX-License-Identifier: Apache-2.0 */
#include "net/vlans.h"

bool qb_vlan_range_parse(const char *item, struct qb_vlan_range *ret)
{
	struct qb_vlan_range r = {0};
	const char *rest = item;
	char *end;

	if (*rest < '1' || *rest > '9')
		return false;
	r.first = r.last = (unsigned)strtoul(rest, &end, 10);
	if (*end == '-' && end[1] >= '1' && end[1] <= '9')
		r.last = (unsigned)strtoul(end + 1, &end, 10);
	r.pvid = !strcmp(end, " pvid untagged") || !strcmp(end, " pvid");
	r.untagged = !strcmp(end, " pvid untagged") || !strcmp(end, " untagged");
	if ((*end && !r.pvid && !r.untagged) || r.last > QB_VLAN_MAX || r.first > r.last)
		return false;
	*ret = r;
	return true;
}

void qb_vlans_list(int64_t pvid, const struct qb_strs *tagged, struct qb_strs *ret)
{
	bool has[QB_VLAN_MAX + 2] = {false};

	for (size_t i = 0; tagged && i < tagged->n; i++) {
		struct qb_vlan_range r;

		if (qb_vlan_range_parse(tagged->v[i], &r))
			memset(&has[r.first], true, r.last - r.first + 1);
	}
	for (unsigned id = 1; id <= QB_VLAN_MAX; id++) {
		unsigned first = id;

		if (id == pvid) {
			qb_strs_addf(ret, "%u pvid untagged", id);
			continue;
		}
		if (!has[id])
			continue;
		while (has[id + 1] && id + 1 != pvid)
			id++;
		if (id == first)
			qb_strs_addf(ret, "%u", id);
		else
			qb_strs_addf(ret, "%u-%u", first, id);
	}
}

static bool same(const struct qb_strs *a, const struct qb_strs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool bridge_is(const struct qb_link *bridge, int64_t pvid)
{
	_cleanup_strs_ struct qb_strs want = {0};

	qb_vlans_list(pvid, NULL, &want);
	return qb_is(&bridge->vlan_filtering) && bridge->default_pvid == pvid &&
	       same(&bridge->vlans, &want);
}

bool qb_vlans_are(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);

	if (!move->vlan_filtering)
		return true;
	if (!bridge || !bridge_is(bridge, move->pvid))
		return false;
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		if (!port || !same(&port->vlans, &move->ports[i].vlans))
			return false;
	}
	return true;
}

/* One that an earlier run did not bring to the end is gone on with. */
static void refuse_others(const struct qb_net *net, const struct qb_move *move,
			  struct qb_plan *plan)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	_cleanup_free_ char *own = NULL;

	if (!bridge || move->broken_off)
		return;
	if (!qb_is(&bridge->vlan_filtering)) {
		qb_plan_refuse(plan, move->bridge, "unsupported",
			       "%s is there and %s: changing that on a bridge that is in use is "
			       "not implemented",
			       move->bridge,
			       bridge->vlan_filtering.state == QB_NO
				       ? "does not filter VLANs"
				       : "does not tell whether it filters VLANs");
		return;
	}
	own = qb_strs_sentence(&bridge->vlans);
	if (bridge->default_pvid != move->pvid)
		qb_plan_refuse(plan, move->bridge, "unsupported",
			       "ports join %s, which is there, with VLAN %lld, and %lld is wanted: "
			       "changing that on a bridge that is in use is not implemented",
			       move->bridge, (long long)bridge->default_pvid,
			       (long long)move->pvid);
	else if (!bridge_is(bridge, move->pvid))
		qb_plan_refuse(plan, move->bridge, "unsupported",
			       "%s itself carries %s, and \"%lld pvid untagged\" alone is wanted: "
			       "changing that is not implemented: bridge vlan show dev %s",
			       move->bridge, bridge->vlans.n ? own : "no VLAN",
			       (long long)move->pvid, move->bridge);
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_link *port = qb_net_link(net, move->ports[i].name);

		if (port && qb_streq(port->master, move->bridge) &&
		    !same(&port->vlans, &move->ports[i].vlans))
			qb_plan_refuse(plan, move->bridge, "unsupported",
				       "%s is a port of %s already, with other VLANs: changing "
				       "them is not implemented: bridge vlan show dev %s",
				       port->name, move->bridge, port->name);
	}
}

static bool carries(const struct qb_strs *vlans, int64_t id)
{
	for (size_t i = 0; i < vlans->n; i++) {
		struct qb_vlan_range r;

		if (qb_vlan_range_parse(vlans->v[i], &r) && r.first <= id && id <= r.last)
			return true;
	}
	return false;
}

void qb_vlans_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		   struct qb_plan *plan, struct qb_move *move)
{
	if (!config->vlan_filtering)
		return;
	move->vlan_filtering = true;
	move->pvid = config->pvid ? config->pvid : 1;
	for (size_t i = 0; i < move->n_ports && i < config->n_ports; i++) {
		const struct qb_port_match *m = &config->ports[i];
		struct qb_port *port = &move->ports[i];

		qb_vlans_list(m->pvid < 0 ? move->pvid : m->pvid, &m->tagged, &port->vlans);
		/* A port joins with it, and NetworkManager takes nothing away (seen with 1.42), nor
		 * does systemd-networkd 252. */
		if (qb_net_keeper(net) != QB_KEEPER_AGENT && !carries(&port->vlans, move->pvid))
			qb_plan_refuse(
				plan, move->bridge, "unsupported",
				"%s is not to carry VLAN %lld, the one of %s itself; after a "
				"reboot the port would let it through: name another "
				"pvid of %s, or carry it there",
				port->name, (long long)move->pvid, move->bridge, move->bridge);
	}
	refuse_others(net, move, plan);
}
