/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What values of the configuration may be. Each returns NULL for a good value, else what was
 * expected, to stand after "is not".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

const char *qb_valid_interface(const char *value); /* as the kernel's dev_valid_name() */
const char *qb_valid_mac(const char *value);
const char *qb_valid_speed(const char *value);
const char *qb_valid_vlans(const char *value); /* of one NIC: not a group address, not zero */
const char *qb_valid_word(const char *value);  /* text without spaces and controls */
/* A number of disks, or "all". */
const char *qb_valid_count(const char *value);
const char *qb_valid_line(const char *value);   /* text of one line */
const char *qb_valid_path(const char *value);   /* absolute, nothing to resolve in it */
const char *qb_valid_mode(const char *value);   /* of a directory, octal */
const char *qb_valid_id(const char *value);     /* of a user or group, as a number */
const char *qb_valid_device(const char *value); /* a path below /dev */
const char *qb_valid_volume_size(const char *value);
const char *qb_valid_name(const char *value); /* of an object of libvirt */
const char *qb_valid_module(const char *value);
const char *qb_valid_sysctl(const char *value);  /* as below /proc/sys */
const char *qb_valid_uri(const char *value);     /* of a libvirt */
const char *qb_valid_user(const char *value);    /* as useradd(8) takes it */
const char *qb_valid_check(const char *value);   /* group.words-with-dashes */
const char *qb_valid_address(const char *value); /* with its prefix length */
const char *qb_valid_gateway(const char *value); /* an address without */
const char *qb_valid_subnet(const char *value);  /* IPv4, /8 to /30, host bits zero */
const char *qb_valid_default_route(const char *value);
const char *qb_valid_dns_name(const char *value);  /* labels of letters, digits and hyphens */
const char *qb_valid_host_name(const char *value); /* the same, and as libvirt wants a host's */

/* An address of either family, with the length of its prefix where one was written, else all. */
struct qb_prefix {
	int family; /* AF_INET, AF_INET6 */
	unsigned char address[16];
	unsigned length, bits; /* bits of an address of the family */
};

/* False where text is none. */
bool qb_prefix_parse(const char *text, bool with_length, struct qb_prefix *ret);
/* Whether b's address lies in a. */
bool qb_prefix_contains(const struct qb_prefix *a, const struct qb_prefix *b);
bool qb_prefix_overlaps(const struct qb_prefix *a, const struct qb_prefix *b);
/* Whether all bits behind the prefix are value. */
bool qb_prefix_host_bits(const struct qb_prefix *p, bool value);
