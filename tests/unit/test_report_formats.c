/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports as other programs read them: each against its text in tests/data/report, and against a
 * reader that is stricter than theirs. build/unit/test_report_formats --write writes the texts
 * anew; look at what changed.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlschemas.h>
#include <yaml.h>

#include "checks/check.h"

#define DATA QB_TESTS "/data/report/"

/* What a label or a name of a device can hold, and what each of the formats would trip over. */
static const char hostile[] = "\"q\" 'a' <b>&amp;|x=1 ]]></failure></pre><script>alert(1)</script> "
			      "# SKIP\\\n"
			      "ok 99 - forged\r\t\033[31m\xff\xc2\x9b\xe2\x80\xae\xef\xbf\xbe }";

static void nothing(const struct qb_check_input *in, struct qb_result *r)
{
	(void)in;
	qb_pass(r, "it is");
}

/* None of the registry: there ids and titles are ours. */
static const struct qb_check hostile_check = {
	.id = hostile,
	.title = hostile,
	.severity = QB_REQUIRED,
	.looks = hostile,
	.why = hostile,
	.remedy = hostile,
	.judge = nothing,
};

static struct qb_result *add(struct qb_report *report, const struct qb_check *check,
			     enum qb_status status, const char *message)
{
	struct qb_result *r = QB_APPEND(report->results, report->n_results);

	r->check = check;
	r->severity = check->severity;
	r->fix = status == QB_FAIL || status == QB_WARN ? check->fix : NULL;
	r->status = status;
	r->message = qb_strdup(message);
	r->duration_us = 10 + report->n_results;
	report->counts[status]++;
	return r;
}

static struct qb_result *add_id(struct qb_report *report, const char *id, enum qb_status status,
				const char *message)
{
	const struct qb_check *check = qb_check_find(id);

	assert_non_null(check);
	return add(report, check, status, message);
}

static void ignore(struct qb_result *r)
{
	r->ignored = true;
	r->severity = QB_INFORMATIONAL;
}

/* Every status, of what is required, recommended and ignored. */
static void sample(struct qb_report *report)
{
	struct qb_result *r;

	r = add_id(report, "cpu.virtualization", QB_PASS, "the CPU offers SVM");
	qb_evidence(r, "cpuid svm", "CPUID 0x80000001", "yes");
	add_id(report, "modules.vendor", QB_SKIP, "it could not help: there is no such # module");
	r = add_id(report, "kvm.device", QB_FAIL, "there is no /dev/kvm");
	qb_evidence(r, "/dev/kvm", "/dev/kvm", "no");
	r = add_id(report, "kvm.guest-run", QB_STATUS_UNKNOWN, "nobody looked");
	qb_remedy(r, "# Ask again as root.\nqubi-agent check kvm");
	ignore(add_id(report, "kvm.nested", QB_STATUS_UNKNOWN, "kvm_amd is not loaded"));
	r = add_id(report, "iommu.enabled", QB_WARN, "no IOMMU is in use");
	qb_evidence(r, "iommu", "/sys/class/iommu", "no");
	add_id(report, "memory.available", QB_STATUS_UNKNOWN, "/proc/meminfo could not be read");
	ignore(add_id(report, "security.selinux", QB_WARN, "SELinux is permissive"));
	r = add(report, &hostile_check, QB_FAIL, hostile);
	qb_evidence(r, hostile, hostile, "%s", hostile);
	report->verdict = QB_NOT_READY;
}

static char *read_file(const char *name)
{
	_cleanup_free_ char *path = qb_asprintf(DATA "%s", name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct qb_buf b = {0};
	char chunk[4096];
	size_t n;

	qb_buf_puts(&b, "");
	while (f && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		qb_buf_add(&b, chunk, n);
	return b.s;
}

static void load_facts(struct qb_facts *ret)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *text = read_file("facts.json");

	if (qb_facts_load(text, strlen(text), ret, &diags) < 0)
		fail_msg("%u:%u: %s", diags.v[0].line, diags.v[0].column, diags.v[0].msg);
}

static char *render(qb_report_format *format, const struct qb_report *report,
		    const struct qb_facts *facts)
{
	const struct qb_report_about about = {
		.facts = facts,
		.time_s = 1767323045, /* 2026-01-02T03:04:05 */
		.duration_us = 1234567,
	};
	struct qb_buf b = {0};

	format(report, &about, &b);
	return b.s;
}

static char *render_sample(qb_report_format *format)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_facts_ struct qb_facts facts = {0};

	sample(&report);
	load_facts(&facts);
	return render(format, &report, &facts);
}

