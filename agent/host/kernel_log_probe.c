/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/kvm.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum {
	RECORD_MAX = 8192,   /* what one read of /dev/kmsg gives at most: Documentation/ABI */
	RECORDS_MAX = 65536, /* no ring of the kernel's holds more */
	LINES_MAX = 10,
};

bool qb_kernel_line_is_of_kvm(const char *line)
{
	static const char *const words[] = {
		"kvm", "SVM", "VMX", "FEAT_CTL", "VM_CR",
	};

	for (size_t i = 0; i < QB_ARRAY_SIZE(words); i++)
		if (strstr(line, words[i]))
			return true;
	/* Why a module was not loaded. */
	return (strcasestr(line, "loading of") || qb_startswith(line, "Lockdown:")) &&
	       strstr(line, "module");
}

/*
 * Two or more lines for each CPU of a guest, that tell of its clock: Linux, arch/x86/kernel/kvm.c,
 * kvmclock.c and kernel/time/clocksource.c. And the places in the code that a warning names.
 */
static bool is_noise(const char *line)
{
	static const char *const begins[] = {
		"kvm-clock:", "kvm-guest:", "kvm-stealtime:", "clocksource:", "Modules linked in:"};

	for (size_t i = 0; i < QB_ARRAY_SIZE(begins); i++)
		if (qb_startswith(line, begins[i]))
			return true;
	return strstr(line, "+0x") != NULL;
}

/* Alike but for numbers: what each CPU says. */
static bool is_alike(const char *a, const char *b)
{
	while (*a && *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			a += strspn(a, "0123456789");
			b += strspn(b, "0123456789");
		} else if (*a++ != *b++) {
			return false;
		}
	}
	return *a == *b;
}

static void forget(struct qb_strs *lines, size_t i)
{
	free(lines->v[i]);
	memmove(&lines->v[i], &lines->v[i + 1], (lines->n - i - 1) * sizeof(*lines->v));
	lines->n--;
}

void qb_kernel_record(char *record, struct qb_strs *ret)
{
	_cleanup_free_ char *safe = NULL;
	char *line = strchr(record, ';');

	/* Above the three bits of its level stands who wrote it: the kernel is 0. */
	if (!line || strtoul(record, NULL, 10) >> 3)
		return;
	line++;
	line[strcspn(line, "\n")] = '\0';
	if (!qb_kernel_line_is_of_kvm(line) || is_noise(line))
		return;
	safe = qb_str_printable(line);
	for (size_t i = 0; i < ret->n; i++)
		if (is_alike(ret->v[i], safe))
			forget(ret, i--);
	if (ret->n == LINES_MAX)
		forget(ret, 0);
	qb_strs_add(ret, safe);
}

void qb_kernel_says(const struct qb_root *root, struct qb_strs *ret)
{
	_cleanup_close_ int fd = qb_root_openat(root, "/dev/kmsg", O_RDONLY | O_NONBLOCK, 0);
	char record[RECORD_MAX + 1];

	for (int i = 0; fd >= 0 && i < RECORDS_MAX; i++) {
		ssize_t n = read(fd, record, RECORD_MAX);

		/* Overwritten while we read: go on with the oldest that is left. */
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n <= 0)
			return;
		record[n] = '\0';
		qb_kernel_record(record, ret);
	}
}
