/* SPDX-License-Identifier: Apache-2.0 */
/* The volumes of libvirt's pools: asked last, by the process that asks libvirt. */
#pragma once

#include <libvirt/libvirt.h>

#include "agent/host/facts.h"

/* Asks for the volumes of f's pools. A new document, of one line. */
void qb_vir_volumes_ask(virConnectPtr conn, struct qb_libvirt_facts *f, json_t **ret);
/* Takes that line (NULL: it did not come, and why) over to the pools of f. */
void qb_vir_volumes_take(const char *text, size_t len, const char *why, struct qb_libvirt_facts *f);
