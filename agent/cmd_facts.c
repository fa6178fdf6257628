/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"
#include "agent/command.h"
#include "agent/facts_text.h"
#include "checks/check.h"

static int run(struct qb_invocation *inv)
{
	_cleanup_config_ struct qb_config config = {0};
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_strs_ struct qb_strs reads = {0};
	_cleanup_buf_ struct qb_buf text = {0};
	struct qb_error err = QB_ERROR_INIT;
	const char *unknown = NULL;
	int r = qb_invocation_config_if_any(inv, &config, &unknown);

	if (r < 0 && inv->opt.config_given)
		return QB_EXIT_USAGE;
	/* What was found is wanted most where the configuration is yet to be mended. */
	if (r < 0 || unknown)
		qb_log(QB_LOG_WARNING, "the modules and the targets of pools that the "
				       "configuration names are left out");
	/* So that the document is all that checks need, anywhere. */
	qb_check_reads(NULL, &reads);
	if (qb_invocation_facts(inv, r == 0 ? &config : NULL, &reads, 0, &facts) < 0)
		return QB_EXIT_USAGE;
	if (inv->opt.format == QB_FORMAT_JSON)
		return qb_print_json(qb_facts_to_json(&facts)) < 0 ? QB_EXIT_FAILED : QB_EXIT_OK;
	if (qb_facts_text(&facts, qb_invocation_colour(inv), qb_terminal_width(), &text, &err) <
	    0) {
		qb_log(QB_LOG_ERROR, "facts: %s", err.msg);
		return QB_EXIT_FAILED;
	}
	return qb_print_text(&text) < 0 ? QB_EXIT_FAILED : QB_EXIT_OK;
}

const struct qb_command qb_cmd_facts = {
	.name = "facts",
	.summary = "what was found, disks with every reason for and against",
	.help = "Prints what this host is: CPU and KVM, modules, links and routes, disks with\n"
		"every reason that speaks against carving them, libvirt. Changes nothing.",
	.takes = QB_TAKES_ROOT | QB_TAKES_FACTS,
	.run = run,
};
