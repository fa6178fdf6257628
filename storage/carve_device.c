/* SPDX-License-Identifier: Apache-2.0 */
/* Holding a disk: the locks, and what has to be so once they are held. */
#include "storage/carve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/exec.h"
#include "storage/gpt.h"
#include "storage/mark.h"
#include "storage/probe_parts.h"

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

#define UDEVADM "/usr/bin/udevadm"

enum {
	LOCK_POLL_MS = 20,
};

static int same_device(int fd, const char *path, const struct qb_carve_args *args,
		       struct qb_error *err)
{
	_cleanup_free_ char *devno = NULL;
	uint64_t size, seq;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return qb_error_errno(err, errno, "%s", path);
	devno = qb_asprintf("%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!S_ISBLK(st.st_mode) || !qb_streq(devno, args->devno))
		return qb_error_set(err, ESTALE, "%s is not the device %s any more", path,
				    args->devno);
	if (ioctl(fd, BLKGETSIZE64, &size) < 0)
		return qb_error_errno(err, errno, "%s: its size", path);
	if (size != args->size_bytes)
		return qb_error_set(err, ESTALE,
				    "%s has %" PRIu64 " bytes, and had %" PRIu64
				    " when it was planned",
				    path, size, args->size_bytes);
	/* Kernels before 5.15 do not count; then size and number have to do. */
	if (ioctl(fd, BLKGETDISKSEQ, &seq) == 0 && seq != args->diskseq)
		return qb_error_set(err, ESTALE,
				    "%s is another disk than was planned (diskseq %" PRIu64
				    ", was %" PRIu64 ")",
				    path, seq, args->diskseq);
	return 0;
}

/* udev holds the lock, shared, for as long as it looks at a disk. flock(2) tells nobody when. */
static int lock(int fd, const char *path, unsigned timeout_ms, struct qb_error *err)
{
	static const struct timespec pause = {0, LOCK_POLL_MS * 1000000};
	uint64_t end = qb_now_ms() + timeout_ms;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return qb_error_errno(err, errno, "%s: cannot lock it", path);
		if (qb_now_ms() >= end)
			return qb_error_set(err, ETIMEDOUT,
					    "%s: another program holds its lock (flock)", path);
		nanosleep(&pause, NULL);
	}
	return 0;
}

int qb_carve_lock_used(const char *path, const struct qb_carve_args *args, unsigned timeout_ms,
		       struct qb_carve_device *ret, struct qb_error *err)
{
	_cleanup_carve_device_ struct qb_carve_device device = QB_CARVE_DEVICE_INIT;
	int r;

	/* For writing, so that its close makes udev look again. */
	device.fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (device.fd < 0)
		return qb_error_errno(err, errno, "%s", path);
	r = lock(device.fd, path, timeout_ms, err);
	if (r == 0)
		r = same_device(device.fd, path, args, err);
	if (r < 0)
		return r;
	*ret = device;
	device = (struct qb_carve_device)QB_CARVE_DEVICE_INIT;
	return 0;
}

static int have_alone(const char *path, const struct qb_carve_args *args,
		      struct qb_carve_device *device, struct qb_error *err)
{
	device->exclusive = open(path, O_RDWR | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (device->exclusive < 0)
		return qb_error_errno(err, errno == EBUSY ? ESTALE : errno,
				      "%s cannot be had alone", path);
	return same_device(device->exclusive, path, args, err);
}

int qb_carve_lock(const char *path, const struct qb_carve_args *args, unsigned timeout_ms,
		  struct qb_carve_device *ret, struct qb_error *err)
{
	_cleanup_carve_device_ struct qb_carve_device device = QB_CARVE_DEVICE_INIT;
	int r = qb_carve_lock_used(path, args, timeout_ms, &device, err);

