/* SPDX-License-Identifier: Apache-2.0 */
/* VLANs of bridges and their ports as netlink messages (AF_BRIDGE). */
#pragma once

#include "net/link.h"
#include "net/nl.h"

/* Of the bridges that filter, and their ports; the links must be there. */
QB_MUST_CHECK int qb_nl_vlans(struct nl_sock *sock, struct qb_net *net, struct qb_error *err);
/*
 * A port is left with the VLANs of that list (net/vlans.h) and no others. First comes what is
 * wanted, then the rest goes: what is in both goes on.
 */
void qb_nl_write_vlans(unsigned ifindex, const char *port, const struct qb_strs *vlans,
		       struct qb_nl_batch *batch);
