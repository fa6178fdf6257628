/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership marks: a GPT of one partition named qubi:<pool>, with GUIDs that only we would give. */
#include "storage/gpt.h"
#include "storage/mark.h"
#include "storage/pool.h"

#include "agent/base/uuid.h"

enum {
	MIB = 1 << 20,
	PMBR_ENTRY = 446,
	HEADER_BYTES = 92,
	ENTRIES_BYTES = 128 * 128,
	LVM_LABEL = 512,
	LVM_AREA = 4096,
};

void qb_pool_ids(const char *machine_id, const char *pool, const char *identity,
		 struct qb_pool_ids *ret)
{
	const struct {
		const char *what;
		char *id;
	} ids[] = {{"gpt-disk", ret->disk_guid},
		   {"gpt-partition", ret->part_guid},
		   {"xfs", ret->fs_uuid},
		   {"libvirt-pool", ret->pool_uuid}};

	for (size_t i = 0; i < QB_ARRAY_SIZE(ids); i++)
		qb_uuid5((const char *const[]){ids[i].what, machine_id, pool, identity, NULL},
			 ids[i].id);
}

void qb_carve_layout(uint64_t disk_bytes, uint64_t *ret_start_bytes, uint64_t *ret_size_bytes)
{
	*ret_start_bytes = MIB;
	*ret_size_bytes = disk_bytes < 3 * MIB ? 0 : disk_bytes / MIB * MIB - 2 * MIB;
}

char *qb_mark_name(const char *pool, enum qb_mark_state state)
{
	return qb_asprintf("%s%s", state == QB_MARK_READY ? QB_MARK_PREFIX : QB_PENDING_PREFIX,
			   pool);
}

/* NULL when the name of a partition is not one of our marks. */
static const char *mark_pool(const char *name, enum qb_mark_state *ret)
{
	if (qb_startswith(name, QB_PENDING_PREFIX)) {
		*ret = QB_MARK_PENDING;
		return name + strlen(QB_PENDING_PREFIX);
	}
	if (qb_startswith(name, QB_MARK_PREFIX)) {
		*ret = QB_MARK_READY;
		return name + strlen(QB_MARK_PREFIX);
	}
	return NULL;
}

/* The one entry of a copy when it is a mark, else NULL. */
static const struct qb_gpt_entry *mark_entry(const struct qb_gpt_copy *copy)
{
	enum qb_mark_state state;

	if (copy->n_entries != 1 || !mark_pool(copy->entries[0].name, &state))
		return NULL;
	return &copy->entries[0];
}

static bool zero(const struct qb_ends *ends, uint64_t from, uint64_t to)
{
	const uint8_t *p = to > from ? qb_ends_at(ends, from, to - from) : NULL;

	if (to <= from)
		return true;
	return p && !p[0] && !memcmp(p, p + 1, to - from - 1);
}

/* The MBR is blank, or the protective one as libfdisk writes it and nothing beside. */
static bool mbr_is_ours(const struct qb_ends *ends, const struct qb_gpt *gpt)
{
	return zero(ends, 0, PMBR_ENTRY) &&
	       (zero(ends, PMBR_ENTRY, 512) || (gpt->protective && !gpt->other)) &&
	       zero(ends, PMBR_ENTRY + 16, 510) && zero(ends, 512, ends->sector_bytes);
}

/* Header and entries of a copy are each blank, or a part of the table with this GUID. */
static bool copy_is_ours(const struct qb_ends *ends, const struct qb_gpt_copy *copy,
			 uint64_t entries_at, const char *disk_guid, const char *part_guid)
{
	uint64_t at = copy->lba * ends->sector_bytes;

	if (copy->header && !qb_streq(copy->disk_guid, disk_guid))
		return false;
	/* Behind a header the sector is reserved, and in no checksum. */
	if (!zero(ends, at + (copy->header ? HEADER_BYTES : 0), at + ends->sector_bytes))
		return false;
	if (copy->n_entries)
		return mark_entry(copy) && copy->entries[0].index == 0 &&
		       qb_streq(copy->entries[0].guid, part_guid);
	return zero(ends, entries_at, entries_at + ENTRIES_BYTES);
}

/*
 * What mkfs.xfs puts first into the partition, sector by sector: the headers of the first
 * allocation group. Its sectors are those of the disk, or of 4 KiB.
 */
static bool xfs_was_begun(const struct qb_ends *ends, uint64_t start, uint64_t sector)
{
	static const char magics[][5] = {"XFSB", "XAGF", "XAGI", "XAFL"};
	bool any = false;

	for (size_t i = 0; i < QB_ARRAY_SIZE(magics); i++) {
		const uint8_t *p = qb_ends_at(ends, start + i * sector, sector);

		if (!p)
			return false;
		if (!p[0] && !memcmp(p, p + 1, sector - 1))
			continue;
		if (memcmp(p, magics[i], 4) != 0)
			return false;
		any = true;
	}
	return any;
}

/*
 * What LVM puts into the partition of a member: a label (struct label_header), the header of the
 * metadata area and the group's description as text, in a ring that begins behind that header and
 * fills the first MiB. What was once in it stays readable there: no volume ever was.
 */
