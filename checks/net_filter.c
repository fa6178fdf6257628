/* SPDX-License-Identifier: Apache-2.0 */
/* What the host itself drops: by its firewall's zones, and by the path back. */
#include "checks/profile.h"

#include "net/names.h"

#define WANTS "/etc/systemd/system/multi-user.target.wants"
#define FIREWALLD "/etc/firewalld/firewalld.conf"
#define ZONES "/etc/firewalld/zones/*.xml"

/* What text has between from and the next one of its end. */
static bool names_interface(const char *tag, const char *end, const char *link)
{
	const char *at = tag;
	size_t len = strlen(link);

	for (; (at = strstr(at, "name")) && at < end; at++) {
		const char *value = at + strlen("name");

		value += strspn(value, " \t\n");
		if (*value != '=')
			continue;
		value += 1 + strspn(value + 1, " \t\n");
		return (*value == '"' || *value == '\'') && !strncmp(value + 1, link, len) &&
		       value[1 + len] == *value;
	}
	return false;
}

/* <interface name="eno1"/>, comments apart. */
static bool zone_has(const char *xml, const char *link)
{
	static const char tag[] = "<interface";

	for (const char *at = xml; (at = strchr(at, '<')); at++) {
		if (qb_startswith(at, "<!--")) {
			at = strstr(at, "-->");
			if (!at)
				return false;
		} else if (qb_startswith(at, tag)) {
			const char *end = strchr(at, '>');

			if (end && names_interface(at + strlen(tag), end, link))
				return true;
		}
	}
	return false;
}

/* The zones in which files name a link. */
static void zones_of(const struct qb_check_input *in, const struct qb_profiles *profiles,
		     const struct qb_link *l, struct qb_strs *ret)
{
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, ZONES, x));) {
		const char *file = strrchr(x->path, '/') + 1;
		_cleanup_free_ char *zone = qb_strndup(file, strlen(file) - strlen(".xml"));

		if (x->value && zone_has(x->value, l->name) && !qb_strs_has(ret, zone))
			qb_strs_add(ret, zone);
	}
	for (size_t i = 0; i < profiles->n; i++) {
		const struct qb_profile *p = &profiles->v[i];
		_cleanup_free_ char *zone = qb_ini_value(p->text, "connection", "zone");

		if (zone && *zone && qb_streq(p->interface, l->name) && !qb_strs_has(ret, zone))
			qb_strs_add(ret, zone);
	}
	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, QB_IFCFG, x));) {
		_cleanup_free_ char *zone = x->value ? qb_conf_value(x->value, "ZONE") : NULL;
		_cleanup_free_ char *name = x->value ? qb_conf_value(x->value, "DEVICE") : NULL;

		if (zone && *zone && qb_streq(name, l->name) && !qb_strs_has(ret, zone))
			qb_strs_add(ret, zone);
	}
}

static bool share_one(const struct qb_strs *a, const struct qb_strs *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (qb_strs_has(b, a->v[i]))
			return true;
	return false;
}

/* A NIC of a bridge that is named in a zone, and the bridge above it, to which alone the host's
 * firewall looks. */
static void weigh_zone(const struct qb_check_input *in, const struct qb_profiles *profiles,
		       const struct qb_link *bridge, const char *fallback, struct qb_tally *t,
		       struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	_cleanup_strs_ struct qb_strs own = {0};
	_cleanup_free_ char *is = NULL;
	bool named, any = false, bad = false;

	zones_of(in, profiles, bridge, &own);
	named = own.n > 0;
	if (!named)
		qb_strs_add(&own, fallback);
	is = qb_strs_sentence(&own);
	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bridge->name, l));) {
		_cleanup_strs_ struct qb_strs zones = {0};
		_cleanup_free_ char *text = NULL;

		if (l->kind || l->loopback)
			continue;
		zones_of(in, profiles, l, &zones);
		text = qb_strs_sentence(&zones);
		if (!any)
			qb_evidence(r, bridge->name, named ? ZONES : FIREWALLD, "zone %s%s", is,
				    named ? "" : ", the default");
		any = true;
		qb_evidence(r, l->name, ZONES, "%s%s", zones.n ? "zone " : "in no zone", text);
		if (!zones.n || share_one(&zones, &own))
			continue;
		bad = true;
		qb_tally_bad(t, "%s is put into the zone %s, and its bridge %s is in %s%s", l->name,
			     text, bridge->name, is, named ? "" : ", the default");
	}
	if (any && !bad)
		t->good++;
}

