/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/pool.h"

#include <inttypes.h>

#include "storage/mark.h"
#include "storage/select.h"

/* What is being planned: one of it for all pools, since they compete for the disks. */
struct planning {
	const struct qb_disks *disks;
	const char *machine_id;
	const struct qb_ledger *ledger;
	struct qb_plan *plan;
	const struct qb_pool_config **owner; /* of each disk; NULL: nobody's yet */
};

/* The disk chosen for a pool. */
struct choice {
	const struct qb_pool_config *pool;
	ssize_t at; /* -1: none */
	bool by_path;
	bool done; /* decided or refused */
};

static char *target_of(const struct qb_pool_config *pool)
{
	return qb_asprintf("pool %s", pool->name);
}

static enum qb_disk_claim claim_of(const struct planning *p, const struct qb_pool_config *pool,
				   const struct qb_disk *disk, bool by_path)
{
	const char *identity = qb_disk_identity(disk);
	struct qb_pool_ids ids;

	if (!identity)
		return QB_CLAIM_NONE;
	qb_pool_ids(p->machine_id, pool->name, identity, &ids);
	return qb_disk_claim(disk, pool->name, &ids, by_path,
			     qb_ledger_began(p->ledger, pool->name, identity));
}

static void refuse_disk(const struct planning *p, const char *target, const struct qb_disk *disk,
			bool by_path)
{
	if (!disk->n_reasons)
		qb_plan_refuse(p->plan, target, "no-match", "%s: nobody judged it", disk->path);
	for (size_t i = 0; i < disk->n_reasons; i++)
		if (qb_reason_counts(disk, disk->reasons[i].code, QB_CLAIM_NONE, by_path))
			qb_plan_refuse(p->plan, target, disk->reasons[i].code, "%s: %s", disk->path,
				       disk->reasons[i].evidence);
	if (disk->mark.state == QB_MARK_PENDING && disk->mark.pool)
		qb_plan_refuse(p->plan, target, "partition-table",
			       "%s: its carving for pool %s was begun, and cannot be gone on with: "
			       "either no journal here knows of it, or something else was written "
			       "since; when nothing on it is needed, zero its first and last 4 MiB",
			       disk->path, disk->mark.pool);
}

/* False when the configuration wants what cannot be planned, which is refused. */
static bool shape_is_known(const struct planning *p, const struct qb_pool_config *pool,
			   const char *target)
{
	if (pool->type == QB_POOL_LOGICAL) {
		qb_plan_refuse(p->plan, target, "unsupported",
			       "pools of type logical cannot be made yet; type fs takes one disk");
		return false;
	}
	if (pool->n_disks != 1 || pool->disks[0].count > 1) {
		qb_plan_refuse(p->plan, target, "unsupported",
			       "a pool of type fs takes exactly one disk");
		return false;
	}
	if (strlen(pool->name) > QB_MARK_POOL_MAX) {
		qb_plan_refuse(p->plan, target, "unsupported",
			       "its name has more than %d bytes, and the mark on the disk has room "
			       "for no more",
			       QB_MARK_POOL_MAX);
		return false;
	}
	if (!p->machine_id || !p->machine_id[0]) {
		qb_plan_refuse(p->plan, target, "no-identity",
			       "this machine has no /etc/machine-id to mark its disks with");
		return false;
	}
	if (!qb_is(&p->disks->known)) {
		qb_plan_refuse(p->plan, target, "probe-error", "the disks are unknown: %s",
			       p->disks->known.why ? p->disks->known.why : "nobody looked");
		return false;
	}
	return true;
}

/* Whether the pool was made on another disk than the one chosen, which is not made for it yet. */
static bool takes_place(const struct planning *p, const struct choice *c)
{
	const struct qb_disk *disk = &p->disks->disks[c->at];
	const char *carved = qb_ledger_carved(p->ledger, c->pool->name);
	enum qb_disk_claim claim = claim_of(p, c->pool, disk, c->by_path);

	return carved && claim > QB_CLAIM_COMMIT && !qb_streq(carved, qb_disk_identity(disk));
}

static void refuse_replacement(const struct planning *p, struct choice *c, const char *target)
{
	qb_plan_refuse(p->plan, target, "no-match",
		       "the pool was made on the disk %s, and %s, which is another one, does not "
		       "silently take its place: name the new disk by its WWID or serial number",
		       qb_ledger_carved(p->ledger, c->pool->name), p->disks->disks[c->at].path);
	c->at = -1;
	c->done = true;
}

