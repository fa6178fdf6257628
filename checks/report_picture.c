/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes in columns, and lines from one column to the next. */
#include "checks/report.h"

#include <inttypes.h>

#include "checks/judging.h"

enum {
	WIDTH = 376, /* of the smallest screen, less the page's margins: text stays legible */
	BOX_HEIGHT = 36,
	GAP = 10,
	TOP = 18,
	INSET = 6, /* of text in a box */
	COLUMNS_MAX = 3,
	SHOWN_MAX = 16, /* boxes in a column */
};

struct box {
	char *name, *detail;
	bool off;      /* it is there, but not in use */
	size_t source; /* index in the facts */
	size_t rank;   /* from the top */
	bool linked;
};

struct edge {
	size_t from, to; /* boxes of a column and of the next one */
};

struct column {
	const char *title;
	bool unknown; /* what would stand in it */
	struct box *boxes;
	size_t n_boxes;
	struct edge *edges; /* to the next column */
	size_t n_edges;
};

struct picture {
	const char *title;
	struct column columns[COLUMNS_MAX];
	size_t n_columns;
	char *note;
};

static void picture_done(struct picture *p)
{
	for (size_t c = 0; c < p->n_columns; c++) {
		struct column *column = &p->columns[c];

		for (size_t i = 0; i < column->n_boxes; i++) {
			free(column->boxes[i].name);
			free(column->boxes[i].detail);
		}
		free(column->boxes);
		free(column->edges);
	}
	free(p->note);
}

/* What should stand in the column could not be read. */
static void unknown(struct picture *p, size_t column, const char *why)
{
	struct qb_buf b = {0};

	p->columns[column].unknown = true;
	if (p->note)
		qb_buf_printf(&b, "%s; ", p->note);
	qb_buf_printf(&b, "%s unknown: %s", p->columns[column].title, why);
	free(p->note);
	p->note = b.s;
}

QB_PRINTF(4, 5)
static struct box *add_box(struct column *column, const char *name, size_t source, const char *fmt,
			   ...)
{
	struct box *box = QB_APPEND(column->boxes, column->n_boxes);
	va_list ap;

	box->name = qb_str_printable(name);
	box->source = source;
	va_start(ap, fmt);
	box->detail = qb_vasprintf(fmt, ap);
	va_end(ap);
	return box;
}

static void add_edge(struct picture *p, size_t column, size_t from, size_t to)
{
	*QB_APPEND(p->columns[column].edges, p->columns[column].n_edges) = (struct edge){from, to};
	p->columns[column].boxes[from].linked = true;
	p->columns[column + 1].boxes[to].linked = true;
}

/* What is linked comes first, in the order of what it is linked to: lines seldom cross then. */
static void rank(struct picture *p)
{
	for (size_t c = 0; c < p->n_columns; c++) {
		struct column *column = &p->columns[c];
		const struct column *left = c ? &p->columns[c - 1] : NULL;
		size_t next = 0;

		for (size_t i = 0; i < column->n_boxes; i++)
			column->boxes[i].rank = SIZE_MAX;
		for (size_t at = 0; left && at < left->n_boxes; at++)
			for (size_t e = 0; e < left->n_edges; e++) {
				struct box *to = &column->boxes[left->edges[e].to];

				if (left->boxes[left->edges[e].from].rank == at &&
				    to->rank == SIZE_MAX)
					to->rank = next++;
			}
		for (int linked = 1; linked >= 0; linked--)
			for (size_t i = 0; i < column->n_boxes; i++)
				if (column->boxes[i].linked == linked &&
				    column->boxes[i].rank == SIZE_MAX)
					column->boxes[i].rank = next++;
	}
}

static unsigned column_width(const struct picture *p)
{
	return p->n_columns == 2 ? 158 : 110;
}

static unsigned column_x(const struct picture *p, size_t c)
{
	return (unsigned)c * (WIDTH - column_width(p)) / (unsigned)(p->n_columns - 1);
}

