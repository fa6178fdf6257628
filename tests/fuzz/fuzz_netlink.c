/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says over netlink. The input is what recvmsg(2) would bring: the dumps of a
 * snapshot one after the other, that of VLANs only where a bridge filters them, each up to its
 * NLMSG_DONE, then those of routes and neighbours that a move asks for, and then the answers to a
 * batch.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>

#include "net/link_fields.h"
#include "net/neigh.h"
#include "net/nl_probe.h"
#include "net/nl_vlans.h"
#include "net/settle.h"

#define DUMPS_MAX 64

static struct {
	const uint8_t *data;
	size_t left;
	unsigned dumps; /* that may still be asked for */
	void **copies;
	size_t n_copies;
	void *poisoned;
	size_t n_poisoned;
} in;

/*
 * libnl is not instrumented. So a payload is handed out as a copy of just its size, which makes
 * reading beyond it an error, and what libnl reads itself is looked at before.
 */
static void *copy_of(const void *data, size_t len)
{
	void *copy = malloc(len);

	if (len)
		memcpy(copy, data, len);
	*QB_APPEND(in.copies, in.n_copies) = copy;
	return copy;
}

void *__real_nla_data(const struct nlattr *attr);
void *__wrap_nla_data(const struct nlattr *attr)
{
	return copy_of(__real_nla_data(attr), (size_t)nla_len(attr));
}

void *__real_nlmsg_data(const struct nlmsghdr *hdr);
void *__wrap_nlmsg_data(const struct nlmsghdr *hdr)
{
	return copy_of(__real_nlmsg_data(hdr), (size_t)nlmsg_datalen(hdr));
}

uint8_t __real_nla_get_u8(const struct nlattr *attr);
uint8_t __wrap_nla_get_u8(const struct nlattr *attr)
{
	MUST(nla_len(attr) >= 1);
	return __real_nla_get_u8(attr);
}

uint16_t __real_nla_get_u16(const struct nlattr *attr);
uint16_t __wrap_nla_get_u16(const struct nlattr *attr)
{
	MUST(nla_len(attr) >= 2);
	return __real_nla_get_u16(attr);
}

uint32_t __real_nla_get_u32(const struct nlattr *attr);
uint32_t __wrap_nla_get_u32(const struct nlattr *attr)
{
	MUST(nla_len(attr) >= 4);
	return __real_nla_get_u32(attr);
}

char *__real_nla_get_string(const struct nlattr *attr);
char *__wrap_nla_get_string(const struct nlattr *attr)
{
	MUST(memchr(__real_nla_data(attr), '\0', (size_t)nla_len(attr)));
	return __real_nla_get_string(attr);
}

/* Up to the end of the next dump, or of all. */
static size_t dump_len(void)
{
	struct nlmsghdr hdr = {0};
	size_t at = 0;

	while (at + sizeof(hdr) <= in.left && hdr.nlmsg_type != NLMSG_DONE) {
		memcpy(&hdr, in.data + at, sizeof(hdr));
		if (hdr.nlmsg_len < sizeof(hdr) || hdr.nlmsg_len > in.left - at)
			return in.left;
		at += NLMSG_ALIGN(hdr.nlmsg_len);
	}
	return hdr.nlmsg_type == NLMSG_DONE && at < in.left ? at : in.left;
}

static int feed(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **buf,
		struct ucred **creds)
{
	size_t n = dump_len();

	(void)sock;
	*from = (struct sockaddr_nl){.nl_family = AF_NETLINK};
	*creds = NULL;
	if (!n)
		return 0;
	*buf = malloc(n);
	memcpy(*buf, in.data, n);
	in.data += n;
	in.left -= n;
	return (int)n;
}

int __real_nl_recvmsgs(struct nl_sock *sock, struct nl_cb *cb);
int __wrap_nl_recvmsgs(struct nl_sock *sock, struct nl_cb *cb)
{
	if (!in.dumps || !in.dumps--)
		return -NLE_FAILURE;
	nl_cb_overwrite_recv(cb, feed);
	return __real_nl_recvmsgs(sock, cb);
}

