/* SPDX-License-Identifier: Apache-2.0 */
/* The files that libvirt's QEMU driver keeps of guests: what it would say if it answered. */
#include "agent/host/facts.h"

#include <errno.h>

#include "agent/host/libvirt_parse.h"

#define SUFFIX ".xml"

enum {
	FILE_MAX = 16 << 20,
};

static void not_read(const char *path, const char *why, char **ret_unread)
{
	if (!*ret_unread)
		*ret_unread = qb_asprintf("%s: %s", path, why);
}

static void read_file(const struct qb_root *root, const char *dir, const char *name,
		      struct qb_libvirt_facts *to, char **ret_unread)
{
	_cleanup_free_ char *path = qb_asprintf("%s/%s", dir, name), *text = NULL;
	_cleanup_free_ char *domain = qb_strndup(name, strlen(name) - strlen(SUFFIX));
	int r = qb_root_read(root, path, FILE_MAX, &text, NULL);

	/* Undefined, or ended, meanwhile. */
	if (r == -ENOENT)
		return;
	if (r < 0)
		not_read(path, strerror(-r), ret_unread);
	else if (qb_vir_domain_parse(text, domain, to) < 0)
		not_read(path, "it describes no guest", ret_unread);
}

void qb_guest_files_probe(const struct qb_root *root, struct qb_libvirt_facts *to,
			  char **ret_unread)
{
	/* Those that are defined, and those that run. */
	static const char *const dirs[] = {"/etc/libvirt/qemu", "/run/libvirt/qemu"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(dirs); i++) {
		_cleanup_strs_ struct qb_strs names = {0};
		int r = qb_root_list(root, dirs[i], &names);

		if (r < 0 && r != -ENOENT)
			not_read(dirs[i], strerror(-r), ret_unread);
		for (size_t j = 0; j < names.n; j++)
			if (qb_endswith(names.v[j], SUFFIX))
				read_file(root, dirs[i], names.v[j], to, ret_unread);
	}
}
