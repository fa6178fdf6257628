/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_wire.h"

#include <endian.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

/* src/rpc/virnetprotocol.x and src/remote/remote_protocol.x of libvirt */
enum {
	PROGRAM = 0x20008086,
	VERSION = 1,
	TYPE_CALL = 0,
	TYPE_REPLY = 1,
	STATUS_OK = 0,
	STATUS_ERROR = 1,
	MESSAGE_MAX = 16777216 + 4,
	WORD = 4,
	CONNECT_CLOSE = 2,
	CLOSE_US = 200000, /* what was asked for has been answered by then */
};

/* The length counts itself. */
struct header {
	uint32_t length, program, version, procedure, type, serial, status;
};

int qb_wire_open(const char *path, struct qb_wire *ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*ret = (struct qb_wire)QB_WIRE_INIT;
	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
	    (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	ret->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ret->fd < 0 || connect(ret->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		qb_wire_close(ret);
		return r;
	}
	ret->r = 0;
	return 0;
}

void qb_wire_close(struct qb_wire *w)
{
	const struct timeval patience = {.tv_usec = CLOSE_US};

	if (w->r == -EREMOTEIO || w->r == -EBADMSG)
		w->r = 0;
	if (w->r == 0 &&
	    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0)
		(void)!qb_wire_call(w, CONNECT_CLOSE);
	if (w->fd >= 0)
		close(w->fd);
	qb_buf_done(&w->call);
	qb_buf_done(&w->answer);
	*w = (struct qb_wire)QB_WIRE_INIT;
}

static size_t padding(size_t len)
{
	return -len % WORD;
}

static void begin(struct qb_wire *w)
{
	static const struct header room = {0};

	if (!w->call.len)
		qb_buf_add(&w->call, (const char *)&room, sizeof(room));
}

void qb_wire_put_raw(struct qb_wire *w, const char *data, size_t len)
{
	begin(w);
	qb_buf_add(&w->call, data, len);
}

void qb_wire_put_u32(struct qb_wire *w, uint32_t value)
{
	uint32_t be = htobe32(value);

	qb_wire_put_raw(w, (const char *)&be, sizeof(be));
}

void qb_wire_put_text(struct qb_wire *w, const char *s)
{
	size_t len = strlen(s);

	qb_wire_put_u32(w, (uint32_t)len);
	qb_wire_put_raw(w, s, len);
	qb_wire_put_raw(w, "\0\0\0", padding(len));
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive(int fd, size_t len, struct qb_buf *ret)
{
	char part[8192];

	while (len) {
		ssize_t n = read(fd, part, len < sizeof(part) ? len : sizeof(part));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EPROTO;
		qb_buf_add(ret, part, (size_t)n);
		len -= (size_t)n;
	}
	return 0;
}

static int receive_answer(struct qb_wire *w, uint32_t procedure)
{
	struct header h;
	int r;

	w->answer.len = 0;
	r = receive(w->fd, sizeof(h), &w->answer);
	if (r < 0)
		return r;
	memcpy(&h, w->answer.s, sizeof(h));
	h.length = be32toh(h.length);
	if (h.length < sizeof(h) || h.length > MESSAGE_MAX || be32toh(h.program) != PROGRAM ||
	    be32toh(h.version) != VERSION || be32toh(h.procedure) != procedure ||
	    be32toh(h.type) != TYPE_REPLY || be32toh(h.serial) != w->serial ||
	    be32toh(h.status) > STATUS_ERROR)
		return -EPROTO;
	w->at = sizeof(h);
	r = receive(w->fd, h.length - sizeof(h), &w->answer);
	return r == 0 && be32toh(h.status) == STATUS_ERROR ? -EREMOTEIO : r;
}

int qb_wire_call(struct qb_wire *w, uint32_t procedure)
{
	struct header h = {
		.program = htobe32(PROGRAM),
		.version = htobe32(VERSION),
		.procedure = htobe32(procedure),
		.type = htobe32(TYPE_CALL),
		.serial = htobe32(++w->serial),
		.status = htobe32(STATUS_OK),
	};

	begin(w);
	h.length = htobe32((uint32_t)w->call.len);
	memcpy(w->call.s, &h, sizeof(h));
	if (w->r == 0)
		w->r = send_all(w->fd, w->call.s, w->call.len);
	w->call.len = 0;
	if (w->r == 0)
		w->r = receive_answer(w, procedure);
	return w->r;
}

/* The next len bytes, or NULL. */
static const char *take(struct qb_wire *w, size_t len)
{
	if (w->r == 0 && len > w->answer.len - w->at)
		w->r = -EPROTO;
	if (w->r < 0)
		return NULL;
	w->at += len;
	return w->answer.s + w->at - len;
}

uint32_t qb_wire_u32(struct qb_wire *w)
{
	const char *data = take(w, sizeof(uint32_t));
	uint32_t be = 0;

	if (data)
		memcpy(&be, data, sizeof(be));
	return be32toh(be);
}

uint64_t qb_wire_u64(struct qb_wire *w)
{
	uint64_t high = qb_wire_u32(w);

	return high << 32 | qb_wire_u32(w);
}

char *qb_wire_text(struct qb_wire *w)
{
	size_t len = qb_wire_u32(w);
	const char *data = take(w, len);

	return data && take(w, padding(len)) ? qb_strndup(data, len) : NULL;
}

void qb_wire_skip(struct qb_wire *w, size_t len)
{
	(void)take(w, len);
}

void qb_wire_skip_text(struct qb_wire *w)
{
	size_t len = qb_wire_u32(w);

	qb_wire_skip(w, len);
	qb_wire_skip(w, padding(len));
}