/* True where firewalld is known not to start here; the verdict is given then, also unknown. */
static bool no_firewalld(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *wants = qb_facts_reading(in->facts, WANTS);

	if (wants && wants->value && strstr(wants->value, "firewalld.service")) {
		qb_evidence(r, "firewalld.service", WANTS, "enabled");
		return false;
	}
	if (wants && (wants->value || wants->absent))
		qb_skip(r, "firewalld is not enabled");
	else
		qb_unknown(r, "whether firewalld is enabled could not be read: %s",
			   qb_read_why(wants));
	return true;
}

/* What could not be read of all that puts a link into a zone; NULL when it is known. */
static char *unread(const struct qb_check_input *in, const struct qb_profiles *profiles)
{
	const struct qb_reading *conf = qb_facts_reading(in->facts, FIREWALLD);
	char *why = qb_strdup(profiles->why);

	if (!why && (!conf || (!conf->value && !conf->absent)))
		why = qb_asprintf("%s could not be read: %s", FIREWALLD, qb_read_why(conf));
	if (!why && qb_read_all(in, ZONES, &why))
		(void)qb_read_all(in, QB_IFCFG, &why);
	return why;
}

static void firewall_zone(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_reading *conf = qb_facts_reading(in->facts, FIREWALLD);
	const struct qb_net *net = &in->facts->net;
	_cleanup_profiles_ struct qb_profiles profiles = {0};
	_cleanup_free_ char *zone = NULL, *why = NULL;
	struct qb_tally t = {0};

	if (no_firewalld(in, r) || qb_no_links(in->facts, r))
		return;
	qb_profiles_read(in, &profiles);
	why = unread(in, &profiles);
	if (why) {
		qb_unknown(r, "%s", why);
		return;
	}
	/* firewalld.conf(5); the fallback of firewalld's config/__init__.py is public. */
	zone = conf->value ? qb_conf_value(conf->value, "DefaultZone") : NULL;
	for (size_t i = 0; i < net->n_links; i++)
		if (qb_is_bridge(&net->links[i]) && !qb_startswith(net->links[i].name, "virbr"))
			weigh_zone(in, &profiles, &net->links[i], zone && *zone ? zone : "public",
				   &t, r);
	qb_tally_end(&t, r, "no bridge is in another zone than its NIC was put into",
		     "no bridge has a NIC");
}

#define RP_ALL "/proc/sys/net/ipv4/conf/all/rp_filter"
#define RP "/proc/sys/net/ipv4/conf/*/rp_filter"

enum {
	STRICT = 1, /* Documentation/networking/ip-sysctl.rst: 2 is loose, and the larger of all
		     * and the link's counts */
};

/* Whether frames that take another way back are dropped on a link. */
static enum qb_tri_state strict_on(const struct qb_check_input *in, const char *link,
				   char **ret_why)
{
	_cleanup_free_ char *own = qb_asprintf("/proc/sys/net/ipv4/conf/%s/rp_filter", link);
	const char *const paths[] = {RP_ALL, own};
	uint64_t most = 0;

	for (size_t i = 0; i < QB_ARRAY_SIZE(paths); i++) {
		const struct qb_reading *x = qb_facts_reading(in->facts, paths[i]);
		uint64_t value;

		if (!x || !x->value || qb_parse_u64(x->value, &value) < 0) {
			*ret_why =
				qb_asprintf("%s could not be read: %s", paths[i],
					    x && x->value ? "it holds no number" : qb_read_why(x));
			return QB_UNKNOWN;
		}
		if (value > most)
			most = value;
	}
	return most == STRICT ? QB_YES : QB_NO;
}

/* A route that is in use for what comes by no rule: the kernel looks for the way back in it. */
static bool is_way(const struct qb_net *net, const struct qb_route *route)
{
	const struct qb_link *l = route->dev ? qb_net_link(net, route->dev) : NULL;

	return l && l->up && !qb_is_not(&l->carrier) && !l->loopback &&
	       route->table == TABLE_MAIN && qb_streq(route->family, "inet") &&
	       (!route->type || qb_streq(route->type, "unicast")) && route->n_nexthops < 2;
}

/* A network that the kernel itself put there with an address: all of it is next to the link. */
static bool is_subnet(const struct qb_route *route)
{
	return qb_streq(route->proto, "kernel") && !route->gateway &&
	       !qb_endswith(route->dst, "/32");
}

/*
 * Two ways to the same: what comes in by the worse one has its way back by the better one. Two of
 * the same metric: the first one was there first, and is asked first.
 */
