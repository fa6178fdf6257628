/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that have other names by now: an undo goes by the hardware. Pure. */
#pragma once

#include <jansson.h>

#include "net/link.h"

/*
 * {name as in the args of a step: name now} of those of its ports that are called otherwise by
 * now. A link is known by its index until the next boot, a card by its own MAC address, and what
 * is made by software by nothing but its name. A new reference.
 */
json_t *qb_renamed_ports(const struct qb_net *net, const json_t *args, bool same_boot);
/* The same args, or before, with the names of now. A new reference. */
json_t *qb_renamed(const json_t *value, const json_t *names);
