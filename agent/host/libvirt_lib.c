/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_lib.h"

QB_VIR_CALLS(QB_LIB_DEFINE)

int qb_vir_load(struct qb_error *err)
{
	static const struct qb_lib_symbol symbols[] = {QB_VIR_CALLS(QB_LIB_SYMBOL)};
	static struct qb_lib lib = {"libvirt.so.0", symbols, QB_ARRAY_SIZE(symbols), false};

	return qb_lib_load(&lib, err);
}
