/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#define LOCK_PATH "/run/qubi-agent.lock"

static bool name_holder(int fd)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

int qb_lock(const struct qb_root *root, int *ret_fd, struct qb_error *err)
{
	_cleanup_close_ int fd =
		qb_root_openat(root, LOCK_PATH, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	char text[16] = "";

	if (fd < 0)
		return qb_error_errno(err, fd, "%s: cannot open the lock", LOCK_PATH);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return qb_error_errno(err, errno, "%s: cannot lock", LOCK_PATH);
		if (pread(fd, text, sizeof(text) - 1, 0) < 0)
			text[0] = '\0';
		return qb_error_set(err, EWOULDBLOCK,
				    "another run (PID %d) holds %s; wait until it has ended",
				    atoi(text), LOCK_PATH);
	}
	if (!name_holder(fd))
		return qb_error_errno(err, errno, "%s: cannot write", LOCK_PATH);
	*ret_fd = QB_TAKE_FD(fd);
	return 0;
}

void qb_lock_take_over(const struct qb_root *root)
{
	/* A lock of this process alone, where that of flock(2) is one with all copies. */
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = qb_root_openat(root, LOCK_PATH, O_RDWR | O_NOFOLLOW, 0);

	if (fd < 0)
		return;
	(void)fcntl(fd, F_SETLKW, &whole);
	/* fd stays open: closing it would let go of the lock. */
	(void)name_holder(fd);
}
