/* SPDX-License-Identifier: Apache-2.0 */
/* One snapshot of the network, to be timed: tests/sandbox/bench_scale. */
#include "net/probe.h"

int main(void)
{
	_cleanup_root_ struct qb_root root = QB_ROOT_INIT;
	_cleanup_net_ struct qb_net net = {0};

	if (qb_root_open("/", &root, NULL) < 0)
		return 1;
	qb_net_probe(&root, &net);
	return qb_is(&net.known) ? 0 : 1;
}
