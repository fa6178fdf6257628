/* SPDX-License-Identifier: Apache-2.0 */
#include "net/boot.h"

#include "agent/base/step.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

void qb_boot_note(const struct qb_root *root, json_t *before)
{
	_cleanup_free_ char *boot = NULL;

	if (qb_root_read_value(root, BOOT_ID, &boot) == 0)
		json_object_set_new(before, "boot", json_string(boot));
}

bool qb_boot_is_same(const struct qb_root *root, const json_t *before)
{
	const char *then = qb_arg(before, "boot");
	_cleanup_free_ char *now = NULL;

	return !then || qb_root_read_value(root, BOOT_ID, &now) < 0 || !strcmp(now, then);
}
