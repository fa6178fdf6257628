/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/schema.h"

static json_t *type_named(const char *name, bool nullable)
{
	json_t *type = json_object(), *names;

	if (!nullable) {
		json_object_set_new(type, "type", json_string(name));
		return type;
	}
	names = json_array();
	json_array_append_new(names, json_string(name));
	json_array_append_new(names, json_string("null"));
	json_object_set_new(type, "type", names);
	return type;
}

static json_t *integer(const struct qb_field *f)
{
	json_t *type = type_named("integer", false);
	bool bounded = f->min || f->max;

	if (bounded || f->kind != QB_FIELD_I64)
		json_object_set_new(type, "minimum", json_integer(bounded ? f->min : 0));
	if (bounded)
		json_object_set_new(type, "maximum", json_integer(f->max));
	return type;
}

static json_t *words(const struct qb_field *f)
{
	json_t *type = json_object(), *names = json_array();

	for (size_t i = 0; f->names[i]; i++)
		json_array_append_new(names, json_string(f->names[i]));
	json_object_set_new(type, "enum", names);
	return type;
}

static json_t *list(json_t *item)
{
	json_t *type = type_named("array", false);

	json_object_set_new(type, "items", item);
	return type;
}

static json_t *describe_field(const struct qb_field *f)
{
	switch (f->kind) {
	case QB_FIELD_BOOL:
		return type_named("boolean", false);
	case QB_FIELD_TRI:
		return type_named("boolean", true);
	case QB_FIELD_I64:
	case QB_FIELD_U64:
	case QB_FIELD_SIZE:
		return integer(f);
	case QB_FIELD_STR:
		return type_named("string", !(f->flags & QB_FIELD_REQUIRED));
	case QB_FIELD_ENUM:
		return words(f);
	case QB_FIELD_STRS:
		return list(type_named("string", false));
	case QB_FIELD_OBJECT:
		return qb_schema_describe(f->of);
	case QB_FIELD_LIST:
		return list(qb_schema_describe(f->of));
	}
	return NULL;
}

/* "<name>_unknown" is there at most when the fact is null. */
static void describe_unknown(const struct qb_field *f, json_t *properties, json_t *dependent)
{
	_cleanup_free_ char *key = qb_asprintf("%s_unknown", f->name);
	json_t *why = type_named("string", false);
	json_t *only_null = json_pack("{s{s{ss}}}", "properties", f->name, "type", "null");

	json_object_set_new(why, "description", json_string("Why it is not known."));
	json_object_set_new(properties, key, why);
	json_object_set_new(dependent, key, only_null);
}

json_t *qb_schema_describe(const struct qb_type *type)
{
	json_t *schema = type_named("object", false), *properties = json_object();
	json_t *required = json_array(), *dependent = json_object();

	if (type->doc)
		json_object_set_new(schema, "description", json_string(type->doc));
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct qb_field *f = &type->fields[i];
		json_t *property = describe_field(f);

		if (f->doc)
			json_object_set_new(property, "description", json_string(f->doc));
		json_object_set_new(properties, f->name, property);
		json_array_append_new(required, json_string(f->name));
		if (f->kind == QB_FIELD_TRI)
			describe_unknown(f, properties, dependent);
	}
	json_object_set_new(schema, "properties", properties);
	json_object_set_new(schema, "required", required);
	if (json_object_size(dependent))
		json_object_set(schema, "dependentSchemas", dependent);
	json_decref(dependent);
	json_object_set_new(schema, "additionalProperties", json_false());
	return schema;
}
