/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

bool qb_no_links(const struct qb_facts *f, struct qb_result *r)
{
	if (qb_is(&f->net.known))
		return false;
	qb_unknown(r, "links and addresses could not be read: %s", qb_why(&f->net.known));
	return true;
}

bool qb_is_bridge(const struct qb_link *l)
{
	return l && qb_streq(l->kind, "bridge");
}

bool qb_is_tap(const struct qb_link *l)
{
	return qb_streq(l->kind, "tun");
}

/* The i-th configured bridge where it is one on this host; NULL otherwise: net.bridge-present
 * tells of that. */
static const struct qb_link *configured(const struct qb_check_input *in, size_t i)
{
	const struct qb_link *l = qb_net_link(&in->facts->net, in->config->bridges[i].name);

	return qb_is_bridge(l) ? l : NULL;
}

const struct qb_route *qb_default_route(const struct qb_net *net, const char *family)
{
	const struct qb_route *best = NULL;

	for (const struct qb_route *route = NULL;
	     (route = qb_net_route_to(net, "default", route));) {
		if (route->table != TABLE_MAIN || (family && !qb_streq(route->family, family)) ||
		    (route->type && !qb_streq(route->type, "unicast")))
			continue;
		if (!best || (qb_streq(best->family, "inet6") && qb_streq(route->family, "inet")) ||
		    (qb_streq(best->family, route->family) && route->metric < best->metric))
			best = route;
	}
	return best;
}

/* The configured bridge over the NIC with the default route; NULL when there is none. */
static const char *default_bridge(const struct qb_config *config)
{
	for (size_t i = 0; config && i < config->n_bridges; i++)
		for (size_t k = 0; k < config->bridges[i].n_ports; k++)
			if (config->bridges[i].ports[k].match)
				return config->bridges[i].name;
	return NULL;
}

static void judge_default_route(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_route *route;
	const char *bridge = default_bridge(in->config), *dev;

	if (qb_no_links(in->facts, r))
		return;
	route = qb_default_route(&in->facts->net, NULL);
	if (!route) {
		qb_evidence(r, "default route", "netlink", "none");
		r->fix = NULL;
		qb_fail(r, "there is no default route");
		return;
	}
	dev = route->dev ? route->dev : "several links";
	qb_evidence(r, "default route", "netlink", "by %s%s%s", dev, route->gateway ? " via " : "",
		    route->gateway ? route->gateway : "");
	if (!bridge || qb_streq(route->dev, bridge) || qb_strs_has(&route->devs, bridge)) {
		r->fix = NULL;
		qb_pass(r, "the default route leaves by %s", dev);
		return;
	}
	qb_remedy(r, "qubi-agent apply");
	qb_fail(r, "the default route leaves by %s, not by the bridge %s", dev, bridge);
}

static void bridge_present(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_bridges && qb_no_links(in->facts, r))
		return;
	for (size_t i = 0; i < in->config->n_bridges; i++) {
		const char *name = in->config->bridges[i].name;
		const struct qb_link *l = qb_net_link(&in->facts->net, name);
		_cleanup_free_ char *word = qb_shell_word(name);

		if (!l) {
			qb_evidence(r, name, "netlink", "no such link");
			qb_tally_bad(&t, "there is no bridge %s", name);
			continue;
		}
		qb_evidence(r, name, "netlink", "%s, %s", l->kind ? l->kind : "hardware",
			    l->up ? "up" : "down");
		if (!qb_is_bridge(l)) {
			r->fix = NULL;
			qb_remedy(r,
				  "ip -d link show dev %s\n"
				  "# Give the bridge another name in the configuration.",
				  word);
			qb_tally_bad(&t, "%s is not a bridge", name);
		} else if (!l->up) {
			qb_tally_bad(&t, "the bridge %s is down", name);
		} else {
			t.good++;
		}
	}
	qb_tally_end(&t, r, "every configured bridge is there and up",
		     "the configuration names no bridges");
}

