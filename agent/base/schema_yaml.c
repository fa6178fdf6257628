/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/schema_yaml.h"

#include <assert.h>
#include <errno.h>

#include "agent/base/yaml_lib.h"

enum {
	DEPTH_MAX = 32,
	NODES_MAX = 4 << 20,
	SIZE_MAX_BYTES = 64 << 20,
};

struct builder {
	yaml_parser_t parser;
	struct qb_yaml *root;
	struct qb_yaml *open[DEPTH_MAX]; /* lists and maps under way */
	struct qb_yaml **tail[DEPTH_MAX];
	size_t depth, n_nodes;
	bool document; /* one has begun */
	const char *text;
	size_t len;
	struct qb_diags *diags;
};

static void _cleanup_event_done(yaml_event_t *event)
{
	sym_yaml_event_delete(event);
}
#define _cleanup_event_ QB_CLEANUP(_cleanup_event_done)

bool qb_yaml_is_null(const struct qb_yaml *node)
{
	return node->kind == QB_YAML_SCALAR && node->plain &&
	       (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null") ||
		!strcmp(node->text, "Null") || !strcmp(node->text, "NULL"));
}

/* Depth is bounded by DEPTH_MAX. */
void qb_yaml_free(struct qb_yaml *node)
{
	while (node) {
		struct qb_yaml *next = node->next;

		qb_yaml_free(node->child);
		free(node->text);
		free(node);
		node = next;
	}
}

QB_PRINTF(3, 4)
static void error_at(struct builder *b, yaml_mark_t mark, const char *fmt, ...)
{
	_cleanup_free_ char *msg = NULL;
	va_list ap;

	va_start(ap, fmt);
	msg = qb_vasprintf(fmt, ap);
	va_end(ap);
	qb_diags_add(b->diags, (unsigned)mark.line + 1, (unsigned)mark.column + 1, "%s", msg);
}

