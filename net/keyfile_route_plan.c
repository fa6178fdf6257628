/* SPDX-License-Identifier: Apache-2.0 */
#include "net/keyfile.h"

#include <linux/rtnetlink.h>

#include "net/family.h"
#include "net/names.h"

/*
 * A metric or a type that nm-settings-keyfile(5) names as an option of a route, in the
 * NetworkManager of EL8, too. Its value is the kernel's.
 */
static bool is_option(const char *word)
{
	static const char *const words[] = {"window",   "cwnd",     "initcwnd",
					    "initrwnd", "quickack", "rto_min"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

static bool is_one_of(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (qb_streq(s, words[i]))
			return true;
	return false;
}

/* Bits of RTAX_LOCK whose metric can be locked by an option. */
static const struct {
	unsigned metric;
	const char *option;
} locks[] = {
	{RTAX_MTU, "lock-mtu"},           {RTAX_WINDOW, "lock-window"},
	{RTAX_CWND, "lock-cwnd"},         {RTAX_INITCWND, "lock-initcwnd"},
	{RTAX_INITRWND, "lock-initrwnd"},
};

/* Adds the options of "advmss 1400"; false: there is none that says it. */
static bool put_metric(struct qb_buf *b, const char *text)
{
	const char *value = strchr(text, ' ');
	_cleanup_free_ char *word = value ? qb_strndup(text, (size_t)(value - text)) : NULL;
	uint64_t bits;

	if (!value || qb_parse_u64(value + 1, &bits) < 0)
		return false;
	if (is_option(word)) {
		if (!strcmp(word, "quickack"))
			qb_buf_printf(b, "quickack=%s,", bits ? "true" : "false");
		else
			qb_buf_printf(b, "%s=%s,", word, value + 1);
		return true;
	}
	if (strcmp(word, "lock") != 0)
		return false;
	for (size_t i = 0; i < QB_ARRAY_SIZE(locks); i++) {
		if (bits & (UINT64_C(1) << locks[i].metric))
			qb_buf_printf(b, "%s=true,", locks[i].option);
		bits &= ~(UINT64_C(1) << locks[i].metric);
	}
	return !bits;
}

/* "route1_options=" without its end; false: not all of the route can be said. */
static bool put_options(struct qb_buf *b, const struct qb_route *r, bool inet6)
{
	static const char *const types[] = {"local", "blackhole", "unreachable", "prohibit",
					    "throw"};
	bool all = !r->n_hops && !r->nhid && !r->extra && !r->realms && !r->pref;

	/* An IPv4 route over IPv6. */
	all &= !r->gateway || !strcmp(qb_ip_family(r->gateway), "inet6") == inet6;
	if (r->table != RT_TABLE_MAIN)
		qb_buf_printf(b, "table=%lld,", (long long)r->table);
	if (r->tos)
		qb_buf_printf(b, "tos=%lld,", (long long)r->tos);
	if (r->from)
		qb_buf_printf(b, "from=%s,", r->from);
	if (is_one_of(r->type, types, QB_ARRAY_SIZE(types)))
		qb_buf_printf(b, "type=%s,", r->type);
	else
		all &= qb_streq(r->type, "unicast");
	if (r->mtu)
		qb_buf_printf(b, "mtu=%lld,", (long long)r->mtu);
	for (size_t i = 0; i < r->metrics.n; i++)
		all &= put_metric(b, r->metrics.v[i]);
	if (r->flags & RTNH_F_ONLINK)
		qb_buf_puts(b, "onlink=true,");
	if (r->prefsrc)
		qb_buf_printf(b, "src=%s,", r->prefsrc);
	return all;
}

void qb_keyfile_routes(struct qb_buf *b, const struct qb_route *const *routes, size_t n, bool inet6)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct qb_buf options = {0};
		const struct qb_route *r = routes[i];
		const char *any = inet6 ? "::/0" : "0.0.0.0/0";

		(void)put_options(&options, r, inet6);
		qb_buf_printf(b, "route%zu=%s", i + 1, !strcmp(r->dst, "default") ? any : r->dst);
		if (r->gateway || r->metric)
			qb_buf_printf(b, ",%s", r->gateway ? r->gateway : "");
		if (r->metric)
			qb_buf_printf(b, ",%lld", (long long)r->metric);
		qb_buf_puts(b, "\n");
		if (options.len)
			qb_buf_printf(b, "route%zu_options=%.*s\n", i + 1, (int)options.len - 1,
				      options.s);
	}
}

void qb_keyfile_refuse(const struct qb_net *net, const struct qb_move *move, struct qb_plan *plan)
{
	(void)net;
	for (size_t i = 0; i < move->n_add_routes; i++) {
		const struct qb_route *r = &move->add_routes[i];
		_cleanup_buf_ struct qb_buf options = {0};

		/* What a lease or a router announces comes again with it. */
		if (qb_streq(r->proto, "dhcp") || qb_streq(r->proto, "ra"))
			continue;
		if (qb_family_wants(r) && !put_options(&options, r, !strcmp(r->family, "inet6")))
			qb_plan_refuse(plan, move->bridge, "not-persistent",
				       "route %s of table %lld by %s would be gone after a reboot: "
				       "a NetworkManager profile cannot say all that it is",
				       r->dst, (long long)r->table, move->source);
	}
	qb_keyfile_refuse_addresses(move, plan);
	qb_keyfile_refuse_rules(move, plan);
}
