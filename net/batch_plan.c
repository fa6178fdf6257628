/* SPDX-License-Identifier: Apache-2.0 */
#include "net/move.h"

#include <stdlib.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "net/names.h"

static struct qb_op *add(struct qb_ops *ops, enum qb_op_kind kind, const char *dev)
{
	struct qb_op *op = QB_APPEND(ops->v, ops->n);

	op->kind = kind;
	op->dev = dev;
	return op;
}

/*
 * family: NULL is both. The newest IPv6 address comes first in what the kernel lists, and is the
 * one that it sends from where all else is equal; of IPv4 it is the oldest.
 */
static void add_addresses(struct qb_ops *ops, enum qb_op_kind kind, const char *family,
			  const char *dev, const struct qb_address *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (qb_streq(qb_ip_family(a[i].address), "inet") && !qb_streq(family, "inet6"))
			add(ops, kind, dev)->address = &a[i];
	for (size_t i = n; i-- > 0;)
		if (qb_streq(qb_ip_family(a[i].address), "inet6") && !qb_streq(family, "inet"))
			add(ops, kind, dev)->address = &a[i];
}

/* The addresses of one link, of which some come onto another. */
struct side {
	const char *dev;
	const struct qb_address *a;
	size_t n;
};

static char *network_of(const struct qb_address *a)
{
	return qb_ip_network(a->peer ? a->peer : a->address);
}

/* What yields has to have something to yield to: a route to the same network. */
static bool has_network(const struct side *side, const struct qb_address *a)
{
	_cleanup_free_ char *network = network_of(a);
	bool has = false;

	for (size_t i = 0; network && !has && i < side->n; i++) {
		_cleanup_free_ char *other = network_of(&side->a[i]);

		has = qb_streq(network, other);
	}
	return has;
}

static bool has_own_route(const struct qb_address *a)
{
	return !(a->flags & IFA_F_NOPREFIXROUTE);
}

static void leave_address(struct qb_batches *b, const struct side *from, const struct side *to,
			  const struct qb_address *a, bool inet6_late)
{
	bool late =
		(inet6_late || qb_streq(qb_ip_family(a->address), "inet")) && has_network(to, a);

	if (late)
		add(&b->clear, QB_OP_ADDRESS_YIELD, from->dev)->address = a;
	add(late ? &b->rest : &b->clear, QB_OP_ADDRESS_DELETE, from->dev)->address = a;
}

/*
 * Takes addresses off a link: late those that may still be spoken to. The last one first, since
 * with the first address of an IPv4 subnet the kernel deletes the others of that subnet; but those
 * without a route of their own before the others, for beside one of those the kernel would let the
 * route of the others stay (IPv6).
 */
static void leave_addresses(struct qb_batches *b, const struct side *from, const struct side *to,
			    bool inet6_late)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = from->n; i-- > 0;)
			if (has_own_route(&from->a[i]) == (pass == 1))
				leave_address(b, from, to, &from->a[i], inet6_late);
}

static unsigned prefix_of(const struct qb_route *r)
{
	struct qb_ip ip;

	return qb_ip_parse(r->dst, &ip) < 0 ? 0 : ip.prefix;
}

/*
 * A gateway must be reachable when its route comes, so what is on link goes first, whatever the
 * table. A dump gives the default route first: replayed so, the kernel refuses it. Nor must the
 * gateway be found by way of another one, as by a default route of a table that rules ask before
 * table main. Of routes that are alike the last that is added is asked first, so it is the first.
 */
static int by_turn(const void *x, const void *y)
{
	const struct qb_route *a = *(const struct qb_route *const *)x;
	const struct qb_route *b = *(const struct qb_route *const *)y;
	bool gateway = qb_route_has_gateway(a);
	bool main_a = a->table == RT_TABLE_MAIN, main_b = b->table == RT_TABLE_MAIN;

	if (gateway != qb_route_has_gateway(b))
		return gateway ? 1 : -1;
	if (gateway && prefix_of(a) != prefix_of(b))
		return prefix_of(a) > prefix_of(b) ? -1 : 1;
	if (gateway && main_a != main_b)
		return main_a ? -1 : 1;
	if (a->behind != b->behind)
		return a->behind ? 1 : -1;
	return (a < b) == a->behind ? -1 : 1;
}

