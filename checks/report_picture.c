/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of disks and pools, NICs and networks, as pictures. */
#include "checks/report.h"

#include <inttypes.h>

#include "checks/judging.h"
#include "checks/picture.h"

static bool is_partition_of(const struct qb_disk *disk, const char *device)
{
	static const char by_uuid[] = "/dev/disk/by-partuuid/";

	for (size_t i = 0; i < disk->n_partitions; i++) {
		const struct qb_partition *part = &disk->partitions[i];

		if (qb_streq(part->path, device) ||
		    (part->uuid && qb_startswith(device, by_uuid) &&
		     !strcmp(device + sizeof(by_uuid) - 1, part->uuid)))
			return true;
	}
	return false;
}

static bool is_mapping_named(const struct qb_mapping *m, const char *device)
{
	static const char mapper[] = "/dev/mapper/";

	return qb_streq(m->path, device) || (m->dm_name && qb_startswith(device, mapper) &&
					     !strcmp(device + sizeof(mapper) - 1, m->dm_name));
}

/* The device is the disk, a part of it, or made of it. */
static bool is_of_disk(const struct qb_disks *disks, const struct qb_disk *disk, const char *device)
{
	if (qb_streq(disk->path, device) || qb_strs_has(&disk->links, device) ||
	    is_partition_of(disk, device))
		return true;
	for (size_t i = 0; i < disks->n_mappings; i++)
		if (is_mapping_named(&disks->mappings[i], device) &&
		    qb_strs_has(&disks->mappings[i].disks, disk->name))
			return true;
	return false;
}

/* The same for a device's number. */
static bool is_number_of_disk(const struct qb_disks *disks, const struct qb_disk *disk,
			      const char *devno)
{
	if (qb_streq(disk->devno, devno))
		return true;
	for (size_t i = 0; i < disk->n_partitions; i++)
		if (qb_streq(disk->partitions[i].devno, devno))
			return true;
	for (size_t i = 0; i < disks->n_mappings; i++)
		if (qb_streq(disks->mappings[i].devno, devno) &&
		    qb_strs_has(&disks->mappings[i].disks, disk->name))
			return true;
	return false;
}

/* The pool's directory is on a file system of the disk, or of what is made of it. */
static bool bears_target(const struct qb_facts *f, const struct qb_disk *disk,
			 const struct qb_vir_pool *pool)
{
	const struct qb_space *space;

	if (!pool->target)
		return false;
	if (qb_strs_has(&disk->mountpoints, pool->target))
		return true;
	/* What is not mounted yet leaves a directory of another file system to be seen. */
	if (!pool->active && !qb_streq(pool->type, "dir"))
		return false;
	space = qb_facts_space(f, pool->target);
	if (!space || !space->device)
		return false;
	if (is_number_of_disk(&f->disks, disk, space->device))
		return true;
	for (size_t i = 0; i < f->n_spaces; i++)
		if (qb_streq(f->spaces[i].device, space->device) &&
		    qb_strs_has(&disk->mountpoints, f->spaces[i].path))
			return true;
	return false;
}

/*
 * "dm-0 (vg0-root)": a volume of the group. The device mapper's name has both names, with hyphens
 * doubled, and one between them (dm_build_dm_name() of LVM).
 */
static bool is_held_by_group(const struct qb_disk *disk, const char *group)
{
	struct qb_buf begin = {0};
	bool found = false;

	qb_buf_puts(&begin, " (");
	for (const char *s = group; *s; s++)
		qb_buf_printf(&begin, *s == '-' ? "%c-" : "%c", *s);
	qb_buf_puts(&begin, "-");
	for (size_t i = 0; i < disk->holders.n; i++) {
		const char *at = strstr(disk->holders.v[i], begin.s);

		found |= at && at[begin.len] != '-';
	}
	qb_buf_done(&begin);
	return found;
}

/* The pool is a volume group that has a physical volume on the disk. */
static bool bears_group(const struct qb_disks *disks, const struct qb_disk *disk,
			const struct qb_vir_pool *pool)
{
	if (!qb_streq(pool->type, "logical") || !pool->source_name)
		return false;
	if (disks->lvm.state == QB_UNKNOWN)
		return is_held_by_group(disk, pool->source_name);
	for (size_t i = 0; i < disks->n_groups; i++) {
		const struct qb_volume_group *g = &disks->groups[i];

		for (size_t k = 0; k < g->physical_volumes.n; k++)
			if (qb_streq(g->name, pool->source_name) &&
			    is_of_disk(disks, disk, g->physical_volumes.v[k]))
				return true;
	}
	return false;
}

