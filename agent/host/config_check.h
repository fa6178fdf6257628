/* SPDX-License-Identifier: Apache-2.0 */
/* What the table of keys cannot say: whether the parts of a configuration go together. */
#pragma once

#include "agent/host/config.h"

struct qb_config_check {
	struct qb_config *config;
	const struct qb_positions *pos;
	struct qb_diags *diags;
	struct qb_strs bridges; /* their names, sorted: qb_config_check_bridges() */
};

/*
 * Each adds errors at the place they belong to. What is refused for itself already is not
 * judged again. Members that follow from others (has_match, a static mode) are set.
 */
void qb_config_check_names(struct qb_config_check *c);
void qb_config_check_host(struct qb_config_check *c);
void qb_config_check_bridges(struct qb_config_check *c);
void qb_config_check_networks(struct qb_config_check *c);
void qb_config_check_pools(struct qb_config_check *c);

/* Written in the file, good or not. */
bool qb_config_present(const struct qb_config_check *c, const void *member);
/* An object or item with a key that is not known: what it lacks may be misspelt there. */
bool qb_config_misspelt(const struct qb_config_check *c, const void *obj);
/* Written in the file, and not refused there. */
bool qb_config_given(const struct qb_config_check *c, const void *member);
QB_PRINTF(3, 4)
void qb_config_wrong(struct qb_config_check *c, const void *member, const char *fmt, ...);
/* The same about an object or an item of a list. */
QB_PRINTF(3, 4)
void qb_config_wrong_object(struct qb_config_check *c, const void *obj, const char *fmt, ...);

/* Things that only one may claim: names, NICs, disks, directories. */
struct qb_claims {
	void *tree; /* tsearch(3) */
};

/*
 * Notes the claim, or says at member that thing is there twice. Case does not count where fold
 * is set.
 */
void qb_config_claim(struct qb_config_check *c, struct qb_claims *claims, const char *what,
		     const char *value, const void *member, bool fold);
void qb_claims_done(struct qb_claims *claims);
#define _cleanup_claims_ QB_CLEANUP(qb_claims_done)
