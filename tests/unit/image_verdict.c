/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges images of disks as if each were a disk of which everything else speaks for it: one line
 * of JSON for each.
 * usage: image_verdict IMAGE...
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "storage/probe_parts.h"

static json_t *verdict(const char *path, int fd)
{
	struct stat st;
	struct qb_disk disk = {
		.name = qb_strdup("sda"),
		.path = qb_strdup(path),
		.serial = qb_strdup("QB0001"),
		.logical_sector_bytes = 512,
	};
	struct qb_disks disks = {.disks = &disk, .n_disks = 1};
	struct qb_disk_raw raw = {0};
	json_t *reasons = json_array();

	if (fstat(fd, &st) == 0)
		disk.size_bytes = (uint64_t)st.st_size;
	qb_tri_set(&raw.exclusive, true);
	qb_contents_probe(fd, "0123456789abcdef0123456789abcdef", false, &disk, &raw.contents);
	qb_disks_judge(&disks, &raw);
	for (size_t i = 0; i < disk.n_reasons; i++)
		json_array_append_new(reasons, json_pack("{s:s, s:s}", "code", disk.reasons[i].code,
							 "evidence", disk.reasons[i].evidence));
	qb_disk_raw_done(&raw);
	qb_disk_done(&disk);
	return json_pack("{s:s, s:o}", "path", path, "reasons", reasons);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		_cleanup_close_ int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		json_auto_t *said = NULL;

		if (fd < 0) {
			perror(argv[i]);
			return 1;
		}
		said = verdict(argv[i], fd);
		json_dumpf(said, stdout, JSON_COMPACT);
		putchar('\n');
	}
	return 0;
}