static const struct {
	const char *file;
	qb_report_format *format;
} goldens[] = {
	{"report.xml", qb_report_junit},     {"report.tap", qb_report_tap},
	{"report.nagios", qb_report_nagios}, {"report.prom", qb_report_prometheus},
	{"report.html", qb_report_html},
};

/* The version is another one with each release. */
static char *golden(size_t i)
{
	char *text = render_sample(goldens[i].format), *version = strstr(text, QB_VERSION "</p>");

	if (version) {
		memset(version, 'V', 1);
		memmove(version + 1, version + strlen(QB_VERSION),
			strlen(version + strlen(QB_VERSION)) + 1);
	}
	return text;
}

static int write_anew(void)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(goldens); i++) {
		_cleanup_free_ char *text = golden(i);
		_cleanup_free_ char *path = qb_asprintf(DATA "%s", goldens[i].file);
		_cleanup_fclose_ FILE *f = fopen(path, "we");

		if (!f || fputs(text, f) < 0 || fflush(f) != 0) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

static void each_is_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(goldens); i++) {
		_cleanup_free_ char *text = golden(i), *wanted = read_file(goldens[i].file);

		if (strcmp(text, wanted) != 0)
			fail_msg("tests/data/report/%s is another text; "
				 "build/unit/test_report_formats --write writes it anew",
				 goldens[i].file);
	}
}

static void nothing_is_printed_raw(void **state)
{
	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(goldens); i++) {
		_cleanup_free_ char *text = render_sample(goldens[i].format);
		_cleanup_free_ char *safe = NULL;

		assert_true(qb_endswith(text, "\n"));
		for (char *p = text; *p; p++)
			*p = *p == '\n' ? ' ' : *p;
		/* UTF-8 without control characters is its own printable form. */
		safe = qb_str_printable(text);
		assert_string_equal(text, safe);
	}
}

static void quiet(void *context, const char *fmt, ...)
{
	(void)context;
	(void)fmt;
}

static xmlDoc *parse_xml(const char *text)
{
	xmlDoc *doc = xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);

	assert_non_null(doc);
	return doc;
}

static int validate(const char *text)
{
	xmlSchemaParserCtxt *parser = xmlSchemaNewParserCtxt(DATA "junit.xsd");
	xmlSchema *schema = xmlSchemaParse(parser);
	xmlSchemaValidCtxt *valid;
	xmlDoc *doc = parse_xml(text);
	int r;

	assert_non_null(schema);
	valid = xmlSchemaNewValidCtxt(schema);
	r = xmlSchemaValidateDoc(valid, doc);
	xmlFreeDoc(doc);
	xmlSchemaFreeValidCtxt(valid);
	xmlSchemaFree(schema);
	xmlSchemaFreeParserCtxt(parser);
	return r;
}

static size_t count_elements(const xmlNode *node, const char *name)
{
	size_t n = 0;

	for (; node; node = node->next)
		n += (node->type == XML_ELEMENT_NODE && qb_streq((const char *)node->name, name)) +
		     count_elements(node->children, name);
	return n;
}

static size_t figure(xmlNode *node, const char *name)
{
	char *text = (char *)xmlGetProp(node, (const xmlChar *)name);
	uint64_t n = 0;

	assert_non_null(text);
	assert_int_equal(qb_parse_u64(text, &n), 0);
	xmlFree(text);
	return n;
}

static bool attribute_is(xmlNode *node, const char *name, const char *value)
{
	char *text = (char *)xmlGetProp(node, (const xmlChar *)name);
	bool is = qb_streq(text, value);

	xmlFree(text);
	return is;
}

