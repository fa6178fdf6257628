/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's daemons, by systemd over D-Bus: their sockets are enabled and started. */
#include <errno.h>

#include "agent/base/bus_lib.h"
#include "agent/base/clock.h"
#include "agent/host/libvirt_conn.h"
#include "agent/host/plan.h"

#define MANAGER                                                                                    \
	"org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

/* What is not installed is left out; the first daemon must be there. */
static const char *const modular[] = {
	"virtqemud",  "virtnetworkd",  "virtstoraged",   "virtnodedevd", "virtsecretd",
	"virtproxyd", "virtnwfilterd", "virtinterfaced", "virtlogd",     "virtlockd",
	NULL,
};
static const char *const monolithic[] = {"libvirtd", "virtlogd", "virtlockd", NULL};

/*
 * Sockets before the service that they would start again. The service is enabled as well: by its
 * sockets alone it would not start before somebody connects, nor what is to start with it.
 */
static const char *const suffixes[] = {".socket", "-ro.socket", "-admin.socket", ".service"};

/* All that may be installed of a flavour. -EINVAL for one that is none. */
static int units_of(const json_t *args, struct qb_strs *ret, struct qb_error *err)
{
	const char *flavour = json_string_value(json_object_get(args, "flavour"));
	const char *const *daemons = qb_streq(flavour, "modular")      ? modular
				     : qb_streq(flavour, "monolithic") ? monolithic
								       : NULL;

	if (!daemons)
		return qb_error_set(err, EINVAL, "a step of libvirt.daemon without a flavour");
	for (; *daemons; daemons++)
		for (size_t i = 0; i < QB_ARRAY_SIZE(suffixes); i++)
			qb_strs_addf(ret, "%s%s", *daemons, suffixes[i]);
	return 0;
}

static int bus_error(struct qb_error *err, int r, const sd_bus_error *e, const char *what)
{
	_cleanup_free_ char *said = qb_str_printable(e && e->message ? e->message : strerror(-r));

	return qb_error_set(err, r, "systemd: %s: %s", what, said);
}

static int open_bus(sd_bus **ret, struct qb_error *err)
{
	int r = qb_bus_load(err);

	if (r < 0)
		return r;
	r = sym_sd_bus_open_system(ret);
	/* Without a subscriber the manager tells nobody of its jobs. */
	if (r >= 0)
		r = sym_sd_bus_call_method(*ret, MANAGER, "Subscribe", NULL, NULL, NULL);
	return r < 0 ? bus_error(err, r, NULL, "cannot reach it by D-Bus") : 0;
}

/* "enabled", "disabled"...; NULL: no such unit file. */
static int file_state(sd_bus *bus, const char *unit, char **ret, struct qb_error *err)
{
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *state;
	int r = sym_sd_bus_call_method(bus, MANAGER, "GetUnitFileState", &e, &reply, "s", unit);

	if (r == -ENOENT || sym_sd_bus_error_has_name(&e, "org.freedesktop.systemd1.NoSuchUnit") ||
	    sym_sd_bus_error_has_name(&e, SD_BUS_ERROR_FILE_NOT_FOUND)) {
		*ret = NULL;
		return 0;
	}
	if (r >= 0)
		r = sym_sd_bus_message_read(reply, "s", &state);
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
	int r = sym_sd_bus_call_method(bus, MANAGER, "LoadUnit", &e, &reply, "s", unit);

	if (r >= 0)
		r = sym_sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = sym_sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path,
						   "org.freedesktop.systemd1.Unit", "ActiveState",
						   &e, &state);
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
	if (sym_sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result) >= 0 &&
	    qb_streq(path, job->path))
		qb_strset(&job->result, result);
	return 0;
}

