/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/selinux_lib.h"

QB_SELINUX_CALLS(QB_LIB_DEFINE)

int qb_selinux_load(struct qb_error *err)
{
	static const struct qb_lib_symbol symbols[] = {QB_SELINUX_CALLS(QB_LIB_SYMBOL)};
	static struct qb_lib lib = {"libselinux.so.1", symbols, QB_ARRAY_SIZE(symbols), false};

	return qb_lib_load(&lib, err);
}
