/* SPDX-License-Identifier: Apache-2.0 */
/* An XML document as a tree, for what libvirt says and is told: elements, attributes and text. */
#pragma once

#include "agent/base/str.h"

struct qb_xml {
	char *name;
	char *text; /* without white space at both ends; NULL: there is none */
	struct qb_xml_attribute {
		char *name, *value;
	} * attributes;
	size_t n_attributes;
	struct qb_xml *parent, *first, *last, *next; /* owned by the parent */
};

/*
 * The document, when its root element has that name, else NULL: also when it is not well formed,
 * too large, too deep, or has a DOCTYPE, so that there are no entities but XML's own.
 */
struct qb_xml *qb_xml_read(const char *text, const char *root);
void qb_xml_free(struct qb_xml *root);

static inline void qb_xml_freep(struct qb_xml **root)
{
	qb_xml_free(*root);
}
#define _cleanup_xml_ QB_CLEANUP(qb_xml_freep)

/* All take NULL for "no such element", and then return NULL. Strings are the tree's. */
const struct qb_xml *qb_xml_child(const struct qb_xml *parent, const char *name);
const struct qb_xml *qb_xml_next(const struct qb_xml *element); /* of its name */
const char *qb_xml_value(const struct qb_xml *element, const char *name);
const char *qb_xml_content(const struct qb_xml *element);

#define QB_XML_EACH(element, parent, name)                                                         \
	for (const struct qb_xml *element = qb_xml_child(parent, name); element;                   \
	     element = qb_xml_next(element))

/* parent NULL: the root. text may be NULL. */
struct qb_xml *qb_xml_add(struct qb_xml *parent, const char *name, const char *text);
/* Returns the element. What the attribute was is replaced. */
struct qb_xml *qb_xml_set(struct qb_xml *element, const char *name, const char *value);
void qb_xml_unset(struct qb_xml *element, const char *name);
/* The first child of that name, made where there is none. */
struct qb_xml *qb_xml_part(struct qb_xml *parent, const char *name);
/* A copy of the element as the last child of parent (NULL: as a root). */
struct qb_xml *qb_xml_copy(struct qb_xml *parent, const struct qb_xml *element);
/* Takes a child out of its parent, and frees it. */
void qb_xml_drop(struct qb_xml *child);
/* All children of that name. */
void qb_xml_drop_all(struct qb_xml *parent, const char *name);
/* Adds s with what is special in text or in an attribute written as an entity. */
void qb_xml_escape(struct qb_buf *out, const char *s);
/* Indented; for text without control characters and white space at its ends. Caller frees. */
char *qb_xml_write(const struct qb_xml *root);
