/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nl_rule.h"

#include <errno.h>
#include <endian.h>
#include <linux/fib_rules.h>

#include "net/names.h"
#include "net/nl_msg.h"

/* Newer than the headers of EL9. */
enum {
	ATTR_FRA_DSCP = 25,
	ATTR_FRA_SPORT_MASK = 28,
	ATTR_FRA_DPORT_MASK = 29,
	ATTR_FRA_DSCP_MASK = 30,
};

enum form {
	U8,
	U16,
	U32,
	BE64,
	PORTS, /* struct fib_rule_port_range */
	UIDS,  /* struct fib_rule_uid_range */
};

/* Attributes that are a term of their own, as ip-rule(8) names them. */
static const struct term {
	const char *word;
	int attr;
	enum form form;
} terms[] = {
	{"goto", FRA_GOTO, U32},
	{"fwmark", FRA_FWMARK, U32},
	{"fwmask", FRA_FWMASK, U32},
	{"realms", FRA_FLOW, U32},
	{"tun_id", FRA_TUN_ID, BE64},
	{"suppress_ifgroup", FRA_SUPPRESS_IFGROUP, U32},
	{"suppress_prefixlength", FRA_SUPPRESS_PREFIXLEN, U32},
	{"l3mdev", FRA_L3MDEV, U8},
	{"uidrange", FRA_UID_RANGE, UIDS},
	{"ipproto", FRA_IP_PROTO, U8},
	{"sport", FRA_SPORT_RANGE, PORTS},
	{"dport", FRA_DPORT_RANGE, PORTS},
	{"sport_mask", ATTR_FRA_SPORT_MASK, U16},
	{"dport_mask", ATTR_FRA_DPORT_MASK, U16},
	{"dscp", ATTR_FRA_DSCP, U8},
	{"dscp_mask", ATTR_FRA_DSCP_MASK, U8},
};

/* These are members of struct qb_rule. */
static bool is_member(int attr)
{
	return attr == FRA_DST || attr == FRA_SRC || attr == FRA_IIFNAME || attr == FRA_OIFNAME ||
	       attr == FRA_PRIORITY || attr == FRA_TABLE || attr == FRA_PROTOCOL || attr == FRA_PAD;
}

/* false: it is not as long as it has to be */
static bool add_term(struct qb_rule *rule, const struct term *t, struct nlattr *a)
{
	static const size_t lengths[] = {[U8] = 1,
					 [U16] = 2,
					 [U32] = 4,
					 [BE64] = 8,
					 [PORTS] = sizeof(struct fib_rule_port_range),
					 [UIDS] = sizeof(struct fib_rule_uid_range)};
	const struct fib_rule_port_range *ports = nla_data(a);
	const struct fib_rule_uid_range *uids = nla_data(a);

	if ((size_t)nla_len(a) != lengths[t->form])
		return false;
	switch (t->form) {
	case U8:
		qb_strs_addf(&rule->terms, "%s %u", t->word, nla_get_u8(a));
		break;
	case U16:
		qb_strs_addf(&rule->terms, "%s %u", t->word, nla_get_u16(a));
		break;
	case U32:
		/* The kernel says that nothing is suppressed, too. */
		if (t->attr != FRA_SUPPRESS_PREFIXLEN || nla_get_u32(a) != UINT32_MAX)
			qb_strs_addf(&rule->terms, "%s %u", t->word, nla_get_u32(a));
		break;
	case BE64:
		qb_strs_addf(&rule->terms, "%s %llu", t->word,
			     (unsigned long long)be64toh(nla_get_u64(a)));
		break;
	case PORTS:
		qb_strs_addf(&rule->terms, "%s %u-%u", t->word, ports->start, ports->end);
		break;
	case UIDS:
		qb_strs_addf(&rule->terms, "%s %u-%u", t->word, uids->start, uids->end);
		break;
	}
	return true;
}