static void junit_is_valid(void **state)
{
	_cleanup_free_ char *text = render_sample(qb_report_junit);
	_cleanup_free_ char *safe = qb_str_printable(hostile), *message = NULL;
	char *all;
	xmlDoc *doc = parse_xml(text);
	xmlNode *root = xmlDocGetRootElement(doc), *suite;

	(void)state;
	assert_int_equal(validate(text), 0);
	assert_int_equal(figure(root, "tests"), 9);
	assert_int_equal(figure(root, "failures"), 2);
	assert_int_equal(figure(root, "errors"), 1);
	for (suite = root->children; suite; suite = suite->next) {
		if (suite->type != XML_ELEMENT_NODE)
			continue;
		/* Servers take it for UTC, and refuse a zone. */
		assert_true(attribute_is(suite, "timestamp", "2026-01-02T03:04:05"));
		assert_int_equal(figure(suite, "tests"),
				 count_elements(suite->children, "testcase"));
		assert_int_equal(figure(suite, "failures"),
				 count_elements(suite->children, "failure"));
		assert_int_equal(figure(suite, "errors"), count_elements(suite->children, "error"));
		assert_int_equal(figure(suite, "skipped"),
				 count_elements(suite->children, "skipped"));
	}
	/* What was read back is what was said. */
	all = (char *)xmlNodeGetContent(root);
	message = qb_asprintf("%s\n  %s: %s (%s)\nRemedy:\n", safe, safe, safe, safe);
	assert_non_null(strstr(all, message));
	xmlFree(all);
	xmlFreeDoc(doc);
}

/* The schema is that of the format: it takes what is never printed here, and not anything. */
static void the_schema_of_junit_is_the_formats(void **state)
{
	static const struct {
		const char *body;
		bool valid;
	} cases[] = {
		{"", true},
		{"<testcase name='a'/>", true},
		{"<testcase name='a' group='g' time='soon'><system-err>e</system-err>"
		 "<failure>f</failure><failure type='t'/></testcase>",
		 true},
		{"<properties><property name='a' value='b'/></properties>", true},
		{"<testcase name='a'><rerunFailure type='t'>r<stackTrace>s</stackTrace>"
		 "<system-out/></rerunFailure><flakyError type='t'/></testcase>",
		 true},
		{"<testsuite name='a' tests='0' failures='0' errors='0' time='1,234.5' id='1' "
		 "package='p' file='f' log='l' url='u'/><system-out/>",
		 true},
		{"<testcase/>", false},
		{"<testcase name='a' status='run'/>", false},
		{"<testcase name='a'><passed/></testcase>", false},
		{"<testcase name='a'><properties/></testcase>", false},
		{"<testcase name='a'>text</testcase>", false},
		{"<testcase name='a'><skipped reason='r'/></testcase>", false},
		{"<testcase name='a'><rerunError/></testcase>", false},
		{"<testcase name='a'><flakyFailure type='t'><system-out/><stackTrace/>"
		 "</flakyFailure></testcase>",
		 false},
		{"<properties><property name='a'/></properties>", false},
		{"<testsuite name='a' tests='0' failures='0'/>", false},
		{"<testsuite tests='0' failures='0' errors='0'/>", false},
		{"<testsuite name='a' tests='0' failures='0' errors='0' time='1s'/>", false},
		{"<testsuite name='a' tests='0' failures='0' errors='0' disabled='0'/>", false},
	};

	(void)state;
	xmlSetGenericErrorFunc(NULL, quiet);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = qb_asprintf(
			"<testsuites><testsuite name='s' tests='0' failures='0' errors='0'>"
			"%s</testsuite></testsuites>",
			cases[i].body);

		if ((validate(text) == 0) != cases[i].valid)
			fail_msg("is %svalid: %s", cases[i].valid ? "not " : "", text);
	}
	assert_int_not_equal(validate("<testsuites skipped='0'/>"), 0);
	assert_int_not_equal(validate("<testcase name='a'/>"), 0);
	xmlSetGenericErrorFunc(NULL, NULL);
}

/* What a reader of TAP makes of it. */
struct tap {
	size_t planned, points, failed, todo, skipped, blocks;
};

/* A block is YAML, and its message is the first of its pairs. */
static void read_block(const char *text, size_t len, const char **keys, size_t n_keys)
{
	yaml_parser_t parser;
	yaml_document_t document;
	yaml_node_t *root;
	size_t found = 0;

	assert_true(yaml_parser_initialize(&parser));
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &document))
		fail_msg("line %zu: %s", parser.problem_mark.line, parser.problem);
	root = yaml_document_get_root_node(&document);
	assert_int_equal(root->type, YAML_MAPPING_NODE);
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *key = yaml_document_get_node(&document, p->key);

		for (size_t i = 0; i < n_keys; i++)
			found += qb_streq((const char *)key->data.scalar.value, keys[i]);
	}
	assert_int_equal(found, n_keys);
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
}

static struct tap read_tap(const char *text)
{
	static const char *keys[] = {"message", "status", "severity"};
	struct tap t = {0};
	const char *line = text;
	regex_t point;

