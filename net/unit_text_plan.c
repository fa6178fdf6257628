/* SPDX-License-Identifier: Apache-2.0 */
/* What of a NIC's own unit goes with the host's addresses to the bridge, and what stays. */
#include "net/names.h"
#include "net/unit.h"

enum heir {
	NOBODY, /* it is made of what the kernel has, or is not said of a port */
	BRIDGE,
	PORT,
};

struct word {
	const char *name;
	enum heir heir;
};

static enum heir find(const struct word *words, size_t n, const char *name, size_t len,
		      enum heir otherwise)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(words[i].name) == len && !strncmp(words[i].name, name, len))
			return words[i].heir;
	return otherwise;
}

/* Those that are not here are about the hardware and its queues. */
static enum heir heir_of_section(const char *line)
{
	static const struct word sections[] = {
		{"Match", NOBODY},
		{"Address", NOBODY},
		{"Route", NOBODY},
		{"NextHop", NOBODY},
		{"Bridge", NOBODY},
		{"BridgeVLAN", NOBODY},
		{"DHCP", BRIDGE},
		{"DHCPv4", BRIDGE},
		{"DHCPv6", BRIDGE},
		{"DHCPPrefixDelegation", BRIDGE},
		{"DHCPv6PrefixDelegation", BRIDGE},
		{"DHCPServer", BRIDGE},
		{"DHCPServerStaticLease", BRIDGE},
		{"IPv6AcceptRA", BRIDGE},
		{"IPv6SendRA", BRIDGE},
		{"IPv6PREF64Prefix", BRIDGE},
		{"IPv6Prefix", BRIDGE},
		{"IPv6RoutePrefix", BRIDGE},
		{"IPv6AddressLabel", BRIDGE},
		{"Neighbor", BRIDGE},
		{"RoutingPolicyRule", BRIDGE},
	};

	return find(sections, QB_ARRAY_SIZE(sections), line + 1, strcspn(line + 1, "]"), PORT);
}

/* It is the bridge that the host is online by from now on. */
static enum heir heir_of_link_key(const char *line)
{
	static const struct word keys[] = {
		{"ARP", BRIDGE},
		{"MTUBytes", NOBODY},
		{"RequiredFamilyForOnline", BRIDGE},
		{"RequiredForOnline", BRIDGE},
		{"Unmanaged", NOBODY},
	};

	return find(keys, QB_ARRAY_SIZE(keys), line, strcspn(line, "= \t"), PORT);
}

static enum heir heir_of_network_key(const char *line)
{
	static const struct word keys[] = {
		{"ActiveSlave", NOBODY},
		{"Address", NOBODY},
		{"BatmanAdvanced", NOBODY},
		{"Bond", NOBODY},
		{"Bridge", NOBODY},
		{"ConfigureWithoutCarrier", NOBODY},
		{"DHCP", NOBODY},
		{"Description", NOBODY},
		{"Gateway", NOBODY},
		{"IPv6AcceptRA", NOBODY},
		{"IPv6AcceptRouterAdvertisements", NOBODY},
		{"KeepMaster", NOBODY},
		{"LinkLocalAddressing", NOBODY},
		{"PrimarySlave", NOBODY},
		{"VRF", NOBODY},
		{"BindCarrier", PORT},
		{"EmitLLDP", PORT},
		{"IPVLAN", PORT},
		{"IPVTAP", PORT},
		{"IPoIB", PORT},
		{"L2TP", PORT},
		{"LLDP", PORT},
		{"MACVLAN", PORT},
		{"MACVTAP", PORT},
		{"MACsec", PORT},
		{"Tunnel", PORT},
		{"VLAN", PORT},
		{"VXLAN", PORT},
		{"Xfrm", PORT},
	};

	return find(keys, QB_ARRAY_SIZE(keys), line, strcspn(line, "= \t"), BRIDGE);
}

void qb_unit_parts_done(struct qb_unit_parts *parts)
{
	qb_buf_done(&parts->link);
	qb_buf_done(&parts->network);
	qb_buf_done(&parts->sections);
}

