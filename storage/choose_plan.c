/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/choose.h"

#include "storage/erase.h"

/* Whose turn it is when a match is served; the later ones take what the earlier ones left. */
enum turn {
	TURN_OWN,     /* the pool's already, and still as wanted */
	TURN_CHANGED, /* the pool's already: it stays so, also when the wish was changed since */
	TURN_NEW,
	N_TURNS
};

char *qb_pool_target(const struct qb_pool_config *pool)
{
	return qb_asprintf("pool %s", pool->name);
}

bool qb_pool_is_by_match(const struct qb_pool_config *pool)
{
	for (size_t i = 0; i < pool->n_disks; i++)
		if (pool->disks[i].has_match)
			return true;
	return false;
}

static bool may_erase(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		      const struct qb_disk *disk, bool by_path)
{
	const struct qb_erase_config *erase = qb_erase_of(pool, disk);
	const char *identity = qb_disk_identity(disk);

	/* What was carved once may hold images, and what was named then is no word on them. */
	return erase && !qb_ledger_has_carved(p->ledger, pool->name, identity) &&
	       qb_erase_allows(&erase->contains, disk, by_path,
			       qb_erase_begun(p->ledger, pool->name, identity));
}

static enum qb_disk_claim claim_in_group(const struct qb_pool_planning *p,
					 const struct qb_pool_config *pool,
					 const struct qb_disk *disk, const struct qb_pool_ids *ids,
					 enum qb_disk_claim claim)
{
	const struct qb_volume_group *group = qb_vg_find(p->disks, pool, p->machine_id);

	return qb_vg_claim(claim, p->disks, group, qb_vg_state(group, pool->name, p->machine_id),
			   disk, ids);
}

static enum qb_disk_claim claim_of(const struct qb_pool_planning *p,
				   const struct qb_pool_config *pool, const struct qb_disk *disk,
				   bool by_path)
{
	const char *identity = qb_disk_identity(disk);
	enum qb_disk_claim claim;
	struct qb_pool_ids ids;

	if (!identity)
		return QB_CLAIM_NONE;
	qb_pool_ids(p->machine_id, pool->name, identity, &ids);
	claim = qb_disk_claim(disk, pool->name, &ids, by_path,
			      qb_ledger_began(p->ledger, pool->name, identity));
	if (pool->type == QB_POOL_LOGICAL)
		claim = claim_in_group(p, pool, disk, &ids, claim);
	return claim == QB_CLAIM_NONE && may_erase(p, pool, disk, by_path) ? QB_CLAIM_ERASE : claim;
}

/*
 * Machines of one image may have one machine-id, and by it the mark of one is the mark of all. What
 * is named is taken by the word of who named it; what is matched, where a journal here knows of it.
 */
static bool may_be_anothers(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
			    const struct qb_disk *disk)
{
	const char *identity = qb_disk_identity(disk);

	return disk->mark.state >= QB_MARK_COMMITTING && disk->mark.ours &&
	       qb_streq(disk->mark.pool, pool->name) &&
	       !qb_ledger_has_carved(p->ledger, pool->name, identity) &&
	       !qb_ledger_began(p->ledger, pool->name, identity);
}

/* It was to be erased, and cannot be. */
static void refuse_erase(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
			 const char *target, const struct qb_disk *disk)
{
	const struct qb_erase_config *erase = qb_erase_of(pool, disk);
	_cleanup_strs_ struct qb_strs here = {0};
	const json_t *begun = qb_erase_begun(p->ledger, pool->name, qb_disk_identity(disk));
	_cleanup_free_ char *is = NULL, *named = NULL, *differs = NULL;

	if (!erase)
		return;
	differs = begun ? qb_erase_differs(begun, disk, true) : NULL;
	if (differs) {
		qb_plan_refuse(p->plan, target, "erase",
			       "%s: erasing it broke off, and %s: look at it, and where nobody "
			       "needs that, take it away with wipefs -a",
			       disk->path, differs);
		return;
	}
	qb_disk_contains(disk, &here);
	is = qb_strs_sentence(&here);
	named = qb_strs_sentence(&erase->contains);
	qb_plan_refuse(p->plan, target, "erase",
		       "%s: to be erased is a disk that contains %s, and on this one is %s; LVM's, "
		       "what is in use and what was carved for the pool before is never erased",
		       disk->path, named, is ? is : "nothing");
}

