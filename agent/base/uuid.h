/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are the same each time they are computed: UUID version 5 (RFC 9562, SHA-1). */
#pragma once

#include <stddef.h>

#define QB_UUID_LEN 37 /* with the terminating NUL */

/*
 * The UUIDv5 of the strings in parts (NULL-terminated), each followed by a zero byte so that
 * ("ab","c") and ("a","bc") differ, in a name space of qubi-agent's own. Lower case.
 */
void qb_uuid5(const char *const *parts, char ret[QB_UUID_LEN]);
