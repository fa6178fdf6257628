/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#define LOCK_PATH "/run/qubi-agent.lock"

int qb_lock(const struct qb_root *root, int *ret_fd, struct qb_error *err)
{
	_cleanup_close_ int fd =
		qb_root_openat(root, LOCK_PATH, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	char text[16] = "";
	int n;

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
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return qb_error_errno(err, errno, "%s: cannot write", LOCK_PATH);
	*ret_fd = QB_TAKE_FD(fd);
	return 0;
}
