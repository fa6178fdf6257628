/* SPDX-License-Identifier: Apache-2.0 */
/* Our marks, whole and torn: what is ours, what may be resumed, what is somebody else's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "storage/carve.h"
#include "storage/mark.h"
#include "storage/probe_parts.h"
#include "storage/select.h"
#include "tests/unit/scratch.h"

#define MIB (1ull << 20)
#define MACHINE_ID "0123456789abcdef0123456789abcdef"
#define IDENTITY "QB0001"

enum {
	SECTOR = 512,
	SIZE = 64 << 20,
	LARGE = 640 << 20, /* of more than one group of blocks */
	ENTRIES = 32 * SECTOR,
};

struct image {
	char path[SCRATCH_MAX];
	int fd;
	struct qb_disk disk;
};

static void forget(struct image *im)
{
	qb_disk_done(&im->disk);
}

static int setup(void **state)
{
	struct image *im = qb_alloc(1, sizeof(*im));

	scratch(im->path);
	im->fd = mkstemp(im->path);
	*state = im;
	return im->fd < 0 || ftruncate(im->fd, SIZE) < 0;
}

static int teardown(void **state)
{
	struct image *im = *state;

	forget(im);
	close(im->fd);
	unlink(im->path);
	free(im);
	return 0;
}

static void put(struct image *im, uint64_t at, const void *data, size_t len)
{
	assert_int_equal(pwrite(im->fd, data, len, (off_t)at), len);
}

static void clear(struct image *im)
{
	assert_int_equal(ftruncate(im->fd, 0), 0);
	assert_int_equal(ftruncate(im->fd, SIZE), 0);
}

static void table(struct image *im, const char *pool, enum qb_mark_state state)
{
	struct qb_error err = QB_ERROR_INIT;
	struct qb_pool_ids ids;

	qb_pool_ids(MACHINE_ID, pool, IDENTITY, &ids);
	if (qb_carve_table(im->fd, im->path, pool, QB_PART_LINUX, &ids, state, &err) < 0)
		fail_msg("%s", err.msg);
}

static const struct qb_mark *probe(struct image *im, const char *machine_id, const char *identity)
{
	struct qb_contents contents = {0};

	forget(im);
	im->disk.name = qb_strdup("sda");
	im->disk.serial = qb_strdup(identity);
	im->disk.logical_sector_bytes = SECTOR;
	qb_contents_probe(im->fd, machine_id, false, &im->disk, &contents);
	free(contents.error);
	free(contents.table_fault);
	return &im->disk.mark;
}

static enum qb_disk_claim claim(const struct image *im, const char *pool, bool began)
{
	struct qb_pool_ids ids;

	qb_pool_ids(MACHINE_ID, pool, IDENTITY, &ids);
	return qb_disk_claim(&im->disk, pool, &ids, false, began);
}

static void a_whole_mark(void **state)
{
	struct image *im = *state;
	const struct qb_mark *mark;
	struct qb_pool_ids ids;

	qb_pool_ids(MACHINE_ID, "images", IDENTITY, &ids);
	table(im, "images", QB_MARK_PENDING);
	mark = probe(im, MACHINE_ID, IDENTITY);
	assert_int_equal(mark->state, QB_MARK_PENDING);
	assert_string_equal(mark->pool, "images");
	assert_string_equal(mark->uuid, ids.disk_guid);
	assert_true(mark->ours);
	assert_true(mark->only);
	assert_int_equal(im->disk.n_partitions, 1);
	assert_string_equal(im->disk.partitions[0].label, "qubi-pending:images");
	assert_string_equal(im->disk.partitions[0].uuid, ids.part_guid);
	assert_int_equal(im->disk.partitions[0].start_bytes, MIB);
	assert_int_equal(im->disk.partitions[0].size_bytes, 62 * MIB);

	table(im, "images", QB_MARK_READY);
	mark = probe(im, MACHINE_ID, IDENTITY);
	assert_int_equal(mark->state, QB_MARK_READY);
	assert_true(mark->ours);
	assert_int_equal(claim(im, "images", false), QB_CLAIM_READY);
	assert_int_equal(claim(im, "other", false), QB_CLAIM_NONE);
	/* Never made anew, whatever a journal says. */
	assert_int_equal(claim(im, "images", true), QB_CLAIM_READY);
}

