/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of type logical of which a run broke off, in making the group, or in taking it apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/vg_host.h"

static void what_was_begun_is_begun_anew_where_the_journal_knows(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	add_disk(w, "sdc", "QB0000", 100 * GIB);
	mark(w, "sda", QB_MARK_PENDING);
	add_group(w, "vms", QB_VG_PENDING, "/dev/sda1", NULL);
	name_disks(w, "QB0001", "QB0002");
	assert_refused(w, "partition-table", "/dev/sda: its carving for pool vms was begun");
	assert_refused(w, "partition-table", "zero its first and last 4 MiB");
	add_entry(w, "QB0001", "QB0002", false);
	match_disks(w, "2");
	assert_plan(w, true, "sda sdb");
	assert_true(member_is(w, 0, "resume"));
	assert_false(member_is(w, 1, "resume"));
	/* Another group than the pool's has taken the disk in. */
	qb_strs_done(&w->disks.groups[0].tags);
	qb_strset(&w->disks.groups[0].name, "other");
	name_disks(w, "QB0001", "QB0002");
	assert_refused(w, "partition-table", "/dev/sda: its carving");
}

static void a_group_that_was_begun_is_not_begun_on_fewer_disks(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sda", QB_MARK_PENDING);
	mark(w, "sdb", QB_MARK_PENDING);
	add_group(w, "vms", QB_VG_PENDING, "/dev/sda1", "/dev/sdb1");
	add_entry(w, "QB0001", "QB0002", false);
	name_disks(w, "QB0001", NULL);
	assert_refused(w, "volume-group", "was begun on 2 disks");
	w->pools[0].n_disks = 0;
	assert_refused(w, "volume-group", "no disks are given to go on with");
}

static void what_the_group_took_in_is_only_marked(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sda", QB_MARK_READY);
	mark(w, "sdb", QB_MARK_PENDING);
	add_group(w, "vms", QB_VG_READY, "/dev/sda1", "/dev/sdb1");
	add_entry(w, "QB0001", "QB0002", false);
	name_disks(w, "QB0001", "QB0002");
	assert_plan(w, false, "sdb");
	assert_true(member_is(w, 0, "commit"));
	assert_false(member_is(w, 0, "resume"));
	assert_non_null(strstr(w->plan.steps[0].why, "mark is written anew: /dev/sdb"));
	/* Somebody made a volume since, which is none of an unfinished carving. */
	disk(w, "sdb")->mark.only = false;
	assert_plan(w, false, "sdb");
	assert_true(member_is(w, 0, "commit"));
	/* Its table was torn: the kernel, and so LVM, does not see it. */
	mark(w, "sdb", QB_MARK_COMMITTING);
	hide(w, "sdb");
	add_disk(w, "sdc", "QB0003", 100 * GIB);
	match_disks(w, "all");
	assert_plan(w, false, "sdb");
	/* The same where a rollback broke off, whose table says pending. */
	mark(w, "sdb", QB_MARK_PENDING);
	assert_plan(w, false, "sdb");
	assert_true(member_is(w, 0, "commit"));
	/* LVM was told not to look at it. */
	mark(w, "sdb", QB_MARK_READY);
	assert_refused(w, "degraded", "vms lacks 1 of its physical volumes");
	mark(w, "sdb", QB_MARK_PENDING);
	/* Without disks nobody may mend it. */
	w->pools[0].n_disks = 0;
	assert_refused(w, "degraded", "vms lacks 1 of its physical volumes");
	match_disks(w, "all");
	/* Another machine's. */
	disk(w, "sdb")->mark.ours = false;
	assert_refused(w, "degraded", "vms lacks 1 of its physical volumes");
	disk(w, "sdb")->mark.ours = true;
	/* Another one is gone for good: that would not be mended by it. */
	w->disks.groups[0].missing = 2;
	assert_refused(w, "degraded", "vms lacks 2 of its physical volumes");
}

/* It was to be an extension's, and LVM misses another disk than this one. */
static void what_the_group_never_had_is_not_taken_for_what_it_lacks(void **state)
{
	struct world *w = *state;
	struct qb_volume_group *g;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sda", QB_MARK_READY);
	mark(w, "sdb", QB_MARK_PENDING);
	g = add_group(w, "vms", QB_VG_READY, "/dev/sda1", NULL);
	g->missing = 1;
	qb_strs_add(&g->missing_uuids, "ABCDEF-0123-4567-89ab-cdef-0123-456789");
	add_entry(w, "QB0001", "QB0002", false);
	name_disks(w, "QB0001", "QB0002");
	assert_refused(w, "degraded", "vms lacks 1 of its physical volumes");
}

