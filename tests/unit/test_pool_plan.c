/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "storage/pool.h"
#include "storage/select.h"
#include "tests/unit/pool_host.h"

static struct qb_disk_selector *add_pool(struct world *w, const char *name)
{
	size_t i = w->n_pools++;

	w->pools[i] = (struct qb_pool_config){.name = (char *)name,
					      .type = QB_POOL_FS,
					      .disks = &w->selectors[i],
					      .n_disks = 1,
					      .target = "/srv/pool"};
	return &w->selectors[i];
}

static void mark(struct qb_disk *d, const char *pool, enum qb_mark_state state, bool ours)
{
	struct qb_pool_ids ids;

	qb_pool_ids(MACHINE_ID, pool, qb_disk_identity(d), &ids);
	d->mark.state = state;
	d->mark.pool = qb_strdup(pool);
	d->mark.uuid = qb_strdup(ids.disk_guid);
	d->mark.ours = ours;
	d->mark.only = true;
	qb_disk_reason(d, "partition-table", "gpt");
}

static void add_entry(struct world *w, const char *pool, const char *identity, bool done)
{
	struct qb_ledger_entry *e = QB_APPEND(w->ledger.entries, w->ledger.n_entries);

	e->kind = qb_strdup(QB_CARVE_KIND);
	e->target = qb_asprintf("pool %s", pool);
	e->args = json_pack("{s:s, s:s}", "pool", pool, "identity", identity);
	e->done = done;
}

static const char *arg(const struct world *w, size_t i, const char *key)
{
	return json_string_value(json_object_get(w->plan.steps[i].args, key));
}

static void assert_planned(struct world *w, const char *path, bool resume)
{
	plan(w);
	if (w->plan.n_refused)
		fail_msg("refused: %s", w->plan.refused[0].reasons[0].evidence);
	assert_int_equal(w->plan.n_steps, 1);
	assert_string_equal(arg(w, 0, "disk"), path);
	assert_int_equal(json_is_true(json_object_get(w->plan.steps[0].args, "resume")), resume);
}

/* evidence: a part of one of the reasons with that code */
static void assert_refused(struct world *w, const char *target, const char *code,
			   const char *evidence)
{
	plan(w);
	for (size_t i = 0; i < w->plan.n_refused; i++) {
		const struct qb_refusal *r = &w->plan.refused[i];

		for (size_t j = 0; qb_streq(r->target, target) && j < r->n_reasons; j++)
			if (qb_streq(r->reasons[j].code, code) &&
			    strstr(r->reasons[j].evidence, evidence))
				return;
	}
	fail_msg("no refusal of %s with %s: %s", target, code, evidence);
}

static void a_named_disk_is_planned_whole(void **state)
{
	struct world *w = *state;
	const struct qb_step *step;
	struct qb_pool_ids ids;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	qb_strset(&add_disk(w, "sdb", "QB0002", 200 * GIB)->wwid, "naa.5000000000000002");
	add_pool(w, "images")->wwid = "naa.5000000000000002";
	assert_planned(w, "/dev/sdb", false);
	step = &w->plan.steps[0];
	qb_pool_ids(MACHINE_ID, "images", "naa.5000000000000002", &ids);
	assert_string_equal(step->kind, "storage.carve");
	assert_string_equal(step->target, "pool images");
	assert_int_equal(step->undo, QB_UNDO_BEST_EFFORT);
	assert_string_equal(arg(w, 0, "pool"), "images");
	assert_string_equal(arg(w, 0, "identity"), "naa.5000000000000002");
	assert_string_equal(arg(w, 0, "devno"), "8:32");
	assert_string_equal(arg(w, 0, "disk_guid"), ids.disk_guid);
	assert_string_equal(arg(w, 0, "part_guid"), ids.part_guid);
	assert_string_equal(arg(w, 0, "fs_uuid"), ids.fs_uuid);
	assert_int_equal(json_integer_value(json_object_get(step->args, "size_bytes")), 200 * GIB);
	assert_int_equal(json_integer_value(json_object_get(step->args, "diskseq")), 2);
	assert_non_null(strstr(step->why, "blank"));
}

