/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of type logical: which disks, what becomes of the group, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/vg_host.h"

static void named_disks_become_one_group(void **state)
{
	struct world *w = *state;
	const json_t *args;

	add_disk(w, "sda", "QB0002", 100 * GIB);
	add_disk(w, "sdb", "QB0001", 100 * GIB);
	add_disk(w, "sdc", "QB0003", 100 * GIB);
	name_disks(w, "QB0002", "QB0001");
	assert_plan(w, true, "sda sdb");
	args = w->plan.steps[0].args;
	assert_string_equal(qb_arg(args, "group"), "vms");
	assert_true(qb_startswith(qb_arg(args, "tag"), "qubi.pool="));
	assert_non_null(strstr(w->plan.steps[0].why, "/dev/sda (100 GiB, QB0002) and /dev/sdb"));
	w->pools[0].volume_group = TEXT("guests");
	plan(w);
	assert_string_equal(qb_arg(w->plan.steps[0].args, "group"), "guests");
}

static void a_count_takes_so_many_whatever_the_kernel_calls_them(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0003", 100 * GIB);
	add_disk(w, "sdb", "QB0001", 100 * GIB);
	add_disk(w, "sdc", "QB0002", 100 * GIB);
	match_disks(w, "2");
	assert_plan(w, true, "sdb sdc");
	match_disks(w, "4");
	assert_refused(w, "no-match",
		       "4 disks, at least 1 GiB: only 3 of the 3 disks here will do");
}

static void all_leaves_out_what_is_refused_and_says_so(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB)->available = false;
	qb_disk_reason(disk(w, "sdb"), "mounted", "/dev/sdb1 on /srv");
	add_disk(w, "sdc", "QB0003", 100 * GIB);
	add_disk(w, "sdd", "QB0004", 100 * GIB)->size_bytes = GIB / 2;
	match_disks(w, "all");
	assert_plan(w, true, "sda sdc");
	assert_non_null(strstr(w->plan.steps[0].why, "not taken: /dev/sdb (mounted)"));
	assert_null(strstr(w->plan.steps[0].why, "sdd"));
	for (size_t i = 0; i < 3; i += 2)
		qb_disk_reason(&w->disks.disks[i], "swap", "in use");
	assert_refused(w, "no-match", "all disks, at least 1 GiB: none of the 4 disks");
}

static void names_and_matches_go_together(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	qb_tri_set(&add_disk(w, "sdb", "QB0002", 100 * GIB)->rotational, true);
	add_disk(w, "sdc", "QB0003", 100 * GIB);
	name_disks(w, "QB0003", "QB0001");
	w->selectors[1] = (struct qb_disk_selector){.has_match = true};
	qb_tri_set(&w->selectors[1].match.rotational, true);
	assert_plan(w, true, "sdc sdb");
	name_disks(w, "QB0003", "QB0003");
	assert_refused(w, "claimed",
		       "/dev/sdc, the disk with serial number QB0003, is named twice");
}

static void one_refused_member_refuses_all(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	qb_disk_reason(disk(w, "sdb"), "signature", "ext4");
	name_disks(w, "QB0001", "QB0002");
	assert_refused(w, "signature", "/dev/sdb: ext4");
	name_disks(w, "QB0001", "QB0009");
	assert_refused(w, "no-match", "QB0009 is not here");
}

static void members_have_one_size_of_sectors(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB)->logical_sector_bytes = 4096;
	name_disks(w, "QB0001", "QB0002");
	assert_refused(w, "sector-size", "/dev/sdb has sectors of 4096 bytes");
}

static void a_whole_group_needs_no_step(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sda", QB_MARK_READY);
	mark(w, "sdb", QB_MARK_READY);
	add_group(w, "vms", QB_VG_READY, "/dev/sda1", "/dev/sdb1");
	add_entry(w, "QB0001", "QB0002", true);
	name_disks(w, "QB0001", "QB0002");
	assert_plan(w, false, NULL);
	match_disks(w, "2");
	assert_plan(w, false, NULL);
	/* It is never reduced. */
	match_disks(w, "1");
	assert_plan(w, false, NULL);
	name_disks(w, "QB0001", NULL);
	assert_plan(w, false, NULL);
}

static void more_disks_extend_it_when_the_selector_says_so(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0002", 100 * GIB);
	add_disk(w, "sdb", "QB0003", 100 * GIB);
	add_disk(w, "sdc", "QB0001", 100 * GIB);
	mark(w, "sda", QB_MARK_READY);
	add_group(w, "vms", QB_VG_READY, "/dev/sda1", NULL);
	add_entry(w, "QB0002", "QB0009", true);
	match_disks(w, "1");
	assert_plan(w, false, NULL);
	match_disks(w, "2");
	assert_plan(w, false, "sdc");
	assert_non_null(strstr(w->plan.steps[0].why, "for the volume group vms"));
	match_disks(w, "all");
	assert_plan(w, false, "sdc sdb");
	name_disks(w, "QB0002", "QB0003");
	assert_plan(w, false, "sdb");
}

