/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml, for those who have something to parse. */
#pragma once

#include <yaml.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_LIBYAML_CALLS(X) \
	X(yaml_event_delete) \
	X(yaml_parser_delete) \
	X(yaml_parser_initialize) \
	X(yaml_parser_parse) \
	X(yaml_parser_set_encoding) \
	X(yaml_parser_set_input_string)
/* clang-format on */

QB_LIBYAML_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_libyaml_load(struct qb_error *err);
