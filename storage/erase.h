/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a disk that holds something: only where the configuration names the disk by what stands
 * for its hardware, and all that is on it. A step of its own, before the disk is carved.
 */
#pragma once

#include "storage/pool.h"
#include "storage/select.h"

#define QB_ERASE_KIND "storage.erase"

/*
 * What is on a disk, as the configuration has to name it, each once, sorted: the types of
 * signatures, partition tables and file systems of partitions; "qubi:NAME" for the mark of a pool,
 * whosever it is; "unknown-content" for what nobody knows. Pure.
 */
void qb_disk_contains(const struct qb_disk *disk, struct qb_strs *ret);

/* What the pool says of erasing this disk; NULL: nothing. Pure. */
const struct qb_erase_config *qb_erase_of(const struct qb_pool_config *pool,
					  const struct qb_disk *disk);

/*
 * What tells what is on a disk from anything else of the same type, each once, sorted: types with
 * their UUIDs, and partitions with their number, place and UUID. Pure.
 */
void qb_disk_seen(const struct qb_disk *disk, struct qb_strs *ret);

/*
 * What is on the disk that was not there when a step of these arguments was planned, or was and is
 * not, as a sentence; NULL: it is as it was then. began: what is gone is no difference. The caller
 * frees it. Pure.
 */
char *qb_erase_differs(const json_t *args, const struct qb_disk *disk, bool began);

/*
 * Whether contains names all that is on the disk and nothing else, and nothing but what is on it
 * speaks against it. begun: the arguments of an erasing that broke off, so that part of what is
 * named may be gone, and what is left be unknown, but nothing else have come; NULL: of none. Pure.
 */
bool qb_erase_allows(const struct qb_strs *contains, const struct qb_disk *disk, bool by_path,
		     const json_t *begun);

/* The arguments of the erasing for this pool that began and did not end, borrowed; or NULL. Pure.
 */
const json_t *qb_erase_begun(const struct qb_ledger *ledger, const char *pool,
			     const char *identity);

/*
 * Adds the step that erases a disk, which a step that carves it has to follow; args are those of
 * that one, and stolen. Pure.
 */
void qb_erase_plan(struct qb_plan *plan, const struct qb_disk *disk, bool began, json_t *args,
		   const char *target);

extern const struct qb_step_kind qb_erase_step; /* storage.erase */
