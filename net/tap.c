/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <linux/if_tun.h>

#include "net/nl_write.h"

#define CARRIER_MS 500
/* Of linux/if.h, which does not go together with net/if.h. */
#define FLAG_LOWER_UP (1U << 16)

static int open_tap(void)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
			    .ifr_name = QB_TAP_NAME};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static bool find_link(struct nl_sock *sock, unsigned ifindex, unsigned *ret_flags, int64_t *ret_mtu)
{
	static const struct nla_policy policy[IFLA_MTU + 1] = {[IFLA_MTU] = {.type = NLA_U32}};
	_cleanup_buf_ struct qb_buf dump = {0};
	struct nlattr *tb[IFLA_MTU + 1];

	if (qb_nl_dump(sock, RTM_GETLINK, AF_UNSPEC, &dump, NULL) < 0)
		return false;
	for (struct nlmsghdr *h = qb_nl_next(&dump, NULL); h; h = qb_nl_next(&dump, h)) {
		const struct ifinfomsg *ifi = nlmsg_data(h);

		if (h->nlmsg_type != RTM_NEWLINK || ifi->ifi_index != (int)ifindex ||
		    nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MTU, policy) < 0 || !tb[IFLA_MTU])
			continue;
		*ret_flags = ifi->ifi_flags;
		*ret_mtu = nla_get_u32(tb[IFLA_MTU]);
		return true;
	}
	return false;
}

/*
 * A bridge that is switched on after its first port sends at once. One that was on without a
 * carrier does so when the kernel has noticed, and is "running" then.
 */
static bool wait_carrier(struct nl_sock *sock, unsigned ifindex, unsigned flags_before)
{
	const unsigned want = flags_before & IFF_UP ? IFF_RUNNING : FLAG_LOWER_UP;
	const struct timespec pause = {.tv_nsec = 1000000};
	unsigned flags;
	int64_t mtu;

	for (int i = 0; i < CARRIER_MS && find_link(sock, ifindex, &flags, &mtu); i++) {
		if (flags & want)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static int make_port(struct nl_sock *sock, const char *bridge)
{
	struct qb_op op = {.kind = QB_OP_ENSLAVE, .dev = QB_TAP_NAME};
	struct qb_ops ops = {.v = &op, .n = 1};
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};
	unsigned ifindex = if_nametoindex(bridge), flags;
	int64_t mtu;
	int r;

	if (!find_link(sock, ifindex, &flags, &mtu))
		return -ENODEV;
	/* A bridge takes the lowest MAC and the lowest MTU of its ports: they must not be these. */
	r = qb_nl_link_identity(sock, QB_TAP_NAME, "fe:ff:ff:ff:ff:fe", mtu, NULL);
	if (r == 0)
		r = qb_nl_addr_gen_mode(sock, QB_TAP_NAME, IN6_ADDR_GEN_MODE_NONE, NULL);
	if (r == 0)
		r = qb_nl_write_ops(sock, &ops, bridge, &batch, NULL);
	if (r == 0)
		r = qb_nl_batch_send(sock, &batch, NULL);
	if (r == 0)
		r = qb_nl_port_learning(sock, QB_TAP_NAME, false, NULL);
	if (r == 0)
		r = qb_nl_link_up(sock, QB_TAP_NAME, true, NULL);
	if (r == 0)
		r = qb_nl_link_up(sock, bridge, true, NULL);
	return r == 0 && !wait_carrier(sock, ifindex, flags) ? -ETIMEDOUT : r;
}

int qb_tap_open(struct nl_sock *sock, const char *bridge)
{
	int fd = open_tap(), r;

	if (fd < 0)
		return fd;
	r = make_port(sock, bridge);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
