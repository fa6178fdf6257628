/* SPDX-License-Identifier: Apache-2.0 */
#include "net/names.h"

#include <errno.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "net/bridge.h"

struct name {
	unsigned number;
	const char *word;
};

static const struct name scopes[] = {
	{RT_SCOPE_UNIVERSE, "global"}, {RT_SCOPE_SITE, "site"},       {RT_SCOPE_LINK, "link"},
	{RT_SCOPE_HOST, "host"},       {RT_SCOPE_NOWHERE, "nowhere"},
};

static const struct name types[] = {
	{RTN_UNICAST, "unicast"},
	{RTN_LOCAL, "local"},
	{RTN_BROADCAST, "broadcast"},
	{RTN_ANYCAST, "anycast"},
	{RTN_MULTICAST, "multicast"},
	{RTN_BLACKHOLE, "blackhole"},
	{RTN_UNREACHABLE, "unreachable"},
	{RTN_PROHIBIT, "prohibit"},
	{RTN_THROW, "throw"},
	{RTN_NAT, "nat"},
};

static const struct name protos[] = {
	{RTPROT_UNSPEC, "unspec"}, {RTPROT_REDIRECT, "redirect"}, {RTPROT_KERNEL, "kernel"},
	{RTPROT_BOOT, "boot"},     {RTPROT_STATIC, "static"},     {RTPROT_RA, "ra"},
	{RTPROT_DHCP, "dhcp"},
};

/* RTAX_*, as ip-route(8) names them. */
static const struct name metrics[] = {
	{RTAX_LOCK, "lock"},
	{RTAX_MTU, "mtu"},
	{RTAX_WINDOW, "window"},
	{RTAX_RTT, "rtt"},
	{RTAX_RTTVAR, "rttvar"},
	{RTAX_SSTHRESH, "ssthresh"},
	{RTAX_CWND, "cwnd"},
	{RTAX_ADVMSS, "advmss"},
	{RTAX_REORDERING, "reordering"},
	{RTAX_HOPLIMIT, "hoplimit"},
	{RTAX_INITCWND, "initcwnd"},
	{RTAX_FEATURES, "features"},
	{RTAX_RTO_MIN, "rto_min"},
	{RTAX_INITRWND, "initrwnd"},
	{RTAX_QUICKACK, "quickack"},
	{RTAX_CC_ALGO, "congctl"},
	{RTAX_FASTOPEN_NO_COOKIE, "fastopen_no_cookie"},
};

static const struct name actions[] = {
	{FR_ACT_TO_TBL, "lookup"},
	{FR_ACT_GOTO, "goto"},
	{FR_ACT_NOP, "nop"},
	{FR_ACT_BLACKHOLE, "blackhole"},
	{FR_ACT_UNREACHABLE, "unreachable"},
	{FR_ACT_PROHIBIT, "prohibit"},
};

static char *name_of(const struct name *names, size_t n, unsigned number)
{
	for (size_t i = 0; i < n; i++) {
		if (names[i].number == number)
			return qb_strdup(names[i].word);
	}
	return qb_asprintf("%u", number);
}

static int number_of(const struct name *names, size_t n, const char *s, unsigned char *ret)
{
	uint64_t number;

	for (size_t i = 0; s && i < n; i++) {
		if (!strcmp(names[i].word, s)) {
			*ret = (unsigned char)names[i].number;
			return 0;
		}
	}
	if (!s || qb_parse_u64(s, &number) < 0 || number > UINT8_MAX)
		return -EINVAL;
	*ret = (unsigned char)number;
	return 0;
}

char *qb_scope_name(unsigned scope)
{
	return name_of(scopes, QB_ARRAY_SIZE(scopes), scope);
}

char *qb_route_type_name(unsigned type)
{
	return name_of(types, QB_ARRAY_SIZE(types), type);
}

char *qb_route_proto_name(unsigned proto)
{
	return name_of(protos, QB_ARRAY_SIZE(protos), proto);
}

int qb_scope_parse(const char *s, unsigned char *ret)
{
	return number_of(scopes, QB_ARRAY_SIZE(scopes), s, ret);
}

int qb_route_type_parse(const char *s, unsigned char *ret)
{
	return number_of(types, QB_ARRAY_SIZE(types), s, ret);
}

int qb_route_proto_parse(const char *s, unsigned char *ret)
{
	return number_of(protos, QB_ARRAY_SIZE(protos), s, ret);
}