/* Only what is known: our mark, the device that libvirt names, where its directory is, its PVs. */
static bool bears(const struct qb_facts *f, const struct qb_disk *disk,
		  const struct qb_vir_pool *pool)
{
	if (disk->mark.ours && qb_streq(disk->mark.pool, pool->name))
		return true;
	if (pool->source_device && is_of_disk(&f->disks, disk, pool->source_device))
		return true;
	return bears_target(f, disk, pool) || bears_group(&f->disks, disk, pool);
}

/* What is made of it, in a word; NULL where that was not asked. */
static const char *state_of(const struct qb_disk *d)
{
	if (d->available)
		return "available";
	if (d->n_reasons)
		return d->reasons[0].code;
	return d->mountpoints.n ? "mounted" : d->swap ? "swap" : d->holders.n ? "holder" : NULL;
}

static void add_disks(struct qb_picture *p, const struct qb_disks *disks)
{
	for (size_t i = 0; i < disks->n_disks; i++) {
		const struct qb_disk *d = &disks->disks[i];
		_cleanup_free_ char *size = qb_format_size(d->size_bytes);
		_cleanup_free_ char *pool =
			d->mark.ours && d->mark.pool ? qb_asprintf("for %s", d->mark.pool) : NULL;
		const char *state = pool ? pool : state_of(d);

		qb_picture_box(&p->columns[0], d->name, i, "%s%s%s%s%s", size, state ? ", " : "",
			       state ? state : "", d->transport ? ", " : "",
			       d->transport ? d->transport : "");
	}
}

static void draw_storage(const struct qb_facts *f, struct qb_buf *out)
{
	struct qb_picture p = {.title = "Disks and pools",
			       .columns = {{.title = "disks"}, {.title = "libvirt pools"}},
			       .n_columns = 2};

	if (!qb_is(&f->disks.known))
		qb_picture_unknown(&p, 0, qb_why(&f->disks.known));
	if (!qb_is(&f->libvirt.connected))
		qb_picture_unknown(&p, 1, qb_libvirt_why(f));
	add_disks(&p, &f->disks);
	for (size_t i = 0; i < f->libvirt.n_pools; i++) {
		const struct qb_vir_pool *pool = &f->libvirt.pools[i];
		_cleanup_free_ char *room = qb_format_size(pool->available_bytes);
		bool known = pool->active && pool->capacity_bytes;

		qb_picture_box(&p.columns[1], pool->name, i, "%s, %s%s",
			       pool->type ? pool->type : "?",
			       known          ? room
			       : pool->active ? "active"
					      : "inactive",
			       known ? " free" : "")
			->off = !pool->active;
		for (size_t k = 0; k < f->disks.n_disks; k++)
			if (bears(f, &f->disks.disks[k], pool))
				qb_picture_edge(&p, 0, k, 1, i);
	}
	qb_picture_draw(&p, out);
	qb_picture_done(&p);
}

static bool is_bridge(const struct qb_link *l)
{
	return qb_streq(l->kind, "bridge");
}

/* A NIC, or what stands in for one; no tap of a guest, no end of a tunnel. */
static bool is_nic(const struct qb_link *l)
{
	static const char *const kinds[] = {"bond", "team", "vlan", "veth", "macvlan"};

	if (l->loopback)
		return false;
	for (size_t i = 0; l->kind && i < QB_ARRAY_SIZE(kinds); i++)
		if (!strcmp(l->kind, kinds[i]))
			return true;
	return !l->kind;
}

/* A bond is drawn with its members in its own box. */
static bool is_member(const struct qb_net *net, const struct qb_link *l)
{
	const struct qb_link *master = l->master ? qb_net_link(net, l->master) : NULL;

	return master && is_nic(master);
}

/* What a link of its own is made on; NULL where that is none of this host's. */
static const struct qb_link *lower_of(const struct qb_net *net, const struct qb_link *l)
{
	/* A veth's is its peer. */
	if (!l->lower_ifindex || (!qb_streq(l->kind, "vlan") && !qb_streq(l->kind, "macvlan")))
		return NULL;
	return qb_net_link_by_index(net, l->lower_ifindex);
}

