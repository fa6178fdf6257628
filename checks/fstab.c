/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/fstab.h"

#include <stdio.h>

/* mount(8): noauto is mounted by hand; systemd.mount(5): x-systemd.automount at its first use. */
static bool is_mounted_at_boot(const char *options)
{
	static const char *const words[] = {"noauto", "x-systemd.automount",
					    "comment=systemd.automount"};

	for (const char *at = options; *at; at += *at == ',') {
		size_t len = strcspn(at, ",");

		for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
			if (strlen(words[i]) == len && !strncmp(at, words[i], len))
				return false;
		at += len;
	}
	return true;
}

char *qb_fstab_mount_point(const char *fstab, const char *path)
{
	char *best = NULL;

	for (const char *line = fstab; line; line = strchr(line, '\n')) {
		_cleanup_free_ char *source = NULL, *target = NULL, *type = NULL, *options = NULL;
		_cleanup_free_ char *entry = NULL;
		int n;

		line += *line == '\n';
		entry = qb_strndup(line, strcspn(line, "\n"));
		n = sscanf(entry, "%ms %ms %ms %ms", &source, &target, &type, &options);
		/* Of swap space it is "none". */
		if (n < 3 || *source == '#' || *target != '/' || qb_streq(type, "ignore") ||
		    (options && !is_mounted_at_boot(options)))
			continue;
		qb_str_unescape_octal(target);
		for (size_t len = strlen(target); len > 1 && target[len - 1] == '/'; len--)
			target[len - 1] = '\0';
		if (qb_path_is_in(path, target) && (!best || strlen(target) > strlen(best))) {
			free(best);
			best = QB_TAKE_PTR(target);
		}
	}
	return best;
}
