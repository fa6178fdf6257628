/* SPDX-License-Identifier: Apache-2.0 */
/* Words for the kernel's numbers, as ip(8) has them. */
#pragma once

#include <stdint.h>

#include "agent/base/str.h"

/* The caller frees them; a number without a word is printed as a number. */
char *qb_scope_name(unsigned scope);
char *qb_route_type_name(unsigned type);
char *qb_route_proto_name(unsigned proto);
char *qb_metric_name(unsigned metric);
char *qb_rule_action_name(unsigned action);

/* -EINVAL for what is neither a word nor a number below 256. */
QB_MUST_CHECK int qb_scope_parse(const char *s, unsigned char *ret);
QB_MUST_CHECK int qb_route_type_parse(const char *s, unsigned char *ret);
QB_MUST_CHECK int qb_route_proto_parse(const char *s, unsigned char *ret);
QB_MUST_CHECK int qb_metric_parse(const char *s, unsigned char *ret);
QB_MUST_CHECK int qb_rule_action_parse(const char *s, unsigned char *ret);

/* An address as bytes, with the length of its prefix where one is given. */
struct qb_ip {
	int family; /* AF_INET, AF_INET6 */
	unsigned char bytes[16];
	unsigned len;    /* of bytes: 4, 16 */
	unsigned prefix; /* the whole address where none was written */
};

/* "192.0.2.1", "2001:db8::/32". -EINVAL */
QB_MUST_CHECK int qb_ip_parse(const char *s, struct qb_ip *ret);
char *qb_ip_format(int family, const void *bytes);
/* "address/prefix" */
char *qb_ip_format_prefix(int family, const void *bytes, unsigned prefix);
/* "inet", "inet6" of an address, with or without its prefix. */
const char *qb_ip_family(const char *s);
bool qb_ip_is_link_local(const char *s);
/* The first bits of address, the rest zero: its network, "192.0.2.0/24". NULL when it is none. */
char *qb_ip_network(const char *address);
/* The last address of the network of "192.0.2.10/24". NULL unless it is of IPv4. */
char *qb_ip_last(const char *address);
/* The same where it is the broadcast address: a network of two or one has none (RFC 3021). */
char *qb_ip_broadcast(const char *address);
/* "fe80::.../64", which is made of a MAC address: RFC 4291, appendix A. NULL when mac is none. */
char *qb_ip_link_local(const char *mac);
