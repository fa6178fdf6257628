/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/judging.h"

/* The least with which the installed guest system of EL9 starts (its documentation: 1.5 GiB to
 * install, 1 GiB to run), so that the host holds one. */
static const uint64_t least_bytes = 1ull << 30;

static void available(const struct qb_check_input *in, struct qb_result *r)
{
	const struct qb_system_facts *s = &in->facts->system;
	_cleanup_free_ char *have = NULL, *all = NULL, *least = qb_format_size(least_bytes);

	if (!s->memory_bytes) {
		qb_unknown(r, "/proc/meminfo could not be read");
		return;
	}
	have = qb_format_size(s->memory_available_bytes);
	all = qb_format_size(s->memory_bytes);
	qb_evidence(r, "MemAvailable", "/proc/meminfo", "%s", have);
	qb_evidence(r, "MemTotal", "/proc/meminfo", "%s", all);
	if (s->memory_available_bytes >= least_bytes)
		qb_pass(r, "%s of %s are available", have, all);
	else
		qb_fail(r, "only %s of %s are available; a guest needs %s", have, all, least);
}

static const struct qb_check table[] = {
	{
		.id = "memory.available",
		.title = "There is memory for a guest",
		.severity = QB_RECOMMENDED,
		.looks = "MemAvailable of /proc/meminfo: at least 1 GiB.",
		.why = "A guest that does not fit is killed by the kernel when the host runs out, "
		       "or takes another one with it.",
		.remedy = "ps -eo pid,rss,comm --sort=-rss | head\n"
			  "# End what is not needed, or add memory.",
		.judge = available,
	},
};

QB_CHECK_GROUP(memory, table);
