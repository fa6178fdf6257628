/* SPDX-License-Identifier: Apache-2.0 */
/* What files say of links: hardware by sysfs, owners by /run and /proc. */
#include "net/sys_probe.h"

#include <ctype.h>
#include <strings.h>

#include "net/networkd.h"

#define FILE_MAX (1 << 20)
#define BOOT_WANTED "/etc/systemd/system/multi-user.target.wants/qubi-agent-network.service"
#define FIREWALLD_WANTED "/etc/systemd/system/multi-user.target.wants/firewalld.service"

/* DDDD:BB:DD.F */
static bool is_pci_address(const char *s)
{
	static const char form[] = "xxxx:xx:xx.x";

	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)s[i]) : s[i] != form[i])
			return false;
	return s[sizeof(form) - 1] == '\0';
}

char *qb_sysfs_id_path(const char *device)
{
	_cleanup_free_ char *copy = qb_strdup(device);
	const char *pci = NULL, *usb = NULL;
	char *save = NULL;

	for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		const char *dash = strchr(part, '-');

		if (is_pci_address(part))
			pci = part;
		else if (pci && isdigit((unsigned char)*part) && dash && strchr(dash, ':'))
			usb = dash + 1; /* an interface, "1-4.1:1.0" */
	}
	if (!pci)
		return NULL;
	return usb ? qb_asprintf("pci-%s-usb-0:%s", pci, usb) : qb_asprintf("pci-%s", pci);
}

/* Of these sysfs has nothing that is theirs: no driver, no slot, and no speed that anybody chose.
 */
static bool is_software(const struct qb_link *link)
{
	static const char *const kinds[] = {"bridge", "dummy", "macvlan", "macvtap",
					    "tun",    "veth",  "vlan",    "vxlan"};

	for (size_t i = 0; link->kind && i < QB_ARRAY_SIZE(kinds); i++)
		if (!strcmp(link->kind, kinds[i]))
			return true;
	return false;
}

/* sysfs shows the links of the namespace it was mounted in, which may be another one. */
static bool is_same_link(const struct qb_root *root, const struct qb_link *link)
{
	_cleanup_free_ char *index_path = qb_asprintf("/sys/class/net/%s/ifindex", link->name);
	_cleanup_free_ char *mac_path = qb_asprintf("/sys/class/net/%s/address", link->name);
	_cleanup_free_ char *mac = NULL;
	uint64_t index;

	if (qb_root_read_u64(root, index_path, &index) < 0 || (int64_t)index != link->ifindex)
		return false;
	return qb_root_read_value(root, mac_path, &mac) == 0 &&
	       (!link->mac || qb_streq(mac, link->mac));
}

static void link_hardware(const struct qb_root *root, struct qb_link *link)
{
	_cleanup_free_ char *dir = qb_asprintf("/sys/class/net/%s", link->name);
	_cleanup_free_ char *driver_path = qb_asprintf("%s/device/driver", dir);
	_cleanup_free_ char *speed_path = qb_asprintf("%s/speed", dir);
	_cleanup_free_ char *wireless = qb_asprintf("%s/wireless", dir);
	_cleanup_free_ char *phy = qb_asprintf("%s/phy80211", dir);
	_cleanup_free_ char *driver = NULL, *device = NULL;
	uint64_t speed;

	if (is_software(link) || !is_same_link(root, link))
		return;
	link->wireless = qb_root_exists(root, wireless) || qb_root_exists(root, phy);
	if (qb_root_readlink(root, driver_path, &driver) == 0)
		link->driver = qb_strdup(strrchr(driver, '/') ? strrchr(driver, '/') + 1 : driver);
	if (qb_root_readlink(root, dir, &device) == 0)
		link->path = qb_sysfs_id_path(device);
	/* -1 or EINVAL while there is no carrier. */
	if (qb_root_read_u64(root, speed_path, &speed) == 0 && speed < 100000000)
		link->speed_mbps = (int64_t)speed;
}

/* The text between two words, as a new string; NULL when they are not there. */
static char *between(const char *s, const char *before, const char *after)
{
	const char *from = strstr(s, before), *to;

	if (!from)
		return NULL;
	from += strlen(before);
	to = strstr(from, after);
	return to ? qb_strndup(from, (size_t)(to - from)) : NULL;
}

/* firewalld's own binding of a name to a zone: <interface name="eno1"/>. */
static void zone_of(const char *text, const char *zone, struct qb_net *net)
{
	static const char tag[] = "<interface name=\"";

	for (const char *at = text; (at = strstr(at, tag)); at += strlen(tag)) {
		_cleanup_free_ char *name = between(at, tag, "\"");
		struct qb_link *link = (struct qb_link *)qb_net_link(net, name);

		if (link && !link->zone)
			link->zone = qb_strdup(zone);
		if (name && !link)
			qb_strs_addf(&net->zones, "%s %s", name, zone);
	}
}

