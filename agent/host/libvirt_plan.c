/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/libvirt_plan.h"

#include <sys/stat.h>

#include "agent/host/libvirt_xml.h"
#include "storage/grow.h"
#include "storage/volume.h"

static const char *const flavours[] = {"", "monolithic", "modular"};

static struct qb_step *daemon_step(enum qb_vir_flavour flavour, struct qb_plan *plan)
{
	return qb_plan_step(plan, "libvirt.daemon", QB_UNDO_EXACT,
			    json_pack("{s:s}", "flavour", flavours[flavour]), "libvirt's daemons");
}

void qb_daemon_plan(const struct qb_facts *facts, const struct qb_config *config,
		    struct qb_plan *plan)
{
	const struct qb_libvirt_facts *v = &facts->libvirt;
	bool startable = v->flavour != QB_VIR_NONE && qb_is(&facts->system.systemd);

	(void)config;
	if (qb_is(&v->connected)) {
		/* Started by hand, it would be missed after the next boot. */
		if (startable && qb_is_not(&v->enabled))
			qb_step_why(daemon_step(v->flavour, plan),
				    "libvirt answers, but nothing starts it at boot: enable its %s "
				    "daemons",
				    flavours[v->flavour]);
		return;
	}
	if (v->connected.state == QB_UNKNOWN) {
		qb_plan_refuse(plan, "libvirt", "libvirt-unreachable",
			       "whether it answers is unknown: %s",
			       v->connected.why ? v->connected.why : "nobody asked");
		return;
	}
	if (!startable) {
		qb_plan_refuse(plan, "libvirt", "libvirt-unreachable",
			       "%s does not answer (%s), and there is %s; %s",
			       v->uri ? v->uri : "it", v->error ? v->error : "no reason given",
			       v->flavour == QB_VIR_NONE ? "no libvirt daemon installed"
							 : "no systemd to start it",
			       v->flavour == QB_VIR_NONE ? "install libvirt-daemon-kvm"
							 : "start libvirtd or virtqemud by hand");
		return;
	}
	qb_step_why(daemon_step(v->flavour, plan),
		    "libvirt does not answer (%s): enable and start its %s daemons",
		    v->error ? v->error : "no reason given", flavours[v->flavour]);
}

/* What is missing of an object that libvirt knows, or may know. */
struct gap {
	bool exists, active, autostart;
};

/* "define, start and autostart"; NULL when nothing is missing. */
static char *gap_text(const struct gap *gap)
{
	_cleanup_strs_ struct qb_strs words = {0};

	if (!gap->exists)
		qb_strs_add(&words, "define");
	if (!gap->active)
		qb_strs_add(&words, "start");
	if (!gap->autostart)
		qb_strs_add(&words, "autostart");
	return words.n ? qb_strs_sentence(&words) : NULL;
}

static void plan_gap(const struct gap *gap, const char *target, json_t *args, const char *what,
		     struct qb_plan *plan)
{
	_cleanup_free_ char *text = gap_text(gap);

	if (!text) {
		json_decref(args);
		return;
	}
	qb_step_why(qb_plan_step(plan, "libvirt.pool", QB_UNDO_EXACT, args, target),
		    "libvirt %s: %s it%s%s",
		    !gap->exists  ? "has no such object"
		    : gap->active ? "does not start it at boot"
				  : "has it, but it is not active",
		    text, gap->exists ? "" : ", ", gap->exists ? "" : what);
}

static bool differs(struct qb_plan *plan, const char *target, const char *key, const char *is,
		    const char *wanted)
{
	if (qb_streq(is, wanted))
		return false;
	qb_plan_refuse(
		plan, target, "definition-differs",
		"libvirt has it with %s %s, the configuration wants %s; change the one or the "
		"other by hand: what guests may use is not redefined",
		key, is ? is : "none", wanted ? wanted : "none");
	return true;
}