static void a_mark_is_ours_on_this_machine_and_this_disk_only(void **state)
{
	struct image *im = *state;

	table(im, "images", QB_MARK_READY);
	assert_false(probe(im, "ffffffffffffffffffffffffffffffff", IDENTITY)->ours);
	assert_false(probe(im, MACHINE_ID, "QB0002")->ours);
	assert_false(probe(im, NULL, IDENTITY)->ours);
	assert_int_equal(im->disk.mark.state, QB_MARK_READY);
	assert_string_equal(im->disk.mark.pool, "images");
}

static void a_name_alone_is_no_mark_of_ours(void **state)
{
	struct image *im = *state;
	struct qb_pool_ids ids;
	struct qb_error err = QB_ERROR_INIT;

	qb_pool_ids(MACHINE_ID, "other", IDENTITY, &ids);
	assert_int_equal(qb_carve_table(im->fd, im->path, "images", QB_PART_LINUX, &ids,
					QB_MARK_PENDING, &err),
			 0);
	assert_false(probe(im, MACHINE_ID, IDENTITY)->ours);
	assert_int_equal(claim(im, "images", true), QB_CLAIM_NONE);
	assert_int_equal(claim(im, "other", true), QB_CLAIM_NONE);
}

/* The pieces that a table is written in; a power cut may keep any of them. */
static const struct {
	uint64_t at;
	size_t len;
} pieces[] = {
	{0, SECTOR},
	{SECTOR, SECTOR},
	{2 * SECTOR, ENTRIES},
	{SIZE - SECTOR - ENTRIES, ENTRIES},
	{SIZE - SECTOR, SECTOR},
};

enum {
	N_PIECES = 5,
	PIECE_MAX = ENTRIES,
};

static void pieces_read(const struct image *im, char saved[N_PIECES][PIECE_MAX])
{
	for (int i = 0; i < N_PIECES; i++)
		assert_int_equal(pread(im->fd, saved[i], pieces[i].len, (off_t)pieces[i].at),
				 pieces[i].len);
}

static void any_part_of_a_first_table_is_resumed(void **state)
{
	static char saved[N_PIECES][PIECE_MAX];
	struct image *im = *state;

	table(im, "images", QB_MARK_PENDING);
	pieces_read(im, saved);
	for (unsigned set = 1; set < 1u << N_PIECES; set++) {
		const struct qb_mark *mark;

		clear(im);
		for (int i = 0; i < N_PIECES; i++)
			if (set & 1u << i)
				put(im, pieces[i].at, saved[i], pieces[i].len);
		mark = probe(im, MACHINE_ID, IDENTITY);
		if (mark->state != QB_MARK_PENDING || !mark->only)
			fail_msg("pieces %x: state %d, only %d", set, mark->state, mark->only);
		qb_disk_reason(&im->disk, "partition-table", "torn");
		assert_int_equal(claim(im, "images", true), QB_CLAIM_RESUME);
		/* Without a journal it is nobody's to take. */
		assert_int_equal(claim(im, "images", false), QB_CLAIM_NONE);
		/* What names its pool is not another one's. A bare MBR, alone, names nobody. */
		if (set != 1)
			assert_int_equal(claim(im, "other", true), QB_CLAIM_NONE);
	}
}

/* Never ready on the word of the second copy alone: the kernel does not read it. */
static void a_torn_commit_is_ready_completed_or_resumed(void **state)
{
	static char pending[N_PIECES][PIECE_MAX], ready[N_PIECES][PIECE_MAX];
	struct image *im = *state;

	table(im, "images", QB_MARK_PENDING);
	pieces_read(im, pending);
	table(im, "images", QB_MARK_READY);
	pieces_read(im, ready);
	for (unsigned set = 0; set < 1u << N_PIECES; set++) {
		/* A copy counts when header and entries are of one table. */
		bool first = (set >> 1 & 1) && (set >> 2 & 1);
		bool second = (set >> 3 & 1) && (set >> 4 & 1);
		enum qb_mark_state wanted = first    ? QB_MARK_READY
					    : second ? QB_MARK_COMMITTING
						     : QB_MARK_PENDING;
		const struct qb_mark *mark;

		for (int i = 0; i < N_PIECES; i++)
			put(im, pieces[i].at, set & 1u << i ? ready[i] : pending[i], pieces[i].len);
		mark = probe(im, MACHINE_ID, IDENTITY);
		if ((enum qb_mark_state)mark->state != wanted)
			fail_msg("pieces %x: state %d", set, mark->state);
		assert_true(mark->ours);
		assert_true(mark->only || wanted != QB_MARK_PENDING);
		/* What is to be finished needs no journal: the file system is whole. */
		if (wanted == QB_MARK_COMMITTING) {
			assert_int_equal(claim(im, "images", false), QB_CLAIM_COMMIT);
			assert_int_equal(claim(im, "images", true), QB_CLAIM_COMMIT);
			assert_int_equal(claim(im, "other", true), QB_CLAIM_NONE);
		}
	}
}

