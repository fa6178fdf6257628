/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted at boot, as fstab(5) has it; for checks/ only. */
#pragma once

#include "checks/judging.h"

#define QB_FSTAB "/etc/fstab"

/*
 * Where the file system is to be mounted that a path lies on: of what is mounted at boot, and not
 * by hand or when it is used. NULL for none. The caller frees it.
 */
char *qb_fstab_mount_point(const char *fstab, const char *path);
