/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of storage/disk.h, which the facts contain. */
#pragma once

#include "agent/base/schema.h"

/* A disk; and what is read from the device itself. */
extern const struct qb_type qb_disk_type, qb_signature_type, qb_partition_type, qb_mark_type;
/* What is made of disks. */
extern const struct qb_type qb_mapping_type, qb_volume_group_type;
