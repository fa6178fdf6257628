/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/str.h"

#include <ctype.h>
#include <errno.h>

void *qb_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

void *qb_realloc(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n ? n : 1, size ? size : 1);
	if (!p)
		abort();
	return p;
}

char *qb_strndup(const char *s, size_t n)
{
	char *copy;

	if (!s)
		return NULL;
	n = strnlen(s, n);
	copy = qb_alloc(n + 1, 1);
	memcpy(copy, s, n);
	return copy;
}

char *qb_strdup(const char *s)
{
	return s ? qb_strndup(s, strlen(s)) : NULL;
}

char *qb_vasprintf(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	return s;
}

char *qb_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = qb_vasprintf(fmt, ap);
	va_end(ap);
	return s;
}

void qb_strset(char **p, const char *s)
{
	char *copy = qb_strdup(s);

	free(*p);
	*p = copy;
}

bool qb_startswith(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool qb_endswith(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return len >= n && !strcmp(s + len - n, suffix);
}

void *qb_append(void *items_ptr, size_t *n, size_t size)
{
	char *items;

	memcpy(&items, items_ptr, sizeof(items));
	/* Room doubles: it is exhausted whenever the count is a power of two. */
	if ((*n & (*n - 1)) == 0) {
		items = qb_realloc(items, *n ? *n * 2 : 1, size);
		memcpy(items_ptr, &items, sizeof(items));
	}
	memset(items + *n * size, 0, size);
	return items + (*n)++ * size;
}

void qb_strs_add(struct qb_strs *s, const char *item)
{
	char *copy = qb_strdup(item);

	*QB_APPEND(s->v, s->n) = copy;
}

void qb_strs_addf(struct qb_strs *s, const char *fmt, ...)
{
	va_list ap;
	char *item;

	va_start(ap, fmt);
	item = qb_vasprintf(fmt, ap);
	va_end(ap);
	*QB_APPEND(s->v, s->n) = item;
}

bool qb_strs_has(const struct qb_strs *s, const char *item)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->v[i], item))
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void qb_strs_sort(struct qb_strs *s)
{
	if (s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), compare);
}

bool qb_strs_has_sorted(const struct qb_strs *s, const char *item)
{
	return s->n && bsearch(&item, s->v, s->n, sizeof(*s->v), compare);
}

char *qb_strs_sentence(const struct qb_strs *s)
{
	struct qb_buf b = {0};

	qb_buf_puts(&b, "");
	for (size_t i = 0; i < s->n; i++) {
		if (i)
			qb_buf_puts(&b, i + 1 == s->n ? " and " : ", ");
		qb_buf_puts(&b, s->v[i]);
	}
	return b.s;
}

void qb_strs_done(struct qb_strs *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct qb_strs){0};
}

void qb_buf_add(struct qb_buf *b, const char *data, size_t len)
{
	if (b->len + len + 1 > b->size) {
		b->size = (b->len + len + 1) * 2;
		b->s = qb_realloc(b->s, b->size, 1);
	}
	memcpy(b->s + b->len, data, len);
	b->len += len;
	b->s[b->len] = '\0';
}

void qb_buf_puts(struct qb_buf *b, const char *s)
{
	qb_buf_add(b, s, strlen(s));
}

void qb_buf_printf(struct qb_buf *b, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = qb_vasprintf(fmt, ap);
	va_end(ap);
	qb_buf_puts(b, s);
}

void qb_buf_done(struct qb_buf *b)
{
	free(b->s);
	*b = (struct qb_buf){0};
}

char *qb_strip(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
	return s;
}

/* The length of the UTF-8 sequence at s, 0 where there is none. Surrogates and overlong forms are
 * none (RFC 3629). */
