/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"

#include <stdarg.h>

static enum qb_log_level level_max = QB_LOG_INFO;
static char last_error[512];

void qb_log_set_level(enum qb_log_level max)
{
	level_max = max;
}

void qb_log(enum qb_log_level level, const char *fmt, ...)
{
	static const char *const prefix[] = {"error: ", "warning: ", "", "debug: "};
	va_list ap;

	if (level > level_max)
		return;
	flockfile(stderr);
	if (level == QB_LOG_ERROR) {
		va_start(ap, fmt);
		vsnprintf(last_error, sizeof(last_error), fmt, ap);
		va_end(ap);
	}
	fprintf(stderr, "qubi-agent: %s", prefix[level]);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	funlockfile(stderr);
}

const char *qb_log_last_error(void)
{
	return last_error;
}
