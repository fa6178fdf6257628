/* SPDX-License-Identifier: Apache-2.0 */
/* A host with disks that nothing speaks against, for what plans pools on them. Needs cmocka. */
#pragma once

#include "storage/pool.h"

#define GIB (1ull << 30)
#define MACHINE_ID "0123456789abcdef0123456789abcdef"

/* A host, what is configured, what is in its journals, and the plan that comes of it. */
struct world {
	struct qb_disks disks;
	struct qb_pool_config pools[4];
	struct qb_disk_selector selectors[4];
	size_t n_pools;
	struct qb_ledger ledger;
	const char *machine_id;
	struct qb_plan plan;
};

static inline int setup(void **state)
{
	struct world *w = qb_alloc(1, sizeof(*w));

	w->machine_id = MACHINE_ID;
	qb_tri_set(&w->disks.known, true);
	*state = w;
	return 0;
}

static inline int teardown(void **state)
{
	struct world *w = *state;

	qb_disks_done(&w->disks);
	qb_ledger_done(&w->ledger);
	qb_plan_done(&w->plan);
	free(w);
	return 0;
}

static inline struct qb_disk *add_disk(struct world *w, const char *name, const char *serial,
				       uint64_t size_bytes)
{
	struct qb_disk *d = QB_APPEND(w->disks.disks, w->disks.n_disks);

	d->name = qb_strdup(name);
	d->path = qb_asprintf("/dev/%s", name);
	d->devno = qb_asprintf("8:%zu", w->disks.n_disks * 16);
	d->serial = qb_strdup(serial);
	d->size_bytes = size_bytes;
	d->logical_sector_bytes = 512;
	d->diskseq = w->disks.n_disks;
	d->available = true;
	qb_tri_set(&d->readable, true);
	qb_tri_set(&d->rotational, false);
	return d;
}

static inline struct qb_disk *disk(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->disks.n_disks; i++)
		if (qb_streq(w->disks.disks[i].name, name))
			return &w->disks.disks[i];
	fail_msg("no disk %s", name);
	return NULL;
}

static inline void plan(struct world *w)
{
	qb_plan_done(&w->plan);
	qb_pool_plan(&w->disks, w->pools, w->n_pools, w->machine_id, &w->ledger, &w->plan);
}
