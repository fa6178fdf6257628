/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that become file systems: which are made, mounted, taken as they are, and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/host/mounting.h"
#include "agent/host/plan.h"
#include "storage/mark.h"
#include "storage/volume.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define MACHINE_ID "0123456789abcdef0123456789abcdef"
#define TEXT(s) ((char *)(uintptr_t)(s))

/* A whole group vms-1 of 10 GiB, and what of it is configured: a volume, and a pool on it. */
struct world {
	struct qb_facts facts;
	struct qb_volume_config volumes[2];
	struct qb_pool_config pools[2];
	struct qb_config config;
	struct qb_ledger ledger;
	struct qb_plan plan;
};

static int setup(void **state)
{
	struct world *w = qb_alloc(1, sizeof(*w));
	struct qb_disks *d = &w->facts.disks;
	struct qb_volume_group *g = QB_APPEND(d->groups, d->n_groups);
	char tag[QB_VG_TAG_LEN];

	w->facts.system.machine_id = qb_strdup(MACHINE_ID);
	qb_tri_set(&w->facts.libvirt.connected, true);
	qb_tri_set(&d->known, true);
	qb_tri_set(&d->lvm, true);
	g->name = qb_strdup("vms-1");
	g->size_bytes = g->free_bytes = 10 * GIB;
	g->extent_bytes = 4 * MIB;
	qb_vg_tag(MACHINE_ID, "vms", tag);
	qb_strs_add(&g->tags, tag);
	qb_strs_add(&g->tags, QB_VG_READY);
	w->volumes[0] = (struct qb_volume_config){
		.name = TEXT("images"), .size = TEXT("4GiB"), .target = TEXT("/srv/images")};
	w->volumes[1] = (struct qb_volume_config){
		.name = TEXT("more"), .size = TEXT("50%VG"), .target = TEXT("/srv/more")};
	w->pools[0] = (struct qb_pool_config){
		.name = TEXT("images"), .type = QB_POOL_DIR, .target = TEXT("/srv/images")};
	w->pools[1] = (struct qb_pool_config){.name = TEXT("vms"),
					      .type = QB_POOL_LOGICAL,
					      .volume_group = TEXT("vms-1"),
					      .volumes = w->volumes,
					      .n_volumes = 1};
	w->config = (struct qb_config){.pools = w->pools, .n_pools = 2};
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	qb_facts_done(&w->facts);
	qb_ledger_done(&w->ledger);
	qb_plan_done(&w->plan);
	free(w);
	return 0;
}

static void add_volume(struct world *w, const char *state, uint64_t size_bytes)
{
	struct qb_volume_group *g = &w->facts.disks.groups[0];
	struct qb_logical_volume *v = QB_APPEND(g->tagged, g->n_tagged);
	char uuid[QB_UUID_LEN], tag[QB_VOLUME_TAG_LEN];

	qb_volume_uuid(MACHINE_ID, "vms", "images", uuid);
	qb_volume_tag(uuid, tag);
	v->name = qb_strdup("images");
	v->size_bytes = size_bytes;
	qb_strs_add(&v->tags, tag);
	qb_strs_add(&v->tags, state);
}

static void activate(struct world *w)
{
	struct qb_mapping *m = QB_APPEND(w->facts.disks.mappings, w->facts.disks.n_mappings);

	m->name = qb_strdup("dm-0");
	m->dm_name = qb_strdup("vms--1-images");
	m->devno = qb_strdup("253:0");
}

/* device: of what is mounted there; NULL: nothing, and the directory is empty. */
static struct qb_target *add_target(struct world *w, const char *device, const char *fs_type)
{
	struct qb_target *t = QB_APPEND(w->facts.targets, w->facts.n_targets);

	t->path = qb_strdup("/srv/images");
	qb_tri_set(&t->mounted, device);
	t->device = qb_strdup(device);
	t->fs_type = qb_strdup(fs_type);
	qb_tri_set(&t->empty, true);
	return t;
}

static void plan(struct world *w)
{
	qb_plan_done(&w->plan);
	qb_volumes_plan(&w->facts.disks, w->pools, 2, MACHINE_ID, &w->ledger, &w->plan);
	qb_libvirt_plan(&w->facts, &w->config, &w->plan);
	qb_plan_drop_refused(&w->plan);
}

