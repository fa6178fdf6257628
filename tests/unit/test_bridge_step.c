/* SPDX-License-Identifier: Apache-2.0 */
/* Step net.bridge on real links, in network namespaces. */
#include "scratch.h"
#include "test_bridge_host.h"

#include <stdlib.h>
#include <time.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <sys/ioctl.h>

#include "agent/base/root.h"
#include "net/bridge.h"
#include "net/link_fields.h"
#include "net/move.h"
#include "net/nl_write.h"
#include "net/probe.h"

static void there_and_back(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_true(
		json_is_true(json_object_get(json_object_get(h.before, "gateways"), "192.0.2.1")));
	assert_true(json_is_true(
		json_object_get(json_object_get(h.before, "gateways"), "2001:db8::1")));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	/* It is done, and says so whether planned or observed again. */
	assert_int_equal(observe(&h), 1);
	assert_int_equal(plan(&h), 0);
	end(&h);

	begin(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, undo(&h));
	after = state_of_host(&h);
	assert_string_equal(before, after);
	/* Twice is as good as once. */
	assert_ok(&h, undo(&h));
	end(&h);
}

static void the_bridge_is_the_nic_to_others(void **state)
{
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *bridge;
	struct host h;

	(void)state;
	begin(&h);
	ip("link set up0 mtu 1400");
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	bridge = find(&net, &h, "br0");
	assert_non_null(bridge);
	assert_string_equal(bridge->mac, HOST_MAC);
	assert_int_equal(bridge->mtu, 1400);
	assert_true(bridge->up);
	assert_true(qb_is_not(&bridge->stp));
	/* Two of IPv4, one of IPv6, and the NIC's own link-local one: no second one of its own. */
	assert_int_equal(bridge->n_addresses, 4);
	assert_string_equal(bridge->addresses[1].label, "br0:1");
	/* IFA_F_NODAD was for the moment of the move. */
	for (size_t i = 0; i < bridge->n_addresses; i++)
		assert_int_equal(bridge->addresses[i].flags & 0x02, 0);
	assert_int_equal(qb_net_link(&net, "up0")->n_addresses, 0);
	assert_null(qb_net_link(&net, "qubi-carrier"));
	end(&h);
}

/*
 * Killed after that many microseconds of apply, wherever that is. The rerun of an agent that was
 * killed undoes from what is journaled, or plans anew from what it finds: both have to do.
 */
