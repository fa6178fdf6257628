/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/error.h"

#include <stdarg.h>
#include <string.h>

/* Room ran out in the middle of a character: JSON takes whole ones only. */
static void trim(char *s, size_t size)
{
	size_t len = strlen(s), at = len;

	if (len + 1 < size)
		return;
	while (at && ((unsigned char)s[at - 1] & 0xc0) == 0x80)
		at--;
	if (at && ((unsigned char)s[at - 1] & 0xc0) == 0xc0)
		s[at - 1] = '\0';
}

static int set(struct qb_error *err, int code, const char *suffix, const char *fmt, va_list ap)
{
	if (code > 0)
		code = -code;
	if (!err)
		return code;
	err->code = code;
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	if (suffix) {
		size_t len = strlen(err->msg);

		snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", suffix);
	}
	trim(err->msg, sizeof(err->msg));
	return code;
}

int qb_error_set(struct qb_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = set(err, code, NULL, fmt, ap);
	va_end(ap);
	return code;
}

int qb_error_errno(struct qb_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = set(err, code, strerror(code < 0 ? -code : code), fmt, ap);
	va_end(ap);
	return code;
}

int qb_error_wrap(struct qb_error *err, const char *fmt, ...)
{
	char inner[sizeof(err->msg)];
	va_list ap;

	memcpy(inner, err->msg, sizeof(inner));
	va_start(ap, fmt);
	set(err, err->code, inner, fmt, ap);
	va_end(ap);
	return err->code;
}
