/* SPDX-License-Identifier: Apache-2.0 */
/* Bonds and VLANs are made, bridges put over them, and all is taken apart again; on real links. */
#include "test_bridge_host.h"
#include "test_ports_ns.h"

#include <net/if.h>

#include "net/made.h"

struct made {
	struct host h;
	struct qb_port_match nics[2];
	struct qb_bond_config bond;
	struct qb_vlan_config vlan;
	struct qb_made_config config;
	json_t *before[4];
};

/* bond0 of up1 and up2, VLAN 5 of it, br0 over that; up0 carries the host and is no part of it. */
static void begin_made(struct made *m)
{
	*m = (struct made){0};
	begin(&m->h);
	for (int i = 1; i < 3; i++) {
		ip("link add up%d address 00:00:5e:00:53:1%d type veth peer name other%d", i, i, i);
		/* In one command it would be switched on first. */
		ip("link set up%d addrgenmode none", i);
		ip("link set other%d addrgenmode none", i);
		ip("link set other%d up", i);
		/* One of them is switched on, the other is not: both are to be so again. */
		if (i == 1)
			ip("link set up1 up");
	}
	m->nics[0].name = (char *)"up1";
	m->nics[1].name = (char *)"up2";
	m->bond = (struct qb_bond_config){.name = (char *)"bond0", .ports = m->nics, .n_ports = 2};
	m->vlan = (struct qb_vlan_config){
		.name = (char *)"guests", .id = 5, .link = {.name = (char *)"bond0"}};
	m->h.ports[0] = (struct qb_port_match){.name = (char *)"guests"};
	m->config = (struct qb_made_config){
		.bonds = &m->bond,
		.n_bonds = 1,
		.vlans = &m->vlan,
		.n_vlans = 1,
		.bridges = &m->h.config,
		.n_bridges = 1,
	};
}

static void end_made(struct made *m)
{
	for (size_t i = 0; i < QB_ARRAY_SIZE(m->before); i++)
		json_decref(m->before[i]);
	end(&m->h);
}

static size_t plan_made(struct made *m)
{
	_cleanup_net_ struct qb_net net = {0}, after = {0};
	struct qb_plan *plan = &m->h.plan;

	probe(&m->h, &net);
	qb_plan_done(plan);
	*plan = (struct qb_plan){0};
	qb_made_plan(&net, &m->config, &m->h.ledger, plan, &after);
	qb_bridge_plan(&after, &m->h.config, 1, MACHINE_ID, &m->h.ledger, plan);
	if (plan->n_refused)
		fail_msg("refused: %s", plan->refused[0].reasons[0].evidence);
	return plan->n_steps;
}

static const struct qb_step_kind *kind_of(const struct made *m, size_t i)
{
	return !strcmp(m->h.plan.steps[i].kind, "net.link") ? &qb_made_step : &qb_bridge_step;
}

static void do_step(struct made *m, size_t i)
{
	const struct qb_step_kind *kind = kind_of(m, i);
	const json_t *args = m->h.plan.steps[i].args;
	enum qb_observed observed;

	assert_ok(&m->h, kind->observe(&m->h.ctx, args, &observed, &m->before[i], &m->h.err));
	assert_int_equal(observed, QB_OBSERVED_NEEDED);
	assert_ok(&m->h, kind->apply(&m->h.ctx, args, m->before[i], &m->h.err));
	assert_ok(&m->h, kind->verify(&m->h.ctx, args, m->before[i], &m->h.err));
}

static void undo_step(struct made *m, size_t i)
{
	assert_ok(&m->h,
		  kind_of(m, i)->undo(&m->h.ctx, m->h.plan.steps[i].args, m->before[i], &m->h.err));
}

static void all_is_made_and_taken_apart(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	_cleanup_net_ struct qb_net net = {0};
	struct made m;

	(void)state;
	if (!can_make("bond") || !can_make("vlan"))
		skip();
	begin_made(&m);
	m.bond.mode = QB_BOND_8023AD;
	before = state_of_host(&m.h);
	assert_int_equal(plan_made(&m), 3);
	for (size_t i = 0; i < 3; i++)
		do_step(&m, i);
	find(&net, &m.h, "br0");
	assert_string_equal(qb_net_link(&net, "guests")->master, "br0");
	assert_string_equal(qb_net_link(&net, "up1")->master, "bond0");
	assert_string_equal(qb_net_link(&net, "up2")->master, "bond0");
	assert_true(qb_strs_has(&qb_net_link(&net, "bond0")->bond, "mode=802.3ad"));
	assert_string_equal(qb_net_link(&net, "bond0")->mac, "00:00:5e:00:53:11");
	assert_string_equal(qb_net_link(&net, "br0")->mac, "00:00:5e:00:53:11");
	/* The host is nobody there. */
	assert_int_equal(qb_net_link(&net, "bond0")->n_addresses, 0);
	for (size_t i = 3; i-- > 0;)
		undo_step(&m, i);
	after = state_of_host(&m.h);
	assert_string_equal(before, after);
	/* Twice is as good as once. */
	undo_step(&m, 0);
	assert_int_equal(plan_made(&m), 3);
	end_made(&m);
}

static void rename_link(const char *from, const char *to)
{
	ip("link set %s down", from);
	ip("link set %s name %s", from, to);
	ip("link set %s up", to);
}

