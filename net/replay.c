/* SPDX-License-Identifier: Apache-2.0 */
#include "net/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#include "net/tap.h"

#define SOCKET_BYTES (16 << 20)
#define FRAMES_MAX 16384
#define FRAME_BYTES (sizeof(struct virtio_net_hdr) + 65536)
#define SETTLE_NS 2000000 /* a frame on its way past the first socket has come to the last */

enum what {
	RECEIVED, /* by the link: all of it, before anybody takes it */
	PASSED,   /* up the link's own stack: of one protocol, so not what the bridge took */
	BRIDGED,  /* into the bridge */
};

struct frame {
	uint64_t hash;
	char *data; /* with its struct virtio_net_hdr; of RECEIVED alone */
	size_t len;
};

struct qb_frames {
	enum what what;
	int fd;
	struct frame *v;
	size_t n;
};

static int open_socket(const char *link, uint16_t protocol)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = (int)if_nametoindex(link),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = SOCKET_BYTES;
	int one = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* With it a frame whose checksum is still to be made, or that is to be cut, stays so. */
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int add_set(struct qb_replay *replay, const char *link, enum what what, uint16_t protocol)
{
	int fd = open_socket(link, protocol);
	struct qb_frames *set;

	if (fd < 0)
		return fd;
	set = QB_APPEND(replay->sets, replay->n_sets);
	set->what = what;
	set->fd = fd;
	return 0;
}

void qb_replay_open(struct nl_sock *sock, const char *bridge, const struct qb_strs *links,
		    struct qb_replay *ret)
{
	struct qb_replay replay = {.tap = qb_tap_open(sock, bridge)};
	int r = replay.tap < 0 ? replay.tap : add_set(&replay, bridge, BRIDGED, ETH_P_ALL);

	for (size_t i = 0; r == 0 && i < links->n; i++) {
		r = add_set(&replay, links->v[i], PASSED, ETH_P_IP);
		if (r == 0)
			r = add_set(&replay, links->v[i], PASSED, ETH_P_IPV6);
		if (r == 0)
			r = add_set(&replay, links->v[i], PASSED, ETH_P_ARP);
		/* Last, so that nothing is in it that the others had no chance to see. */
		if (r == 0)
			r = add_set(&replay, links->v[i], RECEIVED, ETH_P_ALL);
	}
	/* The tap stays for its carrier in any case. */
	if (r < 0) {
		int tap = QB_TAKE_FD(replay.tap);

		qb_replay_close(&replay);
		replay.tap = tap;
	}
	*ret = replay;
}

/* FNV-1a */
static uint64_t hash(const char *data, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)data[i]) * 0x100000001b3;
	return h ^ len;
}

static bool is_carried(const char *frame, size_t len)
{
	const struct ethhdr *eth = (const struct ethhdr *)(const void *)frame;
	uint16_t protocol;

	if (len < sizeof(*eth))
		return false;
	protocol = ntohs(eth->h_proto);
	return protocol == ETH_P_IP || protocol == ETH_P_IPV6 || protocol == ETH_P_ARP;
}

/* False when frames were dropped before they were read: nothing can be concluded then. */
static bool read_set(struct qb_frames *set, char *buf)
{
	const size_t head = sizeof(struct virtio_net_hdr);
	struct tpacket_stats stats = {0};
	struct sockaddr_ll from;
	socklen_t len = sizeof(stats);

	while (set->n < FRAMES_MAX) {
		socklen_t from_len = sizeof(from);
		ssize_t n =
			recvfrom(set->fd, buf, FRAME_BYTES, 0, (struct sockaddr *)&from, &from_len);
		struct frame *frame;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		if ((size_t)n <= head || from.sll_pkttype != PACKET_HOST ||
		    !is_carried(buf + head, (size_t)n - head))
			continue;
		frame = QB_APPEND(set->v, set->n);
		frame->hash = hash(buf + head, (size_t)n - head);
		if (set->what != RECEIVED)
			continue;
		frame->len = (size_t)n;
		frame->data = memcpy(qb_alloc(1, frame->len), buf, frame->len);
	}
	return set->n < FRAMES_MAX &&
	       getsockopt(set->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0 &&
	       stats.tp_drops == 0;
}

static int by_hash(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The hashes of all that somebody got, sorted. */
static uint64_t *collect(const struct qb_replay *replay, size_t *ret_n)
{
	uint64_t *all = NULL;
	size_t n = 0;

	for (size_t i = 0; i < replay->n_sets; i++) {
		const struct qb_frames *set = &replay->sets[i];

		for (size_t j = 0; set->what != RECEIVED && j < set->n; j++)
			*QB_APPEND(all, n) = set->v[j].hash;
	}
	if (n)
		qsort(all, n, sizeof(*all), by_hash);
	*ret_n = n;
	return all;
}

/* Takes one of that hash out of the list, where used counts how many are gone at each place. */
static bool take(const uint64_t *all, size_t n, unsigned char *used, uint64_t wanted)
{
	const uint64_t *at = n ? bsearch(&wanted, all, n, sizeof(*all), by_hash) : NULL;
	size_t i;

	if (!at)
		return false;
	i = (size_t)(at - all);
	while (i > 0 && all[i - 1] == wanted)
		i--;
	while (i < n && all[i] == wanted && used[i])
		i++;
	if (i == n || all[i] != wanted)
		return false;
	used[i] = 1;
	return true;
}

/* Reads the sets of one kind, or all others. */
static bool read_sets(struct qb_replay *replay, bool received, char *buf)
{
	bool complete = true;

	for (size_t i = 0; i < replay->n_sets; i++)
		if ((replay->sets[i].what == RECEIVED) == received)
			complete &= read_set(&replay->sets[i], buf);
	return complete;
}

size_t qb_replay_run(struct qb_replay *replay)
{
	const struct timespec pause = {.tv_nsec = SETTLE_NS};
	_cleanup_free_ char *buf = qb_alloc(1, FRAME_BYTES);
	_cleanup_free_ uint64_t *got = NULL;
	_cleanup_free_ unsigned char *used = NULL;
	size_t n_got, n = 0;
	bool complete;

	if (!replay->n_sets)
		return 0;
	complete = read_sets(replay, true, buf);
	nanosleep(&pause, NULL);
	if (!read_sets(replay, false, buf) || !complete)
		return 0;
	got = collect(replay, &n_got);
	used = qb_alloc(n_got + 1, 1);
	for (size_t i = 0; i < replay->n_sets; i++) {
		const struct qb_frames *set = &replay->sets[i];

		for (size_t j = 0; set->what == RECEIVED && j < set->n; j++)
			if (!take(got, n_got, used, set->v[j].hash) &&
			    write(replay->tap, set->v[j].data, set->v[j].len) > 0)
				n++;
	}
	return n;
}

void qb_replay_close(struct qb_replay *replay)
{
	for (size_t i = 0; i < replay->n_sets; i++) {
		struct qb_frames *set = &replay->sets[i];

		for (size_t j = 0; j < set->n; j++)
			free(set->v[j].data);
		free(set->v);
		close(set->fd);
	}
	free(replay->sets);
	qb_closep(&replay->tap);
	*replay = (struct qb_replay)QB_REPLAY_INIT;
}
