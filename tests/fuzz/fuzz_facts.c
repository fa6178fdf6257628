/* SPDX-License-Identifier: Apache-2.0 */
/* A facts document from anywhere: refused, or judged, planned for and reported in every format. */
#include "tests/fuzz/fuzz.h"

#include "agent/facts_text.h"

static void reports(const struct qb_facts *facts, const struct qb_config *config)
{
	static qb_report_format *const formats[] = {qb_report_junit, qb_report_tap,
						    qb_report_nagios, qb_report_prometheus,
						    qb_report_html};
	struct qb_check_input in = {.facts = facts, .config = config};
	const struct qb_report_about about = {.facts = facts};
	const struct qb_text_style style = {.verbose = true, .width = 80};
	_cleanup_report_ struct qb_report report = {0};
	_cleanup_strs_ struct qb_strs all = {0};
	_cleanup_buf_ struct qb_buf text = {0};

	MUST(qb_facts_text(facts, false, 80, &text, NULL) == 0);
	MUST(qb_judge(&in, &all, NULL, &report, NULL) == 0);
	qb_report_text(&report, &style, &text);
	for (size_t i = 0; i < QB_ARRAY_SIZE(formats); i++)
		formats[i](&report, &about, &text);
	/* No control character but white space: nothing that a terminal would take for orders. */
	MUST(qb_is_text(text.s, text.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qb_facts host;
	static struct qb_config config;
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_diags_ struct qb_diags diags = {0};

	if (!host.readings)
		fuzz_host(&host, &config);
	if (qb_facts_load((const char *)data, size, &facts, &diags) < 0) {
		MUST(diags.n);
		return 0;
	}
	reports(&facts, &config);
	fuzz_plan(&facts, &config, NULL);
	return 0;
}
