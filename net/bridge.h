/* SPDX-License-Identifier: Apache-2.0 */
/* Bridges as the configuration wants them, and the plan that gets there. */
#pragma once

#include "agent/base/step.h"
#include "net/link.h"

/* "100M", "2.5G", "25G": bits in a second, as Mbit/s; 0 for what is none. */
int64_t qb_speed_parse(const char *s);

/* Names one NIC. Exactly one member is set. */
struct qb_port_match {
	char *match; /* "default-route" */
	char *mac;
	char *path;
	char *name;
	char *driver;
	char *speed; /* "10G", see qb_speed_parse() */
	/* Of a bridge's port only. pvid: 0 for none, negative for the bridge's. */
	int64_t pvid;
	struct qb_strs tagged; /* "10", "20-30" */
};

enum qb_ip_mode {
	QB_IP_INHERIT,
	QB_IP_DHCP,
	QB_IP_NONE,
	QB_IP_STATIC
};

struct qb_ip_config {
	int mode; /* enum qb_ip_mode */
	struct qb_strs addresses;
	char *gateway;
};

struct qb_bridge_config {
	char *name;
	struct qb_port_match *ports;
	size_t n_ports;
	struct qb_ip_config ipv4, ipv6;
	bool stp;
	bool vlan_filtering;   /* false: a bridge that is there is left as it is */
	int64_t pvid;          /* the host's own VLAN, and that of guests; 0: 1 */
	char *libvirt_network; /* name of the network registered over it; NULL for none */
};

/*
 * Adds the steps that make the bridges, or refuses them with all reasons. Pure. The ledger tells
 * which NIC an earlier run bound to a bridge. The MAC of a bridge without a port follows from
 * machine_id, which may be NULL while there is none.
 */
void qb_bridge_plan(const struct qb_net *net, const struct qb_bridge_config *bridges,
		    size_t n_bridges, const char *machine_id, const struct qb_ledger *ledger,
		    struct qb_plan *plan);

extern const struct qb_step_kind qb_bridge_step;         /* net.bridge */
extern const struct qb_step_kind qb_bridge_bind_step;    /* net.bind */
extern const struct qb_step_kind qb_bridge_persist_step; /* net.persist */