static void the_ids_of_a_member_differ_from_each_other_and_never_change(void **state)
{
	struct qb_pool_ids a, b;

	(void)state;
	qb_pool_ids(MACHINE_ID, "images", "QB0001", &a);
	qb_pool_ids(MACHINE_ID, "images", "QB0002", &b);
	assert_string_not_equal(a.disk_guid, a.part_guid);
	assert_string_not_equal(a.part_guid, a.fs_uuid);
	assert_string_not_equal(a.disk_guid, b.disk_guid);
	/* Disks in the field carry them. */
	assert_string_equal(a.disk_guid, "b8bfd081-7b85-5d11-b039-5675598e7e52");
	assert_string_equal(a.fs_uuid, "88a5a601-450b-5223-b90a-a2840f7798d4");
}

static void every_way_to_name_a_disk(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *s = add_pool(w, "images");
	struct qb_disk *d;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	d = add_disk(w, "sdb", "QB0002", 100 * GIB);
	qb_strset(&d->by_path, "pci-0000:00:17.0-ata-2");
	qb_strs_add(&d->links, "/dev/disk/by-id/ata-DISK_QB0002");
	*s = (struct qb_disk_selector){.serial = "QB0002"};
	assert_planned(w, "/dev/sdb", false);
	*s = (struct qb_disk_selector){.path = "/dev/sdb"};
	assert_planned(w, "/dev/sdb", false);
	*s = (struct qb_disk_selector){.path = "pci-0000:00:17.0-ata-2"};
	assert_planned(w, "/dev/sdb", false);
	*s = (struct qb_disk_selector){.path = "/dev/disk/by-id/ata-DISK_QB0002"};
	assert_planned(w, "/dev/sdb", false);
	*s = (struct qb_disk_selector){.path = "/dev/disk/by-id/ata-DISK_QB000"};
	assert_refused(w, "pool images", "no-match", "is not here");
}

static void a_name_that_is_not_here_says_what_is(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_pool(w, "images")->serial = "QB0009";
	assert_refused(w, "pool images", "no-match",
		       "the disk with serial number QB0009 is not here");
	assert_refused(w, "pool images", "no-match", "/dev/sda: its serial number is QB0001");
	assert_int_equal(w->plan.n_steps, 0);
}

static void a_name_of_two_disks_names_none(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0001", 100 * GIB);
	add_pool(w, "images")->serial = "QB0001";
	assert_refused(w, "pool images", "no-match", "not one disk but 2: /dev/sda and /dev/sdb");
	assert_int_equal(w->plan.n_steps, 0);
}

static void every_reason_of_the_disk_is_given(void **state)
{
	struct world *w = *state;
	struct qb_disk *d = add_disk(w, "sda", "QB0001", 100 * GIB);

	qb_disk_reason(d, "mounted", "/dev/sda1 on /srv");
	qb_disk_reason(d, "signature", "ext4 (filesystem) at byte 1080");
	add_pool(w, "images")->serial = "QB0001";
	assert_refused(w, "pool images", "mounted", "/dev/sda: /dev/sda1 on /srv");
	assert_refused(w, "pool images", "signature", "/dev/sda: ext4");
	assert_int_equal(w->plan.n_steps, 0);
}

static void a_path_lifts_virtual_and_nothing_else(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *s = add_pool(w, "images");
	struct qb_disk *d = add_disk(w, "loop0", NULL, GIB);

	d->backing = qb_strdup("/srv/a.img");
	qb_disk_reason(d, "virtual", "loop0 is not hardware: /srv/a.img");
	s->path = "/dev/loop0";
	assert_planned(w, "/dev/loop0", false);
	/* A loop device has no number of its own: its file stands for it. */
	assert_string_equal(arg(w, 0, "identity"), "/srv/a.img");
	qb_disk_reason(d, "unknown-content", "byte 0 is not zero");
	assert_refused(w, "pool images", "unknown-content", "byte 0");
	for (size_t i = 0; i < w->plan.refused[0].n_reasons; i++)
		assert_string_not_equal(w->plan.refused[0].reasons[i].code, "virtual");
	/* Only what has a backing is meant by its name: not persistent memory, say. */
	d->serial = qb_strdup("QB0001");
	qb_strset(&d->backing, NULL);
	assert_refused(w, "pool images", "virtual", "loop0");
}

