/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole hosts, probed below a root of their own and judged: what a person decided by hand of each
 * (in its file), and what the reports say of it (in the files beside). After a change of checks:
 *
 *   build/unit/test_hosts --write              the reports anew; read what differs
 *   build/unit/test_hosts --unpack HOST DIR    for qubi-agent check --root DIR
 */
#include <dirent.h>

#include "agent/host/init.h"
#include "checks/judging.h"
#include "tests/unit/host_tree.h"

enum {
	HOSTS_LEAST = 25
};

static const char *const triages[] = {
	[QB_VIRT_UNKNOWN] = "unknown",
	[QB_VIRT_PROVEN] = "proven",
	[QB_VIRT_OFFERED] = "offered",
	[QB_VIRT_FIRMWARE] = "firmware",
	[QB_VIRT_HIDDEN] = "hidden",
	[QB_VIRT_ABSENT] = "absent",
	[QB_VIRT_ABSENT_OR_OFF] = "absent-or-off",
	[QB_VIRT_UNTRIED] = "untried",
	[QB_VIRT_CONTRADICTED] = "contradicted",
	[QB_VIRT_FOREIGN] = "foreign",
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(struct qb_strs *ret)
{
	_cleanup_closedir_ DIR *d = opendir(HOSTS);

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (qb_endswith(e->d_name, ".host"))
			qb_strs_add(ret, e->d_name);
	qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
}

/* One host, in a tree of its own. */
struct judged {
	struct host host;
	struct tree *tree;
	struct qb_facts facts;
	struct qb_report report;
};

static void judge(const char *name, struct judged *ret)
{
	struct qb_probe_options options = {.connect_uri = "test:///default", .timeout_ms = 1000};
	struct qb_check_input in = {.facts = &ret->facts};
	_cleanup_strs_ struct qb_strs reads = {0};
	struct qb_error err = QB_ERROR_INIT;

	*ret = (struct judged){0};
	host_load(name, &ret->host);
	tree_setup((void **)&ret->tree);
	host_write(&ret->host, ret->tree);
	qb_check_reads(NULL, &reads);
	options.root = &ret->tree->root;
	options.reads = &reads;
	qb_facts_probe(&options, &ret->facts);
	if (qb_judge(&in, NULL, NULL, &ret->report, &err) < 0)
		fail_msg("%s", err.msg);
}

static void judged_done(struct judged *j)
{
	host_done(&j->host);
	qb_facts_done(&j->facts);
	qb_report_done(&j->report);
	tree_teardown((void **)&j->tree);
}

static bool is(const struct host *h, const char *key, const char *got)
{
	const char *wanted = host_about(h, key);

	if (qb_streq(wanted, got))
		return true;
	print_error("%s: %s is %s, not %s\n", h->name, key, got, wanted ? wanted : "(told)");
	return false;
}

static const struct qb_result *result_of(const struct qb_report *report, const char *id, size_t len)
{
	for (size_t i = 0; i < report->n_results; i++) {
		const char *its = report->results[i].check->id;

		if (strlen(its) == len && !strncmp(its, id, len))
			return &report->results[i];
	}
	return NULL;
}

static bool is_expected(const struct judged *j, const char *line)
{
	size_t len = strcspn(line, " ");
	const struct qb_result *r = result_of(&j->report, line, len);
	const char *status = line + len + (line[len] == ' ');

	if (!r)
		fail_msg("%s: there is no check \"%s\"", j->host.name, line);
	if (!strcmp(qb_status_name(r->status), status))
		return true;
	print_error("%s: %s is %s, not %s: %s\n", j->host.name, r->check->id,
		    qb_status_name(r->status), status, r->message);
	return false;
}

static bool has_a_source(const struct host *h)
{
	static const char *const kinds[] = {"captured: ", "published: ", "modelled: "};
	const char *source = host_about(h, "source");

	for (size_t i = 0; source && i < QB_ARRAY_SIZE(kinds); i++)
		if (qb_startswith(source, kinds[i]))
			return true;
	print_error("%s does not say where it is from\n", h->name);
	return false;
}

/* What is written in the host's own file. */
static void verdicts_are_those_decided_by_hand(void **state)
{
	_cleanup_strs_ struct qb_strs names = {0};
	size_t bad = 0;

	(void)state;
	list(&names);
	assert_true(names.n >= HOSTS_LEAST);
	for (size_t i = 0; i < names.n; i++) {
		struct judged j;

		judge(names.v[i], &j);
		bad += !has_a_source(&j.host) || !host_about(&j.host, "about");
		bad += !is(&j.host, "verdict", qb_verdict_name(j.report.verdict));
		bad += !is(&j.host, "virtualization", triages[qb_virt_triage(&j.facts)]);
		bad += j.host.expect.n == 0;
		for (size_t k = 0; k < j.host.expect.n; k++)
			bad += !is_expected(&j, j.host.expect.v[k]);
		judged_done(&j);
	}
	assert_int_equal(bad, 0);
}

/* What a person reads; how many passed grows with every check and is left out. */
static char *text_of(const struct judged *j)
{
	const struct qb_text_style style = {.width = 80};
	struct qb_buf all = {0}, text = {0};

	qb_report_text(&j->report, &style, &all);
	qb_buf_printf(&text, "%s%s", qb_verdict_name(j->report.verdict), strchr(all.s, '\n'));
	free(all.s);
	return text.s;
}

/* The checks of a status, a line for each group. */
static void add_ids(const struct qb_report *report, enum qb_status status, struct qb_buf *out)
{
	const char *group = "";

	for (size_t i = 0; i < report->n_results; i++) {
		const char *id = report->results[i].check->id;
		int len = (int)strcspn(id, ".");

		if (report->results[i].status != status)
			continue;
		if (strncmp(group, id, (size_t)len + 1) != 0)
			qb_buf_printf(out, "%s  \"%.*s\": \"", *group ? "\",\n" : "", len, id);
		else
			qb_buf_puts(out, " ");
		qb_buf_puts(out, id + len + 1);
		group = id;
	}
	qb_buf_puts(out, *group ? "\"" : "");
}

/* A member a line, and of a list each of it, so that a difference can be read. */
static void add_member(const char *key, const json_t *value, const char *sep, struct qb_buf *out)
{
	_cleanup_free_ char *text =
		json_is_array(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
	const json_t *one;
	size_t i;

	qb_buf_printf(out, "%s\n  \"%s\": %s", sep, key, text ? text : "[");
	if (text)
		return;
	json_array_foreach (value, i, one) {
		_cleanup_free_ char *line = json_dumps(one, 0);

		qb_buf_printf(out, "%s\n    %s", i ? "," : "", line);
	}
	qb_buf_puts(out, "]");
}

/* Checks as the report has them, but for how long they took. */
static void add_results(const struct judged *j, const json_t *document, struct qb_buf *out)
{
	json_t *checks = json_object_get(document, "checks"), *c, *value;
	bool first = true;
	const char *key;
	size_t i;

	json_array_foreach (checks, i, c) {
		const char *sep = "";

		if (j->report.results[i].status == QB_PASS ||
		    j->report.results[i].status == QB_SKIP)
			continue;
		assert_int_equal(json_object_del(c, "duration_us"), 0);
		qb_buf_puts(out, first ? "{" : ",\n{");
		json_object_foreach (c, key, value) {
			add_member(key, value, sep, out);
			sep = ",";
		}
		qb_buf_puts(out, "}");
		first = false;
	}
}

/* The JSON report cut short: what did not pass as it is there, of the rest the ids. */
static char *json_of(const struct judged *j)
{
	json_auto_t *document = qb_report_to_json(&j->report);
	_cleanup_free_ char *summary = json_dumps(json_object_get(document, "summary"), 0);
	struct qb_buf out = {0};

	qb_buf_printf(&out, "{\"verdict\": \"%s\",\n\"summary\": %s,\n\"checks\": [",
		      json_string_value(json_object_get(document, "verdict")), summary);
	add_results(j, document, &out);
	qb_buf_puts(&out, "],\n\"pass\": {\n");
	add_ids(&j->report, QB_PASS, &out);
	qb_buf_puts(&out, "},\n\"skip\": {\n");
	add_ids(&j->report, QB_SKIP, &out);
	qb_buf_puts(&out, "}}\n");
	return out.s;
}

/* What init proposes of any host is a configuration that is read. */
static void assert_has_proposal(const struct judged *j)
{
	_cleanup_init_ struct qb_init init = {0};
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_buf_ struct qb_buf text = {0};

	qb_init_plan(&j->facts, &init);
	qb_init_text(&init, j->host.name, &text);
	if (qb_config_parse(text.s, text.len, &config, &diags) < 0)
		fail_msg("%s: %s in:\n%s", j->host.name, diags.v[0].msg, text.s);
	assert_int_not_equal(config.n_pools, 0);
}

static const struct {
	const char *ending;
	char *(*make)(const struct judged *j);
} goldens[] = {
	{".txt", text_of},
	{".json", json_of},
};

static bool is_golden(const struct judged *j, size_t i)
{
	_cleanup_free_ char *name = qb_asprintf("%s%s", j->host.name, goldens[i].ending);
	_cleanup_free_ char *got = goldens[i].make(j), *wanted = host_read(name);

	if (qb_streq(wanted, got))
		return true;
	print_error("%s differs; build/unit/test_hosts --write writes it anew\n", name);
	return false;
}

static void reports_are_those_in_the_files_beside(void **state)
{
	_cleanup_strs_ struct qb_strs names = {0};
	size_t bad = 0;

	(void)state;
	list(&names);
	for (size_t i = 0; i < names.n; i++) {
		struct judged j;

		judge(names.v[i], &j);
		for (size_t k = 0; k < QB_ARRAY_SIZE(goldens); k++)
			bad += !is_golden(&j, k);
		assert_has_proposal(&j);
		judged_done(&j);
	}
	assert_int_equal(bad, 0);
}

static int write_golden(const struct judged *j, size_t i)
{
	_cleanup_free_ char *path = qb_asprintf(HOSTS "%s%s", j->host.name, goldens[i].ending);
	_cleanup_free_ char *text = goldens[i].make(j);
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	if (f && fputs(text, f) >= 0 && fflush(f) == 0)
		return 0;
	perror(path);
	return 1;
}

static int write_anew(void)
{
	_cleanup_strs_ struct qb_strs names = {0};
	int status = 0;

	list(&names);
	for (size_t i = 0; i < names.n; i++) {
		struct judged j;

		judge(names.v[i], &j);
		for (size_t k = 0; k < QB_ARRAY_SIZE(goldens); k++)
			status |= write_golden(&j, k);
		judged_done(&j);
	}
	return status;
}

static int unpack(const char *name, const char *dir)
{
	_cleanup_free_ char *file = qb_asprintf("%s.host", name);
	struct tree t = {0};
	struct host h;

	host_load(file, &h);
	if (mkdir(dir, 0755) < 0 || qb_root_open(dir, &t.root, NULL) < 0) {
		perror(dir);
		host_done(&h);
		return 1;
	}
	host_write(&h, &t);
	qb_root_done(&t.root);
	host_done(&h);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_are_those_decided_by_hand),
		cmocka_unit_test(reports_are_those_in_the_files_beside),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_anew();
	if (argc == 4 && !strcmp(argv[1], "--unpack"))
		return unpack(argv[2], argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
