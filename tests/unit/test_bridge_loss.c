/* SPDX-License-Identifier: Apache-2.0 */
/* Frames lost while the host's NIC goes under a bridge and comes back, both families. */
#include "test_bridge_ns.h"
#include "test_ports_ns.h"

#include <stdlib.h>
#include <time.h>

#include "agent/base/root.h"
#include "net/bridge.h"
#include "net/probe.h"

/* An answer that has not come by then is lost. */
#define LATE_US 5000000

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int client(int family)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(ECHO_PORT)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(ECHO_PORT)};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr);
	inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
	if (fd < 0 ||
	    connect(fd, family == AF_INET6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
		    family == AF_INET6 ? sizeof(in6) : sizeof(in)) < 0)
		_exit(3);
	give_room(fd);
	return fd;
}

struct loss {
	unsigned sent[2], lost[2], refused[2];
	int64_t worst_us[2];
};

/* One probe of each family every interval_us, n times; then waits for what is under way. */
static void run_prober(unsigned n, unsigned interval_us, int out)
{
	int fd[2] = {client(AF_INET), client(AF_INET6)};
	unsigned char *seen[2] = {calloc(n, 1), calloc(n, 1)};
	int64_t *sent_at = calloc(n, sizeof(*sent_at));
	struct loss loss = {0};
	int64_t start = now_us(), end = INT64_MAX;
	unsigned next = 0, missing = 2 * n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int64_t now = start; now < end && missing; now = now_us()) {
		if (next < n && now >= start + (int64_t)next * interval_us) {
			sent_at[next] = now;
			for (int i = 0; i < 2; i++) {
				loss.sent[i]++;
				if (send(fd[i], &next, sizeof(next), 0) < 0)
					loss.refused[i]++;
			}
			if (++next == n)
				end = now + LATE_US;
		}
		for (int i = 0; i < 2; i++) {
			unsigned which;

			while (recv(fd[i], &which, sizeof(which), 0) == (ssize_t)sizeof(which)) {
				int64_t took = now_us() - sent_at[which];

				missing -= !seen[i][which];
				seen[i][which] = 1;
				if (took > loss.worst_us[i])
					loss.worst_us[i] = took;
			}
		}
		usleep(interval_us > 400 ? 100 : 1);
	}
	for (unsigned k = 0; k < n; k++)
		for (int i = 0; i < 2; i++)
			loss.lost[i] += !seen[i][k];
	_exit(write(out, &loss, sizeof(loss)) == (ssize_t)sizeof(loss) ? 0 : 1);
}

static unsigned number(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* onto: what makes another host of it; NULL for one with its addresses on a NIC. */
static void lose_none(const char *rp_filter, void (*onto)(void), bool filtering)
{
	struct qb_port_match match = {.match = (char *)"default-route"};
	struct qb_bridge_config config = {.name = (char *)"br0", .ports = &match, .n_ports = 1};
	unsigned n = number("QB_PROBES", 1500), interval = number("QB_PROBE_US", 1000);
	struct qb_step_ctx ctx = {.timeout_ms = 5000};
	_cleanup_root_ struct qb_root root = QB_ROOT_INIT;
	struct qb_error err = QB_ERROR_INIT;
	_cleanup_plan_ struct qb_plan plan = {0};
	_cleanup_net_ struct qb_net net = {0};
	json_auto_t *before = NULL;
	enum qb_observed observed;
	struct loss loss;
	int out[2], status;
	int64_t t0, t1, t2;
	pid_t pid;

	config.vlan_filtering = filtering;
	match.pvid = -1;
	host_setup(true);
	if (onto)
		onto();
	write_file("/proc/sys/net/ipv4/conf/all/rp_filter", rp_filter);
	assert_int_equal(qb_root_open("/", &root, NULL), 0);
	ctx.root = &root;
	qb_net_probe(&root, &net);
	net.networkmanager_installed = net.networkmanager_running = false;
	qb_bridge_plan(&net, &config, 1, NULL, NULL, &plan);
	for (size_t i = 0; i < plan.n_refused; i++)
		print_error("%s\n", plan.refused[i].reasons[0].evidence);
	assert_int_equal(plan.n_refused, 0);
	assert_int_equal(plan.n_steps, 1);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		run_prober(n, interval, out[1]);
	usleep((useconds_t)((uint64_t)n * interval / 3));
	if (qb_bridge_step.observe(&ctx, plan.steps[0].args, &observed, &before, &err) < 0)
		fail_msg("observe: %s", err.msg);
	t0 = now_us();
	if (qb_bridge_step.apply(&ctx, plan.steps[0].args, before, &err) < 0)
		fail_msg("apply: %s", err.msg);
	t1 = now_us();
	if (qb_bridge_step.verify(&ctx, plan.steps[0].args, before, &err) < 0)
		fail_msg("verify: %s", err.msg);
	t2 = now_us();
	usleep((useconds_t)((uint64_t)n * interval / 3));
	if (qb_bridge_step.undo(&ctx, plan.steps[0].args, before, &err) < 0)
		fail_msg("undo: %s", err.msg);
	assert_int_equal(read(out[0], &loss, sizeof(loss)), (ssize_t)sizeof(loss));
	waitpid(pid, &status, 0);
	print_message("apply %lld us, verify %lld us\n", (long long)(t1 - t0),
		      (long long)(t2 - t1));
	for (int i = 0; i < 2; i++)
		print_message("IPv%d: %u of %u lost (%u refused), slowest answer %lld us\n",
			      i ? 6 : 4, loss.lost[i], loss.sent[i], loss.refused[i],
			      (long long)loss.worst_us[i]);
	close(out[0]);
	close(out[1]);
	host_teardown();
	assert_int_equal(loss.sent[0], n);
	assert_int_equal(loss.lost[0], 0);
	assert_int_equal(loss.lost[1], 0);
}

static void no_frame_is_lost(void **state)
{
	(void)state;
	lose_none("0", NULL, false);
}

/* What holds for all links holds for a bridge, too, however strict that is itself. */
static void nor_where_paths_are_checked(void **state)
{
	(void)state;
	lose_none("1", NULL, false);
}

static void nor_from_a_vlan(void **state)
{
	(void)state;
	if (!can_make("vlan"))
		skip();
	lose_none("1", onto_a_vlan, false);
}

static void nor_from_a_bond(void **state)
{
	(void)state;
	if (!can_make("bond"))
		skip();
	lose_none("1", onto_a_bond, false);
}

static void nor_where_the_bridge_filters_vlans(void **state)
{
	(void)state;
	if (!can_filter())
		skip();
	lose_none("0", NULL, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_frame_is_lost),
		cmocka_unit_test(nor_where_paths_are_checked),
		cmocka_unit_test(nor_from_a_vlan),
		cmocka_unit_test(nor_from_a_bond),
		cmocka_unit_test(nor_where_the_bridge_filters_vlans),
	};

	return run_in_namespaces(tests);
}
