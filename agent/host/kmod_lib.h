/* SPDX-License-Identifier: Apache-2.0 */
/* libkmod, which brings a library of ciphers along. */
#pragma once

#include <libkmod.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_KMOD_CALLS(X) \
	X(kmod_get_dirname) \
	X(kmod_list_next) \
	X(kmod_module_get_dependencies) \
	X(kmod_module_get_initstate) \
	X(kmod_module_get_module) \
	X(kmod_module_get_name) \
	X(kmod_module_get_path) \
	X(kmod_module_new_from_name) \
	X(kmod_module_probe_insert_module) \
	X(kmod_module_remove_module) \
	X(kmod_module_unref) \
	X(kmod_module_unref_list) \
	X(kmod_new) \
	X(kmod_set_log_priority) \
	X(kmod_unref)
/* clang-format on */

QB_KMOD_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_kmod_load(struct qb_error *err);

static inline void qb_kmod_unrefp(struct kmod_ctx **ctx)
{
	if (*ctx)
		sym_kmod_unref(*ctx);
}
#define _cleanup_kmod_ QB_CLEANUP(qb_kmod_unrefp)

static inline void qb_kmod_module_unrefp(struct kmod_module **mod)
{
	if (*mod)
		sym_kmod_module_unref(*mod);
}
#define _cleanup_module_ QB_CLEANUP(qb_kmod_module_unrefp)

static inline void qb_kmod_listp(struct kmod_list **list)
{
	if (*list)
		sym_kmod_module_unref_list(*list);
}
#define _cleanup_kmod_list_ QB_CLEANUP(qb_kmod_listp)
