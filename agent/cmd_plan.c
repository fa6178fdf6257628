/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/prepare.h"

static int run(struct qb_invocation *inv)
{
	_cleanup_prepared_ struct qb_prepared p = {0};
	_cleanup_buf_ struct qb_buf text = {0};
	int r = qb_prepare(inv, &p);

	if (r < 0)
		return QB_EXIT_USAGE;
	if (inv->opt.format == QB_FORMAT_JSON) {
		r = qb_print_json(qb_plan_to_json(&p.plan));
	} else {
		qb_plan_text(&p.plan, &p.facts.disks, qb_invocation_colour(inv), inv->opt.verbose,
			     qb_terminal_width(), &text);
		r = qb_print_text(&text);
	}
	if (r < 0)
		return QB_EXIT_FAILED;
	return p.plan.n_refused ? QB_EXIT_REFUSED : p.plan.n_steps ? QB_EXIT_PENDING : QB_EXIT_OK;
}

const struct qb_command qb_cmd_plan = {
	.name = "plan",
	.summary = "what apply would do, step by step, and what it refuses and why",
	.help = "Compares this host with the configuration and prints the steps from the one to\n"
		"the other, each with its reason and how it can be undone, and what is refused\n"
		"with every reason. Changes nothing. Another host's facts need --config.\n\n"
		"Exit status 0: nothing to do; 4: steps are pending; 3: something is refused.",
	.takes = QB_TAKES_ROOT | QB_TAKES_FACTS,
	.run = run,
};
