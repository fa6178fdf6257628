/* SPDX-License-Identifier: Apache-2.0 */
/* libudev, which only those who look at disks need. */
#pragma once

#include <libudev.h>

#include "agent/base/lib.h"

/* clang-format off */
#define QB_UDEV_CALLS(X) \
	X(udev_device_get_is_initialized) \
	X(udev_device_get_property_value) \
	X(udev_device_new_from_devnum) \
	X(udev_device_unref) \
	X(udev_new) \
	X(udev_queue_flush) \
	X(udev_queue_get_fd) \
	X(udev_queue_get_queue_is_empty) \
	X(udev_queue_new) \
	X(udev_queue_unref) \
	X(udev_unref)
/* clang-format on */

QB_UDEV_CALLS(QB_LIB_DECLARE)

QB_MUST_CHECK int qb_udev_load(struct qb_error *err);