static unsigned box_y(const struct box *box)
{
	return TOP + (unsigned)box->rank * (BOX_HEIGHT + GAP);
}

/* Hundredths of the font's size that a character takes, in a font that is rather wide. */
static unsigned breadth(unsigned char first)
{
	if (first >= 0xe1)
		return 100;
	if (first == 'm' || first == 'w' || first == 'M' || first == 'W' || first == '@')
		return 95;
	if (first && strchr("ijlftrI .,:;'|!()[]/-", first))
		return 38;
	return first >= 'A' && first <= 'Z' ? 72 : 62;
}

/* As much of the text as fits into so many hundredths of the font's size. */
static void cut(struct qb_buf *out, const char *text, unsigned room)
{
	enum {
		ELLIPSIS = 100
	};
	unsigned used = 0;
	size_t fits = 0, n = 0;

	for (; text[n]; n++) {
		unsigned char c = (unsigned char)text[n];

		if ((c & 0xc0) == 0x80)
			continue;
		if (used + ELLIPSIS <= room)
			fits = n;
		used += breadth(c);
	}
	if (used <= room) {
		qb_xml_text(out, text);
	} else {
		_cleanup_free_ char *part = qb_strndup(text, fits);

		qb_xml_text(out, part);
		qb_buf_puts(out, "…");
	}
}

static void draw_box(const struct picture *p, size_t c, const struct box *box, struct qb_buf *out)
{
	unsigned width = column_width(p);

	/* An inner svg cuts off what sticks out of it. */
	qb_buf_printf(out, "<svg x=\"%u\" y=\"%u\" width=\"%u\" height=\"%d\"%s><title>",
		      column_x(p, c), box_y(box), width, BOX_HEIGHT,
		      box->off ? " class=\"off\"" : "");
	qb_xml_text(out, box->name);
	qb_buf_puts(out, ": ");
	qb_xml_text(out, box->detail);
	qb_buf_printf(out,
		      "</title><rect x=\".5\" y=\".5\" width=\"%u\" height=\"%d\" rx=\"4\"/>"
		      "<text class=\"name\" x=\"%d\" y=\"15\">",
		      width - 1, BOX_HEIGHT - 1, INSET);
	cut(out, box->name, (width - 2 * INSET) * 100 / 12);
	qb_buf_printf(out, "</text><text class=\"detail\" x=\"%d\" y=\"28\">", INSET);
	cut(out, box->detail, (width - 2 * INSET) * 100 / 10);
	qb_buf_puts(out, "</text></svg>\n");
}

static void draw_edges(const struct picture *p, size_t c, struct qb_buf *out)
{
	const struct column *column = &p->columns[c];
	unsigned x1 = column_x(p, c) + column_width(p), x2;

	if (!column->n_edges)
		return;
	x2 = column_x(p, c + 1);
	for (size_t i = 0; i < column->n_edges; i++) {
		const struct box *from = &column->boxes[column->edges[i].from];
		const struct box *to = &p->columns[c + 1].boxes[column->edges[i].to];
		unsigned y1 = box_y(from) + BOX_HEIGHT / 2, y2 = box_y(to) + BOX_HEIGHT / 2;

		if (from->rank < SHOWN_MAX && to->rank < SHOWN_MAX)
			qb_buf_printf(out, "<path%s d=\"M%u %uC%u %u %u %u %u %u\"/>\n",
				      from->off || to->off ? " class=\"off\"" : "", x1, y1,
				      (x1 + x2) / 2, y1, (x1 + x2) / 2, y2, x2, y2);
	}
}

/* What the lines say, for who does not see them. */
static void describe(const struct picture *p, struct qb_buf *out)
{
	bool first = true;

	qb_buf_puts(out, "<desc>");
	for (size_t c = 0; c < p->n_columns; c++)
		for (size_t i = 0; i < p->columns[c].n_edges; i++) {
			const struct edge *e = &p->columns[c].edges[i];

			qb_buf_puts(out, first ? "" : "; ");
			qb_xml_text(out, p->columns[c].boxes[e->from].name);
			qb_buf_puts(out, " to ");
			qb_xml_text(out, p->columns[c + 1].boxes[e->to].name);
			first = false;
		}
	qb_buf_puts(out, "</desc>\n");
}

