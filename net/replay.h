/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No frame is lost while a link becomes a port, or ceases to be one.
 *
 * Two things lose some. A bridge without a port has no carrier, and drops what is sent through it
 * until the kernel has noticed its first port. And for about 100 us the link's frames go to the
 * bridge while the port is in state "disabled", and are dropped: at one frame a millisecond every
 * tenth move would lose one.
 *
 * Against the first a tap is the bridge's first port. Against the second packet sockets note what
 * the link received, what of it the link's own protocols got, and what the bridge got. What
 * nobody got is handed in again through the tap. Only frames to the host's own address are, which
 * a bridge never forwards.
 *
 * Sockets and tap are gone when this process ends, however it does. Where a kernel has no tap
 * the move works without, and those frames are lost.
 */
#pragma once

#include "net/nl.h"

struct qb_frames;

struct qb_replay {
	int tap;                /* -1: there is none */
	struct qb_frames *sets; /* see replay.c */
	size_t n_sets;
};

#define QB_REPLAY_INIT                                                                             \
	{                                                                                          \
		-1, NULL, 0                                                                        \
	}

/* Makes the tap a port of the bridge, switches that on, and listens on it and on the links. */
void qb_replay_open(struct nl_sock *sock, const char *bridge, const struct qb_strs *links,
		    struct qb_replay *ret);
/* Stops listening, and hands in what was dropped. Returns the number of frames. */
size_t qb_replay_run(struct qb_replay *replay);
void qb_replay_close(struct qb_replay *replay);
#define _cleanup_replay_ QB_CLEANUP(qb_replay_close)
