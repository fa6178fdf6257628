/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written on a disk. The input is a byte of flags, and what stands at its beginning and at
 * its end, half and half; all between is zero. Checksums of a GPT are made right where the flags
 * say so, or few inputs would get past them.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/disk_fields.h"
#include "storage/probe_parts.h"
#include "storage/select.h"

#define SIZE (3u << 20)
#define SECTOR 512u
#define HALF_MAX (1u << 20)
#define MACHINE_ID "0123456789abcdef0123456789abcdef"

enum {
	FIX_PRIMARY = 1,
	FIX_BACKUP = 2,
	GLANCE = 4,
	LARGE_SECTORS = 8,
	ENTRIES_BYTES = 128 * 128,
	HEADER_BYTES = 92,
};

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* header and entries are at their usual places. */
static void fix(uint8_t *header, const uint8_t *entries)
{
	put32(header + 12, HEADER_BYTES);
	put32(header + 80, 128);
	put32(header + 84, 128);
	put32(header + 88, qb_crc32(entries, ENTRIES_BYTES));
	put32(header + 16, 0);
	put32(header + 16, qb_crc32(header, HEADER_BYTES));
}

static int image(const uint8_t *data, size_t half, uint8_t flags)
{
	_cleanup_free_ uint8_t *head = qb_alloc(1, half), *tail = qb_alloc(1, half);
	const size_t table = 2 * SECTOR + ENTRIES_BYTES;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	memcpy(head, data, half);
	memcpy(tail, data + half, half);
	if (flags & FIX_PRIMARY && half >= table)
		fix(head + SECTOR, head + 2 * SECTOR);
	if (flags & FIX_BACKUP && half >= table)
		fix(tail + half - SECTOR, tail + half - SECTOR - ENTRIES_BYTES);
	MUST(fd >= 0 && ftruncate(fd, SIZE) == 0);
	MUST(pwrite(fd, head, half, 0) == (ssize_t)half);
	MUST(pwrite(fd, tail, half, (off_t)(SIZE - half)) == (ssize_t)half);
	return fd;
}

static bool is_zero(int fd)
{
	const uint8_t *all = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	bool zero;

	MUST(all != MAP_FAILED);
	zero = !all[0] && !memcmp(all, all + 1, SIZE - 1);
	munmap((void *)all, SIZE);
	return zero;
}

/* What a pool may do with it: nothing that only a blank disk or our own work allows. */
static void claim(const struct qb_disk *disk, bool zero)
{
	struct qb_pool_ids ids;
	enum qb_disk_claim wanted;

	qb_pool_ids(MACHINE_ID, "images", "QB0001", &ids);
	wanted = qb_disk_claim(disk, "images", &ids, false, false);
	MUST(wanted != QB_CLAIM_BLANK || zero);
	MUST(wanted != QB_CLAIM_INTENDED && wanted != QB_CLAIM_RESUME);
	if (wanted == QB_CLAIM_READY || wanted == QB_CLAIM_COMMIT)
		MUST(disk->mark.ours && qb_streq(disk->mark.pool, "images"));
	wanted = qb_disk_claim(disk, "images", &ids, false, true);
	MUST(wanted != QB_CLAIM_INTENDED || zero);
	MUST(wanted != QB_CLAIM_RESUME || disk->mark.only);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t half = size ? (size - 1) / 2 : 0;
	uint8_t flags = size ? data[0] : 0;
	struct qb_disk disk = {
		.name = qb_strdup("sda"),
		.path = qb_strdup("/dev/sda"),
		.serial = qb_strdup("QB0001"),
		.size_bytes = 1ull << 40,
		.logical_sector_bytes = flags & LARGE_SECTORS ? 4096 : SECTOR,
	};
	struct qb_disks disks = {.disks = &disk, .n_disks = 1};
	struct qb_disk_raw raw = {0};
	json_t *json;
	bool zero;
	int fd;

	fd = image(size ? data + 1 : data, half < HALF_MAX ? half : HALF_MAX, flags);
	zero = is_zero(fd);
	qb_tri_set(&raw.exclusive, true);
	qb_contents_probe(fd, MACHINE_ID, flags & GLANCE, &disk, &raw.contents);
	close(fd);
	if (!(flags & GLANCE)) {
		qb_disks_judge(&disks, &raw);
		/* The promise: a byte at either end is enough. */
		MUST(disk.available == zero);
		claim(&disk, zero);
	}
	json = qb_schema_to_json(&qb_disk_type, &disk);
	MUST(json);
	json_decref(json);
	qb_disk_raw_done(&raw);
	qb_disk_done(&disk);
	return 0;
}