/* The steps, each as "kind target". */
static void assert_steps(struct world *w, const char *wanted)
{
	_cleanup_buf_ struct qb_buf got = {0};

	plan(w);
	qb_buf_puts(&got, "");
	for (size_t i = 0; i < w->plan.n_steps; i++)
		qb_buf_printf(&got, "%s%s %s", i ? ", " : "", w->plan.steps[i].kind,
			      w->plan.steps[i].target);
	assert_string_equal(got.s, wanted);
}

/* The volume is refused, and with it what stands on it. */
static void assert_refused(struct world *w, const char *code, const char *evidence)
{
	plan(w);
	assert_true(w->plan.n_refused >= 1);
	assert_string_equal(w->plan.refused[0].target, "volume vms-1/images");
	assert_string_equal(w->plan.refused[0].reasons[0].code, code);
	if (!strstr(w->plan.refused[0].reasons[0].evidence, evidence))
		fail_msg("\"%s\" is not in: %s", evidence, w->plan.refused[0].reasons[0].evidence);
	assert_true(qb_plan_refuses(&w->plan, "pool images"));
	assert_false(qb_plan_has(&w->plan, QB_VOLUME_KIND));
	assert_false(qb_plan_has(&w->plan, "storage.mount"));
}

static void a_volume_is_made_then_mounted_and_then_a_pool_on_it(void **state)
{
	struct world *w = *state;

	assert_steps(w, "storage.volume volume vms-1/images, libvirt.pool pool vms, "
			"storage.mount volume vms-1/images, libvirt.pool pool images");
	assert_string_equal(qb_arg(w->plan.steps[0].args, "size"), "4GiB");
	assert_false(json_is_true(json_object_get(w->plan.steps[0].args, "resume")));
}

static void what_is_there_and_mounted_needs_no_step(void **state)
{
	struct world *w = *state;
	struct qb_target *t;

	add_volume(w, QB_VG_READY, 4 * GIB);
	activate(w);
	t = add_target(w, "253:0", "xfs");
	t->at_boot = true;
	assert_steps(w, "libvirt.pool pool vms, libvirt.pool pool images");
	t->at_boot = false;
	assert_steps(w, "libvirt.pool pool vms, storage.mount volume vms-1/images, "
			"libvirt.pool pool images");
}

static void a_whole_one_is_mounted_only(void **state)
{
	struct world *w = *state;

	add_volume(w, QB_VG_READY, 4 * GIB);
	add_target(w, NULL, NULL);
	assert_steps(w, "libvirt.pool pool vms, storage.mount volume vms-1/images, "
			"libvirt.pool pool images");
}

static void nothing_is_mounted_over_what_is_there(void **state)
{
	struct world *w = *state;
	struct qb_target *t;

	add_volume(w, QB_VG_READY, 4 * GIB);
	activate(w);
	t = add_target(w, "8:1", "xfs");
	assert_refused(w, "target-mounted", "another file system");
	qb_tri_set(&t->mounted, false);
	qb_strset(&t->device, NULL);
	qb_tri_set(&t->empty, false);
	t->holds = qb_strdup("guest.qcow2");
	assert_refused(w, "target-not-empty", "guest.qcow2");
	qb_tri_unknown(&t->empty, "no answer");
	assert_refused(w, "target-unknown", "no answer");
}

static void somebody_elses_is_taken_where_it_is_mounted_there(void **state)
{
	struct world *w = *state;
	struct qb_target *t;

	activate(w);
	t = add_target(w, "253:0", "xfs");
	assert_steps(w, "libvirt.pool pool vms, libvirt.pool pool images");
	qb_strset(&t->fs_type, "ext4");
	assert_refused(w, "volume", "is not an XFS mounted on /srv/images");
	qb_strset(&t->fs_type, "xfs");
	qb_strset(&t->device, "253:1");
	assert_refused(w, "volume", "is not an XFS mounted on /srv/images");
}

static void what_was_begun_is_begun_anew_where_the_journal_knows(void **state)
{
	struct world *w = *state;
	struct qb_ledger_entry *e;

	add_volume(w, QB_VG_PENDING, 4 * GIB);
	assert_refused(w, "volume", "by no run that is in the journal");
	e = QB_APPEND(w->ledger.entries, w->ledger.n_entries);
	e->kind = qb_strdup(QB_VOLUME_KIND);
	e->target = qb_strdup("volume vms-1/images");
	assert_steps(w, "storage.volume volume vms-1/images, libvirt.pool pool vms, "
			"storage.mount volume vms-1/images, libvirt.pool pool images");
	assert_true(json_is_true(json_object_get(w->plan.steps[0].args, "resume")));
}

