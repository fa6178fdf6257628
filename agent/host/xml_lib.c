/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/xml_lib.h"

QB_XML_CALLS(QB_LIB_DEFINE)

int qb_xml_load(struct qb_error *err)
{
	static const struct qb_lib_symbol symbols[] = {QB_XML_CALLS(QB_LIB_SYMBOL)};
	static struct qb_lib lib = {"libexpat.so.1", symbols, QB_ARRAY_SIZE(symbols), false};

	return qb_lib_load(&lib, err);
}
