/* SPDX-License-Identifier: Apache-2.0 */
/* Key by key, in what a profile or unit that is there is not as wanted. */
#include "net/drift.h"

#include "net/names.h"
#include "net/unit.h"

/* Whose a line is: it is compared, or is what holds. */
enum part {
	PART_OWN,   /* the link itself */
	PART_INET,  /* a family's */
	PART_INET6, /* likewise */
	PART_TAKEN, /* over from the NIC's unit */
};

/* One line of a file. */
struct pair {
	const char *section; /* with its brackets; "[]": none yet */
	const char *body;    /* what stands in it, up to the next section */
	const char *key, *value;
};

/* The next that says something; false: there is none. copy, of text, is cut up. */
static bool next_pair(const char *text, char *copy, char **save, struct pair *pair)
{
	for (char *l = strtok_r(*save ? NULL : copy, "\n", save); l;
	     l = strtok_r(NULL, "\n", save)) {
		char *value = strchr(l, '=');

		if (*l == '[') {
			pair->section = l;
			pair->body = text + (l - copy) + strlen(l);
		}
		if (*l == '[' || *l == '#' || !value)
			continue;
		*value = '\0';
		pair->key = l;
		pair->value = value + 1;
		return true;
	}
	return false;
}

/* In the body of a section; NULL: it has no such key. */
static char *value_in_body(const char *body, const char *key)
{
	_cleanup_free_ char *line = qb_asprintf("\n%s=", key);
	const char *end = strstr(body, "\n[");
	const char *at = strstr(body, line);

	if (!at || (end && at > end))
		return NULL;
	at += strlen(line);
	return qb_strndup(at, strcspn(at, "\n"));
}

/*
 * The value of key in a section of that name: of several the last, for GLib reads profiles so. In a
 * unit sections and keys come again, so any that is wanted will do. NULL where it is not there.
 */
static char *value_in(const char *text, const char *section, const char *key, const char *wanted)
{
	_cleanup_free_ char *copy = qb_strdup(text);
	const char *value = NULL;
	size_t len = strlen(key);
	bool inside = false;
	char *save = NULL;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		l = qb_strip(l);
		if (*l == '[') {
			inside = !strcmp(l, section);
		} else if (inside && !strncmp(l, key, len) && l[len] == '=') {
			value = l + len + 1;
			if (qb_streq(value, wanted))
				break;
		}
	}
	return qb_strdup(value);
}

/* A .netdev, or the unit of a port: all that is in it is this program's. */
static bool is_of_no_address(const char *path, const char *wanted)
{
	return qb_is_unit(path) && (qb_endswith(path, ".netdev") || strstr(wanted, "\nBridge="));
}

static enum part part_of_value(const char *value)
{
	return strchr(value, ':') || !strcmp(value, "ipv6") ? PART_INET6 : PART_INET;
}

/* By the first of these that the section has. */
static enum part part_of_body(const struct pair *pair)
{
	static const char *const keys[] = {"Address", "Destination", "Gateway", "Family"};

	for (size_t i = 0; pair->body && i < QB_ARRAY_SIZE(keys); i++) {
		_cleanup_free_ char *value = value_in_body(pair->body, keys[i]);

		if (value)
			return part_of_value(value);
	}
	return PART_TAKEN;
}

static enum part part_of_unit(const struct pair *pair)
{
	static const struct {
		const char *section, *key;
		enum part part;
	} parts[] = {
		{"[Match]", NULL, PART_OWN},
		{"[Link]", NULL, PART_OWN},
		{"[Network]", "DHCP", PART_INET},
		{"[Network]", "IPv6AcceptRA", PART_INET6},
		{"[Network]", "LinkLocalAddressing", PART_INET6},
		{"[DHCPv4]", NULL, PART_INET},
		{"[DHCPv6]", NULL, PART_INET6},
		{"[IPv6AcceptRA]", NULL, PART_INET6},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(parts); i++)
		if (!strcmp(pair->section, parts[i].section) &&
		    (!parts[i].key || !strcmp(pair->key, parts[i].key)))
			return parts[i].part;
	if (strcmp(pair->section, "[Network]") != 0)
		return part_of_body(pair);
	return !strcmp(pair->key, "Address") || !strcmp(pair->key, "Gateway")
		       ? part_of_value(pair->value)
		       : PART_TAKEN;
}

static bool is_compared(const char *path, const char *wanted, const struct pair *pair,
			const struct qb_fixed *fixed)
{
	enum part part = PART_OWN;

	if (!qb_is_unit(path) && qb_startswith(pair->section, "[ipv"))
		part = qb_startswith(pair->section, "[ipv4") ? PART_INET : PART_INET6;
	else if (qb_is_unit(path) && !is_of_no_address(path, wanted))
		part = part_of_unit(pair);
	return part == PART_OWN || (part == PART_INET && fixed->inet) ||
	       (part == PART_INET6 && fixed->inet6);
}