static void another_size_is_said_and_nothing_done(void **state)
{
	struct world *w = *state;

	add_volume(w, QB_VG_READY, 4 * GIB - 4 * MIB);
	assert_refused(w, "volume-size", "the agent does not grow it");
	w->facts.disks.groups[0].tagged[0].size_bytes = 4 * GIB + 4 * MIB;
	assert_refused(w, "volume-size", "XFS cannot shrink");
	/* LVM rounds up to whole extents. */
	w->volumes[0].size = TEXT("4294967297");
	assert_steps(w, "libvirt.pool pool vms, storage.mount volume vms-1/images, "
			"libvirt.pool pool images");
	w->volumes[0].size = TEXT("50%VG");
	assert_steps(w, "libvirt.pool pool vms, storage.mount volume vms-1/images, "
			"libvirt.pool pool images");
}

static void more_than_there_is_is_refused_with_the_figures(void **state)
{
	struct world *w = *state;

	w->volumes[0].size = TEXT("10737418241");
	assert_refused(w, "too-small", "(10737418240 bytes)");
	w->volumes[0].size = TEXT("6GiB");
	w->pools[1].n_volumes = 2;
	assert_refused(w, "too-small", "need 11 GiB");
	w->volumes[0].size = TEXT("5GiB");
	plan(w);
	assert_int_equal(w->plan.n_refused, 0);
	/* What is there needs no room. */
	add_volume(w, QB_VG_READY, 5 * GIB);
	w->facts.disks.groups[0].free_bytes = 5 * GIB;
	plan(w);
	assert_int_equal(w->plan.n_refused, 0);
}

static void a_group_to_be_made_has_what_its_disks_have(void **state)
{
	struct world *w = *state;

	w->facts.disks.n_groups = 0;
	for (int i = 0; i < 2; i++) {
		w->volumes[0].size = TEXT(i ? "2GiB" : "3GiB");
		qb_plan_done(&w->plan);
		qb_plan_step(&w->plan, QB_VG_KIND, QB_UNDO_BEST_EFFORT,
			     json_pack("{s:s, s:[{s:I}, {s:I}]}", "pool", "vms", "members",
				       "size_bytes", (json_int_t)GIB, "size_bytes",
				       (json_int_t)GIB),
			     "pool vms");
		qb_volumes_plan(&w->facts.disks, w->pools, 2, MACHINE_ID, &w->ledger, &w->plan);
		assert_int_equal(w->plan.n_refused, !i);
		assert_int_equal(w->plan.n_steps, 1 + i);
	}
	w->facts.disks.n_groups = 1;
}

static void what_grows_in_this_plan_is_room_and_what_is_only_marked_is_not(void **state)
{
	struct world *w = *state;

	w->volumes[0].size = TEXT("12GiB");
	for (int grows = 0; grows < 2; grows++) {
		qb_plan_done(&w->plan);
		qb_plan_step(&w->plan, QB_VG_KIND, QB_UNDO_BEST_EFFORT,
			     json_pack("{s:s, s:[{s:I, s:b}]}", "pool", "vms", "members",
				       "size_bytes", (json_int_t)(4 * GIB), "commit", true),
			     "pool vms");
		qb_plan_step(&w->plan, "storage.grow", QB_UNDO_NONE,
			     json_pack("{s:s, s:I, s:I}", "pool", grows ? "vms" : "other",
				       "from_bytes", (json_int_t)GIB, "to_bytes",
				       (json_int_t)(4 * GIB)),
			     "pool vms");
		qb_volumes_plan(&w->facts.disks, w->pools, 2, MACHINE_ID, &w->ledger, &w->plan);
		assert_int_equal(w->plan.n_refused, !grows);
	}
}

static void of_a_refused_group_nothing_is_made_or_mounted(void **state)
{
	struct world *w = *state;

	qb_plan_refuse(&w->plan, "pool vms", "degraded", "it lacks a disk");
	qb_volumes_plan(&w->facts.disks, w->pools, 2, MACHINE_ID, &w->ledger, &w->plan);
	qb_libvirt_plan(&w->facts, &w->config, &w->plan);
	assert_int_equal(w->plan.n_steps, 0);
	assert_true(qb_plan_refuses(&w->plan, "pool images"));
}

