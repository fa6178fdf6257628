/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles of a bridge's port: of a NIC, of a VLAN, or of a bond and the NICs below that. */
#include "net/keyfile.h"

#include "agent/base/uuid.h"
#include "net/bound.h"
#include "net/unit.h"

static bool is_kind(const struct qb_link *link, const char *kind)
{
	return link && qb_streq(link->kind, kind);
}

static void put_mtu(struct qb_buf *b, int64_t mtu)
{
	if (mtu && mtu != 1500)
		qb_buf_printf(b, "mtu=%lld\n", (long long)mtu);
}

static void put_vlan(struct qb_buf *b, const struct qb_net *net, const struct qb_link *link)
{
	const struct qb_link *parent = qb_net_link_by_index(net, link->lower_ifindex);

	if (!parent)
		return;
	/* Else it follows its parent's. */
	if (!qb_streq(link->mac, parent->mac))
		qb_buf_printf(b, "cloned-mac-address=%s\n", link->mac);
	/* 1: headers are reordered, as the kernel does by itself. */
	qb_buf_printf(b, "\n[vlan]\nid=%lld\nflags=1\nparent=%s\n", (long long)link->vlan_id,
		      parent->name);
}

/* NetworkManager may switch its NICs on in another order, of which the first gives the MAC. */
static void put_bond(struct qb_buf *b, const struct qb_link *link)
{
	qb_buf_printf(b, "cloned-mac-address=%s\n\n[bond]\n", link->mac);
	for (size_t i = 0; i < link->bond.n; i++)
		qb_buf_printf(b, "%s\n", link->bond.v[i]);
}

/* A NIC below a bond, which has a profile of its own for it, maybe, under another bond's name. */
static char *slave_text(const struct qb_link *nic, const char *id, const char *bond_uuid,
			const char *bridge)
{
	const char *mac = nic->permanent_mac;
	const char *parts[] = {"networkmanager", "slave", bridge, mac ? mac : nic->name, NULL};
	char uuid[QB_UUID_LEN];
	struct qb_buf b = {0};

	qb_uuid5(parts, uuid);
	qb_keyfile_head(&b, id, uuid, "ethernet");
	if (!mac)
		qb_buf_printf(&b, "interface-name=%s\n", nic->name);
	qb_buf_printf(&b, "master=%s\nslave-type=bond\n\n[ethernet]\n", bond_uuid);
	if (mac)
		qb_buf_printf(&b, "mac-address=%s\n", mac);
	put_mtu(&b, nic->mtu);
	return b.s;
}

static void add_slaves(const struct qb_net *net, const struct qb_link *bond, const char *id,
		       const char *bond_uuid, const char *bridge, struct qb_keyfiles *files)
{
	size_t n = 0;

	for (const struct qb_link *l = NULL; (l = qb_net_port(net, bond->name, l));) {
		_cleanup_free_ char *name = qb_asprintf("%s-%zu", id, ++n);
		struct qb_keyfile *file = qb_keyfile_add(files, name);

		file->text = slave_text(l, name, bond_uuid, bridge);
	}
}

static void put_vlans(struct qb_buf *b, const struct qb_strs *vlans)
{
	if (vlans->n)
		qb_buf_puts(b, "\n[bridge-port]\nvlans=");
	for (size_t i = 0; i < vlans->n; i++)
		qb_buf_printf(b, "%s%s", i ? ", " : "", vlans->v[i]);
	if (vlans->n)
		qb_buf_puts(b, "\n");
}

void qb_keyfile_port(const struct qb_net *net, const struct qb_bridge_config *config,
		     const struct qb_move *move, size_t n, const char *bridge_uuid,
		     struct qb_keyfiles *files)
{
	const struct qb_port *port = &move->ports[n];
	const struct qb_link *link = qb_net_link(net, port->name);
	bool bond = is_kind(link, "bond"), vlan = is_kind(link, "vlan"), made = bond || vlan;
	const char *mac = port->permanent_mac ? port->permanent_mac : port->mac;
	const char *parts[] = {"networkmanager", "port", config->name,
			       mac && !made ? mac : port->name, NULL};
	_cleanup_free_ char *id = qb_asprintf("qubi-%s-port-%zu", config->name, n + 1);
	const struct qb_port_match *m = &config->ports[n];
	/* It may have been moved to another slot since, and is meant all the same. */
	bool by_path = m->path && qb_streq(m->path, port->path);
	struct qb_keyfile *file = qb_keyfile_add(files, id);
	char uuid[QB_UUID_LEN];
	struct qb_buf b = {0};

