/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/base/root.h"
#include "net/link.h"

/* Adds to a snapshot what files say of its links and of who manages them. */
void qb_net_sys_probe(const struct qb_root *root, struct qb_net *net);

/* The same of NetworkManager's profiles; a part of it. */
void qb_profiles_probe(const struct qb_root *root, struct qb_net *net);

/*
 * udev's ID_PATH of the device that a sysfs path leads to ("../../devices/pci0000:00/0000:00:03.0/
 * virtio0/net/eth0" gives "pci-0000:00:03.0"). NULL for what is not below a PCI device.
 */
char *qb_sysfs_id_path(const char *device);
