/* SPDX-License-Identifier: Apache-2.0 */
/* What files say of links, read from a tree; and the profiles, written to one. */
#include "tree.h"

#include <sys/socket.h>

#include "net/bridge.h"
#include "net/names.h"
#include "net/probe.h"
#include "net/sys_probe.h"

#define PROFILES "/etc/NetworkManager/system-connections/"

static struct qb_link *add_link(struct qb_net *net, const char *name, int64_t ifindex)
{
	struct qb_link *link = QB_APPEND(net->links, net->n_links);

	link->name = qb_strdup(name);
	link->ifindex = ifindex;
	link->mac = qb_strdup("00:00:5e:00:53:01");
	return link;
}

static void a_captured_host_has_no_snapshot(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	struct tree *t = *state;

	tree_put(t, "/etc/resolv.conf", "nameserver 192.0.2.53\n");
	qb_net_probe(&t->root, &net);
	assert_int_equal(net.known.state, QB_UNKNOWN);
	assert_non_null(strstr(net.known.why, "not a live host"));
	assert_int_equal(net.n_links, 0);
	/* What files say is known nevertheless. */
	assert_true(qb_strs_has(&net.nameservers, "192.0.2.53"));
}

static void hardware_by_sysfs(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	static const char device[] = "../../devices/pci0000:00/0000:00:03.0/virtio0/net/eth0";
	struct tree *t = *state;

	tree_put(t, "/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/ifindex", "2\n");
	tree_put(t, "/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/address",
		 "00:00:5e:00:53:01\n");
	tree_put(t, "/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/speed", "10000\n");
	tree_link(t, "../..", "/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/device");
	tree_mkdir(t, "/sys/bus/virtio/drivers/virtio_net");
	tree_link(t, "../../../../bus/virtio/drivers/virtio_net",
		  "/sys/devices/pci0000:00/0000:00:03.0/virtio0/driver");
	tree_mkdir(t, "/sys/class/net");
	tree_link(t, device, "/sys/class/net/eth0");
	tree_put(t, "/sys/class/net/wlan0/ifindex", "3\n");
	tree_put(t, "/sys/class/net/wlan0/address", "00:00:5e:00:53:01\n");
	tree_mkdir(t, "/sys/class/net/wlan0/phy80211");
	/* The same name in another network namespace is another link. */
	tree_put(t, "/sys/class/net/eth9/ifindex", "44\n");
	tree_mkdir(t, "/sys/class/net/eth9/wireless");
	add_link(&net, "eth0", 2);
	add_link(&net, "wlan0", 3);
	add_link(&net, "eth9", 4);
	qb_net_sys_probe(&t->root, &net);
	assert_string_equal(net.links[0].driver, "virtio_net");
	assert_string_equal(net.links[0].path, "pci-0000:00:03.0");
	assert_int_equal(net.links[0].speed_mbps, 10000);
	assert_false(net.links[0].wireless);
	assert_true(net.links[1].wireless);
	assert_null(net.links[1].driver);
	assert_false(net.links[2].wireless);
}

static void id_paths(void **state)
{
	static const struct {
		const char *device, *path;
	} cases[] = {
		{"../../devices/pci0000:00/0000:00:1c.0/0000:02:00.1/net/eno2", "pci-0000:02:00.1"},
		{"../../devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4.1/1-4.1:1.0/net/enx0",
		 "pci-0000:00:14.0-usb-0:4.1:1.0"},
		{"../../devices/virtual/net/br0", NULL},
		{"../../devices/platform/soc/fe300000.ethernet/net/end0", NULL},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *path = qb_sysfs_id_path(cases[i].device);

		if (!qb_streq(path, cases[i].path))
			fail_msg("%s is %s", cases[i].device, path ? path : "nothing");
	}
}

