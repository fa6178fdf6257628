/* SPDX-License-Identifier: Apache-2.0 */
/* A host that is being made by chance, and the chance. The same seed makes the same host. */
#pragma once

#include <stdint.h>

#include "agent/base/str.h"

#define MAX_PICKS 16
#define MAX_BESIDE 4

/* A link beside up0, which stays where it is, and what its addresses are of. */
struct beside {
	char link[16];
	unsigned net; /* 198.18.NET.0/24 and 2001:db8:NET::/64, of which the gateway has .1 */
};

struct random_host {
	uint64_t state;
	struct qb_buf lines, gateway; /* for "ip -batch", on the host and on its gateway */
	unsigned metric6[3];          /* of the addresses of up0 there */
	bool net4[3], net6[3];        /* up0 has an address there, and the kernel a route to it */
	char own4[MAX_PICKS][64], own6[MAX_PICKS][64];
	unsigned n_own4, n_own6;
	/* What the kernel makes, given; and whether this host has any. */
	bool can_vlan, can_bond, has_vlan, has_bond;
	int gateway_pid;
	struct beside beside[MAX_BESIDE];
	unsigned n_beside, n_other_hops;
};

/* splitmix64 */
static inline uint64_t random_next(struct random_host *h)
{
	uint64_t z = h->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* 0 to n - 1 */
static inline unsigned pick(struct random_host *h, unsigned n)
{
	return (unsigned)(random_next(h) % n);
}

static inline bool one_in(struct random_host *h, unsigned n)
{
	return pick(h, n) == 0;
}

#define PICK(h, list) ((list)[pick((h), (unsigned)QB_ARRAY_SIZE(list))])
#define SAY(h, ...) qb_buf_printf(&(h)->lines, __VA_ARGS__)
#define SAY_GATEWAY(h, ...) qb_buf_printf(&(h)->gateway, __VA_ARGS__)
