/* SPDX-License-Identifier: Apache-2.0 */
/* What is found on images made by the tools that make such disks, or damaged byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/exec.h"
#include "storage/carve.h"
#include "storage/probe_parts.h"
#include "tests/unit/scratch.h"

#define MIB (1ull << 20)
#define MACHINE_ID "0123456789abcdef0123456789abcdef"

enum {
	SECTOR = 512,
	TOOL_TIMEOUT_MS = 30000,
};

struct image {
	char path[SCRATCH_MAX];
	int fd;
	uint64_t size;
	struct qb_disk disk;
	struct qb_contents contents;
};

static void image_new(struct image *im, uint64_t size)
{
	*im = (struct image){.size = size};
	scratch(im->path);
	im->fd = mkstemp(im->path);
	assert_true(im->fd >= 0);
	assert_int_equal(ftruncate(im->fd, (off_t)size), 0);
}

static void image_forget(struct image *im)
{
	qb_disk_done(&im->disk);
	free(im->contents.error);
	free(im->contents.table_fault);
	im->contents = (struct qb_contents){0};
}

static void image_done(struct image *im)
{
	image_forget(im);
	close(im->fd);
	unlink(im->path);
}

static void image_write(struct image *im, uint64_t at, const void *data, size_t len)
{
	assert_int_equal(pwrite(im->fd, data, len, (off_t)at), len);
}

static void image_zero(struct image *im, uint64_t at, size_t len)
{
	_cleanup_free_ char *zero = qb_alloc(len, 1);

	image_write(im, at, zero, len);
}

static void image_probe(struct image *im)
{
	image_forget(im);
	im->disk.name = qb_strdup("sda");
	im->disk.serial = qb_strdup("QB0001");
	im->disk.logical_sector_bytes = SECTOR;
	qb_contents_probe(im->fd, MACHINE_ID, false, &im->disk, &im->contents);
}

static void image_tool(struct image *im, const char *tool, const char *option)
{
	const char *argv[] = {tool, option, im->path, NULL};
	struct qb_error err = QB_ERROR_INIT;

	if (qb_exec_check(argv, TOOL_TIMEOUT_MS, &err) < 0)
		fail_msg("%s", err.msg);
}

static void image_gpt(struct image *im)
{
	struct qb_error err = QB_ERROR_INIT;
	struct qb_pool_ids ids;

	qb_pool_ids(MACHINE_ID, "images", "QB0001", &ids);
	if (qb_carve_table(im->fd, im->path, "images", QB_PART_LINUX, &ids, QB_MARK_READY, &err) <
	    0)
		fail_msg("%s", err.msg);
}

static const struct qb_signature *found(const struct image *im, const char *type)
{
	for (size_t i = 0; i < im->disk.n_signatures; i++)
		if (qb_streq(im->disk.signatures[i].type, type))
			return &im->disk.signatures[i];
	return NULL;
}

static void blank_is_blank(void **state)
{
	static const uint64_t sizes[] = {512, 4096, MIB, 6 * MIB, 64 * MIB};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(sizes); i++) {
		struct image im;

		image_new(&im, sizes[i]);
		image_probe(&im);
		assert_true(qb_is(&im.disk.readable));
		assert_int_equal(im.disk.n_signatures, 0);
		assert_int_equal(im.disk.n_partitions, 0);
		assert_false(im.contents.nonzero);
		assert_false(im.contents.ambiguous);
		assert_null(im.contents.table_fault);
		assert_int_equal(im.disk.mark.state, QB_MARK_NONE);
		assert_false(im.disk.mark.only);
		image_done(&im);
	}
}

static void formats_are_recognised(void **state)
{
	static const struct {
		const char *tool, *option, *type, *usage;
		uint64_t offset;
	} cases[] = {
		{"/usr/sbin/mke2fs", "-Ftext4", "ext4", "filesystem", 1080},
		{"/usr/sbin/mke2fs", "-Ftext2", "ext2", "filesystem", 1080},
		{"/usr/sbin/mkfs.xfs", "-q", "xfs", "filesystem", 0},
		{"/usr/sbin/mkswap", "-q", "swap", "other", 4086},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		const struct qb_signature *s;
		struct image im;

		image_new(&im, 512 * MIB);
		image_tool(&im, cases[i].tool, cases[i].option);
		image_probe(&im);
		s = found(&im, cases[i].type);
		if (!s)
			fail_msg("%s was not recognised", cases[i].type);
		assert_string_equal(s->usage, cases[i].usage);
		assert_int_equal(s->offset, cases[i].offset);
		assert_true(im.contents.nonzero);
		assert_false(im.contents.ambiguous);
		image_done(&im);
	}
}

/* lvm2's on-disk label: at a sector of its own, with a checksum that is wrong here. */
static void put_lvm_label(struct image *im, unsigned sector)
{
	image_write(im, sector * SECTOR, "LABELONE", 8);
	image_write(im, sector * SECTOR + 8, &(uint64_t){sector}, 8);
	image_write(im, sector * SECTOR + 20, &(uint32_t){32}, 4);
	image_write(im, sector * SECTOR + 24, "LVM2 001", 8);
	image_write(im, sector * SECTOR + 32, "abcdefghijklmnopqrstuvwxyz012345", 32);
}

