/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/bus_lib.h"

#include <errno.h>

#include "agent/base/str.h"

QB_BUS_CALLS(QB_LIB_DEFINE)

int qb_bus_load(struct qb_error *err)
{
	static const struct qb_lib_symbol symbols[] = {QB_BUS_CALLS(QB_LIB_SYMBOL)};
	static struct qb_lib lib = {"libsystemd.so.0", symbols, QB_ARRAY_SIZE(symbols), false};

	return qb_lib_load(&lib, err);
}

int qb_bus_open(const char *who, unsigned timeout_ms, sd_bus **ret, struct qb_error *err)
{
	int r = qb_bus_load(err);

	if (r < 0)
		return r;
	r = sym_sd_bus_open_system(ret);
	if (r < 0)
		return qb_error_errno(err, r, "%s runs, but the system bus", who);
	(void)sym_sd_bus_set_method_call_timeout(*ret, (uint64_t)timeout_ms * 1000);
	return 0;
}

int qb_bus_error(int r, sd_bus_error *e, struct qb_error *err, const char *what)
{
	_cleanup_free_ char *text = qb_str_printable(e->message ? e->message : strerror(-r));

	sym_sd_bus_error_free(e);
	return qb_error_set(err, r == -ETIMEDOUT ? ETIMEDOUT : EIO, "%s: %s", what, text);
}