static void a_match_does_not_take_virtual_disks(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *s = add_pool(w, "images");
	struct qb_disk *d = add_disk(w, "loop0", NULL, GIB);

	d->backing = qb_strdup("/srv/a.img");
	qb_disk_reason(d, "virtual", "loop0 is not hardware: /srv/a.img");
	s->has_match = true;
	assert_refused(w, "pool images", "virtual", "/dev/loop0");
}

static void a_match_goes_by_identity_not_by_kernel_name(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *s = add_pool(w, "images");

	s->has_match = true;
	s->match.min_size = 50 * GIB;
	add_disk(w, "sda", "QB0003", 100 * GIB);
	add_disk(w, "sdb", "QB0001", 10 * GIB);
	add_disk(w, "sdc", "QB0002", 100 * GIB);
	assert_planned(w, "/dev/sdc", false);
	/* The same hardware, found in another order. */
	qb_strset(&disk(w, "sda")->serial, "QB0002");
	qb_strset(&disk(w, "sdc")->serial, "QB0003");
	assert_planned(w, "/dev/sda", false);
}

static void a_match_says_why_each_disk_will_not_do(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *s = add_pool(w, "images");
	struct qb_disk *d;

	s->has_match = true;
	s->match = (struct qb_disk_match){.min_size = 50 * GIB,
					  .max_size = 200 * GIB,
					  .transport = "nvme",
					  .model = "Example *"};
	qb_tri_set(&s->match.rotational, false);
	add_disk(w, "sda", "QB0001", 10 * GIB);
	add_disk(w, "sdb", "QB0002", 300 * GIB);
	qb_tri_set(&add_disk(w, "sdc", "QB0003", 100 * GIB)->rotational, true);
	add_disk(w, "sdd", "QB0004", 100 * GIB)->transport = qb_strdup("sata");
	d = add_disk(w, "nvme0n1", "QB0005", 100 * GIB);
	d->transport = qb_strdup("nvme");
	d->model = qb_strdup("Other 1");
	d = add_disk(w, "nvme1n1", "QB0006", 100 * GIB);
	d->transport = qb_strdup("nvme");
	d->model = qb_strdup("Example 1");
	assert_planned(w, "/dev/nvme1n1", false);
	qb_disk_reason(d, "swap", "/dev/nvme1n1 is swap space in use");
	assert_refused(w, "pool images", "no-match", "none of the 6 disks");
	assert_refused(w, "pool images", "no-match", "/dev/sda: its 10 GiB are less than 50 GiB");
	assert_refused(w, "pool images", "no-match", "/dev/sdb: its 300 GiB are more than 200 GiB");
	assert_refused(w, "pool images", "no-match", "/dev/sdc: it rotates");
	assert_refused(w, "pool images", "no-match", "/dev/sdd: its transport is sata, not nvme");
	assert_refused(w, "pool images", "no-match", "/dev/nvme0n1: its model is Other 1");
	assert_refused(w, "pool images", "swap", "/dev/nvme1n1");
}

static void an_unknown_property_is_no_match(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *s = add_pool(w, "images");
	struct qb_disk *d = add_disk(w, "sda", "QB0001", 100 * GIB);

	s->has_match = true;
	qb_tri_set(&s->match.rotational, false);
	qb_tri_unknown(&d->rotational, "not in sysfs");
	assert_refused(w, "pool images", "no-match", "whether it rotates is unknown");
	free(s->match.rotational.why);
}

static void two_pools_do_not_share_a_disk(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	add_pool(w, "images")->serial = "QB0001";
	add_pool(w, "vms")->path = "/dev/sda";
	assert_refused(w, "pool images", "claimed", "/dev/sda is also named for pool vms");
	assert_refused(w, "pool vms", "claimed", "/dev/sda is also named for pool images");
	assert_int_equal(w->plan.n_steps, 0);
}

static void a_match_leaves_what_is_named_elsewhere(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_pool(w, "images")->has_match = true;
	add_pool(w, "vms")->serial = "QB0001";
	assert_refused(w, "pool images", "claimed", "/dev/sda: it is for pool vms");
	assert_int_equal(w->plan.n_steps, 1);
	assert_string_equal(w->plan.steps[0].target, "pool vms");
	/* Two matches share out two disks. */
	w->selectors[1] = (struct qb_disk_selector){.has_match = true};
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	plan(w);
	assert_int_equal(w->plan.n_refused, 0);
	assert_int_equal(w->plan.n_steps, 2);
	assert_string_equal(arg(w, 0, "disk"), "/dev/sda");
	assert_string_equal(arg(w, 1, "disk"), "/dev/sdb");
}

