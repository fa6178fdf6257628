/* SPDX-License-Identifier: Apache-2.0 */
/* Bonds and VLANs that are made for bridges to stand on: what is wanted, and the plan for it. */
#pragma once

#include "net/bridge.h"

enum qb_bond_mode {
	QB_BOND_ACTIVE_BACKUP,
	QB_BOND_8023AD
};

/* "active-backup", "802.3ad" */
const char *qb_bond_mode_name(int mode);

struct qb_bond_config {
	char *name;
	int mode; /* enum qb_bond_mode */
	struct qb_port_match *ports;
	size_t n_ports;
};

struct qb_vlan_config {
	char *name;
	int64_t id;
	struct qb_port_match link; /* a NIC, or a bond by its name */
};

struct qb_made_config {
	const struct qb_bond_config *bonds;
	size_t n_bonds;
	const struct qb_vlan_config *vlans;
	size_t n_vlans;
	const struct qb_bridge_config *bridges; /* whose ports they may be */
	size_t n_bridges;
};

/*
 * Adds the steps that make bonds and VLANs, or refuses them with all reasons. *ret is the host as
 * it will be then, for the plan of the bridges; what is yet to be made has a negative ifindex. The
 * caller frees it with qb_net_done(). Pure.
 */
void qb_made_plan(const struct qb_net *net, const struct qb_made_config *config,
		  const struct qb_ledger *ledger, struct qb_plan *plan, struct qb_net *ret);

extern const struct qb_step_kind qb_made_step; /* net.link */
