/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/host/facts.h"

/* Which kind of libvirt is there, and whether systemd has it at boot, by the files below root. */
void qb_vir_units_probe(const struct qb_root *root, struct qb_libvirt_facts *ret);