static void draw_column(const struct picture *p, size_t c, struct qb_buf *out)
{
	const struct column *column = &p->columns[c];
	unsigned x = column_x(p, c);

	qb_buf_printf(out, "<text class=\"column\" x=\"%u\" y=\"10\">%s</text>\n", x,
		      column->title);
	for (size_t i = 0; i < column->n_boxes; i++)
		if (column->boxes[i].rank < SHOWN_MAX)
			draw_box(p, c, &column->boxes[i], out);
	if (!column->n_boxes)
		qb_buf_printf(out, "<text class=\"detail\" x=\"%u\" y=\"%d\">%s</text>\n", x,
			      TOP + 14, column->unknown ? "unknown" : "none");
	if (column->n_boxes > SHOWN_MAX)
		qb_buf_printf(out, "<text class=\"detail\" x=\"%u\" y=\"%d\">and %zu more</text>\n",
			      x, TOP + SHOWN_MAX * (BOX_HEIGHT + GAP) + 10,
			      column->n_boxes - SHOWN_MAX);
}

static void draw(struct picture *p, struct qb_buf *out)
{
	size_t most = 1;

	for (size_t c = 0; c < p->n_columns; c++) {
		size_t n = p->columns[c].n_boxes;

		/* One place more for "and 4 more". */
		n = n > SHOWN_MAX ? SHOWN_MAX + 1 : n;
		most = n > most ? n : most;
	}
	rank(p);
	qb_buf_puts(out, "<figure>\n");
	qb_xml_element(out, "figcaption", NULL, p->title);
	qb_buf_printf(out, "<svg viewBox=\"0 0 %d %zu\" role=\"img\">\n", WIDTH,
		      TOP + most * (BOX_HEIGHT + GAP));
	qb_xml_element(out, "title", NULL, p->title);
	describe(p, out);
	for (size_t c = 0; c < p->n_columns; c++)
		draw_edges(p, c, out);
	for (size_t c = 0; c < p->n_columns; c++)
		draw_column(p, c, out);
	qb_buf_puts(out, "</svg>\n");
	if (p->note)
		qb_xml_element(out, "p", "muted", p->note);
	qb_buf_puts(out, "</figure>\n");
}

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

