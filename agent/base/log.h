/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to stderr. stdout is the report. Only commands and the applier log. */
#pragma once

#include <stdbool.h>

#include "agent/base/cleanup.h"

enum qb_log_level {
	QB_LOG_ERROR,
	QB_LOG_WARNING,
	QB_LOG_INFO,
	QB_LOG_DEBUG
};

/* What is above this level is dropped. The default is QB_LOG_INFO. */
void qb_log_set_level(enum qb_log_level max);
QB_PRINTF(2, 3) void qb_log(enum qb_log_level level, const char *fmt, ...);
/* The latest error, cut where it is long; "" where there was none. Not while others log. */
const char *qb_log_last_error(void);
