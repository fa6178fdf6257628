/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of storage/disk.h, which the facts contain. */
#pragma once

#include "agent/base/schema.h"

extern const struct qb_type qb_disk_type;
