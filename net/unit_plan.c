/* SPDX-License-Identifier: Apache-2.0 */
#include "net/unit.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "net/drift.h"
#include "net/names.h"
#include "net/vlans.h"

#define HEAD "# Made by qubi-agent from its configuration; changes here are undone.\n"

static struct qb_keyfile *add(struct qb_keyfiles *files, const char *name, const char *type)
{
	struct qb_keyfile *file = QB_APPEND(files->v, files->n);

	file->path = qb_asprintf(QB_UNITS "/" QB_UNIT_PREFIX "%s.%s", name, type);
	return file;
}

static void put_mtu(struct qb_buf *b, int64_t mtu)
{
	if (mtu && mtu != 1500)
		qb_buf_printf(b, "MTUBytes=%lld\n", (long long)mtu);
}

/* waited_for: systemd-networkd-wait-online holds up a boot until it has a carrier. */
static void put_link(struct qb_buf *b, const struct qb_buf *taken, int64_t mtu, bool waited_for)
{
	if (taken->s || (mtu && mtu != 1500) || !waited_for)
		qb_buf_puts(b, "\n[Link]\n");
	put_mtu(b, mtu);
	if (!waited_for)
		qb_buf_puts(b, "RequiredForOnline=no\n");
	if (taken->s)
		qb_buf_puts(b, taken->s);
}

static char *netdev_text(const struct qb_bridge_config *config, const struct qb_move *move)
{
	struct qb_buf b = {0};

	qb_buf_printf(&b, HEAD "[NetDev]\nName=%s\nKind=bridge\n", config->name);
	if (move->mac)
		qb_buf_printf(&b, "MACAddress=%s\n", move->mac);
	put_mtu(&b, move->mtu);
	qb_buf_printf(&b, "\n[Bridge]\nSTP=%s\n", config->stp ? "yes" : "no");
	if (move->vlan_filtering)
		qb_buf_printf(&b, "VLANFiltering=yes\nDefaultPVID=%lld\n", (long long)move->pvid);
	return b.s;
}

/* One that is there it takes for another one, and away, where its broadcast is not said. */
static void put_address(struct qb_buf *b, const struct qb_address *a)
{
	_cleanup_free_ char *usual = qb_ip_broadcast(a->address);

	qb_buf_printf(b, "\n[Address]\nAddress=%s\n", a->address);
	if (a->peer)
		qb_buf_printf(b, "Peer=%s\n", a->peer);
	if (a->broadcast)
		qb_buf_printf(b, "Broadcast=%s\n", a->broadcast);
	else if (usual)
		qb_buf_puts(b, "Broadcast=no\n");
	if (a->label)
		qb_buf_printf(b, "Label=%s\n", a->label);
	if (a->scope && strcmp(a->scope, "global") != 0)
		qb_buf_printf(b, "Scope=%s\n", a->scope);
	if (!a->preferred_s)
		qb_buf_puts(b, "PreferredLifetime=0\n");
	if (a->flags & IFA_F_NOPREFIXROUTE)
		qb_buf_puts(b, "AddPrefixRoute=no\n");
	else if (a->metric)
		qb_buf_printf(b, "RouteMetric=%lld\n", (long long)a->metric);
	if (a->flags & IFA_F_HOMEADDRESS)
		qb_buf_puts(b, "HomeAddress=yes\n");
	if (a->flags & IFA_F_MCAUTOJOIN)
		qb_buf_puts(b, "AutoJoin=yes\n");
	if (a->flags & IFA_F_MANAGETEMPADDR)
		qb_buf_puts(b, "ManageTemporaryAddress=yes\n");
}

/* Every link makes itself one of its MAC; others are there because a unit says so. */
static void put_link_local(struct qb_buf *b, const struct qb_address *a, size_t n,
			   const char *family, const char *heir)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(qb_ip_family(a[i].address), family) &&
		    qb_ip_is_link_local(a[i].address) && qb_unit_has_address(heir, a[i].address))
			put_address(b, &a[i]);
}

