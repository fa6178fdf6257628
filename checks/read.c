/* SPDX-License-Identifier: Apache-2.0 */
/* What judges do with the small files that their checks asked for. */
#include "checks/judging.h"

#include <fnmatch.h>
#include <sys/stat.h>

const char *qb_read_why(const struct qb_reading *reading)
{
	if (!reading)
		return "nobody looked";
	if (reading->absent)
		return "it is not there";
	return reading->why ? reading->why : "it is no file";
}

/* As people name it: a sysctl by its dots, another file by its name. */
static char *key_of(const char *path)
{
	static const char sysctl[] = "/proc/sys/";
	char *key;

	if (!qb_startswith(path, sysctl))
		return qb_strdup(strrchr(path, '/') + 1);
	key = qb_strdup(path + strlen(sysctl));
	for (char *c = key; *c; c++)
		if (*c == '/')
			*c = '.';
	return key;
}

enum {
	SHOWN_MAX = 200
};

/* White space of any length as one space; the beginning of what is long. */
static char *one_line(const char *text)
{
	_cleanup_buf_ struct qb_buf b = {0};

	for (const char *at = text + strspn(text, " \t\n"); *at;) {
		size_t word = strcspn(at, " \t\n"), gap = strspn(at + word, " \t\n");

		if (b.len + word > SHOWN_MAX) {
			qb_buf_puts(&b, "...");
			break;
		}
		qb_buf_add(&b, at, word);
		at += word + gap;
		if (*at)
			qb_buf_puts(&b, " ");
	}
	return b.s ? QB_TAKE_PTR(b.s) : qb_strdup("");
}

bool qb_read(const struct qb_check_input *in, struct qb_result *r, const char *path,
	     const char **ret)
{
	const struct qb_reading *reading = qb_facts_reading(in->facts, path);
	_cleanup_free_ char *key = key_of(path), *flat = NULL;

	if (!reading || !reading->value) {
		qb_unknown(r, "%s could not be read: %s", path, qb_read_why(reading));
		return false;
	}
	flat = one_line(reading->value);
	qb_evidence(r, key, path, "%s", *flat ? flat : "(empty)");
	*ret = reading->value;
	return true;
}

bool qb_read_u64(const struct qb_check_input *in, struct qb_result *r, const char *path,
		 uint64_t *ret)
{
	const char *text;

	if (!qb_read(in, r, path, &text))
		return false;
	if (qb_parse_u64(text, ret) == 0)
		return true;
	qb_unknown(r, "%s holds \"%.40s\", which is no number", path, text);
	return false;
}

bool qb_is_absent(const struct qb_check_input *in, const char *path)
{
	const struct qb_reading *reading = qb_facts_reading(in->facts, path);

	return reading && reading->absent;
}

/* A pattern itself, this or another, is there where nothing matched it. */
static bool matches(const struct qb_reading *x, const char *pattern, size_t literal)
{
	return !strncmp(x->path, pattern, literal) && !strchr(x->path, '*') &&
	       fnmatch(pattern, x->path, FNM_PATHNAME) == 0;
}

/* Where this many may match or fewer they are asked one by one, and all readings otherwise. */
#define FEW 32

const struct qb_reading *qb_read_next(const struct qb_check_input *in, const char *pattern,
				      const struct qb_reading *after)
{
	const struct qb_facts *f = in->facts;
	const struct qb_reading *const *below, *next = NULL;
	size_t literal = strcspn(pattern, "*?[\\"), n;

	if (qb_facts_readings_below(f, pattern, literal, &below, &n) && n <= FEW) {
		for (size_t i = 0; i < n; i++)
			if ((!after || below[i] > after) && (!next || below[i] < next) &&
			    matches(below[i], pattern, literal))
				next = below[i];
		return next;
	}
	for (size_t i = after ? (size_t)(after - f->readings) + 1 : 0; i < f->n_readings; i++)
		if (matches(&f->readings[i], pattern, literal))
			return &f->readings[i];
	return NULL;
}

char *qb_bracketed(const char *value)
{
	const char *from = strchr(value, '['), *to = from ? strchr(from, ']') : NULL;

	return to ? qb_strndup(from + 1, (size_t)(to - from - 1)) : NULL;
}

/* The value that begins at text: quoted, a list, or the rest of the line. */
static char *conf_value_at(const char *text)
{
	size_t n = strcspn(text, "\n#");

	if (*text == '"' || *text == '\'') {
		const char end[] = {*text, '\n', '\0'};

		return qb_strndup(text + 1, strcspn(text + 1, end));
	}
	if (*text == '[')
		n = strcspn(text, "]");
	while (n && strchr(" \t\r", text[n - 1]))
		n--;
	return qb_strndup(text, n);
}

char *qb_conf_value(const char *text, const char *key)
{
	size_t len = strlen(key);
	char *value = NULL;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, " \t\r\n");
		if (strncmp(line, key, len) != 0 || line[len + strspn(line + len, " \t")] != '=')
			continue;
		line += len + strspn(line + len, " \t") + 1;
		line += strspn(line, " \t");
		free(value);
		value = conf_value_at(line);
	}
	return value;
}

char *qb_ini_value(const char *text, const char *section, const char *key)
{
	size_t section_len = strlen(section), len = strlen(key);
	bool inside = false;
	char *value = NULL;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *at;
		size_t n;

		line += strspn(line, " \t\r\n");
		if (*line == '[')
			inside = strncmp(line + 1, section, section_len) == 0 &&
				 line[1 + section_len] == ']';
		at = line + len;
		if (!inside || strncmp(line, key, len) != 0 || at[strspn(at, " \t")] != '=')
			continue;
		at += strspn(at, " \t") + 1;
		at += strspn(at, " \t");
		n = strcspn(at, "\n");
		while (n && strchr(" \t\r", at[n - 1]))
			n--;
		free(value);
		value = qb_strndup(at, n);
	}
	return value;
}

bool qb_read_all(const struct qb_check_input *in, const char *pattern, char **ret_why)
{
	bool any = false;

	for (const struct qb_reading *x = NULL; (x = qb_read_next(in, pattern, x)); any = true) {
		/* A directory or a device among them holds no settings. */
		if (x->value || x->absent || (x->mode && !S_ISREG(x->mode)))
			continue;
		*ret_why = qb_asprintf("%s could not be read: %s", x->path, qb_read_why(x));
		return false;
	}
	if (any || qb_is_absent(in, pattern))
		return true;
	*ret_why = qb_asprintf("%s could not be read: %s", pattern,
			       qb_read_why(qb_facts_reading(in->facts, pattern)));
	return false;
}

bool qb_conf_is_on(const char *text, const char *key)
{
	_cleanup_free_ char *value = qb_conf_value(text, key);

	return qb_streq(value, "1");
}