static void add_routes(struct qb_ops *ops, const struct qb_move *move, const char *dev,
		       const struct qb_route *r, size_t n)
{
	_cleanup_free_ const struct qb_route **turns =
		qb_alloc(n + 1, sizeof(const struct qb_route *));
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		turns[i] = &r[i];
	qsort(turns, n, sizeof(*turns), by_turn);
	for (; at < n && !qb_route_has_gateway(turns[at]); at++)
		add(ops, QB_OP_ROUTE_ADD, dev)->route = turns[at];
	for (size_t i = 0; i < move->n_nexthops; i++)
		add(ops, QB_OP_NEXTHOP, dev)->nexthop = &move->nexthops[i];
	for (; at < n; at++)
		add(ops, QB_OP_ROUTE_ADD, dev)->route = turns[at];
}

static void delete_routes(struct qb_ops *ops, const char *dev, const struct qb_route *r, size_t n)
{
	for (int gateway = 1; gateway >= 0; gateway--)
		for (size_t i = 0; i < n; i++)
			if (qb_route_has_gateway(&r[i]) == gateway)
				add(ops, QB_OP_ROUTE_DELETE, dev)->route = &r[i];
}

static size_t asks(const struct qb_rule *r)
{
	return (r->iif != NULL) + (r->oif != NULL) + (r->src != NULL) + (r->dst != NULL) +
	       (r->tos != 0) + r->terms.n;
}

static void add_rule(struct qb_ops *ops, enum qb_op_kind kind, const struct qb_move *move,
		     const char *dev, const struct qb_rule *rule)
{
	struct qb_op *op = add(ops, kind, dev);

	op->from = move->source;
	op->rule = rule;
}

/* Both of its kind at once would refuse what neither does, or the way to a gateway. */
static bool is_strict(const struct qb_rule *r)
{
	return r->invert || qb_streq(r->action, "prohibit") || qb_streq(r->action, "blackhole") ||
	       qb_streq(r->action, "unreachable");
}

static bool has_strict(const struct qb_move *move)
{
	for (size_t i = 0; i < move->n_rules; i++)
		if (is_strict(&move->rules[i]))
			return true;
	return false;
}

static void add_rules(struct qb_ops *ops, const struct qb_move *move, const char *dev)
{
	for (size_t i = 0; i < move->n_rules; i++)
		add_rule(ops, QB_OP_RULE_ADD, move, dev, &move->rules[i]);
}

/*
 * What asks for more goes first: the kernel takes off the first rule that has all that it is told,
 * and that would be one that asks for more.
 */
static void delete_rules(struct qb_ops *ops, const struct qb_move *move, const char *dev)
{
	size_t most = 0;

	for (size_t i = 0; i < move->n_rules; i++)
		if (asks(&move->rules[i]) > most)
			most = asks(&move->rules[i]);
	for (size_t n = most + 1; n-- > 0;)
		for (size_t i = 0; i < move->n_rules; i++)
			if (asks(&move->rules[i]) == n)
				add_rule(ops, QB_OP_RULE_DELETE, move, dev, &move->rules[i]);
}

struct qb_batches qb_move_forward(const struct qb_move *move)
{
	const struct side source = {move->source, move->drop, move->n_drop};
	const struct side bridge = {move->bridge, move->add, move->n_add};
	struct qb_batches b = {0};