static void others_profiles_are_not_kept(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	struct tree *t = *state;

	tree_put(t, PROFILES "office.nmconnection",
		 "[connection]\nid=office\ninterface-name=eth0\nzone=dmz\n[802-1x]\n"
		 "password=secret\n[ipv6]\nrouting-rule1=priority 7 type blackhole\n");
	tree_put(t, PROFILES "card.nmconnection",
		 "[connection]\nid=card\nzone=work\n[ethernet]\nmac-address=00:00:5E:00:53:0A\n");
	tree_put(t, PROFILES "other.nmconnection",
		 "[connection]\nid=other\ninterface-name=eth9\nzone=drop\n[ethernet]\n"
		 "mac-address=00:00:5e:00:53:0a\n");
	tree_put(t, PROFILES "qubi-br0.nmconnection", "[connection]\nid=qubi-br0\n");
	tree_put(t, PROFILES "qubi-notes.txt", "not a profile\n");
	tree_put(t, "/etc/firewalld/zones/internal.xml",
		 "<zone>\n  <interface name=\"eth1\"/>\n</zone>\n");
	add_link(&net, "eth0", 2);
	add_link(&net, "eth1", 3);
	add_link(&net, "eth10", 4);
	add_link(&net, "eth11", 5);
	net.links[3].mac = qb_strdup("00:00:5e:00:53:0b");
	net.links[3].permanent_mac = qb_strdup("00:00:5e:00:53:0a");
	qb_net_sys_probe(&t->root, &net);
	assert_string_equal(net.links[0].zone, "dmz");
	assert_int_equal(net.links[0].profile_rules.n, 1);
	assert_string_equal(net.links[0].profile_rules.v[0],
			    "ipv6.routing-rule1=priority 7 type blackhole");
	assert_int_equal(net.links[1].profile_rules.n, 0);
	assert_string_equal(net.links[0].dot1x, "office");
	assert_null(net.links[3].dot1x);
	assert_string_equal(net.links[1].zone, "internal");
	assert_null(net.links[2].zone);
	assert_string_equal(net.links[3].zone, "work");
	assert_int_equal(net.n_keyfiles, 1);
	assert_string_equal(net.keyfiles[0].path, PROFILES "qubi-br0.nmconnection");
	assert_string_equal(net.keyfiles[0].text, "[connection]\nid=qubi-br0\n");
}

/* Where NetworkManager has profiles besides, and in which other form. */
static void profiles_of_other_places(void **state)
{
	static const char scripts[] = "/etc/sysconfig/network-scripts/";
	_cleanup_free_ char *eth0 = qb_asprintf("%sifcfg-lan", scripts);
	_cleanup_free_ char *eth1 = qb_asprintf("%sifcfg-eth1", scripts);
	_cleanup_free_ char *keys = qb_asprintf("%skeys-eth1", scripts);
	_cleanup_net_ struct qb_net net = {0};
	struct tree *t = *state;

	tree_put(t, eth0, "DEVICE=eth0\nZONE=work\nONBOOT=yes\n");
	tree_put(t, eth1,
		 "# ZONE=drop\nNAME='lan one'\nHWADDR=\"00:00:5E:00:53:0A\"\nZONE='home'\n"
		 "KEY_MGMT=IEEE8021X");
	tree_put(t, keys, "DEVICE=eth0\nZONE=drop\nIEEE_8021X_PASSWORD=secret\n");
	tree_put(t, "/usr/lib/NetworkManager/system-connections/a.nmconnection",
		 "[connection]\nid=a\ninterface-name=eth2\nzone=drop\n");
	tree_put(t, "/run/NetworkManager/system-connections/b.nmconnection",
		 "[connection]\nid=b\ninterface-name=eth2\nzone=dmz\n");
	tree_put(t, PROFILES "c.nmconnection",
		 "[connection]\nid=c\ninterface-name=eth2\nzone=block\n");
	tree_put(t, "/run/NetworkManager/system-connections/qubi-br0.nmconnection",
		 "[connection]\nid=qubi-br0\n");
	add_link(&net, "eth0", 2);
	qb_strset(&add_link(&net, "eth1", 3)->permanent_mac, "00:00:5e:00:53:0a");
	add_link(&net, "eth2", 4);
	qb_net_sys_probe(&t->root, &net);
	assert_string_equal(net.links[0].zone, "work");
	assert_null(net.links[0].dot1x);
	assert_string_equal(net.links[1].zone, "home");
	assert_string_equal(net.links[1].dot1x, "ifcfg-eth1");
	assert_string_equal(net.links[2].zone, "dmz");
	assert_int_equal(net.n_keyfiles, 0);
}

