/* SPDX-License-Identifier: Apache-2.0 */
/* What a link of some kind is made with: IFLA_INFO_DATA of bridges, VLANs and bonds. */
#include "net/nl_probe.h"

#include <errno.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <linux/if_bonding.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_vlan.h>

/* Newer than the headers of EL8 and EL9. */
enum {
	ATTR_BOND_PEER_NOTIF_DELAY = 28,
	ATTR_BOND_AD_LACP_ACTIVE,
	ATTR_BOND_MISSED_MAX,
	ATTR_BOND_NS_IP6_TARGET,
	ATTR_BOND_COUPLED_CONTROL,
	ATTR_BOND_MAX = ATTR_BOND_COUPLED_CONTROL
};

static const char *const bond_modes[] = {"balance-rr", "active-backup", "balance-xor", "broadcast",
					 "802.3ad",    "balance-tlb",   "balance-alb", NULL};
static const char *const reselects[] = {"always", "better", "failure", NULL};
static const char *const over_macs[] = {"none", "active", "follow", NULL};
static const char *const policies[] = {"layer2",   "layer3+4",    "layer2+3", "encap2+3",
				       "encap3+4", "vlan+srcmac", NULL};
static const char *const rates[] = {"slow", "fast", NULL};
static const char *const selects[] = {"stable", "bandwidth", "count", NULL};

/*
 * Options of a bond, with the value that a new one has (Documentation/networking/bonding.rst) and
 * the names of the others. Without a key: a profile of NetworkManager is not to say it here.
 */
static const struct bond_option {
	int attr;
	uint32_t normal;
	const char *key, *words;
	const char *const *names;
	bool always;
} bond_options[] = {
	{IFLA_BOND_MODE, 0, "mode", NULL, bond_modes, true},
	{IFLA_BOND_MIIMON, 0, "miimon", NULL, NULL, true},
	{IFLA_BOND_UPDELAY, 0, "updelay", NULL, NULL, false},
	{IFLA_BOND_DOWNDELAY, 0, "downdelay", NULL, NULL, false},
	{IFLA_BOND_USE_CARRIER, 1, NULL, "use_carrier", NULL, false},
	{IFLA_BOND_ARP_INTERVAL, 0, NULL, "arp_interval", NULL, false},
	{IFLA_BOND_ARP_VALIDATE, 0, NULL, "arp_validate", NULL, false},
	{IFLA_BOND_ARP_ALL_TARGETS, 0, NULL, "arp_all_targets", NULL, false},
	{IFLA_BOND_PRIMARY_RESELECT, 0, "primary_reselect", NULL, reselects, false},
	{IFLA_BOND_FAIL_OVER_MAC, 0, "fail_over_mac", NULL, over_macs, false},
	{IFLA_BOND_XMIT_HASH_POLICY, 0, "xmit_hash_policy", NULL, policies, false},
	{IFLA_BOND_RESEND_IGMP, 1, "resend_igmp", NULL, NULL, false},
	{IFLA_BOND_NUM_PEER_NOTIF, 1, "num_grat_arp", NULL, NULL, false},
	{IFLA_BOND_ALL_SLAVES_ACTIVE, 0, "all_slaves_active", NULL, NULL, false},
	{IFLA_BOND_MIN_LINKS, 0, "min_links", NULL, NULL, false},
	{IFLA_BOND_LP_INTERVAL, 1, "lp_interval", NULL, NULL, false},
	{IFLA_BOND_PACKETS_PER_SLAVE, 1, "packets_per_slave", NULL, NULL, false},
	{IFLA_BOND_AD_LACP_RATE, 0, "lacp_rate", NULL, rates, false},
	{IFLA_BOND_AD_SELECT, 0, "ad_select", NULL, selects, false},
	{IFLA_BOND_AD_ACTOR_SYS_PRIO, 65535, NULL, "ad_actor_sys_prio", NULL, false},
	{IFLA_BOND_AD_USER_PORT_KEY, 0, NULL, "ad_user_port_key", NULL, false},
	{IFLA_BOND_TLB_DYNAMIC_LB, 1, NULL, "tlb_dynamic_lb", NULL, false},
	{ATTR_BOND_PEER_NOTIF_DELAY, 0, NULL, "peer_notif_delay", NULL, false},
	{ATTR_BOND_AD_LACP_ACTIVE, 1, NULL, "lacp_active", NULL, false},
	{ATTR_BOND_MISSED_MAX, 2, NULL, "arp_missed_max", NULL, false},
	{ATTR_BOND_COUPLED_CONTROL, 1, NULL, "coupled_control", NULL, false},
};

static uint32_t number(struct nlattr *attr)
{
	switch (nla_len(attr)) {
	case 1:
		return nla_get_u8(attr);
	case 2:
		return nla_get_u16(attr);
	default:
		return nla_len(attr) >= 4 ? nla_get_u32(attr) : 0;
	}
}

static const char *name_of(const char *const *names, uint32_t value)
{
	for (uint32_t i = 0; names && names[i]; i++)
		if (i == value)
			return names[i];
	return NULL;
}