static void put_addresses(struct qb_buf *b, const struct qb_family *f)
{
	for (size_t i = 0; f->given && i < f->given->n; i++) {
		_cleanup_free_ char *broadcast = qb_ip_broadcast(f->given->v[i]);
		const struct qb_address a = {.address = f->given->v[i],
					     .broadcast = broadcast,
					     .preferred_s = UINT32_MAX};

		put_address(b, &a);
	}
	for (size_t i = 0; !f->given && i < f->n_addresses; i++)
		put_address(b, f->addresses[i]);
}

/* Unless text, what was taken over, has it. */
static void put_once(struct qb_buf *b, const struct qb_buf *text, const struct qb_buf *section)
{
	if (section->s && (!text->s || !strstr(text->s, section->s)))
		qb_buf_puts(b, section->s);
}

/* The kernel's own address of a link is the same, as its MAC is; one made otherwise is not. */
static void put_token(struct qb_buf *b, const struct qb_family *f, const char *mac)
{
	_cleanup_free_ char *token = NULL;
	struct qb_ip ip;

	if (!f->dynamic || qb_address_is_eui64(f->dynamic, mac) ||
	    qb_ip_parse(f->dynamic->address, &ip) < 0 || ip.prefix != 64)
		return;
	memset(ip.bytes, 0, 8);
	token = qb_ip_format(ip.family, ip.bytes);
	qb_buf_printf(b, "\n[IPv6AcceptRA]\nToken=static:%s\n", token);
}

/*
 * A lease belongs to the host, as its MAC does, and not to the link that has it. What the link is
 * to a DHCP server is made of its name otherwise.
 */
static void put_identity(struct qb_buf *b, const struct qb_link *leased, const char *section)
{
	bool release = !strcmp(section, "DHCPv4"), any = release;
	size_t len = strlen(section);

	if (release)
		qb_buf_puts(b, "\n[DHCPv4]\nSendRelease=no\n");
	for (size_t i = 0; leased && i < leased->dhcp_identity.n; i++) {
		const char *line = leased->dhcp_identity.v[i];

		if (strncmp(line, section, len) != 0 || line[len] != '.')
			continue;
		if (!any)
			qb_buf_printf(b, "\n[%s]\n", section);
		any = true;
		qb_buf_printf(b, "%s\n", line + len + 1);
	}
}

/* What the name of its unit has behind our prefix; NULL: it is not ours. */
static const char *name_of_ours(const struct qb_link *link)
{
	static const char *const prefixes[] = {QB_UNIT_PREFIX, QB_UNIT_PROVISIONAL};
	const char *slash = link->unit_path ? strrchr(link->unit_path, '/') : NULL;

	for (size_t i = 0; slash && i < QB_ARRAY_SIZE(prefixes); i++)
		if (qb_startswith(slash + 1, prefixes[i]))
			return slash + 1 + strlen(prefixes[i]);
	return NULL;
}

char *qb_unit_way_out(const struct qb_link *port)
{
	const char *name = name_of_ours(port);

	if (!name)
		return NULL;
	return qb_asprintf("rm -f " QB_UNITS "/" QB_UNIT_PREFIX
			   "%s /run/systemd/network/" QB_UNIT_PROVISIONAL "%s; networkctl reload",
			   name, name);
}

const char *qb_unit_heir(const struct qb_net *net, const struct qb_move *move, const json_t *args)
{
	_cleanup_free_ char *path =
		qb_asprintf(QB_UNITS "/" QB_UNIT_PREFIX "%s.network", move->bridge);
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	const struct qb_link *source = qb_net_link(net, move->source);

	if (bridge && bridge->unit_text)
		return bridge->unit_text;
	if (source && source->unit_text && !name_of_ours(source))
		return source->unit_text;
	/* It is not there, or was taken from systemd-networkd. */
	for (size_t i = 0; i < net->n_keyfiles; i++)
		if (!strcmp(net->keyfiles[i].path, path))
			return net->keyfiles[i].text;
	return qb_keyfile_written(args, path);
}

