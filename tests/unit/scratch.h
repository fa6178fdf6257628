/* SPDX-License-Identifier: Apache-2.0 */
/* Where tests leave their files: the runner removes it however they end. */
#pragma once

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SCRATCH_MAX = 96 /* with a name, the path of a socket */
};

/* A template for mkdtemp(3) and mkstemp(3). */
static inline char *scratch(char ret[SCRATCH_MAX])
{
	const char *dir = getenv("TMPDIR");
	int n = snprintf(ret, SCRATCH_MAX, "%s/qubi-XXXXXX", dir ? dir : "/tmp");

	assert(n < SCRATCH_MAX);
	return ret;
}
