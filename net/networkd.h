/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-networkd: what it says of links in /run/systemd/netif, and over D-Bus that it is to read
 * its units anew. Seen with systemd 252.
 */
#pragma once

#include "agent/base/root.h"
#include "net/link.h"

/* Adds to a snapshot by what units it manages links, their text, and those of ours. */
void qb_networkd_probe(const struct qb_root *root, struct qb_net *net);

/*
 * A link whose unit is another one now, or has another text, is configured anew, for which all is
 * taken off it that the unit does not name; one that has none any more loses what it had by it. It
 * returns before that is done. One that somebody else asked for is waited for.
 */
QB_MUST_CHECK int qb_networkd_reload(unsigned timeout_ms, struct qb_error *err);
/* It can be told so: it is on the bus, and does not hang. */
QB_MUST_CHECK int qb_networkd_answers(unsigned timeout_ms, struct qb_error *err);

/* What it last wrote of a link, each time into a new file. */
struct qb_networkd_word {
	ino_t inode; /* 0: nothing */
	struct timespec written;
};

struct qb_networkd_word qb_networkd_word(const struct qb_root *root, const struct qb_link *link);
/*
 * Waits until the link is configured by that unit, as it has written after the word before, NULL
 * for whenever; unit NULL: until it is not managed. Noted before it is told to reload, the word
 * keeps a link that is still as it was from being taken for one that is configured anew.
 */
QB_MUST_CHECK int qb_networkd_wait(const struct qb_root *root, const struct qb_link *link,
				   const char *unit, const struct qb_networkd_word *before,
				   unsigned timeout_ms, struct qb_error *err);

/*
 * Has it keep its hands off a link, whatever other units say, from when it is told to reload and
 * until the next boot. What it gave the link goes.
 */
QB_MUST_CHECK int qb_networkd_bar(const struct qb_root *root, const char *link,
				  struct qb_error *err);
bool qb_networkd_is_barred(const struct qb_root *root, const char *link);
QB_MUST_CHECK int qb_networkd_unbar(const struct qb_root *root, const char *link,
				    struct qb_error *err);
