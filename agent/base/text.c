/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/text.h"

#include <inttypes.h>

/* Columns of UTF-8 text; the East Asian wide ones are not worth a table here. */
static unsigned columns(const char *s, size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++)
		n += (s[i] & 0xc0) != 0x80;
	return n;
}

void qb_text_wrap(struct qb_buf *out, unsigned at, unsigned indent, unsigned width,
		  const char *text)
{
	_cleanup_free_ char *safe = qb_str_printable(text);
	const char *s = safe;
	bool first = true;

	for (;;) {
		size_t len;

		s += strspn(s, " ");
		len = strcspn(s, " ");
		if (!len)
			break;
		if (!first && at + 1 + columns(s, len) > width) {
			qb_buf_printf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			qb_buf_puts(out, " ");
			at++;
		}
		qb_buf_add(out, s, len);
		at += columns(s, len);
		s += len;
		first = false;
	}
	qb_buf_puts(out, "\n");
}

void qb_text_colour(struct qb_buf *out, bool on, enum qb_colour colour, const char *text)
{
	static const char *const codes[] = {"",         "\033[1m",  "\033[31m",
					    "\033[32m", "\033[33m", "\033[2m"};
	_cleanup_free_ char *safe = qb_str_printable(text);

	on = on && colour != QB_PLAIN;
	qb_buf_printf(out, "%s%s%s", on ? codes[colour] : "", safe, on ? "\033[0m" : "");
}

void qb_text_duration(struct qb_buf *out, uint64_t us)
{
	if (us < 1000)
		qb_buf_printf(out, "%" PRIu64 " µs", us);
	else if (us < 10000)
		qb_buf_printf(out, "%.1f ms", (double)us / 1e3);
	else if (us < 1000000)
		qb_buf_printf(out, "%" PRIu64 " ms", us / 1000);
	else
		qb_buf_printf(out, "%.1f s", (double)us / 1e6);
}
