/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One description of a struct serves to load it strictly from YAML (JSON is YAML), to print it as
 * JSON, to free it, and to document it, as text and as a JSON Schema. Facts and configuration are
 * both such structs.
 */
#pragma once

#include <jansson.h>

#include "agent/base/str.h"
#include "agent/base/tri.h"

enum qb_field_kind {
	QB_FIELD_BOOL,   /* bool */
	QB_FIELD_TRI,    /* struct qb_tri; JSON true, false, or null with "<name>_unknown": why */
	QB_FIELD_I64,    /* int64_t */
	QB_FIELD_U64,    /* uint64_t */
	QB_FIELD_SIZE,   /* uint64_t bytes; "200GiB" is accepted */
	QB_FIELD_STR,    /* char *, owned; JSON null when NULL */
	QB_FIELD_ENUM,   /* int, an index into names[] */
	QB_FIELD_STRS,   /* struct qb_strs */
	QB_FIELD_OBJECT, /* an embedded struct of type of */
	QB_FIELD_LIST,   /* T *x; size_t n_x; of type of */
};

enum qb_field_flags {
	QB_FIELD_REQUIRED = 1 << 0,
	/* A list may be written as its one item without the brackets. */
	QB_FIELD_ONE_IS_LIST = 1 << 1,
	/* Set by the scalar that stands in place of its object; not a key for a person. */
	QB_FIELD_SCALAR_ONLY = 1 << 2,
};

struct qb_type;

struct qb_field {
	const char *name; /* the key */
	enum qb_field_kind kind;
	unsigned flags;
	size_t offset, n_offset;  /* n_offset: of the count of a QB_FIELD_LIST */
	const struct qb_type *of; /* OBJECT, LIST */
	const char *const *names; /* ENUM; ends with NULL */
	/* STR, STRS: NULL when value is good, else what is expected ("a MAC address"). */
	const char *(*valid)(const char *value);
	/* Of an I64, U64, SIZE; no bounds while both are 0. LIST, STRS: max items, 0 for any. */
	int64_t min, max;
	const char *doc; /* one sentence for a person; with the default where there is one */
};

struct qb_type {
	const char *name;
	size_t size;
	const struct qb_field *fields;
	size_t n_fields;
	/* A scalar in place of the object sets this key alone ("ipv4: inherit"). May be NULL. */
	const char *scalar;
	const char *doc;
	/* Sets defaults in a zeroed struct before keys are read. May be NULL. */
	void (*init)(void *obj);
};

#define QB_F(strct, member, key, k, ...)                                                           \
	{                                                                                          \
		.name = (key), .kind = QB_FIELD_##k, .offset = offsetof(struct strct, member),     \
		__VA_ARGS__                                                                        \
	}
#define QB_F_LIST(strct, member, key, t, ...)                                                      \
	{                                                                                          \
		.name = (key), .kind = QB_FIELD_LIST, .offset = offsetof(struct strct, member),    \
		.n_offset = offsetof(struct strct, n_##member), .of = (t), __VA_ARGS__             \
	}

/* Something wrong at a place in a file. line and column count from 1; 0 where there is none. */
struct qb_diag {
	unsigned line, column;
	char *msg;
};

struct qb_diags {
	char *file;
	struct qb_diag *v;
	size_t n;
};

QB_PRINTF(4, 5)
void qb_diags_add(struct qb_diags *d, unsigned line, unsigned column, const char *fmt, ...);
void qb_diags_sort(struct qb_diags *d);
void qb_diags_done(struct qb_diags *d);
#define _cleanup_diags_ QB_CLEANUP(qb_diags_done)

/* Where in the file a member was written, found by the member's address in the loaded struct. */
struct qb_position {
	const void *member;
	unsigned line, column;
	bool whole; /* an object, also as item of a list; its first member has the same address */
	/* The value was refused. With whole: for a key that is not known, or for not being an
	 * object at all, so that what seems missing may only be misspelt. */
	bool bad;
};

struct qb_positions {
	struct qb_position *v;
	size_t n;
};

/* The position of member, or of nothing ({NULL, 0, 0}) when the file does not name it. */
struct qb_position qb_positions_find(const struct qb_positions *p, const void *member);
/* The same for an embedded object or an item of a list. */
struct qb_position qb_positions_find_object(const struct qb_positions *p, const void *obj);
void qb_positions_sort(struct qb_positions *p);
void qb_positions_done(struct qb_positions *p);
#define _cleanup_positions_ QB_CLEANUP(qb_positions_done)

enum qb_load_flags {
	QB_LOAD_STRICT = 1 << 0, /* an unknown key is an error */
	/* By a person: a key without a value is an error. Else null is a string or a fact that is
	 * not known, and "<name>_unknown" says why the fact is not. */
	QB_LOAD_WRITTEN = 1 << 1,
};

/*
 * Fills *ret (of type->size bytes, overwritten) from YAML text. All errors are collected in diags:
 * syntax, unknown and double keys with the nearest right word, wrong types, values out of bounds,
 * missing required keys. -EINVAL when there was any; *ret is then to be freed nevertheless, with
 * qb_schema_done(). Aliases and tags are refused; nesting and size are bounded. pos may be NULL.
 */
QB_MUST_CHECK int qb_schema_load(const struct qb_type *type, const char *text, size_t len,
				 unsigned flags, void *ret, struct qb_positions *pos,
				 struct qb_diags *diags);
/* The same of a document that is JSON already; its errors have no positions. */
QB_MUST_CHECK int qb_schema_load_json(const struct qb_type *type, const json_t *json,
				      unsigned flags, void *ret, struct qb_diags *diags);

/*
 * A new reference. Every key is there. Text is made safe to print and to load again: what is not
 * UTF-8, and control characters beyond those that JSON escapes, become \xNN.
 */
json_t *qb_schema_to_json(const struct qb_type *type, const void *obj);
/*
 * The same, for what only loads it again: without what is null, false, 0 or an empty list and not
 * required. Of types whose init() sets nothing else.
 */
json_t *qb_schema_to_json_brief(const struct qb_type *type, const void *obj);
/* The members of obj put into an existing JSON object. */
void qb_schema_add_json(const struct qb_type *type, const void *obj, json_t *into);
/* A JSON Schema (draft 2020-12) of exactly what qb_schema_to_json() prints. */
json_t *qb_schema_describe(const struct qb_type *type);
/* Frees what the struct owns and zeroes it; not the struct itself. */
void qb_schema_done(const struct qb_type *type, void *obj);