static void zones(const struct qb_root *root, struct qb_net *net)
{
	static const char dir[] = "/etc/firewalld/zones";
	_cleanup_strs_ struct qb_strs names = {0};

	if (qb_root_list(root, dir, &names) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, names.v[i]);
		_cleanup_free_ char *text = NULL, *zone = NULL;
		size_t len;

		if (!qb_endswith(names.v[i], ".xml") ||
		    qb_root_read(root, path, FILE_MAX, &text, &len) < 0)
			continue;
		zone = qb_strndup(names.v[i], strlen(names.v[i]) - strlen(".xml"));
		zone_of(text, zone, net);
	}
}

/* firewalld.conf(5); the fallback of firewalld's config/__init__.py is public. */
static void default_zone(const struct qb_root *root, struct qb_net *net)
{
	_cleanup_free_ char *text = NULL, *lines = NULL, *zone = NULL;
	size_t len;

	net->firewalld |= qb_root_exists(root, FIREWALLD_WANTED);
	if (qb_root_read(root, "/etc/firewalld/firewalld.conf", FILE_MAX, &text, &len) == 0) {
		lines = qb_asprintf("\n%s\n", text);
		zone = between(lines, "\nDefaultZone=", "\n");
	}
	net->default_zone = qb_strdup(zone && *qb_strip(zone) ? qb_strip(zone) : "public");
}

/* A running program of that name in this network namespace. */
static void managers(const struct qb_root *root, struct qb_net *net)
{
	_cleanup_strs_ struct qb_strs names = {0};
	_cleanup_free_ char *ours = NULL;

	if (qb_root_list(root, "/proc", &names) < 0 ||
	    qb_root_readlink(root, "/proc/self/ns/net", &ours) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *comm_path = qb_asprintf("/proc/%s/comm", names.v[i]);
		_cleanup_free_ char *ns_path = qb_asprintf("/proc/%s/ns/net", names.v[i]);
		_cleanup_free_ char *comm = NULL, *theirs = NULL;
		bool nm, networkd, firewalld;

		if (!isdigit((unsigned char)names.v[i][0]) ||
		    qb_root_read_value(root, comm_path, &comm) < 0)
			continue;
		nm = !strcmp(comm, "NetworkManager");
		networkd = !strcmp(comm, "systemd-network"); /* cut at 15 by the kernel */
		firewalld = !strcmp(comm, "firewalld");
		if ((!nm && !networkd && !firewalld) ||
		    qb_root_readlink(root, ns_path, &theirs) < 0 || strcmp(ours, theirs) != 0)
			continue;
		net->networkmanager_running |= nm;
		net->networkd_running |= networkd;
		net->firewalld |= firewalld;
	}
}

static void resolver(const struct qb_root *root, struct qb_net *net)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL, *word_save;
	size_t len;

	if (qb_root_read(root, "/run/NetworkManager/resolv.conf", FILE_MAX, &text, &len) < 0 &&
	    qb_root_read(root, "/etc/resolv.conf", FILE_MAX, &text, &len) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *key = strtok_r(line, " \t", &word_save), *word;

		if (!key)
			continue;
		/* The last search line counts; there is one name server a line. */
		if (!strcmp(key, "search"))
			qb_strs_done(&net->search);
		while ((word = strtok_r(NULL, " \t", &word_save)) != NULL) {
			if (!strcmp(key, "search"))
				qb_strs_add(&net->search, word);
			else if (!strcmp(key, "nameserver"))
				qb_strs_add(&net->nameservers, word);
		}
	}
}

static void network_root(const struct qb_root *root, struct qb_net *net)
{
	_cleanup_strs_ struct qb_strs sessions = {0};
	_cleanup_free_ char *mounts = NULL;
	char *save = NULL;
	size_t len;

	if (qb_root_list(root, "/sys/class/iscsi_session", &sessions) == 0 && sessions.n) {
		net->network_root = qb_asprintf("iSCSI %s", sessions.v[0]);
		return;
	}
	if (qb_root_read(root, "/proc/mounts", FILE_MAX, &mounts, &len) < 0)
		return;
	for (char *line = strtok_r(mounts, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		_cleanup_free_ char *source = NULL, *target = NULL, *type = NULL;

		if (sscanf(line, "%ms %ms %ms", &source, &target, &type) == 3 &&
		    !strcmp(target, "/") && qb_startswith(type, "nfs"))
			qb_strset(&net->network_root, line);
	}
}

void qb_net_sys_probe(const struct qb_root *root, struct qb_net *net)
{
	for (size_t i = 0; i < net->n_links; i++)
		link_hardware(root, &net->links[i]);
	zones(root, net);
	qb_profiles_probe(root, net);
	qb_networkd_probe(root, net);
	managers(root, net);
	default_zone(root, net);
	net->networkmanager_installed = qb_root_exists(root, "/usr/sbin/NetworkManager");
	resolver(root, net);
	network_root(root, net);
	net->boot_unit = qb_root_exists(root, BOOT_WANTED);
}
