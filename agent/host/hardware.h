/* SPDX-License-Identifier: Apache-2.0 */
/* The hardware as it was when a run last succeeded, and what is not so any more. Pure. */
#pragma once

#include "agent/base/step.h"
#include "agent/host/facts.h"

/* What is noted of it, as an object. A new reference. */
json_t *qb_hardware_json(const struct qb_facts *facts);
/*
 * Adds to the plan's changes what differs from what was noted; NICs of which a change is in the
 * plan already are left out. was NULL: nothing was ever noted, and nothing is told.
 */
void qb_hardware_plan(const json_t *was, const struct qb_facts *facts, struct qb_plan *plan);
