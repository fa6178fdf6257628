/* SPDX-License-Identifier: Apache-2.0 */
/* Files that set sysctls, as sysctl.d(5) has them; for checks/ only. */
#pragma once

#include "checks/judging.h"

#define QB_SYSCTL_CONF "/etc/sysctl.conf"
#define QB_SYSCTL_ETC "/etc/sysctl.d/*.conf"
#define QB_SYSCTL_RUN "/run/sysctl.d/*.conf"
#define QB_SYSCTL_LOCAL "/usr/local/lib/sysctl.d/*.conf"
#define QB_SYSCTL_LIB "/usr/lib/sysctl.d/*.conf"

struct qb_sysctl {
	char *key;        /* as below /proc/sys: "net/ipv4/conf/eno1.10/rp_filter" */
	char *value;      /* white space as one space; NULL: no pattern is to set it */
	const char *path; /* of the file, where it is the administrator's or another one's */
};

struct qb_sysctls {
	struct qb_sysctl *v;
	size_t n;
};

/* Adds what a file says. path is kept, not copied. */
void qb_sysctls_parse(const char *text, const char *path, struct qb_sysctls *to);
/* All files that were read, in the order in which they count, the last one most. */
void qb_sysctls_read(const struct qb_check_input *in, struct qb_sysctls *ret);
/* What they set a key to, by its name or by a pattern; NULL for none. */
const struct qb_sysctl *qb_sysctls_find(const struct qb_sysctls *all, const char *key);
void qb_sysctls_done(struct qb_sysctls *all);
#define _cleanup_sysctls_ QB_CLEANUP(qb_sysctls_done)

/* "net.ipv4.conf.eno1/10.rp_filter" of a key, as sysctl(8) prints it. The caller frees it. */
char *qb_sysctl_name(const char *key);
/* The same number, or the same words. */
bool qb_sysctl_same(const char *a, const char *b);
/* What an administrator wrote: not what packages bring, which is there to be overridden. */
bool qb_sysctl_is_local(const struct qb_sysctl *s);