static int wait_for_job(sd_bus *bus, struct job *job, unsigned timeout_ms)
{
	uint64_t end = qb_now_us() + timeout_ms * 1000ull;

	for (;;) {
		uint64_t now = qb_now_us();
		int r = sym_sd_bus_process(bus, NULL);

		if (r < 0)
			return r;
		if (job->result)
			return 0;
		if (now >= end)
			return -ETIMEDOUT;
		if (!r)
			r = sym_sd_bus_wait(bus, end - now);
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
	int r = sym_sd_bus_match_signal(bus, &slot, MANAGER, "JobRemoved", on_removed, &job);

	if (r >= 0)
		r = sym_sd_bus_call_method(bus, MANAGER, method, &e, &reply, "ss", unit, "replace");
	if (r >= 0)
		r = sym_sd_bus_message_read(reply, "o", &path);
	if (r >= 0) {
		job.path = qb_strdup(path);
		r = wait_for_job(bus, &job, timeout_ms);
	}
	if (r < 0)
		r = bus_error(err, r, &e, unit);
	else if (strcmp(job.result, "done") != 0)
		r = qb_error_set(err, EIO, "systemd: %s of %s ended as %s; see journalctl -u %s",
				 method, unit, job.result, unit);
	sym_sd_bus_slot_unref(slot);
	free(job.path);
	free(job.result);
	return r < 0 ? r : 0;
}

/* Those of units that were enabled (or disabled) before, made so in one call. */
static int set_enabled(sd_bus *bus, const json_t *before, const char *file, bool on,
		       struct qb_error *err)
{
	_cleanup_bus_error_ sd_bus_error e = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *m = NULL;
	_cleanup_strs_ struct qb_strs units = {0};
	const char *unit;
	json_t *was;
	int r;

	json_object_foreach ((json_t *)(uintptr_t)before, unit, was)
		if (qb_streq(json_string_value(json_object_get(was, "file")), file))
			qb_strs_add(&units, unit);
	if (!units.n)
		return 0;
	r = sym_sd_bus_message_new_method_call(bus, &m, MANAGER,
					       on ? "EnableUnitFiles" : "DisableUnitFiles");
	if (r >= 0)
		r = sym_sd_bus_message_open_container(m, 'a', "s");
	for (size_t i = 0; r >= 0 && i < units.n; i++)
		r = sym_sd_bus_message_append(m, "s", units.v[i]);
	if (r >= 0)
		r = sym_sd_bus_message_close_container(m);
	if (r >= 0)
		r = on ? sym_sd_bus_message_append(m, "bb", false, false)
		       : sym_sd_bus_message_append(m, "b", false);
	if (r >= 0)
		r = sym_sd_bus_call(bus, m, 0, &e, NULL);
	if (r >= 0)
		r = sym_sd_bus_call_method(bus, MANAGER, "Reload", &e, NULL, NULL);
	return r < 0 ? bus_error(err, r, &e, on ? "cannot enable units" : "cannot disable units")
		     : 0;
}

static bool was_active(const json_t *before, const char *unit)
{
	return json_is_true(json_object_get(json_object_get(before, unit), "active"));
}

/* A socket that does not listen. One whose service runs already could not be started. */
static bool to_start(const json_t *before, const char *unit)
{
	_cleanup_free_ char *service = qb_asprintf("%.*s.service", (int)strcspn(unit, ".-"), unit);

	return qb_endswith(unit, ".socket") && !was_active(before, unit) &&
	       !was_active(before, service);
}

/* The units that are installed, each with the state of its file and of itself. */
static int look(sd_bus *bus, const struct qb_strs *units, json_t *ret, struct qb_error *err)
{
	for (size_t i = 0; i < units->n; i++) {
		_cleanup_free_ char *state = NULL;
		bool active = false;
		int r = file_state(bus, units->v[i], &state, err);

		/* What a person has masked is to stay off: as if it were not installed. */
		if (state && qb_startswith(state, "masked"))
			qb_strset(&state, NULL);
		if (r == 0 && state)
			r = is_active(bus, units->v[i], &active, err);
		if (r < 0)
			return r;
		if (state)
			json_object_set_new(
				ret, units->v[i],
				json_pack("{s:s, s:b}", "file", state, "active", active));
	}
	return 0;
}

static int observe(const struct qb_step_ctx *ctx, const json_t *args, enum qb_observed *ret,
		   json_t **ret_before, struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs units = {0};
	_cleanup_bus_ sd_bus *bus = NULL;
	json_auto_t *before = json_object();
	const char *unit;
	json_t *is;
	int r = units_of(args, &units, err);

	(void)ctx;
	if (r == 0)
		r = open_bus(&bus, err);
	if (r == 0)
		r = look(bus, &units, before, err);
	if (r < 0)
		return r;
	if (!json_object_get(before, units.v[0]))
		return qb_error_set(err, ENOENT, "systemd: no unit %s; install libvirt-daemon-kvm",
				    units.v[0]);
	*ret = QB_OBSERVED_DONE;
	json_object_foreach (before, unit, is)
		if (to_start(before, unit) ||
		    qb_streq(json_string_value(json_object_get(is, "file")), "disabled"))
			*ret = QB_OBSERVED_NEEDED;
	*ret_before = json_incref(before);
	return 0;
}

static int apply(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		 struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs units = {0};
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = units_of(args, &units, err);

	if (r == 0)
		r = open_bus(&bus, err);
	if (r == 0)
		r = set_enabled(bus, before, "disabled", true, err);
	for (size_t i = 0; r == 0 && i < units.n; i++)
		if (json_object_get(before, units.v[i]) && to_start(before, units.v[i]))
			r = unit_job(bus, "StartUnit", units.v[i], ctx->timeout_ms, err);
	return r;
}

static int verify(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		  struct qb_error *err)
{
	_cleanup_vir_conn_ virConnectPtr conn = NULL;

	(void)args, (void)before;
	return qb_vir_open(ctx->connect_uri, QB_VIR_PATIENCE_MS, &conn, err);
}

/* One that cannot be stopped is no reason to leave the others as they are: the first error counts.
 */
static int undo(const struct qb_step_ctx *ctx, const json_t *args, const json_t *before,
		struct qb_error *err)
{
	_cleanup_strs_ struct qb_strs units = {0};
	_cleanup_bus_ sd_bus *bus = NULL;
	struct qb_error later = QB_ERROR_INIT;
	int first = units_of(args, &units, err);

	if (first == 0)
		first = open_bus(&bus, err);
	if (first < 0)
		return first;
	for (size_t i = 0; i < units.n; i++) {
		bool active = false;
		int r;

		if (!json_object_get(before, units.v[i]) || was_active(before, units.v[i]))
			continue;
		r = is_active(bus, units.v[i], &active, first ? &later : err);
		if (r == 0 && active)
			r = unit_job(bus, "StopUnit", units.v[i], ctx->timeout_ms,
				     first ? &later : err);
		first = first ? first : r;
	}
	/* Disabling a unit disables those that it names in Also=, too: these are enabled again. */
	if (set_enabled(bus, before, "disabled", false, first ? &later : err) < 0 ||
	    set_enabled(bus, before, "enabled", true, first ? &later : err) < 0)
		first = first ? first : -EIO;
	return first;
}

const struct qb_step_kind qb_daemon_step = {
	.kind = "libvirt.daemon",
	.observe = observe,
	.apply = apply,
	.verify = verify,
	.undo = undo,
};
