/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every check on one good host, changed case by case: tests/data/checks/host.json and host.yaml
 * are that host, the other files there hold the cases. A case names what differs:
 *
 *   {"check": ID, "name": what is special, "facts": {...}, "config": TEXT or false,
 *    "status": pass|warn|fail|unknown|skip, "says": part of the message,
 *    "source": where a piece of the evidence was read (optional),
 *    "remedy": part of the remedy (optional), "fix": kind or null (optional)}
 *
 * facts is merged into the host's: objects member by member; an object in the place of a list
 * changes the items of those names, adds them, or takes them away with null.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "checks/check.h"

static const char dir[] = QB_TESTS "/data/checks/";

static char *read_file(const char *name)
{
	_cleanup_free_ char *path = qb_asprintf("%s%s", dir, name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct qb_buf b = {0};
	char chunk[4096];
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		qb_buf_add(&b, chunk, n);
	return b.s;
}

static json_t *read_json(const char *name)
{
	_cleanup_free_ char *path = qb_asprintf("%s%s", dir, name);
	json_error_t error;
	json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	if (!document)
		fail_msg("%s:%d: %s", name, error.line, error.text);
	return document;
}

static void merge(json_t *into, json_t *patch);

static bool is_item(const json_t *item, const char *name)
{
	return qb_streq(json_string_value(json_object_get(item, "name")), name) ||
	       qb_streq(json_string_value(json_object_get(item, "path")), name);
}

/* The index of the item of that name or path; the size of the list when there is none. */
static size_t find_item(json_t *list, const char *name)
{
	size_t i = 0;

	while (i < json_array_size(list) && !is_item(json_array_get(list, i), name))
		i++;
	return i;
}

static void merge_list(json_t *list, json_t *patch)
{
	const char *name;
	json_t *change;

	json_object_foreach (patch, name, change) {
		size_t i = find_item(list, name);

		if (json_is_null(change)) {
			assert_true(i < json_array_size(list));
			json_array_remove(list, i);
			continue;
		}
		if (i == json_array_size(list))
			json_array_append_new(
				list, json_pack("{s:s}", *name == '/' ? "path" : "name", name));
		merge(json_array_get(list, i), change);
	}
}

static void merge(json_t *into, json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach (patch, key, value) {
		json_t *old = json_object_get(into, key);

		if (json_is_object(value) && json_is_array(old))
			merge_list(old, value);
		else if (json_is_object(value) && json_is_object(old))
			merge(old, value);
		else
			json_object_set(into, key, value);
	}
}

struct fixture {
	struct qb_facts facts;
	struct qb_config config;
	bool has_config;
	const char *config_unknown;
};

static void print_diags(const struct qb_diags *diags)
{
	for (size_t i = 0; i < diags->n; i++)
		print_error("%u:%u: %s\n", diags->v[i].line, diags->v[i].column, diags->v[i].msg);
}

static void load_facts(json_t *patch, struct qb_facts *ret)
{
	json_auto_t *host = read_json("host.json");
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text = NULL;
	int r;

	if (patch)
		merge(host, patch);
	text = json_dumps(host, 0);
	r = qb_facts_load(text, strlen(text), ret, &diags);
	print_diags(&diags);
	assert_int_equal(r, 0);
}

static void load_config(json_t *wanted, struct fixture *f)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text = NULL;
	int r;

	if (json_is_false(wanted))
		return;
	if (json_is_object(wanted)) {
		f->config_unknown = json_string_value(json_object_get(wanted, "unknown"));
		assert_non_null(f->config_unknown);
		return;
	}
	text = wanted ? qb_strdup(json_string_value(wanted)) : read_file("host.yaml");
	r = qb_config_parse(text, strlen(text), &f->config, &diags);
	print_diags(&diags);
	assert_int_equal(r, 0);
	f->has_config = true;
}