static void choose_named(struct planning *p, struct choice *c, const char *target)
{
	const struct qb_disk_selector *selector = &c->pool->disks[0];
	_cleanup_free_ char *wanted = qb_selector_text(selector);
	_cleanup_strs_ struct qb_strs found = {0};

	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		_cleanup_free_ char *differs = qb_selector_differs(selector, disk);

		/* The hidden paths of an NVMe namespace have the WWID of its head. */
		if (differs || (!selector->path && qb_disk_has_reason(disk, "nvme-path")))
			continue;
		qb_strs_add(&found, disk->path);
		c->at = (ssize_t)i;
	}
	c->by_path = selector->path;
	if (found.n == 1) {
		/* A path names a place; the WWID or the serial number names the disk. */
		if (selector->path && takes_place(p, c))
			refuse_replacement(p, c, target);
		return;
	}
	c->at = -1;
	c->done = true;
	if (found.n) {
		_cleanup_free_ char *list = qb_strs_sentence(&found);

		qb_plan_refuse(p->plan, target, "no-match", "%s is not one disk but %zu: %s",
			       wanted, found.n, list);
		return;
	}
	qb_plan_refuse(p->plan, target, "no-match", "%s is not here", wanted);
	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		_cleanup_free_ char *differs = qb_selector_differs(selector, disk);

		if (differs)
			qb_plan_refuse(p->plan, target, "no-match", "%s: %s", disk->path, differs);
	}
}

/* Two pools that name one disk: neither has the better right. */
static void refuse_rivals(struct planning *p, struct choice *choices, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_strs_ struct qb_strs rivals = {0};
		_cleanup_free_ char *target = target_of(choices[i].pool), *list = NULL;

		if (choices[i].at < 0)
			continue;
		for (size_t j = 0; j < n; j++)
			if (j != i && choices[j].at == choices[i].at)
				qb_strs_add(&rivals, choices[j].pool->name);
		if (!rivals.n) {
			p->owner[choices[i].at] = choices[i].pool;
			continue;
		}
		list = qb_strs_sentence(&rivals);
		qb_plan_refuse(p->plan, target, "claimed", "%s is also named for pool %s",
			       p->disks->disks[choices[i].at].path, list);
		choices[i].done = true;
	}
}

/* Kernel names change from boot to boot; identities do not. */
static bool before(const struct planning *p, enum qb_disk_claim claim, size_t i,
		   enum qb_disk_claim best, ssize_t at)
{
	if (at < 0 || claim != best)
		return at < 0 || claim < best;
	return strcmp(qb_disk_identity(&p->disks->disks[i]),
		      qb_disk_identity(&p->disks->disks[at])) < 0;
}

static void refuse_match(const struct planning *p, const struct qb_pool_config *pool,
			 const char *target)
{
	_cleanup_free_ char *wanted = qb_selector_text(&pool->disks[0]);

	qb_plan_refuse(p->plan, target, "no-match", "%s: none of the %zu disks here will do",
		       wanted, p->disks->n_disks);
	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		_cleanup_free_ char *differs = qb_selector_differs(&pool->disks[0], disk);

		if (differs)
			qb_plan_refuse(p->plan, target, "no-match", "%s: %s", disk->path, differs);
		else if (p->owner[i])
			qb_plan_refuse(p->plan, target, "claimed", "%s: it is for pool %s",
				       disk->path, p->owner[i]->name);
		else
			refuse_disk(p, target, disk, false);
	}
}

static void choose_match(struct planning *p, struct choice *c, const char *target)
{
	enum qb_disk_claim best = QB_CLAIM_NONE;

	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		_cleanup_free_ char *differs = qb_selector_differs(&c->pool->disks[0], disk);
		enum qb_disk_claim claim = claim_of(p, c->pool, disk, false);

		/* What is already the pool's stays so, also when the wish was changed since. */
		if ((differs && claim > QB_CLAIM_COMMIT) || p->owner[i] || claim == QB_CLAIM_NONE)
			continue;
		if (before(p, claim, i, best, c->at)) {
			best = claim;
			c->at = (ssize_t)i;
		}
	}
	if (c->at >= 0 && takes_place(p, c)) {
		refuse_replacement(p, c, target);
	} else if (c->at < 0) {
		refuse_match(p, c->pool, target);
		c->done = true;
	} else {
		p->owner[c->at] = c->pool;
	}
}

/* "type@offset" of what is recognised on it. */
static json_t *signatures(const struct qb_disk *disk)
{
	json_t *list = json_array();

	for (size_t i = 0; i < disk->n_signatures; i++)
		json_array_append_new(list, json_sprintf("%s@%" PRIu64, disk->signatures[i].type,
							 disk->signatures[i].offset));
	return list;
}

static json_t *carve_args(const struct planning *p, const struct choice *c,
			  enum qb_disk_claim claim)
{
	const struct qb_disk *disk = &p->disks->disks[c->at];
	const char *identity = qb_disk_identity(disk);
	struct qb_pool_ids ids;