static bool is_off(const char *method)
{
	return !method || !strcmp(method, "disabled") || !strcmp(method, "ignore");
}

/* NetworkManager writes profiles anew, and puts gateways behind addresses then. */
static bool was_lost_by_profile(const char *text, const struct pair *pair)
{
	_cleanup_free_ char *is = value_in(text, pair->section, pair->key, NULL);

	if (!strcmp(pair->key, "method"))
		return is_off(is) && !is_off(pair->value);
	return (qb_startswith(pair->key, "address") || !strcmp(pair->key, "gateway")) &&
	       !strstr(text, pair->value);
}

static bool was_lost(const char *path, const char *text, const char *written,
		     const struct pair *pair)
{
	_cleanup_free_ char *was =
		written ? value_in(written, pair->section, pair->key, pair->value) : NULL;

	return qb_streq(was, pair->value) && (qb_is_unit(path) || was_lost_by_profile(text, pair));
}

static bool is_default_route(const struct pair *pair)
{
	_cleanup_free_ char *to = pair->body ? value_in_body(pair->body, "Destination") : NULL;

	return !to || !strcmp(to, "0.0.0.0/0") || !strcmp(to, "::/0");
}

/* It would be there after the next boot, and is not what is wanted. */
static bool is_too_much(const char *path, const char *wanted, const struct pair *pair)
{
	bool own = !strcmp(pair->section, "[Match]") || !strcmp(pair->section, "[Link]");

	if (is_of_no_address(path, wanted) || (qb_is_unit(path) && own))
		return true;
	if (qb_is_unit(path))
		return !strcmp(pair->key, "Address") || !strcmp(pair->key, "DHCP") ||
		       (!strcmp(pair->key, "Gateway") && is_default_route(pair));
	return qb_startswith(pair->key, "address") || !strcmp(pair->key, "gateway") ||
	       !strcmp(pair->key, "vlan-filtering") || !strcmp(pair->key, "vlans") ||
	       !strcmp(pair->key, "mtu");
}

static void put_pair(json_t *list, const struct pair *pair, const char *is, const char *wanted,
		     const char *path)
{
	_cleanup_free_ char *key = qb_asprintf("%.*s.%s", (int)strcspn(pair->section + 1, "]"),
					       pair->section + 1, pair->key);

	qb_difference(list, key, is, wanted, path);
}

/* As NetworkManager writes it. */
static bool is_same(const char *is, const struct pair *pair)
{
	if (!is)
		return !strcmp(pair->key, "autoconnect") && !strcmp(pair->value, "true");
	if (qb_endswith(pair->key, "mac-address"))
		return !strcasecmp(is, pair->value);
	return !strcmp(is, pair->value);
}

static void put_too_much(const char *path, const char *text, const char *wanted,
			 const struct qb_fixed *fixed, json_t *list)
{
	_cleanup_free_ char *copy = qb_strdup(text);
	struct pair pair = {.section = "[]"};
	char *save = NULL;

	while (next_pair(text, copy, &save, &pair)) {
		_cleanup_free_ char *right = value_in(wanted, pair.section, pair.key, pair.value);
		_cleanup_free_ char *there = value_in(text, pair.section, pair.key, right);

		/* One that is there in place of the right one was told already. */
		if ((!right || (!qb_streq(right, pair.value) && qb_streq(right, there))) &&
		    is_compared(path, wanted, &pair, fixed) && is_too_much(path, wanted, &pair))
			put_pair(list, &pair, pair.value, NULL, path);
	}
}

void qb_keyfile_differences(const char *path, const char *text, const char *wanted,
			    const char *written, const struct qb_fixed *fixed, json_t *list)
{
	_cleanup_free_ char *copy = qb_strdup(wanted);
	struct pair pair = {.section = "[]"};
	char *save = NULL;

	while (next_pair(wanted, copy, &save, &pair)) {
		_cleanup_free_ char *is = NULL;

		/* The zone was the NIC's, and may not be known any more now that it is a port. Of
		 * the name servers in use some may be another link's, such as a VPN's. */
		if (!strcmp(pair.key, "zone") || !strcmp(pair.key, "dns") ||
		    !strcmp(pair.key, "dns-search"))
			continue;
		if (!is_compared(path, wanted, &pair, fixed) &&
		    !was_lost(path, text, written, &pair))
			continue;
		is = value_in(text, pair.section, pair.key, qb_is_unit(path) ? pair.value : NULL);
		if (!is_same(is, &pair))
			put_pair(list, &pair, is, pair.value, path);
	}
	put_too_much(path, text, wanted, fixed, list);
}
