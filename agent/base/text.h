/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: wrapped to the terminal, coloured only where asked, safe to print. */
#pragma once

#include "agent/base/str.h"

enum qb_colour {
	QB_PLAIN,
	QB_BOLD,
	QB_RED,
	QB_GREEN,
	QB_YELLOW,
	QB_GREY
};

/*
 * Adds text in lines of at most width columns. The first line begins where the buffer stands, at
 * column at; the others are indented by indent. Made printable; broken at spaces, a word longer
 * than a line stays whole. Ends with a newline.
 */
void qb_text_wrap(struct qb_buf *out, unsigned at, unsigned indent, unsigned width,
		  const char *text);
/* Adds text, made printable, in colour when on. */
void qb_text_colour(struct qb_buf *out, bool on, enum qb_colour colour, const char *text);
/* "12 ms", "3.4 s", "870 µs". Adds it. */
void qb_text_duration(struct qb_buf *out, uint64_t us);
