/* SPDX-License-Identifier: Apache-2.0 */
#include "net/made.h"

#include "agent/base/schema.h"
#include "net/bound.h"
#include "net/drift.h"
#include "net/link_fields.h"
#include "net/names.h"

#define MIIMON_MS 100 /* how often a bond looks whether its NICs have a carrier */

static const char *const modes[] = {"active-backup", "802.3ad"};

const char *qb_bond_mode_name(int mode)
{
	return modes[mode];
}

static struct qb_link *find_link(struct qb_net *net, const char *name)
{
	return (struct qb_link *)qb_net_link(net, name);
}

/* A NIC is switched off to become part of a bond: whoever speaks through it would be cut off. */
static void refuse_in_use(const struct qb_net *net, const struct qb_link *nic, const char *bond,
			  struct qb_plan *plan)
{
	for (size_t i = 0; i < nic->n_addresses; i++)
		if (!qb_ip_is_link_local(nic->addresses[i].address))
			qb_plan_refuse(
				plan, bond, "in-use",
				"%s has %s, and a NIC is switched off when a bond takes it: "
				"name one that carries nothing, or make the bond by hand and "
				"name it as the port of a bridge",
				nic->name, nic->addresses[i].address);
	for (size_t i = 0; i < net->n_links; i++)
		if (net->links[i].lower_ifindex == nic->ifindex &&
		    !qb_streq(net->links[i].kind, "veth"))
			qb_plan_refuse(
				plan, bond, "has-upper",
				"%s carries %s (%s), which a bond that takes it would cut off",
				nic->name, net->links[i].name,
				net->links[i].kind ? net->links[i].kind : "a NIC");
}

static bool is_taken(const struct qb_plan *plan, const struct qb_link *nic, const char *bond)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		const json_t *port;
		size_t j;

		if (strcmp(plan->steps[i].kind, "net.link") != 0)
			continue;
		json_array_foreach (json_object_get(plan->steps[i].args, "ports"), j, port)
			if (qb_streq(json_string_value(json_object_get(port, "name")), nic->name) &&
			    strcmp(plan->steps[i].target, bond) != 0)
				return true;
	}
	return false;
}

static void judge_nic(const struct qb_net *net, const struct qb_link *nic, const char *bond,
		      struct qb_plan *plan)
{
	if (!qb_link_is_nic(nic) && !nic->loopback) {
		qb_plan_refuse(plan, bond, "unsupported", "%s is a %s; a bond is made of NICs",
			       nic->name, nic->kind);
		return;
	}
	qb_port_judge(net, nic, bond, plan);
	if (!qb_streq(nic->master, bond))
		refuse_in_use(net, nic, bond, plan);
	if (is_taken(plan, nic, bond))
		qb_plan_refuse(plan, bond, "claimed", "%s is to be a port of another bond",
			       nic->name);
}

/* The NICs that the configuration names; refusals are in plan. */
static size_t plan_nics(const struct qb_net *net, const struct qb_bond_config *bond,
			const struct qb_ledger *ledger, struct qb_plan *plan,
			const struct qb_link **nics)
{
	const struct qb_bridge_config names = {
		.name = bond->name, .ports = bond->ports, .n_ports = bond->n_ports};
	size_t n = 0;

	for (size_t i = 0; i < bond->n_ports; i++) {
		const struct qb_link *nic =
			qb_port_plan(net, &names, &bond->ports[i], ledger, plan);

		if (!nic)
			continue;
		for (size_t j = 0; j < n; j++)
			if (nics[j] == nic)
				qb_plan_refuse(plan, bond->name, "claimed",
					       "two of its ports name %s", nic->name);
		judge_nic(net, nic, bond->name, plan);
		nics[n++] = nic;
	}
	return n;
}

