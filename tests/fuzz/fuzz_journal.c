/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journals of earlier runs: damaged, or the plan can be made with what they tell. The input is two
 * files with a NUL between them.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "agent/journal.h"
#include "net/move.h"

static const uint8_t *parts[2];
static size_t sizes[2];

int __wrap_qb_root_list(const struct qb_root *root, const char *path, struct qb_strs *ret)
{
	(void)root, (void)path;
	*ret = (struct qb_strs){0};
	qb_strs_add(ret, "000001.jsonl");
	qb_strs_add(ret, "000002.jsonl");
	return 0;
}

int __wrap_qb_root_read(const struct qb_root *root, const char *path, size_t max, char **ret,
			size_t *ret_len)
{
	size_t i = strstr(path, "000002") != NULL;

	(void)root, (void)max;
	*ret = qb_alloc(sizes[i] + 1, 1);
	memcpy(*ret, parts[i], sizes[i]);
	*ret_len = sizes[i];
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qb_facts facts;
	static struct qb_config config;
	_cleanup_runs_ struct qb_runs runs = {0};
	struct qb_root root = QB_ROOT_INIT;
	struct qb_error err = QB_ERROR_INIT;
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	struct qb_ledger ledger = {0};

	if (!facts.readings)
		fuzz_host(&facts, &config);
	parts[0] = data;
	sizes[0] = end ? (size_t)(end - data) : size;
	parts[1] = end ? end + 1 : data;
	sizes[1] = end ? size - sizes[0] - 1 : 0;
	if (qb_journal_read(&root, &runs, &err) < 0) {
		MUST(err.msg[0]);
		return 0;
	}
	(void)qb_runs_change(&runs);
	(void)qb_runs_broken_off(&runs);
	qb_runs_ledger(&runs, &ledger);
	for (size_t i = 0; i < ledger.n_entries; i++) {
		_cleanup_move_ struct qb_move move = {0};

		(void)!qb_move_from_json(ledger.entries[i].args, &move, &err);
	}
	fuzz_plan(&facts, &config, &ledger);
	qb_ledger_done(&ledger);
	return 0;
}
