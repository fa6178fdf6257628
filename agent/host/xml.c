/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/xml.h"

#include <limits.h>
#include <stdlib.h>

#include "agent/host/xml_lib.h"

enum {
	XML_MAX = 16 << 20,
	DEPTH_MAX = 64,
};

struct reading {
	XML_Parser parser;
	struct qb_xml *root, *open; /* the element that was begun last and has not ended */
	struct qb_buf text;         /* of open */
	unsigned depth;
};

void qb_xml_free(struct qb_xml *root)
{
	if (!root)
		return;
	for (struct qb_xml *next, *child = root->first; child; child = next) {
		next = child->next;
		qb_xml_free(child);
	}
	for (size_t i = 0; i < root->n_attributes; i++) {
		free(root->attributes[i].name);
		free(root->attributes[i].value);
	}
	free(root->attributes);
	free(root->name);
	free(root->text);
	free(root);
}

struct qb_xml *qb_xml_add(struct qb_xml *parent, const char *name, const char *text)
{
	struct qb_xml *element = qb_alloc(1, sizeof(*element));

	element->name = qb_strdup(name);
	element->text = qb_strdup(text);
	element->parent = parent;
	if (parent && parent->last)
		parent->last->next = element;
	else if (parent)
		parent->first = element;
	if (parent)
		parent->last = element;
	return element;
}

struct qb_xml *qb_xml_set(struct qb_xml *element, const char *name, const char *value)
{
	struct qb_xml_attribute *a;

	for (size_t i = 0; i < element->n_attributes; i++)
		if (!strcmp(element->attributes[i].name, name)) {
			qb_strset(&element->attributes[i].value, value);
			return element;
		}
	a = QB_APPEND(element->attributes, element->n_attributes);
	a->name = qb_strdup(name);
	a->value = qb_strdup(value);
	return element;
}

void qb_xml_unset(struct qb_xml *element, const char *name)
{
	for (size_t i = 0; i < element->n_attributes; i++) {
		struct qb_xml_attribute *a = &element->attributes[i];

		if (strcmp(a->name, name) != 0)
			continue;
		free(a->name);
		free(a->value);
		memmove(a, a + 1, (--element->n_attributes - i) * sizeof(*a));
		return;
	}
}

struct qb_xml *qb_xml_part(struct qb_xml *parent, const char *name)
{
	struct qb_xml *child = parent->first;

	while (child && strcmp(child->name, name) != 0)
		child = child->next;
	return child ? child : qb_xml_add(parent, name, NULL);
}

struct qb_xml *qb_xml_copy(struct qb_xml *parent, const struct qb_xml *element)
{
	struct qb_xml *copy = qb_xml_add(parent, element->name, element->text);

	for (size_t i = 0; i < element->n_attributes; i++)
		qb_xml_set(copy, element->attributes[i].name, element->attributes[i].value);
	for (const struct qb_xml *child = element->first; child; child = child->next)
		qb_xml_copy(copy, child);
	return copy;
}

void qb_xml_drop(struct qb_xml *child)
{
	struct qb_xml *parent = child->parent, *before = NULL;

	for (struct qb_xml *c = parent->first; c != child; c = c->next)
		before = c;
	if (before)
		before->next = child->next;
	else
		parent->first = child->next;
	if (parent->last == child)
		parent->last = before;
	qb_xml_free(child);
}

void qb_xml_drop_all(struct qb_xml *parent, const char *name)
{
	for (struct qb_xml *next, *child = parent->first; child; child = next) {
		next = child->next;
		if (!strcmp(child->name, name))
			qb_xml_drop(child);
	}
}

static void begin(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *r = data;

	if (++r->depth > DEPTH_MAX) {
		sym_XML_StopParser(r->parser, XML_FALSE);
		return;
	}
	r->open = qb_xml_add(r->open, name, NULL);
	if (!r->root)
		r->root = r->open;
	for (; *attributes; attributes += 2)
		qb_xml_set(r->open, attributes[0], attributes[1]);
	r->text.len = 0;
}

/* That is called, too, for an empty element at which begin() has stopped, with its parent open.
 * Text that has elements in it is of no use here, and goes with them. */
