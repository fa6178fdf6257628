/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/config_valid.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/stat.h>

#include "agent/base/str.h"
#include "agent/host/config_keys.h"
#include "net/bridge.h"
#include "net/vlans.h"
#include "storage/volume.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum {
	INTERFACE_MAX = 15, /* IFNAMSIZ with its zero */
	MODULE_MAX = 55,    /* MODULE_NAME_LEN of 64-bit kernels with its zero */
	NAME_MAX_LIBVIRT = 200,
	SUBNET_SHORTEST = 8,
	SUBNET_LONGEST = 30,
	DNS_LABEL_MAX = 63, /* RFC 1035 */
	DNS_NAME_MAX = 253,
};

static bool only(const char *value, const char *accepted)
{
	return *value && strspn(value, accepted) == strlen(value);
}

/* Nothing but printable characters: what qb_str_printable() leaves as it is. */
static bool printable(const char *value)
{
	_cleanup_free_ char *safe = qb_str_printable(value);

	return *value && qb_streq(safe, value);
}

const char *qb_valid_interface(const char *value)
{
	bool good = strlen(value) <= INTERFACE_MAX && *value && strcmp(value, ".") != 0 &&
		    strcmp(value, "..") != 0;

	for (const char *p = value; *p; p++)
		good = good && isgraph((unsigned char)*p) && !strchr("/:%", *p);
	/* Directories of /proc/sys/net/ipv4/conf that are no interfaces. */
	if (!good || !strcmp(value, "all") || !strcmp(value, "default"))
		return "an interface name (at most 15 characters, none of them / : % or a space)";
	return NULL;
}

const char *qb_valid_mac(const char *value)
{
	static const char expected[] = "the MAC address of a NIC, like 00:00:5e:00:53:01";
	unsigned octet, all = 0;

	if (strlen(value) != 17)
		return expected;
	for (size_t i = 0; i < 17; i++)
		if (i % 3 == 2 ? value[i] != ':' : !isxdigit((unsigned char)value[i]))
			return expected;
	for (size_t i = 0; i < 17; i += 3) {
		octet = (unsigned)strtoul(value + i, NULL, 16);
		all |= octet;
		if (i == 0 && octet & 1)
			return "the MAC address of one NIC; it is a group address";
	}
	return all ? NULL : expected;
}

const char *qb_valid_speed(const char *value)
{
	return qb_speed_parse(value) ? NULL : "the speed of a link, like 1G, 2.5G or 10G";
}

const char *qb_valid_vlans(const char *value)
{
	struct qb_vlan_range r;

	return only(value, DIGITS "-") && qb_vlan_range_parse(value, &r)
		       ? NULL
		       : "a VLAN from 1 to 4094 or a range of them, like 10 or 20-30";
}

const char *qb_valid_word(const char *value)
{
	return printable(value) && !strchr(value, ' ') ? NULL : "one word";
}

const char *qb_valid_count(const char *value)
{
	uint64_t n;

	if (!strcmp(value, "all") || (qb_parse_u64(value, &n) == 0 && n >= 1 && n <= QB_ITEMS_MAX))
		return NULL;
	return "a number from 1 to 1000, or all";
}

const char *qb_valid_line(const char *value)
{
	if (printable(value) && *value != ' ' && !qb_endswith(value, " "))
		return NULL;
	return "one line of text without spaces around it";
}

const char *qb_valid_path(const char *value)
{
	static const char expected[] = "an absolute path without \"//\", \".\" and \"..\"";

	if (!printable(value) || *value != '/')
		return expected;
	if (!strcmp(value, "/"))
		return NULL;
	for (const char *p = value; p; p = strchr(p + 1, '/')) {
		size_t n = strcspn(p + 1, "/");

		if (n == 0 || (n == 1 && p[1] == '.') || (n == 2 && p[1] == '.' && p[2] == '.'))
			return expected;
	}
	return NULL;
}

const char *qb_valid_mode(const char *value)
{
	/* What libvirt takes; without the bits above, which stay as they are. */
	return only(value, "01234567") && strtoul(value, NULL, 8) <= ACCESSPERMS
		       ? NULL
		       : "an octal mode up to 0777, like 0711";
}

const char *qb_valid_id(const char *value)
{
	uint64_t id;

	/* The highest says "nobody's" to chown(2). */
	return qb_parse_u64(value, &id) == 0 && id < UINT32_MAX
		       ? NULL
		       : "the number of a user or group, like 107";
}

const char *qb_valid_device(const char *value)
{
	return !qb_valid_path(value) && qb_startswith(value, "/dev/")
		       ? NULL
		       : "the path of a device, like /dev/disk/by-id/...";
}

const char *qb_valid_volume_size(const char *value)
{
	struct qb_volume_size size;

	return qb_volume_size_parse(value, &size) == 0
		       ? NULL
		       : "a size: 100GiB, 50%VG of the group, or 100%FREE of what is free in it";
}

const char *qb_valid_name(const char *value)
{
	if (!qb_valid_line(value) && !strchr(value, '/') && strlen(value) <= NAME_MAX_LIBVIRT &&
	    strcmp(value, ".") != 0 && strcmp(value, "..") != 0)
		return NULL;
	return "a name that libvirt takes (one line, without /)";
}

const char *qb_valid_module(const char *value)
{
	return only(value, LETTERS CAPITALS DIGITS "_-") && strlen(value) <= MODULE_MAX
		       ? NULL
		       : "the name of a kernel module, like vhost_net";
}

