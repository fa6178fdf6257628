/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/init_parts.h"

#define IMAGES "/var/lib/libvirt/images"

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
	qb_init_remark(pool, "%s: %s%s%s", disk->path, size, disk->model ? ", " : "",
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
		pool = qb_init_find(config, "pools", "name", d->mark.pool);
		known = qb_facts_pool(facts, d->mark.pool);
		if (!pool) {
			bool group = qb_streq(d->partitions[0].fs_type, "LVM2_member");

			pool = qb_init_add(config, "pools", d->mark.pool);
			qb_init_set(pool, "type", group ? "logical" : "fs");
			if (!group && qb_streq(d->partitions[0].fs_type, "ext4"))
				qb_init_set(pool, "format", "ext4");
			if (!group && (known ? known->target : d->partitions[0].mountpoint))
				qb_init_set(pool, "target",
					    known ? known->target : d->partitions[0].mountpoint);
			qb_init_remark(pool, "qubi-agent made it.");
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

		if (!p->persistent || qb_init_find(config, "pools", "name", p->name))
			continue;
		if (qb_streq(p->type, "dir") && p->target) {
			item = qb_init_add(config, "pools", p->name);
			qb_init_set(item, "type", "dir");
			qb_init_set(item, "target", p->target);
		} else if (qb_streq(p->type, "logical") && p->source_name) {
			item = qb_init_add(config, "pools", p->name);
			qb_init_set(item, "type", "logical");
			if (!qb_streq(p->name, p->source_name))
				qb_init_set(item, "volume-group", p->source_name);
		} else {
			continue;
		}
		qb_init_remark(item, "libvirt has it already.");
	}
}

/* name, or where a pool is called so, the same with a number. */
static char *pool_name(const struct qb_facts *facts, const json_t *config, const char *name)
{
	char *free_name = qb_strdup(name);

	for (unsigned n = 2;
	     qb_init_find(config, "pools", "name", free_name) || qb_facts_pool(facts, free_name);
	     n++) {
		free(free_name);
		free_name = qb_asprintf("%s%u", name, n);
	}
	return free_name;
}

static void set_target(json_t *config, json_t *pool, const char *name)
{
	_cleanup_free_ char *own = qb_asprintf("/var/lib/libvirt/%s", name);

	qb_init_set(pool, "target", qb_init_find(config, "pools", "target", IMAGES) ? own : IMAGES);
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
	pool = qb_init_add(config, "pools", name);
	qb_init_set(pool, "type", n > 1 ? "logical" : "fs");
	qb_init_remark(pool, n > 1 ? "Nothing is on these disks." : "Nothing is on this disk.");
	for (size_t i = 0; i < facts->disks.n_disks; i++)
		if (facts->disks.disks[i].available &&
		    qb_is(&facts->disks.disks[i].rotational) == rotational)
			add_disk(pool, &facts->disks.disks[i]);
	if (n == 1)
		set_target(config, pool, name);
}

void qb_init_pools(const struct qb_facts *facts, json_t *config, json_t *left)
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
				qb_init_leave(left, d->path, d->reasons[j].evidence);
	}
}

void qb_init_directory(const struct qb_facts *facts, json_t *config)
{
	_cleanup_free_ char *name = pool_name(facts, config, "images");
	json_t *pool = qb_init_add(config, "pools", name);

	qb_init_remark(pool, "No disk is free: the pool is a directory of this system.");
	qb_init_set(pool, "type", "dir");
	qb_init_set(pool, "target", IMAGES);
}
