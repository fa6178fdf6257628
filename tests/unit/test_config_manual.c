/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manual page of the configuration is made from the table of its keys:
 * build/unit/test_config_manual --write writes it anew.
 */
#include "tests/unit/manual.h"

#include "agent/host/config.h"

static void keys_as_roff(struct qb_buf *out)
{
	_cleanup_buf_ struct qb_buf text = {0};

	qb_config_document(&text);
	for (const char *line = text.s; *line;) {
		size_t n = strcspn(line, "\n"), indent = strspn(line, " ");

		if (!indent)
			qb_buf_puts(out, ".TP\n.B ");
		manual_escape(line + indent, n - indent, out);
		line += n + 1;
	}
}

static const struct manual page = {
	.name = "qubi-agent-host.yaml.5",
	.begin =
		".\\\" Made from agent/host/config_keys.c: build/unit/test_config_manual --write\n",
	.make = keys_as_roff,
};

static void the_manual_has_every_key(void **state)
{
	(void)state;
	manual_hold(&page);
}

/* The example of the page is a configuration. */
static void the_example_is_good(void **state)
{
	_cleanup_buf_ struct qb_buf is = {0}, wanted = {0}, text = {0};
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_diags_ struct qb_diags diags = {0};
	const char *at, *end;

	(void)state;
	manual_read(&page, &is, &wanted);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_has_every_key),
		cmocka_unit_test(the_example_is_good),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return manual_write(&page);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