static void a_ready_disk_needs_no_step(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *source = NULL, *expected = NULL, *other = NULL;
	char uuid[37];
	struct qb_pool_ids ids;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	mark(disk(w, "sdb"), "images", QB_MARK_READY, true);
	/* In use, as a pool's disk is. */
	qb_disk_reason(disk(w, "sdb"), "mounted", "/dev/sdb1 on /srv/pool");
	add_pool(w, "images")->has_match = true;
	add_entry(w, "images", "QB0002", true);
	plan(w);
	assert_int_equal(w->plan.n_steps, 0);
	assert_int_equal(w->plan.n_refused, 0);
	qb_pool_ids(MACHINE_ID, "images", "QB0002", &ids);
	expected = qb_asprintf("/dev/disk/by-partuuid/%s", ids.part_guid);
	source = qb_pool_source(&w->disks, &w->pools[0], MACHINE_ID, &w->plan, uuid);
	assert_string_equal(source, expected);
	assert_string_equal(uuid, ids.pool_uuid);
	add_pool(w, "vms")->serial = "QB0009";
	other = qb_pool_source(&w->disks, &w->pools[1], MACHINE_ID, &w->plan, uuid);
	assert_null(other);
}

static void the_source_of_a_disk_about_to_be_carved(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *source = NULL;
	char uuid[37];

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_pool(w, "images")->serial = "QB0001";
	assert_planned(w, "/dev/sda", false);
	source = qb_pool_source(&w->disks, &w->pools[0], MACHINE_ID, &w->plan, uuid);
	assert_true(qb_startswith(source, "/dev/disk/by-partuuid/"));
	assert_true(qb_endswith(source, arg(w, 0, "part_guid")));
}

/* Machines made from one image may have one machine-id: the disk may be another one's. */
static void a_mark_that_no_journal_knows_of_is_taken_by_name_only(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *selector;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	mark(disk(w, "sda"), "images", QB_MARK_READY, true);
	qb_disk_reason(disk(w, "sda"), "partitions", "it has sda1");
	selector = add_pool(w, "images");
	selector->has_match = true;
	assert_refused(w, "pool images", "partition-table",
		       "no journal here knows of it, as on a copy of the machine that made it");
	/* Nor does a new one take its place. */
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	assert_refused(w, "pool images", "partition-table", "/dev/sda: it carries");
	assert_int_equal(w->plan.n_steps, 0);
	/* One that is not matched is nobody's business. */
	selector->match.transport = (char *)(uintptr_t) "nvme";
	qb_strset(&disk(w, "sdb")->transport, "nvme");
	assert_planned(w, "/dev/sdb", false);
	*selector = (struct qb_disk_selector){.serial = "QB0001"};
	plan(w);
	assert_int_equal(w->plan.n_steps + w->plan.n_refused, 0);
	*selector = (struct qb_disk_selector){.has_match = true};
	add_entry(w, "images", "QB0001", false);
	plan(w);
	assert_int_equal(w->plan.n_steps + w->plan.n_refused, 0);
}

static void a_mark_of_another_machine_is_refused(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	mark(disk(w, "sda"), "images", QB_MARK_READY, false);
	add_pool(w, "images")->serial = "QB0001";
	add_entry(w, "images", "QB0001", false);
	assert_refused(w, "pool images", "partition-table", "/dev/sda");
	assert_int_equal(w->plan.n_steps, 0);
}

static void what_was_begun_is_resumed_when_the_journal_knows(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	mark(disk(w, "sda"), "images", QB_MARK_PENDING, true);
	add_pool(w, "images")->serial = "QB0001";
	assert_refused(w, "pool images", "partition-table", "begun, and cannot be gone on with");
	/* A journal that speaks of another disk, or of another pool, does not help. */
	add_entry(w, "images", "QB0002", false);
	add_entry(w, "vms", "QB0001", false);
	assert_refused(w, "pool images", "partition-table", "begun");
	add_entry(w, "images", "QB0001", false);
	assert_planned(w, "/dev/sda", true);
	/* In use, it is not. */
	qb_disk_reason(disk(w, "sda"), "mounted", "/dev/sda1 on /mnt");
	assert_refused(w, "pool images", "mounted", "/mnt");
}

