/* SPDX-License-Identifier: Apache-2.0 */
/* Step net.bridge on real links, in network namespaces. */
#include "scratch.h"
#include "test_bridge_host.h"

#include <net/if.h>
#include <linux/neighbour.h>

#include "net/nl_write.h"

static void there_and_back(void **state)
{
	_cleanup_free_ char *before = NULL;
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
	move_host(&h);
	assert_undone(&h, before);
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
	move_and_verify(&h);
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
		assert_undone(&h, before);
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
	_cleanup_free_ char *before = NULL;
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
	assert_undone(&h, before);
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
	move_host(&h);
	assert_int_equal(set_by_hand("br0", AF_UNSPEC), 2);
	assert_int_equal(set_by_hand("br0", AF_INET | QB_NL_PROXIES), 1);
	assert_ok(&h, undo(&h));
	assert_int_equal(set_by_hand("up0", AF_UNSPEC), 2);
	assert_int_equal(set_by_hand("up0", AF_INET | QB_NL_PROXIES), 1);
	end(&h);
}

static void stp_comes_when_the_port_forwards(void **state)
{
	struct host h;

	(void)state;
	begin(&h);
	h.config.stp = true;
	move_host(&h);
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
	move_and_verify(&h);
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
	_cleanup_free_ char *before = NULL;
	_cleanup_net_ struct qb_net net = {0};
	const struct qb_link *bridge;
	struct host h;

	(void)state;
	begin(&h);
	before = state_of_host(&h);
	h.config.ipv4 = (struct qb_ip_config){
		.mode = QB_IP_STATIC, .addresses = {addresses, 1}, .gateway = (char *)"192.0.2.1"};
	move_and_verify(&h);
	bridge = find(&net, &h, "br0");
	assert_string_equal(bridge->addresses[0].address, "192.0.2.20/24");
	assert_int_equal(bridge->n_addresses, 3);
	assert_int_equal(plan(&h), 0);
	end(&h);
	begin(&h);
	h.config.ipv4 = (struct qb_ip_config){
		.mode = QB_IP_STATIC, .addresses = {addresses, 1}, .gateway = (char *)"192.0.2.1"};
	move_host(&h);
	assert_undone(&h, before);
	end(&h);
}

/* The kernel has one route for all hops, and takes them off one by one. */
static void a_multipath_route_that_is_not_wanted_goes(void **state)
{
	char *addresses[] = {(char *)"2001:db8::20/64"};
	_cleanup_free_ char *before = NULL;
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
	move_and_verify(&h);
	assert_undone(&h, before);
	assert_ok(&h, apply(&h));
	assert_ok(&h, verify(&h));
	assert_int_equal(plan(&h), 0);
	end(&h);
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
	_cleanup_free_ char *before = NULL;
	struct host h;

	(void)state;
	begin(&h);
	add_routes(4000);
	before = state_of_host(&h);
	move_and_verify(&h);
	assert_undone(&h, before);
	end(&h);
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
		cmocka_unit_test(stp_comes_when_the_port_forwards),
		cmocka_unit_test(several_ports),
		cmocka_unit_test(static_addresses),
		cmocka_unit_test(a_multipath_route_that_is_not_wanted_goes),
		cmocka_unit_test(many_routes),
	};

	return run_in_namespaces(tests);
}
