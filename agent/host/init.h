/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration fitted to a host as it was found, for a person to read and to change. */
#pragma once

#include <jansson.h>

#include "agent/base/step.h"
#include "agent/host/facts.h"

/* Of an item of the configuration, an array: what is to be said of it. No key of host.yaml. */
#define QB_INIT_REMARKS "#"

struct qb_init {
	json_t *config; /* as host.yaml has it, with remarks */
	json_t *left;   /* [{target, reasons: [...]}]: what was left out, and why */
};

/* Pure. */
void qb_init_plan(const struct qb_facts *facts, struct qb_init *ret);
/* Leaves out what a plan of it refuses. Pure. */
void qb_init_drop(struct qb_init *init, const struct qb_plan *plan);
void qb_init_done(struct qb_init *init);
#define _cleanup_init_ QB_CLEANUP(qb_init_done)

/* The configuration without remarks. A new reference. */
json_t *qb_init_bare(const struct qb_init *init);
/* As YAML, remarks as comments. host: whose it is. */
void qb_init_text(const struct qb_init *init, const char *host, struct qb_buf *out);
