/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "checks/check.h"

/* Runs f for every check. */
static size_t each(void (*f)(const struct qb_check_group *g, const struct qb_check *c))
{
	size_t n = 0;

	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		for (size_t i = 0; i < (*g)->n_checks; i++, n++)
			f(*g, &(*g)->checks[i]);
	return n;
}

static void has_all_texts(const struct qb_check_group *g, const struct qb_check *c)
{
	(void)g;
	assert_true(c->title && *c->title && strlen(c->title) <= 43);
	assert_true(c->title[strlen(c->title) - 1] != '.');
	assert_true(c->looks && strlen(c->looks) > 20 && qb_endswith(c->looks, "."));
	assert_true(c->why && strlen(c->why) > 10 && qb_endswith(c->why, "."));
	assert_true(c->remedy && *c->remedy && !qb_endswith(c->remedy, "\n"));
	assert_non_null(c->judge);
}

static void has_a_good_id(const struct qb_check_group *g, const struct qb_check *c)
{
	_cleanup_free_ char *prefix = qb_asprintf("%s.", g->name);
	regex_t re;

	assert_int_equal(
		regcomp(&re, "^[a-z]+\\.[a-z0-9]+(-[a-z0-9]+)*$", REG_EXTENDED | REG_NOSUB), 0);
	assert_int_equal(regexec(&re, c->id, 0, NULL, 0), 0);
	regfree(&re);
	assert_true(qb_startswith(c->id, prefix));
	/* The list has columns. */
	assert_true(strlen(c->id) <= 24);
	/* Found by its id and not by another check of the same id. */
	assert_ptr_equal(qb_check_find(c->id), c);
}

static void has_a_known_fix(const struct qb_check_group *g, const struct qb_check *c)
{
	/* Those of agent/steps.c. */
	static const char *const kinds[] = {
		"kvm.module",    "kvm.persist",    "net.bridge",      "net.persist",
		"storage.carve", "libvirt.daemon", "libvirt.network", "libvirt.pool",
	};
	bool known = !c->fix;

	(void)g;
	for (size_t i = 0; i < QB_ARRAY_SIZE(kinds); i++)
		known |= qb_streq(c->fix, kinds[i]);
	assert_true(known);
}

static void every_check_is_described(void **state)
{
	(void)state;
	assert_true(each(has_all_texts) >= 25);
	each(has_a_good_id);
	each(has_a_known_fix);
	assert_null(qb_check_find("kvm"));
	assert_null(qb_check_find(""));
}

static void shell_accepts(const char *remedy)
{
	FILE *shell = popen("/bin/sh -n", "w");

	assert_non_null(shell);
	fprintf(shell, "%s\n", remedy);
	assert_int_equal(pclose(shell), 0);
}

static void remedy_is_for_a_shell(const struct qb_check_group *g, const struct qb_check *c)
{
	(void)g;
	shell_accepts(c->remedy);
}

static void remedies_can_be_pasted(void **state)
{
	(void)state;
	each(remedy_is_for_a_shell);
}

/* Facts that drive one required and one recommended check to each of their verdicts. */
enum state {
	GOOD,
	BAD,
	UNSURE,
	NONE
};

static void judge(enum state required, enum state recommended, const char *ignore,
		  struct qb_report *ret)
{
	struct qb_facts facts = {0};
	struct qb_strs select = {0}, ignored = {0};
	struct qb_error err = QB_ERROR_INIT;
	static const int causes[] = {QB_GUEST_RAN, QB_GUEST_WRONG, QB_GUEST_NOT_RUN};

	if (required != NONE) {
		qb_strs_add(&select, "kvm.guest-run");
		facts.kvm.guest_cause = causes[required];
		if (required != UNSURE)
			qb_tri_set(&facts.kvm.guest_ran, required == GOOD);
	}
	if (recommended != NONE) {
		qb_strs_add(&select, "net.bridge-filter");
		if (recommended != UNSURE)
			qb_tri_set(&facts.system.bridge_nf_call, recommended != GOOD);
	}
	if (ignore)
		qb_strs_add(&ignored, ignore);
	assert_int_equal(
		qb_judge(&(struct qb_check_input){.facts = &facts}, &select, &ignored, ret, &err),
		0);
	qb_strs_done(&select);
	qb_strs_done(&ignored);
}

