/* SPDX-License-Identifier: Apache-2.0 */
/* Step host.member: a user becomes a member of a group, by the tool that knows where groups are. */
#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "agent/base/exec.h"
#include "agent/host/host.h"

#define GPASSWD "/usr/bin/gpasswd"

static int parse(const json_t *args, const char **ret_user, const char **ret_group,
		 struct qb_error *err)
{
	*ret_user = qb_arg(args, "user");
	*ret_group = qb_arg(args, "group");
	if (!*ret_user || !*ret_group || (*ret_user)[0] == '-' || (*ret_group)[0] == '-')
		return qb_error_set(err, EINVAL, "a step of host.member without user or group");
	return 0;
}

static int is_member(const char *user, const char *group, bool *ret, struct qb_error *err)
{
	struct group entry, *found = NULL;
	char text[65536];
	int r = getgrnam_r(group, &entry, text, sizeof(text), &found);

	if (r || !found)
		return qb_error_set(err, r ? r : ESTALE, "there is no group %s", group);
	*ret = false;
	for (char **member = found->gr_mem; *member; member++)
		*ret |= qb_streq(*member, user);
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	const char *user, *group;
	bool member = false;
	int r = parse(args, &user, &group, err);

	(void)ctx;
	if (r == 0)
		r = is_member(user, group, &member, err);
	if (r == 0 && !member && access(GPASSWD, X_OK) < 0)
		r = qb_error_errno(err, errno, GPASSWD);
	if (r < 0)
		return r;
	*ret = member ? QB_OBSERVED_DONE : QB_OBSERVED_NEEDED;
	if (!member)
		*ret_before = json_object();
	return 0;
}

static int change(const struct qb_step_ctx *ctx, const json_t *args, bool member,
		  struct qb_error *err)
{
	const char *user, *group;
	bool is;
	int r = parse(args, &user, &group, err);

	if (r == 0)
		r = is_member(user, group, &is, err);
	if (r < 0 || is == member)
		return r;
	return qb_exec_check(
		(const char *const[]){GPASSWD, member ? "--add" : "--delete", user, group, NULL},
		ctx->timeout_ms, err);
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	(void)before;
	return change(ctx, args, true, err);
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	const char *user, *group;
	bool member = false;
	int r = parse(args, &user, &group, err);

	(void)ctx, (void)before;
	if (r == 0)
		r = is_member(user, group, &member, err);
	return r < 0 || member ? r : qb_error_set(err, EIO, "%s is not in %s", user, group);
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	(void)before;
	return change(ctx, args, false, err);
}

const struct qb_step_kind qb_member_step = {
	.kind = "host.member",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
