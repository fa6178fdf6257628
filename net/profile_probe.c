/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkManager's profiles of links: nm-settings-keyfile(5), nm-settings-ifcfg-rh(5). Of others'
 * only the zone of a link, a VLAN's parent, who a link is to a DHCP server, its policy rules and
 * that there is 802.1X are kept: the rest may be passwords. Of ours, all.
 */
#include "net/sys_probe.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "net/bound.h"

#define FILE_MAX (1 << 20)
#define UUID_LEN 36
#define PROFILES "/etc/NetworkManager/system-connections"
#define DEVICES "/run/NetworkManager/devices"
#define SCRIPTS "/etc/sysconfig/network-scripts"

struct profile {
	char *file, *uuid, *id;
	char *link, *mac; /* whom it is for; neither: for any */
	char *zone, *parent;
	bool ours, by_hand, dot1x;
	long priority;
	struct qb_strs identity, rules;
};

struct profiles {
	struct profile *v;
	size_t n;
};

static void profile_done(struct profile *p)
{
	free(p->file);
	free(p->uuid);
	free(p->id);
	free(p->link);
	free(p->mac);
	free(p->zone);
	free(p->parent);
	qb_strs_done(&p->identity);
	qb_strs_done(&p->rules);
	*p = (struct profile){0};
}

/* A VLAN's parent is a link, or the profile of one by its UUID. */
static bool is_uuid(const char *s)
{
	return strlen(s) == UUID_LEN && strspn(s, "0123456789abcdefABCDEF-") == UUID_LEN;
}

/* What a profile says of addresses: by what a DHCP server knows a host again, and policy rules. */
static void take_ip_key(const char *family, const char *key, const char *value, struct profile *p)
{
	static const char *const keys[] = {"dhcp-client-id", "dhcp-duid", "dhcp-iaid"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++)
		if (!strcmp(key, keys[i]))
			qb_strs_addf(&p->identity, "%s.%s=%s", family, key, value);
	if (qb_startswith(key, "routing-rule"))
		qb_strs_addf(&p->rules, "%s.%s=%s", family, key, value);
}

static void take_key(const char *section, const char *key, const char *value, struct profile *p)
{
	const struct {
		const char *section, *key;
		char **to;
	} words[] = {
		{"[connection]", "uuid", &p->uuid},
		{"[connection]", "id", &p->id},
		{"[connection]", "interface-name", &p->link},
		{"[connection]", "zone", &p->zone},
		{"[ethernet]", "mac-address", &p->mac},
		{"[802-3-ethernet]", "mac-address", &p->mac},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
		if (*value && !strcmp(section, words[i].section) && !strcmp(key, words[i].key))
			qb_strset(words[i].to, value);
	if (!strcmp(section, "[connection]") && !strcmp(key, "autoconnect"))
		p->by_hand = !strcmp(value, "false") || !strcmp(value, "0");
	else if (!strcmp(section, "[connection]") && !strcmp(key, "autoconnect-priority"))
		p->priority = strtol(value, NULL, 10);
	else if (!strcmp(section, "[vlan]") && !strcmp(key, "parent") && is_uuid(value))
		qb_strset(&p->parent, value);
	else if (!strcmp(section, "[ipv4]") || !strcmp(section, "[ipv6]"))
		take_ip_key(section[4] == '4' ? "ipv4" : "ipv6", key, value, p);
}

/* As GLib reads such files: blanks around a line, a key and a value mean nothing. */
static void read_keyfile(char *text, struct profile *p)
{
	const char *section = "";
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *value;

		l = qb_strip(l);
		value = strchr(l, '=');
		if (*l == '[') {
			section = l;
			p->dot1x |= !strcmp(l, "[802-1x]");
		} else if (*l != '#' && value) {
			*value++ = '\0';
			take_key(section, qb_strip(l), qb_strip(value), p);
		}
	}
}

/* NetworkManager's older form: shell assignments, also in quotes. */
static void read_ifcfg(char *text, struct profile *p)
{
	const struct {
		const char *key;
		char **to;
	} words[] = {
		{"UUID", &p->uuid}, {"DEVICE", &p->link}, {"HWADDR", &p->mac}, {"ZONE", &p->zone}};
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *key = qb_strip(l), *value = strchr(key, '=');

		if (*key == '#' || !value)
			continue;
		*value = '\0';
		value = qb_strip(value + 1);
		if (*value == '"' || *value == '\'') {
			value++;
			value[strcspn(value, "\"'")] = '\0';
		}
		for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
			if (*value && !strcmp(key, words[i].key))
				qb_strset(words[i].to, value);
		if (!strcmp(key, "ONBOOT"))
			p->by_hand = !strcasecmp(value, "no");
		else if (!strcmp(key, "KEY_MGMT"))
			p->dot1x = !strcmp(value, "IEEE8021X");
	}
}

/* One of the same UUID in a later directory takes the place of the first. */
static void add(struct profiles *to, const struct profile *p)
{
	for (size_t i = 0; p->uuid && i < to->n; i++)
		if (to->v[i].uuid && !strcasecmp(to->v[i].uuid, p->uuid)) {
			profile_done(&to->v[i]);
			to->v[i] = *p;
			return;
		}
	*QB_APPEND(to->v, to->n) = *p;
}

static void read_dir(const struct qb_root *root, const char *dir, struct qb_net *net,
		     struct profiles *to)
{
	_cleanup_strs_ struct qb_strs names = {0};

