/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/text.h"
#include "agent/host/init.h"

#define WIDTH 80

static json_t *bare(const json_t *value)
{
	json_t *copy, *each;
	const char *key;
	size_t i;

	if (json_is_array(value)) {
		copy = json_array();
		json_array_foreach (value, i, each)
			json_array_append_new(copy, bare(each));
		return copy;
	}
	if (!json_is_object(value))
		return json_incref((json_t *)value);
	copy = json_object();
	json_object_foreach ((json_t *)value, key, each)
		if (strcmp(key, QB_INIT_REMARKS) != 0)
			json_object_set_new(copy, key, bare(each));
	return copy;
}

json_t *qb_init_bare(const struct qb_init *init)
{
	return bare(init->config);
}

static void comment(struct qb_buf *out, unsigned indent, unsigned hanging, const char *text)
{
	_cleanup_buf_ struct qb_buf wrapped = {0};
	const char *line, *end;

	qb_text_wrap(&wrapped, 0, hanging, WIDTH - indent - 2, text);
	for (line = wrapped.s; *line; line = end + 1) {
		end = strchr(line, '\n');
		qb_buf_printf(out, "%*s# %.*s\n", (int)indent, "", (int)(end - line), line);
	}
}

/* It is read as a text without quotes. */
static bool is_plain(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char others[] = "0123456789._/-";
	static const char *const words[] = {"true", "false", "yes", "no", "on",
					    "off",  "null",  "y",   "n"};

	if (!strchr(letters, *text) && *text != '/')
		return false;
	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i]))
			return false;
	for (; *text; text++)
		if (!strchr(letters, *text) && !strchr(others, *text))
			return false;
	return true;
}

/* In one line; what JSON quotes YAML reads the same. */
static void flow(struct qb_buf *out, const json_t *value)
{
	_cleanup_free_ char *text = NULL;
	const char *key, *sep = "";
	json_t *each;
	size_t i;

	if (json_is_string(value) && is_plain(json_string_value(value))) {
		qb_buf_puts(out, json_string_value(value));
	} else if (json_is_array(value)) {
		qb_buf_puts(out, "[");
		json_array_foreach (value, i, each) {
			qb_buf_puts(out, i ? ", " : "");
			flow(out, each);
		}
		qb_buf_puts(out, "]");
	} else if (json_is_object(value)) {
		qb_buf_puts(out, "{");
		json_object_foreach ((json_t *)value, key, each) {
			qb_buf_printf(out, "%s%s: ", sep, key);
			flow(out, each);
			sep = ", ";
		}
		qb_buf_puts(out, "}");
	} else {
		text = json_dumps(value, JSON_ENCODE_ANY);
		qb_buf_puts(out, text);
	}
}

/* A list of more than one stands one below the other. */
static void member(struct qb_buf *out, unsigned indent, const char *key, const json_t *value)
{
	json_t *each;
	size_t i;

	qb_buf_printf(out, "%s:", key);
	if (json_is_array(value) && json_array_size(value) > 1) {
		qb_buf_puts(out, "\n");
		json_array_foreach (value, i, each) {
			qb_buf_printf(out, "%*s- ", (int)indent + 2, "");
			flow(out, each);
			qb_buf_puts(out, "\n");
		}
		return;
	}
	qb_buf_puts(out, " ");
	flow(out, value);
	qb_buf_puts(out, "\n");
}

static void mapping(struct qb_buf *out, const json_t *object, unsigned indent, const char *first)
{
	const char *key;
	json_t *each;

	json_object_foreach ((json_t *)object, key, each) {
		if (!strcmp(key, QB_INIT_REMARKS))
			continue;
		qb_buf_printf(out, "%*s", first ? 0 : (int)indent, "");
		qb_buf_puts(out, first ? first : "");
		member(out, indent, key, each);
		first = NULL;
	}
}

static void list(struct qb_buf *out, const json_t *items)
{
	json_t *item, *remark;
	size_t i, j;

	json_array_foreach (items, i, item) {
		json_array_foreach (json_object_get(item, QB_INIT_REMARKS), j, remark)
			comment(out, 2, 0, json_string_value(remark));
		mapping(out, item, 4, "  - ");
	}
}

void qb_init_text(const struct qb_init *init, const char *host, struct qb_buf *out)
{
	_cleanup_free_ char *head = qb_asprintf(
		"What qubi-agent init proposes for %s. Read it, change it, and save it as "
		"/etc/qubi-agent/host.yaml: qubi-agent plan shows what comes of it. All keys: "
		"man 5 qubi-agent-host.yaml.",
		host ? host : "this host");
	json_t *each, *reason;
	const char *key;
	size_t i, j;

	comment(out, 0, 0, head);
	json_object_foreach (init->config, key, each) {
		if (json_is_integer(each)) {
			qb_buf_printf(out, "%s: %" JSON_INTEGER_FORMAT "\n", key,
				      json_integer_value(each));
			continue;
		}
		qb_buf_printf(out, "\n%s:\n", key);
		if (json_is_array(each))
			list(out, each);
		else
			mapping(out, each, 2, NULL);
	}
	if (json_array_size(init->left))
		qb_buf_puts(out, "\n# Left out:\n");
	json_array_foreach (init->left, i, each)
		json_array_foreach (json_object_get(each, "reasons"), j, reason) {
			_cleanup_free_ char *line = qb_asprintf(
				"- %s: %s", json_string_value(json_object_get(each, "target")),
				json_string_value(reason));

			comment(out, 0, 2, line);
		}
}