static void refuse_other_bond(const struct qb_net *net, const struct qb_bond_config *bond,
			      const struct qb_link *there, const struct qb_link *const *nics,
			      size_t n, struct qb_plan *plan)
{
	_cleanup_free_ char *mode = qb_asprintf("mode=%s", modes[bond->mode]);

	if (!qb_streq(there->kind, "bond")) {
		qb_plan_refuse(plan, bond->name, "name-taken",
			       "%s is there and is %s%s, not a bond", bond->name,
			       there->kind ? "a " : "", there->kind ? there->kind : "a NIC");
		return;
	}
	if (!qb_strs_has(&there->bond, mode))
		qb_plan_refuse(plan, bond->name, "unsupported",
			       "%s is there with %s, and the configuration wants %s: changing that "
			       "is not implemented",
			       bond->name, there->bond.n ? there->bond.v[0] : "no mode", mode);
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bond->name, l));) {
		_cleanup_free_ char *way_out = qb_keyfile_way_out(net, bond->name, l);
		bool named = false;

		for (size_t j = 0; j < n; j++)
			named |= nics[j] == l;
		if (!named)
			qb_plan_refuse(plan, bond->name, "has-port",
				       "%s has %s, which the configuration does not want there; "
				       "taking it out is not implemented: %s",
				       bond->name, l->name, way_out);
	}
}

static json_t *nic_json(const struct qb_link *nic, const struct qb_port_match *m)
{
	_cleanup_free_ char *match = qb_port_match_words(m);

	return json_pack("{s:s, s:I, s:s?, s:s?, s:s?, s:s?, s:s}", "name", nic->name, "ifindex",
			 (json_int_t)nic->ifindex, "mac", nic->mac, "permanent_mac",
			 nic->permanent_mac, "path", nic->path, "kind", nic->kind, "match", match);
}

/* The host with a link that is not there yet. */
static struct qb_link *predict(struct qb_net *after, const char *name, const char *kind,
			       const char *mac, int64_t mtu)
{
	struct qb_link *link = QB_APPEND(after->links, after->n_links);

	link->ifindex = -(int64_t)after->n_links;
	link->name = qb_strdup(name);
	link->kind = qb_strdup(kind);
	link->mac = qb_strdup(mac);
	link->mtu = mtu;
	link->up = true;
	qb_tri_unknown(&link->carrier, "it is not there yet");
	qb_tri_unknown(&link->stp, "not a bridge");
	qb_tri_unknown(&link->vlan_filtering, "not a bridge");
	return link;
}

static bool bond_is_done(const struct qb_link *there, const char *name,
			 const struct qb_link *const *nics, size_t n)
{
	bool done = there && there->up;

	for (size_t i = 0; i < n; i++)
		done &= qb_streq(nics[i]->master, name);
	return done;
}

static void plan_bond(struct qb_net *net, const struct qb_bond_config *bond,
		      const struct qb_ledger *ledger, struct qb_plan *plan)
{
	_cleanup_free_ const struct qb_link **nics =
		qb_alloc(bond->n_ports + 1, sizeof(const struct qb_link *));
	const struct qb_link *there = qb_net_link(net, bond->name);
	size_t n = plan_nics(net, bond, ledger, plan, nics);
	_cleanup_strs_ struct qb_strs names = {0};
	_cleanup_free_ char *list = NULL, *mac = NULL;
	json_t *ports;
	int64_t mtu = 0;

	if (there)
		refuse_other_bond(net, bond, there, nics, n, plan);
	if (qb_plan_refuses(plan, bond->name) || bond_is_done(there, bond->name, nics, n))
		return;
	ports = json_array();
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(ports, nic_json(nics[i], &bond->ports[i]));
		qb_strs_add(&names, nics[i]->name);
		if (!mtu || nics[i]->mtu < mtu)
			mtu = nics[i]->mtu;
	}
	list = qb_strs_sentence(&names);
	mac = qb_strdup(nics[0]->permanent_mac ? nics[0]->permanent_mac : nics[0]->mac);
	qb_step_why(qb_plan_step(plan, "net.link", QB_UNDO_EXACT,
				 json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "name", bond->name,
					   "kind", "bond", "mode", modes[bond->mode], "mac", mac,
					   "mtu", (json_int_t)mtu, "ports", ports),
				 bond->name),
		    "%s: make it of %s, %s",
		    there ? "the bond is not as wanted" : "there is no such bond", list,
		    modes[bond->mode]);
	for (size_t i = 0; i < names.n; i++)
		qb_strset(&find_link(net, names.v[i])->master, bond->name);
	if (!there) {
		struct qb_link *made = predict(net, bond->name, "bond", mac, mtu);

		qb_strs_addf(&made->bond, "mode=%s", modes[bond->mode]);
		qb_strs_addf(&made->bond, "miimon=%d", MIIMON_MS);
	}
}

