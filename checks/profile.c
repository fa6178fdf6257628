/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/profile.h"

#include <fnmatch.h>
#include <sys/stat.h>

/* As GLib's key files have it. */
static bool is_false(const char *value)
{
	return qb_streq(value, "false") || qb_streq(value, "0");
}

/* What editors and packages left behind, and notes of NetworkManager's own. */
static bool is_leftover(const char *file)
{
	return qb_endswith(file, "~") || qb_endswith(file, ".rpmsave") ||
	       qb_endswith(file, ".rpmnew") || qb_endswith(file, ".rpmorig") ||
	       qb_endswith(file, ".nmmeta");
}

static void take(struct qb_profiles *to, const struct qb_reading *x)
{
	const char *file = strrchr(x->path, '/') + 1;
	_cleanup_free_ char *automatic = NULL, *priority = NULL;
	struct qb_profile *p;

	if (!x->value || (x->mode && !S_ISREG(x->mode)) || is_leftover(file))
		return;
	p = QB_APPEND(to->v, to->n);
	*p = (struct qb_profile){.path = x->path, .file = file, .text = x->value};
	p->type = qb_ini_value(x->value, "connection", "type");
	p->uuid = qb_ini_value(x->value, "connection", "uuid");
	p->interface = qb_ini_value(x->value, "connection", "interface-name");
	automatic = qb_ini_value(x->value, "connection", "autoconnect");
	priority = qb_ini_value(x->value, "connection", "autoconnect-priority");
	p->automatic = !is_false(automatic);
	p->priority = priority ? strtol(priority, NULL, 10) : 0;
	p->open = (x->mode & 077) != 0;
}

void qb_profiles_read(const struct qb_check_input *in, struct qb_profiles *ret)
{
	static const char *const patterns[] = {QB_PROFILES};

	*ret = (struct qb_profiles){0};
	for (size_t i = 0; i < QB_ARRAY_SIZE(patterns); i++) {
		for (const struct qb_reading *x = NULL; (x = qb_read_next(in, patterns[i], x));)
			take(ret, x);
		if (!ret->why)
			(void)qb_read_all(in, patterns[i], &ret->why);
	}
}

void qb_profiles_done(struct qb_profiles *profiles)
{
	for (size_t i = 0; i < profiles->n; i++) {
		free(profiles->v[i].type);
		free(profiles->v[i].uuid);
		free(profiles->v[i].interface);
	}
	free(profiles->v);
	free(profiles->why);
	*profiles = (struct qb_profiles){0};
}

char *qb_profile_value(const struct qb_profile *p, const char *section, const char *key)
{
	char *value = qb_ini_value(p->text, section, key);

	if (!value && qb_streq(section, "ethernet"))
		value = qb_ini_value(p->text, "802-3-ethernet", key);
	return value;
}

bool qb_profile_is_bridge(const struct qb_profile *p, const char *bridge)
{
	return qb_streq(p->type, "bridge") && qb_streq(p->interface, bridge);
}

/* A list ends each item with ";". */
static bool names_path(const char *list, const char *path)
{
	for (const char *at = list; *at; at += strspn(at, ";")) {
		size_t n = strcspn(at, ";");
		_cleanup_free_ char *item = qb_strndup(at, n);

		if (fnmatch(item, path, 0) == 0)
			return true;
		at += n;
	}
	return false;
}

static bool is_same_mac(const char *a, const char *b)
{
	return a && b && !strcasecmp(a, b);
}

bool qb_profile_is_for(const struct qb_profile *p, const struct qb_link *l)
{
	_cleanup_free_ char *mac = qb_profile_value(p, "ethernet", "mac-address");
	_cleanup_free_ char *path = qb_ini_value(p->text, "match", "path");

	if (p->interface)
		return qb_streq(p->interface, l->name);
	if (mac)
		return is_same_mac(mac, l->permanent_mac) || is_same_mac(mac, l->mac);
	return !path || !l->path || names_path(path, l->path);
}

/* What NetworkManager and the network scripts leave alone. */
static bool is_backup(const char *path)
{
	static const char *const endings[] = {"~",       ".bak",     ".orig",   ".rej",
					      ".rpmnew", ".rpmorig", ".rpmsave"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(endings); i++)
		if (qb_endswith(path, endings[i]))
			return true;
	return false;
}

bool qb_ifcfg_is_for(const struct qb_reading *x, const char *link)
{
	_cleanup_free_ char *name = x->value ? qb_conf_value(x->value, "DEVICE") : NULL;
	_cleanup_free_ char *boot = x->value ? qb_conf_value(x->value, "ONBOOT") : NULL;

	return qb_streq(name, link) && !is_backup(x->path) &&
	       (!boot || strcasecmp(boot, "no") != 0);
}
