/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_network.h"

static const struct {
	unsigned key;
	const char *name;
} names[] = {
	{QB_NETWORK_FORWARD, "forward"},
	{QB_NETWORK_BRIDGE, "bridge"},
	{QB_NETWORK_ADDRESS, "address"},
	{QB_NETWORK_DOMAIN, "domain"},
	{QB_NETWORK_LOCAL_ONLY, "domain.local-only"},
	{QB_NETWORK_FORWARDERS, "dns.forwarders"},
	{QB_NETWORK_RANGES, "dhcp.ranges"},
	{QB_NETWORK_HOSTS, "dhcp.hosts"},
	{QB_NETWORK_RECORDS, "dns.hosts"},
};

bool qb_network_dummy(const char *bridge, const char *link)
{
	size_t n = strlen(bridge);

	return strncmp(link, bridge, n) == 0 && !strcmp(link + n, "-nic");
}

const char *qb_network_key_name(unsigned key)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(names); i++)
		if (names[i].key == key)
			return names[i].name;
	return NULL;
}

unsigned qb_network_key_find(const char *name)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].name, name))
			return names[i].key;
	return 0;
}

static void add_words(struct qb_strs *ret, const char *a, const char *b, const char *c)
{
	const char *const words[] = {a, b, c};
	struct qb_buf text = {0};

	qb_buf_puts(&text, "");
	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
		if (words[i])
			qb_buf_printf(&text, "%s%s", text.len ? " " : "", words[i]);
	qb_strs_add(ret, text.s);
	qb_buf_done(&text);
}

/* "192.0.2.5 a b", whatever the order of the names. */
static void add_record(struct qb_strs *ret, const struct qb_vir_record *record)
{
	_cleanup_strs_ struct qb_strs sorted = {0};
	struct qb_buf text = {0};

	for (size_t i = 0; i < record->names.n; i++)
		qb_strs_add(&sorted, record->names.v[i]);
	qb_strs_sort(&sorted);
	qb_buf_puts(&text, record->ip ? record->ip : "");
	for (size_t i = 0; i < sorted.n; i++)
		qb_buf_printf(&text, " %s", sorted.v[i]);
	qb_strs_add(ret, text.s);
	qb_buf_done(&text);
}

void qb_network_items(const struct qb_vir_definition *of, unsigned key, struct qb_strs *ret)
{
	if (key == QB_NETWORK_RANGES)
		for (size_t i = 0; i < of->n_dhcp_ranges; i++)
			qb_strs_addf(ret, "%s-%s", of->dhcp_ranges[i].start,
				     of->dhcp_ranges[i].end);
	if (key == QB_NETWORK_HOSTS)
		for (size_t i = 0; i < of->n_dhcp_hosts; i++)
			add_words(ret, of->dhcp_hosts[i].mac, of->dhcp_hosts[i].ip,
				  of->dhcp_hosts[i].name);
	if (key == QB_NETWORK_FORWARDERS)
		for (size_t i = 0; i < of->n_dns_forwarders; i++)
			add_words(ret, of->dns_forwarders[i].domain, of->dns_forwarders[i].addr,
				  NULL);
	if (key == QB_NETWORK_RECORDS)
		for (size_t i = 0; i < of->n_dns_hosts; i++)
			add_record(ret, &of->dns_hosts[i]);
}

static bool is_list(unsigned key)
{
	return key & (QB_NETWORK_LIVE | QB_NETWORK_FORWARDERS);
}

static const char *text_of(const struct qb_vir_definition *of, unsigned key)
{
	switch (key) {
	case QB_NETWORK_FORWARD:
		return of->forward ? of->forward : "isolated";
	case QB_NETWORK_BRIDGE:
		return of->bridge;
	case QB_NETWORK_ADDRESS:
		return of->address;
	case QB_NETWORK_DOMAIN:
		return of->domain;
	case QB_NETWORK_LOCAL_ONLY:
		return of->domain_local_only ? "true" : "false";
	default:
		return NULL;
	}
}

