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
		cmocka_unit_test_setup_teardown(a_pool_is_defined_started_and_undone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nothing_is_mounted_over_what_is_there, setup,
						teardown),
		cmocka_unit_test_setup_teardown(libvirts_words_reach_the_user, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