/* Which of a NIC's profiles counts, and in which form. */
static void the_profile_that_counts(void **state)
{
#define A "1d0b9236-0fb9-3ddd-b5d8-81a26b2af642"
#define B "5c475865-c69f-5659-b9f3-bb379264b494"
#define FOR_ETH0 "[connection]\ninterface-name=eth0\n"
	static const char etc[] = PROFILES, run[] = "/run/NetworkManager/system-connections/",
			  scripts[] = "/etc/sysconfig/network-scripts/",
			  device[] = "/run/NetworkManager/devices/2";
	static const struct {
		struct {
			const char *dir, *file, *text;
		} files[2];
		const char *active; /* connection-uuid */
		const char *zone, *dot1x, *identity;
	} cases[] = {
		/* The active one, whatever others there are. */
		{{{etc, "b.nmconnection",
		   FOR_ETH0 "uuid=" A "\nzone=work\n[ipv4]\ndhcp-client-id=mac\n"},
		  {etc, "c.nmconnection", FOR_ETH0 "uuid=" B "\nzone=trusted\n[802-1x]\n"}},
		 A,
		 "work",
		 NULL,
		 "ipv4.dhcp-client-id=mac"},
		/* Also where it is for any NIC. */
		{{{etc, "b.nmconnection",
		   "[connection]\nuuid=" A "\nid=any\nzone=work\n[802-1x]\n"},
		  {etc, "c.nmconnection", FOR_ETH0 "uuid=" B "\nzone=trusted\n"}},
		 A,
		 "work",
		 "any",
		 NULL},
		{{{etc, "b.nmconnection", "[connection]\nzone=work\n"}}, NULL, NULL, NULL, NULL},
		/* Else the one that would be taken. */
		{{{etc, "b.nmconnection", FOR_ETH0 "zone=work\n"},
		  {etc, "c.nmconnection", FOR_ETH0 "zone=trusted\nautoconnect=false\n[802-1x]\n"}},
		 NULL,
		 "work",
		 NULL,
		 NULL},
		{{{etc, "b.nmconnection", FOR_ETH0 "zone=work\nautoconnect-priority=5\n"},
		  {etc, "c.nmconnection", FOR_ETH0 "zone=trusted\n"}},
		 NULL,
		 "work",
		 NULL,
		 NULL},
		/* What /run has of another UUID is another profile, of the same it is this one. */
		{{{etc, "b.nmconnection", FOR_ETH0 "uuid=" A "\n[ipv4]\ndhcp-client-id=keep\n"},
		  {run, "eth0.nmconnection", FOR_ETH0 "uuid=" B "\n"}},
		 A,
		 NULL,
		 NULL,
		 "ipv4.dhcp-client-id=keep"},
		{{{etc, "b.nmconnection", FOR_ETH0 "uuid=" A "\nzone=work\n"},
		  {run, "b.nmconnection", FOR_ETH0 "uuid=" A "\nzone=home\n"}},
		 A,
		 "home",
		 NULL,
		 NULL},
		/* Ours says nothing that it did not take from it, also where it is active. */
		{{{etc, "b.nmconnection", FOR_ETH0 "uuid=" A "\nzone=work\n"},
		  {run, "qubi-br0-port-1.nmconnection", FOR_ETH0 "uuid=" B "\nzone=home\n"}},
		 B,
		 "work",
		 NULL,
		 NULL},
		/* Forms. */
		{{{etc, "b.nmconnection",
		   "[connection]\r\n interface-name = eth0 \r\nzone\t=\twork\r\n[802-1x]\r\n"}},
		 NULL,
		 "work",
		 "b.nmconnection",
		 NULL},
		{{{etc, "b.nmconnection",
		   "[vlan]\nid=5\nzone=no\n" FOR_ETH0 "id=office\n[802-1x]"}},
		 NULL,
		 NULL,
		 "office",
		 NULL},
		{{{scripts, "ifcfg-eth0", "DEVICE='eth0'\nZONE=work"},
		  {scripts, "ifcfg-eth0.bak", "DEVICE=eth0\nKEY_MGMT=IEEE8021X\nZONE=old\n"}},
		 NULL,
		 "work",
		 NULL,
		 NULL},
		{{{scripts, "ifcfg-eth0", "DEVICE=eth0\nUUID=" A "\nKEY_MGMT=IEEE8021X\n"},
		  {etc, "z.nmconnection", FOR_ETH0 "uuid=" B "\n"}},
		 A,
		 NULL,
		 "ifcfg-eth0",
		 NULL},
	};
	struct tree *t = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *active = qb_asprintf("[device]\nmanaged=true\n%s%s\n",
							  cases[i].active ? "connection-uuid=" : "",
							  cases[i].active ? cases[i].active : "");
		_cleanup_net_ struct qb_net net = {0};
		const struct qb_link *l = add_link(&net, "eth0", 2);
		_cleanup_strs_ struct qb_strs paths = {0};

		tree_put(t, device, active);
		for (size_t j = 0; j < 2 && cases[i].files[j].dir; j++) {
			qb_strs_addf(&paths, "%s%s", cases[i].files[j].dir, cases[i].files[j].file);
			tree_put(t, paths.v[j], cases[i].files[j].text);
		}
		qb_net_sys_probe(&t->root, &net);
		if (!qb_streq(l->zone, cases[i].zone) || !qb_streq(l->dot1x, cases[i].dot1x) ||
		    !qb_streq(l->dhcp_identity.n ? l->dhcp_identity.v[0] : NULL, cases[i].identity))
			fail_msg("case %zu: %s, %s, %s", i, l->zone, l->dot1x,
				 l->dhcp_identity.n ? l->dhcp_identity.v[0] : "");
		for (size_t j = 0; j < paths.n; j++)
			assert_int_equal(qb_root_unlink(&t->root, paths.v[j], NULL), 0);
	}
