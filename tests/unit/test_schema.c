/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "agent/base/schema.h"

struct leaf {
	char *name;
	int64_t count;
};

struct choice {
	int mode;
	struct qb_strs values;
};

struct doc {
	int64_t version;
	bool flag;
	struct qb_tri fact;
	uint64_t big, size;
	char *text;
	int colour;
	struct qb_strs words;
	struct choice choice;
	struct leaf *leaves;
	size_t n_leaves;
};

static const char *const colours[] = {"red", "green", "blue", NULL};
static const char *const modes[] = {"auto", "none", NULL};

static const char *no_slash(const char *value)
{
	return strchr(value, '/') ? "a word without a slash" : NULL;
}

static void leaf_init(void *obj)
{
	((struct leaf *)obj)->count = 7;
}

static void doc_init(void *obj)
{
	((struct doc *)obj)->text = qb_strdup("default");
}

static const struct qb_field leaf_fields[] = {
	QB_F(leaf, name, "name", STR, .flags = QB_FIELD_REQUIRED, .valid = no_slash),
	QB_F(leaf, count, "count", I64, .min = 1, .max = 9),
};

static const struct qb_type leaf_type = {
	.name = "leaf",
	.size = sizeof(struct leaf),
	.fields = leaf_fields,
	.n_fields = QB_ARRAY_SIZE(leaf_fields),
	.init = leaf_init,
};

static const struct qb_field choice_fields[] = {
	QB_F(choice, mode, "mode", ENUM, .names = modes, .flags = QB_FIELD_SCALAR_ONLY),
	QB_F(choice, values, "values", STRS),
};

static const struct qb_type choice_type = {
	.name = "choice",
	.size = sizeof(struct choice),
	.fields = choice_fields,
	.n_fields = QB_ARRAY_SIZE(choice_fields),
	.scalar = "mode",
};

static const struct qb_field doc_fields[] = {
	QB_F(doc, version, "version", I64, .flags = QB_FIELD_REQUIRED),
	QB_F(doc, flag, "flag", BOOL),
	QB_F(doc, fact, "fact", TRI),
	QB_F(doc, big, "big", U64),
	QB_F(doc, size, "min-size", SIZE),
	QB_F(doc, text, "text", STR),
	QB_F(doc, colour, "colour", ENUM, .names = colours),
	QB_F(doc, words, "words", STRS, .flags = QB_FIELD_ONE_IS_LIST, .valid = no_slash),
	QB_F(doc, choice, "choice", OBJECT, .of = &choice_type),
	QB_F_LIST(doc, leaves, "leaves", &leaf_type, .flags = QB_FIELD_ONE_IS_LIST),
};

static const struct qb_type doc_type = {
	.name = "doc",
	.size = sizeof(struct doc),
	.fields = doc_fields,
	.n_fields = QB_ARRAY_SIZE(doc_fields),
	.init = doc_init,
};

enum {
	WRITTEN = QB_LOAD_STRICT | QB_LOAD_WRITTEN
};

static void every_kind_loads(void **state)
{
	static const char text[] = "version: -3\n"
				   "flag: true\n"
				   "fact: false\n"
				   "big: 18446744073709551615\n"
				   "min-size: 1.5KiB\n"
				   "text: 0x12\n"
				   "colour: 'blue'\n"
				   "words: [a, \"true\", 'b c']\n"
				   "choice: none\n"
				   "leaves:\n"
				   "  - name: one\n"
				   "  - {name: two, count: 9}\n"
				   "  - name: three\n";
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_positions_ struct qb_positions pos = {0};
	struct doc doc;

	(void)state;
	assert_int_equal(
		qb_schema_load(&doc_type, text, sizeof(text) - 1, WRITTEN, &doc, &pos, &diags), 0);
	assert_int_equal(doc.version, -3);
	assert_true(doc.flag);
	assert_true(qb_is_not(&doc.fact));
	assert_true(doc.big == UINT64_MAX);
	assert_int_equal(doc.size, 1536);
	assert_string_equal(doc.text, "0x12");
	assert_int_equal(doc.colour, 2);
	assert_int_equal(doc.words.n, 3);
	assert_string_equal(doc.words.v[1], "true");
	assert_int_equal(doc.choice.mode, 1);
	assert_int_equal(doc.n_leaves, 3);
	assert_string_equal(doc.leaves[0].name, "one");
	assert_int_equal(doc.leaves[0].count, 7);
	assert_int_equal(doc.leaves[1].count, 9);
	/* A loaded list can grow. */
	QB_APPEND(doc.leaves, doc.n_leaves)->name = qb_strdup("four");
	QB_APPEND(doc.leaves, doc.n_leaves)->name = qb_strdup("five");
	assert_string_equal(doc.leaves[2].name, "three");

	assert_int_equal(qb_positions_find(&pos, &doc.version).line, 1);
	assert_int_equal(qb_positions_find(&pos, &doc.version).column, 10);
	assert_int_equal(qb_positions_find(&pos, &doc.leaves).line, 10);
	assert_int_equal(qb_positions_find_object(&pos, &doc.choice).line, 9);
	assert_int_equal(qb_positions_find(&pos, &doc.choice.values).line, 0);
	qb_schema_done(&doc_type, &doc);
	assert_null(doc.leaves);
}

