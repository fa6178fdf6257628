/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/host/xml.h"

static void a_document_is_read(void **state)
{
	_cleanup_xml_ struct qb_xml *root =
		qb_xml_read("<?xml version='1.0'?><!-- of an earlier day -->\n"
			    "<pool type='dir'>\n <name> a &lt;b&gt; \n</name><x/><p a='1'/><x> \n "
			    "</x><p a='&#38;2'/>"
			    "<text><![CDATA[<raw>]]></text></pool>",
			    "pool");
	const struct qb_xml *p = qb_xml_child(root, "p");

	(void)state;
	assert_non_null(root);
	assert_string_equal(qb_xml_value(root, "type"), "dir");
	assert_null(qb_xml_content(root));
	assert_string_equal(qb_xml_content(qb_xml_child(root, "name")), "a <b>");
	assert_null(qb_xml_content(qb_xml_child(root, "x")));
	assert_null(qb_xml_content(qb_xml_next(qb_xml_child(root, "x"))));
	assert_string_equal(qb_xml_content(qb_xml_child(root, "text")), "<raw>");
	assert_string_equal(qb_xml_value(p, "a"), "1");
	assert_string_equal(qb_xml_value(qb_xml_next(p), "a"), "&2");
	assert_null(qb_xml_next(qb_xml_next(p)));
	assert_null(qb_xml_value(qb_xml_child(p, "none"), "a"));
}

static char *nested(unsigned depth, const char *inmost)
{
	struct qb_buf text = {0};

	for (unsigned i = 0; i < depth; i++)
		qb_buf_puts(&text, "<a>");
	qb_buf_puts(&text, inmost);
	for (unsigned i = 0; i < depth; i++)
		qb_buf_puts(&text, "</a>");
	return text.s;
}

static void what_is_not_read(void **state)
{
	static const char *const rows[] = {
		"",
		"no XML",
		"<a>",
		"<a></b>",
		"<a/><a/>",
		"<other/>",
		"<a>&undefined;</a>",
		"<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY e 'text'>]><a>&e;</a>",
		"<a>\xff</a>",
	};
	_cleanup_free_ char *deep = nested(65, ""), *empty = nested(64, "<a/>");
	_cleanup_free_ char *less = nested(63, "<a/>");
	struct qb_xml *root = qb_xml_read(less, "a");

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(rows); i++)
		assert_null(qb_xml_read(rows[i], "a"));
	assert_null(qb_xml_read(deep, "a"));
	assert_null(qb_xml_read(empty, "a"));
	assert_non_null(root);
	qb_xml_free(root);
}

/* What is written is what is read again. */
static void a_tree_is_written(void **state)
{
	static const char value[] = "\"<&>'";
	_cleanup_xml_ struct qb_xml *root = qb_xml_add(NULL, "a", NULL), *again = NULL;
	_cleanup_free_ char *text = NULL;

	(void)state;
	qb_xml_set(qb_xml_add(root, "b", NULL), "c", value);
	qb_xml_add(qb_xml_add(root, "d", NULL), "e", value);
	text = qb_xml_write(root);
	assert_string_equal(text, "<a>\n"
				  "  <b c=\"&quot;&lt;&amp;&gt;&#39;\"/>\n"
				  "  <d>\n"
				  "    <e>&quot;&lt;&amp;&gt;&#39;</e>\n"
				  "  </d>\n"
				  "</a>\n");
	again = qb_xml_read(text, "a");
	assert_string_equal(qb_xml_value(qb_xml_child(again, "b"), "c"), value);
	assert_string_equal(qb_xml_content(qb_xml_child(qb_xml_child(again, "d"), "e")), value);
}

static void expect_written(const struct qb_xml *root, const char *wanted)
{
	_cleanup_free_ char *text = qb_xml_write(root);

	assert_string_equal(text, wanted);
}

/* The first, one in the middle and the last child go; what is added after stands at the end. */
static void a_tree_is_edited(void **state)
{
	_cleanup_xml_ struct qb_xml *root = qb_xml_read(
		"<a><b n='1'/><c/><b n='2'><d>text</d></b><e x='1' y='2' z='3'/><b n='3'/></a>",
		"a");
	_cleanup_xml_ struct qb_xml *other = qb_xml_copy(NULL, qb_xml_child(root, "b"));

	(void)state;
	assert_ptr_equal(qb_xml_part(root, "e"), qb_xml_child(root, "e"));
	qb_xml_unset(qb_xml_part(root, "e"), "y");
	qb_xml_unset(qb_xml_part(root, "e"), "none");
	qb_xml_set(qb_xml_part(root, "e"), "z", "4");
	qb_xml_set(qb_xml_part(root, "e"), "w", "5");
	qb_xml_copy(other, qb_xml_next(qb_xml_child(root, "b")));
	qb_xml_drop_all(root, "b");
	qb_xml_part(root, "f");
	expect_written(root, "<a>\n  <c/>\n  <e x=\"1\" z=\"4\" w=\"5\"/>\n  <f/>\n</a>\n");
	expect_written(other, "<b n=\"1\">\n  <b n=\"2\">\n    <d>text</d>\n  </b>\n</b>\n");
	qb_xml_drop_all(root, "f");
	qb_xml_drop_all(root, "e");
	qb_xml_drop_all(root, "c");
	qb_xml_part(root, "g");
	expect_written(root, "<a>\n  <g/>\n</a>\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_is_read),
		cmocka_unit_test(what_is_not_read),
		cmocka_unit_test(a_tree_is_written),
		cmocka_unit_test(a_tree_is_edited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