bool qb_plan_transient(struct qb_plan *plan, const char *noun, const char *name, bool persistent)
{
	_cleanup_free_ char *target = NULL;

	if (persistent)
		return false;
	target = qb_asprintf("%s %s", noun, name);
	qb_plan_refuse(
		plan, target, "transient",
		"libvirt has it, but has no definition of it: it is gone once it is stopped; "
		"stop it, or define it as it is (virsh %s-dumpxml, virsh %s-define)",
		!strcmp(noun, "network") ? "net" : noun, !strcmp(noun, "network") ? "net" : noun);
	return true;
}

void qb_vir_uuid(const struct qb_facts *facts, const char *noun, const char *name,
		 char ret[QB_UUID_LEN])
{
	const char *machine = facts->system.machine_id;

	qb_uuid5((const char *const[]){"libvirt", noun, machine ? machine : "", name, NULL}, ret);
}

/* Whether what is mounted on the pool's target is the pool's own disk. */
static bool own_is_mounted(const struct qb_facts *facts, const struct qb_pool_config *pool)
{
	for (size_t i = 0; i < facts->disks.n_disks; i++) {
		const struct qb_disk *disk = &facts->disks.disks[i];

		if (disk->mark.ours && qb_streq(disk->mark.pool, pool->name) &&
		    qb_strs_has(&disk->mountpoints, pool->target))
			return true;
	}
	return false;
}

/* Mounting over what is there would hide it: to its owner it would be lost. */
static bool refuse_target(const struct qb_target *t, const char *target, struct qb_plan *plan)
{
	_cleanup_free_ char *name = NULL;

	if (!t)
		return false;
	if (qb_is(&t->mounted)) {
		qb_plan_refuse(plan, target, "target-mounted",
			       "another file system is mounted on %s already", t->path);
		return true;
	}
	if (qb_is_not(&t->empty)) {
		name = qb_str_printable(t->holds);
		qb_plan_refuse(plan, target, "target-not-empty",
			       "%s holds \"%s\", which a file system mounted there would hide; "
			       "move what it holds away, or name another target",
			       t->path, name);
		return true;
	}
	if (t->empty.state == QB_UNKNOWN)
		qb_plan_refuse(plan, target, "target-unknown", "whether %s is empty is unknown: %s",
			       t->path, t->empty.why ? t->empty.why : "nobody looked");
	return t->empty.state == QB_UNKNOWN;
}

/* Facts about a target are about the pool's own file system only where that is mounted. */
static void plan_permissions(const struct qb_facts *facts, const struct qb_pool_config *pool,
			     const char *source, const char *target, struct qb_plan *plan)
{
	const struct qb_target *t = qb_facts_target(facts, pool->target);
	bool known = t && t->mode && (!source || own_is_mounted(facts, pool));
	_cleanup_free_ char *is = NULL;

	if (!pool->mode && !pool->owner && !pool->group)
		return;
	if (known &&
	    (!pool->mode ||
	     strtoul(pool->mode, NULL, 8) == (strtoul(t->mode, NULL, 8) & ACCESSPERMS)) &&
	    (!pool->owner || strtoul(pool->owner, NULL, 10) == t->owner) &&
	    (!pool->group || strtoul(pool->group, NULL, 10) == t->group))
		return;
	is = known ? qb_asprintf("has mode %s, owner %ju, group %ju", t->mode, (uintmax_t)t->owner,
				 (uintmax_t)t->group)
		   : qb_strdup("is new");
	qb_step_why(qb_plan_step(plan, "libvirt.target", QB_UNDO_EXACT,
				 json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:s?}", "name", pool->name,
					   "target", pool->target, "source", source, "mode",
					   pool->mode, "owner", pool->owner, "group", pool->group),
				 target),
		    "%s %s: it gets%s%s%s%s%s%s", pool->target, is, pool->mode ? " mode " : "",
		    pool->mode ? pool->mode : "", pool->owner ? " owner " : "",
		    pool->owner ? pool->owner : "", pool->group ? " group " : "",
		    pool->group ? pool->group : "");
}

