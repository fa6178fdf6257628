/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/schema.h"

#include <assert.h>

static const void *member(const void *obj, const struct qb_field *f)
{
	return (const char *)obj + f->offset;
}

static const char *list_of(const void *obj, const struct qb_field *f, size_t *ret_n)
{
	const char *v;

	memcpy(&v, member(obj, f), sizeof(v));
	memcpy(ret_n, (const char *)obj + f->n_offset, sizeof(*ret_n));
	return v;
}

/* Line ends and tabs stay: JSON escapes them, and files are kept in facts. */
static json_t *text_json(const char *s)
{
	_cleanup_buf_ struct qb_buf out = {0};

	if (!s)
		return json_null();
	qb_buf_puts(&out, "");
	while (*s) {
		size_t n = 0;

		while ((unsigned char)s[n] >= 0x20)
			n++;
		if (n) {
			_cleanup_free_ char *part = qb_strndup(s, n);
			_cleanup_free_ char *safe = qb_str_printable(part);

			qb_buf_puts(&out, safe);
		}
		s += n;
		if (*s)
			qb_buf_add(&out, s++, 1);
	}
	return json_stringn(out.s, out.len);
}

static json_t *tri_json(const struct qb_tri *t)
{
	return t->state == QB_UNKNOWN ? json_null() : json_boolean(qb_is(t));
}

/* JSON integers of jansson are signed. Nothing that is counted comes near. */
static json_t *u64_json(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *strs_json(const struct qb_strs *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(list, text_json(s->v[i]));
	return list;
}

static json_t *enum_json(const struct qb_field *f, int v)
{
	int n = 0;

	while (f->names[n])
		n++;
	assert(v >= 0 && v < n);
	return json_string(f->names[v]);
}

static json_t *object_json(const struct qb_type *type, const void *obj, bool brief);

static json_t *list_json(const struct qb_field *f, const void *obj, bool brief)
{
	json_t *list = json_array();
	size_t n;
	const char *v = list_of(obj, f, &n);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, object_json(f->of, v + i * f->of->size, brief));
	return list;
}

static json_t *field_json(const struct qb_field *f, const void *obj, bool brief)
{
	const void *m = member(obj, f);

	switch (f->kind) {
	case QB_FIELD_BOOL:
		return json_boolean(*(const bool *)m);
	case QB_FIELD_TRI:
		return tri_json(m);
	case QB_FIELD_I64:
		return json_integer(*(const int64_t *)m);
	case QB_FIELD_U64:
	case QB_FIELD_SIZE:
		return u64_json(*(const uint64_t *)m);
	case QB_FIELD_STR:
		return text_json(*(char *const *)m);
	case QB_FIELD_ENUM:
		return enum_json(f, *(const int *)m);
	case QB_FIELD_STRS:
		return strs_json(m);
	case QB_FIELD_OBJECT:
		return object_json(f->of, m, brief);
	case QB_FIELD_LIST:
		return list_json(f, obj, brief);
	}
	return NULL;
}

/* What it is without anybody saying so. */
static bool is_plain(const struct qb_field *f, const json_t *value)
{
	if (f->flags & QB_FIELD_REQUIRED)
		return false;
	/* That something is known not to be so is said. */
	return json_is_null(value) || (json_is_false(value) && f->kind != QB_FIELD_TRI) ||
	       (json_is_integer(value) && !json_integer_value(value)) ||
	       (json_is_array(value) && !json_array_size(value));
}

static void add_json(const struct qb_type *type, const void *obj, bool brief, json_t *into)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct qb_field *f = &type->fields[i];
		const struct qb_tri *t = member(obj, f);
		json_t *value = field_json(f, obj, brief);

		if (brief && is_plain(f, value))
			json_decref(value);
		else
			json_object_set_new(into, f->name, value);
		if (f->kind == QB_FIELD_TRI && t->state == QB_UNKNOWN && t->why) {
			_cleanup_free_ char *key = qb_asprintf("%s_unknown", f->name);

			json_object_set_new(into, key, text_json(t->why));
		}
	}
}

void qb_schema_add_json(const struct qb_type *type, const void *obj, json_t *into)
{
	add_json(type, obj, false, into);
}

static json_t *object_json(const struct qb_type *type, const void *obj, bool brief)
{
	json_t *object = json_object();

	add_json(type, obj, brief, object);
	return object;
}

json_t *qb_schema_to_json(const struct qb_type *type, const void *obj)
{
	return object_json(type, obj, false);
}

json_t *qb_schema_to_json_brief(const struct qb_type *type, const void *obj)
{
	return object_json(type, obj, true);
}

static void release(const struct qb_type *type, void *obj);

static void release_list(const struct qb_field *f, void *obj)
{
	size_t n;
	const char *v = list_of(obj, f, &n);
	char *owned;

	memcpy(&owned, &v, sizeof(owned));
	for (size_t i = 0; i < n; i++)
		release(f->of, owned + i * f->of->size);
	free(owned);
}

static void release(const struct qb_type *type, void *obj)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct qb_field *f = &type->fields[i];
		void *m = (char *)obj + f->offset;

		switch (f->kind) {
		case QB_FIELD_TRI:
			free(((struct qb_tri *)m)->why);
			break;
		case QB_FIELD_STR:
			free(*(char **)m);
			break;
		case QB_FIELD_STRS:
			qb_strs_done(m);
			break;
		case QB_FIELD_OBJECT:
			release(f->of, m);
			break;
		case QB_FIELD_LIST:
			release_list(f, obj);
			break;
		case QB_FIELD_BOOL:
		case QB_FIELD_I64:
		case QB_FIELD_U64:
		case QB_FIELD_SIZE:
		case QB_FIELD_ENUM:
			break;
		}
	}
}

/* Zeroed at the end only: types may describe parts of one struct, as facts do with struct qb_net.
 */
void qb_schema_done(const struct qb_type *type, void *obj)
{
	release(type, obj);
	memset(obj, 0, type->size);
}
