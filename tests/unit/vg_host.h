/* SPDX-License-Identifier: Apache-2.0 */
/* A host with one pool of type logical, and what its disks and its group are. Needs cmocka. */
#pragma once

#include "storage/gpt.h"
#include "storage/vg.h"
#include "tests/unit/pool_host.h"

#define TEXT(s) ((char *)(uintptr_t)(s))

static inline int setup_group(void **state)
{
	struct world *w;

	setup(state);
	w = *state;
	qb_tri_set(&w->disks.lvm, false);
	w->n_pools = 1;
	w->pools[0] = (struct qb_pool_config){
		.name = TEXT("vms"), .type = QB_POOL_LOGICAL, .disks = w->selectors};
	return 0;
}

/* The disk as carving leaves it. */
static inline void mark(struct world *w, const char *name, enum qb_mark_state state)
{
	struct qb_disk *d = disk(w, name);
	struct qb_partition *p;
	struct qb_pool_ids ids;
	char pv[QB_PV_UUID_LEN];

	qb_pool_ids(MACHINE_ID, "vms", qb_disk_identity(d), &ids);
	d->mark.state = state;
	qb_strset(&d->mark.pool, "vms");
	qb_strset(&d->mark.uuid, ids.disk_guid);
	d->mark.ours = true;
	d->mark.only = true;
	if (d->n_partitions)
		return;
	p = QB_APPEND(d->partitions, d->n_partitions);
	p->path = qb_asprintf("%s1", d->path);
	p->name = qb_asprintf("%s1", d->name);
	p->uuid = qb_strdup(ids.part_guid);
	p->fs_type = qb_strdup("LVM2_member");
	qb_pv_uuid(ids.fs_uuid, pv);
	p->fs_uuid = qb_strdup(pv);
	d->available = false;
	qb_disk_reason(d, "partitions", "it has %s", p->name);
}

static inline struct qb_volume_group *add_group(struct world *w, const char *name,
						const char *state, const char *a, const char *b)
{
	struct qb_volume_group *g = QB_APPEND(w->disks.groups, w->disks.n_groups);
	char tag[QB_VG_TAG_LEN];

	qb_tri_set(&w->disks.lvm, true);
	g->name = qb_strdup(name);
	g->extent_bytes = 4 << 20;
	if (state) {
		qb_vg_tag(MACHINE_ID, "vms", tag);
		qb_strs_add(&g->tags, tag);
		qb_strs_add(&g->tags, state);
	}
	if (a)
		qb_strs_add(&g->physical_volumes, a);
	if (b)
		qb_strs_add(&g->physical_volumes, b);
	return g;
}

static inline void add_entry(struct world *w, const char *a, const char *b, bool done)
{
	struct qb_ledger_entry *e = QB_APPEND(w->ledger.entries, w->ledger.n_entries);

	e->kind = qb_strdup(QB_VG_KIND);
	e->target = qb_strdup("pool vms");
	e->args = json_pack("{s:s, s:[{s:s}, {s:s}]}", "pool", "vms", "members", "identity", a,
			    "identity", b);
	e->done = done;
}

static inline void name_disks(struct world *w, const char *a, const char *b)
{
	w->selectors[0] = (struct qb_disk_selector){.serial = TEXT(a)};
	w->selectors[1] = (struct qb_disk_selector){.serial = TEXT(b)};
	w->pools[0].n_disks = b ? 2 : 1;
}

static inline void match_disks(struct world *w, const char *count)
{
	w->selectors[0] = (struct qb_disk_selector){.has_match = true, .count = TEXT(count)};
	w->selectors[0].match.min_size = GIB;
	w->pools[0].n_disks = 1;
}

/* disks: their paths in the order of the step, "sda sdb"; NULL: no step, and no refusal. */
static inline void assert_plan(struct world *w, bool make, const char *disks)
{
	const json_t *args, *member;
	_cleanup_buf_ struct qb_buf got = {0};
	size_t i;

	plan(w);
	if (w->plan.n_refused)
		fail_msg("refused: %s", w->plan.refused[0].reasons[0].evidence);
	assert_int_equal(w->plan.n_steps, disks ? 1 : 0);
	if (!disks)
		return;
	args = w->plan.steps[0].args;
	assert_string_equal(w->plan.steps[0].kind, "storage.group");
	assert_int_equal(json_is_true(json_object_get(args, "make")), make);
	json_array_foreach (json_object_get(args, "members"), i, member)
		qb_buf_printf(&got, "%s%s", i ? " " : "", qb_arg(member, "disk") + 5);
	assert_string_equal(got.s, disks);
}

static inline bool member_is(const struct world *w, size_t i, const char *flag)
{
	const json_t *members = json_object_get(w->plan.steps[0].args, "members");

	return json_is_true(json_object_get(json_array_get(members, i), flag));
}

static inline void assert_refused(struct world *w, const char *code, const char *evidence)
{
	plan(w);
	assert_int_equal(w->plan.n_steps, 0);
	for (size_t i = 0; i < w->plan.n_refused; i++)
		for (size_t j = 0; j < w->plan.refused[i].n_reasons; j++)
			if (qb_streq(w->plan.refused[i].reasons[j].code, code) &&
			    strstr(w->plan.refused[i].reasons[j].evidence, evidence))
				return;
	fail_msg("no refusal with %s: %s; the first of %zu: %s", code, evidence, w->plan.n_refused,
		 w->plan.n_refused ? w->plan.refused[0].reasons[0].evidence : "none");
}

/* The kernel shows no partition of the disk, as its table is torn, and so LVM misses one. */
static inline void hide(struct world *w, const char *name)
{
	struct qb_volume_group *g = &w->disks.groups[0];
	_cleanup_free_ char *path = qb_asprintf("/dev/%s1", name);
	struct qb_strs seen = {0};

	for (size_t i = 0; i < g->physical_volumes.n; i++)
		if (!qb_streq(g->physical_volumes.v[i], path))
			qb_strs_add(&seen, g->physical_volumes.v[i]);
	qb_strs_done(&g->physical_volumes);
	g->physical_volumes = seen;
	qb_strs_add(&g->missing_uuids, disk(w, name)->partitions[0].fs_uuid);
	g->missing++;
}
