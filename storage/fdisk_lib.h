/* SPDX-License-Identifier: Apache-2.0 */
/* libfdisk, which only carving needs. */
#pragma once

#include <libfdisk/libfdisk.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_FDISK_CALLS(X) \
	X(fdisk_add_partition) \
	X(fdisk_assign_device_by_fd) \
	X(fdisk_create_disklabel) \
	X(fdisk_deassign_device) \
	X(fdisk_disable_dialogs) \
	X(fdisk_get_label) \
	X(fdisk_get_nsectors) \
	X(fdisk_get_sector_size) \
	X(fdisk_label_get_parttype_from_string) \
	X(fdisk_new_context) \
	X(fdisk_new_partition) \
	X(fdisk_partition_set_name) \
	X(fdisk_partition_set_partno) \
	X(fdisk_partition_set_size) \
	X(fdisk_partition_set_start) \
	X(fdisk_partition_set_type) \
	X(fdisk_partition_set_uuid) \
	X(fdisk_partition_size_explicit) \
	X(fdisk_set_disklabel_id_from_string) \
	X(fdisk_unref_context) \
	X(fdisk_unref_partition) \
	X(fdisk_unref_parttype) \
	X(fdisk_write_disklabel)
/* clang-format on */

QB_FDISK_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_fdisk_load(struct qb_error *err);
