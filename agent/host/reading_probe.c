/* SPDX-License-Identifier: Apache-2.0 */
/* Small files, by paths in which "*" stands for any name. */
#include "agent/host/facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>

enum {
	VALUE_MAX = 64 << 10
};

struct readings {
	const struct qb_root *root;
	struct qb_reading *v;
	size_t n;
	struct qb_strs filled, empty; /* "/sys", "/proc"..., as far as they were looked at */
};

/* A directory that has more than itself and the one above; not all of /proc is read for that. */
static bool is_filled(const struct qb_root *root, const char *path)
{
	_cleanup_closedir_ DIR *dir =
		qb_fdopendir(qb_root_openat(root, path, O_RDONLY | O_DIRECTORY, 0));

	return dir && readdir(dir) && readdir(dir) && readdir(dir);
}

/* A tree that was captured without /sys says nothing about what /sys would hold. */
static bool surroundings_are_there(struct readings *to, const char *path)
{
	_cleanup_free_ char *top = qb_strndup(path, 1 + strcspn(path + 1, "/"));
	bool filled = qb_strs_has(&to->filled, top);

	if (!filled && !qb_strs_has(&to->empty, top)) {
		filled = is_filled(to->root, top);
		qb_strs_add(filled ? &to->filled : &to->empty, top);
	}
	return filled;
}

static void failed(struct readings *to, struct qb_reading *it, int r)
{
	it->absent = r == -ENOENT && surroundings_are_there(to, it->path);
	if (!it->absent)
		it->why = qb_strdup(strerror(-r));
}

static int read_names(const struct qb_root *root, struct qb_reading *it)
{
	_cleanup_strs_ struct qb_strs names = {0};
	_cleanup_buf_ struct qb_buf text = {0};
	int r = qb_root_list(root, it->path, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++)
		qb_buf_printf(&text, "%s%s", i ? "\n" : "", names.v[i]);
	if (r == 0)
		it->value = text.s ? QB_TAKE_PTR(text.s) : qb_strdup("");
	return r;
}

/* How much of a line may be shown: up to the "=" behind what is called a password or the like. */
static size_t shown(const char *line, size_t len)
{
	static const char *const words[] = {"passw", "passphrase", "secret", "psk", "wep-key"};
	_cleanup_free_ char *copy = NULL;
	size_t least = len;

	if (!memchr(line, '=', len))
		return len;
	copy = qb_strndup(line, len);
	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++) {
		const char *word = strcasestr(copy, words[i]);
		const char *set = word ? strchr(word, '=') : NULL;

		if (set && (size_t)(set - copy) < least)
			least = (size_t)(set - copy);
	}
	return least;
}

/*
 * Files that may hold keys under any name: of each the sections that hold none
 * (nm-settings-keyfile(5), systemd.netdev(5)), or the keys that are needed (nmstate's YAML).
 */
static const struct plain {
	const char *dir;
	bool keys;
	const char *words[9];
} plain_parts[] = {
	{"/NetworkManager/system-connections/",
	 false,
	 {"[connection]", "[match]", "[ethernet]", "[802-3-ethernet]", "[bridge]", "[bridge-port]",
	  "[ipv4]", "[ipv6]"}},
	{"/systemd/network/", false, {"[Match]", "[NetDev]", "[Bridge]"}},
	{"/etc/nmstate/", true, {"interfaces:", "name:", "type:", "state:"}},
};

/* NULL where all of the file may be shown. */
static const struct plain *plain_of(const char *path)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(plain_parts); i++)
		if (strstr(path, plain_parts[i].dir))
			return &plain_parts[i];
	return NULL;
}

/* "key: word" or "key:": a value in flow style may hold anything. */
static bool is_plain(const char *line)
{
	size_t len = strcspn(line, "\n"), key = strcspn(line, ":");

	for (size_t i = key + 1; i < len; i++)
		if (strchr("{}[]|>&*:", line[i]))
			return false;
	return true;
}

