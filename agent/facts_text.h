/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/host/facts.h"

/* Facts for a person: one table a part, and under the disks every reason against each. Fails only
 * where the library that makes tables is missing. */
QB_MUST_CHECK int qb_facts_text(const struct qb_facts *facts, bool colour, unsigned width,
				struct qb_buf *out, struct qb_error *err);