static void judge(struct fixture *f, const char *id, struct qb_report *ret)
{
	struct qb_check_input in = {
		.facts = &f->facts,
		.config = f->has_config ? &f->config : NULL,
		.config_unknown = f->config_unknown,
	};
	_cleanup_strs_ struct qb_strs select = {0};
	struct qb_error err = QB_ERROR_INIT;

	if (id)
		qb_strs_add(&select, id);
	if (qb_judge(&in, &select, NULL, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void fixture_done(struct fixture *f)
{
	qb_facts_done(&f->facts);
	qb_config_done(&f->config);
}

static bool contains(const char *text, json_t *part)
{
	return !part || (text && strstr(text, json_string_value(part)));
}

static bool has_source(json_t *evidence, json_t *source)
{
	size_t i;
	json_t *e;

	json_array_foreach (evidence, i, e)
		if (json_equal(json_object_get(e, "source"), source))
			return true;
	return !source;
}

static bool as_expected(json_t *c, const struct qb_report *report)
{
	json_auto_t *document = qb_report_to_json(report);
	json_t *got = json_array_get(json_object_get(document, "checks"), 0);
	json_t *fix = json_object_get(c, "fix");

	if (json_equal(json_object_get(got, "status"), json_object_get(c, "status")) &&
	    contains(json_string_value(json_object_get(got, "message")),
		     json_object_get(c, "says")) &&
	    contains(json_string_value(json_object_get(got, "remedy")),
		     json_object_get(c, "remedy")) &&
	    has_source(json_object_get(got, "evidence"), json_object_get(c, "source")) &&
	    (!fix || json_equal(fix, json_object_get(got, "fix"))))
		return true;
	print_error("%s, %s:\n", json_string_value(json_object_get(c, "check")),
		    json_string_value(json_object_get(c, "name")));
	json_dumpf(got, stderr, JSON_INDENT(2));
	print_error("\nexpected:\n");
	json_dumpf(c, stderr, JSON_INDENT(2));
	print_error("\n");
	return false;
}

/* What is judged is shown: by value and by where it was read. */
static void assert_evidence(const struct qb_report *report)
{
	for (size_t i = 0; i < report->n_results; i++) {
		const struct qb_result *r = &report->results[i];

		if (r->status == QB_SKIP || r->status == QB_STATUS_UNKNOWN)
			continue;
		if (!r->n_evidence)
			fail_msg("%s gives no evidence", r->check->id);
		for (size_t k = 0; k < r->n_evidence; k++) {
			assert_true(r->evidence[k].key && *r->evidence[k].key);
			assert_true(r->evidence[k].value && *r->evidence[k].value);
			assert_true(r->evidence[k].source && *r->evidence[k].source);
		}
	}
}

/* As if these parts had not been probed. */
static void forget(struct qb_facts *facts, unsigned parts)
{
	struct qb_facts forgotten = {0};

	if (parts & QB_FACTS_KVM)
		QB_SWAP(forgotten.kvm, facts->kvm);
	if (parts & QB_FACTS_MODULES) {
		QB_SWAP(forgotten.modules, facts->modules);
		QB_SWAP(forgotten.n_modules, facts->n_modules);
	}
	if (parts & QB_FACTS_NET)
		QB_SWAP(forgotten.net, facts->net);
	if (parts & QB_FACTS_DISKS)
		QB_SWAP(forgotten.disks, facts->disks);
	if (parts & QB_FACTS_SPACE) {
		QB_SWAP(forgotten.spaces, facts->spaces);
		QB_SWAP(forgotten.n_spaces, facts->n_spaces);
	}
	if (parts & QB_FACTS_LIBVIRT) {
		QB_SWAP(forgotten.libvirt, facts->libvirt);
		QB_SWAP(forgotten.targets, facts->targets);
		QB_SWAP(forgotten.n_targets, facts->n_targets);
	}
	qb_facts_done(&forgotten);
}

/* Judged twice: of what is not probed for a check's sake it must not need anything. */
static bool run_case(json_t *c)
{
	const char *id = json_string_value(json_object_get(c, "check"));
	struct fixture f = {0};
	_cleanup_report_ struct qb_report report = {0}, part = {0};
	_cleanup_strs_ struct qb_strs select = {0};
	bool ok;

	assert_non_null(id);
	qb_strs_add(&select, id);
	assert_non_null(json_string_value(json_object_get(c, "says")));
	load_facts(json_object_get(c, "facts"), &f.facts);
	load_config(json_object_get(c, "config"), &f);
	judge(&f, id, &report);
	assert_evidence(&report);
	ok = as_expected(c, &report);
	forget(&f.facts, qb_check_without(&select));
	judge(&f, id, &part);
	ok = ok && as_expected(c, &part);
	fixture_done(&f);
	return ok;
}

static bool is_cases(const char *name)
{
	return qb_endswith(name, ".json") && strcmp(name, "host.json") != 0;
}

/* The cases of all files in one list. */
static json_t *all_cases(void)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	json_t *all = json_array();

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		json_auto_t *cases = is_cases(e->d_name) ? read_json(e->d_name) : NULL;

		if (cases)
			assert_int_equal(json_array_extend(all, cases), 0);
	}
	return all;
}

static void every_case_is_judged_as_expected(void **state)
{
	json_auto_t *cases = all_cases();
	size_t bad = 0;

	(void)state;
	assert_true(json_array_size(cases) > 100);
	for (size_t i = 0; i < json_array_size(cases); i++)
		bad += !run_case(json_array_get(cases, i));
	assert_int_equal(bad, 0);
}

static bool has_case(json_t *cases, const char *id, const char *status, const char *or_status)
{
	for (size_t i = 0; i < json_array_size(cases); i++) {
		json_t *c = json_array_get(cases, i);
		const char *s = json_string_value(json_object_get(c, "status"));

		if (qb_streq(json_string_value(json_object_get(c, "check")), id) &&
		    (qb_streq(s, status) || qb_streq(s, or_status)))
			return true;
	}
	return false;
}

static void every_check_has_a_case_of_each_kind(void **state)
{
	json_auto_t *cases = all_cases();
	size_t missing = 0;

	(void)state;
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->n_checks; i++) {
			const char *id = (*g)->checks[i].id;
			const char *severe =
				(*g)->checks[i].severity == QB_REQUIRED ? "fail" : "warn";
			const char *const kinds[] = {"pass", severe, "unknown"};

			for (size_t k = 0; k < QB_ARRAY_SIZE(kinds); k++) {
				if (has_case(cases, id, kinds[k], NULL))
					continue;
				print_error("%s has no case of %s\n", id, kinds[k]);
				missing++;
			}
		}
	}
	assert_int_equal(missing, 0);
}

