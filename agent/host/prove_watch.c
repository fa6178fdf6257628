/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/prove_watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/base/clock.h"

enum {
	SOURCE = 6, /* where a frame has the MAC address of who sent it */
	FRAME_MAX = 64
};

struct watched {
	const struct qb_proof_net *net;
	const char *link;
	bool is_port;
};

struct qb_proof_watch {
	struct watched *links;
	struct pollfd *fds; /* of each */
	size_t n;
};

/* A busy bridge is not to fill the buffer: only what QEMU's guests send. */
static int only_guests(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SOURCE),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffffff00),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x52540000, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, FRAME_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {QB_ARRAY_SIZE(code), code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* packet(7). Promiscuous, the bridge hands up what is for others, too. */
static int open_link(const char *link, struct qb_error *err)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(link)};
	struct packet_mreq all = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
	_cleanup_close_ int fd = -1;

	if (!at.sll_ifindex)
		return -ENODEV;
	/* Without a protocol nothing comes before it is bound. */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || only_guests(fd) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return qb_error_errno(err, errno, "%s: cannot watch its frames", link);
	return QB_TAKE_FD(fd);
}

static int add_link(struct qb_proof_watch *watch, const struct qb_proof_net *net, const char *link,
		    bool is_port, struct qb_error *err)
{
	size_t n_fds = watch->n;
	int fd = open_link(link, err);

	if (fd < 0)
		return fd == -ENODEV ? 0 : fd;
	*QB_APPEND(watch->fds, n_fds) = (struct pollfd){.fd = fd, .events = POLLIN};
	*QB_APPEND(watch->links, watch->n) = (struct watched){net, link, is_port};
	return 0;
}

int qb_proof_watch_begin(const struct qb_proof *proof, struct qb_proof_watch **ret,
			 struct qb_error *err)
{
	_cleanup_watch_ struct qb_proof_watch *watch = qb_alloc(1, sizeof(*watch));

	for (size_t i = 0; i < proof->n_nets; i++) {
		const struct qb_proof_net *net = &proof->nets[i];
		int r = net->bridge ? add_link(watch, net, net->bridge, false, err) : 0;

		for (size_t k = 0; r == 0 && k < net->ports.n; k++)
			r = add_link(watch, net, net->ports.v[k], true, err);
		if (r < 0)
			return r;
	}
	*ret = QB_TAKE_PTR(watch);
	return 0;
}

static void note(const struct watched *link, const unsigned char *source, bool leaves,
		 struct qb_proof *proof)
{
	for (size_t i = 0; i < proof->n_trials; i++) {
		struct qb_proof_trial *t = &proof->trials[i];

		if (t->net != link->net || memcmp(t->mac, source, sizeof(t->mac)) != 0)
			continue;
		if (!link->is_port)
			t->on_bridge = true;
		else if (leaves && !t->left_by)
			t->left_by = qb_strdup(link->link);
	}
}

static void take(const struct watched *link, int fd, struct qb_proof *proof)
{
	unsigned char frame[FRAME_MAX];
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &len)) >= 0) {
		if (n >= SOURCE + 6)
			note(link, frame + SOURCE, from.sll_pkttype == PACKET_OUTGOING, proof);
		len = sizeof(from);
	}
}

void qb_proof_watch(struct qb_proof_watch *watch, struct qb_proof *proof, unsigned wait_ms)
{
	uint64_t until_ms = qb_now_ms() + wait_ms, now_ms;

	do {
		now_ms = qb_now_ms();
		if (poll(watch->fds, watch->n, until_ms > now_ms ? (int)(until_ms - now_ms) : 0) <
			    0 &&
		    errno != EINTR)
			return;
		for (size_t i = 0; i < watch->n; i++)
			if (watch->fds[i].revents)
				take(&watch->links[i], watch->fds[i].fd, proof);
	} while (qb_now_ms() < until_ms);
}

void qb_proof_watch_end(struct qb_proof_watch *watch)
{
	for (size_t i = 0; watch && i < watch->n; i++)
		close(watch->fds[i].fd);
	if (watch) {
		free(watch->links);
		free(watch->fds);
	}
	free(watch);
}
