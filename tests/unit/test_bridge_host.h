/* SPDX-License-Identifier: Apache-2.0 */
/* Step net.bridge on a host of test_bridge_ns.h, function by function. */
#pragma once

#include "test_bridge_ns.h"

#include <stdlib.h>

#include "agent/base/root.h"
#include "net/bridge.h"
#include "net/link_fields.h"
#include "net/move.h"
#include "net/probe.h"

#define MACHINE_ID "0123456789abcdef0123456789abcdef"

struct host {
	struct qb_root root;
	struct qb_step_ctx ctx;
	struct qb_port_match ports[2];
	struct qb_bridge_config config;
	struct qb_plan plan;
	struct qb_ledger ledger;
	json_t *before;
	struct qb_error err;
};

static inline void begin(struct host *h)
{
	*h = (struct host){.root = QB_ROOT_INIT};
	host_setup(true);
	assert_int_equal(qb_root_open("/", &h->root, NULL), 0);
	h->ctx = (struct qb_step_ctx){.root = &h->root, .timeout_ms = 5000};
	h->ports[0].match = (char *)"default-route";
	h->config =
		(struct qb_bridge_config){.name = (char *)"br0", .ports = h->ports, .n_ports = 1};
}

static inline void end(struct host *h)
{
	qb_plan_done(&h->plan);
	qb_ledger_done(&h->ledger);
	json_decref(h->before);
	qb_root_done(&h->root);
	host_teardown();
}

/* What this machine says of NetworkManager is not of this namespace. */
static inline void probe(const struct host *h, struct qb_net *ret)
{
	qb_net_probe(&h->root, ret);
	assert_true(qb_is(&ret->known));
	ret->networkmanager_installed = ret->networkmanager_running = false;
}

static inline size_t plan(struct host *h)
{
	_cleanup_net_ struct qb_net net = {0};

	probe(h, &net);
	qb_plan_done(&h->plan);
	h->plan = (struct qb_plan){0};
	qb_bridge_plan(&net, &h->config, 1, MACHINE_ID, &h->ledger, &h->plan);
	if (h->plan.n_refused)
		fail_msg("refused: %s", h->plan.refused[0].reasons[0].evidence);
	return h->plan.n_steps;
}

static inline int observe(struct host *h)
{
	enum qb_observed observed;
	int r;

	json_decref(h->before);
	h->before = NULL;
	r = qb_bridge_step.observe(&h->ctx, h->plan.steps[0].args, &observed, &h->before, &h->err);
	return r < 0 ? r : observed == QB_OBSERVED_DONE;
}

static inline int apply(struct host *h)
{
	return qb_bridge_step.apply(&h->ctx, h->plan.steps[0].args, h->before, &h->err);
}

static inline int verify(struct host *h)
{
	return qb_bridge_step.verify(&h->ctx, h->plan.steps[0].args, h->before, &h->err);
}

static inline int undo(struct host *h)
{
	return qb_bridge_step.undo(&h->ctx, h->plan.steps[0].args, h->before, &h->err);
}

#define assert_ok(h, call)                                                                         \
	do {                                                                                       \
		int got_ = (call);                                                                 \
		if (got_ != 0)                                                                     \
			fail_msg("%s is %d: %s", #call, got_, (h)->err.msg);                       \
	} while (0)

static inline int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void add_sorted(struct qb_buf *out, json_t *list)
{
	_cleanup_strs_ struct qb_strs lines = {0};
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		_cleanup_free_ char *text = json_dumps(item, JSON_COMPACT);

		qb_strs_add(&lines, text);
	}
	qsort(lines.v, lines.n, sizeof(*lines.v), by_text);
	for (i = 0; i < lines.n; i++)
		qb_buf_printf(out, "%s\n", lines.v[i]);
	json_decref(list);
}

/*
 * All that the kernel says of addresses and routes, less the kernel's notes of what becomes of an
 * address while it is checked for duplicates, and of a carrier some time after it came or went. The
 * caller frees it.
 */
static inline char *state_of_host(const struct host *h)
{
	_cleanup_net_ struct qb_net net = {0};
	json_t *links = json_array(), *routes = json_array();
	struct qb_buf b = {0};

	probe(h, &net);
	for (size_t i = 0; i < net.n_links; i++) {
		for (size_t j = 0; j < net.links[i].n_addresses; j++)
			net.links[i].addresses[j].flags &= ~(uint64_t)0x40; /* tentative */
		qb_tri_unknown(&net.links[i].carrier, "not looked at");
		json_array_append_new(links, qb_schema_to_json(&qb_link_type, &net.links[i]));
	}
	for (size_t i = 0; i < net.n_routes; i++) {
		net.routes[i].flags &= ~(uint64_t)0x10; /* linkdown */
		json_array_append_new(routes, qb_schema_to_json(&qb_route_type, &net.routes[i]));
	}
	add_sorted(&b, links);
	add_sorted(&b, routes);
	return b.s;
}

static inline const struct qb_link *find(struct qb_net *net, const struct host *h, const char *name)
{
	probe(h, net);
	return qb_net_link(net, name);
}

/* From the plan, of this one step, on. */
static inline void move_host(struct host *h)
{
	assert_int_equal(plan(h), 1);
	assert_ok(h, observe(h));
	assert_ok(h, apply(h));
}

static inline void move_and_verify(struct host *h)
{
	move_host(h);
	assert_ok(h, verify(h));
}

static inline void assert_undone(struct host *h, const char *before)
{
	_cleanup_free_ char *after = NULL;

	assert_ok(h, undo(h));
	after = state_of_host(h);
	assert_string_equal(before, after);
}

/* What the journal of a run that was killed in its step tells the next one. */
static inline void remember(struct host *h)
{
	struct qb_ledger_entry *entry = QB_APPEND(h->ledger.entries, h->ledger.n_entries);

	entry->kind = qb_strdup("net.bridge");
	entry->target = qb_strdup("br0");
	entry->args = json_incref(h->plan.steps[0].args);
	entry->before = json_incref(h->before);
}
