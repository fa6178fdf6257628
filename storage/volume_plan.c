/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/volume.h"

#include "storage/choose.h"
#include "storage/grow.h"

struct planning {
	const struct qb_disks *disks;
	const char *machine_id;
	const struct qb_ledger *ledger;
	struct qb_plan *plan;
};

static uint64_t number(const json_t *json, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(json, key));
}

/* What this plan adds to the group, by disks and by what grows of them. */
static uint64_t planned_bytes(const struct qb_plan *plan, const struct qb_pool_config *pool)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < plan->n_steps; i++) {
		const json_t *args = plan->steps[i].args, *member;
		size_t k;

		if (!qb_streq(qb_arg(args, "pool"), pool->name))
			continue;
		if (qb_streq(plan->steps[i].kind, QB_GROW_KIND))
			sum += number(args, "to_bytes") - number(args, "from_bytes");
		if (!qb_streq(plan->steps[i].kind, QB_VG_KIND))
			continue;
		/* What is only marked the group has already. */
		json_array_foreach (json_object_get(args, "members"), k, member)
			if (!json_is_true(json_object_get(member, "commit")))
				sum += number(member, "size_bytes");
	}
	return sum;
}

/* More than there can be; what LVM itself needs of it is left out here. */
static bool refuse_sum(const struct planning *p, const struct qb_pool_config *pool)
{
	const struct qb_volume_group *group = qb_vg_find(p->disks, pool, p->machine_id);
	uint64_t planned = planned_bytes(p->plan, pool), wanted = 0;
	bool whole = qb_vg_state(group, pool->name, p->machine_id) != QB_VG_IS_PENDING && group;
	uint64_t room = planned + (whole ? group->free_bytes : 0);
	uint64_t all = planned + (whole ? group->size_bytes : 0);
	_cleanup_strs_ struct qb_strs targets = {0};

	for (size_t i = 0; i < pool->n_volumes; i++) {
		_cleanup_free_ char *target = NULL;
		struct qb_volume_look look;
		struct qb_volume_size size;

		qb_volume_look(p->disks, pool, pool->volumes[i].name, p->machine_id, &look);
		if (look.state != QB_VOLUME_IS_NOT ||
		    qb_volume_size_parse(pool->volumes[i].size, &size) < 0)
			continue;
		wanted += size.bytes + all / 100 * size.percent_of_group;
		target = qb_volume_target(pool, &pool->volumes[i]);
		qb_strs_add(&targets, target);
	}
	if (wanted <= room)
		return false;
	for (size_t i = 0; i < targets.n; i++) {
		_cleanup_free_ char *needs = qb_format_size(wanted), *has = qb_format_size(room);

		qb_plan_refuse(p->plan, targets.v[i], "too-small",
			       "the volumes to be made need %s (%ju bytes), and the volume group "
			       "%s has %s (%ju bytes) for them: ask for less, or give it disks",
			       needs, (uintmax_t)wanted, qb_vg_name(pool), has, (uintmax_t)room);
	}
	return true;
}

/* It is of the size that was asked for, up to what LVM rounds. */
static void refuse_size(const struct planning *p, const char *target,
			const struct qb_volume_look *look, const struct qb_volume_size *size)
{
	uint64_t is = look->ours->size_bytes, step = look->group->extent_bytes;
	_cleanup_free_ char *has = qb_format_size(is), *wants = qb_format_size(size->bytes);

	if (!size->bytes || (is < size->bytes + step && size->bytes <= is))
		return;
	if (is < size->bytes)
		qb_plan_refuse(
			p->plan, target, "volume-size",
			"it has %s (%ju bytes) and is to have %s (%ju bytes): the agent does "
			"not grow it; lvextend --resizefs does, and its data stay",
			has, (uintmax_t)is, wants, (uintmax_t)size->bytes);
	else
		qb_plan_refuse(p->plan, target, "volume-size",
			       "it has %s (%ju bytes) and is to have %s (%ju bytes): XFS cannot "
			       "shrink; write the size that it has",
			       has, (uintmax_t)is, wants, (uintmax_t)size->bytes);
}

static bool is_begun(const struct planning *p, const char *target)
{
	const struct qb_ledger_entry *e = qb_ledger_newest(p->ledger, target, NULL);

	while (e && !qb_streq(e->kind, QB_VOLUME_KIND))
		e = qb_ledger_newest(p->ledger, target, e);
	return e;
}

static void plan_volume(const struct planning *p, const struct qb_pool_config *pool,
			const struct qb_volume_config *volume)
{
	_cleanup_free_ char *target = qb_volume_target(pool, volume);
	const char *group = qb_vg_name(pool);
	struct qb_volume_size size;
	struct qb_volume_look look;
	char uuid[QB_UUID_LEN], tag[QB_VOLUME_TAG_LEN];
	bool pending;

	qb_volume_look(p->disks, pool, volume->name, p->machine_id, &look);
	/* Of what somebody else made it counts where it is mounted. */
	if (look.state == QB_VOLUME_IS_FOREIGN || qb_volume_size_parse(volume->size, &size) < 0)
		return;
	if (look.state == QB_VOLUME_IS_READY) {
		refuse_size(p, target, &look, &size);
		return;
	}
	pending = look.state == QB_VOLUME_IS_PENDING;
	if (pending && !is_begun(p, target)) {
		qb_plan_refuse(p->plan, target, "volume",
			       "it was begun, but by no run that is in the journal: look into %s, "
			       "and remove it (lvremove) if it is nobody's",
			       group);
		return;
	}
	qb_volume_uuid(p->machine_id, pool->name, volume->name, uuid);
	qb_volume_tag(uuid, tag);
	qb_step_why(
		qb_plan_step(p->plan, QB_VOLUME_KIND, QB_UNDO_BEST_EFFORT,
			     json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "pool", pool->name,
				       "group", group, "volume", volume->name, "tag", tag,
				       "fs_uuid", uuid, "size", volume->size, "resume", pending),
			     target),
		"%s: it gets %s and an XFS for %s",
		pending ? "it was left half made by a run that broke off"
			: "there is no such volume",
		volume->size, volume->target);
}

void qb_volumes_plan(const struct qb_disks *disks, const struct qb_pool_config *pools,
		     size_t n_pools, const char *machine_id, const struct qb_ledger *ledger,
		     struct qb_plan *plan)
{
	const struct planning p = {disks, machine_id, ledger, plan};

	for (size_t i = 0; i < n_pools; i++) {
		_cleanup_free_ char *target = qb_pool_target(&pools[i]);

		if (!pools[i].n_volumes || qb_plan_refuses(plan, target) ||
		    refuse_sum(&p, &pools[i]))
			continue;
		for (size_t k = 0; k < pools[i].n_volumes; k++)
			plan_volume(&p, &pools[i], &pools[i].volumes[k]);
	}
}
