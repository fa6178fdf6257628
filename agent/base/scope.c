/* SPDX-License-Identifier: Apache-2.0 */
/* org.freedesktop.systemd1(5), StartTransientUnit. */
#include "agent/base/scope.h"

#include <errno.h>

#include "agent/base/bus_lib.h"
#include "agent/base/str.h"

enum {
	PATIENCE_S = 5
};

bool qb_scope_available(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

static int call(sd_bus *bus, const char *name, const char *description, pid_t pid, sd_bus_error *e)
{
	_cleanup_message_ sd_bus_message *m = NULL;
	int r = sym_sd_bus_message_new_method_call(
		bus, &m, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartTransientUnit");

	/* It is gone with its process, also where that one failed. */
	if (r >= 0)
		r = sym_sd_bus_message_append(m, "ssa(sv)a(sa(sv))", name, "fail", 3, "Description",
					      "s", description, "CollectMode", "s",
					      "inactive-or-failed", "PIDs", "au", 1, (uint32_t)pid,
					      0);
	return r < 0 ? r : sym_sd_bus_call(bus, m, 0, e, NULL);
}

/* In a scope is who says so himself: the answer comes before the process is moved. */
static bool is_inside(const char *name, pid_t pid)
{
	_cleanup_free_ char *path = qb_asprintf("/proc/%d/cgroup", (int)pid);
	_cleanup_free_ char *end = qb_asprintf("/%s\n", name);
	char text[4096] = "";
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	return strstr(text, end) != NULL;
}

int qb_scope_begin(const char *name, const char *description, pid_t pid, struct qb_error *err)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = qb_bus_load(err);

	if (r < 0)
		return r;
	r = sym_sd_bus_open_system(&bus);
	if (r < 0)
		return qb_error_errno(err, r, "systemd: cannot reach it by D-Bus");
	(void)sym_sd_bus_set_method_call_timeout(bus, PATIENCE_S * 1000000ull);
	r = call(bus, name, description, pid, &e);
	if (r < 0) {
		_cleanup_free_ char *said = qb_str_printable(e.message ? e.message : strerror(-r));

		return qb_error_set(err, r, "systemd: no scope %s: %s", name, said);
	}
	for (int ms = 0; ms < PATIENCE_S * 1000; ms++) {
		if (is_inside(name, pid))
			return 0;
		nanosleep(&pause, NULL);
	}
	return qb_error_set(err, ETIMEDOUT, "systemd: PID %d is not in %s after %d s", (int)pid,
			    name, PATIENCE_S);
}
