/* SPDX-License-Identifier: Apache-2.0 */
/* sd-bus of libsystemd, which brings three compressors and a library of ciphers along. */
#pragma once

#include <systemd/sd-bus.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_BUS_CALLS(X) \
	X(sd_bus_call) \
	X(sd_bus_call_method) \
	X(sd_bus_error_free) \
	X(sd_bus_error_has_name) \
	X(sd_bus_flush_close_unref) \
	X(sd_bus_get_property_string) \
	X(sd_bus_get_property_trivial) \
	X(sd_bus_match_signal) \
	X(sd_bus_message_append) \
	X(sd_bus_message_append_strv) \
	X(sd_bus_message_close_container) \
	X(sd_bus_message_new_method_call) \
	X(sd_bus_message_open_container) \
	X(sd_bus_message_read) \
	X(sd_bus_message_unref) \
	X(sd_bus_open_system) \
	X(sd_bus_process) \
	X(sd_bus_set_method_call_timeout) \
	X(sd_bus_set_property) \
	X(sd_bus_slot_unref) \
	X(sd_bus_wait)
/* clang-format on */

QB_BUS_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_bus_load(struct qb_error *err);
/* The system bus, for who is on it; a call on it waits as long. */
QB_MUST_CHECK int qb_bus_open(const char *who, unsigned timeout_ms, sd_bus **ret,
			      struct qb_error *err);
/* What a call answered, -r an errno, in its own words; frees e. -ETIMEDOUT, else -EIO. */
int qb_bus_error(int r, sd_bus_error *e, struct qb_error *err, const char *what);

static inline void qb_bus_closep(sd_bus **bus)
{
	if (*bus)
		sym_sd_bus_flush_close_unref(*bus);
}
#define _cleanup_bus_ QB_CLEANUP(qb_bus_closep)

static inline void qb_bus_message_unrefp(sd_bus_message **message)
{
	if (*message)
		sym_sd_bus_message_unref(*message);
}
#define _cleanup_message_ QB_CLEANUP(qb_bus_message_unrefp)

static inline void qb_bus_error_done(sd_bus_error *error)
{
	if (sym_sd_bus_error_free)
		sym_sd_bus_error_free(error);
}
#define _cleanup_bus_error_ QB_CLEANUP(qb_bus_error_done)