char *qb_metric_name(unsigned metric)
{
	return name_of(metrics, QB_ARRAY_SIZE(metrics), metric);
}

int qb_metric_parse(const char *s, unsigned char *ret)
{
	return number_of(metrics, QB_ARRAY_SIZE(metrics), s, ret);
}

char *qb_rule_action_name(unsigned action)
{
	return name_of(actions, QB_ARRAY_SIZE(actions), action);
}

int qb_rule_action_parse(const char *s, unsigned char *ret)
{
	return number_of(actions, QB_ARRAY_SIZE(actions), s, ret);
}

int qb_ip_parse(const char *s, struct qb_ip *ret)
{
	char text[INET6_ADDRSTRLEN];
	const char *slash = s ? strchr(s, '/') : NULL;
	size_t len = slash ? (size_t)(slash - s) : s ? strlen(s) : 0;
	struct qb_ip ip = {0};
	uint64_t prefix;

	if (!len || len >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	ip.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	ip.len = ip.family == AF_INET6 ? 16 : 4;
	if (inet_pton(ip.family, text, ip.bytes) != 1)
		return -EINVAL;
	ip.prefix = ip.len * 8;
	if (slash) {
		if (qb_parse_u64(slash + 1, &prefix) < 0 || prefix > ip.prefix)
			return -EINVAL;
		ip.prefix = (unsigned)prefix;
	}
	*ret = ip;
	return 0;
}

char *qb_ip_format(int family, const void *bytes)
{
	char text[INET6_ADDRSTRLEN];

	return inet_ntop(family, bytes, text, sizeof(text)) ? qb_strdup(text) : NULL;
}

char *qb_ip_format_prefix(int family, const void *bytes, unsigned prefix)
{
	_cleanup_free_ char *text = qb_ip_format(family, bytes);

	return text ? qb_asprintf("%s/%u", text, prefix) : NULL;
}

int64_t qb_speed_parse(const char *s)
{
	int64_t whole = 0;
	size_t n = 0;
	bool half;

	for (; s[n] >= '0' && s[n] <= '9' && n < 6; n++)
		whole = whole * 10 + (s[n] - '0');
	half = n && !strncmp(s + n, ".5", 2);
	if (half)
		n += 2;
	if (!n || *s == '0' || s[n + (s[n] != '\0')] || (s[n] != 'G' && (s[n] != 'M' || half)))
		return 0;
	return s[n] == 'G' ? whole * 1000 + (half ? 500 : 0) : whole;
}

const char *qb_ip_family(const char *s)
{
	return s && strchr(s, ':') ? "inet6" : "inet";
}

bool qb_ip_is_link_local(const char *s)
{
	struct qb_ip ip;

	return qb_ip_parse(s, &ip) == 0 && ip.family == AF_INET6 && ip.bytes[0] == 0xfe &&
	       (ip.bytes[1] & 0xc0) == 0x80;
}

char *qb_ip_network(const char *address)
{
	struct qb_ip ip;

	if (qb_ip_parse(address, &ip) < 0)
		return NULL;
	for (unsigned i = 0; i < ip.len; i++) {
		unsigned keep = ip.prefix > i * 8 ? ip.prefix - i * 8 : 0;

		if (keep < 8)
			ip.bytes[i] &= (unsigned char)(0xff00 >> keep);
	}
	return qb_ip_format_prefix(ip.family, ip.bytes, ip.prefix);
}

char *qb_ip_last(const char *address)
{
	struct qb_ip ip;

	if (qb_ip_parse(address, &ip) < 0 || ip.family != AF_INET)
		return NULL;
	for (unsigned bit = ip.prefix; bit < 32; bit++)
		ip.bytes[bit / 8] |= (unsigned char)(0x80 >> bit % 8);
	return qb_ip_format(AF_INET, ip.bytes);
}

char *qb_ip_broadcast(const char *address)
{
	struct qb_ip ip;

	return qb_ip_parse(address, &ip) == 0 && ip.prefix < 31 ? qb_ip_last(address) : NULL;
}

char *qb_ip_link_local(const char *mac)
{
	unsigned char m[6];

	if (!mac || sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &m[0], &m[1], &m[2], &m[3],
			   &m[4], &m[5]) != 6)
		return NULL;
	const unsigned char bytes[16] = {0xfe,     0x80, 0,    0,    0,    0,    0,    0,
					 m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};

	return qb_ip_format_prefix(AF_INET6, bytes, 64);
}
