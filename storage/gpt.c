/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/gpt.h"

#include <endian.h>

enum {
	HEADER_MIN = 92,
	ENTRY_BYTES = 128,
	ENTRIES_USUAL = 128,
	ENTRIES_MAX = 1024,
	NAME_CHARS = 36,
	MBR_TABLE = 446,
	MBR_MAGIC = 510,
	MBR_ENTRY_BYTES = 16,
	MBR_TYPE = 4, /* in an entry */
	MBR_PROTECTIVE = 0xee,
};

const uint8_t *qb_ends_at(const struct qb_ends *ends, uint64_t offset, size_t len)
{
	uint64_t tail = ends->size_bytes - ends->len;

	if (offset > ends->size_bytes || len > ends->size_bytes - offset)
		return NULL;
	if (offset < ends->len && len <= ends->len - offset)
		return ends->head + offset;
	if (offset >= tail)
		return ends->tail + (offset - tail);
	return NULL;
}

void qb_ends_done(struct qb_ends *ends)
{
	free(ends->head);
	free(ends->tail);
	*ends = (struct qb_ends){0};
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

uint32_t qb_crc32_add(uint32_t crc, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return crc;
}

uint32_t qb_crc32(const uint8_t *data, size_t len)
{
	return ~qb_crc32_add(~0u, data, len);
}

/* The header's checksum is taken with its own field as zero. */
static uint32_t header_crc(const uint8_t *header, size_t len)
{
	static const uint8_t zero[4];
	uint32_t crc = qb_crc32_add(~0u, header, 16);

	crc = qb_crc32_add(crc, zero, sizeof(zero));
	return ~qb_crc32_add(crc, header + 20, len - 20);
}

static void guid_text(const uint8_t *p, char ret[QB_GUID_LEN])
{
	snprintf(ret, QB_GUID_LEN, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", get32(p),
		 get16(p + 4), get16(p + 6), p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

static void entries_read(const uint8_t *p, size_t n, struct qb_gpt_copy *copy)
{
	for (size_t i = 0; i < n; i++, p += ENTRY_BYTES) {
		struct qb_gpt_entry *entry;

		if (all_zero(p, ENTRY_BYTES))
			continue;
		entry = QB_APPEND(copy->entries, copy->n_entries);
		entry->index = i;
		guid_text(p, entry->type);
		guid_text(p + 16, entry->guid);
		entry->first_lba = get64(p + 32);
		entry->last_lba = get64(p + 40);
		for (size_t c = 0; c < NAME_CHARS; c++) {
			uint16_t unit = get16(p + 56 + 2 * c);

			entry->name[c] = (char)(unit < 0x80 ? unit : '?');
		}
	}
}

/* entries_lba: where they are when the header does not say so. */
static void copy_parse(const struct qb_ends *ends, uint64_t lba, uint64_t entries_lba,
		       struct qb_gpt_copy *ret)
{
	const uint8_t *header = qb_ends_at(ends, lba * ends->sector_bytes, ends->sector_bytes);
	const uint8_t *entries;
	uint64_t n = ENTRIES_USUAL;
	uint32_t header_bytes, entries_crc = 0;

	ret->lba = lba;
	if (!header)
		return;
	ret->magic = !memcmp(header, "EFI PART", 8);
	header_bytes = get32(header + 12);
	ret->header = ret->magic && header_bytes >= HEADER_MIN &&
		      header_bytes <= ends->sector_bytes &&
		      header_crc(header, header_bytes) == get32(header + 16) &&
		      get64(header + 24) == lba && get32(header + 84) == ENTRY_BYTES &&
		      get32(header + 80) > 0 && get32(header + 80) <= ENTRIES_MAX;
	if (ret->header) {
		guid_text(header + 56, ret->disk_guid);
		entries_lba = get64(header + 72);
		n = get32(header + 80);
		entries_crc = get32(header + 88);
	}
	if (entries_lba > ends->size_bytes / ends->sector_bytes)
		return;
	entries = qb_ends_at(ends, entries_lba * ends->sector_bytes, n * ENTRY_BYTES);
	if (!entries)
		return;
	ret->whole = ret->header && qb_crc32(entries, n * ENTRY_BYTES) == entries_crc;
	entries_read(entries, n, ret);
}

void qb_gpt_parse(const struct qb_ends *ends, struct qb_gpt *ret)
{
	uint64_t sectors = ends->size_bytes / ends->sector_bytes;
	uint64_t entry_sectors = ENTRIES_USUAL * ENTRY_BYTES / ends->sector_bytes;
	const uint8_t *mbr = qb_ends_at(ends, 0, 512);

	*ret = (struct qb_gpt){0};
	if (!mbr || sectors < 2 * entry_sectors + 3)
		return;
	ret->mbr = mbr[MBR_MAGIC] == 0x55 && mbr[MBR_MAGIC + 1] == 0xaa;
	for (int i = 0; ret->mbr && i < 4; i++) {
		uint8_t type = mbr[MBR_TABLE + i * MBR_ENTRY_BYTES + MBR_TYPE];

		ret->protective |= type == MBR_PROTECTIVE;
		ret->other |= type && type != MBR_PROTECTIVE;
	}
	copy_parse(ends, 1, 2, &ret->primary);
	copy_parse(ends, sectors - 1, sectors - 1 - entry_sectors, &ret->backup);
}

void qb_gpt_done(struct qb_gpt *gpt)
{
	free(gpt->primary.entries);
	free(gpt->backup.entries);
	*gpt = (struct qb_gpt){0};
}

char *qb_gpt_fault(const struct qb_gpt *gpt)
{
	const struct qb_gpt_copy *first = &gpt->primary, *second = &gpt->backup;

	if (!first->magic && !second->magic)
		return qb_strdup(gpt->protective ? "a protective MBR without a GPT" : NULL);
	if (!first->whole && !second->whole)
		return qb_strdup("a GPT of which both copies are damaged");
	if (!first->whole)
		return qb_strdup(first->magic ? "a GPT whose first copy is damaged"
					      : "a GPT of which only the backup is left");
	if (!second->whole)
		return qb_strdup(second->magic ? "a GPT whose backup is damaged"
					       : "a GPT whose backup is missing at the end");
	if (!qb_streq(first->disk_guid, second->disk_guid))
		return qb_strdup("a GPT whose two copies differ");
	if (gpt->protective && gpt->other)
		return qb_strdup("a hybrid of GPT and MBR");
	if (!gpt->protective)
		return qb_strdup("a GPT without its protective MBR");
	return NULL;
}
