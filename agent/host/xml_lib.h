/* SPDX-License-Identifier: Apache-2.0 */
/* expat: it only reads, and brings nothing along. */
#pragma once

#include <expat.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_XML_CALLS(X) \
	X(XML_Parse) \
	X(XML_ParserCreate) \
	X(XML_ParserFree) \
	X(XML_SetCharacterDataHandler) \
	X(XML_SetElementHandler) \
	X(XML_SetStartDoctypeDeclHandler) \
	X(XML_SetUserData) \
	X(XML_StopParser)
/* clang-format on */

QB_XML_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_xml_load(struct qb_error *err);
