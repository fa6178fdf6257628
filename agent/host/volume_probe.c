/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the images of pools promise, by their own headers. libvirt would open each with all that it
 * is based on, and where one of these hangs, a worker of its daemon hangs with it, for good.
 */
#include "agent/host/facts.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/host/asking.h"

enum {
	FILES_MAX = 1000,  /* a pool */
	BLOCK = 512,       /* as st_blocks counts: stat(3) */
	QCOW_SIZE_AT = 24, /* QEMU, docs/interop/qcow2.rst */
};

struct inquiry {
	const struct qb_root *root;
	struct qb_vir_pool *pools;
};

struct sums {
	uint64_t n, capacity_bytes, allocation_bytes;
};

/* A qcow2 says how large it may get; others are as large as they are. */
static void add_file(int dir, const char *name, struct sums *s)
{
	_cleanup_close_ int fd =
		openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	unsigned char head[QCOW_SIZE_AT + sizeof(uint64_t)];
	struct stat st;
	uint64_t size;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	size = (uint64_t)st.st_size;
	if (pread(fd, head, sizeof(head), 0) == sizeof(head) && !memcmp(head, "QFI\xfb", 4)) {
		memcpy(&size, head + QCOW_SIZE_AT, sizeof(size));
		size = be64toh(size);
	}
	s->n++;
	s->capacity_bytes += size;
	s->allocation_bytes += (uint64_t)st.st_blocks * BLOCK;
}

static bool has_images(const struct qb_vir_pool *p)
{
	return p->active && p->target && (qb_streq(p->type, "dir") || qb_streq(p->type, "fs"));
}

/* An errno (EFBIG: too many files), and the sums. */
static void tell(int fd, size_t i, void *data)
{
	const struct inquiry *q = data;
	struct sums s = {0};
	_cleanup_strs_ struct qb_strs names = {0};
	_cleanup_close_ int dir = -1;
	int r = 0;

	if (has_images(&q->pools[i])) {
		dir = qb_root_openat(q->root, q->pools[i].target, O_RDONLY | O_DIRECTORY, 0);
		r = dir < 0 ? dir : qb_root_list(q->root, q->pools[i].target, &names);
	}
	if (r == 0 && names.n > FILES_MAX)
		r = -EFBIG;
	for (size_t k = 0; r == 0 && k < names.n; k++)
		add_file(dir, names.v[k], &s);
	dprintf(fd, "%d %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", -r, s.n, s.capacity_bytes,
		s.allocation_bytes);
}

static bool take(const char *line, size_t i, void *data)
{
	struct qb_vir_pool *p = &((struct inquiry *)data)->pools[i];
	int error;

	if (!strchr(line, '\n') ||
	    sscanf(line, "%d %" SCNu64 " %" SCNu64 " %" SCNu64, &error, &p->volumes,
		   &p->volumes_capacity_bytes, &p->volumes_allocation_bytes) != 4)
		return false;
	if (error == EFBIG)
		qb_tri_unknown(&p->volumes_known, "%s holds more than %d files", p->target,
			       FILES_MAX);
	else if (error)
		qb_tri_unknown(&p->volumes_known, "%s: %s", p->target, strerror(error));
	else
		qb_tri_set(&p->volumes_known, has_images(p));
	return true;
}

static void give_up(size_t i, const char *why, void *data)
{
	struct qb_vir_pool *p = &((struct inquiry *)data)->pools[i];

	qb_tri_unknown(&p->volumes_known, "%s: %s", p->target ? p->target : p->name, why);
}

void qb_volumes_probe(const struct qb_root *root, unsigned timeout_ms, struct qb_libvirt_facts *v)
{
	struct inquiry q = {root, v->pools};
	const struct qb_asking asking = {tell, take, give_up, &q, root->fd};
	bool any = false;

	for (size_t i = 0; i < v->n_pools; i++) {
		any |= has_images(&v->pools[i]);
		qb_tri_set(&v->pools[i].volumes_known, false);
	}
	if (any)
		qb_ask_each(&asking, 0, v->n_pools, timeout_ms);
}