static char *nic_detail(const struct qb_net *net, const struct qb_link *l)
{
	const char *state = !l->up ? "down" : qb_is_not(&l->carrier) ? "no carrier" : "up";
	const struct qb_link *lower = lower_of(net, l);
	struct qb_buf b = {0};
	size_t members = 0;

	qb_buf_puts(&b, state);
	for (const struct qb_link *m = NULL; (m = qb_net_port(net, l->name, m));)
		qb_buf_printf(&b, "%s%s", members++ ? ", " : ", of ", m->name);
	if (!members && l->kind)
		qb_buf_printf(&b, ", %s%s%s", l->kind, lower ? " on " : "",
			      lower ? lower->name : "");
	else if (!members && l->speed_mbps > 0)
		qb_buf_printf(&b, ", %" PRId64 " Mb/s", l->speed_mbps);
	return b.s;
}

/* The first address that others reach it by. */
static const char *address_of(const struct qb_link *l)
{
	for (size_t i = 0; i < l->n_addresses; i++)
		if (qb_streq(l->addresses[i].scope, "global"))
			return l->addresses[i].address;
	return "no address";
}

static const struct qb_box *box_of(const struct qb_column *column, const struct qb_net *net,
				   const char *link)
{
	for (size_t i = 0; link && i < column->n_boxes; i++)
		if (!column->boxes[i].through &&
		    qb_streq(net->links[column->boxes[i].source].name, link))
			return &column->boxes[i];
	return NULL;
}

static void add_links(struct qb_picture *p, const struct qb_net *net)
{
	struct qb_column *nics = &p->columns[0], *bridges = &p->columns[1];

	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *l = &net->links[i];
		bool off = !l->up || qb_is_not(&l->carrier);

		if (is_bridge(l)) {
			qb_picture_box(bridges, l->name, i, "%s", l->up ? address_of(l) : "down")
				->off = !l->up;
		} else if (is_nic(l) && !is_member(net, l)) {
			_cleanup_free_ char *detail = nic_detail(net, l);

			qb_picture_box(nics, l->name, i, "%s", detail)->off = off;
		}
	}
	for (size_t i = 0; i < nics->n_boxes; i++) {
		const struct qb_link *lower = lower_of(net, &net->links[nics->boxes[i].source]);
		const struct qb_box *on = lower ? box_of(nics, net, lower->name) : NULL;

		if (on)
			qb_picture_under(nics, i, (size_t)(on - nics->boxes));
	}
	for (size_t i = 0; i < nics->n_boxes; i++) {
		const struct qb_box *to =
			box_of(bridges, net, net->links[nics->boxes[i].source].master);

		if (to)
			qb_picture_edge(p, 0, i, 1, (size_t)(to - bridges->boxes));
	}
}

static void link_network(struct qb_picture *p, const struct qb_net *net,
			 const struct qb_vir_network *n, size_t to)
{
	const struct qb_column *nics = &p->columns[0], *bridges = &p->columns[1];
	const struct qb_box *bridge = box_of(bridges, net, n->now.bridge);

	if (bridge)
		qb_picture_edge(p, 1, (size_t)(bridge - bridges->boxes), 2, to);
	for (size_t i = 0; i < n->now.devices.n; i++) {
		const struct qb_box *nic = box_of(nics, net, n->now.devices.v[i]);
		const struct qb_box *other = box_of(bridges, net, n->now.devices.v[i]);

		if (nic)
			qb_picture_edge(p, 0, (size_t)(nic - nics->boxes), 2, to);
		else if (other && !qb_streq(n->now.bridge, n->now.devices.v[i]))
			qb_picture_edge(p, 1, (size_t)(other - bridges->boxes), 2, to);
	}
}

static void draw_network(const struct qb_facts *f, struct qb_buf *out)
{
	struct qb_picture p = {
		.title = "NICs, bridges and networks",
		.columns = {{.title = "NICs"}, {.title = "bridges"}, {.title = "libvirt networks"}},
		.n_columns = 3};

	if (!qb_is(&f->net.known)) {
		qb_picture_unknown(&p, 0, qb_why(&f->net.known));
		qb_picture_unknown(&p, 1, qb_why(&f->net.known));
	}
	if (!qb_is(&f->libvirt.connected))
		qb_picture_unknown(&p, 2, qb_libvirt_why(f));
	add_links(&p, &f->net);
	for (size_t i = 0; i < f->libvirt.n_networks; i++) {
		const struct qb_vir_network *n = &f->libvirt.networks[i];

		qb_picture_box(&p.columns[2], n->name, i, "%s%s",
			       n->now.forward ? n->now.forward : "isolated",
			       n->active ? "" : ", inactive")
			->off = !n->active;
		link_network(&p, &f->net, n, i);
	}
	qb_picture_draw(&p, out);
	qb_picture_done(&p);
}

void qb_report_picture(const struct qb_facts *facts, struct qb_buf *out)
{
	draw_storage(facts, out);
	draw_network(facts, out);
}