	qb_pool_ids(p->machine_id, c->pool->name, identity, &ids);
	return json_pack("{s:s, s:s?, s:s, s:s?, s:s, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:s, s:s, "
			 "s:s, s:b, s:b, s:b, s:o}",
			 "pool", c->pool->name, "target", c->pool->target, "disk", disk->path,
			 "devno", disk->devno, "identity", identity, "wwid", disk->wwid, "serial",
			 disk->serial, "backing", disk->backing, "size_bytes",
			 (json_int_t)disk->size_bytes, "diskseq", (json_int_t)disk->diskseq,
			 "logical_sector_bytes", (json_int_t)disk->logical_sector_bytes,
			 "disk_guid", ids.disk_guid, "part_guid", ids.part_guid, "fs_uuid",
			 ids.fs_uuid, "by_path", c->by_path, "resume", claim == QB_CLAIM_RESUME,
			 "commit", claim == QB_CLAIM_COMMIT, "signatures", signatures(disk));
}

static void plan_choice(struct planning *p, const struct choice *c, const char *target)
{
	const struct qb_disk *disk = &p->disks->disks[c->at];
	enum qb_disk_claim claim = claim_of(p, c->pool, disk, c->by_path);
	_cleanup_free_ char *size = qb_format_size(disk->size_bytes);
	struct qb_step *step;

	if (claim == QB_CLAIM_READY)
		return;
	if (claim == QB_CLAIM_NONE) {
		refuse_disk(p, target, disk, c->by_path);
		return;
	}
	step = qb_plan_step(p->plan, QB_CARVE_KIND, QB_UNDO_BEST_EFFORT, carve_args(p, c, claim),
			    target);
	if (claim == QB_CLAIM_COMMIT) {
		qb_step_why(step,
			    "%s (%s, %s) was carved by a run that broke off at its last write; its "
			    "mark is written anew, and nothing else",
			    disk->path, size, qb_disk_identity(disk));
		return;
	}
	qb_step_why(step, "%s (%s, %s) %s; it gets a GPT with one XFS for %s", disk->path, size,
		    qb_disk_identity(disk),
		    claim == QB_CLAIM_RESUME ? "was left half carved by a run that broke off"
					     : "is blank",
		    c->pool->target ? c->pool->target : c->pool->name);
}

void qb_pool_plan(const struct qb_disks *disks, const struct qb_pool_config *pools, size_t n_pools,
		  const char *machine_id, const struct qb_ledger *ledger, struct qb_plan *plan)
{
	struct planning p = {disks, machine_id, ledger, plan, NULL};
	struct choice *choices = qb_alloc(n_pools, sizeof(*choices));

	p.owner = qb_alloc(disks->n_disks, sizeof(const struct qb_pool_config *));
	for (size_t i = 0; i < n_pools; i++) {
		_cleanup_free_ char *target = target_of(&pools[i]);
		struct choice *c = &choices[i];

		*c = (struct choice){.pool = &pools[i], .at = -1};
		c->done = pools[i].type == QB_POOL_DIR || !shape_is_known(&p, &pools[i], target);
		if (!c->done && !pools[i].disks[0].has_match)
			choose_named(&p, c, target);
	}
	/* What is named comes first, so that no match takes it away. */
	refuse_rivals(&p, choices, n_pools);
	for (size_t i = 0; i < n_pools; i++) {
		_cleanup_free_ char *target = target_of(&pools[i]);

		if (!choices[i].done && choices[i].at < 0)
			choose_match(&p, &choices[i], target);
		if (!choices[i].done)
			plan_choice(&p, &choices[i], target);
	}
	free(p.owner);
	free(choices);
}

char *qb_pool_source(const struct qb_disks *disks, const struct qb_pool_config *pool,
		     const char *machine_id, const struct qb_plan *plan, char ret_uuid[37])
{
	const struct qb_disk_selector *selector = pool->n_disks ? &pool->disks[0] : NULL;
	const char *identity = NULL, *planned;
	struct qb_pool_ids ids;

	for (size_t i = 0; plan && i < plan->n_steps; i++) {
		const json_t *args = plan->steps[i].args;

		if (qb_streq(plan->steps[i].kind, QB_CARVE_KIND) &&
		    qb_streq(json_string_value(json_object_get(args, "pool")), pool->name))
			identity = json_string_value(json_object_get(args, "identity"));
	}
	planned = identity;
	/* Of several that carry the pool's mark, the one that qb_pool_plan() goes by. */
	for (size_t i = 0; !planned && i < disks->n_disks; i++) {
		const struct qb_disk *disk = &disks->disks[i];
		_cleanup_free_ char *differs = NULL;

		if (disk->mark.state != QB_MARK_READY || !disk->mark.ours ||
		    !qb_streq(disk->mark.pool, pool->name))
			continue;
		if (selector && !selector->has_match)
			differs = qb_selector_differs(selector, disk);
		if (!differs && (!identity || strcmp(qb_disk_identity(disk), identity) < 0))
			identity = qb_disk_identity(disk);
	}
	if (pool->type != QB_POOL_FS || !machine_id || !identity)
		return NULL;
	qb_pool_ids(machine_id, pool->name, identity, &ids);
	memcpy(ret_uuid, ids.pool_uuid, sizeof(ids.pool_uuid));
	return qb_asprintf("/dev/disk/by-partuuid/%s", ids.part_guid);
}
