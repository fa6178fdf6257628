/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host and its gateway, each a network namespace with one end of a veth pair: up0 is the host's
 * NIC. Needs no root where user namespaces may be made. The gateway echoes UDP on port 7.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "agent/base/exec.h"

#define ECHO_PORT 7
#define HOST_MAC "00:00:5e:00:53:01"

static pid_t gateway_pid = -1;
static int to_gateway = -1;

static inline void write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* ip(8) with these words, separated by single spaces. */
QB_PRINTF(1, 2) static inline void ip(const char *fmt, ...)
{
	const char *argv[40] = {access("/usr/sbin/ip", X_OK) == 0 ? "/usr/sbin/ip" : "/sbin/ip"};
	struct qb_error err = QB_ERROR_INIT;
	char line[512], *save = NULL;
	size_t n = 1;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *w = strtok_r(line, " ", &save); w && n < 39; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	argv[n] = NULL;
	if (qb_exec_check(argv, 10000, &err) < 0)
		fail_msg("ip %s: %s", fmt, err.msg);
}

/* A user namespace of one's own makes root of anybody; root has no need of it. */
static inline bool may_unshare(void)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (uid == 0)
		return unshare(CLONE_NEWNET) == 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
	return true;
}

/* Nothing is lost by who has to wait for the CPU, as far as one may say so: not only the root of a
 * user namespace. */
static inline void give_room(int fd)
{
	const int bytes = 64 << 20;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
}

static inline int echo_socket(int family)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(ECHO_PORT)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(ECHO_PORT)};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	give_room(fd);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, family == AF_INET6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
		 family == AF_INET6 ? sizeof(in6) : sizeof(in)) < 0)
		_exit(1);
	return fd;
}

static inline void run_gateway(int from_host, int to_host)
{
	struct pollfd fds[2];
	char buf[64];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0 || write(to_host, "u", 1) != 1 ||
	    read(from_host, buf, 1) != 1)
		_exit(1);
	ip("link set lo up");
	ip("link set gw0 up");
	ip("addr add 192.0.2.1/24 dev gw0");
	ip("addr add 2001:db8::1/64 dev gw0 nodad");
	fds[0] = (struct pollfd){.fd = echo_socket(AF_INET), .events = POLLIN};
	fds[1] = (struct pollfd){.fd = echo_socket(AF_INET6), .events = POLLIN};
	if (write(to_host, "r", 1) != 1)
		_exit(1);
	while (poll(fds, 2, -1) > 0) {
		for (int i = 0; i < 2; i++) {
			struct sockaddr_storage from;
			socklen_t len = sizeof(from);
			ssize_t n;

			if (!(fds[i].revents & POLLIN))
				continue;
			n = recvfrom(fds[i].fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
				     &len);
			if (n > 0)
				(void)!sendto(fds[i].fd, buf, (size_t)n, 0,
					      (struct sockaddr *)&from, len);
		}
	}
	_exit(0);
}

/* A fresh host with up0 up and configured as asked; the gateway is there and answers. */
static inline void host_setup(bool addresses)
{
	int up[2], down[2];
	char byte;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	assert_int_equal(pipe2(down, O_CLOEXEC), 0);
	gateway_pid = fork();
	assert_true(gateway_pid >= 0);
	if (gateway_pid == 0)
		run_gateway(down[0], up[1]);
	close(up[1]);
	close(down[0]);
	to_gateway = down[1];
	assert_int_equal(read(up[0], &byte, 1), 1);
	ip("link set lo up");
	ip("link add up0 address " HOST_MAC " type veth peer name gw0");
	ip("link set gw0 netns %d", gateway_pid);
	/* An address is in use at once, as those of a host are that was not started just now. */
	write_file("/proc/sys/net/ipv6/conf/up0/accept_dad", "0");
	ip("link set up0 up");
	assert_int_equal(write(to_gateway, "g", 1), 1);
	assert_int_equal(read(up[0], &byte, 1), 1);
	close(up[0]);
	if (!addresses)
		return;
	ip("addr add 192.0.2.10/24 brd + dev up0");
	ip("addr add 192.0.2.11/24 dev up0 label up0:1");
	ip("addr add 2001:db8::10/64 dev up0");
	ip("route add default via 192.0.2.1 metric 100");
	ip("route add 198.51.100.0/24 via 192.0.2.1 mtu 1400");
	ip("route add 203.0.113.0/24 dev up0 scope link");
	ip("-6 route add default via 2001:db8::1");
	ip("-6 route add 2001:db8:1::/48 via 2001:db8::1 metric 50");
}

/* ip(8) with these words, on the gateway. */
QB_PRINTF(1, 2) static inline void ip_on_gateway(const char *fmt, ...)
{
	_cleanup_free_ char *path = qb_asprintf("/proc/%d/ns/net", gateway_pid);
	char line[512];
	int status;
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
			_exit(1);
		ip("%s", line);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void host_teardown(void)
{
	if (gateway_pid > 0) {
		kill(gateway_pid, SIGKILL);
		waitpid(gateway_pid, NULL, 0);
		close(to_gateway);
	}
	gateway_pid = -1;
}

static inline void without_namespaces(void **state)
{
	(void)state;
	print_error("no network namespace can be made here: nothing was tried\n");
	skip();
}

static inline int run_none(void)
{
	const struct CMUnitTest none[] = {cmocka_unit_test(without_namespaces)};

	return cmocka_run_group_tests(none, NULL, NULL);
}

#define run_in_namespaces(tests)                                                                   \
	(may_unshare() ? cmocka_run_group_tests(tests, NULL, NULL) : run_none())
