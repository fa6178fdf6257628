/* SPDX-License-Identifier: Apache-2.0 */
/* One netlink message, put together. It has room for all that is put into one here. */
#pragma once

#include "net/nl.h"

struct nl_msg *qb_nl_message(int type, int flags, const void *head, size_t len);
void qb_nl_put(struct nl_msg *msg, int type, const void *data, size_t len);
void qb_nl_put_u32(struct nl_msg *msg, int type, uint32_t value);
/* The bytes of an address as text; nothing where there is none. */
void qb_nl_put_ip(struct nl_msg *msg, int type, const char *text);
struct nlattr *qb_nl_nest(struct nl_msg *msg, int type);
