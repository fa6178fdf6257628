/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest of `prove` sends, and whether what came back answers it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
	QB_PROOF_FRAME_MAX = 128
};

/*
 * A question for the link-layer address of peer, an IPv4 or IPv6 address, from a guest that has
 * none of its own: an ARP probe (RFC 5227) or a neighbour solicitation (RFC 4861). peer NULL: a
 * RARP request, by which QEMU announces a guest. Returns its length.
 */
size_t qb_proof_frame(const unsigned char mac[6], const char *peer,
		      unsigned char ret[QB_PROOF_FRAME_MAX]);
/* Whether the frame says that peer is there. */
bool qb_proof_is_answer(const unsigned char *frame, size_t len, const char *peer);