/* Whose lease goes on. */
static const struct qb_link *find_leased(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);

	return bridge && bridge->unit_text ? bridge : qb_net_link(net, move->source);
}

static void put_sections(struct qb_buf *b, const struct qb_net *net, const struct qb_move *move,
			 const struct qb_family *f, const char *heir, const struct qb_buf *taken)
{
	bool inet6 = !strcmp(f->name, "inet6"), asked = f->method == QB_FAMILY_ASKED;
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	_cleanup_buf_ struct qb_buf rules = {0}, token = {0}, identity = {0};

	if (f->method == QB_FAMILY_OFF)
		return;
	put_addresses(b, f);
	put_link_local(b, move->add, move->n_add, f->name, heir);
	if (bridge)
		put_link_local(b, bridge->addresses, bridge->n_addresses, f->name, heir);
	qb_unit_routes(b, f);
	qb_unit_rules(&rules, net, move, f);
	put_once(b, taken, &rules);
	if (!asked)
		return;
	/* Of several all would be made. */
	if (inet6 && !(taken->s && strstr(taken->s, "\nToken=")))
		put_token(&token, f, move->mac);
	if (token.s)
		qb_buf_puts(b, token.s);
	put_identity(&identity, find_leased(net, move), inet6 ? "DHCPv6" : "DHCPv4");
	put_once(b, taken, &identity);
}

static bool says(const char *heir, const char *key, const char *const words[])
{
	_cleanup_free_ char *value = qb_unit_network_value(heir, key);

	for (size_t i = 0; words[i]; i++)
		if (value && !strcasecmp(value, words[i]))
			return true;
	return false;
}

static const char *const yes[] = {"yes", "true", "on", "1", "y", "t", NULL};
static const char *const no[] = {"no", "false", "off", "0", "n", "f", NULL};

/* Whether or not a router says that there is a DHCPv6 server. */
static bool asks_dhcp6(const char *heir)
{
	static const char *const words[] = {"both", "ipv6", NULL};

	return says(heir, "DHCP", yes) || says(heir, "DHCP", words);
}

/*
 * Without a carrier the bridge is not configured, for that says whether it has a port (see
 * net/persist_step.c); but what it has then stays, which that key stands for, too.
 */
static bool keeps_without_carrier(const char *heir)
{
	_cleanup_free_ char *said = qb_unit_network_value(heir, "IgnoreCarrierLoss");

	return !said && says(heir, "ConfigureWithoutCarrier", yes);
}

/* Of a host that no router has told anything the kernel shows no more than a link-local address. */
static bool listens_to_routers(const char *heir, const struct qb_bridge_config *config,
			       const struct qb_family *inet6)
{
	return inet6->method == QB_FAMILY_ASKED &&
	       (inet6->dynamic || config->ipv6.mode == QB_IP_DHCP ||
		!says(heir, "IPv6AcceptRA", no));
}

