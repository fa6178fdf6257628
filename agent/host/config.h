/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, host.yaml. Its keys, their types and their documentation are one table. */
#pragma once

#include "agent/base/root.h"
#include "agent/base/schema.h"
#include "agent/host/facts.h"
#include "net/bridge.h"
#include "net/made.h"
#include "storage/pool.h"

struct qb_kvm_config {
	struct qb_tri nested; /* unknown: leave it as it is */
	struct qb_strs modules;
};

enum qb_forward {
	QB_FORWARD_NAT,
	QB_FORWARD_ROUTE,
	QB_FORWARD_OPEN, /* as route, and libvirt adds no firewall rules: those are the host's */
	QB_FORWARD_ISOLATED
};

/* Its word in the configuration. */
const char *qb_forward_name(int forward);

/*
 * DHCP on a network, and DNS. What is not given is libvirt's, and not compared with what it has:
 * hence the members that say whether a list was.
 */
struct qb_dhcp_config {
	struct qb_tri enabled; /* written in place of the keys */
	struct qb_vir_range *ranges;
	size_t n_ranges;
	struct qb_vir_host *hosts;
	size_t n_hosts;
	bool has_ranges, has_hosts; /* of enabled, too, follows what they are */
};

struct qb_dns_config {
	struct qb_vir_forwarder *forwarders;
	size_t n_forwarders;
	struct qb_vir_record *hosts;
	size_t n_hosts;
	bool has_forwarders, has_hosts;
};

struct qb_domain_config {
	char *name;
	struct qb_tri local_only;
};

struct qb_network_config {
	char *name;
	int forward; /* enum qb_forward */
	bool autostart;
	char *subnet; /* "192.168.122.0/24": the host takes the first address */
	char *bridge; /* libvirt's own; NULL: as libvirt names it */
	struct qb_domain_config domain;
	struct qb_dhcp_config dhcp;
	struct qb_dns_config dns;
};

/* The least that checks are content with. */
struct qb_thresholds_config {
	int64_t cpus;
	uint64_t memory, space, pool_space; /* bytes */
};

struct qb_checks_config {
	struct qb_strs ignore; /* check ids */
	struct qb_thresholds_config thresholds;
};

/* Huge pages of one size, on one NUMA node or (-1) wherever the kernel finds them. */
struct qb_hugepages_config {
	uint64_t size; /* bytes */
	int64_t count, node;
};

struct qb_sysctl_config {
	char *name, *value;
};

struct qb_host_config {
	struct qb_hugepages_config *hugepages;
	size_t n_hugepages;
	struct qb_sysctl_config *sysctl;
	size_t n_sysctl;
	struct qb_tri ksm; /* unknown: leave it as it is */
	char *default_uri;
	struct qb_strs members; /* users, of the group libvirt */
};

struct qb_config {
	int64_t version;
	struct qb_kvm_config kvm;
	struct qb_host_config host;
	struct qb_bond_config *bonds;
	size_t n_bonds;
	struct qb_vlan_config *vlans;
	size_t n_vlans;
	struct qb_bridge_config *bridges;
	size_t n_bridges;
	struct qb_network_config *networks;
	size_t n_networks;
	struct qb_pool_config *pools;
	size_t n_pools;
	char *domains;
	struct qb_checks_config checks;
};

extern const struct qb_type qb_config_type;
/* Where no configuration says otherwise. */
extern const struct qb_thresholds_config qb_thresholds_default;

/*
 * Parses and validates: besides what qb_schema_load() refuses, references that lead nowhere, two
 * things of one name, two pools or bridges that claim one disk or NIC. All errors in diags,
 * -EINVAL.
 */
QB_MUST_CHECK int qb_config_parse(const char *text, size_t len, struct qb_config *ret,
				  struct qb_diags *diags);
/*
 * Reads the file, which must belong to root (or to the caller) and not be writable by others
 * (-EPERM); then as qb_config_parse(). -ENOENT when it is not there.
 */
QB_MUST_CHECK int qb_config_load(const char *path, struct qb_config *ret, struct qb_diags *diags,
				 struct qb_error *err);
void qb_config_done(struct qb_config *config);
#define _cleanup_config_ QB_CLEANUP(qb_config_done)

/* Every key with its type, default and meaning, as text for the manual. */
void qb_config_document(struct qb_buf *out);