#undef A
#undef B
#undef FOR_ETH0
}

static void zones_of_firewalld(void **state)
{
	_cleanup_net_ struct qb_net none = {0}, enabled = {0};
	struct tree *t = *state;

	tree_put(t, "/etc/firewalld/zones/internal.xml",
		 "<zone>\n  <interface name=\"eth0\"/>\n  <interface name=\"br0\"/>\n</zone>\n");
	tree_put(t, "/etc/firewalld/firewalld.conf", "DefaultZone=work ");
	add_link(&none, "eth0", 2);
	qb_net_sys_probe(&t->root, &none);
	assert_false(none.firewalld);
	assert_string_equal(none.links[0].zone, "internal");
	assert_int_equal(none.zones.n, 1);
	assert_string_equal(none.zones.v[0], "br0 internal");
	assert_string_equal(none.default_zone, "work");
	tree_put(t, "/etc/systemd/system/multi-user.target.wants/firewalld.service", "");
	qb_net_sys_probe(&t->root, &enabled);
	assert_true(enabled.firewalld);
}

static void units_of_networkd(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	struct tree *t = *state;

	tree_put(t, "/run/systemd/netif/links/2",
		 "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-a.network\n"
		 "DHCP6_CLIENT_IAID=0x1f\n");
	/* ff, the IAID, and a DUID behind it. */
	tree_put(t, "/run/systemd/netif/leases/2",
		 "ADDRESS=192.0.2.9\nCLIENTID=ff000001020002000000ab11\n");
	tree_put(t, "/run/systemd/network/10-a.network", "[Match]\nName=eth0\n");
	tree_put(t, "/run/systemd/network/10-a.network.d/b.conf", "[Network]\nDNS=192.0.2.2\n");
	tree_put(t, "/usr/lib/systemd/network/10-a.network.d/b.conf", "hidden\n");
	tree_put(t, "/etc/systemd/network/10-a.network.d/a.conf", "[Network]\nDNS=192.0.2.1\n");
	tree_put(t, "/etc/systemd/network/10-a.network.d/c.txt", "no\n");
	tree_put(t, "/etc/systemd/network/0-qubi-br0.netdev", "ours\n");
	tree_put(t, "/etc/systemd/network/50-b.network", "theirs\n");
	/* By the MAC; and one that names no file. */
	tree_put(t, "/run/systemd/netif/links/3", "ADMIN_STATE=configuring\n");
	tree_put(t, "/run/systemd/netif/leases/3", "CLIENTID=0100005e005301\n");
	add_link(&net, "eth0", 2);
	add_link(&net, "eth1", 3);
	qb_net_sys_probe(&t->root, &net);
	assert_string_equal(net.links[0].unit_path, "/run/systemd/network/10-a.network");
	assert_string_equal(net.links[0].unit_text,
			    "[Match]\nName=eth0\n\n[Network]\nDNS=192.0.2.1\n\n"
			    "[Network]\nDNS=192.0.2.2\n");
	assert_int_equal(net.links[0].dhcp_identity.n, 2);
	assert_string_equal(net.links[0].dhcp_identity.v[0], "DHCPv4.IAID=258");
	assert_string_equal(net.links[0].dhcp_identity.v[1], "DHCPv6.IAID=31");
	assert_true(net.links[1].networkd);
	assert_null(net.links[1].unit_path);
	assert_int_equal(net.links[1].dhcp_identity.n, 0);
	assert_int_equal(net.n_keyfiles, 1);
	assert_string_equal(net.keyfiles[0].path, "/etc/systemd/network/0-qubi-br0.netdev");
}