static size_t utf8_length(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80             ? 1
		   : (s[0] & 0xe0) == 0xc0 ? 2
		   : (s[0] & 0xf0) == 0xe0 ? 3
		   : (s[0] & 0xf8) == 0xf0 ? 4
					   : 0;
	uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (!n || (n > 1 && c < least[n]) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

char *qb_str_printable(const char *s)
{
	struct qb_buf b = {0};

	qb_buf_puts(&b, "");
	while (s && *s) {
		uint32_t c = 0;
		size_t n = utf8_length((const unsigned char *)s, &c);
		/* Beside C0, DEL and C1: line separators, what turns the direction of text, and
		 * what is no character at all. */
		bool plain = n && c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x200e &&
			     c != 0x200f && !(c >= 0x2028 && c <= 0x202e) &&
			     !(c >= 0x2066 && c <= 0x2069) && c != 0xfffe && c != 0xffff;

		if (plain) {
			qb_buf_add(&b, s, n);
			s += n;
			continue;
		}
		if (!n)
			n = 1;
		while (n--)
			qb_buf_printf(&b, "\\x%02x", (unsigned char)*s++);
	}
	return b.s;
}

void qb_str_unescape_octal(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

bool qb_path_is_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	/* "/" ends with what parts the others from the next name. */
	while (len && dir[len - 1] == '/')
		len--;
	return !strncmp(path, dir, len) && (path[len] == '/' || !path[len]);
}

int qb_parse_u64(const char *s, uint64_t *ret)
{
	bool hex = qb_startswith(s, "0x");
	unsigned long long v;
	char *end;

	if (!isxdigit((unsigned char)s[hex ? 2 : 0]))
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, hex ? 16 : 10);
	if (errno)
		return -errno;
	if (*end)
		return -EINVAL;
	*ret = v;
	return 0;
}

static const struct {
	const char *name;
	uint64_t bytes;
} units[] = {
	{"B", 1},
	{"KiB", 1ull << 10},
	{"MiB", 1ull << 20},
	{"GiB", 1ull << 30},
	{"TiB", 1ull << 40},
	{"PiB", 1ull << 50},
	{"kB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
	{"TB", 1000000000000},
	{"PB", 1000000000000000},
};

int qb_parse_size(const char *s, uint64_t *ret_bytes)
{
	uint64_t whole, unit = 0;
	long double fraction = 0, place = 0.1L, bytes;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	whole = strtoull(s, &end, 10);
	if (errno)
		return -errno;
	if (*end == '.') {
		if (!isdigit((unsigned char)*++end))
			return -EINVAL;
		for (; isdigit((unsigned char)*end); end++, place /= 10)
			fraction += (*end - '0') * place;
	}
	while (*end == ' ')
		end++;
	if (!*end)
		unit = 1;
	for (size_t i = 0; i < QB_ARRAY_SIZE(units); i++)
		if (!strcmp(end, units[i].name))
			unit = units[i].bytes;
	if (!unit || (unit == 1 && fraction > 0))
		return -EINVAL;
	bytes = ((long double)whole + fraction) * (long double)unit;
	if (bytes >= 18446744073709551616.0L)
		return -ERANGE;
	*ret_bytes = (uint64_t)(bytes + 0.5L);
	return 0;
}

char *qb_format_size(uint64_t bytes)
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1023.95 && i + 1 < QB_ARRAY_SIZE(names)) {
		v /= 1024;
		i++;
	}
	v = (double)(uint64_t)(v * 10 + 0.5) / 10;
	if (v == (double)(uint64_t)v)
		return qb_asprintf("%.0f %s", v, names[i]);
	return qb_asprintf("%.1f %s", v, names[i]);
}

/* Optimal string alignment distance: insert, delete, replace, swap neighbours. */
static size_t distance(const char *a, const char *b)
{
	enum {
		MAX = 63
	};
	size_t n = strlen(a), m = strlen(b), d[3][MAX + 1];

	if (n > MAX || m > MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *row = d[i % 3], *above = d[(i - 1) % 3], *before = d[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
	}
	return d[n % 3][m];
}

const char *qb_str_nearest(const char *word, const char *const *candidates, size_t n)
{
	size_t best = strlen(word) / 3 + 2;
	const char *ret = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, candidates[i]);

		if (d < best) {
			best = d;
			ret = candidates[i];
		}
	}
	return ret;
}

bool qb_is_text(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)data[i] < ' ' && !(data[i] && strchr("\t\n\r", data[i])))
			return false;
	return true;
}
