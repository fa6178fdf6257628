/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries of which loading takes longer than most runs of this program: each is loaded when it is
 * first needed. Its header lists the functions that are used, as X(name)...; they are called by
 * pointers of the same types, sym_name, which are there once its qb_..._load() has returned 0.
 * The package requires these libraries by name, as nothing finds them by looking at the program.
 */
#pragma once

#include "agent/base/error.h"
#include "agent/base/str.h"

struct qb_lib_symbol {
	const char *name;
	void *pointer; /* to where the function's address goes */
};

struct qb_lib {
	const char *soname;
	const struct qb_lib_symbol *symbols;
	size_t n_symbols;
	bool loaded;
};

#define QB_LIB_DECLARE(name) extern __typeof__(name) *sym_##name;
#define QB_LIB_DEFINE(name) __typeof__(name) *sym_##name;
#define QB_LIB_SYMBOL(name) {#name, (void *)&sym_##name},

/* Once, and for good. -ENOENT where it is not installed or lacks one of the functions. */
QB_MUST_CHECK int qb_lib_load(struct qb_lib *lib, struct qb_error *err);