static void a_bad_checksum_is_still_somebodys(void **state)
{
	struct image im;
	uint8_t byte;

	(void)state;
	image_new(&im, 512 * MIB);
	put_lvm_label(&im, 1);
	image_probe(&im);
	assert_non_null(found(&im, "LVM2_member"));
	image_done(&im);

	image_new(&im, 512 * MIB);
	image_tool(&im, "/usr/sbin/mkfs.xfs", "-q");
	assert_int_equal(pread(im.fd, &byte, 1, 150), 1);
	byte ^= 0xff;
	image_write(&im, 150, &byte, 1);
	image_probe(&im);
	assert_non_null(found(&im, "xfs"));
	image_done(&im);
}

static void two_superblocks_are_ambiguous(void **state)
{
	struct image im;

	(void)state;
	image_new(&im, 512 * MIB);
	image_tool(&im, "/usr/sbin/mkfs.xfs", "-q");
	put_lvm_label(&im, 2);
	image_probe(&im);
	assert_non_null(found(&im, "xfs"));
	assert_non_null(found(&im, "LVM2_member"));
	assert_true(im.contents.ambiguous);
	image_done(&im);
}

static void any_byte_at_either_end(void **state)
{
	static const struct {
		uint64_t at;
		bool seen;
	} cases[] = {
		{0, true},
		{4 * MIB - 1, true},
		{4 * MIB, false}, /* neither end: what recognised formats do not reach */
		{60 * MIB - 1, false},
		{60 * MIB, true},
		{64 * MIB - 1, true},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct image im;

		image_new(&im, 64 * MIB);
		image_write(&im, cases[i].at, "x", 1);
		image_probe(&im);
		assert_int_equal(im.contents.nonzero, cases[i].seen);
		if (cases[i].seen)
			assert_int_equal(im.contents.nonzero_at, cases[i].at);
		assert_int_equal(im.disk.n_signatures, 0);
		image_done(&im);
	}
}

static void put_mbr_entry(struct image *im, int i, uint8_t type)
{
	const uint8_t entry[16] = {0, 0, 2, 0, type, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0};

	image_write(im, 446 + 16 * (uint64_t)i, entry, sizeof(entry));
	image_write(im, 510, "\x55\xaa", 2);
}

static void mbr_partitions_are_listed_with_what_is_in_them(void **state)
{
	struct image im, fs;
	char *part = qb_alloc(MIB, 1);

	(void)state;
	image_new(&fs, MIB);
	image_tool(&fs, "/usr/sbin/mke2fs", "-Ftext2");
	assert_int_equal(pread(fs.fd, part, MIB, 0), MIB);
	image_new(&im, 64 * MIB);
	put_mbr_entry(&im, 0, 0x83);
	image_write(&im, 2048 * SECTOR, part, MIB);
	image_probe(&im);
	assert_non_null(found(&im, "dos"));
	assert_int_equal(im.disk.n_partitions, 1);
	assert_string_equal(im.disk.partitions[0].name, "sda1");
	assert_int_equal(im.disk.partitions[0].start_bytes, MIB);
	assert_int_equal(im.disk.partitions[0].size_bytes, MIB);
	assert_string_equal(im.disk.partitions[0].fs_type, "ext2");
	free(part);
	image_done(&fs);
	image_done(&im);
}

enum damage {
	WHOLE,
	FIRST_DAMAGED,
	FIRST_ENTRIES,
	FIRST_GONE,
	SECOND_DAMAGED,
	SECOND_GONE,
	BOTH_DAMAGED,
	PMBR_ZEROED,
	PMBR_ALONE,
	HYBRID,
	OTHER_SIZE,
};

