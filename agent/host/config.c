/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "agent/base/text.h"
#include "agent/host/config_check.h"

enum {
	CONFIG_MAX = 1 << 20,
	DOCUMENT_INDENT = 4,
	DOCUMENT_WIDTH = 78,
};

int qb_config_parse(const char *text, size_t len, struct qb_config *ret, struct qb_diags *diags)
{
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_positions_ struct qb_positions pos = {0};
	struct qb_config_check check = {.config = &config, .pos = &pos, .diags = diags};
	int r = qb_schema_load(&qb_config_type, text, len, QB_LOAD_STRICT | QB_LOAD_WRITTEN,
			       &config, &pos, diags);

	qb_config_check_names(&check);
	qb_config_check_host(&check);
	qb_config_check_bridges(&check);
	qb_config_check_networks(&check);
	qb_config_check_pools(&check);
	qb_diags_sort(diags);
	if (r < 0 || diags->n)
		return -EINVAL;
	*ret = config;
	config = (struct qb_config){0};
	return 0;
}

/* Whoever can write the file commands root. */
static int check_owner(const char *path, const struct stat *st, struct qb_error *err)
{
	if (!S_ISREG(st->st_mode))
		return qb_error_set(err, EINVAL, "%s: not a regular file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return qb_error_set(err, EPERM,
				    "%s: belongs to user %u, who could command root by it; after a "
				    "look at what it says: chown root: %s; chmod 0644 %s",
				    path, (unsigned)st->st_uid, path, path);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return qb_error_set(err, EPERM,
				    "%s: can be written by %s (mode %04o), who could command root "
				    "by it; after a look at what it says: chown root: %s; chmod "
				    "0644 %s",
				    path, st->st_mode & S_IWOTH ? "everyone" : "its group",
				    (unsigned)st->st_mode & 07777, path, path);
	if (st->st_size > CONFIG_MAX)
		return qb_error_set(err, EFBIG, "%s: larger than %d KiB, this is no configuration",
				    path, CONFIG_MAX >> 10);
	return 0;
}

static int read_all(int fd, const char *path, struct qb_buf *out, struct qb_error *err)
{
	char chunk[16384];
	ssize_t n;

	qb_buf_puts(out, "");
	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		qb_buf_add(out, chunk, (size_t)n);
		if (out->len > CONFIG_MAX)
			return qb_error_set(err, EFBIG, "%s: grew while it was read", path);
	}
	return n < 0 ? qb_error_errno(err, errno, "%s: cannot be read", path) : 0;
}

int qb_config_load(const char *path, struct qb_config *ret, struct qb_diags *diags,
		   struct qb_error *err)
{
	/* O_NONBLOCK: a pipe of that name must not make us wait. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_buf_ struct qb_buf text = {0};
	struct stat st;
	int r;

	if (fd < 0)
		return qb_error_errno(err, errno, "%s: cannot be opened", path);
	if (fstat(fd, &st) < 0)
		return qb_error_errno(err, errno, "%s: cannot be looked at", path);
	r = check_owner(path, &st, err);
	if (r == 0)
		r = read_all(fd, path, &text, err);
	if (r < 0)
		return r;
	r = qb_config_parse(text.s, text.len, ret, diags);
	if (r < 0)
		return qb_error_set(err, -r, "%s: %zu error%s", path, diags->n,
				    diags->n == 1 ? "" : "s");
	return 0;
}

void qb_config_done(struct qb_config *config)
{
	qb_schema_done(&qb_config_type, config);
}

static const char *kind_text(const struct qb_field *f)
{
	switch (f->kind) {
	case QB_FIELD_BOOL:
	case QB_FIELD_TRI:
		return "true or false";
	case QB_FIELD_I64:
	case QB_FIELD_U64:
		return "a whole number";
	case QB_FIELD_SIZE:
		return "a size";
	case QB_FIELD_STR:
		return "text";
	case QB_FIELD_ENUM:
		return "a word";
	case QB_FIELD_STRS:
		return "a list of texts";
	case QB_FIELD_OBJECT:
		return "keys";
	case QB_FIELD_LIST:
		return "a list";
	}
	return NULL;
}

static void document_field(const struct qb_field *f, const char *prefix, struct qb_buf *out)
{
	_cleanup_buf_ struct qb_buf text = {0};

	qb_buf_printf(out, "%s%s\n%*s", prefix, f->name, DOCUMENT_INDENT, "");
	qb_buf_printf(&text, "(%s", kind_text(f));
	if (f->min)
		qb_buf_printf(&text, " from %" PRId64 " to %" PRId64, f->min, f->max);
	for (size_t i = 0; f->kind == QB_FIELD_ENUM && f->names[i]; i++)
		qb_buf_printf(&text, "%s%s", i ? ", " : ": ", f->names[i]);
	if (f->kind == QB_FIELD_OBJECT && f->of->scalar)
		qb_buf_printf(&text, ", or one word");
	qb_buf_printf(&text, "%s) %s", f->flags & QB_FIELD_REQUIRED ? ", required" : "", f->doc);
	qb_text_wrap(out, DOCUMENT_INDENT, DOCUMENT_INDENT, DOCUMENT_WIDTH, text.s);
}

static void document(const struct qb_type *type, const char *prefix, struct qb_buf *out)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct qb_field *f = &type->fields[i];
		_cleanup_free_ char *below = NULL;

		if (f->flags & QB_FIELD_SCALAR_ONLY)
			continue;
		document_field(f, prefix, out);
		if (!f->of)
			continue;
		below = qb_asprintf("%s%s%s.", prefix, f->name,
				    f->kind == QB_FIELD_LIST ? "[]" : "");
		document(f->of, below, out);
	}
}

void qb_config_document(struct qb_buf *out)
{
	document(&qb_config_type, "", out);
}
