/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkManager profiles that bring a bridge back after a reboot, as text. Pure. */
#pragma once

#include "net/family.h"
#include "net/move.h"

struct qb_keyfiles {
	struct qb_keyfile *v;
	size_t n;
};

void qb_keyfiles_done(struct qb_keyfiles *files);
#define _cleanup_keyfiles_ QB_CLEANUP(qb_keyfiles_done)

/*
 * The profiles of a bridge and of each port, as they have to be once the move is done: addresses
 * that somebody renews are asked for anew (method=auto), the others are written down.
 */
void qb_keyfile_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		     const struct qb_move *move, struct qb_keyfiles *ret);

/* A file for the profile of that id, without a text yet; valid until the next one is added. */
struct qb_keyfile *qb_keyfile_add(struct qb_keyfiles *files, const char *id);
/* The section [connection], as far as all profiles have it. */
void qb_keyfile_head(struct qb_buf *b, const char *id, const char *uuid, const char *type);
/*
 * Adds the profile of the n-th port, and where that is a bond also those of its NICs: a NIC's own
 * profile may name the bond's own profile, which is not the one that comes up then.
 */
void qb_keyfile_port(const struct qb_net *net, const struct qb_bridge_config *config,
		     const struct qb_move *move, size_t n, const char *bridge_uuid,
		     struct qb_keyfiles *files);

/* Routes as "route1=..." and "route1_options=...", with all that a profile can say of them. */
void qb_keyfile_routes(struct qb_buf *b, const struct qb_route *const *routes, size_t n,
		       bool inet6);
/* Rules as "routing-rule1=...", those that qb_rule_is_wanted(). */
void qb_keyfile_rules(struct qb_buf *b, const struct qb_net *net, const struct qb_move *move,
		      const struct qb_family *family);
/*
 * One that names the NIC or the bridge, one of the NIC's profile, and one of a profile that sends
 * to a table of these routes, or to that of leases. Who spoke a routing protocol makes its own.
 */
bool qb_rule_is_wanted(const struct qb_rule *rule, const struct qb_net *net,
		       const struct qb_move *move, const struct qb_family *family);
/* The link as it is named after the move. */
const char *qb_rule_link(const char *name, const struct qb_move *move);
/* Somebody set it by hand or by a profile. */
bool qb_proto_is_set(const char *proto);
/*
 * Refuses the bridge in plan with everything that moves, that a profile is to have, and that none
 * can say: multipath routes, metrics that NetworkManager does not know, nexthop objects, what an
 * address has beside its prefix.
 */
void qb_keyfile_refuse(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan);
void qb_keyfile_refuse_rules(const struct qb_move *move, struct qb_plan *plan);     /* a part */
void qb_keyfile_refuse_addresses(const struct qb_move *move, struct qb_plan *plan); /* likewise */

/*
 * The command that takes a link out of the bridge or bond that it is a port of, also for the next
 * boot, as far as our profiles tell. The caller frees it.
 */
char *qb_keyfile_way_out(const struct qb_net *net, const char *master, const struct qb_link *port);

/* The profiles of a bond or VLAN that is no port of a bridge, and carries no address. */
void qb_keyfile_made(const struct qb_net *net, const struct qb_link *link,
		     struct qb_keyfiles *files);
