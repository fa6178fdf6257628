/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "checks/check.h"

/* A report made by hand: only the first results of it are real, and all of their text is ours. */
static struct qb_result *add(struct qb_report *report, const char *id, enum qb_status status,
			     const char *message)
{
	struct qb_result *r = QB_APPEND(report->results, report->n_results);

	r->check = qb_check_find(id);
	assert_non_null(r->check);
	r->severity = r->check->severity;
	r->fix = status == QB_FAIL || status == QB_WARN ? r->check->fix : NULL;
	r->status = status;
	r->message = qb_strdup(message);
	report->counts[status]++;
	return r;
}

/* What a label or a device name can hold: escapes, C1, no UTF-8, turned direction, line breaks. */
static const char hostile[] = "\033]0;owned\007\033[31m\xc2\x9b"
			      "2J\xff\xfe\xe2\x80\xae\n  pass     kvm.device: forged\r\t";

static void sample(struct qb_report *report)
{
	struct qb_result *r;

	r = add(report, "cpu.virtualization", QB_FAIL,
		"this machine is itself a guest, and its hypervisor (VMware) does not offer VT-x");
	qb_evidence(r, "cpuid vmx", "CPUID 1", "no");
	qb_evidence(r, "hypervisor", "CPUID 1", "yes");
	qb_remedy(r, "# Switch this on in the VM's CPU settings: Expose hardware assisted\n"
		     "# virtualization to the guest OS (vhv.enable = \"TRUE\").");
	add(report, "modules.vendor", QB_SKIP,
	    "it could not help: the CPU does not offer virtualization");
	r = add(report, "kvm.device", QB_FAIL, "there is no /dev/kvm");
	qb_evidence(r, "/dev/kvm", "/dev/kvm", "no");
	r = add(report, "iommu.enabled", QB_WARN, "no IOMMU is in use");
	r->ignored = true;
	r->severity = QB_INFORMATIONAL;
	r = add(report, "memory.available", QB_PASS, "12 GiB of 16 GiB are available");
	qb_evidence(r, "MemAvailable", "/proc/meminfo", "12 GiB");
	add(report, "libvirt.connection", QB_STATUS_UNKNOWN, "libvirt could not be asked: timeout");
	report->verdict = QB_NOT_READY;
}

static char *render(const struct qb_report *report, struct qb_text_style style)
{
	struct qb_buf b = {0};

	qb_report_text(report, &style, &b);
	return b.s;
}

static unsigned longest_line(const char *text)
{
	unsigned longest = 0, n = 0;

	for (; *text; text++) {
		n = *text == '\n' ? 0 : n + ((*text & 0xc0) != 0x80);
		longest = n > longest ? n : longest;
	}
	return longest;
}

/* What keeps the host from being ready comes first. */
static void text_shows_what_needs_attention(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_free_ char *text = NULL;

	(void)state;
	sample(&report);
	text = render(&report, (struct qb_text_style){.width = 80});
	assert_string_equal(
		text,
		"not-ready: 2 failed, 1 warning, 1 unknown, 1 passed, 1 skipped\n"
		"\n"
		"cpu\n"
		"  fail     cpu.virtualization: this machine is itself a guest, and its\n"
		"           hypervisor (VMware) does not offer VT-x\n"
		"           # Switch this on in the VM's CPU settings: Expose hardware assisted\n"
		"           # virtualization to the guest OS (vhv.enable = \"TRUE\").\n"
		"\n"
		"kvm\n"
		"  fail     kvm.device: there is no /dev/kvm\n"
		"           modprobe kvm_intel || modprobe kvm_amd\n"
		"           ls -l /dev/kvm; dmesg | grep -i kvm\n"
		"           # qubi-agent apply mends this (kvm.module).\n"
		"\n"
		"libvirt\n"
		"  unknown  libvirt.connection: libvirt could not be asked: timeout\n"
		"\n"
		"iommu\n"
		"  warn     iommu.enabled (ignored): no IOMMU is in use\n");
}

static void verbose_text_has_everything_with_evidence(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_free_ char *verbose = NULL, *all = NULL, *quiet = NULL;

	(void)state;
	sample(&report);
	verbose = render(&report, (struct qb_text_style){.verbose = true, .width = 80});
	all = render(&report, (struct qb_text_style){.all = true, .width = 80});
	quiet = render(&report, (struct qb_text_style){.quiet = true, .width = 80});
	assert_non_null(strstr(verbose, "  pass     memory.available: 12 GiB of 16 GiB are "
					"available\n"
					"           MemAvailable: 12 GiB (/proc/meminfo)\n"));
	assert_non_null(strstr(verbose, "  skip     modules.vendor: it could not help"));
	assert_non_null(strstr(all, "  pass     memory.available: 12 GiB"));
	assert_null(strstr(all, "MemAvailable"));
	assert_string_equal(quiet,
			    "not-ready: 2 failed, 1 warning, 1 unknown, 1 passed, 1 skipped\n");
}

