/* SPDX-License-Identifier: Apache-2.0 */
/* One value from a scalar of a YAML document, strictly of its field's type. */
#pragma once

#include "agent/base/schema_yaml.h"

/* What stands there, for a message: "\"vhost\"", "a list"... The caller frees it. */
char *qb_yaml_describe(const struct qb_yaml *node);
/* Of a STR, or one of STRS. False where there is no text; text that is not valid is given. */
bool qb_load_text(const struct qb_field *f, const char *name, const struct qb_yaml *node,
		  char **ret, struct qb_diags *diags);
/* member is of f's kind, which is none of STRS, OBJECT and LIST. */
void qb_load_scalar(const struct qb_field *f, const struct qb_yaml *node, void *member,
		    struct qb_diags *diags);
