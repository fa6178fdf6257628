/* SPDX-License-Identifier: Apache-2.0 */
/* Links and routes by what they are looked for, for hosts that have thousands. */
#include "net/link.h"

#include <ctype.h>
#include <strings.h>

/* An order of links or routes: by a word or a number, and within it as they are in the snapshot. */
struct entry {
	const char *word;
	int64_t number;
	size_t at;
};

struct order {
	struct entry *v;
	size_t n;
	bool made; /* when it is first asked for */
};

enum orders {
	NAMES,
	NUMBERS,
	MASTERS,
	LOWERS,
	MACS,
	DEVS,
	DSTS,
	N_ORDERS
};

struct qb_net_index {
	/* What it was made of: a snapshot that was changed since is looked through instead. */
	const struct qb_link *links;
	const struct qb_route *routes;
	size_t n_links, n_routes;
	struct order orders[N_ORDERS];
};

static int compare(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;
	int r = a->word && b->word ? strcmp(a->word, b->word)
				   : (a->word != NULL) - (b->word != NULL);

	if (r)
		return r;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

static void add(struct order *o, const char *word, int64_t number, size_t at)
{
	*QB_APPEND(o->v, o->n) = (struct entry){word, number, at};
}

/* The first that is not before from, among the n that are called for; n: there is none. */
static size_t find(const struct order *o, const char *word, int64_t number, size_t from, size_t n)
{
	const struct entry wanted = {word, number, from};
	size_t low = 0, high = o->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&o->v[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < o->n && o->v[low].number == number && qb_streq(o->v[low].word, word)
		       ? o->v[low].at
		       : n;
}

/* Of the form "00:00:5e:00:53:01", with digits of either size; -1: it is of another. */
static int64_t number_of(const char *mac)
{
	static const char form[] = "xx:xx:xx:xx:xx:xx";
	int64_t number = 0;

	if (!mac || strlen(mac) != strlen(form))
		return -1;
	for (size_t i = 0; form[i]; i++) {
		unsigned char c = (unsigned char)mac[i];

		if (form[i] == 'x' ? !isxdigit(c) : c != form[i])
			return -1;
		if (form[i] == 'x')
			number = number << 4 | (isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	return number;
}

static void add_link(struct order *o, enum orders which, const struct qb_link *l, size_t at)
{
	switch (which) {
	case NAMES:
		add(o, l->name, 0, at);
		break;
	case NUMBERS:
		add(o, NULL, l->ifindex, at);
		break;
	case MASTERS:
		if (l->master)
			add(o, l->master, 0, at);
		break;
	case LOWERS:
		if (l->lower_ifindex)
			add(o, NULL, l->lower_ifindex, at);
		break;
	case MACS:
		add(o, NULL, number_of(l->mac), at);
		add(o, NULL, number_of(l->permanent_mac), at);
		break;
	case DEVS:
	case DSTS:
	case N_ORDERS:
		break;
	}
}

static void add_route(struct order *o, enum orders which, const struct qb_route *r, size_t at)
{
	if (which == DSTS)
		add(o, r->dst, 0, at);
	if (which == DEVS && (r->dev || !r->devs.n))
		add(o, r->dev, 0, at);
	for (size_t i = 0; which == DEVS && i < r->devs.n; i++)
		add(o, r->devs.v[i], 0, at);
}

static bool is_of_routes(enum orders which)
{
	return which == DEVS || which == DSTS;
}

static const struct order *order_of(struct qb_net_index *index, enum orders which)
{
	struct order *o = &index->orders[which];

	if (o->made)
		return o;
	for (size_t i = 0; !is_of_routes(which) && i < index->n_links; i++)
		add_link(o, which, &index->links[i], i);
	for (size_t i = 0; is_of_routes(which) && i < index->n_routes; i++)
		add_route(o, which, &index->routes[i], i);
	if (o->n)
		qsort(o->v, o->n, sizeof(*o->v), compare);
	o->made = true;
	return o;
}

void qb_net_index(struct qb_net *net)
{
	qb_net_index_done(net);
	net->index = qb_alloc(1, sizeof(*net->index));
	*net->index = (struct qb_net_index){
		.links = net->links,
		.routes = net->routes,
		.n_links = net->n_links,
		.n_routes = net->n_routes,
	};
}

void qb_net_index_done(struct qb_net *net)
{
	for (size_t i = 0; net->index && i < N_ORDERS; i++)
		free(net->index->orders[i].v);
	free(net->index);
	net->index = NULL;
}

/* NULL: links, or routes, are not those any more that it was made of. */
static struct qb_net_index *index_of(const struct qb_net *net, enum orders which)
{
	struct qb_net_index *i = net->index;

	if (!i)
		return NULL;
	if (is_of_routes(which))
		return i->routes == net->routes && i->n_routes == net->n_routes ? i : NULL;
	return i->links == net->links && i->n_links == net->n_links ? i : NULL;
}

static const struct qb_link *link_at(const struct qb_net *net, size_t i)
{
	return i < net->n_links ? &net->links[i] : NULL;
}

static size_t behind(const struct qb_net *net, const struct qb_link *after)
{
	return after ? (size_t)(after - net->links) + 1 : 0;
}

const struct qb_link *qb_net_link(const struct qb_net *net, const char *name)
{
	struct qb_net_index *index = index_of(net, NAMES);
	size_t i = 0;

	if (!name)
		return NULL;
	if (index)
		return link_at(net, find(order_of(index, NAMES), name, 0, 0, net->n_links));
	while (i < net->n_links && !qb_streq(net->links[i].name, name))
		i++;
	return link_at(net, i);
}

const struct qb_link *qb_net_link_by_index(const struct qb_net *net, int64_t ifindex)
{
	struct qb_net_index *index = index_of(net, NUMBERS);
	size_t i = 0;

	if (index)
		return link_at(net, find(order_of(index, NUMBERS), NULL, ifindex, 0, net->n_links));
	while (i < net->n_links && net->links[i].ifindex != ifindex)
		i++;
	return link_at(net, i);
}

const struct qb_link *qb_net_port(const struct qb_net *net, const char *master,
				  const struct qb_link *after)
{
	struct qb_net_index *index = index_of(net, MASTERS);
	size_t i = behind(net, after);

	if (!master)
		return NULL;
	if (index)
		return link_at(net, find(order_of(index, MASTERS), master, 0, i, net->n_links));
	while (i < net->n_links && !qb_streq(net->links[i].master, master))
		i++;
	return link_at(net, i);
}

const struct qb_link *qb_net_upper(const struct qb_net *net, int64_t lower_ifindex,
				   const struct qb_link *after)
{
	struct qb_net_index *index = index_of(net, LOWERS);
	size_t i = behind(net, after);

	if (!lower_ifindex)
		return NULL;
	if (index)
		return link_at(net,
			       find(order_of(index, LOWERS), NULL, lower_ifindex, i, net->n_links));
	while (i < net->n_links && net->links[i].lower_ifindex != lower_ifindex)
		i++;
	return link_at(net, i);
}

static bool has_mac(const struct qb_link *l, const char *mac)
{
	return (l->mac && !strcasecmp(l->mac, mac)) ||
	       (l->permanent_mac && !strcasecmp(l->permanent_mac, mac));
}

const struct qb_link *qb_net_link_of_mac(const struct qb_net *net, const char *mac,
					 const struct qb_link *after)
{
	struct qb_net_index *index = index_of(net, MACS);
	size_t i = behind(net, after);

	if (!mac)
		return NULL;
	if (index && number_of(mac) >= 0)
		return link_at(net,
			       find(order_of(index, MACS), NULL, number_of(mac), i, net->n_links));
	while (i < net->n_links && !has_mac(&net->links[i], mac))
		i++;
	return link_at(net, i);
}

static bool leaves_by(const struct qb_route *r, const char *dev)
{
	return dev ? qb_streq(r->dev, dev) || qb_strs_has(&r->devs, dev) : !r->dev && !r->devs.n;
}

const struct qb_route *qb_net_route(const struct qb_net *net, const char *dev,
				    const struct qb_route *after)
{
	struct qb_net_index *index = index_of(net, DEVS);
	size_t i = after ? (size_t)(after - net->routes) + 1 : 0;

	if (index)
		i = find(order_of(index, DEVS), dev, 0, i, net->n_routes);
	else
		while (i < net->n_routes && !leaves_by(&net->routes[i], dev))
			i++;
	return i < net->n_routes ? &net->routes[i] : NULL;
}

const struct qb_route *qb_net_route_to(const struct qb_net *net, const char *dst,
				       const struct qb_route *after)
{
	struct qb_net_index *index = index_of(net, DSTS);
	size_t i = after ? (size_t)(after - net->routes) + 1 : 0;

	if (index)
		i = find(order_of(index, DSTS), dst, 0, i, net->n_routes);
	else
		while (i < net->n_routes && !qb_streq(net->routes[i].dst, dst))
			i++;
	return i < net->n_routes ? &net->routes[i] : NULL;
}
