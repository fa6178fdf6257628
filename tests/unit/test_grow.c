/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that became larger, or smaller: what is planned for it, and a table on its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/exec.h"
#include "storage/carve.h"
#include "storage/grow.h"
#include "storage/probe_parts.h"
#include "storage/select.h"
#include "tests/unit/pool_host.h"
#include "tests/unit/scratch.h"

#define MIB (1ull << 20)

/* A host whose one disk was carved when it had 10 GiB; it and its file system may have grown. */
static struct qb_disk *add_pool_disk(struct world *w, uint64_t size_bytes)
{
	struct qb_disk *d = add_disk(w, "sda", "QB0001", size_bytes);
	struct qb_partition *p = QB_APPEND(d->partitions, d->n_partitions);
	struct qb_pool_ids ids;

	w->pools[0] = (struct qb_pool_config){.name = (char *)"images",
					      .type = QB_POOL_FS,
					      .disks = &w->selectors[0],
					      .n_disks = 1,
					      .target = "/srv/pool"};
	w->selectors[0].serial = "QB0001";
	w->n_pools = 1;
	qb_pool_ids(MACHINE_ID, "images", "QB0001", &ids);
	*p = (struct qb_partition){.name = qb_strdup("sda1"),
				   .path = qb_strdup("/dev/sda1"),
				   .number = 1,
				   .start_bytes = MIB,
				   .size_bytes = 10 * GIB - 2 * MIB,
				   .uuid = qb_strdup(ids.part_guid),
				   .fs_type = qb_strdup("xfs"),
				   .fs_uuid = qb_strdup(ids.fs_uuid),
				   .fs_size_bytes = 10 * GIB - 2 * MIB};
	d->mark = (struct qb_mark){.state = QB_MARK_READY,
				   .pool = qb_strdup("images"),
				   .uuid = qb_strdup(ids.disk_guid),
				   .ours = true,
				   .end_bytes = 10 * GIB - MIB};
	qb_disk_reason(d, "mounted", "/dev/sda1 on /srv/pool");
	qb_disk_reason(d, "partition-table", "a GPT whose backup is missing at the end");
	return d;
}

static const struct qb_step *only_step(struct world *w)
{
	plan(w);
	if (w->plan.n_refused)
		fail_msg("refused: %s", w->plan.refused[0].reasons[0].evidence);
	assert_true(w->plan.n_steps <= 1);
	return w->plan.n_steps ? &w->plan.steps[0] : NULL;
}

static void assert_refused(struct world *w, const char *code, const char *evidence)
{
	plan(w);
	assert_int_equal(w->plan.n_steps, 0);
	assert_int_equal(w->plan.n_refused, 1);
	assert_string_equal(w->plan.refused[0].target, "pool images");
	assert_string_equal(w->plan.refused[0].reasons[0].code, code);
	if (!strstr(w->plan.refused[0].reasons[0].evidence, evidence))
		fail_msg("%s", w->plan.refused[0].reasons[0].evidence);
}

