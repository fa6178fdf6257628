/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts whose addresses are on a VLAN or on a bond. A kernel may make neither. */
#pragma once

#include <net/if.h>

#include "test_bridge_ns.h"

/* In a network namespace that is new. */
static inline bool kernel_makes(const char *kind)
{
	const char *const argv[] = {access("/usr/sbin/ip", X_OK) == 0 ? "/usr/sbin/ip" : "/sbin/ip",
				    "link", "add", "link", "try0", "name", "try2", "type", kind,
				    /* Of a VLAN only; of others it is the last word. */
				    !strcmp(kind, "vlan") ? "id" : NULL, "9", NULL};
	struct qb_error err = QB_ERROR_INIT;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ip("link add try0 type veth peer name try1");
	return qb_exec_check(argv, 10000, &err) == 0;
}

static inline bool can_make(const char *kind)
{
	bool can = kernel_makes(kind);

	if (!can)
		print_error("this kernel makes no %s: nothing was tried\n", kind);
	return can;
}

/* The host's addresses are on a VLAN, of which the gateway has the other end. */
static inline void onto_a_vlan(void)
{
	ip("link set up0 down");
	ip("addr flush dev up0");
	ip("link set up0 up");
	ip("link add link up0 name up0.5 type vlan id 5");
	write_file("/proc/sys/net/ipv6/conf/up0.5/accept_dad", "0");
	ip("link set up0.5 up");
	ip_on_gateway("addr flush dev gw0");
	ip_on_gateway("link add link gw0 name gw0.5 type vlan id 5");
	ip_on_gateway("link set gw0.5 up");
	ip_on_gateway("addr add 192.0.2.1/24 dev gw0.5");
	ip_on_gateway("addr add 2001:db8::1/64 dev gw0.5 nodad");
	ip("addr add 192.0.2.10/24 brd + dev up0.5");
	ip("addr add 192.0.2.11/24 dev up0.5 label up0.5:1");
	ip("addr add 2001:db8::10/64 dev up0.5");
	ip("route add default via 192.0.2.1 metric 100");
	ip("-6 route add default via 2001:db8::1");
}

/* Of the carrier of a bond the kernel takes note up to a second later. */
static inline void wait_for_link_local(const char *link)
{
	char address[33], name[IFNAMSIZ];

	for (int i = 0; i < 500; i++) {
		FILE *f = fopen("/proc/self/net/if_inet6", "re");
		bool found = false;

		assert_non_null(f);
		while (fscanf(f, "%32s %*s %*s %*s %*s %15s", address, name) == 2)
			found |= !strncmp(address, "fe80", 4) && !strcmp(name, link);
		fclose(f);
		if (found)
			return;
		usleep(10000);
	}
	fail_msg("%s has no link-local address", link);
}

/* The host's addresses are on a bond of up0 and of a second NIC that leads nowhere. */
static inline void onto_a_bond(void)
{
	ip("addr flush dev up0");
	ip("link set up0 down");
	ip("link add bond0 type bond mode active-backup miimon 100");
	write_file("/proc/sys/net/ipv6/conf/bond0/accept_dad", "0");
	ip("link add up1 type veth peer name other1");
	ip("link set up0 master bond0");
	ip("link set up1 master bond0");
	ip("link set bond0 up");
	wait_for_link_local("bond0");
	ip("addr add 192.0.2.10/24 brd + dev bond0");
	ip("addr add 2001:db8::10/64 dev bond0");
	ip("route add default via 192.0.2.1 metric 100");
	ip("-6 route add default via 2001:db8::1");
}

/* The gateway echoes from there. */
static inline bool answers(const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(ECHO_PORT)};
	struct pollfd p = {.events = POLLIN};
	bool got;

	p.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, address, &to.sin_addr);
	assert_int_equal(sendto(p.fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	got = poll(&p, 1, 3000) == 1;
	close(p.fd);
	return got;
}

static inline bool can_filter(void)
{
	const char *const argv[] = {access("/usr/sbin/ip", X_OK) == 0 ? "/usr/sbin/ip" : "/sbin/ip",
				    "link",
				    "add",
				    "try0",
				    "type",
				    "bridge",
				    "vlan_filtering",
				    "1",
				    NULL};
	struct qb_error err = QB_ERROR_INIT;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	if (qb_exec_check(argv, 10000, &err) == 0)
		return true;
	print_error("this kernel's bridges filter no VLANs: nothing was tried\n");
	return false;
}
