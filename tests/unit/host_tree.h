/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts of tests/data/hosts: one text file each, of which a tree is made that is read as a captured
 * host. tests/data/hosts/README tells the form.
 */
#pragma once

#include <ctype.h>

#include "agent/host/facts.h"
#include "checks/check.h"
#include "tests/unit/tree.h"

#define DOCUMENT "/qubi-agent/facts.json"
#define HOSTS QB_TESTS "/data/hosts/"

enum host_kind {
	HOST_FILE,
	HOST_DIR,
	HOST_LINK,
	HOST_COPY,
	HOST_NODE,
	HOST_ABSENT,
};

struct host_entry {
	enum host_kind kind;
	char *path, *text; /* contents, target, or the name of the file to copy */
	unsigned mode;     /* with the type of a node; 0: that of the kind */
};

struct host {
	char *name;
	struct qb_strs about;  /* lines "key: value" */
	struct qb_strs expect; /* "ID STATUS" */
	struct host_entry *entries;
	size_t n_entries;
	json_t *facts;
};

struct host_reader {
	struct host *host;
	const char *file;
	unsigned line;
	bool included; /* what the file says of its own host is not taken over */
};

#define host_bad(r, ...)                                                                           \
	do {                                                                                       \
		print_error("%s:%u: ", (r)->file, (r)->line);                                      \
		fail_msg(__VA_ARGS__);                                                             \
	} while (0)

static inline void host_done(struct host *h)
{
	for (size_t i = 0; i < h->n_entries; i++) {
		free(h->entries[i].path);
		free(h->entries[i].text);
	}
	free(h->entries);
	free(h->name);
	qb_strs_done(&h->about);
	qb_strs_done(&h->expect);
	json_decref(h->facts);
}

static inline char *host_read(const char *name)
{
	_cleanup_free_ char *path = qb_asprintf(HOSTS "%s", name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct qb_buf b = {0};
	char chunk[4096];
	size_t n;

	if (!f)
		return NULL;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		qb_buf_add(&b, chunk, n);
	return b.s ? b.s : qb_strdup("");
}

/* The value of "key: value"; of a key that comes more than once the last, NULL for none. */
static inline const char *host_about(const struct host *h, const char *key)
{
	const char *value = NULL;
	size_t n = strlen(key);

	for (size_t i = 0; i < h->about.n; i++)
		if (qb_startswith(h->about.v[i], key) && qb_startswith(h->about.v[i] + n, ": "))
			value = h->about.v[i] + n + 2;
	return value;
}

static inline bool host_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

/* A later entry takes the place of the earlier ones of its path. text is stolen. */
static inline void host_add(struct host *h, enum host_kind kind, const char *path, char *text,
			    unsigned mode)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->n_entries; i++) {
		struct host_entry *e = &h->entries[i];
		bool gone =
			kind == HOST_ABSENT ? host_is_below(e->path, path) : !strcmp(e->path, path);

		if (gone) {
			free(e->path);
			free(e->text);
		} else {
			h->entries[kept++] = *e;
		}
	}
	h->n_entries = kept;
	*QB_APPEND(h->entries, h->n_entries) =
		(struct host_entry){kind, qb_strdup(path), text, mode};
}

/* The lines that follow and begin with a tab, without it, empty ones between them. Moves at. */
static inline char *host_block(struct host_reader *r, const char **at)
{
	struct qb_buf b = {0};
	unsigned empty = 0;

	while (**at == '\t' || (**at == '\n' && b.s)) {
		size_t len = strcspn(*at, "\n");

		if (len) {
			for (; empty; empty--)
				qb_buf_puts(&b, "\n");
			qb_buf_add(&b, *at + 1, len - 1);
			qb_buf_puts(&b, "\n");
		} else {
			empty++;
		}
		*at += len + ((*at)[len] == '\n');
		r->line++;
	}
	return b.s ? b.s : qb_strdup("");
}

/* The block of one CPU for each of them, "%" being its number. */
static inline char *host_repeat(const char *block, unsigned times)
{
	struct qb_buf b = {0};

	for (unsigned i = 0; i < times; i++) {
		for (const char *c = block; *c; c++)
			if (*c == '%')
				qb_buf_printf(&b, "%u", i);
			else
				qb_buf_add(&b, c, 1);
		qb_buf_puts(&b, "\n");
	}
	return b.s;
}