static void a_byte_of_somebody_else_forbids_to_resume(void **state)
{
	static const uint64_t places[] = {
		100,              /* boot code */
		446 + 16,         /* a second entry of the MBR */
		SECTOR + 200,     /* behind the header: it is in no checksum of ours */
		2 * SECTOR + 128, /* a second entry */
		40 * SECTOR,      /* between table and partition */
		SIZE - MIB,       /* behind the partition */
		SIZE - SECTOR - ENTRIES + 256,
	};
	struct image *im = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(places); i++) {
		clear(im);
		table(im, "images", QB_MARK_PENDING);
		assert_true(probe(im, MACHINE_ID, IDENTITY)->only);
		put(im, places[i], "x", 1);
		if (probe(im, MACHINE_ID, IDENTITY)->only)
			fail_msg("byte %zu was taken for ours", (size_t)places[i]);
		qb_disk_reason(&im->disk, "partition-table", "gpt");
		assert_int_equal(claim(im, "images", true), QB_CLAIM_NONE);
	}
}

static void content_without_a_partition_forbids_to_resume(void **state)
{
	struct image *im = *state;
	char mbr[SECTOR];

	table(im, "images", QB_MARK_PENDING);
	assert_int_equal(pread(im->fd, mbr, SECTOR, 0), SECTOR);
	clear(im);
	put(im, 0, mbr, SECTOR);
	assert_true(probe(im, MACHINE_ID, IDENTITY)->only);
	put(im, 2 * MIB, "x", 1);
	assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
}

static void a_foreign_file_system_in_the_partition_forbids_to_resume(void **state)
{
	struct image *im = *state;
	/* As much of a swap header as libblkid asks for. */
	const uint32_t header[2] = {1, 1000};

	table(im, "images", QB_MARK_PENDING);
	put(im, MIB, "XFSB", 4);
	put(im, MIB + SECTOR, "XAGF", 4);
	put(im, 2 * MIB, "half a file system", 18);
	assert_true(probe(im, MACHINE_ID, IDENTITY)->only);
	put(im, MIB, "\0\0\0\0", 4);
	put(im, MIB + SECTOR, "\0\0\0\0", 4);
	put(im, MIB + 1024, header, sizeof(header));
	put(im, MIB + 4086, "SWAPSPACE2", 10);
	assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
	assert_string_equal(im->disk.partitions[0].fs_type, "swap");
}

/* What no format claims is somebody's nevertheless: mkfs.xfs begins otherwise. */
static void unknown_content_in_the_partition_forbids_to_resume(void **state)
{
	static const struct {
		uint64_t at;
		const char *bytes;
	} foreign[] = {{MIB, "raw"}, {MIB + 3 * SECTOR, "XFSB"}, {3 * MIB, "raw"}};
	struct image *im = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(foreign); i++) {
		clear(im);
		table(im, "images", QB_MARK_PENDING);
		put(im, foreign[i].at, foreign[i].bytes, strlen(foreign[i].bytes));
		assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
		assert_int_equal(claim(im, "images", true), QB_CLAIM_NONE);
	}
	/* 4 KiB sectors of the file system on a disk of 512 bytes. */
	clear(im);
	table(im, "images", QB_MARK_PENDING);
	put(im, MIB + 4096, "XAGF", 4);
	put(im, 2 * MIB, "IN", 2);
	assert_true(probe(im, MACHINE_ID, IDENTITY)->only);
}

