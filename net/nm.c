/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nm.h"

#include <errno.h>
#include <time.h>

#include "agent/base/bus_lib.h"
#include "agent/base/clock.h"

#define NM "org.freedesktop.NetworkManager"
#define NM_PATH "/org/freedesktop/NetworkManager"
#define POLL_MS 20
#define CHANCES 10
#define STATE_UNKNOWN 0   /* NM_ACTIVE_CONNECTION_STATE_UNKNOWN, ACTIVATING follows */
#define STATE_ACTIVATED 2 /* NM_ACTIVE_CONNECTION_STATE_ACTIVATED, DEACTIVATING follows */

static int bus_open(unsigned timeout_ms, sd_bus **ret, struct qb_error *err)
{
	return qb_bus_open("NetworkManager", timeout_ms, ret, err);
}

static int bus_error(int r, sd_bus_error *e, struct qb_error *err, const char *what)
{
	_cleanup_free_ char *said = qb_asprintf("NetworkManager, %s", what);

	return qb_bus_error(r, e, err, said);
}

/* The object of a link; *ret is NULL where NetworkManager knows no such link. */
static int device_of(sd_bus *bus, const char *link, char **ret, struct qb_error *err)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	sd_bus_error e = SD_BUS_ERROR_NULL;
	const char *path;
	int r;

	r = sym_sd_bus_call_method(bus, NM, NM_PATH, NM, "GetDeviceByIpIface", &e, &reply, "s",
				   link);
	if (r < 0 && sym_sd_bus_error_has_name(&e, NM ".UnknownDevice")) {
		sym_sd_bus_error_free(&e);
		*ret = NULL;
		return 0;
	}
	if (r < 0)
		return bus_error(r, &e, err, link);
	r = sym_sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return bus_error(r, &e, err, link);
	*ret = qb_strdup(path);
	return 0;
}

/* As device_of(), where not to know it is an error. */
static int known_device_of(sd_bus *bus, const char *link, char **ret, struct qb_error *err)
{
	int r = device_of(bus, link, ret, err);

	return r < 0 || *ret ? r
			     : qb_error_set(err, ENODEV, "NetworkManager does not know %s", link);
}

int qb_nm_managed(const char *link, unsigned timeout_ms, bool *ret, struct qb_error *err)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *device = NULL;
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r, managed = 0;

	r = bus_open(timeout_ms, &bus, err);
	if (r == 0)
		r = device_of(bus, link, &device, err);
	if (r < 0)
		return r;
	if (device) {
		r = sym_sd_bus_get_property_trivial(bus, NM, device, NM ".Device", "Managed", &e,
						    'b', &managed);
		if (r < 0)
			return bus_error(r, &e, err, link);
	}
	*ret = managed;
	return 0;
}

int qb_nm_set_managed(const char *link, bool managed, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *device = NULL;
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r;

	r = bus_open(timeout_ms, &bus, err);
	if (r == 0)
		r = device_of(bus, link, &device, err);
	if (r < 0 || !device)
		return r;
	r = sym_sd_bus_set_property(bus, NM, device, NM ".Device", "Managed", &e, "b",
				    (int)managed);
	return r < 0 ? bus_error(r, &e, err, link) : 0;
}

int qb_nm_disown(const char *link, unsigned timeout_ms, struct qb_error *err)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *device = NULL;
	int r = bus_open(timeout_ms, &bus, err);

	for (unsigned waited = 0; r == 0 && !device && waited <= timeout_ms; waited += POLL_MS) {
		r = device_of(bus, link, &device, err);
		if (r == 0 && !device)
			nanosleep(&pause, NULL);
	}
	if (r < 0)
		return r;
	if (!device)
		return qb_error_set(err, ETIMEDOUT, "NetworkManager did not notice %s in %u ms",
				    link, timeout_ms);
	return qb_nm_set_managed(link, false, timeout_ms, err);
}

int qb_nm_load(const struct qb_strs *paths, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_message_ sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_free_ char **list = qb_alloc(paths->n + 1, sizeof(*list));
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r, ok = 0;

	memcpy(list, paths->v, paths->n * sizeof(*list));
	r = bus_open(timeout_ms, &bus, err);
	if (r < 0)
		return r;
	r = sym_sd_bus_message_new_method_call(bus, &call, NM, NM_PATH "/Settings", NM ".Settings",
					       "LoadConnections");
	if (r >= 0)
		r = sym_sd_bus_message_append_strv(call, list);
	if (r >= 0)
		r = sym_sd_bus_call(bus, call, 0, &e, &reply);
	if (r >= 0)
		r = sym_sd_bus_message_read(reply, "b", &ok);
	if (r < 0)
		return bus_error(r, &e, err, "loading profiles");
	/* It says no of a file that is gone, too, having forgotten its profile. */
	return 0;
}

