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

static void add_addresses(struct qb_ops *ops, enum qb_op_kind kind, const char *dev,
			  const struct qb_address *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(ops, kind, dev)->address = &a[i];
}

/*
 * The last one first: with the first address of an IPv4 subnet the kernel deletes the others of
 * that subnet.
 */
static void delete_addresses(struct qb_ops *ops, const char *dev, const struct qb_address *a,
			     size_t n)
{
	for (size_t i = n; i-- > 0;)
		add(ops, QB_OP_ADDRESS_DELETE, dev)->address = &a[i];
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

void qb_move_forward(const struct qb_move *move, struct qb_ops *ret_build, struct qb_ops *ret_clear)
{
	struct qb_ops build = {0}, clear = {0};

	for (size_t i = 0; i < move->n_ports; i++) {
		add(&build, QB_OP_LINK_UP, move->ports[i].name);
		add(&build, QB_OP_ENSLAVE, move->ports[i].name);
	}
	add(&build, QB_OP_LINK_UP, move->bridge);
	add_addresses(&build, QB_OP_ADDRESS_ADD, move->bridge, move->add, move->n_add);
	if (move->source)
		add(&build, QB_OP_NEIGHBOURS, move->bridge)->from = move->source;
	add_routes(&clear, move->bridge, move->add_routes, move->n_add_routes);
	delete_routes(&clear, move->source, move->drop_routes, move->n_drop_routes);
	delete_addresses(&clear, move->source, move->drop, move->n_drop);
	add_addresses(&clear, QB_OP_ADDRESS_SETTLE, move->bridge, move->add, move->n_add);
	*ret_build = build;
	*ret_clear = clear;
}

void qb_move_inverse(const struct qb_move *move, const struct qb_strs *release,
		     bool bridge_is_there, struct qb_ops *ret_build, struct qb_ops *ret_clear)
{
	struct qb_ops build = {0}, clear = {0};

	add_addresses(&build, QB_OP_ADDRESS_ADD, move->source, move->drop, move->n_drop);
	if (move->source && bridge_is_there)
		add(&build, QB_OP_NEIGHBOURS, move->source)->from = move->bridge;
	add_routes(&clear, move->source, move->drop_routes, move->n_drop_routes);
	/*
	 * The kernel's own prefix route of an address goes behind one that is there: neighbours are
	 * spoken to through the bridge until its address is gone, so that has to go before the
	 * port.
	 */
	if (bridge_is_there) {
		delete_routes(&clear, move->bridge, move->add_routes, move->n_add_routes);
		delete_addresses(&clear, move->bridge, move->add, move->n_add);
	}
	for (size_t i = 0; i < release->n; i++)
		add(&clear, QB_OP_RELEASE, release->v[i]);
	add_addresses(&clear, QB_OP_ADDRESS_SETTLE, move->source, move->drop, move->n_drop);
	*ret_build = build;
	*ret_clear = clear;
}

void qb_ops_done(struct qb_ops *ops)
{
	free(ops->v);
	*ops = (struct qb_ops){0};
}
