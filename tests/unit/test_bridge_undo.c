/* SPDX-License-Identifier: Apache-2.0 */
/* The way back of step net.bridge on real links: from whatever has become of it since. */
#include "test_bridge_host.h"

#include <net/if.h>
#include <signal.h>

#include "net/hold.h"
#include "net/nl_write.h"

static void a_bridge_that_was_there_stays(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct host h;

	(void)state;
	begin(&h);
	ip("link add br0 type bridge");
	ip("link add guest0 type veth peer name guest1");
	ip("link set guest0 master br0 up");
	ip("link set br0 addrgenmode none");
	ip("link set br0 up");
	sleep(1);
	before = state_of_host(&h);
	move_and_verify(&h);
	assert_ok(&h, undo(&h));
	sleep(1);
	after = state_of_host(&h);
	assert_string_equal(before, after);
	end(&h);
}

static void a_bridge_in_use_is_not_pulled_away(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	move_host(&h);
	ip("link add vnet7 type veth peer name guest7");
	ip("link set vnet7 master br0");
	assert_int_equal(undo(&h), -EBUSY);
	assert_non_null(strstr(h.err.msg, "vnet7"));
	assert_ok(&h, verify(&h));
	end(&h);
}

static void a_bridge_that_somebody_deleted(void **state)
{
	_cleanup_free_ char *before = NULL;
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	move_host(&h);
	ip("link del br0");
	assert_undone(&h, before);
	end(&h);
}

/* What takes addresses away for a moment may do so while the process is not scheduled. */
static void what_is_held_is_there_in_the_end(void **state)
{
	struct qb_child holding = QB_CHILD_INIT;
	_cleanup_free_ char *before = NULL, *after = NULL;
	_cleanup_net_ struct qb_net net = {0};
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	assert_ok(&h, qb_net_probe_known(&h.root, &net, &h.err));
	assert_ok(&h, qb_hold_begin(&net, "up0", &holding, &h.err));
	assert_int_equal(kill(holding.pid, SIGSTOP), 0);
	ip("address del 192.0.2.10/24 dev up0");
	assert_ok(&h, qb_hold_end(&net, "up0", &holding, &h.err));
	after = state_of_host(&h);
	assert_string_equal(before, after);
	end(&h);
}

static char *setting(const struct host *h, const char *family, const char *name)
{
	_cleanup_free_ char *path = qb_asprintf("/proc/sys/net/%s/conf/br0/%s", family, name);
	char *value;

	assert_int_equal(qb_root_read_value(&h->root, path, &value), 0);
	return value;
}

static void assert_setting(const struct host *h, const char *family, const char *name,
			   const char *wanted)
{
	_cleanup_free_ char *value = setting(h, family, name);

	if (strcmp(value, wanted) != 0)
		fail_msg("%s is %s, not %s", name, value, wanted);
}

/* Killed when the bridge had been made, or when it had its port and its addresses. */
static void what_a_killed_run_left_is_made_whole_or_goes(void **state)
{
	for (int half = 0; half < 2; half++) {
		_cleanup_free_ char *before = NULL;
		struct host h;

		(void)state;
		begin(&h);
		write_file("/proc/sys/net/ipv6/conf/up0/accept_ra", "0");
		write_file("/proc/sys/net/ipv6/conf/up0/autoconf", "0");
		write_file("/proc/sys/net/ipv6/conf/up0/use_tempaddr", "2");
		before = state_of_host(&h);
		assert_int_equal(plan(&h), 1);
		assert_ok(&h, observe(&h));
		remember(&h);
		ip("link add br0 address " HOST_MAC " type bridge");
		if (half) {
			ip("link set br0 addrgenmode none up");
			ip("link set up0 master br0");
			ip("addr add 192.0.2.10/24 brd + dev br0");
			ip("addr add 2001:db8::10/64 dev br0 nodad");
		}
		move_and_verify(&h);
		assert_setting(&h, "ipv6", "accept_ra", "0");
		assert_setting(&h, "ipv6", "autoconf", "0");
		assert_setting(&h, "ipv6", "use_tempaddr", "2");
		assert_setting(&h, "ipv6", "addr_gen_mode", "0");
		assert_undone(&h, before);
		end(&h);
	}
}

