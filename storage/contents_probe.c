/* SPDX-License-Identifier: Apache-2.0 */
/* What is written on a disk. The one place that talks to libblkid. */
#include "storage/probe_parts.h"
#include "storage/pool.h"

#include <blkid/blkid.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

enum {
	HITS_MAX = 64,
	GLANCE_BYTES = 64 << 10, /* both copies of a usual GPT */
	SCAN_BYTES = 512 << 10,
	PAGE = 4096,
	PROBE_AMBIGUOUS = -2, /* up to libblkid 2.38; later -1, as an error */
};

static void probe_freep(blkid_probe *pr)
{
	blkid_free_probe(*pr);
}

static void fail(struct qb_contents *c, const char *what, int code)
{
	if (c->error)
		return;
	c->error = code ? qb_asprintf("%s: %s", what, strerror(code)) : qb_strdup(what);
	c->error_code = code;
}

static void fail_reading(struct qb_contents *c, const char *what, uint64_t from, int code)
{
	_cleanup_free_ char *where = qb_asprintf("%s, from byte %" PRIu64, what, from);

	fail(c, where, code);
}

static const char *lookup(blkid_probe pr, const char *name)
{
	const char *data;

	return blkid_probe_lookup_value(pr, name, &data, NULL) < 0 ? NULL : data;
}

static void note_signature(struct qb_disk *disk, const char *type, const char *usage,
			   const char *uuid, const char *offset)
{
	uint64_t at = 0;
	struct qb_signature *s;

	if (offset && qb_parse_u64(offset, &at) < 0)
		at = 0;
	for (size_t i = 0; i < disk->n_signatures; i++)
		if (qb_streq(disk->signatures[i].type, type) && disk->signatures[i].offset == at)
			return;
	s = QB_APPEND(disk->signatures, disk->n_signatures);
	s->type = qb_strdup(type);
	s->usage = qb_strdup(usage ? usage : "other");
	s->uuid = uuid ? qb_str_printable(uuid) : NULL;
	s->offset = at;
}

/* Every hit, not the first: one hidden behind another is still somebody's data. */
static void probe_signatures(blkid_probe pr, struct qb_disk *disk, struct qb_contents *c)
{
	int rc, hits = 0;

	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_TYPE |
						      BLKID_SUBLKS_USAGE | BLKID_SUBLKS_UUID |
						      BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(pr, 1);
	blkid_probe_set_partitions_flags(pr, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
	errno = 0;
	while ((rc = blkid_do_probe(pr)) == 0 && hits++ < HITS_MAX) {
		const char *table = lookup(pr, "PTTYPE"), *type = lookup(pr, "TYPE");

		if (table)
			note_signature(disk, table, "partition-table", lookup(pr, "PTUUID"),
				       lookup(pr, "PTMAGIC_OFFSET"));
		if (type)
			note_signature(disk, type, lookup(pr, "USAGE"), lookup(pr, "UUID"),
				       lookup(pr, "SBMAGIC_OFFSET"));
		if (!table && !type)
			note_signature(disk, "unnamed", "other", NULL,
				       lookup(pr, "SBMAGIC_OFFSET"));
	}
	if (rc < 0)
		fail(c, "libblkid", errno);
}

/* libblkid's own opinion on whether one superblock wins; and two of our hits are two. */
static void probe_ambiguity(blkid_probe pr, const struct qb_disk *disk, struct qb_contents *c)
{
	const char *first = NULL;
	int rc;

	for (size_t i = 0; i < disk->n_signatures; i++) {
		const struct qb_signature *s = &disk->signatures[i];

		if (qb_streq(s->usage, "partition-table"))
			continue;
		c->ambiguous |= first && !qb_streq(first, s->type);
		first = s->type;
	}
	blkid_reset_probe(pr);
	errno = 0;
	rc = blkid_do_safeprobe(pr);
	if (rc == PROBE_AMBIGUOUS)
		c->ambiguous = true;
	else if (rc < 0 && !c->ambiguous)
		fail(c, "libblkid", errno);
}

/*
 * The kernel caches a partition apart from its disk: what was cached before of the disk, or of a
 * partition by the disk, may be old. Both ends of what lies there.
 */
static void forget_cached(int fd, uint64_t from, uint64_t size)
{
	uint64_t tail = size < QB_END_BYTES ? 0 : size - QB_END_BYTES;

	(void)posix_fadvise(fd, (off_t)from, QB_END_BYTES, POSIX_FADV_DONTNEED);
	(void)posix_fadvise(fd, (off_t)(from + tail), QB_END_BYTES, POSIX_FADV_DONTNEED);
}

static void probe_file_system(int fd, struct qb_partition *p, struct qb_contents *c)
{
	QB_CLEANUP(probe_freep) blkid_probe pr = blkid_new_probe();
	int rc;

	forget_cached(fd, p->start_bytes, p->size_bytes);
	if (!pr || !p->size_bytes ||
	    blkid_probe_set_device(pr, fd, (blkid_loff_t)p->start_bytes,
				   (blkid_loff_t)p->size_bytes) < 0)
		return;
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID |
						      BLKID_SUBLKS_BADCSUM);
	errno = 0;
	rc = blkid_do_safeprobe(pr);
	if (rc == PROBE_AMBIGUOUS)
		c->ambiguous = true;
	else if (rc < 0)
		fail_reading(c, p->path, p->start_bytes, errno);
	if (rc != 0)
		return;
	qb_strset(&p->fs_type, lookup(pr, "TYPE"));
	qb_strset(&p->fs_uuid, lookup(pr, "UUID"));
	p->fs_size_bytes = qb_fs_size_probe(fd, p);
}