static void owners_and_resolvers(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	struct tree *t = *state;

	tree_put(t, "/usr/sbin/NetworkManager", "");
	tree_mkdir(t, "/proc/self/ns");
	tree_mkdir(t, "/proc/100/ns");
	tree_mkdir(t, "/proc/200/ns");
	tree_mkdir(t, "/proc/300/ns");
	tree_link(t, "net:[1]", "/proc/self/ns/net");
	tree_put(t, "/proc/100/comm", "NetworkManager\n");
	tree_link(t, "net:[1]", "/proc/100/ns/net");
	/* One that runs in a container is not this host's. */
	tree_put(t, "/proc/200/comm", "systemd-network\n");
	tree_link(t, "net:[2]", "/proc/200/ns/net");
	tree_put(t, "/proc/300/comm", "firewalld\n");
	tree_link(t, "net:[1]", "/proc/300/ns/net");
	tree_put(t, "/run/systemd/netif/links/2", "ADMIN_STATE=configured\nOPER_STATE=routable\n");
	tree_put(t, "/run/systemd/netif/links/3", "ADMIN_STATE=unmanaged\n");
	tree_put(t, "/etc/resolv.conf", "nameserver 198.51.100.1\n");
	tree_put(t, "/run/NetworkManager/resolv.conf",
		 "# made\nsearch old.example\nsearch example.com example.net\n"
		 "nameserver 192.0.2.53\nnameserver 2001:db8::53\noptions edns0\n");
	add_link(&net, "eth0", 2);
	add_link(&net, "eth1", 3);
	qb_net_sys_probe(&t->root, &net);
	assert_true(net.networkmanager_installed);
	assert_true(net.networkmanager_running);
	assert_false(net.networkd_running);
	assert_true(net.firewalld);
	assert_string_equal(net.default_zone, "public");
	assert_true(net.links[0].networkd);
	assert_false(net.links[1].networkd);
	assert_int_equal(net.nameservers.n, 2);
	assert_string_equal(net.nameservers.v[1], "2001:db8::53");
	assert_int_equal(net.search.n, 2);
	assert_string_equal(net.search.v[0], "example.com");
	assert_null(net.network_root);
}

