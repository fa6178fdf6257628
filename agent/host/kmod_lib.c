/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/kmod_lib.h"

QB_KMOD_CALLS(QB_LIB_DEFINE)

int qb_kmod_load(struct qb_error *err)
{
	static const struct qb_lib_symbol symbols[] = {QB_KMOD_CALLS(QB_LIB_SYMBOL)};
	static struct qb_lib lib = {"libkmod.so.2", symbols, QB_ARRAY_SIZE(symbols), false};

	return qb_lib_load(&lib, err);
}
