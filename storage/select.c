/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/vg.h"

#include <fnmatch.h>

static bool same_or_unknown(const char *seen, const char *wanted)
{
	return !seen || !strcasecmp(seen, wanted);
}

bool qb_disk_resumable(const struct qb_disk *disk, const char *pool, const struct qb_pool_ids *ids)
{
	const struct qb_mark *mark = &disk->mark;
	char pv_uuid[QB_PV_UUID_LEN];

	qb_pv_uuid(ids->fs_uuid, pv_uuid);
	if (mark->state != QB_MARK_PENDING || !mark->only ||
	    !same_or_unknown(mark->uuid, ids->disk_guid) ||
	    (mark->pool && !qb_streq(mark->pool, pool)))
		return false;
	for (size_t i = 0; i < disk->n_partitions; i++)
		if (!same_or_unknown(disk->partitions[i].uuid, ids->part_guid) ||
		    (!same_or_unknown(disk->partitions[i].fs_uuid, ids->fs_uuid) &&
		     !same_or_unknown(disk->partitions[i].fs_uuid, pv_uuid)))
			return false;
	return true;
}

bool qb_reason_counts(const struct qb_disk *disk, const char *code, enum qb_disk_claim claim,
		      bool by_path)
{
	/* What our own half-finished work looks like to the general rules. */
	static const char *const leftovers[] = {"partitions",      "partition-table", "signature",
						"unknown-content", "udev-stale",      "foreign-pv"};

	/* A loop or zram device that is named as such is what was meant. */
	if (by_path && disk->backing && qb_streq(code, "virtual"))
		return false;
	for (size_t i = 0; claim == QB_CLAIM_RESUME && i < QB_ARRAY_SIZE(leftovers); i++)
		if (qb_streq(code, leftovers[i]))
			return false;
	return true;
}

char *qb_reasons_text(const struct qb_disk *disk, bool by_path)
{
	struct qb_buf b = {0};

	for (size_t i = 0; i < disk->n_reasons; i++)
		if (qb_reason_counts(disk, disk->reasons[i].code, QB_CLAIM_NONE, by_path))
			qb_buf_printf(&b, "%s%s: %s", b.len ? "; " : "", disk->reasons[i].code,
				      disk->reasons[i].evidence);
	return b.s;
}

static bool speaks_against(const struct qb_disk *disk, enum qb_disk_claim claim, bool by_path)
{
	for (size_t i = 0; i < disk->n_reasons; i++)
		if (qb_reason_counts(disk, disk->reasons[i].code, claim, by_path))
			return true;
	/* Facts without a verdict are not a verdict. */
	return !disk->available && !disk->n_reasons;
}

enum qb_disk_claim qb_disk_claim(const struct qb_disk *disk, const char *pool,
				 const struct qb_pool_ids *ids, bool by_path, bool began)
{
	if (disk->mark.state >= QB_MARK_COMMITTING && disk->mark.ours &&
	    qb_streq(disk->mark.pool, pool) && qb_streq(disk->mark.uuid, ids->disk_guid))
		return disk->mark.state == QB_MARK_READY ? QB_CLAIM_READY : QB_CLAIM_COMMIT;
	if (began && qb_disk_resumable(disk, pool, ids) &&
	    !speaks_against(disk, QB_CLAIM_RESUME, by_path))
		return QB_CLAIM_RESUME;
	if (!speaks_against(disk, QB_CLAIM_BLANK, by_path))
		return began ? QB_CLAIM_INTENDED : QB_CLAIM_BLANK;
	return QB_CLAIM_NONE;
}

const struct qb_partition *qb_disk_carved(const struct qb_disk *disk, const struct qb_pool_ids *ids,
					  const struct qb_fs *fs)
{
	const struct qb_partition *p = disk->n_partitions == 1 ? &disk->partitions[0] : NULL;
	char pv_uuid[QB_PV_UUID_LEN];
	const char *uuid = ids->fs_uuid;

	if (fs == &qb_physical_volume) {
		qb_pv_uuid(uuid, pv_uuid);
		uuid = pv_uuid;
	}
	return p && qb_streq(p->uuid, ids->part_guid) && qb_streq(p->fs_type, fs->name) &&
			       qb_streq(p->fs_uuid, uuid)
		       ? p
		       : NULL;
}

/* The disks that a step was to carve for a pool: its arguments, or a list of such. */
static size_t carved_by(const struct qb_ledger_entry *entry, const char *pool)
{
	if (!qb_streq(qb_arg(entry->args, "pool"), pool))
		return 0;
	if (qb_streq(entry->kind, QB_VG_KIND))
		return json_array_size(json_object_get(entry->args, "members"));
	return qb_streq(entry->kind, QB_CARVE_KIND);
}

static const char *carved_identity(const struct qb_ledger_entry *entry, size_t i)
{
	const json_t *members = json_object_get(entry->args, "members");

	return qb_arg(members ? json_array_get(members, i) : entry->args, "identity");
}

static bool carves(const struct qb_ledger_entry *entry, const char *pool, const char *identity)
{
	for (size_t k = 0; k < carved_by(entry, pool); k++)
		if (qb_streq(carved_identity(entry, k), identity))
			return true;
	return false;
}

bool qb_ledger_has_carved(const struct qb_ledger *ledger, const char *pool, const char *identity)
{
	for (size_t i = 0; ledger && i < ledger->n_entries; i++)
		if (ledger->entries[i].done && carves(&ledger->entries[i], pool, identity))
			return true;
	return false;
}