static bool port_matches(const struct qb_port_match *m, const struct qb_link *l,
			 const struct qb_link *bridge)
{
	if (m->mac)
		return (l->mac && !strcasecmp(l->mac, m->mac)) ||
		       (l->permanent_mac && !strcasecmp(l->permanent_mac, m->mac));
	if (m->path)
		return qb_streq(l->path, m->path);
	if (m->name)
		return qb_streq(l->name, m->name);
	if (m->driver)
		return qb_streq(l->driver, m->driver);
	/* Which NIC had the default route, or what its speed was with another cable, cannot be
	 * seen any more: hardware, or the one that has the bridge's address; not what guests and
	 * containers bring. */
	return (m->match || m->speed) &&
	       (qb_link_is_uplink(l) || (l->mac && qb_streq(l->mac, bridge->mac)));
}

static const char *port_text(const struct qb_port_match *m)
{
	return m->mac      ? m->mac
	       : m->path   ? m->path
	       : m->name   ? m->name
	       : m->driver ? m->driver
	       : m->speed  ? m->speed
			   : "the NIC with the default route";
}

static void weigh_port(const struct qb_net *net, const struct qb_link *bridge,
		       const struct qb_port_match *m, struct qb_tally *t, struct qb_result *r)
{
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge->name, l));) {
		if (!port_matches(m, l, bridge))
			continue;
		qb_evidence(r, bridge->name, "netlink", "port %s, %s", l->name,
			    l->up ? "up" : "down");
		if (l->up)
			t->good++;
		else
			qb_tally_bad(t, "the port %s of %s is down", l->name, bridge->name);
		return;
	}
	qb_evidence(r, bridge->name, "netlink", "no such port");
	qb_tally_bad(t, "%s is not a port of %s", port_text(m), bridge->name);
}

static void bridge_port(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_bridges && qb_no_links(in->facts, r))
		return;
	for (size_t i = 0; i < in->config->n_bridges; i++) {
		const struct qb_link *l = configured(in, i);

		for (size_t k = 0; l && k < in->config->bridges[i].n_ports; k++)
			weigh_port(&in->facts->net, l, &in->config->bridges[i].ports[k], &t, r);
	}
	qb_tally_end(&t, r, "every configured bridge has its ports",
		     "no configured bridge with ports is there yet");
}

/* Link-local ones come with any link that is up, and harm nobody. */
static bool counts(const struct qb_address *a)
{
	return a->address && !qb_streq(a->scope, "link") && !qb_streq(a->scope, "host");
}

static bool has_address(const struct qb_link *l, const char *address)
{
	for (size_t i = 0; i < l->n_addresses; i++)
		if (qb_streq(l->addresses[i].address, address))
			return true;
	return false;
}

static void weigh_port_addresses(const struct qb_net *net, const struct qb_link *bridge,
				 struct qb_tally *t, struct qb_result *r)
{
	_cleanup_strs_ struct qb_strs own = {0};
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < bridge->n_addresses; i++)
		if (counts(&bridge->addresses[i]))
			qb_strs_add(&own, bridge->addresses[i].address);
	text = qb_strs_sentence(&own);
	qb_evidence(r, bridge->name, "netlink", "%s", own.n ? text : "no address");
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge->name, l));) {
		for (size_t k = 0; k < l->n_addresses; k++) {
			const char *address = l->addresses[k].address;

			if (!counts(&l->addresses[k]))
				continue;
			qb_evidence(r, l->name, "netlink", "%s", address);
			if (has_address(bridge, address))
				qb_tally_bad(t, "%s is on %s and on its port %s", address,
					     bridge->name, l->name);
			else
				qb_tally_bad(t, "%s is on %s, a port of %s, where it is not heard",
					     address, l->name, bridge->name);
			return;
		}
	}
	t->good++;
}

/* What the configuration wants on the bridge itself. */
static void weigh_wanted(const struct qb_link *l, const struct qb_ip_config *ip, bool v6,
			 struct qb_tally *t)
{
	bool any = false;

