/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the table of all keys. */
#pragma once

#include "agent/host/config.h"

#define QB_ITEMS_MAX 1000

extern const struct qb_type qb_bridge_type, qb_bond_type, qb_vlan_type, qb_host_config_type;
