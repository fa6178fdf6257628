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

#define SWAPS "/proc/swaps"
#define BTRFS "/sys/fs/btrfs"

enum {
	TABLE_MAX = 16 << 20, /* a host with thousands of containers has megabytes of mounts */
};

/* What qb_usage_probe() carries about. */
struct usage {
	const struct qb_root *root;
	const struct qb_blocks *blocks;
	struct qb_disks *disks;
	struct qb_disk_raw *raw;
	struct qb_strs namespaces;  /* whose mounts were read */
	struct qb_strs node_mounts; /* below which a node may be open, by their ids; sorted */
	bool writers;               /* of processes only those count that could write */
};

QB_PRINTF(3, 4)
static void unknown(const struct usage *u, const char *code, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = qb_vasprintf(fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < u->disks->n_disks; i++)
		qb_disk_raw_unknown(&u->raw[i], code, "%s", text);
}

static ssize_t disk_index(const struct usage *u, const char *name)
{
	const struct qb_disk *disk = qb_disks_by_name(u->disks, name);

	return disk ? disk - u->disks->disks : -1;
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

/* Of a mount that only others see: one is enough, a container has dozens of the same disk. */
static void note_foreign_mount(const struct usage *u, const struct qb_block *block,
			       const char *point, const char *owner)
{
	ssize_t at = disk_index(u, block->disk ? block->disk : block->name);

	if (at >= 0 && !u->raw[at].mounts.n)
		qb_strs_addf(&u->raw[at].mounts, "/dev/%s on %s, where %s sees it", block->name,
			     point, owner);
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

/* owner: who sees it, where that is not everybody. */
static void mount_line(struct usage *u, char *line, const char *owner)
{
	const struct qb_block *block;
	struct qb_mount m;

	if (!qb_mount_parse(line, &m))
		return;
	if (!m.nodev && !qb_mount_has_server(m.type))
		qb_strs_add(&u->node_mounts, m.id);
	block = qb_blocks_by_devno(u->blocks, m.devno);
	/* btrfs has no device number of its own here, only the source names one. */
	if (!block)
		block = qb_blocks_by_path(u->blocks, u->root, m.source);
	if (block && owner)
		note_foreign_mount(u, block, m.point, owner);
	else if (block)
		note_mount(u, block, m.point);
}

/* 0, or -errno when it could not be read; -ENOENT, -ESRCH, -EINVAL when its process is gone. */
static int read_table(struct usage *u, const char *path, const char *owner)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	int r = qb_root_read(u->root, path, TABLE_MAX, &text, NULL);

	rest = text;
	while ((line = strsep(&rest, "\n")))
		mount_line(u, line, owner);
	return r;
}

static void read_mounts(struct usage *u)
{
	/* PID 1 as well: a service of systemd may run in a mount namespace of its own. */
	static const char *const tables[] = {"/proc/self/mountinfo", "/proc/1/mountinfo"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(tables); i++) {
		int r = read_table(u, tables[i], NULL);

		/* What was captured may be without. */
		if (r < 0 && (r != -ENOENT || u->root->live))
			unknown(u, "mounted", "what is mounted is unknown: %s: %s", tables[i],
				strerror(-r));
	}
}

/* A btrfs names one of its devices as its source, and sysfs all of them. */
static void read_btrfs(const struct usage *u)
{
	_cleanup_strs_ struct qb_strs ids = {0};

	if (qb_root_list(u->root, BTRFS, &ids) < 0)
		return; /* O_EXCL still tells */
	for (size_t i = 0; i < ids.n; i++) {
		_cleanup_free_ char *dir = qb_asprintf("%s/%s/devices", BTRFS, ids.v[i]);
		_cleanup_strs_ struct qb_strs names = {0};

		if (qb_root_list(u->root, dir, &names) < 0)
			continue;
		for (size_t j = 0; j < names.n; j++) {
			const struct qb_block *block = qb_blocks_by_name(u->blocks, names.v[j]);
			const char *name = block && block->disk ? block->disk : names.v[j];
			ssize_t at = disk_index(u, name);

			if (at >= 0 && !u->raw[at].mounts.n)
				qb_strs_addf(&u->raw[at].mounts,
					     "/dev/%s is a device of the btrfs %s", names.v[j],
					     ids.v[i]);
		}
	}
}

static void read_swaps(const struct usage *u)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	int r = qb_root_read(u->root, SWAPS, TABLE_MAX, &text, NULL);

	/* A kernel without swap space has no such file. */
	if (r < 0 && r != -ENOENT)
		unknown(u, "swap", "what is swap space is unknown: %s: %s", SWAPS, strerror(-r));
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
	if (u->blocks->unknown)
		unknown(u, "holder", "what is made of it is unknown: %s", u->blocks->unknown);
	for (size_t i = 0; i < u->blocks->n; i++) {
		const struct qb_block *block = &u->blocks->v[i];
		ssize_t at = disk_index(u, block->disk ? block->disk : block->name);

		if (at >= 0 && block->unknown)
			qb_disk_raw_unknown(&u->raw[at], "holder",
					    "what is made of it is unknown: %s", block->unknown);
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

/*
 * udev reads every disk that has changed, under the lock that a carving waits for. Nothing of it is
 * udev's, and an open file of it says nothing of the disk.
 */
static bool is_udev(int proc, const char *pid)
{
	static const char *const programs[] = {"/systemd-udevd", "/udevadm"};
	_cleanup_free_ char *link = qb_asprintf("%s/exe", pid);
	char program[256];
	ssize_t n = readlinkat(proc, link, program, sizeof(program) - 1);

	program[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < QB_ARRAY_SIZE(programs); i++)
		if (qb_endswith(program, programs[i]))
			return true;
	return false;
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -EINVAL;
}

/* 1 when its mounts have not been read, 0 or -errno. */
static int is_new_namespace(struct usage *u, int proc, const char *pid)
{
	_cleanup_free_ char *link = qb_asprintf("%s/ns/mnt", pid);
	char name[64];
	ssize_t n = readlinkat(proc, link, name, sizeof(name) - 1);

	if (n < 0)
		return -errno;
	name[n] = '\0';
	if (qb_strs_has(&u->namespaces, name))
		return 0;
	qb_strs_add(&u->namespaces, name);
	return 1;
}

static int read_namespace(struct usage *u, int proc, const char *pid)
{
	_cleanup_free_ char *table = qb_asprintf("/proc/%s/mountinfo", pid), *owner = NULL;
	int r = is_new_namespace(u, proc, pid);

	if (r <= 0)
		return r;
	owner = process_name(proc, pid);
	return read_table(u, table, owner);
}

/*
 * Whether a file that a process has open, not below /dev, may be a device's node all the same. Only
 * one on a mount that is known to have no server is looked at: stat(2) of a dead one would hang.
 */
static bool may_be_node(const struct usage *u, int proc, const char *pid, const char *number)
{
	_cleanup_free_ char *path = qb_asprintf("%s/fdinfo/%s", pid, number);
	_cleanup_close_ int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	char text[1024], *id;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	id = strstr(text, "mnt_id:");
	if (!id)
		return false;
	id += strlen("mnt_id:");
	id += strspn(id, " \t");
	id[strcspn(id, "\n")] = '\0';
	return qb_strs_has_sorted(&u->node_mounts, id);
}

/* Where the kernel does not say how it was opened it may be written. */
static bool is_for_writing(int proc, const char *pid, const char *fd)
{
	_cleanup_free_ char *path = qb_asprintf("%s/fdinfo/%s", pid, fd);
	_cleanup_close_ int info = openat(proc, path, O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t n = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
	const char *flags;

	if (n <= 0)
		return true;
	text[n] = '\0';
	flags = strstr(text, "flags:");
	return !flags || (strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static int read_files(struct usage *u, int proc, const char *pid)
{
	_cleanup_free_ char *path = qb_asprintf("%s/fd", pid);
	int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = qb_fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		char target[8] = "";
		struct stat st;

		/* Neither a socket nor what else has no path. */
		if (readlinkat(fd, entry->d_name, target, sizeof(target)) < 1 || target[0] != '/')
			continue;
		if (memcmp(target, "/dev/", 5) != 0 && !may_be_node(u, proc, pid, entry->d_name))
			continue;
		if (fstatat(fd, entry->d_name, &st, 0) == 0 && S_ISBLK(st.st_mode) &&
		    (is_for_writing(proc, pid, entry->d_name) ||
		     (!u->writers && !is_udev(proc, pid))))
			note_opener(u, proc, pid, st.st_rdev);
	}
	return 0;
}

/* 0, or the last -errno of a process that could not be asked; one that is gone is no error. */
static int each_process(struct usage *u, int proc,
			int (*ask)(struct usage *u, int proc, const char *pid))
{
	_cleanup_free_ char *self = qb_asprintf("%d", getpid());
	_cleanup_closedir_ DIR *dir =
		qb_fdopendir(openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	int failed = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		int r;

		if (!isdigit((unsigned char)entry->d_name[0]) || qb_streq(entry->d_name, self))
			continue;
		r = ask(u, proc, entry->d_name);
		if (r < 0 && !is_gone(r))
			failed = r;
	}
	return failed;
}

static void read_processes(struct usage *u)
{
	/* Links of /proc/PID/fd are magic ones, which no confined root follows. */
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	/* Those were read before. */
	(void)is_new_namespace(u, proc, "self");
	(void)is_new_namespace(u, proc, "1");
	r = each_process(u, proc, read_namespace);
	if (r < 0)
		unknown(u, "mounted", "what others have mounted is unknown: /proc: %s",
			strerror(-r));
	qb_strs_sort(&u->node_mounts);
	r = each_process(u, proc, read_files);
	if (r < 0)
		unknown(u, "open", "whether a process has it open is unknown: /proc: %s",
			strerror(-r));
}

void qb_usage_probe(const struct qb_root *root, const struct qb_blocks *blocks, bool processes,
		    struct qb_disks *disks, struct qb_disk_raw *raw)
{
	struct usage u = {.root = root, .blocks = blocks, .disks = disks, .raw = raw};

	read_mounts(&u);
	read_btrfs(&u);
	read_swaps(&u);
	read_holders(&u);
	if (root->live && processes)
		read_processes(&u);
	qb_strs_done(&u.namespaces);
	qb_strs_done(&u.node_mounts);
}

char *qb_usage_writers(const struct qb_root *root, const char *name)
{
	struct qb_disk disk = {.name = (char *)name};
	struct qb_disks disks = {.disks = &disk, .n_disks = 1};
	struct qb_disk_raw raw = {0};
	_cleanup_blocks_ struct qb_blocks blocks = {0};
	struct usage u = {root, &blocks, &disks, &raw, .writers = true};
	char *text = NULL;

	qb_blocks_read(root, &blocks);
	read_mounts(&u);
	read_processes(&u);
	if (raw.openers.n) {
		_cleanup_free_ char *list = qb_strs_sentence(&raw.openers);

		text = qb_asprintf("%s has it open for writing", list);
	} else if (raw.n_unknown) {
		text = qb_strdup(raw.unknown[0].evidence);
	}
	qb_strs_done(&u.namespaces);
	qb_strs_done(&u.node_mounts);
	qb_disk_raw_done(&raw);
	return text;
}
