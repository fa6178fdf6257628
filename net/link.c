/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link.h"

#include "net/names.h"

bool qb_link_is_uplink(const struct qb_link *l)
{
	return !l->loopback && (!l->kind || qb_streq(l->kind, "bond") ||
				qb_streq(l->kind, "team") || qb_streq(l->kind, "vlan"));
}

bool qb_route_has_gateway(const struct qb_route *r)
{
	for (size_t i = 0; i < r->n_hops; i++)
		if (r->hops[i].gateway)
			return true;
	return r->gateway;
}

const struct qb_address *qb_link_address(const struct qb_link *link, const char *address)
{
	for (size_t i = 0; link && i < link->n_addresses; i++)
		if (qb_streq(link->addresses[i].address, address))
			return &link->addresses[i];
	return NULL;
}

bool qb_link_carries_host(const struct qb_link *link)
{
	for (size_t i = 0; i < link->n_addresses; i++)
		if (!qb_ip_is_link_local(link->addresses[i].address))
			return true;
	return false;
}

enum qb_keeper qb_net_keeper(const struct qb_net *net)
{
	bool networkd = false;

	for (size_t i = 0; net->networkd_running && i < net->n_links; i++)
		networkd |=
			(net->links[i].networkd || net->links[i].barred) && !net->links[i].loopback;
	if (networkd && !net->networkmanager_running)
		return QB_KEEPER_NETWORKD;
	return net->networkmanager_installed ? QB_KEEPER_NETWORKMANAGER : QB_KEEPER_AGENT;
}

bool qb_net_renews(const struct qb_net *net)
{
	return net->networkmanager_running || qb_net_keeper(net) == QB_KEEPER_NETWORKD;
}

static void address_done(struct qb_address *a)
{
	free(a->address);
	free(a->peer);
	free(a->broadcast);
	free(a->label);
	free(a->scope);
}

static void link_done(struct qb_link *link)
{
	for (size_t i = 0; i < link->n_addresses; i++)
		address_done(&link->addresses[i]);
	free(link->addresses);
	free(link->name);
	free(link->kind);
	free(link->mac);
	free(link->permanent_mac);
	free(link->carrier.why);
	free(link->master);
	free(link->driver);
	free(link->path);
	free(link->stp.why);
	free(link->vlan_filtering.why);
	qb_strs_done(&link->vlans);
	free(link->zone);
	free(link->dot1x);
	free(link->unit_path);
	free(link->unit_text);
	qb_strs_done(&link->dhcp_identity);
	qb_strs_done(&link->profile_rules);
	free(link->extra);
	free(link->parent_uuid);
	qb_strs_done(&link->bond);
}

static void route_done(struct qb_route *r)
{
	free(r->family);
	free(r->dst);
	free(r->gateway);
	free(r->dev);
	free(r->prefsrc);
	free(r->type);
	free(r->scope);
	free(r->proto);
	free(r->pref);
	free(r->extra);
	free(r->from);
	qb_strs_done(&r->metrics);
	qb_strs_done(&r->devs);
	for (size_t i = 0; i < r->n_hops; i++) {
		free(r->hops[i].dev);
		free(r->hops[i].gateway);
	}
	free(r->hops);
}

static void rule_done(struct qb_rule *rule)
{
	free(rule->family);
	free(rule->iif);
	free(rule->oif);
	free(rule->src);
	free(rule->dst);
	free(rule->action);
	free(rule->proto);
	free(rule->extra);
	qb_strs_done(&rule->terms);
}

static void nexthop_done(struct qb_nexthop *nh)
{
	free(nh->family);
	free(nh->dev);
	free(nh->gateway);
	free(nh->proto);
	free(nh->extra);
}

void qb_net_done(struct qb_net *net)
{
	qb_net_index_done(net);
	for (size_t i = 0; i < net->n_links; i++)
		link_done(&net->links[i]);
	for (size_t i = 0; i < net->n_routes; i++)
		route_done(&net->routes[i]);
	for (size_t i = 0; i < net->n_rules; i++)
		rule_done(&net->rules[i]);
	for (size_t i = 0; i < net->n_nexthops; i++)
		nexthop_done(&net->nexthops[i]);
	for (size_t i = 0; i < net->n_keyfiles; i++) {
		free(net->keyfiles[i].path);
		free(net->keyfiles[i].text);
	}
	free(net->links);
	free(net->routes);
	free(net->rules);
	free(net->nexthops);
	free(net->keyfiles);
	free(net->network_root);
	free(net->default_zone);
	qb_strs_done(&net->zones);
	free(net->known.why);
	qb_strs_done(&net->nameservers);
	qb_strs_done(&net->search);
	*net = (struct qb_net){0};
}