/* Only what is known: our mark, the device that libvirt names, a file system of the pool's own. */
static bool bears(const struct qb_disk *disk, const struct qb_vir_pool *pool)
{
	const char *device = pool->source_device;

	if (disk->mark.ours && qb_streq(disk->mark.pool, pool->name))
		return true;
	if (device && (qb_streq(disk->path, device) || qb_strs_has(&disk->links, device) ||
		       is_partition_of(disk, device)))
		return true;
	return pool->target && qb_strs_has(&disk->mountpoints, pool->target);
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

static void add_disks(struct picture *p, const struct qb_disks *disks)
{
	for (size_t i = 0; i < disks->n_disks; i++) {
		const struct qb_disk *d = &disks->disks[i];
		_cleanup_free_ char *size = qb_format_size(d->size_bytes);
		_cleanup_free_ char *pool =
			d->mark.ours && d->mark.pool ? qb_asprintf("for %s", d->mark.pool) : NULL;
		const char *state = pool ? pool : state_of(d);

		add_box(&p->columns[0], d->name, i, "%s%s%s%s%s", size, state ? ", " : "",
			state ? state : "", d->transport ? ", " : "",
			d->transport ? d->transport : "");
	}
}

static void draw_storage(const struct qb_facts *f, struct qb_buf *out)
{
	struct picture p = {.title = "Disks and pools",
			    .columns = {{.title = "disks"}, {.title = "libvirt pools"}},
			    .n_columns = 2};

	if (!qb_is(&f->disks.known))
		unknown(&p, 0, qb_why(&f->disks.known));
	if (!qb_is(&f->libvirt.connected))
		unknown(&p, 1, qb_libvirt_why(f));
	add_disks(&p, &f->disks);
	for (size_t i = 0; i < f->libvirt.n_pools; i++) {
		const struct qb_vir_pool *pool = &f->libvirt.pools[i];
		_cleanup_free_ char *room = qb_format_size(pool->available_bytes);
		bool known = pool->active && pool->capacity_bytes;

		add_box(&p.columns[1], pool->name, i, "%s, %s%s", pool->type ? pool->type : "?",
			known          ? room
			: pool->active ? "active"
				       : "inactive",
			known ? " free" : "")
			->off = !pool->active;
		for (size_t k = 0; k < f->disks.n_disks; k++)
			if (bears(&f->disks.disks[k], pool))
				add_edge(&p, 0, k, i);
	}
	draw(&p, out);
	picture_done(&p);
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

static char *nic_detail(const struct qb_net *net, const struct qb_link *l)
{
	const char *state = !l->up ? "down" : qb_is_not(&l->carrier) ? "no carrier" : "up";
	struct qb_buf b = {0};
	size_t members = 0;

	qb_buf_puts(&b, state);
	for (size_t i = 0; i < net->n_links; i++)
		if (qb_streq(net->links[i].master, l->name))
			qb_buf_printf(&b, "%s%s", members++ ? ", " : ", of ", net->links[i].name);
	if (!members && l->kind)
		qb_buf_printf(&b, ", %s", l->kind);
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

static const struct box *box_of(const struct column *column, const struct qb_net *net,
				const char *link)
{
	for (size_t i = 0; link && i < column->n_boxes; i++)
		if (qb_streq(net->links[column->boxes[i].source].name, link))
			return &column->boxes[i];
	return NULL;
}

static void add_links(struct picture *p, const struct qb_net *net)
{
	struct column *nics = &p->columns[0], *bridges = &p->columns[1];

	for (size_t i = 0; i < net->n_links; i++) {
		const struct qb_link *l = &net->links[i];
		bool off = !l->up || qb_is_not(&l->carrier);

		if (is_bridge(l)) {
			add_box(bridges, l->name, i, "%s", l->up ? address_of(l) : "down")->off =
				!l->up;
		} else if (is_nic(l) && !is_member(net, l)) {
			_cleanup_free_ char *detail = nic_detail(net, l);

			add_box(nics, l->name, i, "%s", detail)->off = off;
		}
	}
	for (size_t i = 0; i < nics->n_boxes; i++) {
		const struct box *to =
			box_of(bridges, net, net->links[nics->boxes[i].source].master);

		if (to)
			add_edge(p, 0, i, (size_t)(to - bridges->boxes));
	}
}

static void draw_network(const struct qb_facts *f, struct qb_buf *out)
{
	struct picture p = {
		.title = "NICs, bridges and networks",
		.columns = {{.title = "NICs"}, {.title = "bridges"}, {.title = "libvirt networks"}},
		.n_columns = 3};

	if (!qb_is(&f->net.known)) {
		unknown(&p, 0, qb_why(&f->net.known));
		unknown(&p, 1, qb_why(&f->net.known));
	}
	if (!qb_is(&f->libvirt.connected))
		unknown(&p, 2, qb_libvirt_why(f));
	add_links(&p, &f->net);
	for (size_t i = 0; i < f->libvirt.n_networks; i++) {
		const struct qb_vir_network *n = &f->libvirt.networks[i];
		const struct box *from = box_of(&p.columns[1], &f->net, n->bridge);

		add_box(&p.columns[2], n->name, i, "%s%s", n->forward ? n->forward : "isolated",
			n->active ? "" : ", inactive")
			->off = !n->active;
		if (from)
			add_edge(&p, 1, (size_t)(from - p.columns[1].boxes), i);
	}
	draw(&p, out);
	picture_done(&p);
}

void qb_report_picture(const struct qb_facts *facts, struct qb_buf *out)
{
	draw_storage(facts, out);
	draw_network(facts, out);
}
