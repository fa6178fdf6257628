/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/prepare.h"

static int run(struct qb_invocation *inv)
{
	return qb_run_plan(inv, QB_MODE_REPAIR);
}

const struct qb_command qb_cmd_repair = {
	.name = "repair",
	.summary = "say what hardware changed, bind the configuration to it anew, apply",
	.help = "Says what hardware is not what it was when an earlier run bound a bridge to it:\n"
		"replaced (another NIC is in its slot), in another slot, or of another name. Then\n"
		"as apply, which refuses such a bridge: the plan, bound to the hardware as it is\n"
		"now, a question, and its execution. A NIC that is gone without another in its\n"
		"slot is for you to name; the NICs that are not in use are listed.",
	.takes = QB_TAKES_CONSENT | QB_TAKES_PARTIAL | QB_TAKES_CONFIRM,
	.run = run,
};
