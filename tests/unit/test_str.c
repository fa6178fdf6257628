/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "agent/base/error.h"
#include "agent/base/str.h"
#include "agent/base/uuid.h"

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} cases[] = {
		{"0", 0, 0},
		{"4096", 0, 4096},
		{"4096B", 0, 4096},
		{"200GiB", 0, 200ull << 30},
		{"200 GiB", 0, 200ull << 30},
		{"1.5TB", 0, 1500000000000},
		{"0.1kB", 0, 100},
		{"16383.5PiB", 0, 18446181123756130304ull},
		{"16384PiB", -ERANGE, 0},
		{"99999999999999999999", -ERANGE, 0},
		{"1.5", -EINVAL, 0}, /* half a byte */
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1.GiB", -EINVAL, 0},
		{"1gib", -EINVAL, 0},
		{"1GiBs", -EINVAL, 0},
		{"GiB", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 0;

		assert_int_equal(qb_parse_size(cases[i].text, &bytes), cases[i].r);
		assert_int_equal(bytes, cases[i].bytes);
	}
}

static void formats(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{1000204886016, "931.5 GiB"},
		{UINT64_MAX, "16 EiB"},
		{1048575, "1 MiB"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = qb_format_size(cases[i].bytes);

		assert_string_equal(text, cases[i].text);
	}
}

static void printable(void **state)
{
	static const struct {
		const char *raw, *safe;
	} cases[] = {
		{"plain", "plain"},
		{"Prüfung ✓ 𝔸", "Prüfung ✓ 𝔸"},
		{"\033[31mred", "\\x1b[31mred"},
		{"a\nb\tc\r", "a\\x0ab\\x09c\\x0d"},
		{"\x7f", "\\x7f"},
		{"\xc2\x9b", "\\xc2\\x9b"},          /* C1: CSI in one character */
		{"\xff\xfe", "\\xff\\xfe"},          /* not UTF-8 */
		{"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* a surrogate */
		{"\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* right-to-left override */
		{"\xef\xbf\xbe", "\\xef\\xbf\\xbe"}, /* U+FFFE: not a character */
		{"cut \xe2\x82", "cut \\xe2\\x82"},  /* ends in the middle */
		{NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *safe = qb_str_printable(cases[i].raw);

		assert_string_equal(safe, cases[i].safe);
	}
}

static void nearest(void **state)
{
	static const char *const keys[] = {"bridges", "networks", "pools", "rotational"};

	(void)state;
	assert_string_equal(qb_str_nearest("bridge", keys, 4), "bridges");
	assert_string_equal(qb_str_nearest("netwroks", keys, 4), "networks");
	assert_string_equal(qb_str_nearest("rotatonal", keys, 4), "rotational");
	assert_null(qb_str_nearest("zebra", keys, 4));
	assert_null(qb_str_nearest("", keys, 4));
}

static void lists(void **state)
{
	_cleanup_strs_ struct qb_strs s = {0};
	_cleanup_free_ char *none = qb_strs_sentence(&s), *three = NULL;

	(void)state;
	assert_string_equal(none, "");
	for (int i = 9; i >= 0; i--)
		qb_strs_addf(&s, "%d", i);
	qb_strs_sort(&s);
	assert_int_equal(s.n, 10);
	assert_string_equal(s.v[0], "0");
	assert_true(qb_strs_has(&s, "7"));
	assert_false(qb_strs_has(&s, "10"));
	s.n = 3;
	three = qb_strs_sentence(&s);
	s.n = 10;
	assert_string_equal(three, "0, 1 and 2");
}

static void errors_gain_context_at_each_border(void **state)
{
	struct qb_error err = QB_ERROR_INIT;

	(void)state;
	assert_int_equal(qb_error_errno(&err, ENOENT, "/dev/kvm"), -ENOENT);
	assert_int_equal(qb_error_wrap(&err, "guest %d", 1), -ENOENT);
	assert_string_equal(err.msg, "guest 1: /dev/kvm: No such file or directory");
	for (int i = 0; i < 200; i++)
		assert_int_equal(qb_error_wrap(&err, "outer"), -ENOENT);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_int_equal(qb_error_set(NULL, EIO, "nobody reads it"), -EIO);
}

static void uuids_are_version_5_and_do_not_run_parts_together(void **state)
{
	char a[QB_UUID_LEN], b[QB_UUID_LEN], again[QB_UUID_LEN];

	(void)state;
	qb_uuid5((const char *const[]){"ab", "c", NULL}, a);
	qb_uuid5((const char *const[]){"a", "bc", NULL}, b);
	qb_uuid5((const char *const[]){"ab", "c", NULL}, again);
	assert_string_equal(a, again);
	assert_string_not_equal(a, b);
	assert_int_equal(a[14], '5');
	/* Marks on disks depend on it: it may never change. */
	assert_string_equal(a, "a6e3d9f3-a321-5615-a60c-60a4f09349e0");
}

static void paths(void **state)
{
	static const struct {
		const char *path, *dir;
		bool is;
	} cases[] = {
		{"/srv/a", "/srv", true},  {"/srv/a", "/srv/", true}, {"/srv", "/srv", true},
		{"/srv/a", "/", true},     {"/", "/", true},          {"/srvs", "/srv", false},
		{"/srv", "/srv/a", false}, {"/", "/srv", false},
	};
	char text[] = "/srv/a\\040b\\011c\\d\\9";

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++)
		assert_int_equal(qb_path_is_in(cases[i].path, cases[i].dir), cases[i].is);
	qb_str_unescape_octal(text);
	assert_string_equal(text, "/srv/a b\tc\\d\\9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(formats),
		cmocka_unit_test(printable),
		cmocka_unit_test(nearest),
		cmocka_unit_test(lists),
		cmocka_unit_test(paths),
		cmocka_unit_test(errors_gain_context_at_each_border),
		cmocka_unit_test(uuids_are_version_5_and_do_not_run_parts_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