int __wrap_nl_send_auto(struct nl_sock *sock, struct nl_msg *msg)
{
	(void)sock, (void)msg;
	return 0;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	(void)fd, (void)flags;
	return (ssize_t)msg->msg_iov->iov_len;
}

/* What is behind the answers in the caller's buffer is not to be read. */
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
	size_t n = in.left < size ? in.left : size;

	(void)fd, (void)flags;
	ASAN_UNPOISON_MEMORY_REGION(in.poisoned, in.n_poisoned);
	in.n_poisoned = 0;
	if (!n) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(buf, in.data, n);
	in.data += n;
	in.left -= n;
	in.poisoned = (char *)buf + n;
	in.n_poisoned = size - n;
	ASAN_POISON_MEMORY_REGION(in.poisoned, in.n_poisoned);
	return (ssize_t)n;
}

unsigned __wrap_if_nametoindex(const char *name)
{
	return name[0] == 'b' ? 3 : 2;
}

/* What was read prints as JSON, and what was printed loads as the same. */
static void round_trip(const struct qb_net *net)
{
	json_auto_t *json = qb_schema_to_json(&qb_net_type, net), *again = NULL;
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text = json_dumps(json, 0);
	_cleanup_net_ struct qb_net loaded = {0};

	MUST(text);
	MUST(qb_schema_load(&qb_net_type, text, strlen(text), 0, &loaded, NULL, &diags) == 0);
	again = qb_schema_to_json(&qb_net_type, &loaded);
	MUST(json_equal(json, again));
}

static void snapshot(struct nl_sock *sock)
{
	static struct qb_port_match matches[] = {
		{.match = "default-route"}, {.mac = "00:00:5e:00:53:01"}, {.name = "up0"}};
	struct qb_bridge_config bridges[] = {
		{.name = "br0", .ports = &matches[0], .n_ports = 1},
		{.name = "br1", .ports = &matches[1], .n_ports = 1, .ipv4.mode = QB_IP_DHCP},
		{.name = "br2", .ports = &matches[2], .n_ports = 1, .ipv6.mode = QB_IP_NONE},
	};
	struct qb_config config = {.bridges = bridges, .n_bridges = QB_ARRAY_SIZE(bridges)};
	_cleanup_facts_ struct qb_facts facts = {0};
	struct qb_error err = QB_ERROR_INIT;

	in.dumps = DUMPS_MAX;
	if (qb_nl_links(sock, &facts.net, &err) < 0 || qb_nl_vlans(sock, &facts.net, &err) < 0 ||
	    qb_nl_routes(sock, &facts.net, &err) < 0) {
		MUST(err.msg[0]);
		return;
	}
	qb_tri_set(&facts.net.known, true);
	facts.net.networkmanager_installed = true;
	round_trip(&facts.net);
	fuzz_plan(&facts, &config, NULL);
}

static void move(struct nl_sock *sock)
{
	struct qb_address address = {.address = "2001:db8::10/64"};
	struct qb_op op = {.kind = QB_OP_ADDRESS_ADD, .dev = "br0", .address = &address};
	const struct qb_ops ops = {.v = &op, .n = 1};
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0}, asked = {0};
	struct qb_error err = QB_ERROR_INIT;
	bool answers;

	in.dumps = 1;
	(void)!qb_nl_settle(sock, &ops, &err);
	in.dumps = 1;
	(void)!qb_neigh_answers(sock, "br0", "192.0.2.1", false, 0, &answers, &err);
	in.dumps = 4;
	(void)!qb_neigh_copy(sock, "up0", "br0", &batch, &err);
	for (int i = 0; i < 3; i++)
		qb_nl_batch_add(&asked, nlmsg_alloc_simple(RTM_NEWLINK, 0), qb_strdup("a link"))
			->tolerate[0] = EEXIST;
	(void)!qb_nl_batch_send(sock, &asked, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();

	in.data = data;
	in.left = size;
	/* Nothing was sent that an answer could have the number of. */
	nl_socket_disable_auto_ack(sock);
	snapshot(sock);
	move(sock);
	for (size_t i = 0; i < in.n_copies; i++)
		free(in.copies[i]);
	free(in.copies);
	in.copies = NULL;
	in.n_copies = 0;
	return 0;
}
