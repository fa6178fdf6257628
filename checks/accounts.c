/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups, as the host's own files name them. */
#include "checks/judging.h"

enum {
	NAME,
	PASSWORD,
	ID,
	OTHER, /* of a user the number of his group, of a group its members */
	N_PARTS
};

/* A line of /etc/passwd or /etc/group. */
struct account {
	char *line, *part[N_PARTS];
};

static void account_done(struct account *a)
{
	free(a->line);
}

/* The first line whose part of that kind is value. */
static bool find_account(const struct qb_check_input *in, const char *path, unsigned kind,
			 const char *value, struct account *ret)
{
	const struct qb_reading *x = qb_facts_reading(in->facts, path);

	for (const char *line = x && x->value ? x->value : ""; *line; line += *line == '\n') {
		size_t n = strcspn(line, "\n");
		char *rest = ret->line = qb_strndup(line, n);

		for (unsigned i = 0; i < N_PARTS; i++)
			ret->part[i] = strsep(&rest, ":");
		if (qb_streq(ret->part[kind], value))
			return true;
		account_done(ret);
		*ret = (struct account){0};
		line += n;
	}
	return false;
}

static bool is_member(const char *members, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = members; at && *at; at += *at == ',') {
		size_t len = strcspn(at, ",");

		if (len == n && !strncmp(at, name, n))
			return true;
		at += len;
	}
	return false;
}

const char *qb_id_number(const char *name)
{
	uint64_t n;

	name += *name == '+';
	return qb_parse_u64(name, &n) == 0 ? name : NULL;
}

enum qb_tri_state qb_user_has_group(const struct qb_check_input *in, struct qb_result *r,
				    const char *user, const char *gid, char **ret_group,
				    char **ret_why)
{
	const struct qb_reading *groups = qb_facts_reading(in->facts, QB_GROUP);
	const struct qb_reading *users = qb_facts_reading(in->facts, QB_PASSWD);
	QB_CLEANUP(account_done) struct account group = {0}, account = {0};
	const char *number = qb_id_number(user);
	bool group_known = find_account(in, QB_GROUP, ID, gid, &group);
	bool user_known =
		find_account(in, QB_PASSWD, number ? ID : NAME, number ? number : user, &account);

	if (group_known)
		qb_evidence(r, "group", QB_GROUP, "%.200s: %.200s", group.part[NAME],
			    group.part[OTHER] && *group.part[OTHER] ? group.part[OTHER]
								    : "no members");
	if (user_known && account.part[OTHER])
		qb_evidence(r, "group of the user", QB_PASSWD, "%.40s", account.part[OTHER]);
	*ret_group = qb_strdup(group_known ? group.part[NAME] : gid);
	*ret_why = NULL;
	if (is_member(group.part[OTHER], user_known ? account.part[NAME] : user) ||
	    qb_streq(account.part[OTHER], gid))
		return QB_YES;
	if (group_known && user_known)
		return QB_NO;
	if (!groups || !groups->value)
		*ret_why = qb_asprintf("%s: %s", QB_GROUP, qb_read_why(groups));
	else if (!users || !users->value)
		*ret_why = qb_asprintf("%s: %s", QB_PASSWD, qb_read_why(users));
	else
		*ret_why = qb_asprintf("%s does not name %s", group_known ? QB_PASSWD : QB_GROUP,
				       group_known ? "that user" : "that group");
	return QB_UNKNOWN;
}