/* libvirt looks how large a pool is when it is started, and then only when it is told to. */
static void plan_refresh(const struct qb_facts *facts, const struct qb_pool_config *pool,
			 const struct qb_vir_pool *is, const char *target, struct qb_plan *plan)
{
	bool logical = pool->type == QB_POOL_LOGICAL;
	const struct qb_space *space = logical ? NULL : qb_facts_space(facts, pool->target);
	const struct qb_volume_group *group =
		logical ? qb_vg_find(&facts->disks, pool, facts->system.machine_id) : NULL;
	uint64_t there = space ? space->size_bytes : group ? group->size_bytes : 0;
	_cleanup_free_ char *size = qb_format_size(is->capacity_bytes);
	/* A volume group may have become smaller, too. */
	bool stale = is->capacity_bytes &&
		     (group ? there != is->capacity_bytes : there > is->capacity_bytes);

	if (!is->active || (!logical && !own_is_mounted(facts, pool)) ||
	    (!stale && !qb_plan_has_for(plan, QB_GROW_KIND, target) &&
	     !qb_plan_has_for(plan, QB_VG_KIND, target)))
		return;
	qb_step_why(
		qb_plan_step(plan, QB_REFRESH_KIND, QB_UNDO_EXACT,
			     json_pack("{s:s, s:s?, s:s?}", "name", pool->name, "target",
				       pool->target, "group", logical ? qb_vg_name(pool) : NULL),
			     target),
		"libvirt says that it has %s, which %s: it looks anew", size,
		stale ? "is not what there is" : "is over then");
}

static void plan_pool(const struct qb_facts *facts, const struct qb_pool_config *pool,
		      struct qb_plan *plan)
{
	static const char *const types[] = {"dir", "fs", "logical"};
	const struct qb_vir_pool *is = qb_facts_pool(facts, pool->name);
	struct gap gap = {is, is && is->active, is && is->autostart};
	_cleanup_free_ char *target = qb_asprintf("pool %s", pool->name), *source = NULL;
	_cleanup_free_ char *what = NULL, *xml = NULL, *path = qb_pool_path(pool);
	const char *group = pool->type == QB_POOL_LOGICAL ? qb_vg_name(pool) : NULL;
	bool bad = is && qb_plan_transient(plan, "pool", pool->name, is->persistent);
	char uuid[QB_UUID_LEN];

	if (qb_plan_refuses(plan, target))
		return;
	qb_vir_uuid(facts, "pool", pool->name, uuid);
	if (pool->type == QB_POOL_FS)
		source = qb_pool_source(&facts->disks, pool, facts->system.machine_id, plan, uuid);
	if (pool->type == QB_POOL_FS && !source) {
		qb_plan_refuse(plan, target, "no-match", "its disk is not known");
		return;
	}
	if (is) {
		bad |= differs(plan, target, "type", is->type, types[pool->type]);
		bad |= differs(plan, target, "target", is->target, path);
		if (pool->type == QB_POOL_LOGICAL)
			bad |= differs(plan, target, "volume group", is->source_name, group);
		if (source)
			bad |= differs(plan, target, "source device", is->source_device, source);
	}
	if (pool->type == QB_POOL_FS && !(is && is->active) && !own_is_mounted(facts, pool))
		bad |= refuse_target(qb_facts_target(facts, pool->target), target, plan);
	if (bad)
		return;
	xml = qb_pool_xml(pool, uuid, source);
	what = source  ? qb_asprintf("%s mounted at %s", source, pool->target)
	       : group ? qb_asprintf("volume group %s", group)
		       : qb_asprintf("directory %s", pool->target);
	plan_gap(&gap, target,
		 json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s, s:s*}", "name", pool->name, "type",
			   types[pool->type], "target", path, "source", source, "group", group,
			   "xml", xml, "mode", pool->mode),
		 what, plan);
	if (!group)
		plan_permissions(facts, pool, source, target, plan);
	if ((source || group) && is)
		plan_refresh(facts, pool, is, target, plan);
}