static void gpt_damage(struct image *im, enum damage damage)
{
	uint64_t last = im->size - SECTOR;

	if (damage == FIRST_DAMAGED || damage == BOTH_DAMAGED)
		image_write(im, SECTOR + 40, "x", 1);
	if (damage == FIRST_ENTRIES)
		image_write(im, 2 * SECTOR + 60, "x", 1);
	if (damage == FIRST_GONE || damage == PMBR_ALONE)
		image_zero(im, damage == FIRST_GONE ? 0 : SECTOR, 34 * SECTOR);
	if (damage == SECOND_DAMAGED || damage == BOTH_DAMAGED)
		image_write(im, last + 40, "x", 1);
	if (damage == SECOND_GONE || damage == PMBR_ALONE)
		image_zero(im, last - 32 * SECTOR, 33 * SECTOR);
	if (damage == PMBR_ZEROED)
		image_zero(im, 0, SECTOR);
	if (damage == HYBRID)
		put_mbr_entry(im, 1, 0x83);
	if (damage == OTHER_SIZE) {
		im->size += 8 * MIB;
		assert_int_equal(ftruncate(im->fd, (off_t)im->size), 0);
	}
}

static void every_damage_to_a_gpt_is_named(void **state)
{
	static const struct {
		enum damage damage;
		const char *fault;
	} cases[] = {
		{WHOLE, NULL},
		{FIRST_DAMAGED, "first copy is damaged"},
		{FIRST_ENTRIES, "first copy is damaged"},
		{FIRST_GONE, "only the backup is left"},
		{SECOND_DAMAGED, "backup is damaged"},
		{SECOND_GONE, "backup is missing"},
		{BOTH_DAMAGED, "both copies are damaged"},
		{PMBR_ZEROED, "without its protective MBR"},
		{PMBR_ALONE, "a protective MBR without a GPT"},
		{HYBRID, "hybrid"},
		{OTHER_SIZE, "backup is missing at the end"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		const char *fault;
		struct image im;

		image_new(&im, 64 * MIB);
		image_gpt(&im);
		gpt_damage(&im, cases[i].damage);
		image_probe(&im);
		fault = im.contents.table_fault;
		if (!cases[i].fault ? fault != NULL : !fault || !strstr(fault, cases[i].fault))
			fail_msg("case %zu: \"%s\"", i, fault ? fault : "no fault");
		/* libblkid sees a table in each of them, too. */
		assert_true(im.disk.n_signatures > 0);
		image_done(&im);
	}
}

/* Stands before libc's: where it is set, a read gives this error. */
static int damage;

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
	if (damage) {
		errno = damage;
		return -1;
	}
	return syscall(SYS_pread64, fd, buf, n, at);
}

/* "No" is not "empty": what gives errors is told apart from what was not asked. */
static void a_disk_that_gives_errors_cannot_be_read(void **state)
{
	static const struct {
		int code;
		enum qb_tri_state readable;
	} cases[] = {
		{EIO, QB_NO},        {ENODATA, QB_NO},     {EREMOTEIO, QB_NO},   {EILSEQ, QB_NO},
		{ENXIO, QB_UNKNOWN}, {ENODEV, QB_UNKNOWN}, {EACCES, QB_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct image im;

		image_new(&im, 64 * MIB);
		damage = cases[i].code;
		image_probe(&im);
		damage = 0;
		assert_int_equal(im.disk.readable.state, cases[i].readable);
		assert_non_null(strstr(qb_disk_unread_why(&im.disk), strerror(cases[i].code)));
		assert_non_null(im.contents.error);
		assert_false(im.disk.mark.only);
		image_done(&im);
	}
}

static void what_cannot_be_read_is_unknown(void **state)
{
	struct image im;
	int fd;

	(void)state;
	image_new(&im, 64 * MIB);
	fd = open(im.path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	im.disk.name = qb_strdup("sda");
	qb_contents_probe(fd, MACHINE_ID, false, &im.disk, &im.contents);
	close(fd);
	assert_int_equal(im.disk.readable.state, QB_UNKNOWN);
	assert_non_null(strstr(im.disk.readable.why, "Bad file descriptor"));
	assert_false(im.disk.mark.only);
	image_done(&im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blank_is_blank),
		cmocka_unit_test(formats_are_recognised),
		cmocka_unit_test(a_bad_checksum_is_still_somebodys),
		cmocka_unit_test(two_superblocks_are_ambiguous),
		cmocka_unit_test(any_byte_at_either_end),
		cmocka_unit_test(mbr_partitions_are_listed_with_what_is_in_them),
		cmocka_unit_test(every_damage_to_a_gpt_is_named),
		cmocka_unit_test(a_disk_that_gives_errors_cannot_be_read),
		cmocka_unit_test(what_cannot_be_read_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
