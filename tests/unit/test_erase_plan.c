/* SPDX-License-Identifier: Apache-2.0 */
/* Which disk may be erased: what has to be named, and what no word of a configuration lifts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "storage/erase.h"

struct sample {
	struct qb_disk disk;
	struct qb_signature signatures[2];
	struct qb_partition partitions[2];
};

/* A disk with a GPT, in whose second partition is an XFS, and nobody knows what is in the first. */
static void gpt(struct sample *s)
{
	*s = (struct sample){.signatures = {{.type = "gpt", .usage = "partition-table"}},
			     .partitions = {{.number = 1}, {.number = 2, .fs_type = "xfs"}}};
	s->disk.signatures = s->signatures;
	s->disk.n_signatures = 1;
	s->disk.partitions = s->partitions;
	s->disk.n_partitions = 2;
	qb_disk_reason(&s->disk, "partition-table", "gpt");
	qb_disk_reason(&s->disk, "partitions", "two");
}

static void forget(struct sample *s)
{
	s->disk.signatures = NULL;
	s->disk.partitions = NULL;
	s->disk.n_signatures = s->disk.n_partitions = 0;
	qb_disk_done(&s->disk);
}

static bool allows(const struct sample *s, const char *words, bool began)
{
	_cleanup_strs_ struct qb_strs contains = {0}, seen = {0};
	json_auto_t *list = json_array(), *begun = json_pack("{s:O}", "seen", list);
	_cleanup_free_ char *copy = qb_strdup(words);
	char *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		qb_strs_add(&contains, w);
	if (began)
		qb_disk_seen(&s->disk, &seen);
	for (size_t i = 0; i < seen.n; i++)
		json_array_append_new(list, json_string(seen.v[i]));
	return qb_erase_allows(&contains, &s->disk, false, began ? begun : NULL);
}

static void all_has_to_be_named_and_nothing_else(void **state)
{
	static const struct {
		const char *words;
		bool first, after_a_break;
	} cases[] = {
		{"gpt xfs unknown-content", true, true},
		{"unknown-content xfs gpt", true, true},
		{"gpt xfs", false, true}, /* a part that is half gone is no longer known */
		{"gpt", false, false},
		{"xfs unknown-content", false, false},
		{"gpt xfs unknown-content ext4", false, true},
		{"", false, false},
	};
	struct sample s;

	(void)state;
	gpt(&s);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		if (allows(&s, cases[i].words, false) != cases[i].first)
			fail_msg("%s", cases[i].words);
		if (allows(&s, cases[i].words, true) != cases[i].after_a_break)
			fail_msg("%s, after a break", cases[i].words);
	}
	forget(&s);
}

static void what_is_not_about_contents_is_never_lifted(void **state)
{
	static const char *const codes[] = {
		"mounted",     "swap",      "holder",           "open",        "system-disk",
		"read-only",   "removable", "remote",           "zoned",       "dasd",
		"virtual",     "too-small", "sector-size",      "probe-error", "foreign-pv",
		"no-identity", "nvme-path", "multipath-member",
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(codes); i++) {
		struct sample s;

		gpt(&s);
		qb_disk_reason(&s.disk, codes[i], "so it is");
		if (allows(&s, "gpt xfs unknown-content", false) ||
		    allows(&s, "gpt xfs unknown-content", true))
			fail_msg("%s", codes[i]);
		forget(&s);
	}
}