static void room_is_taken_where_there_is_some(void **state)
{
	static const struct {
		uint64_t disk, partition, fs;
		const char *type;
		uint64_t to; /* 0: there is nothing to do */
	} cases[] = {
		{10 * GIB, 10 * GIB - 2 * MIB, 10 * GIB - 2 * MIB, "xfs", 0},
		{20 * GIB, 10 * GIB - 2 * MIB, 10 * GIB - 2 * MIB, "xfs", 20 * GIB - 2 * MIB},
		/* Less than what partitions are aligned to. */
		{10 * GIB + MIB - 512, 10 * GIB - 2 * MIB, 10 * GIB - 2 * MIB, "xfs", 0},
		{10 * GIB + MIB, 10 * GIB - 2 * MIB, 10 * GIB - 2 * MIB, "xfs", 10 * GIB - MIB},
		/* A run broke off when the table was written. */
		{20 * GIB, 20 * GIB - 2 * MIB, 10 * GIB - 2 * MIB, "xfs", 20 * GIB - 2 * MIB},
		{20 * GIB, 20 * GIB - 2 * MIB, 20 * GIB - 2 * MIB, "xfs", 0},
		/* A last group that would be too small is left out. */
		{20 * GIB, 20 * GIB - 2 * MIB, 20 * GIB - 3 * MIB + 1, "xfs", 0},
		{20 * GIB, 20 * GIB - 2 * MIB, 20 * GIB - 10 * MIB, "ext4", 0},
		{20 * GIB, 20 * GIB - 2 * MIB, 20 * GIB - 18 * MIB, "ext4", 20 * GIB - 2 * MIB},
		/* Somebody made the partition larger, and as large as it can be. */
		{20 * GIB, 20 * GIB - MIB - 17408, 10 * GIB - 2 * MIB, "xfs",
		 20 * GIB - MIB - 17408},
		/* Nobody knows the file system's size: the partition's tells. */
		{20 * GIB, 10 * GIB - 2 * MIB, 0, "xfs", 20 * GIB - 2 * MIB},
		{20 * GIB, 20 * GIB - 2 * MIB, 0, "xfs", 0},
		/* One that says it is larger than all there is. */
		{20 * GIB, 20 * GIB - 2 * MIB, UINT64_MAX, "xfs", 0},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		void *host;
		struct world *w;
		struct qb_disk *d;
		const struct qb_step *step;

		assert_int_equal(setup(&host), 0);
		w = host;
		d = add_pool_disk(w, cases[i].disk);
		w->pools[0].format = qb_streq(cases[i].type, "xfs") ? QB_FS_XFS : QB_FS_EXT4;
		qb_strset(&d->partitions[0].fs_type, cases[i].type);
		d->partitions[0].size_bytes = cases[i].partition;
		d->partitions[0].fs_size_bytes = cases[i].fs;
		d->mark.end_bytes = MIB + cases[i].partition;
		step = only_step(w);
		if (!step != !cases[i].to)
			fail_msg("case %zu: %s", i, step ? step->why : "no step");
		if (step)
			assert_int_equal(
				json_integer_value(json_object_get(step->args, "to_bytes")),
				cases[i].to);
		teardown(&host);
	}
}

static void the_plan_says_from_what_to_what(void **state)
{
	struct world *w = *state;
	const struct qb_step *step;
	struct qb_pool_ids ids;

	add_pool_disk(w, 20 * GIB);
	step = only_step(w);
	assert_non_null(step);
	assert_string_equal(step->kind, "storage.grow");
	assert_string_equal(step->target, "pool images");
	assert_int_equal(step->undo, QB_UNDO_NONE);
	assert_string_equal(step->why,
			    "/dev/sda (20 GiB, QB0001) became larger: its XFS grows from 10 GiB to "
			    "20 GiB, in use as it is; it cannot be made smaller again");
	qb_pool_ids(MACHINE_ID, "images", "QB0001", &ids);
	assert_string_equal(qb_arg(step->args, "part_guid"), ids.part_guid);
	assert_int_equal(json_integer_value(json_object_get(step->args, "size_bytes")), 20 * GIB);
	assert_int_equal(json_integer_value(json_object_get(step->args, "from_bytes")),
			 10 * GIB - 2 * MIB);
}