void qb_refuse_disk(const struct qb_pool_planning *p, const struct qb_pool_config *pool,
		    const char *target, const struct qb_disk *disk, bool by_path)
{
	const struct qb_volume_group *group = qb_vg_find(p->disks, pool, p->machine_id);
	bool has_group = qb_vg_state(group, pool->name, p->machine_id) == QB_VG_IS_READY;

	refuse_erase(p, pool, target, disk);
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
			       "since%s",
			       disk->path, disk->mark.pool,
			       has_group ? "; the pool's volume group is here, and pvs(8) tells "
					   "whether the disk is in it"
					 : "; when nothing on it is needed, zero its first and "
					   "last 4 MiB");
}

static bool has_member(const struct qb_choice *c, size_t at)
{
	for (size_t i = 0; i < c->n_members; i++)
		if (c->members[i].at == at)
			return true;
	return false;
}

static void refuse_absent(const struct qb_pool_planning *p, const char *target,
			  const struct qb_disk_selector *selector, const char *wanted)
{
	qb_plan_refuse(p->plan, target, "no-match", "%s is not here", wanted);
	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		_cleanup_free_ char *differs = qb_selector_differs(selector, disk);

		if (differs)
			qb_plan_refuse(p->plan, target, "no-match", "%s: %s", disk->path, differs);
	}
}

static void choose_named(const struct qb_pool_planning *p, struct qb_choice *c,
			 const struct qb_disk_selector *selector)
{
	_cleanup_free_ char *wanted = qb_selector_text(selector), *list = NULL;
	_cleanup_free_ char *target = qb_pool_target(c->pool);
	_cleanup_strs_ struct qb_strs found = {0};
	size_t at = 0;

	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		_cleanup_free_ char *differs = qb_selector_differs(selector, disk);

		/* The hidden paths of an NVMe namespace have the WWID of its head. */
		if (differs || (!selector->path && qb_disk_has_reason(disk, "nvme-path")))
			continue;
		qb_strs_add(&found, disk->path);
		at = i;
	}
	if (found.n == 1 && !has_member(c, at)) {
		*QB_APPEND(c->members, c->n_members) = (struct qb_member){
			.at = at,
			.claim = claim_of(p, c->pool, &p->disks->disks[at], selector->path),
			.by_path = selector->path,
		};
		return;
	}
	c->done = true;
	list = qb_strs_sentence(&found);
	if (!found.n)
		refuse_absent(p, target, selector, wanted);
	else if (found.n > 1)
		qb_plan_refuse(p->plan, target, "no-match", "%s is not one disk but %zu: %s",
			       wanted, found.n, list);
	else
		qb_plan_refuse(p->plan, target, "claimed", "%s, %s, is named twice", list, wanted);
}

/* Pools that name one disk: none has the better right. */
static void refuse_rivals(struct qb_pool_planning *p, struct qb_choice *choices, size_t n,
			  size_t at)
{
	_cleanup_strs_ struct qb_strs pools = {0};

	for (size_t i = 0; i < n; i++) {
		if (!has_member(&choices[i], at))
			continue;
		qb_strs_add(&pools, choices[i].pool->name);
		p->owner[at] = choices[i].pool;
	}
	for (size_t i = 0; pools.n > 1 && i < n; i++) {
		_cleanup_free_ char *target = qb_pool_target(choices[i].pool), *list = NULL;
		_cleanup_strs_ struct qb_strs rivals = {0};

		if (!has_member(&choices[i], at))
			continue;
		for (size_t j = 0; j < pools.n; j++)
			if (!qb_streq(pools.v[j], choices[i].pool->name))
				qb_strs_add(&rivals, pools.v[j]);
		list = qb_strs_sentence(&rivals);
		qb_plan_refuse(p->plan, target, "claimed", "%s is also named for pool %s",
			       p->disks->disks[at].path, list);
		choices[i].done = true;
	}
}

