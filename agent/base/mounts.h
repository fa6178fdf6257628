/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted, and what of it does not answer. */
#pragma once

#include "agent/base/root.h"

/* One line of mountinfo: proc(5). Its words stay in the line. */
struct qb_mount {
	const char *id;    /* of /proc/PID/fdinfo as well */
	const char *devno; /* "8:1" */
	char *point, *source;
	const char *type;
	bool nodev; /* device nodes below it cannot be opened */
};

/* Takes the line apart, in place; points and sources are without their escapes. */
bool qb_mount_parse(char *line, struct qb_mount *ret);

/* Somebody else answers for what is on it: another host, or a process of this one. */
bool qb_mount_has_server(const char *type);

/*
 * The mount points of servers' and of processes' file systems (NFS, CIFS, FUSE...) on this host
 * that do not answer stat(2) within a second. What lies below one is not to be looked at: whoever
 * does waits with it. Nothing where mountinfo cannot be read.
 */
void qb_mounts_hung(const struct qb_root *root, struct qb_strs *ret);