	if (!has_strict(move))
		add_rules(&b.build, move, move->bridge);
	add_addresses(&b.build, QB_OP_ADDRESS_ADD, "inet", move->bridge, move->add, move->n_add);
	for (size_t i = 0; i < move->n_ports; i++) {
		add(&b.build, QB_OP_LINK_UP, move->ports[i].name);
		add(&b.build, QB_OP_ENSLAVE, move->ports[i].name);
		if (move->vlan_filtering)
			add(&b.build, QB_OP_VLANS, move->ports[i].name)->vlans =
				&move->ports[i].vlans;
	}
	add(&b.build, QB_OP_LINK_UP, move->bridge);
	/* Apart, nobody waits for it: it is enough that its address settles. */
	if (!move->apart)
		add_addresses(&b.build, QB_OP_ADDRESS_ADD, "inet6", move->bridge, move->add,
			      move->n_add);
	if (move->source && !move->apart)
		add(&b.build, QB_OP_NEIGHBOURS, move->bridge)->from = move->source;
	add_addresses(&b.clear, QB_OP_ADDRESS_SETTLE, NULL, move->bridge, move->add, move->n_add);
	if (has_strict(move))
		delete_rules(&b.clear, move, move->source);
	add_routes(&b.clear, move, move->bridge, move->add_routes, move->n_add_routes);
	if (has_strict(move))
		add_rules(&b.clear, move, move->bridge);
	delete_routes(&b.clear, move->source, move->drop_routes, move->n_drop_routes);
	leave_addresses(&b, &source, &bridge, false);
	if (!has_strict(move))
		delete_rules(&b.clear, move, move->source);
	return b;
}

struct qb_batches qb_move_inverse(const struct qb_move *move, const struct qb_strs *release,
				  bool bridge_is_there)
{
	const struct side source = {move->source, move->drop, move->n_drop};
	const struct side bridge = {move->bridge, move->add, move->n_add};
	struct qb_batches b = {0};

	/* What somebody has switched off meanwhile takes neither IPv6 addresses nor routes. */
	for (size_t i = 0; i < release->n; i++)
		add(&b.build, QB_OP_LINK_UP, release->v[i]);
	if (!has_strict(move))
		add_rules(&b.build, move, move->source);
	add_addresses(&b.build, QB_OP_ADDRESS_ADD, NULL, move->source, move->drop, move->n_drop);
	if (move->source && bridge_is_there)
		add(&b.build, QB_OP_NEIGHBOURS, move->source)->from = move->bridge;
	add_addresses(&b.clear, QB_OP_ADDRESS_SETTLE, NULL, move->source, move->drop, move->n_drop);
	if (has_strict(move))
		delete_rules(&b.clear, move, move->bridge);
	add_routes(&b.clear, move, move->source, move->drop_routes, move->n_drop_routes);
	if (has_strict(move))
		add_rules(&b.clear, move, move->source);
	if (bridge_is_there) {
		delete_routes(&b.clear, move->bridge, move->add_routes, move->n_add_routes);
		/* Neighbours ask the bridge until the port has left. */
		leave_addresses(&b, &bridge, &source, true);
	}
	if (!has_strict(move))
		delete_rules(&b.clear, move, move->bridge);
	for (size_t i = 0; i < release->n; i++)
		add(&b.leave, QB_OP_RELEASE, release->v[i]);
	return b;
}

struct qb_batches qb_move_restore(const struct qb_move *move)
{
	struct qb_batches b = {0};

	add(&b.build, QB_OP_LINK_UP, move->source);
	add_addresses(&b.build, QB_OP_ADDRESS_ADD, NULL, move->source, move->drop, move->n_drop);
	add_addresses(&b.clear, QB_OP_ADDRESS_SETTLE, NULL, move->source, move->drop, move->n_drop);
	add_routes(&b.clear, move, move->source, move->drop_routes, move->n_drop_routes);
	add_rules(&b.clear, move, move->source);
	return b;
}

struct qb_batches qb_move_strip(const struct qb_move *move)
{
	const struct side source = {move->source, move->drop, move->n_drop}, nobody = {0};
	struct qb_batches b = {0};

	delete_rules(&b.clear, move, move->source);
	delete_routes(&b.clear, move->source, move->drop_routes, move->n_drop_routes);
	leave_addresses(&b, &source, &nobody, false);
	return b;
}

void qb_batches_done(struct qb_batches *batches)
{
	free(batches->build.v);
	free(batches->clear.v);
	free(batches->leave.v);
	free(batches->rest.v);
	*batches = (struct qb_batches){0};
}
