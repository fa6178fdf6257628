/* SPDX-License-Identifier: Apache-2.0 */
/* libkmod's references, dropped at the end of a scope. */
#pragma once

#include <libkmod.h>

#include "agent/base/cleanup.h"

static inline void qb_kmod_unrefp(struct kmod_ctx **ctx)
{
	if (*ctx)
		kmod_unref(*ctx);
}
#define _cleanup_kmod_ QB_CLEANUP(qb_kmod_unrefp)

static inline void qb_kmod_module_unrefp(struct kmod_module **mod)
{
	if (*mod)
		kmod_module_unref(*mod);
}
#define _cleanup_module_ QB_CLEANUP(qb_kmod_module_unrefp)
