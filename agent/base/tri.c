/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/tri.h"

void qb_tri_unknown(struct qb_tri *t, const char *fmt, ...)
{
	char *why;
	va_list ap;

	va_start(ap, fmt);
	why = qb_vasprintf(fmt, ap);
	va_end(ap);
	free(t->why);
	t->why = why;
	t->state = QB_UNKNOWN;
}