/* A selector is answered once: what was found is what the VLAN that is there stands on. */
static const struct qb_link *find_lower(const struct qb_net *net, const struct qb_vlan_config *vlan,
					struct qb_plan *plan)
{
	struct qb_port_match m = vlan->link;
	const struct qb_bridge_config names = {.name = vlan->name, .ports = &m, .n_ports = 1};
	const struct qb_link *there = qb_net_link(net, vlan->name);

	if (there && qb_streq(there->kind, "vlan") && (m.match || m.driver || m.speed))
		return qb_net_link_by_index(net, there->lower_ifindex);
	return qb_port_plan(net, &names, &m, NULL, plan);
}

static void judge_lower(const struct qb_net *net, const struct qb_link *lower,
			const struct qb_vlan_config *vlan, struct qb_plan *plan)
{
	if (lower->loopback || lower->wireless ||
	    (!qb_link_is_nic(lower) && !qb_streq(lower->kind, "bond")))
		qb_plan_refuse(plan, vlan->name, "unsupported",
			       "%s is %s; a VLAN is made on a network card or on a bond",
			       lower->name,
			       lower->kind       ? lower->kind
			       : lower->wireless ? "wireless"
						 : "the loopback link");
	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *l = &net->links[i];

		if (qb_streq(l->kind, "vlan") && l->lower_ifindex == lower->ifindex &&
		    l->vlan_id == vlan->id && !qb_streq(l->name, vlan->name))
			qb_plan_refuse(plan, vlan->name, "claimed",
				       "VLAN %lld of %s is there already, as %s",
				       (long long)vlan->id, lower->name, l->name);
	}
}

static void plan_vlan(struct qb_net *net, const struct qb_vlan_config *vlan, struct qb_plan *plan)
{
	const struct qb_link *there = qb_net_link(net, vlan->name);
	const struct qb_link *lower = find_lower(net, vlan, plan);
	int64_t lower_ifindex;
	struct qb_link *made;

	if (!lower)
		return;
	judge_lower(net, lower, vlan, plan);
	if (there && (!qb_streq(there->kind, "vlan") || there->vlan_id != vlan->id ||
		      there->lower_ifindex != lower->ifindex))
		qb_plan_refuse(plan, vlan->name, "name-taken",
			       "%s is there and is not VLAN %lld of %s", vlan->name,
			       (long long)vlan->id, lower->name);
	if (qb_plan_refuses(plan, vlan->name) || (there && there->up))
		return;
	qb_step_why(qb_plan_step(plan, "net.link", QB_UNDO_EXACT,
				 json_pack("{s:s, s:s, s:I, s:s?, s:I, s:s}", "name", vlan->name,
					   "kind", "vlan", "id", (json_int_t)vlan->id, "mac",
					   lower->mac, "mtu", (json_int_t)lower->mtu, "link",
					   lower->name),
				 vlan->name),
		    "%s: VLAN %lld of %s",
		    there ? "the VLAN is switched off" : "there is no such VLAN",
		    (long long)vlan->id, lower->name);
	if (there)
		return;
	lower_ifindex = lower->ifindex;
	made = predict(net, vlan->name, "vlan", lower->mac, lower->mtu);
	made->vlan_id = vlan->id;
	made->lower_ifindex = lower_ifindex;
}