	if (r == 0)
		r = have_alone(path, args, &device, err);
	if (r < 0)
		return r;
	*ret = device;
	device = (struct qb_carve_device)QB_CARVE_DEVICE_INIT;
	return 0;
}

static int read_ends(int fd, const char *path, struct qb_ends *ret, struct qb_error *err)
{
	int r = qb_ends_read(fd, ret);

	return r < 0 ? qb_error_errno(err, r, "%s: cannot be read", path) : 0;
}

int qb_carve_lock_looked_at(const char *path, const struct qb_carve_args *args, unsigned timeout_ms,
			    qb_carve_look_fn *look, void *data, struct qb_carve_device *ret,
			    struct qb_error *err)
{
	_cleanup_carve_device_ struct qb_carve_device device = QB_CARVE_DEVICE_INIT;
	_cleanup_ends_ struct qb_ends seen = {0}, now = {0};
	uint64_t start, size;
	int r = qb_carve_lock_used(path, args, timeout_ms, &device, err);

	if (r == 0)
		r = read_ends(device.fd, path, &seen, err);
	if (r == 0)
		r = look(data, err);
	if (r == 0)
		r = have_alone(path, args, &device, err);
	if (r == 0)
		r = read_ends(device.exclusive, path, &now, err);
	if (r < 0)
		return r;
	qb_carve_layout(args->size_bytes, &start, &size);
	if (!qb_ends_unwritten(&seen, &now, start))
		return qb_error_set(err, ESTALE, "%s stays as it is: somebody wrote to it just now",
				    path);
	*ret = device;
	device = (struct qb_carve_device)QB_CARVE_DEVICE_INIT;
	return 0;
}

int qb_carve_look(const struct qb_step_ctx *ctx, int fd, const struct qb_carve_args *args,
		  struct qb_disk *ret, struct qb_error *err)
{
	struct qb_disks disks = {.disks = ret, .n_disks = 1};
	struct qb_disk_raw raw = {0};
	_cleanup_free_ char *writers = NULL;

	*ret = (struct qb_disk){.name = qb_strdup(strrchr(args->disk, '/') + 1),
				.path = qb_strdup(args->disk),
				.serial = qb_strdup(args->identity),
				.size_bytes = args->size_bytes,
				.logical_sector_bytes = args->logical_sector_bytes};
	qb_tri_set(&raw.exclusive, true);
	qb_contents_probe(fd, ctx->machine_id, false, ret, &raw.contents);
	qb_disks_judge(&disks, &raw);
	qb_disk_raw_done(&raw);
	writers = qb_usage_writers(ctx->root, ret->name);
	return writers ? qb_error_set(err, ESTALE, "%s: %s", args->disk, writers) : 0;
}

void qb_carve_share(struct qb_carve_device *device)
{
	qb_closep(&device->exclusive);
	device->exclusive = -1;
}

void qb_carve_unlock(struct qb_carve_device *device)
{
	qb_carve_share(device);
	qb_closep(&device->fd);
	device->fd = -1;
}

int qb_carve_forget(int fd, const char *path, int last, struct qb_error *err)
{
	for (int number = 1; number <= last; number++) {
		struct blkpg_partition part = {.pno = number};
		struct blkpg_ioctl_arg arg = {
			.op = BLKPG_DEL_PARTITION, .datalen = sizeof(part), .data = &part};

		/* ENXIO: there was none. */
		if (ioctl(fd, BLKPG, &arg) < 0 && errno != ENXIO)
			return qb_error_errno(err, errno, "%s: cannot take its partition %d off",
					      path, number);
	}
	return 0;
}

static int tell_kernel(int fd, int op, uint64_t start_bytes, uint64_t size_bytes)
{
	struct blkpg_partition part = {
		.pno = 1, .start = (long long)start_bytes, .length = (long long)size_bytes};
	struct blkpg_ioctl_arg arg = {.op = op, .datalen = sizeof(part), .data = &part};

	return ioctl(fd, BLKPG, &arg) < 0 ? -errno : 0;
}

int qb_carve_kernel(int fd, const char *path, uint64_t start_bytes, uint64_t size_bytes,
		    struct qb_error *err)
{
	/* One that a run which broke off left is made anew. */
	int r = qb_carve_forget(fd, path, 1, err);

