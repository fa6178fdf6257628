/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of LVM's RAIDs and thin pools while they are active: dm-raid.rst and
 * thin-provisioning.rst of Documentation/admin-guide/device-mapper. "lvm fullreport" reads only
 * what is written on the disks, and there they are well.
 */
#include "storage/probe_parts.h"

#include <errno.h>

#include "agent/base/exec.h"

#define DMSETUP "/usr/sbin/dmsetup"

enum {
	WORDS = 11,
};

/* A part of a name as LVM gives them: "vg-lv", with the hyphens of either doubled. */
static char *next_part(const char **at)
{
	_cleanup_buf_ struct qb_buf part = {0};
	const char *s = *at;

	while (*s && (*s != '-' || s[1] == '-')) {
		qb_buf_add(&part, s, 1);
		s += *s == '-' ? 2 : 1;
	}
	*at = *s ? s + 1 : s;
	return QB_TAKE_PTR(part.s);
}

/* words: start, length, target, and what that one says. NULL where it is well. */
static const char *damage_of(char *const words[WORDS])
{
	if (qb_streq(words[2], "raid") && words[5])
		return strchr(words[5], 'D') ? "a leg has failed" : NULL;
	if (!qb_streq(words[2], "thin-pool") || !words[3])
		return NULL;
	if (qb_streq(words[3], "Fail") || qb_streq(words[3], "Error"))
		return "failed";
	if (qb_streq(words[7], "ro"))
		return "read-only";
	if (qb_streq(words[7], "out_of_data_space"))
		return "out of data space";
	return qb_streq(words[10], "needs_check") ? "needs check" : NULL;
}

static void take_line(char *line, struct qb_disks *disks)
{
	_cleanup_free_ char *group = NULL, *volume = NULL;
	char *words[WORDS] = {NULL}, *rest = strstr(line, ": ");
	const char *name = line, *damage;

	if (!rest)
		return;
	*rest = '\0';
	rest += strlen(": ");
	for (size_t i = 0; i < WORDS && rest; i++)
		words[i] = strsep(&rest, " ");
	damage = damage_of(words);
	group = next_part(&name);
	volume = next_part(&name);
	for (size_t i = 0; damage && volume && i < disks->n_groups; i++)
		if (qb_streq(disks->groups[i].name, group))
			qb_strs_addf(&disks->groups[i].damaged, "%s (%s)", volume, damage);
}

void qb_groups_take_status(char *text, struct qb_disks *disks)
{
	for (char *line; (line = strsep(&text, "\n"));)
		take_line(line, disks);
}

void qb_groups_ask_status(unsigned timeout_ms, struct qb_disks *disks)
{
	/* Without --noflush a thin pool would write what it has not written yet. */
	static const char *const argv[] = {DMSETUP, "status", "--noflush", NULL};
	_cleanup_exec_ struct qb_exec_result result = {0};
	struct qb_error err = QB_ERROR_INIT;
	int r = qb_exec(argv, timeout_ms, &result, &err);

	if (r == 0 && result.status)
		r = qb_error_set(&err, EIO, "%s status gave %d", DMSETUP, result.status);
	if (r < 0)
		qb_tri_unknown(&disks->lvm, "%s", err.msg);
	else
		qb_groups_take_status(result.out, disks);
}
