/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/noted.h"

#include <errno.h>

#define NOTED "/var/lib/qubi-agent/hardware.json"

enum {
	STATE_MAX = 64 << 20
};

int qb_state_read(const struct qb_root *root, const char *path, const char *damaged, json_t **ret,
		  struct qb_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = qb_root_read(root, path, STATE_MAX, &text, &len);

	*ret = NULL;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return qb_error_errno(err, r, "%s: cannot read", path);
	*ret = json_loadb(text, len, 0, NULL);
	if (json_is_object(*ret))
		return 0;
	json_decref(QB_TAKE_PTR(*ret));
	return qb_error_set(err, EBADMSG, "%s: damaged; %s", path, damaged);
}

int qb_noted_read(const struct qb_root *root, json_t **ret, struct qb_error *err)
{
	return qb_state_read(root, NOTED, "what hardware changed before is not known", ret, err);
}

int qb_noted_write(const struct qb_root *root, const json_t *hardware, struct qb_error *err)
{
	json_auto_t *old = NULL;
	_cleanup_free_ char *text = NULL;

	if (qb_noted_read(root, &old, NULL) == 0 && old && json_equal(old, hardware))
		return 0;
	text = json_dumps(hardware, JSON_INDENT(1) | JSON_SORT_KEYS);
	return qb_root_write(root, NOTED, 0600, text, strlen(text), err);
}