static bool is_port(const struct qb_made_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_bridges; i++)
		for (size_t j = 0; j < config->bridges[i].n_ports; j++)
			if (qb_streq(config->bridges[i].ports[j].name, name))
				return true;
	return false;
}

static bool was_made(const struct qb_plan *plan, const struct qb_ledger *ledger, const char *name)
{
	const struct qb_ledger_entry *e = NULL;

	if (qb_plan_has_for(plan, "net.link", name))
		return true;
	while ((e = qb_ledger_newest(ledger, name, e)))
		if (!strcmp(e->kind, "net.link"))
			return true;
	return false;
}

/* A port of a bridge has its profile together with that. */
static void plan_persistence(const struct qb_net *net, const struct qb_made_config *config,
			     const char *name, const struct qb_ledger *ledger, struct qb_plan *plan)
{
	_cleanup_keyfiles_ struct qb_keyfiles files = {0};
	const struct qb_link *link = qb_net_link(net, name);
	json_t *list, *differences, *ports;
	struct qb_step *step;
	bool any;

	if (qb_net_keeper(net) != QB_KEEPER_NETWORKMANAGER || !link ||
	    qb_plan_refuses(plan, name) || is_port(config, name) || !was_made(plan, ledger, name))
		return;
	qb_keyfile_made(net, link, &files);
	if (!qb_keyfiles_missing(net, &files, NULL, &(struct qb_fixed){true, true}, &any, &list,
				 &differences)) {
		json_decref(list);
		json_decref(differences);
		return;
	}
	ports = json_array();
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, name, l));)
		json_array_append_new(ports, json_string(l->name));
	step = qb_plan_step(plan, "net.persist", QB_UNDO_EXACT,
			    /* Its NICs are not NetworkManager's until then, and so is it not. */
			    json_pack("{s:s, s:o, s:o, s:b}", "bridge", name, "ports", ports,
				      "files", list, "running", 0),
			    name);
	qb_step_differences(step, differences);
	qb_step_why(step,
		    "its profiles are not as wanted: after a reboot NetworkManager would not make "
		    "%s as configured",
		    name);
}

/* One that it makes may be named as the port of a bridge. */
static void refuse_networkd(const struct qb_net *net, const char *name, struct qb_plan *plan)
{
	if (qb_net_keeper(net) == QB_KEEPER_NETWORKD && !qb_net_link(net, name))
		qb_plan_refuse(plan, name, "unsupported",
			       "systemd-networkd manages the links of this host, and writing a "
			       "unit for %s is not implemented; have systemd-networkd make it, by "
			       "a .netdev, and name it as the port of a bridge",
			       name);
}

void qb_made_plan(const struct qb_net *net, const struct qb_made_config *config,
		  const struct qb_ledger *ledger, struct qb_plan *plan, struct qb_net *ret)
{
	json_auto_t *json = qb_schema_to_json(&qb_net_type, net);

	qb_net_from_json(json, ret);
	for (size_t i = 0; i < config->n_bonds; i++) {
		refuse_networkd(ret, config->bonds[i].name, plan);
		if (qb_is(&net->known))
			plan_bond(ret, &config->bonds[i], ledger, plan);
		else
			qb_plan_refuse(plan, config->bonds[i].name, "unknown",
				       "links could not be read");
		plan_persistence(ret, config, config->bonds[i].name, ledger, plan);
	}
	for (size_t i = 0; i < config->n_vlans; i++) {
		refuse_networkd(ret, config->vlans[i].name, plan);
		if (qb_is(&net->known))
			plan_vlan(ret, &config->vlans[i], plan);
		else
			qb_plan_refuse(plan, config->vlans[i].name, "unknown",
				       "links could not be read");
		plan_persistence(ret, config, config->vlans[i].name, ledger, plan);
	}
}
