/* SPDX-License-Identifier: Apache-2.0 */
/* What the plans of libvirt's objects share. Pure. */
#pragma once

#include "agent/base/uuid.h"
#include "agent/host/plan.h"

/* Networks, those over bridges too. */
void qb_network_plan(const struct qb_facts *facts, const struct qb_config *config,
		     struct qb_plan *plan);

/* Refuses what nothing can make start at boot, and what is gone once it is stopped. */
bool qb_plan_transient(struct qb_plan *plan, const char *noun, const char *name, bool persistent);
/* The UUID of an object that is made here. */
void qb_vir_uuid(const struct qb_facts *facts, const char *noun, const char *name,
		 char ret[QB_UUID_LEN]);
