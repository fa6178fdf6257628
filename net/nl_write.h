/* SPDX-License-Identifier: Apache-2.0 */
/* Moves as netlink messages. */
#pragma once

#include "net/move.h"
#include "net/nl.h"

/* Adds the message of each op. Links are found by name at this time. */
QB_MUST_CHECK int qb_nl_write_ops(struct nl_sock *sock, const struct qb_ops *ops,
				  const char *bridge, struct qb_nl_batch *batch,
				  struct qb_error *err);

/* Makes the bridge, switched off, with the MAC and MTU of the move. */
QB_MUST_CHECK int qb_nl_bridge_make(struct nl_sock *sock, const struct qb_move *move,
				    struct qb_error *err);
/* Ports that forward already go on doing so when STP is switched on. */
QB_MUST_CHECK int qb_nl_bridge_stp(struct nl_sock *sock, const char *name, bool stp,
				   struct qb_error *err);
/* How the kernel makes link-local addresses for a link (IN6_ADDR_GEN_MODE_*). */
QB_MUST_CHECK int qb_nl_addr_gen_mode(struct nl_sock *sock, const char *name, unsigned char mode,
				      struct qb_error *err);
QB_MUST_CHECK int qb_nl_write_addr_gen_mode(const char *name, unsigned char mode,
					    struct qb_nl_batch *batch, struct qb_error *err);
/* As in net.ipv4.conf; nothing for a value below 0 or a link that is not there. */
void qb_nl_write_rp_filter(const char *name, int value, struct qb_nl_batch *batch);
QB_MUST_CHECK int qb_nl_link_identity(struct nl_sock *sock, const char *name, const char *mac,
				      int64_t mtu, struct qb_error *err);
/* Whether a bridge notes senders of frames that come in by that port. */
QB_MUST_CHECK int qb_nl_port_learning(struct nl_sock *sock, const char *port, bool on,
				      struct qb_error *err);
QB_MUST_CHECK int qb_nl_link_up(struct nl_sock *sock, const char *name, bool up,
				struct qb_error *err);
/* A link that is not there is no error. */
QB_MUST_CHECK int qb_nl_link_delete(struct nl_sock *sock, const char *name, struct qb_error *err);
