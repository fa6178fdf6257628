/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration: it is refused with errors that say where, or a plan and a report can be made. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qb_facts facts;
	static struct qb_config own;
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_diags_ struct qb_diags diags = {0};

	if (!facts.readings)
		fuzz_host(&facts, &own);
	if (qb_config_parse((const char *)data, size, &config, &diags) < 0) {
		MUST(diags.n);
		for (size_t i = 0; i < diags.n; i++)
			MUST(diags.v[i].msg && *diags.v[i].msg);
		return 0;
	}
	MUST(!diags.n);
	fuzz_plan(&facts, &config, NULL);
	fuzz_judge(&facts, &config, NULL);
	return 0;
}