static void parse_terms(struct nlmsghdr *hdr, struct qb_rule *rule)
{
	struct nlattr *a = nlmsg_attrdata(hdr, sizeof(struct fib_rule_hdr));
	int left = nlmsg_attrlen(hdr, sizeof(struct fib_rule_hdr));

	for (; nla_ok(a, left); a = nla_next(a, &left)) {
		bool said = is_member(nla_type(a));

		for (size_t i = 0; !said && i < QB_ARRAY_SIZE(terms); i++)
			said = terms[i].attr == nla_type(a) && add_term(rule, &terms[i], a);
		if (!said && !rule->extra)
			rule->extra = qb_asprintf("attribute %d", nla_type(a));
	}
}

/* One shorter than an address, or with a longer prefix, is none. */
static int parse_prefix(struct nlattr *attr, int family, unsigned len, char **ret)
{
	int bytes = family == AF_INET6 ? 16 : 4;

	if (!attr)
		return 0;
	if (nla_len(attr) != bytes || len > (unsigned)bytes * 8)
		return -EBADMSG;
	*ret = qb_ip_format_prefix(family, nla_data(attr), len);
	return 0;
}

int qb_nl_parse_rule(struct nlmsghdr *hdr, int family, struct qb_net *net)
{
	static const struct nla_policy policy[FRA_MAX + 1] = {
		[FRA_PRIORITY] = {.type = NLA_U32},   [FRA_TABLE] = {.type = NLA_U32},
		[FRA_IIFNAME] = {.type = NLA_STRING}, [FRA_OIFNAME] = {.type = NLA_STRING},
		[FRA_PROTOCOL] = {.type = NLA_U8},
	};
	const struct fib_rule_hdr *frh = nlmsg_data(hdr);
	struct nlattr *tb[FRA_MAX + 1];
	struct qb_rule *rule;
	uint32_t priority;

	if (nlmsg_parse(hdr, sizeof(*frh), tb, FRA_MAX, policy) < 0 || frh->family != family)
		return -EBADMSG;
	priority = tb[FRA_PRIORITY] ? nla_get_u32(tb[FRA_PRIORITY]) : 0;
	if ((priority == 0 || priority == 32766 || priority == 32767) && !tb[FRA_IIFNAME] &&
	    !tb[FRA_OIFNAME])
		return 0;
	rule = QB_APPEND(net->rules, net->n_rules);
	rule->family = qb_strdup(family == AF_INET6 ? "inet6" : "inet");
	rule->priority = priority;
	rule->table = tb[FRA_TABLE] ? nla_get_u32(tb[FRA_TABLE]) : frh->table;
	if (tb[FRA_IIFNAME])
		rule->iif = qb_strdup(nla_get_string(tb[FRA_IIFNAME]));
	if (tb[FRA_OIFNAME])
		rule->oif = qb_strdup(nla_get_string(tb[FRA_OIFNAME]));
	rule->tos = frh->tos;
	rule->action = qb_rule_action_name(frh->action);
	rule->invert = frh->flags & FIB_RULE_INVERT;
	rule->proto = qb_route_proto_name(tb[FRA_PROTOCOL] ? nla_get_u8(tb[FRA_PROTOCOL]) : 0);
	parse_terms(hdr, rule);
	if (parse_prefix(tb[FRA_SRC], family, frh->src_len, &rule->src) < 0)
		return -EBADMSG;
	return parse_prefix(tb[FRA_DST], family, frh->dst_len, &rule->dst);
}

static const struct term *find_term(const char *text, const char **ret_value)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(terms); i++) {
		size_t len = strlen(terms[i].word);

		if (!strncmp(text, terms[i].word, len) && text[len] == ' ') {
			*ret_value = text + len + 1;
			return &terms[i];
		}
	}
	return NULL;
}

