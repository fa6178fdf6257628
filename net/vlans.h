/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VLANs that a bridge with VLAN filtering lets through, of itself and of its ports. Each is a list
 * as NetworkManager's profiles have it: "5 pvid untagged", "10", "20-30"; sorted, what follows on
 * one another as one range. Pure.
 */
#pragma once

#include "net/move.h"

#define QB_VLAN_MAX 4094

struct qb_vlan_range {
	unsigned first, last;
	bool pvid, untagged;
};

/* An item of such a list; of "10" and "20-30", which a person writes, too. */
bool qb_vlan_range_parse(const char *item, struct qb_vlan_range *ret);
/* The list of a port; pvid 0: it takes no frame without a tag. */
void qb_vlans_list(int64_t pvid, const struct qb_strs *tagged, struct qb_strs *ret);

/* What move is to do about VLANs, or the refusal of its bridge in plan. */
void qb_vlans_plan(const struct qb_net *net, const struct qb_bridge_config *config,
		   struct qb_plan *plan, struct qb_move *move);
/* They are as the move leaves them. */
bool qb_vlans_are(const struct qb_net *net, const struct qb_move *move);