	assert_int_equal(regcomp(&point, "^(not )?ok [0-9]+ - [^#]*( # (SKIP|TODO) .+)?$",
				 REG_EXTENDED | REG_NOSUB),
			 0);
	assert_true(qb_startswith(line, "TAP version 13\n1.."));
	line = strchr(line, '\n') + 1;
	t.planned = (size_t)atoi(line + 3);
	for (line = strchr(line, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
		_cleanup_free_ char *one = qb_strndup(line, strcspn(line, "\n"));
		bool ok = qb_startswith(one, "ok ");

		if (!strcmp(one, "  ---")) {
			const char *end = strstr(line, "\n  ...\n");

			assert_non_null(end);
			line = strchr(line, '\n') + 1;
			read_block(line, (size_t)(end - line), keys, QB_ARRAY_SIZE(keys));
			t.blocks++;
			line = end + 1;
			continue;
		}
		/* The first hash that is not escaped begins the directive. */
		for (char *p = one; (p = strstr(p, "\\#"));)
			memset(p, '.', 2);
		if (regexec(&point, one, 0, NULL, 0) != 0)
			fail_msg("no point of TAP: %s", one);
		assert_int_equal(atoi(one + (ok ? 3 : 7)), ++t.points);
		t.todo += !!strstr(one, " # TODO ");
		t.skipped += !!strstr(one, " # SKIP ");
		t.failed += !ok && !strstr(one, " # TODO ");
	}
	regfree(&point);
	assert_int_equal(t.planned, t.points);
	return t;
}

static void tap_is_valid(void **state)
{
	_cleanup_free_ char *text = render_sample(qb_report_tap);
	struct tap t = read_tap(text);

	(void)state;
	assert_int_equal(t.points, 9);
	assert_int_equal(t.failed, 3);
	assert_int_equal(t.todo, 2);
	assert_int_equal(t.skipped, 3);
	assert_int_equal(t.blocks, 7);
}

static void nagios_has_one_bar(void **state)
{
	static const char *const titles[] = {
		[QB_READY] = "QUBI READY - ",
		[QB_DEGRADED] = "QUBI DEGRADED - ",
		[QB_NOT_READY] = "QUBI NOT-READY - ",
		[QB_VERDICT_UNKNOWN] = "QUBI UNKNOWN - ",
	};
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	regex_t figures;

	(void)state;
	assert_int_equal(regcomp(&figures,
				 "^[^|\n]*\\|([a-z]+=[0-9]+;;;0;9 ){5}time=1\\.234567s;;;0\n[^|]*$",
				 REG_EXTENDED | REG_NOSUB),
			 0);
	sample(&report);
	for (size_t i = 0; i < QB_ARRAY_SIZE(titles); i++) {
		_cleanup_free_ char *text = NULL;

		report.verdict = (enum qb_verdict)i;
		text = render(qb_report_nagios, &report, &facts);
		assert_true(qb_startswith(text, titles[i]));
		assert_int_equal(regexec(&figures, text, 0, NULL, 0), 0);
	}
	regfree(&figures);
}

/* Where only the first line is shown, or the rest is cut off, what gave the verdict is there. */
static void nagios_begins_with_what_is_worst(void **state)
{
	static const char *const first[] = {
		[QB_READY] = " skipped|",
		[QB_DEGRADED] = " skipped: iommu.enabled (no IOMMU is in use), memory.available|",
		[QB_NOT_READY] = " skipped: kvm.device (there is no /dev/kvm), "
				 "storage.pool-space, net.default-route and 2 more|",
		[QB_VERDICT_UNKNOWN] = " skipped: kvm.guest-run (nobody looked)|",
	};
	static const char *const ids[] = {"net.default-route", "cpu.virtualization",
					  "storage.pool-space"};
	static const char *const order[] = {
		"\nfail kvm.device: ",     "\nfail net.default-route: ",
		"\nunknown kvm.guest-run", "\nwarn iommu.enabled: ",
		"\nunknown memory.",       "\nunknown (ignored) kvm.nested: ",
		"\nwarn (ignored) sec",
	};
	_cleanup_report_ struct qb_report report = {0};
	struct qb_facts facts = {0};

	(void)state;
	sample(&report);
	for (size_t i = 0; i < QB_ARRAY_SIZE(ids); i++)
		add_id(&report, ids[i], QB_FAIL, "it is not")->severity = QB_REQUIRED;
	/* The hostile one is the last. */
	QB_SWAP(report.results[8], report.results[11]);
	report.results[5].severity = report.results[6].severity = QB_RECOMMENDED;
	for (size_t i = 0; i < QB_ARRAY_SIZE(first); i++) {
		_cleanup_free_ char *text = NULL;
		const char *at;

		report.verdict = (enum qb_verdict)i;
		text = render(qb_report_nagios, &report, &facts);
		at = strstr(text, first[i]);
		if (!at || at > strchr(text, '\n'))
			fail_msg("not \"%s\" but %.200s", first[i], text);
		for (size_t k = 0; k < QB_ARRAY_SIZE(order); k++) {
			at = strstr(at, order[k]);
			if (!at)
				fail_msg("no %s in its place in %s", order[k], text);
		}
	}
}

/* One metric's name and labels, as Prometheus takes them; where they end. */
static const char *read_series(const char *p)
{
	assert_true(islower((unsigned char)*p));
	p += strspn(p, "abcdefghijklmnopqrstuvwxyz_");
	if (*p != '{')
		return p;
	do {
		size_t n = strspn(++p, "abcdefghijklmnopqrstuvwxyz_");

		assert_true(n && p[n] == '=' && p[n + 1] == '"');
		for (p += n + 2; *p != '"'; p++) {
			assert_true(*p && *p != '\n');
			/* Nothing else is escaped in 0.0.4. */
			if (*p == '\\')
				assert_non_null(strchr("\\\"n", *++p));
		}
	} while (*++p == ',');
	assert_int_equal(*p, '}');
	return p + 1;
}

static void read_comment(const char *line, struct qb_strs *helped, struct qb_strs *typed)
{
	char kind[8], name[64], rest[128];

	assert_int_equal(sscanf(line, "# %7s %63s %127[^\n]", kind, name, rest), 3);
	if (!strcmp(kind, "HELP")) {
		assert_false(qb_strs_has(helped, name));
		assert_null(strchr(rest, '\\'));
		qb_strs_add(helped, name);
	} else {
		assert_string_equal(kind, "TYPE");
		assert_string_equal(rest, "gauge");
		/* Straight behind its HELP, and before any sample of it. */
		assert_int_equal(helped->n, typed->n + 1);
		assert_string_equal(helped->v[typed->n], name);
		qb_strs_add(typed, name);
	}
}

/* A strict reader of the text format 0.0.4; the sum of the samples of each family. */
static void read_metrics(const char *text, struct qb_strs *families, double *sums)
{
	_cleanup_strs_ struct qb_strs helped = {0}, series = {0};

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		_cleanup_free_ char *name = NULL, *one = NULL;
		const char *end;
		char *rest;
		double value;

		assert_non_null(strchr(line, '\n'));
		if (!strcmp(line, "# EOF\n"))
			continue;
		if (*line == '#') {
			read_comment(line, &helped, families);
			continue;
		}
		end = read_series(line);
		name = qb_strndup(line, strcspn(line, "{ "));
		one = qb_strndup(line, (size_t)(end - line));
		/* All samples of a family stand together, each once. */
		assert_string_equal(name, families->v[families->n - 1]);
		assert_false(qb_strs_has(&series, one));
		qb_strs_add(&series, one);
		assert_int_equal(*end, ' ');
		value = strtod(end + 1, &rest);
		assert_true(rest > end + 1 && isfinite(value));
		/* No timestamp: the textfile collector refuses one. */
		assert_int_equal(*rest, '\n');
		sums[families->n - 1] += value;
	}
}