static bool lvm_was_begun(const struct qb_ends *ends, uint64_t start)
{
	static const char volumes[] = "logical_volumes";
	const uint8_t *label = qb_ends_at(ends, start + LVM_LABEL, 512);
	const uint8_t *area = qb_ends_at(ends, start + LVM_AREA, MIB - LVM_AREA);
	bool labelled, described;

	if (!label || !area)
		return false;
	labelled = !memcmp(label, "LABELONE", 8);
	described = !memcmp(area + 4, " LVM2 x[5A%r0N*>", 16);
	return zero(ends, start, start + LVM_LABEL) &&
	       (labelled || zero(ends, start + LVM_LABEL, start + LVM_LABEL + 512)) &&
	       zero(ends, start + LVM_LABEL + 512, start + LVM_AREA) &&
	       (described || zero(ends, start + LVM_AREA, start + MIB)) &&
	       !memmem(area, MIB - LVM_AREA, volumes, strlen(volumes)) &&
	       zero(ends, start + MIB, ends->len);
}

/* Nothing that one sees of the partition could be anything but what carving had begun there. */
static bool partition_is_ours(const struct qb_ends *ends, uint64_t start)
{
	return zero(ends, start, ends->len) || lvm_was_begun(ends, start) ||
	       xfs_was_begun(ends, start, ends->sector_bytes) || xfs_was_begun(ends, start, 4096);
}

/* Nothing is at either end that our own carving could not have left there. */
static bool only_ours(const struct qb_ends *ends, const struct qb_gpt *gpt, const char *disk_guid,
		      const char *part_guid)
{
	uint64_t sector = ends->sector_bytes, start, size, sectors = ends->size_bytes / sector;
	uint64_t backup = (sectors - 1) * sector - ENTRIES_BYTES;
	uint64_t tail = ends->size_bytes - ends->len;

	qb_carve_layout(ends->size_bytes, &start, &size);
	if (!size || start > ends->len || start + size < tail)
		return false;
	return mbr_is_ours(ends, gpt) &&
	       copy_is_ours(ends, &gpt->primary, 2 * sector, disk_guid, part_guid) &&
	       copy_is_ours(ends, &gpt->backup, backup, disk_guid, part_guid) &&
	       zero(ends, 2 * sector + ENTRIES_BYTES, start) && zero(ends, start + size, backup) &&
	       /* mkfs runs only once a table with the partition is safe on the disk. */
	       (part_guid ? partition_is_ours(ends, start)
			  : zero(ends, start, ends->len) && zero(ends, tail, start + size));
}

/* Whether an entry, of a table with the mark's uuid, is what only we would have written here. */
static bool entry_is_ours(const struct qb_mark *mark, const struct qb_gpt_entry *entry,
			  const char *pool, const char *machine_id, const char *identity)
{
	struct qb_pool_ids ids;

	if (!machine_id || !identity || !mark->uuid)
		return false;
	qb_pool_ids(machine_id, pool, identity, &ids);
	return qb_streq(mark->uuid, ids.disk_guid) && qb_streq(entry->guid, ids.part_guid) &&
	       qb_streq(pool, mark->pool);
}

static void mark_decide(const struct qb_gpt *gpt, const struct qb_gpt_entry *const entries[2],
			const char *machine_id, const char *identity, struct qb_mark *mark)
{
	const struct qb_gpt_copy *copies[] = {&gpt->primary, &gpt->backup};
	bool ready[2] = {false, false}, ours = true;

	for (int i = 0; i < 2; i++) {
		enum qb_mark_state state;
		const char *pool = entries[i] ? mark_pool(entries[i]->name, &state) : NULL;

		if (!pool)
			continue;
		ready[i] = copies[i]->whole && state == QB_MARK_READY;
		if (!mark->pool)
			mark->pool = qb_strdup(pool);
		ours = ours && entry_is_ours(mark, entries[i], pool, machine_id, identity);
	}
	if (!mark->pool)
		return;
	mark->ours = ours;
	/*
	 * The kernel goes by the first copy alone (find_valid_gpt() in block/partitions/efi.c),
	 * and it is written last: ready in the second one only, the commit was on its way.
	 */
	mark->state = ready[0] ? QB_MARK_READY : ready[1] ? QB_MARK_COMMITTING : QB_MARK_PENDING;
}

void qb_mark_read(const struct qb_ends *ends, const struct qb_gpt *gpt, const char *machine_id,
		  const char *identity, struct qb_mark *ret)
{
	const struct qb_gpt_entry *const entries[] = {mark_entry(&gpt->primary),
						      mark_entry(&gpt->backup)};
	const struct qb_gpt_entry *entry = entries[0] ? entries[0] : entries[1];
	const struct qb_gpt_copy *copy = gpt->primary.header ? &gpt->primary : &gpt->backup;
	const char *guid = copy->header ? copy->disk_guid : NULL;

	*ret = (struct qb_mark){0};
	ret->only = (gpt->mbr || guid || entry) &&
		    only_ours(ends, gpt, guid, entry ? entry->guid : NULL);
	if (!entry && !ret->only)
		return;
	ret->uuid = qb_strdup(guid);
	mark_decide(gpt, entries, machine_id, identity, ret);
	/* A table of which too little is left to name the pool: the plan compares its GUID. */
	if (ret->state == QB_MARK_NONE)
		ret->state = QB_MARK_PENDING;
}
