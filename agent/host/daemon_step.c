/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's daemons, by systemd over D-Bus: their sockets are enabled and started. */
#include <errno.h>
#include <systemd/sd-bus.h>

#include "agent/base/clock.h"
#include "agent/host/libvirt_conn.h"
#include "agent/host/plan.h"

#define MANAGER                                                                                    \
	"org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

/* What is not installed is left out; the first one must be there. */
static const char *const modular[] = {
	"virtqemud.socket",    "virtnetworkd.socket",
	"virtstoraged.socket", "virtnodedevd.socket",
	"virtsecretd.socket",  "virtnwfilterd.socket",
	"virtproxyd.socket",   "virtlogd.socket",
	"virtlockd.socket",    NULL,
};
static const char *const monolithic[] = {
	"libvirtd.socket", "libvirtd-ro.socket", "virtlogd.socket", "virtlockd.socket", NULL,
};

static const char *const *units_of(const json_t *args)
{
	const char *flavour = json_string_value(json_object_get(args, "flavour"));

	return qb_streq(flavour, "modular")      ? modular
	       : qb_streq(flavour, "monolithic") ? monolithic
						 : NULL;
}

static int bus_error(struct qb_error *err, int r, const sd_bus_error *e, const char *what)
{
	_cleanup_free_ char *said = qb_str_printable(e && e->message ? e->message : strerror(-r));

	return qb_error_set(err, r, "systemd: %s: %s", what, said);
}

static int open_bus(sd_bus **ret, struct qb_error *err)
{
	int r = sd_bus_open_system(ret);

	/* Without a subscriber the manager tells nobody of its jobs. */
	if (r >= 0)
		r = sd_bus_call_method(*ret, MANAGER, "Subscribe", NULL, NULL, NULL);
	return r < 0 ? bus_error(err, r, NULL, "cannot reach it by D-Bus") : 0;
}

static void unref_bus(sd_bus **bus)
{
	sd_bus_flush_close_unref(*bus);
}

#define _cleanup_bus_ QB_CLEANUP(unref_bus)
#define _cleanup_bus_error_ QB_CLEANUP(sd_bus_error_free)

static void unref_message(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

#define _cleanup_message_ QB_CLEANUP(unref_message)

/* "enabled", "disabled"...; NULL: no such unit file. */
static int file_state(sd_bus *bus, const char *unit, char **ret, struct qb_error *err)
{
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *state;
	int r = sd_bus_call_method(bus, MANAGER, "GetUnitFileState", &e, &reply, "s", unit);

	if (r == -ENOENT || sd_bus_error_has_name(&e, "org.freedesktop.systemd1.NoSuchUnit") ||
	    sd_bus_error_has_name(&e, SD_BUS_ERROR_FILE_NOT_FOUND)) {
		*ret = NULL;
		return 0;
	}
	if (r >= 0)
		r = sd_bus_message_read(reply, "s", &state);
	if (r < 0)
		return bus_error(err, r, &e, unit);
	*ret = qb_strdup(state);
	return 0;
}

static int is_active(sd_bus *bus, const char *unit, bool *ret, struct qb_error *err)
{
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_free_ char *state = NULL;
	const char *path;
	int r = sd_bus_call_method(bus, MANAGER, "LoadUnit", &e, &reply, "s", unit);

	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path,
					       "org.freedesktop.systemd1.Unit", "ActiveState", &e,
					       &state);
	if (r < 0)
		return bus_error(err, r, &e, unit);
	*ret = !strcmp(state, "active");
	return 0;
}

/* A job that is waited for: JobRemoved tells its end. */
struct job {
	char *path;
	char *result; /* "done", "failed"...; NULL while it runs */
};

static int on_removed(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct job *job = data;
	const char *path, *result;

	(void)error;
	if (sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result) >= 0 &&
	    qb_streq(path, job->path))
		qb_strset(&job->result, result);
	return 0;
}

static int wait_for_job(sd_bus *bus, struct job *job, unsigned timeout_ms)
{
	uint64_t end = qb_now_us() + timeout_ms * 1000ull;

	for (;;) {
		uint64_t now = qb_now_us();
		int r = sd_bus_process(bus, NULL);

		if (r < 0)
			return r;
		if (job->result)
			return 0;
		if (now >= end)
			return -ETIMEDOUT;
		if (!r)
			r = sd_bus_wait(bus, end - now);
		if (r < 0 && r != -EINTR)
			return r;
	}
}