/* Where the lines of a section go; link and network without the head, which is not theirs. */
struct place {
	struct qb_buf *to;
	enum heir (*heir_of_key)(const char *line); /* NULL: all go where the section does */
	enum heir heir;
};

static struct place place_of(const char *head, struct qb_unit_parts *ret)
{
	if (qb_startswith(head, "[Link]"))
		return (struct place){&ret->link, heir_of_link_key, NOBODY};
	if (qb_startswith(head, "[Network]"))
		return (struct place){&ret->network, heir_of_network_key, NOBODY};
	return (struct place){&ret->sections, NULL, heir_of_section(head)};
}

static bool is_for(const struct place *place, const char *line, enum heir heir)
{
	if (*line == '[' || !place->heir_of_key)
		return place->heir == heir;
	return place->heir_of_key(line) == heir;
}

/* Without blanks around the sign. What is not a rule has no key by which it names source. */
static void put_line(struct qb_buf *b, const char *line, size_t len, const char *source,
		     const char *bridge)
{
	_cleanup_free_ char *copy = qb_strndup(line, len);
	char *value = *copy == '[' ? NULL : strchr(copy, '=');
	const char *key;

	if (!value) {
		qb_buf_printf(b, "%s\n", copy);
		return;
	}
	*value = '\0';
	key = qb_strip(copy);
	value = qb_strip(value + 1);
	if ((!strcmp(key, "IncomingInterface") || !strcmp(key, "OutgoingInterface")) &&
	    qb_streq(value, source))
		qb_buf_printf(b, "%s=%s\n", key, bridge);
	else
		qb_buf_printf(b, "%s=%s\n", key, value);
}

/* A line that ends with a backslash goes on in the next. */
static void take(const char *text, enum heir heir, const char *source, const char *bridge,
		 struct qb_unit_parts *ret)
{
	struct place place = {&ret->sections, NULL, NOBODY};
	bool goes_on = false, wanted = false;

	for (const char *line = text, *end; *line; line = end) {
		size_t len = strcspn(line, "\n"), blanks = strspn(line, " \t");

		end = line + len + (line[len] == '\n');
		if (!goes_on && (blanks >= len || strchr("#;", line[blanks])))
			continue;
		if (!goes_on) {
			line += blanks;
			len -= blanks;
			if (*line == '[')
				place = place_of(line, ret);
			wanted = is_for(&place, line, heir);
		}
		goes_on = line[len - 1] == '\\';
		if (!wanted)
			continue;
		if (*line == '[')
			qb_buf_puts(place.to, "\n");
		put_line(place.to, line, len, source, bridge);
	}
}

void qb_unit_of_bridge(const char *text, const char *source, const char *bridge,
		       struct qb_unit_parts *ret)
{
	*ret = (struct qb_unit_parts){0};
	take(text, BRIDGE, source, bridge, ret);
}

void qb_unit_of_port(const char *text, struct qb_unit_parts *ret)
{
	*ret = (struct qb_unit_parts){0};
	take(text, PORT, NULL, NULL, ret);
}

char *qb_unit_network_value(const char *text, const char *key)
{
	_cleanup_free_ char *copy = qb_strdup(text ? text : "");
	const char *value = NULL;
	bool network = false;
	char *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *end;

		line = qb_strip(line);
		end = strchr(line, '=');
		if (*line == '[')
			network = !strcmp(line, "[Network]");
		if (!network || !end)
			continue;
		*end = '\0';
		if (!strcmp(qb_strip(line), key))
			value = qb_strip(end + 1);
	}
	return qb_strdup(value);
}

bool qb_unit_has_address(const char *text, const char *address)
{
	_cleanup_free_ char *copy = qb_strdup(text ? text : "");
	struct qb_ip wanted, is;
	char *save = NULL;

	if (qb_ip_parse(address, &wanted) < 0)
		return false;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (!strcmp(qb_strip(line), "Address") && qb_ip_parse(qb_strip(value), &is) == 0 &&
		    is.family == wanted.family && is.prefix == wanted.prefix &&
		    !memcmp(is.bytes, wanted.bytes, is.len))
			return true;
	}
	return false;
}