static struct qb_partition *partition_of(struct qb_disk *disk, uint64_t number)
{
	struct qb_partition *p;
	size_t len = strlen(disk->name);

	for (size_t i = 0; i < disk->n_partitions; i++)
		if (disk->partitions[i].number == number)
			return &disk->partitions[i];
	p = QB_APPEND(disk->partitions, disk->n_partitions);
	p->number = number;
	p->name =
		qb_asprintf("%s%s%" PRIu64, disk->name,
			    len && isdigit((unsigned char)disk->name[len - 1]) ? "p" : "", number);
	p->path = qb_asprintf("/dev/%s", p->name);
	return p;
}

static void probe_partitions(int fd, blkid_probe pr, struct qb_disk *disk, struct qb_contents *c)
{
	blkid_partlist list;
	int n;

	blkid_reset_probe(pr);
	blkid_probe_enable_superblocks(pr, 0);
	blkid_probe_set_partitions_flags(pr, BLKID_PARTS_ENTRY_DETAILS | BLKID_PARTS_FORCE_GPT);
	errno = 0;
	list = blkid_probe_get_partitions(pr);
	n = list ? blkid_partlist_numof_partitions(list) : 0;
	if (n < 0 || (!list && errno))
		fail(c, "libblkid: partitions", errno);
	for (int i = 0; i < n; i++) {
		blkid_partition par = blkid_partlist_get_partition(list, i);
		int number = par ? blkid_partition_get_partno(par) : 0;
		const char *name = par ? blkid_partition_get_name(par) : NULL;
		struct qb_partition *p;

		if (!par)
			continue;
		p = partition_of(disk, number > 0 ? (uint64_t)number : (uint64_t)i + 1);
		p->start_bytes = (uint64_t)blkid_partition_get_start(par) * 512;
		p->size_bytes = (uint64_t)blkid_partition_get_size(par) * 512;
		free(p->label);
		p->label = name ? qb_str_printable(name) : NULL;
		qb_strset(&p->uuid, blkid_partition_get_uuid(par));
	}
	for (size_t i = 0; i < disk->n_partitions; i++)
		probe_file_system(fd, &disk->partitions[i], c);
}