static char *bridge_text(const struct qb_net *net, const struct qb_bridge_config *config,
			 const struct qb_move *move, const json_t *args)
{
	const char *heir = qb_unit_heir(net, move, args);
	_cleanup_unit_parts_ struct qb_unit_parts taken = {0};
	_cleanup_family_ struct qb_family inet = {0}, inet6 = {0};
	bool asks, listens, asks6;
	struct qb_buf b = {0};

	qb_family_find(net, move, "inet", &config->ipv4, &inet);
	qb_family_find(net, move, "inet6", &config->ipv6, &inet6);
	asks = inet.method == QB_FAMILY_ASKED;
	listens = listens_to_routers(heir, config, &inet6);
	asks6 = inet6.method == QB_FAMILY_ASKED && asks_dhcp6(heir);
	if (heir && (inet.method || inet6.method))
		qb_unit_of_bridge(heir, move->source, config->name, &taken);
	qb_buf_printf(&b, HEAD "[Match]\nName=%s\n", config->name);
	put_link(&b, &taken.link, move->mtu, move->n_ports);
	qb_buf_printf(&b, "\n[Network]\nDHCP=%s\nIPv6AcceptRA=%s\nLinkLocalAddressing=%s\n",
		      asks ? (asks6 ? "yes" : "ipv4") : (asks6 ? "ipv6" : "no"),
		      listens ? "yes" : "no", inet6.method ? "ipv6" : "no");
	/* It would be given nothing: it has none without a port. */
	if (!move->n_ports)
		qb_buf_puts(&b, "ConfigureWithoutCarrier=yes\n");
	else if (keeps_without_carrier(heir))
		qb_buf_puts(&b, "IgnoreCarrierLoss=yes\n");
	if (taken.network.s)
		qb_buf_puts(&b, taken.network.s);
	if (taken.sections.s)
		qb_buf_puts(&b, taken.sections.s);
	put_sections(&b, net, move, &inet, heir, &taken.sections);
	put_sections(&b, net, move, &inet6, heir, &taken.sections);
	return b.s;
}

static void put_match(struct qb_buf *b, const struct qb_port *port, const struct qb_port_match *m)
{
	/* Bound as the configuration binds it: a NIC put into the same slot is meant, too. */
	if (m->path && qb_streq(m->path, port->path))
		qb_buf_printf(b, "Path=%s\n", m->path);
	else if (!m->name && !port->kind && port->permanent_mac)
		qb_buf_printf(b, "PermanentMACAddress=%s\n", port->permanent_mac);
	else
		qb_buf_printf(b, "Name=%s\n", port->name);
}

static void put_vlans(struct qb_buf *b, const struct qb_strs *vlans)
{
	for (size_t i = 0; i < vlans->n; i++) {
		struct qb_vlan_range r;

		if (!qb_vlan_range_parse(vlans->v[i], &r))
			continue;
		qb_buf_puts(b, "\n[BridgeVLAN]\n");
		if (r.first == r.last)
			qb_buf_printf(b, "VLAN=%u\n", r.first);
		else
			qb_buf_printf(b, "VLAN=%u-%u\n", r.first, r.last);
		if (r.pvid)
			qb_buf_printf(b, "PVID=%u\n", r.first);
		if (r.untagged)
			qb_buf_printf(b, "EgressUntagged=%u\n", r.first);
	}
}

static char *port_text(const struct qb_net *net, const struct qb_bridge_config *config,
		       const struct qb_move *move, size_t n)
{
	const struct qb_port *port = &move->ports[n];
	const struct qb_link *link = qb_net_link(net, port->name);
	_cleanup_unit_parts_ struct qb_unit_parts taken = {0};
	struct qb_buf b = {0};

	if (link && link->unit_text)
		qb_unit_of_port(link->unit_text, &taken);
	qb_buf_puts(&b, HEAD "[Match]\n");
	put_match(&b, port, &config->ports[n]);
	/* It is the bridge that the host is online by. */
	put_link(&b, &taken.link, link ? link->mtu : move->mtu, false);
	qb_buf_printf(&b, "\n[Network]\nBridge=%s\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
		      config->name);
	if (taken.network.s)
		qb_buf_puts(&b, taken.network.s);
	if (taken.sections.s)
		qb_buf_puts(&b, taken.sections.s);
	put_vlans(&b, &port->vlans);
	return b.s;
}

void qb_unit_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		  const struct qb_move *move, const json_t *args, struct qb_keyfiles *ret)
{
	*ret = (struct qb_keyfiles){0};
	for (size_t i = 0; i < move->n_ports; i++) {
		size_t at = qb_move_port_at(move, i);
		_cleanup_free_ char *name = qb_asprintf("%s-port-%zu", config->name, at + 1);

		add(ret, name, "network")->text = port_text(net, config, move, at);
	}
	add(ret, config->name, "network")->text = bridge_text(net, config, move, args);
	add(ret, config->name, "netdev")->text = netdev_text(config, move);
}
