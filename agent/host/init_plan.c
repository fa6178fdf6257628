/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/init.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>

#include "agent/host/config.h"

#define IMAGES "/var/lib/libvirt/images"
#define BRIDGES_MAX 100 /* names that are tried for a new one */
#define IPV4_BITS 32

static const char *const lists[] = {"bridges", "networks", "pools"};

QB_PRINTF(2, 3) static void remark(json_t *item, const char *fmt, ...)
{
	json_t *all = json_object_get(item, QB_INIT_REMARKS);
	_cleanup_free_ char *text = NULL, *safe = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = qb_vasprintf(fmt, ap);
	va_end(ap);
	safe = qb_str_printable(text);
	if (!all) {
		all = json_array();
		json_object_set_new(item, QB_INIT_REMARKS, all);
	}
	json_array_append_new(all, json_string(safe));
}

static void set(json_t *item, const char *key, const char *value)
{
	json_object_set_new(item, key, json_string(value));
}

/* An item of a list of the configuration, by its name: borrowed. */
static json_t *add(json_t *config, const char *list, const char *name)
{
	json_t *items = json_object_get(config, list), *item = json_object();

	if (!items) {
		items = json_array();
		json_object_set_new(config, list, items);
	}
	set(item, "name", name);
	json_array_append_new(items, item);
	return item;
}

static json_t *find(const json_t *config, const char *list, const char *key, const char *value)
{
	size_t i;
	json_t *item;

	json_array_foreach (json_object_get(config, list), i, item)
		if (qb_streq(json_string_value(json_object_get(item, key)), value))
			return item;
	return NULL;
}

/* The reasons of target among what is left out: borrowed. */
static json_t *leave(json_t *left, const char *target)
{
	json_t *item, *reasons = json_array();
	size_t i;

	json_array_foreach (left, i, item)
		if (qb_streq(json_string_value(json_object_get(item, "target")), target)) {
			json_decref(reasons);
			return json_object_get(item, "reasons");
		}
	json_array_append_new(left, json_pack("{s:s, s:o}", "target", target, "reasons", reasons));
	return reasons;
}

static void leave_for(json_t *left, const char *target, const char *why)
{
	_cleanup_free_ char *safe = qb_str_printable(why);

	json_array_append_new(leave(left, target), json_string(safe));
}

static void add_kvm(const struct qb_facts *facts, json_t *config)
{
	const struct qb_module *vhost = qb_facts_module(facts, "vhost_net");
	json_t *kvm = json_object();

	if (facts->kvm.nested.state != QB_UNKNOWN)
		json_object_set_new(kvm, "nested", json_boolean(qb_is(&facts->kvm.nested)));
	if (vhost && (vhost->state == QB_MODULE_LOADED || vhost->state == QB_MODULE_AVAILABLE))
		json_object_set_new(kvm, "modules", json_pack("[s]", "vhost_net"));
	if (json_object_size(kvm))
		json_object_set(config, "kvm", kvm);
	json_decref(kvm);
}

static const struct qb_route *default_route(const struct qb_net *net)
{
	static const char *const families[] = {"inet", "inet6"};
	const struct qb_route *best = NULL;

	for (size_t f = 0; f < QB_ARRAY_SIZE(families) && !best; f++)
		for (size_t i = 0; i < net->n_routes; i++) {
			const struct qb_route *r = &net->routes[i];

			if (qb_streq(r->family, families[f]) && qb_streq(r->dst, "default") &&
			    qb_streq(r->type, "unicast") && r->dev && r->table == RT_TABLE_MAIN &&
			    (!best || r->metric < best->metric))
				best = r;
		}
	return best;
}

/* The network of libvirt's over the bridge: its name is kept. */
static void set_network(const struct qb_facts *facts, const char *bridge, json_t *item)
{
	const char *name = "host-bridge";
	_cleanup_free_ char *other = qb_asprintf("host-%s", bridge);

	if (qb_facts_network(facts, name))
		name = other;
	for (size_t i = 0; i < facts->libvirt.n_networks; i++) {
		const struct qb_vir_network *n = &facts->libvirt.networks[i];

		if (qb_streq(n->next.forward, "bridge") && qb_streq(n->next.bridge, bridge))
			name = n->name;
	}
	set(item, "libvirt-network", name);
}

/* A guest's link comes and goes with it. */
static bool is_of_guest(const struct qb_facts *facts, const struct qb_link *link)
{
	for (size_t i = 0; i < facts->libvirt.n_guest_interfaces; i++)
		if (qb_streq(facts->libvirt.guest_interfaces[i].link, link->name))
			return true;
	return qb_streq(link->kind, "tun");
}

