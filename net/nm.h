/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkManager over D-Bus. Called only where it runs; -EIO with its own words otherwise. */
#pragma once

#include "agent/base/str.h"

/* Whether it manages the link. A link it does not know is not managed. */
QB_MUST_CHECK int qb_nm_managed(const char *link, unsigned timeout_ms, bool *ret,
				struct qb_error *err);
/*
 * Until the next boot or until set back. Taking a link away leaves its addresses and routes as
 * they are; while it is managed NetworkManager puts back what others change.
 */
QB_MUST_CHECK int qb_nm_set_managed(const char *link, bool managed, unsigned timeout_ms,
				    struct qb_error *err);
/*
 * Takes away a link that was made just now, once NetworkManager has noticed it. One that it finds
 * switched on without an address it manages, and for a start removes the addresses that have come
 * since.
 */
QB_MUST_CHECK int qb_nm_disown(const char *link, unsigned timeout_ms, struct qb_error *err);
/* Reads profiles anew; one whose file has gone is forgotten. */
QB_MUST_CHECK int qb_nm_load(const struct qb_strs *paths, unsigned timeout_ms,
			     struct qb_error *err);
/*
 * Has it take over a link that has what the profile of that UUID says, and waits until that is
 * active on it. Told to manage it, it takes it as it is, but for IPv6, which it switches off and
 * on; activated in so many words, it would take a bridge apart first. The ports of a bridge are
 * managed once its profile is being activated: before that it may find that theirs cannot be, and
 * takes them off for the NIC's own; without one of them it waits with DHCP. ports may be NULL.
 */
QB_MUST_CHECK int qb_nm_take(const char *link, const struct qb_strs *ports, const char *uuid,
			     unsigned timeout_ms, struct qb_error *err);
/*
 * Has it activate the profile of that UUID on the link, off which it takes all that there is first;
 * it has begun to when this returns.
 */
QB_MUST_CHECK int qb_nm_activate(const char *link, const char *uuid, unsigned timeout_ms,
				 struct qb_error *err);
/* The UUID of the profile that is active on a link; NULL: none is. */
QB_MUST_CHECK int qb_nm_profile(const char *link, unsigned timeout_ms, char **ret,
				struct qb_error *err);
/* Fails when NetworkManager has no profile of that UUID. */
QB_MUST_CHECK int qb_nm_knows(const char *uuid, unsigned timeout_ms, struct qb_error *err);