static void what_was_done_is_never_begun_again(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	mark(disk(w, "sda"), "images", QB_MARK_PENDING, true);
	add_pool(w, "images")->serial = "QB0001";
	add_entry(w, "images", "QB0001", false);
	add_entry(w, "images", "QB0001", true);
	assert_refused(w, "pool images", "partition-table", "begun");
	assert_int_equal(w->plan.n_steps, 0);
}

/* Killed at the last write: the file system is whole, and nothing but the mark is written. */
static void a_commit_that_broke_off_is_finished(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	mark(disk(w, "sda"), "images", QB_MARK_COMMITTING, true);
	add_pool(w, "images")->serial = "QB0001";
	add_entry(w, "images", "QB0001", true);
	assert_planned(w, "/dev/sda", false);
	assert_true(json_is_true(json_object_get(w->plan.steps[0].args, "commit")));
	assert_non_null(strstr(w->plan.steps[0].why, "nothing else"));
	disk(w, "sda")->mark.ours = false;
	assert_refused(w, "pool images", "partition-table", "gpt");
}

/* A ready mark is kept on the disk that was named, and not on the one that came first. */
static void of_two_ready_disks_the_named_one_counts(void **state)
{
	struct world *w = *state;
	struct qb_pool_ids ids;
	char uuid[37];

	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *source = NULL;

		if (!i) {
			add_disk(w, "sda", "QB0002", 100 * GIB);
			add_disk(w, "sdb", "QB0001", 100 * GIB);
			mark(disk(w, "sda"), "images", QB_MARK_READY, true);
			mark(disk(w, "sdb"), "images", QB_MARK_READY, true);
			add_pool(w, "images")->serial = "QB0002";
			add_entry(w, "images", "QB0002", true);
			add_entry(w, "images", "QB0001", true);
		} else { /* by a match: the same disk as the plan, whatever the kernel's order */
			w->selectors[0] = (struct qb_disk_selector){.has_match = true};
		}
		plan(w);
		assert_int_equal(w->plan.n_steps + w->plan.n_refused, 0);
		source = qb_pool_source(&w->disks, &w->pools[0], MACHINE_ID, &w->plan, uuid);
		qb_pool_ids(MACHINE_ID, "images", i ? "QB0001" : "QB0002", &ids);
		assert_true(qb_endswith(source, ids.part_guid));
	}
}

static void something_else_on_a_begun_disk_refuses_it(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	mark(disk(w, "sda"), "images", QB_MARK_PENDING, true);
	disk(w, "sda")->mark.only = false;
	add_pool(w, "images")->serial = "QB0001";
	add_entry(w, "images", "QB0001", false);
	assert_refused(w, "pool images", "partition-table", "something else was written");
}

static void a_foreign_file_system_in_the_partition_refuses_it(void **state)
{
	struct world *w = *state;
	struct qb_partition *p;
	struct qb_disk *d = add_disk(w, "sda", "QB0001", 100 * GIB);

	mark(d, "images", QB_MARK_PENDING, true);
	p = QB_APPEND(d->partitions, d->n_partitions);
	p->fs_type = qb_strdup("xfs");
	p->fs_uuid = qb_strdup("00000000-0000-4000-8000-000000000001");
	add_pool(w, "images")->serial = "QB0001";
	add_entry(w, "images", "QB0001", false);
	assert_refused(w, "pool images", "partition-table", "/dev/sda");
	assert_int_equal(w->plan.n_steps, 0);
}

static void a_match_goes_on_where_it_began(void **state)
{
	struct world *w = *state;

	add_pool(w, "images")->has_match = true;
	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	add_disk(w, "sdc", "QB0003", 100 * GIB);
	assert_planned(w, "/dev/sda", false);
	/* Intended, and nothing was written yet. */
	add_entry(w, "images", "QB0002", false);
	assert_planned(w, "/dev/sdb", false);
	add_entry(w, "images", "QB0003", false);
	mark(disk(w, "sdc"), "images", QB_MARK_PENDING, true);
	assert_planned(w, "/dev/sdc", true);
}

