/* SPDX-License-Identifier: Apache-2.0 */
#include "net/move.h"

#include "net/names.h"

static struct qb_op *add(struct qb_ops *ops, enum qb_op_kind kind, const char *dev)
{
	struct qb_op *op = QB_APPEND(ops->v, ops->n);

	op->kind = kind;
	op->dev = dev;
	return op;
}

/* family: NULL is both */
static void add_addresses(struct qb_ops *ops, enum qb_op_kind kind, const char *family,
			  const char *dev, const struct qb_address *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!family || qb_streq(qb_ip_family(a[i].address), family))
			add(ops, kind, dev)->address = &a[i];
}

/*
 * The last one first: with the first address of an IPv4 subnet the kernel deletes the others of
 * that subnet.
 */
static void delete_addresses(struct qb_ops *ops, const char *family, const char *dev,
			     const struct qb_address *a, size_t n)
{
	for (size_t i = n; i-- > 0;)
		if (qb_streq(qb_ip_family(a[i].address), family))
			add(ops, QB_OP_ADDRESS_DELETE, dev)->address = &a[i];
}

/* Addresses that have come onto another link go off this one. */
static void leave_addresses(struct qb_batches *b, const char *dev, const struct qb_address *a,
			    size_t n)
{
	add_addresses(&b->clear, QB_OP_ADDRESS_YIELD, "inet", dev, a, n);
	delete_addresses(&b->clear, "inet6", dev, a, n);
	delete_addresses(&b->rest, "inet", dev, a, n);
}

/*
 * A gateway must be reachable when its route comes, so what is on link goes first. A dump gives
 * the default route first: replayed so, the kernel refuses it.
 */
static void add_routes(struct qb_ops *ops, const char *dev, const struct qb_route *r, size_t n)
{
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < n; i++) {
			if ((r[i].gateway != NULL) == (pass == 1))
				add(ops, QB_OP_ROUTE_ADD, dev)->route = &r[i];
		}
	}
}

static void delete_routes(struct qb_ops *ops, const char *dev, const struct qb_route *r, size_t n)
{
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < n; i++) {
			if ((r[i].gateway != NULL) == (pass == 0))
				add(ops, QB_OP_ROUTE_DELETE, dev)->route = &r[i];
		}
	}
}

struct qb_batches qb_move_forward(const struct qb_move *move)
{
	struct qb_batches b = {0};

	add_addresses(&b.build, QB_OP_ADDRESS_ADD, "inet", move->bridge, move->add, move->n_add);
	for (size_t i = 0; i < move->n_ports; i++) {
		add(&b.build, QB_OP_LINK_UP, move->ports[i].name);
		add(&b.build, QB_OP_ENSLAVE, move->ports[i].name);
	}
	add(&b.build, QB_OP_LINK_UP, move->bridge);
	add_addresses(&b.build, QB_OP_ADDRESS_ADD, "inet6", move->bridge, move->add, move->n_add);
	if (move->source)
		add(&b.build, QB_OP_NEIGHBOURS, move->bridge)->from = move->source;
	add_routes(&b.clear, move->bridge, move->add_routes, move->n_add_routes);
	delete_routes(&b.clear, move->source, move->drop_routes, move->n_drop_routes);
	leave_addresses(&b, move->source, move->drop, move->n_drop);
	add_addresses(&b.clear, QB_OP_ADDRESS_SETTLE, NULL, move->bridge, move->add, move->n_add);
	return b;
}

struct qb_batches qb_move_inverse(const struct qb_move *move, const struct qb_strs *release,
				  bool bridge_is_there)
{
	struct qb_batches b = {0};

	add_addresses(&b.build, QB_OP_ADDRESS_ADD, NULL, move->source, move->drop, move->n_drop);
	if (move->source && bridge_is_there)
		add(&b.build, QB_OP_NEIGHBOURS, move->source)->from = move->bridge;
	add_routes(&b.clear, move->source, move->drop_routes, move->n_drop_routes);
	if (bridge_is_there) {
		delete_routes(&b.clear, move->bridge, move->add_routes, move->n_add_routes);
		leave_addresses(&b, move->bridge, move->add, move->n_add);
	}
	add_addresses(&b.clear, QB_OP_ADDRESS_SETTLE, NULL, move->source, move->drop, move->n_drop);
	for (size_t i = 0; i < release->n; i++)
		add(&b.leave, QB_OP_RELEASE, release->v[i]);
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
