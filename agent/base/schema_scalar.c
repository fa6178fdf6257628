/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/schema_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

enum {
	SHOWN_MAX = 60
};

char *qb_yaml_describe(const struct qb_yaml *node)
{
	size_t n = SHOWN_MAX;

	if (node->kind == QB_YAML_LIST)
		return qb_strdup("a list");
	if (node->kind == QB_YAML_MAP)
		return qb_strdup("keys and values");
	if (qb_yaml_is_null(node))
		return qb_strdup("nothing");
	if (strlen(node->text) <= SHOWN_MAX)
		return qb_asprintf("\"%s\"", node->text);
	/* Not in the middle of a character. */
	while (n && ((unsigned char)node->text[n] & 0xc0) == 0x80)
		n--;
	return qb_asprintf("\"%.*s...\"", (int)n, node->text);
}

/* What YAML 1.1, and people, take for a boolean. */
static bool like_boolean(const char *text)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	return false;
}

static bool means_true(const char *text)
{
	return strchr("tTyY", *text) || !strcasecmp(text, "on");
}

static bool is_scalar(const struct qb_yaml *node, const char *name, const char *wanted,
		      struct qb_diags *diags)
{
	_cleanup_free_ char *what = NULL;

	if (node->kind == QB_YAML_SCALAR && !qb_yaml_is_null(node))
		return true;
	if (node->kind != QB_YAML_REFUSED) {
		what = qb_yaml_describe(node);
		qb_diags_add(diags, node->line, node->column, "\"%s\" must be %s, not %s", name,
			     wanted, what);
	}
	return false;
}

bool qb_load_text(const struct qb_field *f, const char *name, const struct qb_yaml *node,
		  char **ret, struct qb_diags *diags)
{
	_cleanup_free_ char *what = NULL;
	const char *expected;

	if (!is_scalar(node, name, "text", diags))
		return false;
	what = qb_yaml_describe(node);
	expected = f->valid ? f->valid(node->text) : NULL;
	if (expected)
		qb_diags_add(diags, node->line, node->column, "\"%s\": %s is not %s", name, what,
			     expected);
	else if (node->plain && like_boolean(node->text))
		qb_diags_add(diags, node->line, node->column,
			     "\"%s\" must be text; put %s between quotes if that is meant", name,
			     node->text);
	*ret = qb_strdup(node->text);
	return true;
}

static bool load_bool(const struct qb_field *f, const struct qb_yaml *node, bool *ret,
		      struct qb_diags *diags)
{
	_cleanup_free_ char *what = NULL;

	if (!is_scalar(node, f->name, "true or false", diags))
		return false;
	what = qb_yaml_describe(node);
	if (node->plain && (!strcmp(node->text, "true") || !strcmp(node->text, "false"))) {
		*ret = *node->text == 't';
		return true;
	}
	if (!node->plain && like_boolean(node->text))
		qb_diags_add(diags, node->line, node->column,
			     "\"%s\" is text here; write %s without quotes", f->name,
			     means_true(node->text) ? "true" : "false");
	else if (like_boolean(node->text))
		qb_diags_add(diags, node->line, node->column,
			     "\"%s\": %s is not accepted; write true or false (here: %s)", f->name,
			     what, means_true(node->text) ? "true" : "false");
	else
		qb_diags_add(diags, node->line, node->column,
			     "\"%s\" must be true or false, not %s", f->name, what);
	return false;
}

/* One spelling of each number: YAML 1.1, YAML 1.2 and JSON do not agree about the others. */
static bool like_integer(const char *text)
{
	const char *digits = *text == '-' ? text + 1 : text;

	return *digits && strspn(digits, "0123456789") == strlen(digits) &&
	       (*digits != '0' || !digits[1]);
}

static bool load_integer(const struct qb_field *f, const struct qb_yaml *node, __int128 *ret,
			 struct qb_diags *diags)
{
	_cleanup_free_ char *what = NULL;
	bool negative;

	if (!is_scalar(node, f->name, "a whole number", diags))
		return false;
	what = qb_yaml_describe(node);
	if (!like_integer(node->text)) {
		qb_diags_add(diags, node->line, node->column,
			     "\"%s\" must be a whole decimal number, not %s", f->name, what);
		return false;
	}
	if (!node->plain) {
		qb_diags_add(diags, node->line, node->column,
			     "\"%s\" is text here; write %s without quotes", f->name, node->text);
		return false;
	}
	negative = *node->text == '-';
	*ret = 0;
	for (const char *p = node->text + negative; *p; p++) {
		*ret = *ret * 10 + (*p - '0');
		if (*ret > UINT64_MAX)
			*ret = (__int128)UINT64_MAX + 1;
	}
	if (negative)
		*ret = -*ret;
	return true;
}