bool qb_ledger_began(const struct qb_ledger *ledger, const char *pool, const char *identity)
{
	const struct qb_ledger_entry *newest = NULL;

	for (size_t i = 0; ledger && i < ledger->n_entries; i++)
		if (carves(&ledger->entries[i], pool, identity))
			newest = &ledger->entries[i];
	/* Once it was done there may be images on it: never to be begun again, but where undoing it
	 * was begun, which looks first. */
	return newest && (newest->undoing || !qb_ledger_has_carved(ledger, pool, identity));
}

void qb_ledger_carved(const struct qb_ledger *ledger, const char *pool, struct qb_strs *ret)
{
	for (size_t i = 0; ledger && i < ledger->n_entries; i++) {
		const struct qb_ledger_entry *entry = &ledger->entries[i];
		size_t n = entry->done ? carved_by(entry, pool) : 0;

		/* Of a single disk the newest counts: it took the older one's place by name. */
		if (n && qb_streq(entry->kind, QB_CARVE_KIND))
			qb_strs_done(ret);
		for (size_t k = 0; k < n; k++)
			if (!qb_strs_has(ret, carved_identity(entry, k)))
				qb_strs_add(ret, carved_identity(entry, k));
	}
}

uint64_t qb_selector_count(const struct qb_disk_selector *selector)
{
	uint64_t n = 1;

	if (qb_streq(selector->count, "all"))
		return QB_ALL;
	return selector->count && qb_parse_u64(selector->count, &n) == 0 ? n : 1;
}

static char *match_differs(const struct qb_disk_match *m, const struct qb_disk *disk)
{
	_cleanup_free_ char *size = qb_format_size(disk->size_bytes);

	if (m->min_size && disk->size_bytes < m->min_size) {
		_cleanup_free_ char *wanted = qb_format_size(m->min_size);

		return qb_asprintf("its %s are less than %s", size, wanted);
	}
	if (m->max_size && disk->size_bytes > m->max_size) {
		_cleanup_free_ char *wanted = qb_format_size(m->max_size);

		return qb_asprintf("its %s are more than %s", size, wanted);
	}
	if (m->rotational.state != QB_UNKNOWN && m->rotational.state != disk->rotational.state)
		return qb_asprintf("%s", qb_is(&disk->rotational) ? "it rotates"
					 : qb_is_not(&disk->rotational)
						 ? "it does not rotate"
						 : "whether it rotates is unknown");
	if (m->transport && !qb_streq(m->transport, disk->transport))
		return qb_asprintf("its transport is %s, not %s",
				   disk->transport ? disk->transport : "unknown", m->transport);
	if (m->model && (!disk->model || fnmatch(m->model, disk->model, 0) != 0))
		return qb_asprintf("its model is %s, not %s", disk->model ? disk->model : "unknown",
				   m->model);
	if (m->slot && (!disk->by_path || fnmatch(m->slot, disk->by_path, 0) != 0))
		return qb_asprintf("its slot is %s, not %s",
				   disk->by_path ? disk->by_path : "unknown", m->slot);
	return NULL;
}

char *qb_selector_differs(const struct qb_disk_selector *selector, const struct qb_disk *disk)
{
	if (selector->wwid)
		return qb_streq(selector->wwid, disk->wwid)
			       ? NULL
			       : qb_asprintf("its WWID is %s", disk->wwid ? disk->wwid : "unknown");
	if (selector->serial)
		return qb_streq(selector->serial, disk->serial)
			       ? NULL
			       : qb_asprintf("its serial number is %s",
					     disk->serial ? disk->serial : "unknown");
	if (selector->path)
		return qb_streq(selector->path, disk->path) ||
				       qb_streq(selector->path, disk->by_path) ||
				       qb_strs_has(&disk->links, selector->path)
			       ? NULL
			       : qb_asprintf("it has another path");
	return match_differs(&selector->match, disk);
}

char *qb_selector_text(const struct qb_disk_selector *selector)
{
	const struct qb_disk_match *m = &selector->match;
	_cleanup_buf_ struct qb_buf b = {0};

	if (selector->wwid)
		return qb_asprintf("the disk with WWID %s", selector->wwid);
	if (selector->serial)
		return qb_asprintf("the disk with serial number %s", selector->serial);
	if (selector->path)
		return qb_asprintf("the disk %s", selector->path);
	qb_buf_printf(&b, qb_selector_count(selector) == QB_ALL ? "all disks" : "%ju disk%s",
		      (uintmax_t)qb_selector_count(selector),
		      qb_selector_count(selector) == 1 ? "" : "s");
	if (m->min_size) {
		_cleanup_free_ char *size = qb_format_size(m->min_size);

		qb_buf_printf(&b, ", at least %s", size);
	}
	if (m->max_size) {
		_cleanup_free_ char *size = qb_format_size(m->max_size);

		qb_buf_printf(&b, ", at most %s", size);
	}
	if (m->rotational.state != QB_UNKNOWN)
		qb_buf_printf(&b, ", %s", qb_is(&m->rotational) ? "rotating" : "not rotating");
	if (m->transport)
		qb_buf_printf(&b, ", transport %s", m->transport);
	if (m->model)
		qb_buf_printf(&b, ", model %s", m->model);
	if (m->slot)
		qb_buf_printf(&b, ", slot %s", m->slot);
	return qb_strdup(b.s);
}