	qb_uuid5(parts, uuid);
	qb_keyfile_head(&b, id, uuid, bond ? "bond" : vlan ? "vlan" : "ethernet");
	/* Bound as the configuration binds it: a NIC put into the same slot is meant, too. */
	if (m->name || !mac || made)
		qb_buf_printf(&b, "interface-name=%s\n", port->name);
	if (bond)
		qb_buf_puts(&b, "autoconnect-slaves=1\n");
	qb_buf_printf(&b, "master=%s\nslave-type=bridge\n", bridge_uuid);
	if (by_path)
		qb_buf_printf(&b, "\n[match]\npath=%s\n", m->path);
	qb_buf_puts(&b, "\n[ethernet]\n");
	if (!by_path && !m->name && mac && !made)
		qb_buf_printf(&b, "mac-address=%s\n", mac);
	put_mtu(&b, link ? link->mtu : move->mtu);
	if (bond)
		put_bond(&b, link);
	if (vlan)
		put_vlan(&b, net, link);
	put_vlans(&b, &port->vlans);
	file->text = b.s;
	if (bond)
		add_slaves(net, link, id, uuid, config->name, files);
}

void qb_keyfile_made(const struct qb_net *net, const struct qb_link *link,
		     struct qb_keyfiles *files)
{
	const char *parts[] = {"networkmanager", "link", link->name, NULL};
	_cleanup_free_ char *id = qb_asprintf("qubi-%s", link->name);
	struct qb_keyfile *file = qb_keyfile_add(files, id);
	bool bond = is_kind(link, "bond");
	char uuid[QB_UUID_LEN];
	struct qb_buf b = {0};

	qb_uuid5(parts, uuid);
	qb_keyfile_head(&b, id, uuid, bond ? "bond" : "vlan");
	qb_buf_printf(&b, "interface-name=%s\n", link->name);
	if (bond)
		qb_buf_puts(&b, "autoconnect-slaves=1\n");
	qb_buf_puts(&b, "\n[ethernet]\n");
	put_mtu(&b, link->mtu);
	if (bond)
		put_bond(&b, link);
	else
		put_vlan(&b, net, link);
	qb_buf_puts(&b, "\n[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=disabled\n");
	file->text = b.s;
	if (bond)
		add_slaves(net, link, id, uuid, link->name, files);
}

/* The name of the profile by which NetworkManager makes it a port; NULL: there is none. */
static char *profile_of(const struct qb_net *net, const char *master, const struct qb_link *port)
{
	const char *own = port->permanent_mac ? port->permanent_mac : port->mac;
	_cleanup_free_ char *mac = qb_asprintf("\nmac-address=%s\n", own ? own : "none");
	_cleanup_free_ char *name = qb_asprintf("\ninterface-name=%s\n", port->name);
	_cleanup_free_ char *path = qb_asprintf("\npath=%s\n", port->path ? port->path : "none");
	_cleanup_free_ char *id = qb_asprintf("/qubi-%s-", master);

	for (size_t i = 0; i < net->n_keyfiles; i++) {
		const char *file = strstr(net->keyfiles[i].path, id);
		const char *end = file ? strstr(file, ".nmconnection") : NULL;
		const char *text = net->keyfiles[i].text;

		if (end && (strstr(text, mac) || strstr(text, name) || strstr(text, path)))
			return qb_strndup(file + 1, (size_t)(end - file) - 1);
	}
	return NULL;
}

char *qb_keyfile_way_out(const struct qb_net *net, const char *master, const struct qb_link *port)
{
	_cleanup_free_ char *profile = profile_of(net, master, port);
	char *unit = qb_unit_way_out(port);

	if (unit)
		return unit;
	if (profile)
		return qb_asprintf("nmcli connection delete %s", profile);
	return qb_asprintf("ip link set %s nomaster%s", port->name,
			   qb_net_keeper(net) == QB_KEEPER_NETWORKMANAGER
				   ? "; where a profile makes it one: nmcli connection delete, "
				     "and its name"
				   : "");
}