static void end(void *data, const XML_Char *name)
{
	struct reading *r = data;
	const char *inside = r->text.len && !r->open->first ? qb_strip(r->text.s) : "";

	(void)name;
	if (*inside)
		r->open->text = qb_strdup(inside);
	r->text.len = 0;
	r->open = r->open->parent;
	r->depth--;
}

static void text(void *data, const XML_Char *s, int len)
{
	struct reading *r = data;

	qb_buf_add(&r->text, s, (size_t)len);
}

static void doctype(void *data, const XML_Char *name, const XML_Char *system,
		    const XML_Char *public, int internal)
{
	struct reading *r = data;

	(void)name, (void)system, (void)public, (void)internal;
	sym_XML_StopParser(r->parser, XML_FALSE);
}

struct qb_xml *qb_xml_read(const char *document, const char *root)
{
	struct reading r = {0};
	size_t len = strlen(document);
	bool ok;

	if (len > XML_MAX || qb_xml_load(NULL) < 0)
		return NULL;
	r.parser = sym_XML_ParserCreate("UTF-8");
	if (!r.parser)
		abort();
	sym_XML_SetUserData(r.parser, &r);
	sym_XML_SetElementHandler(r.parser, begin, end);
	sym_XML_SetCharacterDataHandler(r.parser, text);
	sym_XML_SetStartDoctypeDeclHandler(r.parser, doctype);
	ok = sym_XML_Parse(r.parser, document, (int)len, XML_TRUE) == XML_STATUS_OK;
	sym_XML_ParserFree(r.parser);
	qb_buf_done(&r.text);
	if (ok && !strcmp(r.root->name, root))
		return r.root;
	qb_xml_free(r.root);
	return NULL;
}

static const struct qb_xml *named(const struct qb_xml *element, const char *name)
{
	while (element && strcmp(element->name, name) != 0)
		element = element->next;
	return element;
}

const struct qb_xml *qb_xml_child(const struct qb_xml *parent, const char *name)
{
	return parent ? named(parent->first, name) : NULL;
}

const struct qb_xml *qb_xml_next(const struct qb_xml *element)
{
	return element ? named(element->next, element->name) : NULL;
}

const char *qb_xml_value(const struct qb_xml *element, const char *name)
{
	for (size_t i = 0; element && i < element->n_attributes; i++)
		if (!strcmp(element->attributes[i].name, name))
			return element->attributes[i].value;
	return NULL;
}

const char *qb_xml_content(const struct qb_xml *element)
{
	return element ? element->text : NULL;
}

void qb_xml_escape(struct qb_buf *out, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '<':
			qb_buf_puts(out, "&lt;");
			break;
		case '>':
			qb_buf_puts(out, "&gt;");
			break;
		case '&':
			qb_buf_puts(out, "&amp;");
			break;
		case '"':
			qb_buf_puts(out, "&quot;");
			break;
		case '\'':
			qb_buf_puts(out, "&#39;");
			break;
		default:
			qb_buf_add(out, s, 1);
		}
}

static void write_element(struct qb_buf *out, const struct qb_xml *element, int depth)
{
	qb_buf_printf(out, "%*s<%s", 2 * depth, "", element->name);
	for (size_t i = 0; i < element->n_attributes; i++) {
		qb_buf_printf(out, " %s=\"", element->attributes[i].name);
		qb_xml_escape(out, element->attributes[i].value);
		qb_buf_puts(out, "\"");
	}
	if (!element->first && !element->text) {
		qb_buf_puts(out, "/>\n");
		return;
	}
	qb_buf_puts(out, ">");
	if (element->first)
		qb_buf_puts(out, "\n");
	else
		qb_xml_escape(out, element->text);
	for (const struct qb_xml *child = element->first; child; child = child->next)
		write_element(out, child, depth + 1);
	qb_buf_printf(out, "%*s</%s>\n", element->first ? 2 * depth : 0, "", element->name);
}

char *qb_xml_write(const struct qb_xml *root)
{
	struct qb_buf out = {0};

	write_element(&out, root, 0);
	return out.s;
}
