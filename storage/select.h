/* SPDX-License-Identifier: Apache-2.0 */
/* Which disk a pool gets, and whether it may have it. Pure. */
#pragma once

#include "storage/pool.h"

/* What may be done with a disk for a pool; the lower, the more it is the pool's own. */
enum qb_disk_claim {
	QB_CLAIM_READY,    /* it carries the pool's mark: nothing to carve */
	QB_CLAIM_COMMIT,   /* all is carved, but an interrupted run left the mark unfinished */
	QB_CLAIM_RESUME,   /* an interrupted run left it half carved */
	QB_CLAIM_INTENDED, /* blank, and a run that broke off was about to carve it */
	QB_CLAIM_BLANK,
	QB_CLAIM_ERASE, /* what is on it is named to be erased; never said by qb_disk_claim() */
	QB_CLAIM_NONE,
};

/*
 * by_path: the configuration named it by its path, which lifts "virtual". began: the ledger knows
 * that carving it for this pool began and did not end.
 */
enum qb_disk_claim qb_disk_claim(const struct qb_disk *disk, const char *pool,
				 const struct qb_pool_ids *ids, bool by_path, bool began);

/* The partition that carving made there, with its file system; NULL: there is no such. */
const struct qb_partition *qb_disk_carved(const struct qb_disk *disk, const struct qb_pool_ids *ids,
					  const struct qb_fs *fs);

/*
 * Whether what is left on the disk can be nothing but an unfinished carving for this very pool;
 * what else speaks against the disk is not asked.
 */
bool qb_disk_resumable(const struct qb_disk *disk, const char *pool, const struct qb_pool_ids *ids);

/* Whether code still speaks against a disk of that claim. */
bool qb_reason_counts(const struct qb_disk *disk, const char *code, enum qb_disk_claim claim,
		      bool by_path);

/* "code: evidence; code: evidence" of what speaks against it; NULL: nothing. The caller frees it.
 */
char *qb_reasons_text(const struct qb_disk *disk, bool by_path);

/* The pool's ledger on a disk: carving it began and did not end. */
bool qb_ledger_began(const struct qb_ledger *ledger, const char *pool, const char *identity);
/* It was carved for the pool once: images may be on it. */
bool qb_ledger_has_carved(const struct qb_ledger *ledger, const char *pool, const char *identity);
/* The identities of the disks that a pool was made on. */
void qb_ledger_carved(const struct qb_ledger *ledger, const char *pool, struct qb_strs *ret);

#define QB_ALL UINT64_MAX
/* How many disks it names; QB_ALL: as many as there are. */
uint64_t qb_selector_count(const struct qb_disk_selector *selector);

/* Why a disk is not what the selector wants; NULL when it is. The caller frees it. */
char *qb_selector_differs(const struct qb_disk_selector *selector, const struct qb_disk *disk);
/* "the disk with serial QB0001", "1 disk of at least 200 GiB"; the caller frees it. */
char *qb_selector_text(const struct qb_disk_selector *selector);

#define QB_CARVE_KIND "storage.carve"