/* Of one without a carrier NetworkManager has no file, either. */
static void what_networkmanager_leaves_alone(void **state)
{
	static const struct {
		const char *file;
		bool no_carrier, unmanaged;
	} cases[] = {
		{"[device]\nmanaged=true\nconnection-uuid=1\n", false, false},
		{"[device]\nmanaged=false\n", false, false},
		{"[device]\nperm-hw-addr-fake=00:00:5E:00:53:01\n", false, true},
		{NULL, false, true},
		{NULL, true, false},
	};
	_cleanup_net_ struct qb_net net = {0}, before = {0};
	struct tree *t = *state;

	/* It has not run since the boot. */
	qb_tri_set(&add_link(&before, "eth3", 5)->carrier, true);
	qb_net_sys_probe(&t->root, &before);
	assert_false(before.links[0].unmanaged);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *name = qb_asprintf("eth%zu", i);
		_cleanup_free_ char *path = qb_asprintf("/run/NetworkManager/devices/%zu", i + 2);

		add_link(&net, name, (int64_t)i + 2);
		qb_tri_set(&net.links[i].carrier, !cases[i].no_carrier);
		if (cases[i].file)
			tree_put(t, path, cases[i].file);
	}
	add_link(&net, "tap0", 20);
	net.links[net.n_links - 1].kind = qb_strdup("tun");
	qb_tri_set(&net.links[net.n_links - 1].carrier, true);
	qb_net_sys_probe(&t->root, &net);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		if (net.links[i].unmanaged != cases[i].unmanaged)
			fail_msg("%s", net.links[i].name);
	assert_false(net.links[net.n_links - 1].unmanaged);
}

static void a_root_on_the_network(void **state)
{
	_cleanup_net_ struct qb_net nfs = {0}, iscsi = {0};
	struct tree *t = *state;

	tree_put(t, "/proc/mounts", "proc /proc proc rw 0 0\n192.0.2.9:/root / nfs4 rw 0 0\n");
	qb_net_sys_probe(&t->root, &nfs);
	assert_string_equal(nfs.network_root, "192.0.2.9:/root / nfs4 rw 0 0");
	tree_mkdir(t, "/sys/class/iscsi_session/session3");
	qb_net_sys_probe(&t->root, &iscsi);
	assert_string_equal(iscsi.network_root, "iSCSI session3");
}

static char *read_back(struct tree *t, const char *path)
{
	char *text = NULL;
	size_t len;

	return qb_root_read(&t->root, path, 4096, &text, &len) < 0 ? NULL : text;
}

static bool is(struct tree *t, const char *path, const char *wanted)
{
	_cleanup_free_ char *text = read_back(t, path);

	return qb_streq(text, wanted);
}

/* Of the bridge's profile with another number of ports. */
static json_t *other_ports(void)
{
	return json_pack("{s:s, s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:n}]}", "bridge", "br0", "files",
			 "path", PROFILES "qubi-br0.nmconnection", "text", "new\n", "path",
			 PROFILES "qubi-br0-port-1.nmconnection", "text", "new\n", "path",
			 PROFILES "qubi-br0-port-2.nmconnection", "text");
}