static void a_group_that_lacks_disks_is_left_alone(void **state)
{
	struct world *w = *state;
	struct qb_volume_group *g;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdc", "QB0003", 100 * GIB);
	mark(w, "sda", QB_MARK_READY);
	g = add_group(w, "vms", QB_VG_READY, "/dev/sda1", NULL);
	g->missing = 1;
	add_entry(w, "QB0001", "QB0002", true);
	match_disks(w, "2");
	assert_refused(w, "degraded", "vms lacks 1 of its physical volumes");
	w->pools[0].n_disks = 0;
	assert_refused(w, "degraded", "vms lacks 1");
}

static void no_other_disks_take_a_lost_groups_place(void **state)
{
	struct world *w = *state;

	add_disk(w, "sdc", "QB0003", 100 * GIB);
	add_disk(w, "sdd", "QB0004", 100 * GIB);
	add_entry(w, "QB0001", "QB0002", true);
	match_disks(w, "2");
	assert_refused(w, "no-match", "was made on the disk QB0001 and QB0002, and /dev/sdc");
	name_disks(w, "QB0003", "QB0004");
	assert_plan(w, true, "sdc sdd");
}

static void a_mark_without_its_group_is_left_alone(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sda", QB_MARK_READY);
	name_disks(w, "QB0002", NULL);
	assert_refused(w, "volume-group", "/dev/sda carries the mark of this pool");
}

static void another_group_of_that_name_is_refused_or_adopted(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	qb_disk_reason(disk(w, "sda"), "signature", "LVM2_member");
	add_group(w, "vms", NULL, "/dev/sda", NULL);
	match_disks(w, "1");
	assert_refused(w, "volume-group",
		       "vms is here that was not made for this pool, on /dev/sda");
	name_disks(w, "QB0002", NULL);
	assert_refused(w, "volume-group", "to take it as it is leave out disks");
	name_disks(w, "QB0001", "QB0002");
	assert_refused(w, "volume-group", "not made for this pool");
	/* Exactly where it is, or by its name: taken as it is. */
	name_disks(w, "QB0001", NULL);
	assert_plan(w, false, NULL);
	w->pools[0].n_disks = 0;
	assert_plan(w, false, NULL);
	w->pools[0].volume_group = TEXT("other");
	assert_refused(w, "no-match", "no volume group other here, and no disks");
}

static void names_that_do_not_tell_a_group(void **state)
{
	struct world *w = *state;

	add_group(w, "vms", NULL, "/dev/sda1", NULL);
	add_group(w, "vms", NULL, "/dev/sdb1", NULL);
	assert_refused(w, "volume-group", "2 volume groups here are called vms");
	qb_strset(&w->disks.groups[1].name, "old");
	qb_strset(&w->disks.groups[0].name, "older");
	add_group(w, "guests", QB_VG_READY, "/dev/sdc1", NULL);
	assert_refused(w, "volume-group", "is called guests, and is to be vms");
}

static void what_is_named_to_be_erased_becomes_a_member(void **state)
{
	struct world *w = *state;
	char *contains[] = {TEXT("ext4")};
	struct qb_erase_config erase = {.serial = TEXT("QB0002"),
					.contains = {.v = contains, .n = 1}};
	struct qb_signature *s;
	struct qb_disk *d;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	d = add_disk(w, "sdb", "QB0002", 100 * GIB);
	s = QB_APPEND(d->signatures, d->n_signatures);
	s->type = qb_strdup("ext4");
	s->usage = qb_strdup("filesystem");
	d->available = false;
	qb_disk_reason(d, "signature", "ext4");
	name_disks(w, "QB0001", "QB0002");
	w->pools[0].erase = &erase;
	w->pools[0].n_erase = 1;
	plan(w);
	assert_int_equal(w->plan.n_refused, 0);
	assert_int_equal(w->plan.n_steps, 2);
	assert_string_equal(w->plan.steps[0].kind, "storage.erase");
	assert_string_equal(w->plan.steps[1].kind, "storage.group");
	assert_non_null(strstr(w->plan.steps[1].why, "blank then: /dev/sdb"));
}

static void assert_grows(struct world *w, const char *why)
{
	plan(w);
	assert_int_equal(w->plan.n_refused, 0);
	assert_int_equal(w->plan.n_steps, 1);
	assert_string_equal(w->plan.steps[0].kind, "storage.grow");
	assert_string_equal(qb_arg(w->plan.steps[0].args, "group"), "vms");
	assert_non_null(strstr(w->plan.steps[0].why, why));
}

