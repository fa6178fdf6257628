/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registering steps against libvirt's own test driver: real API calls, no host touched. It
 * keeps one state per process and connection, so that a connection is held over each test. Its
 * pools take no build and mount nothing: carving and mounting are tested on real disks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <ftw.h>
#include <cmocka.h>

#include "agent/host/libvirt_conn.h"
#include "agent/host/plan.h"
#include "tests/unit/scratch.h"

static virConnectPtr held;
static struct qb_root root;
static char top[SCRATCH_MAX];

static int setup(void **state)
{
	(void)state;
	scratch(top);
	assert_non_null(mkdtemp(top));
	assert_int_equal(qb_root_open(top, &root, NULL), 0);
	return qb_vir_open("test:///default", 5000, &held, NULL);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	virConnectClose(held);
	qb_root_done(&root);
	return nftw(top, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct qb_step_ctx ctx = {&root, "test:///default", 1000, "machine"};

static json_t *observe(const struct qb_step_kind *kind, const json_t *args, enum qb_observed want)
{
	enum qb_observed seen;
	struct qb_error err = QB_ERROR_INIT;
	json_t *before = NULL;
	int r = kind->observe(&ctx, args, &seen, &before, &err);

	if (r < 0)
		print_error("%s\n", err.msg);
	assert_int_equal(r, 0);
	assert_int_equal(seen, want);
	return before;
}

static void there_and_back(const struct qb_step_kind *kind, const json_t *args)
{
	struct qb_error err = QB_ERROR_INIT;
	json_auto_t *before = observe(kind, args, QB_OBSERVED_NEEDED), *again = NULL, *after = NULL;
	int r;

	assert_true(kind->verify(&ctx, args, before, NULL) < 0);
	r = kind->apply(&ctx, args, before, &err);
	if (r < 0)
		print_error("%s\n", err.msg);
	assert_int_equal(r, 0);
	assert_int_equal(kind->verify(&ctx, args, before, &err), 0);
	again = observe(kind, args, QB_OBSERVED_DONE);
	assert_int_equal(kind->undo(&ctx, args, before, &err), 0);
	/* Undo is called after a crash, too, when there may be nothing left to undo. */
	assert_int_equal(kind->undo(&ctx, args, before, &err), 0);
	after = observe(kind, args, QB_OBSERVED_NEEDED);
	assert_true(json_equal(before, after));
}

static void a_network_is_defined_started_and_undone(void **state)
{
	json_auto_t *args = json_pack("{s:s, s:s}", "name", "host-bridge", "xml",
				      "<network><name>host-bridge</name><forward mode='bridge'/>"
				      "<bridge name='br0'/></network>");

	(void)state;
	there_and_back(&qb_network_step, args);
}

/* Only what is missing is done to one that is there, and only that is undone. */
static void a_network_that_is_there_is_only_started(void **state)
{
	json_auto_t *args =
		json_pack("{s:s, s:s}", "name", "default", "xml", "<must-not-be-used/>");
	virNetworkPtr network = virNetworkLookupByName(held, "default");
	char uuid[VIR_UUID_STRING_BUFLEN], after[VIR_UUID_STRING_BUFLEN];
	virNetworkPtr same;

	(void)state;
	assert_non_null(network);
	assert_int_equal(virNetworkGetUUIDString(network, uuid), 0);
	assert_int_equal(virNetworkDestroy(network), 0);
	there_and_back(&qb_network_step, args);
	same = virNetworkLookupByName(held, "default");
	assert_non_null(same);
	assert_int_equal(virNetworkGetUUIDString(same, after), 0);
	assert_string_equal(uuid, after);
	virNetworkFree(network);
	virNetworkFree(same);
}

#define NETWORK(inside)                                                                            \
	"<network><name>guests</name><uuid>00005e00-5300-4000-8000-000000000001</uuid>"            \
	"<forward mode='nat'/><bridge name='virbr7' stp='on' delay='0'/>" inside "</network>"
#define IP(dhcp) "<ip address='198.51.100.1' prefix='24'><dhcp>" dhcp "</dhcp></ip>"
#define RANGE "<range start='198.51.100.100' end='198.51.100.200'/>"
#define HOST(mac, name, ip)                                                                        \
	"<host mac='00:00:5e:00:53:" mac "' name='" name "' ip='198.51.100." ip "'/>"
#define BEFORE                                                                                     \
	NETWORK("<dns><host ip='198.51.100.5'><hostname>a</hostname></host></dns>" IP(             \
		RANGE HOST("01", "one", "11") HOST("02", "two", "12") HOST("03", "three", "13")))

static virNetworkPtr make_network(const char *xml, bool active)
{
	virNetworkPtr network = virNetworkDefineXML(held, xml);

	assert_non_null(network);
	if (active)
		assert_int_equal(virNetworkCreate(network), 0);
	return network;
}

static char *dumped(void)
{
	virNetworkPtr network = virNetworkLookupByName(held, "guests");
	char *xml;

	assert_non_null(network);
	xml = virNetworkGetXMLDesc(network, 0);
	assert_non_null(xml);
	virNetworkFree(network);
	return xml;
}

static json_t *args_of(const char *xml, bool restart)
{
	return json_pack("{s:s, s:s, s:[s, s, s, s, s], s:b, s:b}", "name", "guests", "xml", xml,
			 "keys", "address", "domain", "dhcp.ranges", "dhcp.hosts", "dns.hosts",
			 "autostart", false, "restart", restart);
}

/* Items are added only at the end of a list, and yet undo has them where they were. */
static void a_network_that_runs_is_changed_and_undone(void **state)
{
	json_auto_t *args = args_of(
		NETWORK("<dns><host ip='198.51.100.6'><hostname>b</hostname></host></dns>" IP(
			"<range start='198.51.100.50' end='198.51.100.60'/>" HOST("02", "two", "12")
				HOST("01", "one", "21") HOST("04", "four", "14"))),
		false);
	_cleanup_free_ char *before = NULL, *changed = NULL, *after = NULL;
	virNetworkPtr network = make_network(BEFORE, true);

	(void)state;
	before = dumped();
	{
		struct qb_error err = QB_ERROR_INIT;
		json_auto_t *was = observe(&qb_network_step, args, QB_OBSERVED_NEEDED);

		assert_int_equal(qb_network_step.apply(&ctx, args, was, &err), 0);
		changed = dumped();
		assert_int_equal(qb_network_step.verify(&ctx, args, was, &err), 0);
		/* As when apply was killed behind its last update, and is done once more. */
		assert_int_equal(qb_network_step.apply(&ctx, args, was, &err), 0);
		assert_int_equal(qb_network_step.undo(&ctx, args, was, &err), 0);
	}
	after = dumped();
	assert_non_null(strstr(changed, "name='one' ip='198.51.100.21'"));
	assert_null(strstr(changed, "name='three'"));
	assert_string_equal(before, after);
	virNetworkFree(network);
}

/* From each of the states that a killed apply, or undo, may leave behind. Defined anew while it
 * runs, a network of this driver is not what it is started with next: a restart, of what cannot be
 * updated, is for a real libvirtd. */
static void undo_copes_with_any_part_of_it(void **state)
{
	static const char *const left[] = {
		BEFORE,
		NETWORK(IP("")),
		NETWORK(IP(RANGE HOST("03", "three", "13"))),
		NETWORK("<dns><host ip='198.51.100.6'><hostname>b</hostname></host></dns>" IP(
			HOST("03", "one", "12") HOST("02", "three", "11"))),
	};
	json_auto_t *args = args_of(NETWORK("<domain name='x.example'/>" IP("")), true);

	(void)state;
	for (size_t i = 0; i < 4 * QB_ARRAY_SIZE(left); i++) {
		bool was_active = i & 1, is_active = i & 2;
		virNetworkPtr network = make_network(BEFORE, was_active), again;
		_cleanup_free_ char *before = dumped(), *after = NULL;
		struct qb_error err = QB_ERROR_INIT;
		json_auto_t *was = observe(&qb_network_step, args, QB_OBSERVED_NEEDED);

		if (was_active)
			assert_int_equal(virNetworkDestroy(network), 0);
		again = make_network(left[i / 4], is_active);
		if (qb_network_step.undo(&ctx, args, was, &err) < 0)
			fail_msg("%zu: %s", i, err.msg);
		after = dumped();
		if (strcmp(before, after) != 0)
			fail_msg("%zu: %s", i, after);
		assert_int_equal(virNetworkIsActive(network), was_active);
		if (was_active)
			assert_int_equal(virNetworkDestroy(network), 0);
		assert_int_equal(virNetworkUndefine(network), 0);
		virNetworkFree(network);
		virNetworkFree(again);
	}
}

/* The plan said nothing of a restart: what calls for one has come since. */
static void no_network_is_restarted_unsaid(void **state)
{
	json_auto_t *args = args_of(NETWORK("<domain name='x.example'/>" IP("")), false);
	virNetworkPtr network = make_network(BEFORE, true);
	_cleanup_free_ char *before = dumped(), *after = NULL;
	struct qb_error err = QB_ERROR_INIT;
	enum qb_observed seen;
	json_t *was = NULL;

	(void)state;
	assert_int_equal(qb_network_step.observe(&ctx, args, &seen, &was, &err), -ESTALE);
	assert_non_null(strstr(err.msg, "would have to be restarted"));
	assert_int_equal(qb_network_step.apply(&ctx, args, NULL, &err), -ESTALE);
	after = dumped();
	assert_string_equal(before, after);
	virNetworkFree(network);
}

/* When the plan was made nobody could be asked. */
static void hosts_that_nobody_spoke_of_are_not_dropped(void **state)
{
	json_auto_t *args = json_pack("{s:s, s:s, s:[s], s:b}", "name", "guests", "xml",
				      NETWORK("<ip address='203.0.113.1' prefix='24'/>"), "keys",
				      "address", "restart", 1);
	virNetworkPtr network = make_network(BEFORE, false);
	struct qb_error err = QB_ERROR_INIT;
	enum qb_observed seen;
	json_t *was = NULL;

	(void)state;
	assert_int_equal(qb_network_step.observe(&ctx, args, &seen, &was, &err), -ESTALE);
	assert_non_null(strstr(err.msg, "DHCP hosts of it that the configuration says nothing of"));
	virNetworkFree(network);
}

/* As its journal has it. */
static void a_step_of_an_earlier_version_is_undone(void **state)
{
	json_auto_t *args = json_pack("{s:s, s:s}", "name", "guests", "xml", "<network/>");
	json_auto_t *was = json_pack("{s:b, s:b, s:b}", "exists", 1, "active", 0, "autostart", 0);
	virNetworkPtr network = make_network(BEFORE, true);

	(void)state;
	assert_int_equal(virNetworkSetAutostart(network, 1), 0);
	assert_int_equal(qb_network_step.undo(&ctx, args, was, NULL), 0);
	assert_int_equal(virNetworkIsActive(network), 0);
	virNetworkFree(network);
}

static void a_pool_is_defined_started_and_undone(void **state)
{
	json_auto_t *args = json_pack("{s:s, s:s, s:s, s:s}", "name", "iso", "type", "dir",
				      "target", "/srv/iso", "xml",
				      "<pool type='dir'><name>iso</name>"
				      "<target><path>/srv/iso</path></target></pool>");
	struct stat st;

	(void)state;
	there_and_back(&qb_pool_step, args);
	/* The directory came and went with it. */
	assert_false(qb_root_exists(&root, "/srv/iso"));
	assert_int_equal(qb_root_mkdir(&root, "/srv/iso", 0750, NULL), 0);
	there_and_back(&qb_pool_step, args);
	assert_int_equal(qb_root_stat(&root, "/srv/iso", false, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
}

static void nothing_is_mounted_over_what_is_there(void **state)
{
	json_auto_t *args =
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", "images", "type", "fs", "target",
			  "/srv/images", "source", "/dev/example", "xml", "<pool type='fs'/>");
	json_auto_t *empty = NULL, *full = NULL, *missing = NULL;
	struct qb_error err = QB_ERROR_INIT;
	enum qb_observed seen;

	(void)state;
	missing = observe(&qb_pool_step, args, QB_OBSERVED_NEEDED);
	assert_int_equal(qb_root_mkdir(&root, "/srv/images", 0755, NULL), 0);
	empty = observe(&qb_pool_step, args, QB_OBSERVED_NEEDED);
	assert_int_equal(qb_root_write(&root, "/srv/images/guest.img", 0600, "x", 1, NULL), 0);
	assert_int_equal(qb_pool_step.observe(&ctx, args, &seen, &full, &err), -ESTALE);
	assert_non_null(strstr(err.msg, "/srv/images is not empty (guest.img)"));
}

/* This driver's pools have no file system, and stay as large as they say: that is found out. */
static void a_pool_is_refreshed_while_it_runs(void **state)
{
	json_auto_t *args =
		json_pack("{s:s, s:s}", "name", "default-pool", "target", "/default-pool");
	json_auto_t *unknown = json_pack("{s:s, s:s}", "name", "x", "target", "/x"), *before = NULL;
	json_auto_t *nameless = json_pack("{s:s}", "name", "default-pool"), *none = NULL;
	virStoragePoolPtr pool = virStoragePoolLookupByName(held, "default-pool");
	const struct qb_step_kind *kind = &qb_refresh_step;
	struct qb_error err = QB_ERROR_INIT;
	enum qb_observed seen;

	(void)state;
	assert_non_null(pool);
	none = observe(kind, unknown, QB_OBSERVED_DONE);
	assert_int_equal(kind->observe(&ctx, nameless, &seen, &none, &err), -EINVAL);
	assert_int_equal(kind->observe(&ctx, args, &seen, &none, &err), -ENOENT);
	assert_int_equal(qb_root_mkdir(&root, "/default-pool", 0755, NULL), 0);
	before = observe(kind, args, QB_OBSERVED_NEEDED);
	assert_int_equal(kind->apply(&ctx, args, before, &err), 0);
	assert_int_equal(kind->verify(&ctx, args, before, &err), -EIO);
	assert_non_null(strstr(err.msg, "which /default-pool has not"));
	assert_int_equal(kind->undo(&ctx, args, before, &err), 0);
	assert_int_equal(virStoragePoolDestroy(pool), 0);
	none = observe(kind, args, QB_OBSERVED_DONE);
	assert_int_equal(kind->verify(&ctx, args, NULL, &err), 0);
	virStoragePoolFree(pool);
}

static void libvirts_words_reach_the_user(void **state)
{
	json_auto_t *args = json_pack("{s:s, s:s}", "name", "x", "xml", "<network>");
	json_auto_t *before = observe(&qb_network_step, args, QB_OBSERVED_NEEDED);
	struct qb_step_ctx nowhere = {&root, "test:///no/such/file", 1000, "machine"};
	struct qb_error err = QB_ERROR_INIT;

	(void)state;
	assert_true(qb_network_step.apply(&ctx, args, before, &err) < 0);
	assert_non_null(strstr(err.msg, "network x: cannot define it: "));
	assert_true(qb_network_step.apply(&nowhere, args, before, &err) < 0);
	assert_non_null(strstr(err.msg, "test:///no/such/file: cannot connect to libvirt: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_network_is_defined_started_and_undone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_network_that_is_there_is_only_started, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_network_that_runs_is_changed_and_undone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(undo_copes_with_any_part_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(no_network_is_restarted_unsaid, setup, teardown),
		cmocka_unit_test_setup_teardown(hosts_that_nobody_spoke_of_are_not_dropped, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_step_of_an_earlier_version_is_undone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_pool_is_defined_started_and_undone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nothing_is_mounted_over_what_is_there, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_pool_is_refreshed_while_it_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(libvirts_words_reach_the_user, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