static void sizes(void **state)
{
	static const char *const bad[] = {"",       "0",     "0%VG",  "101%VG", "50%",
					  "50%PVS", "%FREE", "-1%VG", "1.5%VG", "much"};
	struct qb_volume_size size;

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(bad); i++)
		if (qb_volume_size_parse(bad[i], &size) == 0)
			fail_msg("%s was taken", bad[i]);
	assert_int_equal(qb_volume_size_parse("1GiB", &size), 0);
	assert_int_equal(size.bytes, GIB);
	assert_int_equal(qb_volume_size_parse("50%VG", &size), 0);
	assert_int_equal(size.percent_of_group, 50);
	assert_int_equal(size.bytes, 0);
	assert_int_equal(qb_volume_size_parse("100%FREE", &size), 0);
	assert_int_equal(size.percent_of_free, 100);
}

/* As systemd-escape --path --suffix=mount has them. */
static void units_are_called_as_systemd_wants(void **state)
{
	static const struct {
		const char *target, *unit;
	} cases[] = {
		{"/", "-.mount"},
		{"/srv/images", "srv-images.mount"},
		{"/srv/my-images", "srv-my\\x2dimages.mount"},
		{"/.hidden/.x", "\\x2ehidden-.x.mount"},
		{"/srv/a b_c:1", "srv-a\\x20b_c:1.mount"},
		{"/srv/\xc3\xa4", "srv-\\xc3\\xa4.mount"},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *unit = qb_mount_unit(cases[i].target);

		assert_string_equal(unit, cases[i].unit);
	}
}

/* A run that was killed left it, and somebody found it and put something of his own into it. */
static void only_what_was_begun_here_is_made_anew(void **state)
{
	static const char uuid[] = "00112233-4455-6677-8899-aabbccddeeff";
	static const uint8_t bytes[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	static const struct {
		size_t head, tail; /* where a byte is, 0: nowhere */
		const char *magic;
		bool other, begun, zeroed; /* zeroed: as lvcreate makes it, whatever was there */
	} cases[] = {
		{0, 0, "", false, true, true},
		{0, 0, "XFSB", false, true, false},
		{4 * 512, 0, "XFSB", false, true, false},
		{0, 0, "XFSB", true, false, false},
		{0, 0, "LUKS", false, false, false},
		{1080, 0, "", false, false, false}, /* ext4 */
		{4096, 0, "", false, false, true},
		{64 << 10, 0, "", false, false, true},
		{0, QB_END_BYTES - 1, "", false, false, true},
	};

	(void)state;
	for (size_t i = 0; i < QB_ARRAY_SIZE(cases); i++) {
		_cleanup_ends_ struct qb_ends ends = {.head = qb_alloc(QB_END_BYTES, 1),
						      .tail = qb_alloc(QB_END_BYTES, 1),
						      .len = QB_END_BYTES,
						      .size_bytes = 300ULL << 20,
						      .sector_bytes = 512};

		memcpy(ends.head, cases[i].magic, strlen(cases[i].magic));
		if (*cases[i].magic)
			memcpy(ends.head + 32, bytes, sizeof(bytes));
		ends.head[32] ^= cases[i].other;
		ends.head[cases[i].head] |= cases[i].head > 0;
		ends.tail[cases[i].tail] |= cases[i].tail > 0;
		if (qb_volume_was_begun(&ends, uuid) != cases[i].begun ||
		    qb_volume_is_zeroed(&ends) != cases[i].zeroed)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_volume_is_made_then_mounted_and_then_a_pool_on_it),
		T(what_is_there_and_mounted_needs_no_step),
		T(a_whole_one_is_mounted_only),
		T(nothing_is_mounted_over_what_is_there),
		T(somebody_elses_is_taken_where_it_is_mounted_there),
		T(what_was_begun_is_begun_anew_where_the_journal_knows),
		T(another_size_is_said_and_nothing_done),
		T(more_than_there_is_is_refused_with_the_figures),
		T(a_group_to_be_made_has_what_its_disks_have),
		T(what_grows_in_this_plan_is_room_and_what_is_only_marked_is_not),
		T(of_a_refused_group_nothing_is_made_or_mounted),
		cmocka_unit_test(only_what_was_begun_here_is_made_anew),
		cmocka_unit_test(sizes),
		cmocka_unit_test(units_are_called_as_systemd_wants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
