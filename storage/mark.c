/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership marks: a GPT of one partition named qubi:<pool>, with GUIDs that only we would give. */
#include "storage/gpt.h"
#include "storage/mark.h"
#include "storage/pool.h"

#include <endian.h>

#include "agent/base/uuid.h"

/* struct ext4_group_desc in fs/ext4/ext4.h, little-endian. */
struct ext4_group {
	uint32_t block_bitmap, inode_bitmap, inode_table;
	uint16_t free_blocks, free_inodes, directories, flags;
	uint32_t unused;
	uint16_t checksums[2], unused_inodes, checksum;
	uint32_t block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
	uint16_t counts_hi[4];
	uint32_t unused_hi;
	uint16_t checksums_hi[2];
	uint32_t reserved;
};

enum {
	MIB = 1 << 20,
	PMBR_ENTRY = 446,
	HEADER_BYTES = 92,
	ENTRIES_BYTES = 128 * 128,
	XFS_SB_CRC = 224,
	XFS_SB_LSN = 240,
	XFS_INODE = 512,   /* no block or inode of it is smaller */
	LVM_ZEROED = 4096, /* lvcreate(8), --zero */
	LVM_LABEL = 512,
	LVM_AREA = 4096,
	LVM_LOCATIONS = 40,
	EXT4_BLOCK = 4096,
	EXT4_SUPER = 1024, /* where it is, and how long */
	EXT4_MAGIC = 56,
	EXT4_FLAGS = 7, /* EXT4_BG_INODE_UNINIT, EXT4_BG_BLOCK_UNINIT and EXT4_BG_INODE_ZEROED */
	EXT4_GROUP_BLOCKS = 8 * EXT4_BLOCK,
	EXT4_GROUPS_BLOCK = EXT4_BLOCK / sizeof(struct ext4_group),
};

/* INITIAL_CRC in lib/misc/crc.h of LVM2. */
#define LVM_CRC 0xf597a6cfu

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
	*ret_start_bytes = QB_PART_START_BYTES;
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

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

static bool zero(const struct qb_ends *ends, uint64_t from, uint64_t to)
{
	const uint8_t *p = to > from ? qb_ends_at(ends, from, to - from) : NULL;

	if (to <= from)
		return true;
	return p && is_zero(p, to - from);
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
 * What mkfs.xfs puts behind the headers of the first allocation group: roots of trees, inodes, and
 * the end of a list that has nothing yet. A disk may have lost the headers, and kept these.
 */
static bool has_only_blocks_of_xfs(const struct qb_ends *ends, uint64_t start)
{
	static const char magics[][5] = {"AB3B", "AB3C", "IAB3", "FIB3",
					 "R3FC", "RMB3", "IN",   "\xff\xff\xff\xff"};
	bool any = false;

	for (uint64_t at = start; at < ends->len; at += XFS_INODE) {
		const uint8_t *p = qb_ends_at(ends, at, XFS_INODE);
		bool known = false;

		if (p && is_zero(p, XFS_INODE))
			continue;
		for (size_t i = 0; p && !known && i < QB_ARRAY_SIZE(magics); i++)
			known = !memcmp(p, magics[i], strlen(magics[i]));
		if (!known)
			return false;
		any = true;
	}
	return any;
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
		if (is_zero(p, sector))
			continue;
		if (memcmp(p, magics[i], 4) != 0)
			return false;
		any = true;
	}
	return any || has_only_blocks_of_xfs(ends, start);
}

/* struct mda_header of LVM: it is whole, and points to no description of a group. */
static bool lvm_has_no_group(const uint8_t *header)
{
	uint32_t crc;

	memcpy(&crc, header, sizeof(crc));
	return le32toh(crc) == qb_crc32_add(LVM_CRC, header + 4, 512 - 4) &&
	       is_zero(header + LVM_LOCATIONS, 512 - LVM_LOCATIONS);
}

/*
 * What LVM puts into the partition of a member: a label (struct label_header), the header of the
 * metadata area and the group's description as text, in a ring that begins behind that header and
 * fills the first MiB. What was once in it stays readable there, and in the extents behind it what
 * was once in volumes: no volume ever was, or LVM was told that the group is to go, which takes
 * that it has none.
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
	       (lvm_has_no_group(area) ||
		(!memmem(area, MIB - LVM_AREA, volumes, strlen(volumes)) &&
		 zero(ends, start + MIB, ends->len)));
}

/* In 64 bits: where its bitmaps and its inodes are, and nothing where nothing is defined. */
static bool is_group_descriptor(const uint8_t *p, uint64_t blocks)
{
	const struct ext4_group *g = (const void *)p;
	const uint64_t at[] = {
		le32toh(g->block_bitmap) | (uint64_t)le32toh(g->block_bitmap_hi) << 32,
		le32toh(g->inode_bitmap) | (uint64_t)le32toh(g->inode_bitmap_hi) << 32,
		le32toh(g->inode_table) | (uint64_t)le32toh(g->inode_table_hi) << 32};

	if (is_zero(p, sizeof(*g)))
		return true;
	for (size_t i = 0; i < QB_ARRAY_SIZE(at); i++)
		if (!at[i] || at[i] >= blocks)
			return false;
	return le16toh(g->flags) <= EXT4_FLAGS && !g->unused && !g->unused_hi && !g->reserved;
}

