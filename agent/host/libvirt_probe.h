/* SPDX-License-Identifier: Apache-2.0 */
/* Asking libvirt beside other probes: it may be slow, and it may hang. */
#pragma once

#include "agent/host/facts.h"

struct qb_vir_inquiry;

/* Begins to ask, in a process of its own, so before any thread is made. 0 ms: five seconds. */
struct qb_vir_inquiry *qb_vir_inquiry_begin(const char *uri, unsigned timeout_ms);
/*
 * Waits for the answer until the time given at the beginning is over; then what it says is
 * unknown, and the process is left behind. Frees the inquiry. Overwrites *ret, but for what
 * qb_vir_units_probe() finds.
 */
void qb_vir_inquiry_end(struct qb_vir_inquiry *inquiry, struct qb_libvirt_facts *ret);