/* The object of a profile. */
static int profile_of(sd_bus *bus, const char *uuid, char **ret, struct qb_error *err)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	sd_bus_error e = SD_BUS_ERROR_NULL;
	const char *path;
	int r;

	r = sym_sd_bus_call_method(bus, NM, NM_PATH "/Settings", NM ".Settings",
				   "GetConnectionByUuid", &e, &reply, "s", uuid);
	if (r >= 0)
		r = sym_sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return bus_error(r, &e, err, "finding our profile");
	*ret = qb_strdup(path);
	return 0;
}

int qb_nm_knows(const char *uuid, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *profile = NULL;
	int r = bus_open(timeout_ms, &bus, err);

	return r < 0 ? r : profile_of(bus, uuid, &profile, err);
}

/* The UUID of the profile that a device has, and how far it is; NULL: it has none. */
static char *profile_on(sd_bus *bus, const char *device, uint32_t *state)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	sd_bus_error e = SD_BUS_ERROR_NULL;
	const char *active;
	char *uuid = NULL;

	/* What is not active any more is gone, so a failed read is an answer. */
	if (sym_sd_bus_call_method(bus, NM, device, "org.freedesktop.DBus.Properties", "Get", &e,
				   &reply, "ss", NM ".Device", "ActiveConnection") < 0 ||
	    sym_sd_bus_message_read(reply, "v", "o", &active) < 0 || !strcmp(active, "/") ||
	    sym_sd_bus_get_property_trivial(bus, NM, active, NM ".Connection.Active", "State", &e,
					    'u', state) < 0 ||
	    sym_sd_bus_get_property_string(bus, NM, active, NM ".Connection.Active", "Uuid", &e,
					   &uuid) < 0)
		uuid = NULL;
	sym_sd_bus_error_free(&e);
	return uuid;
}

static int manage_all(const struct qb_strs *links, unsigned timeout_ms, struct qb_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < links->n; i++)
		r = qb_nm_set_managed(links->v[i], true, timeout_ms, err);
	return r;
}

/*
 * Which of two it does first is chance: look for a profile, or take the link for somebody else's
 * ("externally connected"), which it then stays.
 */
static int ask_anew(const char *link, unsigned timeout_ms, struct qb_error *err)
{
	int r = qb_nm_set_managed(link, false, timeout_ms, err);

	return r < 0 ? r : qb_nm_set_managed(link, true, timeout_ms, err);
}

int qb_nm_take(const char *link, const struct qb_strs *ports, const char *uuid, unsigned timeout_ms,
	       struct qb_error *err)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *device = NULL;
	uint64_t end = qb_now_ms() + timeout_ms;
	int r = bus_open(timeout_ms, &bus, err), chances = CHANCES;

	if (r == 0)
		r = known_device_of(bus, link, &device, err);
	if (r == 0)
		r = qb_nm_set_managed(link, true, timeout_ms, err);
	while (r == 0) {
		uint32_t state = STATE_UNKNOWN;
		_cleanup_free_ char *has = profile_on(bus, device, &state);
		bool its = qb_streq(has, uuid) && state <= STATE_ACTIVATED;

		if (its && ports) {
			r = manage_all(ports, timeout_ms, err);
			ports = NULL;
		}
		if (r < 0 || (its && state == STATE_ACTIVATED))
			return r;
		if (qb_now_ms() >= end)
			return qb_error_set(err, ETIMEDOUT,
					    "NetworkManager did not activate profile %s on %s in "
					    "%u ms",
					    uuid, link, timeout_ms);
		if (has && !its && state == STATE_ACTIVATED && chances-- > 0)
			r = ask_anew(link, timeout_ms, err);
		nanosleep(&pause, NULL);
	}
	return r;
}

static int activate(sd_bus *bus, const char *profile, const char *device, struct qb_error *err)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r = sym_sd_bus_call_method(bus, NM, NM_PATH, NM, "ActivateConnection", &e, &reply,
				       "ooo", profile, device, "/");

	return r < 0 ? bus_error(r, &e, err, "activating a profile") : 0;
}

int qb_nm_activate(const char *link, const char *uuid, unsigned timeout_ms, struct qb_error *err)
{
	_cleanup_free_ char *device = NULL, *profile = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = bus_open(timeout_ms, &bus, err);

	if (r == 0)
		r = known_device_of(bus, link, &device, err);
	if (r == 0)
		r = profile_of(bus, uuid, &profile, err);
	return r < 0 ? r : activate(bus, profile, device, err);
}

int qb_nm_profile(const char *link, unsigned timeout_ms, char **ret, struct qb_error *err)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *device = NULL;
	uint32_t state = STATE_UNKNOWN;
	int r = bus_open(timeout_ms, &bus, err);

	if (r == 0)
		r = device_of(bus, link, &device, err);
	if (r < 0)
		return r;
	*ret = device ? profile_on(bus, device, &state) : NULL;
	if (state != STATE_ACTIVATED)
		free(QB_TAKE_PTR(*ret));
	return 0;
}
