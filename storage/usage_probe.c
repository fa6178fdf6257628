/* SPDX-License-Identifier: Apache-2.0 */
/* Who uses a disk: mounts, swap space, stacked devices, processes that have it open. */
#include "storage/probe_parts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "agent/base/mounts.h"

enum {
	TABLE_MAX = 16 << 20, /* a host with thousands of containers has megabytes of mounts */
};

/* What qb_usage_probe() carries about. */
struct usage {
	const struct qb_root *root;
	const struct qb_blocks *blocks;
	struct qb_disks *disks;
	struct qb_disk_raw *raw;
};

static ssize_t disk_index(const struct usage *u, const char *name)
{
	for (size_t i = 0; i < u->disks->n_disks; i++)
		if (qb_streq(u->disks->disks[i].name, name))
			return (ssize_t)i;
	return -1;
}

static void add_once(struct qb_strs *s, const char *item)
{
	if (!qb_strs_has(s, item))
		qb_strs_add(s, item);
}

static void note_system(const struct usage *u, const struct qb_block *block, const char *use)
{
	_cleanup_strs_ struct qb_strs names = {0};

	qb_blocks_disks_under(u->blocks, block->name, &names);
	for (size_t i = 0; i < names.n; i++) {
		ssize_t at = disk_index(u, names.v[i]);

		if (at >= 0)
			add_once(&u->raw[at].system_uses, use);
	}
}

static bool is_system(const char *mountpoint)
{
	static const char *const points[] = {"/", "/boot", "/boot/efi", "/efi", "/usr", "/var"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(points); i++)
		if (qb_streq(points[i], mountpoint))
			return true;
	return false;
}

static void note_mount(const struct usage *u, const struct qb_block *block, const char *raw)
{
	ssize_t at = disk_index(u, block->disk ? block->disk : block->name);
	_cleanup_free_ char *mountpoint = qb_str_printable(raw);
	_cleanup_free_ char *text = qb_asprintf("/dev/%s on %s", block->name, mountpoint);
	struct qb_disk *disk;

	if (is_system(mountpoint))
		note_system(u, block, mountpoint);
	if (at < 0)
		return;
	disk = &u->disks->disks[at];
	add_once(&u->raw[at].mounts, text);
	add_once(&disk->mountpoints, mountpoint);
	for (size_t i = 0; i < disk->n_partitions; i++)
		if (qb_streq(disk->partitions[i].name, block->name) &&
		    !disk->partitions[i].mountpoint)
			disk->partitions[i].mountpoint = qb_strdup(mountpoint);
}

static void mount_line(const struct usage *u, char *line)
{
	const struct qb_block *block;
	struct qb_mount m;

	if (!qb_mount_parse(line, &m))
		return;
	block = qb_blocks_by_devno(u->blocks, m.devno);
	/* btrfs has no device number of its own here, only the source names one. */
	if (!block)
		block = qb_blocks_by_path(u->blocks, u->root, m.source);
	if (block)
		note_mount(u, block, m.point);
}

static void read_mounts(const struct usage *u)
{
	/* PID 1 as well: a service of systemd may run in a mount namespace of its own. */
	static const char *const tables[] = {"/proc/self/mountinfo", "/proc/1/mountinfo"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(tables); i++) {
		_cleanup_free_ char *text = NULL;
		char *rest, *line;
		size_t len;

		if (qb_root_read(u->root, tables[i], TABLE_MAX, &text, &len) < 0)
			continue;
		rest = text;
		while ((line = strsep(&rest, "\n")))
			mount_line(u, line);
	}
}

static void read_swaps(const struct usage *u)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	size_t len;

	if (qb_root_read(u->root, "/proc/swaps", TABLE_MAX, &text, &len) < 0)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		const struct qb_block *block;
		ssize_t at;

		line[strcspn(line, " \t")] = '\0';
		qb_str_unescape_octal(line);
		block = qb_blocks_by_path(u->blocks, u->root, line);
		if (!block)
			continue;
		note_system(u, block, "swap");
		at = disk_index(u, block->disk ? block->disk : block->name);
		if (at < 0)
			continue;
		add_once(&u->raw[at].swaps, line);
		u->disks->disks[at].swap = true;
	}
}