/* Each has another name, and another link has that one's: they are as they were, and it is too. */
static void renamed_nics_are_known_again(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct made m;

	(void)state;
	if (!can_make("bond") || !can_make("vlan"))
		skip();
	begin_made(&m);
	before = state_of_host(&m.h);
	assert_int_equal(plan_made(&m), 3);
	for (size_t i = 0; i < 2; i++)
		do_step(&m, i);
	rename_link("up1", "lan1");
	rename_link("up2", "lan2");
	rename_link("bond0", "bond1");
	ip("link add up2 up type veth peer name another");
	assert_ok(&m.h, qb_made_step.undo(&m.h.ctx, m.h.plan.steps[1].args, m.before[1], &m.h.err));
	assert_false(if_nametoindex("guests"));
	rename_link("bond1", "bond0");
	undo_step(&m, 0);
	ip("link del up2");
	rename_link("lan1", "up1");
	ip("link set lan2 name up2");
	after = state_of_host(&m.h);
	assert_string_equal(before, after);
	end_made(&m);
}

static void the_second_time_there_is_nothing_to_do(void **state)
{
	struct made m;

	(void)state;
	if (!can_make("bond") || !can_make("vlan"))
		skip();
	begin_made(&m);
	assert_int_equal(plan_made(&m), 3);
	for (size_t i = 0; i < 3; i++) {
		struct qb_ledger_entry *e;

		do_step(&m, i);
		e = QB_APPEND(m.h.ledger.entries, m.h.ledger.n_entries);
		e->kind = qb_strdup(m.h.plan.steps[i].kind);
		e->target = qb_strdup(m.h.plan.steps[i].target);
		e->args = json_incref(m.h.plan.steps[i].args);
		e->done = true;
	}
	assert_int_equal(plan_made(&m), 0);
	end_made(&m);
}

/* Killed after that many microseconds; then undone, or gone on with. */
static void killed_anywhere(void **state)
{
	static const unsigned delays_us[] = {0, 300, 1000, 2000, 4000, 8000, 30000, 200000};

	(void)state;
	if (!can_make("bond") || !can_make("vlan"))
		skip();
	for (size_t k = 0; k < QB_ARRAY_SIZE(delays_us); k++) {
		_cleanup_free_ char *before = NULL, *after = NULL;
		enum qb_observed observed;
		const json_t *args;
		struct made m;
		pid_t pid;

		begin_made(&m);
		before = state_of_host(&m.h);
		assert_int_equal(plan_made(&m), 3);
		args = m.h.plan.steps[0].args;
		assert_ok(&m.h,
			  qb_made_step.observe(&m.h.ctx, args, &observed, &m.before[0], &m.h.err));
		pid = fork();
		if (pid == 0)
			_exit(qb_made_step.apply(&m.h.ctx, args, m.before[0], &m.h.err) < 0);
		usleep(delays_us[k]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (k % 2) {
			size_t n = plan_made(&m);

			for (size_t i = 0; i < n; i++) {
				json_decref(m.before[i]);
				m.before[i] = NULL;
				do_step(&m, i);
			}
			assert_int_equal(plan_made(&m), 0);
		} else {
			undo_step(&m, 0);
			after = state_of_host(&m.h);
			assert_string_equal(before, after);
		}
		end_made(&m);
	}
}

static void what_is_in_use_is_not_deleted(void **state)
{
	struct made m;

	(void)state;
	if (!can_make("bond") || !can_make("vlan"))
		skip();
	begin_made(&m);
	assert_int_equal(plan_made(&m), 3);
	do_step(&m, 0);
	ip("link add link bond0 name other.7 type vlan id 7");
	assert_int_equal(qb_made_step.undo(&m.h.ctx, m.h.plan.steps[0].args, m.before[0], &m.h.err),
			 -EBUSY);
	assert_non_null(strstr(m.h.err.msg, "it carries other.7"));
	ip("link del other.7");
	ip("addr add 198.51.100.9/24 dev bond0");
	assert_int_equal(qb_made_step.undo(&m.h.ctx, m.h.plan.steps[0].args, m.before[0], &m.h.err),
			 -EBUSY);
	assert_non_null(strstr(m.h.err.msg, "it has addresses"));
	assert_true(if_nametoindex("bond0"));
	end_made(&m);
}

static void what_changed_since_the_plan_is_seen(void **state)
{
	enum qb_observed observed;
	json_t *before = NULL;
	struct made m;

	(void)state;
	if (!can_make("bond") || !can_make("vlan"))
		skip();
	begin_made(&m);
	assert_int_equal(plan_made(&m), 3);
	ip("addr add 198.51.100.9/24 dev up1");
	assert_int_equal(qb_made_step.observe(&m.h.ctx, m.h.plan.steps[0].args, &observed, &before,
					      &m.h.err),
			 -ESTALE);
	assert_non_null(strstr(m.h.err.msg, "up1 has addresses since"));
	ip("addr flush dev up1");
	ip("link add bond0 type bridge");
	assert_int_equal(qb_made_step.observe(&m.h.ctx, m.h.plan.steps[0].args, &observed, &before,
					      &m.h.err),
			 -ESTALE);
	assert_non_null(strstr(m.h.err.msg, "bond0 is there since"));
	ip("link del bond0");
	ip("link set up1 down");
	ip("link set up1 address 00:00:5e:00:53:77");
	assert_int_equal(qb_made_step.observe(&m.h.ctx, m.h.plan.steps[0].args, &observed, &before,
					      &m.h.err),
			 -ESTALE);
	assert_non_null(strstr(m.h.err.msg, "up1 is not the NIC it was"));
	end_made(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_made_and_taken_apart),
		cmocka_unit_test(renamed_nics_are_known_again),
		cmocka_unit_test(the_second_time_there_is_nothing_to_do),
		cmocka_unit_test(killed_anywhere),
		cmocka_unit_test(what_is_in_use_is_not_deleted),
		cmocka_unit_test(what_changed_since_the_plan_is_seen),
	};

	return run_in_namespaces(tests);
}
