/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/kvm.h"

#include <errno.h>
#include <fcntl.h>

enum {
	RECORD_MAX = 8192,   /* what one read of /dev/kmsg gives at most: Documentation/ABI */
	RECORDS_MAX = 65536, /* no ring of the kernel's holds more */
	LINES_MAX = 10,
};

bool qb_kernel_line_is_of_kvm(const char *line)
{
	static const char *const words[] = {
		"kvm",
		"SVM",
		"VMX",
		"FEAT_CTL",
		"VM_CR",
		/* Why a module was not loaded. */
		"Loading of module",
		"Loading of unsigned module",
		"Lockdown:",
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

/* "6,1234,5678,-;message" with a message that may go on in lines of " KEY=value". */
static void take(char *record, struct qb_strs *ret)
{
	char *line = strchr(record, ';');

	if (!line)
		return;
	line++;
	line[strcspn(line, "\n")] = '\0';
	if (qb_kernel_line_is_of_kvm(line) && !qb_strs_has(ret, line)) {
		_cleanup_free_ char *safe = qb_str_printable(line);

		qb_strs_add(ret, safe);
	}
}

void qb_kernel_says(const struct qb_root *root, struct qb_strs *ret)
{
	_cleanup_close_ int fd = qb_root_openat(root, "/dev/kmsg", O_RDONLY | O_NONBLOCK, 0);
	char record[RECORD_MAX + 1];

	for (int i = 0; fd >= 0 && i < RECORDS_MAX && ret->n < LINES_MAX; i++) {
		ssize_t n = read(fd, record, RECORD_MAX);

		/* Overwritten while we read: go on with the oldest that is left. */
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n <= 0)
			return;
		record[n] = '\0';
		take(record, ret);
	}
}
