/* SPDX-License-Identifier: Apache-2.0 */
#include "net/renamed.h"

#include "net/bound.h"

/* The only link that the port is; NULL where none is, or more than one. */
static const struct qb_link *find(const struct qb_net *net, const json_t *port, bool same_boot)
{
	const char *permanent = qb_arg(port, "permanent_mac"), *kind = qb_arg(port, "kind");
	const char *mac = permanent ? permanent : qb_arg(port, "mac");
	const struct qb_link *is;

	if (same_boot)
		return qb_net_link_by_index(net,
					    json_integer_value(json_object_get(port, "ifindex")));
	if (!mac || (kind && strcmp(kind, "veth") != 0))
		return NULL;
	is = qb_link_by_mac(net, mac, NULL);
	return is && !qb_link_by_mac(net, mac, is) ? is : NULL;
}

json_t *qb_renamed_ports(const struct qb_net *net, const json_t *args, bool same_boot)
{
	json_t *names = json_object();
	const json_t *port;
	size_t i;

	json_array_foreach (json_object_get(args, "ports"), i, port) {
		const struct qb_link *is = find(net, port, same_boot);
		const char *name = qb_arg(port, "name");

		if (is && name && !qb_streq(is->name, name))
			json_object_set_new(names, name, json_string(is->name));
	}
	return names;
}

/* A label goes with the name that it begins with, as in the kernel. */
static json_t *renamed_string(const char *s, const json_t *names)
{
	_cleanup_free_ char *name = qb_strndup(s, strcspn(s, ":")), *label = NULL;
	const char *now = qb_arg(names, name);

	if (!now)
		return json_string(s);
	label = qb_asprintf("%s%s", now, s + strlen(name));
	return json_string(label);
}

/* Of the args and the before of steps net.bridge and net.link; others may have a value like a
 * link's name. */
static bool has_links(const char *member)
{
	static const char *const members[] = {"name",    "source", "label",   "dev", "iif", "oif",
					      "release", "down",   "managed", "add", "on",  "link"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(members); i++)
		if (qb_streq(member, members[i]))
			return true;
	return false;
}

static json_t *renamed(const json_t *value, const char *member, const json_t *names)
{
	bool by_link = qb_streq(member, "profiles");
	const char *key;
	json_t *copy, *item;
	size_t i;

	if (json_is_string(value) && has_links(member))
		return renamed_string(json_string_value(value), names);
	if (json_is_array(value)) {
		copy = json_array();
		json_array_foreach (value, i, item)
			json_array_append_new(copy, renamed(item, member, names));
		return copy;
	}
	if (!json_is_object(value))
		return json_deep_copy(value);
	copy = json_object();
	json_object_foreach ((json_t *)(uintptr_t)value, key, item) {
		const char *now = by_link ? qb_arg(names, key) : NULL;

		json_object_set_new(copy, now ? now : key,
				    renamed(item, by_link ? NULL : key, names));
	}
	return copy;
}

json_t *qb_renamed(const json_t *value, const json_t *names)
{
	return json_object_size(names) ? renamed(value, NULL, names)
				       : json_incref((json_t *)(uintptr_t)value);
}
