/* SPDX-License-Identifier: Apache-2.0 */
/* What the carving step refuses before it opens anything. What it does is tried on loop devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>

#include "storage/carve.h"
#include "storage/pool.h"

#define MACHINE_ID "0123456789abcdef0123456789abcdef"

/* The arguments that a plan gives for a disk with this serial number. */
static json_t *planned(const char *serial)
{
	struct qb_disk_selector selector = {.serial = (char *)serial};
	struct qb_pool_config pool = {.name = "images",
				      .type = QB_POOL_FS,
				      .disks = &selector,
				      .n_disks = 1,
				      .target = "/srv/pool"};
	struct qb_disk disk = {.name = "sda",
			       .path = "/dev/sda",
			       .devno = "8:0",
			       .serial = (char *)serial,
			       .size_bytes = 1ull << 30,
			       .logical_sector_bytes = 512,
			       .diskseq = 7,
			       .available = true};
	struct qb_disks disks = {.known = {.state = QB_YES}, .disks = &disk, .n_disks = 1};
	_cleanup_plan_ struct qb_plan plan = {0};

	qb_pool_plan(&disks, &pool, 1, MACHINE_ID, NULL, &plan);
	assert_int_equal(plan.n_steps, 1);
	return json_incref(plan.steps[0].args);
}

static void what_a_plan_writes_the_step_reads(void **state)
{
	json_auto_t *json = planned("QB0001");
	struct qb_error err = QB_ERROR_INIT;
	struct qb_carve_args args;
	struct qb_pool_ids ids;

	(void)state;
	assert_int_equal(qb_carve_args_read(json, &args, &err), 0);
	qb_pool_ids(MACHINE_ID, "images", "QB0001", &ids);
	assert_string_equal(args.pool, "images");
	assert_string_equal(args.disk, "/dev/sda");
	assert_string_equal(args.devno, "8:0");
	assert_string_equal(args.identity, "QB0001");
	assert_int_equal(args.size_bytes, 1 << 30);
	assert_int_equal(args.diskseq, 7);
	assert_int_equal(args.logical_sector_bytes, 512);
	assert_string_equal(args.ids.disk_guid, ids.disk_guid);
	assert_string_equal(args.ids.part_guid, ids.part_guid);
	assert_string_equal(args.ids.fs_uuid, ids.fs_uuid);
	assert_false(args.by_path);
	assert_false(args.resume);
}

static void a_step_that_lacks_something_is_refused(void **state)
{
	static const char *const keys[] = {"pool",       "disk",      "devno",     "identity",
					   "size_bytes", "disk_guid", "part_guid", "fs_uuid"};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(keys); i++) {
		json_auto_t *json = planned("QB0001");
		struct qb_error err = QB_ERROR_INIT;
		struct qb_carve_args args;

		json_object_del(json, keys[i]);
		if (qb_carve_args_read(json, &args, &err) != -EINVAL)
			fail_msg("a step without %s was taken", keys[i]);
		assert_non_null(strstr(err.msg, "storage.carve"));
	}
}

static void a_step_names_a_device_and_true_guids(void **state)
{
	static const struct {
		const char *key, *value;
	} cases[] = {
		{"disk", "sda"},
		{"disk", "/etc/passwd"},
		{"disk_guid", "00000000-0000-4000-8000-0000000000001-too-long"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		json_auto_t *json = planned("QB0001");
		struct qb_carve_args args;

		json_object_set_new(json, cases[i].key, json_string(cases[i].value));
		assert_int_equal(qb_carve_args_read(json, &args, NULL), -EINVAL);
	}
}

static void observe(const char *root_path, int expected, const char *words)
{
	_cleanup_root_ struct qb_root root = QB_ROOT_INIT;
	json_auto_t *json = planned("QB-no-such-disk");
	struct qb_error err = QB_ERROR_INIT;
	enum qb_observed observed = QB_OBSERVED_DONE;
	json_t *before = NULL;

	assert_int_equal(qb_root_open(root_path, &root, &err), 0);
	const struct qb_step_ctx ctx = {
		.root = &root, .timeout_ms = 1000, .machine_id = MACHINE_ID};

	assert_int_equal(qb_carve_step.observe(&ctx, json, &observed, &before, &err), expected);
	if (!strstr(err.msg, words))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
	assert_null(before);
	assert_int_equal(qb_carve_step.undo(&ctx, json, NULL, NULL), expected);
	assert_int_equal(qb_carve_step.verify(&ctx, json, NULL, NULL), expected);
}

static void a_disk_that_is_gone_is_stale(void **state)
{
	(void)state;
	observe("/", -ESTALE, "not here any more");
}

static void a_captured_host_is_not_carved(void **state)
{
	(void)state;
	observe("/usr", -EOPNOTSUPP, "live host only");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_plan_writes_the_step_reads),
		cmocka_unit_test(a_step_that_lacks_something_is_refused),
		cmocka_unit_test(a_step_names_a_device_and_true_guids),
		cmocka_unit_test(a_disk_that_is_gone_is_stale),
		cmocka_unit_test(a_captured_host_is_not_carved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