/* Whether a line is to stay. *inside: the section that it is in is one of those that hold none. */
static bool stays(const struct plain *plain, const char *line, bool *inside)
{
	bool named = false;

	if (*line == '#')
		return false;
	if (!plain)
		return true;
	if (plain->keys && qb_startswith(line, "- "))
		line += 2 + strspn(line + 2, " ");
	for (size_t i = 0; i < QB_ARRAY_SIZE(plain->words) && plain->words[i]; i++)
		named |= qb_startswith(line, plain->words[i]);
	if (*line == '[')
		*inside = named;
	return plain->keys ? named && is_plain(line) : *inside;
}

/*
 * Facts are printed and passed around. A file of settings keeps what it sets and loses its
 * comments; of a secret remains that it is set.
 */
static char *settings_of(const char *text, const struct plain *plain)
{
	_cleanup_buf_ struct qb_buf out = {0};
	bool inside = false;

	for (const char *line = text; *line; line += *line == '\n') {
		size_t len = strcspn(line, "\n"), n = shown(line, len);

		if (stays(plain, line + strspn(line, " \t"), &inside)) {
			qb_buf_add(&out, line, n);
			qb_buf_puts(&out, n < len ? "= *\n" : "\n");
		}
		line += len;
	}
	return qb_strdup(out.s ? qb_strip(out.s) : "");
}

static int read_text(const struct qb_root *root, struct qb_reading *it)
{
	const struct plain *plain = plain_of(it->path);
	_cleanup_free_ char *text = NULL;
	struct stat st = {0};
	size_t len;
	int r = qb_root_read_stat(root, it->path, VALUE_MAX, &text, &len, &st);

	it->mode = st.st_mode;
	if (r == 0 && !qb_is_text(text, len))
		r = -EILSEQ;
	if (r == 0)
		it->value = plain || qb_startswith(it->path, "/etc/") ? settings_of(text, plain)
								      : qb_strdup(qb_strip(text));
	return r;
}

static void read_one(struct readings *to, const char *path)
{
	struct qb_reading *it = QB_APPEND(to->v, to->n);
	/* A device that is opened may begin to do something. */
	bool device = qb_startswith(path, "/dev/");
	struct stat st;
	int r;

	it->path = qb_strdup(path);
	r = device ? 0 : read_text(to->root, it);
	/* What cannot be opened can be looked at, as a socket. */
	if (device || (r < 0 && r != -ENOENT && !it->mode)) {
		int looked = qb_root_stat(to->root, path, true, &st);

		it->mode = looked == 0 ? st.st_mode : 0;
		r = r < 0 ? r : looked;
		if (device && S_ISREG(it->mode))
			r = read_text(to->root, it);
	}
	if (S_ISDIR(it->mode))
		r = read_names(to->root, it);
	else if (it->mode && !S_ISREG(it->mode))
		r = 0;
	if (r < 0)
		failed(to, it, r);
}

/* path up to and with its first "*", the rest as it is. One reading, for the pattern itself, where
 * nothing matches: that it is absent is an answer, too. */
static void expand(struct readings *to, const char *path)
{
	const char *star = strchr(path, '*'), *begin = star;
	_cleanup_free_ char *dir = NULL, *pattern = NULL;
	_cleanup_strs_ struct qb_strs names = {0};
	bool any = false;

	if (!star) {
		read_one(to, path);
		return;
	}
	while (begin[-1] != '/')
		begin--;
	dir = qb_strndup(path, (size_t)(begin - 1 - path));
	pattern = qb_strndup(begin, strcspn(begin, "/"));
	if (qb_root_list(to->root, dir, &names) == 0)
		for (size_t i = 0; i < names.n; i++) {
			_cleanup_free_ char *next = NULL;
			const char *rest = begin + strlen(pattern);

			if (fnmatch(pattern, names.v[i], FNM_PERIOD) != 0)
				continue;
			next = qb_asprintf("%s/%s%s", dir, names.v[i], rest);
			expand(to, next);
			any = true;
		}
	if (!any)
		read_one(to, path);
}

void qb_readings_probe(const struct qb_root *root, const struct qb_strs *paths,
		       struct qb_reading **ret, size_t *ret_n)
{
	struct readings to = {.root = root};

	for (size_t i = 0; i < paths->n; i++)
		expand(&to, paths->v[i]);
	qb_strs_done(&to.filled);
	qb_strs_done(&to.empty);
	*ret = to.v;
	*ret_n = to.n;
}