/* Files of a directory: lines "name: value". */
static inline void host_add_files(struct host_reader *r, const char *dir, const char *block)
{
	for (const char *line = block; *line; line += *line == '\n') {
		size_t len = strcspn(line, "\n"), n = strcspn(line, ":\n");
		_cleanup_free_ char *path = qb_asprintf("%s/%.*s", dir, (int)n, line);
		const char *value = line + n + 1 + (line[n + 1] == ' ');

		if (n >= len)
			host_bad(r, "a file's line is \"name: value\"");
		host_add(r->host, HOST_FILE, path,
			 qb_asprintf("%.*s\n", (int)(line + len - value), value), 0);
		line += len;
	}
}

/* "PATH = VALUE", "PATH =" and a block, "PATH x TIMES =" and one, "PATH/ =" and files. */
static inline void host_file_line(struct host_reader *r, char *line, char *equals, const char **at)
{
	_cleanup_free_ char *block = NULL;
	char *times;

	*equals = '\0';
	if (equals[2] == ' ') {
		host_add(r->host, HOST_FILE, line, qb_asprintf("%s\n", equals + 3), 0);
		return;
	}
	block = host_block(r, at);
	times = strstr(line, " x ");
	if (qb_endswith(line, "/")) {
		equals[-1] = '\0';
		host_add_files(r, line, block);
	} else if (times) {
		*times = '\0';
		host_add(r->host, HOST_FILE, line,
			 host_repeat(block, (unsigned)strtoul(times + 3, NULL, 10)), 0);
	} else {
		host_add(r->host, HOST_FILE, line, QB_TAKE_PTR(block), 0);
	}
}

static inline void host_path_line(struct host_reader *r, char *line, const char **at)
{
	char *arrow = strstr(line, " -> "), *from = strstr(line, " < ");
	char *equals = strstr(line, " =");

	if (equals && (equals[2] == ' ' || !equals[2])) {
		host_file_line(r, line, equals, at);
	} else if (arrow) {
		*arrow = '\0';
		host_add(r->host, HOST_LINK, line, qb_strdup(arrow + 4), 0);
	} else if (from) {
		*from = '\0';
		host_add(r->host, HOST_COPY, line, qb_strdup(from + 3), 0);
	} else if (qb_endswith(line, "/")) {
		line[strlen(line) - 1] = '\0';
		host_add(r->host, HOST_DIR, line, NULL, S_IFDIR | 0755);
	} else {
		host_bad(r, "\"%s\" is no file, directory, link or copy", line);
	}
}

static inline void host_set_mode(struct host_reader *r, const char *path, unsigned mode)
{
	for (size_t i = 0; i < r->host->n_entries; i++)
		if (!strcmp(r->host->entries[i].path, path)) {
			r->host->entries[i].mode = mode;
			return;
		}
	host_bad(r, "there is no %s whose mode it could be", path);
}

static inline void host_facts_line(struct host_reader *r, const char *key, const char **at)
{
	_cleanup_free_ char *name = qb_strndup(key, strcspn(key, " ")), *block = NULL;
	const char *inlined = strstr(key, " = ");
	json_t *value, *into = r->host->facts;
	char *member = strchr(name, '.');
	json_error_t error;

	block = inlined ? qb_strdup(inlined + 3) : host_block(r, at);
	value = json_loads(block, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!value)
		host_bad(r, "facts %s: %s", name, error.text);
	if (member) {
		*member = '\0';
		into = json_object_get(into, name);
	}
	if (json_object_set_new(into, member ? member + 1 : name, value) < 0)
		host_bad(r, "there is no object \"%s\" before it", name);
}

static inline void host_load_into(struct host *h, const char *file, bool included);