	if (r < 0)
		return r;
	r = tell_kernel(fd, BLKPG_ADD_PARTITION, start_bytes, size_bytes);
	return r < 0 ? qb_error_errno(err, r, "%s: the kernel does not take its partition", path)
		     : 0;
}

int qb_carve_kernel_resize(int fd, const char *path, uint64_t start_bytes, uint64_t size_bytes,
			   struct qb_error *err)
{
	int r = tell_kernel(fd, BLKPG_RESIZE_PARTITION, start_bytes, size_bytes);

	/* The kernel knows of none where it was started with a table that it did not take. */
	if (r == -ENXIO)
		r = tell_kernel(fd, BLKPG_ADD_PARTITION, start_bytes, size_bytes);
	return r < 0 ? qb_error_errno(err, r, "%s: the kernel does not take the partition's size",
				      path)
		     : 0;
}

/* Whether path is the node of the device that sysfs calls devno. */
static bool node_is(const struct qb_root *root, const char *path, const char *devno)
{
	struct stat st;
	_cleanup_free_ char *seen = NULL;

	if (qb_root_stat(root, path, true, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	seen = qb_asprintf("%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return qb_streq(seen, devno);
}

static int partition_of(const struct qb_root *root, const char *disk, char **ret_path,
			char **ret_devno)
{
	const char *name = strrchr(disk, '/') + 1;
	_cleanup_blocks_ struct qb_blocks blocks = {0};

	qb_blocks_read(root, &blocks);
	for (size_t i = 0; i < blocks.n; i++) {
		if (!qb_streq(blocks.v[i].disk, name) || !blocks.v[i].devno)
			continue;
		*ret_path = qb_asprintf("/dev/%s", blocks.v[i].name);
		*ret_devno = qb_strdup(blocks.v[i].devno);
		return 0;
	}
	return -ENOENT;
}

int qb_carve_node(const struct qb_step_ctx *ctx, const char *disk, char **ret, struct qb_error *err)
{
	_cleanup_free_ char *path = NULL, *devno = NULL;
	_cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	uint64_t end = qb_now_ms() + ctx->timeout_ms, now;
	char events[4096];

	/* The watch before the look, or the node could appear in between unseen. */
	if (watch < 0 || inotify_add_watch(watch, "/dev", IN_CREATE | IN_ATTRIB | IN_MOVED_TO) < 0)
		return qb_error_errno(err, errno, "/dev: cannot watch it");
	if (partition_of(ctx->root, disk, &path, &devno) < 0)
		return qb_error_set(err, EIO, "%s: the kernel shows no partition of it", disk);
	while (!node_is(ctx->root, path, devno)) {
		struct pollfd p = {.fd = watch, .events = POLLIN};

		now = qb_now_ms();
		if (now >= end)
			return qb_error_set(err, ETIMEDOUT, "%s: its node did not appear", path);
		if (poll(&p, 1, (int)(end - now)) > 0)
			while (read(watch, events, sizeof(events)) > 0)
				;
	}
	*ret = QB_TAKE_PTR(path);
	return 0;
}

int qb_carve_settle(unsigned timeout_ms, const char *part_guid, struct qb_error *err)
{
	_cleanup_free_ char *timeout = qb_asprintf("--timeout=%u", (timeout_ms + 999) / 1000);
	_cleanup_free_ char *link =
		qb_asprintf("/dev/disk/by-partuuid/%s", part_guid ? part_guid : "");
	const char *argv[] = {UDEVADM, "settle", timeout, NULL};
	int r;

	/* udevd answers only after the event that our close of the disk raised (inotify). */
	if (!qb_udev_runs() || access(UDEVADM, X_OK) < 0)
		return 0;
	r = qb_exec_check(argv, timeout_ms + 1000, err);
	if (!part_guid || access(link, F_OK) == 0)
		return 0;
	return r < 0 ? r : qb_error_set(err, ENOENT, "udev made no link %s", link);
}
