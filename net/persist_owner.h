/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What step net.persist has the program do that keeps a bridge: NetworkManager by profiles,
 * systemd-networkd by units. args and before are the step's.
 */
#pragma once

#include "agent/base/step.h"
#include "net/link.h"

struct qb_persist_owner {
	mode_t mode; /* of its files */
	bool (*runs)(const struct qb_net *net);
	/*
	 * Where it reads the same, takes it before the one of /etc, and a boot leaves nothing of
	 * it: what is not confirmed yet does not outlive one. The caller frees it.
	 */
	char *(*provisional)(const char *path);
	/* Whether it has the link by one of the files that were there before. */
	int (*owns)(const struct qb_step_ctx *ctx, const struct qb_net *net, const char *link,
		    const json_t *before, bool *ret, struct qb_error *err);
	/*
	 * Of files that were confirmed, and are below /etc now. NULL: they stay below /run, too,
	 * until the next boot, for to take them away would be another change to it.
	 */
	int (*reload)(const struct qb_step_ctx *ctx, const json_t *args, struct qb_error *err);
	/*
	 * Has it read the files. The bridge and its ports have all that they say: waits until they
	 * are its own.
	 */
	int (*take)(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		    struct qb_error *err);
	/* Whether it knows what was read from a file; NULL: taking it has shown that. */
	int (*knows)(const struct qb_step_ctx *ctx, const char *text, struct qb_error *err);
	/*
	 * Whether it can be told to let go; NULL: what it has not heard of by then does no harm.
	 */
	int (*answers)(unsigned timeout_ms, struct qb_error *err);
	/* By something that an undo left: it does not have the bridge, or a port, as files say. */
	bool (*is_held)(const struct qb_step_ctx *ctx, const json_t *args); /* NULL: never */
	/*
	 * For an undo: it lets go of what it has not had by a file that was there, so that whoever
	 * put it together takes it apart; once before the files are as they were, and once after.
	 */
	void (*disown)(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		       const json_t *before);
	int (*let_go)(const struct qb_step_ctx *ctx, const struct qb_net *net, const json_t *args,
		      const json_t *before, struct qb_error *err);
};

extern const struct qb_persist_owner qb_persist_networkmanager, qb_persist_networkd;

/* In before, as noted: it has the link by a file that was there. */
bool qb_persist_is_owned(const json_t *before, const char *link);
/* One of the files was there. */
bool qb_persist_was_there(const json_t *before);
