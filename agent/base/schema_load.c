/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/schema.h"

#include <errno.h>
#include <inttypes.h>

#include "agent/base/schema_scalar.h"
#include "agent/base/schema_yaml.h"

struct loader {
	unsigned flags;
	struct qb_positions *pos;
	struct qb_diags *diags;
};

/* A place to put a value: the field's member in obj, the item of a list, or a position alone. */
static void *member(void *obj, const struct qb_field *f)
{
	return (char *)obj + f->offset;
}

/* Returns its index, for what is known about it only later. */
static size_t record(struct loader *l, const void *m, const struct qb_yaml *at, bool whole)
{
	if (!l->pos)
		return 0;
	*QB_APPEND(l->pos->v, l->pos->n) = (struct qb_position){
		.member = m,
		.line = at->line,
		.column = at->column,
		.whole = whole,
	};
	return l->pos->n - 1;
}

static void defaults(const struct qb_type *type, void *obj)
{
	for (size_t i = 0; i < type->n_fields; i++)
		if (type->fields[i].kind == QB_FIELD_OBJECT)
			defaults(type->fields[i].of, member(obj, &type->fields[i]));
	if (type->init)
		type->init(obj);
}

static void load_object(struct loader *l, const struct qb_type *type, const char *name,
			const struct qb_yaml *at, const struct qb_yaml *node, void *obj);

/* The items of a list: its children, or node itself where that may stand for its one item. */
static const struct qb_yaml *items(struct loader *l, const struct qb_field *f,
				   const struct qb_yaml *at, const struct qb_yaml *node,
				   size_t *ret_n)
{
	_cleanup_free_ char *what = NULL;

	*ret_n = node->n;
	if (node->kind == QB_YAML_LIST && f->max && node->n > (uint64_t)f->max) {
		qb_diags_add(l->diags, node->line, node->column,
			     "\"%s\" has more than %" PRId64 " items", f->name, f->max);
		*ret_n = 0;
		return NULL;
	}
	if (node->kind == QB_YAML_LIST)
		return node->child;
	*ret_n = 1;
	if (f->flags & QB_FIELD_ONE_IS_LIST && !qb_yaml_is_null(node))
		return node;
	*ret_n = 0;
	what = qb_yaml_describe(node);
	if (qb_yaml_is_null(node))
		qb_diags_add(l->diags, at->line, at->column,
			     "\"%s\" has no value: write [] for an empty list, or leave it out",
			     f->name);
	else
		qb_diags_add(l->diags, node->line, node->column, "\"%s\" must be a list, not %s",
			     f->name, what);
	return NULL;
}

static void load_list(struct loader *l, const struct qb_field *f, const struct qb_yaml *at,
		      const struct qb_yaml *node, void *obj)
{
	size_t n, room = 1;
	const struct qb_yaml *item = items(l, f, at, node, &n);
	char *v = NULL;

	/* As much room as qb_append() would have made: the list can grow later. */
	while (room < n)
		room *= 2;
	if (n)
		v = qb_alloc(room, f->of->size);
	memcpy(member(obj, f), &v, sizeof(v));
	memcpy((char *)obj + f->n_offset, &n, sizeof(n));
	for (size_t i = 0; i < n; i++, item = item->next) {
		_cleanup_free_ char *name = qb_asprintf("%s[%zu]", f->name, i);

		defaults(f->of, v + i * f->of->size);
		load_object(l, f->of, name, item, item, v + i * f->of->size);
	}
}

static void load_strs(struct loader *l, const struct qb_field *f, const struct qb_yaml *at,
		      const struct qb_yaml *node, struct qb_strs *ret)
{
	size_t n;
	const struct qb_yaml *item = items(l, f, at, node, &n);

	for (size_t i = 0; i < n; i++, item = item->next) {
		_cleanup_free_ char *name = qb_asprintf("%s[%zu]", f->name, i);
		_cleanup_free_ char *value = NULL;

		if (qb_load_text(f, name, item, &value, l->diags))
			qb_strs_add(ret, value);
	}
}

