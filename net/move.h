/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What step net.bridge does, as data: the bridge to make, its ports, and what goes onto it and
 * off the port that had it. Its JSON is the step's args. Pure, as all that this header declares.
 */
#pragma once

#include "agent/base/step.h"
#include "net/bridge.h"
#include "net/link.h"

struct qb_port {
	char *name;
	int64_t ifindex;                  /* negative: a step before this one makes it */
	char *mac, *permanent_mac, *path; /* what it is known by later */
	char *kind;                       /* as of struct qb_link: NULL is hardware */
	struct qb_strs vlans;             /* see net/vlans.h */
	char *match;                      /* how the configuration names it, in words */
};

/*
 * Addresses and routes, taken off and given: what one batch has room for besides neighbours, so
 * that everything changes over at once, and back.
 */
#define QB_MOVE_MAX 8192

struct qb_move {
	char *bridge;
	char *mac;
	int64_t mtu;
	bool stp;
	bool vlan_filtering; /* false: nothing is done about VLANs */
	int64_t pvid;        /* of the bridge itself, and what ports join with */
	bool broken_off;     /* an earlier run made the bridge, and did not come to the end */
	bool apart;          /* nothing is concerned that the host itself uses */
	struct qb_port *ports;
	size_t n_ports;
	char *source;           /* the port that carries the host's addresses; NULL: none does */
	struct qb_address *add; /* onto the bridge, in this order */
	size_t n_add;
	struct qb_route *add_routes; /* through the bridge, in this order */
	size_t n_add_routes;
	struct qb_address *drop; /* off the source */
	size_t n_drop;
	struct qb_route *drop_routes;
	size_t n_drop_routes;
	struct qb_rule *rules; /* as they name the source; the bridge takes its place */
	size_t n_rules;
	struct qb_nexthop *nexthops; /* likewise */
	size_t n_nexthops;
};

void qb_move_done(struct qb_move *move);
#define _cleanup_move_ QB_CLEANUP(qb_move_done)

/*
 * Lifetimes are not part of it: they run, and a plan made again a second later has to be the same
 * plan. Whoever executes a move takes them from the host at that time.
 */
json_t *qb_move_to_json(const struct qb_move *move);
QB_MUST_CHECK int qb_move_from_json(const json_t *args, struct qb_move *ret, struct qb_error *err);

/* An address whose lifetime somebody has to renew: DHCP, SLAAC. */
bool qb_address_is_dynamic(const struct qb_address *a);

/*
 * Fills in what goes from where to where, or refuses target in plan with all that cannot be moved
 * faithfully. ports are links of net. *ret is valid in either case.
 */
void qb_move_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		  const struct qb_link *const *ports, size_t n_ports, struct qb_plan *plan,
		  struct qb_move *ret);

/* The rule is there to the letter, naming link where it named of; who made it is not asked. */
bool qb_rule_is(const struct qb_rule *there, const struct qb_rule *rule, const char *of,
		const char *link);

/* Any other route to the same goes before it. Nobody gives it to a route that is to be used. */
#define QB_METRIC_YIELD (UINT32_MAX - 1)
/* The link has the address, and not on its way off: with a metric that yields, when a run was
 * killed. */
bool qb_move_has_address(const struct qb_link *link, const char *address);

/* One netlink message of a batch. */
enum qb_op_kind {
	QB_OP_LINK_UP,
	QB_OP_ENSLAVE,
	QB_OP_VLANS, /* of a port, which are then these */
	QB_OP_RELEASE,
	QB_OP_NEIGHBOURS,     /* what the link from knows of its neighbours, told to dev */
	QB_OP_ADDRESS_ADD,    /* without waiting for duplicate address detection */
	QB_OP_ADDRESS_SETTLE, /* its flags as they were, now that it is in use */
	QB_OP_ADDRESS_DELETE,
	QB_OP_ADDRESS_YIELD, /* its network's route gets QB_METRIC_YIELD; it is made where missing
			      */
	QB_OP_ROUTE_ADD,
	QB_OP_ROUTE_DELETE,
	QB_OP_ROUTE_TELL, /* it is there, and who listens is told so again */
	QB_OP_NEXTHOP,    /* leaves by dev from now on, and what refers to it */
	QB_OP_RULE_ADD,   /* with dev for the link from */
	QB_OP_RULE_DELETE,
};

struct qb_op {
	enum qb_op_kind kind;
	const char *dev, *from;
	const struct qb_address *address; /* of the move */
	const struct qb_route *route;
	const struct qb_rule *rule;
	const struct qb_nexthop *nexthop;
	const struct qb_strs *vlans;
};

struct qb_ops {
	struct qb_op *v;
	size_t n;
};

/*
 * Everything in the order in which no frame is lost. In the first batch, build, the port joins and
 * its addresses come onto the bridge, too: the IPv4 ones before the port, for a link without any
 * takes no IPv4 frame while paths are checked (rp_filter); the IPv6 ones after it, for the route
 * of the newest is taken, and through it has to be somebody. Then the kernel takes the IPv6 ones
 * into use, which it does by itself some time after it was told of them. In the second, clear, they
 * get their flags, before other routes to the same networks are there: the kernel would take the
 * first that it finds for the address's own (IPv6), and give it that one's metric. Then the
 * routes change over, link routes before those that need them: what was the way out yields, or
 * goes. That a route is added and its like deleted in one batch also spares IPv6 a moment of two
 * next hops, at which a kill would leave what looks like multipath. In the third, leave, ports
 * leave, once nobody sends through them any more who had looked for the way before. The last,
 * rest, is for after the frames that were dropped meanwhile are handed in again: what yielded goes,
 * and with the last IPv4 address of a link all that it knows of its neighbours.
 */
struct qb_batches {
	struct qb_ops build, clear, leave, rest;
};

struct qb_batches qb_move_forward(const struct qb_move *move);
/*
 * The way back, for the ports named in release. A port can send while it is one, so it has all
 * that it needs before it leaves the bridge. The bridge keeps its addresses until it gets nothing
 * more. Where it is gone already, whoever deleted it, there is only something to put back.
 */
struct qb_batches qb_move_inverse(const struct qb_move *move, const struct qb_strs *release,
				  bool bridge_is_there);
/* The index of the i-th port, where the source comes after all others. */
size_t qb_move_port_at(const struct qb_move *move, size_t i);

/*
 * What the move takes off the source given to it again, where the bridge is gone and the source is
 * no port; and taken off it. Either fills build and clear alone.
 */
struct qb_batches qb_move_restore(const struct qb_move *move);
struct qb_batches qb_move_strip(const struct qb_move *move);
void qb_batches_done(struct qb_batches *batches);
#define _cleanup_batches_ QB_CLEANUP(qb_batches_done)

/* NetworkManager can have it at once, as a port of a bridge; else from the next boot on. */
bool qb_port_is_taken(const struct qb_net *net, const struct qb_link *port);
/* Refuses name in plan for whatever speaks against port as a port of that bridge. */
void qb_port_judge(const struct qb_net *net, const struct qb_link *port, const char *name,
		   struct qb_plan *plan);
/* The link that a matcher names, or NULL with the refusal of config->name in plan. */
const struct qb_link *qb_port_plan(const struct qb_net *net, const struct qb_bridge_config *config,
				   const struct qb_port_match *match,
				   const struct qb_ledger *ledger, struct qb_plan *plan);
