/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/erase.h"

#define UNKNOWN "unknown-content"

static void add_once(struct qb_strs *list, const char *item)
{
	if (!qb_strs_has(list, item))
		qb_strs_add(list, item);
}

void qb_disk_contains(const struct qb_disk *disk, struct qb_strs *ret)
{
	for (size_t i = 0; i < disk->n_signatures; i++)
		add_once(ret, disk->signatures[i].type);
	for (size_t i = 0; i < disk->n_partitions; i++)
		add_once(ret, disk->partitions[i].fs_type ? disk->partitions[i].fs_type : UNKNOWN);
	/* A pool's images are on it, be it this machine's or another one's. */
	if (disk->mark.pool) {
		_cleanup_free_ char *mark = qb_asprintf("qubi:%s", disk->mark.pool);

		add_once(ret, mark);
	}
	/* A reason of partitions or a damaged table where nothing has a name. */
	if (qb_disk_has_reason(disk, UNKNOWN) || (!ret->n && disk->n_reasons))
		add_once(ret, UNKNOWN);
	qb_strs_sort(ret);
}

static char *with_uuid(const char *type, const char *uuid)
{
	return uuid ? qb_asprintf("%s %s", type, uuid) : qb_strdup(type);
}

/* takes text */
static void add_seen(struct qb_strs *ret, char *text)
{
	add_once(ret, text);
	free(text);
}

void qb_disk_seen(const struct qb_disk *disk, struct qb_strs *ret)
{
	for (size_t i = 0; i < disk->n_signatures; i++)
		add_seen(ret, with_uuid(disk->signatures[i].type, disk->signatures[i].uuid));
	for (size_t i = 0; i < disk->n_partitions; i++) {
		const struct qb_partition *p = &disk->partitions[i];

		add_seen(ret,
			 qb_asprintf("partition %ju (%s) at byte %ju", (uintmax_t)p->number,
				     p->uuid ? p->uuid : "no UUID", (uintmax_t)p->start_bytes));
		if (p->fs_type)
			add_seen(ret, with_uuid(p->fs_type, p->fs_uuid));
	}
	qb_strs_sort(ret);
}

static void read_seen(const json_t *args, struct qb_strs *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(args, "seen"), i, item)
		if (json_is_string(item))
			qb_strs_add(ret, json_string_value(item));
}

/* Those of a that are not in b, as a sentence; NULL: none. */
static char *without(const struct qb_strs *a, const struct qb_strs *b)
{
	_cleanup_strs_ struct qb_strs left = {0};

	for (size_t i = 0; i < a->n; i++)
		if (!qb_strs_has(b, a->v[i]))
			qb_strs_add(&left, a->v[i]);
	return left.n ? qb_strs_sentence(&left) : NULL;
}

char *qb_erase_differs(const json_t *args, const struct qb_disk *disk, bool began)
{
	_cleanup_strs_ struct qb_strs here = {0}, then = {0};
	_cleanup_free_ char *come = NULL, *gone = NULL;

	qb_disk_seen(disk, &here);
	read_seen(args, &then);
	come = without(&here, &then);
	if (come)
		return qb_asprintf("%s came since", come);
	gone = began ? NULL : without(&then, &here);
	return gone ? qb_asprintf("%s went since", gone) : NULL;
}

/* A path names a place, and what is plugged in there may be another disk the next time. */
static bool is_named(const struct qb_erase_config *e, const struct qb_disk *disk)
{
	if (e->wwid)
		return qb_streq(e->wwid, disk->wwid);
	if (e->serial)
		return qb_streq(e->serial, disk->serial);
	return e->path && disk->backing && !disk->wwid && !disk->serial &&
	       (qb_streq(e->path, disk->path) || qb_strs_has(&disk->links, e->path));
}

const struct qb_erase_config *qb_erase_of(const struct qb_pool_config *pool,
					  const struct qb_disk *disk)
{
	for (size_t i = 0; i < pool->n_erase; i++)
		if (is_named(&pool->erase[i], disk))
			return &pool->erase[i];
	return NULL;
}

/* Only what is on the disk can be given up. What uses it, or what it is, goes on speaking. */
static bool is_about_contents(const char *code)
{
	static const char *const codes[] = {"signature", "partitions", "partition-table", UNKNOWN,
					    "ambiguous"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(codes); i++)
		if (qb_streq(codes[i], code))
			return true;
	return false;
}

static bool only_contents_speak_against(const struct qb_disk *disk, bool by_path, bool began)
{
	for (size_t i = 0; i < disk->n_reasons; i++) {
		const char *code = disk->reasons[i].code;

		/* udev has seen what a run that broke off has changed, or not yet. */
		if (!is_about_contents(code) && !(began && qb_streq(code, "udev-stale")) &&
		    qb_reason_counts(disk, code, QB_CLAIM_NONE, by_path))
			return false;
	}
	return disk->n_reasons;
}

bool qb_erase_allows(const struct qb_strs *contains, const struct qb_disk *disk, bool by_path,
		     const json_t *begun)
{
	_cleanup_free_ char *differs = begun ? qb_erase_differs(begun, disk, true) : NULL;
	_cleanup_strs_ struct qb_strs here = {0};
	bool all = true;

	qb_disk_contains(disk, &here);
	for (size_t i = 0; i < here.n; i++) {
		/* Whose it is only LVM knows, and a group is more than this disk. */
		if (qb_startswith(here.v[i], "LVM"))
			return false;
		if (!qb_strs_has(contains, here.v[i]) && !(begun && qb_streq(here.v[i], UNKNOWN)))
			return false;
	}
	for (size_t i = 0; i < contains->n; i++)
		all &= qb_strs_has(&here, contains->v[i]);
	return !differs && (all || begun) && only_contents_speak_against(disk, by_path, begun);
}

const json_t *qb_erase_begun(const struct qb_ledger *ledger, const char *pool, const char *identity)
{
	const json_t *begun = NULL;

	for (size_t i = 0; ledger && i < ledger->n_entries; i++) {
		const struct qb_ledger_entry *entry = &ledger->entries[i];

		if (qb_streq(entry->kind, QB_ERASE_KIND) &&
		    qb_streq(qb_arg(entry->args, "pool"), pool) &&
		    qb_streq(qb_arg(entry->args, "identity"), identity))
			begun = entry->done ? NULL : entry->args;
	}
	return begun;
}

static json_t *list_of(const struct qb_strs *strs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < strs->n; i++)
		json_array_append_new(list, json_string(strs->v[i]));
	return list;
}

void qb_erase_plan(struct qb_plan *plan, const struct qb_disk *disk, bool began, json_t *args,
		   const char *target)
{
	_cleanup_strs_ struct qb_strs here = {0}, seen = {0};
	_cleanup_free_ char *list = NULL, *size = qb_format_size(disk->size_bytes);

	qb_disk_contains(disk, &here);
	qb_disk_seen(disk, &seen);
	json_object_set_new(args, "contains", list_of(&here));
	json_object_set_new(args, "seen", list_of(&seen));
	json_object_set_new(args, "resume", json_boolean(began));
	list = qb_strs_sentence(&here);
	qb_step_why(qb_plan_step(plan, QB_ERASE_KIND, QB_UNDO_NONE, args, target),
		    "%s (%s, %s) is ERASED: %s on it %s lost for good, as the configuration says",
		    disk->path, size, qb_disk_identity(disk), list, here.n > 1 ? "are" : "is");
}
