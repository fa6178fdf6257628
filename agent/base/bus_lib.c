/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/bus_lib.h"

QB_BUS_CALLS(QB_LIB_DEFINE)

int qb_bus_load(struct qb_error *err)
{
	static const struct qb_lib_symbol symbols[] = {QB_BUS_CALLS(QB_LIB_SYMBOL)};
	static struct qb_lib lib = {"libsystemd.so.0", symbols, QB_ARRAY_SIZE(symbols), false};

	return qb_lib_load(&lib, err);
}
