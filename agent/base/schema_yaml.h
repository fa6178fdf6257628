/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML document as a tree that still knows where everything was written. Built from libyaml's
 * events and not by yaml_parser_load(), whose tree has lost tags, anchors and quotes' meaning.
 */
#pragma once

#include "agent/base/schema.h"

enum qb_yaml_kind {
	QB_YAML_SCALAR,
	QB_YAML_LIST,
	QB_YAML_MAP,
	QB_YAML_REFUSED, /* an error was given for it already */
};

struct qb_yaml {
	enum qb_yaml_kind kind;
	bool plain; /* a scalar without quotes */
	unsigned line, column;
	char *text;            /* of a scalar */
	struct qb_yaml *child; /* of a map: key, value, key, value... */
	struct qb_yaml *next;
	size_t n; /* children */
};

/*
 * Errors go to diags. -EINVAL, with nothing in *ret, where there is no tree: broken syntax, no
 * document or more than one, nesting or size beyond the bounds. Anchors, aliases and tags leave
 * an error in diags and a tree.
 */
QB_MUST_CHECK int qb_yaml_parse(const char *text, size_t len, struct qb_yaml **ret,
				struct qb_diags *diags);
/* The same tree of what is JSON already, without positions. */
struct qb_yaml *qb_yaml_of_json(const json_t *json);
void qb_yaml_free(struct qb_yaml *node);
QB_DEFINE_CLEANUP(struct qb_yaml *, qb_yaml_free);
#define _cleanup_yaml_ QB_CLEANUP(qb_yaml_freep)

/* null, ~ or nothing at all, not quoted. */
bool qb_yaml_is_null(const struct qb_yaml *node);