static void verdict_of_each_combination(void **state)
{
	static const struct {
		enum state required, recommended;
		enum qb_verdict verdict;
	} cases[] = {
		{GOOD, GOOD, QB_READY},
		{GOOD, BAD, QB_DEGRADED},
		{GOOD, UNSURE, QB_DEGRADED},
		{GOOD, NONE, QB_READY},
		{NONE, BAD, QB_DEGRADED},
		{BAD, GOOD, QB_NOT_READY},
		{BAD, BAD, QB_NOT_READY},
		{BAD, UNSURE, QB_NOT_READY},
		{UNSURE, GOOD, QB_VERDICT_UNKNOWN},
		{UNSURE, BAD, QB_VERDICT_UNKNOWN},
		{UNSURE, UNSURE, QB_VERDICT_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_report_ struct qb_report report = {0};

		judge(cases[i].required, cases[i].recommended, NULL, &report);
		assert_int_equal(report.verdict, cases[i].verdict);
	}
}

static void a_failure_outweighs_what_is_unknown(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_strs_ struct qb_strs select = {0};
	struct qb_facts facts = {0};

	(void)state;
	/* kvm.device is known not to be there, kvm.access is skipped, modules.kvm is unknown. */
	qb_tri_set(&facts.kvm.device, false);
	qb_strs_add(&select, "kvm.device");
	qb_strs_add(&select, "kvm.access");
	qb_strs_add(&select, "kvm.guest-run");
	qb_strs_add(&select, "kvm.nested");
	qb_strs_add(&select, "modules.kvm");
	assert_int_equal(
		qb_judge(&(struct qb_check_input){.facts = &facts}, &select, NULL, &report, NULL),
		0);
	assert_int_equal(report.n_results, 5);
	assert_int_equal(report.counts[QB_FAIL], 2);
	assert_int_equal(report.counts[QB_SKIP], 2);
	assert_int_equal(report.counts[QB_STATUS_UNKNOWN], 1);
	assert_int_equal(report.counts[QB_PASS], 0);
	assert_int_equal(report.counts[QB_WARN], 0);
	assert_int_equal(report.verdict, QB_NOT_READY);
}

static void only_a_required_check_fails(void **state)
{
	_cleanup_report_ struct qb_report report = {0};

	(void)state;
	judge(BAD, BAD, NULL, &report);
	/* In the order of the registry. */
	assert_string_equal(report.results[0].check->id, "kvm.guest-run");
	assert_int_equal(report.results[0].status, QB_FAIL);
	assert_string_equal(report.results[1].check->id, "net.bridge-filter");
	assert_int_equal(report.results[1].status, QB_WARN);
}

static void ignored_checks_are_judged_and_count_for_nothing(void **state)
{
	_cleanup_report_ struct qb_report a = {0}, b = {0}, c = {0};

	(void)state;
	judge(BAD, GOOD, "kvm.guest-run", &a);
	assert_int_equal(a.verdict, QB_READY);
	assert_true(a.results[0].ignored);
	assert_int_equal(a.results[0].severity, QB_INFORMATIONAL);
	assert_int_equal(a.results[0].status, QB_WARN);
	assert_false(a.results[1].ignored);

	judge(UNSURE, GOOD, "kvm.guest-run", &b);
	assert_int_equal(b.verdict, QB_READY);
	assert_int_equal(b.results[0].status, QB_STATUS_UNKNOWN);

	judge(GOOD, BAD, "net.bridge-filter", &c);
	assert_int_equal(c.verdict, QB_READY);
	assert_int_equal(c.results[1].status, QB_WARN);
}

static void everything_unknown_is_unknown(void **state)
{
	_cleanup_report_ struct qb_report report = {0};
	struct qb_facts facts = {0};
	struct qb_check_input in = {.facts = &facts, .config_unknown = "permission denied"};

	(void)state;
	assert_int_equal(qb_judge(&in, NULL, NULL, &report, NULL), 0);
	assert_int_equal(report.verdict, QB_VERDICT_UNKNOWN);
	for (size_t i = 0; i < report.n_results; i++) {
		if (report.results[i].status != QB_STATUS_UNKNOWN)
			print_error("%s: %s\n", report.results[i].check->id,
				    report.results[i].message);
		assert_int_equal(report.results[i].status, QB_STATUS_UNKNOWN);
	}
}

static void without_a_configuration_drift_is_skipped(void **state)
{
	static const char *const drift[] = {
		"config.valid",      "modules.configured",       "modules.persisted",
		"kvm.nested",        "net.bridge-present",       "net.bridge-port",
		"net.bridge-stp",    "net.bridge-mac",           "storage.pool-active",
		"storage.pool-disk", "libvirt.networks-defined", "libvirt.autostart",
	};
	_cleanup_strs_ struct qb_strs select = {0};
	_cleanup_report_ struct qb_report report = {0};
	struct qb_facts facts = {0};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(drift); i++)
		qb_strs_add(&select, drift[i]);
	assert_int_equal(
		qb_judge(&(struct qb_check_input){.facts = &facts}, &select, NULL, &report, NULL),
		0);
	assert_int_equal(report.n_results, QB_ARRAY_SIZE(drift));
	assert_int_equal(report.counts[QB_SKIP], QB_ARRAY_SIZE(drift));
	assert_int_equal(report.verdict, QB_READY);
}