/* at: what an error about the value as a whole points to; of a missing value, its key. */
static void load_field(struct loader *l, const struct qb_field *f, const struct qb_yaml *at,
		       const struct qb_yaml *node, void *obj)
{
	void *m = member(obj, f);
	bool null = qb_yaml_is_null(node);
	size_t before = l->diags->n, first;

	if (node->kind == QB_YAML_REFUSED)
		return;
	if (null && !(l->flags & QB_LOAD_WRITTEN) && !(f->flags & QB_FIELD_REQUIRED) &&
	    (f->kind == QB_FIELD_STR || f->kind == QB_FIELD_TRI))
		return;
	if (f->kind == QB_FIELD_OBJECT) {
		load_object(l, f->of, f->name, at, node, m);
		return;
	}
	first = record(l, m,
		       f->kind == QB_FIELD_LIST || f->kind == QB_FIELD_STRS || null ? at : node,
		       false);
	if (f->kind == QB_FIELD_LIST)
		load_list(l, f, at, node, obj);
	else if (f->kind == QB_FIELD_STRS)
		load_strs(l, f, at, node, m);
	else if (null)
		qb_diags_add(l->diags, at->line, at->column,
			     "\"%s\" has no value: give one, or leave the key out", f->name);
	else
		qb_load_scalar(f, node, m, l->diags);
	if (l->pos)
		l->pos->v[first].bad = l->diags->n > before;
}

static const struct qb_field *field_by_name(const struct qb_type *type, const char *name,
					    size_t *ret_i)
{
	for (size_t i = 0; i < type->n_fields; i++)
		if (!strcmp(type->fields[i].name, name)) {
			*ret_i = i;
			return &type->fields[i];
		}
	return NULL;
}

/* "<name>_unknown": why the fact <name> is not known. */
static const struct qb_field *field_of_unknown(const struct qb_type *type, const char *key)
{
	static const char suffix[] = "_unknown";
	size_t i;

	if (qb_endswith(key, suffix)) {
		_cleanup_free_ char *name = qb_strndup(key, strlen(key) - (sizeof(suffix) - 1));
		const struct qb_field *f = field_by_name(type, name, &i);

		if (f && f->kind == QB_FIELD_TRI)
			return f;
	}
	return NULL;
}

static void unknown_key(struct loader *l, const struct qb_type *type, const struct qb_yaml *key)
{
	_cleanup_free_ const char **names = qb_alloc(type->n_fields, sizeof(*names));
	_cleanup_strs_ struct qb_strs known = {0};
	_cleanup_free_ char *all = NULL, *shown = qb_yaml_describe(key);
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < type->n_fields; i++)
		if (!(type->fields[i].flags & QB_FIELD_SCALAR_ONLY)) {
			names[n++] = type->fields[i].name;
			qb_strs_add(&known, type->fields[i].name);
		}
	near = qb_str_nearest(key->text, names, n);
	if (near) {
		qb_diags_add(l->diags, key->line, key->column,
			     "unknown key %s; did you mean \"%s\"?", shown, near);
		return;
	}
	all = qb_strs_sentence(&known);
	qb_diags_add(l->diags, key->line, key->column, "unknown key %s; what can stand here: %s",
		     shown, all);
}

/* False for a key that cannot be here. */
static bool load_pair(struct loader *l, const struct qb_type *type, const struct qb_yaml *key,
		      void *obj, unsigned *lines)
{
	const struct qb_yaml *value = key->next;
	const struct qb_field *f, *fact;
	size_t i = 0;

	if (key->kind == QB_YAML_REFUSED)
		return false;
	if (key->kind != QB_YAML_SCALAR) {
		qb_diags_add(l->diags, key->line, key->column,
			     "a key must be a word, not a list or keys and values");
		return false;
	}
	f = field_by_name(type, key->text, &i);
	if (f && f->flags & QB_FIELD_SCALAR_ONLY && l->flags & QB_LOAD_WRITTEN)
		f = NULL;
	if (!f) {
		fact = l->flags & QB_LOAD_WRITTEN ? NULL : field_of_unknown(type, key->text);
		if (fact && value->kind == QB_YAML_SCALAR && !qb_yaml_is_null(value))
			qb_strset(&((struct qb_tri *)member(obj, fact))->why, value->text);
		if (fact || !(l->flags & QB_LOAD_STRICT))
			return true;
		unknown_key(l, type, key);
		return false;
	}
	if (lines[i]) {
		qb_diags_add(l->diags, key->line, key->column,
			     "the key \"%s\" is here a second time; the first is in line %u",
			     f->name, lines[i]);
		return true;
	}
	lines[i] = key->line;
	load_field(l, f, qb_yaml_is_null(value) || value->kind != QB_YAML_SCALAR ? key : value,
		   value, obj);
	return true;
}

