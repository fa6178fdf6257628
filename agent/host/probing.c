/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/probing.h"

#include <errno.h>

void qb_tri_absent(const struct qb_root *root, const char *path, const char *parent, int r,
		   struct qb_tri *ret)
{
	if (r == -ENOENT && parent && qb_root_exists(root, parent))
		qb_tri_set(ret, false);
	else
		qb_tri_unknown(ret, "%s: %s", path, strerror(-r));
}

void qb_tri_exists(const struct qb_root *root, const char *path, const char *parent,
		   struct qb_tri *ret)
{
	struct stat st;
	int r = qb_root_stat(root, path, true, &st);

	if (r == 0)
		qb_tri_set(ret, true);
	else
		qb_tri_absent(root, path, parent, r, ret);
}

void qb_tri_flag(const struct qb_root *root, const char *path, const char *parent,
		 struct qb_tri *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = qb_root_read_value(root, path, &text);

	if (r == 0 && text[0] && !text[1] && strchr("01YyNn", text[0]))
		qb_tri_set(ret, strchr("1Yy", text[0]));
	else if (r == 0)
		qb_tri_unknown(ret, "%s is neither 0 nor 1, Y nor N", path);
	else
		qb_tri_absent(root, path, parent, r, ret);
}
