/* SPDX-License-Identifier: Apache-2.0 */
/* Step net.restore on real links: what it takes back, and what it does not. */
#include "test_bridge_host.h"

#include "net/restore.h"

/* The host had a bridge that took all along when it went, and has it again by the step. */
static void give_back(struct host *h)
{
	_cleanup_net_ struct qb_net net = {0}, after = {0};
	enum qb_observed observed;

	begin(h);
	move_host(h);
	remember(h);
	h->ledger.entries[0].done = true;
	ip("link del br0");
	qb_plan_done(&h->plan);
	h->plan = (struct qb_plan){0};
	json_decref(QB_TAKE_PTR(h->before));
	probe(h, &net);
	assert_true(qb_restore_plan(&net, &h->config, 1, &h->ledger, &h->plan, &after));
	assert_ok(h, qb_restore_step.observe(&h->ctx, h->plan.steps[0].args, &observed, &h->before,
					     &h->err));
	assert_int_equal(observed, QB_OBSERVED_NEEDED);
	assert_ok(h, qb_restore_step.apply(&h->ctx, h->plan.steps[0].args, h->before, &h->err));
	assert_ok(h, qb_restore_step.verify(&h->ctx, h->plan.steps[0].args, h->before, &h->err));
}

static int take_back(struct host *h)
{
	return qb_restore_step.undo(&h->ctx, h->plan.steps[0].args, h->before, &h->err);
}

static bool has_address(const struct host *h, const char *name, const char *address)
{
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *link = find(&net, h, name);

	assert_non_null(link);
	return qb_link_address(link, address) != NULL;
}

/* Its index tells it until the next boot, whatever has its name. */
static void a_renamed_card_is_known_again(void **state)
{
	struct host h;

	(void)state;
	give_back(&h);
	assert_true(has_address(&h, "up0", "192.0.2.10/24"));
	ip("link set up0 down");
	ip("link set up0 name up1");
	ip("link set up1 up");
	ip("link add up0 type veth peer name other0");
	assert_ok(&h, take_back(&h));
	assert_false(has_address(&h, "up1", "192.0.2.10/24"));
	end(&h);
}

static void another_card_of_that_name_is_left_alone(void **state)
{
	struct host h;

	(void)state;
	give_back(&h);
	ip("link del up0");
	ip("link add up0 type veth peer name other0");
	ip("addr add 192.0.2.10/24 dev up0");
	assert_int_equal(take_back(&h), -ESTALE);
	assert_true(has_address(&h, "up0", "192.0.2.10/24"));
	end(&h);
}

/* Links are counted anew, and the addresses are of who gave them since: the host is reached by
 * them. */
static void a_boot_has_undone_it(void **state)
{
	struct host h;

	(void)state;
	give_back(&h);
	json_object_set_new(h.before, "boot", json_string("an earlier one"));
	ip("link del up0");
	ip("link add up0 address " HOST_MAC " type veth peer name other0");
	ip("addr add 192.0.2.10/24 dev up0");
	assert_ok(&h, take_back(&h));
	assert_true(has_address(&h, "up0", "192.0.2.10/24"));
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_renamed_card_is_known_again),
		cmocka_unit_test(another_card_of_that_name_is_left_alone),
		cmocka_unit_test(a_boot_has_undone_it),
	};

	return run_in_namespaces(tests);
}