const char *qb_valid_sysctl(const char *value)
{
	return only(value, LETTERS CAPITALS DIGITS "_-./:") && isalnum((unsigned char)*value) &&
			       !strstr(value, "..") && !strstr(value, "//") &&
			       isalnum((unsigned char)value[strlen(value) - 1])
		       ? NULL
		       : "the name of a sysctl, like vm.swappiness";
}

const char *qb_valid_uri(const char *value)
{
	return only(value, LETTERS CAPITALS DIGITS "_-./:+?=&@%[]~,") && strstr(value, ":/")
		       ? NULL
		       : "the URI of a libvirt, like qemu:///system";
}

const char *qb_valid_user(const char *value)
{
	return only(value, LETTERS CAPITALS DIGITS "_-.") && *value != '-' && *value != '.'
		       ? NULL
		       : "the name of a user";
}

const char *qb_valid_check(const char *value)
{
	const char *dot = strchr(value, '.');

	if (dot && islower((unsigned char)*value) && dot[1] && dot[1] != '-' &&
	    strspn(value, LETTERS DIGITS) == (size_t)(dot - value) &&
	    only(dot + 1, LETTERS DIGITS "-") && !qb_endswith(value, "-") && !strstr(value, "--"))
		return NULL;
	return "the id of a check, like iommu.enabled; check --list prints them";
}

bool qb_prefix_parse(const char *text, bool with_length, struct qb_prefix *ret)
{
	size_t n = strcspn(text, "/");
	_cleanup_free_ char *address = qb_strndup(text, n);
	struct qb_prefix p = {.family = strchr(address, ':') ? AF_INET6 : AF_INET};
	uint64_t length;

	p.bits = p.family == AF_INET ? 32 : 128;
	if (inet_pton(p.family, address, p.address) != 1 || (text[n] == '/') != with_length)
		return false;
	length = p.bits;
	if (with_length && (!only(text + n + 1, DIGITS) || (text[n + 1] == '0' && text[n + 2]) ||
			    qb_parse_u64(text + n + 1, &length) < 0 || length > p.bits))
		return false;
	p.length = (unsigned)length;
	*ret = p;
	return true;
}

static bool bit(const struct qb_prefix *p, unsigned i)
{
	return p->address[i / 8] >> (7 - i % 8) & 1;
}

bool qb_prefix_contains(const struct qb_prefix *a, const struct qb_prefix *b)
{
	if (a->family != b->family)
		return false;
	for (unsigned i = 0; i < a->length; i++)
		if (bit(a, i) != bit(b, i))
			return false;
	return true;
}

bool qb_prefix_overlaps(const struct qb_prefix *a, const struct qb_prefix *b)
{
	return a->length < b->length ? qb_prefix_contains(a, b) : qb_prefix_contains(b, a);
}

bool qb_prefix_host_bits(const struct qb_prefix *p, bool value)
{
	for (unsigned i = p->length; i < p->bits; i++)
		if (bit(p, i) != value)
			return false;
	return true;
}

/* Neither unspecified, nor loopback, nor multicast or beyond. */
static bool is_unicast(const struct qb_prefix *p)
{
	static const unsigned char loopback[16] = {[15] = 1}, any[16];

	if (p->family == AF_INET)
		return p->address[0] && p->address[0] != 127 && p->address[0] < 224;
	return p->address[0] != 0xff && memcmp(p->address, loopback, 16) != 0 &&
	       memcmp(p->address, any, 16) != 0;
}

const char *qb_valid_address(const char *value)
{
	static const char expected[] =
		"an address of a host with its prefix length, like 192.0.2.10/24";
	struct qb_prefix p;

	if (!qb_prefix_parse(value, true, &p) || !is_unicast(&p) || p.length == 0)
		return expected;
	/* RFC 3021: with 31 bits both addresses are hosts. */
	if (p.family == AF_INET && p.length < 31 &&
	    (qb_prefix_host_bits(&p, false) || qb_prefix_host_bits(&p, true)))
		return "an address of a host; it is the network's own or its broadcast address";
	return NULL;
}

const char *qb_valid_gateway(const char *value)
{
	struct qb_prefix p;

	return qb_prefix_parse(value, false, &p) && is_unicast(&p)
		       ? NULL
		       : "an address without a prefix length, like 192.0.2.1";
}

const char *qb_valid_subnet(const char *value)
{
	struct qb_prefix p;

	if (!qb_prefix_parse(value, true, &p) || p.family != AF_INET || !is_unicast(&p))
		return "an IPv4 network, like 192.168.122.0/24";
	if (p.length < SUBNET_SHORTEST || p.length > SUBNET_LONGEST)
		return "a network from /8 to /30";
	return qb_prefix_host_bits(&p, false)
		       ? NULL
		       : "the address of a network; its last bits must be zero";
}

const char *qb_valid_default_route(const char *value)
{
	return qb_streq(value, "default-route") ? NULL
						: "\"default-route\", the one value there is";
}

const char *qb_valid_dns_name(const char *value)
{
	static const char expected[] = "a name that DNS takes, like web or web.example.com";

	if (strlen(value) > DNS_NAME_MAX)
		return expected;
	for (const char *label = value;; label++) {
		size_t n = strspn(label, LETTERS CAPITALS DIGITS "-");

		if (n < 1 || n > DNS_LABEL_MAX || *label == '-' || label[n - 1] == '-')
			return expected;
		label += n;
		if (!*label)
			return NULL;
		if (*label != '.')
			return expected;
	}
}

const char *qb_valid_host_name(const char *value)
{
	return !qb_valid_dns_name(value) && isalpha((unsigned char)*value)
		       ? NULL
		       : "the name of a host, like web, which begins with a letter";
}
