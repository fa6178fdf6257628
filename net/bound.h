/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hardware a port was bound to by an earlier run, and what has become of that. Pure. Steps
 * net.bridge and net.bind leave the record, in their args: {mac, mtu, ports: [{match, name, mac,
 * permanent_mac, path, kind}]}. A port is known by how the configuration names it, wherever in the
 * list it stands.
 */
#pragma once

#include "net/move.h"

/* In words: "driver ixgbe". The caller frees it. */
char *qb_port_match_words(const struct qb_port_match *m);
/* "eth0 (00:00:5e:00:53:01, pci-0000:01:00.0, ixgbe)". The caller frees it. */
char *qb_link_words(const struct qb_link *link);
/* Hardware, or what stands for it; not what is made on top of it, which has its MAC, too. */
bool qb_link_is_nic(const struct qb_link *link);
/* The same, or a VLAN or bond. */
bool qb_link_can_be_port(const struct qb_link *link);
/*
 * The next one after "after" with that MAC: of the hardware, or only where none has it, one that
 * may have been set by software. NULL: no more.
 */
const struct qb_link *qb_link_by_mac(const struct qb_net *net, const char *mac,
				     const struct qb_link *after);

/* The newest record of that port; NULL where there is none. */
const json_t *qb_bound_port(const struct qb_ledger *ledger, const struct qb_bridge_config *config,
			    const struct qb_port_match *m);
/* What was adopted and is neither configured nor there is to be remembered no longer. */
void qb_bound_forget(const struct qb_net *net, const struct qb_bridge_config *bridges,
		     size_t n_bridges, const struct qb_ledger *ledger, struct qb_plan *plan);
/* An earlier run made that link a port of the bridge, which it had not been. */
bool qb_bound_put(const struct qb_ledger *ledger, const char *bridge, const struct qb_link *link);
/*
 * The link that a recorded port is bound to. Hardware that was replaced, or is not any more what
 * the configuration names, is noted in plan where that is to rebind, and refused otherwise: NULL.
 * named is the one link that the configuration names now, or NULL.
 */
const struct qb_link *qb_bound_plan(const struct qb_net *net, const struct qb_bridge_config *config,
				    const struct qb_port_match *m, const json_t *record,
				    const struct qb_link *named, struct qb_plan *plan);
/*
 * Gives move the MAC and the MTU that the bridge is to have. The MAC is the one it was given or
 * found with, also when the NIC that it came from was replaced. The lease of a DHCP server, its
 * neighbours' caches and the filters of switches go by it. It is given up where a NIC of this host
 * has it and is no port of the bridge: two would answer to one address. Whether another host got
 * the old card cannot be known here; in the plan's changes, those of this bridge from first on,
 * that is said. The MTU is that of its ports, but for a bridge that was made with a lower one.
 */
void qb_bound_identity(const struct qb_net *net, const struct qb_ledger *ledger,
		       struct qb_plan *plan, size_t first, struct qb_move *move);
