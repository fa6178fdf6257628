/* SPDX-License-Identifier: Apache-2.0 */
#include "net/drift.h"

#include <linux/rtnetlink.h>

#include "net/names.h"
#include "net/unit.h"

#define KERNEL "kernel"
#define DIGITS "0123456789"

static const char *word(bool on)
{
	return on ? "true" : "false";
}

static void number_differs(json_t *list, const char *key, int64_t is, int64_t wanted)
{
	_cleanup_free_ char *a = qb_asprintf("%lld", (long long)is);
	_cleanup_free_ char *b = qb_asprintf("%lld", (long long)wanted);

	if (wanted && is != wanted)
		qb_difference(list, key, a, b, KERNEL);
}

static void ports(const struct qb_net *net, const struct qb_move *move, json_t *list)
{
	for (size_t i = 0; i < move->n_ports; i++) {
		const struct qb_port *p = &move->ports[i];
		const struct qb_link *port = qb_net_link(net, p->name);
		_cleanup_free_ char *master = qb_asprintf("ports.%s.master", p->name);
		_cleanup_free_ char *up = qb_asprintf("ports.%s.up", p->name);

		if (!port || !qb_streq(port->master, move->bridge))
			qb_difference(list, master, port ? port->master : NULL, move->bridge,
				      KERNEL);
		if (port && !port->up)
			qb_difference(list, up, word(false), word(true), KERNEL);
	}
}

/* What is on its way: wanted on the bridge, or not on the port any more. */
static void addresses(const char *key, const struct qb_address *a, size_t n, bool wanted,
		      json_t *list)
{
	for (size_t i = 0; i < n; i++)
		/* Links make themselves those that are theirs alone. */
		if (!qb_ip_is_link_local(a[i].address))
			qb_difference(list, key, wanted ? NULL : a[i].address,
				      wanted ? a[i].address : NULL, KERNEL);
}

static void routes(const char *key, const struct qb_route *r, size_t n, bool wanted, json_t *list)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct qb_buf b = {0};

		if (!qb_streq(r[i].type, "unicast"))
			qb_buf_printf(&b, "%s ", r[i].type);
		qb_buf_puts(&b, r[i].dst);
		if (r[i].gateway)
			qb_buf_printf(&b, " via %s", r[i].gateway);
		if (r[i].metric)
			qb_buf_printf(&b, " metric %lld", (long long)r[i].metric);
		if (r[i].table != RT_TABLE_MAIN)
			qb_buf_printf(&b, " table %lld", (long long)r[i].table);
		qb_difference(list, key, wanted ? NULL : b.s, wanted ? b.s : NULL, KERNEL);
	}
}

/* What names the source, and is to name the bridge. */
static void renamed(const struct qb_move *move, const char *what, long long number, json_t *list)
{
	_cleanup_free_ char *key = qb_asprintf("%s.%lld", what, number);

	qb_difference(list, key, move->source, move->bridge, KERNEL);
}

json_t *qb_bridge_differences(const struct qb_net *net, const struct qb_move *move)
{
	const struct qb_link *bridge = qb_net_link(net, move->bridge);
	_cleanup_free_ char *from_addresses = qb_asprintf("ports.%s.addresses", move->source);
	_cleanup_free_ char *from_routes = qb_asprintf("ports.%s.routes", move->source);
	json_t *list = json_array();

	if (!bridge)
		return list;
	if (!bridge->up)
		qb_difference(list, "up", word(false), word(true), KERNEL);
	if (bridge->stp.state != (move->stp ? QB_YES : QB_NO))
		qb_difference(list, "stp",
			      bridge->stp.state == QB_UNKNOWN ? "unknown"
							      : word(qb_is(&bridge->stp)),
			      word(move->stp), KERNEL);
	number_differs(list, "mtu", bridge->mtu, move->mtu);
	if (move->mac && !qb_streq(bridge->mac, move->mac))
		qb_difference(list, "mac", bridge->mac, move->mac, KERNEL);
	ports(net, move, list);
	addresses("addresses", move->add, move->n_add, true, list);
	routes("routes", move->add_routes, move->n_add_routes, true, list);
	addresses(from_addresses, move->drop, move->n_drop, false, list);
	routes(from_routes, move->drop_routes, move->n_drop_routes, false, list);
	for (size_t i = 0; i < move->n_rules; i++)
		renamed(move, "rules", move->rules[i].priority, list);
	for (size_t i = 0; i < move->n_nexthops; i++)
		renamed(move, "nexthops", (long long)move->nexthops[i].id, list);
	return list;
}

