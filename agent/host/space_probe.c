/* SPDX-License-Identifier: Apache-2.0 */
/* What statvfs(3) and SELinux say of the host's directories and of pools' targets. */
#include "agent/host/facts.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "agent/host/asking.h"

#define LABEL "security.selinux"

enum {
	LABEL_MAX = 255,
	FILES_MAX = 256, /* looked at in a directory */
	TYPES_MAX = 16,
};

/* The type of a label "user:role:type:level"; SELinux: Label syntax, selinux(8). */
static char *type_of(const char *label)
{
	const char *role = strchr(label, ':'), *type = role ? strchr(role + 1, ':') : NULL;

	return type ? qb_strndup(type + 1, strcspn(type + 1, ":")) : NULL;
}

static char *type_at(const char *path)
{
	char label[LABEL_MAX + 1];
	ssize_t n = lgetxattr(path, LABEL, label, LABEL_MAX);

	if (n <= 0)
		return NULL;
	label[n] = '\0';
	return type_of(label);
}

/* The types of regular files in it, each once. */
static void files_types(const char *path, struct qb_strs *ret)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *e;

	for (unsigned i = 0; d && i < FILES_MAX && ret->n < TYPES_MAX && (e = readdir(d)); i++) {
		_cleanup_free_ char *file = qb_asprintf("%s/%s", path, e->d_name);
		_cleanup_free_ char *type = e->d_type == DT_REG ? type_at(file) : NULL;

		if (type && !qb_strs_has(ret, type))
			qb_strs_add(ret, type);
	}
}

static void tell(int fd, size_t i, void *data)
{
	const struct qb_facts *facts = data;
	const char *path = facts->spaces[i].path;
	_cleanup_strs_ struct qb_strs types = {0};
	_cleanup_buf_ struct qb_buf words = {0};
	_cleanup_free_ char *type = NULL;
	struct statvfs v;
	struct stat st;

	if (stat(path, &st) < 0 || statvfs(path, &v) < 0) {
		dprintf(fd, "%d 0 0 0 0 0 0 0\n", errno);
		return;
	}
	type = type_at(path);
	/* Images are in pools; what else the host has is many and none of ours. */
	if (type && qb_facts_target(facts, path))
		files_types(path, &types);
	for (size_t k = 0; k < types.n; k++)
		qb_buf_printf(&words, " %s", types.v[k]);
	dprintf(fd, "0 %u %u %d %ju %ju %ju %ju%s%s%s\n", major(st.st_dev), minor(st.st_dev),
		(v.f_flag & ST_RDONLY) != 0, (uintmax_t)v.f_blocks * v.f_frsize,
		(uintmax_t)v.f_bavail * v.f_frsize, (uintmax_t)v.f_files, (uintmax_t)v.f_favail,
		type ? " " : "", type ? type : "", words.s ? words.s : "");
}

/* "type_t of_files_t other_files_t", all of them optional. */
static void take_types(const char *words, struct qb_space *ret)
{
	while (*words == ' ') {
		size_t len = strcspn(++words, " \n");
		char *word = qb_strndup(words, len);

		if (ret->selinux_type)
			qb_strs_add(&ret->file_types, word);
		else
			ret->selinux_type = QB_TAKE_PTR(word);
		free(word);
		words += len;
	}
}

/*
 * What a path gives whose file system is no more: XFS that has shut down (fs/xfs/xfs_iops.c), or is
 * damaged (EFSCORRUPTED); NFS whose export is another one; FUSE without its process.
 */
static bool is_down(int error)
{
	return error == EIO || error == EUCLEAN || error == ESTALE || error == ENOTCONN;
}

static bool take(const char *line, size_t i, void *data)
{
	struct qb_space *ret = &((struct qb_facts *)data)->spaces[i];
	unsigned major_number, minor_number;
	int error, read_only, end = 0;

	if (sscanf(line, "%d %u %u %d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 "%n", &error,
		   &major_number, &minor_number, &read_only, &ret->size_bytes,
		   &ret->available_bytes, &ret->inodes, &ret->inodes_available, &end) != 8 ||
	    !strchr(line, '\n'))
		return false;
	ret->absent = error == ENOENT;
	if (error) {
		ret->down = is_down(error) ? qb_strdup(strerror(error)) : NULL;
		qb_tri_unknown(&ret->read_only, "%s: %s", ret->path, strerror(error));
		return true;
	}
	ret->device = qb_asprintf("%u:%u", major_number, minor_number);
	qb_tri_set(&ret->read_only, read_only);
	take_types(line + end, ret);
	return true;
}

static void give_up(size_t i, const char *why, void *data)
{
	struct qb_space *s = &((struct qb_facts *)data)->spaces[i];

	qb_tri_unknown(&s->read_only, "%s: %s", s->path, why);
}

void qb_spaces_probe(const struct qb_root *root, const struct qb_strs *paths, unsigned timeout_ms,
		     struct qb_facts *facts)
{
	const struct qb_asking asking = {tell, take, give_up, facts, -1};
	size_t begin = facts->n_spaces;

	for (size_t i = 0; i < paths->n; i++)
		if (!qb_facts_space(facts, paths->v[i]))
			QB_APPEND(facts->spaces, facts->n_spaces)->path = qb_strdup(paths->v[i]);
	if (root->live)
		qb_ask_each(&asking, begin, facts->n_spaces, timeout_ms);
	for (size_t i = begin; !root->live && i < facts->n_spaces; i++)
		qb_tri_unknown(&facts->spaces[i].read_only, "not a live host");
}