	for (size_t i = 0; i < l->n_addresses; i++)
		any |= counts(&l->addresses[i]) && v6 == !!strchr(l->addresses[i].address, ':');
	if (ip->mode == QB_IP_DHCP && !any)
		qb_tally_bad(t, "%s got no %s address by DHCP", l->name, v6 ? "IPv6" : "IPv4");
	for (size_t i = 0; ip->mode == QB_IP_STATIC && i < ip->addresses.n; i++)
		if (!has_address(l, ip->addresses.v[i]))
			qb_tally_bad(t, "%s lacks the address %s", l->name, ip->addresses.v[i]);
}

static void bridge_address(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	for (size_t i = 0; i < net->n_links; i++)
		if (qb_is_bridge(&net->links[i]))
			weigh_port_addresses(net, &net->links[i], &t, r);
	for (size_t i = 0; in->config && i < in->config->n_bridges; i++) {
		const struct qb_link *l = configured(in, i);

		if (!l)
			continue;
		weigh_wanted(l, &in->config->bridges[i].ipv4, false, &t);
		weigh_wanted(l, &in->config->bridges[i].ipv6, true, &t);
	}
	qb_tally_end(&t, r, "the addresses are on the bridges, and on no port",
		     "there is no bridge");
}

static void bridge_stp(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_bridges && qb_no_links(in->facts, r))
		return;
	for (size_t i = 0; i < in->config->n_bridges; i++) {
		const struct qb_link *l = configured(in, i);
		bool wanted = in->config->bridges[i].stp;

		if (!l)
			continue;
		qb_evidence_tri(r, l->name, "IFLA_BR_STP_STATE", &l->stp);
		if (l->stp.state == QB_UNKNOWN)
			qb_tally_unsure(&t, "whether %s runs STP is unknown: %s", l->name,
					qb_why(&l->stp));
		else if (qb_is(&l->stp) != wanted)
			qb_tally_bad(&t, "STP is %s on %s, and the configuration wants it %s",
				     wanted ? "off" : "on", l->name, wanted ? "on" : "off");
		else
			t.good++;
	}
	qb_tally_end(&t, r, "STP is as configured", "no configured bridge is there yet");
}

static void weigh_mac(const struct qb_net *net, const struct qb_link *bridge, struct qb_tally *t,
		      struct qb_result *r)
{
	const struct qb_link *port = NULL;

	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge->name, l));) {
		if (qb_is_tap(l) || !l->mac)
			continue;
		port = l;
		if (bridge->mac && !strcasecmp(l->mac, bridge->mac))
			break;
	}
	if (!port)
		return;
	qb_evidence(r, bridge->name, "netlink", "%s, its port %s %s",
		    bridge->mac ? bridge->mac : "no address", port->name, port->mac);
	if (!bridge->mac)
		qb_tally_unsure(t, "the MAC address of %s is unknown", bridge->name);
	else if (strcasecmp(port->mac, bridge->mac) != 0)
		qb_tally_bad(t, "%s has the MAC address %s, and no port of it has the same",
			     bridge->name, bridge->mac);
	else
		t->good++;
}

static void bridge_mac(const struct qb_check_input *in, struct qb_result *r)
{
	struct qb_tally t = {0};

	if (qb_no_config(in, r))
		return;
	if (in->config->n_bridges && qb_no_links(in->facts, r))
		return;
	for (size_t i = 0; i < in->config->n_bridges; i++)
		if (configured(in, i))
			weigh_mac(&in->facts->net, configured(in, i), &t, r);
	qb_tally_end(&t, r, "every configured bridge has the MAC address of its NIC",
		     "no configured bridge has a NIC yet");
}

static void bridge_filter(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_tri *filter = &in->facts->system.bridge_nf_call;

	qb_evidence_tri(r, "bridge-nf-call-iptables", "/proc/sys/net/bridge", filter);
	if (qb_is_not(filter))
		qb_pass(r, "bridged frames do not pass the host's iptables rules");
	else if (qb_is(filter))
		qb_fail(r, "br_netfilter sends bridged frames through the host's iptables rules");
	else
		qb_unknown(r, "whether br_netfilter filters bridged frames is unknown: %s",
			   qb_why(filter));
}

