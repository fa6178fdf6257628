/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's XML of networks and pools. Pure: what is wanted in, a document out. */
#pragma once

#include "agent/host/config.h"

/*
 * "198.51.100.0/24" to the address the host takes, the first one ("198.51.100.1"), and the range
 * left for guests. -EINVAL when it is no IPv4 network of a /30 or larger.
 */
struct qb_subnet {
	char host[16], first[16], last[16];
	unsigned prefix;
};

/* Mode of <forward>; NULL for an isolated network, which has none. */
const char *qb_forward_mode(int forward);

QB_MUST_CHECK int qb_subnet_parse(const char *text, struct qb_subnet *ret);

/* Each is freed by the caller. Names and paths are escaped. */
char *qb_network_bridge_xml(const char *name, const char *uuid, const char *bridge);
/* The whole network as it is made where there is none; subnet is NULL where it has none. */
char *qb_network_xml(const struct qb_network_config *network, const char *uuid,
		     const struct qb_subnet *subnet);
/* source_device is of type fs alone; a logical pool's source is its volume group. */
char *qb_pool_xml(const struct qb_pool_config *pool, const char *uuid, const char *source_device);
/* Where its volumes are: its target, or of a logical pool the directory of its devices. */
char *qb_pool_path(const struct qb_pool_config *pool);
