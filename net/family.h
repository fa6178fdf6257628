/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bridge has of one address family once a move is done, as whoever brings it back after a
 * reboot has to be told: NetworkManager by a profile, systemd-networkd by a unit. Pure.
 */
#pragma once

#include "net/move.h"

enum qb_family_method {
	QB_FAMILY_OFF,
	QB_FAMILY_FIXED, /* nothing comes by itself: all is written down */
	QB_FAMILY_ASKED, /* a DHCP server or a router is asked for the rest */
};

/* Points into what it was made of. */
struct qb_family {
	const char *name; /* inet, inet6 */
	enum qb_family_method method;
	const struct qb_strs *given; /* addresses, as the configuration has them; NULL: these: */
	const struct qb_address **addresses; /* to be written down; not link-local */
	size_t n_addresses;
	const struct qb_route **routes; /* likewise, without the best */
	size_t n_routes;
	const struct qb_route *best;      /* likewise, the default route of the lowest metric */
	const struct qb_address *dynamic; /* one that is renewed */
	const struct qb_address *link_local;
	int64_t metric; /* of the best, else of the route that comes with an address; -1: neither */
	int64_t table;  /* of what a lease or a router announces */
};

void qb_family_find(const struct qb_net *net, const struct qb_move *move, const char *family,
		    const struct qb_ip_config *ip, struct qb_family *ret);
void qb_family_done(struct qb_family *f);
#define _cleanup_family_ QB_CLEANUP(qb_family_done)

/*
 * It is to be written down: somebody set it by hand or by a profile. What the kernel makes of an
 * address in table main comes again with that, what expires was not to stay, and what has another
 * proto belongs to who speaks a routing protocol, and comes again with that one.
 */
bool qb_family_wants(const struct qb_route *r);
/* It ends as the link-local address that is made of the MAC. */
bool qb_address_is_eui64(const struct qb_address *a, const char *mac);
/* The route that comes with the address of that network. */
bool qb_route_comes_with(const struct qb_route *r, const char *family, const char *network);
