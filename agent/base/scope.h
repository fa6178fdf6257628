/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "agent/base/error.h"

/* systemd is the host's first process (sd_booted(3)). */
bool qb_scope_available(void);
/*
 * Takes a process out of the cgroup that it was born in, into a transient scope of that name: the
 * end of an ssh session, or of the unit that started us, kills whole cgroups.
 */
QB_MUST_CHECK int qb_scope_begin(const char *name, const char *description, pid_t pid,
				 struct qb_error *err);
