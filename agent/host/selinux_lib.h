/* SPDX-License-Identifier: Apache-2.0 */
/* libselinux, which brings a library of regular expressions along. */
#pragma once

#include <selinux/restorecon.h>
#include <selinux/selinux.h>

#include "agent/base/lib.h"

#define QB_SELINUX_CALLS(X) X(is_selinux_enabled) X(selinux_restorecon)

QB_SELINUX_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_selinux_load(struct qb_error *err);
