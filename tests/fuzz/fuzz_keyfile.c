/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of NetworkManager, firewalld and the like that say something of links: as the probe of the
 * network, the plan of what lasts, and the checks read them. The input is several files with a NUL
 * between them.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "net/drift.h"
#include "net/sys_probe.h"

#define ETC "/etc/NetworkManager/system-connections/"

static const char *const paths[] = {
	ETC "qubi-br0.nmconnection",
	ETC "qubi-br0-port-1.nmconnection",
	ETC "eth0.nmconnection",
	"/run/NetworkManager/system-connections/netplan-eth0.nmconnection",
	"/etc/NetworkManager/conf.d/ports.conf",
	"/etc/sysconfig/network-scripts/ifcfg-eth0",
	"/etc/firewalld/zones/guests.xml",
	"/etc/resolv.conf",
	"/proc/mounts",
	"/run/systemd/netif/links/2",
	"/run/NetworkManager/devices/2",
};

static char *texts[QB_ARRAY_SIZE(paths)];

static void split(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(texts); i++) {
		const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
		size_t n = end ? (size_t)(end - data) : size;

		free(texts[i]);
		texts[i] = size ? qb_strndup((const char *)data, n) : NULL;
		n += end ? 1 : 0;
		data += n;
		size -= n;
	}
}

int __wrap_qb_root_list(const struct qb_root *root, const char *path, struct qb_strs *ret)
{
	size_t len = strlen(path);

	(void)root;
	*ret = (struct qb_strs){0};
	for (size_t i = 0; i < QB_ARRAY_SIZE(paths); i++)
		if (texts[i] && !strncmp(paths[i], path, len) && paths[i][len] == '/' &&
		    !strchr(paths[i] + len + 1, '/'))
			qb_strs_add(ret, paths[i] + len + 1);
	return ret->n ? 0 : -ENOENT;
}

int __wrap_qb_root_read(const struct qb_root *root, const char *path, size_t max, char **ret,
			size_t *ret_len)
{
	(void)root;
	for (size_t i = 0; i < QB_ARRAY_SIZE(paths); i++) {
		if (!texts[i] || strcmp(paths[i], path) != 0)
			continue;
		*ret_len = strlen(texts[i]);
		MUST(*ret_len <= max);
		*ret = qb_strdup(texts[i]);
		return 0;
	}
	return -ENOENT;
}

bool __wrap_qb_root_exists(const struct qb_root *root, const char *path)
{
	_cleanup_strs_ struct qb_strs names = {0};

	return __wrap_qb_root_list(root, path, &names) == 0;
}

/* As the probe of readings has them: without white space around. */
static void readings(struct qb_facts *facts)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(paths); i++) {
		struct qb_reading *x;
		char *copy;

		if (!texts[i])
			continue;
		x = QB_APPEND(facts->readings, facts->n_readings);
		copy = qb_strdup(texts[i]);
		x->path = qb_strdup(paths[i]);
		x->value = qb_strdup(qb_strip(copy));
		x->mode = 0100600;
		free(copy);
	}
}

static struct qb_link *add_link(struct qb_net *net, const char *name, const char *mac)
{
	struct qb_link *l = QB_APPEND(net->links, net->n_links);

	l->ifindex = (int64_t)net->n_links;
	l->name = qb_strdup(name);
	l->mac = qb_strdup(mac);
	l->mtu = 1500;
	l->up = true;
	return l;
}

static void add_links(struct qb_net *net)
{
	struct qb_link *l = add_link(net, "br0", "00:00:5e:00:53:01");
	struct qb_address *a = QB_APPEND(l->addresses, l->n_addresses);

	l->kind = qb_strdup("bridge");
	qb_tri_set(&l->stp, false);
	a->address = qb_strdup("192.0.2.10/24");
	a->valid_s = a->preferred_s = UINT32_MAX;
	l = add_link(net, "eth0", "00:00:5e:00:53:01");
	l->master = qb_strdup("br0");
	l->path = qb_strdup("pci-0000:01:00.0");
	qb_tri_set(&net->known, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qb_port_match match = {.mac = "00:00:5e:00:53:01"};
	static struct qb_bridge_config bridge = {.name = "br0", .ports = &match, .n_ports = 1};
	static const struct qb_config config = {.bridges = &bridge, .n_bridges = 1};
	struct qb_root root = QB_ROOT_INIT;
	_cleanup_facts_ struct qb_facts facts = {0};
	json_auto_t *differences = json_array();

	split(data, size);
	add_links(&facts.net);
	qb_net_sys_probe(&root, &facts.net);
	facts.net.networkmanager_installed = true;
	readings(&facts);
	for (size_t i = 0; i < facts.net.n_keyfiles; i++) {
		const char *text = facts.net.keyfiles[i].text;

		qb_keyfile_differences(facts.net.keyfiles[i].path, text, text, text,
				       &(struct qb_fixed){true, true}, differences);
	}
	fuzz_plan(&facts, &config, NULL);
	fuzz_judge(&facts, &config, "net");
	return 0;
}