/* What somebody has made of the disk since is not ours to enlarge. */
static void only_what_was_carved_grows(void **state)
{
	struct world *w = *state;
	struct qb_disk *d = add_pool_disk(w, 20 * GIB);
	struct qb_partition *p = &d->partitions[0];
	char **const ids[] = {&p->uuid, &p->fs_uuid};

	for (size_t i = 0; i < QB_ARRAY_SIZE(ids); i++) {
		_cleanup_free_ char *was = qb_strdup(*ids[i]);

		qb_strset(ids[i], "00005e00-5300-4000-8000-000000000001");
		assert_null(only_step(w));
		qb_strset(ids[i], was);
		assert_non_null(only_step(w));
	}
	p->start_bytes = 2 * MIB;
	assert_null(only_step(w));
	p->start_bytes = MIB;
	qb_strset(&p->fs_type, NULL);
	assert_null(only_step(w));
	qb_strset(&p->fs_type, "xfs");
	(void)QB_APPEND(d->partitions, d->n_partitions);
	assert_null(only_step(w));
	d->n_partitions = 1;
	d->mark.ours = false;
	assert_refused(w, "mounted", "/srv/pool");
}

static void a_disk_that_became_smaller_is_refused(void **state)
{
	struct world *w = *state;
	struct qb_disk *d = add_pool_disk(w, 5 * GIB);

	assert_refused(w, "shrunk",
		       "/dev/sda has 5368709120 bytes (5 GiB), and its partition ends");
	/* Also where nothing recognises the table any more. */
	d->n_partitions = 0;
	assert_refused(w, "shrunk", "became smaller");
	d->n_partitions = 1;
	/* All of the partition is there still. */
	d->size_bytes = d->mark.end_bytes;
	assert_null(only_step(w));
}

static void what_speaks_against_writing_is_a_refusal(void **state)
{
	static const char *const codes[] = {"read-only",   "multipath-member", "nvme-path",
					    "no-identity", "ambiguous",        "probe-error"};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(codes); i++) {
		void *host;
		struct world *w;

		assert_int_equal(setup(&host), 0);
		w = host;
		qb_disk_reason(add_pool_disk(w, 20 * GIB), codes[i], "so it is");
		/* A hidden path is nothing that a serial number names. */
		if (qb_streq(codes[i], "nvme-path"))
			w->selectors[0] = (struct qb_disk_selector){.path = "/dev/sda"};
		assert_refused(w, codes[i], "cannot be taken into use: so it is");
		/* Of a disk that does not grow it says nothing. */
		disk(w, "sda")->size_bytes = 10 * GIB;
		assert_null(only_step(w));
		teardown(&host);
	}
}

/* The first copy of the table is torn, the pool is mounted: nobody can have the disk alone. */
static void a_table_that_was_torn_on_its_way_is_gone_on_with(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *source = NULL;
	struct qb_disk *d = add_pool_disk(w, 20 * GIB);
	const struct qb_step *step;
	char uuid[37];

	d->mark.state = QB_MARK_COMMITTING;
	step = only_step(w);
	assert_non_null(step);
	assert_string_equal(step->kind, "storage.grow");
	source = qb_pool_source(&w->disks, &w->pools[0], MACHINE_ID, &w->plan, uuid);
	assert_true(source && qb_endswith(source, qb_arg(step->args, "part_guid")));
	/* Not on its way to anywhere: then it is the end of a carving. */
	d->size_bytes = 10 * GIB;
	step = only_step(w);
	assert_non_null(step);
	assert_string_equal(step->kind, "storage.carve");
}

/* ------------------------------------------------------------------ a table on its way */

enum {
	SECTOR = 512,
	ENTRIES = 32 * SECTOR,
	OLD = 512 << 20,
	NEW = 768 << 20,
	N_PIECES = 5,
};

/* In the order in which they are written; the first two are on the disk before the others. */
static const struct {
	uint64_t at;
	size_t len;
} pieces[N_PIECES] = {
	{NEW - SECTOR - ENTRIES, ENTRIES},
	{NEW - SECTOR, SECTOR},
	{2 * SECTOR, ENTRIES},
	{SECTOR, SECTOR},
	{0, SECTOR},
};

struct image {
	char path[SCRATCH_MAX];
	int fd;
	struct qb_pool_ids ids;
	struct qb_disk disk;
	char *fault;
};