static void prometheus_is_valid(void **state)
{
	_cleanup_free_ char *text = render_sample(qb_report_prometheus);
	_cleanup_strs_ struct qb_strs families = {0};
	double sums[8] = {0};

	(void)state;
	read_metrics(text, &families, sums);
	assert_int_equal(families.n, 4);
	assert_string_equal(families.v[0], "qubi_agent_check_status");
	/* A set: each check has one status, the host one verdict. */
	assert_true(sums[0] > 8.5 && sums[0] < 9.5);
	assert_true(sums[1] > 0.5 && sums[1] < 1.5);
	assert_true(fabs(sums[2] - 1767323045) < 0.5);
	assert_true(fabs(sums[3] - 1.234567) < 1e-7);
	assert_non_null(strstr(text, "qubi_agent_check_status{id=\"kvm.device\",group=\"kvm\","
				     "severity=\"required\",status=\"fail\"} 1\n"));
	assert_non_null(strstr(text, "qubi_agent_check_verdict{verdict=\"not-ready\"} 1\n"));
	/* The end, by which a file that was cut off is told from a whole one. */
	assert_true(qb_endswith(text, "\n# EOF\n"));
}

static void walk_html(const xmlNode *node)
{
	static const char *const elements[] = {
		"html",    "head", "meta",       "title",   "style",   "body", "header", "section",
		"article", "h1",   "h2",         "h3",      "h4",      "p",    "pre",    "dl",
		"dt",      "dd",   "span",       "code",    "details", "ul",   "li",     "div",
		"figure",  "svg",  "figcaption", "summary", "desc",    "text", "rect",   "path",
	};

	for (; node; node = node->next) {
		bool known = node->type != XML_ELEMENT_NODE;

		for (size_t i = 0; i < QB_ARRAY_SIZE(elements); i++)
			known |= qb_streq((const char *)node->name, elements[i]);
		if (!known)
			fail_msg("an element %s", (const char *)node->name);
		for (const xmlAttr *a = node->type == XML_ELEMENT_NODE ? node->properties : NULL; a;
		     a = a->next) {
			const char *name = (const char *)a->name;

			assert_false(qb_startswith(name, "on"));
			assert_false(qb_streq(name, "href") || qb_streq(name, "src") ||
				     qb_streq(name, "style"));
		}
		if (node->type == XML_ELEMENT_NODE)
			walk_html(node->children);
	}
}