static const struct qb_check table[] = {
	{
		.id = "net.default-route",
		.title = "There is a default route",
		.severity = QB_RECOMMENDED,
		.looks = "The default routes of the main table; and whether the best one leaves "
			 "by the bridge that the configuration puts over its NIC.",
		.why = "Guests behind NAT reach the world by it; a host without it gets no "
		       "updates and no time.",
		.remedy = "ip route show default; nmcli device status\n"
			  "# ip route add default via the address of the gateway",
		.fix = "net.bridge",
		.judge = judge_default_route,
	},
	{
		.id = "net.bridge-present",
		.title = "The configured bridges are there",
		.severity = QB_REQUIRED,
		.looks = "Every bridge of the configuration: a link of that name that is a bridge "
			 "and up.",
		.why = "libvirt never makes the bridge of a network of forward mode bridge; its "
		       "guests do not start.",
		.remedy = "qubi-agent apply",
		.fix = "net.bridge",
		.judge = bridge_present,
	},
	{
		.id = "net.bridge-port",
		.title = "The bridges have their ports",
		.severity = QB_REQUIRED,
		.looks = "For every configured port: a link that matches it, is up, and belongs to "
			 "the bridge.",
		.why = "A bridge without its NIC connects guests to each other and to nothing "
		       "else.",
		.remedy = "bridge link\nqubi-agent apply",
		.fix = "net.bridge",
		.judge = bridge_port,
	},
	{
		.id = "net.bridge-address",
		.title = "Addresses are on the bridge alone",
		.severity = QB_RECOMMENDED,
		.looks = "Addresses on ports of any bridge, link-local ones apart; and those that "
			 "the configuration wants on a bridge.",
		.why = "An address on a port is answered by the bridge or not at all: the host "
		       "loses connections now and then.",
		.remedy = "ip -br address; bridge link\n"
			  "# Take it from the port: ip address del ADDRESS dev PORT",
		.fix = "net.bridge",
		.judge = bridge_address,
	},
	{
		.id = "net.bridge-stp",
		.title = "STP is as configured",
		.severity = QB_RECOMMENDED,
		.looks = "The STP state of every configured bridge.",
		.why = "With STP a new guest's port forwards nothing for 30 seconds, and DHCP "
		       "gives up; without it, two bridges between the same switches loop.",
		.remedy = "qubi-agent apply",
		.fix = "net.bridge",
		.judge = bridge_stp,
	},
	{
		.id = "net.bridge-mac",
		.title = "The bridge has the MAC address of its NIC",
		.severity = QB_RECOMMENDED,
		.looks = "The MAC addresses of every configured bridge and of its ports, guests' "
			 "apart.",
		.why = "With another one the DHCP server gives the host another address, and a "
		       "switch with port security shuts the port.",
		.remedy = "qubi-agent apply",
		.fix = "net.bridge",
		.judge = bridge_mac,
	},
	{
		.id = "net.bridge-filter",
		.title = "Bridged frames bypass the host's firewall",
		.severity = QB_RECOMMENDED,
		.looks = "net.bridge.bridge-nf-call-iptables; without br_netfilter there is none.",
		.why = "Rules made for the host, Docker's above all, then drop guests' traffic "
		       "without a word.",
		/* sysctl.d(5): what a module brings is set when udev sees the module come. */
		.remedy = "virsh nwfilter-binding-list; nft list ruleset | grep -i physdev\n"
			  "# Where libvirt's nwfilter, Kubernetes or OpenStack filter guests by "
			  "it: ignore this check. Else set net.bridge.bridge-nf-call-iptables "
			  "and -ip6tables to 0, by sysctl -w now, and at boot by the udev rule of "
			  "man sysctl.d.",
		.judge = bridge_filter,
	},
};

QB_CHECK_GROUP(net, table);