/* Each cause for which the proof's guest did not run is a finding of its own. */
static void every_cause_has_its_words(void **state)
{
	static const enum qb_guest_cause causes[] = {
		QB_GUEST_NO_DEVICE, QB_GUEST_NO_DRIVER, QB_GUEST_PERMISSION, QB_GUEST_BUSY,
		QB_GUEST_FIRMWARE,  QB_GUEST_MEMORY,    QB_GUEST_API,        QB_GUEST_ENTRY,
		QB_GUEST_WRONG,     QB_GUEST_TIMEOUT,   QB_GUEST_OTHER,
	};
	_cleanup_strs_ struct qb_strs said = {0};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(causes); i++) {
		struct fixture f = {0};
		_cleanup_report_ struct qb_report report = {0};

		f.facts.kvm.guest_cause = causes[i];
		f.facts.kvm.guest_ran.state =
			causes[i] == QB_GUEST_PERMISSION || causes[i] == QB_GUEST_TIMEOUT
				? QB_UNKNOWN
				: QB_NO;
		judge(&f, "kvm.guest-run", &report);
		assert_int_equal(report.results[0].status, f.facts.kvm.guest_ran.state == QB_NO
								   ? QB_FAIL
								   : QB_STATUS_UNKNOWN);
		assert_non_null(report.results[0].remedy);
		assert_false(qb_strs_has(&said, report.results[0].message));
		qb_strs_add(&said, report.results[0].message);
	}
}

static void the_good_host_is_ready(void **state)
{
	_cleanup_report_ struct qb_report with = {0}, without = {0};
	struct fixture f = {0};

	(void)state;
	load_facts(NULL, &f.facts);
	load_config(NULL, &f);
	judge(&f, NULL, &with);
	for (size_t i = 0; i < with.n_results; i++)
		if (with.results[i].status != QB_PASS)
			print_error("%s: %s\n", with.results[i].check->id, with.results[i].message);
	assert_int_equal(with.verdict, QB_READY);
	assert_int_equal(with.counts[QB_PASS], with.n_results);

	assert_evidence(&with);
	f.has_config = false;
	judge(&f, NULL, &without);
	assert_int_equal(without.verdict, QB_READY);
	assert_true(without.counts[QB_SKIP] > 0);
	fixture_done(&f);
}

/* A machine before the first apply, as a whole: what a person reads. */
static void the_bare_host_reads_well(void **state)
{
	const struct qb_text_style style = {.width = 80};
	json_auto_t *patch = read_json("bare/facts.json");
	_cleanup_free_ char *expected = read_file("bare/report.txt");
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_buf_ struct qb_buf text = {0};
	struct fixture f = {0};

	(void)state;
	load_facts(patch, &f.facts);
	load_config(NULL, &f);
	judge(&f, NULL, &report);
	assert_evidence(&report);
	qb_report_text(&report, &style, &text);
	/* How many passed is for no golden: it grows with every check. */
	assert_true(qb_startswith(text.s, "not-ready: "));
	assert_string_equal(strchr(text.s, '\n') + 1, expected);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_is_judged_as_expected),
		cmocka_unit_test(every_check_has_a_case_of_each_kind),
		cmocka_unit_test(every_cause_has_its_words),
		cmocka_unit_test(the_good_host_is_ready),
		cmocka_unit_test(the_bare_host_reads_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
