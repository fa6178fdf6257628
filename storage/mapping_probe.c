/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that are made of others, and whether they answer. One process asks all of them, each by
 * a thread of its own: there may be hundreds, and one that hangs must not hide the others.
 */
#include "storage/probe_parts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>

#include "agent/base/thread.h"
#include "storage/disk_fields.h"

enum {
	BLOCK = 4096,
	SECTOR = 512,
	LABEL_SECTORS = 4, /* LVM looks for its label in these: LABEL_SCAN_SECTORS */
};

/*
 * "LVM-", the ids of group and volume, and a suffix where it is LVM's own: a part of a pool, of a
 * RAID or of a snapshot, or what stands in for a missing PV (build_dm_uuid() of LVM).
 */
static bool is_internal(const struct qb_block *block)
{
	const size_t whole = strlen("LVM-") + 2 * 32UL;

	return block->dm_uuid && qb_startswith(block->dm_uuid, "LVM-") &&
	       strlen(block->dm_uuid) > whole;
}

static bool is_mapping(const struct qb_block *block)
{
	if (block->disk)
		return false;
	if (qb_startswith(block->name, "dm-"))
		return !is_internal(block);
	return qb_startswith(block->name, "md") &&
	       (isdigit((unsigned char)block->name[2]) || block->name[2] == '_');
}

static uint64_t value_of(const struct qb_root *root, const char *name, const char *file, int *ret_r)
{
	_cleanup_free_ char *path = qb_asprintf("/sys/block/%s/%s", name, file);
	uint64_t n = 0;

	*ret_r = qb_root_read_u64(root, path, &n);
	return n;
}

static void add(const struct qb_root *root, const struct qb_blocks *blocks,
		const struct qb_block *block, struct qb_disks *disks)
{
	struct qb_mapping *m = QB_APPEND(disks->mappings, disks->n_mappings);
	uint64_t suspended = 0;
	int r = 0;

	m->name = qb_strdup(block->name);
	m->path = qb_asprintf("/dev/%s", block->name);
	m->devno = qb_strdup(block->devno);
	m->dm_name = block->dm_name ? qb_str_printable(block->dm_name) : NULL;
	qb_blocks_disks_under(blocks, block->name, &m->disks);
	if (qb_startswith(block->name, "dm-"))
		suspended = value_of(root, block->name, "dm/suspended", &r);
	if (r == 0)
		qb_tri_set(&m->suspended, suspended);
	else
		qb_tri_unknown(&m->suspended, "/sys/block/%s/dm/suspended: %s", block->name,
			       strerror(-r));
	if (!root->live)
		qb_tri_unknown(&m->readable, "the contents of a captured host's disks are not "
					     "there to read");
	else if (qb_is(&m->suspended))
		qb_tri_unknown(&m->readable, "it is suspended: a read would wait until it is "
					     "resumed");
}

void qb_mappings_list(const struct qb_root *root, const struct qb_blocks *blocks,
		      struct qb_disks *disks)
{
	for (size_t i = 0; i < blocks->n; i++) {
		const struct qb_block *block = &blocks->v[i];
		int r;

		/* One without a size has no table, or no members yet. */
		if (is_mapping(block) && (value_of(root, block->name, "size", &r) || r < 0))
			add(root, blocks, block, disks);
	}
}

/* Neither known to be out of reach nor asked yet. */
static bool is_pending(const struct qb_mapping *m)
{
	return m->readable.state == QB_UNKNOWN && !m->readable.why;
}

static bool has_label(const char *block)
{
	for (size_t i = 0; i < LABEL_SECTORS; i++)
		if (!memcmp(block + i * SECTOR, "LABELONE", 8) &&
		    !memcmp(block + i * SECTOR + 24, "LVM2 001", 8))
			return true;
	return false;
}