static void an_object_and_its_first_member_are_told_apart(void **state)
{
	static const char text[] = "version: 1\nleaves:\n  - {count: 5,\n     name: x}\n";
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_positions_ struct qb_positions pos = {0};
	struct doc doc;

	(void)state;
	assert_int_equal(
		qb_schema_load(&doc_type, text, sizeof(text) - 1, WRITTEN, &doc, &pos, &diags), 0);
	assert_ptr_equal((void *)&doc.leaves[0], (void *)&doc.leaves[0].name);
	assert_int_equal(qb_positions_find_object(&pos, &doc.leaves[0]).line, 3);
	assert_int_equal(qb_positions_find(&pos, &doc.leaves[0].name).line, 4);
	assert_int_equal(qb_positions_find(&pos, &doc.leaves[0].name).column, 12);
	qb_schema_done(&doc_type, &doc);
}

static void defaults_and_one_for_a_list(void **state)
{
	static const char text[] = "version: 0\nleaves: {name: x}\nwords: one\n"
				   "choice: {values: [p]}\n";
	_cleanup_diags_ struct qb_diags diags = {0};
	struct doc doc;

	(void)state;
	assert_int_equal(
		qb_schema_load(&doc_type, text, sizeof(text) - 1, WRITTEN, &doc, NULL, &diags), 0);
	assert_string_equal(doc.text, "default");
	assert_int_equal(doc.fact.state, QB_UNKNOWN);
	assert_int_equal(doc.n_leaves, 1);
	assert_string_equal(doc.words.v[0], "one");
	assert_string_equal(doc.choice.values.v[0], "p");
	qb_schema_done(&doc_type, &doc);
}

struct wrong {
	const char *text;
	size_t len; /* 0: strlen */
	unsigned line, column;
	const char *msg;
};

static void fires(const struct wrong *w, unsigned flags)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	struct doc doc;

	assert_int_equal(qb_schema_load(&doc_type, w->text, w->len ? w->len : strlen(w->text),
					flags, &doc, NULL, &diags),
			 -EINVAL);
	qb_schema_done(&doc_type, &doc);
	if (!diags.n || strcmp(diags.v[0].msg, w->msg) != 0)
		fail_msg("%s:\n%s\nwanted: %s", w->text, diags.n ? diags.v[0].msg : "", w->msg);
	assert_int_equal(diags.n, 1);
	assert_int_equal(diags.v[0].line, w->line);
	assert_int_equal(diags.v[0].column, w->column);
}

