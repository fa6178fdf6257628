/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page of the checks is made from their tables. */
#include "tests/unit/manual.h"

#include "checks/judging.h"

static void paragraph(const char *text, struct qb_buf *out)
{
	manual_escape(text, strlen(text), out);
}

static void lines(const char *text, struct qb_buf *out)
{
	qb_buf_puts(out, ".RS\n.EX\n");
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		manual_escape(line, n, out);
		line += n + (line[n] == '\n');
	}
	qb_buf_puts(out, ".EE\n.RE\n");
}

static void checks_as_roff(struct qb_buf *out)
{
	const char *group = "";

	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++) {
		if (!qb_streq((*g)->name, group))
			qb_buf_printf(out, ".SS %s\n", (*g)->name);
		group = (*g)->name;
		for (size_t i = 0; i < (*g)->n_checks; i++) {
			const struct qb_check *c = &(*g)->checks[i];

			qb_buf_puts(out, ".TP\n.B ");
			paragraph(c->id, out);
			qb_buf_printf(out, "(%s)\n", qb_severity_name(c->severity));
			paragraph(c->title, out);
			qb_buf_puts(out, ".br\n");
			paragraph(c->looks, out);
			paragraph(c->why, out);
			lines(c->remedy, out);
		}
	}
}

static const struct manual page = {
	.name = "qubi-agent-checks.7",
	.begin = ".\\\" Made from checks/: build/unit/test_check_manual --write\n",
	.make = checks_as_roff,
};

static void the_manual_has_every_check(void **state)
{
	(void)state;
	manual_hold(&page);
}

static void the_readme_counts_them(void **state)
{
	_cleanup_fclose_ FILE *f = fopen(QB_TESTS "/../README.md", "re");
	_cleanup_free_ char *claim = NULL;
	char text[1 << 15];
	size_t n = 0;

	(void)state;
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		n += (*g)->n_checks;
	claim = qb_asprintf("`qubi-agent check` looks at %zu things", n);
	if (!strstr(text, claim))
		fail_msg("README.md does not say: %s", claim);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_has_every_check),
		cmocka_unit_test(the_readme_counts_them),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return manual_write(&page);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
