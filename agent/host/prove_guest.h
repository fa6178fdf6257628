/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest that `prove` runs: its disk, sector by sector of 512 bytes, as the agent writes it and
 * reads it afterwards. Read by the assembler, too.
 */
#pragma once

#define QB_GUEST_SECTOR 512
#define QB_GUEST_CODE_SECTORS 3
/* Sector 3, given to the guest: a mark, and after it, as little-endian words, */
#define QB_GUEST_GIVEN 3
#define QB_GUEST_MARK_BYTES 16
#define QB_GUEST_GIVEN_TICKS 16  /* how long it waits for an answer: 18.2 of them are a second */
#define QB_GUEST_GIVEN_LENGTH 18 /* of the frame */
#define QB_GUEST_GIVEN_MAC 20    /* its own, 6 bytes */
#define QB_GUEST_GIVEN_NIC                                                                         \
	26 /* which of its network devices, from 0 in the order of their slots                     \
	    */
#define QB_GUEST_GIVEN_FRAME 32 /* what it sends */
/* Sector 4, written by the guest: the mark again, and after it */
#define QB_GUEST_RESULT 4
#define QB_GUEST_RESULT_STAGE 16  /* a byte, QB_GUEST_STARTED and so on */
#define QB_GUEST_RESULT_LENGTH 18 /* a word: of the frame that was sent to it */
#define QB_GUEST_RESULT_FRAME 32  /* its beginning */
#define QB_GUEST_FRAME_MAX (QB_GUEST_SECTOR - 32)
#define QB_GUEST_SECTORS 5

/* How far it came. */
#define QB_GUEST_STARTED 1
#define QB_GUEST_SENT 2 /* again and again, and nobody answered */
#define QB_GUEST_ANSWERED 3

#ifndef __ASSEMBLER__
/* Its code, QB_GUEST_CODE_SECTORS; only where the program is built for x86. */
extern const unsigned char qb_prove_guest[];
#endif
