/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkManager profiles that bring a bridge back after a reboot, as text. Pure. */
#pragma once

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

/*
 * Every key that wanted has is in text with that value. Sections ipv4 and ipv6 are left out unless
 * addresses is set: where the bridge inherits, what the profile says of them is what holds.
 */
bool qb_keyfile_has(const char *text, const char *wanted, bool addresses);