static void probe(struct image *im)
{
	struct qb_contents contents = {0};

	qb_disk_done(&im->disk);
	free(im->fault);
	im->disk = (struct qb_disk){.name = qb_strdup("sda"),
				    .serial = qb_strdup("QB0001"),
				    .size_bytes = NEW,
				    .logical_sector_bytes = SECTOR};
	qb_contents_probe(im->fd, MACHINE_ID, true, &im->disk, &contents);
	assert_null(contents.error);
	im->fault = contents.table_fault;
}

static void table(struct image *im)
{
	struct qb_error err = QB_ERROR_INIT;

	if (qb_carve_table(im->fd, im->path, "images", QB_PART_LINUX, &im->ids, QB_MARK_READY,
			   &err) < 0)
		fail_msg("%s", err.msg);
}

static void read_pieces(struct image *im, char ret[N_PIECES][ENTRIES])
{
	for (int i = 0; i < N_PIECES; i++)
		assert_int_equal(pread(im->fd, ret[i], pieces[i].len, (off_t)pieces[i].at),
				 pieces[i].len);
}

static void image_new(struct image *im)
{
	_cleanup_free_ char *command = NULL;

	*im = (struct image){0};
	scratch(im->path);
	im->fd = mkstemp(im->path);
	assert_true(im->fd >= 0);
	assert_int_equal(ftruncate(im->fd, OLD), 0);
	qb_pool_ids(MACHINE_ID, "images", "QB0001", &im->ids);
	command = qb_asprintf("/usr/sbin/mkfs.ext4 -q -F -b 4096 -E nodiscard,offset=%ju -U %s %s "
			      "%juk",
			      (uintmax_t)MIB, im->ids.fs_uuid, im->path,
			      (uintmax_t)(OLD - 2 * MIB) >> 10);
	assert_int_equal(system(command), 0);
	table(im);
}

static void image_done(struct image *im)
{
	qb_disk_done(&im->disk);
	free(im->fault);
	close(im->fd);
	unlink(im->path);
}

static void a_whole_table_is_there_whatever_of_it_is_written(void **state)
{
	static char was[N_PIECES][ENTRIES], is[N_PIECES][ENTRIES];
	struct image im;
	struct qb_growth growth;

	(void)state;
	image_new(&im);
	assert_int_equal(ftruncate(im.fd, NEW), 0);
	read_pieces(&im, was);
	table(&im);
	read_pieces(&im, is);
	for (unsigned set = 0; set < 1u << N_PIECES; set++) {
		enum qb_growth_state room;
		enum qb_disk_claim claim;

		/* What is behind the sync has begun: all before it is there. */
		if (set >> 2 && (set & 3) != 3)
			continue;
		for (int i = 0; i < N_PIECES; i++)
			assert_int_equal(pwrite(im.fd, set & 1u << i ? is[i] : was[i],
						pieces[i].len, (off_t)pieces[i].at),
					 pieces[i].len);
		probe(&im);
		claim = qb_disk_claim(&im.disk, "images", &im.ids, false, false);
		room = qb_growth_of(&im.disk, &im.ids, &qb_file_systems[QB_FS_EXT4], NULL, &growth);
		if (claim > QB_CLAIM_COMMIT || room != QB_GROWTH_ROOM)
			fail_msg("pieces %x: claim %d, %d, %s", set, claim, room, im.fault);
		assert_int_equal(growth.from_bytes, OLD - 2 * MIB);
		assert_int_equal(growth.to_bytes, NEW - 2 * MIB);
		/* The kernel takes the first copy, or none. */
		assert_int_equal(claim == QB_CLAIM_COMMIT,
				 (set >> 2 & 3) == 1 || (set >> 2 & 3) == 2);
	}
	assert_null(im.fault);
	assert_false(growth.table);
	assert_int_equal(im.disk.mark.end_bytes, NEW - MIB);
	image_done(&im);
}

