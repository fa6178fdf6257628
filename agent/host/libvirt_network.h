/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network as libvirt has it and as it is wanted, key by key: what differs, what its XML becomes,
 * and which updates of the running network lead there. Pure.
 */
#pragma once

#include "agent/host/facts.h"

/* What a configuration can say of a network. */
enum qb_network_key {
	QB_NETWORK_FORWARD = 1 << 0,
	QB_NETWORK_BRIDGE = 1 << 1,
	QB_NETWORK_ADDRESS = 1 << 2,
	QB_NETWORK_DOMAIN = 1 << 3,
	QB_NETWORK_LOCAL_ONLY = 1 << 4,
	QB_NETWORK_FORWARDERS = 1 << 5,
	QB_NETWORK_RANGES = 1 << 6,
	QB_NETWORK_HOSTS = 1 << 7,
	QB_NETWORK_RECORDS = 1 << 8,
	/* There are updates of a running network for these; all others want a restart. */
	QB_NETWORK_LIVE = QB_NETWORK_RANGES | QB_NETWORK_HOSTS | QB_NETWORK_RECORDS,
};

/* libvirt before 7.0 has a link beside those of guests on a bridge of its own, to keep its MAC. */
bool qb_network_dummy(const char *bridge, const char *link);

/* "dhcp.hosts": as the configuration has it; NULL where key is more than one, or none. */
const char *qb_network_key_name(unsigned key);
/* 0 for a name that is none. */
unsigned qb_network_key_find(const char *name);

/* Which of the keys differ. The order in a list means nothing. */
unsigned qb_network_differences(const struct qb_vir_definition *is,
				const struct qb_vir_definition *wanted, unsigned keys);
/* Those of the keys that virNetworkUpdate() can change in a network that runs like that. */
unsigned qb_network_updatable(const struct qb_vir_definition *is, unsigned keys);
/* Another address, with which the hosts of DHCP would go that the keys say nothing of. */
bool qb_network_loses_hosts(const struct qb_vir_definition *is,
			    const struct qb_vir_definition *wanted, unsigned keys);
/* What one has for a key, for a person; of a list only what the other has not, and no more than
 * most items of that. Caller frees. */
char *qb_network_value(const struct qb_vir_definition *of, const struct qb_vir_definition *other,
		       unsigned key, size_t most);
/* Each item of a key that is a list, as text that is the same for items that mean the same. */
void qb_network_items(const struct qb_vir_definition *of, unsigned key, struct qb_strs *ret);

/*
 * The document is with these keys taken from wanted, and all else as it is; where a network is to
 * become one over a bridge, or to be none any more, nothing but its UUID stays. With another
 * address go the ranges and hosts of DHCP. -EINVAL where one of them is no network. Caller frees.
 */
QB_MUST_CHECK int qb_network_edit(const char *is, const char *wanted, unsigned keys, char **ret);

/* One call of virNetworkUpdate(): the last of a list is added, or an item deleted. */
struct qb_network_update {
	bool add;
	unsigned key; /* one of QB_NETWORK_LIVE */
	int parent;   /* the <ip> that it is in; -1: in none */
	char *xml;
};

struct qb_network_updates {
	struct qb_network_update *v;
	size_t n;
	bool restart; /* no updates lead there: they differ in more than what can be updated */
};

/* What makes the running network from one document the same as another one. -EINVAL as above. */
QB_MUST_CHECK int qb_network_updates(const char *from, const char *to,
				     struct qb_network_updates *ret);
void qb_network_updates_done(struct qb_network_updates *updates);
#define _cleanup_updates_ QB_CLEANUP(qb_network_updates_done)