/* Its profile cannot be written where a directory is: that is how far it got. */
static void no_profile_of_a_bridge_is_without_its_ports(void **state)
{
	json_auto_t *args = other_ports();
	json_auto_t *before =
		json_pack("{s:{s:s, s:n, s:s}}", "files", PROFILES "qubi-br0.nmconnection", "old\n",
			  PROFILES "qubi-br0-port-1.nmconnection",
			  PROFILES "qubi-br0-port-2.nmconnection", "former\n");
	struct tree *t = *state;
	struct qb_step_ctx ctx = {.root = &t->root};

	tree_mkdir(t, PROFILES "qubi-br0.nmconnection");
	tree_put(t, PROFILES "qubi-br0-port-2.nmconnection", "former\n");
	assert_true(qb_bridge_persist_step.apply(&ctx, args, before, NULL) < 0);
	assert_true(is(t, PROFILES "qubi-br0-port-1.nmconnection", "new\n"));
	assert_true(is(t, PROFILES "qubi-br0-port-2.nmconnection", "former\n"));
	assert_int_equal(qb_root_unlink(&t->root, PROFILES "qubi-br0-port-2.nmconnection", NULL),
			 0);
	assert_true(qb_bridge_persist_step.undo(&ctx, args, before, NULL) < 0);
	assert_true(is(t, PROFILES "qubi-br0-port-1.nmconnection", "new\n"));
	assert_true(is(t, PROFILES "qubi-br0-port-2.nmconnection", "former\n"));
}

/* libnl's, too: no snapshot is to be had in this program. */
int socket(int domain, int type, int protocol)
{
	(void)domain, (void)type, (void)protocol;
	errno = EMFILE;
	return -1;
}

static void files_come_back_whatever_the_links_are(void **state)
{
	json_auto_t *args = other_ports();
	json_auto_t *before =
		json_pack("{s:{s:s}}", "files", PROFILES "qubi-br0.nmconnection", "old\n");
	struct qb_error err = QB_ERROR_INIT;
	struct tree *t = *state;
	struct qb_step_ctx ctx = {.root = &t->root};

	tree_put(t, PROFILES "qubi-br0.nmconnection", "new\n");
	t->root.live = true;
	assert_int_equal(qb_bridge_persist_step.undo(&ctx, args, before, &err), -EIO);
	assert_non_null(strstr(err.msg, "links and routes: netlink socket"));
	assert_true(is(t, PROFILES "qubi-br0.nmconnection", "old\n"));
}

