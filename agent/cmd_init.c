/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/init.h"
#include "agent/prepare.h"

/* What a plan would refuse is told here, and not when it is too late to think about it. */
static int try_it(const struct qb_invocation *inv, struct qb_init *init)
{
	_cleanup_prepared_ struct qb_prepared p = {0};
	_cleanup_diags_ struct qb_diags diags = {0};
	json_auto_t *bare = qb_init_bare(init);
	_cleanup_free_ char *text = json_dumps(bare, 0);
	int r = qb_config_parse(text, strlen(text), &p.config, &diags);

	if (r == 0)
		r = qb_prepare_again(inv, &p.config, &p);
	if (r == 0)
		qb_init_drop(init, &p.plan);
	return r;
}

static int run(struct qb_invocation *inv)
{
	_cleanup_facts_ struct qb_facts facts = {0};
	_cleanup_init_ struct qb_init init = {0};
	_cleanup_buf_ struct qb_buf text = {0};

	if (qb_invocation_facts(inv, NULL, NULL, 0, &facts) < 0)
		return QB_EXIT_USAGE;
	qb_init_plan(&facts, &init);
	if (try_it(inv, &init) < 0)
		return QB_EXIT_FAILED;
	if (inv->opt.format == QB_FORMAT_JSON)
		return qb_print_json(json_pack("{s:s, s:o, s:O}", "schema", "qubi-agent/init/1",
					       "configuration", qb_init_bare(&init), "left_out",
					       init.left)) < 0
			       ? QB_EXIT_FAILED
			       : QB_EXIT_OK;
	qb_init_text(&init, facts.system.hostname, &text);
	return qb_print_text(&text) < 0 ? QB_EXIT_FAILED : QB_EXIT_OK;
}

const struct qb_command qb_cmd_init = {
	.name = "init",
	.summary = "a configuration fitted to this host, to read and change",
	.help = "Prints a configuration for this host as it is: its default route's NIC under a\n"
		"bridge, pools on the disks that nothing is on, and what libvirt has already.\n"
		"What was left out is told with the reasons. Changes nothing:\n\n"
		"  qubi-agent init > host.yaml\n"
		"  qubi-agent plan --config host.yaml",
	.takes = QB_TAKES_ROOT | QB_TAKES_FACTS,
	.run = run,
};