static void killed_anywhere(void **state)
{
	static const unsigned delays_us[] = {0,    300,  600,  900,  1200,  1500,
					     2000, 3000, 5000, 8000, 13000, 40000};
	_cleanup_free_ char *before = NULL;
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	for (size_t i = 0; i < QB_ARRAY_SIZE(delays_us); i++) {
		_cleanup_free_ char *after = NULL;
		pid_t pid;

		assert_int_equal(plan(&h), 1);
		assert_ok(&h, observe(&h));
		pid = fork();
		if (pid == 0)
			_exit(apply(&h) < 0);
		usleep(delays_us[i]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (i % 2) {
			/* The next run goes on, and is undone as a whole in its turn. */
			if (plan(&h)) {
				assert_ok(&h, observe(&h));
				assert_ok(&h, apply(&h));
				assert_ok(&h, verify(&h));
			}
			assert_int_equal(plan(&h), 0);
			ip("link set up0 nomaster");
			ip("link del br0");
			ip("addr flush dev up0");
			host_teardown();
			end(&h);
			begin(&h);
			continue;
		}
		assert_ok(&h, undo(&h));
		after = state_of_host(&h);
		assert_string_equal(before, after);
	}
	end(&h);
}

static void what_changed_since_the_plan_is_seen(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	assert_int_equal(plan(&h), 1);
	ip("addr add 192.0.2.99/24 dev up0");
	assert_int_equal(observe(&h), -ESTALE);
	assert_non_null(strstr(h.err.msg, "up0 changed"));
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	ip("route add 203.0.113.128/25 dev up0");
	assert_int_equal(observe(&h), -ESTALE);
	assert_int_equal(plan(&h), 1);
	ip("link set up0 down");
	ip("link set up0 address 00:00:5e:00:53:77");
	assert_int_equal(observe(&h), -ESTALE);
	assert_null(h.before);
	end(&h);
}

/* The kernel refuses one message of many; the others are executed, and all is put back. */
static void a_refused_message_is_named_and_undone(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	json_t *route;
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	route = json_array_get(json_object_get(h.plan.steps[0].args, "add_routes"), 0);
	json_object_set_new(route, "gateway", json_string("198.18.0.1"));
	json_object_set_new(route, "dst", json_string("198.51.100.128/25"));
	assert_true(apply(&h) < 0);
	if (!strstr(h.err.msg, "route 198.51.100.128/25 by br0"))
		fail_msg("%s", h.err.msg);
	assert_ok(&h, undo(&h));
	after = state_of_host(&h);
	assert_string_equal(before, after);
	end(&h);
}

/* How many of these neighbours the link has, as somebody set them by hand: family may ask for
 * those that the host answers for. */
static size_t set_by_hand(const char *link, int family)
{
	_cleanup_nl_sock_ struct nl_sock *sock = NULL;
	_cleanup_buf_ struct qb_buf dump = {0};
	struct qb_error err = QB_ERROR_INIT;
	size_t n = 0;

	assert_int_equal(qb_nl_open(&sock, &err), 0);
	assert_int_equal(qb_nl_dump(sock, RTM_GETNEIGH, family, &dump, &err), 0);
	for (struct nlmsghdr *m = qb_nl_next(&dump, NULL); m; m = qb_nl_next(&dump, m)) {
		const struct ndmsg *ndm = nlmsg_data(m);

		n += m->nlmsg_type == RTM_NEWNEIGH &&
		     (ndm->ndm_state & NUD_PERMANENT || ndm->ndm_flags & NTF_PROXY) &&
		     ndm->ndm_ifindex == (int)if_nametoindex(link);
	}
	return n;
}

/* A gateway that answers no ARP is reached by what somebody has set. */
static void neighbours_that_were_set_by_hand_go_along(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	ip("neigh add 192.0.2.77 lladdr 00:00:5e:00:53:77 dev up0 nud permanent");
	ip("neigh add 2001:db8::77 lladdr 00:00:5e:00:53:77 dev up0 nud permanent");
	ip("neigh add proxy 192.0.2.78 dev up0");
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_int_equal(set_by_hand("br0", AF_UNSPEC), 2);
	assert_int_equal(set_by_hand("br0", AF_INET | QB_NL_PROXIES), 1);
	assert_ok(&h, undo(&h));
	assert_int_equal(set_by_hand("up0", AF_UNSPEC), 2);
	assert_int_equal(set_by_hand("up0", AF_INET | QB_NL_PROXIES), 1);
	end(&h);
}

static void a_gateway_that_is_gone_fails_the_move(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	ip_on_gateway("addr flush dev gw0");
	ip("neigh flush dev br0");
	assert_int_equal(verify(&h), -EHOSTUNREACH);
	assert_non_null(strstr(h.err.msg, "answered before and does not now"));
	end(&h);
}

/* Of the gateways of the plan none answered before; the one it takes the place of did. */
static void a_default_gateway_that_nobody_has_fails_the_move(void **state)
{
	char *addresses[] = {(char *)"192.0.2.10/24"};
	struct host h;

	(void)state;
	begin(&h);
	h.config.ipv4 = (struct qb_ip_config){.mode = QB_IP_STATIC,
					      .addresses = {addresses, 1},
					      .gateway = (char *)"192.0.2.254"};
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_int_equal(verify(&h), -EHOSTUNREACH);
	assert_non_null(strstr(h.err.msg, "default gateway 192.0.2.254 does not answer"));
	assert_non_null(strstr(h.err.msg, "192.0.2.1 answered"));
	end(&h);
}

static void a_gateway_that_was_silent_is_not_asked_for(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	ip("route del default via 192.0.2.1");
	ip("route add default via 192.0.2.77 metric 100");
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_true(json_is_false(
		json_object_get(json_object_get(h.before, "gateways"), "192.0.2.77")));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	end(&h);
	/* Nor where another one of a worse metric answers. */
	begin(&h);
	ip("route add default via 192.0.2.77 metric 50");
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	end(&h);
}

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
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
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
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	ip("link add vnet7 type veth peer name guest7");
	ip("link set vnet7 master br0");
	assert_int_equal(undo(&h), -EBUSY);
	assert_non_null(strstr(h.err.msg, "vnet7"));
	assert_ok(&h, verify(&h));
	end(&h);
}

static void a_bridge_that_somebody_deleted(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	ip("link del br0");
	assert_ok(&h, undo(&h));
	after = state_of_host(&h);
	assert_string_equal(before, after);
	end(&h);
}

static void stp_comes_when_the_port_forwards(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	h.config.stp = true;
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	/* The gateway answers at once: the port has not gone through "listening". */
	assert_ok(&h, verify(&h));
	assert_int_equal(plan(&h), 0);
	end(&h);
}