static void html_stands_alone(void **state)
{
	_cleanup_free_ char *text = render_sample(qb_report_html);
	xmlDoc *doc = parse_xml(text);

	(void)state;
	/* Well-formed even for XML, and without an element that is not ours. */
	walk_html(xmlDocGetRootElement(doc));
	xmlFreeDoc(doc);
	assert_true(qb_startswith(text, "<!DOCTYPE html>\n"));
	assert_null(strstr(text, "url("));
	assert_null(strstr(text, "@import"));
	assert_null(strstr(text, "://"));
	/* The verdict comes first, then the findings, the host, the rest. */
	assert_true(strstr(text, "<h1>Not ready</h1>") < strstr(text, "<h2>What needs attention"));
	assert_true(strstr(text, "<h2>What needs") < strstr(text, "<h2>The host"));
	assert_true(strstr(text, "<h2>The host") < strstr(text, "<h2>The rest"));
}

static void pictures_show_what_is_known(void **state)
{
	_cleanup_free_ char *text = render_sample(qb_report_html), *unknown = NULL;
	_cleanup_report_ struct qb_report report = {0};
	struct qb_facts facts = {0};

	(void)state;
	/* By the file system's device, the mount, the partition that libvirt names, what is mapped,
	 * the volume group, our mark; not by a guess, such as for a pool that is not mounted. */
	assert_non_null(strstr(text, "<desc>nvme0n1 to iso; sdd to by-mount; sdc to by-partition; "
				     "sde to mapped; sde to group; sdf to group; "
				     "sdb to images</desc>"));
	/* Also past the bridges; a loop of two VLANs in a document is none. */
	assert_non_null(strstr(text, "<desc>eno4 to eno4.100; loop-b to loop-a; eno1 to br0; "
				     "bond0 to br1; eno4.100 to br100; eno4 to direct; "
				     "virbr0 to default; br0 to host-bridge; virbr0 to routed; "
				     "br100 to routed</desc>"));
	assert_non_null(strstr(text, "eno4.100: up, vlan on eno4<"));
	assert_non_null(strstr(text, "br0.7: up, vlan on br0<"));
	assert_non_null(strstr(text, "pair: down, veth<"));
	assert_non_null(strstr(text, "bond0: up, of eno2, eno3<"));
	/* A guest's tap and the members of a bond are no NICs to draw. */
	assert_null(strstr(text, "vnet0"));
	assert_null(strstr(text, "<title>eno2"));
	sample(&report);
	unknown = render(qb_report_html, &report, &facts);
	assert_non_null(strstr(unknown, "disks unknown: nobody looked; libvirt pools unknown: "
					"nobody looked<"));
	/* What was not read is not nothing. */
	assert_non_null(strstr(unknown, ">unknown</text>"));
	assert_null(strstr(unknown, ">none</text>"));
}

