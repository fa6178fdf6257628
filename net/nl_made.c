/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_made.h"

#include <errno.h>
#include <net/if.h>
#include <linux/if_bonding.h>
#include <linux/if_link.h>

#include "net/nl_msg.h"

#define MIIMON_MS 100

static struct nl_msg *new_link(const char *name)
{
	struct ifinfomsg ifi = {0};
	struct nl_msg *msg =
		qb_nl_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));

	qb_nl_put(msg, IFLA_IFNAME, name, strlen(name) + 1);
	return msg;
}

static int send_one(struct nl_sock *sock, struct nl_msg *msg, char *what, struct qb_error *err)
{
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};

	qb_nl_batch_add(&batch, msg, what);
	return qb_nl_batch_send(sock, &batch, err);
}

int qb_nl_bond_make(struct nl_sock *sock, const char *name, unsigned char mode, const char *mac,
		    int64_t mtu, struct qb_error *err)
{
	struct nl_msg *msg = new_link(name);
	struct nlattr *info, *data;
	unsigned char bytes[6];

	if (mac && sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &bytes[0], &bytes[1],
			  &bytes[2], &bytes[3], &bytes[4], &bytes[5]) == 6)
		qb_nl_put(msg, IFLA_ADDRESS, bytes, sizeof(bytes));
	if (mtu)
		qb_nl_put_u32(msg, IFLA_MTU, (uint32_t)mtu);
	info = qb_nl_nest(msg, IFLA_LINKINFO);
	qb_nl_put(msg, IFLA_INFO_KIND, "bond", sizeof("bond"));
	data = qb_nl_nest(msg, IFLA_INFO_DATA);
	qb_nl_put(msg, IFLA_BOND_MODE, &mode, sizeof(mode));
	qb_nl_put_u32(msg, IFLA_BOND_MIIMON, MIIMON_MS);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return send_one(sock, msg, qb_asprintf("bond %s", name), err);
}

int qb_nl_vlan_make(struct nl_sock *sock, const char *name, const char *lower, int64_t id,
		    struct qb_error *err)
{
	unsigned index = if_nametoindex(lower);
	uint16_t vlan_id = (uint16_t)id;
	struct nlattr *info, *data;
	struct nl_msg *msg;

	if (!index)
		return qb_error_errno(err, errno, "link %s", lower);
	msg = new_link(name);
	qb_nl_put_u32(msg, IFLA_LINK, index);
	info = qb_nl_nest(msg, IFLA_LINKINFO);
	qb_nl_put(msg, IFLA_INFO_KIND, "vlan", sizeof("vlan"));
	data = qb_nl_nest(msg, IFLA_INFO_DATA);
	qb_nl_put(msg, IFLA_VLAN_ID, &vlan_id, sizeof(vlan_id));
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return send_one(sock, msg, qb_asprintf("VLAN %s", name), err);
}

int qb_nl_link_master(struct nl_sock *sock, const char *name, const char *master,
		      struct qb_error *err)
{
	unsigned index = if_nametoindex(name), of = master ? if_nametoindex(master) : 0;
	struct ifinfomsg ifi = {.ifi_index = (int)index};
	struct nl_msg *msg;

	if (!index || (master && !of))
		return qb_error_errno(err, errno, "link %s", index ? master : name);
	msg = qb_nl_message(RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	qb_nl_put_u32(msg, IFLA_MASTER, of);
	return send_one(sock, msg,
			master ? qb_asprintf("putting %s into %s", name, master)
			       : qb_asprintf("releasing %s", name),
			err);
}

int qb_nl_link_announce(struct nl_sock *sock, const struct qb_root *root, const char *name,
			struct qb_error *err)
{
	struct ifinfomsg ifi = {.ifi_index = (int)if_nametoindex(name)};
	_cleanup_free_ char *path = qb_asprintf("/sys/class/net/%s/ifalias", name), *alias = NULL;
	struct nl_msg *msg;

	if (!ifi.ifi_index)
		return qb_error_errno(err, errno, "link %s", name);
	if (qb_root_read_value(root, path, &alias) < 0)
		alias = qb_strdup("");
	msg = qb_nl_message(RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	qb_nl_put(msg, IFLA_IFALIAS, alias, strlen(alias));
	return send_one(sock, msg, qb_asprintf("announcing %s", name), err);
}
