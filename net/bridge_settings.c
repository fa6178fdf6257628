/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bridge_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <linux/if_link.h>

#include "net/nl_write.h"

static char *path_of(const char *family, const char *link, const char *name)
{
	return qb_asprintf("/proc/sys/net/%s/conf/%s/%s", family, link, name);
}

int qb_setting_read(const struct qb_root *root, const char *family, const char *link,
		    const char *name)
{
	_cleanup_free_ char *path = path_of(family, link, name), *text = NULL;

	return qb_root_read_value(root, path, &text) < 0 ? -1 : atoi(text);
}

int qb_setting_write(const struct qb_root *root, const char *family, const char *link,
		     const char *name, int value, struct qb_error *err)
{
	_cleanup_free_ char *path = path_of(family, link, name);
	_cleanup_close_ int fd = qb_root_openat(root, path, O_WRONLY, 0);

	if (fd < 0)
		return qb_error_errno(err, fd, "%s", path);
	return dprintf(fd, "%d", value) < 0 ? qb_error_errno(err, errno, "%s", path) : 0;
}

int qb_settings_copy(const struct qb_root *root, struct nl_sock *sock, const struct qb_move *move,
		     struct qb_error *err)
{
	static const char *const names[] = {"disable_ipv6", "accept_ra", "autoconf",
					    "use_tempaddr"};
	int r = qb_nl_addr_gen_mode(sock, move->bridge, IN6_ADDR_GEN_MODE_NONE, err);

	for (size_t i = 0; r == 0 && move->source && i < QB_ARRAY_SIZE(names); i++) {
		int theirs = qb_setting_read(root, "ipv6", move->source, names[i]);
		int ours = qb_setting_read(root, "ipv6", move->bridge, names[i]);

		if (theirs >= 0 && ours >= 0 && theirs != ours)
			r = qb_setting_write(root, "ipv6", move->bridge, names[i], theirs, err);
	}
	return r;
}