/* Kernel names change from boot to boot; identities do not. */
static int by_claim(const void *va, const void *vb, void *vdisks)
{
	const struct qb_member *a = va, *b = vb;
	const struct qb_disk *disks = vdisks;

	if (a->claim != b->claim)
		return a->claim < b->claim ? -1 : 1;
	return strcmp(qb_disk_identity(&disks[a->at]), qb_disk_identity(&disks[b->at]));
}

/*
 * Gives the pool at most n of the disks that the selector wants, and returns how many.
 * claims: the pool's, of each disk. selector NULL: whatever is the pool's.
 */
static uint64_t take(struct qb_pool_planning *p, struct qb_choice *c,
		     const enum qb_disk_claim *claims, const struct qb_disk_selector *selector,
		     enum turn turn, uint64_t n)
{
	_cleanup_free_ struct qb_member *found = NULL;
	size_t n_found = 0, i;

	for (i = 0; i < p->disks->n_disks; i++) {
		bool own = claims[i] <= QB_CLAIM_COMMIT;
		_cleanup_free_ char *differs = NULL;

		if (p->owner[i] || claims[i] == QB_CLAIM_NONE || own != (turn < TURN_NEW))
			continue;
		if (turn != TURN_CHANGED)
			differs = qb_selector_differs(selector, &p->disks->disks[i]);
		if (!differs)
			*QB_APPEND(found, n_found) = (struct qb_member){i, claims[i], false};
	}
	if (n_found)
		qsort_r(found, n_found, sizeof(*found), by_claim, p->disks->disks);
	for (i = 0; i < n_found && i < n; i++) {
		*QB_APPEND(c->members, c->n_members) = found[i];
		p->owner[found[i].at] = c->pool;
	}
	return i;
}

static void refuse_match(const struct qb_pool_planning *p, const struct qb_choice *c,
			 const struct qb_disk_selector *selector, uint64_t found)
{
	_cleanup_free_ char *wanted = qb_selector_text(selector);
	_cleanup_free_ char *target = qb_pool_target(c->pool);

	if (found)
		qb_plan_refuse(p->plan, target, "no-match",
			       "%s: only %ju of the %zu disks here will do", wanted,
			       (uintmax_t)found, p->disks->n_disks);
	else
		qb_plan_refuse(p->plan, target, "no-match",
			       "%s: none of the %zu disks here will do", wanted, p->disks->n_disks);
	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		_cleanup_free_ char *differs = qb_selector_differs(selector, disk);

		if (has_member(c, i))
			continue;
		if (differs)
			qb_plan_refuse(p->plan, target, "no-match", "%s: %s", disk->path, differs);
		else if (p->owner[i])
			qb_plan_refuse(p->plan, target, "claimed", "%s: it is for pool %s",
				       disk->path, p->owner[i]->name);
		else
			qb_refuse_disk(p, c->pool, target, disk, false);
	}
}

/* Who says "all" hears what is left out. */
static void note_passed_over(const struct qb_pool_planning *p, struct qb_choice *c,
			     const struct qb_disk_selector *selector)
{
	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];
		_cleanup_free_ char *differs = qb_selector_differs(selector, disk), *text = NULL;

		if (differs || p->owner[i] || !disk->n_reasons)
			continue;
		text = qb_asprintf("%s (%s)", disk->path, disk->reasons[0].code);
		if (!qb_strs_has(&c->passed_over, text))
			qb_strs_add(&c->passed_over, text);
	}
}

static bool is_matched(const struct qb_pool_config *pool, const struct qb_disk *disk)
{
	bool matched = false;

	for (size_t i = 0; i < pool->n_disks; i++) {
		_cleanup_free_ char *differs = qb_selector_differs(&pool->disks[i], disk);

		matched |= pool->disks[i].has_match && !differs;
	}
	return matched;
}

static bool refuse_anothers(const struct qb_pool_planning *p, struct qb_choice *c)
{
	_cleanup_free_ char *target = qb_pool_target(c->pool);

	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];

		if (has_member(c, i) || !may_be_anothers(p, c->pool, disk) ||
		    !is_matched(c->pool, disk))
			continue;
		qb_plan_refuse(p->plan, target, "partition-table",
			       "%s: it carries this machine's mark of pool %s, and no journal here "
			       "knows of it, as on a copy of the machine that made it; where it is "
			       "this machine's alone, name it by its WWID or serial number, and "
			       "where it is another one's, take it off this machine",
			       disk->path, c->pool->name);
		c->done = true;
	}
	return c->done;
}