static void several_ports(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	_cleanup_plan_ struct qb_plan again = {0};
	_cleanup_net_ struct qb_net net = {0};
	struct host h;

	(void)state;
	begin(&h);
	ip("link add two0 type veth peer name two1");
	before = state_of_host(&h);
	h.ports[1].name = (char *)"two0";
	h.config.n_ports = 2;
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	ip("link add guest0 type veth peer name guest1");
	ip("link set guest0 master br0");
	assert_string_equal(find(&net, &h, "two0")->master, "br0");
	assert_true(qb_net_link(&net, "two0")->up);
	/* Who does not name it any more is told that it is there; a guest's is nobody's business.
	 */
	remember(&h);
	h.config.n_ports = 1;
	qb_bridge_plan(&net, &h.config, 1, MACHINE_ID, &h.ledger, &again);
	assert_int_equal(again.n_refused, 1);
	assert_int_equal(again.refused[0].n_reasons, 1);
	assert_string_equal(again.refused[0].reasons[0].code, "has-port");
	assert_non_null(strstr(again.refused[0].reasons[0].evidence, "two0 is a port of br0"));
	ip("link del guest0");
	assert_ok(&h, undo(&h));
	/* It was switched off, and is again. */
	after = state_of_host(&h);
	assert_string_equal(before, after);
	end(&h);
}

static void static_addresses(void **state)
{
	char *addresses[] = {(char *)"192.0.2.20/24"};
	_cleanup_free_ char *before = NULL, *after = NULL;
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *bridge;
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	h.config.ipv4 = (struct qb_ip_config){
		.mode = QB_IP_STATIC, .addresses = {addresses, 1}, .gateway = (char *)"192.0.2.1"};
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	bridge = find(&net, &h, "br0");
	assert_string_equal(bridge->addresses[0].address, "192.0.2.20/24");
	assert_int_equal(bridge->n_addresses, 3);
	assert_int_equal(plan(&h), 0);
	end(&h);
	begin(&h);
	h.config.ipv4 = (struct qb_ip_config){
		.mode = QB_IP_STATIC, .addresses = {addresses, 1}, .gateway = (char *)"192.0.2.1"};
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, undo(&h));
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

/* The kernel has one route for all hops, and takes them off one by one. */
static void a_multipath_route_that_is_not_wanted_goes(void **state)
{
	char *addresses[] = {(char *)"2001:db8::20/64"};
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct host h;

	(void)state;
	begin(&h);
	ip("-6 route del default");
	ip("-6 route add default proto static metric 1024 nexthop via 2001:db8::1 dev up0 "
	   "nexthop via 2001:db8::2 dev up0 weight 3");
	ip("-6 route add 2001:db8:7::/48 nexthop via 2001:db8::1 dev up0 "
	   "nexthop via 2001:db8::2 dev up0");
	h.config.ipv6 = (struct qb_ip_config){.mode = QB_IP_STATIC,
					      .addresses = {addresses, 1},
					      .gateway = (char *)"2001:db8::1"};
	before = state_of_host(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	assert_ok(&h, undo(&h));
	after = state_of_host(&h);
	assert_string_equal(before, after);
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	assert_int_equal(plan(&h), 0);
	end(&h);
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
		_cleanup_free_ char *before = NULL, *after = NULL;
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
		assert_int_equal(plan(&h), 1);
		assert_ok(&h, observe(&h));
		assert_ok(&h, apply(&h));
		assert_ok(&h, verify(&h));
		assert_setting(&h, "ipv6", "accept_ra", "0");
		assert_setting(&h, "ipv6", "autoconf", "0");
		assert_setting(&h, "ipv6", "use_tempaddr", "2");
		assert_setting(&h, "ipv6", "addr_gen_mode", "0");
		assert_ok(&h, undo(&h));
		after = state_of_host(&h);
		assert_string_equal(before, after);
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
	_cleanup_free_ char *before = NULL, *after = NULL;
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
	assert_ok(&h, undo(&h));
	after = state_of_host(&h);
	assert_string_equal(before, after);
	end(&h);
}

/* The same, but nobody remembers having made it: it is somebody's, and stays. */
static void a_bridge_of_others_is_not_taken_for_a_leftover(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	ip("link add br0 address " HOST_MAC " type bridge");
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
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
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
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
		assert_int_equal(plan(&h), 1);
		assert_ok(&h, observe(&h));
		assert_ok(&h, apply(&h));
		assert_ok(&h, verify(&h));
		assert_int_equal(qb_is(&find(&net, &h, "br0")->stp), wanted);
		assert_ok(&h, undo(&h));
		assert_true(qb_is(&find(&later, &h, "br0")->stp));
		end(&h);
	}
}

