/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/prepare.h"

static int run(struct qb_invocation *inv)
{
	return qb_run_plan(inv, QB_MODE_REPAIR);
}

const struct qb_command qb_cmd_repair = {
	.name = "repair",
	.summary = "say what hardware changed, bind the configuration to it anew, apply",
	.help = "Says what hardware is not what it was when a run last succeeded: NICs and disks\n"
		"that are gone, new, in another slot or called otherwise, the CPU, the memory, "
		"the\n"
		"kernel and the machine-id; and of a NIC under a bridge whether another one is in\n"
		"its slot. Then as apply, which refuses such a bridge: the plan, bound to the\n"
		"hardware as it is now, a question, and its execution. A NIC that is gone without\n"
		"another in its slot is for you to name; the NICs that are not in use are listed.",
	.takes = QB_TAKES_CONSENT | QB_TAKES_PARTIAL | QB_TAKES_CONFIRM,
	.run = run,
};