static void weigh_ways(const struct qb_check_input *in, const struct qb_route *better,
		       const struct qb_route *worse, struct qb_tally *t, struct qb_result *r)
{
	_cleanup_free_ char *path = qb_asprintf("/proc/sys/net/ipv4/conf/%s/rp_filter", worse->dev);
	_cleanup_free_ char *why = NULL;
	bool subnet = !qb_streq(worse->dst, "default");

	qb_evidence(r, worse->dst, "netlink", "by %s, and by %s", better->dev, worse->dev);
	switch (strict_on(in, worse->dev, &why)) {
	case QB_UNKNOWN:
		qb_tally_unsure(t, "%s", why);
		break;
	case QB_YES:
		qb_evidence(r, worse->dev, path, "strict");
		qb_tally_bad(t, "%s drops what comes from %s%s: the way back is by %s", worse->dev,
			     subnet ? "" : "beyond its router", subnet ? worse->dst : "",
			     better->dev);
		break;
	case QB_NO:
		qb_evidence(r, worse->dev, path, "not strict");
		t->good++;
		break;
	}
}

static void weigh_route(const struct qb_check_input *in, const struct qb_route *route,
			struct qb_tally *t, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	const struct qb_route *best = route;

	for (const struct qb_route *other = NULL;
	     (other = qb_net_route_to(net, route->dst, other));) {
		if (!is_way(net, other))
			continue;
		if (other->metric < best->metric || (other->metric == best->metric && other < best))
			best = other;
	}
	if (!qb_streq(best->dev, route->dev)) {
		weigh_ways(in, best, route, t, r);
		return;
	}
	qb_evidence(r, route->dst, "netlink", "by %s", route->dev);
	t->good++;
}

static bool has_rules(const struct qb_net *net)
{
	for (size_t i = 0; i < net->n_rules; i++)
		if (qb_streq(net->rules[i].family, "inet"))
			return true;
	return false;
}

static void reverse_path(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_net *net = &in->facts->net;
	struct qb_tally t = {0};

	if (qb_no_links(in->facts, r))
		return;
	/* They say which table has the way back; who made them knows of more than one way. */
	if (has_rules(net)) {
		qb_skip(r, "rules choose the way back here (ip rule)");
		return;
	}
	for (size_t i = 0; i < net->n_routes; i++) {
		const struct qb_route *route = &net->routes[i];

		if (is_way(net, route) &&
		    (is_subnet(route) || (qb_streq(route->dst, "default") && route->gateway)))
			weigh_route(in, route, &t, r);
	}
	qb_tally_end(&t, r, "no link drops what has its way back by another",
		     "there is no way by IPv4");
}

static const struct qb_check table[] = {
	{
		.id = "net.firewall-zone",
		.title = "A bridge is in the zone of its NIC",
		.severity = QB_RECOMMENDED,
		.looks = "Where firewalld is enabled: the zones into which files put a bridge's "
			 "NIC (/etc/firewalld/zones, NetworkManager's profiles, ifcfg files), "
			 "against the bridge's own, or the default zone. libvirt's virbr bridges "
			 "apart.",
		.why = "Once a NIC is a port, only the bridge's zone counts for the host: services "
		       "opened for the NIC are closed, or what was closed is open.",
		.remedy = "firewall-cmd --get-active-zones; firewall-cmd --get-default-zone\n"
			  "# firewall-cmd --permanent --zone=ZONE --change-interface=BRIDGE && "
			  "firewall-cmd --reload",
		.reads =
			(const char *const[]){WANTS, FIREWALLD, ZONES, QB_PROFILES, QB_IFCFG, NULL},
		.judge = firewall_zone,
	},
	{
		.id = "net.reverse-path",
		.title = "No link drops what it should take",
		.severity = QB_RECOMMENDED,
		.looks = "IPv4 default routes and subnets that two links have, against a strict "
			 "rp_filter (1, the larger one of all and the link's) on the one that is "
			 "not the best.",
		.why = "The kernel drops what comes in by another link than its answer would "
		       "leave by, and tells nobody: the second address is dead.",
		.remedy = "ip route; grep . /proc/sys/net/ipv4/conf/*/rp_filter\n"
			  "# Loose for that link: echo net.ipv4.conf.LINK.rp_filter = 2 "
			  ">>/etc/sysctl.d/60-guests.conf; sysctl -p /etc/sysctl.d/60-guests.conf",
		.reads = (const char *const[]){RP, NULL},
		.judge = reverse_path,
	},
};

QB_CHECK_GROUP_PART(qb_net_filter_checks, net, table);