/* The name is another card's by now, and the old one has another lease. */
static void another_card_of_that_name_is_left_alone(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct host h;

	(void)state;
	begin(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
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
	assert_ok(&h, undo(&h));
	after = state_of_host(&h);
	assert_string_equal(before, after);
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
		assert_int_equal(plan(&h), 1);
		assert_ok(&h, observe(&h));
		assert_ok(&h, apply(&h));
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
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
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
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
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

/* What NetworkManager made of the bridge when it took it over. */
static void a_takeover_is_looked_after(void **state)
{
	static const struct {
		const char *change, *message;
	} cases[] = {
		{"link set br0 up", NULL},
		{"link set br0 down", "br0 is not up"},
		{"link set up0 nomaster", "up0 is not a port of br0"},
		{"-6 addr flush dev br0 scope global",
		 "br0 does not have 2001:db8::10/64 any more"},
		{"route del default", "no inet default route"},
		{"route change default via 192.0.2.77 metric 100", "192.0.2.77 does not answer"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		json_auto_t *args = NULL, *before = NULL;
		enum qb_observed observed;
		char path[SCRATCH_MAX];
		struct host h;
		int r;

		begin(&h);
		assert_int_equal(plan(&h), 1);
		assert_ok(&h, observe(&h));
		assert_ok(&h, apply(&h));
		close(mkstemp(scratch(path)));
		args = json_pack("{s:s, s:[{s:s, s:s}], s:b}", "bridge", "br0", "files", "path",
				 path, "text", "[connection]\n", "running", 1);
		h.ctx.timeout_ms = 200;
		assert_ok(&h,
			  qb_bridge_persist_step.observe(&h.ctx, args, &observed, &before, &h.err));
		/* In place of apply, which would ask NetworkManager: there is none here. */
		write_file(path, "[connection]\n");
		ip("%s", cases[i].change);
		r = qb_bridge_persist_step.verify(&h.ctx, args, before, &h.err);
		if (cases[i].message ? r >= 0 || !strstr(h.err.msg, cases[i].message) : r < 0)
			fail_msg("%s: %d, %s", cases[i].change, r, h.err.msg);
		unlink(path);
		end(&h);
	}
}

static void add_routes(unsigned n)
{
	char path[SCRATCH_MAX];
	int fd = mkstemp(scratch(path));
	FILE *f = fdopen(fd, "w");

	assert_non_null(f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "route add 198.18.%u.%u/32 via 192.0.2.1\n", i / 250, i % 250);
	fclose(f);
	ip("-batch %s", path);
	unlink(path);
}

/* Nearly as many as a plan allows: their answers would not fit into a socket's usual buffer. */
static void many_routes(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct host h;

	(void)state;
	begin(&h);
	add_routes(4000);
	before = state_of_host(&h);
	assert_int_equal(plan(&h), 1);
	assert_ok(&h, observe(&h));
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	assert_ok(&h, undo(&h));
	after = state_of_host(&h);
	assert_string_equal(before, after);
	end(&h);
}

static void without_namespaces(void **state)
{
	(void)state;
	print_error("no network namespace can be made here: nothing was tested\n");
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(the_bridge_is_the_nic_to_others),
		cmocka_unit_test(killed_anywhere),
		cmocka_unit_test(what_changed_since_the_plan_is_seen),
		cmocka_unit_test(a_refused_message_is_named_and_undone),
		cmocka_unit_test(neighbours_that_were_set_by_hand_go_along),
		cmocka_unit_test(a_gateway_that_is_gone_fails_the_move),
		cmocka_unit_test(a_default_gateway_that_nobody_has_fails_the_move),
		cmocka_unit_test(a_gateway_that_was_silent_is_not_asked_for),
		cmocka_unit_test(a_bridge_that_was_there_stays),
		cmocka_unit_test(a_bridge_in_use_is_not_pulled_away),
		cmocka_unit_test(a_bridge_that_somebody_deleted),
		cmocka_unit_test(stp_comes_when_the_port_forwards),
		cmocka_unit_test(several_ports),
		cmocka_unit_test(static_addresses),
		cmocka_unit_test(a_multipath_route_that_is_not_wanted_goes),
		cmocka_unit_test(what_a_killed_run_left_is_made_whole_or_goes),
		cmocka_unit_test(what_had_changed_over_is_not_taken_for_a_leftover),
		cmocka_unit_test(a_bridge_of_others_is_not_taken_for_a_leftover),
		cmocka_unit_test(a_bridge_keeps_its_own_rp_filter),
		cmocka_unit_test(a_bridge_with_stp_takes_a_port),
		cmocka_unit_test(another_card_of_that_name_is_left_alone),
		cmocka_unit_test(a_renamed_card_is_known_again),
		cmocka_unit_test(an_address_that_is_not_ours_any_more_stays_away),
		cmocka_unit_test(a_bridge_that_goes_meanwhile),
		cmocka_unit_test(a_takeover_is_looked_after),
		cmocka_unit_test(many_routes),
	};
	const struct CMUnitTest none[] = {cmocka_unit_test(without_namespaces)};

	if (!may_unshare())
		return cmocka_run_group_tests(none, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
