/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts made by chance, moved under br0 and back. After the move the kernel has to say the same of
 * the bridge as it said of the NIC, and of everything else what it said before; after the undo all
 * has to be as it was.
 *
 * usage: test_move_random [SEED [COUNT]]: the hosts of SEED and the COUNT - 1 seeds after it
 */
#include "scratch.h"
#include "test_bridge_ns.h"

#include <sys/time.h>

#include "agent/base/root.h"
#include "kernel_state.h"
#include "net/bridge.h"
#include "net/probe.h"
#include "random_host.h"
#include "test_ports_ns.h"

/* So many of a hundred hosts may be refused. */
#define MAX_REFUSED 15
/* So many of a hundred lines may be of no use, as two that collide. */
#define MAX_NOT_TAKEN 10

/* So many hosts tell something of a hundred. */
#define ENOUGH 20

static uint64_t first_seed = 1, n_seeds = 20;

struct tally {
	unsigned refused, moved, failed, objects, with_vlan, with_bond;
	unsigned lines, not_taken;
	struct qb_strs reasons;
};

struct run {
	uint64_t seed;
	struct random_host host;
	bool answers[MAX_BESIDE];
	struct qb_root root;
	struct qb_step_ctx ctx;
	struct qb_plan plan;
	json_t *before;
	struct qb_error err;
};

static void take_family(const char *lines, const char *family, struct qb_buf *ret)
{
	_cleanup_free_ char *copy = qb_strdup(lines);
	char *save = NULL;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		bool any = *l != '-';

		if (any ? !*family : qb_startswith(l, family) && *family)
			qb_buf_printf(ret, "%s\n", any ? l : l + 3);
	}
}

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	for (const char *at = text; at && (at = strstr(at, word)); at++)
		n++;
	return n;
}