static bool load_keys(struct loader *l, const struct qb_type *type, const char *name,
		      const struct qb_yaml *at, const struct qb_yaml *node, void *obj)
{
	_cleanup_free_ unsigned *lines = qb_alloc(type->n_fields, sizeof(*lines));
	bool good = true;

	for (const struct qb_yaml *key = node->child; key; key = key->next->next)
		good = load_pair(l, type, key, obj, lines) && good;
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct qb_field *f = &type->fields[i];

		if (f->kind == QB_FIELD_TRI && ((struct qb_tri *)member(obj, f))->state)
			qb_strset(&((struct qb_tri *)member(obj, f))->why, NULL);
		if (!(f->flags & QB_FIELD_REQUIRED) || lines[i])
			continue;
		qb_diags_add(l->diags, at->line, at->column, "%s%s\"%s\" is missing",
			     name ? name : "", name ? ": " : "", f->name);
	}
	return good;
}

static void load_object(struct loader *l, const struct qb_type *type, const char *name,
			const struct qb_yaml *at, const struct qb_yaml *node, void *obj)
{
	const struct qb_yaml *place = qb_yaml_is_null(node) ? at : node;
	_cleanup_free_ char *what = NULL;
	size_t first, i;
	bool good = false;

	if (node->kind == QB_YAML_REFUSED)
		return;
	first = record(l, obj, at, true);
	if (node->kind == QB_YAML_MAP) {
		good = load_keys(l, type, name, at, node, obj);
	} else if (type->scalar && node->kind == QB_YAML_SCALAR && !qb_yaml_is_null(node)) {
		load_field(l, field_by_name(type, type->scalar, &i), node, node, obj);
		good = true;
	} else {
		what = qb_yaml_describe(node);
		qb_diags_add(l->diags, place->line, place->column,
			     "%s%s%smust be keys and values, not %s", name ? "\"" : "",
			     name ? name : "the document ", name ? "\" " : "", what);
	}
	if (l->pos)
		l->pos->v[first].bad = !good;
}

/* root: NULL where there is no tree, of which diags says why. */
static int load(struct loader *l, const struct qb_type *type, const struct qb_yaml *root,
		size_t n_before, void *ret)
{
	memset(ret, 0, type->size);
	defaults(type, ret);
	if (root)
		load_object(l, type, NULL, root, root, ret);
	qb_diags_sort(l->diags);
	if (l->pos)
		qb_positions_sort(l->pos);
	return l->diags->n > n_before ? -EINVAL : 0;
}

int qb_schema_load(const struct qb_type *type, const char *text, size_t len, unsigned flags,
		   void *ret, struct qb_positions *pos, struct qb_diags *diags)
{
	struct loader l = {.flags = flags, .pos = pos, .diags = diags};
	_cleanup_yaml_ struct qb_yaml *root = NULL;
	size_t n_before = diags->n;

	(void)!qb_yaml_parse(text, len, &root, diags);
	return load(&l, type, root, n_before, ret);
}

int qb_schema_load_json(const struct qb_type *type, const json_t *json, unsigned flags, void *ret,
			struct qb_diags *diags)
{
	struct loader l = {.flags = flags, .diags = diags};
	_cleanup_yaml_ struct qb_yaml *root = qb_yaml_of_json(json);

	return load(&l, type, root, diags->n, ret);
}