/* Some of its sectors are on the disk when the power fails, in whatever order they were written. */
static void an_xfs_is_resumed_whichever_of_its_sectors_are_there(void **state)
{
	enum {
		HEADERS = 4 * 4096,
		ROUNDS = 60,
	};
	_cleanup_free_ uint8_t *whole = qb_alloc(3 * MIB, 1), *part = qb_alloc(3 * MIB, 1);
	struct image *im = *state;

	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t sector = round < ROUNDS / 2 ? SECTOR : 4096;
		bool headers = round % 2;
		_cleanup_free_ char *command =
			qb_asprintf("/usr/sbin/mkfs.xfs -q -f -K -s size=%zu %s", sector, im->path);

		if (round % (ROUNDS / 2) == 0) {
			clear(im);
			assert_int_equal(ftruncate(im->fd, LARGE), 0);
			assert_int_equal(system(command), 0);
			assert_int_equal(pread(im->fd, whole, 3 * MIB, 0), 3 * MIB);
		}
		memset(part, 0, 3 * MIB);
		for (size_t at = headers ? 0 : HEADERS; at < 3 * MIB; at += sector)
			if ((unsigned)rand() % 10 < round % 11)
				memcpy(part + at, whole + at, sector);
		clear(im);
		assert_int_equal(ftruncate(im->fd, LARGE), 0);
		table(im, "images", QB_MARK_PENDING);
		put(im, MIB, part, 3 * MIB);
		if (!probe(im, MACHINE_ID, IDENTITY)->only)
			fail_msg("round %u", round);
		if (headers)
			continue;
		put(im, MIB + HEADERS + (unsigned)rand() % 100 * SECTOR, "somebody", 8);
		assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
	}
}

/* The blocks of the partition that one sees at the beginning of the disk, as mke2fs makes them. */
static void made_ext4(struct image *im, uint8_t ret[3 * MIB])
{
	_cleanup_free_ char *command = NULL;
	struct qb_pool_ids ids;
	uint64_t start, size;

	qb_carve_layout(LARGE, &start, &size);
	qb_pool_ids(MACHINE_ID, "images", IDENTITY, &ids);
	/* As qb_carve_mkfs() does, but into a file. */
	command = qb_asprintf("/usr/sbin/mkfs.ext4 -q -F -b 4096 -m 0 -O 64bit,metadata_csum,"
			      "resize_inode,^bigalloc,^meta_bg -E nodiscard,lazy_itable_init=1,"
			      "resize=2147483648,offset=%ju -U %s %s %juk",
			      (uintmax_t)start, ids.fs_uuid, im->path, (uintmax_t)(size >> 10));
	assert_int_equal(system(command), 0);
	assert_int_equal(pread(im->fd, ret, 3 * MIB, (off_t)start), 3 * MIB);
}

/* Some of its blocks are on the disk when the power fails, in whatever order they were written. */
static void an_ext4_is_resumed_whichever_of_its_blocks_are_there(void **state)
{
	enum {
		BLOCK = 4096,
		BLOCKS = 3 * MIB / BLOCK,
		ROUNDS = 60,
	};
	_cleanup_free_ uint8_t *whole = qb_alloc(3 * MIB, 1), *part = qb_alloc(3 * MIB, 1);
	struct image *im = *state;

	assert_int_equal(ftruncate(im->fd, LARGE), 0);
	made_ext4(im, whole);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned of_ten = round % 11, foreign = (unsigned)rand() % BLOCKS;

		for (size_t i = 0; i < BLOCKS; i++)
			if ((unsigned)rand() % 10 < of_ten)
				memcpy(part + i * BLOCK, whole + i * BLOCK, BLOCK);
			else
				memset(part + i * BLOCK, 0, BLOCK);
		clear(im);
		assert_int_equal(ftruncate(im->fd, LARGE), 0);
		table(im, "images", QB_MARK_PENDING);
		put(im, MIB, part, 3 * MIB);
		assert_true(probe(im, MACHINE_ID, IDENTITY)->only);
		qb_disk_reason(&im->disk, "partition-table", "gpt");
		assert_int_equal(claim(im, "images", true), QB_CLAIM_RESUME);
		assert_int_equal(claim(im, "images", false), QB_CLAIM_NONE);
		/* A word in any of them is somebody's, but for what is in the super block. */
		put(im, MIB + foreign * (uint64_t)BLOCK + 3000, "somebody", 8);
		assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
	}
	/* What is not recognised has no place behind it, either. */
	clear(im);
	table(im, "images", QB_MARK_PENDING);
	put(im, MIB, whole, BLOCK);
	put(im, MIB + 1024 + 56, "xx", 2);
	assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
}

