/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to libvirt, and the one place where its errors become ours. */
#pragma once

#include "agent/host/libvirt_lib.h"

static inline void qb_vir_closep(virConnectPtr *conn)
{
	if (*conn)
		sym_virConnectClose(*conn);
}

#define _cleanup_vir_conn_ QB_CLEANUP(qb_vir_closep)

/* A step's: by connecting, systemd may have to start the daemon, and that all its drivers. */
#define QB_VIR_PATIENCE_MS 60000

/*
 * Opens for reading and writing. -ETIMEDOUT when libvirt has not answered within timeout_ms.
 * libvirt prints nothing by itself from then on.
 */
QB_MUST_CHECK int qb_vir_open(const char *uri, unsigned timeout_ms, virConnectPtr *ret,
			      struct qb_error *err);

/* libvirt's last error, with context in front; -errno nearest to its code. */
QB_PRINTF(2, 3) int qb_vir_error(struct qb_error *err, const char *fmt, ...);
