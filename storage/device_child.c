/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that hangs takes whoever reads it along, and not even SIGKILL gets that one back. So each
 * disk is read by a process of its own, which is left behind when it does not answer.
 */
#include "storage/probe_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "storage/disk_fields.h"

/* What a child says: what it read, of the struct's members that reading fills. */
struct answer {
	struct qb_tri readable, exclusive;
	struct qb_signature *signatures;
	size_t n_signatures;
	struct qb_partition *partitions;
	size_t n_partitions;
	struct qb_mark mark;
	bool ambiguous, nonzero;
	uint64_t nonzero_at;
	char *error, *table_fault;
};

static const struct qb_field answer_fields[] = {
	QB_F(answer, readable, "readable", TRI),
	QB_F(answer, exclusive, "exclusive", TRI),
	QB_F_LIST(answer, signatures, "signatures", &qb_signature_type),
	QB_F_LIST(answer, partitions, "partitions", &qb_partition_type),
	QB_F(answer, mark, "mark", OBJECT, .of = &qb_mark_type),
	QB_F(answer, ambiguous, "ambiguous", BOOL),
	QB_F(answer, nonzero, "nonzero", BOOL),
	QB_F(answer, nonzero_at, "nonzero_at", U64),
	QB_F(answer, error, "error", STR),
	QB_F(answer, table_fault, "table_fault", STR),
};

static const struct qb_type answer_type = {
	.name = "answer",
	.size = sizeof(struct answer),
	.fields = answer_fields,
	.n_fields = QB_ARRAY_SIZE(answer_fields),
};

/* Nothing changes hands twice: what either side holds, it holds alone. */
static void exchange(struct answer *a, struct qb_disk *disk, struct qb_disk_raw *raw)
{
#define SWAP(x, y)                                                                                 \
	do {                                                                                       \
		__typeof__(x) swap_ = (x);                                                         \
		(x) = (y);                                                                         \
		(y) = swap_;                                                                       \
	} while (0)
	SWAP(a->readable, disk->readable);
	SWAP(a->exclusive, raw->exclusive);
	SWAP(a->signatures, disk->signatures);
	SWAP(a->n_signatures, disk->n_signatures);
	SWAP(a->partitions, disk->partitions);
	SWAP(a->n_partitions, disk->n_partitions);
	SWAP(a->mark, disk->mark);
	SWAP(a->ambiguous, raw->contents.ambiguous);
	SWAP(a->nonzero, raw->contents.nonzero);
	SWAP(a->nonzero_at, raw->contents.nonzero_at);
	SWAP(a->error, raw->contents.error);
	SWAP(a->table_fault, raw->contents.table_fault);
#undef SWAP
}

_Noreturn static void child(const char *machine_id, struct qb_disk *disk, struct qb_disk_raw *raw,
			    int fd)
{
	struct answer a = {0};
	json_t *document;

	qb_device_probe(machine_id, disk, raw);
	exchange(&a, disk, raw);
	document = qb_schema_to_json(&answer_type, &a);
	_exit(json_dumpfd(document, fd, JSON_COMPACT) < 0);
}

void qb_device_child_begin(const char *machine_id, struct qb_disk *disk, struct qb_disk_raw *raw,
			   struct qb_device_child *ret)
{
	int fds[2];

	*ret = (struct qb_device_child){.fd = -1};
	if (pipe2(fds, O_CLOEXEC) < 0) {
		qb_tri_unknown(&disk->readable, "pipe: %s", strerror(errno));
		return;
	}
	ret->pid = fork();
	if (ret->pid == 0)
		child(machine_id, disk, raw, fds[1]);
	close(fds[1]);
	if (ret->pid > 0) {
		ret->fd = fds[0];
		return;
	}
	qb_tri_unknown(&disk->readable, "fork: %s", strerror(errno));
	close(fds[0]);
}

/* What came is taken as a whole, or not at all. */
static void take(struct qb_device_child *c, struct qb_disk *disk, struct qb_disk_raw *raw)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	struct answer a = {0};

	if (qb_schema_load(&answer_type, c->text.s ? c->text.s : "", c->text.len, 0, &a, NULL,
			   &diags) == 0)
		exchange(&a, disk, raw);
	else
		qb_tri_unknown(&disk->readable, "%s: the process that read it ended early",
			       disk->path);
	qb_schema_done(&answer_type, &a);
}

/* False at the end of what it says. */
static bool listen_to(struct qb_device_child *c)
{
	char chunk[4096];
	ssize_t n = read(c->fd, chunk, sizeof(chunk));

	if (n > 0)
		qb_buf_add(&c->text, chunk, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void end(struct qb_device_child *c)
{
	qb_closep(&c->fd);
	c->fd = -1;
	qb_buf_done(&c->text);
	/* Not waited for: one that hangs does not even end when it is killed. */
	waitpid(c->pid, NULL, WNOHANG);
}

static void give_up(struct qb_device_child *c, struct qb_disk *disk, unsigned timeout_ms)
{
	qb_tri_unknown(&disk->readable, "%s: no answer within %u ms", disk->path, timeout_ms);
	kill(c->pid, SIGKILL);
	end(c);
}

void qb_device_children_end(struct qb_device_child *children, uint64_t deadline_ms,
			    unsigned timeout_ms, struct qb_disks *disks, struct qb_disk_raw *raw)
{
	struct pollfd *p = qb_alloc(disks->n_disks, sizeof(*p));
	size_t open;

	do {
		uint64_t now = qb_now_ms();
		int r;

		open = 0;
		for (size_t i = 0; i < disks->n_disks; i++) {
			p[i] = (struct pollfd){children[i].fd, POLLIN, 0};
			open += children[i].fd >= 0;
		}
		r = open ? poll(p, disks->n_disks, deadline_ms > now ? (int)(deadline_ms - now) : 0)
			 : 0;
		for (size_t i = 0; i < disks->n_disks; i++) {
			if (children[i].fd < 0)
				continue;
			if (r == 0) {
				give_up(&children[i], &disks->disks[i], timeout_ms);
			} else if (r > 0 && p[i].revents && !listen_to(&children[i])) {
				take(&children[i], &disks->disks[i], &raw[i]);
				end(&children[i]);
			}
		}
	} while (open);
	free(p);
}
