/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/check.h"

#include <assert.h>
#include <errno.h>

#include "agent/base/clock.h"

static const struct qb_check_group *find_group(const char *name)
{
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		if (qb_streq((*g)->name, name))
			return *g;
	return NULL;
}

static int no_such_check(const char *word, bool groups, struct qb_error *err)
{
	_cleanup_free_ char *name = qb_str_printable(word);
	_cleanup_free_ const char **known = NULL;
	const struct qb_check_group *group = find_group(word);
	const char *nearest;
	size_t n = 0;

	if (group)
		return qb_error_set(err, EINVAL,
				    "\"%s\" is a group of checks; name one check (%s...)",
				    group->name, group->checks[0].id);
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++) {
		if (groups)
			*QB_APPEND(known, n) = (*g)->name;
		for (size_t i = 0; i < (*g)->n_checks; i++)
			*QB_APPEND(known, n) = (*g)->checks[i].id;
	}
	nearest = qb_str_nearest(word, known, n);
	if (nearest)
		return qb_error_set(err, EINVAL, "no check is called \"%s\"; did you mean %s?",
				    name, nearest);
	return qb_error_set(err, EINVAL,
			    "no check is called \"%s\"; qubi-agent check --list names them all",
			    name);
}

int qb_check_names(const struct qb_strs *select, const struct qb_strs *ignore, struct qb_error *err)
{
	for (size_t i = 0; select && i < select->n; i++)
		if (!qb_check_find(select->v[i]) && !find_group(select->v[i]))
			return no_such_check(select->v[i], true, err);
	for (size_t i = 0; ignore && i < ignore->n; i++)
		if (!qb_check_find(ignore->v[i]))
			return no_such_check(ignore->v[i], false, err);
	return 0;
}

static void judge_one(const struct qb_check *check, const struct qb_check_input *in, bool ignored,
		      struct qb_report *report)
{
	struct qb_result *r = QB_APPEND(report->results, report->n_results);
	uint64_t start = qb_now_us();

	r->check = check;
	r->ignored = ignored;
	r->severity = ignored ? QB_INFORMATIONAL : check->severity;
	r->fix = check->fix;
	check->judge(in, r);
	assert(r->message);
	r->duration_us = qb_now_us() - start;
	report->counts[r->status]++;
}

/*
 * A required check that failed outweighs one that could not be judged: the host is known not to
 * be ready. A recommended one that could not be judged did not pass either.
 */
static enum qb_verdict judge_all(const struct qb_report *report)
{
	bool failed = false, unsure = false, lacking = false;

	for (size_t i = 0; i < report->n_results; i++) {
		const struct qb_result *r = &report->results[i];
		bool bad = r->status == QB_FAIL || r->status == QB_WARN;
		bool unknown = r->status == QB_STATUS_UNKNOWN;

		if (r->severity == QB_REQUIRED) {
			failed |= bad;
			unsure |= unknown;
		} else if (r->severity == QB_RECOMMENDED) {
			lacking |= bad || unknown;
		}
	}
	if (failed)
		return QB_NOT_READY;
	if (unsure)
		return QB_VERDICT_UNKNOWN;
	return lacking ? QB_DEGRADED : QB_READY;
}

static bool is_selected(const struct qb_strs *select, const struct qb_check_group *group,
			const struct qb_check *check)
{
	return !select || !select->n || qb_strs_has(select, group->name) ||
	       qb_strs_has(select, check->id);
}

void qb_check_reads(const struct qb_strs *select, struct qb_strs *ret)
{
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		for (size_t i = 0; i < (*g)->n_checks; i++) {
			const struct qb_check *check = &(*g)->checks[i];
			const char *const *path = check->reads;

			for (; path && *path && is_selected(select, *g, check); path++)
				if (!qb_strs_has(ret, *path))
					qb_strs_add(ret, *path);
		}
}

/* What the checks of a group look at, beside the system, the CPU and readings. */
static unsigned parts_of(const char *group)
{
	static const struct {
		const char *group;
		unsigned parts;
	} needs[] = {
		{"cpu", QB_FACTS_KVM},
		{"kvm", QB_FACTS_KVM | QB_FACTS_MODULES},
		{"modules", QB_FACTS_KVM | QB_FACTS_MODULES},
		{"iommu", QB_FACTS_MODULES},
		{"memory", 0},
		{"cgroup", 0},
		{"system", QB_FACTS_SPACE},
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(needs); i++)
		if (qb_streq(needs[i].group, group))
			return needs[i].parts;
	/* No check asks why a disk is not available. */
	return QB_FACTS_ALL & ~QB_FACTS_REASONS;
}

unsigned qb_check_without(const struct qb_strs *select)
{
	unsigned parts = 0;

	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++)
		for (size_t i = 0; i < (*g)->n_checks; i++)
			if (is_selected(select, *g, &(*g)->checks[i]))
				parts |= parts_of((*g)->name);
	return QB_FACTS_ALL & ~parts;
}

int qb_judge(const struct qb_check_input *in, const struct qb_strs *select,
	     const struct qb_strs *ignore, struct qb_report *ret, struct qb_error *err)
{
	struct qb_report report = {0};
	int r = qb_check_names(select, ignore, err);

	if (r < 0)
		return r;
	for (const struct qb_check_group *const *g = qb_check_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->n_checks; i++) {
			const struct qb_check *check = &(*g)->checks[i];

			if (is_selected(select, *g, check))
				judge_one(check, in, ignore && qb_strs_has(ignore, check->id),
					  &report);
		}
	}
	report.verdict = judge_all(&report);
	*ret = report;
	return 0;
}

void qb_report_done(struct qb_report *report)
{
	for (size_t i = 0; i < report->n_results; i++) {
		struct qb_result *r = &report->results[i];

		for (size_t k = 0; k < r->n_evidence; k++) {
			free(r->evidence[k].key);
			free(r->evidence[k].value);
			free(r->evidence[k].source);
		}
		free(r->evidence);
		free(r->message);
		free(r->remedy);
	}
	free(report->results);
	*report = (struct qb_report){0};
}
