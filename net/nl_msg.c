/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_msg.h"

#include "net/names.h"

#define MESSAGE_BYTES 8192

struct nl_msg *qb_nl_message(int type, int flags, const void *head, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_size(MESSAGE_BYTES);

	if (!msg || !nlmsg_put(msg, 0, 0, type, 0, flags) ||
	    nlmsg_append(msg, (void *)head, len, NLMSG_ALIGNTO) < 0)
		abort();
	return msg;
}

void qb_nl_put(struct nl_msg *msg, int type, const void *data, size_t len)
{
	if (nla_put(msg, type, (int)len, data) < 0)
		abort();
}

void qb_nl_put_u32(struct nl_msg *msg, int type, uint32_t value)
{
	qb_nl_put(msg, type, &value, sizeof(value));
}

void qb_nl_put_ip(struct nl_msg *msg, int type, const char *text)
{
	struct qb_ip ip;

	if (text && qb_ip_parse(text, &ip) == 0)
		qb_nl_put(msg, type, ip.bytes, ip.len);
}

struct nlattr *qb_nl_nest(struct nl_msg *msg, int type)
{
	struct nlattr *attr = nla_nest_start(msg, type);

	if (!attr)
		abort();
	return attr;
}