static void no_other_disk_silently_takes_a_pools_place(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *s = add_pool(w, "images");

	s->has_match = true;
	add_disk(w, "sdb", "QB0002", 100 * GIB);
	add_entry(w, "images", "QB0001", true);
	assert_refused(w, "pool images", "no-match", "made on the disk QB0001");
	assert_int_equal(w->plan.n_steps, 0);
	/* A path names a place, in which there is another disk now. */
	*s = (struct qb_disk_selector){.path = "/dev/sdb"};
	assert_refused(w, "pool images", "no-match", "made on the disk QB0001");
	assert_int_equal(w->plan.n_steps, 0);
	/* Naming it is not silent. */
	*s = (struct qb_disk_selector){.serial = "QB0002"};
	assert_planned(w, "/dev/sdb", false);
}

static void what_was_carved_once_is_never_erased(void **state)
{
	struct world *w = *state;
	struct qb_erase_config erase = {.serial = "QB0001"};

	qb_strs_add(&erase.contains, "xfs");
	qb_disk_reason(add_disk(w, "sda", "QB0001", 100 * GIB), "signature", "xfs");
	*QB_APPEND(disk(w, "sda")->signatures, disk(w, "sda")->n_signatures) =
		(struct qb_signature){.type = qb_strdup("xfs")};
	disk(w, "sda")->available = false;
	add_pool(w, "images")->serial = "QB0001";
	w->pools[0].erase = &erase;
	w->pools[0].n_erase = 1;
	plan(w);
	assert_int_equal(w->plan.n_refused, 0);
	assert_int_equal(w->plan.n_steps, 2);
	/* Another disk took its place since, by name; its images are still on it. */
	add_entry(w, "images", "QB0001", true);
	add_entry(w, "images", "QB0002", true);
	assert_refused(w, "pool images", "erase", "what was carved for the pool before is never");
	/* An undo that broke off may have refused to. */
	w->ledger.entries[0].undoing = true;
	assert_refused(w, "pool images", "erase", "what was carved for the pool before is never");
	assert_int_equal(w->plan.n_steps, 0);
	qb_strs_done(&erase.contains);
}

static void what_was_carved_is_not_formatted_anew(void **state)
{
	static const enum qb_mark_state states[] = {QB_MARK_READY, QB_MARK_COMMITTING};
	struct world *w = *state;
	struct qb_partition *p;

	mark(add_disk(w, "sda", "QB0001", 100 * GIB), "images", QB_MARK_READY, true);
	p = QB_APPEND(disk(w, "sda")->partitions, disk(w, "sda")->n_partitions);
	p->fs_type = qb_strdup("xfs");
	add_pool(w, "images")->serial = "QB0001";
	for (size_t i = 0; i < QB_ARRAY_SIZE(states); i++) {
		disk(w, "sda")->mark.state = states[i];
		w->pools[0].format = QB_FS_EXT4;
		assert_refused(w, "pool images", "format",
			       "carries the pool as xfs, and the configuration wants ext4");
		assert_int_equal(w->plan.n_steps, 0);
		w->pools[0].format = QB_FS_XFS;
		plan(w);
		assert_int_equal(w->plan.n_refused, 0);
		qb_strset(&disk(w, "sda")->partitions[0].fs_type, "ext4");
		assert_refused(w, "pool images", "format", "write format: ext4");
		w->pools[0].format = QB_FS_EXT4;
		plan(w);
		assert_int_equal(w->plan.n_refused, 0);
		qb_strset(&disk(w, "sda")->partitions[0].fs_type, "xfs");
	}
}

static void a_slot_is_where_a_disk_is_plugged_in(void **state)
{
	struct world *w = *state;
	struct qb_disk_selector *s = add_pool(w, "images");

	s->has_match = true;
	s->match.slot = "pci-0000:03:00.0-*";
	add_disk(w, "nvme0n1", "QB0001", 100 * GIB)->by_path = qb_strdup("pci-0000:02:00.0-nvme-1");
	add_disk(w, "nvme1n1", "QB0002", 100 * GIB)->by_path = qb_strdup("pci-0000:03:00.0-nvme-1");
	add_disk(w, "sda", "QB0000", 100 * GIB);
	assert_planned(w, "/dev/nvme1n1", false);
	s->match.slot = "pci-0000:04:00.0-nvme-1";
	assert_refused(w, "pool images", "no-match", "slot pci-0000:04:00.0-nvme-1: none");
	assert_refused(w, "pool images", "no-match",
		       "/dev/nvme0n1: its slot is pci-0000:02:00.0-nvme-1, not");
	assert_refused(w, "pool images", "no-match", "/dev/sda: its slot is unknown");
}

