/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/uuid.h"

#include <uuid/uuid.h>

#include "agent/base/str.h"

void qb_uuid5(const char *const *parts, char ret[QB_UUID_LEN])
{
	/* qubi-agent's name space: a random UUID, made once, never to change. */
	static const uuid_t space = {0x5b, 0x1d, 0x6f, 0x0e, 0x2c, 0x4a, 0x4e, 0x0b,
				     0x9a, 0x57, 0x3f, 0xe0, 0xc1, 0x7d, 0x92, 0x68};
	_cleanup_buf_ struct qb_buf name = {0};
	uuid_t uuid;

	for (size_t i = 0; parts[i]; i++)
		qb_buf_add(&name, parts[i], strlen(parts[i]) + 1);
	uuid_generate_sha1(uuid, space, name.s ? name.s : "", name.len);
	uuid_unparse_lower(uuid, ret);
}
