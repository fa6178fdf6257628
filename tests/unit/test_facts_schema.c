/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schemas that are shipped. That of the facts is made from their tables:
 * build/unit/test_facts_schema --write writes it anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/host/facts.h"

#define SCHEMAS QB_TESTS "/../packaging/schema/"

static char *described(void)
{
	json_t *schema = qb_facts_describe();
	char *text = json_dumps(schema, JSON_INDENT(2));

	json_decref(schema);
	assert_non_null(text);
	return text;
}

static int write_anew(void)
{
	_cleanup_free_ char *text = described();
	_cleanup_fclose_ FILE *f = fopen(SCHEMAS "facts.schema.json", "we");

	if (!f || fprintf(f, "%s\n", text) < 0 || fflush(f) != 0) {
		perror(SCHEMAS "facts.schema.json");
		return 1;
	}
	return 0;
}

static void the_shipped_schema_is_that_of_the_tables(void **state)
{
	json_t *made = qb_facts_describe(), *shipped;
	json_error_t error;

	(void)state;
	shipped = json_load_file(SCHEMAS "facts.schema.json", JSON_REJECT_DUPLICATES, &error);
	if (!shipped)
		fail_msg("%s:%d: %s", SCHEMAS "facts.schema.json", error.line, error.text);
	if (!json_equal(made, shipped))
		fail_msg("packaging/schema/facts.schema.json is not what the tables of the facts "
			 "say; build/unit/test_facts_schema --write writes it anew");
	json_decref(made);
	json_decref(shipped);
}

/* Objects are closed, and what they require they describe. */
static void walk(const json_t *schema, const char *file)
{
	const json_t *properties = json_object_get(schema, "properties"), *value;
	const json_t *required = json_object_get(schema, "required");
	const char *key;
	size_t i;

	if (properties)
		assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	for (i = 0; i < json_array_size(required); i++) {
		const char *name = json_string_value(json_array_get(required, i));

		if (!json_object_get(properties, name))
			fail_msg("%s: %s is required and not described", file, name);
	}
	for (void *at = json_object_iter((json_t *)schema); at;
	     at = json_object_iter_next((json_t *)schema, at)) {
		key = json_object_iter_key(at);
		value = json_object_iter_value(at);
		if (json_is_object(value) && strcmp(key, "dependentSchemas") != 0)
			walk(value, file);
	}
}

static void schemas_are_whole(void **state)
{
	static const char *const names[] = {"facts",         "check", "check-list",
					    "check-explain", "plan",  "apply"};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = qb_asprintf(SCHEMAS "%s.schema.json", names[i]);
		_cleanup_free_ char *id = qb_asprintf("qubi-agent/%s/1", names[i]);
		json_error_t error;
		json_t *schema = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *at;

		if (!schema)
			fail_msg("%s:%d: %s", path, error.line, error.text);
		at = json_object_get(json_object_get(schema, "properties"), "schema");
		assert_string_equal(json_string_value(json_object_get(at, "const")), id);
		assert_string_equal(json_string_value(json_object_get(schema, "$schema")),
				    "https://json-schema.org/draft/2020-12/schema");
		walk(schema, path);
		json_decref(schema);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_shipped_schema_is_that_of_the_tables),
		cmocka_unit_test(schemas_are_whole),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_anew();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