/* The volume that the pool's directory is on; NULL: none. ret_pool may be NULL. */
static const struct qb_volume_config *volume_below(const struct qb_config *config,
						   const struct qb_pool_config *pool,
						   const struct qb_pool_config **ret_pool)
{
	for (size_t i = 0; pool->type == QB_POOL_DIR && i < config->n_pools; i++)
		for (size_t k = 0; k < config->pools[i].n_volumes; k++) {
			if (!qb_path_is_in(pool->target, config->pools[i].volumes[k].target))
				continue;
			if (ret_pool)
				*ret_pool = &config->pools[i];
			return &config->pools[i].volumes[k];
		}
	return NULL;
}

static void plan_mount(const struct qb_facts *facts, const struct qb_pool_config *pool,
		       const struct qb_volume_config *volume, struct qb_plan *plan)
{
	const struct qb_target *t = qb_facts_target(facts, volume->target);
	_cleanup_free_ char *target = qb_volume_target(pool, volume);
	_cleanup_free_ char *pool_target = qb_asprintf("pool %s", pool->name);
	struct qb_volume_look look;
	bool mounted;

	if (qb_plan_refuses(plan, target) || qb_plan_refuses(plan, pool_target))
		return;
	qb_volume_look(&facts->disks, pool, volume->name, facts->system.machine_id, &look);
	mounted = t && look.mapping && qb_streq(t->device, look.mapping->devno);
	if (look.state == QB_VOLUME_IS_FOREIGN) {
		if (!mounted || !qb_streq(t->fs_type, "xfs"))
			qb_plan_refuse(plan, target, "volume",
				       "one of that name is there that was not made for this "
				       "pool, and is not an XFS mounted on %s: mount it there, and "
				       "it is taken as it is, or give another name",
				       volume->target);
		return;
	}
	if (mounted && t->at_boot)
		return;
	if (!mounted && refuse_target(t, target, plan))
		return;
	qb_step_why(qb_plan_step(plan, "storage.mount", QB_UNDO_EXACT,
				 json_pack("{s:s, s:s, s:s}", "group", qb_vg_name(pool), "volume",
					   volume->name, "target", volume->target),
				 target),
		    "%s: mount it on %s, now and at each boot",
		    mounted ? "no unit of systemd's mounts it" : "it is not mounted",
		    volume->target);
}

static void plan_pool_on_volume(const struct qb_facts *facts, const struct qb_config *config,
				const struct qb_pool_config *pool, struct qb_plan *plan)
{
	_cleanup_free_ char *volume_target = NULL, *pool_target = NULL, *target = NULL;
	const struct qb_pool_config *below = NULL;
	const struct qb_volume_config *volume = volume_below(config, pool, &below);

	if (!volume)
		return;
	target = qb_asprintf("pool %s", pool->name);
	pool_target = qb_asprintf("pool %s", below->name);
	volume_target = qb_volume_target(below, volume);
	if (qb_plan_refuses(plan, volume_target) || qb_plan_refuses(plan, pool_target))
		qb_plan_refuse(plan, target, "volume", "%s, which its directory is on, is refused",
			       volume_target);
	else
		plan_pool(facts, pool, plan);
}

void qb_libvirt_plan(const struct qb_facts *facts, const struct qb_config *config,
		     struct qb_plan *plan)
{
	if (qb_plan_refuses(plan, "libvirt"))
		return;
	qb_network_plan(facts, config, plan);
	/* What stands on a volume comes after what starts its group and mounts it. */
	for (size_t i = 0; i < config->n_pools; i++)
		if (!volume_below(config, &config->pools[i], NULL))
			plan_pool(facts, &config->pools[i], plan);
	for (size_t i = 0; i < config->n_pools; i++)
		for (size_t k = 0; k < config->pools[i].n_volumes; k++)
			plan_mount(facts, &config->pools[i], &config->pools[i].volumes[k], plan);
	for (size_t i = 0; i < config->n_pools; i++)
		plan_pool_on_volume(facts, config, &config->pools[i], plan);
}
