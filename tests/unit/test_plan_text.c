/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/text.h"
#include "agent/plan.h"

static void example(struct qb_plan *plan)
{
	qb_step_why(qb_plan_step(plan, "net.bridge", QB_UNDO_EXACT,
				 json_pack("{s:s}", "bridge", "br0"), "bridge br0"),
		    "eno1 carries the default route and is to be a port of br0, with its "
		    "addresses and routes moved in one batch");
	qb_plan_refuse(plan, "pool images", "signature", "/dev/sdb holds ext4 \"\033[2Jdata\"");
	qb_plan_refuse(plan, "pool images", "partitions", "/dev/sdb has %d partitions", 2);
}

static void a_plan_reads_well_in_60_columns(void **state)
{
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_buf_ struct qb_buf out = {0};

	(void)state;
	example(&plan);
	qb_plan_text(&plan, NULL, false, true, 60, &out);
	assert_string_equal(out.s, "Plan: 1 step, 1 refused.\n"
				   "\n"
				   " 1. bridge br0  [net.bridge, undo exact]\n"
				   "    eno1 carries the default route and is to be a port of\n"
				   "    br0, with its addresses and routes moved in one batch\n"
				   "    {\"bridge\":\"br0\"}\n"
				   "\n"
				   "refused: pool images\n"
				   "  - signature: /dev/sdb holds ext4 \"\\x1b[2Jdata\"\n"
				   "  - partitions: /dev/sdb has 2 partitions\n");
}

static void an_empty_plan_says_so(void **state)
{
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_buf_ struct qb_buf out = {0};

	(void)state;
	qb_plan_text(&plan, NULL, false, false, 80, &out);
	assert_string_equal(out.s, "Nothing to do: this host is as the configuration wants it.\n");
}

static void the_hash_is_of_what_is_done(void **state)
{
	_cleanup_plan_ struct qb_plan a = {0}, b = {0};
	char hash_a[QB_UUID_LEN], hash_b[QB_UUID_LEN];

	(void)state;
	example(&a);
	example(&b);
	qb_plan_hash(&a, hash_a);
	qb_plan_hash(&b, hash_b);
	assert_string_equal(hash_a, hash_b);
	json_object_set_new(b.steps[0].args, "mtu", json_integer(9000));
	qb_plan_hash(&b, hash_b);
	assert_string_not_equal(hash_a, hash_b);
}

/* A file may have any name, and JSON only takes UTF-8. */
static void what_is_no_text_prints_as_json(void **state)
{
	_cleanup_plan_ struct qb_plan plan = {0};
	json_auto_t *document = NULL;
	const char *why = NULL, *evidence = NULL;

	(void)state;
	qb_step_why(
		qb_plan_step(&plan, "storage.carve", QB_UNDO_NONE, json_object(), "pool images"),
		"%s", "/srv/\xff.img is blank");
	qb_plan_refuse(&plan, "pool vms", "virtual", "%s", "/srv/\xfe.img");
	document = qb_plan_to_json(&plan);
	assert_int_equal(json_unpack(document, "{s:[{s:s}], s:[{s:[{s:s}]}]}", "steps", "why", &why,
				     "refused", "reasons", "evidence", &evidence),
			 0);
	assert_string_equal(why, "/srv/\\xff.img is blank");
	assert_string_equal(evidence, "/srv/\\xfe.img");
}

static void durations(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {{0, "0 µs"},      {999, "999 µs"},    {1500, "1.5 ms"},
		     {12345, "12 ms"}, {1000000, "1.0 s"}, {61500000, "61.5 s"}};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct qb_buf out = {0};

		qb_text_duration(&out, cases[i].us);
		assert_string_equal(out.s, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_reads_well_in_60_columns),
		cmocka_unit_test(an_empty_plan_says_so),
		cmocka_unit_test(the_hash_is_of_what_is_done),
		cmocka_unit_test(what_is_no_text_prints_as_json),
		cmocka_unit_test(durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