/* A physical volume is begun anew while no volume ever was in it, and nothing beside it. */
static void a_physical_volume_is_resumed_unless_it_had_volumes(void **state)
{
	static const struct {
		uint64_t at;
		const char *bytes;
		bool only;
	} more[] = {
		{MIB + 4096 + SECTOR, "vms {\nphysical_volumes {\n", true},
		{MIB + 4096 + SECTOR, "vms {\nlogical_volumes {\n", false},
		{2 * MIB - 20, "logical_volumes", false},
		{MIB, "raw", false},
		{MIB + 2 * SECTOR, "raw", false},
		{2 * MIB, "raw", false},
		{4 * MIB - 3, "raw", false},
	};
	struct image *im = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(more); i++) {
		clear(im);
		table(im, "vms", QB_MARK_PENDING);
		put(im, MIB + SECTOR, "LABELONE", 8);
		put(im, MIB + 4096 + 4, " LVM2 x[5A%r0N*>", 16);
		assert_true(probe(im, MACHINE_ID, IDENTITY)->only);
		put(im, more[i].at, more[i].bytes, strlen(more[i].bytes));
		assert_int_equal(probe(im, MACHINE_ID, IDENTITY)->only, more[i].only);
	}
	/* A text without the header of its area is nobody's, and so is what stands for a label. */
	clear(im);
	table(im, "vms", QB_MARK_PENDING);
	put(im, MIB + SECTOR, "LABELONE", 8);
	put(im, MIB + 4096 + SECTOR, "vms {", 5);
	assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
	clear(im);
	table(im, "vms", QB_MARK_PENDING);
	put(im, MIB + SECTOR, "LABELTWO", 8);
	put(im, MIB + 4096 + 4, " LVM2 x[5A%r0N*>", 16);
	assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
}

/* A group that is removed has no volumes: of it only the text stays, which nothing points to. */
static void a_physical_volume_that_had_volumes_is_resumed_once_it_is_in_no_group(void **state)
{
	static const uint8_t location[] = {0, 2, 0, 0, 0, 0, 0, 0, 99};
	/* As vgremove of LVM 2.03.16 left it: checksum, magic, version, start and size. */
	static const uint8_t header[] = {0x16, 0xd6, 0x8e, 0xdb, ' ',  'L',  'V', 'M', '2', ' ',
					 'x',  '[',  '5',  'A',  '%',  'r',  '0', 'N', '*', '>',
					 1,    0,    0,    0,    0,    0x10, 0,   0,   0,   0,
					 0,    0,    0,    0xf0, 0x0f, 0,    0,   0,   0,   0};
	struct image *im = *state;

	clear(im);
	table(im, "vms", QB_MARK_PENDING);
	put(im, MIB + SECTOR, "LABELONE", 8);
	put(im, MIB + 4096, header, sizeof(header));
	put(im, MIB + 4096 + SECTOR, "vms {\nlogical_volumes {\n", 23);
	put(im, 2 * MIB + 4096, "of a volume", 11);
	assert_true(probe(im, MACHINE_ID, IDENTITY)->only);
	put(im, MIB + 4096 + 40, location, sizeof(location));
	assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
	put(im, MIB + 4096 + 40, "\0\0\0\0\0\0\0\0\0", 9);
	put(im, MIB + 4096, "torn", 4);
	assert_false(probe(im, MACHINE_ID, IDENTITY)->only);
}

/* Files were in it once: whatever of a wipe the disk kept, what is left is known. */
static void a_wipe_that_broke_off_is_gone_on_with(void **state)
{
	static const char magics[][5] = {"XFSB", "XAGF", "XAGI", "XAFL"};
	static const struct {
		uint64_t from, to;
	} wiped[] = {
		{MIB + 4608, 4 * MIB}, {MIB + 4608, 3 * MIB}, {3 * MIB, 4 * MIB}, {0, 0}, {0, MIB},
		{0, MIB + SECTOR},     {MIB, MIB + 4608},     {0, MIB + 4608},
	};
	struct image *im = *state;
	_cleanup_free_ char *zero = qb_alloc(4 * MIB, 1);

	for (size_t sector = SECTOR; sector <= 4096; sector += 4096 - SECTOR)
		for (size_t i = 0; i < QB_ARRAY_SIZE(wiped); i++) {
			clear(im);
			table(im, "images", QB_MARK_PENDING);
			for (size_t k = 0; k < QB_ARRAY_SIZE(magics); k++)
				put(im, MIB + k * sector, magics[k], 4);
			put(im, MIB + 5 * 4096, "an old file", 11);
			put(im, 3 * MIB + 7, "an old file", 11);
			/* The front is wiped once the rest is. */
			if (i >= 4)
				put(im, MIB + 4608, zero, 3 * MIB - 4608);
			put(im, wiped[i].from, zero, wiped[i].to - wiped[i].from);
			if (!probe(im, MACHINE_ID, IDENTITY)->only)
				fail_msg("sector %zu: wiped from %ju to %ju", sector,
					 (uintmax_t)wiped[i].from, (uintmax_t)wiped[i].to);
		}
}