static inline void host_line(struct host_reader *r, char *line, const char **at)
{
	struct host *h = r->host;
	char path[256];
	unsigned mode;

	if (*line == '/')
		host_path_line(r, line, at);
	else if (qb_startswith(line, "include: "))
		host_load_into(h, line + strlen("include: "), true);
	else if (qb_startswith(line, "without "))
		host_add(h, HOST_ABSENT, line + strlen("without "), NULL, 0);
	else if (sscanf(line, "char %255s %o", path, &mode) == 2)
		host_add(h, HOST_NODE, path, NULL, S_IFCHR | mode);
	else if (sscanf(line, "socket %255s %o", path, &mode) == 2)
		host_add(h, HOST_NODE, path, NULL, S_IFSOCK | mode);
	else if (sscanf(line, "mode %255s %o", path, &mode) == 2)
		host_set_mode(r, path, mode);
	else if (qb_startswith(line, "facts "))
		host_facts_line(r, line + strlen("facts "), at);
	else if (!strstr(line, ": "))
		host_bad(r, "\"%s\" is not understood", line);
	else if (!r->included && qb_startswith(line, "expect: "))
		qb_strs_add(&h->expect, line + strlen("expect: "));
	else if (!r->included)
		qb_strs_add(&h->about, line);
}

static inline void host_load_into(struct host *h, const char *file, bool included)
{
	_cleanup_free_ char *text = host_read(file);
	struct host_reader r = {.host = h, .file = file, .included = included};

	if (!text)
		fail_msg("%s: %s", file, strerror(errno));
	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "\n");
		_cleanup_free_ char *line = qb_strndup(at, len);

		r.line++;
		at += len + (at[len] == '\n');
		if (*line && *line != '#')
			host_line(&r, line, &at);
	}
}

/* name: "NAME.host" */
static inline void host_load(const char *name, struct host *ret)
{
	*ret = (struct host){.name = qb_strndup(name, strlen(name) - strlen(".host")),
			     .facts = json_object()};
	host_load_into(ret, name, false);
}

static inline void host_write_entry(struct tree *t, const struct host_entry *e)
{
	_cleanup_free_ char *text = NULL, *dir = qb_strdup(e->path), *from = NULL;

	switch (e->kind) {
	case HOST_FILE:
		tree_put(t, e->path, e->text);
		if (e->mode)
			assert_int_equal(fchmodat(t->root.fd, e->path + 1, e->mode, 0), 0);
		return;
	case HOST_DIR:
		tree_mkdir(t, e->path);
		return;
	case HOST_LINK:
		*strrchr(dir, '/') = '\0';
		if (*dir)
			tree_mkdir(t, dir);
		tree_link(t, e->text, e->path);
		return;
	case HOST_COPY:
		from = qb_asprintf(HOSTS "%s", e->text);
		tree_copy(t, from, e->path);
		return;
	case HOST_NODE:
	case HOST_ABSENT:
		return;
	}
}

/* No tree of an ordinary user's holds a device or another's socket: the document tells of them. */
static inline void host_tell_nodes(const struct host *h, struct qb_facts *facts)
{
	for (size_t i = 0; i < facts->n_readings; i++) {
		struct qb_reading *x = &facts->readings[i];

		for (size_t k = 0; k < h->n_entries; k++) {
			const struct host_entry *e = &h->entries[k];

			if (strcmp(e->path, x->path) != 0 ||
			    (e->kind != HOST_NODE && e->kind != HOST_ABSENT))
				continue;
			x->mode = e->mode;
			x->absent = e->kind == HOST_ABSENT;
			qb_strset(&x->why, NULL);
		}
	}
}

/* The tree with the document beside it, as tests/capture-host leaves them; "without" it the files
 * alone. */
static inline void host_write(const struct host *h, struct tree *t)
{
	_cleanup_strs_ struct qb_strs reads = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	json_auto_t *document = NULL;
	_cleanup_free_ char *text = NULL;
	bool alone = false;

	for (size_t i = 0; i < h->n_entries; i++) {
		host_write_entry(t, &h->entries[i]);
		alone |= !strcmp(h->entries[i].path, DOCUMENT);
	}
	if (alone)
		return;
	qb_check_reads(NULL, &reads);
	qb_readings_probe(&t->root, &reads, &facts.readings, &facts.n_readings);
	host_tell_nodes(h, &facts);
	document = qb_facts_to_json(&facts);
	json_object_set_new(h->facts, "schema", json_string("qubi-agent/facts/1"));
	json_object_set(h->facts, "readings", json_object_get(document, "readings"));
	text = json_dumps(h->facts, JSON_INDENT(1));
	tree_put(t, DOCUMENT, text);
}