/* "fwmark 16", "sport 80-90" */
static int put_term(struct nl_msg *msg, const char *text)
{
	const char *value, *dash;
	const struct term *t = find_term(text, &value);
	_cleanup_free_ char *first = NULL;
	struct fib_rule_port_range ports;
	struct fib_rule_uid_range uids;
	uint64_t a, b = 0;

	if (!t)
		return -EINVAL;
	dash = strchr(value, '-');
	first = dash ? qb_strndup(value, (size_t)(dash - value)) : qb_strdup(value);
	if (qb_parse_u64(first, &a) < 0 || (dash && qb_parse_u64(dash + 1, &b) < 0))
		return -EINVAL;
	switch (t->form) {
	case U8:
		qb_nl_put(msg, t->attr, &(uint8_t){(uint8_t)a}, 1);
		break;
	case U16:
		qb_nl_put(msg, t->attr, &(uint16_t){(uint16_t)a}, sizeof(uint16_t));
		break;
	case U32:
		qb_nl_put_u32(msg, t->attr, (uint32_t)a);
		break;
	case BE64:
		a = htobe64(a);
		qb_nl_put(msg, t->attr, &a, sizeof(a));
		break;
	case PORTS:
		ports = (struct fib_rule_port_range){(uint16_t)a, (uint16_t)b};
		qb_nl_put(msg, t->attr, &ports, sizeof(ports));
		break;
	case UIDS:
		uids = (struct fib_rule_uid_range){(uint32_t)a, (uint32_t)b};
		qb_nl_put(msg, t->attr, &uids, sizeof(uids));
		break;
	}
	return 0;
}

static void put_prefix(struct nl_msg *msg, int attr, const char *prefix, unsigned char *ret_len)
{
	struct qb_ip ip;

	if (!prefix || qb_ip_parse(prefix, &ip) < 0)
		return;
	qb_nl_put(msg, attr, ip.bytes, ip.len);
	*ret_len = (unsigned char)ip.prefix;
}

static void put_name(struct nl_msg *msg, int attr, const char *name, const struct qb_op *op)
{
	if (name && !strcmp(name, op->from))
		name = op->dev;
	if (name)
		qb_nl_put(msg, attr, name, strlen(name) + 1);
}

int qb_nl_write_rule(const struct qb_op *op, struct qb_nl_batch *batch, struct qb_error *err)
{
	bool delete = op->kind == QB_OP_RULE_DELETE;
	_cleanup_nl_msg_ struct nl_msg *msg = NULL;
	const struct qb_rule *rule = op->rule;
	struct fib_rule_hdr frh =
				    {
					    .family = !strcmp(rule->family, "inet6") ? AF_INET6
										     : AF_INET,
					    .tos = (unsigned char)rule->tos,
					    .table = rule->table < 256 ? (unsigned char)rule->table
								       : RT_TABLE_UNSPEC,
					    .flags = rule->invert ? FIB_RULE_INVERT : 0,
				    },
			    *head;
	unsigned char proto;
	int r = 0;

	if (qb_rule_action_parse(rule->action, &frh.action) < 0 ||
	    qb_route_proto_parse(rule->proto, &proto) < 0)
		return qb_error_set(err, EINVAL, "rule %lld: cannot be read",
				    (long long)rule->priority);
	msg = qb_nl_message(delete ? RTM_DELRULE : RTM_NEWRULE,
			    delete ? 0 : NLM_F_CREATE | NLM_F_EXCL, &frh, sizeof(frh));
	head = nlmsg_data(nlmsg_hdr(msg));
	put_prefix(msg, FRA_SRC, rule->src, &head->src_len);
	put_prefix(msg, FRA_DST, rule->dst, &head->dst_len);
	put_name(msg, FRA_IIFNAME, rule->iif, op);
	put_name(msg, FRA_OIFNAME, rule->oif, op);
	qb_nl_put_u32(msg, FRA_PRIORITY, (uint32_t)rule->priority);
	if (rule->table)
		qb_nl_put_u32(msg, FRA_TABLE, (uint32_t)rule->table);
	qb_nl_put(msg, FRA_PROTOCOL, &proto, sizeof(proto));
	for (size_t i = 0; r == 0 && i < rule->terms.n; i++)
		r = put_term(msg, rule->terms.v[i]);
	if (r < 0)
		return qb_error_set(err, EINVAL, "rule %lld: a term cannot be read",
				    (long long)rule->priority);
	qb_nl_batch_add(batch, QB_TAKE_PTR(msg),
			qb_asprintf("rule %lld of %s", (long long)rule->priority, op->dev))
		->tolerate[0] = delete ? ENOENT : EEXIST;
	return 0;
}