/* Of the same types as what was named, and somebody else's. */
static void what_came_since_is_told_from_what_was_seen(void **state)
{
	static const struct {
		const char *seen[4];
		const char *differs, *after_a_break; /* NULL: it does not */
	} cases[] = {
		{{"gpt G", "partition 1 (P1) at byte 1048576", "xfs X"}, NULL, NULL},
		{{"gpt G", "partition 1 (P1) at byte 1048576", "xfs Y"},
		 "xfs X came since",
		 "xfs X came since"},
		{{"gpt H", "partition 1 (P1) at byte 1048576", "xfs X"},
		 "gpt G came since",
		 "gpt G came since"},
		{{"gpt G", "partition 1 (P1) at byte 2097152", "xfs X"},
		 "partition 1 (P1) at byte 1048576 came since",
		 "partition 1 (P1) at byte 1048576 came since"},
		{{"gpt G", "partition 1 (P1) at byte 1048576", "xfs X", "swap S"},
		 "swap S went since",
		 NULL},
		{{NULL},
		 "gpt G, partition 1 (P1) at byte 1048576 and xfs X came since",
		 "gpt G, partition 1 (P1) at byte 1048576 and xfs X came since"},
	};
	struct sample s;

	(void)state;
	gpt(&s);
	s.disk.n_partitions = 1;
	s.signatures[0].uuid = (char *)(uintptr_t) "G";
	s.partitions[0] = (struct qb_partition){.number = 1,
						.start_bytes = 1 << 20,
						.uuid = (char *)(uintptr_t) "P1",
						.fs_type = (char *)(uintptr_t) "xfs",
						.fs_uuid = (char *)(uintptr_t) "X"};
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		json_auto_t *list = json_array(), *args = json_pack("{s:O}", "seen", list);

		for (size_t k = 0; k < 4 && cases[i].seen[k]; k++)
			json_array_append_new(list, json_string(cases[i].seen[k]));
		for (int began = 0; began < 2; began++) {
			const char *wanted = began ? cases[i].after_a_break : cases[i].differs;
			_cleanup_free_ char *got = qb_erase_differs(args, &s.disk, began);

			if (!qb_streq(got, wanted) && (got || wanted))
				fail_msg("case %zu, %d: %s", i, began, got ? got : "no difference");
		}
	}
	forget(&s);
}

static void udev_may_be_behind_after_a_break_only(void **state)
{
	struct sample s;

	(void)state;
	gpt(&s);
	qb_disk_reason(&s.disk, "udev-stale", "it says dos");
	assert_false(allows(&s, "gpt xfs unknown-content", false));
	assert_true(allows(&s, "gpt xfs unknown-content", true));
	forget(&s);
}

static void a_physical_volume_is_never_erased(void **state)
{
	struct sample s;

	(void)state;
	gpt(&s);
	s.partitions[1].fs_type = "LVM2_member";
	assert_false(allows(&s, "gpt LVM2_member unknown-content", false));
	assert_false(allows(&s, "gpt LVM2_member unknown-content", true));
	forget(&s);
}

static void the_mark_of_a_pool_has_to_be_named(void **state)
{
	struct sample s;

	(void)state;
	gpt(&s);
	s.disk.mark.pool = qb_strdup("images");
	assert_false(allows(&s, "gpt xfs unknown-content", false));
	assert_true(allows(&s, "gpt xfs unknown-content qubi:images", false));
	forget(&s);
}

static void a_disk_that_nothing_is_known_of_is_not_blank(void **state)
{
	struct qb_disk disk = {0};
	const struct sample s = {.disk = disk};

	(void)state;
	assert_false(allows(&s, "unknown-content", false));
	assert_false(allows(&s, "", false));
}

static void a_path_names_a_loop_device_only(void **state)
{
	struct qb_erase_config by[] = {
		{.path = "/dev/sda"}, {.serial = "QB0001"}, {.wwid = "naa.5"}};
	struct qb_pool_config pool = {.erase = by, .n_erase = 1};
	struct qb_disk disk = {.path = "/dev/sda", .backing = "/srv/a.img"};

	(void)state;
	assert_ptr_equal(qb_erase_of(&pool, &disk), &by[0]);
	disk.serial = "QB0001";
	assert_null(qb_erase_of(&pool, &disk));
	pool.n_erase = 3;
	assert_ptr_equal(qb_erase_of(&pool, &disk), &by[1]);
	disk.serial = "QB0002";
	assert_null(qb_erase_of(&pool, &disk));
	disk.wwid = "naa.5";
	assert_ptr_equal(qb_erase_of(&pool, &disk), &by[2]);
	disk = (struct qb_disk){.path = "/dev/sda"};
	assert_null(qb_erase_of(&pool, &disk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_has_to_be_named_and_nothing_else),
		cmocka_unit_test(what_is_not_about_contents_is_never_lifted),
		cmocka_unit_test(what_came_since_is_told_from_what_was_seen),
		cmocka_unit_test(udev_may_be_behind_after_a_break_only),
		cmocka_unit_test(a_physical_volume_is_never_erased),
		cmocka_unit_test(the_mark_of_a_pool_has_to_be_named),
		cmocka_unit_test(a_disk_that_nothing_is_known_of_is_not_blank),
		cmocka_unit_test(a_path_names_a_loop_device_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