static bool load_size(const struct qb_field *f, const struct qb_yaml *node, __int128 *ret,
		      struct qb_diags *diags)
{
	_cleanup_free_ char *what = NULL;
	uint64_t bytes;
	int r;

	if (!is_scalar(node, f->name, "a size", diags))
		return false;
	what = qb_yaml_describe(node);
	r = qb_parse_size(node->text, &bytes);
	if (r == 0)
		*ret = bytes;
	else if (r == -ERANGE)
		*ret = (__int128)UINT64_MAX + 1;
	else
		qb_diags_add(
			diags, node->line, node->column,
			"\"%s\": %s is not a size; write it like 200GiB, 1.5TB or 4096 (bytes)",
			f->name, what);
	return r == 0 || r == -ERANGE;
}

static bool in_range(const struct qb_field *f, const struct qb_yaml *node, __int128 v,
		     struct qb_diags *diags)
{
	__int128 min = f->kind == QB_FIELD_I64 ? INT64_MIN : 0;
	__int128 max = f->kind == QB_FIELD_I64 ? (__int128)INT64_MAX : (__int128)UINT64_MAX;

	if (f->min || f->max) {
		min = f->min;
		max = f->max;
	}
	if (v >= min && v <= max)
		return true;
	if (v < min && min == 0)
		qb_diags_add(diags, node->line, node->column, "\"%s\" must not be negative",
			     f->name);
	else if (f->min || f->max)
		qb_diags_add(diags, node->line, node->column,
			     "\"%s\" must be from %" PRId64 " to %" PRId64 ", not %s", f->name,
			     f->min, f->max, node->text);
	else
		qb_diags_add(diags, node->line, node->column, "\"%s\": %s is too %s", f->name,
			     node->text, v < min ? "small" : "large");
	return false;
}

static void load_number(const struct qb_field *f, const struct qb_yaml *node, void *member,
			struct qb_diags *diags)
{
	__int128 v;
	bool good = f->kind == QB_FIELD_SIZE ? load_size(f, node, &v, diags)
					     : load_integer(f, node, &v, diags);

	if (!good || !in_range(f, node, v, diags))
		return;
	if (f->kind == QB_FIELD_I64)
		*(int64_t *)member = (int64_t)v;
	else
		*(uint64_t *)member = (uint64_t)v;
}

static void load_enum(const struct qb_field *f, const struct qb_yaml *node, int *ret,
		      struct qb_diags *diags)
{
	_cleanup_strs_ struct qb_strs known = {0};
	_cleanup_free_ char *all = NULL, *what = NULL;
	const char *near;
	size_t n = 0;

	for (; f->names[n]; n++)
		qb_strs_add(&known, f->names[n]);
	all = qb_strs_sentence(&known);
	if (node->kind == QB_YAML_SCALAR)
		for (size_t i = 0; i < n; i++)
			if (!strcmp(f->names[i], node->text)) {
				*ret = (int)i;
				return;
			}
	what = qb_yaml_describe(node);
	near = node->kind == QB_YAML_SCALAR ? qb_str_nearest(node->text, f->names, n) : NULL;
	if (near)
		qb_diags_add(diags, node->line, node->column,
			     "\"%s\": %s is not known; did you mean \"%s\"?", f->name, what, near);
	else
		qb_diags_add(diags, node->line, node->column, "\"%s\" must be one of %s, not %s",
			     f->name, all, what);
}

void qb_load_scalar(const struct qb_field *f, const struct qb_yaml *node, void *member,
		    struct qb_diags *diags)
{
	_cleanup_free_ char *text = NULL;
	bool yes = false;

	switch (f->kind) {
	case QB_FIELD_BOOL:
		if (load_bool(f, node, &yes, diags))
			*(bool *)member = yes;
		break;
	case QB_FIELD_TRI:
		if (load_bool(f, node, &yes, diags))
			qb_tri_set(member, yes);
		break;
	case QB_FIELD_I64:
	case QB_FIELD_U64:
	case QB_FIELD_SIZE:
		load_number(f, node, member, diags);
		break;
	case QB_FIELD_STR:
		if (qb_load_text(f, f->name, node, &text, diags))
			qb_strset(member, text);
		break;
	case QB_FIELD_ENUM:
		load_enum(f, node, member, diags);
		break;
	case QB_FIELD_STRS:
	case QB_FIELD_OBJECT:
	case QB_FIELD_LIST:
		break;
	}
}
