/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own reading of a GPT, from both ends of a disk. libblkid says whether there is one; this
 * says in what state, and whose: our marks have to be known whatever a newer libblkid makes of
 * them, and a table that was torn by a power cut is still ours. UEFI 2.10, chapter 5. Pure.
 */
#pragma once

#include "storage/disk.h"

#define QB_GUID_LEN 37

enum {
	/* What is read at each end, and has to be zero on a blank disk. */
	QB_END_BYTES = 4 << 20,
	/* Where our one partition begins, and as far before the end it ends. */
	QB_PART_START_BYTES = 1 << 20,
};

/* The two ends of a disk. On a disk of less than two ends they overlap. */
struct qb_ends {
	uint8_t *head, *tail;
	size_t len; /* of each */
	uint64_t size_bytes;
	uint32_t sector_bytes;
};

/* NULL when [offset, offset + len) is in neither end. */
const uint8_t *qb_ends_at(const struct qb_ends *ends, uint64_t offset, size_t len);
void qb_ends_done(struct qb_ends *ends);
#define _cleanup_ends_ QB_CLEANUP(qb_ends_done)

struct qb_gpt_entry {
	size_t index;
	char type[QB_GUID_LEN], guid[QB_GUID_LEN];
	uint64_t first_lba, last_lba;
	char name[37]; /* ASCII; any other character reads '?' */
};

struct qb_gpt_copy {
	uint64_t lba; /* where its header belongs */
	bool magic;   /* "EFI PART" is there */
	bool header;  /* its checksum and place are right */
	bool whole;   /* the entries' checksum, too */
	char disk_guid[QB_GUID_LEN];
	/* As they stand at their place, or where that is unknown at the usual one. */
	struct qb_gpt_entry *entries;
	size_t n_entries;
};

struct qb_gpt {
	bool mbr;        /* 55 AA */
	bool protective; /* with an entry of type EE */
	bool other;      /* with an entry of another type */
	struct qb_gpt_copy primary, backup;
};

void qb_gpt_parse(const struct qb_ends *ends, struct qb_gpt *ret);
void qb_gpt_done(struct qb_gpt *gpt);
#define _cleanup_gpt_ QB_CLEANUP(qb_gpt_done)

/* What is wrong with it, or NULL: no GPT at all, or a whole one. The caller frees it. */
char *qb_gpt_fault(const struct qb_gpt *gpt);

/* Where our one partition lies. Both ends are on MiB so that no page is shared with the table. */
void qb_carve_layout(uint64_t disk_bytes, uint64_t *ret_start_bytes, uint64_t *ret_size_bytes);

/*
 * Our mark on the disk. identity may be NULL, and machine_id; then it is nobody's. The mark stays
 * QB_MARK_NONE when there is no trace of one. mark->only is judged from the ends alone: what
 * libblkid finds beside has to be added by the caller.
 */
void qb_mark_read(const struct qb_ends *ends, const struct qb_gpt *gpt, const char *machine_id,
		  const char *identity, struct qb_mark *ret);

/* CRC-32 as in IEEE 802.3, of the parts of a GPT. */
uint32_t qb_crc32(const uint8_t *data, size_t len);
/* The same without the inversions before and after, as other formats have it. */
uint32_t qb_crc32_add(uint32_t crc, const uint8_t *data, size_t len);
