/* SPDX-License-Identifier: Apache-2.0 */
/* Captured hosts of tests/data/net whose only NIC goes under a bridge, and what is in files then.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/base/schema.h"
#include "net/keyfile.h"
#include "net/link_fields.h"

/* A name in tests/data/net, its contents; the caller frees them. */
static inline char *data(const char *name)
{
	_cleanup_free_ char *path = qb_asprintf(QB_TESTS "/data/net/%s", name);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char text[16384];
	size_t n;

	if (!f)
		fail_msg("%s is missing", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	return qb_strdup(text);
}

struct setup {
	struct qb_net net;
	struct qb_plan plan;
	struct qb_port_match port;
	struct qb_bridge_config config;
	struct qb_move move;
	struct qb_keyfiles files;
};

static inline void load(struct setup *s, const char *host)
{
	_cleanup_diags_ struct qb_diags diags = {0};
	_cleanup_free_ char *yaml = data(host);

	*s = (struct setup){.port = {.match = (char *)"default-route"}};
	if (qb_schema_load(&qb_net_type, yaml, strlen(yaml), QB_LOAD_STRICT, &s->net, NULL,
			   &diags) < 0)
		fail_msg("%s:%u: %s", host, diags.v[0].line, diags.v[0].msg);
	s->config =
		(struct qb_bridge_config){.name = (char *)"br0", .ports = &s->port, .n_ports = 1};
}

/* The move, with its addresses and routes; where it is refused the test fails. */
static inline void move(struct setup *s)
{
	const struct qb_link *port = qb_net_link(&s->net, "eno1");

	qb_move_plan(&s->net, &s->config, &port, 1, &s->plan, &s->move);
	if (s->plan.n_refused)
		fail_msg("%s", s->plan.refused[0].reasons[0].evidence);
}

static inline void done(struct setup *s)
{
	qb_net_done(&s->net);
	qb_plan_done(&s->plan);
	qb_move_done(&s->move);
	qb_keyfiles_done(&s->files);
}
