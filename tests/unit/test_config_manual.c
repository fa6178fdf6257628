/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manual page of the configuration is made from the table of its keys:
 * build/unit/test_config_manual --write writes it anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/host/config.h"

#define PAGE QB_TESTS "/../packaging/qubi-agent-host.yaml.5"

/* Between these lines the page is made; what is around them is written by hand. */
#define BEGIN ".\\\" Made from agent/host/config_keys.c: build/unit/test_config_manual --write\n"
#define END ".\\\" End of what is made\n"

/* A minus that can be copied; no line that begins with a request. */
static void escape(const char *line, size_t n, struct qb_buf *out)
{
	if (n && strchr(".'", *line))
		qb_buf_puts(out, "\\&");
	for (size_t i = 0; i < n; i++)
		switch (line[i]) {
		case '-':
			qb_buf_puts(out, "\\-");
			break;
		case '\\':
			qb_buf_puts(out, "\\e");
			break;
		default:
			qb_buf_add(out, line + i, 1);
		}
	qb_buf_puts(out, "\n");
}

static void keys_as_roff(struct qb_buf *out)
{
	_cleanup_buf_ struct qb_buf text = {0};

	qb_config_document(&text);
	for (const char *line = text.s; *line;) {
		size_t n = strcspn(line, "\n"), indent = strspn(line, " ");

		if (!indent)
			qb_buf_puts(out, ".TP\n.B ");
		escape(line + indent, n - indent, out);
		line += n + 1;
	}
}

/* The page as it is, and as it should be. */
static void read_page(struct qb_buf *is, struct qb_buf *wanted)
{
	_cleanup_fclose_ FILE *f = fopen(PAGE, "re");
	char chunk[4096];
	const char *begin, *end;
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		qb_buf_add(is, chunk, n);
	begin = strstr(is->s, BEGIN);
	assert_non_null(begin);
	begin += strlen(BEGIN);
	end = strstr(begin, END);
	assert_non_null(end);
	qb_buf_add(wanted, is->s, (size_t)(begin - is->s));
	keys_as_roff(wanted);
	qb_buf_puts(wanted, end);
}

static void the_manual_has_every_key(void **state)
{
	_cleanup_buf_ struct qb_buf is = {0}, wanted = {0};

	(void)state;
	read_page(&is, &wanted);
	if (strcmp(is.s, wanted.s) != 0)
		fail_msg("packaging/qubi-agent-host.yaml.5 is not what agent/host/config_keys.c "
			 "says; build/unit/test_config_manual --write writes it anew");
}

/* The example of the page is a configuration. */
static void the_example_is_good(void **state)
{
	_cleanup_buf_ struct qb_buf is = {0}, wanted = {0}, text = {0};
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_diags_ struct qb_diags diags = {0};
	const char *at, *end;

	(void)state;
	read_page(&is, &wanted);
	at = strstr(is.s, "\n.EX\n");
	assert_non_null(at);
	at += strlen("\n.EX\n");
	end = strstr(at, ".EE\n");
	assert_non_null(end);
	for (; at < end; at++)
		if (*at != '\\')
			qb_buf_add(&text, at, 1);
	if (qb_config_parse(text.s, text.len, &config, &diags) < 0)
		fail_msg("line %u of the example: %s", diags.v[0].line, diags.v[0].msg);
	assert_int_equal(config.n_bridges, 1);
	assert_int_equal(config.n_networks, 1);
	assert_int_equal(config.n_pools, 2);
}

static int write_anew(void)
{
	_cleanup_buf_ struct qb_buf is = {0}, wanted = {0};
	_cleanup_fclose_ FILE *f = NULL;

	read_page(&is, &wanted);
	f = fopen(PAGE, "we");
	if (!f || fwrite(wanted.s, 1, wanted.len, f) != wanted.len || fflush(f) != 0) {
		perror(PAGE);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_has_every_key),
		cmocka_unit_test(the_example_is_good),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_anew();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