/* A cut tore LVM's copy on one disk: LVM goes by the other's, and leaves it so. */
static void a_description_that_lvm_cannot_read_is_written_anew(void **state)
{
	struct world *w = *state;
	struct qb_volume_group *g;
	struct qb_physical_volume *v;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sda", QB_MARK_READY);
	mark(w, "sdb", QB_MARK_READY);
	g = add_group(w, "vms", QB_VG_READY, "/dev/sda1", "/dev/sdb1");
	v = QB_APPEND(g->sizes, g->n_sizes);
	v->path = qb_strdup("/dev/sdb1");
	add_entry(w, "QB0001", "QB0002", true);
	name_disks(w, "QB0001", "QB0002");
	assert_plan(w, false, NULL);
	v->unread = true;
	assert_plan(w, false, "sdb");
	assert_true(member_is(w, 0, "commit"));
	assert_non_null(strstr(w->plan.steps[0].why, "LVM cannot read the description"));
	/* Of a group that is somebody else's nothing is written. */
	qb_strs_done(&g->tags);
	assert_plan(w, false, NULL);
}

/* Broken off twice: the second run had wiped one of its disks, and not yet the other. */
static void of_a_group_that_was_begun_nothing_is_missed(void **state)
{
	struct world *w = *state;
	struct qb_volume_group *g;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sdb", QB_MARK_PENDING);
	g = add_group(w, "vms", QB_VG_PENDING, NULL, "/dev/sdb1");
	g->missing = 1;
	add_entry(w, "QB0001", "QB0002", false);
	name_disks(w, "QB0001", "QB0002");
	assert_plan(w, true, "sda sdb");
	assert_true(member_is(w, 1, "resume"));
	name_disks(w, "QB0002", NULL);
	assert_refused(w, "volume-group", "was begun on 2 disks");
}

/* The kernel was told to forget the partition, and LVM does not list what is still there. */
static void what_lvm_does_not_list_is_begun_anew_where_it_is_ours(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	mark(w, "sda", QB_MARK_PENDING);
	qb_disk_reason(disk(w, "sda"), "foreign-pv", "it holds an LVM physical volume");
	qb_tri_set(&w->disks.lvm, true);
	add_entry(w, "QB0001", "QB0001", false);
	name_disks(w, "QB0001", NULL);
	assert_plan(w, true, "sda");
	assert_true(member_is(w, 0, "resume"));
	qb_strset(&disk(w, "sda")->partitions[0].fs_uuid, "ABCDEF-0123-4567-89ab-cdef-0123-456789");
	assert_refused(w, "foreign-pv", "/dev/sda: it holds an LVM physical volume");
}

/* It was done, and an undo of it broke off, which had seen that nothing of anybody's is on it. */
static void what_was_being_undone_is_begun_anew(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sda", QB_MARK_PENDING);
	qb_tri_set(&w->disks.lvm, true);
	add_entry(w, "QB0001", "QB0002", true);
	name_disks(w, "QB0001", "QB0002");
	assert_refused(w, "partition-table", "/dev/sda: its carving for pool vms was begun");
	w->ledger.entries[0].undoing = true;
	assert_plan(w, true, "sda sdb");
	assert_true(member_is(w, 0, "resume"));
}

/* Where the pool's group is, nobody is told to wipe what may be a part of it. */
static void with_a_group_the_advice_is_to_look(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sda", QB_MARK_READY);
	mark(w, "sdb", QB_MARK_PENDING);
	disk(w, "sdb")->mark.only = false;
	add_group(w, "vms", QB_VG_READY, "/dev/sda1", NULL);
	name_disks(w, "QB0001", "QB0002");
	assert_refused(w, "partition-table", "pvs(8) tells whether the disk is in it");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_group, teardown)
	const struct CMUnitTest tests[] = {
		T(what_was_begun_is_begun_anew_where_the_journal_knows),
		T(with_a_group_the_advice_is_to_look),
		T(a_group_that_was_begun_is_not_begun_on_fewer_disks),
		T(what_the_group_took_in_is_only_marked),
		T(what_the_group_never_had_is_not_taken_for_what_it_lacks),
		T(a_description_that_lvm_cannot_read_is_written_anew),
		T(of_a_group_that_was_begun_nothing_is_missed),
		T(what_lvm_does_not_list_is_begun_anew_where_it_is_ours),
		T(what_was_being_undone_is_begun_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