static void profiles_are_written_and_taken_back(void **state)
{
	json_auto_t *args = json_pack(
		"{s:s, s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:n}], s:b}", "bridge", "br0", "files",
		"path", PROFILES "qubi-br0.nmconnection", "text", "[connection]\nuuid=1\n", "path",
		PROFILES "qubi-br0-port-1.nmconnection", "text", "[connection]\nuuid=2\n", "path",
		PROFILES "qubi-br0-port-2.nmconnection", "text", "running", 1);
	const struct qb_step_kind *kind = &qb_bridge_persist_step;
	struct qb_error err = QB_ERROR_INIT;
	json_auto_t *before = NULL, *again = NULL;
	enum qb_observed observed;
	struct qb_step_ctx ctx = {0};
	struct stat st;
	struct tree *t = *state;
	char *text;

	ctx.root = &t->root;
	tree_put(t, PROFILES "qubi-br0.nmconnection", "old\n");
	tree_put(t, PROFILES "qubi-br0-port-2.nmconnection", "former\n");
	assert_int_equal(kind->observe(&ctx, args, &observed, &before, &err), 0);
	assert_int_equal(observed, QB_OBSERVED_NEEDED);
	assert_int_equal(kind->verify(&ctx, args, before, &err), -EIO);
	assert_int_equal(kind->apply(&ctx, args, before, &err), 0);
	assert_int_equal(kind->verify(&ctx, args, before, &err), 0);
	assert_int_equal(qb_root_stat(&t->root, PROFILES "qubi-br0.nmconnection", false, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_null(read_back(t, PROFILES "qubi-br0-port-2.nmconnection"));
	assert_int_equal(kind->observe(&ctx, args, &observed, &again, &err), 0);
	assert_int_equal(observed, QB_OBSERVED_DONE);
	/* Those that were there are as they were, the other is gone; twice is as good as once. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kind->undo(&ctx, args, before, &err), 0);
		text = read_back(t, PROFILES "qubi-br0.nmconnection");
		assert_string_equal(text, "old\n");
		free(text);
		assert_null(read_back(t, PROFILES "qubi-br0-port-1.nmconnection"));
		text = read_back(t, PROFILES "qubi-br0-port-2.nmconnection");
		assert_string_equal(text, "former\n");
		free(text);
	}
}

static void addresses_as_text(void **state)
{
	static const struct {
		const char *address, *network;
	} cases[] = {
		{"192.0.2.10/24", "192.0.2.0/24"},
		{"192.0.2.10/25", "192.0.2.0/25"},
		{"192.0.2.200/25", "192.0.2.128/25"},
		{"192.0.2.10", "192.0.2.10/32"},
		{"192.0.2.10/0", "0.0.0.0/0"},
		{"2001:db8::10/64", "2001:db8::/64"},
		{"2001:db8:ffff::1/33", "2001:db8:8000::/33"},
	};
	static const char *const bad[] = {"",  "/24",   "192.0.2.10/33", "2001:db8::/129",
					  "x", "1.2.3", "192.0.2.1/-1",  "192.0.2.1/"};
	struct qb_ip ip;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *network = qb_ip_network(cases[i].address);

		assert_string_equal(network, cases[i].network);
	}
	for (size_t i = 0; i < QB_ARRAY_SIZE(bad); i++)
		assert_int_equal(qb_ip_parse(bad[i], &ip), -EINVAL);
	assert_int_equal(qb_ip_parse(NULL, &ip), -EINVAL);
	assert_true(qb_ip_is_link_local("fe80::1/64"));
	assert_true(qb_ip_is_link_local("febf::1"));
	assert_false(qb_ip_is_link_local("fec0::1"));
	assert_false(qb_ip_is_link_local("169.254.1.1/16"));
}

static void numbers_have_words(void **state)
{
	unsigned char n;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		_cleanup_free_ char *scope = qb_scope_name(i), *type = qb_route_type_name(i);
		_cleanup_free_ char *proto = qb_route_proto_name(i);

		assert_int_equal(qb_scope_parse(scope, &n), 0);
		assert_int_equal(n, i);
		assert_int_equal(qb_route_type_parse(type, &n), 0);
		assert_int_equal(n, i);
		assert_int_equal(qb_route_proto_parse(proto, &n), 0);
		assert_int_equal(n, i);
	}
	assert_int_equal(qb_scope_parse("256", &n), -EINVAL);
	assert_int_equal(qb_scope_parse("elsewhere", &n), -EINVAL);
	assert_int_equal(qb_scope_parse(NULL, &n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(a_captured_host_has_no_snapshot),
		tree_test(hardware_by_sysfs),
		cmocka_unit_test(id_paths),
		tree_test(others_profiles_are_not_kept),
		tree_test(profiles_of_other_places),
		tree_test(the_profile_that_counts),
		tree_test(zones_of_firewalld),
		tree_test(units_of_networkd),
		tree_test(owners_and_resolvers),
		tree_test(what_networkmanager_leaves_alone),
		tree_test(a_root_on_the_network),
		tree_test(profiles_are_written_and_taken_back),
		tree_test(no_profile_of_a_bridge_is_without_its_ports),
		tree_test(files_come_back_whatever_the_links_are),
		cmocka_unit_test(addresses_as_text),
		cmocka_unit_test(numbers_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
