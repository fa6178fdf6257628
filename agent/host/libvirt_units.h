/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/host/facts.h"

/* There is a file of it, and it is not masked. */
bool qb_unit_is_installed(const struct qb_root *root, const char *unit);
/* Which kind of libvirt is there, and whether systemd has it at boot, by the files below root. */
void qb_vir_units_probe(const struct qb_root *root, struct qb_libvirt_facts *ret);
