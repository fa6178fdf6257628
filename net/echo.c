/* SPDX-License-Identifier: Apache-2.0 */
#include "net/echo.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "net/names.h"

enum {
	TRIES = 3,
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	PACKET_MAX = 65535,
};

/* Both families have it alike (RFC 792, RFC 4443): type, code, checksum, identifier, number. */
struct echo {
	uint8_t type, code;
	uint16_t checksum, id, number;
};

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct question {
	int fd;
	bool inet6;
	union address to;
	uint16_t id;
	char *packet;
	size_t len;
};

static uint16_t checksum(const char *data, size_t len)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i + 1 < len; i += 2) {
		memcpy(&word, data + i, sizeof(word));
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static int open_socket(const char *dev, bool inet6)
{
	int fd = socket(inet6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			inet6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	/* Not cut, and as large as the link takes, whatever was learned of the way. */
	int whole = inet6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;

	if (fd < 0 ||
	    setsockopt(fd, inet6 ? IPPROTO_IPV6 : IPPROTO_IP,
		       inet6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &whole, sizeof(whole)) < 0 ||
	    (dev &&
	     setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev) + 1) < 0)) {
		qb_closep(&fd);
		return -1;
	}
	return fd;
}

static bool begin(const char *dev, const char *address, size_t bytes, struct question *ret)
{
	struct qb_ip ip;
	size_t head;

	if (qb_ip_parse(address, &ip) < 0)
		return false;
	ret->inet6 = ip.family == AF_INET6;
	head = ret->inet6 ? IPV6_HEADER : IPV4_HEADER;
	ret->len = (bytes > PACKET_MAX ? PACKET_MAX : bytes) & ~(size_t)1;
	ret->len = ret->len > head + sizeof(struct echo) ? ret->len - head : sizeof(struct echo);
	ret->to.any.sa_family = (sa_family_t)ip.family;
	/* One of a link is of that link. */
	if (ret->inet6 && dev && qb_ip_is_link_local(address))
		ret->to.in6.sin6_scope_id = if_nametoindex(dev);
	if (ret->inet6)
		memcpy(&ret->to.in6.sin6_addr, ip.bytes, ip.len);
	else
		memcpy(&ret->to.in.sin_addr, ip.bytes, ip.len);
	ret->fd = open_socket(dev, ret->inet6);
	ret->packet = qb_alloc(1, ret->len);
	return ret->fd >= 0 && getrandom(&ret->id, sizeof(ret->id), 0) == sizeof(ret->id);
}

static void send_one(const struct question *q, uint16_t number)
{
	struct echo e = {.type = q->inet6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO,
			 .id = q->id,
			 .number = htons(number)};

	memcpy(q->packet, &e, sizeof(e));
	/* Of ICMPv6 the kernel makes it. */
	e.checksum = checksum(q->packet, q->len);
	memcpy(q->packet, &e, sizeof(e));
	(void)sendto(q->fd, q->packet, q->len, 0, &q->to.any,
		     q->inet6 ? sizeof(q->to.in6) : sizeof(q->to.in));
}

static bool is_same(const union address *a, const union address *b, bool inet6)
{
	return inet6 ? !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr))
		     : a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

/* Reads what has come in. Every raw socket gets all answers, those to others too. */
static bool is_answered(const struct question *q)
{
	char data[256];
	ssize_t n;

	for (;;) {
		union address from = {0};
		socklen_t from_len = sizeof(from);
		size_t head = 0;
		struct echo e;

		n = recvfrom(q->fd, data, sizeof(data), 0, &from.any, &from_len);
		if (n <= 0)
			return false;
		if (!q->inet6)
			head = (size_t)(data[0] & 15) * 4;
		if ((size_t)n < head + sizeof(e) || !is_same(&from, &q->to, q->inet6))
			continue;
		memcpy(&e, data + head, sizeof(e));
		if (e.type == (q->inet6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) && e.id == q->id)
			return true;
	}
}

bool qb_echo_answers(const char *dev, const char *address, size_t bytes, unsigned timeout_ms)
{
	struct question q = {.fd = -1};
	bool answered = false;

	if (begin(dev, address, bytes, &q))
		for (uint16_t i = 0; !answered && i < TRIES; i++) {
			uint64_t end = qb_now_ms() + timeout_ms / TRIES, now;

			send_one(&q, i);
			while (!answered && (now = qb_now_ms()) < end) {
				(void)poll(&(struct pollfd){q.fd, POLLIN, 0}, 1, (int)(end - now));
				answered = is_answered(&q);
			}
		}
	free(q.packet);
	qb_closep(&q.fd);
	return answered;
}