static void what_cannot_be_planned_is_refused(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB);
	add_pool(w, "images")->serial = "QB0001";
	w->pools[0].n_disks = 2;
	assert_refused(w, "pool images", "unsupported", "exactly one disk");
	w->pools[0].n_disks = 0;
	assert_refused(w, "pool images", "unsupported", "exactly one disk");
	w->pools[0].n_disks = 1;
	w->selectors[0].count = "2";
	assert_refused(w, "pool images", "unsupported", "exactly one disk");
	w->selectors[0].count = "1";
	w->machine_id = NULL;
	assert_refused(w, "pool images", "no-identity", "machine-id");
	w->machine_id = MACHINE_ID;
	w->pools[0].name = "a-pool-of-24-characters-";
	assert_refused(w, "pool a-pool-of-24-characters-", "unsupported", "23 bytes");
	w->pools[0].name = "images";
	qb_tri_unknown(&w->disks.known, "/sys/block: Permission denied");
	assert_refused(w, "pool images", "probe-error", "Permission denied");
	assert_int_equal(w->plan.n_steps, 0);
	qb_tri_set(&w->disks.known, true);
	w->pools[0].type = QB_POOL_DIR;
	plan(w);
	assert_int_equal(w->plan.n_steps + w->plan.n_refused, 0);
}

static void a_disk_that_nobody_judged_is_not_free(void **state)
{
	struct world *w = *state;

	add_disk(w, "sda", "QB0001", 100 * GIB)->available = false;
	add_pool(w, "images")->serial = "QB0001";
	assert_refused(w, "pool images", "no-match", "nobody judged it");
	assert_int_equal(w->plan.n_steps, 0);
}

static void the_hidden_paths_of_nvme_are_not_the_disk(void **state)
{
	struct world *w = *state;
	struct qb_disk *d = add_disk(w, "nvme0c0n1", NULL, 100 * GIB);

	qb_strset(&d->wwid, "eui.0000000000000001");
	qb_disk_reason(d, "nvme-path", "it is one path of an NVMe namespace");
	qb_strset(&add_disk(w, "nvme0n1", NULL, 100 * GIB)->wwid, "eui.0000000000000001");
	add_pool(w, "images")->wwid = "eui.0000000000000001";
	assert_planned(w, "/dev/nvme0n1", false);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_named_disk_is_planned_whole),
		T(the_ids_of_a_member_differ_from_each_other_and_never_change),
		T(every_way_to_name_a_disk),
		T(a_name_that_is_not_here_says_what_is),
		T(a_name_of_two_disks_names_none),
		T(every_reason_of_the_disk_is_given),
		T(a_path_lifts_virtual_and_nothing_else),
		T(a_match_does_not_take_virtual_disks),
		T(a_match_goes_by_identity_not_by_kernel_name),
		T(a_match_says_why_each_disk_will_not_do),
		T(an_unknown_property_is_no_match),
		T(two_pools_do_not_share_a_disk),
		T(a_match_leaves_what_is_named_elsewhere),
		T(a_ready_disk_needs_no_step),
		T(the_source_of_a_disk_about_to_be_carved),
		T(a_mark_that_no_journal_knows_of_is_taken_by_name_only),
		T(a_mark_of_another_machine_is_refused),
		T(what_was_begun_is_resumed_when_the_journal_knows),
		T(what_was_done_is_never_begun_again),
		T(a_commit_that_broke_off_is_finished),
		T(of_two_ready_disks_the_named_one_counts),
		T(something_else_on_a_begun_disk_refuses_it),
		T(a_foreign_file_system_in_the_partition_refuses_it),
		T(a_match_goes_on_where_it_began),
		T(no_other_disk_silently_takes_a_pools_place),
		T(what_was_carved_once_is_never_erased),
		T(what_was_carved_is_not_formatted_anew),
		T(a_slot_is_where_a_disk_is_plugged_in),
		T(what_cannot_be_planned_is_refused),
		T(a_disk_that_nobody_judged_is_not_free),
		T(the_hidden_paths_of_nvme_are_not_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