bool qb_move_is_done(const struct qb_net *net, const struct qb_move *move)
{
	json_auto_t *list = qb_bridge_differences(net, move);

	return qb_net_link(net, move->bridge) && !json_array_size(list);
}

static const struct qb_keyfile *find_file(const struct qb_net *net, const char *path)
{
	for (size_t i = 0; i < net->n_keyfiles; i++)
		if (qb_streq(net->keyfiles[i].path, path))
			return &net->keyfiles[i];
	return NULL;
}

/* What the paths of a bridge's files begin with, and those of its ports, up to a "-". */
static char *stem_of(const struct qb_keyfiles *files)
{
	const char *path = files->v[qb_is_unit(files->v[0].path) ? files->n - 1 : 0].path;

	return qb_strndup(path, (size_t)(strrchr(path, '.') - path));
}

/*
 * That of a port that the bridge or bond had in an earlier configuration: behind the stem is
 * "-port-2", "-port-2-1" or "-1".
 */
static bool is_of_port(const struct qb_keyfile *file, const char *stem)
{
	const char *rest = file->path + strlen(stem);

	if (!qb_startswith(file->path, stem) ||
	    !strstr(file->text, qb_is_unit(stem) ? "\nBridge=" : "\nmaster="))
		return false;
	if (qb_startswith(rest, "-port-"))
		rest += strspn(rest + strlen("-port-"), DIGITS) + strlen("-port-");
	if (*rest == '-')
		rest += strspn(rest + 1, DIGITS) + 1;
	return !strcmp(rest, qb_is_unit(stem) ? ".network" : ".nmconnection");
}

static bool is_wanted(const struct qb_keyfiles *files, const char *path)
{
	for (size_t i = 0; i < files->n; i++)
		if (qb_streq(files->v[i].path, path))
			return true;
	return false;
}

static void file_differs(json_t *differences, const char *path, bool wanted)
{
	const char *slash = strrchr(path, '/'), *name = slash + 1;
	_cleanup_free_ char *dir = qb_strndup(path, (size_t)(slash - path));

	qb_difference(differences, qb_is_unit(path) ? "unit" : "profile", wanted ? NULL : name,
		      wanted ? name : NULL, dir);
}

/* Those of ports that are not wanted any more; the path of the first, or NULL. */
static const char *stale(const struct qb_net *net, const struct qb_keyfiles *files, json_t *list,
			 json_t *differences)
{
	_cleanup_free_ char *stem = stem_of(files);
	const char *first = NULL;

	for (size_t i = 0; i < net->n_keyfiles; i++) {
		const struct qb_keyfile *file = &net->keyfiles[i];

		if (!is_of_port(file, stem) || is_wanted(files, file->path))
			continue;
		file_differs(differences, file->path, false);
		json_array_append_new(list, json_pack("{s:s, s:n}", "path", file->path, "text"));
		first = first ? first : file->path;
	}
	return first;
}

const char *qb_keyfile_written(const json_t *args, const char *path)
{
	const json_t *file;
	size_t i;

	json_array_foreach (json_object_get(args, "files"), i, file)
		if (qb_streq(qb_arg(file, "path"), path))
			return qb_arg(file, "text");
	return NULL;
}

const char *qb_keyfiles_missing(const struct qb_net *net, const struct qb_keyfiles *files,
				const json_t *args, const struct qb_fixed *fixed, bool *ret_any,
				json_t **ret_list, json_t **ret_differences)
{
	json_t *list = json_array(), *differences = json_array();
	const char *missing = NULL, *dropped = NULL;
	bool any = false;

	for (size_t i = 0; i < files->n; i++)
		any |= find_file(net, files->v[i].path) != NULL;
	for (size_t i = 0; i < files->n; i++) {
		const struct qb_keyfile *file = &files->v[i], *there = find_file(net, file->path);
		const char *text = file->text;
		size_t n = json_array_size(differences);
		bool differs = !there;

		if (there) {
			qb_keyfile_differences(there->path, there->text, text,
					       qb_keyfile_written(args, file->path), fixed,
					       differences);
			differs = json_array_size(differences) > n;
			/* What it inherits is made of what the host has at this moment, and a lease
			 * may have ended in the meantime. */
			text = differs ? text : there->text;
		} else if (any) {
			file_differs(differences, file->path, true);
		}
		if (!missing && differs)
			missing = file->path;
		json_array_append_new(list,
				      json_pack("{s:s, s:s}", "path", file->path, "text", text));
	}
	if (any)
		dropped = stale(net, files, list, differences);
	*ret_any = any;
	*ret_list = list;
	*ret_differences = differences;
	return missing ? missing : dropped;
}