/* StartUnit or StopUnit, to the end of the job. */
static int unit_job(sd_bus *bus, const char *method, const char *unit, unsigned timeout_ms,
		    struct qb_error *err)
{
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	sd_bus_slot *slot = NULL;
	struct job job = {0};
	const char *path;
	int r = sd_bus_match_signal(bus, &slot, MANAGER, "JobRemoved", on_removed, &job);

	if (r >= 0)
		r = sd_bus_call_method(bus, MANAGER, method, &e, &reply, "ss", unit, "replace");
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0) {
		job.path = qb_strdup(path);
		r = wait_for_job(bus, &job, timeout_ms);
	}
	if (r < 0)
		r = bus_error(err, r, &e, unit);
	else if (strcmp(job.result, "done") != 0)
		r = qb_error_set(err, EIO, "systemd: %s of %s ended as %s; see journalctl -u %s",
				 method, unit, job.result, unit);
	sd_bus_slot_unref(slot);
	free(job.path);
	free(job.result);
	return r < 0 ? r : 0;
}

static int enable(sd_bus *bus, const char *unit, bool on, struct qb_error *err)
{
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	int r = on ? sd_bus_call_method(bus, MANAGER, "EnableUnitFiles", &e, NULL, "asbb", 1, unit,
					false, false)
		   : sd_bus_call_method(bus, MANAGER, "DisableUnitFiles", &e, NULL, "asb", 1, unit,
					false);

	if (r >= 0)
		r = sd_bus_call_method(bus, MANAGER, "Reload", &e, NULL, NULL);
	return r < 0 ? bus_error(err, r, &e, unit) : 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	const char *const *units = units_of(args);
	_cleanup_bus_ sd_bus *bus = NULL;
	json_auto_t *before = json_object();
	int r;

	(void)ctx;
	if (!units)
		return qb_error_set(err, EINVAL, "a step of libvirt.daemon without a flavour");
	r = open_bus(&bus, err);
	*ret = QB_OBSERVED_DONE;
	for (size_t i = 0; r == 0 && units[i]; i++) {
		_cleanup_free_ char *state = NULL;
		bool active = false;

		r = file_state(bus, units[i], &state, err);
		if (r == 0 && state)
			r = is_active(bus, units[i], &active, err);
		if (r < 0 || !state)
			continue;
		if (!active || !strcmp(state, "disabled"))
			*ret = QB_OBSERVED_NEEDED;
		json_object_set_new(before, units[i],
				    json_pack("{s:s, s:b}", "file", state, "active", active));
	}
	if (r == 0 && !json_object_get(before, units[0]))
		r = qb_error_set(err, ENOENT, "systemd: no unit %s; install libvirt-daemon-kvm",
				 units[0]);
	if (r < 0)
		return r;
	*ret_before = json_incref(before);
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	const char *const *units = units_of(args);
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = open_bus(&bus, err);

	for (size_t i = 0; r == 0 && units[i]; i++) {
		const json_t *was = json_object_get(before, units[i]);
		const char *file = json_string_value(json_object_get(was, "file"));

		if (!was)
			continue;
		if (qb_streq(file, "disabled"))
			r = enable(bus, units[i], true, err);
		if (r == 0 && !json_is_true(json_object_get(was, "active")))
			r = unit_job(bus, "StartUnit", units[i], ctx->timeout_ms, err);
	}
	return r;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;

	(void)args, (void)before;
	return qb_vir_open(ctx->connect_uri, &conn, err);
}

/* The socket first, or the service would be started again by it. */
static int stop(sd_bus *bus, const char *socket, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_free_ char *service =
		qb_asprintf("%.*s.service", (int)strcspn(socket, ".-"), socket);
	bool active = false;
	int r = unit_job(bus, "StopUnit", socket, timeout_ms, err);

	if (r == 0)
		r = is_active(bus, service, &active, err);
	if (r == 0 && active)
		r = unit_job(bus, "StopUnit", service, timeout_ms, err);
	return r;
}

static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	const char *const *units = units_of(args);
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = open_bus(&bus, err);

	for (size_t i = 0; r == 0 && units[i]; i++) {
		const json_t *was = json_object_get(before, units[i]);
		const char *file = json_string_value(json_object_get(was, "file"));

		if (!was)
			continue;
		if (!json_is_true(json_object_get(was, "active")))
			r = stop(bus, units[i], ctx->timeout_ms, err);
		if (r == 0 && qb_streq(file, "disabled"))
			r = enable(bus, units[i], false, err);
	}
	return r;
}

const struct qb_step_kind qb_daemon_step = {"libvirt.daemon", observe, apply, verify, undo};