/* A reader error (bytes that are no text) comes with an offset only. */
static yaml_mark_t mark_of_offset(const struct builder *b, size_t offset)
{
	yaml_mark_t mark = {0};

	for (size_t i = 0; i < offset && i < b->len; i++) {
		if (b->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if (((unsigned char)b->text[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static void syntax_error(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	const char *problem = p->problem ? p->problem : "cannot be parsed";
	const char *hint = "";
	size_t at = p->problem_mark.index;

	switch (p->error) {
	case YAML_READER_ERROR:
		if (p->problem_value >= 0)
			error_at(b, mark_of_offset(b, p->problem_offset),
				 "not text in UTF-8: %s (0x%02X)", problem,
				 (unsigned)p->problem_value);
		else
			error_at(b, mark_of_offset(b, p->problem_offset), "not text in UTF-8: %s",
				 problem);
		return;
	case YAML_MEMORY_ERROR:
		abort();
	case YAML_NO_ERROR:
	case YAML_SCANNER_ERROR:
	case YAML_PARSER_ERROR:
	case YAML_COMPOSER_ERROR:
	case YAML_WRITER_ERROR:
	case YAML_EMITTER_ERROR:
		break;
	}
	if (at < b->len && b->text[at] == '\t')
		hint = "; indent with spaces, not with tabs";
	if (p->context && p->context_mark.line != p->problem_mark.line)
		error_at(b, p->problem_mark, "not valid YAML: %s, %s that began in line %zu%s",
			 problem, p->context, p->context_mark.line + 1, hint);
	else if (p->context)
		error_at(b, p->problem_mark, "not valid YAML: %s, %s%s", problem, p->context, hint);
	else
		error_at(b, p->problem_mark, "not valid YAML: %s%s", problem, hint);
}

static struct qb_yaml *add_node(struct builder *b, enum qb_yaml_kind kind, yaml_mark_t mark)
{
	struct qb_yaml *node = qb_alloc(1, sizeof(*node));

	node->kind = kind;
	node->line = (unsigned)mark.line + 1;
	node->column = (unsigned)mark.column + 1;
	b->n_nodes++;
	if (b->depth) {
		*b->tail[b->depth - 1] = node;
		b->tail[b->depth - 1] = &node->next;
		b->open[b->depth - 1]->n++;
	} else {
		b->root = node;
	}
	return node;
}

static void refuse_properties(struct builder *b, yaml_mark_t mark, const yaml_char_t *anchor,
			      const yaml_char_t *tag)
{
	if (anchor)
		error_at(b, mark, "an anchor (&%s) is not accepted here; write the value out",
			 (const char *)anchor);
	if (tag)
		error_at(b, mark, "a tag (%s) is not accepted here; leave it out",
			 (const char *)tag);
}

static int add_container(struct builder *b, enum qb_yaml_kind kind, yaml_mark_t mark)
{
	struct qb_yaml *node;

	if (b->depth == DEPTH_MAX) {
		error_at(b, mark, "nested deeper than %d levels", DEPTH_MAX);
		return -EINVAL;
	}
	node = add_node(b, kind, mark);
	b->open[b->depth] = node;
	b->tail[b->depth] = &node->child;
	b->depth++;
	return 0;
}

static void add_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct qb_yaml *node = add_node(b, QB_YAML_SCALAR, event->start_mark);

	if (strlen(text) != event->data.scalar.length) {
		error_at(b, event->start_mark, "text must not contain a zero byte");
		node->kind = QB_YAML_REFUSED;
	}
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = qb_strdup(text);
}

/* 1 at the end of the stream. */
static int take_event(struct builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		if (b->document) {
			error_at(b, event->start_mark,
				 "a second document begins here; one file holds one");
			return -EINVAL;
		}
		b->document = true;
		return 0;
	case YAML_ALIAS_EVENT:
		error_at(b, event->start_mark,
			 "an alias (*%s) is not accepted here; write the value out",
			 (const char *)event->data.alias.anchor);
		add_node(b, QB_YAML_REFUSED, event->start_mark)->text = qb_strdup("");
		return 0;
	case YAML_SCALAR_EVENT:
		refuse_properties(b, event->start_mark, event->data.scalar.anchor,
				  event->data.scalar.tag);
		add_scalar(b, event);
		return 0;
	case YAML_SEQUENCE_START_EVENT:
		refuse_properties(b, event->start_mark, event->data.sequence_start.anchor,
				  event->data.sequence_start.tag);
		return add_container(b, QB_YAML_LIST, event->start_mark);
	case YAML_MAPPING_START_EVENT:
		refuse_properties(b, event->start_mark, event->data.mapping_start.anchor,
				  event->data.mapping_start.tag);
		return add_container(b, QB_YAML_MAP, event->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		assert(b->depth > 0);
		b->depth--;
		return 0;
	}
	return -EINVAL;
}

static int build(struct builder *b)
{
	int r = 0;

	while (r == 0) {
		_cleanup_event_ yaml_event_t event = {0};

		if (!sym_yaml_parser_parse(&b->parser, &event)) {
			syntax_error(b);
			return -EINVAL;
		}
		r = take_event(b, &event);
		if (b->n_nodes > NODES_MAX) {
			error_at(b, event.start_mark, "more than %d values", NODES_MAX);
			return -EINVAL;
		}
	}
	return r < 0 ? r : 0;
}

int qb_yaml_parse(const char *text, size_t len, struct qb_yaml **ret, struct qb_diags *diags)
{
	struct builder b = {.text = text, .len = len, .diags = diags};
	struct qb_error err = QB_ERROR_INIT;
	int r;

	if (len > SIZE_MAX_BYTES) {
		qb_diags_add(diags, 0, 0, "larger than %d MiB", SIZE_MAX_BYTES >> 20);
		return -EINVAL;
	}
	r = qb_libyaml_load(&err);
	if (r < 0) {
		qb_diags_add(diags, 0, 0, "%s", err.msg);
		return -EINVAL;
	}
	if (!sym_yaml_parser_initialize(&b.parser))
		abort();
	/* Not guessed from a byte order mark: UTF-16 would make every position wrong. */
	sym_yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	sym_yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
	r = build(&b);
	sym_yaml_parser_delete(&b.parser);
	if (r == 0 && (!b.root || (qb_yaml_is_null(b.root) && !*b.root->text))) {
		qb_diags_add(diags, 0, 0, "there is nothing in it");
		r = -EINVAL;
	}
	if (r < 0)
		qb_yaml_free(b.root);
	else
		*ret = b.root;
	return r;
}

/* What is in no file; a key counts as there by its line. */
static struct qb_yaml *new_node(enum qb_yaml_kind kind, char *text)
{
	struct qb_yaml *node = qb_alloc(1, sizeof(*node));

	node->kind = kind;
	node->line = 1;
	node->text = text;
	return node;
}

static struct qb_yaml *of_scalar(const json_t *json)
{
	struct qb_yaml *node = new_node(QB_YAML_SCALAR, NULL);

	node->plain = !json_is_string(json);
	if (json_is_string(json))
		node->text = qb_strdup(json_string_value(json));
	else if (json_is_integer(json))
		node->text = qb_asprintf("%" JSON_INTEGER_FORMAT, json_integer_value(json));
	else if (json_is_real(json))
		node->text = qb_asprintf("%.17g", json_real_value(json));
	else
		node->text = qb_strdup(json_is_null(json)   ? "null"
				       : json_is_true(json) ? "true"
							    : "false");
	return node;
}

/* A document of ours, which is as deep as its type. */
struct qb_yaml *qb_yaml_of_json(const json_t *json)
{
	struct qb_yaml *node, **tail;
	const json_t *value;
	const char *key;
	size_t i;

	if (!json_is_object(json) && !json_is_array(json))
		return of_scalar(json);
	node = new_node(json_is_object(json) ? QB_YAML_MAP : QB_YAML_LIST, NULL);
	tail = &node->child;
	json_object_foreach ((json_t *)json, key, value) {
		*tail = new_node(QB_YAML_SCALAR, qb_strdup(key));
		(*tail)->next = qb_yaml_of_json(value);
		tail = &(*tail)->next->next;
		node->n += 2;
	}
	json_array_foreach (json, i, value) {
		*tail = qb_yaml_of_json(value);
		tail = &(*tail)->next;
		node->n++;
	}
	return node;
}
