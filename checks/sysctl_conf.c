/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/sysctl_conf.h"

#include <fnmatch.h>
#include <sys/stat.h>

static void swap_separators(char *key)
{
	for (char *c = key; *c; c++)
		*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
}

/* sysctl.d(5): where the first separator is a dot, dots and slashes change places. */
static char *normalized(const char *name, size_t len)
{
	_cleanup_free_ char *copy = qb_strndup(name, len);
	char *key = qb_strdup(qb_strip(copy));

	if (key[strcspn(key, "./")] == '.')
		swap_separators(key);
	return key;
}

/* Words with one space between them. */
static char *one_spaced(const char *text, size_t len)
{
	struct qb_buf b = {0};

	for (size_t i = 0; i < len;) {
		size_t n = strcspn(text + i, " \t\r\n");

		n = n < len - i ? n : len - i;
		if (n && b.len)
			qb_buf_puts(&b, " ");
		qb_buf_add(&b, text + i, n);
		i += n + 1;
	}
	return b.s ? b.s : qb_strdup("");
}

static void parse_line(const char *line, size_t len, const char *path, struct qb_sysctls *to)
{
	const char *equals = memchr(line, '=', len);
	size_t name_len = equals ? (size_t)(equals - line) : len;
	bool dash = len && *line == '-';
	_cleanup_free_ char *key = normalized(line + dash, name_len - dash);

	/* A word alone is an error, which is passed by; behind "-" a key that no pattern sets. */
	if (!*key || (!equals && !dash))
		return;
	*QB_APPEND(to->v, to->n) = (struct qb_sysctl){
		.key = QB_TAKE_PTR(key),
		.value = equals ? one_spaced(equals + 1, len - name_len - 1) : NULL,
		.path = path,
	};
}

void qb_sysctls_parse(const char *text, const char *path, struct qb_sysctls *to)
{
	for (const char *line = text; *line; line += *line == '\n') {
		size_t len;

		line += strspn(line, " \t\r");
		len = strcspn(line, "\n");
		if (*line != '#' && *line != ';')
			parse_line(line, len, path, to);
		line += len;
	}
}

static const char *file_of(const struct qb_reading *x)
{
	return strrchr(x->path, '/') + 1;
}

static int by_file(const void *a, const void *b)
{
	return strcmp(file_of(*(const struct qb_reading *const *)a),
		      file_of(*(const struct qb_reading *const *)b));
}

static bool has_file(const struct qb_reading *const *files, size_t n, const struct qb_reading *x)
{
	for (size_t i = 0; i < n; i++)
		if (qb_streq(file_of(files[i]), file_of(x)))
			return true;
	return false;
}

void qb_sysctls_read(const struct qb_check_input *in, struct qb_sysctls *ret)
{
	/* Of files of one name the first one stands for all, also where it is empty or /dev/null.
	 */
	static const char *const patterns[] = {QB_SYSCTL_ETC, QB_SYSCTL_RUN, QB_SYSCTL_LOCAL,
					       QB_SYSCTL_LIB};
	const struct qb_reading *conf = qb_facts_reading(in->facts, QB_SYSCTL_CONF);
	_cleanup_free_ const struct qb_reading **files = NULL;
	size_t n = 0;

	*ret = (struct qb_sysctls){0};
	for (size_t i = 0; i < QB_ARRAY_SIZE(patterns); i++)
		for (const struct qb_reading *x = NULL; (x = qb_read_next(in, patterns[i], x));)
			if (!has_file(files, n, x))
				*QB_APPEND(files, n) = x;
	if (n)
		qsort(files, n, sizeof(*files), by_file);
	for (size_t i = 0; i < n; i++)
		if (files[i]->value && !S_ISDIR(files[i]->mode))
			qb_sysctls_parse(files[i]->value, files[i]->path, ret);
	/* systemd reads it by a link 99-sysctl.conf, sysctl(8) last of all. */
	if (conf && conf->value)
		qb_sysctls_parse(conf->value, conf->path, ret);
}

const struct qb_sysctl *qb_sysctls_find(const struct qb_sysctls *all, const char *key)
{
	const struct qb_sysctl *by_name = NULL, *by_pattern = NULL;

	for (size_t i = 0; i < all->n; i++) {
		const struct qb_sysctl *s = &all->v[i];

		if (qb_streq(s->key, key))
			by_name = s;
		else if (s->value && strpbrk(s->key, "*?[") &&
			 fnmatch(s->key, key, FNM_PATHNAME) == 0)
			by_pattern = s;
	}
	if (by_name)
		return by_name->value ? by_name : NULL;
	return by_pattern;
}

void qb_sysctls_done(struct qb_sysctls *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->v[i].key);
		free(all->v[i].value);
	}
	free(all->v);
	*all = (struct qb_sysctls){0};
}

char *qb_sysctl_name(const char *key)
{
	char *name = qb_strdup(key);

	swap_separators(name);
	return name;
}

bool qb_sysctl_same(const char *a, const char *b)
{
	uint64_t x, y;

	if (qb_parse_u64(a, &x) == 0 && qb_parse_u64(b, &y) == 0)
		return x == y;
	return qb_streq(a, b);
}

bool qb_sysctl_is_local(const struct qb_sysctl *s)
{
	return qb_startswith(s->path, "/etc/") || qb_startswith(s->path, "/run/");
}