static void wiping_leaves_nothing(void **state)
{
	struct qb_error err = QB_ERROR_INIT;
	struct image *im = *state;

	table(im, "images", QB_MARK_READY);
	put(im, 3 * MIB, "x", 1);
	assert_int_equal(qb_carve_wipe(im->fd, im->path, SIZE, MIB, &err), 0);
	assert_int_equal(probe(im, MACHINE_ID, IDENTITY)->state, QB_MARK_NONE);
	assert_int_equal(im->disk.n_signatures, 0);
	assert_int_equal(im->disk.n_partitions, 0);
}

static void the_longest_pool_name_fits(void **state)
{
	static const char name[] = "a-pool-of-23-characters";
	struct image *im = *state;

	assert_int_equal(strlen(name), QB_MARK_POOL_MAX);
	table(im, name, QB_MARK_PENDING);
	assert_string_equal(probe(im, MACHINE_ID, IDENTITY)->pool, name);
	assert_true(im->disk.mark.ours);
}

/* What a mount to read from writes into the super block of an XFS is nobody's writing. */
static void one_byte_between_two_readings_is_somebodys(void **state)
{
	static const struct {
		const char *magic;
		size_t head, tail; /* where a byte differs; 0: nowhere */
		bool unwritten;
	} cases[] = {
		{"XFSB", 0, 0, true},
		{"XFSB", MIB + 224, 0, true},
		{"XFSB", MIB + 227, 0, true},
		{"XFSB", MIB + 240, 0, true},
		{"XFSB", MIB + 247, 0, true},
		{"XFSB", MIB + 223, 0, false},
		{"XFSB", MIB + 228, 0, false},
		{"XFSB", MIB + 239, 0, false},
		{"XFSB", MIB + 248, 0, false},
		{"XFSB", 224, 0, false},
		{"XFSB", QB_END_BYTES - 1, 0, false},
		{"XFSB", 0, 1, false},
		{"XFSB", 0, QB_END_BYTES - 1, false},
		{"", MIB + 224, 0, false},
		{"", MIB + 240, 0, false},
		{"", 0, 0, true},
	};
	struct image *im = *state;

	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_ends_ struct qb_ends seen = {0}, now = {0};

		assert_int_equal(qb_ends_read(im->fd, &seen), 0);
		assert_int_equal(qb_ends_read(im->fd, &now), 0);
		memcpy(seen.head + MIB, cases[i].magic, strlen(cases[i].magic));
		memcpy(now.head + MIB, cases[i].magic, strlen(cases[i].magic));
		now.head[cases[i].head] ^= cases[i].head > 0;
		now.tail[cases[i].tail] ^= cases[i].tail > 0;
		if (qb_ends_unwritten(&seen, &now, MIB) != cases[i].unwritten)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_whole_mark),
		T(a_mark_is_ours_on_this_machine_and_this_disk_only),
		T(a_name_alone_is_no_mark_of_ours),
		T(any_part_of_a_first_table_is_resumed),
		T(a_torn_commit_is_ready_completed_or_resumed),
		T(a_byte_of_somebody_else_forbids_to_resume),
		T(content_without_a_partition_forbids_to_resume),
		T(a_foreign_file_system_in_the_partition_forbids_to_resume),
		T(unknown_content_in_the_partition_forbids_to_resume),
		T(an_xfs_is_resumed_whichever_of_its_sectors_are_there),
		T(an_ext4_is_resumed_whichever_of_its_blocks_are_there),
		T(a_physical_volume_is_resumed_unless_it_had_volumes),
		T(a_physical_volume_that_had_volumes_is_resumed_once_it_is_in_no_group),
		T(one_byte_between_two_readings_is_somebodys),
		T(a_wipe_that_broke_off_is_gone_on_with),
		T(wiping_leaves_nothing),
		T(the_longest_pool_name_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
