/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded by test_lockout.py: the kernel's so many'th good answer to a netlink request
 * ($QB_FAULT_ACK) reads as a refusal, though what was asked for was done.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/netlink.h>

static long left = -1;

static void spoil(void *buf, ssize_t n)
{
	static const char said[] = "fault: an answer was spoilt\n";

	for (struct nlmsghdr *h = buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		struct nlmsgerr *e = NLMSG_DATA(h);

		if (h->nlmsg_type != NLMSG_ERROR || e->error || --left != 0)
			continue;
		e->error = -EPROTO;
		(void)!write(2, said, sizeof(said) - 1);
	}
}

/* Answers to batches are read by this, dumps by recvmsg(2). */
ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	static ssize_t (*real)(int, void *, size_t, int);
	int domain = 0;
	socklen_t size = sizeof(domain);
	ssize_t n;

	if (!real) {
		real = (ssize_t (*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
		left = atol(getenv("QB_FAULT_ACK") ? getenv("QB_FAULT_ACK") : "-1");
	}
	n = real(fd, buf, len, flags);
	if (n > 0 && left > 0 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	    domain == AF_NETLINK)
		spoil(buf, n);
	return n;
}