static void wrong_names_are_refused_with_the_nearest(void **state)
{
	static const struct {
		const char *select, *ignore, *says;
	} cases[] = {
		{"kvm.guest-runs", NULL, "did you mean kvm.guest-run?"},
		{"cpu.virtualisation", NULL, "did you mean cpu.virtualization?"},
		{"storrage", NULL, "did you mean storage?"},
		{"zebra crossing", NULL, "check --list"},
		{NULL, "iommu.enable", "did you mean iommu.enabled?"},
		{NULL, "storage", "\"storage\" is a group"},
		{"\033[2J", NULL, "\\x1b[2J"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_strs_ struct qb_strs select = {0}, ignore = {0};
		struct qb_facts facts = {0};
		struct qb_report report = {.n_results = 77};
		struct qb_error err = QB_ERROR_INIT;

		if (cases[i].select)
			qb_strs_add(&select, cases[i].select);
		if (cases[i].ignore)
			qb_strs_add(&ignore, cases[i].ignore);
		assert_int_equal(qb_judge(&(struct qb_check_input){.facts = &facts}, &select,
					  &ignore, &report, &err),
				 -EINVAL);
		assert_non_null(strstr(err.msg, cases[i].says));
		assert_null(strchr(err.msg, '\033'));
		/* Untouched on failure. */
		assert_int_equal(report.n_results, 77);
	}
}

static void a_check_named_twice_is_judged_once(void **state)
{
	_cleanup_strs_ struct qb_strs select = {0};
	_cleanup_report_ struct qb_report once = {0}, report = {0};
	struct qb_facts facts = {0};
	struct qb_check_input in = {.facts = &facts};

	(void)state;
	qb_strs_add(&select, "iommu");
	assert_int_equal(qb_judge(&in, &select, NULL, &once, NULL), 0);
	qb_strs_add(&select, "iommu.enabled");
	qb_strs_add(&select, "iommu");
	assert_int_equal(qb_judge(&in, &select, NULL, &report, NULL), 0);
	assert_int_equal(report.n_results, once.n_results);
}

static void a_group_in_two_files_is_one(void **state)
{
	_cleanup_strs_ struct qb_strs select = {0}, reads = {0};
	_cleanup_report_ struct qb_report report = {0};
	struct qb_facts facts = {0};
	bool first = false, second = false;

	(void)state;
	qb_strs_add(&select, "kvm");
	assert_int_equal(
		qb_judge(&(struct qb_check_input){.facts = &facts}, &select, NULL, &report, NULL),
		0);
	for (size_t i = 0; i < report.n_results; i++) {
		assert_true(qb_startswith(report.results[i].check->id, "kvm."));
		first |= qb_streq(report.results[i].check->id, "kvm.device");
		second |= qb_streq(report.results[i].check->id, "kvm.tun");
	}
	assert_true(first && second);
	qb_check_reads(&select, &reads);
	assert_true(qb_strs_has(&reads, "/dev/net/tun"));
}

static void a_second_verdict_aborts(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		struct qb_result r = {.severity = QB_REQUIRED};
		int null = open("/dev/null", O_WRONLY);

		signal(SIGABRT, SIG_DFL);
		dup2(null, STDERR_FILENO);
		qb_pass(&r, "one");
		qb_fail(&r, "two");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_check_is_described),
		cmocka_unit_test(remedies_can_be_pasted),
		cmocka_unit_test(verdict_of_each_combination),
		cmocka_unit_test(a_failure_outweighs_what_is_unknown),
		cmocka_unit_test(only_a_required_check_fails),
		cmocka_unit_test(ignored_checks_are_judged_and_count_for_nothing),
		cmocka_unit_test(everything_unknown_is_unknown),
		cmocka_unit_test(without_a_configuration_drift_is_skipped),
		cmocka_unit_test(wrong_names_are_refused_with_the_nearest),
		cmocka_unit_test(a_check_named_twice_is_judged_once),
		cmocka_unit_test(a_group_in_two_files_is_one),
		cmocka_unit_test(a_second_verdict_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
