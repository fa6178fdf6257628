/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units of systemd-networkd that bring a bridge back after a reboot, as text: systemd.netdev(5),
 * systemd.network(5). Pure.
 */
#pragma once

#include "net/keyfile.h"

#define QB_UNITS "/etc/systemd/network"
/* The first unit by name that is for a link is the one that counts. */
#define QB_UNIT_PREFIX "0-qubi-"
#define QB_UNIT_PROVISIONAL "0-provisional-" /* not confirmed yet; below /run */
/* Of one that has it keep its hands off a link, up to the link's name: before all others. */
#define QB_UNIT_BAR "/run/systemd/network/0-barred-"

static inline bool qb_is_unit(const char *path)
{
	return qb_startswith(path, QB_UNITS "/");
}

/*
 * Those of a bridge and of each port, as they have to be once the move is done; those of the ports
 * first, for it is they that take a NIC away from its own. args: of the newest step net.persist
 * that stands, or NULL.
 */
void qb_unit_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		  const struct qb_move *move, const json_t *args, struct qb_keyfiles *ret);
/* Refuses the bridge in plan with all that would not be so any more after a reboot. */
void qb_unit_refuse(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan);

/*
 * What says how the bridge is to go on: the text of its own unit, once it has one, of that of the
 * NIC, or of what a run wrote for the bridge; or NULL. It is there as long as net and args are.
 */
const char *qb_unit_heir(const struct qb_net *net, const struct qb_move *move, const json_t *args);

/*
 * The command that has systemd-networkd take a link out of its bridge, where it is a port by a unit
 * of ours: without it would put it back at once. The caller frees it; NULL: it is not.
 */
char *qb_unit_way_out(const struct qb_link *port);

/* What move adds to routes and rules, as sections. */
void qb_unit_routes(struct qb_buf *b, const struct qb_family *family);
void qb_unit_rules(struct qb_buf *b, const struct qb_net *net, const struct qb_move *move,
		   const struct qb_family *family);

/* What a NIC's own unit says that its bridge, or it as a port, is to have, too. */
struct qb_unit_parts {
	struct qb_buf link;     /* keys of [Link] */
	struct qb_buf network;  /* keys of [Network] */
	struct qb_buf sections; /* others, whole */
};

void qb_unit_parts_done(struct qb_unit_parts *parts);
#define _cleanup_unit_parts_ QB_CLEANUP(qb_unit_parts_done)

/* Rules of the NIC source are the bridge's. source may be NULL. */
void qb_unit_of_bridge(const char *text, const char *source, const char *bridge,
		       struct qb_unit_parts *ret);
void qb_unit_of_port(const char *text, struct qb_unit_parts *ret);
/* The value of the last such line of [Network]; NULL: it has none. */
char *qb_unit_network_value(const char *text, const char *key);
/* It gives its link that address. text may be NULL. */
bool qb_unit_has_address(const char *text, const char *address);