	if (qb_root_list(root, dir, &names) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, names.v[i]), *text = NULL;
		struct profile p = {.ours = qb_startswith(names.v[i], "qubi-")};
		size_t len;

		if (!qb_endswith(names.v[i], ".nmconnection") ||
		    qb_root_read(root, path, FILE_MAX, &text, &len) < 0)
			continue;
		if (p.ours && !strcmp(dir, PROFILES)) {
			struct qb_keyfile *file = QB_APPEND(net->keyfiles, net->n_keyfiles);

			file->path = qb_strdup(path);
			file->text = qb_strdup(text);
		}
		p.file = qb_strdup(names.v[i]);
		read_keyfile(text, &p);
		add(to, &p);
		explicit_bzero(text, len);
	}
}

/* What the plugin passes over, shared.h of ifcfg-rh: what editors and packages leave. */
static bool is_left_over(const char *name)
{
	static const char *const ends[] = {"~",       ".bak",     ".orig",    ".rej",
					   ".rpmnew", ".rpmorig", ".rpmsave", "-range"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(ends); i++)
		if (qb_endswith(name, ends[i]))
			return true;
	return false;
}

static void read_ifcfgs(const struct qb_root *root, struct profiles *to)
{
	_cleanup_strs_ struct qb_strs names = {0};

	if (qb_root_list(root, SCRIPTS, &names) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path = qb_asprintf(SCRIPTS "/%s", names.v[i]), *text = NULL;
		struct profile p = {0};
		size_t len;

		if (!qb_startswith(names.v[i], "ifcfg-") || is_left_over(names.v[i]) ||
		    qb_root_read(root, path, FILE_MAX, &text, &len) < 0)
			continue;
		p.file = qb_strdup(names.v[i]);
		read_ifcfg(text, &p);
		add(to, &p);
		explicit_bzero(text, len);
	}
}

static bool is_for(const struct profile *p, const struct qb_link *l)
{
	const char *own = l->permanent_mac ? l->permanent_mac : l->mac;

	return (p->link || p->mac) && (!p->link || qb_streq(p->link, l->name)) &&
	       (!p->mac || (own && !strcasecmp(p->mac, own)));
}

/*
 * What NetworkManager keeps of a link. It begins to once the link is ready to be used, so of one
 * with a carrier there is "managed", which is false where somebody said so until the next boot, or
 * its configuration, or udev's, says that it is to leave the link alone. *ret_active: the profile
 * that it has active there; NULL: it does not tell, or there is none.
 */
static void read_device(const struct qb_root *root, struct qb_link *l, char **ret_active)
{
	static const char key[] = "connection-uuid=";
	_cleanup_free_ char *path = qb_asprintf(DEVICES "/%lld", (long long)l->ifindex);
	_cleanup_free_ char *text = NULL;
	bool said = false;
	char *save = NULL;
	size_t len;
	int r = qb_root_read(root, path, FILE_MAX, &text, &len);

	for (char *line = r < 0 ? NULL : strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		said |= qb_startswith(line, "managed=");
		if (!*ret_active && qb_startswith(line, key))
			*ret_active = qb_strdup(qb_strip(line + strlen(key)));
	}
	l->unmanaged =
		!said && (r == 0 || r == -ENOENT) && qb_is(&l->carrier) && qb_link_can_be_port(l);
}

/*
 * The profile of a link: the active one, unless that is ours. Else of those that are for it the one
 * that NetworkManager would take of itself, and of alike ones the last.
 */
static const struct profile *find(const struct profiles *all, const struct qb_link *l,
				  const char *active)
{
	const struct profile *best = NULL;

	for (size_t i = 0; i < all->n; i++) {
		const struct profile *p = &all->v[i];

		if (p->ours)
			continue;
		if (active && p->uuid && !strcasecmp(p->uuid, active))
			return p;
		if (is_for(p, l) &&
		    (!best || best->by_hand > p->by_hand ||
		     (best->by_hand == p->by_hand && best->priority <= p->priority)))
			best = p;
	}
	return best;
}

static void take(const struct profile *p, struct qb_link *l)
{
	if (p->zone)
		qb_strset(&l->zone, p->zone);
	if (p->dot1x)
		qb_strset(&l->dot1x, p->id ? p->id : p->file);
	if (p->parent && qb_streq(l->kind, "vlan"))
		qb_strset(&l->parent_uuid, p->parent);
	for (size_t i = 0; i < p->identity.n; i++)
		qb_strs_add(&l->dhcp_identity, p->identity.v[i]);
	for (size_t i = 0; i < p->rules.n; i++)
		qb_strs_add(&l->profile_rules, p->rules.v[i]);
}

void qb_profiles_probe(const struct qb_root *root, struct qb_net *net)
{
	bool devices = qb_root_exists(root, DEVICES);
	struct profiles all = {0};

	read_ifcfgs(root, &all);
	read_dir(root, "/usr/lib/NetworkManager/system-connections", net, &all);
	read_dir(root, PROFILES, net, &all);
	read_dir(root, "/run/NetworkManager/system-connections", net, &all);
	for (size_t i = 0; (all.n || devices) && i < net->n_links; i++) {
		struct qb_link *l = &net->links[i];
		_cleanup_free_ char *active = NULL;
		const struct profile *p;

		if (devices)
			read_device(root, l, &active);
		p = find(&all, l, active);
		if (p)
			take(p, l);
	}
	for (size_t i = 0; i < all.n; i++)
		profile_done(&all.v[i]);
	free(all.v);
}