/* What could not be opened was not asked; what could not be read is not readable. */
static void read_first(struct qb_mapping *m)
{
	_cleanup_close_ int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	char block[BLOCK];
	ssize_t n;

	if (fd < 0) {
		qb_tri_unknown(&m->readable, "%s: %s", m->path, strerror(errno));
		return;
	}
	/* A cached block would tell nothing of what is below. */
	(void)posix_fadvise(fd, 0, sizeof(block), POSIX_FADV_DONTNEED);
	n = pread(fd, block, sizeof(block), 0);
	if (n < 0)
		m->error = qb_asprintf("reading its beginning: %s", strerror(errno));
	qb_tri_set(&m->readable, n >= 0);
	m->lvm = n == sizeof(block) && has_label(block);
}

struct asking {
	struct qb_mapping mapping; /* name and path are the parent's */
	pthread_t thread;
	bool started;
	int fd;
};

static pthread_mutex_t saying = PTHREAD_MUTEX_INITIALIZER;

static void *ask(void *data)
{
	struct asking *a = data;
	json_t *document;

	read_first(&a->mapping);
	document = qb_schema_to_json(&qb_mapping_type, &a->mapping);
	pthread_mutex_lock(&saying);
	qb_child_say(a->fd, document);
	pthread_mutex_unlock(&saying);
	json_decref(document);
	return NULL;
}

static void tell(int fd, void *data)
{
	const struct qb_disks *disks = data;
	struct asking *all = qb_alloc(disks->n_mappings, sizeof(*all));

	for (size_t i = 0; i < disks->n_mappings; i++) {
		const struct qb_mapping *m = &disks->mappings[i];

		if (!is_pending(m))
			continue;
		all[i] = (struct asking){.mapping = {.name = m->name, .path = m->path}, .fd = fd};
		all[i].started = qb_thread_start(ask, &all[i], &all[i].thread) == 0;
	}
	for (size_t i = 0; i < disks->n_mappings; i++)
		if (all[i].started)
			pthread_join(all[i].thread, NULL);
}

void qb_mappings_begin(struct qb_disks *disks, struct qb_child *ret)
{
	bool any = false;
	int r;

	for (size_t i = 0; i < disks->n_mappings; i++)
		any |= is_pending(&disks->mappings[i]);
	r = any ? qb_child_begin_named("mappings", tell, disks, ret) : 0;
	for (size_t i = 0; r < 0 && i < disks->n_mappings; i++)
		if (is_pending(&disks->mappings[i]))
			qb_tri_unknown(&disks->mappings[i].readable, "%s: %s",
				       disks->mappings[i].path,
				       r == -EBUSY ? "earlier looks still wait for an answer"
						   : strerror(-r));
}

static void take(const char *line, size_t len, struct qb_disks *disks)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	struct qb_mapping got = {0};

	if (qb_schema_load(&qb_mapping_type, line, len, 0, &got, NULL, &diags) == 0)
		for (size_t i = 0; i < disks->n_mappings; i++) {
			struct qb_mapping *m = &disks->mappings[i];

			if (!qb_streq(m->name, got.name))
				continue;
			QB_SWAP(m->readable, got.readable);
			QB_SWAP(m->error, got.error);
			m->lvm = got.lvm;
		}
	qb_schema_done(&qb_mapping_type, &got);
}

void qb_mappings_end(struct qb_child *child, unsigned timeout_ms, struct qb_disks *disks)
{
	const char *text = child->text.s ? child->text.s : "";

	for (const char *end; (end = strchr(text, '\n')); text = end + 1)
		take(text, (size_t)(end - text), disks);
	for (size_t i = 0; i < disks->n_mappings; i++) {
		struct qb_mapping *m = &disks->mappings[i];

		if (is_pending(m) && child->late)
			qb_tri_unknown(&m->readable, "%s: no answer within %u ms", m->path,
				       timeout_ms);
		else if (is_pending(m))
			qb_tri_unknown(&m->readable, "%s: the process that read it ended early",
				       m->path);
	}
	qb_child_done(child);
}