static void choose_match(struct qb_pool_planning *p, struct qb_choice *c)
{
	_cleanup_free_ uint64_t *found = qb_alloc(c->pool->n_disks, sizeof(*found));
	_cleanup_free_ enum qb_disk_claim *claims = qb_alloc(p->disks->n_disks, sizeof(*claims));
	bool by_match = qb_pool_is_by_match(c->pool);

	if (!by_match && c->pool->type != QB_POOL_LOGICAL)
		return;
	if (by_match && refuse_anothers(p, c))
		return;
	for (size_t i = 0; i < p->disks->n_disks; i++) {
		const struct qb_disk *disk = &p->disks->disks[i];

		claims[i] = by_match && may_be_anothers(p, c->pool, disk)
				    ? QB_CLAIM_NONE
				    : claim_of(p, c->pool, disk, false);
	}
	for (enum turn turn = 0; turn < N_TURNS; turn++) {
		for (size_t i = 0; i < c->pool->n_disks; i++) {
			const struct qb_disk_selector *selector = &c->pool->disks[i];

			if (selector->has_match)
				found[i] += take(p, c, claims, selector, turn,
						 qb_selector_count(selector) - found[i]);
		}
	}
	/* A group keeps what it has. */
	if (c->pool->type == QB_POOL_LOGICAL)
		(void)take(p, c, claims, NULL, TURN_CHANGED, QB_ALL);
	for (size_t i = 0; i < c->pool->n_disks; i++) {
		const struct qb_disk_selector *selector = &c->pool->disks[i];
		uint64_t wanted = qb_selector_count(selector);

		if (!selector->has_match)
			continue;
		if (!found[i] || (wanted != QB_ALL && found[i] < wanted)) {
			refuse_match(p, c, selector, found[i]);
			c->done = true;
		} else if (wanted == QB_ALL) {
			note_passed_over(p, c, selector);
		}
	}
}

/* The pool was made, and nothing of it is here: on other disks it would be another pool. */
static void refuse_replacement(const struct qb_pool_planning *p, struct qb_choice *c)
{
	_cleanup_free_ char *target = qb_pool_target(c->pool), *was = NULL, *is = NULL;
	_cleanup_strs_ struct qb_strs carved = {0}, others = {0};
	bool silent = false;

	qb_ledger_carved(p->ledger, c->pool->name, &carved);
	/* A path names a place, a match a kind; a WWID or a serial number names the disk. */
	for (size_t i = 0; i < c->pool->n_disks; i++)
		silent |= c->pool->disks[i].has_match || c->pool->disks[i].path;
	for (size_t i = 0; i < c->n_members; i++) {
		const struct qb_disk *disk = &p->disks->disks[c->members[i].at];

		if (c->members[i].claim <= QB_CLAIM_COMMIT)
			return;
		if (!qb_strs_has(&carved, qb_disk_identity(disk)))
			qb_strs_add(&others, disk->path);
	}
	if (!carved.n || !others.n || !silent)
		return;
	was = qb_strs_sentence(&carved);
	is = qb_strs_sentence(&others);
	qb_plan_refuse(p->plan, target, "no-match",
		       "the pool was made on the disk %s, and %s, which is another one, does not "
		       "silently take its place: name the new disk by its WWID or serial number",
		       was, is);
	c->done = true;
}

void qb_choose(struct qb_pool_planning *p, struct qb_choice *choices, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct qb_choice *c = &choices[i];
		bool given_up = c->done;

		for (size_t j = 0; !given_up && j < c->pool->n_disks; j++)
			if (!c->pool->disks[j].has_match)
				choose_named(p, c, &c->pool->disks[j]);
	}
	/* What is named comes first, so that no match takes it away. */
	for (size_t i = 0; i < p->disks->n_disks; i++)
		refuse_rivals(p, choices, n, i);
	for (size_t i = 0; i < n; i++) {
		if (!choices[i].done)
			choose_match(p, &choices[i]);
		if (!choices[i].done)
			refuse_replacement(p, &choices[i]);
	}
}