/* The kernel does not take it any more, and nor does libblkid; but it says whose it was. */
static void a_disk_cut_short_tells_where_its_partition_ended(void **state)
{
	struct image im;

	(void)state;
	image_new(&im);
	assert_int_equal(ftruncate(im.fd, OLD / 2), 0);
	probe(&im);
	assert_int_equal(im.disk.mark.end_bytes, OLD - MIB);
	assert_int_equal(qb_disk_claim(&im.disk, "images", &im.ids, false, false), QB_CLAIM_READY);
	image_done(&im);
}

static void the_size_of_a_file_system_is_read(void **state)
{
	static const struct {
		const char *tool, *option, *type;
	} cases[] = {
		{"/usr/sbin/mkfs.xfs", "-q", "xfs"},
		{"/usr/sbin/mkfs.ext4", "-qF", "ext4"},
	};
	uint8_t super[QB_FS_SUPER_BYTES] = {0};

	(void)state;
	assert_int_equal(qb_fs_size("xfs", super), 0);
	assert_int_equal(qb_fs_size("ext4", super), 0);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		struct image im = {.fd = -1};
		struct qb_error err = QB_ERROR_INIT;
		const char *argv[] = {cases[i].tool, cases[i].option, im.path, NULL};

		scratch(im.path);
		im.fd = mkstemp(im.path);
		assert_int_equal(ftruncate(im.fd, OLD), 0);
		if (qb_exec_check(argv, 30000, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(pread(im.fd, super, sizeof(super), 0), sizeof(super));
		assert_int_equal(qb_fs_size(cases[i].type, super), OLD);
		assert_int_equal(qb_fs_size("btrfs", super), 0);
		image_done(&im);
	}
	/* A block of no size that there is, and more of them than can be counted. */
	memset(super, 0xff, sizeof(super));
	memcpy(super, "XFSB", 4);
	super[1024 + 56] = 0x53;
	super[1024 + 57] = 0xef;
	assert_int_equal(qb_fs_size("xfs", super), 0);
	assert_int_equal(qb_fs_size("ext4", super), 0);
}

static void a_disk_that_is_gone_is_stale(void **state)
{
	struct world *w = *state;
	_cleanup_root_ struct qb_root root = QB_ROOT_INIT;
	const struct qb_step_ctx ctx = {
		.root = &root, .timeout_ms = 1000, .machine_id = MACHINE_ID};
	struct qb_error err = QB_ERROR_INIT;
	enum qb_observed observed;
	json_t *before = NULL, *args;

	qb_strset(&add_pool_disk(w, 20 * GIB)->serial, "QB0001");
	args = only_step(w)->args;
	json_object_set_new(args, "identity", json_string("QB-no-such-disk"));
	assert_int_equal(qb_root_open("/", &root, &err), 0);
	assert_int_equal(qb_grow_step.observe(&ctx, args, &observed, &before, &err), -ESTALE);
	assert_non_null(strstr(err.msg, "not here any more"));
	assert_int_equal(qb_grow_step.apply(&ctx, args, NULL, NULL), -ESTALE);
	assert_int_equal(qb_grow_step.verify(&ctx, args, NULL, NULL), -ESTALE);
	assert_int_equal(qb_grow_step.undo(&ctx, args, NULL, NULL), -ESTALE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_is_taken_where_there_is_some),
		T(the_plan_says_from_what_to_what),
		T(only_what_was_carved_grows),
		T(a_disk_that_became_smaller_is_refused),
		cmocka_unit_test(what_speaks_against_writing_is_a_refusal),
		T(a_table_that_was_torn_on_its_way_is_gone_on_with),
		cmocka_unit_test(a_whole_table_is_there_whatever_of_it_is_written),
		cmocka_unit_test(a_disk_cut_short_tells_where_its_partition_ended),
		cmocka_unit_test(the_size_of_a_file_system_is_read),
		T(a_disk_that_is_gone_is_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
