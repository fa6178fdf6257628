/* SPDX-License-Identifier: Apache-2.0 */
/* Bonds and VLANs as netlink messages. */
#pragma once

#include "agent/base/root.h"
#include "net/nl.h"

/* Switched off, without a NIC. mode is BOND_MODE_* of linux/if_bonding.h. */
QB_MUST_CHECK int qb_nl_bond_make(struct nl_sock *sock, const char *name, unsigned char mode,
				  const char *mac, int64_t mtu, struct qb_error *err);
/* Switched off; its MAC and MTU follow those of the link below it. */
QB_MUST_CHECK int qb_nl_vlan_make(struct nl_sock *sock, const char *name, const char *lower,
				  int64_t id, struct qb_error *err);
/* master: NULL releases it. */
QB_MUST_CHECK int qb_nl_link_master(struct nl_sock *sock, const char *name, const char *master,
				    struct qb_error *err);
/*
 * Has the kernel tell all who listen that the link is there, by giving it the alias (RFC 2863) that
 * it has.
 */
QB_MUST_CHECK int qb_nl_link_announce(struct nl_sock *sock, const struct qb_root *root,
				      const char *name, struct qb_error *err);
