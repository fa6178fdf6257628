/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/kvm.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/klog.h>

enum {
	LINES_MAX = 10,
	SYSLOG_ACTION_READ_ALL = 3, /* syslog(2), which has no header for them */
	SYSLOG_ACTION_SIZE_BUFFER = 10,
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

void qb_kernel_line(const char *line, struct qb_strs *ret)
{
	_cleanup_free_ char *safe = NULL;
	char *end;
	unsigned long priority;

	if (*line != '<')
		return;
	priority = strtoul(line + 1, &end, 10);
	/* Above the three bits of its level stands who wrote it: the kernel is 0. */
	if (*end != '>' || priority >> 3)
		return;
	line = end + 1;
	/* The time, and the task where the kernel was built to say that. */
	while (*line == '[' && line[1 + strspn(line + 1, " .0123456789TC")] == ']') {
		line = strchr(line, ']') + 1;
		line += *line == ' ';
	}
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

/* In one call: /dev/kmsg takes one for each of its thousands of lines. */
void qb_kernel_says(struct qb_strs *ret)
{
	int size = klogctl(SYSLOG_ACTION_SIZE_BUFFER, NULL, 0), n;
	_cleanup_free_ char *text = size > 0 ? qb_alloc((size_t)size + 1, 1) : NULL;
	char *rest = text, *line;

	n = text ? klogctl(SYSLOG_ACTION_READ_ALL, text, size) : 0;
	if (n <= 0)
		return;
	text[n] = '\0';
	while ((line = strsep(&rest, "\n")))
		qb_kernel_line(line, ret);
}
