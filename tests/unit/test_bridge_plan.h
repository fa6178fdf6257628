/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts as YAML, and plans of one bridge for them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/schema.h"
#include "net/bridge.h"
#include "net/link_fields.h"
#include "net/move.h"
#include "net/names.h"

/*
 * A host with two cards: eth0 has the addresses and the default routes, eth1 has nothing. Cases
 * add to it, or overwrite members of its first link.
 */
#define ETH0_HEAD                                                                                  \
	"{name: eth0, ifindex: 2, mac: 00:00:5e:00:53:01, permanent_mac: 00:00:5e:00:53:01, "      \
	"mtu: 1500, up: true, driver: ixgbe, path: pci-0000:01:00.0"
#define ETH0_ADDRESSES                                                                             \
	"addresses: ["                                                                             \
	"{address: 192.0.2.10/24, broadcast: 192.0.2.255, scope: global, flags: 128}, "            \
	"{address: 2001:db8::10/64, scope: global, flags: 128}, "                                  \
	"{address: fe80::1/64, scope: link, flags: 128}]"
#define ETH0 ETH0_HEAD ", " ETH0_ADDRESSES "}"
#define ETH1                                                                                       \
	"{name: eth1, ifindex: 3, mac: 00:00:5e:00:53:02, permanent_mac: 00:00:5e:00:53:02, "      \
	"mtu: 1500, up: true, driver: ixgbe, path: pci-0000:01:00.1}"
#define LO                                                                                         \
	"{name: lo, ifindex: 1, mac: 00:00:00:00:00:00, mtu: 65536, up: true, loopback: true, "    \
	"addresses: [{address: 127.0.0.1/8, scope: host, flags: 128}]}"
#define R4(dst, rest)                                                                              \
	"{family: inet, dst: " dst ", type: unicast, proto: static, table: 254, n_nexthops: 1, "   \
	"scope: global" rest "}"
#define R6(dst, rest)                                                                              \
	"{family: inet6, dst: '" dst "', type: unicast, proto: static, table: 254, "               \
	"n_nexthops: 1, scope: global" rest "}"
#define DEFAULT4 R4("default", ", gateway: 192.0.2.1, dev: eth0, metric: 100")
#define DEFAULT6 R6("default", ", gateway: 'fe80::ff', dev: eth0, metric: 1024")
#define ONLINK4                                                                                    \
	"{family: inet, dst: 192.0.2.0/24, type: unicast, proto: kernel, scope: link, "            \
	"prefsrc: 192.0.2.10, dev: eth0, table: 254, n_nexthops: 1}"
#define LINKS(...) "known: true\nlinks: [" __VA_ARGS__ "]\n"
#define ROUTES(...) "routes: [" __VA_ARGS__ "]\n"
#define HOST LINKS(LO ", " ETH0 ", " ETH1) ROUTES(DEFAULT4 ", " DEFAULT6 ", " ONLINK4)

#define BR0                                                                                        \
	"{name: br0, ifindex: 7, kind: bridge, mac: 00:00:5e:00:53:01, mtu: 1500, up: true, "      \
	"stp: false, " ETH0_ADDRESSES "}"
#define ROUTES_BR0                                                                                 \
	ROUTES(R4("default", ", gateway: 192.0.2.1, dev: br0, metric: 100") ", " R6(               \
		"default", ", gateway: 'fe80::ff', dev: br0, metric: 1024"))

#define MACHINE_ID "0123456789abcdef0123456789abcdef"

struct setup {
	struct qb_net net;
	struct qb_plan plan;
	struct qb_port_match ports[2];
	struct qb_bridge_config config;
};

static inline void load(struct setup *s, const char *yaml)
{
	_cleanup_diags_ struct qb_diags diags = {0};

	*s = (struct setup){0};
	if (qb_schema_load(&qb_net_type, yaml, strlen(yaml), QB_LOAD_STRICT, &s->net, NULL,
			   &diags) < 0)
		fail_msg("%s\n%s", diags.v[0].msg, yaml);
	s->config.name = (char *)"br0";
	s->config.ports = s->ports;
	s->config.n_ports = 1;
	s->ports[0].name = (char *)"eth0";
}

static inline void done(struct setup *s)
{
	qb_net_done(&s->net);
	qb_plan_done(&s->plan);
}

static inline void plan_with(struct setup *s, const struct qb_ledger *ledger)
{
	qb_plan_done(&s->plan);
	s->plan = (struct qb_plan){0};
	qb_bridge_plan(&s->net, &s->config, 1, MACHINE_ID, ledger, &s->plan);
}

static inline const struct qb_reason *reason(const struct qb_plan *plan, const char *code)
{
	for (size_t i = 0; i < plan->n_refused; i++)
		for (size_t j = 0; j < plan->refused[i].n_reasons; j++)
			if (!strcmp(plan->refused[i].reasons[j].code, code))
				return &plan->refused[i].reasons[j];
	return NULL;
}

/* Refused with this code, and the evidence names this. */
static inline void assert_refused(struct setup *s, const char *code, const char *evidence)
{
	const struct qb_reason *r;

	plan_with(s, NULL);
	r = reason(&s->plan, code);
	if (!r)
		fail_msg("not refused as %s but with %zu steps and %s", code, s->plan.n_steps,
			 s->plan.n_refused ? s->plan.refused[0].reasons[0].evidence : "nothing");
	if (!strstr(r->evidence, evidence))
		fail_msg("%s does not name %s", r->evidence, evidence);
	assert_int_equal(s->plan.n_steps, 0);
}

static inline void assert_step(struct setup *s, const struct qb_ledger *ledger, struct qb_move *ret)
{
	struct qb_error err = QB_ERROR_INIT;

	plan_with(s, ledger);
	if (s->plan.n_refused)
		fail_msg("refused: %s: %s", s->plan.refused[0].reasons[0].code,
			 s->plan.refused[0].reasons[0].evidence);
	assert_true(s->plan.n_steps >= 1);
	assert_string_equal(s->plan.steps[0].kind, "net.bridge");
	if (qb_move_from_json(s->plan.steps[0].args, ret, &err) < 0)
		fail_msg("%s", err.msg);
}
