/* SPDX-License-Identifier: Apache-2.0 */
/* libxml2, which brings a library of all scripts along. */
#pragma once

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_XML_CALLS(X) \
	X(xmlBufferContent) \
	X(xmlBufferCreate) \
	X(xmlBufferFree) \
	X(xmlDocGetRootElement) \
	X(xmlDocSetRootElement) \
	X(xmlFree) \
	X(xmlFreeDoc) \
	X(xmlGetNoNsProp) \
	X(xmlNewDoc) \
	X(xmlNewNode) \
	X(xmlNewProp) \
	X(xmlNewTextChild) \
	X(xmlNodeDump) \
	X(xmlNodeGetContent) \
	X(xmlReadMemory)
/* clang-format on */

QB_XML_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_xml_load(struct qb_error *err);