static int parse_bond(struct nlattr *data, struct qb_link *link)
{
	struct nlattr *tb[ATTR_BOND_MAX + 1];
	_cleanup_strs_ struct qb_strs extra = {0};
	char primary[IF_NAMESIZE];

	if (nla_parse_nested(tb, ATTR_BOND_MAX, data, NULL) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < QB_ARRAY_SIZE(bond_options); i++) {
		const struct bond_option *o = &bond_options[i];
		uint32_t value = tb[o->attr] ? number(tb[o->attr]) : o->normal;
		const char *name = name_of(o->names, value);

		if (value == o->normal && !o->always)
			continue;
		if (!o->key || (o->names && !name))
			qb_strs_addf(&extra, "%s %u", o->key ? o->key : o->words, value);
		else if (name)
			qb_strs_addf(&link->bond, "%s=%s", o->key, name);
		else
			qb_strs_addf(&link->bond, "%s=%u", o->key, value);
	}
	if (tb[IFLA_BOND_PRIMARY] && if_indextoname(number(tb[IFLA_BOND_PRIMARY]), primary))
		qb_strs_addf(&link->bond, "primary=%s", primary);
	if (extra.n)
		link->extra = qb_strs_sentence(&extra);
	return 0;
}

static int parse_vlan(struct nlattr *data, struct qb_link *link)
{
	static const struct nla_policy policy[IFLA_VLAN_MAX + 1] = {
		[IFLA_VLAN_ID] = {.type = NLA_U16},
		[IFLA_VLAN_PROTOCOL] = {.type = NLA_U16},
		[IFLA_VLAN_FLAGS] = {.minlen = sizeof(struct ifla_vlan_flags)},
	};
	struct nlattr *tb[IFLA_VLAN_MAX + 1];
	_cleanup_strs_ struct qb_strs extra = {0};

	if (nla_parse_nested(tb, IFLA_VLAN_MAX, data, policy) < 0)
		return -EBADMSG;
	if (tb[IFLA_VLAN_ID])
		link->vlan_id = nla_get_u16(tb[IFLA_VLAN_ID]);
	if (tb[IFLA_VLAN_PROTOCOL] && nla_get_u16(tb[IFLA_VLAN_PROTOCOL]) != htons(ETH_P_8021Q))
		qb_strs_add(&extra, "another protocol than 802.1Q");
	if (tb[IFLA_VLAN_FLAGS] && nla_get_u32(tb[IFLA_VLAN_FLAGS]) != VLAN_FLAG_REORDER_HDR)
		qb_strs_addf(&extra, "flags %u", nla_get_u32(tb[IFLA_VLAN_FLAGS]));
	if (tb[IFLA_VLAN_INGRESS_QOS] || tb[IFLA_VLAN_EGRESS_QOS])
		qb_strs_add(&extra, "a map of priorities");
	if (extra.n)
		link->extra = qb_strs_sentence(&extra);
	return 0;
}

static int parse_bridge(struct nlattr *data, struct qb_link *link)
{
	static const struct nla_policy policy[IFLA_BR_MAX + 1] = {
		[IFLA_BR_STP_STATE] = {.type = NLA_U32},
		[IFLA_BR_VLAN_FILTERING] = {.type = NLA_U8},
		[IFLA_BR_VLAN_DEFAULT_PVID] = {.type = NLA_U16},
	};
	struct nlattr *tb[IFLA_BR_MAX + 1];

	if (nla_parse_nested(tb, IFLA_BR_MAX, data, policy) < 0)
		return -EBADMSG;
	if (tb[IFLA_BR_STP_STATE])
		qb_tri_set(&link->stp, nla_get_u32(tb[IFLA_BR_STP_STATE]) != 0);
	/* A kernel without it does not tell. */
	qb_tri_set(&link->vlan_filtering,
		   tb[IFLA_BR_VLAN_FILTERING] && nla_get_u8(tb[IFLA_BR_VLAN_FILTERING]) != 0);
	if (qb_is(&link->vlan_filtering) && tb[IFLA_BR_VLAN_DEFAULT_PVID])
		link->default_pvid = nla_get_u16(tb[IFLA_BR_VLAN_DEFAULT_PVID]);
	return 0;
}

/* In a bond all have one MAC; it remembers what each had before. */
static int parse_slave(struct nlattr *data, struct qb_link *link)
{
	struct nlattr *tb[IFLA_BOND_SLAVE_MAX + 1];

	if (nla_parse_nested(tb, IFLA_BOND_SLAVE_MAX, data, NULL) < 0)
		return -EBADMSG;
	if (!link->permanent_mac)
		link->permanent_mac = qb_nl_mac(tb[IFLA_BOND_SLAVE_PERM_HWADDR]);
	return 0;
}

int qb_nl_link_kind(struct nlattr *linkinfo, struct qb_link *link)
{
	static const struct nla_policy policy[IFLA_INFO_MAX + 1] = {
		[IFLA_INFO_KIND] = {.type = NLA_STRING},
		[IFLA_INFO_SLAVE_KIND] = {.type = NLA_STRING},
	};
	struct nlattr *info[IFLA_INFO_MAX + 1], *data;

	if (!linkinfo)
		return 0;
	if (nla_parse_nested(info, IFLA_INFO_MAX, linkinfo, policy) < 0)
		return -EBADMSG;
	if (info[IFLA_INFO_SLAVE_KIND] && info[IFLA_INFO_SLAVE_DATA] &&
	    !strcmp(nla_get_string(info[IFLA_INFO_SLAVE_KIND]), "bond") &&
	    parse_slave(info[IFLA_INFO_SLAVE_DATA], link) < 0)
		return -EBADMSG;
	if (!info[IFLA_INFO_KIND])
		return 0;
	link->kind = qb_strdup(nla_get_string(info[IFLA_INFO_KIND]));
	data = info[IFLA_INFO_DATA];
	if (data && !strcmp(link->kind, "bridge"))
		return parse_bridge(data, link);
	if (data && !strcmp(link->kind, "vlan"))
		return parse_vlan(data, link);
	if (data && !strcmp(link->kind, "bond"))
		return parse_bond(data, link);
	return 0;
}