static void a_member_grows_with_its_disk_and_is_refused_when_that_shrank(void **state)
{
	struct world *w = *state;
	struct qb_disk *d = add_disk(w, "sda", "QB0001", 100 * GIB);
	struct qb_volume_group *g = add_group(w, "vms", QB_VG_READY, "/dev/sda1", NULL);
	struct qb_physical_volume *size;
	struct qb_partition *p;

	name_disks(w, "QB0001", NULL);
	mark(w, "sda", QB_MARK_READY);
	p = &d->partitions[0];
	qb_carve_layout(d->size_bytes, &p->start_bytes, &p->size_bytes);
	d->mark.end_bytes = p->start_bytes + p->size_bytes;
	assert_plan(w, false, NULL);
	d->size_bytes += 1 << 20;
	assert_plan(w, false, NULL);
	d->size_bytes = 200 * GIB;
	assert_grows(w, "its physical volume grows from 100 GiB to 200 GiB");
	/* Broken off: between the copies of the table, and before LVM had taken the room. */
	d->mark.state = QB_MARK_COMMITTING;
	assert_grows(w, "its physical volume grows from 100 GiB to 200 GiB");
	d->mark.state = QB_MARK_READY;
	qb_carve_layout(d->size_bytes, &p->start_bytes, &p->size_bytes);
	size = QB_APPEND(g->sizes, g->n_sizes);
	size->path = qb_strdup("/dev/sda1");
	size->taken_bytes = p->size_bytes - (3 << 20);
	assert_plan(w, false, NULL);
	size->taken_bytes = 100 * GIB;
	assert_grows(w, "its physical volume grows from 100 GiB to 200 GiB");
	/* Its table is finished first, and the room taken with that. */
	d->mark.state = QB_MARK_PENDING;
	add_entry(w, "QB0001", "QB0001", false);
	assert_plan(w, false, "sda");
	assert_true(member_is(w, 0, "commit"));
	/* While another one is hidden, that comes first. */
	d->mark.state = QB_MARK_READY;
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(w, "sdb", QB_MARK_COMMITTING);
	d = disk(w, "sda");
	hide(w, "sdb");
	name_disks(w, "QB0001", "QB0002");
	plan(w);
	assert_int_equal(w->plan.n_steps, 2);
	assert_string_equal(w->plan.steps[0].kind, "storage.group");
	assert_string_equal(w->plan.steps[1].kind, "storage.grow");
	g->missing = 0;
	name_disks(w, "QB0001", NULL);
	w->disks.n_disks = 1;
	/* What cannot be written to is not. */
	qb_disk_reason(d, "read-only", "it is");
	assert_refused(w, "read-only", "became larger, and cannot be taken into use");
	/* The kernel shows no such partition any more, and LVM no group. */
	d->size_bytes = 50 * GIB;
	assert_refused(w, "shrunk", "the disk became smaller");
	w->disks.n_groups = 0;
	assert_refused(w, "shrunk", "the disk became smaller");
	w->disks.n_groups = 1;
	w->disks.n_disks = 2;
}

static void without_lvms_word_nothing_is_planned(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	name_disks(w, "QB0001", NULL);
	qb_tri_unknown(&w->disks.lvm, "no answer");
	assert_refused(w, "probe-error", "what volume groups are here is unknown: no answer");
}

static void a_member_has_a_uuid_that_lvm_takes(void **state)
{
	char pv[QB_PV_UUID_LEN];

	(void)state;
	qb_pv_uuid("88a5a601-b450-5223-b90a-a2840f7798d4", pv);
	assert_string_equal(pv, "88a5a6-01b4-5052-23b9-0aa2-840f-7798d4");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_group, teardown)
	const struct CMUnitTest tests[] = {
		T(named_disks_become_one_group),
		T(a_count_takes_so_many_whatever_the_kernel_calls_them),
		T(all_leaves_out_what_is_refused_and_says_so),
		T(names_and_matches_go_together),
		T(one_refused_member_refuses_all),
		T(members_have_one_size_of_sectors),
		T(a_whole_group_needs_no_step),
		T(more_disks_extend_it_when_the_selector_says_so),
		T(a_group_that_lacks_disks_is_left_alone),
		T(no_other_disks_take_a_lost_groups_place),
		T(a_mark_without_its_group_is_left_alone),
		T(another_group_of_that_name_is_refused_or_adopted),
		T(names_that_do_not_tell_a_group),
		T(what_is_named_to_be_erased_becomes_a_member),
		T(a_member_grows_with_its_disk_and_is_refused_when_that_shrank),
		T(without_lvms_word_nothing_is_planned),
		T(a_member_has_a_uuid_that_lvm_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
