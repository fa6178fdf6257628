/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/prove_frame.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <string.h>

#include "agent/base/cleanup.h"

enum {
	ETHER_MIN = 60, /* without the checksum */
	ARP_REVERSE_REQUEST = 3,
};

struct solicitation {
	struct ether_header ether;
	struct ip6_hdr ip;
	struct nd_neighbor_solicit ns;
	struct nd_opt_hdr option;
	unsigned char mac[6];
} __attribute__((packed));

struct advertisement {
	struct ether_header ether;
	struct ip6_hdr ip;
	struct nd_neighbor_advert na;
} __attribute__((packed));

struct arp {
	struct ether_header ether;
	struct ether_arp arp;
} __attribute__((packed));

static uint32_t sum_words(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

/* RFC 8200, section 8.1: of the addresses, length and next header, and what follows. */
static uint16_t icmpv6_checksum(const struct solicitation *s)
{
	uint16_t len = ntohs(s->ip.ip6_plen);
	uint32_t sum =
		sum_words(&s->ip.ip6_src, 32) + len + IPPROTO_ICMPV6 + sum_words(&s->ns, len);

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static size_t solicit(const unsigned char mac[6], const struct in6_addr *peer, unsigned char *ret)
{
	struct solicitation s = {
		.ether = {.ether_type = htons(ETHERTYPE_IPV6)},
		.ip = {.ip6_plen = htons(sizeof(s) - offsetof(struct solicitation, ns)),
		       .ip6_nxt = IPPROTO_ICMPV6,
		       .ip6_hlim = 255},
		.ns = {.nd_ns_type = ND_NEIGHBOR_SOLICIT, .nd_ns_target = *peer},
		.option = {ND_OPT_SOURCE_LINKADDR, 1},
	};
	const unsigned char *low = peer->s6_addr + 13;
	/* RFC 4291, appendix A: the link-local address that follows from the MAC. */
	const unsigned char own[16] = {0xfe, 0x80,   0,          0,      0,      0,
				       0,    0,      mac[0] ^ 2, mac[1], mac[2], 0xff,
				       0xfe, mac[3], mac[4],     mac[5]};
	/* And section 2.7.1: whoever may have the address listens here. */
	const unsigned char group[16] = {0xff, 0x02, 0, 0, 0,    0,      0,      0,
					 0,    0,    0, 1, 0xff, low[0], low[1], low[2]};

	memcpy(s.ether.ether_dhost,
	       (const unsigned char[]){0x33, 0x33, 0xff, low[0], low[1], low[2]}, 6);
	memcpy(s.ether.ether_shost, mac, 6);
	memcpy(&s.ip.ip6_src, own, 16);
	memcpy(&s.ip.ip6_dst, group, 16);
	memcpy(s.mac, mac, 6);
	s.ip.ip6_vfc = 0x60;
	s.ns.nd_ns_cksum = icmpv6_checksum(&s);
	memcpy(ret, &s, sizeof(s));
	return sizeof(s);
}

size_t qb_proof_frame(const unsigned char mac[6], const char *peer,
		      unsigned char ret[QB_PROOF_FRAME_MAX])
{
	struct arp f = {
		.ether = {.ether_type = htons(peer ? ETHERTYPE_ARP : ETHERTYPE_REVARP)},
		.arp = {.ea_hdr = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), 6, 4,
				   htons(peer ? ARPOP_REQUEST : ARP_REVERSE_REQUEST)}},
	};
	struct in6_addr v6;

	memset(ret, 0, QB_PROOF_FRAME_MAX);
	if (peer && inet_pton(AF_INET6, peer, &v6) == 1)
		return solicit(mac, &v6, ret);
	memset(f.ether.ether_dhost, 0xff, 6);
	memcpy(f.ether.ether_shost, mac, 6);
	memcpy(f.arp.arp_sha, mac, 6);
	if (peer)
		(void)inet_pton(AF_INET, peer, f.arp.arp_tpa);
	else
		memcpy(f.arp.arp_tha, mac, 6);
	memcpy(ret, &f, sizeof(f));
	return ETHER_MIN;
}

bool qb_proof_is_answer(const unsigned char *frame, size_t len, const char *peer)
{
	struct advertisement na;
	struct in6_addr v6;
	struct in_addr v4;
	struct arp f;

	if (peer && inet_pton(AF_INET6, peer, &v6) == 1) {
		if (len < sizeof(na))
			return false;
		memcpy(&na, frame, sizeof(na));
		return na.ether.ether_type == htons(ETHERTYPE_IPV6) &&
		       na.ip.ip6_nxt == IPPROTO_ICMPV6 && na.na.nd_na_type == ND_NEIGHBOR_ADVERT &&
		       memcmp(&na.na.nd_na_target, &v6, sizeof(v6)) == 0;
	}
	if (!peer || inet_pton(AF_INET, peer, &v4) != 1 || len < sizeof(f))
		return false;
	memcpy(&f, frame, sizeof(f));
	return f.ether.ether_type == htons(ETHERTYPE_ARP) && f.arp.arp_op == htons(ARPOP_REPLY) &&
	       memcmp(f.arp.arp_spa, &v4, sizeof(v4)) == 0;
}