/* Killed when all had changed over, and what yields had not gone: what the next run adds to that
 * can be undone by itself, and the first run then goes back as a whole. */
static void what_had_changed_over_is_not_taken_for_a_leftover(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_free_ char *before = NULL;
	_cleanup_move_ struct qb_move move = {0};
	json_auto_t *first_args = NULL, *first_before = NULL;
	struct host h;

	(void)state;
	begin(&h);
	ip("-6 route flush dev up0 proto boot");
	ip("-6 addr flush dev up0 scope global");
	before = state_of_host(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	remember(&h);
	first_args = json_incref(h.plan.steps[0].args);
	first_before = json_incref(h.before);
	assert_ok(&h, qb_move_from_json(first_args, &move, &h.err));
	assert_ok(&h, qb_nl_open(&sock, &h.err));
	assert_ok(&h, qb_nl_bridge_make(sock, &move, &h.err));
	b = qb_move_forward(&move);
	assert_ok(&h, qb_nl_write_ops(sock, &b.build, "br0", &batch, &h.err));
	assert_ok(&h, qb_nl_write_ops(sock, &b.clear, "br0", &batch, &h.err));
	assert_ok(&h, qb_nl_batch_send(sock, &batch, &h.err));

	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_true(json_is_true(json_object_get(h.before, "existed")));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	assert_ok(&h, undo(&h));
	QB_SWAP(h.plan.steps[0].args, first_args);
	QB_SWAP(h.before, first_before);
	assert_undone(&h, before);
	end(&h);
}

/* The same, but nobody remembers having made it: it is somebody's, and stays. */
static void a_bridge_of_others_is_not_taken_for_a_leftover(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	ip("link add br0 address " HOST_MAC " type bridge");
	move_host(&h);
	assert_ok(&h, undo(&h));
	assert_true(if_nametoindex("br0"));
	end(&h);
}

static void a_bridge_keeps_its_own_rp_filter(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	ip("link add br0 type bridge");
	write_file("/proc/sys/net/ipv4/conf/br0/rp_filter", "1");
	move_and_verify(&h);
	assert_setting(&h, "ipv4", "rp_filter", "1");
	assert_ok(&h, undo(&h));
	assert_setting(&h, "ipv4", "rp_filter", "1");
	end(&h);
}

/* A port that joined it as it is would listen for half a minute, and the host be cut off. */
static void a_bridge_with_stp_takes_a_port(void **state)
{
	for (int wanted = 0; wanted < 2; wanted++) {
		_cleanup_net_ struct qb_net net = {0}, later = {0};
		struct host h;

		(void)state;
		begin(&h);
		ip("link add br0 type bridge stp_state 1");
		ip("link set br0 up");
		h.config.stp = wanted;
		move_and_verify(&h);
		assert_int_equal(qb_is(&find(&net, &h, "br0")->stp), wanted);
		assert_ok(&h, undo(&h));
		assert_true(qb_is(&find(&later, &h, "br0")->stp));
		end(&h);
	}
}

/* The name is another card's by now, and the old one has another lease. */
static void another_card_of_that_name_is_left_alone(void **state)
{
	_cleanup_free_ char *before = NULL;
	struct host h;

	(void)state;
	begin(&h);
	move_host(&h);
	ip("link del up0");
	ip("link add new0 address " HOST_MAC " type veth peer name other0");
	ip("link add up0 type veth peer name other1");
	ip("link del br0");
	ip("addr add 192.0.2.55/24 dev new0");
	before = state_of_host(&h);
	assert_int_equal(undo(&h), -ESTALE);
	assert_non_null(strstr(h.err.msg, "up0 is not the link"));
	assert_non_null(strstr(h.err.msg, "put that back first"));
	json_object_set_new(h.before, "boot", json_string("an earlier one"));
	assert_undone(&h, before);
	end(&h);
}

/* The card was renamed, and another has its name: it gets back what it had. */
static void a_renamed_card_is_known_again(void **state)
{
	(void)state;
	for (int same_boot = 0; same_boot < 2; same_boot++) {
		_cleanup_free_ char *before = NULL, *after = NULL;
		struct qb_net now = {0};
		struct host h;

		begin(&h);
		before = state_of_host(&h);
		move_host(&h);
		ip("link set up0 down");
		ip("link set up0 name up1");
		ip("link set up1 up");
		ip("link add up0 type veth peer name other0");
		if (!same_boot)
			json_object_set_new(h.before, "boot", json_string("an earlier one"));
		assert_ok(&h, undo(&h));
		ip("link del up0");
		assert_null(find(&now, &h, "br0"));
		qb_net_done(&now);
		after = state_of_host(&h);
		for (char *p = after; (p = strstr(p, "up1"));)
			p[2] = '0';
		assert_string_equal(before, after);
		end(&h);
	}
}

/* Somebody made the bridge anew, and its address is another now: the old one must not be used. */
static void an_address_that_is_not_ours_any_more_stays_away(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	move_host(&h);
	json_object_set_new(h.before, "boot", json_string("an earlier one"));
	ip("addr del 192.0.2.10/24 dev br0");
	ip("addr add 192.0.2.55/24 dev br0");
	assert_int_equal(undo(&h), -ESTALE);
	assert_non_null(strstr(h.err.msg, "192.0.2.10/24 no more"));
	end(&h);
}

static void use_link(struct qb_ops *ops, const char *instead_of, const char *link)
{
	for (size_t i = 0; i < ops->n; i++)
		if (!strcmp(ops->v[i].dev, instead_of))
			ops->v[i].dev = link;
}

/* NetworkManager may take the bridge away while it is undone: what is left goes back. */
static void a_bridge_that_goes_meanwhile(void **state)
{
	_cleanup_batches_ struct qb_batches b = {0};
	_cleanup_nl_batch_ struct qb_nl_batch batch = {0};
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_free_ char *before = NULL, *after = NULL;
	_cleanup_move_ struct qb_move move = {0};
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	move_host(&h);
	assert_ok(&h, qb_move_from_json(h.plan.steps[0].args, &move, &h.err));
	assert_ok(&h, qb_nl_open(&sock, &h.err));
	b = qb_move_inverse(&move, &(struct qb_strs){0}, true);
	ip("link add gone0 type veth peer name gone1");
	use_link(&b.clear, "br0", "gone0");
	use_link(&b.rest, "br0", "gone0");
	ip("link del br0");
	assert_ok(&h, qb_nl_write_ops(sock, &b.build, "br0", &batch, &h.err));
	assert_ok(&h, qb_nl_write_ops(sock, &b.clear, "br0", &batch, &h.err));
	assert_ok(&h, qb_nl_write_ops(sock, &b.rest, "br0", &batch, &h.err));
	/* One that goes between the two is no different from one that went before. */
	ip("link del gone0");
	assert_ok(&h, qb_nl_write_ops(sock, &b.clear, "br0", &batch, &h.err));
	assert_ok(&h, qb_nl_write_ops(sock, &b.rest, "br0", &batch, &h.err));
	assert_ok(&h, qb_nl_batch_send(sock, &batch, &h.err));
	after = state_of_host(&h);
	assert_string_equal(before, after);
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_that_was_there_stays),
		cmocka_unit_test(a_bridge_in_use_is_not_pulled_away),
		cmocka_unit_test(a_bridge_that_somebody_deleted),
		cmocka_unit_test(what_is_held_is_there_in_the_end),
		cmocka_unit_test(what_a_killed_run_left_is_made_whole_or_goes),
		cmocka_unit_test(what_had_changed_over_is_not_taken_for_a_leftover),
		cmocka_unit_test(a_bridge_of_others_is_not_taken_for_a_leftover),
		cmocka_unit_test(a_bridge_keeps_its_own_rp_filter),
		cmocka_unit_test(a_bridge_with_stp_takes_a_port),
		cmocka_unit_test(another_card_of_that_name_is_left_alone),
		cmocka_unit_test(a_renamed_card_is_known_again),
		cmocka_unit_test(an_address_that_is_not_ours_any_more_stays_away),
		cmocka_unit_test(a_bridge_that_goes_meanwhile),
	};

	return run_in_namespaces(tests);
}
