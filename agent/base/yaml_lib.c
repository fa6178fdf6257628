/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/yaml_lib.h"

QB_LIBYAML_CALLS(QB_LIB_DEFINE)

int qb_libyaml_load(struct qb_error *err)
{
	static const struct qb_lib_symbol symbols[] = {QB_LIBYAML_CALLS(QB_LIB_SYMBOL)};
	static struct qb_lib lib = {"libyaml-0.so.2", symbols, QB_ARRAY_SIZE(symbols), false};

	return qb_lib_load(&lib, err);
}
