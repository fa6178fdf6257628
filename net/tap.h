/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "net/nl.h"

#define QB_TAP_NAME "qubi-carrier"

/*
 * A tap as a port of the bridge, which is switched on and has a carrier then. Learning is off: a
 * frame handed in says nothing of where its sender is. Frames have a struct virtio_net_hdr in
 * front. It is gone when the fd is closed. Returns the fd or -errno.
 */
QB_MUST_CHECK int qb_tap_open(struct nl_sock *sock, const char *bridge);
