/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of qb_init_plan(). Each adds to the configuration, and to what is left out. Pure. */
#pragma once

#include "agent/host/init.h"

void qb_init_bridges(const struct qb_facts *facts, json_t *config, json_t *left);
void qb_init_networks(const struct qb_facts *facts, json_t *config);
void qb_init_pools(const struct qb_facts *facts, json_t *config, json_t *left);
/* A pool that takes no disk. */
void qb_init_directory(const struct qb_facts *facts, json_t *config);

/* Items, of which no text is trusted. */
QB_PRINTF(2, 3) void qb_init_remark(json_t *item, const char *fmt, ...);
void qb_init_set(json_t *item, const char *key, const char *value);
/* An item of a list of the configuration, by its name: borrowed. */
json_t *qb_init_add(json_t *config, const char *list, const char *name);
/* The one with that value, borrowed; NULL: there is none. */
json_t *qb_init_find(const json_t *config, const char *list, const char *key, const char *value);
void qb_init_leave(json_t *left, const char *target, const char *why);