int qb_read_whole(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static void find_nonzero(const uint8_t *p, size_t len, uint64_t offset, struct qb_contents *c)
{
	if (c->nonzero || !len || (!p[0] && !memcmp(p, p + 1, len - 1)))
		return;
	while (!*p)
		p++, offset++;
	c->nonzero = true;
	c->nonzero_at = offset;
}

/* len bytes at each end, with the table and the mark that stand there. */
static void read_ends(int fd, const char *machine_id, size_t len, struct qb_ends *ends,
		      struct qb_disk *disk, struct qb_contents *c)
{
	_cleanup_gpt_ struct qb_gpt gpt = {0};
	uint64_t tail;
	int r;

	ends->len = ends->size_bytes < len ? ends->size_bytes : len;
	tail = ends->size_bytes - ends->len;
	ends->head = qb_realloc(ends->head, ends->len, 1);
	ends->tail = qb_realloc(ends->tail, ends->len, 1);
	r = qb_read_whole(fd, ends->head, ends->len, 0);
	if (r < 0)
		fail_reading(c, "reading its beginning", 0, -r);
	r = r < 0 ? r : qb_read_whole(fd, ends->tail, ends->len, tail);
	if (r < 0) {
		fail_reading(c, "reading its end", tail, -r);
		return;
	}
	find_nonzero(ends->head, ends->len, 0, c);
	find_nonzero(ends->tail, ends->len, tail, c);
	free(c->table_fault);
	free(disk->mark.pool);
	free(disk->mark.uuid);
	qb_gpt_parse(ends, &gpt);
	c->table_fault = qb_gpt_fault(&gpt);
	qb_mark_read(ends, &gpt, machine_id, qb_disk_identity(disk), &disk->mark);
}

/* What read_ends() left out, up to the first byte that is not zero: nobody needs it after. */
static void scan(int fd, uint64_t from, uint64_t to, uint8_t *buf, struct qb_contents *c)
{
	while (from < to && !c->nonzero && !c->error) {
		size_t len = to - from < SCAN_BYTES ? (size_t)(to - from) : SCAN_BYTES;
		int r = qb_read_whole(fd, buf, len, from);

		if (r < 0)
			fail_reading(c, "reading its ends", from, -r);
		else
			find_nonzero(buf, len, from, c);
		from += len;
	}
}

int qb_reopen(int fd, int flags)
{
	_cleanup_free_ char *path = qb_asprintf("/proc/self/fd/%d", fd);
	int again = open(path, flags | O_NONBLOCK | O_CLOEXEC);

	return again < 0 ? -errno : again;
}

static void scan_ends(int fd, const struct qb_ends *ends, struct qb_contents *c)
{
	uint64_t size = ends->size_bytes, len = size < QB_END_BYTES ? size : QB_END_BYTES;
	/* Past the page cache, where that can be: nobody reads it again. */
	_cleanup_close_ int direct = qb_reopen(fd, O_RDONLY | O_DIRECT);
	_cleanup_free_ uint8_t *buf = aligned_alloc(PAGE, SCAN_BYTES);

	if (!buf)
		abort();
	scan(direct < 0 ? fd : direct, ends->len, len, buf, c);
	scan(direct < 0 ? fd : direct, size - len, size - ends->len, buf, c);
}

int qb_ends_read(int fd, struct qb_ends *ret)
{
	off_t size = lseek(fd, 0, SEEK_END);
	int r;

	if (size < 0)
		return -errno;
	ret->size_bytes = (uint64_t)size;
	ret->sector_bytes = 512;
	ret->len = ret->size_bytes < QB_END_BYTES ? ret->size_bytes : QB_END_BYTES;
	ret->head = qb_alloc(ret->len, 1);
	ret->tail = qb_alloc(ret->len, 1);
	forget_cached(fd, 0, ret->size_bytes);
	r = qb_read_whole(fd, ret->head, ret->len, 0);
	return r < 0 ? r : qb_read_whole(fd, ret->tail, ret->len, ret->size_bytes - ret->len);
}

/* Only all of both ends tells a blank disk from one that holds what nobody here knows. */
static bool may_be_blank(const struct qb_disk *disk, bool glance)
{
	return !glance && !disk->n_signatures && !disk->n_partitions;
}

/* To go on with a carving all that is there has to be known. */
static bool is_begun(const struct qb_disk *disk, const struct qb_contents *c)
{
	return c->table_fault || disk->mark.state == QB_MARK_PENDING ||
	       disk->mark.state == QB_MARK_COMMITTING;
}

/* Beside the mark nothing was recognised, and in its partition nothing but what carving makes. */
static bool nothing_else(const struct qb_disk *disk)
{
	for (size_t i = 0; i < disk->n_signatures; i++)
		if (!qb_streq(disk->signatures[i].type, "gpt") &&
		    !qb_streq(disk->signatures[i].type, "PMBR"))
			return false;
	if (disk->n_partitions > 1)
		return false;
	for (size_t i = 0; i < disk->n_partitions; i++)
		if (disk->partitions[i].fs_type && !qb_fs_find(disk->partitions[i].fs_type) &&
		    !qb_streq(disk->partitions[i].fs_type, "LVM2_member"))
			return false;
	return true;
}

/*
 * What a device answers that was asked and cannot tell what it holds: blk_errors[] in the kernel's
 * block/blk-core.c, without what is asked of a wrong one, or was not asked at all.
 */
static bool is_damage(int code)
{
	return code == EIO || code == ENODATA || code == EREMOTEIO || code == EILSEQ;
}

static void cannot_read(struct qb_disk *disk, const char *why, int code)
{
	if (is_damage(code)) {
		qb_tri_set(&disk->readable, false);
		qb_strset(&disk->error, why);
	} else {
		qb_tri_unknown(&disk->readable, "%s", why);
	}
}

void qb_contents_probe(int fd, const char *machine_id, bool glance, struct qb_disk *disk,
		       struct qb_contents *ret)
{
	QB_CLEANUP(probe_freep) blkid_probe pr = blkid_new_probe();
	_cleanup_ends_ struct qb_ends ends = {0};

	errno = 0;
	if (!pr || blkid_probe_set_device(pr, fd, 0, 0) < 0 || blkid_probe_get_size(pr) <= 0) {
		fail(ret, "libblkid does not take it", errno);
	} else {
		ends.size_bytes = (uint64_t)blkid_probe_get_size(pr);
		ends.sector_bytes = disk->logical_sector_bytes
					    ? (uint32_t)disk->logical_sector_bytes
					    : blkid_probe_get_sectorsize(pr);
		forget_cached(fd, 0, ends.size_bytes);
		/* The mark first: whatever libblkid comes to make of our disks, they stay ours. */
		read_ends(fd, machine_id, GLANCE_BYTES, &ends, disk, ret);
		probe_signatures(pr, disk, ret);
		probe_ambiguity(pr, disk, ret);
		probe_partitions(fd, pr, disk, ret);
		if (is_begun(disk, ret))
			read_ends(fd, machine_id, QB_END_BYTES, &ends, disk, ret);
		else if (may_be_blank(disk, glance))
			scan_ends(fd, &ends, ret);
		disk->mark.only &= !ret->error && nothing_else(disk);
	}
	if (ret->error)
		cannot_read(disk, ret->error, ret->error_code);
	else
		qb_tri_set(&disk->readable, true);
}

static bool in_use(const struct qb_disk *disk, const struct qb_disk_raw *raw)
{
	return raw->mounts.n || raw->swaps.n || disk->holders.n;
}

void qb_device_probe(const char *machine_id, struct qb_disk *disk, struct qb_disk_raw *raw)
{
	int fd;

	/* O_EXCL for a moment could make somebody's mount fail: not where the answer is known. */
	if (!raw->glance && !in_use(disk, raw)) {
		fd = open(disk->path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 || errno == EBUSY)
			qb_tri_set(&raw->exclusive, fd >= 0);
		else
			qb_tri_unknown(&raw->exclusive, "%s: %s", disk->path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	fd = open(disk->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		int code = errno;
		_cleanup_free_ char *why = qb_asprintf("%s: %s", disk->path, strerror(code));

		cannot_read(disk, why, code);
		return;
	}
	qb_contents_probe(fd, machine_id, raw->glance, disk, &raw->contents);
	close(fd);
}