static void wrong_values_say_where_and_what(void **state)
{
	static const struct wrong cases[] = {
		{"version: 1\ncolor: red\n", 0, 2, 1,
		 "unknown key \"color\"; did you mean \"colour\"?"},
		{"version: 1\nchoice: {zebra: 1}\n", 0, 2, 10,
		 "unknown key \"zebra\"; what can stand here: values"},
		{"version: 1\nchoice: {mode: auto}\n", 0, 2, 10,
		 "unknown key \"mode\"; what can stand here: values"},
		{"version: 1\nflag: true\n\nflag: true\n", 0, 4, 1,
		 "the key \"flag\" is here a second time; the first is in line 2"},
		{"flag: true\n", 0, 1, 1, "\"version\" is missing"},
		{"version: 1\nleaves:\n  - count: 2\n", 0, 3, 5, "leaves[0]: \"name\" is missing"},
		{"version: 1\n[a]: 1\n", 0, 2, 1,
		 "a key must be a word, not a list or keys and values"},
		{"version: 1\nflag: yes\n", 0, 2, 7,
		 "\"flag\": \"yes\" is not accepted; write true or false (here: true)"},
		{"version: 1\nflag: Off\n", 0, 2, 7,
		 "\"flag\": \"Off\" is not accepted; write true or false (here: false)"},
		{"version: 1\nfact: on\n", 0, 2, 7,
		 "\"fact\": \"on\" is not accepted; write true or false (here: true)"},
		{"version: 1\nflag: 'true'\n", 0, 2, 7,
		 "\"flag\" is text here; write true without quotes"},
		{"version: 1\nflag: 1\n", 0, 2, 7, "\"flag\" must be true or false, not \"1\""},
		{"version: 1\nflag: [true]\n", 0, 2, 7,
		 "\"flag\" must be true or false, not a list"},
		{"version: one\n", 0, 1, 10,
		 "\"version\" must be a whole decimal number, not \"one\""},
		{"version: 1.0\n", 0, 1, 10,
		 "\"version\" must be a whole decimal number, not \"1.0\""},
		{"version: 010\n", 0, 1, 10,
		 "\"version\" must be a whole decimal number, not \"010\""},
		{"version: 0x1\n", 0, 1, 10,
		 "\"version\" must be a whole decimal number, not \"0x1\""},
		{"version: \"1\"\n", 0, 1, 10, "\"version\" is text here; write 1 without quotes"},
		{"version: 9223372036854775808\n", 0, 1, 10,
		 "\"version\": 9223372036854775808 is too large"},
		{"version: -9223372036854775809\n", 0, 1, 10,
		 "\"version\": -9223372036854775809 is too small"},
		{"version: 1\nbig: 18446744073709551616\n", 0, 2, 6,
		 "\"big\": 18446744073709551616 is too large"},
		{"version: 1\nbig: 99999999999999999999999999999999999999999999999999\n", 0, 2, 6,
		 "\"big\": 99999999999999999999999999999999999999999999999999 is too large"},
		{"version: 1\nbig: -1\n", 0, 2, 6, "\"big\" must not be negative"},
		{"version: 1\nleaves: [{name: a, count: 10}]\n", 0, 2, 27,
		 "\"count\" must be from 1 to 9, not 10"},
		{"version: 1\nmin-size: 1 gig\n", 0, 2, 11,
		 "\"min-size\": \"1 gig\" is not a size; write it like 200GiB, 1.5TB or 4096 "
		 "(bytes)"},
		{"version: 1\nmin-size: 99999PiB\n", 0, 2, 11,
		 "\"min-size\": 99999PiB is too large"},
		{"version: 1\nmin-size: {a: b}\n", 0, 2, 11,
		 "\"min-size\" must be a size, not keys and values"},
		{"version: 1\ntext: {a: b}\n", 0, 2, 7,
		 "\"text\" must be text, not keys and values"},
		{"version: 1\ntext: no\n", 0, 2, 7,
		 "\"text\" must be text; put no between quotes if that is meant"},
		{"version: 1\nwords: [a, b/c]\n", 0, 2, 12,
		 "\"words[1]\": \"b/c\" is not a word without a slash"},
		{"version: 1\nwords: [a, [b]]\n", 0, 2, 12,
		 "\"words[1]\" must be text, not a list"},
		{"version: 1\ncolour: rde\n", 0, 2, 9,
		 "\"colour\": \"rde\" is not known; did you mean \"red\"?"},
		{"version: 1\ncolour: purple\n", 0, 2, 9,
		 "\"colour\" must be one of red, green and blue, not \"purple\""},
		{"version: 1\ncolour: []\n", 0, 2, 9,
		 "\"colour\" must be one of red, green and blue, not a list"},
		{"version: 1\nchoice: [none]\n", 0, 2, 9,
		 "\"choice\" must be keys and values, not a list"},
		{"version: 1\nchoice: nnoe\n", 0, 2, 9,
		 "\"mode\": \"nnoe\" is not known; did you mean \"none\"?"},
		{"version: 1\nleaves: x\n", 0, 2, 9,
		 "\"leaves[0]\" must be keys and values, not \"x\""},
		{"version: 1\nchoice: {values: x}\n", 0, 2, 18,
		 "\"values\" must be a list, not \"x\""},
		{"- version\n", 0, 1, 1, "the document must be keys and values, not a list"},
		{"just text that goes on, and on, and on, and on, and on, and on\n", 0, 1, 1,
		 "the document must be keys and values, not \"just text that goes on, and on, and "
		 "on, and on, and on, and ...\""},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		fires(&cases[i], WRITTEN);
}

static void a_key_without_a_value_is_an_error_where_a_person_writes(void **state)
{
	static const struct wrong cases[] = {
		{"version: 1\ntext:\nflag: true\n", 0, 2, 1,
		 "\"text\" has no value: give one, or leave the key out"},
		{"version: 1\ntext: ~\n", 0, 2, 1,
		 "\"text\" has no value: give one, or leave the key out"},
		{"version: 1\nflag: null\n", 0, 2, 1,
		 "\"flag\" has no value: give one, or leave the key out"},
		{"version: 1\nwords:\n", 0, 2, 1,
		 "\"words\" has no value: write [] for an empty list, or leave it out"},
		{"version: 1\nchoice:\n", 0, 2, 1,
		 "\"choice\" must be keys and values, not nothing"},
		{"version: 1\nfact_unknown: x\n", 0, 2, 1,
		 "unknown key \"fact_unknown\"; what can stand here: version, flag, fact, big, "
		 "min-size, text, colour, words, choice and leaves"},
	};
	static const struct wrong also_else[] = {
		{"version: null\n", 0, 1, 1,
		 "\"version\" has no value: give one, or leave the key out"},
		{"version: 1\nflag: null\n", 0, 2, 1,
		 "\"flag\" has no value: give one, or leave the key out"},
		{"version: 1\nleaves: [{name: null}]\n", 0, 2, 11,
		 "\"name\" has no value: give one, or leave the key out"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		fires(&cases[i], WRITTEN);
	for (size_t i = 0; i < QB_ARRAY_SIZE(also_else); i++)
		fires(&also_else[i], 0);
}

static void broken_yaml_says_where(void **state)
{
	static const struct wrong cases[] = {
		{"", 0, 0, 0, "there is nothing in it"},
		{"# only this\n\n", 0, 0, 0, "there is nothing in it"},
		{"---\n...\n", 0, 0, 0, "there is nothing in it"},
		{"version: 1\n---\nversion: 1\n", 0, 2, 1,
		 "a second document begins here; one file holds one"},
		{"version: 1\ntext: [a,\n", 0, 3, 1,
		 "not valid YAML: did not find expected node content, while parsing a flow node"},
		{"version: 1\nchoice:\n\tvalues: []\n", 0, 3, 1,
		 "not valid YAML: found character that cannot start any token, while scanning for "
		 "the next token; indent with spaces, not with tabs"},
		{"version: 1\ntext: a: b\n", 0, 2, 8,
		 "not valid YAML: mapping values are not allowed in this context"},
		{"version: 1\ntext: \"open\n", 0, 3, 1,
		 "not valid YAML: found unexpected end of stream, while scanning a quoted scalar "
		 "that began in line 2"},
		{"version: &a 1\n", 0, 1, 10,
		 "an anchor (&a) is not accepted here; write the value out"},
		{"version: !!int 1\n", 0, 1, 10,
		 "a tag (tag:yaml.org,2002:int) is not accepted here; leave it out"},
		{"version: 1\nchoice: !x {}\n", 0, 2, 9,
		 "a tag (!x) is not accepted here; leave it out"},
		{"version: 1\ntext: *b\n", 0, 2, 7,
		 "an alias (*b) is not accepted here; write the value out"},
		{"version: 1\n*b : 1\n", 0, 2, 1,
		 "an alias (*b) is not accepted here; write the value out"},
		{"version: 1\ntext: \"a\\0b\"\n", 0, 2, 7, "text must not contain a zero byte"},
		{"version: 1\ntext: \xc3\xa4\xff\n", 0, 2, 8,
		 "not text in UTF-8: invalid leading UTF-8 octet (0xFF)"},
		{"version: 1\ntext: a\0b\n", 20, 2, 8,
		 "not text in UTF-8: control characters are not allowed (0x00)"},
		{"version: 1\ntext: \033[31m\n", 0, 2, 7,
		 "not text in UTF-8: control characters are not allowed (0x1B)"},
		{"\xff\xfev\0e\0", 6, 1, 1,
		 "not text in UTF-8: invalid leading UTF-8 octet (0xFF)"},
		{"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", 0, 1, 33,
		 "nested deeper than 32 levels"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		fires(&cases[i], WRITTEN);
}

static void all_errors_come_at_once_and_in_order(void **state)
{
	static const char text[] = "leaves: [{name: a/b}, {count: 0}]\nflag: yes\nnope: 1\n";
	static const unsigned lines[] = {1, 1, 1, 1, 2, 3}, columns[] = {1, 17, 23, 31, 7, 1};
	_cleanup_diags_ struct qb_diags diags = {0};
	struct doc doc;

	(void)state;
	assert_int_equal(
		qb_schema_load(&doc_type, text, sizeof(text) - 1, WRITTEN, &doc, NULL, &diags),
		-EINVAL);
	qb_schema_done(&doc_type, &doc);
	assert_int_equal(diags.n, QB_ARRAY_SIZE(lines));
	for (size_t i = 0; i < diags.n; i++) {
		assert_int_equal(diags.v[i].line, lines[i]);
		assert_int_equal(diags.v[i].column, columns[i]);
	}
}

static void errors_have_an_end(void **state)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_buf_ struct qb_buf text = {0};
	struct doc doc;

	(void)state;
	for (int i = 0; i < 1000; i++)
		qb_buf_printf(&text, "k%d: 1\n", i);
	assert_int_equal(qb_schema_load(&doc_type, text.s, text.len, WRITTEN, &doc, NULL, &diags),
			 -EINVAL);
	qb_schema_done(&doc_type, &doc);
	assert_int_equal(diags.n, 100);
	assert_string_equal(diags.v[99].msg, "too many errors; the rest is left out");
}

static void messages_are_safe_to_print(void **state)
{
	static const char text[] = "version: 1\n\"\\e[31m\": 1\n";
	_cleanup_diags_ struct qb_diags diags = {0};
	struct doc doc;

	(void)state;
	assert_int_equal(
		qb_schema_load(&doc_type, text, sizeof(text) - 1, WRITTEN, &doc, NULL, &diags),
		-EINVAL);
	qb_schema_done(&doc_type, &doc);
	assert_non_null(strstr(diags.v[0].msg, "\\x1b[31m"));
}

static void a_document_is_passed_over_where_it_is_newer(void **state)
{
	static const char text[] = "{\"version\": 1, \"new\": {\"a\": [1, null]}, \"text\": null,\n"
				   "\"fact\": null, \"fact_unknown\": \"no file\", \"new\": 2,\n"
				   "\"flag\": true}";
	_cleanup_diags_ struct qb_diags diags = {0};
	struct doc doc;

	(void)state;
	assert_int_equal(qb_schema_load(&doc_type, text, sizeof(text) - 1, 0, &doc, NULL, &diags),
			 0);
	assert_int_equal(doc.fact.state, QB_UNKNOWN);
	assert_string_equal(doc.fact.why, "no file");
	assert_true(doc.flag);
	qb_schema_done(&doc_type, &doc);
}

static char *printed(const struct doc *doc)
{
	json_t *json = qb_schema_to_json(&doc_type, doc);
	char *text = json_dumps(json, JSON_INDENT(1));

	json_decref(json);
	assert_non_null(text);
	return text;
}

/* What is printed loads back and prints the same, whatever stands in it. */
static void json_comes_back(void **state)
{
	static const char *const texts[] = {
		"plain",
		"",
		"null",
		"true",
		"1",
		"~",
		" blank ",
		"tab\tand\nline\r\n",
		"\"quoted\" \\",
		"\x01\x1f\x7f",
		"\xc2\x85 \xe2\x80\xa8 \xe2\x80\xa9",
		"\xff\xfe",
		"\xef\xbf\xbe",
		"\xef\xbb\xbf",
		"\xf0\x9f\x98\x80",
		"/a/b",
		"# no comment",
		"a: b",
		"- x",
		"{",
		"\xc2\x9b",
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(texts); i++) {
		_cleanup_diags_ struct qb_diags diags = {0};
		_cleanup_free_ char *first = NULL, *second = NULL;
		struct doc doc = {.version = INT64_MIN, .size = 1ull << 62, .big = 3, .colour = 1};
		struct doc back;

		doc.text = qb_strdup(texts[i]);
		qb_strs_add(&doc.words, texts[i]);
		doc.words.v[0][strcspn(doc.words.v[0], "/")] = '\0';
		qb_tri_unknown(&doc.fact, "why: %s", texts[i]);
		QB_APPEND(doc.leaves, doc.n_leaves)->name = qb_strdup("x");
		doc.leaves[0].count = 1;
		first = printed(&doc);
		qb_schema_done(&doc_type, &doc);
		if (qb_schema_load(&doc_type, first, strlen(first), QB_LOAD_STRICT, &back, NULL,
				   &diags) < 0)
			fail_msg("%s: %s", first, diags.v[0].msg);
		second = printed(&back);
		qb_schema_done(&doc_type, &back);
		assert_string_equal(first, second);
	}
}

static void the_schema_is_exact(void **state)
{
	json_t *schema = qb_schema_describe(&doc_type), *properties, *at;

	(void)state;
	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	assert_int_equal(json_array_size(json_object_get(schema, "required")),
			 QB_ARRAY_SIZE(doc_fields));
	properties = json_object_get(schema, "properties");
	assert_int_equal(json_object_size(properties), QB_ARRAY_SIZE(doc_fields) + 1);
	at = json_object_get(json_object_get(properties, "colour"), "enum");
	assert_string_equal(json_string_value(json_array_get(at, 1)), "green");
	at = json_object_get(json_object_get(properties, "leaves"), "items");
	at = json_object_get(json_object_get(at, "properties"), "count");
	assert_int_equal(json_integer_value(json_object_get(at, "maximum")), 9);
	at = json_object_get(json_object_get(properties, "text"), "type");
	assert_string_equal(json_string_value(json_array_get(at, 1)), "null");
	assert_non_null(json_object_get(properties, "fact_unknown"));
	assert_non_null(
		json_object_get(json_object_get(schema, "dependentSchemas"), "fact_unknown"));
	json_decref(schema);
}

/* A generator of its own: the same bytes on every machine. */
static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void load_anything(const char *text, size_t len, unsigned flags)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_positions_ struct qb_positions pos = {0};
	struct doc doc;
	int r = qb_schema_load(&doc_type, text, len, flags, &doc, &pos, &diags);

	assert_true((r == 0) == (diags.n == 0));
	for (size_t i = 0; i < diags.n; i++)
		assert_true(*diags.v[i].msg);
	qb_schema_done(&doc_type, &doc);
}

static void nothing_crashes_it(void **state)
{
	static const char seed_text[] =
		"version: 1\nflag: true\nfact: false\nbig: 5\nmin-size: 1GiB\ntext: \"a\\u00e9\"\n"
		"colour: red\nwords: [a, 'b']\nchoice: {values: [x]}\nleaves:\n  - name: n\n"
		"    count: 2\n  - {name: m}\n# end\n";
	static const char alphabet[] = "{}[]:,-?&*!|>'\"%@`#\n\t \\0\xc3\xffv1e";
	uint64_t seed = 1;
	char text[sizeof(seed_text)];

	(void)state;
	for (size_t len = 0; len < sizeof(seed_text); len++)
		load_anything(seed_text, len, WRITTEN);
	for (int round = 0; round < 20000; round++) {
		unsigned changes = next_random(&seed) % 6;

		memcpy(text, seed_text, sizeof(text));
		while (changes--)
			text[next_random(&seed) % (sizeof(text) - 1)] =
				alphabet[next_random(&seed) % sizeof(alphabet)];
		load_anything(text, sizeof(text) - 1, round % 4);
	}
	for (int round = 0; round < 5000; round++) {
		size_t len = next_random(&seed) % sizeof(text);

		for (size_t i = 0; i < len; i++)
			text[i] = round % 2 ? alphabet[next_random(&seed) % sizeof(alphabet)]
					    : (char)next_random(&seed);
		load_anything(text, len, round % 4);
	}
}

static void depth_and_size_are_bounded(void **state)
{
	enum {
		DEEP = 1 << 20,
		HUGE_TEXT = (64 << 20) + 1
	};
	static const char *const begins[] = {"[", "{a: ", "- ", "? "};
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *huge = NULL;
	struct doc doc;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(begins); i++) {
		_cleanup_buf_ struct qb_buf text = {0};

		while (text.len < DEEP)
			qb_buf_puts(&text, begins[i]);
		load_anything(text.s, text.len, 0);
	}
	huge = qb_alloc(HUGE_TEXT, 1);
	assert_int_equal(qb_schema_load(&doc_type, huge, HUGE_TEXT, 0, &doc, NULL, &diags),
			 -EINVAL);
	assert_string_equal(diags.v[0].msg, "larger than 64 MiB");
	qb_schema_done(&doc_type, &doc);
}

static void load_and_compare(const char *text, const char *brief)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	json_auto_t *json = json_loads(text, 0, NULL), *all = NULL, *some = NULL, *again = NULL;
	json_auto_t *wanted = json_loads(brief, 0, NULL);
	struct doc doc, copy;

	assert_non_null(json);
	assert_int_equal(qb_schema_load_json(&doc_type, json, 0, &doc, &diags), 0);
	all = qb_schema_to_json(&doc_type, &doc);
	some = qb_schema_to_json_brief(&doc_type, &doc);
	assert_true(json_equal(some, wanted));
	assert_int_equal(qb_schema_load_json(&doc_type, some, QB_LOAD_STRICT, &copy, &diags), 0);
	again = qb_schema_to_json(&doc_type, &copy);
	assert_true(json_equal(all, again));
	qb_schema_done(&doc_type, &doc);
	qb_schema_done(&doc_type, &copy);
}

/* What is brief is loaded as what it was. */
static void json_loads_without_text(void **state)
{
	(void)state;
	load_and_compare(
		"{\"version\": 0, \"flag\": true, \"text\": \"true\", \"big\": 5,"
		" \"words\": [\"a\", \"1\"], \"leaves\": [{\"name\": \"\", \"count\": 2}],"
		" \"fact\": false, \"fact_unknown\": \"nobody looked\"}",
		"{\"version\": 0, \"flag\": true, \"text\": \"true\", \"big\": 5,"
		" \"words\": [\"a\", \"1\"], \"leaves\": [{\"name\": \"\", \"count\": 2}],"
		" \"fact\": false, \"colour\": \"red\", \"choice\": {\"mode\": \"auto\"}}");
}

static void json_errors_are_told(void **state)
{
	static const struct {
		const char *json, *error;
	} cases[] = {
		{"[]", "the document must be keys and values, not a list"},
		{"{}", "\"version\" is missing"},
		{"{\"version\": 1, \"wrong\": 1}", "unknown key \"wrong\""},
		{"{\"version\": 1.5}", "\"version\" must be a whole decimal number"},
		{"{\"version\": null}", "\"version\" has no value"},
		{"{\"version\": 1, \"flag\": \"true\"}",
		 "\"flag\" is text here; write true without quotes"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_diags_ struct qb_diags diags = {0};
		json_auto_t *json = json_loads(cases[i].json, 0, NULL);
		struct doc doc;

		assert_int_equal(qb_schema_load_json(&doc_type, json, QB_LOAD_STRICT, &doc, &diags),
				 -EINVAL);
		if (!strstr(diags.v[0].msg, cases[i].error))
			fail_msg("%s: %s", cases[i].json, diags.v[0].msg);
		qb_schema_done(&doc_type, &doc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_loads_without_text),
		cmocka_unit_test(json_errors_are_told),
		cmocka_unit_test(every_kind_loads),
		cmocka_unit_test(an_object_and_its_first_member_are_told_apart),
		cmocka_unit_test(defaults_and_one_for_a_list),
		cmocka_unit_test(wrong_values_say_where_and_what),
		cmocka_unit_test(a_key_without_a_value_is_an_error_where_a_person_writes),
		cmocka_unit_test(broken_yaml_says_where),
		cmocka_unit_test(all_errors_come_at_once_and_in_order),
		cmocka_unit_test(errors_have_an_end),
		cmocka_unit_test(messages_are_safe_to_print),
		cmocka_unit_test(a_document_is_passed_over_where_it_is_newer),
		cmocka_unit_test(json_comes_back),
		cmocka_unit_test(the_schema_is_exact),
		cmocka_unit_test(nothing_crashes_it),
		cmocka_unit_test(depth_and_size_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