static void add_present_bridge(const struct qb_facts *facts, const struct qb_link *bridge,
			       json_t *config)
{
	json_t *item = add(config, "bridges", bridge->name), *ports = json_array();

	remark(item, "%s is there already, with the default route.", bridge->name);
	for (size_t i = 0; i < facts->net.n_links; i++) {
		const struct qb_link *l = &facts->net.links[i];

		if (qb_streq(l->master, bridge->name) && !is_of_guest(facts, l))
			json_array_append_new(ports, json_pack("{s:s}", "name", l->name));
	}
	json_object_set_new(item, "ports", ports);
	if (qb_is(&bridge->stp))
		json_object_set_new(item, "stp", json_true());
	set_network(facts, bridge->name, item);
}

static void add_new_bridge(const struct qb_facts *facts, const struct qb_link *nic, json_t *config)
{
	_cleanup_strs_ struct qb_strs addresses = {0};
	_cleanup_free_ char *list = NULL;
	char name[sizeof("br99")];
	unsigned n = 0;
	json_t *item;

	do
		snprintf(name, sizeof(name), "br%u", n);
	while (qb_net_link(&facts->net, name) && ++n < BRIDGES_MAX - 1);
	for (size_t i = 0; i < nic->n_addresses; i++)
		if (qb_streq(nic->addresses[i].scope, "global"))
			qb_strs_add(&addresses, nic->addresses[i].address);
	list = qb_strs_sentence(&addresses);
	item = add(config, "bridges", name);
	remark(item, "%s has the default route. What it carries moves to the bridge%s%s.",
	       nic->name, addresses.n ? ": " : "", addresses.n ? list : "");
	json_object_set_new(item, "ports", json_pack("[{s:s}]", "match", "default-route"));
	set_network(facts, name, item);
}

static void add_bridges(const struct qb_facts *facts, json_t *config, json_t *left)
{
	const struct qb_route *route = default_route(&facts->net);
	const struct qb_link *link = route ? qb_net_link(&facts->net, route->dev) : NULL;

	if (!link)
		leave_for(left, "bridges",
			  "no link has a default route, to be made a port of a bridge");
	else if (qb_streq(link->kind, "bridge"))
		add_present_bridge(facts, link, config);
	else
		add_new_bridge(facts, link, config);
}

/* "192.168.122.1/24": the subnet whose first address it is, which is the host's; else NULL. */
static char *subnet_of(const char *address)
{
	const char *slash = address ? strchr(address, '/') : NULL;
	_cleanup_free_ char *host = slash ? qb_strndup(address, (size_t)(slash - address)) : NULL;
	char text[INET_ADDRSTRLEN];
	struct in_addr in;
	uint64_t bits;
	uint32_t mask;

	if (!host || inet_pton(AF_INET, host, &in) != 1 || qb_parse_u64(slash + 1, &bits) < 0 ||
	    bits == 0 || bits >= IPV4_BITS)
		return NULL;
	mask = ~UINT32_C(0) << (IPV4_BITS - bits);
	if ((ntohl(in.s_addr) & ~mask) != 1)
		return NULL;
	in.s_addr = htonl(ntohl(in.s_addr) & mask);
	inet_ntop(AF_INET, &in, text, sizeof(text));
	return qb_asprintf("%s/%u", text, (unsigned)bits);
}

static void add_networks(const struct qb_facts *facts, json_t *config)
{
	for (size_t i = 0; i < facts->libvirt.n_networks; i++) {
		const struct qb_vir_network *n = &facts->libvirt.networks[i];
		_cleanup_free_ char *subnet = subnet_of(n->next.address);
		const char *forward = n->next.forward ? n->next.forward : "isolated";
		json_t *item;

		if (!n->persistent || !subnet ||
		    (strcmp(forward, "nat") != 0 && strcmp(forward, "route") != 0 &&
		     strcmp(forward, "open") != 0 && strcmp(forward, "isolated") != 0))
			continue;
		item = add(config, "networks", n->name);
		remark(item, "libvirt has it already.");
		set(item, "forward", forward);
		set(item, "subnet", subnet);
		if (!n->autostart)
			json_object_set_new(item, "autostart", json_false());
	}
}