static void colour_only_where_asked(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_free_ char *plain = NULL, *coloured = NULL;

	(void)state;
	sample(&report);
	plain = render(&report, (struct qb_text_style){.verbose = true, .width = 80});
	coloured = render(&report,
			  (struct qb_text_style){.verbose = true, .colour = true, .width = 80});
	assert_null(strchr(plain, '\033'));
	assert_true(qb_startswith(coloured, "\033[31mnot-ready\033[0m: 2 failed"));
	assert_non_null(strstr(coloured, "  \033[32mpass\033[0m     memory.available"));
}

static void nothing_from_outside_is_printed_raw(void **state)
{
	static const unsigned widths[] = {80, 40, 1, 0, 200};
	_cleanup_report_ struct qb_report report = {0};
	struct qb_result *r = add(&report, "storage.disks-readable", QB_WARN, hostile);

	(void)state;
	qb_evidence(r, hostile, hostile, "%s", hostile);
	qb_remedy(r, "# see %s\ndmesg", "\033[2J\x9b");
	for (size_t i = 0; i < QB_ARRAY_SIZE(widths); i++) {
		_cleanup_free_ char *text = render(
			&report, (struct qb_text_style){.verbose = true, .width = widths[i]});

		for (const char *p = text; *p; p++)
			assert_true((unsigned char)*p == '\n' ||
				    ((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f));
		/* A line break in a name makes no line that looks like one of ours. */
		assert_null(strstr(text, "\n  pass"));
		assert_true(longest_line(text) <=
			    (widths[i] < 40 ? (widths[i] ? 40 : 80) : widths[i]));
	}
}

static void words_longer_than_a_line_are_cut(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_free_ char *text = NULL, *word = qb_alloc(1001, 1);
	struct qb_result *r;
	size_t n = 0;

	(void)state;
	memset(word, 'x', 1000);
	r = add(&report, "net.bridge-port", QB_FAIL, word);
	qb_evidence(r, word, word, "%s", word);
	qb_remedy(r, "# %s", word);
	text = render(&report, (struct qb_text_style){.verbose = true, .width = 80});
	assert_true(longest_line(text) <= 80);
	for (const char *p = text; *p; p++)
		n += *p == 'x';
	assert_int_equal(n, 5000);
}

static void long_commands_stay_commands(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_free_ char *text = NULL;
	struct qb_result *r = add(&report, "net.bridge-port", QB_FAIL, "amiss");

	(void)state;
	r->fix = NULL;
	qb_remedy(r, "printf '%%s ' 'an argument with spaces inside of quotes' second third fourth "
		     "fifth sixth seventh\n"
		     "# And then\n"
		     "# this.");
	text = render(&report, (struct qb_text_style){.width = 60});
	assert_string_equal(text, "ready: 1 failed\n"
				  "\n"
				  "net\n"
				  "  fail     net.bridge-port: amiss\n"
				  "           printf '%s ' \\\n"
				  "             'an argument with spaces inside of quotes' \\\n"
				  "             second third fourth fifth sixth seventh\n"
				  "           # And then this.\n");
}

/* Every check, in every status, fits 80 columns, and what can be pasted still can. */
static void every_report_fits(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_buf_ struct qb_buf list = {0};
	_cleanup_free_ char *text = NULL;

	(void)state;
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		for (size_t i = 0; i < (*g)->n_checks; i++)
			add(&report, (*g)->checks[i].id, QB_FAIL, (*g)->checks[i].why);
	text = render(&report, (struct qb_text_style){.width = 80});
	assert_true(longest_line(text) <= 80);
	assert_true(longest_line(text) > 70);
	for (size_t i = 0; i < report.n_results; i++) {
		_cleanup_buf_ struct qb_buf explained = {0};

		qb_check_explain_text(report.results[i].check, &(struct qb_text_style){.width = 80},
				      &explained);
		assert_true(longest_line(explained.s) <= 80);
		assert_non_null(strstr(explained.s, report.results[i].check->id));
	}
	qb_check_list_text(&list);
	assert_true(longest_line(list.s) <= 80);
}

static void explains(void **state)
{
	_cleanup_buf_ struct qb_buf b = {0};

	(void)state;
	qb_check_explain_text(qb_check_find("kvm.nested"), &(struct qb_text_style){.width = 80},
			      &b);
	assert_string_equal(
		b.s,
		"kvm.nested (recommended)\n"
		"  Nested virtualization is as configured\n"
		"\n"
		"Looks at\n"
		"  The parameter nested of the loaded kvm_intel or kvm_amd, against kvm.nested of\n"
		"  the configuration.\n"
		"\n"
		"Matters because\n"
		"  Guests that run guests need it; for others it only widens the surface that an\n"
		"  attacker has.\n"
		"\n"
		"Remedy\n"
		"  qubi-agent apply\n"
		"  # It counts when the module is loaded anew, with no guest running.\n"
		"  # qubi-agent apply mends it where it can (kvm.persist).\n");
}

static const char *string_at(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void json_is_the_contract(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	json_auto_t *document = NULL;
	json_t *checks, *c, *e;

	(void)state;
	sample(&report);
	report.results[0].duration_us = 12;
	document = qb_report_to_json(&report);
	assert_string_equal(json_object_iter_key(json_object_iter(document)), "schema");
	assert_string_equal(string_at(document, "schema"), "qubi-agent/check/1");
	assert_string_equal(string_at(document, "verdict"), "not-ready");
	c = json_object_get(document, "summary");
	assert_int_equal(json_integer_value(json_object_get(c, "total")), 6);
	assert_int_equal(json_integer_value(json_object_get(c, "fail")), 2);
	assert_int_equal(json_integer_value(json_object_get(c, "warn")), 1);
	assert_int_equal(json_integer_value(json_object_get(c, "unknown")), 1);
	assert_int_equal(json_integer_value(json_object_get(c, "pass")), 1);
	assert_int_equal(json_integer_value(json_object_get(c, "skip")), 1);

	checks = json_object_get(document, "checks");
	assert_int_equal(json_array_size(checks), 6);
	c = json_array_get(checks, 0);
	assert_string_equal(string_at(c, "id"), "cpu.virtualization");
	assert_string_equal(string_at(c, "group"), "cpu");
	assert_string_equal(string_at(c, "title"), "The CPU can run guests");
	assert_string_equal(string_at(c, "status"), "fail");
	assert_string_equal(string_at(c, "severity"), "required");
	assert_true(qb_startswith(string_at(c, "message"), "this machine is itself"));
	assert_true(qb_startswith(string_at(c, "remedy"), "# Switch this on"));
	assert_true(json_is_null(json_object_get(c, "fix")));
	assert_true(json_is_false(json_object_get(c, "ignored")));
	assert_int_equal(json_integer_value(json_object_get(c, "duration_us")), 12);
	e = json_array_get(json_object_get(c, "evidence"), 1);
	assert_string_equal(string_at(e, "key"), "hypervisor");
	assert_string_equal(string_at(e, "value"), "yes");
	assert_string_equal(string_at(e, "source"), "CPUID 1");

	c = json_array_get(checks, 2);
	assert_string_equal(string_at(c, "fix"), "kvm.module");
	assert_string_equal(string_at(c, "remedy"), qb_check_find("kvm.device")->remedy);
	/* What passed or could not be judged has nothing to mend. */
	assert_true(json_is_null(json_object_get(json_array_get(checks, 4), "remedy")));
	assert_true(json_is_null(json_object_get(json_array_get(checks, 5), "remedy")));
	c = json_array_get(checks, 3);
	assert_true(json_is_true(json_object_get(c, "ignored")));
	assert_string_equal(string_at(c, "severity"), "informational");
}

static void json_takes_any_bytes(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_free_ char *text = NULL;
	json_auto_t *document = NULL;
	struct qb_result *r = add(&report, "storage.disks-readable", QB_WARN, hostile);

	(void)state;
	qb_evidence(r, hostile, hostile, "%s", hostile);
	qb_remedy(r, "# one\n# %s", "\033[2J\x9b");
	document = qb_report_to_json(&report);
	text = json_dumps(document, 0);
	assert_non_null(text);
	for (const char *p = text; *p; p++)
		assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
	assert_string_equal(
		string_at(json_array_get(json_object_get(document, "checks"), 0), "remedy"),
		"# one\n# \\x1b[2J\\x9b");
}

static void the_list_names_every_check(void **state)
{
	_cleanup_buf_ struct qb_buf text = {0};
	json_auto_t *list = qb_check_list_json(), *explained = NULL;
	json_t *checks = json_object_get(list, "checks");
	size_t n = 0, lines = 0;

	(void)state;
	qb_check_list_text(&text);
	for (const char *p = text.s; *p; p++)
		lines += *p == '\n';
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		for (size_t i = 0; i < (*g)->n_checks; i++, n++) {
			json_t *c = json_array_get(checks, n);

			assert_string_equal(string_at(c, "id"), (*g)->checks[i].id);
			assert_string_equal(string_at(c, "group"), (*g)->name);
			assert_string_equal(string_at(c, "title"), (*g)->checks[i].title);
			assert_non_null(strstr(text.s, (*g)->checks[i].id));
		}
	assert_int_equal(json_array_size(checks), n);
	assert_int_equal(lines, n);
	assert_non_null(
		strstr(text.s, "kvm.guest-run            required    A guest really runs\n"));

	explained = qb_check_explain_json(qb_check_find("kvm.nested"));
	assert_string_equal(string_at(explained, "id"), "kvm.nested");
	assert_string_equal(string_at(explained, "fix"), "kvm.persist");
	assert_non_null(string_at(explained, "looks"));
	assert_non_null(string_at(explained, "why"));
	assert_non_null(string_at(explained, "remedy"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_shows_what_needs_attention),
		cmocka_unit_test(verbose_text_has_everything_with_evidence),
		cmocka_unit_test(colour_only_where_asked),
		cmocka_unit_test(nothing_from_outside_is_printed_raw),
		cmocka_unit_test(words_longer_than_a_line_are_cut),
		cmocka_unit_test(long_commands_stay_commands),
		cmocka_unit_test(every_report_fits),
		cmocka_unit_test(explains),
		cmocka_unit_test(json_is_the_contract),
		cmocka_unit_test(json_takes_any_bytes),
		cmocka_unit_test(the_list_names_every_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