static void read_holders(const struct usage *u)
{
	for (size_t i = 0; i < u->blocks->n; i++) {
		const struct qb_block *block = &u->blocks->v[i];
		ssize_t at = disk_index(u, block->disk ? block->disk : block->name);

		for (size_t j = 0; at >= 0 && j < block->holders.n; j++) {
			const char *name = block->holders.v[j];
			const struct qb_block *holder = qb_blocks_by_name(u->blocks, name);
			_cleanup_free_ char *text =
				holder && holder->dm_name
					? qb_asprintf("%s (%s)", name, holder->dm_name)
					: qb_strdup(name);

			add_once(&u->disks->disks[at].holders, text);
			if (holder && holder->dm_uuid && qb_startswith(holder->dm_uuid, "mpath-"))
				add_once(&u->raw[at].mpath_holders, text);
		}
	}
}

static char *process_name(int proc, const char *pid)
{
	_cleanup_free_ char *path = qb_asprintf("%s/comm", pid);
	_cleanup_close_ int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	char comm[64];
	ssize_t n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);

	if (n <= 0)
		return qb_asprintf("pid %s", pid);
	comm[n] = '\0';
	return qb_asprintf("%s (pid %s)", qb_strip(comm), pid);
}

static void note_opener(const struct usage *u, int proc, const char *pid, dev_t rdev)
{
	_cleanup_free_ char *devno = qb_asprintf("%u:%u", major(rdev), minor(rdev));
	const struct qb_block *block = qb_blocks_by_devno(u->blocks, devno);
	ssize_t at = block ? disk_index(u, block->disk ? block->disk : block->name) : -1;
	_cleanup_free_ char *name = NULL;

	if (at < 0)
		return;
	name = process_name(proc, pid);
	add_once(&u->raw[at].openers, name);
}

/* 0, or -errno when the process could not be asked; one that is gone is no error. */
static int read_process(const struct usage *u, int proc, const char *pid)
{
	_cleanup_free_ char *path = qb_asprintf("%s/fd", pid);
	int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(dir))) {
		char target[8];
		struct stat st;

		/* Only what has a name below /dev; a stat() of a dead NFS file would hang. */
		if (readlinkat(fd, entry->d_name, target, sizeof(target)) < 5 ||
		    memcmp(target, "/dev/", 5) != 0)
			continue;
		if (fstatat(fd, entry->d_name, &st, 0) == 0 && S_ISBLK(st.st_mode))
			note_opener(u, proc, pid, st.st_rdev);
	}
	return 0;
}

static void read_openers(const struct usage *u)
{
	/* Links of /proc/PID/fd are magic ones, which no confined root follows. */
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *self = qb_asprintf("%d", getpid());
	_cleanup_closedir_ DIR *dir = proc < 0 ? NULL : fdopendir(dup(proc));
	struct dirent *entry;
	int failed = 0;

	if (!dir)
		failed = -errno;
	while (dir && (entry = readdir(dir))) {
		int r;

		if (!isdigit((unsigned char)entry->d_name[0]) || qb_streq(entry->d_name, self))
			continue;
		r = read_process(u, proc, entry->d_name);
		if (r < 0)
			failed = r;
	}
	for (size_t i = 0; failed < 0 && i < u->disks->n_disks; i++) {
		free(u->raw[i].openers_unknown);
		u->raw[i].openers_unknown = qb_asprintf("/proc: %s", strerror(-failed));
	}
}

void qb_usage_probe(const struct qb_root *root, const struct qb_blocks *blocks, bool processes,
		    struct qb_disks *disks, struct qb_disk_raw *raw)
{
	const struct usage u = {root, blocks, disks, raw};

	read_mounts(&u);
	read_swaps(&u);
	read_holders(&u);
	if (root->live && processes)
		read_openers(&u);
}