/* How the configuration names this disk, and no other one. A new reference. */
static json_t *selector(const struct qb_disk *disk)
{
	if (disk->wwid)
		return json_pack("{s:s}", "wwid", disk->wwid);
	if (disk->serial)
		return json_pack("{s:s}", "serial", disk->serial);
	for (size_t i = 0; i < disk->links.n; i++)
		if (qb_startswith(disk->links.v[i], "/dev/disk/by-path/"))
			return json_pack("{s:s}", "path", disk->links.v[i]);
	return json_pack("{s:s}", "path", disk->path);
}

static void add_disk(json_t *pool, const struct qb_disk *disk)
{
	_cleanup_free_ char *size = qb_format_size(disk->size_bytes);
	json_t *disks = json_object_get(pool, "disks");

	if (!disks) {
		disks = json_array();
		json_object_set_new(pool, "disks", disks);
	}
	json_array_append_new(disks, selector(disk));
	remark(pool, "%s: %s%s%s", disk->path, size, disk->model ? ", " : "",
	       disk->model ? disk->model : "");
}

/* What an earlier run made of disks goes on. */
static void add_made(const struct qb_facts *facts, json_t *config)
{
	for (size_t i = 0; i < facts->disks.n_disks; i++) {
		const struct qb_disk *d = &facts->disks.disks[i];
		const struct qb_vir_pool *known;
		json_t *pool;

		if (d->mark.state != QB_MARK_READY || !d->mark.ours || !d->mark.pool ||
		    !d->n_partitions)
			continue;
		pool = find(config, "pools", "name", d->mark.pool);
		known = qb_facts_pool(facts, d->mark.pool);
		if (!pool) {
			bool group = qb_streq(d->partitions[0].fs_type, "LVM2_member");

			pool = add(config, "pools", d->mark.pool);
			set(pool, "type", group ? "logical" : "fs");
			if (!group && qb_streq(d->partitions[0].fs_type, "ext4"))
				set(pool, "format", "ext4");
			if (!group && (known ? known->target : d->partitions[0].mountpoint))
				set(pool, "target",
				    known ? known->target : d->partitions[0].mountpoint);
			remark(pool, "qubi-agent made it.");
		}
		add_disk(pool, d);
	}
}

/* Others' pools are taken as they are. */
static void add_known(const struct qb_facts *facts, json_t *config)
{
	for (size_t i = 0; i < facts->libvirt.n_pools; i++) {
		const struct qb_vir_pool *p = &facts->libvirt.pools[i];
		json_t *item;

		if (!p->persistent || find(config, "pools", "name", p->name))
			continue;
		if (qb_streq(p->type, "dir") && p->target) {
			item = add(config, "pools", p->name);
			set(item, "type", "dir");
			set(item, "target", p->target);
		} else if (qb_streq(p->type, "logical") && p->source_name) {
			item = add(config, "pools", p->name);
			set(item, "type", "logical");
			if (!qb_streq(p->name, p->source_name))
				set(item, "volume-group", p->source_name);
		} else {
			continue;
		}
		remark(item, "libvirt has it already.");
	}
}

/* name, or where a pool is called so, the same with a number. */
static char *pool_name(const struct qb_facts *facts, const json_t *config, const char *name)
{
	char *free_name = qb_strdup(name);

	for (unsigned n = 2;
	     find(config, "pools", "name", free_name) || qb_facts_pool(facts, free_name); n++) {
		free(free_name);
		free_name = qb_asprintf("%s%u", name, n);
	}
	return free_name;
}

static void set_target(json_t *config, json_t *pool, const char *name)
{
	_cleanup_free_ char *own = qb_asprintf("/var/lib/libvirt/%s", name);

	set(pool, "target", find(config, "pools", "target", IMAGES) ? own : IMAGES);
}

static size_t count_free(const struct qb_disks *disks, bool rotational)
{
	size_t n = 0;

	for (size_t i = 0; i < disks->n_disks; i++)
		n += disks->disks[i].available && qb_is(&disks->disks[i].rotational) == rotational;
	return n;
}

/* One disk becomes a file system, several of a kind one volume group. */
static void add_free(const struct qb_facts *facts, bool rotational, json_t *config)
{
	size_t n = count_free(&facts->disks, rotational);
	bool both = count_free(&facts->disks, !rotational);
	_cleanup_free_ char *name = NULL;
	json_t *pool;

	if (!n)
		return;
	name = pool_name(facts, config,
			 n > 1 ? (both && rotational ? "vms-hdd" : "vms")
			       : (both && rotational ? "images-hdd" : "images"));
	pool = add(config, "pools", name);
	set(pool, "type", n > 1 ? "logical" : "fs");
	remark(pool, n > 1 ? "Nothing is on these disks." : "Nothing is on this disk.");
	for (size_t i = 0; i < facts->disks.n_disks; i++)
		if (facts->disks.disks[i].available &&
		    qb_is(&facts->disks.disks[i].rotational) == rotational)
			add_disk(pool, &facts->disks.disks[i]);
	if (n == 1)
		set_target(config, pool, name);
}