/* A block of the resize inode's: the numbers of those of other groups that are to be as it is. */
static bool is_list_of_copies(const uint8_t *p, uint32_t number)
{
	const uint32_t *copies = (const void *)p;

	for (size_t i = 0; i < EXT4_BLOCK / sizeof(*copies); i++) {
		uint32_t copy = le32toh(copies[i]);

		if (copy && (copy <= number || (copy - number) % EXT4_GROUP_BLOCKS))
			return false;
	}
	return true;
}

/*
 * What mke2fs puts into the beginning of the partition, as it is called here, in whatever order:
 * the super block, descriptors of groups, and the blocks that are kept for more of them
 * (ext2fs_create_resize_inode() in lib/ext2fs/res_gdt.c). They fill 4 MiB.
 */
static bool ext4_was_begun(const struct qb_ends *ends, uint64_t start, uint64_t size)
{
	uint64_t super = start + EXT4_SUPER, blocks = size / EXT4_BLOCK;
	const uint8_t *p = qb_ends_at(ends, super, EXT4_SUPER);

	if (!p || !zero(ends, start, super) ||
	    !zero(ends, super + EXT4_SUPER, start + EXT4_BLOCK) ||
	    (!is_zero(p, EXT4_SUPER) && (p[EXT4_MAGIC] != 0x53 || p[EXT4_MAGIC + 1] != 0xEF)))
		return false;
	for (uint32_t i = 1; start + (i + 1ull) * EXT4_BLOCK <= ends->len; i++) {
		bool groups = (i - 1) * EXT4_GROUPS_BLOCK * EXT4_GROUP_BLOCKS < blocks;

		p = qb_ends_at(ends, start + i * (uint64_t)EXT4_BLOCK, EXT4_BLOCK);
		for (size_t k = 0; groups && k < EXT4_BLOCK; k += sizeof(struct ext4_group))
			groups = is_group_descriptor(p + k, blocks);
		if (!groups && !is_list_of_copies(p, i))
			return false;
	}
	return true;
}

/* Nothing that one sees of the partition could be anything but what carving had begun there. */
static bool partition_is_ours(const struct qb_ends *ends, uint64_t start, uint64_t size)
{
	return zero(ends, start, ends->len) || lvm_was_begun(ends, start) ||
	       xfs_was_begun(ends, start, ends->sector_bytes) || xfs_was_begun(ends, start, 4096) ||
	       ext4_was_begun(ends, start, size);
}

static bool same(const struct qb_ends *a, const struct qb_ends *b, size_t from, size_t to)
{
	return memcmp(a->head + from, b->head + from, to - from) == 0;
}

bool qb_ends_unwritten(const struct qb_ends *seen, const struct qb_ends *now, size_t start)
{
	const uint8_t *super = qb_ends_at(now, start, 512);

	if (seen->len != now->len || memcmp(seen->tail, now->tail, now->len) != 0)
		return false;
	if (!super || memcmp(super, "XFSB", 4) != 0)
		return same(seen, now, 0, now->len);
	return same(seen, now, 0, start + XFS_SB_CRC) &&
	       same(seen, now, start + XFS_SB_CRC + 4, start + XFS_SB_LSN) &&
	       same(seen, now, start + XFS_SB_LSN + 8, now->len);
}

/* struct xfs_dsb: sb_uuid. */
static bool has_xfs_uuid(const uint8_t *super, const char *fs_uuid)
{
	const uint8_t *p = super + 32;

	for (const char *s = fs_uuid; *s; s += *s == '-' ? 1 : 2)
		if (*s != '-' && (unsigned)strtoul((char[]){s[0], s[1], '\0'}, NULL, 16) != *p++)
			return false;
	return true;
}

bool qb_volume_was_begun(const struct qb_ends *ends, const char *fs_uuid)
{
	const uint8_t *super = qb_ends_at(ends, 0, 512);
	uint64_t tail = ends->size_bytes - ends->len;

	if (!super)
		return false;
	if (zero(ends, 0, ends->len) && zero(ends, tail, ends->size_bytes))
		return true;
	return (is_zero(super, 512) || has_xfs_uuid(super, fs_uuid)) &&
	       (xfs_was_begun(ends, 0, 512) || xfs_was_begun(ends, 0, 4096));
}

bool qb_volume_is_zeroed(const struct qb_ends *ends)
{
	return zero(ends, 0, LVM_ZEROED);
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
	       (part_guid ? partition_is_ours(ends, start, size)
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
	if (entry && entry->last_lba < UINT64_MAX / ends->sector_bytes)
		ret->end_bytes = (entry->last_lba + 1) * ends->sector_bytes;
	ret->uuid = qb_strdup(guid);
	mark_decide(gpt, entries, machine_id, identity, ret);
	/* A table of which too little is left to name the pool: the plan compares its GUID. */
	if (ret->state == QB_MARK_NONE)
		ret->state = QB_MARK_PENDING;
}
