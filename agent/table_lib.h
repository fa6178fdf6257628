/* SPDX-License-Identifier: Apache-2.0 */
/* libsmartcols, which only the text of facts needs. */
#pragma once

#include <libsmartcols/libsmartcols.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_SCOLS_CALLS(X) \
	X(scols_line_set_data) \
	X(scols_new_table) \
	X(scols_print_table_to_string) \
	X(scols_table_new_column) \
	X(scols_table_new_line) \
	X(scols_table_set_termforce) \
	X(scols_table_set_termwidth) \
	X(scols_unref_table)
/* clang-format on */

QB_SCOLS_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_scols_load(struct qb_error *err);
