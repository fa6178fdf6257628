/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/host/facts.h"

/* Facts for a person: one table a part, and under the disks every reason against each. */
void qb_facts_text(const struct qb_facts *facts, bool colour, unsigned width, struct qb_buf *out);