static void add_pools(const struct qb_facts *facts, json_t *config, json_t *left)
{
	add_made(facts, config);
	add_known(facts, config);
	add_free(facts, false, config);
	add_free(facts, true, config);
	for (size_t i = 0; i < facts->disks.n_disks; i++) {
		const struct qb_disk *d = &facts->disks.disks[i];

		if (!d->available && !qb_disk_has_reason(d, "virtual") &&
		    !(d->mark.state == QB_MARK_READY && d->mark.ours))
			for (size_t j = 0; j < d->n_reasons; j++)
				leave_for(left, d->path, d->reasons[j].evidence);
	}
}

/* What others made may be what the configuration does not take, or claim one directory twice. */
static bool is_valid(const struct qb_init *init, struct qb_diags *diags)
{
	_cleanup_config_ struct qb_config config = {0};
	json_auto_t *bare = qb_init_bare(init);
	_cleanup_free_ char *text = json_dumps(bare, 0);

	return qb_config_parse(text, strlen(text), &config, diags) == 0;
}

static void keep_valid(struct qb_init *init)
{
	json_auto_t *all = init->config;
	json_t *item;
	size_t i;

	init->config = json_copy(all);
	for (size_t l = 0; l < QB_ARRAY_SIZE(lists); l++)
		json_object_del(init->config, lists[l]);
	for (size_t l = 0; l < QB_ARRAY_SIZE(lists); l++)
		json_array_foreach (json_object_get(all, lists[l]), i, item) {
			_cleanup_diags_ struct qb_diags diags = {0};
			json_t *kept = json_object_get(init->config, lists[l]);

			if (!kept)
				json_object_set_new(init->config, lists[l], kept = json_array());
			json_array_append(kept, item);
			if (is_valid(init, &diags))
				continue;
			json_array_remove(kept, json_array_size(kept) - 1);
			if (!json_array_size(kept))
				json_object_del(init->config, lists[l]);
			leave_for(init->left, json_string_value(json_object_get(item, "name")),
				  diags.v[0].msg);
		}
}

static void add_directory(const struct qb_facts *facts, json_t *config)
{
	_cleanup_free_ char *name = pool_name(facts, config, "images");
	json_t *pool = add(config, "pools", name);

	remark(pool, "No disk is free: the pool is a directory of this system.");
	set(pool, "type", "dir");
	set(pool, "target", IMAGES);
}

void qb_init_plan(const struct qb_facts *facts, struct qb_init *ret)
{
	ret->config = json_pack("{s:i}", "version", 1);
	ret->left = json_array();
	add_kvm(facts, ret->config);
	add_bridges(facts, ret->config, ret->left);
	add_networks(facts, ret->config);
	add_pools(facts, ret->config, ret->left);
	keep_valid(ret);
	if (!json_object_get(ret->config, "pools"))
		add_directory(facts, ret->config);
}

/* What the plan calls target, out of these items: false where it is none of them. */
static bool take_out(json_t *items, const char *target)
{
	static const char *const names[] = {"name", "target"};
	json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		for (size_t n = 0; n < QB_ARRAY_SIZE(names); n++)
			if (qb_streq(json_string_value(json_object_get(item, names[n])), target)) {
				json_array_remove(items, i);
				return true;
			}
		if (qb_streq(json_string_value(json_object_get(item, "libvirt-network")), target)) {
			json_object_del(item, "libvirt-network");
			return true;
		}
	}
	return false;
}

void qb_init_drop(struct qb_init *init, const struct qb_plan *plan)
{
	for (size_t i = 0; i < plan->n_refused; i++) {
		const struct qb_refusal *r = &plan->refused[i];
		const char *word = strchr(r->target, ' '); /* "network default" */

		for (size_t l = 0; l < QB_ARRAY_SIZE(lists); l++) {
			json_t *items = json_object_get(init->config, lists[l]);

			if (!take_out(items, word ? word + 1 : r->target))
				continue;
			if (!json_array_size(items))
				json_object_del(init->config, lists[l]);
			break;
		}
		for (size_t j = 0; j < r->n_reasons; j++)
			leave_for(init->left, r->target, r->reasons[j].evidence);
	}
}

void qb_init_done(struct qb_init *init)
{
	json_decref(init->config);
	json_decref(init->left);
	*init = (struct qb_init){0};
}