/* Returns how many lines the kernel did not take, as one that is there already. */
static unsigned run_batch(const char *family, const char *lines)
{
	const char *ip_path = access("/usr/sbin/ip", X_OK) == 0 ? "/usr/sbin/ip" : "/sbin/ip";
	char path[SCRATCH_MAX], errors[SCRATCH_MAX], text[16 << 10] = "";
	int fd = mkstemp(scratch(path)), out = mkstemp(scratch(errors));
	pid_t pid;

	assert_true(fd >= 0 && out >= 0);
	assert_int_equal(write(fd, lines, strlen(lines)), (ssize_t)strlen(lines));
	pid = fork();
	if (pid == 0) {
		dup2(out, STDERR_FILENO);
		if (*family)
			execl(ip_path, "ip", family, "-force", "-batch", path, NULL);
		else
			execl(ip_path, "ip", "-force", "-batch", path, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(pread(out, text, sizeof(text) - 1, 0) >= 0);
	if (getenv("QB_SHOW"))
		print_message("%s%s", lines, text);
	close(fd);
	close(out);
	unlink(path);
	unlink(errors);
	return count(text, "Command failed");
}

static void configure(const char *lines, struct tally *t)
{
	static const char *const families[] = {"", "-4", "-6"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(families); i++) {
		_cleanup_buf_ struct qb_buf some = {0};

		take_family(lines, families[i], &some);
		if (!some.len)
			continue;
		t->lines += count(some.s, "\n");
		t->not_taken += run_batch(families[i], some.s);
	}
}

static void end(struct run *r)
{
	qb_plan_done(&r->plan);
	json_decref(r->before);
	qb_root_done(&r->root);
	random_host_done(&r->host);
	host_teardown();
}

static int failed(const struct run *r, const char *what, const char *how)
{
	print_error("seed %llu, %s:\n", (unsigned long long)r->seed, what);
	fprintf(stderr, "%s\nof the host:\n%s\n", how, r->host.lines.s);
	return -1;
}

static int compare(const struct run *r, const char *what, const struct qb_strs *before,
		   const struct qb_strs *now)
{
	_cleanup_free_ char *difference = state_difference(before, now);

	return difference ? failed(r, what, difference) : 0;
}

/*
 * What a port has of its own: the link, and the kernel's route of multicast. Neighbours that were
 * set by hand stay known to it, which does no harm.
 */
static void drop_port_lines(struct qb_strs *lines)
{
	size_t n = 0;

	for (size_t i = 0; i < lines->n; i++) {
		bool port = strstr(lines->v[i], "link up0 ") == lines->v[i] ||
			    (strstr(lines->v[i], "proto 2 scope 0 type 5") &&
			     strstr(lines->v[i], "4=up0 ")) ||
			    strstr(lines->v[i], "master up0 ") == lines->v[i] ||
			    strstr(lines->v[i], "neighbour up0 ") == lines->v[i];

		if (port)
			free(lines->v[i]);
		else
			lines->v[n++] = lines->v[i];
	}
	lines->n = n;
}

static bool plan(struct run *r, struct tally *t)
{
	struct qb_port_match port = {.name = (char *)"up0"};
	const struct qb_bridge_config config = {
		.name = (char *)"br0", .ports = &port, .n_ports = 1};
	_cleanup_net_ struct qb_net net = {0};

	qb_net_probe(&r->root, &net);
	assert_true(qb_is(&net.known));
	net.networkmanager_installed = net.networkmanager_running = false;
	qb_bridge_plan(&net, &config, 1, NULL, NULL, &r->plan);
	for (size_t i = 0; r->plan.n_refused && i < r->plan.refused[0].n_reasons; i++)
		qb_strs_addf(&t->reasons, "seed %llu: %s", (unsigned long long)r->seed,
			     r->plan.refused[0].reasons[i].evidence);
	return !r->plan.n_refused;
}

/* How many lines begin with one and have the other. */
static unsigned count_lines(const struct qb_strs *lines, const char *start, const char *has)
{
	unsigned n = 0;

	for (size_t i = 0; i < lines->n; i++)
		n += qb_startswith(lines->v[i], start) && strstr(lines->v[i], has);
	return n;
}

/* Of a NIC in a bond: its state; and those of actor and partner, LACP at the fast rate: in sync,
 * collecting and distributing. */
#define MII_UP " 2=00 "
#define LACP_AGREED " 7=3f 8=3f00"

/*
 * The kernel takes an IPv6 address into use, and gives it its local route, after it was given; a
 * link that is up, and no port, gets its link-local one when its carrier is noticed; and the two
 * ends of a bond have to agree.
 */
static bool is_settled(const struct qb_strs *lines)
{
	const unsigned up = count_lines(lines, "link ", " up ");
	const unsigned link_local = count_lines(lines, "address ", "family 10 /64 scope 253");

	return count_lines(lines, "link ", " up carrier ") == up &&
	       link_local + /* lo */ 1 + count_lines(lines, "master ", "") >= up &&
	       count_lines(lines, "address ", "family 10") <=
		       count_lines(lines, "route 10 /128 tos 0 ff", "type 2") &&
	       count_lines(lines, "master ", " 2=") == count_lines(lines, "master ", MII_UP) &&
	       count_lines(lines, "master ", " 7=") == count_lines(lines, "master ", LACP_AGREED);
}

static struct qb_strs settled(const char *nic)
{
	struct qb_strs lines = kernel_state(nic);

	/* LACP takes seconds. */
	for (int i = 0; i < 10000 && !is_settled(&lines); i++) {
		usleep(1000);
		qb_strs_done(&lines);
		lines = kernel_state(nic);
	}
	return lines;
}

/* Whoever is behind the links that stay. 0, or -1 when one is silent who answered before. */
static int ask_beside(struct run *r, const char *when)
{
	for (unsigned i = 0; i < r->host.n_beside; i++) {
		char gateway[64];

		snprintf(gateway, sizeof(gateway), "198.18.%u.1", r->host.beside[i].net);
		if (!when)
			r->answers[i] = answers(gateway);
		else if (r->answers[i] && !answers(gateway))
			return failed(r, when, gateway);
	}
	return 0;
}

static void gateways(const struct random_host *h)
{
	_cleanup_buf_ struct qb_buf lines = {0};
	char path[SCRATCH_MAX];
	int fd = mkstemp(scratch(path));

	if (h->gateway.s)
		qb_buf_puts(&lines, h->gateway.s);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned n = 1; n <= 2; n++)
			qb_buf_printf(&lines,
				      "addr replace %s.%u/24 dev gw0\n"
				      "addr replace %s::%u/64 dev gw0 nodad\n",
				      nets4[i], n, nets6[i], n);
	qb_buf_puts(&lines, "addr replace fe80::1/64 dev gw0 nodad\n"
			    "addr replace 198.18.77.1/32 dev gw0\n"
			    "addr replace 2001:db8:77::1/128 dev gw0 nodad\n");
	assert_int_equal(write(fd, lines.s, lines.len), (ssize_t)lines.len);
	close(fd);
	ip_on_gateway("-batch %s", path);
	unlink(path);
}

/* 0, or -1 when something was not as it has to be, which is printed. */
static int there_and_back(struct run *r, struct tally *t)
{
	const struct qb_step_kind *step = &qb_bridge_step;
	_cleanup_strs_ struct qb_strs before = {0}, moved = {0}, after = {0};
	enum qb_observed observed;
	const json_t *args;

	configure(r->host.lines.s, t);
	gateways(&r->host);
	before = settled("up0");
	ask_beside(r, NULL);
	t->objects += (unsigned)before.n;
	if (!plan(r, t)) {
		t->refused++;
		return 0;
	}
	t->moved++;
	args = r->plan.steps[0].args;
	if (step->observe(&r->ctx, args, &observed, &r->before, &r->err) < 0)
		return failed(r, "observe", r->err.msg);
	assert_int_equal(observed, QB_OBSERVED_NEEDED);
	if (step->apply(&r->ctx, args, r->before, &r->err) < 0)
		return failed(r, "apply", r->err.msg);
	if (step->verify(&r->ctx, args, r->before, &r->err) < 0)
		return failed(r, "verify", r->err.msg);
	moved = kernel_state("br0");
	drop_port_lines(&moved);
	if (compare(r, "after the move", &before, &moved) < 0 ||
	    ask_beside(r, "silent after the move") < 0)
		return -1;
	if (step->undo(&r->ctx, args, r->before, &r->err) < 0)
		return failed(r, "undo", r->err.msg);
	after = kernel_state("up0");
	if (compare(r, "after the undo", &before, &after) < 0)
		return -1;
	return ask_beside(r, "silent after the undo");
}

static void tell(const struct tally *t, bool can_vlan, bool can_bond)
{
	print_message("seeds %llu to %llu: %u moved and undone, %u refused; %u objects; ",
		      (unsigned long long)first_seed,
		      (unsigned long long)(first_seed + n_seeds - 1), t->moved, t->refused,
		      t->objects);
	if (can_vlan)
		print_message("%u with VLANs, ", t->with_vlan);
	else
		print_message("no VLANs, which this kernel does not make, ");
	if (can_bond)
		print_message("%u with bonds\n", t->with_bond);
	else
		print_message("no bonds, which this kernel does not make\n");
	for (size_t i = 0; i < t->reasons.n; i++)
		print_message("refused: %s\n", t->reasons.v[i]);
	print_message("%u lines, of which the kernel did not take %u\n", t->lines, t->not_taken);
}

static void hosts(void **state)
{
	bool can_vlan = kernel_makes("vlan"), can_bond = kernel_makes("bond");
	struct tally t = {0};

	(void)state;
	for (uint64_t i = 0; i < n_seeds; i++) {
		struct run r = {.seed = first_seed + i, .root = QB_ROOT_INIT};

		host_setup(false);
		write_file("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
		assert_int_equal(qb_root_open("/", &r.root, NULL), 0);
		r.ctx = (struct qb_step_ctx){.root = &r.root, .timeout_ms = 5000};
		r.host.can_vlan = can_vlan;
		r.host.can_bond = can_bond;
		r.host.gateway_pid = gateway_pid;
		random_host(&r.host, r.seed);
		t.with_vlan += r.host.has_vlan;
		t.with_bond += r.host.has_bond;
		if (there_and_back(&r, &t) < 0)
			t.failed++;
		end(&r);
	}
	tell(&t, can_vlan, can_bond);
	qb_strs_done(&t.reasons);
	assert_int_equal(t.failed, 0);
	if (n_seeds < ENOUGH)
		return;
	assert_true(t.not_taken * 100 <= t.lines * MAX_NOT_TAKEN);
	assert_true(t.refused * 100 <= (t.refused + t.moved) * MAX_REFUSED);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(hosts)};

	if (argc > 1)
		first_seed = strtoull(argv[1], NULL, 10);
	if (argc > 1)
		n_seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	return run_in_namespaces(tests);
}
