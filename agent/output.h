/* SPDX-License-Identifier: Apache-2.0 */
/* The file that --output names. Anybody may write one, at any time, beside others who do. */
#pragma once

#include "agent/base/error.h"
#include "agent/base/str.h"

/*
 * Replaces the file by text, as a whole: whoever reads it finds the old one or the new one. An old
 * one's mode, and owner and group where this user may set them, are kept; a new one is 0644. What
 * is no regular file is refused; its directory has to be there.
 */
QB_MUST_CHECK int qb_output_replace(const char *path, const struct qb_buf *text,
				    struct qb_error *err);