/* Those of one that the other has not. */
static void surplus(const struct qb_vir_definition *of, const struct qb_vir_definition *other,
		    unsigned key, struct qb_strs *ret)
{
	_cleanup_strs_ struct qb_strs ours = {0}, theirs = {0};

	qb_network_items(of, key, &ours);
	qb_network_items(other, key, &theirs);
	for (size_t i = 0; i < ours.n; i++)
		if (!qb_strs_has(&theirs, ours.v[i]))
			qb_strs_add(ret, ours.v[i]);
}

static bool differs(const struct qb_vir_definition *a, const struct qb_vir_definition *b,
		    unsigned key)
{
	_cleanup_strs_ struct qb_strs more = {0};

	if (!is_list(key))
		return !qb_streq(text_of(a, key), text_of(b, key));
	surplus(a, b, key, &more);
	surplus(b, a, key, &more);
	return more.n;
}

unsigned qb_network_differences(const struct qb_vir_definition *is,
				const struct qb_vir_definition *wanted, unsigned keys)
{
	unsigned found = 0;

	for (size_t i = 0; i < QB_ARRAY_SIZE(names); i++)
		if (keys & names[i].key && differs(is, wanted, names[i].key))
			found |= names[i].key;
	return found;
}

bool qb_network_loses_hosts(const struct qb_vir_definition *is,
			    const struct qb_vir_definition *wanted, unsigned keys)
{
	return is->n_dhcp_hosts && !(keys & QB_NETWORK_HOSTS) &&
	       qb_network_differences(is, wanted, keys & QB_NETWORK_ADDRESS);
}

char *qb_network_value(const struct qb_vir_definition *of, const struct qb_vir_definition *other,
		       unsigned key, size_t most)
{
	_cleanup_strs_ struct qb_strs more = {0}, shown = {0};
	const char *text = text_of(of, key);

	if (!is_list(key))
		return qb_strdup(text ? text : "none");
	surplus(of, other, key, &more);
	for (size_t i = 0; i < more.n && i < most; i++)
		qb_strs_add(&shown, more.v[i]);
	if (more.n > most)
		qb_strs_addf(&shown, "%zu more", more.n - most);
	return more.n ? qb_strs_sentence(&shown) : qb_strdup("none");
}

static bool shares_a_name(const struct qb_strs *a, const struct qb_strs *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (qb_strs_has(b, a->v[i]))
			return true;
	return false;
}

static bool is_same(const char *a, const char *b)
{
	return a && qb_streq(a, b);
}

/* virNetworkDefUpdateSection(): of two items that have something in common it finds neither, or
 * takes no second one. */
static bool is_ambiguous(const struct qb_vir_definition *d, unsigned key)
{
	for (size_t i = 0; key == QB_NETWORK_HOSTS && i < d->n_dhcp_hosts; i++)
		for (size_t k = 0; k < i; k++) {
			const struct qb_vir_host *a = &d->dhcp_hosts[i], *b = &d->dhcp_hosts[k];

			if (is_same(a->mac, b->mac) || is_same(a->ip, b->ip) ||
			    is_same(a->name, b->name))
				return true;
		}
	for (size_t i = 0; key == QB_NETWORK_RECORDS && i < d->n_dns_hosts; i++)
		for (size_t k = 0; k < i; k++) {
			const struct qb_vir_record *a = &d->dns_hosts[i], *b = &d->dns_hosts[k];

			if (is_same(a->ip, b->ip) || shares_a_name(&a->names, &b->names))
				return true;
		}
	return false;
}

unsigned qb_network_updatable(const struct qb_vir_definition *is, unsigned keys)
{
	unsigned found = 0;

	for (unsigned key = 1; key <= QB_NETWORK_LIVE; key <<= 1)
		if (keys & key & QB_NETWORK_LIVE && !is_ambiguous(is, key))
			found |= key;
	return found;
}
