/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzzers share. Each file here is one program; the functions of the form __wrap_NAME in
 * it stand in for NAME, wherever the program calls it (ld's --wrap, see the Makefile).
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/plan.h"
#include "checks/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* One of tests/data/; the caller frees it. */
static inline char *fuzz_read(const char *name, size_t *ret_len)
{
	_cleanup_free_ char *path = qb_asprintf("%s/data/%s", QB_TESTS, name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct qb_buf b = {0};
	char chunk[4096];
	size_t n;

	MUST(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		qb_buf_add(&b, chunk, n);
	*ret_len = b.len;
	return b.s;
}

/* The host of the check cases, and its configuration. */
static inline void fuzz_host(struct qb_facts *facts, struct qb_config *config)
{
	_cleanup_free_ char *host = NULL, *yaml = NULL;
	_cleanup_diags_ struct qb_diags diags = {0};
	size_t len;

	host = fuzz_read("checks/host.json", &len);
	MUST(qb_facts_load(host, len, facts, &diags) == 0);
	yaml = fuzz_read("checks/host.yaml", &len);
	MUST(qb_config_parse(yaml, len, config, &diags) == 0);
}

/* A plan is made and printed, whatever it says; with a ledger that of repair. */
static inline void fuzz_plan(const struct qb_facts *facts, const struct qb_config *config,
			     const struct qb_ledger *ledger)
{
	_cleanup_plan_ struct qb_plan plan = {0};
	json_t *json;

	qb_plan_make(facts, config, ledger, ledger != NULL, &plan);
	json = qb_plan_changes_json(&plan);
	MUST(json);
	json_decref(json);
	json = qb_plan_to_json(&plan);
	MUST(json_array_size(json_object_get(json, "steps")) == plan.n_steps);
	MUST(json_array_size(json_object_get(json, "refused")) == plan.n_refused);
	json_decref(json);
}

/* select: a group; NULL: all checks. */
static inline void fuzz_judge(const struct qb_facts *facts, const struct qb_config *config,
			      const char *group)
{
	struct qb_check_input in = {.facts = facts, .config = config};
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_strs_ struct qb_strs select = {0};
	json_t *json;

	if (group)
		qb_strs_add(&select, group);
	MUST(qb_judge(&in, &select, NULL, &report, NULL) == 0);
	json = qb_report_to_json(&report);
	MUST(json_array_size(json_object_get(json, "checks")) == report.n_results);
	json_decref(json);
}