/* Who may not ask LVM sees what the kernel has made of its volumes. */
static void a_group_is_known_by_its_volumes(void **state)
{
	static const struct {
		const char *holder, *group;
		bool linked;
	} cases[] = {
		{"dm-0 (vg0-root)", "vg0", true}, {"dm-0 (a--b-root)", "a-b", true},
		{"dm-0 (a--b-root)", "a", false}, {"dm-0 (vg0-root)", "vg", false},
		{"dm-0 (vg0-root)", "g0", false}, {"md127", "vg0", false},
		{"dm-0 (vg0)", "vg0", false},
	};
	_cleanup_report_ struct qb_report report = {0};

	(void)state;
	sample(&report);
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_facts_ struct qb_facts facts = {0};
		_cleanup_free_ char *text = NULL;
		struct qb_vir_pool *pool = QB_APPEND(facts.libvirt.pools, facts.libvirt.n_pools);
		struct qb_disk *disk = QB_APPEND(facts.disks.disks, facts.disks.n_disks);

		disk->name = qb_strdup("sda");
		qb_strs_add(&disk->holders, cases[i].holder);
		pool->name = qb_strdup("p");
		pool->type = qb_strdup("logical");
		pool->source_name = qb_strdup(cases[i].group);
		text = render(qb_report_html, &report, &facts);
		assert_int_equal(!!strstr(text, "<desc>sda to p</desc>"), cases[i].linked);
	}
}

static void a_large_host_has_a_picture_that_ends(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_free_ char *text = NULL;

	(void)state;
	sample(&report);
	qb_tri_set(&facts.disks.known, true);
	for (size_t i = 0; i < 200; i++)
		QB_APPEND(facts.disks.disks, facts.disks.n_disks)->name = qb_asprintf("sd%zu", i);
	text = render(qb_report_html, &report, &facts);
	assert_non_null(strstr(text, "<title>sd15: "));
	assert_null(strstr(text, "<title>sd16: "));
	assert_non_null(strstr(text, ">and 184 more<"));
}

/* What CI makes of a report agrees with the exit status: red for not-ready and unknown. */
static void harnesses_agree_with_the_verdict(void **state)
{
	static const struct {
		const char *id;
		enum qb_status status;
		bool ignored, red;
	} cases[] = {
		{"kvm.device", QB_PASS, false, false},
		{"kvm.device", QB_SKIP, false, false},
		{"kvm.device", QB_FAIL, false, true},
		{"kvm.device", QB_STATUS_UNKNOWN, false, true},
		{"kvm.device", QB_WARN, true, false},
		{"kvm.device", QB_STATUS_UNKNOWN, true, false},
		{"iommu.enabled", QB_WARN, false, false},
		{"iommu.enabled", QB_STATUS_UNKNOWN, false, false},
	};
	struct qb_facts facts = {0};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_report_ struct qb_report report = {0};
		_cleanup_free_ char *junit = NULL, *tap = NULL;
		struct qb_result *r = add_id(&report, cases[i].id, cases[i].status, "it is so");
		xmlDoc *doc;
		xmlNode *root;

		if (cases[i].ignored)
			ignore(r);
		junit = render(qb_report_junit, &report, &facts);
		tap = render(qb_report_tap, &report, &facts);
		doc = parse_xml(junit);
		root = xmlDocGetRootElement(doc);
		assert_int_equal(validate(junit), 0);
		assert_int_equal(figure(root, "failures") + figure(root, "errors") > 0,
				 cases[i].red);
		assert_int_equal(read_tap(tap).failed > 0, cases[i].red);
		xmlFreeDoc(doc);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_as_it_was),
		cmocka_unit_test(nothing_is_printed_raw),
		cmocka_unit_test(junit_is_valid),
		cmocka_unit_test(the_schema_of_junit_is_the_formats),
		cmocka_unit_test(tap_is_valid),
		cmocka_unit_test(nagios_has_one_bar),
		cmocka_unit_test(nagios_begins_with_what_is_worst),
		cmocka_unit_test(prometheus_is_valid),
		cmocka_unit_test(html_stands_alone),
		cmocka_unit_test(pictures_show_what_is_known),
		cmocka_unit_test(a_group_is_known_by_its_volumes),
		cmocka_unit_test(a_large_host_has_a_picture_that_ends),
		cmocka_unit_test(harnesses_agree_with_the_verdict),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_anew();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
